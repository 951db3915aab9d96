//! Says what passwords of the account must be like, in place of what was said before.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::shapes::{MaxPasswordAge, MinimumPasswordLength, PasswordReusePrevention};
use crate::operation::Operation;
use crate::record::{self, login::PasswordPolicyRecord};

/// The operation.
pub struct UpdateAccountPasswordPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Fewest characters: 6 when absent.
        optional minimum_length: MinimumPasswordLength = "minimumPasswordLength",
        /// Whether there must be a symbol.
        optional symbols: bool = "requireSymbols",
        /// Whether there must be a digit.
        optional numbers: bool = "requireNumbers",
        /// Whether there must be a capital letter.
        optional uppercase: bool = "requireUppercaseCharacters",
        /// Whether there must be a small letter.
        optional lowercase: bool = "requireLowercaseCharacters",
        /// Whether users may change their own in the console.
        optional users_may_change: bool = "allowUsersToChangePassword",
        /// After how many days they expire: never when absent.
        optional max_age_days: MaxPasswordAge = "maxPasswordAge",
        /// How many passwords before must not come again.
        optional reuse_prevention: PasswordReusePrevention = "passwordReusePrevention",
        /// Whether one that has expired can be changed by an administrator only.
        optional hard_expiry: bool = "hardExpiry",
    }
}

impl Operation for UpdateAccountPasswordPolicy {
    const NAME: &'static str = "UpdateAccountPasswordPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        call.authorize_iam("iam:UpdateAccountPasswordPolicy", "*", IamAsks::default())?;
        let set = |given: Option<bool>| given == Some(true);
        let policy = PasswordPolicyRecord {
            minimum_length: request.minimum_length.map_or(6, |length| length.0),
            symbols: set(request.symbols),
            numbers: set(request.numbers),
            uppercase: set(request.uppercase),
            lowercase: set(request.lowercase),
            users_may_change: set(request.users_may_change),
            max_age_days: request.max_age_days.map(|days| days.0),
            reuse_prevention: request.reuse_prevention.map(|count| count.0),
            hard_expiry: request.hard_expiry,
        };
        let name = record::login::policy(call.caller().account());
        let write = Write::Put { name, value: record::encode(&policy)? };
        call.commit(service, Vec::new(), vec![write]).await
    }
}
