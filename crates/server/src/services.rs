//! Services of the configuration: who may call on behalf of users.

use std::path::PathBuf;

use claviger_service::{ServiceDefinition, Services};
use serde::Deserialize;

use crate::config::Config;
use crate::secrets;

/// A service that may call on behalf of users who asked it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Its signing name, such as `s3`: `kms:ViaService` is `s3.<Region>.amazonaws.com`, its keys have `alias/aws/s3`.
    pub name: String,
    /// What it is called in the policy of its keys; its name in capitals when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// What its keys protect, in their description.
    #[serde(default)]
    pub protects: Option<String>,
    /// The access key that it signs its own calls with.
    pub access_key_id: String,
    /// File that holds its secret access key, readable by this user alone.
    pub secret_access_key_file: PathBuf,
    /// Operations of KMS that it may call; what Amazon S3 needs when absent.
    #[serde(default)]
    pub operations: Option<Vec<String>>,
}

impl ServiceConfig {
    fn read(&self) -> Result<ServiceDefinition, String> {
        Ok(ServiceDefinition {
            name: self.name.clone(),
            title: self.title.clone(),
            protects: self.protects.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: secrets::from_file(&self.secret_access_key_file)?,
            operations: self.operations.clone(),
        })
    }
}

impl Config {
    /// The services, with their secrets, which are read now.
    ///
    /// # Errors
    /// What to tell the operator. No secret is repeated.
    pub fn services(&self) -> Result<Vec<ServiceDefinition>, String> {
        let mut definitions = Vec::with_capacity(self.services.len());
        for service in &self.services {
            let told = |error: String| format!("service `{}`: {error}", service.name);
            let definition = service.read().map_err(told)?;
            if self.is_exposed() {
                let secret = &definition.secret_access_key;
                secrets::check_strength("its secret access key", secret).map_err(told)?;
            }
            definitions.push(definition);
        }
        Services::check(&definitions)?;
        Ok(definitions)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What a service's section says is read with the file.
    #[test]
    fn services_are_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, open) = (dir.path().join("secret"), dir.path().join("open"));
        for (file, mode) in [(&secret, 0o600), (&open, 0o644)] {
            std::fs::write(file, "q8Jx0tYv2Wm5Kc7Rb9Ls3Pd6Fh1Zn4Gu8Ae0Xo2Q\n").unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let base = "account = \"111122223333\"\nregions = [\"eu-central-1\"]\ndata_dir = \"/d\"\n[hsm]\nsocket = \"/h\"\n\
                    [[listener]]\naddress = \"127.0.0.1:7080\"\n";
        let good = format!(
            "[[service]]\nname = \"s3\"\naccess_key_id = \"AKIASTORAGE000000001\"\nsecret_access_key_file = {secret:?}\n"
        );
        let check = |section: &str, expected: Option<&str>| {
            let read = toml::from_str::<Config>(&format!("{base}{section}"));
            let read = read.map_err(|error| error.to_string()).and_then(|config| config.services());
            match (read, expected) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => assert!(error.contains(expected), "{section}: {error}"),
                (outcome, _) => panic!("{section}: {:?}", outcome.map(|found| found.len())),
            }
        };
        check("", None);
        check(&good, None);
        check(&format!("{good}operations = [\"Encrypt\"]\nprotects = \"S3 objects\""), None);
        check(&format!("{good}{good}"), Some("twice"));
        check(&format!("{good}operations = [\"PutKeyPolicy\"]"), Some("PutKeyPolicy"));
        check(&format!("{good}secret = \"x\""), Some("secret"));
        check(&good.replace("s3", "kms"), Some("its name"));
        check(&good.replace("AKIA", "A/"), Some("access key id"));
        check(&good.replace(&format!("{secret:?}"), &format!("{open:?}")), Some("only its owner"));
        check(&good.replace(&format!("{secret:?}"), "\"/nowhere\""), Some("/nowhere"));
    }
}
