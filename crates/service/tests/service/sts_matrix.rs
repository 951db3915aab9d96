//! Every operation of STS for callers with and without its permission, through the API.
//!
//! A role has a trust policy as a key has a key policy, so each scenario of a key is one of a role as well.

use std::collections::BTreeSet;

use claviger_service::explain::Explanation;
use claviger_service::sts::ops;
use expect_test::expect_file;

use crate::actor::{Actor, trusts};
use crate::permission_matrix::{Principals, asked, caller, grouped, principals};
use crate::scenarios::{SCENARIOS, Scenario};
use crate::world::{ALICE, World};

/// The role that is to be assumed.
const ROLE: [(&str, &str); 2] =
    [("RoleArn", "arn:aws:iam::111122223333:role/Target"), ("RoleSessionName", "session")];

/// What is asked of each operation.
const ASKED: &[(&str, &[(&str, &str)])] = &[
    ("AssumeRole", &ROLE),
    ("DecodeAuthorizationMessage", &[("EncodedMessage", "message")]),
    ("GetAccessKeyInfo", &[("AccessKeyId", ALICE.access_key_id)]),
    ("GetCallerIdentity", &[]),
    ("GetFederationToken", &[("Name", "Somebody")]),
    ("GetSessionToken", &[]),
];

/// Operations that are not in the matrix, and why.
const NOT_ASKED: &[(&str, &str)] = &[(
    "AssumeRoleWithWebIdentity",
    "nobody signs it: who calls is what a token of an identity provider says, so no scenario has a caller of it",
)];

/// An account with the principals of the scenarios and a role, whose trust policy is the scenario's.
struct Account {
    world: World,
    principals: Principals,
}

impl Account {
    fn set() -> Self {
        let world = World::new();
        let principals = principals(&world);
        let trust = trusts("arn:aws:iam::111122223333:root");
        let members = [("RoleName", "Target"), ("AssumeRolePolicyDocument", &*trust)];
        Actor::from(ALICE).does(&world, "CreateRole", &members);
        Self { world, principals }
    }

    /// What one operation answers in one scenario, in a world of its own.
    fn cell(&self, operation: &str, members: &[(&str, &str)], scenario: &Scenario) -> String {
        let world = self.world.copy();
        let actions = [format!("sts:{operation}")];
        let trust = scenario.trust_policy(&actions);
        let put = [("RoleName", "Target"), ("PolicyDocument", &*trust)];
        Actor::from(ALICE).does(&world, "UpdateAssumeRolePolicy", &put);
        let actor = caller(&world, &self.principals, scenario, &actions);
        let request = actor.query(&world, "sts", operation, members);
        let handled = asked(&world, scenario, &actions, request);
        let record = world.ledger.records(0).pop().unwrap();
        said(handled.code, &Explanation::of(&record).unwrap())
    }
}

/// `allowed`, or who refused. What refused to let a role be assumed is not told to the caller, but to the operator.
fn said(code: Option<&str>, explained: &Explanation) -> String {
    let [decision] = &*explained.decisions else { panic!("one decision: {explained}") };
    let by = decision.rule.as_ref().unwrap_or(&decision.by);
    match (code, decision.allowed) {
        (None, true) if decision.by == "no-permission-needed" => "allowed without a permission".to_owned(),
        (None, true) => format!("allowed: {by}"),
        (Some(code), true) => format!("allowed, then {code}"),
        (Some("AccessDenied"), false) if decision.explicit => format!("denied: explicit deny in {by}"),
        (Some("AccessDenied"), false) if decision.rule.is_some() => format!("denied: {by}"),
        (Some("AccessDenied"), false) => format!("denied: no {by}"),
        (code, false) => panic!("{code:?}: {explained}"),
    }
}

#[test]
fn every_operation_of_sts_is_decided_about() {
    let account = Account::set();
    let cells = |scenario: &Scenario| {
        // Where only the trust policy differs, there is nothing else to ask.
        let applies = |name: &str| name == "AssumeRole" || scenario.is_about_the_callers_side();
        let operations = ASKED.iter().filter(|(name, _)| applies(name));
        operations.map(|(name, members)| (account.cell(name, members, scenario), *name)).collect()
    };
    let table: String = SCENARIOS
        .iter()
        .filter(|scenario| scenario.grant.is_none())
        .map(|it| grouped(&it.describe().replace("key policy", "trust policy"), cells(it)))
        .collect();
    expect_file!["golden/permissions_of_sts.txt"].assert_eq(&table);
}

/// No operation is left out of the matrix but those that say why.
#[test]
fn the_matrix_of_sts_is_whole() {
    let named = ASKED.iter().map(|(name, _)| *name).chain(NOT_ASKED.iter().map(|(name, _)| *name));
    let names: Vec<&str> = named.collect();
    let all: BTreeSet<&str> = ops::ALL.iter().map(|entry| entry.name).collect();
    assert_eq!(names.iter().copied().collect::<BTreeSet<_>>(), all);
    assert_eq!(names.len(), all.len(), "an operation stands twice");
}
