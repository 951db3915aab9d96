//! Multi-Region keys: one key id and one material in several Regions, and all else each member's own.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::ledger::Fault;
use crate::policies::{open_to, policy};
use crate::world::{
    ALICE, Ask, BOB, DAY_MS, Key, REGION, Root, Transcript, World, base64, block_on, unbase64,
};

/// Where the replicas are.
pub(crate) const EU: &str = "eu-west-1";
pub(crate) const AP: &str = "ap-south-1";

/// A primary key in [`REGION`] with replicas.
pub(crate) fn set(world: &World, replicas: &[&str]) -> Key {
    let key = world.key_with(ALICE, json!({"MultiRegion": true}));
    replicas.iter().for_each(|region| replicate(world, &key, region));
    key
}

pub(crate) fn replicate(world: &World, key: &Key, region: &str) {
    world.succeed(ALICE, "ReplicateKey", json!({"KeyId": key.id, "ReplicaRegion": region}));
}

/// A member of the set as it describes itself.
pub(crate) fn describe(world: &World, region: &str, key: &Key) -> Value {
    world.succeed_in(region, ALICE, "DescribeKey", json!({"KeyId": key.id}))["KeyMetadata"].take()
}

pub(crate) fn state(world: &World, region: &str, key: &Key) -> String {
    describe(world, region, key)["KeyState"].as_str().unwrap().to_owned()
}

/// What each member says of the set: primary Region and Regions of the replicas. They all say the same.
pub(crate) fn members(world: &World, key: &Key, regions: &[&str]) -> (String, Vec<String>) {
    let said = regions.iter().map(|region| {
        let told = describe(world, region, key)["MultiRegionConfiguration"].take();
        let text = |value: &Value| value["Region"].as_str().unwrap().to_owned();
        let primary = text(&told["PrimaryKey"]);
        let kind = if primary == *region { "PRIMARY" } else { "REPLICA" };
        assert_eq!(told["MultiRegionKeyType"], kind);
        let replicas: Vec<String> = told["ReplicaKeys"].as_array().unwrap().iter().map(text).collect();
        (primary, replicas)
    });
    let mut said: Vec<_> = said.collect();
    said.dedup();
    assert_eq!(said.len(), 1, "all members say the same: {said:?}");
    said.remove(0)
}

pub(crate) fn told(primary: &str, replicas: &[&str]) -> (String, Vec<String>) {
    (primary.to_owned(), replicas.iter().map(|region| (*region).to_owned()).collect())
}

pub(crate) fn encrypt(world: &World, region: &str, key: &Key) -> Value {
    let request = json!({"KeyId": key.id, "Plaintext": base64(b"secret")});
    world.succeed_in(region, ALICE, "Encrypt", request)["CiphertextBlob"].take()
}

pub(crate) fn check_opens(world: &World, region: &str, blob: &Value) {
    let opened = world.succeed_in(region, ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    assert_eq!(unbase64(&opened["Plaintext"]), b"secret");
    assert!(opened["KeyId"].as_str().unwrap().contains(region), "it names the member that opened it");
}

#[test]
fn sets_are_made_and_described() {
    let world = World::serving(&[REGION, EU, AP, "cn-north-1"]);
    let key = world.key_with(ALICE, json!({"MultiRegion": true, "Description": "first"}));
    let mut calls = Transcript::of(&world);
    let on_key = json!({"KeyId": key.id});
    let to = |region: &str| json!({"KeyId": key.id, "ReplicaRegion": region});
    calls.ask(ALICE, "DescribeKey", on_key.clone());
    let own = policy(open_to("*"));
    calls.ask(
        ALICE,
        "ReplicateKey",
        json!({"KeyId": key.arn, "ReplicaRegion": EU, "Description": "second", "Policy": own,
            "Tags": [{"TagKey": "a", "TagValue": "b"}], "BypassPolicyLockoutSafetyCheck": false}),
    );
    calls.send(&Ask::new(ALICE, "DescribeKey", on_key.clone()).region(EU));
    calls.send(&Ask::new(ALICE, "GetKeyPolicy", on_key.clone()).region(EU));
    calls.send(&Ask::new(ALICE, "ListResourceTags", on_key.clone()).region(EU));
    calls.ask(ALICE, "ReplicateKey", to(AP));
    calls.ask(ALICE, "DescribeKey", on_key.clone());
    calls.note("Where no replica can be.");
    for region in [EU, REGION, "cn-north-1", "us-gov-west-1", "us-west-2", "Europe", ""] {
        calls.ask(ALICE, "ReplicateKey", to(region));
    }
    calls.note("What cannot be replicated.");
    calls.send(&Ask::new(ALICE, "ReplicateKey", to("us-west-2")).region(EU));
    let single = world.key(ALICE);
    calls.ask(ALICE, "ReplicateKey", json!({"KeyId": single.id, "ReplicaRegion": EU}));
    calls.ask(ALICE, "ReplicateKey", json!({"KeyId": "alias/app", "ReplicaRegion": EU}));
    calls.ask(BOB, "ReplicateKey", json!({"KeyId": key.arn, "ReplicaRegion": EU}));
    calls.note("Policies and tags are checked as those of a new key.");
    for refused in [
        json!({"Policy": "{"}),
        json!({"Policy": policy(open_to(BOB.account))}),
        json!({"Tags": [{"TagKey": "a", "TagValue": ""}, {"TagKey": "a", "TagValue": ""}]}),
        json!({"Tags": [{"TagKey": "aws:a", "TagValue": ""}]}),
        json!({"Description": "d".repeat(8193)}),
    ] {
        let other = set(&world, &[]);
        let mut request = json!({"KeyId": other.id, "ReplicaRegion": EU});
        request.as_object_mut().unwrap().extend(refused.as_object().unwrap().clone());
        calls.ask(ALICE, "ReplicateKey", request);
    }
    calls.compare(&expect_file!["golden/replicate_key.txt"]);
}

/// A blob that one member made opens under each of the others, and nowhere else.
#[test]
fn a_blob_made_in_one_region_opens_in_the_others() {
    let mut world = World::new();
    let key = set(&world, &[EU, AP]);
    let single = world.key(ALICE);
    let regions = [REGION, EU, AP];
    let blobs: Vec<Value> = regions.iter().map(|region| encrypt(&world, region, &key)).collect();
    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        for region in regions {
            blobs.iter().for_each(|blob| check_opens(&world, region, blob));
        }
    }
    let ids = regions.map(|region| describe(&world, region, &key)["CurrentKeyMaterialId"].take());
    assert!(ids.iter().all(|id| *id == ids[0]), "one material: {ids:?}");
    // Moved to a key of another Region, and a data key of the replica.
    let moved = world.succeed(
        ALICE,
        "ReEncrypt",
        json!({"CiphertextBlob": blobs[1], "SourceKeyId": key.id, "DestinationKeyId": single.id}),
    );
    assert_eq!(moved["SourceKeyId"], key.arn);
    let made = world.succeed_in(EU, ALICE, "GenerateDataKey", json!({"KeyId": key.id, "KeySpec": "AES_256"}));
    let opened = world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]}));
    assert_eq!(opened["Plaintext"], made["Plaintext"]);
    assert_eq!(opened["KeyMaterialId"], made["KeyMaterialId"]);
    // A member of another Region is not reached by its ARN, nor is a Region where there is none.
    let blob = json!({"CiphertextBlob": blobs[0], "KeyId": key.arn});
    assert_eq!(world.refuse_in(EU, ALICE, "Decrypt", blob), "NotFoundException");
    let blob = json!({"CiphertextBlob": blobs[0]});
    assert_eq!(world.refuse_in("us-west-2", ALICE, "Decrypt", blob), "AccessDeniedException");
    let other = encrypt(&world, REGION, &single);
    assert_eq!(
        world.refuse_in(EU, ALICE, "Decrypt", json!({"CiphertextBlob": other})),
        "AccessDeniedException"
    );
}

/// Policy, tags, description, aliases and state of a member are its own.
#[test]
fn all_else_is_each_members_own() {
    let world = World::new();
    let key = set(&world, &[EU]);
    let before = describe(&world, REGION, &key);
    world.clock.advance(DAY_MS);
    let changes = [
        ("UpdateKeyDescription", json!({"KeyId": key.id, "Description": "of the replica"})),
        ("TagResource", json!({"KeyId": key.id, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id})),
        ("PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy(open_to("*"))})),
        ("DisableKey", json!({"KeyId": key.id})),
    ];
    for (operation, request) in changes {
        world.succeed_in(EU, ALICE, operation, request);
    }
    assert_eq!(describe(&world, REGION, &key), before);
    let on_key = json!({"KeyId": key.id});
    assert_eq!(world.succeed(ALICE, "ListResourceTags", on_key.clone())["Tags"], json!([]));
    assert_eq!(world.succeed(ALICE, "ListAliases", on_key.clone())["Aliases"], json!([]));
    let policy = world.succeed(ALICE, "GetKeyPolicy", on_key.clone())["Policy"].take();
    assert!(policy.as_str().unwrap().contains("key-default-1"));
    assert_eq!(world.refuse(ALICE, "DescribeKey", json!({"KeyId": "alias/app"})), "NotFoundException");
    // The primary key goes on while the replica is off, and the other way round.
    let blob = encrypt(&world, REGION, &key);
    let decrypt = json!({"CiphertextBlob": blob});
    assert_eq!(world.refuse_in(EU, ALICE, "Decrypt", decrypt.clone()), "DisabledException");
    world.succeed_in(EU, ALICE, "EnableKey", on_key.clone());
    world.succeed(ALICE, "DisableKey", on_key);
    check_opens(&world, EU, &blob);
    assert_eq!(world.refuse(ALICE, "Decrypt", decrypt), "DisabledException");
}

#[test]
fn the_primary_key_moves_and_moves_back() {
    let world = World::new();
    let key = set(&world, &[EU, AP]);
    let regions = [REGION, EU, AP];
    assert_eq!(members(&world, &key, &regions), told(REGION, &[EU, AP]));
    let mut calls = Transcript::of(&world);
    let to = |region: &str| json!({"KeyId": key.id, "PrimaryRegion": region});
    calls.ask(ALICE, "UpdatePrimaryRegion", to(EU));
    assert_eq!(members(&world, &key, &regions), told(EU, &[REGION, AP]));
    calls.send(&Ask::new(ALICE, "DescribeKey", json!({"KeyId": key.id})).region(EU));
    // What only a primary key does, the new one does now.
    let replica = json!({"KeyId": key.id, "ReplicaRegion": "us-west-2"});
    assert_eq!(world.refuse(ALICE, "ReplicateKey", replica.clone()), "UnsupportedOperationException");
    world.succeed_in(EU, ALICE, "ReplicateKey", replica);
    let regions = [REGION, EU, AP, "us-west-2"];
    assert_eq!(members(&world, &key, &regions), told(EU, &[REGION, AP, "us-west-2"]));
    calls.note("What is no replica, and whose primary key is elsewhere.");
    for region in [EU, "us-west-1", "Europe"] {
        calls.send(&Ask::new(ALICE, "UpdatePrimaryRegion", to(region)).region(EU));
    }
    calls.ask(ALICE, "UpdatePrimaryRegion", to(AP));
    calls.ask(ALICE, "UpdatePrimaryRegion", json!({"KeyId": world.key(ALICE).id, "PrimaryRegion": EU}));
    calls.note("A replica that is off.");
    world.succeed(ALICE, "DisableKey", json!({"KeyId": key.id}));
    calls.send(&Ask::new(ALICE, "UpdatePrimaryRegion", to(REGION)).region(EU));
    world.succeed(ALICE, "EnableKey", json!({"KeyId": key.id}));
    calls.send(&Ask::new(ALICE, "UpdatePrimaryRegion", to(REGION)).region(EU));
    assert_eq!(members(&world, &key, &regions), told(REGION, &[EU, AP, "us-west-2"]));
    let blob = encrypt(&world, REGION, &key);
    regions.iter().for_each(|region| check_opens(&world, region, &blob));
    calls.compare(&expect_file!["golden/update_primary_region.txt"]);
}

/// What each state of a primary key answers.
#[test]
fn only_an_enabled_primary_key_is_replicated_or_moved() {
    let world = World::new();
    let key = set(&world, &[EU]);
    let mut calls = Transcript::of(&world);
    for (before, expected) in
        [("DisableKey", "DisabledException"), ("ScheduleKeyDeletion", "KMSInvalidStateException")]
    {
        world.succeed(ALICE, before, json!({"KeyId": key.id}));
        for (operation, member) in
            [("ReplicateKey", "ReplicaRegion"), ("UpdatePrimaryRegion", "PrimaryRegion")]
        {
            let answer = calls.ask(ALICE, operation, json!({"KeyId": key.id, member: EU}));
            assert_eq!(answer.code, Some(expected));
        }
    }
    calls.ask(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id}));
    calls.ask(ALICE, "DescribeKey", json!({"KeyId": key.id}));
    calls.compare(&expect_file!["golden/multi_region_states.txt"]);
}

/// Puts a policy that allows everything but one action under a condition.
fn deny(world: &World, region: &str, key: &Key, action: &str, condition: Value) {
    let mut deny = json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*"});
    if !condition.is_null() {
        deny["Condition"] = condition;
    }
    let text = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), deny]}).to_string();
    world.succeed_in(region, ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": text}));
}

fn check_denied(condition: Value, operation: &str, member: &str, to: &str, expected: bool) {
    let world = World::new();
    let key = set(&world, &[EU]);
    deny(&world, REGION, &key, &format!("kms:{operation}"), condition.clone());
    let answer = world.send(&Ask::new(ALICE, operation, json!({"KeyId": key.id, member: to})));
    let code = expected.then_some("AccessDeniedException");
    assert_eq!(answer.code, code, "{operation} {to} {condition}");
}

#[test]
fn conditions_ask_for_regions_and_kinds() {
    let equals = |key: &str, value: &str| json!({"StringEquals": {key: value}});
    let replicate = |condition: Value, expected: bool| {
        check_denied(condition, "ReplicateKey", "ReplicaRegion", AP, expected);
    };
    replicate(equals("kms:ReplicaRegion", AP), true);
    replicate(equals("kms:ReplicaRegion", EU), false);
    replicate(equals("kms:PrimaryRegion", AP), false);
    replicate(json!({"Bool": {"kms:MultiRegion": "true"}}), true);
    replicate(json!({"Bool": {"kms:MultiRegion": "false"}}), false);
    replicate(equals("kms:MultiRegionKeyType", "PRIMARY"), true);
    replicate(equals("kms:MultiRegionKeyType", "REPLICA"), false);
    replicate(equals("aws:RequestedRegion", REGION), true);
    let update = |condition: Value, expected: bool| {
        check_denied(condition, "UpdatePrimaryRegion", "PrimaryRegion", EU, expected);
    };
    update(equals("kms:PrimaryRegion", EU), true);
    update(equals("kms:PrimaryRegion", AP), false);
    update(equals("kms:ReplicaRegion", EU), false);
    // A single-Region key has no kind.
    let world = World::new();
    let key = world.key(ALICE);
    deny(&world, REGION, &key, "kms:Encrypt", json!({"Null": {"kms:MultiRegionKeyType": "true"}}));
    let encrypt = json!({"KeyId": key.id, "Plaintext": "eA=="});
    assert_eq!(world.refuse(ALICE, "Encrypt", encrypt), "AccessDeniedException");
}

/// Moving the primary key takes the permission of both keys, each decided in its own Region.
#[test]
fn moving_takes_the_permission_of_both_keys() {
    for (condition, denied) in [
        (Value::Null, true),
        (json!({"StringEquals": {"kms:MultiRegionKeyType": "REPLICA"}}), true),
        (json!({"StringEquals": {"aws:RequestedRegion": EU}}), true),
        (json!({"StringEquals": {"aws:RequestedRegion": REGION}}), false),
        (json!({"StringEquals": {"kms:MultiRegionKeyType": "PRIMARY"}}), false),
    ] {
        let world = World::new();
        let key = set(&world, &[EU]);
        deny(&world, EU, &key, "kms:UpdatePrimaryRegion", condition);
        let answer = world.send(&Ask::new(
            ALICE,
            "UpdatePrimaryRegion",
            json!({"KeyId": key.id, "PrimaryRegion": EU}),
        ));
        assert_eq!(answer.code.is_some(), denied, "{answer:?}");
        if denied {
            assert_eq!(answer.code, Some("AccessDeniedException"));
            assert!(
                answer.body.contains(&key.arn.replace(REGION, EU)),
                "it names the replica: {}",
                answer.body
            );
            assert_eq!(members(&world, &key, &[REGION, EU]), told(REGION, &[EU]));
        }
    }
}

/// Both trails show what changed in their Region.
#[test]
fn both_regions_have_their_events() {
    let world = World::new();
    let key = world.key_with(ALICE, json!({"MultiRegion": true}));
    let from = world.ledger.len();
    let tags = json!([{"TagKey": "a", "TagValue": "b"}]);
    let request = json!({"KeyId": key.id, "ReplicaRegion": EU, "Description": "d", "Tags": tags});
    world.succeed(ALICE, "ReplicateKey", request);
    world.succeed(ALICE, "UpdatePrimaryRegion", json!({"KeyId": key.id, "PrimaryRegion": EU}));
    world.succeed_in(EU, ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id}));
    let lines = world.ledger.since(from).into_iter().map(|event| String::from_utf8(event).unwrap());
    let lines: String = lines.map(|event| format!("{}\n\n", world.normalize(&event))).collect();
    expect_file!["golden/events_of_regions.txt"].assert_eq(&lines);
}

/// A process that dies after the commit brings the events of both Regions at its next start.
#[test]
fn no_effect_in_two_regions_is_without_its_two_events() {
    let mut world = World::new();
    let key = set(&world, &[]);
    let request = json!({"KeyId": key.id, "ReplicaRegion": EU});
    world.ledger.set_fault(Fault::Append);
    let from = world.ledger.len();
    let handled = world.handle(&Ask::new(ALICE, "ReplicateKey", request));
    assert_eq!(handled.outgoing.status, 500, "no reply without its events");
    world.ledger.set_fault(Fault::None);
    assert_eq!(world.restart(), 2);
    let name = |event: &Vec<u8>| {
        let event: Value = serde_json::from_slice(event).unwrap();
        assert_eq!(event["requestID"], handled.outgoing.request_id);
        (event["eventName"].as_str().unwrap().to_owned(), event["awsRegion"].as_str().unwrap().to_owned())
    };
    let mut names: Vec<_> = world.ledger.since(from).iter().map(name).collect();
    names.sort();
    let expected = [("CreateKey", EU), ("ReplicateKey", REGION)];
    assert_eq!(names, expected.map(|(name, region)| (name.to_owned(), region.to_owned())));
    assert_eq!(members(&world, &key, &[REGION, EU]), told(REGION, &[EU]));
}

/// Two hosts that replicate, or change and replicate, at the same time leave one set.
#[test]
fn hosts_that_meet_leave_one_set() {
    let world = World::new();
    let key = set(&world, &[]);
    let other = world.another_host();
    let regions = ["eu-west-1", "eu-west-1", "eu-west-2", "ap-south-1", "eu-west-2", "sa-east-1"];
    let succeeded = std::thread::scope(|scope| {
        let threads = regions.iter().enumerate().map(|(number, region)| {
            let host = if number % 2 == 0 { &other } else { &world.service };
            let ask = Ask::new(ALICE, "ReplicateKey", json!({"KeyId": key.id, "ReplicaRegion": region}));
            let now = world.now();
            scope.spawn(move || block_on(host.handle(&ask.incoming(now), now)).code)
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(Option::is_none).count()
    });
    let (primary, mut replicas) =
        members(&world, &key, &[REGION, "eu-west-1", "eu-west-2", "ap-south-1", "sa-east-1"]);
    replicas.sort();
    assert_eq!((primary, replicas), told(REGION, &["ap-south-1", "eu-west-1", "eu-west-2", "sa-east-1"]));
    assert_eq!(succeeded, 4, "each replica was made once");
}

/// A host whose line to its HSM is cut makes no half of a replica.
#[test]
fn a_key_that_does_not_arrive_is_no_replica() {
    let world = World::new();
    let key = set(&world, &[EU]);
    world.vault.cut(true);
    let request = json!({"KeyId": key.id, "ReplicaRegion": AP});
    assert_eq!(world.refuse(ALICE, "ReplicateKey", request), "DependencyTimeoutException");
    world.vault.cut(false);
    assert_eq!(members(&world, &key, &[REGION, EU]), told(REGION, &[EU]));
}

/// Another account's key is no more told of than one that does not exist.
#[test]
fn strangers_learn_nothing_of_a_set() {
    let world = World::new();
    let key = set(&world, &[EU]);
    let strange = |caller: Root, arn: &str| {
        let answer =
            world.send(&Ask::new(caller, "UpdatePrimaryRegion", json!({"KeyId": arn, "PrimaryRegion": EU})));
        (answer.code, answer.body)
    };
    let missing = key.arn.replace(&key.id, "mrk-00000000000000000000000000000000");
    assert_eq!(strange(BOB, &key.arn), strange(BOB, &missing));
    assert_eq!(strange(BOB, &key.arn).0, Some("AccessDeniedException"));
}
