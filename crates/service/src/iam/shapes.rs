//! Members of requests to IAM, with the constraints of AWS's model.
//!
//! Everything comes as text in the query protocol. IAM's messages do not repeat the value that they refuse.

use claviger_wire::codec::{self, Member, Notes, Path, TextRule, WrongType};
use claviger_wire::json::Value;
use claviger_wire::{choice, shape};
use serde::Serialize;
use serde::ser::SerializeMap;
use zeroize::Zeroizing;

/// Declares a text member: its bounds in characters, and the pattern of the model with the function that decides it.
macro_rules! texts {
    ($($(#[$meta:meta])* $name:ident: $min:literal..=$max:literal $(, $pattern:literal, $matches:expr)?;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            const RULE: TextRule = TextRule {
                min: $min,
                max: $max,
                pattern: texts!(@pattern $($pattern, $matches)?),
                shown: false,
            };
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Member for $name {
            fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
                let text = codec::text(value)?;
                Ok(Self::RULE.check(text, at, notes).then(|| Self(text.to_owned())))
            }

            fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
                map.serialize_entry(name, self)
            }
        }
    )*};
    (@pattern) => { None };
    (@pattern $pattern:literal, $matches:expr) => { Some(($pattern, $matches)) };
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

fn is_serial(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=/:,.@-".contains(&b))
}

fn is_path(text: &str) -> bool {
    text == "/" || text.len() > 2 && text.starts_with('/') && text.ends_with('/') && graphic(text)
}

fn is_path_prefix(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| (0x21..=0x7f).contains(&b))
}

fn is_policy_path(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".,+@=_-".contains(&b))
    };
    let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    text == "/" || inner.is_some_and(|inner| inner.split('/').all(part))
}

fn graphic(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_document(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'))
}

fn is_description(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}'))
}

fn is_marker(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, ' '..='\u{ff}'))
}

fn is_version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else { return false };
    let (number, label) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0') && !number.is_empty();
    digits && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_tag_text(text: &str) -> bool {
    let space = |c: char| c.is_whitespace() && !c.is_control();
    text.chars().all(|c| c.is_alphanumeric() || space(c) || "_.:/=+-@".contains(c))
}

texts! {
    /// Name of a user that is made, or that a managed policy is attached to.
    UserName: 1..=64, "[\\w+=,.@-]+", is_name;
    /// Name of a user that exists.
    ExistingUserName: 1..=128, "[\\w+=,.@-]+", is_name;
    /// Name of a group.
    GroupName: 1..=128, "[\\w+=,.@-]+", is_name;
    /// Name of a role.
    RoleName: 1..=64, "[\\w+=,.@-]+", is_name;
    /// Name of a policy.
    PolicyName: 1..=128, "[\\w+=,.@-]+", is_name;
    /// Path of a user, group or role.
    EntityPath: 1..=512, "(\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)", is_path;
    /// Path of a managed policy, or what it begins with.
    PolicyPath: 1..=512, "((/[A-Za-z0-9\\.,\\+@=_-]+)*)/", is_policy_path;
    /// What the paths of a list begin with.
    PathPrefix: 1..=512, "\\u002F[\\u0021-\\u007F]*", is_path_prefix;
    /// An ARN.
    ArnText: 20..=2048;
    /// A policy document.
    PolicyDocument: 1..=131072, "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", is_document;
    /// Where a list goes on.
    Marker: 1..=320, "[\\u0020-\\u00FF]+", is_marker;
    /// Access key id.
    AccessKeyId: 16..=128, "[\\w]+", is_word;
    /// Description of a role.
    RoleDescription: 0..=1000, "[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u00A1-\\u00FF]*", is_description;
    /// Description of a managed policy.
    PolicyDescription: 0..=1000;
    /// Version of a managed policy.
    VersionId: 0..=1024, "v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?", is_version;
    /// Key of a tag.
    TagKey: 1..=128, "[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+", is_tag_text;
    /// Value of a tag.
    TagValue: 0..=256, "[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*", is_tag_text;
    /// Name of a virtual device. The model has no limit; AWS's documentation has this.
    DeviceName: 1..=226, "[\\w+=,.@-]+", is_name;
    /// Serial number of a device.
    SerialNumber: 9..=256, "[\\w+=/:,.@-]+", is_serial;
    /// Address of an identity provider.
    ProviderUrl: 1..=255;
    /// Client id, for which an identity provider issues tokens.
    ClientId: 1..=255;
    /// Claim that a context of a provider is made of.
    ContextSourceKey: 1..=128;
    /// Key of such a context.
    ContextTargetKey: 1..=128;
    /// Type of a subject.
    SubjectType: 0..=128;
    /// ARN of an instance of IAM Identity Center, which there is none of here.
    IdentityCenterArn: 1..=1224;
    /// SHA-1 fingerprint of a certificate.
    Thumbprint: 40..=40;
    /// Name of an action that is simulated.
    ActionName: 3..=128;
    /// A resource that is simulated.
    ResourceName: 1..=2048;
    /// Name of a condition key.
    ContextKeyName: 5..=256;
    /// Value of a condition key.
    ContextKeyValue: 0..=4096;
    /// How resources of EC2 are simulated.
    ResourceHandlingOption: 1..=64;
}

/// Declares an integer member with its bounds.
macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident: $min:literal..=$max:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub struct $name(pub u32);

        impl Member for $name {
            fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
                let text = codec::text(value)?;
                let Ok(number) = text.parse::<i64>() else {
                    return Err(WrongType("Value can not be converted to an Integer".to_owned()));
                };
                let fits = codec::check_range(number, $min, $max, at, notes);
                Ok(fits.then(|| u32::try_from(number).ok()).flatten().map(Self))
            }

            fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
                map.serialize_entry(name, self)
            }
        }
    )*};
}

pub(crate) use numbers;

numbers! {
    /// Most entries of a page.
    MaxItems: 1..=1000;
    /// Longest session of a role, in seconds.
    MaxSessionDuration: 3600..=43200;
    /// Fewest characters of a password.
    MinimumPasswordLength: 6..=128;
    /// Days until a password expires.
    MaxPasswordAge: 1..=1095;
    /// How many passwords before must not come again.
    PasswordReusePrevention: 1..=24;
    /// Longest console session of a role, in seconds. There is no sign-in here.
    MaxSigninSessionDuration: 3600..=7776000;
}

/// Declares a text member that is a secret: it does not print, is not shown in the trail, and is cleared when dropped.
macro_rules! secrets {
    ($($(#[$meta:meta])* $name:ident: $min:literal..=$max:literal, $pattern:literal, $matches:expr;)*) => {$(
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name(pub Zeroizing<String>);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl Member for $name {
            fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
                const RULE: TextRule =
                    TextRule { min: $min, max: $max, pattern: Some(($pattern, $matches)), shown: false };
                let text = codec::text(value)?;
                Ok(RULE.check(text, at, notes).then(|| Self(Zeroizing::new(text.to_owned()))))
            }
        }
    )*};
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

secrets! {
    /// A code of a device.
    AuthenticationCode: 6..=6, "[\\d]+", is_digits;
    /// A password.
    Password: 1..=128, "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", is_document;
}

/// Declares a list member: its fewest and its most elements. An empty value is an empty list.
macro_rules! lists {
    ($($(#[$meta:meta])* $name:ident($element:ty): $min:literal..=$max:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Serialize)]
        pub struct $name(pub Vec<$element>);

        impl Member for $name {
            fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
                let items = match value {
                    Value::String(text) if text.is_empty() => &[][..],
                    other => codec::list(other)?,
                };
                let fits = codec::check_blob_length(items.len(), $min, $max, at, notes);
                let mut elements = Vec::new();
                for (index, item) in items.iter().enumerate().take(if fits { items.len() } else { 0 }) {
                    elements.extend(<$element>::decode(item, at.element(index), notes)?);
                }
                Ok(fits.then_some(Self(elements)))
            }

            fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
                map.serialize_entry(name, self)
            }
        }
    )*};
}

pub(crate) use lists;

lists! {
    /// Tags.
    Tags(Tag): 0..=50;
    /// Keys of tags.
    TagKeys(TagKey): 0..=50;
    /// Client ids. The model has no limit; the quota is checked apart.
    ClientIds(ClientId): 0..=1000;
    /// Keys of a context.
    ContextKeys(ContextKey): 0..=10;
    /// Fingerprints. The model has no limit; the quota is checked apart.
    Thumbprints(Thumbprint): 0..=1000;
    /// Policies that are simulated.
    Policies(PolicyDocument): 0..=50;
    /// Actions that are simulated.
    ActionNames(ActionName): 0..=256;
    /// Resources that are simulated.
    ResourceArns(ResourceName): 0..=256;
    /// Policies of an organization.
    OrganizationPolicies(Unread): 0..=7;
    /// Policies that a simulation leaves out.
    ExcludedPolicies(Unread): 0..=256;
    /// Condition keys of a simulation.
    ContextEntries(ContextEntry): 0..=256;
    /// Values of a condition key.
    ContextKeyValues(ContextKeyValue): 0..=256;
}

shape! {
    /// A tag.
    #[derive(Debug, Clone)]
    pub struct Tag {
        /// Its key.
        required key: TagKey = "key",
        /// Its value.
        required value: TagValue = "value",
    }
}

shape! {
    /// A condition key of a simulation.
    #[derive(Debug, Clone)]
    pub struct ContextEntry {
        /// Its name, such as `aws:SourceIp`.
        optional name: ContextKeyName = "contextKeyName",
        /// Its values.
        optional values: ContextKeyValues = "contextKeyValues",
        /// Their type; texts say all that the types do.
        optional kind: ContextKeyType = "contextKeyType",
    }
}

shape! {
    /// A key of a context.
    #[derive(Debug, Clone)]
    pub struct ContextKey {
        /// The claim that it is made of.
        required source_key: ContextSourceKey = "sourceKey",
        /// Its name.
        optional target_key: ContextTargetKey = "targetKey",
    }
}

shape! {
    /// How an identity provider's claims become a context for IAM Identity Center: not served.
    #[derive(Debug, Clone)]
    pub struct ContextProvider {
        /// Keys.
        optional keys: ContextKeys = "keyDefinitionList",
        /// The claim of the subject.
        required subject: ContextSourceKey = "subjectSourceKey",
        /// Type of the subject.
        optional subject_type: SubjectType = "subjectTypeValue",
        /// The claim of the type of the subject.
        optional subject_type_claim: ContextSourceKey = "subjectTypeSourceKey",
    }
}

/// An element of what is refused where it is given, so that nothing of it matters.
#[derive(Debug, Clone, Serialize)]
pub struct Unread;

impl Member for Unread {
    fn decode(value: &Value<'_>, _at: Path<'_>, _notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        codec::structure(value).map(|_| Some(Self))
    }
}

choice! {
    /// Type of a condition key.
    pub enum ContextKeyType {
        /// Text.
        String = "string",
        /// Texts.
        StringList = "stringList",
        /// Number.
        Numeric = "numeric",
        /// Numbers.
        NumericList = "numericList",
        /// Truth value.
        Boolean = "boolean",
        /// Truth values.
        BooleanList = "booleanList",
        /// Address.
        Ip = "ip",
        /// Addresses.
        IpList = "ipList",
        /// Bytes.
        Binary = "binary",
        /// Lists of bytes.
        BinaryList = "binaryList",
        /// Date.
        Date = "date",
        /// Dates.
        DateList = "dateList",
    }
}

choice! {
    /// Whether an access key may be used.
    pub enum Status {
        /// It may.
        Active = "Active",
        /// It may not.
        Inactive = "Inactive",
        /// Of no key here.
        Expired = "Expired",
    }
}

choice! {
    /// Which virtual devices to list.
    pub enum AssignmentStatus {
        /// Those that are somebody's.
        Assigned = "Assigned",
        /// Those that are nobody's.
        Unassigned = "Unassigned",
        /// All.
        Any = "Any",
    }
}

impl AssignmentStatus {
    /// Whether a device is among them that is somebody's, or nobody's.
    pub(crate) fn includes(self, assigned: bool) -> bool {
        match self {
            Self::Assigned => assigned,
            Self::Unassigned => !assigned,
            Self::Any => true,
        }
    }
}

choice! {
    /// Whose managed policies to list.
    pub enum PolicyScope {
        /// All.
        All = "All",
        /// Those of AWS, of which there are none here.
        Aws = "AWS",
        /// Those of the account.
        Local = "Local",
    }
}

choice! {
    /// What a managed policy is used for.
    pub enum PolicyUsage {
        /// It is attached.
        PermissionsPolicy = "PermissionsPolicy",
        /// It bounds.
        PermissionsBoundary = "PermissionsBoundary",
    }
}

choice! {
    /// What a list is limited to.
    pub enum EntityFilter {
        /// Users.
        User = "User",
        /// Roles.
        Role = "Role",
        /// Groups.
        Group = "Group",
        /// Customer managed policies.
        LocalManagedPolicy = "LocalManagedPolicy",
        /// AWS managed policies.
        AwsManagedPolicy = "AWSManagedPolicy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_have_their_forms() {
        assert!(is_name("a_b+c=d,e.f@g-h") && !is_name("a/b") && !is_name("ä") && !is_name(""));
        assert!(is_path("/") && is_path("/a/b/") && !is_path("//") && !is_path("a/") && !is_path("/a"));
        assert!(is_policy_path("/") && is_policy_path("/a/b/") && !is_policy_path("//"));
        assert!(is_version("v1") && is_version("v10.x-1") && !is_version("v01") && !is_version("1"));
    }
}
