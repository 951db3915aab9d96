//! Users against KMS: what their policies let them do, on both sides of an account, and what dies with them.

use serde_json::{Value, json};

use crate::actor::{Actor, allow, credentials, give, new_user};
use crate::policies::{open_to, policy};
use crate::world::{ALICE, BOB, Key, World, block_on};

const DESCRIBE: &str = "DescribeKey";

fn on(key: &Key) -> Value {
    json!({"KeyId": key.arn})
}

/// A key policy that allows everything to one principal, beside the account.
fn with_principal(account: &str, principal: &str) -> String {
    let direct =
        json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [open_to(account), direct]}).to_string()
}

fn put_key_policy(world: &World, key: &Key, policy: &str) {
    let request = json!({"KeyId": key.id, "Policy": policy, "BypassPolicyLockoutSafetyCheck": true});
    world.succeed(ALICE, "PutKeyPolicy", request);
}

fn message(reply: &crate::actor::Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    body["Message"].as_str().unwrap().to_owned()
}

#[test]
fn a_user_may_do_what_its_policies_allow_and_no_more() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let denied = ann.kms(&world, DESCRIBE, &on(&key));
    assert_eq!(
        message(&denied),
        format!(
            "User: arn:aws:iam::111122223333:user/Ann is not authorized to perform: kms:DescribeKey on resource: {} \
             because no identity-based policy allows the kms:DescribeKey action",
            key.arn
        )
    );
    give(&world, ALICE, "Ann", &allow(&["kms:DescribeKey"]));
    let allowed = ann.kms(&world, DESCRIBE, &on(&key));
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.event["userIdentity"]["type"], "IAMUser");
    assert_eq!(allowed.event["userIdentity"]["userName"], "Ann");
    assert_eq!(ann.kms(&world, "DisableKey", &on(&key)).code().unwrap(), "AccessDeniedException");
    assert_eq!(ann.kms(&world, "ListKeys", &json!({})).code().unwrap(), "AccessDeniedException");
    let denial = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "kms:Describe*", "Resource": key.arn}]});
    give(&world, ALICE, "Ann", &denial.to_string());
    let denied = ann.kms(&world, DESCRIBE, &on(&key));
    assert!(message(&denied).ends_with("with an explicit deny in an identity-based policy"));
    assert_eq!(ann.kms(&world, "ListKeys", &json!({})).status, 200);
}

/// Attack B17: an identity policy is nothing where the key policy does not delegate.
#[test]
fn b17_an_identity_policy_needs_the_key_policy() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    give(&world, ALICE, "Ann", &allow(&["*"]));
    assert_eq!(ann.kms(&world, DESCRIBE, &on(&key)).status, 200);
    put_key_policy(&world, &key, &policy(open_to(BOB.account)));
    let denied = ann.kms(&world, DESCRIBE, &on(&key));
    assert!(message(&denied).ends_with("because no resource-based policy allows the kms:DescribeKey action"));
}

/// Another account's user needs both sides; the root user of the other account cannot be bypassed either.
#[test]
fn b17_across_accounts_both_sides_must_allow() {
    let world = World::new();
    let key = world.key(ALICE);
    let eve = new_user(&world, BOB, "Eve");
    let stranger = "on this resource because the resource does not exist in this Region";
    let check = |expected: u16| {
        let reply = eve.kms(&world, DESCRIBE, &on(&key));
        assert_eq!(reply.status, expected, "{}", reply.body);
        if expected != 200 {
            assert!(message(&reply).contains(stranger), "{}", reply.body);
        }
    };
    check(400);
    give(&world, BOB, "Eve", &allow(&["kms:*"]));
    check(400);
    put_key_policy(&world, &key, &with_principal(ALICE.account, "arn:aws:iam::444455556666:user/Eve"));
    check(200);
    Actor::from(BOB).does(&world, "DeleteUserPolicy", &[("UserName", "Eve"), ("PolicyName", "p")]);
    check(400);
}

/// Attack B9: an explicit Deny of any layer wins over what any other allows.
#[test]
fn b09_a_deny_in_any_layer_wins() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let root = Actor::from(ALICE);
    let deny = |effect: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": effect, "Action": "kms:DescribeKey", "Resource": "*"}]})
        .to_string()
    };
    put_key_policy(&world, &key, &with_principal(ALICE.account, "arn:aws:iam::111122223333:user/Ann"));
    give(&world, ALICE, "Ann", &deny("Allow"));
    assert_eq!(ann.kms(&world, DESCRIBE, &on(&key)).status, 200);
    // Identity policy.
    give(&world, ALICE, "Ann", &deny("Deny"));
    assert!(message(&ann.kms(&world, DESCRIBE, &on(&key))).contains("deny in an identity-based policy"));
    give(&world, ALICE, "Ann", &deny("Allow"));
    // Permissions boundary.
    let made = root.does(&world, "CreatePolicy", &[("PolicyName", "B"), ("PolicyDocument", &deny("Deny"))]);
    let bound = [("UserName", "Ann"), ("PermissionsBoundary", made.element("Arn"))];
    root.does(&world, "PutUserPermissionsBoundary", &bound);
    assert!(message(&ann.kms(&world, DESCRIBE, &on(&key))).contains("deny in a permissions boundary"));
    root.does(&world, "DeleteUserPermissionsBoundary", &[("UserName", "Ann")]);
    assert_eq!(ann.kms(&world, DESCRIBE, &on(&key)).status, 200);
    // Group policy.
    root.does(&world, "CreateGroup", &[("GroupName", "G")]);
    root.does(
        &world,
        "PutGroupPolicy",
        &[("GroupName", "G"), ("PolicyName", "p"), ("PolicyDocument", &deny("Deny"))],
    );
    root.does(&world, "AddUserToGroup", &[("GroupName", "G"), ("UserName", "Ann")]);
    assert!(message(&ann.kms(&world, DESCRIBE, &on(&key))).contains("deny in an identity-based policy"));
    root.does(&world, "RemoveUserFromGroup", &[("GroupName", "G"), ("UserName", "Ann")]);
    assert_eq!(ann.kms(&world, DESCRIBE, &on(&key)).status, 200);
}

/// Attack B15: who is made again under an old name is somebody else, for key policies, groups and credentials.
#[test]
fn b15_a_user_made_again_inherits_nothing() {
    let world = World::new();
    let key = world.key(ALICE);
    let root = Actor::from(ALICE);
    let first = new_user(&world, ALICE, "Bob");
    let arn = "arn:aws:iam::111122223333:user/Bob";
    put_key_policy(&world, &key, &with_principal(ALICE.account, arn));
    assert_eq!(first.kms(&world, DESCRIBE, &on(&key)).status, 200);
    let id = root.does(&world, "GetUser", &[("UserName", "Bob")]).element("UserId").to_owned();
    root.does(&world, "DeleteAccessKey", &[("UserName", "Bob"), ("AccessKeyId", &first.access_key_id)]);
    root.does(&world, "DeleteUser", &[("UserName", "bob")]);
    let second = new_user(&world, ALICE, "Bob");
    assert_ne!(root.does(&world, "GetUser", &[("UserName", "Bob")]).element("UserId"), id);
    assert_eq!(second.kms(&world, DESCRIBE, &on(&key)).code().unwrap(), "AccessDeniedException");
    assert_eq!(first.kms(&world, DESCRIBE, &on(&key)).code().unwrap(), "UnrecognizedClientException");
    // The policy names the one who is there once it is put again.
    put_key_policy(&world, &key, &with_principal(ALICE.account, arn));
    assert_eq!(second.kms(&world, DESCRIBE, &on(&key)).status, 200);
    // A rename is no new user.
    root.does(&world, "UpdateUser", &[("UserName", "Bob"), ("NewUserName", "Robert"), ("NewPath", "/x/")]);
    assert_eq!(second.kms(&world, DESCRIBE, &on(&key)).status, 200);
}

/// Key policies name only who exists.
#[test]
fn key_policies_name_only_principals_that_exist() {
    let world = World::new();
    let key = world.key(ALICE);
    new_user(&world, ALICE, "Ann");
    let try_put = |principal: &str| {
        let policy = with_principal(ALICE.account, principal);
        world
            .send(&crate::world::Ask::new(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy})))
            .code
    };
    for unknown in [
        "arn:aws:iam::111122223333:user/Nobody",
        "arn:aws:iam::111122223333:user/path/Ann",
        "arn:aws:iam::111122223333:role/Ann",
        "arn:aws:sts::111122223333:assumed-role/Ann/s",
        "AIDAAAAAAAAAAAAAAAAAA",
    ] {
        assert_eq!(try_put(unknown), Some("MalformedPolicyDocumentException"), "{unknown}");
    }
    assert_eq!(try_put("arn:aws:iam::111122223333:user/Ann"), None);
    let id = Actor::from(ALICE).does(&world, "GetUser", &[("UserName", "Ann")]).element("UserId").to_owned();
    assert_eq!(try_put(&id), None);
}

/// Attack A19: an access key that was deleted or switched off signs nothing, on any host, from then on.
#[test]
fn a19_a_key_that_is_gone_is_gone_on_every_host() {
    let world = World::new();
    let other = world.another_host();
    let ann = new_user(&world, ALICE, "Ann");
    give(&world, ALICE, "Ann", &allow(&["kms:*"]));
    let root = Actor::from(ALICE);
    let list = ann.json(&world, "ListKeys", &json!({}));
    let on_the_other = || block_on(other.handle(&list, world.now())).code;
    assert_eq!(on_the_other(), None);
    let switch = |status: &str| {
        let members = [("UserName", "Ann"), ("AccessKeyId", &*ann.access_key_id), ("Status", status)];
        root.does(&world, "UpdateAccessKey", &members);
    };
    switch("Inactive");
    assert_eq!(on_the_other(), Some("UnrecognizedClientException"));
    assert_eq!(ann.kms(&world, "ListKeys", &json!({})).code().unwrap(), "UnrecognizedClientException");
    switch("Active");
    assert_eq!(on_the_other(), None);
    root.does(&world, "DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &ann.access_key_id)]);
    assert_eq!(on_the_other(), Some("UnrecognizedClientException"));
}

/// Attack B26: a policy that was taken away serves no later call, on any host.
#[test]
fn b26_a_policy_taken_away_serves_no_later_call() {
    let world = World::new();
    let other = world.another_host();
    let ann = new_user(&world, ALICE, "Ann");
    let root = Actor::from(ALICE);
    let list = ann.json(&world, "ListKeys", &json!({}));
    let on_the_other = || block_on(other.handle(&list, world.now())).code;
    let document = allow(&["kms:ListKeys"]);
    let made = root.does(&world, "CreatePolicy", &[("PolicyName", "P"), ("PolicyDocument", &document)]);
    let arn = made.element("Arn").to_owned();
    assert_eq!(on_the_other(), Some("AccessDeniedException"));
    root.does(&world, "AttachUserPolicy", &[("UserName", "Ann"), ("PolicyArn", &arn)]);
    assert_eq!(on_the_other(), None);
    let empty = allow(&["s3:GetObject"]);
    let version = [("PolicyArn", &*arn), ("PolicyDocument", &empty), ("SetAsDefault", "true")];
    root.does(&world, "CreatePolicyVersion", &version);
    assert_eq!(on_the_other(), Some("AccessDeniedException"));
    root.does(&world, "SetDefaultPolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v1")]);
    assert_eq!(on_the_other(), None);
    root.does(&world, "DetachUserPolicy", &[("UserName", "Ann"), ("PolicyArn", &arn)]);
    assert_eq!(on_the_other(), Some("AccessDeniedException"));
}

/// Attack B8: a user's name in a policy variable is text, whatever characters it has; tags of one's own do not become
/// those of others. Attack B22: keys that differ in case only are one.
#[test]
fn b08_names_and_tags_in_conditions_are_text() {
    let world = World::new();
    let key = world.key(ALICE);
    let root = Actor::from(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let condition = |condition: Value| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition}]})
        .to_string()
    };
    let check = |what: Value, expected: u16| {
        give(&world, ALICE, "Ann", &condition(what.clone()));
        assert_eq!(ann.kms(&world, DESCRIBE, &on(&key)).status, expected, "{what}");
    };
    check(json!({"StringEquals": {"aws:username": "Ann"}}), 200);
    check(json!({"StringEquals": {"aws:username": "ann"}}), 400);
    check(json!({"StringEquals": {"aws:PrincipalType": "User"}}), 200);
    check(json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/Ann"}}), 200);
    check(json!({"StringLike": {"aws:userid": "AIDA*"}}), 200);
    check(json!({"Null": {"aws:MultiFactorAuthPresent": "true", "aws:TokenIssueTime": "true"}}), 200);
    check(json!({"StringEquals": {"aws:PrincipalTag/Team": "red"}}), 400);
    let tag = |key: &str, value: &str| {
        let members = [("UserName", "Ann"), ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)];
        root.does(&world, "TagUser", &members);
    };
    tag("Team", "red");
    check(json!({"StringEquals": {"aws:PrincipalTag/Team": "red"}}), 200);
    tag("team", "blue");
    check(json!({"StringEquals": {"aws:PrincipalTag/Team": "red"}}), 400);
    check(json!({"StringEquals": {"aws:PrincipalTag/Team": "blue"}}), 200);
    // Attack B14: a user that may not tag cannot give itself the tag.
    let own = [("UserName", "Ann"), ("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "red")];
    assert_eq!(ann.refused(&world, "TagUser", &own), "AccessDenied");
}

/// Attack B18: what only the service may say cannot be said by a header.
#[test]
fn b18_conditions_take_nothing_from_headers_of_the_caller() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let conditions = json!({"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}});
    let statement = json!([{"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": conditions}]);
    let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    give(&world, ALICE, "Ann", &document);
    assert_eq!(ann.kms(&world, DESCRIBE, &on(&key)).code().unwrap(), "AccessDeniedException");
}

/// A user with two keys: each works for itself; the secret is shown once and is nowhere in the store or the trail.
#[test]
fn secrets_are_shown_once() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let second = root.does(&world, "CreateAccessKey", &[("UserName", "Ann")]);
    assert_eq!(second.event["responseElements"]["accessKey"]["userName"], "Ann");
    let more = credentials(&second);
    assert_eq!(root.refused(&world, "CreateAccessKey", &[("UserName", "Ann")]), "LimitExceeded");
    let listed = root.does(&world, "ListAccessKeys", &[("UserName", "Ann")]);
    for actor in [&ann, &more] {
        assert_eq!(actor.sts(&world, "GetCallerIdentity", &[]).status, 200);
        assert!(listed.elements("AccessKeyId").contains(&&*actor.access_key_id));
        let secret = actor.secret.as_bytes();
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!holds(listed.body.as_bytes()));
        assert!(!world.content().iter().any(|record| holds(&record.value)));
        assert!(!world.ledger.records(0).iter().any(|event| holds(event)));
    }
}
