//! Why calls were answered as they were: every kind of decision, as an operator reads it later.

use claviger_service::explain::{Basis, Explanation, Ids};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::actor::{Actor, Reply, allow, credentials, give, new_user, send, trusts};
use crate::endpoints::{ALICES, DENYING, FEW_ACTIONS, through};
use crate::policies::{open_to, policy};
use crate::world::{ALICE, BOB, Key, NO_KEY, START, World, block_on};

/// What must hold for every record: it can be explained, and the explanation agrees with the answer.
pub(crate) fn check_explained(record: &[u8]) {
    let explained = Explanation::of(record).unwrap();
    let denied = explained.decisions.iter().filter(|step| !step.allowed).count();
    let code = explained.error.as_ref().map(|error| &*error.code);
    match (code, &explained.basis) {
        (None, Basis::ByItself | Basis::See(_)) => {}
        (None, basis) => {
            assert!(*basis == Basis::Decided && denied == 0, "allowed without a decision: {explained}");
        }
        (Some("AccessDenied"), Basis::Decided) => {
            // Rules beyond the policies refuse with the same code, after every permission was there.
            let last = explained.decisions.last().unwrap();
            assert_eq!(denied > 0, !last.allowed, "a denial ends it: {explained}");
        }
        // A refusal that was one too many is counted as such, in place of its reason.
        (Some("ThrottlingException"), Basis::Decided) => {}
        (Some(_), Basis::Decided | Basis::RefusedBefore) => assert_eq!(denied, 0, "{explained}"),
        (Some(_), _) => panic!("{explained}"),
    }
}

/// Explanations, one after the other, to be compared as a whole.
struct Explained<'w> {
    world: &'w World,
    text: String,
}

impl Explained<'_> {
    /// Adds the explanation of the call that was made last.
    fn add(&mut self, note: &str, reply: &Reply) {
        let id = reply.event["eventID"].as_str().unwrap();
        let records = self.world.ledger.records(0);
        let record = records.iter().rfind(|record| Ids::of(record).unwrap().event_id == id).unwrap();
        let explained = Explanation::of(record).unwrap();
        assert_eq!(explained.request_id, reply.event["requestID"].as_str().unwrap());
        let text = self.world.normalize(&explained.to_string());
        self.text.push_str(&format!("# {note}\n\n{text}\n"));
    }
}

fn encrypt(key: &Key) -> Value {
    json!({"KeyId": key.arn, "Plaintext": "eA=="})
}

/// The account's statement and these.
fn with(statements: Value) -> String {
    let mut all = vec![open_to(ALICE.account)];
    all[0]["Sid"] = "Account".into();
    all.extend(statements.as_array().unwrap().iter().cloned());
    json!({"Version": "2012-10-17", "Statement": all}).to_string()
}

fn put_key_policy(world: &World, key: &Key, policy: &str) {
    let request = json!({"KeyId": key.id, "Policy": policy, "BypassPolicyLockoutSafetyCheck": true});
    world.succeed(ALICE, "PutKeyPolicy", request);
}

#[test]
fn each_kind_of_decision_is_explained() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let (key, other) = (world.key(ALICE), world.key(ALICE));
    let ann = new_user(&world, ALICE, "Ann");
    let mut all = Explained { world: &world, text: String::new() };
    all.add("The root user.", &root.kms(&world, "Encrypt", &encrypt(&key)));
    all.add("No identity policy at all.", &ann.kms(&world, "Encrypt", &encrypt(&key)));
    give(&world, ALICE, "Ann", &allow(&["kms:Encrypt", "kms:ReEncrypt*", "kms:CreateAlias"]));
    all.add(
        "An identity policy that the key policy delegates to.",
        &ann.kms(&world, "Encrypt", &encrypt(&key)),
    );
    let narrow = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*",
        "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:a": "b"}}}]});
    give(&world, ALICE, "Ann", &narrow.to_string());
    all.add("A condition that is not met.", &ann.kms(&world, "Encrypt", &encrypt(&key)));
    give(&world, ALICE, "Ann", &allow(&["kms:*"]));

    let deny = json!([{"Sid": "Never Ann", "Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*",
        "Principal": {"AWS": "arn:aws:iam::111122223333:user/Ann"}}]);
    put_key_policy(&world, &key, &with(deny));
    all.add("An explicit deny of the key policy.", &ann.kms(&world, "Encrypt", &encrypt(&key)));
    let direct = json!([{"Sid": "Ann", "Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*",
        "Principal": {"AWS": "arn:aws:iam::111122223333:user/Ann"}}]);
    put_key_policy(&world, &key, &with(direct));
    all.add("A statement of the key policy.", &ann.kms(&world, "Encrypt", &encrypt(&key)));
    let no_use = json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Resource": "*",
        "NotAction": ["kms:Encrypt", "kms:ReEncrypt*"]});
    put_key_policy(&world, &key, &policy(no_use.clone()));
    all.add("A key policy that leaves out the action.", &ann.kms(&world, "Encrypt", &encrypt(&key)));
    put_key_policy(&world, &key, &with(json!([])));

    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let again = json!({"CiphertextBlob": blob, "DestinationKeyId": other.arn});
    all.add("Two permissions.", &ann.kms(&world, "ReEncrypt", &again));
    put_key_policy(&world, &other, &policy(no_use));
    all.add("The second permission is missing.", &ann.kms(&world, "ReEncrypt", &again));
    let alias = json!({"AliasName": "alias/a", "TargetKeyId": key.id});
    all.add("An alias and its key.", &ann.kms(&world, "CreateAlias", &alias));

    let document = allow(&["kms:Decrypt"]);
    let made = root.does(&world, "CreatePolicy", &[("PolicyName", "Cap"), ("PolicyDocument", &document)]);
    let cap = made.element("Arn").to_owned();
    root.does(&world, "PutUserPermissionsBoundary", &[("UserName", "Ann"), ("PermissionsBoundary", &cap)]);
    all.add("A permissions boundary.", &ann.kms(&world, "Encrypt", &encrypt(&key)));
    all.add("What needs no permission.", &ann.sts(&world, "GetCallerIdentity", &[]));
    all.add("An action of IAM.", &ann.iam(&world, "CreateUser", &[("UserName", "b")]));

    all.add("Refused before any decision.", &root.kms(&world, "Encrypt", &json!({"KeyId": key.id})));
    all.add("Not there.", &root.kms(&world, "DescribeKey", &json!({"KeyId": NO_KEY})));
    world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    all.add("Allowed, and then refused.", &root.kms(&world, "Encrypt", &encrypt(&key)));
    all.add(
        "Of another account, and not there.",
        &Actor::from(BOB).kms(
            &world,
            "DescribeKey",
            &json!({"KeyId": format!("arn:aws:kms:us-east-1:111122223333:key/{NO_KEY}")}),
        ),
    );
    all.add(
        "Of another account: the operator reads what the caller must not.",
        &Actor::from(BOB).kms(&world, "DescribeKey", &json!({"KeyId": key.arn})),
    );
    expect_file!["golden/explanations.txt"].assert_eq(&all.text);
}

#[test]
fn sessions_and_trust_policies_are_explained() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let mut all = Explained { world: &world, text: String::new() };
    let arn = "arn:aws:iam::111122223333:role/Ops";
    let assume = [("RoleArn", arn), ("RoleSessionName", "s1")];
    all.add("No such role.", &ann.sts(&world, "AssumeRole", &assume));
    all.add("Not by the root user.", &root.sts(&world, "AssumeRole", &assume));
    let trust = trusts("arn:aws:iam::111122223333:root");
    root.does(&world, "CreateRole", &[("RoleName", "Ops"), ("AssumeRolePolicyDocument", &trust)]);
    all.add("Trusted, but without an identity policy.", &ann.sts(&world, "AssumeRole", &assume));
    let trust = trusts("arn:aws:iam::111122223333:user/Ann");
    root.does(&world, "UpdateAssumeRolePolicy", &[("RoleName", "Ops"), ("PolicyDocument", &trust)]);
    all.add("Trusted by name.", &ann.sts(&world, "AssumeRole", &assume));
    let members = [("RoleName", "Ops"), ("PolicyName", "All"), ("PolicyDocument", &*allow(&["kms:*"]))];
    root.does(&world, "PutRolePolicy", &members);
    let session = allow(&["kms:Decrypt"]);
    let narrowed = [("RoleArn", arn), ("RoleSessionName", "s1"), ("Policy", &*session)];
    let session = credentials(&ann.sts(&world, "AssumeRole", &narrowed));
    all.add("A session policy.", &session.kms(&world, "Encrypt", &encrypt(&key)));
    expect_file!["golden/explanations_of_sessions.txt"].assert_eq(&all.text);
}

/// An endpoint's policy belongs to neither the caller nor the key: it is named by its endpoint.
#[test]
fn what_an_endpoints_policy_decided_is_explained() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let mut all = Explained { world: &world, text: String::new() };
    let ask = |actor: &Actor, operation: &str, request: &Value, endpoint: &str| {
        let mut incoming = actor.json(&world, operation, request);
        incoming.origin = through(endpoint).into();
        send(&world, operation, &incoming)
    };
    give(&world, ALICE, "Ann", &allow(&["kms:*"]));
    let tags = json!({"KeyId": key.arn});
    all.add("Nothing of it allows the action.", &ask(&ann, "ListResourceTags", &tags, FEW_ACTIONS));
    all.add("It denies to the user by name.", &ask(&ann, "Encrypt", &encrypt(&key), DENYING));
    all.add(
        "It denies to the root user as well.",
        &ask(
            &Actor::from(ALICE),
            "Decrypt",
            &json!({"CiphertextBlob": world.encrypt(ALICE, &key, b"x", json!({}))}),
            DENYING,
        ),
    );
    all.add("It allows to others only.", &ask(&Actor::from(BOB), "ListKeys", &json!({}), ALICES));
    all.add(
        "It allows, and nothing else does.",
        &ask(&Actor::from(BOB), "Encrypt", &encrypt(&key), FEW_ACTIONS),
    );
    all.add(
        "It allows, and so does the caller's policy.",
        &ask(&ann, "Encrypt", &encrypt(&key), FEW_ACTIONS),
    );
    let mut incoming = ann.query(&world, "sts", "GetCallerIdentity", &[]);
    incoming.origin = through(FEW_ACTIONS).into();
    all.add("What needs no permission else.", &send(&world, "GetCallerIdentity", &incoming));
    expect_file!["golden/explanations_of_endpoints.txt"].assert_eq(&all.text);
}

/// What was decided is what was recorded: neither a new policy nor a deleted one changes an explanation.
#[test]
fn an_explanation_does_not_change_with_the_policies() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let reply = ann.kms(&world, "Encrypt", &encrypt(&key));
    let record = world.ledger.records(0).pop().unwrap();
    assert_eq!(Ids::of(&record).unwrap().request_id, reply.event["requestID"].as_str().unwrap());
    let before = Explanation::of(&record).unwrap();
    give(&world, ALICE, "Ann", &allow(&["kms:*"]));
    assert_eq!(Explanation::of(&record).unwrap(), before);
    assert!(before.to_string().contains("denied: no identity policy allows it"), "{before}");
}

/// The trail that callers get holds nothing of what was decided, which is the operator's.
#[test]
fn the_event_itself_holds_no_decision() {
    let world = World::new();
    let key = world.key(ALICE);
    let reply = Actor::from(BOB).kms(&world, "Encrypt", &encrypt(&key));
    let record = world.ledger.records(0).pop().unwrap();
    let (event, kept) = claviger_service::audit::split(&record);
    assert!(!String::from_utf8_lossy(event).contains("key-policy"));
    let kept = String::from_utf8_lossy(kept.unwrap());
    assert!(kept.contains("key-policy") && kept.contains(&key.arn), "{kept}");
    assert_eq!(reply.event["resources"], json!([]));
}

/// Records that hold no decisions, and those that this program did not write.
#[test]
fn other_records_are_told_apart() {
    let basis = |record: &[u8]| Explanation::of(record).map(|explained| explained.basis);
    let world = World::new();
    world.succeed(ALICE, "GenerateRandom", json!({"NumberOfBytes": 1}));
    let record = world.ledger.records(0).pop().unwrap();
    let (event, _) = claviger_service::audit::split(&record);
    assert_eq!(basis(&record), Ok(Basis::Decided));
    assert_eq!(basis(event), Ok(Basis::NotRecorded));
    for broken in [&b""[..], b"{}", b"null", b"\n{}", &[event, b"\n{"].concat(), &[event, b"\n"].concat()] {
        assert!(basis(broken).is_err(), "{}", String::from_utf8_lossy(broken));
    }
    let request = json!({"Origin": "AWS_KMS", "MultiRegion": true});
    let key = world.key_with(ALICE, request);
    let replicate = json!({"KeyId": key.id, "ReplicaRegion": "eu-west-1"});
    world.succeed(ALICE, "ReplicateKey", replicate);
    let records = world.ledger.records(0);
    let [call, elsewhere] = records.last_chunk::<2>().unwrap();
    let call = Ids::of(call).unwrap().event_id.into_owned();
    assert_eq!(basis(elsewhere), Ok(Basis::See(call)));
    let key = world.key(ALICE);
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id, "PendingWindowInDays": 7}));
    world.clock.set(claviger_service::Moment(START.0 + 8 * crate::world::DAY_MS));
    block_on(claviger_service::schedule::run_due(&world.service, world.now())).unwrap();
    assert_eq!(basis(&world.ledger.records(0).pop().unwrap()), Ok(Basis::ByItself));
}
