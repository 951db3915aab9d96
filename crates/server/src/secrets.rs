//! Where the root user's credentials come from, and which are too weak to be reachable from other machines.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use claviger_service::Moment;
use claviger_service::credential::{self, Imported};
use zeroize::Zeroizing;

use crate::program::Program;
use crate::shell;

/// A credential that the operator brings along.
pub struct Given {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: Zeroizing<String>,
}

/// Shortest secret that may guard an address which other machines reach, in characters.
const MIN_EXPOSED_SECRET: usize = 32;
/// Fewest different characters of such a secret.
const MIN_DIFFERENT: usize = 12;
/// Parts of secrets that stand in manuals, examples and default configurations.
const WELL_KNOWN: &[&str] =
    &["example", "password", "secret", "changeme", "minioadmin", "localstack", "claviger", "test"];

/// The credential of the environment, if it is there.
///
/// # Errors
/// When only one half of it is.
pub fn from_environment() -> Result<Option<Given>, String> {
    let id = shell::environment("CLAVIGER_ROOT_ACCESS_KEY_ID");
    let secret = shell::environment("CLAVIGER_ROOT_SECRET_ACCESS_KEY");
    match (id, secret) {
        (Some(id), Some(secret_access_key)) => {
            Ok(Some(Given { access_key_id: id.to_string(), secret_access_key }))
        }
        (None, None) => Ok(None),
        _ => Err("CLAVIGER_ROOT_ACCESS_KEY_ID and CLAVIGER_ROOT_SECRET_ACCESS_KEY go together".to_owned()),
    }
}

/// The secret in a file that only this user may read.
///
/// # Errors
/// When others may read it, or it cannot be read.
pub fn from_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let metadata = std::fs::symlink_metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.mode() & 0o077 != 0 {
        return Err(format!("{} must be a file that only its owner may read", path.display()));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Why a secret is too weak for an address that other machines reach (attack A23). `whose` begins the sentence.
///
/// # Errors
/// What to tell the operator. The secret is not repeated.
pub fn check_strength(whose: &str, secret: &str) -> Result<(), String> {
    let lower = secret.to_ascii_lowercase();
    let mut different: Vec<char> = secret.chars().collect();
    different.sort_unstable();
    different.dedup();
    if secret.len() < MIN_EXPOSED_SECRET {
        return Err(format!("{whose} has fewer than {MIN_EXPOSED_SECRET} characters"));
    }
    if different.len() < MIN_DIFFERENT {
        return Err(format!("{whose} has fewer than {MIN_DIFFERENT} different characters"));
    }
    if WELL_KNOWN.iter().any(|part| lower.contains(part)) {
        return Err(format!("{whose} is a well-known default or example"));
    }
    Ok(())
}

/// Takes over a credential of the operator's, unless an operator has deleted it before.
///
/// # Errors
/// What to tell the operator.
pub async fn import(
    program: &Program,
    account: &str,
    given: &Given,
    now: Moment,
) -> Result<Imported, String> {
    let imported = credential::import_root(
        &program.installation,
        &program.link,
        account,
        &given.access_key_id,
        &given.secret_access_key,
        now,
    );
    imported.await.map_err(|error| {
        let why = error.message.or(error.cause).unwrap_or_default();
        format!("the root credentials cannot be used: {why}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack A23: starting with secrets that everybody knows or can guess.
    #[test]
    fn a23_weak_secrets_are_told_apart() {
        check_strength("the root secret", "q8Jx0tYv2Wm5Kc7Rb9Ls3Pd6Fh1Zn4Gu8Ae0Xo2Q").unwrap();
        for (secret, why) in [
            ("", "fewer than 32"),
            ("short", "fewer than 32"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "different"),
            ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "well-known"),
            ("MinioAdminMinioAdmin0123456789abcdefghij", "well-known"),
        ] {
            let error = check_strength("the root secret", secret).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_secret_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "abc\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(from_file(&path).unwrap_err().contains("only its owner"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(from_file(&path).unwrap().as_str(), "abc");
        std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
        assert!(from_file(&dir.path().join("link")).is_err());
    }
}
