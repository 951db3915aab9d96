//! Sums the account up: how many there are of what, and how many there may be, where there is a bound.

use claviger_store::Read;
use claviger_wire::shape;
use serde::Serialize;

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::Result;
use crate::iam::mfa;
use crate::operation::Operation;
use crate::record;

/// The operation.
pub struct GetAccountSummary;

shape! {
    /// What it takes: nothing.
    #[derive(Debug)]
    pub struct Request {}
}

/// What it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    summary_map: Map,
}

/// A map, as the query protocol writes it.
#[derive(Debug, Serialize)]
struct Map {
    entry: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct Pair {
    key: &'static str,
    value: usize,
}

/// The quotas of each user, group, role and policy, which are enforced.
const QUOTAS: [(&str, usize); 12] = [
    ("AccessKeysPerUserQuota", 2),
    ("GroupsPerUserQuota", 10),
    ("AttachedPoliciesPerUserQuota", 10),
    ("AttachedPoliciesPerGroupQuota", 10),
    ("AttachedPoliciesPerRoleQuota", 10),
    ("VersionsPerPolicyQuota", 5),
    ("UserPolicySizeQuota", 2_048),
    ("GroupPolicySizeQuota", 5_120),
    ("RolePolicySizeQuota", 10_240),
    ("PolicySizeQuota", 6_144),
    ("AssumeRolePolicySizeQuota", 2_048),
    ("GlobalEndpointTokenVersion", 2),
];
/// How many records are read at once.
const AT_ONCE: usize = 1024;

impl Operation for GetAccountSummary {
    const NAME: &'static str = "GetAccountSummary";
    const READ_ONLY: bool = true;
    type Request = Request;
    type Response = Response;

    async fn run(service: &Service, call: &mut Call<'_>, _request: &mut Request) -> Result<Response> {
        call.authorize_iam("iam:GetAccountSummary", "*", IamAsks::default())?;
        let account = call.caller().account();
        let mut entry: Vec<Pair> = QUOTAS.into_iter().map(|(key, value)| Pair { key, value }).collect();
        for (key, prefix) in [
            ("Users", record::iam::identities("user", account)),
            ("Groups", record::iam::identities("group", account)),
            ("Roles", record::iam::identities("role", account)),
            ("Policies", record::iam::policies(account)),
            ("Providers", record::federation::providers(account)),
        ] {
            entry.push(Pair { key, value: count(service, prefix, |_| Ok(true)).await? });
        }
        let devices = || record::mfa::devices(account);
        let value = count(service, devices(), |_| Ok(true)).await?;
        entry.push(Pair { key: "MFADevices", value });
        let value = count(service, devices(), mfa::is_in_use).await?;
        entry.push(Pair { key: "MFADevicesInUse", value });
        Ok(Response { summary_map: Map { entry } })
    }
}

/// How many records under a prefix pass a test.
async fn count(
    service: &Service,
    prefix: Vec<u8>,
    test: fn(&claviger_store::Record) -> Result<bool>,
) -> Result<usize> {
    let (mut counted, mut after) = (0, None);
    loop {
        let read = Read::Range { prefix: prefix.clone(), after: after.take(), limit: AT_ONCE };
        let found = service.installation.store.read(vec![read]).await?.found;
        let mut seen = 0;
        for stored in found.into_iter().flatten() {
            seen += 1;
            counted += usize::from(test(&stored)?);
            after = Some(stored.name);
        }
        if seen < AT_ONCE {
            return Ok(counted);
        }
    }
}
