//! Every operation of KMS for every kind of caller and every place where a permission can be or be missing, through the
//! API.
//!
//! The golden file shows for each scenario which operations were answered how. A row in a scenario that stands apart from the
//! others is either a rule of AWS's or a hole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use claviger_service::Handled;
use claviger_service::kms::ops;
use claviger_wire::incoming::Incoming;
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::actor::{Actor, credentials, new_user, trusts};
use crate::endpoints;
use crate::grants;
use crate::scenarios::{Caller, May, Named, SCENARIOS, Scenario};
use crate::state_matrix::{KEYLESS, Origin, Stage, kinds, operation_of};
use crate::world::{ALICE, Ask, BOB, Key, REGION, World, block_on};

/// The Region of the replica that is there, and of one that may be made.
const REPLICA: &str = "eu-west-1";

/// One operation: a request that it serves, the keys it touches, and the actions that it needs.
struct Row {
    /// Which of the worlds it is asked in.
    world: usize,
    label: &'static str,
    actions: Vec<String>,
    /// With the Regions that they are in.
    keys: Vec<(&'static str, Key)>,
    request: Value,
}

/// Worlds with keys of all kinds, a user and a role in the account of the keys and a user of another.
struct Matrix {
    worlds: Vec<(World, Principals)>,
    rows: Vec<Row>,
}

/// Who there is to ask.
#[derive(Clone)]
pub(crate) struct Principals {
    user: Actor,
    stranger: Actor,
}

/// The actions of an operation whose name is not the action.
fn actions(operation: &str) -> Vec<String> {
    let names = match operation {
        "ReEncrypt" => vec!["ReEncryptFrom", "ReEncryptTo"],
        "ReplicateKey" => vec!["ReplicateKey", "CreateKey"],
        name => vec![name],
    };
    names.into_iter().map(|name| format!("kms:{name}")).collect()
}

/// Names a key by its ARN wherever a request names it by its id: strangers must.
fn by_arn(request: &mut Value, keys: &[(&str, Key)]) {
    for value in request.as_object_mut().unwrap().values_mut() {
        let named = keys.iter().find(|(_, key)| *value == json!(key.id));
        if let Some((_, key)) = named {
            *value = json!(key.arn);
        }
    }
}

pub(crate) fn principals(world: &World) -> Principals {
    let user = new_user(world, ALICE, "User");
    let root = Actor::from(ALICE);
    let trust = trusts("arn:aws:iam::111122223333:user/User");
    root.does(world, "CreateRole", &[("RoleName", "Role"), ("AssumeRolePolicyDocument", &trust)]);
    Principals { user, stranger: new_user(world, BOB, "Stranger") }
}

impl Matrix {
    fn set() -> Self {
        let mut matrix = Self { worlds: Vec::new(), rows: Vec::new() };
        let of_kinds = World::new();
        for (key, requests) in kinds(&of_kinds) {
            for (operation, request) in requests {
                matrix.add(0, operation, &[(REGION, &key)], request);
            }
            // The rest of the symmetric key's own operations are asked below.
            matrix.rows.retain(|row| !["Encrypt", "Decrypt"].contains(&row.label));
        }
        matrix.enter(of_kinds);
        for (origin, of_this) in [
            (
                Origin::Imported,
                &["GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial"][..],
            ),
            (Origin::Shared, &["ReplicateKey", "UpdatePrimaryRegion"]),
            (Origin::Made, &[]),
        ] {
            let stage = Stage::set(origin);
            let number = matrix.worlds.len();
            for (label, request) in stage.requests() {
                let dry = label.contains("dry run");
                let elsewhere = matrix.rows.iter().any(|row| row.label == label);
                let wanted = if of_this.is_empty() { !dry && !elsewhere } else { of_this.contains(&label) };
                if wanted {
                    let mut keys = vec![(REGION, &stage.key), (REGION, &stage.other)];
                    if origin == Origin::Shared {
                        keys.push((REPLICA, &stage.key));
                    }
                    // The stage's own grant is to the whole account: only what is about it may meet it.
                    let world = number + usize::from(!label.ends_with("Grant"));
                    matrix.add(world, label, &keys, request);
                }
            }
            let without = stage.world.copy();
            for grant in grants::listed(&without, &stage.key, json!({})) {
                let request = json!({"KeyId": stage.key.id, "GrantId": grant["GrantId"]});
                without.succeed(ALICE, "RevokeGrant", request);
            }
            matrix.enter(stage.world);
            matrix.enter(without);
        }
        let last = matrix.worlds.len() - 1;
        for (operation, request) in [
            ("CreateKey", json!({})),
            ("GenerateRandom", json!({"NumberOfBytes": 8})),
            ("ListKeys", json!({})),
            ("ListRetirableGrants", json!({"RetiringPrincipal": "arn:aws:iam::111122223333:user/User"})),
        ] {
            matrix.add(last, operation, &[], request);
        }
        matrix
    }

    fn enter(&mut self, world: World) {
        let principals = principals(&world);
        self.worlds.push((world, principals));
    }

    fn add(&mut self, world: usize, label: &'static str, keys: &[(&'static str, &Key)], mut request: Value) {
        let keys: Vec<_> = keys.iter().map(|(region, key)| (*region, (*key).clone())).collect();
        by_arn(&mut request, &keys);
        self.rows.push(Row { world, label, actions: actions(operation_of(label)), keys, request });
    }

    /// What one operation answers in one scenario, in a world of its own.
    fn cell(&self, row: &Row, scenario: &Scenario) -> String {
        let (world, principals) = &self.worlds[row.world];
        let world = world.copy();
        for (region, key) in &row.keys {
            let policy = scenario.key_policy(&row.actions);
            let request = json!({"KeyId": key.id, "Policy": policy, "BypassPolicyLockoutSafetyCheck": true});
            // Grants are made while the key's account may make them.
            if let Some(grantee) = scenario.grant {
                grant(&world, region, key, grantee, &row.actions);
            }
            world.succeed_in(region, ALICE, "PutKeyPolicy", request);
        }
        let actor = caller(&world, principals, scenario, &row.actions);
        let request = actor.json(&world, operation_of(row.label), &row.request);
        let handled = asked(&world, scenario, &row.actions, request);
        said(&world, handled.code, &handled.outgoing.body)
    }
}

/// Makes a grant of the actions, and of describing the key; of that only, where no grant can be of the actions.
fn grant(world: &World, region: &str, key: &Key, grantee: Named, actions: &[String]) {
    let wanted = |operations: Vec<&str>| {
        let request = json!({"KeyId": key.id, "GranteePrincipal": grantee.arn(), "Operations": operations});
        world.send(&Ask::new(ALICE, "CreateGrant", request).region(region)).code
    };
    let names = actions.iter().filter_map(|action| action.strip_prefix("kms:"));
    // A grant passes on what it gives itself.
    let passed_on = actions.contains(&"kms:CreateGrant".to_owned()).then_some("Encrypt");
    match wanted(names.chain(["DescribeKey"]).chain(passed_on).collect()) {
        None => {}
        Some("ValidationException") => assert_eq!(wanted(vec!["DescribeKey"]), None),
        Some(other) => panic!("{other}"),
    }
}

/// Gives the caller the policies of the scenario; answers its credentials.
pub(crate) fn caller(
    world: &World,
    principals: &Principals,
    scenario: &Scenario,
    actions: &[String],
) -> Actor {
    let (root, kind, name, member) = match scenario.caller {
        Caller::Root => return Actor::from(ALICE),
        Caller::StrangersRoot => return Actor::from(BOB),
        Caller::User => (Actor::from(ALICE), "User", "User", "UserName"),
        Caller::Session => (Actor::from(ALICE), "Role", "Role", "RoleName"),
        Caller::Stranger => (Actor::from(BOB), "User", "Stranger", "UserName"),
    };
    if let Some(document) = scenario.identity.document(actions) {
        let members = [(member, name), ("PolicyName", "p"), ("PolicyDocument", &document)];
        root.does(world, &format!("Put{kind}Policy"), &members);
    }
    if let Some(document) = scenario.boundary.and_then(|may| may.document(actions)) {
        let made = root.does(world, "CreatePolicy", &[("PolicyName", "B"), ("PolicyDocument", &document)]);
        let members = [(member, name), ("PermissionsBoundary", made.element("Arn"))];
        root.does(world, &format!("Put{kind}PermissionsBoundary"), &members);
    }
    match scenario.caller {
        Caller::Session => {
            let role = [("RoleArn", "arn:aws:iam::111122223333:role/Role"), ("RoleSessionName", "session")];
            let policy = scenario.session.and_then(|may| may.document(actions));
            let policy = policy.iter().map(|document| ("Policy", document.as_str()));
            let members: Vec<_> = role.into_iter().chain(policy).collect();
            credentials(&principals.user.sts(world, "AssumeRole", &members))
        }
        Caller::Stranger => principals.stranger.clone(),
        _ => principals.user.clone(),
    }
}

/// What is answered, through the endpoint of the scenario where it has one.
pub(crate) fn asked(
    world: &World,
    scenario: &Scenario,
    actions: &[String],
    mut request: Incoming,
) -> Handled {
    let Some(policy) = scenario.endpoint_policy(actions) else {
        return block_on(world.service.handle(&request, world.now()));
    };
    let (endpoints, origin) = endpoints::one(&policy);
    request.origin = origin.into();
    let host = world.host(|installation| installation.with_endpoints(endpoints));
    block_on(host.handle(&request, world.now()))
}

/// Which policy refused, in the words of an error; in XML, the text ends where the element does.
pub(crate) fn reason(text: &str) -> Option<&str> {
    let (_, why) = text.split_once("because ").or_else(|| text.split_once("with an "))?;
    why.split('<').next()?.split(" allows the ").next()
}

/// `allowed`, or who refused; and the error of what was allowed and failed all the same.
fn said(world: &World, code: Option<&str>, body: &[u8]) -> String {
    let Some(code) = code else { return "allowed".to_owned() };
    let body: Value = serde_json::from_slice(body).unwrap();
    let text = body.get("Message").or_else(|| body.get("message")).and_then(Value::as_str);
    let text = text.unwrap_or_default();
    match (code, reason(text)) {
        ("AccessDeniedException", _)
            if text.contains("because the resource does not exist in this Region") =>
        {
            "denied, as if there were no such key".to_owned()
        }
        ("AccessDeniedException", _) if text.starts_with("The ciphertext refers to") => {
            "denied, as if the ciphertext were of no key".to_owned()
        }
        ("AccessDeniedException", Some(why)) => format!("denied: {why}"),
        ("AccessDeniedException", None) => format!("denied: {}", world.normalize(text)),
        _ => format!("allowed, then {code}"),
    }
}

/// The operations of a scenario by what they were answered.
pub(crate) fn grouped(title: &str, cells: Vec<(String, &str)>) -> String {
    let mut answers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (cell, label) in cells {
        answers.entry(cell).or_default().push(label);
    }
    let mut text = format!("# {title}\n\n");
    for (cell, mut labels) in answers {
        labels.sort_unstable();
        writeln!(text, "{cell}").unwrap();
        let mut line = String::from("   ");
        for label in labels {
            if line.len() + label.len() > 110 {
                writeln!(text, "{line}").unwrap();
                line = String::from("   ");
            }
            write!(line, " {label},").unwrap();
        }
        writeln!(text, "{}\n", line.trim_end_matches(',')).unwrap();
    }
    text
}

fn table(matrix: &Matrix, of: impl Fn(&Scenario) -> bool) -> String {
    let cells =
        |scenario: &Scenario| matrix.rows.iter().map(|row| (matrix.cell(row, scenario), row.label)).collect();
    let scenarios = SCENARIOS.iter().filter(|scenario| of(scenario));
    scenarios.map(|scenario| grouped(&scenario.describe(), cells(scenario))).collect()
}

#[test]
fn every_operation_is_decided_about_for_callers_of_the_account() {
    let own = |scenario: &Scenario| matches!(scenario.caller, Caller::Root | Caller::User);
    expect_file!["golden/permissions.txt"].assert_eq(&table(&Matrix::set(), own));
}

#[test]
fn every_operation_is_decided_about_for_sessions() {
    let sessions = |scenario: &Scenario| scenario.caller == Caller::Session;
    expect_file!["golden/permissions_of_sessions.txt"].assert_eq(&table(&Matrix::set(), sessions));
}

#[test]
fn every_operation_is_decided_about_across_accounts() {
    let others = |scenario: &Scenario| matches!(scenario.caller, Caller::Stranger | Caller::StrangersRoot);
    expect_file!["golden/permissions_across_accounts.txt"].assert_eq(&table(&Matrix::set(), others));
}

/// No operation is left out of the matrix, and what a scenario promises it gives.
#[test]
fn the_matrix_is_whole() {
    let matrix = Matrix::set();
    let asked: BTreeSet<&str> = matrix.rows.iter().map(|row| operation_of(row.label)).collect();
    assert_eq!(asked, ops::ALL.iter().map(|entry| entry.name).collect());
    let names: BTreeSet<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), SCENARIOS.len());
    for named in [Named::Account, Named::User, Named::Role, Named::Session, Named::StrangersAccount] {
        assert!(
            SCENARIOS.iter().any(|scenario| scenario.key.iter().any(|(it, _)| *it == named)),
            "{named:?}"
        );
    }
    for may in [May::Nothing, May::OnlyThis, May::AllButThis, May::DeniedThis] {
        assert!(SCENARIOS.iter().any(|scenario| scenario.identity == may), "{may:?}");
        let through = |scenario: &Scenario| scenario.endpoint == Some(may);
        assert!(may == May::Nothing || SCENARIOS.iter().any(through), "an endpoint's policy: {may:?}");
    }
    assert!(KEYLESS.iter().all(|keyless| asked.contains(keyless)));
}
