//! From a JSON tree to typed members, with AWS's error texts.
//!
//! AWS decodes in two steps and so does this module: a value of the wrong JSON type is a [`Refusal::Serialization`]
//! and stops at once; a value outside its constraints is noted, and all such notes make one [`Refusal::Validation`].
//! Unknown members are ignored, `null` is an absent member.
//!
//! A request is declared with [`shape!`](crate::shape); each member's type states its constraints ([`Member`]) and
//! what of it the audit trail may show.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::ser::SerializeMap;

use crate::json::Value;

/// Why a request's members cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A member has the wrong JSON type; the text is AWS's.
    Serialization(String),
    /// Members violate their constraints; the text is AWS's and lists them all.
    Validation(String),
}

/// A member has the wrong JSON type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongType(pub String);

/// Where a member stands in its request; prints as AWS writes it: `tags.1.member.tagKey`.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    part: Part,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Root,
    Name(&'static str),
    Element(usize),
}

impl<'a> Path<'a> {
    /// The request itself.
    pub const ROOT: Path<'static> = Path { parent: None, part: Part::Root };

    /// A member of the structure at this path.
    pub fn name(&'a self, name: &'static str) -> Self {
        Path { parent: Some(self), part: Part::Name(name) }
    }

    /// An element of the list at this path, counted from 0.
    pub fn element(&'a self, index: usize) -> Self {
        Path { parent: Some(self), part: Part::Element(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if !matches!(parent.part, Part::Root) {
                f.write_char('.')?;
            }
        }
        match self.part {
            Part::Root => Ok(()),
            Part::Name(name) => f.write_str(name),
            Part::Element(index) => write!(f, "{}.member", index + 1),
        }
    }
}

/// Collects what is wrong with a request while it is decoded.
#[derive(Debug, Default)]
pub struct Notes {
    violations: Vec<String>,
    unknown: Vec<String>,
    /// What the caller sent is not repeated to it.
    silent: bool,
}

/// Most violations that one message lists; the count in front is exact.
const MAX_LISTED: usize = 32;
/// Longest part of an offending value that a message repeats, in bytes.
const MAX_ECHO: usize = 2048;

impl Notes {
    /// Notes a violated constraint of a value that may be shown.
    pub fn violated(&mut self, at: Path<'_>, value: &str, constraint: fmt::Arguments<'_>) {
        if self.silent {
            return self.violated_secretly(at, constraint);
        }
        let shown = value.get(..value.floor_char_boundary(MAX_ECHO)).unwrap_or_default();
        self.violations.push(format!("Value '{shown}' at '{at}' failed to satisfy constraint: {constraint}"));
    }

    /// Notes a violated constraint of a value that must not be repeated.
    pub fn violated_secretly(&mut self, at: Path<'_>, constraint: fmt::Arguments<'_>) {
        self.violations.push(format!("Value at '{at}' failed to satisfy constraint: {constraint}"));
    }

    /// Notes that a required member is missing.
    pub fn missing(&mut self, at: Path<'_>) {
        self.violations
            .push(format!("Value null at '{at}' failed to satisfy constraint: Member must not be null"));
    }

    /// Notes a member that no shape knows. AWS ignores such members; tests do not.
    pub fn unknown(&mut self, name: &str) {
        if self.unknown.len() < MAX_LISTED {
            self.unknown.push(name.to_owned());
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        let count = self.violations.len();
        let plural = if count == 1 { "error" } else { "errors" };
        let listed =
            self.violations.iter().take(MAX_LISTED).map(String::as_str).collect::<Vec<_>>().join("; ");
        (count > 0).then(|| Refusal::Validation(format!("{count} validation {plural} detected: {listed}")))
    }
}

/// A type that a member of a request may have.
pub trait Member: Sized {
    /// Decodes a value that is not `null`. Violated constraints go to `notes`, with `None` as the value.
    ///
    /// # Errors
    /// [`WrongType`] where the JSON type is not the member's.
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType>;

    /// Writes the member into the audit record under `name`. Hidden unless a type says otherwise: nothing is shown
    /// in the trail because someone forgot to hide it.
    ///
    /// # Errors
    /// Those of the writer.
    fn audit<M: SerializeMap>(&self, _name: &'static str, _map: &mut M) -> Result<(), M::Error> {
        Ok(())
    }
}

/// Decodes the members of a request.
///
/// # Errors
/// The refusal to answer with.
pub fn decode<T: Member>(body: &Value<'_>) -> Result<T, Refusal> {
    decode_with(body, Notes::default()).map(|(request, _)| request)
}

/// Like [`decode`], for a service that does not repeat a value that it refuses.
///
/// # Errors
/// The refusal to answer with.
pub fn decode_silently<T: Member>(body: &Value<'_>) -> Result<T, Refusal> {
    decode_with(body, Notes { silent: true, ..Notes::default() }).map(|(request, _)| request)
}

/// Like [`decode`], and names the members that were ignored because no shape knows them.
///
/// # Errors
/// The refusal to answer with.
pub fn decode_noting<T: Member>(body: &Value<'_>) -> Result<(T, Vec<String>), Refusal> {
    decode_with(body, Notes::default())
}

fn decode_with<T: Member>(body: &Value<'_>, mut notes: Notes) -> Result<(T, Vec<String>), Refusal> {
    let decoded =
        T::decode(body, Path::ROOT, &mut notes).map_err(|WrongType(text)| Refusal::Serialization(text))?;
    match (notes.refusal(), decoded) {
        (Some(refusal), _) => Err(refusal),
        (None, Some(request)) => Ok((request, notes.unknown)),
        (None, None) => Err(Refusal::Validation("the request is not valid".to_owned())),
    }
}

/// One member of a structure: decodes it when it is there. Used by [`shape!`](crate::shape).
///
/// # Errors
/// [`WrongType`].
pub fn member<T: Member>(
    value: Option<&Value<'_>>,
    required: bool,
    at: Path<'_>,
    notes: &mut Notes,
) -> Result<Option<T>, WrongType> {
    match value {
        None | Some(Value::Null) => {
            if required {
                notes.missing(at);
            }
            Ok(None)
        }
        Some(value) => T::decode(value, at, notes),
    }
}

/// Whether a JSON key is the member whose name with a lower-case first letter is `name`.
pub fn names(key: &str, name: &str) -> bool {
    let (key, name) = (key.as_bytes(), name.as_bytes());
    match (key.split_first(), name.split_first()) {
        (Some((first, rest)), Some((lower, others))) => {
            *first == lower.to_ascii_uppercase() && rest == others
        }
        _ => false,
    }
}

/// What stands where a scalar was expected.
fn not_a_scalar(value: &Value<'_>, wanted: &str) -> WrongType {
    WrongType(match value {
        Value::Array(_) => "Start of list found where not expected".to_owned(),
        Value::Object(_) => "Start of structure or map found where not expected.".to_owned(),
        Value::Number(_) => format!("NUMBER_VALUE can not be converted to {wanted}"),
        Value::Bool(true) => format!("TRUE_VALUE can not be converted to {wanted}"),
        Value::Bool(false) => format!("FALSE_VALUE can not be converted to {wanted}"),
        Value::String(_) => format!("class java.lang.String can not be converted to {wanted}"),
        Value::Null => format!("NULL_VALUE can not be converted to {wanted}"),
    })
}

/// A member of a structure, or an entry of a map: its key and its value.
pub type Pair<'a> = (Cow<'a, str>, Value<'a>);

/// The members of a structure.
///
/// # Errors
/// [`WrongType`] for anything but an object.
pub fn structure<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Pair<'a>], WrongType> {
    match value {
        Value::Object(members) => Ok(members),
        Value::Array(_) => Err(not_a_scalar(value, "")),
        _ => Err(WrongType("Expected null".to_owned())),
    }
}

/// The entries of a map.
///
/// # Errors
/// [`WrongType`] for anything but an object.
pub fn map<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Pair<'a>], WrongType> {
    match value {
        Value::Object(entries) => Ok(entries),
        Value::Array(_) => Err(not_a_scalar(value, "")),
        _ => Err(WrongType("Expected map or null".to_owned())),
    }
}

/// The elements of a list.
///
/// # Errors
/// [`WrongType`] for anything but an array.
pub fn list<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Value<'a>], WrongType> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Object(_) => Err(not_a_scalar(value, "")),
        _ => Err(WrongType("Expected list or null".to_owned())),
    }
}

/// A string.
///
/// # Errors
/// [`WrongType`].
pub fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, WrongType> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(not_a_scalar(value, "a String")),
    }
}

/// An integer; fractions were floored and large numbers clamped when the body was parsed.
///
/// # Errors
/// [`WrongType`].
pub fn integer(value: &Value<'_>) -> Result<i64, WrongType> {
    match value {
        Value::Number(number) => Ok((*number).clamp(i64::from(i32::MIN), i64::from(i32::MAX))),
        Value::Bool(_) => {
            Err(WrongType("class java.lang.Boolean can not be converted to an Integer".to_owned()))
        }
        _ => Err(not_a_scalar(value, "an Integer")),
    }
}

/// A moment: whole seconds since 1970-01-01T00:00:00Z; a fraction was floored when the body was parsed.
///
/// # Errors
/// [`WrongType`].
pub fn timestamp(value: &Value<'_>) -> Result<i64, WrongType> {
    match value {
        Value::Number(seconds) => Ok(*seconds),
        _ => Err(not_a_scalar(value, "milliseconds since epoch")),
    }
}

/// A blob in standard base64 with padding: one spelling for each value.
///
/// # Errors
/// [`WrongType`] with AWS's text for a bad length, a bad character or stray bits at the end. The value is repeated
/// in the text only where `shown`.
pub fn blob(value: &Value<'_>, shown: bool) -> Result<Vec<u8>, WrongType> {
    let Value::String(text) = value else { return Err(not_a_scalar(value, "a Blob")) };
    base64_simd::STANDARD.decode_to_vec(text.as_bytes()).map_err(|_| {
        let echo =
            if shown { text.get(..text.floor_char_boundary(MAX_ECHO)).unwrap_or_default() } else { "" };
        let alphabet = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
        let body = text.trim_end_matches('=');
        let why = if text.len() % 4 != 0 {
            format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len())
        } else if let Some(stray) = body.chars().find(|c| !alphabet(*c)) {
            format!("Invalid Base64 character: '{stray}'")
        } else {
            "Invalid last non-pad Base64 character dectected".to_owned()
        };
        WrongType(format!("'{echo}' can not be converted to a Blob: {why}"))
    })
}

impl Member for bool {
    fn decode(value: &Value<'_>, _at: Path<'_>, _notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        match value {
            Value::Bool(value) => Ok(Some(*value)),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Ok(Some(true)),
                "false" | "0" | "no" => Ok(Some(false)),
                _ => Err(WrongType(format!("'{}' can not be converted to an Boolean", text.to_uppercase()))),
            },
            _ => Err(not_a_scalar(value, "a Boolean")),
        }
    }

    fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self)
    }
}

/// A pattern as AWS's model states it, and the function that decides it.
pub type Pattern = (&'static str, fn(&str) -> bool);

/// Bounds and pattern of a string member.
#[derive(Debug, Clone, Copy)]
pub struct TextRule {
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// Its pattern.
    pub pattern: Option<Pattern>,
    /// Whether messages may repeat the value.
    pub shown: bool,
}

impl TextRule {
    /// Notes every way in which the text breaks the rule; answers whether it breaks none.
    pub fn check(&self, text: &str, at: Path<'_>, notes: &mut Notes) -> bool {
        let before = notes.violations.len();
        let mut note = |constraint: fmt::Arguments<'_>| match self.shown {
            true => notes.violated(at, text, constraint),
            false => notes.violated_secretly(at, constraint),
        };
        let length = text.chars().count();
        if length > self.max {
            note(format_args!("Member must have length less than or equal to {}", self.max));
        }
        if length < self.min {
            note(format_args!("Member must have length greater than or equal to {}", self.min));
        }
        if let Some((pattern, matches)) = self.pattern
            && !matches(text)
        {
            note(format_args!("Member must satisfy regular expression pattern: {pattern}"));
        }
        notes.violations.len() == before
    }
}

/// Checks a number against its bounds; answers whether it is within them.
pub fn check_range(number: i64, min: i64, max: i64, at: Path<'_>, notes: &mut Notes) -> bool {
    if number > max {
        let constraint = format_args!("Member must have value less than or equal to {max}");
        notes.violated(at, &number.to_string(), constraint);
    } else if number < min {
        let constraint = format_args!("Member must have value greater than or equal to {min}");
        notes.violated(at, &number.to_string(), constraint);
    }
    (min..=max).contains(&number)
}

/// Checks the length of a blob; answers whether it is within the bounds. The value is never repeated.
pub fn check_blob_length(length: usize, min: usize, max: usize, at: Path<'_>, notes: &mut Notes) -> bool {
    if length > max {
        notes.violated_secretly(at, format_args!("Member must have length less than or equal to {max}"));
    } else if length < min {
        notes.violated_secretly(at, format_args!("Member must have length greater than or equal to {min}"));
    }
    (min..=max).contains(&length)
}

/// Declares a structure of a request: its members, whether each is required, and their types.
///
/// A `required` member has the type named, an `optional` one is an `Option` of it. The literal is the member's name
/// with a lower-case first letter, as it stands in messages and in the audit trail. The structure is a [`Member`];
/// its [`Member::audit`] writes what its members' types let the trail show.
#[macro_export]
macro_rules! shape {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$doc:meta])* $need:ident $field:ident: $type:ty = $member:literal,)*
    }) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$doc])* pub $field: $crate::shape!(@type $need $type),)*
        }

        impl $crate::codec::Member for $name {
            fn decode(
                value: &$crate::json::Value<'_>,
                at: $crate::codec::Path<'_>,
                notes: &mut $crate::codec::Notes,
            ) -> Result<Option<Self>, $crate::codec::WrongType> {
                $(let mut $field = None;)*
                for (key, _value) in $crate::codec::structure(value)? {
                    $(if $crate::codec::names(key, $member) { $field = Some(_value); continue; })*
                    notes.unknown(key);
                }
                $(let $field: Option<$type> = $crate::codec::member(
                    $field, $crate::shape!(@required $need), at.name($member), notes)?;)*
                let _ = at;
                Ok(Some(Self { $($field: $crate::shape!(@take $need $field),)* }))
            }

            fn audit<M: serde::ser::SerializeMap>(
                &self, name: &'static str, map: &mut M,
            ) -> Result<(), M::Error> {
                map.serialize_entry(name, self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $($crate::shape!(@audit $need self.$field, $member, map);)*
                serde::ser::SerializeMap::end(map)
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@required required) => { true };
    (@required optional) => { false };
    (@take required $field:ident) => { match $field { Some(value) => value, None => return Ok(None) } };
    (@take optional $field:ident) => { $field };
    (@audit required $field:expr, $member:literal, $map:ident) => {
        $crate::codec::Member::audit(&$field, $member, &mut $map)?;
    };
    (@audit optional $field:expr, $member:literal, $map:ident) => {
        if let Some(value) = &$field { $crate::codec::Member::audit(value, $member, &mut $map)?; }
    };
}

/// Declares a string member with its constraints: `text!(KeyId, 1..=2048, "doc")`, optionally with a pattern.
#[macro_export]
macro_rules! text {
    ($(#[$meta:meta])* $vis:vis struct $name:ident: $min:literal..=$max:literal $(, $pattern:literal, $matches:expr)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
        #[serde(transparent)]
        $vis struct $name(pub String);

        impl $name {
            /// Bounds and pattern of AWS's model.
            pub const RULE: $crate::codec::TextRule = $crate::codec::TextRule {
                min: $min,
                max: $max,
                pattern: $crate::text!(@pattern $($pattern, $matches)?),
                shown: true,
            };
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl $crate::codec::Member for $name {
            fn decode(
                value: &$crate::json::Value<'_>,
                at: $crate::codec::Path<'_>,
                notes: &mut $crate::codec::Notes,
            ) -> Result<Option<Self>, $crate::codec::WrongType> {
                let text = $crate::codec::text(value)?;
                Ok(Self::RULE.check(text, at, notes).then(|| Self(text.to_owned())))
            }

            fn audit<M: serde::ser::SerializeMap>(
                &self, name: &'static str, map: &mut M,
            ) -> Result<(), M::Error> {
                map.serialize_entry(name, self)
            }
        }
    };
    (@pattern) => { None };
    (@pattern $pattern:literal, $matches:expr) => { Some(($pattern, $matches)) };
}

/// Declares a member with a closed set of values, spelled as AWS spells them.
#[macro_export]
macro_rules! choice {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
        $vis enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every value, in the order of AWS's model.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The value as AWS spells it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value of this spelling.
            pub fn from_str_exact(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl $crate::codec::Member for $name {
            fn decode(
                value: &$crate::json::Value<'_>,
                at: $crate::codec::Path<'_>,
                notes: &mut $crate::codec::Notes,
            ) -> Result<Option<Self>, $crate::codec::WrongType> {
                let text = $crate::codec::text(value)?;
                let found = Self::from_str_exact(text);
                if found.is_none() {
                    let set = [$($text,)*].join(", ");
                    notes.violated(at, text, format_args!("Member must satisfy enum value set: [{set}]"));
                }
                Ok(found)
            }

            fn audit<M: serde::ser::SerializeMap>(
                &self, name: &'static str, map: &mut M,
            ) -> Result<(), M::Error> {
                map.serialize_entry(name, self)
            }
        }
    };
}
