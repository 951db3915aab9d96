//! Whether a grant allows what no policy does.

use claviger_policy as policy;
use claviger_store::Precondition;

use super::{Grant, party};
use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::key::Key;
use crate::kms::shapes::GrantOperation;
use crate::record;

/// A grant that allows a request.
pub(crate) struct Held {
    pub(crate) id: String,
    /// What it gives its caller.
    pub(crate) right: policy::Grant,
    /// That it is still there: what is committed because of it must not outlive it.
    pub(crate) unchanged: Precondition,
}

/// The operation of grants that an action is; `None` for one that no grant can allow.
pub(crate) fn operation_of(action: &str) -> Option<GrantOperation> {
    action.strip_prefix("kms:").and_then(GrantOperation::from_str_exact)
}

/// The grant on a key that allows the caller of a request this operation: one to itself, or else one to its account.
/// Reads what is granted to the caller, and nothing of what is granted to others.
pub(crate) async fn held(
    service: &Service,
    call: &Call<'_>,
    operation: GrantOperation,
    key: &Key,
    asks: &Asks<'_>,
) -> Result<Option<Held>> {
    let cache = &service.installation.cache;
    let source_arn = call.source_arn();
    for (id, right) in party::ids_of(call.caller()) {
        let prefix = record::grant::grants_to(key.place(), &id);
        let mut page = cache.grants(&prefix).await?;
        loop {
            if let Some(grant) = page.grants.iter().find(|it| it.allows(operation, asks, source_arn)) {
                return Ok(Some(Held { id: grant.id.clone(), right, unchanged: grant.unchanged() }));
            }
            let Some(after) = &page.next else { break };
            page = cache.more_grants(&prefix, after).await?;
        }
    }
    Ok(None)
}

impl Grant {
    fn allows(&self, operation: GrantOperation, asks: &Asks<'_>, source_arn: Option<&str>) -> bool {
        use GrantOperation::{CreateGrant, DescribeKey, GetPublicKey};
        let is_met = || match operation {
            // What is granted on must be no more than what is held; one grant must hold all of it.
            CreateGrant => asks.grant.is_some_and(|child| {
                child.operations.iter().all(|wanted| self.operations.contains(wanted))
                    && self.constraints.bind(child.constraints)
            }),
            // These have no encryption context.
            DescribeKey | GetPublicKey => true,
            _ => self.constraints.are_met_by(asks.encryption_context),
        };
        self.operations.contains(&operation) && self.constraints.are_met_for(source_arn) && is_met()
    }
}
