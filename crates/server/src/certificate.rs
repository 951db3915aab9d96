//! The certificate authority of `claviger dev`, made once for each data folder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use claviger_service::Moment;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::files;

/// Where the authority and the server's certificate stand.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Certificate of the authority: what clients trust.
    pub ca: PathBuf,
    /// Certificate of the server.
    pub certificate: PathBuf,
    /// Key of the server.
    pub key: PathBuf,
}

impl Paths {
    /// The paths inside a folder.
    pub fn inside(dir: &Path) -> Self {
        Self { ca: dir.join("ca.pem"), certificate: dir.join("server.pem"), key: dir.join("server-key.pem") }
    }
}

/// How long the certificates are valid.
const VALIDITY: Duration = Duration::from_secs(825 * 24 * 60 * 60);
/// Certificates that end earlier than this are made anew.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Makes the authority and a certificate for the loopback names, unless they are there and valid. The authority's key
/// is not kept: a new certificate comes with a new authority.
///
/// # Errors
/// What to tell the operator.
pub fn ensure(dir: &Path, now: Moment) -> Result<Paths, String> {
    let paths = Paths::inside(dir);
    let made = std::fs::read_to_string(dir.join("expires")).ok();
    let expires: Option<i64> = made.and_then(|text| text.trim().parse().ok());
    let margin = i64::try_from(RENEW_BEFORE.as_secs()).unwrap_or(i64::MAX);
    let valid = expires.is_some_and(|expires| expires - margin > now.seconds());
    if valid && paths.ca.exists() && paths.certificate.exists() && paths.key.exists() {
        return Ok(paths);
    }
    make(dir, &paths, now)
        .map_err(|error| format!("cannot make certificates in {}: {error}", dir.display()))?;
    Ok(paths)
}

fn make(dir: &Path, paths: &Paths, now: Moment) -> Result<(), Box<dyn std::error::Error>> {
    files::create_private_dir(dir)?;
    let expires = now.seconds() + i64::try_from(VALIDITY.as_secs())?;
    let authority_key = KeyPair::generate()?;
    let mut authority = params("Claviger development authority", now.seconds(), expires);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let server_key = KeyPair::generate()?;
    let mut server = params("localhost", now.seconds(), expires);
    server.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(IpAddr::from([127, 0, 0, 1])),
        SanType::IpAddress(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
    ];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let server_certificate = server.signed_by(&server_key, &issuer)?;
    files::write_private(&paths.key, server_key.serialize_pem().as_bytes())?;
    files::write_private(&paths.certificate, server_certificate.pem().as_bytes())?;
    files::write_private(&paths.ca, authority_certificate.pem().as_bytes())?;
    files::write_private(&dir.join("expires"), expires.to_string().as_bytes())?;
    Ok(())
}

fn params(name: &str, from: i64, to: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let at = |seconds: i64| {
        let day = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let text = |form: &str| day.strftime(form).to_string();
        let number = |form: &str| text(form).parse::<u8>().unwrap_or(1);
        date_time_ymd(text("%Y").parse().unwrap_or(2026), number("%m"), number("%d"))
    };
    // A day earlier, for clients whose clock is behind.
    params.not_before = at(from - 24 * 60 * 60);
    params.not_after = at(to);
    params
}
