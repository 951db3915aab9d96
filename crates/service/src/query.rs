//! The services of the query protocol, and the texts that are theirs.

use serde::{Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::operation::Entry;

/// A service of the query protocol: IAM or STS.
#[derive(Debug)]
pub struct Api {
    /// As credentials are scoped to it.
    pub service: &'static str,
    /// Version of the API, which tells it from the others.
    pub version: &'static str,
    /// Namespace of the answers.
    pub namespace: &'static str,
    /// As the trail calls it.
    pub event_source: &'static str,
    /// The actions that are served.
    pub entries: &'static [Entry],
    /// The actions that this version does not serve. Together with `entries` this is the whole API.
    pub not_served: &'static [&'static str],
}

/// Every service.
pub static APIS: [&Api; 2] = [&crate::iam::API, &crate::sts::API];

impl Api {
    /// The service of an API version.
    pub(crate) fn of_version(version: &str) -> Option<&'static Self> {
        APIS.into_iter().find(|api| api.version == version)
    }
}

/// A list of an answer: each element is a `<member>`.
#[derive(Debug, Clone, Serialize)]
pub struct Members<T> {
    member: Vec<T>,
}

impl<T> From<Vec<T>> for Members<T> {
    fn from(member: Vec<T>) -> Self {
        Self { member }
    }
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

/// An element of a list of what there is none of.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Nothing {}

/// A secret that an answer shows its caller, once. It does not print; cleared when dropped.
pub(crate) struct Secret(pub(crate) Zeroizing<String>);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An answer as the trail shows it: names with a lower-case first letter, lists as lists. What must not stand there must
/// not be in `answer`.
pub(crate) fn trail_form(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).map(lower).unwrap_or_default()
}

fn lower(value: Value) -> Value {
    match value {
        Value::Object(mut members) if members.len() == 1 && members.contains_key("member") => {
            match members.remove("member") {
                Some(Value::Array(elements)) => Value::Array(elements.into_iter().map(lower).collect()),
                other => other.unwrap_or_default(),
            }
        }
        Value::Object(members) => {
            let named = members.into_iter().map(|(name, value)| {
                let mut letters = name.chars();
                let first = letters.next().map(|letter| letter.to_ascii_lowercase());
                (first.into_iter().chain(letters).collect(), lower(value))
            });
            Value::Object(named.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        user_name: &'static str,
        tags: Members<&'static str>,
    }

    #[test]
    fn the_trail_shows_names_and_lists_its_own_way() {
        let answer = Answer { user_name: "Bob", tags: vec!["A", "B"].into() };
        assert_eq!(trail_form(&answer).to_string(), r#"{"tags":["A","B"],"userName":"Bob"}"#);
    }
}
