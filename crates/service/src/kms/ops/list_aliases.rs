//! Lists the aliases of the caller's account in the Region, or those of one key, by name, a page at a time.

use claviger_store::{Read, Record};
use claviger_wire::shape;
use serde::Serialize;

use crate::call::{Asks, Call};
use crate::dispatch::Service;
use crate::error::Result;
use crate::kms::load;
use crate::kms::marker::{self, Scope};
use crate::kms::shapes::{KeyIdentifier, Limit, Marker};
use crate::moment::Moment;
use crate::operation::Operation;
use crate::record::{self, AliasRecord};

/// The operation.
pub struct ListAliases;

shape! {
    /// What it takes.
    #[derive(Debug)]
    pub struct Request {
        /// Only aliases of this key, by key id or key ARN.
        optional key_id: KeyIdentifier = "keyId",
        /// Most aliases of a page: 50 when absent, at most 100.
        optional limit: Limit = "limit",
        /// Where the list goes on.
        optional marker: Marker = "marker",
    }
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    aliases: Vec<Alias>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Alias {
    alias_name: String,
    alias_arn: String,
    #[serde(flatten)]
    target: Option<Target>,
}

/// Absent of a predefined alias whose AWS managed key is not there yet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    target_key_id: String,
    creation_date: f64,
    last_updated_date: f64,
}

impl Operation for ListAliases {
    const NAME: &'static str = "ListAliases";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, request: &mut Request) -> Result<Response> {
        call.authorize_account("kms:ListAliases", Asks { of_no_key: true, ..Asks::default() })?;
        let (account, region) = (call.caller().account(), call.region());
        let key = match &request.key_id {
            Some(named) => Some(load::own(service, call, "kms:ListAliases", named).await?),
            None => None,
        };
        let filter = key.as_ref().map_or("", |key| key.id());
        let scope = Scope { operation: "ListAliases", principal: call.caller().arn(), region, filter };
        let markers = &service.installation.markers;
        let after = markers.read(scope, request.marker.as_ref())?;
        let size = marker::page_size(request.limit, 50, 100);
        let prefix = match &key {
            Some(key) => record::aliases_of(account, region, key.id()),
            None => record::aliases(account, region),
        };
        let first = after.clone();
        let after = after.map(|name| [&*prefix, name.as_bytes()].concat());
        let read = Read::Range { prefix: prefix.clone(), after, limit: size + 1 };
        let found = service.installation.store.read(vec![read]).await?.found;
        let mut names: Vec<String> =
            found.iter().flatten().map(|entry| record::rest(&entry.name, &prefix).to_owned()).collect();
        if key.is_none() {
            let is_later = |name: &String| first.as_ref().is_none_or(|after| name > after);
            names.extend(service.installation.services.aliases().filter(is_later));
            names.sort_unstable();
            names.dedup();
        }
        let truncated = names.len() > size;
        names.truncate(size);
        let next_marker = names.last().filter(|_| truncated).map(|name| markers.make(scope, name));
        let reads = names.iter().map(|name| Read::One(record::alias(account, region, name))).collect();
        let records = service.installation.store.read(reads).await?.found;
        let entries = records.iter().map(|found| found.first());
        // One that was deleted meanwhile is left out.
        let is_there = |(name, entry): &(&String, Option<&Record>)| {
            entry.is_some() || service.installation.services.of_alias(name).is_some()
        };
        let described = names.iter().zip(entries).filter(is_there);
        let described = described.map(|(name, entry)| describe(account, region, name, entry));
        Ok(Response { aliases: described.collect::<Result<_>>()?, next_marker, truncated })
    }
}

fn describe(account: &str, region: &str, name: &str, entry: Option<&Record>) -> Result<Alias> {
    let held = entry.map(record::decode::<AliasRecord>).transpose()?;
    Ok(Alias {
        alias_name: format!("alias/{name}"),
        alias_arn: load::alias_arn(account, region, name),
        target: held.map(|held| Target {
            target_key_id: held.target,
            creation_date: Moment(held.created_ms).epoch(),
            last_updated_date: Moment(held.updated_ms).epoch(),
        }),
    })
}
