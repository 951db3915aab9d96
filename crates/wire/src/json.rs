//! JSON bodies as a tree that borrows from the body, within a depth limit and without duplicate keys.
//!
//! `serde_json` does the parsing. What is added here: a limit on depth that is checked while parsing, so a deep body
//! costs neither stack nor memory, and the refusal of a key that stands twice in one object, which serde would
//! otherwise resolve silently (one reader taking the first, another the last, is how checks are bypassed).

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

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
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Tree { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| NotJson {
            cause: format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
        })?;
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(NotJson { cause: "the body is not an object".to_owned() }),
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
        for body in
            ["", "[]", "1", "\"x\"", "null", "{", "{}{}", "{} x", "{\"a\":}", "{'a':1}", "{\"a\":1e400}"]
        {
            check_refused(body.as_bytes());
        }
        check_refused(b"{\"a\":\"\xff\"}");
        check_refused(b"\xef\xbb\xbf{}");
        check_refused(br#"{"a":"\ud800"}"#);
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
