//! One thing, one name: what is decided about a name is decided about the thing that the name stands for.

use serde_json::{Value, json};

use crate::actor::{Actor, allow, give, new_user, trusts};
use crate::policies::{open_to, policy};
use crate::world::{ALICE, World};

const GUARD: &str = "arn:aws:iam::111122223333:policy/team/Guard";
const ADMIN: &str = "arn:aws:iam::111122223333:role/team/Admin";
const ISSUER: &str = "arn:aws:iam::111122223333:oidc-provider/issuer.example/a";
const DEVICE: &str = "arn:aws:iam::111122223333:mfa/telephone";

/// Other spellings of an ARN: another partition, another case of the name or path, empty parts of the path.
fn spellings(arn: &str) -> Vec<String> {
    let (head, name) = arn.rsplit_once('/').unwrap();
    let mut others = vec![
        arn.replace("arn:aws:", "arn:aws-cn:"),
        arn.replace("arn:aws:", "arn:x:"),
        arn.replace("arn:aws:", "arn::"),
        arn.replace("iam::", "iam:us-east-1:"),
        format!("{head}//{name}"),
        format!("{head}/{}", name.to_uppercase()),
        format!("{arn}/"),
        format!("{arn} "),
    ];
    others.extend(arn.contains("/team/").then(|| arn.replace("/team/", "/TEAM/")));
    others.extend(arn.contains("/team/").then(|| arn.replace("/team/", "//team/")));
    assert!(others.iter().all(|other| other != arn), "{others:?}");
    others
}

/// Ann, who may do everything but what a statement denies.
fn ann_without(world: &World, denied: Value) -> Actor {
    let ann = new_user(world, ALICE, "Ann");
    let all = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    give(world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": [all, denied]}).to_string());
    ann
}

/// What the store holds, but for when credentials were last used.
fn content(world: &World) -> Vec<(Vec<u8>, Vec<u8>)> {
    world.content().into_iter().map(|record| (record.name, record.value)).collect()
}

/// A member that holds an ARN which a policy denies: denied as it is, and with no effect in any other spelling.
fn check(world: &World, ann: &Actor, action: &str, members: &[(&str, &str)], place: (&str, &str)) {
    let (member, arn) = place;
    let asked = |arn: &str| {
        let members: Vec<_> = members.iter().copied().chain([(member, arn)]).collect();
        let service = if action.starts_with("Assume") {
            ann.sts(world, action, &members)
        } else {
            ann.iam(world, action, &members)
        };
        service.element("Code").to_owned()
    };
    let before = content(world);
    assert_eq!(asked(arn), "AccessDenied", "{action}");
    for other in spellings(arn) {
        let code = asked(&other);
        let refusals =
            ["AccessDenied", "InvalidInput", "NoSuchEntity", "ValidationError", "InvalidParameterValue"];
        assert!(refusals.contains(&&*code), "{action} {other}: {code}");
        assert!(content(world) == before, "{action} {other} changed something");
    }
}

fn with_policies() -> World {
    let world = World::new();
    let root = Actor::from(ALICE);
    let document = allow(&["kms:*"]);
    let made = [("PolicyName", "Guard"), ("Path", "/team/"), ("PolicyDocument", &*document)];
    assert_eq!(root.does(&world, "CreatePolicy", &made).element("Arn"), GUARD);
    root.does(&world, "CreateUser", &[("UserName", "Ben")]);
    world
}

/// Attack B22: a Deny of one policy is passed by under another name of it.
#[test]
fn b22_a_deny_on_a_policy_holds_in_every_spelling() {
    let world = with_policies();
    let ann = ann_without(&world, json!({"Effect": "Deny", "Action": "iam:*", "Resource": GUARD}));
    let document = allow(&["kms:Encrypt"]);
    let version = [("PolicyDocument", &*document), ("SetAsDefault", "true")];
    check(&world, &ann, "CreatePolicyVersion", &version, ("PolicyArn", GUARD));
    check(&world, &ann, "DeletePolicy", &[], ("PolicyArn", GUARD));
    check(&world, &ann, "SetDefaultPolicyVersion", &[("VersionId", "v1")], ("PolicyArn", GUARD));
    let tag = [("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
    check(&world, &ann, "TagPolicy", &tag, ("PolicyArn", GUARD));
    check(&world, &ann, "GetPolicy", &[], ("PolicyArn", GUARD));
}

#[test]
fn b22_a_deny_of_what_is_attached_holds_in_every_spelling() {
    let world = with_policies();
    let denied = json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*",
        "Condition": {"ArnEquals": {"iam:PolicyARN": GUARD}}});
    let ann = ann_without(&world, denied);
    check(&world, &ann, "AttachUserPolicy", &[("UserName", "Ben")], ("PolicyArn", GUARD));
    Actor::from(ALICE).does(&world, "AttachUserPolicy", &[("UserName", "Ben"), ("PolicyArn", GUARD)]);
    check(&world, &ann, "DetachUserPolicy", &[("UserName", "Ben")], ("PolicyArn", GUARD));
    let world = with_policies();
    let denied = json!({"Effect": "Deny", "Action": "iam:*", "Resource": "*",
        "Condition": {"StringEquals": {"iam:PermissionsBoundary": GUARD}}});
    let ann = ann_without(&world, denied);
    let boundary = ("PermissionsBoundary", GUARD);
    check(&world, &ann, "PutUserPermissionsBoundary", &[("UserName", "Ben")], boundary);
    check(&world, &ann, "CreateUser", &[("UserName", "Cy")], boundary);
}

#[test]
fn b22_a_deny_on_a_role_holds_in_every_spelling() {
    let world = World::new();
    let trust = trusts("arn:aws:iam::111122223333:root");
    let members = [("RoleName", "Admin"), ("Path", "/team/"), ("AssumeRolePolicyDocument", &*trust)];
    assert_eq!(Actor::from(ALICE).does(&world, "CreateRole", &members).element("Arn"), ADMIN);
    let ann = ann_without(&world, json!({"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": ADMIN}));
    check(&world, &ann, "AssumeRole", &[("RoleSessionName", "s1")], ("RoleArn", ADMIN));
}

fn with_provider() -> (World, Actor) {
    let (world, root) = (World::new(), Actor::from(ALICE));
    let print = "0123456789012345678901234567890123456789";
    let members = [("Url", "https://issuer.example/a"), ("ThumbprintList.member.1", print)];
    let made = root.does(&world, "CreateOpenIDConnectProvider", &members);
    assert_eq!(made.element("OpenIDConnectProviderArn"), ISSUER);
    (world, root)
}

#[test]
fn b22_a_deny_on_a_provider_or_a_device_holds_in_every_spelling() {
    let (world, root) = with_provider();
    let made = root.does(&world, "CreateVirtualMFADevice", &[("VirtualMFADeviceName", "telephone")]);
    assert_eq!(made.element("SerialNumber"), DEVICE);
    let ann = ann_without(&world, json!({"Effect": "Deny", "Action": "iam:*", "Resource": [ISSUER, DEVICE]}));
    let provider = ("OpenIDConnectProviderArn", ISSUER);
    check(&world, &ann, "AddClientIDToOpenIDConnectProvider", &[("ClientID", "c")], provider);
    check(&world, &ann, "GetOpenIDConnectProvider", &[], provider);
    check(&world, &ann, "DeleteVirtualMFADevice", &[], ("SerialNumber", DEVICE));
}

/// A provider that is not there is deleted without complaint, as by AWS: so is what another spelling names.
#[test]
fn another_spelling_of_a_provider_deletes_nothing() {
    let (world, root) = with_provider();
    let before = content(&world);
    for other in spellings(ISSUER) {
        root.iam(&world, "DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", &other)]);
        assert!(content(&world) == before, "{other}");
    }
    root.does(&world, "DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", ISSUER)]);
}

/// Principals of key policies and of trust policies.
#[test]
fn principals_have_one_spelling() {
    let world = World::new();
    let (root, key) = (Actor::from(ALICE), world.key(ALICE));
    new_user(&world, ALICE, "Ann");
    let trust = trusts("arn:aws:iam::111122223333:root");
    root.does(&world, "CreateRole", &[("RoleName", "Ops"), ("AssumeRolePolicyDocument", &trust)]);
    for (principal, known) in [
        ("arn:aws:iam::111122223333:user/Ann", true),
        ("arn:aws:iam::111122223333:user//Ann", false),
        ("arn:aws:iam::111122223333:user/ann", false),
        ("arn:aws:iam::111122223333:role/Ops", true),
        ("arn:aws:iam::111122223333:role//Ops", false),
        ("arn:aws:sts::111122223333:assumed-role/Ops/s", true),
        ("arn:aws:sts::111122223333:assumed-role/OPS/s", false),
    ] {
        let statement =
            json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"});
        let text = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), statement]});
        let put = json!({"KeyId": key.id, "Policy": text.to_string()});
        if known {
            world.succeed(ALICE, "PutKeyPolicy", put);
        } else {
            assert_eq!(world.refuse(ALICE, "PutKeyPolicy", put), "MalformedPolicyDocumentException");
        }
        let trust = trusts(principal);
        let members = [("RoleName", "Ops"), ("PolicyDocument", &*trust)];
        let reply = root.iam(&world, "UpdateAssumeRolePolicy", &members);
        assert_eq!(reply.status == 200, known, "{principal} {}", reply.body);
    }
}

/// In China, IAM's ARNs are of that partition; requests are signed for its Region.
#[test]
fn arns_are_of_the_partition_that_is_served() {
    let world = World::serving(&["cn-north-1"]);
    let root = Actor::from(ALICE);
    let asked = |region: &str, service: &str, action: &str, members: &[(&str, &str)]| {
        let incoming = root.query_in(&world, region, (service, action), members);
        crate::actor::send(&world, action, &incoming)
    };
    let made = asked("cn-north-1", "iam", "CreateUser", &[("UserName", "Ann")]);
    let ann = "arn:aws-cn:iam::111122223333:user/Ann";
    assert_eq!((made.status, made.element("Arn")), (200, ann));
    assert_eq!(made.event["awsRegion"], "cn-north-1");
    let identity = asked("cn-north-1", "sts", "GetCallerIdentity", &[]);
    assert_eq!(identity.element("Arn"), "arn:aws-cn:iam::111122223333:root");
    for service in ["iam", "sts"] {
        let action = if service == "iam" { "GetUser" } else { "GetCallerIdentity" };
        assert_eq!(asked("us-east-1", service, action, &[]).element("Code"), "SignatureDoesNotMatch");
    }
    let key = world.key_in("cn-north-1", ALICE, json!({}));
    let grant = json!({"KeyId": key.id, "GranteePrincipal": ann, "Operations": ["Encrypt"]});
    world.succeed_in("cn-north-1", ALICE, "CreateGrant", grant);
}

/// Attack B14: tags that differ only in case are two tags of a key and one condition key, which then has no value that
/// an Allow could go by.
#[test]
fn b14_tags_that_differ_in_case_allow_nothing() {
    let world = World::new();
    let pair = |key: &str, value: &str| json!({"TagKey": key, "TagValue": value});
    let key = world.key_with(ALICE, json!({"Tags": [pair("env", "dev")]}));
    let ann = new_user(&world, ALICE, "Ann");
    let on = |name: &str| json!({"StringEquals": {name: "prod"}});
    let statements = json!([
        {"Effect": "Allow", "Action": "kms:TagResource", "Resource": "*"},
        {"Effect": "Deny", "Action": "kms:TagResource", "Resource": "*", "Condition": on("aws:RequestTag/env")},
        {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:CreateKey"], "Resource": "*",
            "Condition": on("aws:ResourceTag/env")}]);
    give(&world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": statements}).to_string());
    let tags = |tags: Value| ann.kms(&world, "TagResource", &json!({"KeyId": key.arn, "Tags": tags})).code();
    let encrypts =
        || ann.kms(&world, "Encrypt", &json!({"KeyId": key.arn, "Plaintext": "eA=="})).status == 200;
    let denied = Some("AccessDeniedException".to_owned());
    for both in [
        json!([pair("env", "prod")]),
        json!([pair("ENV", "x"), pair("env", "prod")]),
        json!([pair("env", "prod"), pair("ENV", "x")]),
        json!([pair("Env", "y"), pair("ENV", "x"), pair("env", "prod")]),
    ] {
        assert_eq!(tags(both.clone()), denied, "{both}");
        assert!(!encrypts(), "{both}");
    }
    // What the key has: a second tag takes the permission away, and does not decide which of the two counts.
    let put = |tags: Value| world.succeed(ALICE, "TagResource", json!({"KeyId": key.id, "Tags": tags}));
    put(json!([pair("env", "prod")]));
    assert!(encrypts());
    put(json!([pair("ENV", "x")]));
    assert!(!encrypts());
    world.succeed(ALICE, "UntagResource", json!({"KeyId": key.id, "TagKeys": ["env"]}));
    put(json!([pair("env", "prod")]));
    assert!(!encrypts(), "the other way round");
    world.succeed(ALICE, "UntagResource", json!({"KeyId": key.id, "TagKeys": ["ENV"]}));
    assert!(encrypts());
}

/// Trust policies are about assuming the role, and say each thing once.
#[test]
fn trust_policies_have_their_own_actions() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let statement = |sid: &str, action: Value| json!({"Sid": sid, "Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Action": action});
    let made = |statements: &[Value]| {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let members = [("RoleName", "R"), ("AssumeRolePolicyDocument", &*document)];
        let reply = root.iam(&world, "CreateRole", &members);
        if reply.status == 200 {
            root.does(&world, "DeleteRole", &[("RoleName", "R")]);
            return None;
        }
        assert_eq!(reply.element("Code"), "MalformedPolicyDocument");
        Some(reply.element("Message").to_owned())
    };
    for action in [
        json!("sts:AssumeRole"),
        json!("STS:assumerole"),
        json!(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]),
        json!("sts:AssumeRoleWithWebIdentity"),
        json!("sts:AssumeRole*"),
        json!("sts:*"),
    ] {
        assert_eq!(made(&[statement("a", action.clone())]), None, "{action}");
    }
    for action in [
        json!("*"),
        json!("kms:*"),
        json!(["sts:AssumeRole", "kms:Decrypt"]),
        json!("sts:GetCallerIdentity"),
        json!("sts:Get*"),
        json!("sts:AssumeRoles"),
    ] {
        let text = "AssumeRole policy may only specify STS AssumeRole actions.";
        assert_eq!(made(&[statement("a", action.clone())]).as_deref(), Some(text), "{action}");
    }
    let assume = || json!("sts:AssumeRole");
    assert_eq!(made(&[statement("a", assume()), statement("b", assume())]), None);
    let twice = made(&[statement("a", assume()), statement("b", assume()), statement("a", assume())]);
    assert_eq!(twice.as_deref(), Some("Statement IDs (SID) in a single policy must be unique."));
}

/// Condition keys are there where AWS has them, and nowhere else (Service Authorization Reference).
#[test]
fn who_calls_is_no_condition_key_where_there_is_no_key() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Condition": {"StringEquals": {"kms:CallerAccount": ALICE.account}}});
    give(&world, ALICE, "Ann", &policy(statement));
    for (operation, request, allowed) in [
        ("DescribeKey", json!({"KeyId": key.arn}), true),
        ("CreateKey", json!({}), true),
        ("ListKeys", json!({}), false),
        ("ListAliases", json!({}), false),
        ("GenerateRandom", json!({"NumberOfBytes": 1}), false),
        ("ListRetirableGrants", json!({"RetiringPrincipal": "arn:aws:iam::111122223333:user/Ann"}), false),
    ] {
        let code = ann.kms(&world, operation, &request).code();
        assert_eq!(code.as_deref() != Some("AccessDeniedException"), allowed, "{operation} {code:?}");
    }
}
