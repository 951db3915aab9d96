//! What the trail says of each call, and what it never says.

use claviger_service::kms::ops;
use claviger_service::schedule;
use claviger_wire::incoming::{Origin, Tls};
use expect_test::{ExpectFile, expect_file};
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::kinds::make;
use crate::policies::{open_to, policy};
use crate::world::{ALICE, Ask, BOB, DAY_MS, NO_KEY, World, base64, block_on};

/// The events from a place on, one a line.
fn compare(world: &World, from: usize, expected: &ExpectFile) {
    let events = world.ledger.since(from).into_iter().map(|event| String::from_utf8(event).unwrap());
    let lines: String = events.map(|event| format!("{}\n\n", world.normalize(&event))).collect();
    expected.assert_eq(&lines);
}

/// One event of each operation that succeeds, whole and in CloudTrail's order of members.
#[test]
fn each_operation_has_its_record() {
    let world = World::new();
    let (key, other) = (world.key(ALICE), world.key(ALICE));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let from = world.ledger.len();
    let id = json!({"KeyId": key.id});
    let context = json!({"tenant": "a"});
    let own_policy = policy(open_to(ALICE.account));
    for (operation, request) in [
        (
            "CreateKey",
            json!({"Description": "d", "Policy": own_policy, "Tags": [{"TagKey": "a", "TagValue": "b"}],
            "MultiRegion": false}),
        ),
        ("DescribeKey", id.clone()),
        ("ListKeys", json!({"Limit": 1})),
        ("UpdateKeyDescription", json!({"KeyId": key.id, "Description": "new"})),
        ("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id})),
        ("UpdateAlias", json!({"AliasName": "alias/app", "TargetKeyId": other.arn})),
        ("UpdateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id})),
        ("ListAliases", json!({"KeyId": key.id})),
        ("TagResource", json!({"KeyId": key.id, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("ListResourceTags", id.clone()),
        ("UntagResource", json!({"KeyId": key.id, "TagKeys": ["a"]})),
        ("GetKeyPolicy", id.clone()),
        ("PutKeyPolicy", json!({"KeyId": key.id, "Policy": own_policy, "PolicyName": "default"})),
        ("ListKeyPolicies", id.clone()),
        ("Encrypt", json!({"KeyId": "alias/app", "Plaintext": "eA==", "EncryptionContext": context})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": blob, "DestinationKeyId": other.id,
            "DestinationEncryptionContext": context}),
        ),
        ("GenerateDataKey", json!({"KeyId": key.id, "KeySpec": "AES_256", "EncryptionContext": context})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key.id, "NumberOfBytes": 16})),
        ("GenerateRandom", json!({"NumberOfBytes": 16})),
        ("ListGrants", json!({"KeyId": key.id, "Limit": 5})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": "arn:aws:iam::111122223333:root"})),
        ("DisableKey", id.clone()),
        ("EnableKey", id.clone()),
        ("DeleteAlias", json!({"AliasName": "alias/app"})),
        ("ScheduleKeyDeletion", json!({"KeyId": key.id, "PendingWindowInDays": 7})),
        ("CancelKeyDeletion", id.clone()),
        ("ScheduleKeyDeletion", id),
    ] {
        world.succeed(ALICE, operation, request);
    }
    world.clock.advance(30 * DAY_MS);
    block_on(schedule::run_due(&world.service, world.now())).unwrap();
    compare(&world, from, &expect_file!["golden/events.txt"]);
}

/// The same for grants, also where another account is concerned. No token stands in any record.
#[test]
fn each_operation_on_grants_has_its_record() {
    let world = World::new();
    let key = world.key(ALICE);
    let from = world.ledger.len();
    let bobs = "arn:aws:iam::444455556666:root";
    let constraints = json!({"EncryptionContextEquals": {"tenant": "a"}});
    let request = json!({"KeyId": key.id, "GranteePrincipal": bobs, "RetiringPrincipal": bobs, "Name": "n",
        "Operations": ["Encrypt", "CreateGrant"], "Constraints": constraints});
    let grant = |caller, request: &Value| world.succeed(caller, "CreateGrant", request.clone());
    let (parent, mut child) = (grant(ALICE, &request), request.clone());
    (child["KeyId"], child["GrantTokens"]) = (json!(key.arn), json!([parent["GrantToken"]]));
    let child = grant(BOB, &child);
    let encrypt = json!({"KeyId": key.arn, "Plaintext": "eA==", "EncryptionContext": {"tenant": "a"},
        "GrantTokens": [parent["GrantToken"], child["GrantToken"]]});
    world.succeed(BOB, "Encrypt", encrypt);
    world.succeed(ALICE, "ListGrants", json!({"KeyId": key.id, "GranteePrincipal": bobs}));
    world.succeed(BOB, "ListRetirableGrants", json!({"RetiringPrincipal": bobs}));
    world.succeed(BOB, "RetireGrant", json!({"GrantToken": child["GrantToken"]}));
    world.refuse(BOB, "RevokeGrant", json!({"KeyId": key.arn, "GrantId": parent["GrantId"]}));
    world.succeed(ALICE, "RevokeGrant", json!({"KeyId": key.id, "GrantId": parent["GrantId"]}));
    world.refuse(BOB, "RetireGrant", json!({"KeyId": key.arn, "GrantId": parent["GrantId"]}));
    compare(&world, from, &expect_file!["golden/events_of_grants.txt"]);
    let trail = String::from_utf8(world.ledger.since(0).concat()).unwrap();
    for made in [parent, child] {
        assert!(!trail.contains(made["GrantToken"].as_str().unwrap()));
    }
}

/// The same for what keys of other kinds do. What a request leaves out is shown with its default.
#[test]
fn each_operation_of_other_kinds_has_its_record() {
    let world = World::new();
    let of = |spec, usage| make(&world, spec, usage);
    let (rsa, other) = (of("RSA_2048", "ENCRYPT_DECRYPT"), world.key(ALICE));
    let (signs, authenticates) = (of("ECC_NIST_P256", "SIGN_VERIFY"), of("HMAC_256", "GENERATE_VERIFY_MAC"));
    let (agrees, encapsulates) =
        (of("ECC_NIST_P256", "KEY_AGREEMENT"), of("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"));
    let from = world.ledger.len();
    let message = base64(b"message");
    let succeed = |operation: &str, request: Value| world.succeed(ALICE, operation, request);
    succeed("CreateKey", json!({"KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"}));
    let oaep = "RSAES_OAEP_SHA_256";
    let encrypt = json!({"KeyId": rsa.id, "Plaintext": message, "EncryptionAlgorithm": oaep});
    let blob = succeed("Encrypt", encrypt)["CiphertextBlob"].clone();
    succeed("Decrypt", json!({"KeyId": rsa.id, "CiphertextBlob": blob, "EncryptionAlgorithm": oaep}));
    succeed(
        "ReEncrypt",
        json!({"SourceKeyId": rsa.id, "SourceEncryptionAlgorithm": oaep, "CiphertextBlob": blob,
            "DestinationKeyId": other.id}),
    );
    let sign = json!({"KeyId": signs.id, "Message": message, "SigningAlgorithm": "ECDSA_SHA_256"});
    let mut verify = sign.clone();
    verify["Signature"] = succeed("Sign", sign)["Signature"].clone();
    succeed("Verify", verify);
    let mac = json!({"KeyId": authenticates.id, "Message": message, "MacAlgorithm": "HMAC_SHA_256"});
    let mut verify = mac.clone();
    verify["Mac"] = succeed("GenerateMac", mac)["Mac"].clone();
    succeed("VerifyMac", verify);
    let public = succeed("GetPublicKey", json!({"KeyId": agrees.id}))["PublicKey"].clone();
    let derive = json!({"KeyId": agrees.id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public});
    succeed("DeriveSharedSecret", derive);
    let encapsulate = json!({"KeyId": encapsulates.id, "EncapsulationAlgorithm": "ML_KEM"});
    let mut decapsulate = encapsulate.clone();
    decapsulate["SharedSecretCiphertextBlob"] =
        succeed("Encapsulate", encapsulate)["SharedSecretCiphertextBlob"].clone();
    succeed("Decapsulate", decapsulate);
    let pair = json!({"KeyId": other.id, "KeyPairSpec": "ECC_NIST_P256", "EncryptionContext": {"a": "b"}});
    succeed("GenerateDataKeyPair", pair.clone());
    succeed("GenerateDataKeyPairWithoutPlaintext", pair);
    let wrong = json!({"KeyId": signs.id, "Message": message, "SigningAlgorithm": "ECDSA_SHA_256", "Signature": "eA==",
        "MessageType": "RAW"});
    world.refuse(ALICE, "Verify", wrong);
    compare(&world, from, &expect_file!["golden/events_of_kinds.txt"]);
}

/// Nothing that keys of other kinds take or give stands in any event but what names it: no message, digest, signature, MAC,
/// public key or shared secret; whether calls succeed or fail.
#[test]
fn secrets_of_other_kinds_stay_out_of_the_trail() {
    const CANARY: &[u8] = b"canary-0123456789abcdef012345678";
    let world = World::new();
    let canary = base64(CANARY);
    let mut secrets = vec![canary.clone(), String::from_utf8(CANARY.to_vec()).unwrap()];
    let symmetric = world.key(ALICE);
    let kinds = [
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("RSA_2048", "SIGN_VERIFY"),
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("ECC_NIST_P256", "KEY_AGREEMENT"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ];
    let keys = kinds.map(|(spec, usage)| make(&world, spec, usage));
    let public = &world.succeed(ALICE, "GetPublicKey", json!({"KeyId": keys[3].id}))["PublicKey"];
    let mut answered = 0;
    for key in keys.iter().chain([&symmetric]) {
        for kind in ["RAW", "DIGEST"] {
            let everything = json!({"KeyId": key.id, "Plaintext": canary, "Message": canary, "MessageType": kind,
                "EncryptionAlgorithm": "RSAES_OAEP_SHA_1", "SigningAlgorithm": "RSASSA_PSS_SHA_256",
                "MacAlgorithm": "HMAC_SHA_256", "KeyAgreementAlgorithm": "ECDH", "EncapsulationAlgorithm": "ML_KEM",
                "KeyPairSpec": "ECC_NIST_P256", "CiphertextBlob": base64(&CANARY.repeat(8)), "Signature": canary,
                "Mac": canary, "PublicKey": public, "SharedSecretCiphertextBlob": base64(&CANARY.repeat(34))});
            for entry in ops::ALL.iter().filter(|entry| entry.read_only) {
                let answer = world.send(&Ask::new(ALICE, entry.name, everything.clone()));
                let body: Value = serde_json::from_str(&answer.body).unwrap();
                for member in [
                    "CiphertextBlob",
                    "Plaintext",
                    "Signature",
                    "Mac",
                    "PublicKey",
                    "SharedSecret",
                    "SharedSecretCiphertextBlob",
                    "PrivateKeyCiphertextBlob",
                    "PrivateKeyPlaintext",
                ] {
                    secrets.extend(body[member].as_str().map(str::to_owned));
                    answered += usize::from(body[member].is_string());
                }
            }
        }
    }
    assert!(answered > 20, "{answered} secrets were given");
    let trail = String::from_utf8(world.ledger.records(0).concat()).unwrap();
    for secret in secrets {
        assert!(!trail.contains(&secret), "{secret}");
    }
}

/// Calls that fail are recorded too, each with what it said.
#[test]
fn refused_calls_have_their_records() {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    let from = world.ledger.len();
    for (caller, operation, request) in [
        (ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="})),
        (ALICE, "Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}})),
        (ALICE, "DescribeKey", json!({"KeyId": NO_KEY})),
        (ALICE, "CreateAlias", json!({"AliasName": "alias/aws/x", "TargetKeyId": key.id})),
        (ALICE, "CreateAlias", json!({"AliasName": "no alias", "TargetKeyId": key.id})),
        (ALICE, "CreateAlias", json!({"AliasName": 1})),
        (ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": "x"})),
        (BOB, "Encrypt", json!({"KeyId": key.arn, "Plaintext": "eA==", "EncryptionContext": {"a": "b"}})),
        (BOB, "DisableKey", json!({"KeyId": key.arn})),
        (BOB, "Decrypt", json!({"CiphertextBlob": blob})),
        (ALICE, "GenerateRandom", json!({})),
        (ALICE, "CreateGrant", json!({"KeyId": key.id})),
        (ALICE, "NoSuchOperation", json!({"a": "b"})),
    ] {
        world.refuse(caller, operation, request);
    }
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    for (operation, request) in [
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": "eA==", "DryRun": true})),
        ("Decrypt", json!({"CiphertextBlob": blob, "DryRun": true})),
    ] {
        world.refuse(ALICE, operation, request);
    }
    compare(&world, from, &expect_file!["golden/events_of_refusals.txt"]);
}

/// TLS has its part in the record.
#[test]
fn the_record_says_what_tls_agreed_on() {
    let world = World::new();
    let tls = Tls {
        version: "TLSv1.3",
        cipher_suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        key_exchange: "X25519MLKEM768".to_owned(),
    };
    let origin = Origin {
        peer: "2001:db8::1".parse::<std::net::IpAddr>().unwrap().into(),
        tls: Some(tls),
        endpoint: None,
    };
    let ask = Ask::new(ALICE, "ListKeys", json!({})).origin(origin).header("user-agent", "aws-cli/2 \"x\"");
    let event = world.send(&ask).event;
    assert_eq!(
        event["tlsDetails"],
        json!({"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_256_GCM_SHA384",
            "clientProvidedHostHeader": "kms.us-east-1.amazonaws.com", "keyExchange": "X25519MLKEM768"})
    );
    assert_eq!(
        (&event["sourceIPAddress"], &event["userAgent"]),
        (&json!("2001:db8::1"), &json!("aws-cli/2 \"x\""))
    );
}

/// Nothing of section 2 of the audit reference stands in any event: plaintexts, data keys, blobs, grant tokens,
/// attestation documents, secrets; whether calls succeed or fail.
#[test]
fn secrets_stay_out_of_the_trail() {
    const CANARY: &str = "canary-0123456789abcdef0123456789abcdef";
    let world = World::new();
    let key = world.key(ALICE);
    let mut secrets =
        vec![ALICE.secret.to_owned(), BOB.secret.to_owned(), CANARY.to_owned(), base64(CANARY.as_bytes())];
    let mut keep = |answer: &Value| {
        for member in ["Plaintext", "CiphertextBlob"] {
            secrets.extend(answer[member].as_str().map(str::to_owned));
        }
    };
    let encrypted =
        world.succeed(ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": base64(CANARY.as_bytes())}));
    keep(&encrypted);
    let blob = &encrypted["CiphertextBlob"];
    keep(&world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob})));
    keep(&world.succeed(ALICE, "ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key.id})));
    keep(&world.succeed(ALICE, "GenerateDataKey", json!({"KeyId": key.id, "NumberOfBytes": 32})));
    keep(&world.succeed(
        ALICE,
        "GenerateDataKeyWithoutPlaintext",
        json!({"KeyId": key.id, "NumberOfBytes": 32}),
    ));
    keep(&world.succeed(ALICE, "GenerateRandom", json!({"NumberOfBytes": 32})));
    let recipient = json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": base64(CANARY.as_bytes())});
    let token = json!([CANARY]);
    let long = base64(CANARY.repeat(200).as_bytes());
    for (operation, request) in [
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": base64(CANARY.as_bytes()), "GrantTokens": token})),
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": long})),
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": CANARY})),
        ("Encrypt", json!({"KeyId": NO_KEY, "Plaintext": base64(CANARY.as_bytes())})),
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": base64(CANARY.as_bytes()), "DryRun": true})),
        ("Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}})),
        ("Decrypt", json!({"CiphertextBlob": long})),
        ("Decrypt", json!({"CiphertextBlob": blob, "Recipient": recipient})),
        ("DescribeKey", json!({"KeyId": key.id, "GrantTokens": [CANARY.repeat(1000)]})),
        ("DescribeKey", json!({"KeyId": key.id, "GrantTokens": token})),
        ("GenerateRandom", json!({"NumberOfBytes": 1, "Recipient": recipient})),
    ] {
        world.refuse(ALICE, operation, request);
    }
    let trail = world.ledger.records(0).concat();
    let trail = String::from_utf8(trail).unwrap();
    for secret in secrets {
        assert!(!trail.contains(&secret), "{secret}");
    }
    assert!(trail.contains("ReEncrypt") && trail.contains("InvalidGrantTokenException"));
}

/// Attack I5: whatever stands in what callers write, a record is one line and says exactly that.
#[test]
fn i05_a_record_is_one_line_that_says_what_was_sent() {
    let nasty = "a\r\nb\u{0}\u{1b}[31m\u{2028}\u{85}\u{7f}\"}\\,{\"x\":\u{feff}\u{1f511}\u{e9}\t";
    let world = World::new();
    let key = world.key(ALICE);
    let sent = |operation: &str, request: Value| {
        let from = world.ledger.len();
        let answer = world.send(&Ask::new(ALICE, operation, request));
        let line = String::from_utf8(world.ledger.since(from).remove(0)).unwrap();
        assert!(!line.chars().any(|c| c.is_ascii_control() && c != '\u{7f}'), "{line:?}");
        answer.event
    };
    let made = sent("CreateKey", json!({"Description": nasty}));
    assert_eq!(made["requestParameters"]["description"], nasty);
    assert_eq!(made["responseElements"]["keyMetadata"]["description"], nasty);
    let context = json!({"KeyId": key.id, "Plaintext": "eA==", "EncryptionContext": {nasty: nasty}});
    assert_eq!(sent("Encrypt", context)["requestParameters"]["encryptionContext"], json!({nasty: nasty}));
    let tagged =
        sent("TagResource", json!({"KeyId": key.id, "Tags": [{"TagKey": nasty, "TagValue": nasty}]}));
    assert_eq!(tagged["requestParameters"]["tags"], json!([{"tagKey": nasty, "tagValue": nasty}]));
    for (operation, request) in [
        ("CreateAlias", json!({"AliasName": nasty, "TargetKeyId": key.id})),
        ("DescribeKey", json!({"KeyId": nasty})),
        ("ListKeys", json!({"Marker": nasty})),
        ("PutKeyPolicy", json!({"KeyId": key.id, "Policy": nasty})),
    ] {
        let event = sent(operation, request);
        assert!(event["errorMessage"].as_str().unwrap().contains("[31m"), "{event}");
    }
    let agent = "x\ty \"}\\{ ~";
    let event = world.send(&Ask::new(ALICE, "ListKeys", json!({})).header("user-agent", agent)).event;
    assert_eq!(event["userAgent"], agent);
}

/// A record has its room whatever is in it: the longest of everything, and of what grows when it is written as JSON.
#[test]
fn the_largest_record_fits_its_room() {
    let world = World::new();
    let key = world.key(ALICE);
    let grows = "\u{1}";
    let agent = "\"".repeat(8000);
    for (operation, request) in [
        ("UpdateKeyDescription", json!({"KeyId": key.id, "Description": grows.repeat(8192)})),
        ("CreateKey", json!({"Description": "\u{1f511}".repeat(8192)})),
        ("CreateKey", json!({"Description": grows.repeat(8192)})),
        ("CreateKey", json!({"Description": grows.repeat(9000)})),
        ("CreateKey", json!({"Description": grows.repeat(150_000)})),
        ("DescribeKey", json!({"KeyId": grows.repeat(2048)})),
        ("CreateAlias", json!({"AliasName": grows.repeat(256), "TargetKeyId": grows.repeat(2048)})),
        (
            "TagResource",
            json!({"KeyId": key.id, "Tags":
            (0..1000).map(|_| json!({"TagKey": grows.repeat(128), "TagValue": "\"".repeat(256)})).collect::<Value>()}),
        ),
    ] {
        let answer = world.send(&Ask::new(ALICE, operation, request).header("user-agent", &agent));
        assert_ne!(answer.status, 500, "{operation}");
        assert_eq!(answer.event["userAgent"].as_str().map(str::len), Some(1024));
    }
}

/// The same for forms, whose bytes may stand as they are: an escape in the record can take six times as many.
#[test]
fn the_largest_form_leaves_a_record() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let list = |name: &str, count: usize, text: &str| -> String {
        (1..=count).map(|number| format!("&{name}.member.{number}={number}{text}")).collect()
    };
    let document = policy(json!({"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}));
    let simulation = "Action=SimulateCustomPolicy&ActionNames.member.1=kms:Encrypt\
                      &ContextEntries.member.1.ContextKeyName=aws:x&ContextEntries.member.1.ContextKeyType=stringList";
    let refused = [Some("ValidationError"); 3];
    let taken = [None, Some("InvalidInput"), None];
    for (grows, expected) in [("\u{1}", refused), ("\"", taken), ("\\", taken), ("\t", taken)] {
        let ids = list("ClientIDList", 60, &grows.repeat(253));
        let values = list("ContextEntries.member.1.ContextKeyValues", 30, &grows.repeat(3000));
        let forms = [
            format!("Action=CreateOpenIDConnectProvider&Url=https://issuer.example{ids}"),
            format!("Action=CreateOpenIDConnectProvider&Url=no{ids}"),
            format!("{simulation}&PolicyInputList.member.1={document}{values}"),
        ];
        for (form, code) in forms.iter().zip(expected) {
            let incoming = root.posts(&world, ("iam", "us-east-1"), &format!("Version=2010-05-08&{form}"));
            let events = world.ledger.len();
            let handled = block_on(world.service.handle(&incoming, world.now()));
            assert_eq!(handled.code, code, "{grows:?} {}", String::from_utf8_lossy(&handled.outgoing.body));
            assert_eq!(world.ledger.len(), events + 1, "{grows:?}");
            let arn =
                [("OpenIDConnectProviderArn", "arn:aws:iam::111122223333:oidc-provider/issuer.example")];
            root.does(&world, "DeleteOpenIDConnectProvider", &arn);
        }
    }
}
