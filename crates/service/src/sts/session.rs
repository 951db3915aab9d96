//! What a session of a role carries: its tags, and the policies that cap it.

use claviger_wire::fault::Code;

use crate::authn::principal::SessionFacts;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::shapes::{Tag, TagKey};
use crate::iam::{document, load};
use crate::oidc::token::Claims;
use crate::sts::shapes::PolicyDescriptor;

/// Most characters of session policies together, white space apart (quota).
const MAX_POLICIES: usize = 2_048;
/// Bytes that policies, ARNs and tags of a session may take in its token.
const MAX_PACKED: usize = 4_096;
/// Most tags of a session, those that it inherits included (quota).
const MAX_TAGS: usize = 50;

/// Tags of a session: those that the request gives, and those that the caller's session hands on.
#[derive(Debug)]
pub(super) struct SessionTagging {
    pub(super) tags: Vec<(String, String)>,
    /// Keys of those that this session hands on.
    pub(super) transitive: Vec<String>,
}

fn invalid(text: &str) -> Error {
    Error::new(Code::InvalidParameterValue, text)
}

/// What a token may not say ("Pass session tags in AWS STS").
fn rejected(text: &str) -> Error {
    Error::new(Code::IdpRejectedClaim, text)
}

/// Whether the text may be the key of a tag, or its value.
fn is_tag_text(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
}

/// Who stands behind a session, by a token.
///
/// # Errors
/// `IDPRejectedClaim`.
pub(super) fn claimed_source_identity(claims: &Claims) -> Result<Option<String>> {
    let Some(name) = &claims.source_identity else { return Ok(None) };
    let fits = (2..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    match fits {
        true => Ok(Some(name.clone())),
        false => Err(rejected("The source identity claim of the token is not valid.")),
    }
}

impl SessionTagging {
    /// The tags that a token gives its session.
    ///
    /// # Errors
    /// `IDPRejectedClaim`.
    pub(super) fn of_claims(claims: &Claims) -> Result<Self> {
        let Some(claimed) = &claims.tags else {
            return Ok(Self { tags: Vec::new(), transitive: Vec::new() });
        };
        let mut tags: Vec<(String, String)> = Vec::new();
        for (key, values) in &claimed.principal_tags {
            let [value] = values.all() else {
                return Err(rejected("A tag of the token must have one value."));
            };
            let fits = (1..=128).contains(&key.chars().count())
                && value.chars().count() <= 256
                && is_tag_text(key)
                && is_tag_text(value);
            let reserved = key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"));
            if !fits || reserved || tags.iter().any(|(own, _)| own.eq_ignore_ascii_case(key)) {
                return Err(rejected("A tag of the token is not valid."));
            }
            tags.push((key.clone(), value.clone()));
        }
        let has = |key: &String| tags.iter().any(|(own, _)| own.eq_ignore_ascii_case(key));
        if tags.len() > MAX_TAGS || !claimed.transitive_tag_keys.iter().all(has) {
            return Err(rejected("The tags of the token are not valid."));
        }
        Ok(Self { tags, transitive: claimed.transitive_tag_keys.clone() })
    }

    /// Reads the tags of a request.
    ///
    /// # Errors
    /// `InvalidParameterValue`, in AWS's words.
    pub(super) fn read(
        given: Option<&[Tag]>,
        transitive: Option<&[TagKey]>,
        caller: Option<&SessionFacts>,
    ) -> Result<Self> {
        let mut tags: Vec<(String, String)> = Vec::new();
        let has =
            |tags: &[(String, String)], key: &str| tags.iter().any(|(own, _)| own.eq_ignore_ascii_case(key));
        for tag in given.unwrap_or_default() {
            if has(&tags, &tag.key) {
                return Err(invalid(
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
                ));
            }
            if tag.key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
                return Err(invalid("Tag keys beginning with aws: are reserved."));
            }
            tags.push((tag.key.to_string(), tag.value.to_string()));
        }
        let mut keys: Vec<String> =
            transitive.unwrap_or_default().iter().map(|key| key.to_string()).collect();
        if keys.iter().any(|key| !has(&tags, key)) {
            return Err(invalid("The specified transitive tag key must be included in the requested tags."));
        }
        let Some(caller) = caller else { return Ok(Self { tags, transitive: keys }) };
        for (key, value) in &caller.tags {
            if !caller.transitive.iter().any(|own| own.eq_ignore_ascii_case(key)) {
                continue;
            }
            if has(&tags, key) {
                return Err(invalid(
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag \
                     key from the calling session.",
                ));
            }
            tags.push((key.clone(), value.clone()));
            keys.push(key.clone());
        }
        if tags.len() > MAX_TAGS {
            return Err(invalid("A session has at most 50 tags."));
        }
        Ok(Self { tags, transitive: keys })
    }
}

/// Policies that cap a session.
#[derive(Debug)]
pub(super) struct Caps {
    pub(super) policy: Option<String>,
    /// Managed ones, by their names in lower case.
    pub(super) managed: Vec<String>,
    /// Length of their ARNs in bytes.
    arns_len: usize,
}

impl Caps {
    /// Reads the session policies of a request; managed ones must be of the role's account.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`, `PackedPolicyTooLarge`.
    pub(super) async fn read(
        service: &Service,
        account: &str,
        policy: Option<&str>,
        arns: &[PolicyDescriptor],
    ) -> Result<Self> {
        if let Some(text) = policy {
            if document::counted(text) > MAX_POLICIES {
                return Err(too_large());
            }
            document::parse_identity(text)?;
        }
        let (mut managed, mut arns_len) = (Vec::new(), 0);
        for arn in arns.iter().filter_map(|descriptor| descriptor.arn.as_deref()) {
            let found = load::policy_of_arn(service, account, arn).await;
            let found = found.map_err(|_| Error::validation(format!("{arn} is invalid")))?;
            let unknown =
                || Error::new(Code::MalformedPolicyDocument, format!("Policy {arn} does not exist."));
            managed.push(found.ok_or_else(unknown)?.key());
            arns_len += arn.len();
        }
        Ok(Self { policy: policy.map(str::to_owned), managed, arns_len })
    }
}

/// How much of what a session may carry it does carry, in percent; nothing where it carries nothing.
///
/// # Errors
/// `PackedPolicyTooLarge` above a hundred.
pub(super) fn packed_percent(caps: &Caps, tagging: &SessionTagging) -> Result<Option<usize>> {
    let tags: usize = tagging.tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    let bytes = caps.policy.as_ref().map_or(0, String::len) + caps.arns_len + tags;
    match bytes {
        0 => Ok(None),
        1..=MAX_PACKED => Ok(Some((bytes * 100).div_ceil(MAX_PACKED))),
        _ => Err(too_large()),
    }
}

fn too_large() -> Error {
    let text = "Packed policy consumes more than 100% of allotted space, please use smaller policy.";
    Error::new(Code::PackedPolicyTooLarge, text)
}
