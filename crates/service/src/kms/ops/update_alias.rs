//! Makes an alias name another key of the same kind.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::alias;
use crate::kms::key::Key;
use crate::kms::load;
use crate::kms::shapes::{AliasName, KeyIdentifier, KeySpec};
use crate::operation::Operation;
use crate::record::{self, AliasRecord};

/// The operation.
pub struct UpdateAlias;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// The name, with `alias/` in front.
        required alias_name: AliasName = "aliasName",
        /// Key id or key ARN of the new key.
        required target_key_id: KeyIdentifier = "targetKeyId",
    }
}

impl Operation for UpdateAlias {
    const NAME: &'static str = "UpdateAlias";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = alias::changeable(&request.alias_name)?;
        let (account, region) = (call.caller().account(), call.region());
        call.authorize_alias("kms:UpdateAlias", &load::alias_arn(account, region, name))?;
        let held = alias::held(service, account, region, name).await?;
        let mut loses = None;
        // Permission is needed on the key that loses the alias as well as on the one that gets it.
        if let Some(old) = load::by_id(service, account, region, &held.record.target).await? {
            loses = Some(call.authorize(service, "kms:UpdateAlias", old, Default::default()).await?);
        }
        let new = alias::target(service, call, "kms:UpdateAlias", &request.target_key_id).await?;
        new.allows(Self::NAME)?;
        if let Some(old) = load::by_id(service, account, region, &held.record.target).await?
            && !are_alike(&old, &new)
        {
            return Err(Error::validation("Alias must be updated to a key of the same type and key usage."));
        }
        call.set_response_key(&new)?;
        let changed =
            AliasRecord { target: new.id().to_owned(), updated_ms: call.now().0, ..held.record.clone() };
        let mut writes = vec![
            Write::Put { name: held.name.clone(), value: record::encode(&changed)? },
            Write::Put { name: record::alias_of(account, region, new.id(), name), value: Vec::new() },
        ];
        if held.record.target != new.id() {
            alias::check_quota(service, &new).await?;
            writes.push(Write::Put { name: new.name(), value: new.encode()? });
            writes.push(Write::Delete(record::alias_of(account, region, &held.record.target, name)));
            // What is decided by the aliases of either meanwhile has to see the change.
            if let Some(old) = loses {
                writes.push(Write::Put { name: old.name(), value: old.encode()? });
            }
        }
        call.commit(service, vec![held.unchanged(), load::unchanged(&new)], writes).await
    }
}

/// Whether an alias may go from one key to the other: both symmetric, both asymmetric or both HMAC keys, for the same
/// usage (API reference, "UpdateAlias"). Only symmetric keys share a usage with keys of another type.
fn are_alike(old: &Key, new: &Key) -> bool {
    let is_symmetric = |key: &Key| key.spec == KeySpec::SymmetricDefault;
    old.usage == new.usage && is_symmetric(old) == is_symmetric(new)
}
