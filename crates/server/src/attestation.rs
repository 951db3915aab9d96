//! Who may vouch for enclaves, as the operator says it: certificates in files, and fingerprints.

use std::path::{Path, PathBuf};

use claviger_service::attestation::Roots;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The roots of the certificates in files (PEM) and of SHA-256 fingerprints. Only what is listed is trusted; where
/// neither is given, AWS's own root is.
///
/// # Errors
/// What to tell the operator: the file or the fingerprint, and the reason.
pub fn roots(files: Option<&[PathBuf]>, fingerprints: Option<&[String]>) -> Result<Roots, String> {
    if files.is_none() && fingerprints.is_none() {
        return Ok(Roots::default());
    }
    let pinned = fingerprints.unwrap_or_default().iter().map(|text| {
        let bytes = fingerprint(text);
        bytes.ok_or_else(|| format!("`{text}` is not a SHA-256 fingerprint: 64 hexadecimal digits"))
    });
    let pinned = Roots::pinned(pinned.collect::<Result<_, _>>()?);
    files.unwrap_or_default().iter().try_fold(pinned, |roots, file| Ok(roots.and(read(file)?)))
}

/// The certificates of one file.
fn read(file: &Path) -> Result<Roots, String> {
    let refused = |cause: &str| format!("attestation root {}: {cause}", file.display());
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(&error.to_string()))?;
    if certificates.is_empty() {
        return Err(refused("holds no certificate"));
    }
    let certificates = certificates.into_iter().map(|certificate| certificate.to_vec());
    Roots::new(certificates).map_err(|error| refused(&error.to_string()))
}

/// 64 hexadecimal digits, or 32 pairs of them between colons, as AWS and OpenSSL write a fingerprint.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let pairs = text.split(':').map(|pair| (pair.len() == 2).then_some(pair));
    let digits = if text.contains(':') { pairs.collect::<Option<String>>()? } else { text.to_owned() };
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use claviger_service::attestation::NITRO_ROOT_G1;
    use rcgen::{
        BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384,
    };

    use super::*;

    const G1: &str = "641A0321A3E244EFE456463195D606317ED7CDCC3C1756E09893F3C68F79BB5B";

    #[test]
    fn fingerprints_are_read_as_they_are_published() {
        let pairs: Vec<String> = NITRO_ROOT_G1.iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [G1, &G1.to_lowercase(), &pairs.join(":")] {
            assert_eq!(fingerprint(text), Some(NITRO_ROOT_G1), "{text}");
        }
        let (short, long) = (G1.replacen("64", "", 1), format!("{G1}00"));
        let odd = pairs.join(":").replacen("64:1A", "6:41A", 1);
        for text in
            ["", &short, &long, &format!("{short}G5"), &format!("{short}é"), &odd, &format!("{short} 1")]
        {
            let error = roots(None, Some(&[text.to_owned()])).unwrap_err();
            assert!(error.contains("not a SHA-256 fingerprint"), "{error}");
        }
    }

    fn check_file(content: Option<&str>, expected: Result<(), &str>) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("root.pem");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        match (roots(Some(std::slice::from_ref(&file)), None), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(expected)) => {
                assert!(error.contains(expected) && error.contains(&*file.to_string_lossy()), "{error}");
            }
            (outcome, _) => panic!("{outcome:?}"),
        }
    }

    fn certificate(is_ca: IsCa) -> String {
        let mut params = CertificateParams::default();
        params.is_ca = is_ca;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.self_signed(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()).unwrap().pem()
    }

    #[test]
    fn files_hold_the_certificates_of_authorities() {
        let root = || certificate(IsCa::Ca(BasicConstraints::Unconstrained));
        check_file(Some(&root()), Ok(()));
        check_file(Some(&(root() + &root())), Ok(()));
        check_file(None, Err("No such file"));
        check_file(Some(""), Err("holds no certificate"));
        check_file(Some("-----BEGIN CERTIFICATE-----\nAAAA\n"), Err("root.pem"));
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check_file(Some(no_certificate), Err("not an X.509 certificate"));
        check_file(
            Some(&(root() + &certificate(IsCa::ExplicitNoCa))),
            Err("not the certificate of an authority"),
        );
    }
}
