//! Keys of every kind: which there are, what is said of them, what each refuses and who may use it.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::policies::{open_to, policy};
use crate::world::{ALICE, Ask, BOB, Key, REGION, Root, Transcript, World, base64};

/// Every pair of a spec and a usage that there is, as the developer guide lists them.
pub(crate) const KINDS: [(&str, &str); 28] = [
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    ("RSA_2048", "ENCRYPT_DECRYPT"),
    ("RSA_3072", "ENCRYPT_DECRYPT"),
    ("RSA_4096", "ENCRYPT_DECRYPT"),
    ("SM2", "ENCRYPT_DECRYPT"),
    ("RSA_2048", "SIGN_VERIFY"),
    ("RSA_3072", "SIGN_VERIFY"),
    ("RSA_4096", "SIGN_VERIFY"),
    ("ECC_NIST_P256", "SIGN_VERIFY"),
    ("ECC_NIST_P384", "SIGN_VERIFY"),
    ("ECC_NIST_P521", "SIGN_VERIFY"),
    ("ECC_SECG_P256K1", "SIGN_VERIFY"),
    ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    ("ML_DSA_44", "SIGN_VERIFY"),
    ("ML_DSA_65", "SIGN_VERIFY"),
    ("ML_DSA_87", "SIGN_VERIFY"),
    ("SM2", "SIGN_VERIFY"),
    ("HMAC_224", "GENERATE_VERIFY_MAC"),
    ("HMAC_256", "GENERATE_VERIFY_MAC"),
    ("HMAC_384", "GENERATE_VERIFY_MAC"),
    ("HMAC_512", "GENERATE_VERIFY_MAC"),
    ("ECC_NIST_P256", "KEY_AGREEMENT"),
    ("ECC_NIST_P384", "KEY_AGREEMENT"),
    ("ECC_NIST_P521", "KEY_AGREEMENT"),
    ("SM2", "KEY_AGREEMENT"),
    ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"),
    ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ("ML_KEM_1024", "ENCAPSULATE_DECAPSULATE"),
];

/// A Region that has keys of this spec.
pub(crate) fn region_of(spec: &str) -> &'static str {
    if spec == "SM2" { "cn-north-1" } else { REGION }
}

/// What CreateKey takes for a key of this kind.
fn of_kind(spec: &str, usage: &str) -> Value {
    json!({"KeySpec": spec, "KeyUsage": usage})
}

/// Makes a key of this kind where there are such keys.
pub(crate) fn make(world: &World, spec: &str, usage: &str) -> Key {
    world.key_in(region_of(spec), ALICE, of_kind(spec, usage))
}

/// The DER of a key's public key.
pub(crate) fn public_key(world: &World, spec: &str, key: &Key) -> Vec<u8> {
    let shown = world.succeed_in(region_of(spec), ALICE, "GetPublicKey", json!({"KeyId": key.id}));
    crate::world::unbase64(&shown["PublicKey"])
}

#[test]
fn every_kind_is_made_and_described() {
    let world = World::new();
    let mut calls = Transcript::of(&world);
    for (spec, usage) in KINDS {
        let key = make(&world, spec, usage);
        let on_key = json!({"KeyId": key.id});
        let region = region_of(spec);
        calls.send(&Ask::new(ALICE, "DescribeKey", on_key.clone()).region(region));
        let answer = calls.send(&Ask::new(ALICE, "GetPublicKey", on_key).region(region));
        assert_eq!(answer.commands, [""; 0], "a public key is no secret of the HSM's");
    }
    calls.compare(&expect_file!["golden/kinds.txt"]);
}

/// Whatever does not stand in the table cannot be made, and neither can what a Region does not have.
#[test]
fn no_other_kind_is_made() {
    let world = World::new();
    let model = crate::model::Model::installed();
    let mut refused = 0;
    for spec in model.choices("KeySpec") {
        for usage in model.choices("KeyUsageType") {
            if KINDS.contains(&(spec, usage)) {
                continue;
            }
            let ask = Ask::new(ALICE, "CreateKey", of_kind(spec, usage)).region(region_of(spec));
            let expected = json!({"__type": "ValidationException",
                "message": format!("KeyUsage {usage} is not compatible with KeySpec {spec}")});
            assert_eq!(world.send(&ask).body, expected.to_string());
            refused += 1;
        }
    }
    assert_eq!(refused, 20 * 5 - KINDS.len());
    let mut calls = Transcript::of(&world);
    for (spec, usage) in KINDS {
        if spec != "SYMMETRIC_DEFAULT" {
            calls.ask(ALICE, "CreateKey", json!({"KeySpec": spec}));
        }
        for region in [REGION, "us-gov-west-1", "cn-northwest-1"] {
            if spec == "SM2" || spec.starts_with("ML_KEM") {
                calls.send(&Ask::new(ALICE, "CreateKey", of_kind(spec, usage)).region(region));
            }
        }
    }
    calls.compare(&expect_file!["golden/kinds_refused.txt"]);
}

/// A request of every operation that uses key material, beside those of the symmetric key's own.
pub(crate) fn uses(key: &str) -> Vec<(&'static str, Value)> {
    let message = base64(b"message");
    let mac = base64(&[7; 32]);
    vec![
        ("Encrypt", json!({"KeyId": key, "Plaintext": message})),
        (
            "Decrypt",
            json!({"KeyId": key, "CiphertextBlob": base64(&[7; 256]), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyPair", json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})),
        ("GenerateDataKeyPairWithoutPlaintext", json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})),
        ("Sign", json!({"KeyId": key, "Message": message, "SigningAlgorithm": "ECDSA_SHA_256"})),
        (
            "Verify",
            json!({"KeyId": key, "Message": message, "Signature": mac, "SigningAlgorithm": "ECDSA_SHA_256"}),
        ),
        ("GenerateMac", json!({"KeyId": key, "Message": message, "MacAlgorithm": "HMAC_SHA_256"})),
        ("VerifyMac", json!({"KeyId": key, "Message": message, "Mac": mac, "MacAlgorithm": "HMAC_SHA_256"})),
        (
            "DeriveSharedSecret",
            json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": base64(&[7; 91])}),
        ),
        ("Encapsulate", json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"})),
        (
            "Decapsulate",
            json!({"KeyId": key, "SharedSecretCiphertextBlob": base64(&[7; 1088]), "EncapsulationAlgorithm": "ML_KEM"}),
        ),
        ("GetPublicKey", json!({"KeyId": key})),
    ]
}

/// One kind of key for each usage.
const ONE_OF_EACH: [(&str, &str); 6] = [
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    ("RSA_2048", "ENCRYPT_DECRYPT"),
    ("ECC_NIST_P384", "SIGN_VERIFY"),
    ("HMAC_512", "GENERATE_VERIFY_MAC"),
    ("ECC_NIST_P256", "KEY_AGREEMENT"),
    ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE"),
];

/// Every operation on a key of every usage, with an algorithm of another: the usage is told before the algorithm, and
/// nothing reaches the HSM.
#[test]
fn a_key_refuses_what_it_is_not_for() {
    let world = World::new();
    let mut calls = Transcript::of(&world);
    for (spec, usage) in ONE_OF_EACH {
        let key = make(&world, spec, usage);
        calls.note(&format!("{spec} {usage}"));
        for (operation, request) in uses(&key.id) {
            calls.ask(ALICE, operation, request);
        }
    }
    calls.compare(&expect_file!["golden/kinds_usages.txt"]);
}

/// The usage is told before the state, and the state before the algorithm.
#[test]
fn states_are_told_after_usages_and_before_algorithms() {
    let world = World::new();
    let mut calls = Transcript::of(&world);
    for (spec, usage) in ONE_OF_EACH {
        let key = make(&world, spec, usage);
        for step in ["DisableKey", "ScheduleKeyDeletion"] {
            world.succeed(ALICE, step, json!({"KeyId": key.id}));
            calls.note(&format!("{spec} {usage} after {step}"));
            for (operation, request) in uses(&key.id) {
                calls.ask(ALICE, operation, request);
            }
        }
    }
    calls.compare(&expect_file!["golden/kinds_states.txt"]);
}

/// A policy decides about every operation on keys of every kind, whose keys they are too.
#[test]
fn no_key_is_used_without_permission() {
    let world = World::new();
    for (spec, usage) in ONE_OF_EACH {
        let key = make(&world, spec, usage);
        for (operation, request) in uses(&key.arn) {
            assert_eq!(world.refuse(BOB, operation, request), "AccessDeniedException", "{operation}");
        }
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Resource": "*",
            "Action": ["kms:PutKeyPolicy"]});
        world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy(statement)}));
        for (operation, request) in uses(&key.id) {
            let answer = world.send(&Ask::new(ALICE, operation, request));
            let expected = format!("kms:{operation} on resource: {}", key.arn);
            assert_eq!(answer.code, Some("AccessDeniedException"), "{operation}");
            assert!(answer.body.contains(&expected), "{}", answer.body);
        }
    }
}

/// What is no grant token is not ignored by any operation.
#[test]
fn a_false_grant_token_is_refused_by_every_kind() {
    let world = World::new();
    let key = world.key(ALICE);
    for (operation, mut request) in uses(&key.id) {
        request["GrantTokens"] = json!(["a-grant-token"]);
        assert_eq!(world.refuse(ALICE, operation, request), "InvalidGrantTokenException", "{operation}");
    }
}

/// An action that is allowed on one condition only; answers whether the request was.
struct Conditional<'w> {
    world: &'w World,
    key: Key,
}

impl Conditional<'_> {
    fn check(&self, operation: &str, condition: Value, request: &Value, expected: bool) {
        let others = json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Resource": "*",
            "NotAction": format!("kms:{operation}")});
        let guarded = json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Resource": "*",
            "Action": format!("kms:{operation}"), "Condition": condition});
        let document = json!({"Version": "2012-10-17", "Statement": [others, guarded]}).to_string();
        let put = json!({"KeyId": self.key.id, "Policy": document});
        self.world.succeed(ALICE, "PutKeyPolicy", put);
        let mut request = request.clone();
        request["KeyId"] = json!(self.key.id);
        let code = self.world.send(&Ask::new(ALICE, operation, request)).code;
        assert_eq!(code != Some("AccessDeniedException"), expected, "{operation} {condition}: {code:?}");
    }
}

#[test]
fn conditions_ask_how_a_key_is_used() {
    let world = World::new();
    let on = |spec, usage| Conditional { world: &world, key: make(&world, spec, usage) };
    let equals = |name: &str, value: &str| json!({"StringEquals": {name: value}});
    let message = base64(b"message");

    let signs = on("RSA_2048", "SIGN_VERIFY");
    let request = json!({"Message": message, "SigningAlgorithm": "RSASSA_PSS_SHA_256", "Signature": message});
    for operation in ["Sign", "Verify"] {
        for (condition, expected) in [
            (equals("kms:SigningAlgorithm", "RSASSA_PSS_SHA_256"), true),
            (equals("kms:SigningAlgorithm", "RSASSA_PKCS1_V1_5_SHA_256"), false),
            // What the request leaves out has its default.
            (equals("kms:MessageType", "RAW"), true),
            (equals("kms:MessageType", "DIGEST"), false),
            (equals("kms:KeySpec", "RSA_2048"), true),
            (equals("kms:KeyUsage", "ENCRYPT_DECRYPT"), false),
            (json!({"Null": {"kms:EncryptionAlgorithm": "true", "kms:MacAlgorithm": "true"}}), true),
        ] {
            signs.check(operation, condition, &request, expected);
        }
    }

    let authenticates = on("HMAC_256", "GENERATE_VERIFY_MAC");
    let request = json!({"Message": message, "MacAlgorithm": "HMAC_SHA_256", "Mac": message});
    for operation in ["GenerateMac", "VerifyMac"] {
        authenticates.check(operation, equals("kms:MacAlgorithm", "HMAC_SHA_256"), &request, true);
        authenticates.check(operation, equals("kms:MacAlgorithm", "HMAC_SHA_512"), &request, false);
    }

    let agrees = on("ECC_NIST_P256", "KEY_AGREEMENT");
    let request = json!({"KeyAgreementAlgorithm": "ECDH", "PublicKey": message});
    agrees.check("DeriveSharedSecret", equals("kms:KeyAgreementAlgorithm", "ECDH"), &request, true);
    agrees.check("DeriveSharedSecret", equals("kms:KeyAgreementAlgorithm", "X"), &request, false);

    let encrypts = on("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT");
    let request = json!({"KeyPairSpec": "ECC_NIST_P256", "EncryptionContext": {"a": "b"}, "DryRun": true});
    for operation in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
        for (condition, expected) in [
            (equals("kms:DataKeyPairSpec", "ECC_NIST_P256"), true),
            (equals("kms:DataKeyPairSpec", "RSA_2048"), false),
            (equals("kms:EncryptionContext:a", "b"), true),
            (equals("kms:EncryptionContext:a", "c"), false),
            (equals("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT"), true),
        ] {
            encrypts.check(operation, condition, &request, expected);
        }
    }

    let rsa = on("RSA_2048", "ENCRYPT_DECRYPT");
    let request = json!({"Plaintext": message, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"});
    rsa.check("Encrypt", equals("kms:EncryptionAlgorithm", "RSAES_OAEP_SHA_1"), &request, true);
    rsa.check("Encrypt", equals("kms:EncryptionAlgorithm", "RSAES_OAEP_SHA_256"), &request, false);

    let kem = on("ML_KEM_768", "ENCAPSULATE_DECAPSULATE");
    let request = json!({"EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": message});
    for operation in ["Encapsulate", "Decapsulate"] {
        kem.check(operation, equals("kms:KeyUsage", "ENCAPSULATE_DECAPSULATE"), &request, true);
        kem.check(operation, equals("kms:KeySpec", "ML_KEM_512"), &request, false);
    }
}

/// Keys of every kind work for another account that their policy names, and by their alias.
#[test]
fn keys_are_shared_and_named_by_alias() {
    let world = World::new();
    let shared =
        json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), open_to(BOB.account)]});
    for (number, (spec, usage)) in ONE_OF_EACH.into_iter().enumerate() {
        let key = make(&world, spec, usage);
        let name = format!("alias/k{number}");
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": key.id}));
        world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": shared.to_string()}));
        let alias = format!("arn:aws:kms:us-east-1:{}:{name}", ALICE.account);
        let outcome = |caller: Root, named: &str, (operation, request): &(&str, Value)| {
            let mut request = request.clone();
            request["KeyId"] = json!(named);
            world.send(&Ask::new(caller, operation, request)).code
        };
        for used in uses(&key.id) {
            let own = outcome(ALICE, &key.id, &used);
            assert_ne!(own, Some("AccessDeniedException"), "{}", used.0);
            assert_eq!(outcome(ALICE, &name, &used), own, "{}", used.0);
            assert_eq!(outcome(BOB, &key.arn, &used), own, "{}", used.0);
            assert_eq!(outcome(BOB, &alias, &used), own, "{}", used.0);
        }
    }
}
