//! The AWS SDK for Rust against the built program, over TLS with the generated authority, across a restart and a kill.

#[path = "support/server.rs"]
mod server;

use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyState};
use server::{Server, free_port};

#[tokio::test]
async fn the_sdk_works_across_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), free_port());
    let client = server.client();
    let made = client.create_key().description("from Rust").send().await.unwrap();
    let metadata = made.key_metadata().unwrap();
    assert_eq!(metadata.key_state(), Some(&KeyState::Enabled));
    let key = metadata.key_id().to_owned();
    client.create_alias().alias_name("alias/rust").target_key_id(&key).send().await.unwrap();
    let encrypted = client
        .encrypt()
        .key_id("alias/rust")
        .plaintext(Blob::new("hello"))
        .encryption_context("purpose", "test")
        .send()
        .await
        .unwrap();
    let blob = encrypted.ciphertext_blob().unwrap().clone();
    let data_key =
        client.generate_data_key().key_id(&key).key_spec(DataKeySpec::Aes256).send().await.unwrap();

    let port = server.port;
    server.kill();
    let server = Server::start(dir.path(), port);
    let client = server.client();
    let decrypted = client
        .decrypt()
        .ciphertext_blob(blob.clone())
        .encryption_context("purpose", "test")
        .send()
        .await
        .unwrap();
    assert_eq!(decrypted.plaintext().unwrap().as_ref(), b"hello");
    assert!(decrypted.key_id().unwrap().ends_with(&key));
    let opened =
        client.decrypt().ciphertext_blob(data_key.ciphertext_blob().unwrap().clone()).send().await.unwrap();
    assert_eq!(opened.plaintext(), data_key.plaintext());
    let keys = client.list_keys().into_paginator().items().send().try_collect().await.unwrap();
    assert_eq!(keys.len(), 1);

    let refused = client.decrypt().ciphertext_blob(blob).encryption_context("purpose", "other").send().await;
    assert!(refused.unwrap_err().into_service_error().is_invalid_ciphertext_exception());
    client.disable_key().key_id(&key).send().await.unwrap();
    let refused = client.encrypt().key_id(&key).plaintext(Blob::new("x")).send().await.unwrap_err();
    assert!(refused.into_service_error().is_disabled_exception());
    let unserved = client.get_public_key().key_id(&key).send().await.unwrap_err().into_service_error();
    assert_eq!(unserved.code(), Some("UnsupportedOperationException"));
}
