//! The condition keys of each operation, as the Service Authorization Reference has them: each is there for policies to ask
//! about when the request says something of it, and no other is.

use std::collections::BTreeSet;

use claviger_service::kms::ops;
use serde_json::{Value, json};

use crate::actor::{Actor, new_user};
use crate::condition_values::check_known;
use crate::enclave::Document;
use crate::enclave_requests::{named, trusted};
use crate::policies::{open_to, policy};
use crate::services::{STORAGE, behalf, served};
use crate::state_matrix::operation_of;
use crate::world::{ALICE, Key, START, World, base64, block_on};

const EU: &str = "eu-west-1";
pub(crate) const ANN: &str = "arn:aws:iam::111122223333:user/Ann";
/// What a grant is good for.
pub(crate) const SOURCE: &str = "arn:aws:ec2:us-east-1:111122223333:volume/vol-1";

/// What every decision about a key carries.
const KEY: &[&str] = &[
    "kms:CallerAccount",
    "kms:KeyOrigin",
    "kms:KeySpec",
    "kms:KeyUsage",
    "kms:CustomerMasterKeySpec",
    "kms:CustomerMasterKeyUsage",
    "kms:MultiRegion",
    "kms:MultiRegionKeyType",
    "kms:ResourceAliases",
    "aws:ResourceTag/Team",
];
/// What a request carries of a key that is to be made. AWS's list has `aws:ResourceTag` too; nothing is tagged yet.
const NEW_KEY: &[&str] = &[
    "kms:CallerAccount",
    "kms:KeyOrigin",
    "kms:KeySpec",
    "kms:KeyUsage",
    "kms:CustomerMasterKeySpec",
    "kms:CustomerMasterKeyUsage",
    "kms:MultiRegion",
    "kms:MultiRegionKeyType",
    "kms:BypassPolicyLockoutSafetyCheck",
    "aws:RequestTag/Team",
    "aws:TagKeys",
];
const ALIAS: &[&str] = &["kms:RequestAlias"];
const CONTEXT: &[&str] = &["kms:EncryptionContext:Tenant", "kms:EncryptionContextKeys"];
const ENCRYPTION: &[&str] = &["kms:EncryptionAlgorithm"];
const RE_ENCRYPTION: &[&str] = &["kms:EncryptionAlgorithm", "kms:ReEncryptOnSameKey"];
const SIGNING: &[&str] = &["kms:SigningAlgorithm", "kms:MessageType"];
const ENCLAVE: &[&str] = &["kms:RecipientAttestation:ImageSha384", "kms:RecipientAttestation:PCR0"];
const NITROTPM: &[&str] = &["kms:RecipientAttestation:NitroTPMPCR7"];
const GRANT: &[&str] = &[
    "kms:GrantConstraintSourceArn",
    "kms:GrantConstraintType",
    "kms:GrantIsForAWSResource",
    "kms:GrantOperations",
];

/// What each operation carries, by the request that is made. Where an operation has more than one action, and where two
/// members of a request exclude each other, a word in brackets tells the rows apart.
const CARRIED: &[(&str, &[&[&str]])] = &[
    ("CancelKeyDeletion", &[KEY]),
    ("CreateAlias", &[KEY]),
    ("CreateGrant", &[KEY, CONTEXT, GRANT, &["kms:GranteePrincipal", "kms:RetiringPrincipal"]]),
    (
        "CreateGrant (to a service)",
        &[KEY, CONTEXT, GRANT, &["kms:GranteeServicePrincipal", "kms:RetiringServicePrincipal"]],
    ),
    ("CreateKey", &[NEW_KEY]),
    ("Decapsulate", &[KEY, ALIAS]),
    ("Decrypt", &[KEY, ALIAS, ENCRYPTION, CONTEXT, ENCLAVE]),
    ("Decrypt (NitroTPM)", &[KEY, ALIAS, ENCRYPTION, CONTEXT, NITROTPM]),
    ("DeleteAlias", &[KEY]),
    ("DeleteImportedKeyMaterial", &[KEY]),
    ("DeriveSharedSecret", &[KEY, ALIAS, ENCLAVE, &["kms:KeyAgreementAlgorithm"]]),
    ("DeriveSharedSecret (NitroTPM)", &[KEY, ALIAS, NITROTPM, &["kms:KeyAgreementAlgorithm"]]),
    ("DescribeKey", &[KEY, ALIAS]),
    ("DisableKey", &[KEY, &["kms:TrailingDaysWithoutKeyUsage"]]),
    ("DisableKeyRotation", &[KEY]),
    ("EnableKey", &[KEY]),
    ("EnableKeyRotation", &[KEY, &["kms:RotationPeriodInDays"]]),
    ("Encapsulate", &[KEY, ALIAS]),
    ("Encrypt", &[KEY, ALIAS, ENCRYPTION, CONTEXT]),
    ("GenerateDataKey", &[KEY, ALIAS, ENCRYPTION, CONTEXT, ENCLAVE]),
    ("GenerateDataKey (NitroTPM)", &[KEY, ALIAS, ENCRYPTION, CONTEXT, NITROTPM]),
    ("GenerateDataKeyPair", &[KEY, ALIAS, ENCRYPTION, CONTEXT, ENCLAVE, &["kms:DataKeyPairSpec"]]),
    (
        "GenerateDataKeyPair (NitroTPM)",
        &[KEY, ALIAS, ENCRYPTION, CONTEXT, NITROTPM, &["kms:DataKeyPairSpec"]],
    ),
    ("GenerateDataKeyPairWithoutPlaintext", &[KEY, ALIAS, ENCRYPTION, CONTEXT, &["kms:DataKeyPairSpec"]]),
    ("GenerateDataKeyWithoutPlaintext", &[KEY, ALIAS, ENCRYPTION, CONTEXT]),
    ("GenerateMac", &[KEY, ALIAS, &["kms:MacAlgorithm"]]),
    ("GenerateRandom", &[ENCLAVE]),
    ("GenerateRandom (NitroTPM)", &[NITROTPM]),
    ("GetKeyLastUsage", &[KEY]),
    ("GetKeyPolicy", &[KEY, &["kms:PolicyName"]]),
    ("GetKeyRotationStatus", &[KEY]),
    ("GetParametersForImport", &[KEY, &["kms:WrappingAlgorithm", "kms:WrappingKeySpec"]]),
    ("GetPublicKey", &[KEY, ALIAS]),
    ("ImportKeyMaterial", &[KEY, &["kms:ExpirationModel", "kms:ValidTo"]]),
    ("ListAliases", &[]),
    ("ListGrants", &[KEY, &["kms:GrantIsForAWSResource"]]),
    ("ListKeyPolicies", &[KEY]),
    ("ListKeyRotations", &[KEY]),
    ("ListKeys", &[]),
    ("ListResourceTags", &[KEY]),
    ("ListRetirableGrants", &[]),
    ("PutKeyPolicy", &[KEY, &["kms:BypassPolicyLockoutSafetyCheck", "kms:PolicyName"]]),
    ("ReEncrypt (from)", &[KEY, ALIAS, CONTEXT, RE_ENCRYPTION]),
    ("ReEncrypt (to)", &[KEY, ALIAS, CONTEXT, RE_ENCRYPTION]),
    ("ReplicateKey", &[KEY, &["kms:ReplicaRegion"]]),
    ("ReplicateKey (replica)", &[NEW_KEY]),
    ("RetireGrant", &[KEY, CONTEXT, &["kms:GrantConstraintType"]]),
    ("RevokeGrant", &[KEY, &["kms:GrantIsForAWSResource"]]),
    ("RotateKeyOnDemand", &[KEY]),
    (
        "ScheduleKeyDeletion",
        &[KEY, &["kms:ScheduleKeyDeletionPendingWindowInDays", "kms:TrailingDaysWithoutKeyUsage"]],
    ),
    ("Sign", &[KEY, ALIAS, SIGNING]),
    ("TagResource", &[KEY, &["aws:RequestTag/Team", "aws:TagKeys"]]),
    ("UntagResource", &[KEY, &["aws:TagKeys"]]),
    ("UpdateAlias", &[KEY]),
    ("UpdateKeyDescription", &[KEY]),
    ("UpdatePrimaryRegion", &[KEY, &["kms:PrimaryRegion"]]),
    ("Verify", &[KEY, ALIAS, SIGNING]),
    ("VerifyMac", &[KEY, ALIAS, &["kms:MacAlgorithm"]]),
];

/// Operations that are asked through a service too, which is the only one to say so.
const THROUGH_A_SERVICE: [&str; 12] = [
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "ListGrants",
    "ReEncrypt",
    "RetireGrant",
    "RevokeGrant",
];
const VIA: &str = "kms:ViaService";

/// The action that a row of the table is about.
pub(crate) fn action(label: &str) -> String {
    let name = match label {
        "ReplicateKey (replica)" => "CreateKey",
        from if from.starts_with("ReEncrypt (from") => "ReEncryptFrom",
        to if to.starts_with("ReEncrypt (to") => "ReEncryptTo",
        other => operation_of(other),
    };
    format!("kms:{name}")
}

/// Makes a multi-Region key with a tag and an alias: one that has something to say to every condition.
fn key(world: &World, alias: &str, more: Value) -> Key {
    let mut request = json!({"MultiRegion": true, "Tags": [{"TagKey": "Team", "TagValue": "red"}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = world.key_with(ALICE, request);
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": alias, "TargetKeyId": key.id}));
    key
}

/// How a request is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    /// By a service on the user's behalf.
    Through,
}

/// A world with a user, and a request of each operation that says all that conditions can ask for.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) ann: Actor,
    requests: Vec<(&'static str, Value)>,
}

impl Scene {
    pub(crate) fn set() -> Self {
        let world = World::new();
        let ann = new_user(&world, ALICE, "Ann");
        let app = key(&world, "alias/app", json!({}));
        key(&world, "alias/other", json!({}));
        let tags = json!([{"TagKey": "Team", "TagValue": "red"}]);
        world.succeed(
            ALICE,
            "ReplicateKey",
            json!({"KeyId": app.id, "ReplicaRegion": EU, "Tags": tags.clone()}),
        );
        world.succeed_in(EU, ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": app.id}));
        for (alias, spec, usage) in [
            ("alias/signs", "ECC_NIST_P256", "SIGN_VERIFY"),
            ("alias/authenticates", "HMAC_256", "GENERATE_VERIFY_MAC"),
            ("alias/agrees", "ECC_NIST_P256", "KEY_AGREEMENT"),
            ("alias/encapsulates", "ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
        ] {
            key(&world, alias, json!({"KeySpec": spec, "KeyUsage": usage}));
        }
        let requests = [uses(&world, &app), changes(&world, &app), grants(&world, &app)].concat();
        Self { world, ann, requests }
    }

    /// The request of a row, and one that needs no more than the key where it is not among those that do.
    fn request(&self, label: &str) -> Value {
        let of = |name: &str| self.requests.iter().find(|(it, _)| *it == name);
        let found = of(label).or_else(|| of(operation_of(label))).or_else(|| of("any"));
        let mut request = found.unwrap().1.clone();
        if label.ends_with("(NitroTPM)") {
            request["Recipient"] = named(&Document::nitrotpm(trusted(), START).sign());
        }
        request
    }

    /// Whether a user whose only policy has these statements is let through, in a world of its own.
    pub(crate) fn allows(&self, way: Way, label: &str, statements: &[Value]) -> bool {
        let world = self.world.copy();
        bind(&world, statements);
        let (operation, request) = (operation_of(label), self.request(label));
        let code = match way {
            Way::Through => {
                behalf(&served(world, Some(&THROUGH_A_SERVICE)), STORAGE, &self.ann, operation, &request)
                    .code()
            }
            Way::Direct => {
                let mut incoming = self.ann.json(&world, operation, &request);
                incoming.headers.insert("user-agent", "aws-cli/2".parse().unwrap());
                incoming.headers.insert("referer", "https://console.example/".parse().unwrap());
                block_on(world.service.handle(&incoming, world.now())).code.map(str::to_owned)
            }
        };
        match code.as_deref() {
            // What is not true of the key comes after what its caller may do.
            None | Some("KMSInvalidStateException" | "InvalidImportTokenException") => true,
            Some("AccessDeniedException") => false,
            Some(other) => panic!("{label}: {other}"),
        }
    }
}

/// Gives the user a managed policy, which has room for more than an inline one.
pub(crate) fn bind(world: &World, statements: &[Value]) {
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let root = Actor::from(ALICE);
    let made = root.does(world, "CreatePolicy", &[("PolicyName", "P"), ("PolicyDocument", &document)]);
    root.does(world, "AttachUserPolicy", &[("UserName", "Ann"), ("PolicyArn", made.element("Arn"))]);
}

/// Requests that use key material.
fn uses(world: &World, app: &Key) -> Vec<(&'static str, Value)> {
    let (x, context) = (base64(b"x"), json!({"Tenant": "a"}));
    let blob = world.encrypt(ALICE, app, b"x", context.clone());
    let enclave = named(&Document::enclave(trusted(), START).sign());
    let moves = |to: &str| {
        json!({"CiphertextBlob": blob, "SourceKeyId": "alias/app", "SourceEncryptionContext": context,
            "DestinationKeyId": to, "DestinationEncryptionContext": {"Tenant": "b"}})
    };
    let app = |more: Value| {
        let mut request = json!({"KeyId": "alias/app", "EncryptionContext": context});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let sign = json!({"KeyId": "alias/signs", "Message": x, "SigningAlgorithm": "ECDSA_SHA_256"});
    let mac = json!({"KeyId": "alias/authenticates", "Message": x, "MacAlgorithm": "HMAC_SHA_256"});
    let with = |request: &Value, member: &str, value: String| {
        let mut request = request.clone();
        request[member] = json!(value);
        request
    };
    let kem = json!({"KeyId": "alias/encapsulates", "EncapsulationAlgorithm": "ML_KEM"});
    let signed = world.succeed(ALICE, "Sign", sign.clone());
    let authenticated = world.succeed(ALICE, "GenerateMac", mac.clone());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let shown = world.succeed(ALICE, "GetPublicKey", json!({"KeyId": "alias/agrees"}));
    vec![
        ("Decapsulate", with(&kem, "SharedSecretCiphertextBlob", base64(&[7; 1088]))),
        ("Decrypt", app(json!({"CiphertextBlob": blob, "Recipient": enclave}))),
        (
            "DeriveSharedSecret",
            json!({"KeyId": "alias/agrees", "KeyAgreementAlgorithm": "ECDH",
                "PublicKey": shown["PublicKey"],
                "Recipient": enclave}),
        ),
        ("DescribeKey", json!({"KeyId": "alias/app"})),
        ("Encapsulate", kem),
        ("Encrypt", app(json!({"Plaintext": x}))),
        ("GenerateDataKey", app(json!({"NumberOfBytes": 8, "Recipient": enclave}))),
        ("GenerateDataKeyPair", app(json!({"KeyPairSpec": "ECC_NIST_P256", "Recipient": enclave}))),
        ("GenerateDataKeyPairWithoutPlaintext", app(json!({"KeyPairSpec": "ECC_NIST_P256"}))),
        ("GenerateDataKeyWithoutPlaintext", app(json!({"NumberOfBytes": 8}))),
        ("GenerateRandom", json!({"NumberOfBytes": 8, "Recipient": enclave})),
        ("GetPublicKey", json!({"KeyId": "alias/signs"})),
        ("ReEncrypt", moves("alias/other")),
        ("ReEncrypt (from the same)", moves("alias/app")),
        ("ReEncrypt (to the same)", moves("alias/app")),
        ("Verify", with(&sign, "Signature", text(&signed["Signature"]))),
        ("Sign", sign),
        ("VerifyMac", with(&mac, "Mac", text(&authenticated["Mac"]))),
        ("GenerateMac", mac),
    ]
}

/// Requests that make and change keys.
fn changes(world: &World, app: &Key) -> Vec<(&'static str, Value)> {
    let external = key(world, "alias/external", json!({"Origin": "EXTERNAL"}));
    let other = world.succeed(ALICE, "DescribeKey", json!({"KeyId": "alias/other"}))["KeyMetadata"].take();
    let (x, id, tags) = (base64(b"x"), &app.id, json!([{"TagKey": "Team", "TagValue": "blue"}]));
    vec![
        ("any", json!({"KeyId": id})),
        ("CreateAlias", json!({"AliasName": "alias/new", "TargetKeyId": id})),
        ("CreateKey", json!({"MultiRegion": true, "Tags": tags, "BypassPolicyLockoutSafetyCheck": true})),
        ("DeleteAlias", json!({"AliasName": "alias/app"})),
        ("DeleteImportedKeyMaterial", json!({"KeyId": external.id})),
        ("EnableKeyRotation", json!({"KeyId": id, "RotationPeriodInDays": 180})),
        (
            "GetParametersForImport",
            json!({"KeyId": external.id, "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
                "WrappingKeySpec": "RSA_2048"}),
        ),
        (
            "ImportKeyMaterial",
            json!({"KeyId": external.id, "ImportToken": x, "EncryptedKeyMaterial": x,
                "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": START.seconds() + 100}),
        ),
        ("ListAliases", json!({})),
        ("ListKeys", json!({})),
        (
            "PutKeyPolicy",
            json!({"KeyId": id, "Policy": policy(open_to(ALICE.account)),
                "BypassPolicyLockoutSafetyCheck": false}),
        ),
        (
            "ReplicateKey",
            json!({"KeyId": id, "ReplicaRegion": "ap-south-1", "Tags": tags,
                "BypassPolicyLockoutSafetyCheck": true}),
        ),
        ("ScheduleKeyDeletion", json!({"KeyId": id, "PendingWindowInDays": 8})),
        ("TagResource", json!({"KeyId": id, "Tags": tags})),
        ("UntagResource", json!({"KeyId": id, "TagKeys": ["Team"]})),
        ("UpdateAlias", json!({"AliasName": "alias/other", "TargetKeyId": id})),
        ("UpdateKeyDescription", json!({"KeyId": other["KeyId"], "Description": "d"})),
        ("UpdatePrimaryRegion", json!({"KeyId": id, "PrimaryRegion": EU})),
    ]
}

/// Requests about grants.
fn grants(world: &World, app: &Key) -> Vec<(&'static str, Value)> {
    let constraints = json!({"EncryptionContextEquals": {"Tenant": "a"}, "SourceArn": SOURCE});
    let wanted = |grantee: &str, retiring: &str, who: &str| {
        json!({"KeyId": app.id, "Operations": ["Encrypt", "Decrypt"], "Constraints": constraints,
            grantee: who, retiring: who})
    };
    let to_ann = wanted("GranteePrincipal", "RetiringPrincipal", ANN);
    let to_service = wanted("GranteeServicePrincipal", "RetiringServicePrincipal", "ec2.amazonaws.com");
    let made = world.succeed(ALICE, "CreateGrant", to_service.clone());
    let on_grant = json!({"KeyId": app.id, "GrantId": made["GrantId"]});
    vec![
        ("CreateGrant", to_ann),
        ("CreateGrant (to a service)", to_service),
        ("ListRetirableGrants", json!({"RetiringPrincipal": ANN})),
        ("RetireGrant", on_grant.clone()),
        ("RevokeGrant", on_grant),
    ]
}

/// Every condition key that any operation carries.
fn known() -> BTreeSet<&'static str> {
    CARRIED.iter().flat_map(|(_, groups)| groups.concat()).chain([VIA]).collect()
}

/// Allows an action on a condition, and what else its operation needs.
pub(crate) fn allow_if(action: &str, condition: &Value) -> Vec<Value> {
    vec![
        json!({"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition}),
        json!({"Effect": "Allow", "NotAction": action, "Resource": "*"}),
        // Of an alias there is nothing to ask.
        json!({"Effect": "Allow", "Action": action, "Resource": "arn:aws:kms:*:*:alias/*"}),
    ]
}

/// The condition keys that are in a request are these, and no others that there are.
fn check(scene: &Scene, way: Way, label: &str, expected: &BTreeSet<&str>) {
    let allows = |keys: &[(&str, bool)]| {
        let absent = keys.iter().map(|(key, present)| ((*key).to_owned(), json!((!present).to_string())));
        let condition = json!({"Null": absent.collect::<serde_json::Map<_, _>>()});
        scene.allows(way, label, &allow_if(&action(label), &condition))
    };
    let keys: Vec<_> = known().into_iter().map(|key| (key, expected.contains(key))).collect();
    // Who is let through is so for what it carries.
    let others: Vec<_> = keys.iter().map(|(key, present)| (*key, !present)).collect();
    assert!(!allows(&others), "{label}");
    if !allows(&keys) {
        let carried: BTreeSet<_> = known().into_iter().filter(|key| allows(&[(key, true)])).collect();
        let differ: Vec<_> = carried.symmetric_difference(expected).collect();
        panic!("{label}: the table and the service differ in {differ:?}, or its decisions among themselves");
    }
}

#[test]
fn every_operation_carries_the_condition_keys_of_awss_table() {
    let scene = Scene::set();
    for (label, groups) in CARRIED {
        let mut expected: BTreeSet<&str> = groups.concat().into_iter().collect();
        check(&scene, Way::Direct, label, &expected);
        if THROUGH_A_SERVICE.contains(&operation_of(label)) {
            expected.insert(VIA);
            check(&scene, Way::Through, label, &expected);
        }
    }
}

/// No operation and no condition key is left out, and each key is one that some operation does not carry.
#[test]
fn the_table_is_whole() {
    let operations: BTreeSet<&str> = CARRIED.iter().map(|(label, _)| operation_of(label)).collect();
    assert_eq!(operations, ops::ALL.iter().map(|entry| entry.name).collect());
    for key in known() {
        assert!(CARRIED.iter().any(|(_, groups)| !groups.concat().contains(&key)), "{key}");
    }
    check_known("kms:", &known());
}
