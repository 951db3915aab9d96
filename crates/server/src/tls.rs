//! TLS: versions 1.2 and 1.3, forward secrecy only, hybrid post-quantum key exchange preferred or required.

use std::path::Path;
use std::sync::Arc;

use claviger_wire::incoming::Tls;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{NamedGroup, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

/// What a listener asks of the key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PostQuantum {
    /// Hybrid groups first, classical ones for clients that have no other.
    #[default]
    Prefer,
    /// Hybrid groups only: a classical client's handshake fails.
    Require,
}

/// Groups that combine a classical curve with ML-KEM (IETF draft `ecdhe-mlkem`), best first.
static HYBRID: &[&dyn SupportedKxGroup] =
    &[aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::SECP256R1MLKEM768];
/// Classical groups, best first.
static CLASSICAL: &[&dyn SupportedKxGroup] =
    &[aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1, aws_lc_rs::kx_group::SECP384R1];

/// The configuration of a TLS listener.
///
/// # Errors
/// What to tell the operator about the certificate or the key.
pub fn server_config(
    certificate: &Path,
    key: &Path,
    post_quantum: PostQuantum,
) -> Result<Arc<ServerConfig>, String> {
    let shown = certificate.display();
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("certificate {shown}: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("certificate {shown}: holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("key {}: {error}", key.display()))?;
    let mut groups = HYBRID.to_vec();
    if post_quantum == PostQuantum::Prefer {
        groups.extend_from_slice(CLASSICAL);
    }
    // All cipher suites of rustls are AEADs with ephemeral key exchange; there is nothing to take out.
    let provider = CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| format!("certificate {shown}: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Early data could be replayed; rustls does not accept any unless it is told to.
    config.max_early_data_size = 0;
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
    Ok(Arc::new(config))
}

/// What a finished handshake agreed on, in the names of the IANA registries.
pub fn describe(connection: &ServerConnection) -> Tls {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "-",
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    let group = connection.negotiated_key_exchange_group().map(|group| registered(group.name()));
    Tls {
        version,
        cipher_suite: suite.unwrap_or_default().replace("TLS13_", "TLS_"),
        key_exchange: group.unwrap_or_else(|| "-".to_owned()),
    }
}

/// A group as IANA's registry "TLS Supported Groups" spells it. The library's own spelling differs for some.
fn registered(group: NamedGroup) -> String {
    match group {
        NamedGroup::X25519 => "x25519".to_owned(),
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768".to_owned(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_offered_has_its_registered_name() {
        let names: Vec<String> =
            HYBRID.iter().chain(CLASSICAL).map(|group| registered(group.name())).collect();
        assert_eq!(names, ["X25519MLKEM768", "SecP256r1MLKEM768", "x25519", "secp256r1", "secp384r1"]);
    }
}
