//! TLS as a client sees it: post-quantum key exchange offered and required, resumption, and no early data.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at the first surprise")]

#[cfg(test)]
#[expect(dead_code, reason = "each test uses a part")]
#[path = "support/all.rs"]
mod support;

use std::sync::Arc;

use claviger_server::tls::{self, PostQuantum};
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::server::ProducesTickets;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use support::client::{Client, Credentials};
use support::events;
use support::served::{Service, Site};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Groups<'a> = &'a [&'static dyn SupportedKxGroup];

const CLASSICAL: Groups<'static> = &[X25519, SECP256R1, SECP384R1];
const ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];
const ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];

/// A host with two listeners: one prefers post-quantum groups, the other requires them.
struct World {
    site: Site,
    _hsm: Service,
    host: Service,
    credentials: Credentials,
}

/// Which listener.
#[derive(Debug, Clone, Copy)]
enum Door {
    Prefers = 0,
    Requires = 1,
}

impl World {
    async fn new() -> Self {
        let site = Site::new(2);
        let hsm = site.start_hsm().await;
        let made = site.certificates();
        let listener = |port: u16, post_quantum: &str| {
            format!(
                "[[listener]]\naddress = \"127.0.0.1:{port}\"\ntls = {{ certificate = \"{}\", key = \"{}\"{post_quantum} }}\n",
                made.certificate.display(),
                made.key.display(),
            )
        };
        let listeners = |port| {
            let requires = listener(port + Door::Requires as u16, ", post_quantum = \"require\"");
            listener(port + Door::Prefers as u16, "") + &requires
        };
        let host = site.start_host(&site.socket(), listeners).await;
        let credentials = site.credentials();
        Self { site, _hsm: hsm, host, credentials }
    }

    /// A client that offers these groups and versions, and remembers the sessions it had.
    fn client(
        &self,
        groups: Groups<'_>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        Arc::new(client(&self.site, groups, versions))
    }

    /// Connects, makes one call, and tells how the connection came about; or how the handshake failed.
    async fn call(&self, config: &Arc<ClientConfig>, door: Door) -> Result<HandshakeKind, String> {
        let address = format!("127.0.0.1:{}", self.site.port() + door as u16);
        let stream = TcpStream::connect(&address).await.unwrap();
        let connecting = TlsConnector::from(Arc::clone(config)).connect(localhost(), stream);
        let stream = connecting.await.map_err(|error| error.to_string())?;
        let kind = stream.get_ref().1.handshake_kind().unwrap();
        let mut client = Client::over(stream, &address, &self.credentials).await.unwrap();
        client.call("GenerateRandom", &json!({"NumberOfBytes": 8})).await.unwrap().succeeded();
        Ok(kind)
    }

    /// What the trail says of each connection, in their order. Ends the host.
    async fn trail(self) -> Vec<Value> {
        self.host.stop().await;
        let (events, _) = events::read(&self.site.ledger(), 1);
        events.into_iter().map(|mut event| event.0["tlsDetails"].take()).collect()
    }
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// A client that trusts the site's authority, offers these groups and versions, and remembers the sessions it had.
fn client(site: &Site, groups: Groups<'_>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(site.certificates().ca).unwrap()).unwrap();
    let provider = CryptoProvider { kx_groups: groups.to_vec(), ..aws_lc_rs::default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions);
    builder.unwrap().with_root_certificates(roots).with_no_client_auth()
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Clients of all kinds are served where post-quantum groups are preferred, and the trail names the group.
#[test]
fn every_client_is_served_with_the_best_group_it_has() {
    block_on(async {
        let world = World::new().await;
        let clients: &[(Groups<'_>, _, &str, &str)] = &[
            (&[X25519MLKEM768], ONLY_13, "TLSv1.3", "X25519MLKEM768"),
            (&[SECP256R1MLKEM768], ONLY_13, "TLSv1.3", "SecP256r1MLKEM768"),
            (&[X25519MLKEM768, X25519], ONLY_13, "TLSv1.3", "X25519MLKEM768"),
            (&[X25519], ONLY_13, "TLSv1.3", "x25519"),
            (&[SECP384R1], ONLY_13, "TLSv1.3", "secp384r1"),
            (CLASSICAL, ONLY_12, "TLSv1.2", "x25519"),
            (&[SECP256R1], ONLY_12, "TLSv1.2", "secp256r1"),
        ];
        for (groups, versions, _, _) in clients {
            let kind = world.call(&world.client(groups, versions), Door::Prefers).await;
            assert_eq!(kind, Ok(HandshakeKind::Full), "{groups:?}");
        }
        let trail = world.trail().await;
        assert_eq!(trail.len(), clients.len());
        for (details, (_, _, version, group)) in trail.iter().zip(clients) {
            assert_eq!((&details["tlsVersion"], &details["keyExchange"]), (&json!(version), &json!(group)));
        }
    });
}

/// Where post-quantum groups are required no classical client comes in, in any version, with or without a ticket.
#[test]
fn a_classical_client_is_refused_where_post_quantum_is_required() {
    block_on(async {
        let world = World::new().await;
        let hybrids: [Groups<'_>; 3] = [&[X25519MLKEM768], &[SECP256R1MLKEM768], &[X25519, X25519MLKEM768]];
        for groups in hybrids {
            world.call(&world.client(groups, ONLY_13), Door::Requires).await.unwrap();
        }
        for (groups, versions) in [(CLASSICAL, ONLY_13), (CLASSICAL, ONLY_12), (hybrids[2], ONLY_12)] {
            let fresh = world.client(groups, versions);
            check_refused(&world, &fresh).await;
            // The other listener's ticket is no way around it.
            let with_ticket = world.client(groups, versions);
            assert_eq!(world.call(&with_ticket, Door::Prefers).await, Ok(HandshakeKind::Full));
            check_refused(&world, &with_ticket).await;
        }
        let trail = world.trail().await;
        let hybrid = |details: &&Value| details["keyExchange"].as_str().unwrap().ends_with("MLKEM768");
        assert_eq!((trail.len(), trail.iter().filter(hybrid).count()), (6, 3));
    });
}

async fn check_refused(world: &World, config: &Arc<ClientConfig>) {
    let error = world.call(config, Door::Requires).await.unwrap_err();
    assert!(error.contains("HandshakeFailure"), "{error}");
}

/// A client that comes back resumes its session, with a new key exchange where the version has one.
#[test]
fn sessions_are_resumed() {
    block_on(async {
        let world = World::new().await;
        for (groups, versions, door, kind) in [
            (&[X25519MLKEM768] as Groups<'_>, ONLY_13, Door::Prefers, HandshakeKind::Resumed),
            (&[X25519MLKEM768], ONLY_13, Door::Requires, HandshakeKind::Resumed),
            (CLASSICAL, ONLY_12, Door::Prefers, HandshakeKind::Resumed),
        ] {
            let config = world.client(groups, versions);
            assert_eq!(world.call(&config, door).await, Ok(HandshakeKind::Full));
            assert_eq!(world.call(&config, door).await, Ok(kind), "{groups:?}");
        }
        let groups = world.trail().await.into_iter().map(|mut details| details["keyExchange"].take());
        let hybrid = json!("X25519MLKEM768");
        let expected = [&hybrid, &hybrid, &hybrid, &hybrid, &json!("x25519"), &json!("-")];
        assert_eq!(groups.collect::<Vec<_>>(), expected.map(Value::clone));
    });
}

/// Early data could be replayed: no ticket invites any. A server that did would show here.
#[test]
fn no_ticket_invites_early_data() {
    let site = Site::new(1);
    let made = site.certificates();
    let ours = tls::server_config(&made.certificate, &made.key, PostQuantum::Prefer).unwrap();
    let mut invites = ServerConfig::clone(&ours);
    invites.max_early_data_size = 4096;
    // The library invites early data only into sessions that it remembers itself.
    invites.ticketer = Arc::new(NoTickets);
    for (server, expected) in [(ours, false), (Arc::new(invites), true)] {
        let mut config = client(&site, &[X25519MLKEM768], ONLY_13);
        config.enable_early_data = true;
        let config = Arc::new(config);
        let (first, _) = handshake(&config, &server);
        assert_eq!(first, HandshakeKind::Full);
        let (second, invited) = handshake(&config, &server);
        assert_eq!((second, invited), (HandshakeKind::Resumed, expected));
    }
}

/// Leaves the sessions to the server's memory.
#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// A handshake in memory: what kind it was, and whether the client could have sent early data.
fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> (HandshakeKind, bool) {
    let mut client = ClientConnection::new(Arc::clone(client), localhost()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let invited = client.early_data().is_some();
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    (client.handshake_kind().unwrap(), invited)
}
