//! The built program, and the AWS SDK's client of it over TLS with the generated authority.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

/// A running `claviger dev`.
pub struct Server {
    process: Child,
    dir: PathBuf,
    pub port: u16,
}

fn program() -> PathBuf {
    let named = std::env::var_os("CLAVIGER_BIN").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/claviger");
    let program = named.unwrap_or(built);
    assert!(program.exists(), "{} is not built; run `cargo xtask test`", program.display());
    program
}

/// A port with two free ones behind it: of those that the system gives to no client, so that nothing else takes it before it
/// is used, where it keeps any.
pub fn free_port() -> u16 {
    let given = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let low: u16 = given.split_whitespace().next().unwrap().parse().unwrap();
    let end = if low > 20_000 { low } else { 32_000 };
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let ports: Vec<_> = (10_000..end - 3).step_by(3).collect();
    let first = std::process::id() as usize % ports.len();
    let in_turn = ports.iter().cycle().skip(first).take(ports.len());
    in_turn.copied().find(|port| (*port..port + 3).all(free)).unwrap()
}

impl Server {
    pub fn start(dir: &Path, port: u16) -> Self {
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

    pub fn client(&self) -> Client {
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

    pub fn kill(mut self) {
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
