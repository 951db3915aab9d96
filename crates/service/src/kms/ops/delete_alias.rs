//! Takes a name away from its key. Works in every state of the key.

use claviger_store::Write;
use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::alias;
use crate::kms::load;
use crate::kms::shapes::AliasName;
use crate::operation::Operation;
use crate::record;

/// The operation.
pub struct DeleteAlias;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// The name, with `alias/` in front.
        required alias_name: AliasName = "aliasName",
    }
}

impl Operation for DeleteAlias {
    const NAME: &'static str = "DeleteAlias";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = alias::changeable(&request.alias_name)?;
        let (account, region) = (call.caller().account(), call.region());
        call.authorize_alias("kms:DeleteAlias", &load::alias_arn(account, region, name))?;
        let held = alias::held(service, account, region, name).await?;
        let mut writes = vec![
            Write::Delete(held.name.clone()),
            Write::Delete(record::alias_of(account, region, &held.record.target, name)),
        ];
        if let Some(key) = load::by_id(service, account, region, &held.record.target).await? {
            let key = call.authorize(service, "kms:DeleteAlias", key, Default::default()).await?;
            call.set_response_key(&key)?;
            // What is decided by its aliases meanwhile has to see that it has one less.
            writes.push(Write::Put { name: key.name(), value: key.encode()? });
        }
        call.commit(service, vec![held.unchanged()], writes).await
    }
}
