//! Grants: how they are made, what they allow, who may give them up or take them away, and what the lists show.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::actor::{Actor, Reply, allow, credentials, give, new_user, trusts};
use crate::policies::{open_to, policy};
use crate::world::{ALICE, BOB, Key, NO_KEY, Root, Transcript, World};

/// The root user of an account, as grants name it.
pub(crate) const ALICES: &str = "arn:aws:iam::111122223333:root";

/// A grant, as its tests know it.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// ARN of a user of an account.
pub(crate) fn user(root: Root, name: &str) -> String {
    format!("arn:aws:iam::{}:user/{name}", root.account)
}

/// A request for a grant, with further members.
pub(crate) fn wanted(key: &Key, grantee: &str, operations: &[&str], more: Value) -> Value {
    let mut request = json!({"KeyId": key.arn, "GranteePrincipal": grantee, "Operations": operations});
    for (member, value) in more.as_object().unwrap() {
        request[member] = value.clone();
    }
    request
}

pub(crate) fn granted(body: &Value) -> Granted {
    let text = |member: &str| body[member].as_str().unwrap().to_owned();
    Granted { id: text("GrantId"), token: text("GrantToken") }
}

/// Makes a grant as the root user of the key's account.
pub(crate) fn grant(world: &World, key: &Key, grantee: &str, operations: &[&str], more: Value) -> Granted {
    granted(&world.succeed(ALICE, "CreateGrant", wanted(key, grantee, operations, more)))
}

/// Takes a grant away as the root user of the key's account.
pub(crate) fn revoke(world: &World, key: &Key, grant: &Granted) {
    world.succeed(ALICE, "RevokeGrant", json!({"KeyId": key.id, "GrantId": grant.id}));
}

/// The grants that a list shows to the root user of the key's account.
pub(crate) fn listed(world: &World, key: &Key, more: Value) -> Vec<Value> {
    let mut request = json!({"KeyId": key.id});
    for (member, value) in more.as_object().unwrap() {
        request[member] = value.clone();
    }
    world.succeed(ALICE, "ListGrants", request)["Grants"].as_array().unwrap().clone()
}

pub(crate) fn encrypt(key: &Key) -> Value {
    json!({"KeyId": key.arn, "Plaintext": "eA=="})
}

pub(crate) fn describe(key: &Key) -> Value {
    json!({"KeyId": key.arn})
}

/// The error of a call, if it is one.
pub(crate) fn error(world: &World, actor: &Actor, operation: &str, request: &Value) -> Option<String> {
    actor.kms(world, operation, request).code()
}

pub(crate) const DENIED: Option<&str> = Some("AccessDeniedException");

/// A key, and a user who may nothing but what a grant gives.
pub(crate) fn with_ann() -> (World, Key, Actor, String) {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    (world, key, ann, user(ALICE, "Ann"))
}

pub(crate) fn constraints(of: Value) -> Value {
    json!({"Constraints": of})
}

/// A role that a user of the account may assume, and a session of it.
pub(crate) fn session(world: &World, root: Root, role: &str, name: &str) -> Actor {
    let trust = trusts(&format!("arn:aws:iam::{}:root", root.account));
    let members = [("RoleName", role), ("AssumeRolePolicyDocument", &*trust)];
    if Actor::from(root).iam(world, "GetRole", &[("RoleName", role)]).status != 200 {
        Actor::from(root).does(world, "CreateRole", &members);
    }
    let user = format!("for-{role}-{name}");
    let actor = new_user(world, root, &user);
    give(world, root, &user, &allow(&["sts:AssumeRole"]));
    let arn = format!("arn:aws:iam::{}:role/{role}", root.account);
    let members = [("RoleArn", &*arn), ("RoleSessionName", name)];
    credentials(&actor.sts(world, "AssumeRole", &members))
}

#[test]
fn a_grant_is_made_shown_and_taken_away() {
    let world = World::new();
    let key = world.key(ALICE);
    new_user(&world, ALICE, "Ann");
    let ann = user(ALICE, "Ann");
    let mut calls = Transcript::of(&world);
    let more = json!({"RetiringPrincipal": ALICES, "Name": "for/Ann",
        "Constraints": {"EncryptionContextSubset": {"Department": "IT"}}});
    let made = calls.ask(ALICE, "CreateGrant", wanted(&key, &ann, &["Encrypt", "Decrypt", "Encrypt"], more));
    let id = serde_json::from_str::<Value>(&made.body).unwrap()["GrantId"].clone();
    assert_eq!(made.event["responseElements"], json!({"grantId": id, "keyId": key.arn}));
    assert_eq!(made.event["requestParameters"]["constraints"]["encryptionContextSubset"]["Department"], "IT");
    calls.ask(ALICE, "CreateGrant", wanted(&key, ALICES, &["DescribeKey"], json!({"DryRun": true})));
    calls.ask(ALICE, "ListGrants", json!({"KeyId": key.id}));
    calls.ask(ALICE, "ListGrants", json!({"KeyId": key.arn, "GrantId": id, "GranteePrincipal": ann}));
    calls.ask(ALICE, "ListGrants", json!({"KeyId": key.id, "GrantId": "0".repeat(64)}));
    calls.ask(ALICE, "ListGrants", json!({"KeyId": key.id, "GranteePrincipal": ALICES}));
    calls.ask(ALICE, "ListRetirableGrants", json!({"RetiringPrincipal": ALICES}));
    calls.ask(ALICE, "ListRetirableGrants", json!({"RetiringPrincipal": ann}));
    calls.note("What is refused.");
    for (operation, request) in [
        ("ListGrants", json!({"KeyId": key.id, "GrantId": "x"})),
        ("ListGrants", json!({"KeyId": key.id, "GranteePrincipal": "arn:aws:iam::111122223333:group/g"})),
        ("ListGrants", json!({"KeyId": key.id, "GranteeServicePrincipal": "ec2.amazonaws.com"})),
        (
            "ListGrants",
            json!({"KeyId": key.id, "GranteePrincipal": ann, "GranteeServicePrincipal": "ec2.amazonaws.com"}),
        ),
        ("ListGrants", json!({"KeyId": "alias/a"})),
        ("ListRetirableGrants", json!({})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": "x"})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": "arn:aws:iam::444455556666:root"})),
        ("ListRetirableGrants", json!({"RetiringServicePrincipal": "ec2.amazonaws.com"})),
        ("RevokeGrant", json!({"KeyId": key.id, "GrantId": "x"})),
        ("RevokeGrant", json!({"KeyId": key.id, "GrantId": "0".repeat(64)})),
        ("RevokeGrant", json!({"KeyId": NO_KEY, "GrantId": "0".repeat(64)})),
        ("RevokeGrant", json!({"KeyId": key.id, "GrantId": id, "DryRun": true})),
        ("RetireGrant", json!({})),
        ("RetireGrant", json!({"KeyId": key.id})),
        ("RetireGrant", json!({"GrantToken": "x", "KeyId": key.id, "GrantId": id})),
        ("RetireGrant", json!({"GrantToken": "x"})),
        ("RetireGrant", json!({"KeyId": key.id, "GrantId": "x"})),
        ("RetireGrant", json!({"KeyId": key.id, "GrantId": "0".repeat(64)})),
        ("RetireGrant", json!({"KeyId": key.id, "GrantId": id, "DryRun": true})),
    ] {
        calls.ask(ALICE, operation, request);
    }
    calls.note("And it is gone.");
    let retired = calls.ask(ALICE, "RetireGrant", json!({"KeyId": key.id, "GrantId": id}));
    assert_eq!(retired.event["requestParameters"], Value::Null);
    assert_eq!(retired.event["responseElements"], json!({"keyId": key.arn}));
    assert_eq!(retired.event["additionalEventData"], json!({"grantId": id}));
    calls.ask(ALICE, "ListGrants", json!({"KeyId": key.id}));
    calls.ask(ALICE, "ListRetirableGrants", json!({"RetiringPrincipal": ALICES}));
    calls.ask(ALICE, "RevokeGrant", json!({"KeyId": key.id, "GrantId": id}));
    calls.compare(&expect_file!["golden/grants.txt"]);
    assert!(
        !world.record_names().iter().any(|name| name.starts_with("grant") || name.starts_with("retirable"))
    );
}

/// What a request for a grant may say.
#[test]
fn requests_for_grants_have_rules() {
    let world = World::new();
    let key = world.key(ALICE);
    let mut calls = Transcript::of(&world);
    let service = "ec2.us-east-1.amazonaws.com";
    let source = json!({"SourceArn": "arn:aws:ec2:us-east-1:111122223333:volume/vol-1"});
    let base = json!({"KeyId": key.id, "Operations": ["Encrypt"]});
    for more in [
        json!({}),
        json!({"GranteePrincipal": ALICES, "GranteeServicePrincipal": service}),
        json!({"GranteePrincipal": ALICES, "RetiringPrincipal": ALICES, "RetiringServicePrincipal": service}),
        json!({"GranteeServicePrincipal": service, "RetiringPrincipal": ALICES}),
        json!({"GranteeServicePrincipal": service, "Constraints": source}),
        json!({"GranteePrincipal": ALICES, "Operations": []}),
        json!({"GranteePrincipal": ALICES, "Operations": ["CreateGrant"]}),
        json!({"GranteePrincipal": ALICES, "Operations": ["CreateGrant", "CreateGrant"]}),
        json!({"GranteePrincipal": ALICES, "Operations": ["Sign"]}),
        json!({"GranteePrincipal": ALICES, "Operations": ["DescribeKey", "GetPublicKey"]}),
        json!({"GranteePrincipal": ALICES, "Operations": ["ReEncrypt"]}),
        json!({"GranteePrincipal": ALICES, "Name": "a b"}),
        json!({"GranteePrincipal": ALICES, "KeyId": "alias/a"}),
        json!({"GranteePrincipal": ALICES, "KeyId": "arn:aws:kms:us-east-1:111122223333:alias/a"}),
        json!({"GranteePrincipal": ALICES,
            "Constraints": {"EncryptionContextEquals": {}, "EncryptionContextSubset": {}}}),
    ] {
        let mut request = base.clone();
        for (member, value) in more.as_object().unwrap() {
            request[member] = value.clone();
        }
        calls.ask(ALICE, "CreateGrant", request);
    }
    calls.note("To a service.");
    let to_service = json!({"GranteeServicePrincipal": service, "RetiringServicePrincipal": service, "Constraints": source});
    let mut request = base.clone();
    request.as_object_mut().unwrap().extend(to_service.as_object().unwrap().clone());
    calls.ask(ALICE, "CreateGrant", request);
    calls.ask(ALICE, "ListGrants", json!({"KeyId": key.id}));
    calls.compare(&expect_file!["golden/grants_refused.txt"]);
}

/// Every kind of principal, in the key's account and in another.
#[test]
fn a_grant_is_for_a_user_a_role_a_session_or_an_account() {
    let world = World::new();
    let key = world.key(ALICE);
    for root in [ALICE, BOB] {
        let ann = new_user(&world, root, "Ann");
        let (one, two) = (session(&world, root, "R", "one"), session(&world, root, "R", "two"));
        let (account, role) = (root.account, format!("arn:aws:iam::{}:role/R", root.account));
        let check = |grantee: &str, expected: [bool; 3]| {
            let made = grant(&world, &key, grantee, &["Encrypt"], json!({}));
            for (actor, expected) in [&ann, &one, &two].into_iter().zip(expected) {
                let code = error(&world, actor, "Encrypt", &encrypt(&key));
                assert_eq!(code.as_deref(), if expected { None } else { DENIED }, "{grantee}");
                assert_eq!(error(&world, actor, "DescribeKey", &describe(&key)).as_deref(), DENIED);
            }
            revoke(&world, &key, &made);
            assert_eq!(error(&world, &ann, "Encrypt", &encrypt(&key)).as_deref(), DENIED);
        };
        check(&user(root, "Ann"), [true, false, false]);
        check(&role, [false, true, true]);
        check(&format!("arn:aws:sts::{account}:assumed-role/R/one"), [false, true, false]);
        // An account passes on what it is granted by its identity policies.
        check(&format!("arn:aws:iam::{account}:root"), [false, false, false]);
        give(&world, root, "Ann", &allow(&["kms:Encrypt"]));
        if root == BOB {
            check(&format!("arn:aws:iam::{account}:root"), [true, false, false]);
            grant(&world, &key, &format!("arn:aws:iam::{account}:root"), &["Encrypt"], json!({}));
            world.succeed(BOB, "Encrypt", encrypt(&key));
            assert_eq!(world.refuse(BOB, "DescribeKey", describe(&key)), "AccessDeniedException");
        }
    }
}

/// What grants and policies say together where the key policy names nobody.
#[test]
fn a_grant_needs_no_policy() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Resource": "*",
        "NotAction": ["kms:Encrypt"]});
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy(statement)}));
    assert_eq!(world.refuse(ALICE, "Encrypt", encrypt(&key)), "AccessDeniedException");
    let made = grant(&world, &key, &user(ALICE, "Ann"), &["Encrypt", "Decrypt"], json!({}));
    let sealed = ann.kms(&world, "Encrypt", &encrypt(&key));
    assert_eq!(sealed.status, 200, "{}", sealed.body);
    assert_eq!(sealed.event["resources"][0]["ARN"], key.arn);
    let blob = serde_json::from_str::<Value>(&sealed.body).unwrap()["CiphertextBlob"].take();
    assert_eq!(error(&world, &ann, "Decrypt", &json!({"CiphertextBlob": blob})), None);
    // To the account: the root user needs nothing else.
    grant(&world, &key, ALICES, &["Encrypt"], json!({}));
    world.succeed(ALICE, "Encrypt", encrypt(&key));
    revoke(&world, &key, &made);
    assert_eq!(error(&world, &ann, "Encrypt", &encrypt(&key)).as_deref(), DENIED);
    give(&world, ALICE, "Ann", &allow(&["kms:Encrypt"]));
    assert_eq!(error(&world, &ann, "Encrypt", &encrypt(&key)), None, "the account has a grant");
    assert_eq!(error(&world, &ann, "Decrypt", &json!({"CiphertextBlob": blob})).as_deref(), DENIED);
}

/// ReEncrypt needs a grant on each of its keys, for its half.
#[test]
fn both_halves_of_reencrypt_are_granted() {
    let world = World::new();
    let (one, two) = (world.key(ALICE), world.key(ALICE));
    let ann = new_user(&world, ALICE, "Ann");
    let blob = world.encrypt(ALICE, &one, b"x", json!({"a": "1"}));
    let request = json!({"CiphertextBlob": blob, "SourceEncryptionContext": {"a": "1"},
        "DestinationKeyId": two.arn, "DestinationEncryptionContext": {"b": "2"}});
    let (from, to) = ("ReEncryptFrom", "ReEncryptTo");
    let context = |key: &str| json!({"Constraints": {"EncryptionContextEquals": {key: if key == "a" { "1" } else { "2" }}}});
    let ann_arn = user(ALICE, "Ann");
    for (on_one, on_two, expected) in [
        ((from, "a"), (to, "b"), true),
        ((to, "a"), (from, "b"), false),
        ((from, "b"), (to, "b"), false),
        ((from, "a"), (to, "a"), false),
    ] {
        let first = grant(&world, &one, &ann_arn, &[on_one.0], context(on_one.1));
        let second = grant(&world, &two, &ann_arn, &[on_two.0], context(on_two.1));
        let code = error(&world, &ann, "ReEncrypt", &request);
        assert_eq!(code.as_deref(), if expected { None } else { DENIED }, "{on_one:?} {on_two:?}");
        revoke(&world, &one, &first);
        assert_eq!(error(&world, &ann, "ReEncrypt", &request).as_deref(), DENIED);
        revoke(&world, &two, &second);
    }
}

/// Who may retire a grant, and who may not (section 6 of the rules).
#[test]
fn e03_only_those_who_may_retire_a_grant_do() {
    let world = World::new();
    let key = world.key(ALICE);
    let (ann, ben, eve) =
        (new_user(&world, ALICE, "Ann"), new_user(&world, ALICE, "Ben"), new_user(&world, BOB, "Eve"));
    let bobs = "arn:aws:iam::444455556666:root";
    let (to, dan) = (user(ALICE, "Ann"), new_user(&world, BOB, "Dan"));
    give(&world, BOB, "Dan", &allow(&["kms:RetireGrant"]));
    let alice = Actor::from(ALICE);
    let bob = Actor::from(BOB);
    let check = |operations: &[&str], retiring: Option<&str>, who: &Actor, expected: bool| {
        let more = retiring.map_or_else(|| json!({}), |retiring| json!({"RetiringPrincipal": retiring}));
        let made = grant(&world, &key, &to, operations, more);
        for request in
            [json!({"KeyId": key.arn, "GrantId": made.id, "DryRun": true}), json!({"GrantToken": made.token})]
        {
            let code = error(&world, who, "RetireGrant", &request);
            let dry = if request["DryRun"] == true { Some("DryRunOperationException") } else { None };
            assert_eq!(code.as_deref(), if expected { dry } else { DENIED }, "{operations:?} {retiring:?}");
        }
        let left = listed(&world, &key, json!({"GrantId": made.id})).len();
        assert_eq!(left, usize::from(!expected));
    };
    let (plain, retires) = (&["Encrypt"][..], &["Encrypt", "RetireGrant"][..]);
    // The grantee, where the grant says so.
    check(plain, None, &ann, false);
    check(retires, None, &ann, true);
    // The retiring principal, in any account.
    check(plain, Some(&user(ALICE, "Ben")), &ben, true);
    check(plain, Some(&user(BOB, "Eve")), &eve, true);
    check(retires, Some(&user(ALICE, "Ben")), &eve, false);
    check(plain, Some(&to), &ann, true);
    // An account that may, and delegates it.
    check(plain, Some(bobs), &bob, true);
    check(plain, Some(bobs), &eve, false);
    check(plain, Some(bobs), &dan, true);
    // The key's account, and nobody else for having the permission.
    check(plain, None, &alice, true);
    check(plain, None, &bob, false);
    check(plain, None, &dan, false);
    check(plain, None, &ben, false);
    give(&world, ALICE, "Ben", &allow(&["kms:RetireGrant"]));
    check(plain, None, &ben, true);
    // A Deny wins; an Allow of the key policy is nothing.
    let named =
        json!({"Effect": "Allow", "Principal": {"AWS": user(BOB, "Eve")}, "Action": "*", "Resource": "*"});
    let denied =
        json!({"Effect": "Deny", "Principal": {"AWS": to}, "Action": "kms:RetireGrant", "Resource": "*"});
    let both = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), named, denied]});
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": both.to_string()}));
    check(plain, None, &eve, false);
    check(retires, None, &ann, false);
    // The account that made the grant: another account's, by its user.
    let named = json!({"Effect": "Allow", "Principal": {"AWS": BOB.account}, "Action": "*", "Resource": "*"});
    let both = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), named]});
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": both.to_string()}));
    let made = granted(&world.succeed(BOB, "CreateGrant", wanted(&key, &to, plain, json!({}))));
    assert_eq!(listed(&world, &key, json!({"GrantId": made.id}))[0]["IssuingAccount"], bobs);
    assert_eq!(error(&world, &eve, "RetireGrant", &json!({"GrantToken": made.token})).as_deref(), DENIED);
    assert_eq!(error(&world, &dan, "RetireGrant", &json!({"GrantToken": made.token})), None);
}

/// Conditions of policies on what is granted, to whom, and how.
#[test]
fn conditions_look_at_the_grant() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let check = |operation: &str, condition: Value, request: &Value, expected: bool| {
        let statement = json!([{"Effect": "Allow", "Action": format!("kms:{operation}"), "Resource": "*",
            "Condition": condition}]);
        let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        give(&world, ALICE, "Ann", &document);
        let code = error(&world, &ann, operation, request);
        let denied = code.as_deref() == DENIED;
        assert_eq!(denied, !expected, "{document} {request} {code:?}");
    };
    let source = "arn:aws:ec2:us-east-1:111122223333:volume/vol-1";
    let more = json!({"RetiringPrincipal": ALICES, "DryRun": true,
        "Constraints": {"EncryptionContextSubset": {"Team": "red"}, "SourceArn": source}});
    let request = wanted(&key, ALICES, &["Encrypt", "DescribeKey"], more);
    let create = |condition: Value, expected: bool| check("CreateGrant", condition, &request, expected);
    create(json!({"StringEquals": {"kms:GranteePrincipal": ALICES}}), true);
    create(json!({"StringEquals": {"kms:GranteePrincipal": user(ALICE, "Ann")}}), false);
    create(json!({"StringEquals": {"kms:RetiringPrincipal": ALICES}}), true);
    create(
        json!({"Null": {"kms:GranteeServicePrincipal": "true", "kms:RetiringServicePrincipal": "true"}}),
        true,
    );
    create(json!({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset"}}), true);
    create(json!({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}}), false);
    create(json!({"ArnEquals": {"kms:GrantConstraintSourceArn": source}}), true);
    create(
        json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "DescribeKey", "Decrypt"]}}),
        true,
    );
    create(json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}}), false);
    create(json!({"StringEquals": {"kms:EncryptionContext:team": "red"}}), true);
    create(json!({"StringEquals": {"kms:EncryptionContext:team": "blue"}}), false);
    create(json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "Team"}}), true);
    create(json!({"StringEquals": {"kms:CallerAccount": ALICE.account}}), true);
    let service = json!({"KeyId": key.id, "Operations": ["Encrypt"], "DryRun": true, "RetiringPrincipal": ALICES,
        "GranteeServicePrincipal": "ec2.amazonaws.com", "Constraints": {"SourceArn": source}});
    let named = json!({"StringEquals": {"kms:GranteeServicePrincipal": "ec2.amazonaws.com"}});
    check("CreateGrant", named, &service, true);
    // Of a grant that is retired only its constraints.
    let more = json!({"Constraints": {"EncryptionContextEquals": {"Team": "red"}}});
    let made = grant(&world, &key, ALICES, &["Encrypt"], more);
    let retire = json!({"KeyId": key.id, "GrantId": made.id, "DryRun": true});
    let check = |condition: Value, expected: bool| check("RetireGrant", condition, &retire, expected);
    check(json!({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}}), true);
    check(json!({"StringEquals": {"kms:EncryptionContext:Team": "red"}}), true);
    check(json!({"StringEquals": {"kms:EncryptionContext:Team": "blue"}}), false);
    check(json!({"Null": {"kms:GrantOperations": "true", "kms:GranteePrincipal": "true"}}), true);
}

/// Attack E8: with a name, the same request makes one grant; another request makes another.
#[test]
fn e08_a_named_request_makes_one_grant() {
    let world = World::new();
    let key = world.key(ALICE);
    new_user(&world, ALICE, "Ann");
    let ann = user(ALICE, "Ann");
    let named = |more: Value| {
        let mut members =
            json!({"Name": "n", "Constraints": {"EncryptionContextEquals": {"a": "1", "b": "2"}}});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        grant(&world, &key, &ann, &["Encrypt", "Decrypt"], members)
    };
    let first = named(json!({}));
    let events = world.ledger.len();
    let second = named(json!({"Operations": ["Decrypt", "Encrypt", "Encrypt"],
        "Constraints": {"EncryptionContextEquals": {"b": "2", "a": "1"}}}));
    assert_eq!(first.id, second.id);
    assert_ne!(first.token, second.token, "a fresh token");
    assert_eq!(world.ledger.len(), events + 1);
    for other in [
        json!({"Name": "m"}),
        json!({"GranteePrincipal": ALICES}),
        json!({"RetiringPrincipal": ALICES}),
        json!({"Operations": ["Encrypt"]}),
        json!({"Constraints": {"EncryptionContextSubset": {"a": "1", "b": "2"}}}),
        json!({"Constraints": {"EncryptionContextEquals": {"a": "1", "b": "3"}}}),
        json!({"Constraints": {}}),
    ] {
        assert_ne!(named(other.clone()).id, first.id, "{other}");
    }
    assert_eq!(listed(&world, &key, json!({})).len(), 8);
    // Without a name each makes its own; and a name is free again when its grant is gone.
    let plain = || grant(&world, &key, &ann, &["Encrypt"], json!({})).id;
    assert_ne!(plain(), plain());
    revoke(&world, &key, &first);
    assert_ne!(named(json!({})).id, first.id);
}

/// What a grant of another account's key looks like to that account's users in the trail and in the answer.
#[test]
fn a_grant_crosses_accounts() {
    let world = World::new();
    let key = world.key(ALICE);
    let eve = new_user(&world, BOB, "Eve");
    assert_eq!(error(&world, &eve, "Encrypt", &encrypt(&key)).as_deref(), DENIED);
    let made = grant(&world, &key, &user(BOB, "Eve"), &["Encrypt", "CreateGrant"], json!({}));
    let used: Reply = eve.kms(&world, "Encrypt", &encrypt(&key));
    assert_eq!((used.status, &used.event["recipientAccountId"]), (200, &json!(BOB.account)));
    assert_eq!(used.event["resources"][0]["accountId"], ALICE.account);
    let dan = new_user(&world, BOB, "Dan");
    let child = eve.kms(&world, "CreateGrant", &wanted(&key, &user(BOB, "Dan"), &["Encrypt"], json!({})));
    assert_eq!(child.status, 200, "{}", child.body);
    assert_eq!(error(&world, &dan, "Encrypt", &encrypt(&key)), None);
    // A child outlives its parent, as with AWS.
    revoke(&world, &key, &made);
    assert_eq!(error(&world, &dan, "Encrypt", &encrypt(&key)), None);
    assert_eq!(error(&world, &eve, "Encrypt", &encrypt(&key)).as_deref(), DENIED);
}
