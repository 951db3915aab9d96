//! What a `Condition` element says ("IAM JSON policy elements: Condition operators", "Multivalued context keys").

use claviger_policy::Values;
use serde_json::Value;

use super::judge::{several, written};
use super::text::{Reading, like};
use super::value::{bytes, date, in_network, number};

/// Every operator without prefix and suffix.
pub(crate) const OPERATORS: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

/// An operator taken apart: set operator, name, whether `IfExists` stands behind it.
pub(crate) fn parts(operator: &str) -> (&str, &str, bool) {
    let (set, rest) = operator.split_once(':').unwrap_or(("", operator));
    (set, rest.trim_end_matches("IfExists"), rest.ends_with("IfExists"))
}

/// Whether one entry of a `Condition` holds for the request.
pub(crate) fn holds(
    reading: &Reading<'_>,
    carried: Option<&Values<'_>>,
    operator: &str,
    asked: &Value,
    deny: bool,
) -> bool {
    let texts: Vec<String> = several(asked).into_iter().map(written).collect();
    if !operator.starts_with("Null") && texts.iter().any(|text| reading.is_ambiguous(text)) {
        // Nobody knows what it asks for: it must not allow, and it must not fail to deny.
        reading.seen.note("ambiguous variable in a condition", deny);
        return deny;
    }
    let entry = Entry { reading, operator, texts: &texts };
    let came_out = match carried {
        None => entry.without_key(),
        Some(Values::Set(values)) if values.is_empty() => entry.without_key(),
        Some(Values::One(value)) => entry.over(&[value]),
        Some(Values::Set(values)) => entry.over(&values.iter().map(|it| &**it).collect::<Vec<&str>>()),
        Some(Values::Conflicting(values)) => {
            let each: Vec<bool> = values.iter().map(|value| entry.over(&[value])).collect();
            let came_out = if deny { each.contains(&true) } else { !each.contains(&false) };
            reading.seen.note("conflicting values", came_out)
        }
    };
    let (set, name, if_exists) = parts(operator);
    reading.seen.note(name, came_out);
    reading.seen.note(if set.is_empty() { "no set operator" } else { set }, came_out);
    reading.seen.note(if if_exists { "IfExists" } else { "no IfExists" }, came_out);
    came_out
}

/// One operator with the values of the policy.
struct Entry<'e> {
    reading: &'e Reading<'e>,
    operator: &'e str,
    texts: &'e [String],
}

impl Entry<'_> {
    /// The table of what holds where the request does not have the key.
    fn without_key(&self) -> bool {
        let (set, name, if_exists) = parts(self.operator);
        if name == "Null" {
            return self.texts.iter().any(|text| text.eq_ignore_ascii_case("true"));
        }
        if_exists || set == "ForAllValues" || (set.is_empty() && name.contains("Not"))
    }

    fn over(&self, values: &[&str]) -> bool {
        let (set, name, _) = parts(self.operator);
        if name == "Null" {
            return self.texts.iter().any(|text| text.eq_ignore_ascii_case("false"));
        }
        let positive = name.replacen("Not", "", 1);
        let matching =
            values.iter().filter(|value| self.texts.iter().any(|text| self.one(&positive, text, value)));
        let (matching, all) = (matching.count(), values.len());
        match (set, name.contains("Not")) {
            ("ForAllValues", false) => matching == all,
            ("ForAnyValue", true) => matching < all,
            (_, false) => matching > 0,
            (_, true) => matching == 0,
        }
    }

    /// Whether one value of the request matches one of the policy, under an operator without `Not`.
    fn one(&self, name: &str, text: &str, value: &str) -> bool {
        let literal = |fold| self.reading.signs(text, false).is_some_and(|signs| like(&signs, value, fold));
        let compare = |read: fn(&str) -> Option<i128>| read(value).map(|own| own.cmp(&read(text).unwrap()));
        let is_bool = |text: &str| ["true", "false"].contains(&&*text.to_ascii_lowercase());
        match name {
            "StringEquals" => literal(false),
            "StringEqualsIgnoreCase" => literal(true),
            "StringLike" => self.reading.signs(text, true).is_some_and(|signs| like(&signs, value, false)),
            "Bool" => is_bool(value) && literal(true),
            "BinaryEquals" => bytes(value).is_some_and(|own| Some(own) == bytes(text)),
            "IpAddress" => in_network(text, value),
            "ArnEquals" | "ArnLike" => self.reading.arn(text, value),
            _ => {
                let read = if name.starts_with("Date") { date } else { number };
                let Some(order) = compare(read) else { return false };
                match name.trim_start_matches("Date").trim_start_matches("Numeric") {
                    "Equals" => order.is_eq(),
                    "LessThan" => order.is_lt(),
                    "LessThanEquals" => order.is_le(),
                    "GreaterThan" => order.is_gt(),
                    "GreaterThanEquals" => order.is_ge(),
                    other => panic!("{other} is no operator"),
                }
            }
        }
    }
}
