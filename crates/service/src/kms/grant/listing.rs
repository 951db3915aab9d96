//! Grants as lists show them.

use claviger_store::{Read, Record};
use serde::Serialize;

use super::Grant;
use super::party::Party;
use crate::call::Call;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::key::key_arn;
use crate::kms::marker::{self, Scope};
use crate::kms::shapes::{GrantConstraints, Limit, Marker};
use crate::record;

/// Entries of a page unless the request says otherwise, and at most.
const PAGE: (u16, u16) = (50, 100);

/// What `ListGrants` and `ListRetirableGrants` answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    grants: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key_id: String,
    grant_id: String,
    /// Empty where the grant has none.
    name: String,
    creation_date: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    grantee_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grantee_service_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_service_principal: Option<String>,
    issuing_account: String,
    operations: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<Constraints>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Constraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context_subset: Option<EncryptionContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context_equals: Option<EncryptionContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_arn: Option<String>,
}

/// A page of records whose names begin with a prefix.
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    next_marker: Option<String>,
}

/// The page that a request asks for.
///
/// # Errors
/// `InvalidMarkerException`.
pub(crate) async fn page(
    service: &Service,
    scope: Scope<'_>,
    prefix: Vec<u8>,
    (limit, marker): (Option<Limit>, Option<&Marker>),
) -> Result<Page> {
    let markers = &service.installation.markers;
    let after = markers.read(scope, marker)?.map(|last| [&*prefix, last.as_bytes()].concat());
    let size = marker::page_size(limit, PAGE.0, PAGE.1);
    let read = Read::Range { prefix: prefix.clone(), after, limit: size + 1 };
    let found = service.installation.store.read(vec![read]).await?.found;
    let mut records: Vec<Record> = found.into_iter().flatten().collect();
    let truncated = records.len() > size;
    records.truncate(size);
    let last = records.last().filter(|_| truncated);
    let next_marker = last.map(|record| markers.make(scope, record::rest(&record.name, &prefix)));
    Ok(Page { records, next_marker })
}

/// The answer that shows a page of grants.
pub(crate) async fn response(
    service: &Service,
    call: &Call<'_>,
    grants: &[Grant],
    next_marker: Option<String>,
) -> Result<Response> {
    let mut entries = Vec::with_capacity(grants.len());
    for grant in grants {
        entries.push(entry(service, call, grant).await?);
    }
    Ok(Response { grants: entries, truncated: next_marker.is_some(), next_marker })
}

impl Page {
    /// What the answer says of where the list goes on.
    pub(crate) fn into_marker(self) -> Option<String> {
        self.next_marker
    }
}

/// A grantee or retiring principal as it is shown: as a principal or as a service.
async fn shown(
    service: &Service,
    region: &str,
    party: Option<&Party>,
) -> Result<(Option<String>, Option<String>)> {
    let Some(party) = party else { return Ok((None, None)) };
    let text = party.shown(&service.installation.cache, region).await?;
    Ok(if party.is_service() { (None, Some(text)) } else { (Some(text), None) })
}

async fn entry(service: &Service, call: &Call<'_>, grant: &Grant) -> Result<Entry> {
    let region = call.region();
    let (grantee_principal, grantee_service_principal) = shown(service, region, Some(&grant.grantee)).await?;
    let (retiring_principal, retiring_service_principal) =
        shown(service, region, grant.retiring.as_ref()).await?;
    let GrantConstraints { subset, equals, source_arn } = &grant.constraints;
    let constraints = (!grant.constraints.is_empty()).then(|| Constraints {
        encryption_context_subset: subset.clone(),
        encryption_context_equals: equals.clone(),
        source_arn: source_arn.as_ref().map(|arn| arn.0.clone()),
    });
    Ok(Entry {
        key_id: key_arn(&grant.account, &grant.region, &grant.key),
        grant_id: grant.id.clone(),
        name: grant.name.clone().unwrap_or_default(),
        creation_date: grant.created.epoch(),
        grantee_principal,
        grantee_service_principal,
        retiring_principal,
        retiring_service_principal,
        issuing_account: format!("arn:{}:iam::{}:root", claviger_wire::arn::partition(region), grant.issuer),
        operations: grant.operations.iter().map(|operation| operation.as_str()).collect(),
        constraints,
    })
}

/// The error of a list that only services may filter so.
pub(crate) fn only_for_services(member: &str) -> Error {
    Error::validation(format!("{member} can be specified only by an AWS service principal."))
}
