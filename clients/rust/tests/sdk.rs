//! The AWS SDK for Rust against the built program, over TLS with the generated authority, across a restart and a kill.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyState};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

/// A running `claviger dev`.
struct Server {
    process: Child,
    dir: PathBuf,
    port: u16,
}

fn program() -> PathBuf {
    let named = std::env::var_os("CLAVIGER_BIN").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/claviger");
    let program = named.unwrap_or(built);
    assert!(program.exists(), "{} is not built; run `cargo xtask test`", program.display());
    program
}

/// A port with two free ones behind it.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if port < u16::MAX - 2 && free(port + 1) && free(port + 2) {
            return port;
        }
    }
}

impl Server {
    fn start(dir: &Path, port: u16) -> Self {
        let mut process = Command::new(program())
            .args(["dev", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready"), "{line}");
        Self { process, dir: dir.to_owned(), port }
    }

    fn client(&self) -> Client {
        let ca = std::fs::read(self.dir.join("tls/ca.pem")).unwrap();
        let trust = TrustStore::empty().with_pem_certificate(ca);
        let tls = TlsContext::builder().with_trust_store(trust).build().unwrap();
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls)
            .build_https();
        let profile = std::fs::read_to_string(self.dir.join("aws/credentials")).unwrap();
        let value = |name: &str| {
            let line = profile.lines().find_map(|line| line.strip_prefix(name)?.split_once('=')).unwrap();
            line.1.trim().to_owned()
        };
        let credentials =
            Credentials::new(value("aws_access_key_id"), value("aws_secret_access_key"), None, None, "test");
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(credentials)
            .endpoint_url(format!("https://localhost:{}", self.port + 1))
            .http_client(http)
            .build();
        Client::from_conf(config)
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

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
    let data_key = client.generate_data_key().key_id(&key).key_spec(DataKeySpec::Aes256).send().await.unwrap();

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
    let opened = client.decrypt().ciphertext_blob(data_key.ciphertext_blob().unwrap().clone()).send().await.unwrap();
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
