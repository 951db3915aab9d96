//! The HSM's domain gets a new key each period, once, whoever asks and whoever dies.

use std::pin::pin;
use std::sync::Arc;

use claviger_service::Service;
use claviger_service::schedule::{self, DomainKeys};
use serde_json::{Value, json};

use crate::ledger::Fault;
use crate::world::{ALICE, DAY_MS, ManualClock, REGION, World, advance, block_on};

/// A host that has a domain key made each so many days.
fn host(world: &World, period_days: Option<u16>) -> Service {
    let (account, region) = (ALICE.account.to_owned(), REGION.to_owned());
    world.host(|it| it.with_domain_keys(DomainKeys { period_days, account, region }))
}

/// Starts a host's task, lets it do what there is to do, and ends it.
fn run(world: &World, service: &Service) {
    let mut task = pin!(schedule::run(service, Arc::<ManualClock>::clone(&world.clock)));
    assert!(!advance(task.as_mut()), "the task never ends");
}

/// The newest domain key, and of which ones the trail tells: what it tells must be there.
fn check(world: &World, newest: u32) {
    assert_eq!(world.vault.newest_domain_key(), newest);
    let events = world.service_events("RotateDomainKey");
    let told: Vec<_> =
        events.iter().map(|it| it["serviceEventDetails"]["domainKeyGeneration"].clone()).collect();
    assert_eq!(told, (2..=newest).map(Value::from).collect::<Vec<_>>());
    for event in &events {
        assert_eq!(
            (&event["recipientAccountId"], &event["awsRegion"]),
            (&json!(ALICE.account), &json!(REGION))
        );
    }
}

#[test]
fn each_period_has_its_key_across_restarts() {
    let mut world = World::new();
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"old", json!({}));
    for (newest, ms) in
        [(1, 0), (1, 7 * DAY_MS - 1), (2, 1), (2, 0), (2, 7 * DAY_MS - 1), (3, 1), (3, DAY_MS)]
    {
        world.clock.advance(ms);
        world.restart();
        let host = host(&world, Some(7));
        run(&world, &host);
        check(&world, newest);
        assert!([0, newest].contains(&host_knows(&host)));
    }
    // What was made under older domain keys works, beside what is made now.
    world.restart();
    let newer = world.key(ALICE);
    let blobs =
        [blob, world.encrypt(ALICE, &key, b"new", json!({})), world.encrypt(ALICE, &newer, b"x", json!({}))];
    for blob in blobs {
        world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    }
}

fn host_knows(service: &Service) -> u32 {
    service.installation().domain_key()
}

/// Two hosts ask for the key of a period at the same time: the HSM makes one, and one of them tells of it.
#[test]
fn two_hosts_make_one_key() {
    let world = World::new();
    let hosts = [host(&world, Some(7)), host(&world, Some(7))];
    hosts.iter().for_each(|host| run(&world, host));
    world.clock.advance(7 * DAY_MS);
    world.vault.hold(Some("RotateDomainKey"));
    let now = world.now();
    let (mut one, mut two) =
        (pin!(schedule::run_due(&hosts[0], now)), pin!(schedule::run_due(&hosts[1], now)));
    assert!(!advance(one.as_mut()) && !advance(two.as_mut()), "both have asked, and wait");
    world.vault.hold(None);
    assert_eq!((block_on(one).unwrap().failed, block_on(two).unwrap().failed), (0, 0));
    check(&world, 2);
    hosts.iter().for_each(|host| run(&world, host));
    check(&world, 2);
}

/// The HSM has made the key, and the host dies before it hears of it: the next start makes no second one, and tells.
#[test]
fn a_key_whose_maker_died_is_told_of() {
    let mut world = World::new();
    run(&world, &host(&world, Some(7)));
    world.clock.advance(7 * DAY_MS);
    world.vault.hold(Some("RotateDomainKey"));
    {
        let dying = host(&world, Some(7));
        let mut task = pin!(schedule::run_due(&dying, world.now()));
        assert!(!advance(task.as_mut()));
    }
    world.vault.hold(None);
    assert_eq!((world.vault.newest_domain_key(), world.service_events("RotateDomainKey").len()), (2, 0));
    world.restart();
    run(&world, &host(&world, Some(7)));
    check(&world, 2);
}

/// A process that dies between the commit and the ledger brings the event at its next start.
#[test]
fn a_key_that_was_committed_is_told_of() {
    let mut world = World::new();
    run(&world, &host(&world, Some(7)));
    world.clock.advance(7 * DAY_MS);
    world.ledger.set_fault(Fault::Append);
    run(&world, &host(&world, Some(7)));
    world.ledger.set_fault(Fault::None);
    assert_eq!(world.restart(), 1);
    check(&world, 2);
    run(&world, &host(&world, Some(7)));
    check(&world, 2);
}

#[test]
fn no_key_is_made_that_could_not_be_told_of() {
    let world = World::new();
    let host = host(&world, Some(7));
    run(&world, &host);
    world.clock.advance(7 * DAY_MS);
    world.ledger.set_fault(Fault::Full);
    run(&world, &host);
    assert_eq!(world.vault.newest_domain_key(), 1);
    world.ledger.set_fault(Fault::None);
    run(&world, &host);
    check(&world, 2);
}

/// The period is what the configuration says now, counted from the newest key.
#[test]
fn the_period_can_be_changed() {
    let world = World::new();
    let step = |days: Option<u16>, ms: i64, newest: u32| {
        world.clock.advance(ms);
        run(&world, &host(&world, days));
        check(&world, newest);
    };
    step(Some(7), 0, 1);
    step(Some(3), 2 * DAY_MS, 1);
    step(Some(3), DAY_MS, 2);
    step(None, 30 * DAY_MS, 2);
    step(None, 30 * DAY_MS, 2);
    assert!(!world.record_names().iter().any(|name| name.starts_with("due/")));
    step(Some(7), 0, 3);
    step(Some(7), 7 * DAY_MS - 1, 3);
    step(Some(7), 1, 4);
}

/// A seal that was put back lacks the newest domain key. Nothing goes on as if that were well.
#[test]
fn a_seal_that_was_put_back_is_noticed() {
    let world = World::new();
    let service = host(&world, Some(7));
    run(&world, &service);
    let old = world.vault.seal();
    world.clock.advance(7 * DAY_MS);
    run(&world, &service);
    check(&world, 2);
    world.vault.put_back(&old);
    world.clock.advance(7 * DAY_MS);
    let before = world.content();
    let round = block_on(schedule::run_due(&service, world.now())).unwrap();
    assert_eq!((round.failed, world.vault.newest_domain_key()), (1, 1));
    let restarted = host(&world, Some(7));
    run(&world, &restarted);
    assert_eq!((world.vault.newest_domain_key(), host_knows(&restarted)), (1, 0));
    assert_eq!(world.content(), before);
    assert_eq!(world.service_events("RotateDomainKey").len(), 1);
}

/// An HSM that cannot be reached at the start is asked again.
#[test]
fn a_start_without_the_hsm_plans_later() {
    let world = World::new();
    let host = host(&world, Some(7));
    let mut task = pin!(schedule::run(&host, Arc::<ManualClock>::clone(&world.clock)));
    world.vault.cut(true);
    assert!(!advance(task.as_mut()));
    assert_eq!(host_knows(&host), 0);
    world.vault.cut(false);
    world.clock.advance(5_000);
    assert!(!advance(task.as_mut()));
    assert_eq!(host_knows(&host), 1);
    world.clock.advance(7 * DAY_MS);
    assert!(!advance(task.as_mut()));
    check(&world, 2);
}
