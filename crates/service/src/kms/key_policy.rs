//! Key policies: compiling, the default one, and the check that a new one does not lock its author out.

use std::sync::Arc;

use claviger_policy::{Document, Kind, Malformed};
use claviger_wire::arn;
use claviger_wire::fault::Code;
use quick_cache::sync::Cache;

use crate::call::{Asks, Call};
use crate::decided::Fingerprint;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::document;
use crate::iam::identity::Bindings;
use crate::kms::key::Key;

/// A key policy: the text as it was put, and what it means.
pub struct KeyPolicy {
    text: Box<str>,
    /// Unique ids of the users and roles that it names: of those that it meant when it was put.
    pub(crate) bound: Bindings,
    pub(crate) document: Document,
    /// Tells its text from others.
    pub(crate) fingerprint: Fingerprint,
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
        let fingerprint = Fingerprint::of(text);
        Ok(Self { text: text.into(), bound: Bindings::new(), document, fingerprint })
    }

    /// Binds it to the unique ids of the users and roles that it names.
    fn bind(self, bound: Bindings) -> Result<Self> {
        Ok(Self { document: document::rebind(self.document, &bound)?, bound, ..self })
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
/// safety check, the caller could still put another one. Answers the policy bound to the principals that it means now.
///
/// # Errors
/// `MalformedPolicyDocumentException`.
pub(crate) async fn check(
    service: &Service,
    call: &Call<'_>,
    policy: KeyPolicy,
    key: (&str, Option<&Key>),
    asks: Asks<'_>,
) -> Result<KeyPolicy> {
    let bound = match document::bindings(&service.installation.cache, &policy.document).await? {
        Ok(bound) => bound,
        Err(name) => {
            let message = "Policy contains a statement with one or more invalid principals.";
            return Err(
                Error::new(Code::MalformedPolicyDocument, message).because(format!("{name} is unknown"))
            );
        }
    };
    let policy = policy.bind(bound)?;
    if asks.bypass_lockout_check == Some(true) || call.could_put_policy(&policy.document, key, asks) {
        return Ok(policy);
    }
    let message = "The new key policy will not allow you to update the key policy in the future.";
    Err(Error::new(Code::MalformedPolicyDocument, message))
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
    pub(crate) fn compiled(&self, text: &str, bound: Bindings) -> Result<Arc<KeyPolicy>> {
        let bound_text = with_bindings(text, &bound);
        let name = bound_text.as_deref().unwrap_or(text);
        if let Some(policy) = self.0.get(name) {
            return Ok(policy);
        }
        let policy = KeyPolicy::parse(text)
            .map_err(|error| Error::internal(format!("a stored policy cannot be read: {:?}", error.cause)))?;
        let policy = Arc::new(policy.bind(bound)?);
        self.0.insert(name.into(), Arc::clone(&policy));
        Ok(policy)
    }
}

/// What a policy is known by when it means certain principals: the same text may mean others in another key. Nothing
/// where it names none. No policy holds the character NUL.
fn with_bindings(text: &str, bound: &Bindings) -> Option<String> {
    let mut name = (!bound.is_empty()).then(|| text.to_owned())?;
    for entry in bound {
        name.extend(["\0", &entry.arn, "\0", &entry.id]);
    }
    Some(name)
}
