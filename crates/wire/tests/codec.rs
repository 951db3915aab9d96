//! What a caller sees when a member is wrong.

use expect_test::{Expect, expect};

use claviger_wire::codec::{
    Member, Notes, Path, Refusal, WrongType, blob, check_blob_length, decode_noting, integer, list,
};
use claviger_wire::json::Value;
use claviger_wire::{choice, json, shape, text};

text! {
    /// A name.
    pub struct Name: 1..=8, "^[a-z]+$", |text| text.bytes().all(|byte| byte.is_ascii_lowercase())
}

choice! {
    /// A size.
    pub enum Size {
        /// Not large.
        Small = "SMALL",
        /// Not small.
        Large = "LARGE",
    }
}

/// A blob whose value may not be repeated.
#[derive(Debug)]
pub struct Secret(Vec<u8>);

impl Member for Secret {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        let bytes = blob(value, false)?;
        Ok(check_blob_length(bytes.len(), 1, 4, at, notes).then_some(Self(bytes)))
    }
}

/// A list of tags.
#[derive(Debug)]
pub struct Tags(Vec<Tag>);

impl Member for Tags {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        let mut tags = Vec::new();
        for (index, item) in list(value)?.iter().enumerate() {
            tags.extend(Tag::decode(item, at.element(index), notes)?);
        }
        Ok(Some(Self(tags)))
    }
}

shape! {
    /// A tag.
    #[derive(Debug)]
    pub struct Tag {
        /// Its key.
        required tag_key: Name = "tagKey",
    }
}

shape! {
    /// A request.
    #[derive(Debug)]
    pub struct Request {
        /// Required text.
        required name: Name = "name",
        /// A choice.
        optional size: Size = "size",
        /// Not shown.
        optional secret: Secret = "secret",
        /// A list.
        optional tags: Tags = "tags",
        /// A flag.
        optional flag: bool = "flag",
    }
}

#[expect(clippy::unwrap_used, reason = "a test; the lint knows only functions that are marked as one")]
fn check(body: &str, expected: &Expect) {
    let value = json::parse(body.as_bytes()).unwrap();
    let outcome = match decode_noting::<Request>(&value) {
        Ok((request, unknown)) => {
            format!("{} unknown={unknown:?}", serde_json::to_string(&request).unwrap())
        }
        Err(Refusal::Serialization(text)) => format!("SerializationException {text}"),
        Err(Refusal::Validation(text)) => format!("ValidationException {text}"),
    };
    expected.assert_eq(&outcome);
}

#[test]
fn a_good_request_is_its_own_audit_record() {
    check(
        r#"{"Name":"abc","Size":"LARGE","Secret":"AAEC","Flag":"yes","Other":1,"Tags":null}"#,
        &expect![[r#"{"name":"abc","size":"LARGE","flag":true} unknown=["Other"]"#]],
    );
}

#[test]
fn no_value_of_an_unknown_member_is_looked_at() {
    for value in ["1e999", "-1e999", "[{\"a\":null}]", "\"\\u0000\""] {
        let body = format!(r#"{{"Other":{value},"Name":"abc"}}"#);
        check(&body, &expect![[r#"{"name":"abc"} unknown=["Other"]"#]]);
    }
}

#[test]
fn wrong_types_stop_at_once_with_awss_texts() {
    for (body, expected) in [
        (r#"{"Name":1}"#, expect!["SerializationException NUMBER_VALUE can not be converted to a String"]),
        (r#"{"Name":true}"#, expect!["SerializationException TRUE_VALUE can not be converted to a String"]),
        (r#"{"Name":[]}"#, expect!["SerializationException Start of list found where not expected"]),
        (
            r#"{"Name":{}}"#,
            expect!["SerializationException Start of structure or map found where not expected."],
        ),
        (r#"{"Tags":"x"}"#, expect!["SerializationException Expected list or null"]),
        (r#"{"Tags":["x"]}"#, expect!["SerializationException Expected null"]),
        (r#"{"Flag":"maybe"}"#, expect!["SerializationException 'MAYBE' can not be converted to an Boolean"]),
        (
            r#"{"Secret":"AAA"}"#,
            expect![
                "SerializationException '' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 3"
            ],
        ),
        (
            r#"{"Secret":"A-A="}"#,
            expect![
                "SerializationException '' can not be converted to a Blob: Invalid Base64 character: '-'"
            ],
        ),
        (
            r#"{"Secret":"AAF="}"#,
            expect![
                "SerializationException '' can not be converted to a Blob: Invalid last non-pad Base64 character dectected"
            ],
        ),
    ] {
        check(body, &expected);
    }
}

/// Attack C10: one spelling for each blob.
#[test]
fn c10_only_canonical_base64_is_a_blob() {
    for text in ["AA", "AA=", "A===", "AAEC\n", " AAEC", "AA_-", "AB==", "AAF=", "AAEC====", "=AAA"] {
        assert!(blob(&Value::String(text.into()), true).is_err(), "{text:?}");
    }
    assert_eq!(blob(&Value::String("AAEC".into()), true).unwrap(), [0, 1, 2]);
    assert_eq!(blob(&Value::String("".into()), true).unwrap(), [0u8; 0]);
}

#[test]
fn every_choice_has_its_spelling() {
    for size in Size::ALL {
        assert_eq!(Size::from_str_exact(size.as_str()), Some(*size));
    }
    assert_eq!(Size::from_str_exact("large"), None);
}

#[test]
fn members_hold_what_was_sent() {
    let body = json::parse(br#"{"Name":"abc","Secret":"AAEC","Tags":[{"TagKey":"x"}]}"#).unwrap();
    let (request, _) = decode_noting::<Request>(&body).unwrap();
    assert_eq!(request.secret.unwrap().0, [0, 1, 2]);
    assert_eq!(&*request.tags.unwrap().0[0].tag_key, "x");
}

#[test]
fn all_violations_stand_in_one_message() {
    check(
        r#"{"Size":"HUGE","Secret":"AAECAwQF","Tags":[{"TagKey":"ok"},{"TagKey":"NOT-OK-AT-ALL"},{}]}"#,
        &expect![
            "ValidationException 6 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; Value 'HUGE' at 'size' failed to satisfy constraint: Member must satisfy enum value set: [SMALL, LARGE]; Value at 'secret' failed to satisfy constraint: Member must have length less than or equal to 4; Value 'NOT-OK-AT-ALL' at 'tags.2.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 8; Value 'NOT-OK-AT-ALL' at 'tags.2.member.tagKey' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-z]+$; Value null at 'tags.3.member.tagKey' failed to satisfy constraint: Member must not be null"
        ],
    );
}

#[test]
fn a_wrong_type_wins_over_violations() {
    check(r#"{"Name":"NOT LOWER","Tags":3}"#, &expect!["SerializationException Expected list or null"]);
}

#[test]
fn only_a_number_is_an_integer() {
    for (value, expected) in [
        (Value::Bool(true), "class java.lang.Boolean can not be converted to an Integer"),
        (Value::Bool(false), "class java.lang.Boolean can not be converted to an Integer"),
        (Value::String("1".into()), "class java.lang.String can not be converted to an Integer"),
        (Value::Array(Vec::new()), "Start of list found where not expected"),
        (Value::Object(Vec::new()), "Start of structure or map found where not expected."),
    ] {
        assert_eq!(integer(&value), Err(WrongType(expected.to_owned())), "{value:?}");
    }
}

/// Attack C8: numbers that would wrap.
#[test]
fn c08_numbers_are_clamped_never_wrapped() {
    for (text, number) in [
        ("7.0", 7),
        ("7.9", 7),
        ("-1", -1),
        ("4294967303", i64::from(i32::MAX)),
        ("-1e300", i64::from(i32::MIN)),
        ("1e999", i64::from(i32::MAX)),
        ("-1e999", i64::from(i32::MIN)),
    ] {
        let body = format!("{{\"n\":{text}}}");
        let Value::Object(members) = json::parse(body.as_bytes()).unwrap() else { panic!("an object") };
        assert_eq!(integer(&members[0].1).unwrap(), number, "{text}");
    }
}
