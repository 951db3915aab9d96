//! Who may do what: key policies, conditions, accounts; and what those who may not can learn.

use std::net::IpAddr;

use claviger_wire::incoming::{Origin, Tls};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::policies::{open_to, policy};
use crate::world::{ALICE, Answer, Ask, BOB, Key, NO_KEY, Root, Transcript, World, base64};

/// Puts a policy, whatever it says.
fn put(world: &World, owner: Root, key: &Key, policy: &str) {
    let request = json!({"KeyId": key.id, "Policy": policy, "BypassPolicyLockoutSafetyCheck": true});
    world.succeed(owner, "PutKeyPolicy", request);
}

/// A request of every operation that concerns a key; the blob is one of the key's.
fn uses(key: &str, blob: &str) -> Vec<(&'static str, Value)> {
    let on_key = json!({"KeyId": key});
    vec![
        ("CancelKeyDeletion", on_key.clone()),
        ("CreateAlias", json!({"AliasName": "alias/new", "TargetKeyId": key})),
        ("Decrypt", json!({"CiphertextBlob": blob, "KeyId": key})),
        ("DeleteImportedKeyMaterial", on_key.clone()),
        ("DescribeKey", on_key.clone()),
        ("DisableKey", on_key.clone()),
        ("DisableKeyRotation", on_key.clone()),
        ("EnableKey", on_key.clone()),
        ("EnableKeyRotation", on_key.clone()),
        ("Encrypt", json!({"KeyId": key, "Plaintext": base64(b"x")})),
        ("GenerateDataKey", json!({"KeyId": key, "NumberOfBytes": 1})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "NumberOfBytes": 1})),
        ("GetKeyPolicy", on_key.clone()),
        ("GetKeyRotationStatus", on_key.clone()),
        (
            "GetParametersForImport",
            json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
        ),
        ("ImportKeyMaterial", never_expires(key, base64(b"x"))),
        ("ListKeyPolicies", on_key.clone()),
        ("ListKeyRotations", on_key.clone()),
        ("ListResourceTags", on_key.clone()),
        ("PutKeyPolicy", json!({"KeyId": key, "Policy": policy(open_to(ALICE.account))})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "SourceKeyId": key, "DestinationKeyId": key})),
        ("RotateKeyOnDemand", on_key.clone()),
        ("ScheduleKeyDeletion", on_key),
        ("TagResource", json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"KeyId": key, "TagKeys": ["a"]})),
        ("UpdateKeyDescription", json!({"KeyId": key, "Description": "d"})),
    ]
}

fn never_expires(key: &str, blob: String) -> Value {
    json!({"KeyId": key, "ImportToken": blob, "EncryptedKeyMaterial": blob,
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})
}

/// A world in which Alice has a key with an alias, and a blob of it.
fn with_blob() -> (World, Key, String) {
    let world = World::new();
    let key = world.key(ALICE);
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id}));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    (world, key, blob)
}

fn text(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["Message"].as_str().unwrap_or(&answer.body).to_owned()
}

/// The owner is refused everything that its key's policy does not allow, in AWS's words, by every operation.
#[test]
fn the_key_policy_decides_even_for_the_owner() {
    let (world, key, blob) = with_blob();
    let mut calls = Transcript::of(&world);
    let aliases = |calls: &mut Transcript<'_>| {
        calls.ask(ALICE, "UpdateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id}));
        calls.ask(ALICE, "DeleteAlias", json!({"AliasName": "alias/app"}));
        calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
        calls.ask(ALICE, "DescribeKey", json!({"KeyId": "alias/app"}));
    };
    // An explicit deny comes first, so that the policy can still be changed to the one that says nothing.
    calls.note("An explicit deny.");
    let deny = json!({"Effect": "Deny", "Principal": "*", "NotAction": "kms:PutKeyPolicy", "Resource": "*"});
    let denying = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), deny]}).to_string();
    put(&world, ALICE, &key, &denying);
    for (operation, request) in uses(&key.id, &blob).into_iter().filter(|(name, _)| *name != "PutKeyPolicy") {
        assert_eq!(calls.ask(ALICE, operation, request).code, Some("AccessDeniedException"), "{operation}");
    }
    aliases(&mut calls);
    calls.note("Nothing that allows.");
    put(&world, ALICE, &key, &policy(open_to(BOB.account)));
    for (operation, request) in uses(&key.arn, &blob) {
        assert_eq!(calls.ask(ALICE, operation, request).code, Some("AccessDeniedException"), "{operation}");
    }
    aliases(&mut calls);
    calls.compare(&expect_file!["golden/denials.txt"]);
    // What concerns no key goes on.
    world.succeed(ALICE, "ListKeys", json!({}));
    world.succeed(ALICE, "ListAliases", json!({"KeyId": key.id}));
    world.succeed(ALICE, "GenerateRandom", json!({"NumberOfBytes": 1}));
    world.key(ALICE);
}

/// Asks for an encryption under a policy that allows it only on a condition; answers whether it was allowed.
fn allowed(condition: &Value, ask: impl Fn(Ask) -> Ask, request: Value) -> bool {
    let (world, key, _) = with_blob();
    let others = json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "NotAction": "kms:Encrypt",
        "Resource": "*"});
    let encrypt = json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Action": "kms:Encrypt",
        "Resource": "*", "Condition": condition});
    let statements = json!({"Version": "2012-10-17", "Statement": [others, encrypt]});
    put(&world, ALICE, &key, &statements.to_string());
    let mut request = request;
    request["Plaintext"] = json!("eA==");
    if request.get("KeyId").is_none() {
        request["KeyId"] = json!(key.id);
    }
    let answer = world.send(&ask(Ask::new(ALICE, "Encrypt", request)));
    match answer.code {
        None => true,
        Some("AccessDeniedException") => false,
        Some(other) => panic!("{other}"),
    }
}

fn check(condition: Value, request: Value, expected: bool) {
    assert_eq!(allowed(&condition, |ask| ask, request), expected, "{condition}");
}

#[test]
fn conditions_ask_what_the_request_says() {
    let tenant = json!({"StringEquals": {"kms:EncryptionContext:tenant": "a"}});
    check(tenant.clone(), json!({"EncryptionContext": {"tenant": "a"}}), true);
    check(tenant.clone(), json!({"EncryptionContext": {"tenant": "a", "more": "b"}}), true);
    check(tenant.clone(), json!({"EncryptionContext": {"Tenant": "a"}}), true);
    check(tenant.clone(), json!({"EncryptionContext": {"tenant": "b"}}), false);
    check(tenant.clone(), json!({"EncryptionContext": {"tenant": "a", "Tenant": "b"}}), false);
    check(tenant.clone(), json!({"EncryptionContext": {}}), false);
    check(tenant, json!({}), false);
    let only = json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant"]},
        "Null": {"kms:EncryptionContextKeys": "false"}});
    check(only.clone(), json!({"EncryptionContext": {"tenant": "a"}}), true);
    check(only.clone(), json!({"EncryptionContext": {"tenant": "a", "more": "b"}}), false);
    check(only, json!({}), false);
    let alias = json!({"StringEquals": {"kms:RequestAlias": "alias/app"}});
    check(alias.clone(), json!({"KeyId": "alias/app"}), true);
    check(alias.clone(), json!({"KeyId": "arn:aws:kms:us-east-1:111122223333:alias/app"}), true);
    check(alias, json!({}), false);
    check(json!({"StringEquals": {"kms:CallerAccount": ALICE.account}}), json!({}), true);
    check(json!({"StringEquals": {"kms:CallerAccount": BOB.account}}), json!({}), false);
    check(json!({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}), json!({}), true);
    check(json!({"StringEquals": {"kms:KeySpec": "RSA_2048"}}), json!({}), false);
    check(json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}), json!({}), true);
    check(json!({"DateGreaterThan": {"aws:CurrentTime": "2026-11-20T12:00:01Z"}}), json!({}), false);
    check(json!({"DateLessThan": {"aws:CurrentTime": "2026-11-20T12:00:01Z"}}), json!({}), true);
}

/// Attack B18: context keys are never taken from headers.
#[test]
fn b18_no_header_sets_a_context_key() {
    for key in
        ["kms:ViaService", "aws:SourceArn", "aws:SourceAccount", "aws:PrincipalOrgID", "aws:SourceVpce"]
    {
        let condition = json!({"StringLike": {key: "*"}});
        let forged = |ask: Ask| {
            [
                "x-amz-vpce",
                "x-amz-principal-org-id",
                "x-amz-source-arn",
                "x-amz-source-account",
                "x-amz-via-service",
            ]
            .into_iter()
            .fold(ask, |ask, name| ask.header(name, "s3.us-east-1.amazonaws.com"))
            .header("user-agent", "s3.amazonaws.com")
        };
        assert!(
            !allowed(&condition, forged, json!({"ViaService": "s3", "SourceAccount": "111122223333"})),
            "{key}"
        );
    }
    let service = json!({"Bool": {"aws:PrincipalIsAWSService": "true"}});
    assert!(!allowed(&service, |ask| ask.header("user-agent", "s3.amazonaws.com"), json!({})));
}

/// Attack B19: the address is the socket's, whatever proxies are said to stand before it.
#[test]
fn b19_the_source_address_is_the_sockets() {
    let from = |range: &str| json!({"IpAddress": {"aws:SourceIp": range}});
    check(from("192.0.2.0/24"), json!({}), true);
    check(from("198.51.100.0/24"), json!({}), false);
    let forwarded = |ask: Ask| {
        ask.header("x-forwarded-for", "198.51.100.1")
            .header("x-real-ip", "198.51.100.1")
            .header("forwarded", "for=198.51.100.1")
            .header("x-amz-source-ip", "198.51.100.1")
    };
    assert!(!allowed(&from("198.51.100.0/24"), forwarded, json!({})));
    assert!(allowed(&from("192.0.2.0/24"), forwarded, json!({})));
    // An IPv4 peer on an IPv6 socket is the IPv4 peer.
    let peer = |text: &'static str| {
        move |ask: Ask| {
            ask.origin(Origin { peer: text.parse::<IpAddr>().unwrap().into(), tls: None, endpoint: None })
        }
    };
    assert!(allowed(&from("192.0.2.0/24"), peer("::ffff:192.0.2.9"), json!({})));
    assert!(!allowed(&from("192.0.2.0/24"), peer("::ffff:198.51.100.9"), json!({})));
    assert!(allowed(&from("2001:db8::/32"), peer("2001:db8::1"), json!({})));
}

#[test]
fn the_transport_is_the_listeners_word() {
    let secure = json!({"Bool": {"aws:SecureTransport": "true"}});
    assert!(!allowed(&secure, |ask| ask, json!({})));
    assert!(!allowed(&secure, |ask| ask.header("x-forwarded-proto", "https"), json!({})));
    let tls = Tls {
        version: "TLSv1.3",
        cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        key_exchange: "X25519MLKEM768".to_owned(),
    };
    let origin = Origin { peer: IpAddr::from([192, 0, 2, 10]).into(), tls: Some(tls), endpoint: None };
    assert!(allowed(&secure, |ask| ask.origin(origin.clone()), json!({})));
}

/// A key policy that names another account gives it the use of the key, never its management.
#[test]
fn another_account_uses_a_key_that_is_shared_with_it() {
    let (world, key, blob) = with_blob();
    let both = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), open_to(BOB.account)]});
    put(&world, ALICE, &key, &both.to_string());
    let usable = [
        "Decrypt",
        "DescribeKey",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GetKeyRotationStatus",
        "ReEncrypt",
    ];
    for (operation, request) in uses(&key.arn, &blob) {
        let answer = world.send(&Ask::new(BOB, operation, request));
        if usable.contains(&operation) {
            assert_eq!(answer.code, None, "{operation}: {}", answer.body);
        } else {
            assert_eq!(answer.code, Some("AccessDeniedException"), "{operation}");
            assert!(
                text(&answer).contains("on this resource because the resource does not exist in this Region")
            );
        }
        assert_eq!(answer.event["recipientAccountId"], BOB.account);
    }
    // A blob names its key across accounts; a bare key id does not.
    world.succeed(BOB, "Decrypt", json!({"CiphertextBlob": blob}));
    world.succeed(BOB, "DescribeKey", json!({"KeyId": "arn:aws:kms:us-east-1:111122223333:alias/app"}));
    assert_eq!(world.refuse(BOB, "DescribeKey", json!({"KeyId": key.id})), "NotFoundException");
}

/// Oracle O5: a key that is not shared cannot be told from one that does not exist.
#[test]
fn strangers_learn_nothing() {
    let (world, key, blob) = with_blob();
    let disabled = world.key(ALICE);
    world.succeed(ALICE, "DisableKey", json!({"KeyId": disabled.id}));
    let unknown = key.arn.replace(&key.id, NO_KEY);
    let foreign_blob = unknown_blob();
    // What the stranger reads: the answer, and its own trail without what it sent itself.
    let told = |operation: &str, request: Value| {
        let answer = world.send(&Ask::new(BOB, operation, request));
        let event = &answer.event;
        (answer.status, answer.body, event["errorMessage"].clone(), event["resources"].clone())
    };
    let answers = |arn: &str, blob: &str| -> Vec<_> {
        uses(arn, blob).into_iter().map(|(operation, request)| told(operation, request)).collect()
    };
    let expected = answers(&unknown, &blob);
    assert!(
        expected.iter().all(|(status, body, ..)| *status == 400 && body.contains("AccessDeniedException"))
    );
    assert_eq!(answers(&key.arn, &blob), expected);
    assert_eq!(answers(&key.arn, &foreign_blob), expected);
    assert_eq!(answers(&disabled.arn, &blob), expected);
    let alias = "arn:aws:kms:us-east-1:111122223333:alias/app";
    let describe = |name: &str| told("DescribeKey", json!({"KeyId": name}));
    assert_eq!(describe(alias), describe("arn:aws:kms:us-east-1:111122223333:alias/none"));
    assert_eq!(describe(alias), describe(&unknown));
    let decrypt = |blob: &str| told("Decrypt", json!({"CiphertextBlob": blob}));
    assert_eq!(decrypt(&blob), decrypt(&foreign_blob));
    strangers_learn_nothing_by_the_order(&told, (&key.arn, &unknown), (&blob, &foreign_blob));
    // Own keys and own blobs, which do not belong together, and a key of somebody else.
    let (own, other) = (world.key(BOB), world.key(BOB));
    let own_blob = world.encrypt(BOB, &other, b"x", json!({}));
    let moves = |source: &str, to: &str| {
        let request = json!({"CiphertextBlob": own_blob, "SourceKeyId": source, "DestinationKeyId": to});
        told("ReEncrypt", request)
    };
    for source in [&own.id, &other.id] {
        assert_eq!(moves(source, &key.arn), moves(source, &unknown));
        assert_eq!(moves(source, &key.arn), moves(source, &disabled.arn));
    }
}

/// Status, body, and what the caller's own trail shows of the error and of the resources.
type Told = (u16, String, Value, Value);

/// What else is wrong with a request does not tell whether its key or blob is anybody's.
fn strangers_learn_nothing_by_the_order(
    told: &dyn Fn(&str, Value) -> Told,
    (arn, unknown): (&str, &str),
    (blob, foreign_blob): (&str, &str),
) {
    let public = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    let requests = [
        ("GenerateDataKey", json!({"KeySpec": "AES_256"})),
        ("GenerateDataKeyPair", json!({"KeyPairSpec": "ECC_NIST_P256"})),
        ("DeriveSharedSecret", json!({"KeyAgreementAlgorithm": "ECDH", "PublicKey": public})),
    ];
    let encryption = "RSAES_OAEP_SHA_256";
    let recipients = [
        json!({}),
        json!({"KeyEncryptionAlgorithm": encryption}),
        json!({"KeyEncryptionAlgorithm": encryption, "AttestationDocument": "eA=="}),
    ];
    for (operation, request) in requests {
        for recipient in &recipients {
            let of = |key: &str| {
                let mut request = request.clone();
                (request["KeyId"], request["Recipient"]) = (json!(key), recipient.clone());
                told(operation, request)
            };
            assert_eq!(of(arn), of(unknown), "{operation} {recipient}");
        }
    }
    let moves = |blob: &str| told("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": NO_KEY}));
    assert_eq!(moves(blob), moves(foreign_blob));
}

/// A blob of another installation.
fn unknown_blob() -> String {
    with_blob().2
}

/// Attack B12: both keys of a ReEncrypt are decided about.
#[test]
fn b12_both_keys_of_a_reencrypt_are_checked() {
    let (world, from, blob) = with_blob();
    let to = world.key(ALICE);
    let without = |action: &str| {
        let mut statement = open_to(ALICE.account);
        statement.as_object_mut().unwrap().remove("Action");
        statement["NotAction"] = json!(action);
        policy(statement)
    };
    let moves = |named: bool| {
        let mut request = json!({"CiphertextBlob": blob, "DestinationKeyId": to.id});
        if named {
            request["SourceKeyId"] = json!(from.id);
        }
        request
    };
    let everything = policy(open_to(ALICE.account));
    for (key, action, other) in
        [(&from, "kms:ReEncryptFrom", "kms:ReEncryptTo"), (&to, "kms:ReEncryptTo", "kms:ReEncryptFrom")]
    {
        put(&world, ALICE, key, &without(action));
        let answer = world.send(&Ask::new(ALICE, "ReEncrypt", moves(true)));
        assert_eq!(answer.code, Some("AccessDeniedException"));
        assert!(text(&answer).contains(&format!("{action} on resource: {}", key.arn)), "{}", answer.body);
        assert_eq!(world.refuse(ALICE, "ReEncrypt", moves(false)), "AccessDeniedException");
        put(&world, ALICE, key, &without(other));
        world.succeed(ALICE, "ReEncrypt", moves(true));
        put(&world, ALICE, key, &everything);
    }
    // Encrypt and Decrypt do not stand for it.
    let mut statement = open_to(ALICE.account);
    statement["Action"] = json!(["kms:Encrypt", "kms:Decrypt", "kms:PutKeyPolicy"]);
    put(&world, ALICE, &to, &policy(statement));
    assert_eq!(world.refuse(ALICE, "ReEncrypt", moves(true)), "AccessDeniedException");
}

/// An alias may move only where the policies of both keys allow it.
#[test]
fn b12_an_alias_leaves_and_arrives_by_permission() {
    let (world, old, _) = with_blob();
    let new = world.key(ALICE);
    let mut statement = open_to(ALICE.account);
    statement.as_object_mut().unwrap().remove("Action");
    statement["NotAction"] = json!(["kms:UpdateAlias", "kms:CreateAlias", "kms:DeleteAlias"]);
    let fixed = policy(statement);
    let moves = json!({"AliasName": "alias/app", "TargetKeyId": new.id});
    for key in [&old, &new] {
        put(&world, ALICE, key, &fixed);
        assert_eq!(world.refuse(ALICE, "UpdateAlias", moves.clone()), "AccessDeniedException");
        put(&world, ALICE, key, &policy(open_to(ALICE.account)));
    }
    world.succeed(ALICE, "UpdateAlias", moves);
    put(&world, ALICE, &new, &fixed);
    assert_eq!(
        world.refuse(ALICE, "DeleteAlias", json!({"AliasName": "alias/app"})),
        "AccessDeniedException"
    );
    let request = json!({"AliasName": "alias/more", "TargetKeyId": new.id});
    assert_eq!(world.refuse(ALICE, "CreateAlias", request), "AccessDeniedException");
}

/// What conditions can ask of imports and rotations.
#[test]
fn conditions_ask_for_the_terms_of_a_keys_life() {
    let check = |operation: &str, condition: Value, request: Value, allowed: bool| {
        let world = World::new();
        let key = world.key_with(ALICE, json!({"Origin": "EXTERNAL"}));
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Action": "kms:*",
            "Resource": "*", "Condition": condition});
        put(&world, ALICE, &key, &policy(statement));
        let mut request = request;
        request["KeyId"] = json!(key.id);
        let denied = world.refuse(ALICE, operation, request) == "AccessDeniedException";
        assert_eq!(!denied, allowed, "{operation} {condition}");
    };
    let wrapping = json!({"WrappingAlgorithm": "RSAES_PKCS1_V1_5", "WrappingKeySpec": "RSA_3072"});
    for (key, value) in [("kms:WrappingAlgorithm", "RSAES_PKCS1_V1_5"), ("kms:WrappingKeySpec", "RSA_3072")] {
        check("GetParametersForImport", json!({"StringEquals": {key: value}}), wrapping.clone(), true);
        check("GetParametersForImport", json!({"StringEquals": {key: "RSA_4096"}}), wrapping.clone(), false);
    }
    let valid_to = crate::world::START.seconds() + 100;
    let import = json!({"ImportToken": "eA==", "EncryptedKeyMaterial": "eA==", "ValidTo": valid_to,
        "ExpirationModel": "KEY_MATERIAL_EXPIRES"});
    for (condition, allowed) in [
        (json!({"StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_EXPIRES"}}), true),
        (json!({"StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}}), false),
        (json!({"NumericLessThanEquals": {"kms:ValidTo": valid_to.to_string()}}), true),
        (json!({"NumericLessThan": {"kms:ValidTo": valid_to.to_string()}}), false),
        (json!({"DateLessThan": {"kms:ValidTo": "2026-11-20T12:01:41Z"}}), true),
        (json!({"DateLessThan": {"kms:ValidTo": "2026-11-20T12:01:40Z"}}), false),
    ] {
        check("ImportKeyMaterial", condition, import.clone(), allowed);
    }
    // What the request does not say is absent, although the material will expire.
    let unsaid = json!({"ImportToken": "eA==", "EncryptedKeyMaterial": "eA==", "ValidTo": valid_to});
    let mut said = unsaid.clone();
    said["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
    let expires = json!({"StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_EXPIRES"}});
    check("ImportKeyMaterial", expires.clone(), said, true);
    check("ImportKeyMaterial", expires, unsaid, false);
    let at_most = |days: &str| json!({"NumericLessThanEquals": {"kms:RotationPeriodInDays": days}});
    check("EnableKeyRotation", at_most("180"), json!({"RotationPeriodInDays": 180}), true);
    check("EnableKeyRotation", at_most("179"), json!({"RotationPeriodInDays": 180}), false);
    check("EnableKeyRotation", at_most("364"), json!({}), false);
    check("EnableKeyRotation", at_most("365"), json!({}), true);
}
