//! Sessions of roles and users: how they are gained, what caps them, and what ends them.

use serde_json::{Value, json};

use crate::actor::{Actor, Reply, allow, credentials, give, new_user, trusts};
use crate::policies::open_to;
use crate::world::{ALICE, BOB, Key, Root, World};

const ANN: &str = "arn:aws:iam::111122223333:user/Ann";
const ROLE: &str = "arn:aws:iam::111122223333:role/R";

/// A user, a role that trusts it and may do all of KMS, and a key.
fn with_role() -> (World, Actor, Key) {
    let world = World::new();
    let ann = new_user(&world, ALICE, "Ann");
    make_role(&world, ALICE, "R", &trusts(ANN), &allow(&["kms:*"]));
    let key = world.key(ALICE);
    (world, ann, key)
}

fn make_role(world: &World, root: Root, name: &str, trust: &str, policy: &str) {
    let root = Actor::from(root);
    root.does(world, "CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", trust)]);
    root.does(world, "PutRolePolicy", &[("RoleName", name), ("PolicyName", "p"), ("PolicyDocument", policy)]);
}

fn delete_role(world: &World, root: Root, name: &str) {
    let root = Actor::from(root);
    root.does(world, "DeleteRolePolicy", &[("RoleName", name), ("PolicyName", "p")]);
    root.does(world, "DeleteRole", &[("RoleName", name)]);
}

fn assume(world: &World, actor: &Actor, role: &str, more: &[(&str, &str)]) -> Reply {
    let members = [&[("RoleArn", role), ("RoleSessionName", "s1")], more].concat();
    actor.sts(world, "AssumeRole", &members)
}

fn describe(world: &World, actor: &Actor, key: &Key) -> u16 {
    actor.kms(world, "DescribeKey", &json!({"KeyId": key.arn})).status
}

#[test]
fn a_session_of_a_role_may_do_what_the_role_may() {
    let (world, ann, key) = with_role();
    assert_eq!(describe(&world, &ann, &key), 400);
    let reply = assume(&world, &ann, ROLE, &[]);
    assert_eq!(reply.element("Arn"), "arn:aws:sts::111122223333:assumed-role/R/s1");
    assert!(reply.event["responseElements"]["credentials"]["sessionToken"].is_null());
    let session = credentials(&reply);
    assert!(session.access_key_id.starts_with("ASIA"));
    let used = session.kms(&world, "DescribeKey", &json!({"KeyId": key.arn}));
    assert_eq!(used.status, 200, "{}", used.body);
    let who = &used.event["userIdentity"];
    assert_eq!(who["type"], "AssumedRole");
    assert_eq!(who["arn"], "arn:aws:sts::111122223333:assumed-role/R/s1");
    assert_eq!(who["sessionContext"]["sessionIssuer"]["arn"], ROLE);
    assert_eq!(who["sessionContext"]["attributes"]["mfaAuthenticated"], "false");
    let who = session.sts(&world, "GetCallerIdentity", &[]);
    assert_eq!(who.element("Arn"), "arn:aws:sts::111122223333:assumed-role/R/s1");
    assert!(who.element("UserId").starts_with("AROA") && who.element("UserId").ends_with(":s1"));
    // The trail knows neither secret nor token.
    for secret in [&session.secret, session.token.as_ref().unwrap()] {
        let holds = |bytes: &Vec<u8>| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!world.ledger.records(0).iter().any(holds));
        assert!(!world.content().iter().any(|record| holds(&record.value)));
    }
}

/// Attack A18: a session ends when its time is over, and with its role; one made again is another role.
#[test]
fn a18_a_session_ends_with_its_time_and_with_its_role() {
    let (world, ann, key) = with_role();
    let session = credentials(&assume(&world, &ann, ROLE, &[("DurationSeconds", "900")]));
    world.clock.advance(899_999);
    assert_eq!(describe(&world, &session, &key), 200);
    world.clock.advance(1);
    let expired = session.kms(&world, "DescribeKey", &json!({"KeyId": key.arn}));
    assert_eq!(expired.code().unwrap(), "ExpiredTokenException");
    assert_eq!(session.sts(&world, "GetCallerIdentity", &[]).code().unwrap(), "ExpiredToken");

    let session = credentials(&assume(&world, &ann, ROLE, &[]));
    assert_eq!(describe(&world, &session, &key), 200);
    delete_role(&world, ALICE, "R");
    let refused =
        |actor: &Actor| actor.kms(&world, "DescribeKey", &json!({"KeyId": key.arn})).code().unwrap();
    assert_eq!(refused(&session), "UnrecognizedClientException");
    make_role(&world, ALICE, "R", &trusts(ANN), &allow(&["kms:*"]));
    assert_eq!(refused(&session), "UnrecognizedClientException");
    assert_eq!(describe(&world, &credentials(&assume(&world, &ann, ROLE, &[])), &key), 200);
}

/// Attacks A5 and A18: a token serves only for the access key that it came with, and only whole.
#[test]
fn a05_a_token_serves_only_its_own_key() {
    let (world, ann, key) = with_role();
    let one = credentials(&assume(&world, &ann, ROLE, &[]));
    let other = credentials(&assume(&world, &ann, ROLE, &[]));
    let check = |actor: Actor| {
        let reply = actor.kms(&world, "DescribeKey", &json!({"KeyId": key.arn}));
        assert_eq!(reply.code().unwrap(), "UnrecognizedClientException");
        assert!(reply.event.is_null());
    };
    check(Actor { token: other.token.clone(), ..one.clone() });
    check(Actor { token: None, ..one.clone() });
    check(Actor { token: one.token.clone(), ..ann.clone() });
    check(Actor { token: one.token.clone(), ..Actor::from(ALICE) });
    check(Actor { token: Some(format!("{}A", one.token.as_ref().unwrap())), ..one.clone() });
    check(Actor { access_key_id: other.access_key_id.clone(), ..one.clone() });
    // A session of another installation.
    let (elsewhere, stranger, _) = with_role();
    check(credentials(&assume(&elsewhere, &stranger, ROLE, &[])));
    let wrong = Actor { secret: other.secret.clone(), ..one.clone() };
    let mismatch = wrong.kms(&world, "DescribeKey", &json!({"KeyId": key.arn}));
    assert_eq!(mismatch.code().unwrap(), "InvalidSignatureException");
    assert_eq!(describe(&world, &one, &key), 200);
}

/// Only whom the trust policy names may assume a role, and a role that is not there is refused in the same words.
#[test]
fn only_trusted_principals_assume_a_role() {
    let (world, ann, _) = with_role();
    let cat = new_user(&world, ALICE, "Cat");
    give(&world, ALICE, "Cat", &allow(&["sts:*"]));
    let denied = |actor: &Actor, role: &str| {
        let reply = assume(&world, actor, role, &[]);
        assert_eq!(reply.code().unwrap(), "AccessDenied");
        reply.element("Message").to_owned()
    };
    let text = |role: &str| {
        format!(
            "User: arn:aws:iam::111122223333:user/Cat is not authorized to perform: sts:AssumeRole on resource: {role}"
        )
    };
    assert_eq!(denied(&cat, ROLE), text(ROLE));
    let missing = "arn:aws:iam::111122223333:role/None";
    assert_eq!(denied(&cat, missing), text(missing));
    assert_eq!(
        denied(&cat, "arn:aws:iam::111122223333:role/x/R"),
        text("arn:aws:iam::111122223333:role/x/R")
    );
    assert_eq!(denied(&Actor::from(ALICE), ROLE), "Roles may not be assumed by root accounts.");
    assert_eq!(
        assume(&world, &ann, "arn:aws:s3:::bucket-of-someone", &[]).code().unwrap(),
        "ValidationError"
    );
    // Trusting the account leaves it to the caller's policies.
    let root = Actor::from(ALICE);
    let trust = trusts("arn:aws:iam::111122223333:root");
    root.does(&world, "UpdateAssumeRolePolicy", &[("RoleName", "R"), ("PolicyDocument", &trust)]);
    assert_eq!(assume(&world, &cat, ROLE, &[]).status, 200);
    assert_eq!(assume(&world, &ann, ROLE, &[]).code().unwrap(), "AccessDenied");
}

/// A role of another account needs both sides, too.
#[test]
fn across_accounts_trust_and_permission_are_needed() {
    let world = World::new();
    let eve = new_user(&world, BOB, "Eve");
    make_role(&world, ALICE, "R", &trusts("arn:aws:iam::444455556666:user/Eve"), &allow(&["kms:*"]));
    let key = world.key(ALICE);
    assert_eq!(assume(&world, &eve, ROLE, &[]).code().unwrap(), "AccessDenied");
    give(&world, BOB, "Eve", &allow(&["sts:AssumeRole"]));
    let session = credentials(&assume(&world, &eve, ROLE, &[]));
    let used = session.kms(&world, "DescribeKey", &json!({"KeyId": key.id}));
    assert_eq!((used.status, &used.event["recipientAccountId"]), (200, &json!(ALICE.account)));
    // Who is made again under the name that the trust policy says is not trusted.
    let root = Actor::from(BOB);
    root.does(&world, "DeleteUserPolicy", &[("UserName", "Eve"), ("PolicyName", "p")]);
    root.does(&world, "DeleteAccessKey", &[("UserName", "Eve"), ("AccessKeyId", &eve.access_key_id)]);
    root.does(&world, "DeleteUser", &[("UserName", "Eve")]);
    let again = new_user(&world, BOB, "Eve");
    give(&world, BOB, "Eve", &allow(&["sts:AssumeRole"]));
    assert_eq!(assume(&world, &again, ROLE, &[]).code().unwrap(), "AccessDenied");
}

/// The external id of a trust policy must be given (the confused deputy of the IAM User Guide).
#[test]
fn an_external_id_must_be_the_one_agreed_on() {
    let (world, ann, _) = with_role();
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ANN},
        "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "agreed:on/it"}}}]});
    let members = [("RoleName", "R"), ("PolicyDocument", &*trust.to_string())];
    Actor::from(ALICE).does(&world, "UpdateAssumeRolePolicy", &members);
    for (given, expected) in [(None, 403), (Some("agreed:on"), 403), (Some("agreed:on/it"), 200)] {
        let more: Vec<_> = given.iter().map(|id| ("ExternalId", *id)).collect();
        assert_eq!(assume(&world, &ann, ROLE, &more).status, expected, "{given:?}");
    }
}

/// A session policy caps; it never adds. Attack B10: a session cannot widen itself.
#[test]
fn b10_session_policies_cap_and_do_not_add() {
    let (world, ann, key) = with_role();
    let only = |actions: &[&str]| {
        let policy = allow(actions);
        credentials(&assume(&world, &ann, ROLE, &[("Policy", &policy)]))
    };
    let session = only(&["kms:DescribeKey", "iam:*", "sts:*"]);
    assert_eq!(describe(&world, &session, &key), 200);
    let denied = session.kms(&world, "ListKeys", &json!({}));
    assert!(
        denied.body.contains("because no session policy allows the kms:ListKeys action"),
        "{}",
        denied.body
    );
    // What the role may not do the session policy does not give.
    assert_eq!(session.refused(&world, "CreateUser", &[("UserName", "Dan")]), "AccessDenied");
    assert_eq!(session.refused(&world, "CreateAccessKey", &[("UserName", "Ann")]), "AccessDenied");
    let widen = [("RoleName", "R"), ("PolicyName", "q"), ("PolicyDocument", &*allow(&["*"]))];
    assert_eq!(session.refused(&world, "PutRolePolicy", &widen), "AccessDenied");
    assert_eq!(assume(&world, &session, ROLE, &[]).code().unwrap(), "AccessDenied");
    assert_eq!(session.sts(&world, "GetSessionToken", &[]).code().unwrap(), "AccessDenied");
    // A managed session policy, which may change while the session lives.
    let root = Actor::from(ALICE);
    let list = allow(&["kms:ListKeys"]);
    let made = root.does(&world, "CreatePolicy", &[("PolicyName", "Cap"), ("PolicyDocument", &list)]);
    let arn = made.element("Arn").to_owned();
    let reply = assume(&world, &ann, ROLE, &[("PolicyArns.member.1.arn", &arn)]);
    assert_eq!(reply.element("PackedPolicySize"), "1");
    let capped = credentials(&reply);
    assert_eq!(capped.kms(&world, "ListKeys", &json!({})).status, 200);
    assert_eq!(describe(&world, &capped, &key), 400);
    root.does(&world, "DeletePolicy", &[("PolicyArn", &arn)]);
    assert_eq!(capped.kms(&world, "ListKeys", &json!({})).status, 400);
    let malformed = assume(&world, &ann, ROLE, &[("Policy", "{}")]);
    assert_eq!(malformed.code().unwrap(), "MalformedPolicyDocument");
    let unknown = assume(&world, &ann, ROLE, &[("PolicyArns.member.1.arn", &arn)]);
    assert_eq!(unknown.code().unwrap(), "MalformedPolicyDocument");
}

/// Which principals of a key policy a session's caps and the role's own permissions limit ("Policy evaluation logic").
#[test]
fn a_key_policy_that_names_a_session_is_capped_by_nothing() {
    let world = World::new();
    let ann = new_user(&world, ALICE, "Ann");
    make_role(&world, ALICE, "R", &trusts(ANN), &allow(&["s3:GetObject"]));
    let session = credentials(&assume(&world, &ann, ROLE, &[("Policy", &allow(&["s3:GetObject"]))]));
    let free = credentials(&assume(&world, &ann, ROLE, &[]));
    let key = world.key(ALICE);
    for (principal, capped, uncapped) in [
        ("arn:aws:iam::111122223333:root", 400, 400),
        (ROLE, 400, 200),
        ("arn:aws:sts::111122223333:assumed-role/R/s1", 200, 200),
        ("arn:aws:sts::111122223333:assumed-role/R/s2", 400, 400),
    ] {
        let direct =
            json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"});
        let policy =
            json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), direct]}).to_string();
        world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy}));
        assert_eq!(describe(&world, &session, &key), capped, "{principal}");
        assert_eq!(describe(&world, &free, &key), uncapped, "{principal}");
    }
    // Attack B15: the session of a role made again under the name is not the one that was meant.
    let named = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/R/s1"},
        "Action": "kms:*", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), named]}).to_string();
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy}));
    delete_role(&world, ALICE, "R");
    make_role(&world, ALICE, "R", &trusts(ANN), &allow(&["s3:GetObject"]));
    let again = credentials(&assume(&world, &ann, ROLE, &[]));
    assert_eq!(describe(&world, &again, &key), 400);
}

/// Tags and source identity of a session are what conditions see; transitive ones go on and cannot be changed.
#[test]
fn tags_and_source_identity_follow_a_session() {
    let (world, ann, key) = with_role();
    let of_r = trusts(ROLE);
    let red = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*",
         "Condition": {"StringEquals": {"aws:PrincipalTag/team": "red", "aws:SourceIdentity": "ann@example"}}}]});
    make_role(&world, ALICE, "S", &of_r, &red.to_string());
    let role_s = "arn:aws:iam::111122223333:role/S";
    let tagged = [
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "red"),
        ("TransitiveTagKeys.member.1", "Team"),
        ("SourceIdentity", "ann@example"),
    ];
    let reply = assume(&world, &ann, ROLE, &tagged);
    assert_eq!(reply.element("SourceIdentity"), "ann@example");
    let first = credentials(&reply);
    let second = credentials(&assume(&world, &first, role_s, &[]));
    assert_eq!(describe(&world, &second, &key), 200);
    let used = second.kms(&world, "DescribeKey", &json!({"KeyId": key.arn}));
    assert_eq!(used.event["userIdentity"]["sessionContext"]["sourceIdentity"], "ann@example");
    let untagged = credentials(&assume(&world, &ann, ROLE, &[]));
    assert_eq!(describe(&world, &credentials(&assume(&world, &untagged, role_s, &[])), &key), 400);
    let code =
        |actor: &Actor, role: &str, more: &[(&str, &str)]| assume(&world, actor, role, more).code().unwrap();
    let team = [("Tags.member.1.Key", "TEAM"), ("Tags.member.1.Value", "blue")];
    assert_eq!(code(&first, role_s, &team), "InvalidParameterValue");
    assert_eq!(code(&first, role_s, &[("SourceIdentity", "somebody-else")]), "AccessDenied");
    assert_eq!(code(&ann, ROLE, &[("TransitiveTagKeys.member.1", "Team")]), "InvalidParameterValue");
    let twice = [&team[..], &[("Tags.member.2.Key", "team"), ("Tags.member.2.Value", "red")]].concat();
    assert_eq!(code(&ann, ROLE, &twice), "InvalidParameterValue");
    // Tags need sts:TagSession, from the trust policy too.
    let plain = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ANN}, "Action": "sts:AssumeRole"}]});
    let members = [("RoleName", "R"), ("PolicyDocument", &*plain.to_string())];
    Actor::from(ALICE).does(&world, "UpdateAssumeRolePolicy", &members);
    let denied = assume(&world, &ann, ROLE, &team);
    assert!(denied.element("Message").contains("sts:TagSession"), "{}", denied.body);
    let denied = assume(&world, &ann, ROLE, &[("SourceIdentity", "ann")]);
    assert!(denied.element("Message").contains("sts:SetSourceIdentity"), "{}", denied.body);
}

#[test]
fn sessions_are_as_long_as_they_may_be() {
    let (world, ann, _) = with_role();
    let message = |actor: &Actor, role: &str, seconds: &str| {
        assume(&world, actor, role, &[("DurationSeconds", seconds)]).element("Message").to_owned()
    };
    let too_long = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    assert_eq!(message(&ann, ROLE, "3601"), too_long);
    assert!(message(&ann, ROLE, "899").contains("Member must have value greater than or equal to 900"));
    let root = Actor::from(ALICE);
    root.does(&world, "UpdateRole", &[("RoleName", "R"), ("MaxSessionDuration", "43200")]);
    assert_eq!(assume(&world, &ann, ROLE, &[("DurationSeconds", "43200")]).status, 200);
    make_role(&world, ALICE, "S", &trusts(ROLE), &allow(&["kms:*"]));
    root.does(&world, "UpdateRole", &[("RoleName", "S"), ("MaxSessionDuration", "43200")]);
    let session = credentials(&assume(&world, &ann, ROLE, &[]));
    let chained =
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.";
    assert_eq!(message(&session, "arn:aws:iam::111122223333:role/S", "3601"), chained);
}

/// Revocation by time (the `AWSRevokeOlderSessions` pattern of the IAM User Guide).
#[test]
fn sessions_older_than_a_moment_can_be_denied() {
    let (world, ann, key) = with_role();
    let old = credentials(&assume(&world, &ann, ROLE, &[]));
    world.clock.advance(2_000);
    let deny = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": world.now().iso()}}}]});
    let members =
        [("RoleName", "R"), ("PolicyName", "AWSRevokeOlderSessions"), ("PolicyDocument", &*deny.to_string())];
    Actor::from(ALICE).does(&world, "PutRolePolicy", &members);
    assert_eq!(describe(&world, &old, &key), 400);
    assert_eq!(describe(&world, &credentials(&assume(&world, &ann, ROLE, &[])), &key), 200);
}

/// Sessions of users and of the root user die with the access key that asked for them, and reach neither IAM nor more
/// of STS.
#[test]
fn a_session_token_dies_with_the_key_that_asked_for_it() {
    let (world, ann, key) = with_role();
    give(&world, ALICE, "Ann", &allow(&["kms:*", "iam:*", "sts:*"]));
    let root = Actor::from(ALICE);
    let session = credentials(&ann.sts(&world, "GetSessionToken", &[("DurationSeconds", "129600")]));
    let who = session.sts(&world, "GetCallerIdentity", &[]);
    assert_eq!(who.element("Arn"), ANN);
    assert_eq!(describe(&world, &session, &key), 200);
    let condition: Value = json!({"Bool": {"aws:MultiFactorAuthPresent": "false"}});
    let only_sessions = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition}]});
    give(&world, ALICE, "Ann", &only_sessions.to_string());
    assert_eq!((describe(&world, &session, &key), describe(&world, &ann, &key)), (200, 400));
    give(&world, ALICE, "Ann", &allow(&["kms:*", "iam:*", "sts:*"]));
    assert_eq!(session.refused(&world, "ListUsers", &[]), "InvalidClientTokenId");
    assert_eq!(session.sts(&world, "GetSessionToken", &[]).code().unwrap(), "InvalidClientTokenId");
    assert_eq!(assume(&world, &session, ROLE, &[]).status, 200);
    let switch = |status: &str| {
        let members = [("UserName", "Ann"), ("AccessKeyId", &*ann.access_key_id), ("Status", status)];
        root.does(&world, "UpdateAccessKey", &members);
    };
    switch("Inactive");
    let gone = || session.kms(&world, "DescribeKey", &json!({"KeyId": key.arn})).code().unwrap();
    assert_eq!(gone(), "UnrecognizedClientException");
    switch("Active");
    assert_eq!(describe(&world, &session, &key), 200);
    root.does(&world, "DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &ann.access_key_id)]);
    assert_eq!(gone(), "UnrecognizedClientException");
    let of_root = credentials(&root.sts(&world, "GetSessionToken", &[]));
    assert_eq!(describe(&world, &of_root, &key), 200);
    assert_eq!(of_root.refused(&world, "ListUsers", &[]), "InvalidClientTokenId");
}

/// What this version does not have is refused, not taken for granted.
#[test]
fn devices_and_other_providers_are_refused() {
    let (world, ann, _) = with_role();
    let mfa = [("SerialNumber", "arn:aws:iam::111122223333:mfa/Ann"), ("TokenCode", "123456")];
    assert_eq!(assume(&world, &ann, ROLE, &mfa).code().unwrap(), "AccessDenied");
    assert_eq!(ann.sts(&world, "GetSessionToken", &mfa).code().unwrap(), "AccessDenied");
    let context = [("ProvidedContexts.member.1.ProviderArn", "arn:aws:iam::aws:contextProvider/X")];
    assert_eq!(assume(&world, &ann, ROLE, &context).code().unwrap(), "UnsupportedOperationException");
}

/// Someone whom a user vouches for may do what both the user and the request allow, and dies with the user's key.
#[test]
fn a_federated_user_is_capped_and_dies_with_its_key() {
    let (world, ann, key) = with_role();
    let only = allow(&["kms:DescribeKey", "iam:*"]);
    let ask =
        |more: &[(&str, &str)]| ann.sts(&world, "GetFederationToken", &[&[("Name", "carl")], more].concat());
    assert_eq!(ask(&[]).code().unwrap(), "AccessDenied");
    give(&world, ALICE, "Ann", &allow(&["sts:*", "kms:*", "iam:*"]));
    let reply = ask(&[("Policy", &only)]);
    assert_eq!(reply.element("Arn"), "arn:aws:sts::111122223333:federated-user/carl");
    assert_eq!(reply.element("FederatedUserId"), "111122223333:carl");
    let carl = credentials(&reply);
    let used = carl.kms(&world, "DescribeKey", &json!({"KeyId": key.arn}));
    assert_eq!(used.status, 200, "{}", used.body);
    let who = &used.event["userIdentity"];
    assert_eq!((&who["type"], &who["principalId"]), (&json!("FederatedUser"), &json!("111122223333:carl")));
    assert_eq!(who["sessionContext"]["sessionIssuer"]["arn"], ANN);
    assert_eq!(carl.kms(&world, "ListKeys", &json!({})).status, 400);
    assert_eq!(carl.refused(&world, "ListUsers", &[]), "InvalidClientTokenId");
    assert_eq!(assume(&world, &carl, ROLE, &[]).code().unwrap(), "InvalidClientTokenId");
    assert_eq!(
        carl.sts(&world, "GetFederationToken", &[("Name", "dan")]).code().unwrap(),
        "InvalidClientTokenId"
    );
    assert!(carl.sts(&world, "GetCallerIdentity", &[]).element("Arn").ends_with(":federated-user/carl"));
    // Without a policy it may do nothing of itself.
    let bare = credentials(&ask(&[]));
    assert_eq!(describe(&world, &bare, &key), 400);
    let strong = credentials(&assume(&world, &ann, ROLE, &[]));
    assert_eq!(strong.sts(&world, "GetFederationToken", &[("Name", "carl")]).code().unwrap(), "AccessDenied");
    let root = Actor::from(ALICE);
    assert_eq!(
        root.sts(&world, "GetFederationToken", &[("Name", "carl")]).code().unwrap(),
        "UnsupportedOperationException"
    );
    root.does(&world, "DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &ann.access_key_id)]);
    assert_eq!(describe(&world, &carl, &key), 400);
}

/// A restart forgets no session, and no revocation.
#[test]
fn sessions_outlast_a_restart() {
    let (mut world, ann, key) = with_role();
    let session = credentials(&assume(&world, &ann, ROLE, &[]));
    world.restart();
    assert_eq!(describe(&world, &session, &key), 200);
    delete_role(&world, ALICE, "R");
    world.restart();
    assert_eq!(describe(&world, &session, &key), 400);
}

/// A federated user is named by key policies and grants like any principal.
#[test]
fn a_federated_user_is_named_by_policies_and_grants() {
    let (world, ann, key) = with_role();
    give(&world, ALICE, "Ann", &allow(&["sts:*"]));
    let carl = credentials(&ann.sts(&world, "GetFederationToken", &[("Name", "carl")]));
    let carls = "arn:aws:sts::111122223333:federated-user/carl";
    assert_eq!(describe(&world, &carl, &key), 400);
    let grant = json!({"KeyId": key.id, "GranteePrincipal": carls, "Operations": ["DescribeKey"]});
    let made = world.succeed(ALICE, "CreateGrant", grant);
    assert_eq!(describe(&world, &carl, &key), 200);
    let listed = world.succeed(ALICE, "ListGrants", json!({"KeyId": key.id}));
    assert_eq!(listed["Grants"][0]["GranteePrincipal"], carls);
    world.succeed(ALICE, "RevokeGrant", json!({"KeyId": key.id, "GrantId": made["GrantId"]}));
    assert_eq!(describe(&world, &carl, &key), 400);
    let statement =
        json!({"Effect": "Allow", "Principal": {"AWS": carls}, "Action": "kms:DescribeKey", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), statement]});
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy.to_string()}));
    assert_eq!(describe(&world, &carl, &key), 200);
}

/// Whom a user vouches for is that user, too: what names the user allows within the session's policy, and denies.
#[test]
fn a_federated_user_is_no_way_round_a_policy_on_the_user() {
    let (world, ann, key) = with_role();
    give(&world, ALICE, "Ann", &allow(&["sts:*", "kms:*"]));
    let ask = |more: &[(&str, &str)]| {
        credentials(&ann.sts(&world, "GetFederationToken", &[&[("Name", "carl")], more].concat()))
    };
    let (carl, bare) = (ask(&[("Policy", &allow(&["kms:*"]))]), ask(&[]));
    let check = |effects: &[&str], expected: (u16, u16)| {
        let statement = |effect: &&str| {
            let names = json!({"AWS": ANN});
            json!({"Effect": effect, "Principal": names, "Action": "kms:DescribeKey", "Resource": "*"})
        };
        let mut statements: Vec<_> = effects.iter().map(statement).collect();
        let mut rest = open_to(ALICE.account);
        if effects == ["Allow"] {
            rest["Action"] = json!("kms:PutKeyPolicy");
        }
        statements.push(rest);
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy}));
        assert_eq!((describe(&world, &carl, &key), describe(&world, &bare, &key)), expected, "{effects:?}");
    };
    check(&[], (200, 400));
    check(&["Allow"], (200, 400));
    check(&["Deny"], (400, 400));
}

/// A managed policy that capped a session and is gone took its Deny with it; so the session may do nothing.
#[test]
fn a_session_without_one_of_its_caps_may_do_nothing() {
    let (world, ann, key) = with_role();
    give(&world, ALICE, "Ann", &allow(&["sts:*"]));
    let root = Actor::from(ALICE);
    let deny =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}]}"#;
    let made = root.does(&world, "CreatePolicy", &[("PolicyName", "Cap"), ("PolicyDocument", deny)]);
    let arn = made.element("Arn").to_owned();
    let caps = [("Policy", &*allow(&["*"])), ("PolicyArns.member.1.arn", &*arn)];
    let session = credentials(&assume(&world, &ann, ROLE, &caps));
    assert_eq!(describe(&world, &session, &key), 200);
    root.does(&world, "DeletePolicy", &[("PolicyArn", &arn)]);
    assert_eq!(describe(&world, &session, &key), 400);
}
