//! Key policies: compiling, the default one, and the check that a new one does not lock its author out.

use std::sync::Arc;

use claviger_policy::{Document, Kind, Malformed, PrincipalName};
use claviger_wire::arn;
use claviger_wire::fault::Code;
use quick_cache::sync::Cache;

use crate::call::{Asks, Call};
use crate::error::{Error, Result};

/// A key policy: the text as it was put, and what it means.
pub struct KeyPolicy {
    text: Box<str>,
    pub(crate) document: Document,
}

impl std::fmt::Debug for KeyPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPolicy({} bytes)", self.text.len())
    }
}

impl KeyPolicy {
    /// The text as it was put.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Compiles a policy that someone wants to put.
    ///
    /// # Errors
    /// `MalformedPolicyDocumentException`, `LimitExceededException` or `ValidationException` with AWS's texts.
    pub fn parse(text: &str) -> Result<Self> {
        let document = Document::parse(text, Kind::Key).map_err(|malformed| refused(&malformed))?;
        Ok(Self { text: text.into(), document })
    }
}

fn refused(malformed: &Malformed) -> Error {
    let code = match malformed {
        Malformed::TooLong { .. } => Code::LimitExceeded,
        Malformed::Character { .. } => Code::Validation,
        _ => Code::MalformedPolicyDocument,
    };
    Error::new(code, malformed.message()).because(malformed.to_string())
}

/// The policy that a key gets when its creator gives none: the account decides through its IAM policies.
pub fn default_policy(account: &str, region: &str) -> String {
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:{}:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#,
        arn::partition(region)
    )
}

/// Checks a policy that someone wants to put: its principals exist, and unless the caller asks to bypass the lockout
/// safety check, the caller could still put another one.
///
/// # Errors
/// `MalformedPolicyDocumentException`.
pub(crate) fn check(call: &Call<'_>, policy: &KeyPolicy, key_arn: &str, asks: Asks<'_>) -> Result<()> {
    check_principals(policy)?;
    if asks.bypass_lockout_check == Some(true) || call.could_put_policy(&policy.document, key_arn, asks) {
        return Ok(());
    }
    let message = "The new key policy will not allow you to update the key policy in the future.";
    Err(Error::new(Code::MalformedPolicyDocument, message))
}

/// Refuses principals that do not exist. Accounts and services always do; this version has no users, roles or sessions.
fn check_principals(policy: &KeyPolicy) -> Result<()> {
    let unknown = policy.document.principals().find(|name| {
        !matches!(name, PrincipalName::Everyone | PrincipalName::Account(_) | PrincipalName::Service(_))
    });
    let Some(name) = unknown else { return Ok(()) };
    let message = "Policy contains a statement with one or more invalid principals.";
    Err(Error::new(Code::MalformedPolicyDocument, message).because(format!("{name:?} is unknown")))
}

/// Compiled policies, shared by all keys with the same text: most keys have their account's default policy.
pub(crate) struct Policies(Cache<Box<str>, Arc<KeyPolicy>>);

/// Most distinct policies kept compiled.
const MAX_POLICIES: usize = 4096;

impl Policies {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_POLICIES))
    }

    /// The compiled form of a policy that is in the store.
    pub(crate) fn compiled(&self, text: &str) -> Result<Arc<KeyPolicy>> {
        if let Some(policy) = self.0.get(text) {
            return Ok(policy);
        }
        let policy = KeyPolicy::parse(text)
            .map_err(|error| Error::internal(format!("a stored policy cannot be read: {:?}", error.cause)))?;
        let policy = Arc::new(policy);
        self.0.insert(text.into(), Arc::clone(&policy));
        Ok(policy)
    }
}
