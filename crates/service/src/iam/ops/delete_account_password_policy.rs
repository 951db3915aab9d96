//! Forgets what passwords of the account must be like: AWS's default holds again.

use claviger_store::{Precondition, Write};
use claviger_wire::fault::Code;
use claviger_wire::shape;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::login;
use crate::operation::Operation;
use crate::record;

/// The operation.
pub struct DeleteAccountPasswordPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {}
}

impl Operation for DeleteAccountPasswordPolicy {
    const NAME: &'static str = "DeleteAccountPasswordPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, _request: &mut Request) -> Result<()> {
        call.authorize_iam("iam:DeleteAccountPasswordPolicy", "*", IamAsks::default())?;
        let account = call.caller().account();
        let Some((_, revision)) = login::policy(service, account).await? else {
            let text = "The account policy with name PasswordPolicy cannot be found.";
            return Err(Error::new(Code::NoSuchEntity, text));
        };
        let name = record::login::policy(account);
        let unchanged = Precondition::Unchanged { name: name.clone(), revision };
        call.commit(service, vec![unchanged], vec![Write::Delete(name)]).await
    }
}
