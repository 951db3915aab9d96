//! Invariant I6 against the running program: no use that starts after a revocation was acknowledged is served, over
//! connections of their own. The history is checked by the checker of the service's tests.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

#[cfg(test)]
#[path = "../../service/tests/service/history.rs"]
mod history;
#[cfg(test)]
#[expect(dead_code, reason = "each test uses a part")]
#[path = "support/all.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use history::History;
use serde_json::{Value, json};
use support::client::Client;
use support::server::Home;
use tokio::task::JoinSet;

/// Connections that use the key.
const CONNECTIONS: usize = 6;
/// How often it is closed and opened, at least; and at most, where no use met a change.
const ROUNDS: std::ops::Range<usize> = 20..2_000;

/// Makes a call of one of the operations that matter most, and writes down whether it was served.
async fn use_it(
    client: &mut Client,
    history: &History,
    requests: &[(&str, Value)],
    number: usize,
    refused: &str,
) {
    let (operation, input) = &requests[number % requests.len()];
    let start = history.tick();
    let answer = client.call(operation, input).await.expect("the host keeps its connections");
    assert!([None, Some(refused)].contains(&answer.error()), "{answer:?}");
    history.used(start, answer.status == 200);
}

/// Closes and opens the key while it is used.
async fn check(close: (&str, fn(&str) -> Value), open: (&str, fn(&str) -> Value), refused: &'static str) {
    let server = Home::new(false).start().await;
    let mut admin = server.connect().await;
    let made = admin.call("CreateKey", &json!({})).await.unwrap().succeeded();
    let id = made.body["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let encrypt = json!({"KeyId": id, "Plaintext": "eA=="});
    let blob = admin.call("Encrypt", &encrypt).await.unwrap().succeeded().body["CiphertextBlob"].take();
    let requests = Arc::new([
        ("Encrypt", encrypt),
        ("Decrypt", json!({"KeyId": id, "CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": id, "KeySpec": "AES_256"})),
    ]);
    let (history, done) = (Arc::new(History::default()), Arc::new(AtomicBool::new(false)));
    let mut uses = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = server.connect().await;
        let (history, done, requests) = (Arc::clone(&history), Arc::clone(&done), Arc::clone(&requests));
        uses.spawn(async move {
            for number in 0.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                use_it(&mut client, &history, &*requests, number, refused).await;
            }
        });
    }
    for round in 0..ROUNDS.end {
        for (operation, input) in [close, open] {
            use_it(&mut admin, &history, &*requests, round, refused).await;
            let start = history.tick();
            admin.call(operation, &input(&id)).await.unwrap().succeeded();
            history.changed(start);
        }
        if round >= ROUNDS.start && history.overlaps() >= CONNECTIONS {
            break;
        }
    }
    done.store(true, Ordering::SeqCst);
    while let Some(ended) = uses.join_next().await {
        ended.unwrap();
    }
    assert_eq!(history.first_impossible(), None);
    assert!(history.outcomes().iter().all(|count| *count > 0) && history.overlaps() > 0);
    server.stop().await;
}

fn on_key(id: &str) -> Value {
    json!({"KeyId": id})
}

/// A policy that allows the account's root user what these elements say.
fn put(id: &str, actions: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*"});
    statement.as_object_mut().unwrap().extend(actions.as_object().unwrap().clone());
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    json!({"KeyId": id, "Policy": policy})
}

#[tokio::test]
async fn b26_a_disabled_key_is_refused_over_every_connection() {
    check(("DisableKey", on_key), ("EnableKey", on_key), "DisabledException").await;
}

#[tokio::test]
async fn b26_a_replaced_policy_is_in_force_over_every_connection() {
    let closed =
        |id: &str| put(id, json!({"NotAction": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"]}));
    let open = |id: &str| put(id, json!({"Action": "kms:*"}));
    check(("PutKeyPolicy", closed), ("PutKeyPolicy", open), "AccessDeniedException").await;
}
