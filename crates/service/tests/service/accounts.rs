//! Accounts as an operator makes and closes them: who is let in, and what is left of what fails.

use claviger_service::account::{self, Operator};
use claviger_store::{Commit, Write};
use serde_json::json;

use crate::actor::{Actor, allow, give, new_user, trusts};
use crate::ledger::Fault;
use crate::world::{ALICE, BOB, World, block_on};

const OPERATOR: Operator = Operator { uid: 1000 };

fn close(world: &World, id: &str) -> Result<account::Account, claviger_service::Error> {
    block_on(account::close(&world.service, OPERATOR, id, world.now()))
}

/// No request that starts after the account is closed is served, on any host, whoever made it and whatever is cached.
#[test]
fn a_closed_account_lets_nobody_in() {
    let world = World::new();
    let other_host = world.another_host();
    let user = new_user(&world, BOB, "Eve");
    let ask = |actor: &Actor| actor.query(&world, "sts", "GetCallerIdentity", &[]);
    let actors = [Actor::from(BOB), user];
    let served = |expected: bool| {
        for actor in &actors {
            for host in [&world.service, &other_host] {
                let handled = block_on(host.handle(&ask(actor), world.now()));
                assert_eq!(handled.code.is_none(), expected, "{:?}", handled.code);
                assert_eq!(handled.account.is_some(), expected);
            }
        }
    };
    served(true);
    assert!(close(&world, BOB.account).unwrap().closed.is_some());
    served(false);
    // Nobody else is concerned.
    world.succeed(ALICE, "ListKeys", json!({}));
    block_on(account::reopen(&world.service, OPERATOR, BOB.account, world.now())).unwrap();
    served(true);
}

/// What a closed account shares is out of reach for others, by its id, its alias and what it encrypted.
#[test]
fn keys_of_a_closed_account_are_out_of_reach() {
    let world = World::new();
    let policy = crate::policies::policy(crate::policies::open_to("*"));
    let key = world.key_with(BOB, json!({"Policy": policy}));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    close(&world, BOB.account).unwrap();
    for (operation, request) in [
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("DescribeKey", json!({"KeyId": key.arn})),
        ("Encrypt", json!({"KeyId": "arn:aws:kms:us-east-1:444455556666:alias/a", "Plaintext": "eA=="})),
    ] {
        assert_eq!(world.refuse(ALICE, operation, request), "AccessDeniedException", "{operation}");
    }
}

/// An account whose event cannot be kept is not made; one whose event was committed has it, whatever dies then.
#[test]
fn an_account_and_its_event_are_one() {
    let mut world = World::new();
    let create = |world: &World, id: &str| {
        let made = account::create(&world.service, OPERATOR, Some(id), "Third", world.now());
        block_on(made).map(|(account, _)| account)
    };
    let (content, events) = (world.content(), world.ledger.len());
    world.ledger.set_fault(Fault::Full);
    create(&world, "777788889999").unwrap_err();
    assert_eq!((world.content(), world.ledger.len()), (content, events));
    world.ledger.set_fault(Fault::Append);
    create(&world, "777788889999").unwrap_err();
    world.ledger.set_fault(Fault::None);
    assert_eq!(world.restart(), 1);
    let event: serde_json::Value = serde_json::from_slice(&world.ledger.since(events)[0]).unwrap();
    assert_eq!((&event["eventName"], &event["errorCode"]), (&json!("CreateAccount"), &json!(null)));
    let made = block_on(account::show(&world.service, "777788889999")).unwrap();
    assert_eq!(made.root_keys.len(), 1);
    let again = create(&world, "777788889999").unwrap_err();
    assert_eq!(again.message.unwrap(), "account 777788889999 exists already");
}

/// A store of a release that knew no records of accounts: whoever was let in is let in, and is listed.
#[test]
fn a_store_without_accounts_gets_them() {
    let mut world = World::new();
    new_user(&world, BOB, "Eve");
    let names = [ALICE, BOB].map(|root| format!("account/{}", root.account).into_bytes());
    let writes = names.into_iter().map(Write::Delete).collect();
    block_on(world.store.commit(Commit { preconditions: Vec::new(), writes })).unwrap();
    assert!(block_on(account::list(&world.service)).unwrap().is_empty());
    assert_eq!(world.refuse(ALICE, "ListKeys", json!({})), "UnrecognizedClientException");
    world.restart();
    let listed = block_on(account::list(&world.service)).unwrap();
    let listed: Vec<_> = listed.iter().map(|it| (&*it.id, it.root_keys.join(" "))).collect();
    let expected = [ALICE, BOB].map(|root| (root.account, root.access_key_id.to_owned()));
    assert_eq!(listed, expected);
    world.succeed(ALICE, "ListKeys", json!({}));
}

/// A role of a closed account is not assumed: credentials that are given out now would serve once it is open again.
#[test]
fn roles_of_a_closed_account_are_not_assumed() {
    let world = World::new();
    let ann = new_user(&world, ALICE, "Ann");
    give(&world, ALICE, "Ann", &allow(&["sts:*"]));
    let trust = trusts("arn:aws:iam::111122223333:user/Ann");
    Actor::from(BOB).does(&world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    let members = [("RoleArn", "arn:aws:iam::444455556666:role/R"), ("RoleSessionName", "s1")];
    let assume = || ann.sts(&world, "AssumeRole", &members).code();
    assert_eq!(assume(), None);
    close(&world, BOB.account).unwrap();
    assert_eq!(assume().as_deref(), Some("AccessDenied"));
}
