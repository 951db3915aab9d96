//! Services that call on behalf of users, or for themselves, as the storage and database services of AWS call its KMS
//! (IAM User Guide, "Forward access sessions", "AWS service principals").
//!
//! A service has a credential of its own, and may call a few operations. Whom it calls for it proves with the user's own
//! signature (`authn/forward.rs`).

use std::collections::HashMap;
use std::sync::Arc;

use claviger_hsm_proto::CredentialBinding;
use claviger_wire::arn;
use zeroize::Zeroizing;

use crate::credential::{MAX_SECRET_LEN, MIN_SECRET_LEN, is_access_key_id};
use crate::vault::{self, Vault};

/// Operations that a service may be given; everything else is for the owners of keys.
const GIVEABLE: [&str; 12] = [
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "ListGrants",
    "ReEncrypt",
    "RetireGrant",
    "RevokeGrant",
];
/// What it gets when nothing is said: what Amazon S3 needs.
const USUAL: [&str; 6] =
    ["Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt"];
/// Longest text of a service that stands in policies and descriptions, in bytes.
const MAX_TEXT: usize = 64;

/// A service as an operator describes it.
pub struct ServiceDefinition {
    /// Its name and the name that requests to it are signed for, such as `s3`.
    pub name: String,
    /// What it is called in the policy of its keys, such as `S3`; its name when absent.
    pub title: Option<String>,
    /// What its keys protect, such as `S3 objects`.
    pub protects: Option<String>,
    /// The access key that it signs its own calls with.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Zeroizing<String>,
    /// Operations of KMS that it may call; what Amazon S3 needs when absent.
    pub operations: Option<Vec<String>>,
}

/// A service.
pub(crate) struct ServiceIdentity {
    pub(crate) name: String,
    /// `s3.amazonaws.com`
    pub(crate) host: String,
    pub(crate) title: String,
    pub(crate) protects: String,
    pub(crate) access_key_id: String,
    /// The account that its credential is sealed for.
    pub(crate) account: String,
    /// Its secret access key, sealed by the HSM.
    pub(crate) token: Vec<u8>,
    operations: Vec<&'static str>,
}

impl std::fmt::Debug for ServiceIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.host)
    }
}

impl ServiceIdentity {
    /// Whether it may call an operation of KMS.
    pub(crate) fn may_call(&self, operation: &str) -> bool {
        self.operations.contains(&operation)
    }

    /// The operations that it may call.
    pub(crate) fn operations(&self) -> &[&'static str] {
        &self.operations
    }

    /// `kms:ViaService` of its calls in a Region.
    pub(crate) fn in_region(&self, region: &str) -> String {
        format!("{}.{region}.amazonaws.com", self.name)
    }
}

/// The services of an installation.
#[derive(Debug, Default)]
pub struct Services {
    by_name: HashMap<String, Arc<ServiceIdentity>>,
    by_access_key: HashMap<String, Arc<ServiceIdentity>>,
}

impl Services {
    /// Checks what an operator describes, without its secret.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn check(definitions: &[ServiceDefinition]) -> Result<(), String> {
        for (index, service) in definitions.iter().enumerate() {
            let earlier = definitions.iter().take(index);
            check(service).map_err(|error| format!("service `{}`: {error}", service.name))?;
            let is_twice = |other: &ServiceDefinition| {
                other.name == service.name || other.access_key_id == service.access_key_id
            };
            if earlier.into_iter().any(is_twice) {
                return Err(format!("service `{}`: its name or its access key stands twice", service.name));
            }
        }
        Ok(())
    }

    /// Seals their secrets to the HSM, for an account of the installation.
    ///
    /// # Errors
    /// What to tell the operator; the HSM's failures too.
    pub async fn seal(
        vault: &dyn Vault,
        account: &str,
        definitions: Vec<ServiceDefinition>,
    ) -> Result<Self, String> {
        Self::check(&definitions)?;
        let mut services = Self::default();
        for definition in definitions {
            let name = definition.name.clone();
            let sealed = seal(vault, account, definition).await;
            let service = Arc::new(sealed.map_err(|error| format!("service `{name}`: {error}"))?);
            services.by_access_key.insert(service.access_key_id.clone(), Arc::clone(&service));
            services.by_name.insert(name, service);
        }
        Ok(services)
    }

    /// The service that signs with an access key.
    pub(crate) fn of_access_key(&self, access_key_id: &str) -> Option<&Arc<ServiceIdentity>> {
        self.by_access_key.get(access_key_id)
    }

    /// The service whose keys have an alias, by its name without `alias/`.
    pub(crate) fn of_alias(&self, alias: &str) -> Option<&Arc<ServiceIdentity>> {
        self.by_name.get(alias.strip_prefix("aws/")?)
    }

    /// The names of their aliases, without `alias/`.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = String> {
        self.by_name.keys().map(|name| format!("aws/{name}"))
    }
}

fn check(service: &ServiceDefinition) -> Result<(), String> {
    let is_name = |text: &str| {
        (1..=MAX_TEXT).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    // Credentials for our own APIs must not be taken for requests to another service.
    if !is_name(&service.name) || ["kms", "iam", "sts", "cloudtrail"].contains(&&*service.name) {
        return Err("its name must be lower-case letters, digits and `-`, and none of our own".to_owned());
    }
    let is_text = |text: &String| {
        (1..=MAX_TEXT).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -".contains(&byte))
    };
    if ![&service.title, &service.protects].into_iter().flatten().all(is_text) {
        return Err("`title` and `protects` must be letters, digits, spaces and `-`".to_owned());
    }
    if !is_access_key_id(&service.access_key_id) {
        return Err("its access key id must be 16 to 128 letters and digits".to_owned());
    }
    if !(MIN_SECRET_LEN..=MAX_SECRET_LEN).contains(&service.secret_access_key.len()) {
        return Err("its secret access key is too short or too long".to_owned());
    }
    let named = service.operations.iter().flatten();
    match named.into_iter().find(|name| !GIVEABLE.contains(&&***name)) {
        Some(name) => Err(format!("`{name}` is no operation that a service may be given")),
        None => Ok(()),
    }
}

async fn seal(vault: &dyn Vault, account: &str, given: ServiceDefinition) -> Result<ServiceIdentity, String> {
    if !arn::is_account(account) {
        return Err("its account must be twelve digits".to_owned());
    }
    let binding = CredentialBinding { account, access_key_id: &given.access_key_id };
    let made = vault::create_credential(vault, binding, Some(given.secret_access_key.as_bytes())).await;
    let made =
        made.map_err(|error| error.cause.unwrap_or_else(|| "the HSM refuses its secret".to_owned()))?;
    let may_call = |name: &&str| match &given.operations {
        Some(names) => names.iter().any(|given| given == *name),
        None => USUAL.contains(name),
    };
    let title = given.title.unwrap_or_else(|| given.name.to_ascii_uppercase());
    Ok(ServiceIdentity {
        host: format!("{}.amazonaws.com", given.name),
        protects: given.protects.unwrap_or_else(|| format!("{title} data")),
        title,
        name: given.name,
        access_key_id: given.access_key_id,
        account: account.to_owned(),
        token: made.token,
        operations: GIVEABLE.into_iter().filter(may_call).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> ServiceDefinition {
        ServiceDefinition {
            name: "s3".to_owned(),
            title: Some("S3".to_owned()),
            protects: Some("S3 objects".to_owned()),
            access_key_id: "AKIASTORAGE000000001".to_owned(),
            secret_access_key: Zeroizing::new("0123456789abcdef".to_owned()),
            operations: None,
        }
    }

    fn check_refused(change: impl Fn(&mut ServiceDefinition), expected: &str) {
        let mut changed = definition();
        change(&mut changed);
        let error = Services::check(&[changed]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_no_service_is_refused() {
        Services::check(&[definition()]).unwrap();
        for name in ["", "S3", "s3.amazonaws.com", "kms", "iam", "sts", "s3/x", &"s".repeat(65)] {
            check_refused(|it| it.name = name.to_owned(), "its name");
        }
        check_refused(|it| it.title = Some("S\"3".to_owned()), "`title`");
        check_refused(|it| it.protects = Some(String::new()), "`title`");
        check_refused(|it| it.access_key_id = "AKIA/".to_owned(), "access key id");
        check_refused(|it| it.secret_access_key = Zeroizing::new("short".to_owned()), "secret");
        for name in ["PutKeyPolicy", "decrypt", "*", "CreateKey", "GenerateRandom"] {
            check_refused(|it| it.operations = Some(vec![name.to_owned()]), "no operation");
        }
        let twice = [definition(), ServiceDefinition { name: "sqs".to_owned(), ..definition() }];
        assert!(Services::check(&twice).unwrap_err().contains("twice"));
    }
}
