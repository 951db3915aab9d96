//! Attacks on grants: none gives more than it says, or to anybody else.

use serde_json::{Value, json};

use crate::actor::{Actor, allow, credentials, give, new_user};
use crate::grants::{
    ALICES, DENIED, constraints, describe, encrypt, error, grant, listed, revoke, session, user, wanted,
    with_ann,
};
use crate::kinds::{make, uses};
use crate::policies::open_to;
use crate::world::{ALICE, Ask, BOB, Key, NO_KEY, World};

/// Attack E1: who may grant on grants no operation that it does not have itself.
#[test]
fn e01_a_child_has_no_operation_that_its_parent_lacks() {
    let (world, key, ann, to) = with_ann();
    let ben = new_user(&world, ALICE, "Ben");
    let to_ben = user(ALICE, "Ben");
    grant(&world, &key, &to, &["CreateGrant", "Encrypt", "DescribeKey"], json!({}));
    let check = |who: &Actor, operations: &[&str], expected: Option<&str>| {
        let request = wanted(&key, &to_ben, operations, json!({}));
        assert_eq!(error(&world, who, "CreateGrant", &request).as_deref(), expected, "{operations:?}");
    };
    check(&ann, &["Decrypt"], DENIED);
    check(&ann, &["Encrypt", "Decrypt"], DENIED);
    check(&ann, &["Encrypt", "RetireGrant"], DENIED);
    check(&ann, &["Encrypt"], None);
    check(&ben, &["Encrypt"], DENIED);
    check(&ann, &["CreateGrant", "Encrypt"], None);
    check(&ben, &["Encrypt"], None);
    check(&ben, &["DescribeKey"], DENIED);
    assert_eq!(error(&world, &ben, "Encrypt", &encrypt(&key)), None);
    assert_eq!(error(&world, &ben, "DescribeKey", &describe(&key)).as_deref(), DENIED);
    // A policy that allows it allows it.
    give(&world, ALICE, "Ann", &allow(&["kms:CreateGrant"]));
    check(&ann, &["Decrypt"], None);
}

/// Attack E1: what two grants hold between them, none of them holds.
#[test]
fn e01_parents_do_not_add_up() {
    let (world, key, ann, to) = with_ann();
    grant(&world, &key, &to, &["CreateGrant", "Encrypt"], json!({}));
    grant(&world, &key, &to, &["CreateGrant", "Decrypt"], json!({}));
    grant(&world, &key, &to, &["GenerateDataKey"], json!({}));
    let equals = |value: &str| constraints(json!({"EncryptionContextEquals": {"a": value}}));
    grant(&world, &key, &to, &["CreateGrant", "GenerateDataKey"], equals("1"));
    let check = |operations: &[&str], more: Value, expected: Option<&str>| {
        let request = wanted(&key, ALICES, operations, more);
        assert_eq!(error(&world, &ann, "CreateGrant", &request).as_deref(), expected, "{operations:?}");
    };
    check(&["Encrypt"], json!({}), None);
    check(&["Decrypt"], json!({}), None);
    check(&["Encrypt", "Decrypt"], json!({}), DENIED);
    check(&["GenerateDataKey"], json!({}), DENIED);
    check(&["GenerateDataKey"], equals("1"), None);
    check(&["GenerateDataKey", "Encrypt"], equals("1"), DENIED);
}

/// Attack E2: nor under a looser constraint.
#[test]
fn e02_a_child_does_not_loosen_a_constraint() {
    let (world, key, ann, to) = with_ann();
    let (equals, subset) = ("EncryptionContextEquals", "EncryptionContextSubset");
    let source = json!({"SourceArn": "arn:aws:ec2:us-east-1:111122223333:volume/v"});
    for (parent, child, expected) in [
        (json!({subset: {"a": "1"}}), json!({}), DENIED),
        (json!({subset: {"a": "1"}}), json!({subset: {}}), DENIED),
        (json!({subset: {"a": "1"}}), json!({subset: {"a": "2"}}), DENIED),
        (json!({subset: {"a": "1"}}), json!({subset: {"A": "1"}}), None),
        (json!({subset: {"a": "1"}}), json!({subset: {"a": "1", "b": "2"}}), None),
        (json!({subset: {"a": "1"}}), json!({equals: {"a": "1", "b": "2"}}), None),
        (json!({subset: {"a": "1"}}), json!({subset: {"a": "1", "A": "2"}}), DENIED),
        (json!({equals: {"a": "1"}}), json!({}), DENIED),
        (json!({equals: {"a": "1"}}), json!({subset: {"a": "1"}}), DENIED),
        (json!({equals: {"a": "1"}}), json!({equals: {"a": "1", "b": "2"}}), DENIED),
        (json!({equals: {"a": "1"}}), json!({equals: {"a": "1"}}), None),
        // Nobody but a service meets it, so nothing is granted on.
        (source.clone(), source, DENIED),
    ] {
        let made = grant(&world, &key, &to, &["CreateGrant", "Encrypt"], constraints(parent.clone()));
        let request = wanted(&key, ALICES, &["Encrypt"], constraints(child.clone()));
        assert_eq!(error(&world, &ann, "CreateGrant", &request).as_deref(), expected, "{parent} {child}");
        revoke(&world, &key, &made);
        assert_eq!(error(&world, &ann, "CreateGrant", &request).as_deref(), DENIED);
    }
}

/// Attack E6: a grant is for somebody who exists.
#[test]
fn e06_principals_that_are_nobody_are_refused() {
    let (world, key, _, to) = with_ann();
    Actor::from(ALICE).does(&world, "CreateGroup", &[("GroupName", "G")]);
    session(&world, ALICE, "R", "s1");
    for nobody in [
        "arn:aws:iam::111122223333:user/Nobody",
        "arn:aws:iam::111122223333:user/ann",
        "arn:aws:iam::111122223333:user/path/Ann",
        "arn:aws:iam::111122223333:user//Ann",
        "arn:aws:iam::111122223333:role//R",
        "arn:aws:sts::111122223333:assumed-role/r/s1",
        "arn:aws:iam::444455556666:user/Ann",
        "arn:aws:iam::111122223333:role/Ann",
        "arn:aws:iam::111122223333:group/G",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:root/x",
        "arn:aws:iam::1111222233:root",
        "arn:aws:iam:us-east-1:111122223333:root",
        "arn:aws-cn:iam::111122223333:root",
        "arn:aws:sts::111122223333:assumed-role/Nobody/s",
        "arn:aws:sts::111122223333:assumed-role/R",
        "arn:aws:s3:::bucket",
        "111122223333",
        "AIDAAAAAAAAAAAAAAAAAA",
        "ec2.amazonaws.com",
        "Ann",
        "arn:",
    ] {
        let grantee = wanted(&key, nobody, &["Encrypt"], json!({}));
        assert_eq!(world.refuse(ALICE, "CreateGrant", grantee), "InvalidArnException", "{nobody}");
        let retiring = wanted(&key, &to, &["Encrypt"], json!({"RetiringPrincipal": nobody}));
        assert_eq!(world.refuse(ALICE, "CreateGrant", retiring), "InvalidArnException", "{nobody}");
    }
    for wildcard in ["*", "arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:role/?"] {
        let grantee = wanted(&key, wildcard, &["Encrypt"], json!({}));
        assert_eq!(world.refuse(ALICE, "CreateGrant", grantee), "ValidationException", "{wildcard}");
    }
    assert!(listed(&world, &key, json!({})).is_empty());
}

/// Attack E7: nobody makes a call be for a resource of AWS by saying so.
#[test]
fn e07_no_grant_is_for_an_aws_resource() {
    let (world, key, ann, _) = with_ann();
    let made = grant(&world, &key, ALICES, &["Encrypt"], json!({}));
    let on_key = |more: Value| {
        let mut request =
            json!({"KeyId": key.id, "kms:GrantIsForAWSResource": true, "GrantIsForAWSResource": true});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    for (operation, request) in [
        (
            "CreateGrant",
            on_key(json!({"GranteePrincipal": ALICES, "Operations": ["Encrypt"], "DryRun": true})),
        ),
        ("ListGrants", on_key(json!({}))),
        ("RevokeGrant", on_key(json!({"GrantId": made.id, "DryRun": true}))),
    ] {
        for (value, allowed) in [("true", false), ("false", true)] {
            let statement = json!([{"Effect": "Allow", "Action": "kms:*", "Resource": "*",
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": value}}}]);
            let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
            give(&world, ALICE, "Ann", &document);
            let code = error(&world, &ann, operation, &request);
            assert_eq!(code.as_deref() != DENIED, allowed, "{operation} {value}: {code:?}");
        }
    }
}

/// Attack E11: only what can have an encryption context has constraints on it, of at most so many pairs.
#[test]
fn e11_only_symmetric_keys_have_constraints_on_the_context() {
    let world = World::new();
    let key = world.key(ALICE);
    let check = |key: &Key, of: Value, expected: Option<&str>| {
        for kind in ["EncryptionContextEquals", "EncryptionContextSubset"] {
            let request = wanted(key, ALICES, &["DescribeKey"], constraints(json!({kind: of})));
            assert_eq!(world.send(&Ask::new(ALICE, "CreateGrant", request)).code, expected, "{of}");
        }
    };
    let pairs = |count: usize, value: &str| -> Value {
        (0..count).map(|number| (number.to_string(), json!(value))).collect::<serde_json::Map<_, _>>().into()
    };
    let refused = Some("ValidationException");
    check(&key, pairs(8, &"\u{e9}".repeat(384)), None);
    check(&key, pairs(9, "v"), refused);
    check(&key, pairs(1, &"v".repeat(385)), refused);
    for (spec, usage) in [
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"),
    ] {
        check(&make(&world, spec, usage), pairs(1, "v"), refused);
    }
}

/// Attack E12: whoever denies, wins over any grant.
#[test]
fn e12_a_deny_beats_a_grant() {
    let (world, key, ann, to) = with_ann();
    grant(&world, &key, &to, &["Encrypt"], json!({}));
    let allowed = || error(&world, &ann, "Encrypt", &encrypt(&key)).is_none();
    assert!(allowed());
    let root = Actor::from(ALICE);
    let deny =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:Encrypt","Resource":"*"}}"#;
    // Identity policy.
    give(&world, ALICE, "Ann", deny);
    assert!(!allowed());
    root.does(&world, "DeleteUserPolicy", &[("UserName", "Ann"), ("PolicyName", "p")]);
    assert!(allowed());
    // Permissions boundary; one that does not allow it is no Deny.
    for (name, document, expected) in [("D", deny, false), ("A", &*allow(&["s3:*"]), true)] {
        let made = root.does(&world, "CreatePolicy", &[("PolicyName", name), ("PolicyDocument", document)]);
        let bound = [("UserName", "Ann"), ("PermissionsBoundary", made.element("Arn"))];
        root.does(&world, "PutUserPermissionsBoundary", &bound);
        assert_eq!(allowed(), expected, "{name}");
        root.does(&world, "DeleteUserPermissionsBoundary", &[("UserName", "Ann")]);
    }
    // Key policy.
    let denied = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"});
    let both = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), denied]}).to_string();
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": both}));
    assert!(!allowed());
    // Session policy of a role that has a grant.
    let key = world.key(ALICE);
    session(&world, ALICE, "R", "s1");
    grant(&world, &key, "arn:aws:iam::111122223333:role/R", &["Encrypt"], json!({}));
    let ben = new_user(&world, ALICE, "Ben");
    give(&world, ALICE, "Ben", &allow(&["sts:AssumeRole"]));
    for (document, expected) in [(deny, false), (&*allow(&["kms:Encrypt"]), true)] {
        let members = [
            ("RoleArn", "arn:aws:iam::111122223333:role/R"),
            ("RoleSessionName", "t1"),
            ("Policy", document),
        ];
        let session = credentials(&ben.sts(&world, "AssumeRole", &members));
        assert_eq!(error(&world, &session, "Encrypt", &encrypt(&key)).is_none(), expected, "{document}");
    }
}

/// Attack E14: who is made again under the name of a grantee or retiring principal is somebody else, and lists show who
/// was meant.
#[test]
fn e14_a_namesake_has_no_grants() {
    let (world, key, first, to) = with_ann();
    let root = Actor::from(ALICE);
    let old_session = session(&world, ALICE, "R", "s1");
    let role = "arn:aws:iam::111122223333:role/R";
    let session_arn = "arn:aws:sts::111122223333:assumed-role/R/s1";
    let made = grant(&world, &key, &to, &["Encrypt"], json!({"RetiringPrincipal": to}));
    grant(&world, &key, role, &["Encrypt"], json!({}));
    grant(&world, &key, session_arn, &["Encrypt"], json!({}));
    let ids: Vec<String> = [
        root.does(&world, "GetUser", &[("UserName", "Ann")]).element("UserId").to_owned(),
        root.does(&world, "GetRole", &[("RoleName", "R")]).element("RoleId").to_owned(),
    ]
    .into();
    let grantees = || {
        let shown = listed(&world, &key, json!({}));
        let mut grantees: Vec<String> =
            shown.iter().map(|grant| grant["GranteePrincipal"].as_str().unwrap().to_owned()).collect();
        grantees.sort();
        grantees
    };
    assert_eq!(grantees(), [role, &to, session_arn]);
    // A rename is no new user.
    root.does(&world, "UpdateUser", &[("UserName", "Ann"), ("NewUserName", "Anna")]);
    assert_eq!(error(&world, &first, "Encrypt", &encrypt(&key)), None);
    assert_eq!(grantees(), [role, &user(ALICE, "Anna"), session_arn]);
    root.does(&world, "UpdateUser", &[("UserName", "Anna"), ("NewUserName", "Ann")]);
    root.does(&world, "DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &first.access_key_id)]);
    root.does(&world, "DeleteUser", &[("UserName", "Ann")]);
    root.does(&world, "DeleteRole", &[("RoleName", "R")]);
    let [user_id, role_id] = &*ids else { panic!("two ids") };
    let dead = [user_id.clone(), role_id.clone(), format!("{role_id}:s1")];
    assert_eq!(grantees(), dead);
    for id in &dead {
        assert_eq!(listed(&world, &key, json!({"GranteePrincipal": id})).len(), 1, "{id}");
    }
    let second = new_user(&world, ALICE, "Ann");
    let new_session = session(&world, ALICE, "R", "t1");
    for actor in [&second, &new_session] {
        assert_eq!(error(&world, actor, "Encrypt", &encrypt(&key)).as_deref(), DENIED);
        let retire = json!({"KeyId": key.arn, "GrantId": made.id});
        assert_eq!(error(&world, actor, "RetireGrant", &retire).as_deref(), DENIED);
    }
    let gone = error(&world, &old_session, "Encrypt", &encrypt(&key));
    assert_eq!(gone.as_deref(), Some("UnrecognizedClientException"));
    assert_eq!(grantees(), dead);
    assert!(listed(&world, &key, json!({"GranteePrincipal": to})).is_empty());
    let retirable = world.succeed(ALICE, "ListRetirableGrants", json!({"RetiringPrincipal": to}));
    assert_eq!(retirable["Grants"], json!([]));
}

/// Attack B10: whoever may not grant, may not; not for itself either, and not under a session that is narrower than its
/// user.
#[test]
fn b10_nobody_grants_without_permission() {
    let (world, key, ann, to) = with_ann();
    let eve = new_user(&world, BOB, "Eve");
    let made = grant(&world, &key, &to, &["Encrypt", "Decrypt", "RetireGrant", "DescribeKey"], json!({}));
    for (who, grantee) in
        [(&ann, to.clone()), (&eve, user(BOB, "Eve")), (&Actor::from(BOB), ALICES.to_owned())]
    {
        for operation in ["Encrypt", "DescribeKey", "RetireGrant"] {
            let request = wanted(&key, &grantee, &[operation], json!({}));
            assert_eq!(error(&world, who, "CreateGrant", &request).as_deref(), DENIED);
        }
        let request = json!({"KeyId": key.arn, "GrantId": made.id});
        assert_eq!(error(&world, who, "RevokeGrant", &request).as_deref(), DENIED);
        assert_eq!(error(&world, who, "ListGrants", &describe(&key)).as_deref(), DENIED);
        let retirable = json!({"RetiringPrincipal": ALICES});
        assert_eq!(error(&world, who, "ListRetirableGrants", &retirable).as_deref(), DENIED);
    }
    // A session that its policy does not let grant, of a role that may.
    session(&world, ALICE, "R", "s1");
    let root = Actor::from(ALICE);
    let all = allow(&["kms:*"]);
    root.does(&world, "PutRolePolicy", &[("RoleName", "R"), ("PolicyName", "p"), ("PolicyDocument", &all)]);
    give(&world, ALICE, "Ann", &allow(&["sts:AssumeRole"]));
    let role = "arn:aws:iam::111122223333:role/R";
    let narrow = allow(&["kms:Encrypt"]);
    let members = [("RoleArn", role), ("RoleSessionName", "n1"), ("Policy", &*narrow)];
    let session = credentials(&ann.sts(&world, "AssumeRole", &members));
    assert_eq!(error(&world, &session, "Encrypt", &encrypt(&key)), None);
    let request = wanted(&key, role, &["Encrypt"], json!({}));
    assert_eq!(error(&world, &session, "CreateGrant", &request).as_deref(), DENIED);
    assert_eq!(listed(&world, &key, json!({})).len(), 1);
}

/// Attack B11: of all operations on keys of every kind, a grant allows those that it names and no other.
#[test]
fn b11_a_grant_allows_its_operations_and_no_other() {
    let (world, _, ann, to) = with_ann();
    for (spec, usage, own) in [
        (
            "SYMMETRIC_DEFAULT",
            "ENCRYPT_DECRYPT",
            &[
                "Encrypt",
                "Decrypt",
                "GenerateDataKey",
                "GenerateDataKeyWithoutPlaintext",
                "GenerateDataKeyPair",
                "GenerateDataKeyPairWithoutPlaintext",
            ][..],
        ),
        ("RSA_2048", "ENCRYPT_DECRYPT", &["Encrypt", "Decrypt", "GetPublicKey"]),
        ("ECC_NIST_P256", "SIGN_VERIFY", &["Sign", "Verify", "GetPublicKey"]),
        ("HMAC_256", "GENERATE_VERIFY_MAC", &["GenerateMac", "VerifyMac"]),
        ("ECC_NIST_P256", "KEY_AGREEMENT", &["DeriveSharedSecret", "GetPublicKey"]),
        ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE", &["Encapsulate", "Decapsulate"]),
    ] {
        let key = make(&world, spec, usage);
        let mut requests = uses(&key.arn);
        requests.push(("DescribeKey", describe(&key)));
        for name in ["DisableKey", "GetKeyPolicy", "ListGrants", "ScheduleKeyDeletion", "ListResourceTags"] {
            requests.push((name, describe(&key)));
        }
        requests.push(("CreateGrant", wanted(&key, ALICES, &["DescribeKey"], json!({}))));
        for granted in own.iter().chain(&["DescribeKey"]) {
            let made = grant(&world, &key, &to, &[granted], json!({}));
            for (operation, request) in &requests {
                let denied = error(&world, &ann, operation, request).as_deref() == DENIED;
                assert_eq!(
                    denied,
                    operation != granted,
                    "{spec}: {granted} is granted, {operation} is called"
                );
            }
            revoke(&world, &key, &made);
        }
    }
}

/// Attack B18: nobody meets a constraint on the resource that a service calls for, whatever it sends.
#[test]
fn b18_nobody_calls_on_behalf_of_a_resource() {
    let world = World::new();
    let key = world.key(ALICE);
    let source = "arn:aws:ec2:us-east-1:444455556666:volume/v";
    let bobs = "arn:aws:iam::444455556666:root";
    let operations = ["Encrypt", "DescribeKey", "CreateGrant"];
    grant(&world, &key, bobs, &operations, constraints(json!({"SourceArn": source})));
    grant(
        &world,
        &key,
        bobs,
        &operations,
        constraints(json!({"SourceArn": "arn:aws:ec2:us-east-1:444455556666:*"})),
    );
    let mut request = encrypt(&key);
    request["SourceArn"] = json!(source);
    request["aws:SourceArn"] = json!(source);
    let child = wanted(&key, bobs, &["Encrypt"], constraints(json!({"SourceArn": source})));
    for (operation, request) in
        [("Encrypt", request), ("DescribeKey", describe(&key)), ("CreateGrant", child)]
    {
        let ask = Ask::new(BOB, operation, request)
            .header("x-amz-source-arn", source)
            .header("x-amz-source-account", BOB.account)
            .header("user-agent", "ec2.amazonaws.com");
        assert_eq!(world.send(&ask).code, DENIED, "{operation}");
    }
}

/// Attack B22: a context that names a key twice, in different case, has it not once.
#[test]
fn b22_a_context_that_names_a_key_twice_meets_no_constraint_on_it() {
    let (world, key, ann, to) = with_ann();
    for kind in ["EncryptionContextEquals", "EncryptionContextSubset"] {
        let made = grant(&world, &key, &to, &["Encrypt"], constraints(json!({kind: {"Dept": "IT"}})));
        for (context, expected) in [
            (json!({"Dept": "IT"}), None),
            (json!({"dept": "IT"}), None),
            (json!({"Dept": "it"}), DENIED),
            (json!({"Dept": "IT", "dept": "IT"}), DENIED),
            (json!({"Dept": "IT", "dept": "HR"}), DENIED),
            (json!({"Dept": "IT", "DEPT": "IT", "x": "y"}), DENIED),
            (json!({"Dept": "IT", "x": "y"}), if kind.ends_with("Subset") { None } else { DENIED }),
            (json!({}), DENIED),
        ] {
            let mut request = encrypt(&key);
            request["EncryptionContext"] = context.clone();
            assert_eq!(error(&world, &ann, "Encrypt", &request).as_deref(), expected, "{kind} {context}");
        }
        revoke(&world, &key, &made);
    }
}

/// Attack C18: markers of grants are for one caller, one key, one filter and one list.
#[test]
fn c18_markers_of_grants_work_only_where_they_were_given() {
    let (world, key, ann, to) = with_ann();
    let other = world.key(ALICE);
    for key in [&key, &other] {
        for _ in 0..3 {
            grant(&world, key, &to, &["Encrypt"], json!({"RetiringPrincipal": to}));
        }
    }
    let lists = [
        ("ListGrants", json!({"KeyId": key.id})),
        ("ListGrants", json!({"KeyId": other.id})),
        ("ListGrants", json!({"KeyId": key.id, "GranteePrincipal": to})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": to})),
    ];
    let with = |request: &Value, marker: &Value| {
        let mut request = request.clone();
        (request["Limit"], request["Marker"]) = (json!(1), marker.clone());
        request
    };
    let first = |(operation, request): &(&str, Value)| {
        world.succeed(ALICE, operation, with(request, &Value::Null))["NextMarker"].clone()
    };
    let markers: Vec<Value> = lists.iter().map(first).collect();
    give(&world, ALICE, "Ann", &allow(&["kms:*"]));
    for (own, (operation, request)) in lists.iter().enumerate() {
        for (number, marker) in markers.iter().enumerate() {
            let answer = world.send(&Ask::new(ALICE, operation, with(request, marker)));
            assert_eq!(answer.code, (number != own).then_some("InvalidMarkerException"), "{operation}");
            let code = error(&world, &ann, operation, &with(request, marker));
            assert_eq!(code.as_deref(), Some("InvalidMarkerException"), "another caller");
        }
        for forged in [json!("AAAA"), json!(format!("{}AAAA", markers[own].as_str().unwrap()))] {
            let code = world.refuse(ALICE, operation, with(request, &forged));
            assert_eq!(code, "InvalidMarkerException");
        }
    }
    let by_id = json!({"KeyId": key.id, "GrantId": "0".repeat(64)});
    assert_eq!(world.refuse(ALICE, "ListGrants", with(&by_id, &markers[0])), "InvalidMarkerException");
}

/// A stranger learns neither whether a key has grants nor whose, by any of the operations.
#[test]
fn strangers_learn_nothing_of_grants() {
    let (world, key, _, to) = with_ann();
    let made = grant(&world, &key, &to, &["Encrypt"], json!({"RetiringPrincipal": to}));
    let revoked = grant(&world, &key, &to, &["Encrypt"], json!({}));
    revoke(&world, &key, &revoked);
    let eve = new_user(&world, BOB, "Eve");
    give(&world, BOB, "Eve", &allow(&["kms:*"]));
    let missing = key.arn.replace(&key.id, NO_KEY);
    let ids = [&*made.id, &*revoked.id, &"0".repeat(64)];
    for who in [&eve, &Actor::from(BOB)] {
        let says = |operation: &str, request: Value| {
            let reply = who.kms(&world, operation, &request);
            assert_eq!(reply.event["resources"], json!([]), "{operation}: the trail names no key");
            reply.body
        };
        for arn in [&key.arn, &missing] {
            for operation in ["RevokeGrant", "RetireGrant"] {
                let expected = says(operation, json!({"KeyId": missing, "GrantId": "0".repeat(64)}));
                assert!(expected.contains("AccessDeniedException"), "{expected}");
                for id in ids {
                    assert_eq!(says(operation, json!({"KeyId": arn, "GrantId": id})), expected, "{arn} {id}");
                }
            }
            let expected = says("ListGrants", json!({"KeyId": missing}));
            assert_eq!(says("ListGrants", json!({"KeyId": arn, "GrantId": made.id})), expected);
            let expected = says(
                "CreateGrant",
                wanted(&Key { id: String::new(), arn: missing.clone() }, ALICES, &["Encrypt"], json!({})),
            );
            let request = json!({"KeyId": arn, "GranteePrincipal": "arn:aws:iam::111122223333:user/Nobody",
                "Operations": ["Sign"]});
            assert_eq!(says("CreateGrant", request), expected);
            let mut with_token = json!({"KeyId": arn, "Plaintext": "eA=="});
            let expected = says("Encrypt", with_token.clone());
            with_token["GrantTokens"] = json!([made.token]);
            assert_eq!(says("Encrypt", with_token), expected);
        }
        let (alive, gone) = (json!({"GrantToken": made.token}), json!({"GrantToken": revoked.token}));
        assert_eq!(says("RetireGrant", alive), says("RetireGrant", gone));
        let request = |who: &str| json!({"RetiringPrincipal": who});
        let nobody = "arn:aws:iam::111122223333:user/Xyz";
        let expected = says("ListRetirableGrants", request(nobody)).replace("Xyz", "Ann");
        assert_eq!(says("ListRetirableGrants", request(&to)), expected);
    }
}
