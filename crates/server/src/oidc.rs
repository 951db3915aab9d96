//! Fetches the documents of OpenID Connect issuers: over TLS, from servers that are vouched for, within bounds.
//!
//! An administrator of an account names the issuer, and anybody with a token of it can have it asked. So what is asked is
//! narrow: `GET` of one document over `https`, without credentials, cookies or redirects, with bounds on time and size,
//! and nothing of the answer is shown to anyone. Addresses that only this machine or its link has are refused
//! ([`Reach::allows`]), metadata services of clouds are there; and those of private networks unless the operator says that
//! issuers are in them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use claviger_service::BoxFuture;
use claviger_service::oidc::{Fetcher, MAX_DOCUMENT_LEN, NotFetched, Source};
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as suites};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest time for one document, from looking up the name to its last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest head of a reply, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Port of `https`.
const PORT: u16 = 443;

/// Where issuers may be beside the addresses that everybody can reach. None of it by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// On this machine, for trying things out.
    pub loopback: bool,
    /// In private networks.
    pub private_networks: bool,
}

/// Who is asked, and whose word is taken for it.
pub struct Https {
    roots: Arc<RootCertStore>,
    reach: Reach,
}

impl Https {
    /// Trusts the machine's authorities, and those in the files (PEM).
    ///
    /// # Errors
    /// What to tell the operator about a file.
    pub fn new(files: &[PathBuf], reach: Reach) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // A machine may have none: then only the files count, and the thumbprints.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for file in files {
            let refused = |cause: &str| format!("authority {}: {cause}", file.display());
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| refused(&error.to_string()))?;
            if certificates.is_empty() {
                return Err(refused("holds no certificate"));
            }
            for certificate in certificates {
                roots.add(certificate).map_err(|error| refused(&error.to_string()))?;
            }
        }
        Ok(Self { roots: Arc::new(roots), reach })
    }

    fn tls(&self, thumbprints: Vec<String>) -> Result<ClientConfig, String> {
        let provider = Arc::new(suites::default_provider());
        let verifier =
            Vouched { roots: Arc::clone(&self.roots), thumbprints, provider: Arc::clone(&provider) };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl Fetcher for Https {
    fn fetch(&self, source: Source) -> BoxFuture<'static, Result<Vec<u8>, NotFetched>> {
        let (tls, reach) = (self.tls(source.thumbprints), self.reach);
        Box::pin(async move {
            let fetched = async { get(&source.url, tls?, reach).await };
            match tokio::time::timeout(TIMEOUT, fetched).await {
                Ok(outcome) => outcome.map_err(|cause| NotFetched(format!("{}: {cause}", source.url))),
                Err(_) => Err(NotFetched(format!("{}: no answer in time", source.url))),
            }
        })
    }
}

async fn get(url: &str, tls: ClientConfig, reach: Reach) -> Result<Vec<u8>, String> {
    let uri: Uri = url.parse().map_err(|_| "not an address".to_owned())?;
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("not an address of https".to_owned());
    };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = connect(bare, authority.port_u16().unwrap_or(PORT), reach).await?;
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| "not the name of a server".to_owned())?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let connected = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|error| error.to_string())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "claviger")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let reply = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if reply.status() != StatusCode::OK {
            return Err(format!("answered {}", reply.status()));
        }
        let body = Limited::new(reply.into_body(), MAX_DOCUMENT_LEN).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string())
    };
    // The connection is driven here. A server that closes it has still answered; where it broke, the answer says so.
    let mut answer = pin!(answer);
    tokio::select! {
        answer = answer.as_mut() => answer,
        _ = connection => answer.await,
    }
}

/// Connects to the first address that answers, among those that may be asked. The name is looked up once: what is
/// checked is what is connected to.
async fn connect(host: &str, port: u16, reach: Reach) -> Result<TcpStream, String> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| error.to_string())?;
    let addresses: Vec<SocketAddr> = found.filter(|address| reach.allows(address.ip())).collect();
    let mut last = io::Error::other("it has no address that may be asked");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.to_string())
}

impl Reach {
    /// Whether an issuer may be at an address. What is on the link only (169.254.169.254 among it), everybody and nobody
    /// are no places for one.
    fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match address {
            _ if address.is_loopback() => self.loopback,
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => {
                let nowhere = v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified();
                let own = v6.is_unique_local() || is_site_local(v6);
                // What leads to an address of IPv4 leads there.
                let behind = embedded(v6).is_none_or(|v4| self.allows(v4.into()));
                !nowhere && (self.private_networks || !own) && behind
            }
        }
    }

    fn allows_v4(self, v4: Ipv4Addr) -> bool {
        let [first, second, ..] = v4.octets();
        let nowhere = v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || first == 0;
        // RFC 6598, shared by the customers of a carrier; RFC 2544, for benchmarks; RFC 1112, reserved.
        let own = v4.is_private()
            || (first == 100 && (64..128).contains(&second))
            || (first == 198 && (18..20).contains(&second))
            || first >= 240;
        !nowhere && (self.private_networks || !own)
    }
}

/// What unique local addresses were before (RFC 3879).
fn is_site_local(v6: Ipv6Addr) -> bool {
    v6.to_bits() >> 118 == 0xfec0 >> 6
}

/// The address of IPv4 that an address of IPv6 leads to: through NAT64 (RFC 6052, RFC 8215), through 6to4 (RFC 3056), or
/// because it was made of one (RFC 4291, 2.5.5.1).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b] = v6.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] | [0, 0, 0, 0, 0, 0, ..] => Some(from(a, b)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

/// Verifies a server: by the authorities that are trusted or, where its certificate is of none of these, by the
/// fingerprints of the provider, as IAM does ("Obtain the thumbprint for an OpenID Connect identity provider").
#[derive(Debug)]
struct Vouched {
    roots: Arc<RootCertStore>,
    thumbprints: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl Vouched {
    fn verify_under(
        &self,
        roots: Arc<RootCertStore>,
        (end, others): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        if roots.is_empty() {
            return Err(unknown());
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider)).build();
        verifier.map_err(|_| unknown())?.verify_server_cert(end, others, name, &[], now)
    }

    /// The certificates that came with the server's and have one of the fingerprints.
    fn pinned(&self, end: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> RootCertStore {
        let mut pinned = RootCertStore::empty();
        let named = |certificate: &&CertificateDer<'_>| self.thumbprints.contains(&thumbprint(certificate));
        for certificate in others.iter().chain([end]).filter(named) {
            // One that cannot be an authority vouches for nothing.
            drop(pinned.add(certificate.clone().into_owned()));
        }
        pinned
    }
}

/// SHA-1 fingerprint, which is what IAM's API has.
fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate);
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ServerCertVerifier for Vouched {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let by_roots = self.verify_under(Arc::clone(&self.roots), (end, others), name, now);
        match by_roots {
            Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                self.verify_under(Arc::new(self.pinned(end, others)), (end, others), name, now)
            }
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE_ELSE: Reach = Reach { loopback: false, private_networks: false };
    const EVERYWHERE: Reach = Reach { loopback: true, private_networks: true };

    fn check(address: &str, reach: Reach, expected: bool) {
        assert_eq!(reach.allows(address.parse().unwrap()), expected, "{address} {reach:?}");
    }

    /// Attack: an issuer whose name leads to a metadata service, or to this machine.
    #[test]
    fn issuers_are_not_on_the_link_nor_here() {
        for refused in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::0.0.0.2",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            check(refused, EVERYWHERE, false);
        }
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            check(local, Reach { loopback: false, ..EVERYWHERE }, false);
            check(local, Reach { private_networks: false, ..EVERYWHERE }, true);
        }
    }

    /// Attack: an issuer whose name leads, once its keys are asked for, into the operator's network (DNS rebinding).
    #[test]
    fn issuers_are_in_private_networks_only_where_the_operator_says_so() {
        for private in [
            "10.0.0.5",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "198.18.0.1",
            "240.0.0.1",
            "::ffff:10.0.0.5",
            "64:ff9b::a00:5",
            "64:ff9b:1::a00:5",
            "2002:a00:5::1",
            "::10.0.0.5",
            "fd00::1",
            "fc00::1",
            "fec0::1",
        ] {
            check(private, NOWHERE_ELSE, false);
            check(private, Reach { loopback: true, ..NOWHERE_ELSE }, false);
            check(private, Reach { private_networks: true, ..NOWHERE_ELSE }, true);
        }
        for public in
            ["192.0.2.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2001:db8::1", "64:ff9b::c000:201"]
        {
            check(public, NOWHERE_ELSE, true);
        }
    }

    /// What is checked is what is connected to, whatever it was called.
    #[tokio::test]
    async fn names_are_checked_by_where_they_lead() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1", "10.0.0.5"] {
            let refused = connect(host, port, NOWHERE_ELSE).await.unwrap_err();
            assert!(refused.contains("no address that may be asked"), "{host}: {refused}");
        }
        connect("127.0.0.1", port, Reach { loopback: true, ..NOWHERE_ELSE }).await.unwrap();
    }

    #[test]
    fn files_hold_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "").unwrap();
        let error = Https::new(std::slice::from_ref(&file), Reach::default()).err().unwrap();
        assert!(error.contains("holds no certificate"), "{error}");
        let error = Https::new(&[dir.path().join("none.pem")], Reach::default()).err().unwrap();
        assert!(error.contains("none.pem"), "{error}");
    }
}
