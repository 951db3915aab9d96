//! What `GetKeyLastUsage` tells after a program has ended: in good order it keeps every use, also those of its last minute.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[cfg(test)]
#[expect(dead_code, reason = "each test uses a part")]
#[path = "support/all.rs"]
mod support;

use serde_json::{Value, json};
use support::server::{Home, Server};

async fn call(server: &Server, operation: &str, input: Value) -> (String, Value) {
    let answer = server.connect().await.call(operation, &input).await.unwrap().succeeded();
    (answer.request_id, answer.body)
}

#[tokio::test]
async fn a_use_survives_a_stop() {
    let mut home = Home::new(false);
    let server = home.start().await;
    let key = call(&server, "CreateKey", json!({})).await.1["KeyMetadata"]["KeyId"].take();
    let (used, _) = call(&server, "Encrypt", json!({"KeyId": key, "Plaintext": "eA=="})).await;
    server.stop().await;
    let server = home.start().await;
    let (_, told) = call(&server, "GetKeyLastUsage", json!({"KeyId": key})).await;
    assert_eq!(told["KeyLastUsage"]["Operation"], "Encrypt");
    assert_eq!(told["KeyLastUsage"]["KmsRequestId"], used);
    server.stop().await;
}
