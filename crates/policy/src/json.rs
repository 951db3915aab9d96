//! JSON as policies need it: no repeated names, bounded depth, nothing after the document.
//!
//! A repeated name must be refused, not resolved: `"Effect": "Deny", "Effect": "Allow"` would otherwise read as one
//! thing to a reviewer and as another to the engine. The reading is serde_json's; this adds the refusals.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deepest nesting of objects and arrays; the grammar needs seven levels.
const MAX_DEPTH: usize = 16;

/// A JSON value whose objects keep their order and have distinct names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, in decimal digits.
    Integer(String),
    /// A number with a fraction or exponent, in decimal digits without exponent.
    Decimal(String),
    /// A string, without its escapes.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// Reads `text`, all of it. The error says what is wrong and where (line and column).
pub(crate) fn read(text: &str) -> Result<Json, String> {
    let mut source = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut source).map_err(|cause| cause.to_string())?;
    source.end().map_err(|cause| cause.to_string())?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth < MAX_DEPTH {
            true => Ok(Self { depth: self.depth + 1 }),
            false => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Decimal(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let seed = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(seed)? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let seed = self.deeper()?;
        let mut seen = BTreeSet::new();
        let mut members = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("duplicate name `{name}`")));
            }
            members.push((name, entries.next_value_seed(seed)?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::{Json, MAX_DEPTH, read};

    fn check_refused(text: &str, cause: &str) {
        let found = read(text).unwrap_err();
        assert!(found.contains(cause), "{text}: {found}");
    }

    #[test]
    fn reads_every_type() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,1.50,"x\u00e9"],"b":{}}"#;
        let items = vec![
            Json::Null,
            Json::Bool(true),
            Json::Integer("-1".into()),
            Json::Integer("18446744073709551615".into()),
            Json::Decimal("1.5".into()),
            Json::String("x\u{e9}".into()),
        ];
        let whole = vec![("a".into(), Json::Array(items)), ("b".into(), Json::Object(Vec::new()))];
        assert_eq!(read(text), Ok(Json::Object(whole)));
    }

    #[test]
    fn refuses_what_another_reader_might_read_differently() {
        check_refused(r#"{"a":1,"a":2}"#, "duplicate name `a`");
        check_refused(r#"{"a":1,"\u0061":2}"#, "duplicate name `a`");
        check_refused(r#"[{"x":{"a":1,"b":2,"a":3}}]"#, "duplicate name `a`");
        check_refused("{} {}", "trailing");
        check_refused("{} // end", "trailing");
        check_refused("[1, /* x */ 2]", "expected value");
        check_refused("[NaN]", "expected value");
        check_refused("[1e309]", "out of range");
        check_refused("[1,]", "trailing comma");
        check_refused("\u{feff}{}", "expected value");
        check_refused("", "EOF");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        check_refused(&nested(MAX_DEPTH + 1), "nested deeper");
        check_refused(&"[".repeat(100_000), "nested deeper");
        check_refused(&"{\"a\":".repeat(100_000), "nested deeper");
    }
}
