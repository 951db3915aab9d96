//! Fetches the documents of OpenID Connect issuers: over TLS, from servers that are vouched for, within bounds.
//!
//! An administrator of an account names the issuer, and anybody with a token of it can have it asked. So what is asked is
//! narrow: `GET` of one document over `https`, without credentials, cookies or redirects, with bounds on time and size,
//! and nothing of the answer is shown to anyone. Addresses that only this machine or its link has are refused
//! ([`is_reachable`]): metadata services of clouds are there.

use std::io;
use std::net::{IpAddr, SocketAddr};
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

/// Who is asked, and whose word is taken for it.
pub struct Https {
    roots: Arc<RootCertStore>,
    loopback: bool,
}

impl Https {
    /// Trusts the machine's authorities, and those in the files (PEM). `loopback` allows servers on this machine, for
    /// trying things out.
    ///
    /// # Errors
    /// What to tell the operator about a file.
    pub fn new(files: &[PathBuf], loopback: bool) -> Result<Self, String> {
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
        Ok(Self { roots: Arc::new(roots), loopback })
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
        let (tls, loopback) = (self.tls(source.thumbprints), self.loopback);
        Box::pin(async move {
            let fetched = async { get(&source.url, tls?, loopback).await };
            match tokio::time::timeout(TIMEOUT, fetched).await {
                Ok(outcome) => outcome.map_err(|cause| NotFetched(format!("{}: {cause}", source.url))),
                Err(_) => Err(NotFetched(format!("{}: no answer in time", source.url))),
            }
        })
    }
}

async fn get(url: &str, tls: ClientConfig, loopback: bool) -> Result<Vec<u8>, String> {
    let uri: Uri = url.parse().map_err(|_| "not an address".to_owned())?;
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("not an address of https".to_owned());
    };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = connect(bare, authority.port_u16().unwrap_or(PORT), loopback).await?;
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
async fn connect(host: &str, port: u16, loopback: bool) -> Result<TcpStream, String> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| error.to_string())?;
    let addresses: Vec<SocketAddr> = found.filter(|address| is_reachable(address.ip(), loopback)).collect();
    let mut last = io::Error::other("it has no address that may be asked");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.to_string())
}

/// Whether an issuer may be at an address. Private networks are where users of Claviger have theirs; what is on the link
/// only (169.254.169.254 among it), this machine, everybody and nobody are no places for one.
fn is_reachable(address: IpAddr, loopback: bool) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() {
        return loopback;
    }
    match address {
        IpAddr::V4(v4) => {
            let nobody = v4.octets().first() == Some(&0);
            !(v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || nobody)
        }
        IpAddr::V6(v6) => !(v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified()),
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

    /// Attack: an issuer whose name leads to a metadata service, or to this machine.
    #[test]
    fn issuers_are_not_on_the_link_nor_here() {
        let check = |text: &str, loopback: bool, expected: bool| {
            assert_eq!(is_reachable(text.parse().unwrap(), loopback), expected, "{text}");
        };
        for refused in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            check(refused, true, false);
        }
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            check(local, false, false);
            check(local, true, true);
        }
        for reachable in ["10.0.0.1", "192.168.1.1", "192.0.2.1", "2001:db8::1", "fd00::1"] {
            check(reachable, false, true);
        }
    }

    #[test]
    fn files_hold_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "").unwrap();
        let error = Https::new(std::slice::from_ref(&file), false).err().unwrap();
        assert!(error.contains("holds no certificate"), "{error}");
        let error = Https::new(&[dir.path().join("none.pem")], false).err().unwrap();
        assert!(error.contains("none.pem"), "{error}");
    }
}
