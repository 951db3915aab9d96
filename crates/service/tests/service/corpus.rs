//! What earlier releases have written is read (invariant I8), through the API: each folder of `tests/corpus` holds a domain's
//! seal, the store of an installation, and calls with the answers that they had. What those calls carry was made by that
//! release too: ciphertexts, signatures, import and grant tokens, markers, credentials of users and sessions.
//!
//! A new one is made and read in every run of the tests. It is kept, as that of a release, where `CLAVIGER_CORPUS` names a new
//! folder. The domain guards nothing: its seal lies open beside what it wraps.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use claviger_hsm::SystemEntropy;
use claviger_hsm::seal::file::FileSeal;
use claviger_hsm::seal::{DomainSecrets, Seal};
use claviger_store::{Commit, Memory, Record, Store, Write};
use expect_test::expect;
use serde_json::{Value, json};

use claviger_service::Regions;

use crate::actor::{Actor, Reply, allow, credentials, give, new_user, send, trusts};
use crate::devices::{SERIAL, Telephone, enable};
use crate::grants::{grant, user};
use crate::kinds::{KINDS, make, public_key, region_of};
use crate::material::{Parameters, external, import_for};
use crate::multi_region::{self, EU};
use crate::policies::open_to;
use crate::vault::EngineVault;
use crate::world::{ALICE, BOB, Key, REGION, World, base64, block_on};

/// Files of a seal.
const SEALS: [&str; 2] = ["seal-a", "seal-b"];
/// "what every release must read"
const MESSAGE: &str = "d2hhdCBldmVyeSByZWxlYXNlIG11c3QgcmVhZA==";

fn folders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// A call of the corpus, and the answer that it had.
struct Call {
    caller: Actor,
    service: String,
    region: String,
    operation: String,
    /// A body, or the members of a form.
    request: Value,
    status: u16,
    /// Empty where it differs each time.
    answer: String,
}

impl Call {
    fn line(&self) -> String {
        let Actor { access_key_id, secret, token } = &self.caller;
        json!([
            access_key_id,
            secret,
            token,
            self.service,
            self.region,
            self.operation,
            self.request,
            self.status.to_string(),
            self.answer
        ])
        .to_string()
    }

    fn parse(line: &str) -> Self {
        let parts: Vec<Value> = serde_json::from_str(line).unwrap();
        let text = |at: usize| parts[at].as_str().map(str::to_owned);
        let caller = Actor { access_key_id: text(0).unwrap(), secret: text(1).unwrap(), token: text(2) };
        let [service, region, operation, status, answer] = [3, 4, 5, 7, 8].map(|at| text(at).unwrap());
        let status = status.parse().unwrap();
        Self { caller, service, region, operation, request: parts[6].clone(), status, answer }
    }

    fn make(&self, world: &World) -> Reply {
        let Self { caller, service, region, operation, request, .. } = self;
        let incoming = if service == "kms" {
            caller.json_in(world, region, operation, request)
        } else {
            let members = request.as_object().unwrap().iter();
            let members: Vec<_> =
                members.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
            caller.query(world, service, operation, &members)
        };
        send(world, operation, &incoming)
    }
}

/// A body without what differs from call to call.
fn lasting(body: &str) -> String {
    let Some((before, rest)) = body.split_once("<RequestId>") else { return body.to_owned() };
    before.to_owned() + rest.split_once("</RequestId>").unwrap().1
}

/// Whether an answer in JSON holds all that another held. A later release may say more, and mark pages in its own way.
fn holds(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => then
            .iter()
            .all(|(name, then)| name == "NextMarker" || now.get(name).is_some_and(|now| holds(now, then))),
        (Value::Array(now), Value::Array(then)) => {
            now.len() == then.len() && now.iter().zip(then).all(|(now, then)| holds(now, then))
        }
        _ => now == then,
    }
}

/// The same for an answer in XML, tag by tag.
fn holds_xml(now: &str, then: &str) -> bool {
    let mut said = now.split('<');
    then.split('<').all(|tag| said.any(|other| other == tag))
}

/// Reads a release's corpus; answers which operations were called, and how often.
fn check(folder: &Path) -> BTreeMap<String, usize> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let records = read("store.txt");
    let writes = records.lines().map(|line| {
        let (name, value) = line.split_once(' ').unwrap();
        Write::Put { name: name.as_bytes().to_vec(), value: unhex(value) }
    });
    block_on(store.commit(Commit { preconditions: Vec::new(), writes: writes.collect() })).unwrap();
    let world = World::found(store, Arc::new(EngineVault::of(&seal(folder))), Regions::Any);
    let mut called = BTreeMap::new();
    for line in read("calls.txt").lines() {
        let call = Call::parse(line);
        let reply = call.make(&world);
        let (now, then) = (lasting(&reply.body), &call.answer);
        let same = then.is_empty()
            || match (serde_json::from_str(&now), serde_json::from_str(then)) {
                (Ok(now), Ok(then)) => holds(&now, &then),
                _ => holds_xml(&now, then),
            };
        assert!(reply.status == call.status && same, "{folder:?}: {line:.300}\n{now}\n{then}");
        *called.entry(call.operation).or_default() += 1;
    }
    called
}

/// The secrets of a corpus' domain. A checkout keeps neither owner nor mode, which the seal insists on.
fn seal(folder: &Path) -> DomainSecrets {
    let scratch = tempfile::tempdir().unwrap();
    for copy in SEALS {
        let to = scratch.path().join(copy);
        std::fs::copy(folder.join(copy), &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    open(scratch.path()).load().unwrap()
}

fn open(folder: &Path) -> FileSeal {
    FileSeal::open(folder, Box::new(SystemEntropy::default()), Box::new(|_| {})).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn what_earlier_releases_answered_is_answered() {
    let mut releases: Vec<_> =
        std::fs::read_dir(folders()).unwrap().map(|entry| entry.unwrap().path()).collect();
    releases.sort();
    let mut told = String::new();
    for folder in releases {
        writeln!(told, "{}:", folder.file_name().unwrap().display()).unwrap();
        for (operation, times) in check(&folder) {
            writeln!(told, "{operation} {times}").unwrap();
        }
    }
    expect![[r#"
        0.1.0:
        ChangePassword 1
        Decapsulate 3
        Decrypt 16
        DeriveSharedSecret 4
        DescribeKey 5
        Encrypt 3
        GetCallerIdentity 1
        GetKeyPolicy 1
        GetKeyRotationStatus 1
        GetPolicyVersion 1
        GetPublicKey 23
        GetRole 1
        GetSessionToken 1
        GetUserPolicy 1
        ImportKeyMaterial 1
        ListAccessKeys 1
        ListAliases 1
        ListAttachedRolePolicies 1
        ListGrants 1
        ListKeyPolicies 1
        ListKeyRotations 1
        ListKeys 1
        ListResourceTags 1
        RetireGrant 1
        Verify 12
        VerifyMac 4
    "#]]
    .assert_eq(&told);
}

/// What is being recorded: an installation, and the calls that are to be made of it.
struct Recording {
    world: World,
    calls: Vec<Call>,
}

impl Recording {
    /// A call of KMS, for later.
    fn kms(&mut self, caller: impl Into<Actor>, region: &str, operation: &str, request: Value) {
        self.call(caller.into(), "kms", region, operation, request);
    }

    /// A call of the root user, for later.
    fn root(&mut self, operation: &str, request: Value) {
        self.kms(ALICE, REGION, operation, request);
    }

    fn call(&mut self, caller: Actor, service: &str, region: &str, operation: &str, request: Value) {
        let (service, region, operation) = (service.to_owned(), region.to_owned(), operation.to_owned());
        self.calls.push(Call {
            caller,
            service,
            region,
            operation,
            request,
            status: 200,
            answer: String::new(),
        });
    }

    /// A call of KMS that must be refused, for later.
    fn refused(&mut self, caller: impl Into<Actor>, operation: &str, request: Value) {
        self.kms(caller, REGION, operation, request);
        self.calls.last_mut().unwrap().status = 400;
    }

    /// Writes everything down, then makes the calls and writes down what is answered.
    fn write(mut self, folder: &Path) {
        std::fs::create_dir(folder).expect("a corpus is made once");
        open(folder).save(&self.world.vault.seal()).unwrap();
        let mut store = String::new();
        for Record { name, value, .. } in self.world.content() {
            write!(store, "{} ", String::from_utf8(name).unwrap()).unwrap();
            value.iter().for_each(|byte| write!(store, "{byte:02x}").unwrap());
            store.push('\n');
        }
        std::fs::write(folder.join("store.txt"), store).unwrap();
        let mut lines = String::new();
        for call in &mut self.calls {
            let reply = call.make(&self.world);
            assert_eq!(reply.status, call.status, "{}: {}", call.operation, reply.body);
            let lasts = !reply.body.contains("<SecretAccessKey>");
            call.answer = if lasts { lasting(&reply.body) } else { String::new() };
            lines.push_str(&call.line());
            lines.push('\n');
        }
        std::fs::write(folder.join("calls.txt"), lines).unwrap();
    }
}

/// What is written today is read today; and kept where a folder is named.
#[test]
fn what_this_release_answers_is_recorded_and_answered_again() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = option_env!("CLAVIGER_CORPUS").map_or_else(|| scratch.path().join("new"), PathBuf::from);
    let mut recording = Recording { world: World::new(), calls: Vec::new() };
    every_kind(&mut recording);
    life_of_a_key(&mut recording);
    principals(&mut recording);
    set_of_keys(&mut recording);
    imports(&mut recording);
    let recorded = recording.calls.len();
    recording.write(&folder);
    assert_eq!(check(&folder).values().sum::<usize>(), recorded);
}

/// What a key of each kind has made.
fn every_kind(recording: &mut Recording) {
    for (spec, usage) in KINDS {
        let key = make(&recording.world, spec, usage);
        let region = region_of(spec);
        let does = |operation: &str, more: Value| {
            let mut request = with(&key, more);
            let answer = recording.world.succeed_in(region, ALICE, operation, request.clone());
            request.as_object_mut().unwrap().remove("Plaintext");
            (request, answer)
        };
        let described = recording.world.succeed_in(region, ALICE, "DescribeKey", with(&key, json!({})));
        let algorithm = |member: &str| described["KeyMetadata"][member][0].clone();
        let mut later = Vec::new();
        match usage {
            "ENCRYPT_DECRYPT" => {
                let chosen =
                    json!({"Plaintext": MESSAGE, "EncryptionAlgorithm": algorithm("EncryptionAlgorithms")});
                let (mut request, answer) = does("Encrypt", chosen);
                request["CiphertextBlob"] = answer["CiphertextBlob"].clone();
                later.push(("Decrypt", request));
            }
            "SIGN_VERIFY" => {
                let chosen = json!({"Message": MESSAGE, "SigningAlgorithm": algorithm("SigningAlgorithms")});
                let (mut request, answer) = does("Sign", chosen);
                request["Signature"] = answer["Signature"].clone();
                later.push(("Verify", request));
            }
            "GENERATE_VERIFY_MAC" => {
                let chosen = json!({"Message": MESSAGE, "MacAlgorithm": algorithm("MacAlgorithms")});
                let (mut request, answer) = does("GenerateMac", chosen);
                request["Mac"] = answer["Mac"].clone();
                later.push(("VerifyMac", request));
            }
            "KEY_AGREEMENT" => {
                let peer = public_key(&recording.world, spec, &key);
                let request = json!({"KeyAgreementAlgorithm": "ECDH", "PublicKey": base64(&peer)});
                later.push(("DeriveSharedSecret", with(&key, request)));
            }
            _ => {
                let chosen = json!({"EncapsulationAlgorithm": "ML_KEM"});
                let (mut request, answer) = does("Encapsulate", chosen);
                request["SharedSecretCiphertextBlob"] = answer["SharedSecretCiphertextBlob"].clone();
                later.push(("Decapsulate", request));
            }
        }
        if spec != "SYMMETRIC_DEFAULT" && !spec.starts_with("HMAC") {
            later.push(("GetPublicKey", with(&key, json!({}))));
        }
        for (operation, request) in later {
            recording.kms(ALICE, region, operation, request);
        }
    }
}

/// A request on a key.
fn with(key: &Key, more: Value) -> Value {
    let mut request = json!({"KeyId": key.arn});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// A key that was rotated, and all that is kept of it; another that is going.
fn life_of_a_key(recording: &mut Recording) {
    let world = &recording.world;
    let key = world
        .key_with(ALICE, json!({"Description": "of the corpus", "Tags": [{"TagKey": "a", "TagValue": "b"}]}));
    let context = json!({"purpose": "corpus"});
    let mut blobs = vec![world.encrypt(ALICE, &key, b"before", context.clone())];
    world.succeed(ALICE, "RotateKeyOnDemand", with(&key, json!({})));
    world.succeed(ALICE, "EnableKeyRotation", with(&key, json!({"RotationPeriodInDays": 400})));
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/corpus", "TargetKeyId": key.id}));
    blobs.push(world.encrypt(ALICE, &key, b"after", context.clone()));
    for (operation, more) in [
        ("GenerateDataKey", json!({"KeySpec": "AES_256", "EncryptionContext": context})),
        ("GenerateDataKeyPair", json!({"KeyPairSpec": "ECC_NIST_P256", "EncryptionContext": context})),
    ] {
        let answer = world.succeed(ALICE, operation, with(&key, more));
        let blob = answer.get("CiphertextBlob").unwrap_or_else(|| &answer["PrivateKeyCiphertextBlob"]);
        blobs.push(blob.as_str().unwrap().to_owned());
    }
    let going = world.key(ALICE);
    world.succeed(ALICE, "ScheduleKeyDeletion", with(&going, json!({"PendingWindowInDays": 7})));
    let marker = world.succeed(ALICE, "ListKeys", json!({"Limit": 3}))["NextMarker"].take();
    recording.refused(ALICE, "Decrypt", json!({"CiphertextBlob": blobs[0]}));
    recording.refused(ALICE, "Encrypt", with(&going, json!({"Plaintext": MESSAGE})));
    for blob in blobs {
        recording.root("Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": context}));
    }
    recording.root("DescribeKey", json!({"KeyId": "alias/corpus"}));
    recording.root("DescribeKey", with(&going, json!({})));
    recording.root("ListKeys", json!({"Limit": 3, "Marker": marker}));
    recording.root("ListAliases", with(&key, json!({})));
    recording.root("ListKeyRotations", with(&key, json!({"IncludeKeyMaterial": "ALL_KEY_MATERIAL"})));
    for operation in ["GetKeyPolicy", "GetKeyRotationStatus", "ListKeyPolicies", "ListResourceTags"] {
        recording.root(operation, with(&key, json!({})));
    }
}

/// A user, a role and their sessions; what grants allow them, and another account.
fn principals(recording: &mut Recording) {
    let world = &recording.world;
    let (root, key) = (Actor::from(ALICE), world.key(ALICE));
    let ann = new_user(world, ALICE, "Ann");
    give(world, ALICE, "Ann", &allow(&["sts:*"]));
    let blob = world.encrypt(ALICE, &key, b"granted", json!({}));
    let to_ann =
        grant(world, &key, &user(ALICE, "Ann"), &["Decrypt", "RetireGrant"], json!({"Name": "corpus"}));
    let trust = trusts(&user(ALICE, "Ann"));
    root.does(world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    let policy =
        root.does(world, "CreatePolicy", &[("PolicyName", "P"), ("PolicyDocument", &allow(&["kms:*"]))]);
    let policy = policy.element("Arn").to_owned();
    root.does(world, "AttachRolePolicy", &[("RoleName", "R"), ("PolicyArn", &policy)]);
    let role = [("RoleArn", "arn:aws:iam::111122223333:role/R"), ("RoleSessionName", "s1")];
    let narrow = allow(&["kms:DescribeKey"]);
    let of_role = credentials(&ann.sts(world, "AssumeRole", &[&role[..], &[("Policy", &narrow)]].concat()));
    let of_ann = credentials(&ann.sts(world, "GetSessionToken", &[]));
    let both = json!({"Version": "2012-10-17", "Statement": [open_to(BOB.account), open_to(ALICE.account)]})
        .to_string();
    let of_bob = world.key_with(BOB, json!({"Policy": both}));
    let bobs = world.encrypt(BOB, &of_bob, b"bob's", json!({}));
    let request = json!({"CiphertextBlob": blob});
    let encrypt = with(&key, json!({"Plaintext": MESSAGE}));
    recording.kms(of_role.clone(), REGION, "DescribeKey", with(&key, json!({})));
    recording.refused(of_role, "Encrypt", encrypt.clone());
    recording.refused(ann.clone(), "Encrypt", encrypt);
    recording.kms(of_ann, REGION, "Decrypt", request.clone());
    recording.kms(
        ann.clone(),
        REGION,
        "Decrypt",
        json!({"CiphertextBlob": blob, "GrantTokens": [to_ann.token]}),
    );
    recording.root("Decrypt", json!({"CiphertextBlob": bobs, "KeyId": of_bob.arn}));
    recording.root("ListGrants", with(&key, json!({})));
    for (action, members) in [
        ("GetUserPolicy", json!({"UserName": "Ann", "PolicyName": "p"})),
        ("ListAccessKeys", json!({"UserName": "Ann"})),
        ("GetRole", json!({"RoleName": "R"})),
        ("GetPolicyVersion", json!({"PolicyArn": policy, "VersionId": "v1"})),
        ("ListAttachedRolePolicies", json!({"RoleName": "R"})),
    ] {
        recording.call(root.clone(), "iam", REGION, action, members);
    }
    recording.call(ann.clone(), "sts", REGION, "GetCallerIdentity", json!({}));
    recording.kms(ann.clone(), REGION, "RetireGrant", json!({"GrantToken": to_ann.token}));
    recording.refused(ann.clone(), "Decrypt", request);
    what_they_know(recording, ann);
}

/// A user's password, and the seed of a device.
fn what_they_know(recording: &mut Recording, ann: Actor) {
    let (world, root) = (&recording.world, Actor::from(ALICE));
    give(world, ALICE, "Ann", &allow(&["sts:*", "iam:ChangePassword"]));
    let (old, new) = ("First-Password-1", "Second-Password-2");
    root.does(world, "CreateLoginProfile", &[("UserName", "Ann"), ("Password", old)]);
    let made = root.does(world, "CreateVirtualMFADevice", &[("VirtualMFADeviceName", "Ann")]);
    let telephone = Telephone::of(&made);
    assert_eq!(enable(world, &telephone).status, 200);
    let code = telephone.shows(world, 1);
    let change = json!({"OldPassword": old, "NewPassword": new});
    recording.call(ann.clone(), "iam", REGION, "ChangePassword", change);
    let with_code = json!({"SerialNumber": SERIAL, "TokenCode": code});
    recording.call(ann, "sts", REGION, "GetSessionToken", with_code);
}

/// Keys that share their material between Regions.
fn set_of_keys(recording: &mut Recording) {
    let set = multi_region::set(&recording.world, &[EU]);
    let blob = multi_region::encrypt(&recording.world, REGION, &set);
    recording.kms(ALICE, EU, "Decrypt", json!({"CiphertextBlob": blob}));
    recording.kms(ALICE, EU, "DescribeKey", json!({"KeyId": set.id}));
}

/// A key with imported material, and one that waits for the material that a token was given for.
fn imports(recording: &mut Recording) {
    let world = &recording.world;
    let (imported, waiting) = (external(world), external(world));
    import_for(world, &imported, &[1; 32], 10);
    let blob = world.encrypt(ALICE, &imported, b"imported", json!({}));
    let request = Parameters::of(world, &waiting).request(&waiting, &[2; 32], json!({}));
    recording.root("Decrypt", json!({"CiphertextBlob": blob}));
    recording.root("DescribeKey", with(&imported, json!({})));
    recording.root("ImportKeyMaterial", request);
}
