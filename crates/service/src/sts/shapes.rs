//! Members of requests to STS, with the constraints of AWS's model.

use claviger_wire::codec::{self, Member, Notes, Path, WrongType};
use claviger_wire::json::Value;
use claviger_wire::{shape, text};
use serde::Serialize;
use serde::ser::SerializeMap;
use zeroize::Zeroizing;

use crate::iam::shapes::{Tag, TagKey, lists, numbers};

fn names(text: &str, others: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b) || others.contains(&b))
}

fn is_name(text: &str) -> bool {
    names(text, b"")
}

fn is_external_id(text: &str) -> bool {
    names(text, b":/")
}

fn is_arn(text: &str) -> bool {
    let printable = |c: char| match c {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' => true,
        other => other >= '\u{e000}' && other != '\u{fffe}' && other != '\u{ffff}',
    };
    text.chars().all(printable)
}

fn is_document(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'))
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

text! {
    /// ARN of a role or policy.
    pub struct ArnText: 20..=2048,
        "[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u0085\\u00A0-\\uD7FF\\uE000-\\uFFFD\\u10000-\\u10FFFF]+", is_arn
}

text! {
    /// Name of someone whom a user vouches for.
    pub struct FederatedName: 2..=32, "[\\w+=,.@-]*", is_name
}

text! {
    /// Name of a session.
    pub struct SessionName: 2..=64, "[\\w+=,.@-]*", is_name
}

text! {
    /// A session policy. The model bounds it by what can be packed; the text may be as long as any policy's.
    pub struct SessionPolicy: 1..=131072, "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", is_document
}

text! {
    /// A session policy, where the model bounds its length.
    pub struct ShortSessionPolicy: 1..=2048, "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", is_document
}

text! {
    /// What another provider asserts.
    pub struct ContextAssertion: 4..=3072
}

text! {
    /// Provider of an OAuth 2.0 access token.
    pub struct ProviderId: 4..=2048
}

text! {
    /// Who stands behind a session.
    pub struct SourceIdentity: 2..=256, "[\\w+=,.@-]*", is_name
}

text! {
    /// Serial number of a device.
    pub struct SerialNumber: 9..=256, "[\\w+=/:,.@-]*", is_external_id
}

text! {
    /// A message that an error carried in encoded form.
    pub struct EncodedMessage: 1..=10240
}

text! {
    /// Access key id.
    pub struct AccessKeyId: 16..=128, "[\\w]*", is_word
}

/// What a role's owner and the one who assumes it have agreed on. It does not print; the trail shows it, as AWS's does.
#[derive(Clone)]
pub struct ExternalId(pub Zeroizing<String>);

impl std::fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExternalId(..)")
    }
}

impl Member for ExternalId {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        const RULE: codec::TextRule = codec::TextRule {
            min: 2,
            max: 1224,
            pattern: Some(("[\\w+=,.@:\\/-]*", is_external_id)),
            shown: false,
        };
        let text = codec::text(value)?;
        Ok(RULE.check(text, at, notes).then(|| Self(Zeroizing::new(text.to_owned()))))
    }

    fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self.0.as_str())
    }
}

/// The token of an identity provider. It does not print, and is not shown in the trail; cleared when dropped.
#[derive(Clone)]
pub struct WebIdentityToken(pub Zeroizing<String>);

impl std::fmt::Debug for WebIdentityToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebIdentityToken(..)")
    }
}

impl Member for WebIdentityToken {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        const RULE: codec::TextRule = codec::TextRule { min: 4, max: 20_000, pattern: None, shown: false };
        let text = codec::text(value)?;
        Ok(RULE.check(text, at, notes).then(|| Self(Zeroizing::new(text.to_owned()))))
    }
}

/// A code of a device. Neither printed nor shown in the trail; cleared when dropped.
#[derive(Clone)]
pub struct TokenCode(pub Zeroizing<String>);

impl std::fmt::Debug for TokenCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenCode(..)")
    }
}

impl Member for TokenCode {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        const RULE: codec::TextRule =
            codec::TextRule { min: 6, max: 6, pattern: Some(("[\\d]*", is_digits)), shown: false };
        let text = codec::text(value)?;
        Ok(RULE.check(text, at, notes).then(|| Self(Zeroizing::new(text.to_owned()))))
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

numbers! {
    /// How long a role's session is, in seconds.
    RoleDuration: 900..=43200;
    /// How long a user's session is, in seconds.
    UserDuration: 900..=129600;
    /// Fewest bytes of a session token. Ours are as long as they must be.
    MinimumTokenSize: 0..=4096;
}

/// A managed policy that caps a session. Its member is spelled with a lower-case first letter.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyDescriptor {
    /// ARN of the policy.
    pub arn: Option<ArnText>,
}

impl Member for PolicyDescriptor {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        let mut arn = None;
        for (key, value) in codec::structure(value)? {
            match &**key {
                "arn" => arn = ArnText::decode(value, at.name("arn"), notes)?,
                other => notes.unknown(other),
            }
        }
        Ok(Some(Self { arn }))
    }
}

shape! {
    /// A context that another provider asserts.
    #[derive(Debug, Clone)]
    pub struct ProvidedContext {
        /// ARN of the provider.
        optional provider: ArnText = "providerArn",
        /// What it asserts.
        optional assertion: ContextAssertion = "contextAssertion",
    }
}

lists! {
    /// Managed policies that cap a session.
    PolicyArns(PolicyDescriptor): 0..=10;
    /// Tags of a session.
    SessionTags(Tag): 0..=50;
    /// Keys of tags that go on.
    TransitiveTagKeys(TagKey): 0..=50;
    /// Contexts.
    ProvidedContexts(ProvidedContext): 1..=5;
}
