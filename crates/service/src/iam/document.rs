//! Policy documents: compiled when they are put, in AWS's words when they cannot be, and bound to whom they name.

use std::sync::Arc;

use claviger_policy::{Document, Kind, Malformed, PrincipalName, Problem};
use claviger_wire::arn::Arn;
use claviger_wire::fault::Code;

use crate::cache::Cache;
use crate::decided::Fingerprint;
use crate::error::{Error, Result};
use crate::iam::identity::{self, Bindings, Identity};
use crate::iam::provider;
use crate::record::{self, iam::BoundRecord};

/// Compiles a document that is in the store.
pub(crate) fn stored(text: &str, kind: Kind) -> Result<Document> {
    Document::parse(text, kind)
        .map_err(|malformed| Error::internal(format!("a stored policy cannot be read: {malformed}")))
}

/// Compiles an identity policy, permissions boundary or session policy that someone wants to put.
///
/// # Errors
/// `MalformedPolicyDocument`.
pub(crate) fn parse_identity(text: &str) -> Result<Document> {
    Document::parse(text, Kind::Identity).map_err(|malformed| refused(&malformed))
}

/// Characters that count against a quota: all but white space ("IAM and AWS STS quotas").
pub(crate) fn counted(text: &str) -> usize {
    text.chars().filter(|c| !c.is_ascii_whitespace()).count()
}

/// The error of a document that cannot be a policy.
pub(crate) fn refused(malformed: &Malformed) -> Error {
    let message = match malformed {
        Malformed::Grammar { problem, .. } => match problem {
            Problem::ForbiddenElement("Resource") => "Has prohibited field Resource".to_owned(),
            Problem::ForbiddenElement(name) => {
                format!("Policy document should not specify a {}.", lower(name))
            }
            Problem::MissingElement("Action") => "Policy statement must contain actions.".to_owned(),
            Problem::MissingElement("Resource") => "Policy statement must contain resources.".to_owned(),
            Problem::UnknownVersion(_) => "The policy must contain a valid version string".to_owned(),
            Problem::InvalidSid(sid) if !is_sid(sid) => {
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
                    .to_owned()
            }
            Problem::InvalidSid(_) => "Statement IDs (SID) in a single policy must be unique.".to_owned(),
            Problem::InvalidAction(text) => invalid_action(text),
            Problem::InvalidResource(text) => format!("Resource {text} must be in ARN format or \"*\"."),
            Problem::InvalidPrincipal { kind, name } => invalid_principal(&kind.to_ascii_uppercase(), name),
            _ => "Syntax errors in policy.".to_owned(),
        },
        Malformed::Json(_) => "This policy contains invalid Json".to_owned(),
        _ => "Syntax errors in policy.".to_owned(),
    };
    Error::new(Code::MalformedPolicyDocument, message).because(malformed.to_string())
}

fn is_sid(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn invalid_principal(kind: &str, name: &str) -> String {
    format!("Invalid principal in policy: \"{kind}\":\"{name}\"")
}

/// The same for one that could be a principal and is none here: all but identity providers stand under `AWS`.
fn unknown_principal(name: &str) -> String {
    let federated = name.contains("-provider/") || !name.starts_with("arn:") && name.contains('.');
    invalid_principal(if federated { "FEDERATED" } else { "AWS" }, name)
}

fn invalid_action(text: &str) -> String {
    match text.split_once(':') {
        None => "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned(),
        Some((_, name)) if name.contains(':') => "Actions/Condition can contain only one colon.".to_owned(),
        Some((vendor, _)) if !vendor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
            format!("Vendor {vendor} is not valid")
        }
        Some(_) => "Syntax errors in policy.".to_owned(),
    }
}

/// A document that names principals, with the unique ids of those that it meant when it was put.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) text: String,
    pub(crate) bound: Bindings,
    pub(crate) document: Arc<Document>,
    /// Tells its text from others.
    pub(crate) fingerprint: Fingerprint,
}

impl Bound {
    /// A trust policy that is in the store.
    pub(crate) fn stored(text: String, bound: Bindings) -> Result<Self> {
        let document = rebind(stored(&text, Kind::Trust)?, &bound)?;
        let fingerprint = Fingerprint::of(&text);
        Ok(Self { text, bound, document: Arc::new(document), fingerprint })
    }

    /// A trust policy that someone wants to put.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`, also for users and roles that do not exist.
    pub(crate) async fn trust(cache: &Cache, text: &str) -> Result<Self> {
        let document = Document::parse(text, Kind::Trust).map_err(|malformed| refused(&malformed))?;
        check_trust(text, &document)?;
        let bound = match bindings(cache, &document).await? {
            Ok(bound) => bound,
            Err(name) => return Err(Error::new(Code::MalformedPolicyDocument, unknown_principal(&name))),
        };
        let document = rebind(document, &bound)?;
        let (text, fingerprint) = (text.to_owned(), Fingerprint::of(text));
        Ok(Self { text, bound, document: Arc::new(document), fingerprint })
    }
}

/// What trust policies are about, as globs may name it.
const TRUST_ACTIONS: &[&str] = &[
    "sts:assumerole",
    "sts:assumerolewithsaml",
    "sts:assumerolewithwebidentity",
    "sts:tagsession",
    "sts:setsourceidentity",
    "sts:setcontext",
];

/// What is asked of a trust policy that is put, and not of those that older programs have stored: no two statements of
/// one `Sid`, and no actions but those of assuming a role.
fn check_trust(text: &str, document: &Document) -> Result<()> {
    let refuse = |message: &str| Err(Error::new(Code::MalformedPolicyDocument, message));
    let sids: Vec<&str> = document.statement_ids().flatten().filter(|sid| !sid.is_empty()).collect();
    if sids.iter().enumerate().any(|(place, sid)| sids.iter().skip(place + 1).any(|other| other == sid)) {
        return refuse("Statement IDs (SID) in a single policy must be unique.");
    }
    let whole: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| Error::internal(format!("a policy that was understood is no JSON: {error}")))?;
    let statements = many(whole.get("Statement"));
    let actions = statements.iter().flat_map(|statement| many(statement.get("Action")));
    match actions.filter_map(serde_json::Value::as_str).all(is_of_trust) {
        true => Ok(()),
        false => refuse("AssumeRole policy may only specify STS AssumeRole actions."),
    }
}

/// The entries of an array, or what stands in its place.
fn many(element: Option<&serde_json::Value>) -> &[serde_json::Value] {
    match element {
        Some(serde_json::Value::Array(entries)) => entries,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

/// Whether a pattern of actions, in any case, is of STS and covers some that trust policies are about.
fn is_of_trust(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let begins = pattern.split(['*', '?']).next().unwrap_or_default();
    begins.starts_with("sts:")
        && TRUST_ACTIONS.iter().any(|action| action.starts_with(begins))
        && (begins.len() < pattern.len() || TRUST_ACTIONS.contains(&begins))
}

/// Binds a compiled document to the ids that were found when it was put.
pub(crate) fn rebind(document: Document, bound: &Bindings) -> Result<Document> {
    let id_of = |name: &PrincipalName| {
        let arn = name.arn()?;
        bound.iter().find(|entry| entry.arn == arn).map(|entry| entry.id.as_str().into())
    };
    document
        .bind(id_of)
        .map_err(|malformed| Error::internal(format!("a stored policy is unbound: {malformed}")))
}

/// The unique ids of the users and roles that a document names, or what it names that does not exist.
pub(crate) async fn bindings(cache: &Cache, document: &Document) -> Result<Result<Bindings, String>> {
    let mut bound = Bindings::new();
    for name in document.principals() {
        match name {
            PrincipalName::User { arn, .. }
            | PrincipalName::Role { arn, .. }
            | PrincipalName::Session { arn, .. } => {
                let Some(id) = id_of(cache, name).await? else { return Ok(Err(arn.to_string())) };
                let entry = BoundRecord { arn: arn.to_string(), id };
                if !bound.contains(&entry) {
                    bound.push(entry);
                }
            }
            PrincipalName::UniqueId(id) => {
                if cache.principal(record::iam::principal(id)).await?.is_none() {
                    return Ok(Err(id.to_string()));
                }
            }
            // A federated user is a name that a user of the account gives; there is no record of it.
            PrincipalName::Anyone
            | PrincipalName::Everyone
            | PrincipalName::Account(_)
            | PrincipalName::Service(_)
            | PrincipalName::FederatedUser(_) => {}
            // A provider that is made again under the same address is meant, too, as by AWS: whom it vouches for the
            // account's administrator has decided anew.
            PrincipalName::Federated(arn) => {
                if provider::of_arn(cache, arn).await?.is_none() {
                    return Ok(Err(arn.to_string()));
                }
            }
        }
    }
    Ok(Ok(bound))
}

/// The unique id of the user or role that an ARN names, or whose session it names; `None` where there is none.
pub(crate) async fn id_of(cache: &Cache, name: &PrincipalName) -> Result<Option<String>> {
    match name {
        PrincipalName::User { arn, .. } | PrincipalName::Role { arn, .. } => unique_id(cache, arn).await,
        PrincipalName::Session { arn, .. } => role_of_session(cache, arn).await,
        _ => Ok(None),
    }
}

/// The unique id of the user or role of an ARN, whose path must be right too, to the letter.
async fn unique_id(cache: &Cache, text: &str) -> Result<Option<String>> {
    let Some(arn) = Arn::parse(text) else { return Ok(None) };
    let Some((word, rest)) = arn.resource.split_once('/') else { return Ok(None) };
    let name = rest.rsplit('/').next().unwrap_or_default();
    let found = cache.identity(record::iam::identity(word, arn.account, &identity::key(name))).await?;
    let is_named = |it: &Identity| arn.resource == format!("{word}{}{}", it.path, it.name);
    Ok(found.filter(|it| is_named(it)).map(|it| it.id.clone()))
}

/// The unique id of the role that an ARN of a session names.
async fn role_of_session(cache: &Cache, text: &str) -> Result<Option<String>> {
    let Some(arn) = Arn::parse(text) else { return Ok(None) };
    let Some(role) = arn.resource.split('/').nth(1) else { return Ok(None) };
    let found = cache.identity(record::iam::identity("role", arn.account, &identity::key(role))).await?;
    Ok(found.filter(|it| it.name == role).map(|it| it.id.clone()))
}
