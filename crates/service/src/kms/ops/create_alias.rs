//! Gives a key a name.

use claviger_store::{Precondition, Write};
use claviger_wire::fault::Code;
use claviger_wire::shape;

use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::alias;
use crate::kms::load;
use crate::kms::shapes::{AliasName, KeyIdentifier};
use crate::operation::Operation;
use crate::record::{self, AliasRecord};

/// The operation.
pub struct CreateAlias;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// The name, with `alias/` in front.
        required alias_name: AliasName = "aliasName",
        /// Key id or key ARN of a key in the same account and Region.
        required target_key_id: KeyIdentifier = "targetKeyId",
    }
}

impl Operation for CreateAlias {
    const NAME: &'static str = "CreateAlias";
    const READ_ONLY: bool = false;
    type Request = Request;
    type Response = ();

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<()> {
        let name = alias::changeable(&request.alias_name)?;
        let (account, region) = (call.caller().account(), call.region());
        let arn = load::alias_arn(account, region, name);
        call.authorize_alias("kms:CreateAlias", &arn)?;
        let key = alias::target(service, call, "kms:CreateAlias", &request.target_key_id).await?;
        key.allows(Self::NAME)?;
        let record_name = record::alias(account, region, name);
        if service.installation.cache.alias(record_name.clone()).await?.is_some() {
            return Err(Error::new(
                Code::AlreadyExists,
                format!("An alias with the name {arn} already exists"),
            ));
        }
        alias::check_quota(service, &key).await?;
        call.set_response_key(&key)?;
        let now = call.now().0;
        let made = AliasRecord { target: key.id().to_owned(), created_ms: now, updated_ms: now };
        let preconditions = vec![load::unchanged(&key), Precondition::Absent(record_name.clone())];
        let writes = vec![
            Write::Put { name: record_name, value: record::encode(&made)? },
            Write::Put { name: key.name(), value: key.encode()? },
            Write::Put { name: record::alias_of(account, region, key.id(), name), value: Vec::new() },
        ];
        call.commit(service, preconditions, writes).await
    }
}
