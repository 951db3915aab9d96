//! JSON bodies as a tree that borrows from the body, within a depth limit and without duplicate keys.
//!
//! `serde_json` does the parsing. What is added here: a limit on depth that is checked while parsing, so a deep body
//! costs neither stack nor memory, and the refusal of a key that stands twice in one object, which serde would
//! otherwise resolve silently (one reader taking the first, another the last, is how checks are bypassed). And numbers
//! that no double holds, which `serde_json` refuses and AWS clamps: a body with such a number is parsed once more, with
//! a smaller one in its place, which is clamped as well.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use zeroize::Zeroizing;

/// Deepest nesting of arrays and objects in a request body. The deepest shape of the API needs four.
pub const MAX_DEPTH: usize = 32;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `null`, which AWS treats like an absent member.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number, as the integer it is floored to, within the range of `i64`.
    Number(i64),
    /// A string; borrowed where it has no escapes.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object, in the order of the text. No key stands twice.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// The body is not one JSON object within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotJson {
    /// What is wrong and where, for the log. Holds nothing of the body but positions.
    pub cause: String,
}

/// Parses a body that must be one JSON object.
///
/// # Errors
/// [`NotJson`] for anything else, for nesting beyond [`MAX_DEPTH`] and for duplicate keys.
pub fn parse(body: &[u8]) -> Result<Value<'_>, NotJson> {
    let value = tree(body).or_else(|error| match error.classify() {
        Category::Syntax => clamped(body).map_or(Err(error), |body| tree(&body).map(Value::into_owned)),
        _ => Err(error),
    });
    match value {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(NotJson { cause: "the body is not an object".to_owned() }),
        Err(error) => Err(NotJson {
            cause: format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
        }),
    }
}

fn tree(body: &[u8]) -> serde_json::Result<Value<'_>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Tree { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// The text with a number that a double holds in place of each that none does; `None` where there is none. Whether it is
/// JSON otherwise is for the parser to say. One pass, whatever the text.
fn clamped(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // What stands for a number is no longer than it, so this never moves.
    let (mut text, mut rest, mut found) = (Zeroizing::new(Vec::with_capacity(body.len())), body, false);
    while let Some((first, others)) = rest.split_first() {
        let length = match first {
            b'"' => string_length(others)?,
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                others.iter().take_while(|byte| is_part(byte)).count()
            }
            _ => 0,
        };
        let (token, after) = rest.split_at_checked(length + 1)?;
        let instead = instead_of(token);
        found |= instead.is_some();
        text.extend_from_slice(instead.unwrap_or(token));
        rest = after;
    }
    found.then_some(text)
}

/// Length of a string after its opening quotation mark.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    Some(end? + 1)
}

/// What stands for a number that may be beyond a double: it is as far beyond every integer, and has the same sign.
fn instead_of(token: &[u8]) -> Option<&'static [u8]> {
    let text = std::str::from_utf8(token).ok()?;
    let number: f64 = text.parse().ok().filter(|number: &f64| number.abs() >= 1e308)?;
    // Rust reads what JSON does not have, such as leading zeros.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(if number > 0.0 { b"1e308" } else { b"-1e308" })
}

impl Value<'_> {
    /// The value with all strings of its own.
    fn into_owned(self) -> Value<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(number) => Value::Number(number),
            Self::String(text) => Value::String(owned(text)),
            Self::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Self::Object(members) => Value::Object(
                members.into_iter().map(|(key, value)| (owned(key), value.into_owned())).collect(),
            ),
        }
    }
}

/// Builds a [`Value`], counting how deep it is.
struct Tree {
    depth: usize,
}

impl Tree {
    fn deeper<E: de::Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate, as AWS clamps")]
        let floored = value.floor() as i64;
        Ok(Value::Number(floored))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object: Vec<(Cow<'de, str>, Value<'de>)> = Vec::with_capacity(8);
        while let Some(key) = members.next_key_seed(Key)? {
            object.push((key, members.next_value_seed(self.deeper()?)?));
        }
        if has_duplicates(&object) {
            return Err(de::Error::custom("a key stands twice"));
        }
        Ok(Value::Object(object))
    }
}

/// Small objects are compared pair by pair; large ones by sorting, so that no body costs quadratic time.
fn has_duplicates(object: &[(Cow<'_, str>, Value<'_>)]) -> bool {
    if object.len() <= 16 {
        let mut rest = object;
        while let Some(((key, _), others)) = rest.split_first() {
            if others.iter().any(|(other, _)| other == key) {
                return true;
            }
            rest = others;
        }
        return false;
    }
    let mut keys: Vec<&str> = object.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| matches!(pair, [left, right] if left == right))
}

/// Reads a key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_refused(body: &[u8]) {
        assert!(parse(body).is_err(), "{}", String::from_utf8_lossy(body));
    }

    #[test]
    fn an_object_is_read_in_order() {
        let body = br#"{"b":[1,2.9,-0.5,true,null,"x\n"],"a":{"c":18446744073709551615}}"#;
        let Value::Object(members) = parse(body).unwrap() else { panic!("an object") };
        assert_eq!(members[0].0, "b");
        let numbers = [Value::Number(1), Value::Number(2), Value::Number(-1), Value::Bool(true), Value::Null];
        assert!(matches!(&members[0].1, Value::Array(items) if items[..5] == numbers));
        assert_eq!(members[1].1, Value::Object(vec![("c".into(), Value::Number(i64::MAX))]));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for body in ["", "[]", "1", "\"x\"", "null", "{", "{}{}", "{} x", "{\"a\":}", "{'a':1}"] {
            check_refused(body.as_bytes());
        }
        check_refused(b"{\"a\":\"\xff\"}");
        check_refused(b"\xef\xbb\xbf{}");
        check_refused(br#"{"a":"\ud800"}"#);
    }

    fn check_clamped(number: &str, expected: i64) {
        let body = format!(r#"{{"a":["1e999\"",{number}, {number}],"b\u0063":{{"1e999":{number}}}}}"#);
        let Value::Object(members) = parse(body.as_bytes()).unwrap() else { panic!("an object") };
        let number = Value::Number(expected);
        let text = Value::String("1e999\"".into());
        assert_eq!(members[0].1, Value::Array(vec![text, number.clone(), number.clone()]), "{body}");
        assert_eq!(members[1], ("bc".into(), Value::Object(vec![("1e999".into(), number)])), "{body}");
    }

    /// Attack C8: numbers that no double holds; and nothing becomes JSON by it that was none.
    #[test]
    fn c08_numbers_beyond_a_double_are_clamped() {
        let long = format!("1{}", "0".repeat(400));
        for number in [
            "1e999",
            "1E+309",
            "1.8e308",
            "1.7976931348623157e308",
            "123.456e9999999999999999999",
            &long,
            &format!("{long}.5"),
        ] {
            check_clamped(number, i64::MAX);
            check_clamped(&format!("-{number}"), i64::MIN);
        }
        for body in [
            "1e999",
            "[1e999]",
            "{\"a\":01e999}",
            "{\"a\":1.e999}",
            "{\"a\":+1e999}",
            "{\"a\":1e999",
            "{\"a\":--1e999}",
            "{\"a\":1e999e1}",
            "{\"a\":1e999}{}",
            "{\"a\":1e999,\"a\":1}",
            "{\"a\":1e999,\"b\":\"}",
            "{\"a\":inf}",
        ] {
            check_refused(body.as_bytes());
        }
        check_refused(b"{\"a\":1e999,\"b\":\"\xff\"}");
        check_refused(
            format!("{{\"b\":1e999,\"a\":{}{}}}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)).as_bytes(),
        );
    }

    /// Attack B1: duplicate keys, at every level, with escapes that spell the same key, in small and large objects.
    #[test]
    fn b01_duplicate_keys_are_refused() {
        check_refused(br#"{"KeyId":"a","KeyId":"b"}"#);
        check_refused(br#"{"KeyId":"a","\u004beyId":"b"}"#);
        check_refused(br#"{"a":{"k":"1","k":"1"}}"#);
        let many: Vec<String> = (0..40).map(|i| format!("\"k{}\":1", i % 39)).collect();
        check_refused(format!("{{{}}}", many.join(",")).as_bytes());
    }

    /// Attack C7: depth meant to exhaust the stack, before authentication.
    #[test]
    fn c07_deep_bodies_are_refused_at_the_limit() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        check_refused(nested(MAX_DEPTH).as_bytes());
        check_refused(nested(500_000).as_bytes());
        check_refused("{\"a\":".repeat(100_000).as_bytes());
    }

    proptest! {
        #[test]
        fn no_input_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&body);
        }
    }
}
