//! What IAM says of what it refuses, and what it shows of roles.

use claviger_service::writeback;
use serde_json::{Value, json};

use crate::actor::{Actor, credentials, new_user};
use crate::policies::policy;
use crate::world::{ALICE, World, block_on};

const ROLE: &str = "arn:aws:iam::111122223333:role/R";

fn document(statements: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn trusting(principal: &Value) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
}

/// What comes of putting statements into an identity policy, and into a trust policy; nothing where they are taken.
fn told(world: &World, action: &str, statements: &Value) -> Option<String> {
    let (root, text) = (Actor::from(ALICE), document(statements));
    let reply = match action {
        "CreatePolicy" => root.iam(world, action, &[("PolicyName", "P"), ("PolicyDocument", &text)]),
        _ => root.iam(world, action, &[("RoleName", "R"), ("AssumeRolePolicyDocument", &text)]),
    };
    match (reply.status, action) {
        (200, "CreatePolicy") => {
            root.does(world, "DeletePolicy", &[("PolicyArn", "arn:aws:iam::111122223333:policy/P")]);
        }
        (200, _) => drop(root.does(world, "DeleteRole", &[("RoleName", "R")])),
        _ => {
            assert_eq!(reply.element("Code"), "MalformedPolicyDocument");
            return Some(reply.element("Message").replace("&quot;", "\""));
        }
    }
    None
}

#[test]
fn policies_are_refused_in_awss_words() {
    let world = World::new();
    let plain = |more: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"});
        statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([statement])
    };
    let twice = |sid: &str| json!([plain(json!({"Sid": sid}))[0], plain(json!({"Sid": sid}))[0]]);
    let alphanumeric = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression \
                        [0-9A-Za-z]*";
    for (statements, expected) in [
        (plain(json!({})), None),
        (twice(""), None),
        (twice("a"), Some("Statement IDs (SID) in a single policy must be unique.")),
        (plain(json!({"Sid": "Allow use"})), Some(alphanumeric)),
        (plain(json!({"Action": "*:*"})), None),
        (
            plain(json!({"Action": "kms"})),
            Some("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ),
        (plain(json!({"Action": "kms:a:b"})), Some("Actions/Condition can contain only one colon.")),
        (plain(json!({"Action": "k ms:a"})), Some("Vendor k ms is not valid")),
        (plain(json!({"Action": "k*:*"})), Some("Vendor k* is not valid")),
        (plain(json!({"Action": "kms:$"})), Some("Syntax errors in policy.")),
        (plain(json!({"Action": []})), Some("Policy statement must contain actions.")),
        (plain(json!({"Resource": []})), Some("Policy statement must contain resources.")),
        (plain(json!({"Principal": "*"})), Some("Policy document should not specify a principal.")),
    ] {
        assert_eq!(told(&world, "CreatePolicy", &statements).as_deref(), expected, "{statements}");
    }
    let named = |mut statement: Value, sid: &str| {
        statement["Sid"] = json!(sid);
        statement
    };
    let own = trusting(&json!({"AWS": ALICE.account}));
    let mut with_resource = own.clone();
    with_resource["Resource"] = json!("*");
    let unknown = r#"Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/nobody""#;
    for (statements, expected) in [
        (json!([own]), None),
        (json!([named(own.clone(), ""), named(own.clone(), "")]), None),
        (json!([named(own.clone(), "a b")]), Some(alphanumeric)),
        (json!([with_resource]), Some("Has prohibited field Resource")),
        (
            json!([trusting(&json!({"Service": "foo"}))]),
            Some(r#"Invalid principal in policy: "SERVICE":"foo""#),
        ),
        (json!([trusting(&json!({"AWS": "foo"}))]), Some(r#"Invalid principal in policy: "AWS":"foo""#)),
        (json!([trusting(&json!({"AWS": "arn:aws:iam::111122223333:user/nobody"}))]), Some(unknown)),
        (
            json!([trusting(&json!({"Federated": "cognito-identity.amazonaws.com"}))]),
            Some(r#"Invalid principal in policy: "FEDERATED":"cognito-identity.amazonaws.com""#),
        ),
    ] {
        assert_eq!(told(&world, "CreateRole", &statements).as_deref(), expected, "{statements}");
    }
}

/// `*:*` covers what `*` covers.
#[test]
fn a_vendor_of_all_is_all() {
    let world = World::new();
    let (key, ann) = (world.key(ALICE), new_user(&world, ALICE, "Ann"));
    let put = |effects: &[(&str, &str)]| {
        let one =
            |(effect, action): &(&str, &str)| json!({"Effect": effect, "Action": action, "Resource": "*"});
        crate::actor::give(&world, ALICE, "Ann", &document(&effects.iter().map(one).collect()));
        ann.kms(&world, "DescribeKey", &json!({"KeyId": key.arn})).status
    };
    assert_eq!(put(&[("Allow", "*:*")]), 200);
    assert_eq!(put(&[("Allow", "kms:*"), ("Deny", "*:*")]), 400);
}

/// IAM does not repeat the value that it refuses; STS does.
#[test]
fn refused_values_of_iam_are_not_repeated() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let status =
        root.iam(&world, "UpdateAccessKey", &[("AccessKeyId", "AKIAIOSFODNN7EXAMPLE"), ("Status", "foo")]);
    let expected = "1 validation error detected: Value at 'status' failed to satisfy constraint: Member must satisfy enum \
                    value set: [Active, Inactive, Expired]";
    assert_eq!(status.element("Message"), expected);
    let number = root.iam(&world, "ListUsers", &[("MaxItems", "1001")]);
    let expected = "1 validation error detected: Value at 'maxItems' failed to satisfy constraint: Member must have value \
                    less than or equal to 1000";
    assert_eq!(number.element("Message"), expected);
    let sts = root.sts(&world, "GetSessionToken", &[("DurationSeconds", "1")]);
    assert!(
        sts.element("Message").starts_with("1 validation error detected: Value '1' at 'durationSeconds'")
    );
}

/// What deletes roles asks for their instance profiles first, and whoever looks for unused ones for their last use.
#[test]
fn a_role_tells_when_it_was_used() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let trust = document(&json!([trusting(&json!({"AWS": ALICE.account}))]));
    let last = || root.does(&world, "GetRole", &[("RoleName", "R")]).body;
    root.does(&world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    assert!(last().contains("<RoleLastUsed/>"), "{}", last());
    let ann = new_user(&world, ALICE, "Ann");
    let may = policy(json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE}));
    crate::actor::give(&world, ALICE, "Ann", &may);
    let members = [("RoleArn", ROLE), ("RoleSessionName", "s1")];
    let session = credentials(&ann.sts(&world, "AssumeRole", &members));
    assert!(last().contains("<RoleLastUsed/>"), "it was assumed and has done nothing");
    world.clock.advance(1000);
    assert_eq!(session.sts(&world, "GetCallerIdentity", &[]).status, 200);
    let used = "<RoleLastUsed><LastUsedDate>2026-11-20T12:00:01Z</LastUsedDate><Region>us-east-1</Region></RoleLastUsed>";
    assert!(last().contains(used), "{}", last());
    assert!(!root.does(&world, "ListRoles", &[]).body.contains("RoleLastUsed"));
    block_on(writeback::write(&world.service)).unwrap();
    let mut world = world;
    world.restart();
    let last = || root.does(&world, "GetRole", &[("RoleName", "R")]).body;
    assert!(last().contains(used), "it was written down: {}", last());
    root.does(&world, "DeleteRole", &[("RoleName", "R")]);
    block_on(writeback::write(&world.service)).unwrap();
    assert!(
        !world.record_names().iter().any(|name| name.starts_with("last-used/AROA")),
        "nothing is left of it"
    );
    root.does(&world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    assert!(last().contains("<RoleLastUsed/>"), "another role: {}", last());
}

#[test]
fn there_are_no_instance_profiles_and_no_account_aliases() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let trust = document(&json!([trusting(&json!({"AWS": ALICE.account}))]));
    root.does(&world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    let profiles = root.does(&world, "ListInstanceProfilesForRole", &[("RoleName", "R")]);
    assert_eq!((profiles.elements("member").len(), profiles.element("IsTruncated")), (0, "false"));
    let aliases = root.does(&world, "ListAccountAliases", &[]);
    assert_eq!((aliases.elements("member").len(), aliases.element("IsTruncated")), (0, "false"));
    let ann = new_user(&world, ALICE, "Ann");
    for (action, members, code) in [
        ("ListInstanceProfilesForRole", &[("RoleName", "none")][..], "NoSuchEntity"),
        ("ListInstanceProfilesForRole", &[("RoleName", "R"), ("Marker", "x")], "ValidationError"),
        ("ListAccountAliases", &[("Marker", "x")], "ValidationError"),
    ] {
        assert_eq!(root.refused(&world, action, members), code, "{action} {members:?}");
        assert_eq!(ann.refused(&world, action, members), "AccessDenied");
    }
}
