//! Replaces a key's policy.

use std::sync::Arc;

use claviger_store::Write;
use claviger_wire::fault::Code;
use claviger_wire::shape;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::Key;
use crate::kms::key_policy::{self, KeyPolicy};
use crate::kms::load;
use crate::kms::shapes::{KeyIdentifier, PolicyName, PolicyText};
use crate::operation::Operation;

/// The operation.
pub struct PutKeyPolicy;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Key id or key ARN.
        required key_id: KeyIdentifier = "keyId",
        /// `default`, also when absent.
        optional policy_name: PolicyName = "policyName",
        /// The policy, at most 32,768 bytes.
        required policy: PolicyText = "policy",
        /// Whether the policy may lock its author out.
        optional bypass_policy_lockout_safety_check: bool = "bypassPolicyLockoutSafetyCheck",
    }
}

impl Operation for PutKeyPolicy {
    const NAME: &'static str = "PutKeyPolicy";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = request.policy_name.as_deref().unwrap_or("default");
        let bypass = request.bypass_policy_lockout_safety_check;
        let asks = Asks { policy_name: Some(name), bypass_lockout_check: bypass, ..Asks::default() };
        let key = load::managed(service, call, "kms:PutKeyPolicy", &request.key_id, asks).await?;
        match name {
            "default" => {}
            "AWS_RAM" => {
                return Err(Error::validation("The AWS_RAM policy can only be managed by the RAM service"));
            }
            _ => return Err(Error::new(Code::LimitExceeded, "Only one policy per key is supported")),
        }
        let policy = KeyPolicy::parse(&request.policy)?;
        let policy = key_policy::check(service, call, policy, (&key.arn, Some(&key)), asks).await?;
        let changed = Key { policy: Arc::new(policy), ..Key::clone(&key) };
        call.set_response_key(&changed)?;
        let writes = vec![Write::Put { name: changed.name(), value: changed.encode()? }];
        call.commit(service, vec![load::unchanged(&key)], writes).await
    }
}
