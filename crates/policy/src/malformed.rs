//! Why a policy document was refused.

use std::fmt;

/// A policy document that was refused, and where.
///
/// The service answers [`Malformed::TooLong`] with `LimitExceededException`, [`Malformed::Character`] with
/// `ValidationException`, and all others with `MalformedPolicyDocumentException`. [`Malformed::message`] is the text for
/// the caller; `Display` is the exact cause, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than its kind allows.
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
        /// Most bytes that the kind allows.
        limit: usize,
    },
    /// A character outside tab, line feed, carriage return and U+0020..U+00FF.
    Character {
        /// The first such character.
        character: char,
        /// Its offset in bytes.
        offset: usize,
    },
    /// Not JSON, a repeated name in an object, nested too deeply, or followed by more text.
    Json(String),
    /// JSON that breaks the grammar of policies.
    Grammar {
        /// Index of the statement from 0; absent when the document as a whole is at fault.
        statement: Option<usize>,
        /// What is wrong.
        problem: Problem,
    },
}

/// What breaks the grammar of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// An element has the wrong JSON type, or is empty where it may not be.
    WrongType {
        /// Name of the element.
        element: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// An element that the grammar does not know, or knows in another spelling.
    UnknownElement(String),
    /// A required element is absent.
    MissingElement(&'static str),
    /// An element that this kind of document does not allow.
    ForbiddenElement(&'static str),
    /// Both an element and its negation.
    ExclusiveElements(&'static str, &'static str),
    /// A version other than `2012-10-17` and `2008-10-17`.
    UnknownVersion(String),
    /// An effect other than `Allow` and `Deny`.
    UnknownEffect(String),
    /// A statement id that this kind of document does not allow, or that occurs twice.
    InvalidSid(String),
    /// An action that is neither `*` nor `service:pattern`.
    InvalidAction(String),
    /// A resource that is neither `*` nor an ARN pattern.
    InvalidResource(String),
    /// A statement without `Principal` and `NotPrincipal`, or with nobody in it.
    NoPrincipal,
    /// A principal that cannot be one, and as what it is named: `AWS`, `Service`, `Federated`.
    InvalidPrincipal {
        /// The member of `Principal` that it stands under; `STAR` where it stands by itself.
        kind: String,
        /// What stands there.
        name: String,
    },
    /// A condition operator that does not exist.
    UnknownOperator(String),
    /// A condition key that is not `service:name`.
    InvalidConditionKey(String),
    /// A condition value that its operator cannot compare.
    InvalidConditionValue {
        /// The operator, as written.
        operator: String,
        /// The value, as written.
        value: String,
    },
    /// `${` without a well-formed variable after it, or a variable where none is allowed.
    InvalidVariable(String),
    /// `ForAllValues` over a single-valued encryption context or tag key, which would also match requests without it.
    OverlyPermissiveCondition {
        /// The condition key in lower case.
        key: String,
    },
    /// Patterns whose matching could cost too much.
    TooComplex,
}

impl Malformed {
    /// The message that the API gives to its caller, in AWS's words where they are known.
    pub fn message(&self) -> String {
        match self {
            // Inferred: no text of AWS's is known for these two.
            Self::TooLong { limit, .. } => format!("The policy exceeds the limit of {limit} bytes."),
            Self::Character { .. } => {
                "Value at 'policy' failed to satisfy constraint: Member must satisfy regular \
                                       expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+"
                    .to_owned()
            }
            Self::Grammar { problem, .. } => problem.message(),
            Self::Json(_) => MALFORMED.to_owned(),
        }
    }
}

/// Inferred: AWS's text for a broken grammar is not known.
const MALFORMED: &str = "Policy document is malformed.";

impl Problem {
    fn message(&self) -> String {
        match self {
            Self::NoPrincipal => "Policy contains a statement with no principal.".to_owned(),
            Self::InvalidPrincipal { .. } => {
                "Policy contains a statement with one or more invalid principals.".to_owned()
            }
            Self::OverlyPermissiveCondition { key } => overly_permissive(key),
            _ => MALFORMED.to_owned(),
        }
    }
}

/// The text of the KMS Developer Guide; for tags its general form, with the subject filled in (inferred).
fn overly_permissive(key: &str) -> String {
    let (label, subject) = match key.starts_with("kms:") {
        true => ("EncryptionContext", "encryption context"),
        false => ("Tag", "tag"),
    };
    format!(
        "OverlyPermissiveCondition:{label}: Using the ForAllValues set operator with a single-valued condition key \
         matches requests without the specified {subject} or with an unspecified {subject}. To fix, remove \
         ForAllValues."
    )
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, limit } => write!(f, "{bytes} bytes exceed the limit of {limit}"),
            Self::Character { character, offset } => {
                write!(f, "character U+{:04X} at byte {offset} is not allowed", u32::from(*character))
            }
            Self::Json(cause) => f.write_str(cause),
            Self::Grammar { statement: Some(index), problem } => write!(f, "statement {index}: {problem}"),
            Self::Grammar { statement: None, problem } => problem.fmt(f),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongType { element, expected } => write!(f, "`{element}` must be {expected}"),
            Self::UnknownElement(name) => write!(f, "unknown element `{name}`"),
            Self::MissingElement(name) => write!(f, "`{name}` is missing"),
            Self::ForbiddenElement(name) => write!(f, "`{name}` is not allowed in this kind of policy"),
            Self::ExclusiveElements(one, other) => write!(f, "`{one}` and `{other}` exclude each other"),
            Self::UnknownVersion(text) => write!(f, "unknown version `{text}`"),
            Self::UnknownEffect(text) => write!(f, "unknown effect `{text}`"),
            Self::InvalidSid(sid) => write!(f, "statement id `{sid}` is invalid or occurs twice"),
            Self::InvalidAction(text) => write!(f, "`{text}` is not an action"),
            Self::InvalidResource(text) => write!(f, "`{text}` is not a resource"),
            Self::NoPrincipal => f.write_str("no principal"),
            Self::InvalidPrincipal { name, .. } => write!(f, "`{name}` is not a valid principal"),
            Self::UnknownOperator(name) => write!(f, "unknown condition operator `{name}`"),
            Self::InvalidConditionKey(key) => write!(f, "`{key}` is not a condition key"),
            Self::InvalidConditionValue { operator, value } => {
                write!(f, "`{operator}` cannot compare with `{value}`")
            }
            Self::InvalidVariable(text) => write!(f, "`{text}` has an invalid policy variable"),
            Self::OverlyPermissiveCondition { key } => write!(f, "`ForAllValues` over single-valued `{key}`"),
            Self::TooComplex => f.write_str("too many `?` between `*`"),
        }
    }
}

impl std::error::Error for Malformed {}
impl std::error::Error for Problem {}
