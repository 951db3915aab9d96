//! Quotas: how fast an account may call, and how many keys and aliases it may have.

use std::collections::HashMap;
use std::sync::Arc;

use claviger_service::quota::{Allowance, Allowances, Quotas};
use claviger_store::{Commit, Write};
use claviger_wire::incoming::Origin;
use serde_json::{Value, json};

use crate::actor::{Actor, unsigned};
use crate::federation::{exchange, token, with_provider};
use crate::world::{ALICE, Answer, Ask, BOB, DAY_MS, Key, ManualClock, Root, World, base64, block_on};

const THROTTLED: &str = "ThrottlingException";
const SYMMETRIC: &str = "CryptographicOperationsSymmetric";
const RSA: &str = "CryptographicOperationsRsa";
const OTHER_REGION: &str = "eu-west-1";

/// From here on each of these buckets lets so many requests a second through, and every other what AWS's does.
fn limit(world: &mut World, rates: &[(&str, f64)]) {
    let usual = Allowance::new(None, None, rates.iter().copied()).unwrap();
    let allowances = Allowances { usual, ..Allowances::default() };
    let clock = Arc::<ManualClock>::clone(&world.clock);
    world.service = world.host(|it| it.with_quotas(Quotas::of_requests(allowances, clock)));
}

/// From here on accounts may have so many keys in a Region, and so many aliases of a key.
fn allow(world: &mut World, keys: Option<u64>, aliases: Option<usize>) {
    let usual = Allowance::new(keys, aliases, []).unwrap();
    let quotas = Quotas::of_resources(Allowances { usual, ..Allowances::default() });
    world.service = world.host(|it| it.with_quotas(quotas));
}

fn ask(world: &World, caller: Root, operation: &str, request: Value) -> Answer {
    world.send(&Ask::new(caller, operation, request))
}

fn code(world: &World, caller: Root, operation: &str, request: Value) -> Option<&'static str> {
    ask(world, caller, operation, request).code
}

/// Keys of some kinds.
struct Keys {
    symmetric: Key,
    rsa: Key,
    ecc: Key,
}

impl Keys {
    fn of(world: &World) -> Self {
        let key =
            |spec: &str, usage: &str| world.key_with(ALICE, json!({"KeySpec": spec, "KeyUsage": usage}));
        Self {
            symmetric: world.key(ALICE),
            rsa: key("RSA_2048", "ENCRYPT_DECRYPT"),
            ecc: key("ECC_NIST_P256", "SIGN_VERIFY"),
        }
    }
}

fn encrypt(key: &Key) -> Value {
    json!({"KeyId": key.arn, "Plaintext": base64(b"x")})
}

fn encrypt_rsa(key: &Key) -> Value {
    json!({"KeyId": key.arn, "Plaintext": base64(b"x"), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"})
}

/// A bucket that lets one request through a second: of two, one.
fn check_counted(world: &mut World, operation: &str, request: &Value, bucket: &str) {
    limit(world, &[(bucket, 1.0)]);
    let send = || ask(world, ALICE, operation, request.clone());
    let first = send();
    assert_ne!(first.code, Some(THROTTLED), "{operation}");
    let second = send();
    assert_eq!(
        (second.status, second.code),
        (400, Some(THROTTLED)),
        "{operation} is not counted as {bucket}"
    );
    let text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";
    assert_eq!(second.body, json!({"__type": THROTTLED, "message": text}).to_string());
    assert_eq!(
        (&second.event["errorCode"], &second.event["errorMessage"]),
        (&json!(THROTTLED), &json!(text))
    );
    world.clock.advance(999);
    assert_eq!(send().code, Some(THROTTLED), "{operation}");
    world.clock.advance(1);
    assert_ne!(send().code, Some(THROTTLED), "{operation}");
}

#[test]
fn each_operation_is_counted_in_its_bucket() {
    let mut world = World::new();
    let Keys { symmetric, rsa, ecc } = Keys::of(&world);
    let no_key = json!({"KeyId": crate::world::NO_KEY});
    let pair = |spec: &str| json!({"KeyId": symmetric.id, "KeyPairSpec": spec});
    let mut dry_run = encrypt(&symmetric);
    dry_run["DryRun"] = json!(true);
    let digest = json!({"KeyId": ecc.id, "Message": base64(b"x"), "SigningAlgorithm": "ECDSA_SHA_256"});
    for (operation, request, bucket) in [
        ("Encrypt", encrypt(&symmetric), SYMMETRIC),
        ("Encrypt", encrypt_rsa(&rsa), RSA),
        ("Sign", digest, "CryptographicOperationsEcc"),
        ("GenerateRandom", json!({"NumberOfBytes": 8}), SYMMETRIC),
        ("GenerateDataKeyPair", pair("ECC_NIST_P256"), "GenerateDataKeyPair-ECC_NIST_P256"),
        ("GenerateDataKeyPairWithoutPlaintext", pair("SM2"), "GenerateDataKeyPair-SM2"),
        ("DescribeKey", json!({"KeyId": symmetric.id}), "DescribeKey"),
        ("ListKeys", json!({}), "ListKeys"),
        ("CreateKey", json!({}), "CreateKey"),
        // What does not succeed counts as well.
        ("Encrypt", dry_run, SYMMETRIC),
        ("DescribeKey", no_key.clone(), "DescribeKey"),
        ("Encrypt", json!({"KeyId": crate::world::NO_KEY, "Plaintext": ""}), SYMMETRIC),
        ("Decrypt", json!({"CiphertextBlob": base64(b"no ciphertext")}), SYMMETRIC),
        ("Encrypt", encrypt(&ecc), "CryptographicOperationsEcc"),
        ("GenerateDataKeyPair", no_key.clone(), SYMMETRIC),
        ("CreateKey", json!({"Tags": 1}), "CreateKey"),
        ("CreateCustomKeyStore", json!({}), "CreateCustomKeyStore"),
        ("Frobnicate", json!({}), SYMMETRIC),
    ] {
        check_counted(&mut world, operation, &request, bucket);
    }
}

#[test]
fn one_bucket_leaves_the_others() {
    let mut world = World::new();
    let Keys { symmetric, rsa, .. } = Keys::of(&world);
    limit(&mut world, &[(RSA, 1.0), ("DescribeKey", 1.0)]);
    assert_eq!(code(&world, ALICE, "Encrypt", encrypt_rsa(&rsa)), None);
    assert_eq!(code(&world, ALICE, "Encrypt", encrypt_rsa(&rsa)), Some(THROTTLED));
    assert_eq!(code(&world, ALICE, "DescribeKey", json!({"KeyId": rsa.id})), None);
    assert_eq!(code(&world, ALICE, "DescribeKey", json!({"KeyId": rsa.id})), Some(THROTTLED));
    assert_eq!(code(&world, ALICE, "Encrypt", encrypt(&symmetric)), None);
    assert_eq!(code(&world, ALICE, "GetKeyPolicy", json!({"KeyId": rsa.id})), None);
}

/// ReEncrypt counts once for each bucket that its keys are in.
#[test]
fn a_reencryption_counts_for_each_kind_of_key() {
    let mut world = World::new();
    let Keys { symmetric, rsa, .. } = Keys::of(&world);
    let other = world.key(ALICE);
    let blob = world.encrypt(ALICE, &symmetric, b"x", json!({}));
    limit(&mut world, &[(SYMMETRIC, 2.0), (RSA, 1.0)]);
    let mut to_rsa = json!({"CiphertextBlob": blob, "DestinationKeyId": rsa.id});
    to_rsa["DestinationEncryptionAlgorithm"] = json!("RSAES_OAEP_SHA_256");
    let to_other = json!({"CiphertextBlob": blob, "DestinationKeyId": other.id});
    assert_eq!(code(&world, ALICE, "ReEncrypt", to_rsa), None);
    assert_eq!(code(&world, ALICE, "Encrypt", encrypt_rsa(&rsa)), Some(THROTTLED));
    assert_eq!(code(&world, ALICE, "ReEncrypt", to_other.clone()), None);
    assert_eq!(code(&world, ALICE, "ReEncrypt", to_other), Some(THROTTLED));
}

#[test]
fn a_replica_counts_in_both_regions() {
    let mut world = World::new();
    let make = || world.key_with(ALICE, json!({"MultiRegion": true}));
    let keys = [make(), make(), make()];
    limit(&mut world, &[("CreateKey", 4.0)]);
    let replicate = |key: &Key| {
        code(&world, ALICE, "ReplicateKey", json!({"KeyId": key.id, "ReplicaRegion": OTHER_REGION}))
    };
    assert_eq!(
        [replicate(&keys[0]), replicate(&keys[1]), replicate(&keys[2])],
        [None, None, Some(THROTTLED)]
    );
    assert_eq!(world.refuse_in(OTHER_REGION, ALICE, "CreateKey", json!({})), THROTTLED);
    assert_eq!(code(&world, ALICE, "CreateKey", json!({})), None);

    limit(&mut world, &[("UpdatePrimaryRegion", 1.0)]);
    let lead = |key: &Key, from: &str, to: &str| {
        let request = json!({"KeyId": key.id, "PrimaryRegion": to});
        world.send(&Ask::new(ALICE, "UpdatePrimaryRegion", request).region(from)).code
    };
    assert_eq!(lead(&keys[0], crate::world::REGION, OTHER_REGION), None);
    assert_eq!(lead(&keys[0], OTHER_REGION, crate::world::REGION), Some(THROTTLED));
}

/// A call is charged to the account that makes it, whosever key it uses.
#[test]
fn nobody_uses_up_what_others_may() {
    let mut world = World::new();
    let shared = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": [ALICE.account, BOB.account]}, "Action": "kms:*", "Resource": "*"}
    ]});
    let key = world.key_with(ALICE, json!({"Policy": shared.to_string()}));
    limit(&mut world, &[(SYMMETRIC, 1.0)]);
    assert_eq!(code(&world, BOB, "Encrypt", encrypt(&key)), None);
    assert_eq!(code(&world, BOB, "Encrypt", encrypt(&key)), Some(THROTTLED));
    // Who only claims to be somebody uses up nothing of hers.
    let forged = Root { secret: BOB.secret, ..ALICE };
    for _ in 0..3 {
        let answer = world.handle(&Ask::new(forged, "Encrypt", encrypt(&key)));
        assert_eq!(answer.code, Some("InvalidSignatureException"));
    }
    assert_eq!(code(&world, ALICE, "Encrypt", encrypt(&key)), None);
    assert_eq!(code(&world, ALICE, "Encrypt", encrypt(&key)), Some(THROTTLED));
}

/// Attack A20: a source that floods with bad signatures is throttled, and nobody else is, at the same address or at others.
#[test]
fn a20_bad_signatures_are_throttled_by_their_source() {
    let mut world = World::new();
    limit(&mut world, &[("Unauthenticated", 2.0)]);
    let forged = Root { secret: BOB.secret, ..ALICE };
    let forge = |peer: [u8; 4]| {
        let ask = Ask::new(forged, "ListKeys", json!({}));
        world.send(&ask.origin(Origin { peer: peer.into(), tls: None, endpoint: None })).code
    };
    let (here, there) = ([192, 0, 2, 10], [192, 0, 2, 11]);
    assert_eq!([forge(here), forge(here)], [Some("InvalidSignatureException"); 2]);
    for _ in 0..200 {
        assert_eq!(forge(here), Some(THROTTLED));
        assert_eq!(code(&world, ALICE, "ListKeys", json!({})), None);
    }
    assert_eq!(forge(there), Some("InvalidSignatureException"));
    world.clock.advance(500);
    assert_eq!([forge(here), forge(here)], [Some("InvalidSignatureException"), Some(THROTTLED)]);
}

/// Attack A20: what browsers ask without authentication is counted with what authenticates nobody.
#[test]
fn a20_preflights_are_throttled_by_their_source() {
    let mut world = World::new();
    limit(&mut world, &[("Unauthenticated", 2.0)]);
    let mut preflight = Ask::new(ALICE, "ListKeys", json!({})).incoming(world.now());
    preflight.method = http::Method::OPTIONS;
    preflight.headers.insert("origin", http::HeaderValue::from_static("https://page.example"));
    let ask = || block_on(world.service.handle(&preflight, world.now()));
    for (status, throttled_by) in [(200, None), (200, None), (400, Some("Unauthenticated"))] {
        let answer = ask();
        assert_eq!((answer.outgoing.status, answer.throttled_by), (status, throttled_by));
        assert_eq!((answer.account, answer.event), (None, None));
    }
    assert_eq!(code(&world, ALICE, "ListKeys", json!({})), None);
}

/// What is counted does not tell a stranger of what kind a key is, nor that there is one (O5).
#[test]
fn a_strangers_count_tells_nothing_of_a_key() {
    let mut world = World::new();
    let Keys { rsa, .. } = Keys::of(&world);
    let own = world.key_with(BOB, json!({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}));
    limit(&mut world, &[(RSA, 1.0), (SYMMETRIC, 4.0)]);
    assert_eq!(code(&world, BOB, "Encrypt", encrypt_rsa(&own)), None);
    assert_eq!(code(&world, BOB, "Encrypt", encrypt_rsa(&own)), Some(THROTTLED));
    let none = Key { arn: rsa.arn.replace(&rsa.id, crate::world::NO_KEY), ..rsa.clone() };
    for foreign in [&rsa, &none, &rsa, &none] {
        assert_eq!(code(&world, BOB, "Encrypt", encrypt_rsa(foreign)), Some("AccessDeniedException"));
    }
    assert_eq!(code(&world, BOB, "Encrypt", encrypt_rsa(&rsa)), Some(THROTTLED));
}

#[test]
fn iam_and_sts_are_counted_too() {
    let mut world = World::new();
    limit(&mut world, &[("IAM", 1.0), ("STS", 1.0)]);
    let root = Actor::from(ALICE);
    for (service, action) in [("iam", "ListUsers"), ("sts", "GetCallerIdentity")] {
        let send = || block_on(world.service.handle(&root.query(&world, service, action, &[]), world.now()));
        assert_eq!(send().outgoing.status, 200, "{action}");
        let refused = send();
        let body = String::from_utf8(refused.outgoing.body.to_vec()).unwrap();
        assert_eq!((refused.outgoing.status, refused.code), (400, Some("Throttling")));
        assert!(body.contains("<Code>Throttling</Code>") && body.contains("Rate exceeded"), "{body}");
        assert_eq!(refused.throttled_by, Some(service.to_uppercase().as_str()));
        assert!(refused.event.is_some(), "it is recorded");
    }
}

/// A call that is decided anew because a record changed under it is still one call.
#[test]
fn racing_calls_are_counted_once() {
    let mut world = World::new();
    let key = world.key(ALICE);
    limit(&mut world, &[("UpdateKeyDescription", 8.0)]);
    let change = |number: usize| {
        let request = json!({"KeyId": key.id, "Description": number.to_string()});
        world.handle(&Ask::new(ALICE, "UpdateKeyDescription", request)).code
    };
    let change = &change;
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|number| scope.spawn(move || change(number))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(outcomes, [None; 8]);
    assert_eq!(change(9), Some(THROTTLED));
}

const FULL: &str = "LimitExceededException";

/// Keys in every state count until they are gone, and nothing is made for a key that there is no room for.
#[test]
fn the_quota_of_keys_holds() {
    let mut world = World::new();
    allow(&mut world, Some(2), None);
    let (one, _) = (world.key(ALICE), world.key(ALICE));
    let refused = ask(&world, ALICE, "CreateKey", json!({}));
    assert_eq!((refused.code, refused.commands), (Some(FULL), vec![]));
    assert!(refused.body.contains("Key quota for this account in this region is 2"), "{}", refused.body);
    world.key_in(OTHER_REGION, ALICE, json!({}));
    world.key(BOB);
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": one.id, "PendingWindowInDays": 7}));
    assert_eq!(world.refuse(ALICE, "CreateKey", json!({})), FULL);
    world.clock.advance(7 * DAY_MS);
    assert_eq!(world.run_due().failed, 0);
    world.key(ALICE);
    assert_eq!(world.refuse(ALICE, "CreateKey", json!({})), FULL);
}

#[test]
fn replicas_count_where_they_are() {
    let mut world = World::new();
    let key = world.key_with(ALICE, json!({"MultiRegion": true}));
    allow(&mut world, Some(1), None);
    let replicate = json!({"KeyId": key.id, "ReplicaRegion": OTHER_REGION});
    let taken = world.key_in(OTHER_REGION, ALICE, json!({}));
    let refused = ask(&world, ALICE, "ReplicateKey", replicate.clone());
    assert_eq!((refused.code, refused.commands), (Some(FULL), vec![]));
    let schedule = json!({"KeyId": taken.id, "PendingWindowInDays": 7});
    world.succeed_in(OTHER_REGION, ALICE, "ScheduleKeyDeletion", schedule);
    world.clock.advance(7 * DAY_MS);
    world.run_due();
    world.succeed(ALICE, "ReplicateKey", replicate);
    assert_eq!(world.refuse_in(OTHER_REGION, ALICE, "CreateKey", json!({})), FULL);
}

/// Many at once, on two hosts: as many keys as there is room for, and no more.
#[test]
fn racing_calls_make_no_key_too_many() {
    let mut world = World::new();
    allow(&mut world, Some(5), None);
    let usual = Allowance::new(Some(5), None, []).unwrap();
    let quotas = Quotas::of_resources(Allowances { usual, ..Allowances::default() });
    let hosts = [&world.service, &world.host(|it| it.with_quotas(quotas))];
    let incoming = Ask::new(ALICE, "CreateKey", json!({})).incoming(world.now());
    let (incoming, now) = (&incoming, world.now());
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let make = |place: usize| scope.spawn(move || block_on(hosts[place % 2].handle(incoming, now)).code);
        let calls: Vec<_> = (0..12).map(make).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|code| code.is_none()).count(), 5, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|code| **code == Some(FULL)).count(), 7, "{outcomes:?}");
    let listed = world.succeed(ALICE, "ListKeys", json!({}));
    assert_eq!(listed["Keys"].as_array().map(Vec::len), Some(5));
}

/// A store of a program that did not count.
#[test]
fn keys_that_nobody_counted_are_counted() {
    let mut world = World::new();
    let (one, _, _) = (world.key(ALICE), world.key(ALICE), world.key(ALICE));
    world.key(BOB);
    let forget = || {
        let names = world.record_names().into_iter().filter(|name| name.starts_with("key-count/"));
        let writes: Vec<_> = names.map(|name| Write::Delete(name.into_bytes())).collect();
        assert_eq!(writes.len(), 2, "an account each");
        block_on(world.store.commit(Commit { preconditions: Vec::new(), writes })).unwrap();
    };
    forget();
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": one.id, "PendingWindowInDays": 7}));
    world.clock.advance(7 * DAY_MS);
    world.run_due();
    allow(&mut world, Some(3), None);
    world.key(ALICE);
    assert_eq!(world.refuse(ALICE, "CreateKey", json!({})), FULL);
}

#[test]
fn an_account_may_be_allowed_something_else() {
    let mut world = World::new();
    let accounts = HashMap::from([(BOB.account.to_owned(), Allowance::new(Some(1), Some(1), []).unwrap())]);
    let usual = Allowance::new(Some(2), Some(2), []).unwrap();
    world.service = world.host(|it| it.with_quotas(Quotas::of_resources(Allowances { usual, accounts })));
    for (owner, most) in [(ALICE, 2), (BOB, 1)] {
        let key = world.key(owner);
        for number in 1..=most {
            let alias = json!({"AliasName": format!("alias/{number}"), "TargetKeyId": key.id});
            world.succeed(owner, "CreateAlias", alias);
        }
        let alias = json!({"AliasName": "alias/more", "TargetKeyId": key.id});
        assert_eq!(world.refuse(owner, "CreateAlias", alias), FULL);
        for _ in 1..most {
            world.key(owner);
        }
        assert_eq!(world.refuse(owner, "CreateKey", json!({})), FULL);
    }
}

/// A key with more aliases than one commit removes goes with all of them.
#[test]
fn a_key_with_many_aliases_can_be_deleted() {
    let mut world = World::new();
    allow(&mut world, None, Some(1000));
    let key = world.key(ALICE);
    for number in 0..130 {
        let alias = json!({"AliasName": format!("alias/{number}"), "TargetKeyId": key.id});
        world.succeed(ALICE, "CreateAlias", alias);
    }
    world.succeed(ALICE, "ScheduleKeyDeletion", json!({"KeyId": key.id, "PendingWindowInDays": 7}));
    world.clock.advance(7 * DAY_MS);
    assert_eq!(world.run_due().failed, 0);
    assert_eq!(world.service_events("DeleteKey").len(), 1);
    let left =
        world.record_names().into_iter().filter(|name| name.contains("alias") || name.contains(&key.id));
    assert_eq!(left.count(), 0);
}

/// Attack A20: whoever has a token of an issuer that the public may use asks for roles that do not trust them. Neither is the
/// trail filled, nor is used up what the account may call; who is let in at the same address is never throttled by it.
#[test]
fn a20_outsiders_with_a_token_are_throttled_by_their_source() {
    let (mut world, _) = with_provider();
    limit(&mut world, &[("Unauthenticated", 2.0), ("STS", 4.0)]);
    let outsider = token(&world, &json!({"sub": "system:outsider"}));
    let denied = || exchange(&world, &outsider).code();
    assert_eq!([denied(), denied()], [(); 2].map(|()| Some("AccessDenied".to_owned())));
    let events = world.ledger.len();
    for _ in 0..50 {
        assert_eq!(denied().as_deref(), Some("Throttling"));
    }
    assert_eq!(world.ledger.len(), events);
    // So is a request that is refused before the role is asked.
    let invalid = [("RoleArn", "arn:aws:iam::111122223333:user/Web"), ("RoleSessionName", "app")];
    let members = [&invalid[..], &[("WebIdentityToken", &*outsider)]].concat();
    let refused = unsigned(&world, "AssumeRoleWithWebIdentity", &members);
    assert_eq!(refused.code().as_deref(), Some("Throttling"));
    let insider = token(&world, &json!({}));
    assert_eq!([exchange(&world, &insider).status, exchange(&world, &insider).status], [200; 2]);
    let last = exchange(&world, &insider);
    assert_eq!(last.code().as_deref(), Some("Throttling"), "the account's own calls are counted");
    assert_eq!(last.event["errorCode"], "ThrottlingException");
}
