//! What holds for all inputs.

use claviger_policy::{Document, Grant, Kind, Request, Values, decide};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::model::dice::Dice;
use crate::model::generate::{Ask, Layers, any_ask, any_layers, any_statement};
use crate::model::run::Compiled;
use crate::support::{BOB, Keys, guarded};

/// Sets of policies that each property is tried on, and requests asked of each.
const SETS: usize = 1_500;
const REQUESTS: usize = 10;

/// Changes policies or a request at random and compares what was decided with what is; answers how many came out
/// differently.
fn check(
    seed: u64,
    change_policies: impl Fn(&mut Dice, &mut Layers),
    change_request: impl Fn(&mut Dice, &mut Ask),
    holds: impl Fn(&str, &str) -> bool,
) -> usize {
    let (mut dice, mut changed) = (Dice(seed), 0);
    for _ in 0..SETS {
        let mut layers = any_layers(&mut dice);
        let before = Compiled::of(&layers);
        let asks: Vec<Ask> = (0..REQUESTS).map(|_| any_ask(&mut dice)).collect();
        let was: Vec<String> = asks.iter().map(|ask| before.verdict(ask)).collect();
        change_policies(&mut dice, &mut layers);
        let after = Compiled::of(&layers);
        for (mut ask, was) in asks.into_iter().zip(was) {
            change_request(&mut dice, &mut ask);
            let is = after.verdict(&ask);
            assert!(holds(&was, &is), "{was}, then {is}: {layers:#?} {ask:#?}");
            changed += usize::from(is_allow(&was) != is_allow(&is));
        }
    }
    changed
}

fn is_allow(verdict: &str) -> bool {
    verdict.starts_with("allow")
}

/// Every document there is, with its kind.
fn documents(layers: &mut Layers) -> Vec<(&mut Value, Kind)> {
    let key = [(&mut layers.key, Kind::Key)].into_iter();
    let endpoint = layers.endpoint.iter_mut().map(|it| (it, Kind::Endpoint));
    let caller = layers.boundary.iter_mut().chain(layers.session.iter_mut().flatten());
    let caller = caller.chain(&mut layers.identity).map(|it| (it, Kind::Identity));
    key.chain(endpoint).chain(caller).collect()
}

/// Adds a statement of this effect to some document, somewhere.
fn add(dice: &mut Dice, layers: &mut Layers, effect: &str) {
    let mut all = documents(layers);
    let number = usize::try_from(dice.roll(all.len() as u64)).unwrap();
    let (document, kind) = all.swap_remove(number);
    let mut statement = any_statement(dice, kind);
    statement["Effect"] = json!(effect);
    let statements = document["Statement"].as_array_mut().unwrap();
    let place = usize::try_from(dice.roll(statements.len() as u64 + 1)).unwrap();
    statements.insert(place, statement);
}

fn shuffle<T>(dice: &mut Dice, all: &mut [T]) {
    for place in (1..all.len()).rev() {
        all.swap(place, usize::try_from(dice.roll(place as u64 + 1)).unwrap());
    }
}

/// A Deny that is added to any document turns allowed requests into refused ones, and never the other way.
#[test]
fn a_deny_never_widens() {
    let deny = |dice: &mut Dice, layers: &mut Layers| add(dice, layers, "Deny");
    let narrowed = check(2, deny, |_, _| {}, |was, is| is_allow(was) || !is_allow(is));
    assert!(narrowed > SETS * REQUESTS / 100, "{narrowed}");
}

/// An Allow that is added to any document turns refused requests into allowed ones, and never the other way: also where
/// it has `NotPrincipal`, `NotAction` or `NotResource`, and also to what only caps. (A cap that is added narrows.)
#[test]
fn an_allow_never_narrows() {
    let allow = |dice: &mut Dice, layers: &mut Layers| add(dice, layers, "Allow");
    let widened = check(3, allow, |_, _| {}, |was, is| !is_allow(was) || is_allow(is));
    assert!(widened > SETS * REQUESTS / 100, "{widened}");
}

/// What is left out because it would be too much work allows nothing that all of it would not.
#[test]
fn less_work_never_widens() {
    let (mut dice, mut narrowed) = (Dice(5), 0);
    for _ in 0..SETS {
        let policies = Compiled::of(&any_layers(&mut dice));
        for _ in 0..REQUESTS {
            let (ask, work) = (any_ask(&mut dice), usize::try_from(dice.roll(1024)).unwrap());
            let (all, some) = (policies.verdict(&ask), policies.verdict_within(&ask, work));
            assert!(is_allow(&all) || !is_allow(&some), "{all}, within {work} {some}: {ask:#?}");
            narrowed += usize::from(is_allow(&all) && !is_allow(&some));
            assert_eq!(policies.verdict_within(&ask, usize::MAX), all);
        }
    }
    assert!(narrowed > SETS * REQUESTS / 100, "{narrowed}");
}

/// A grant gives, and takes nothing.
#[test]
fn a_grant_never_narrows() {
    let grant = |dice: &mut Dice, ask: &mut Ask| {
        if ask.grant == Grant::None {
            ask.grant = dice.pick(&[Grant::ToAccount, Grant::ToCaller]);
        }
    };
    let widened = check(4, |_, _| {}, grant, |was, is| !is_allow(was) || is_allow(is));
    assert!(widened > SETS * REQUESTS / 100, "{widened}");
}

/// Which statement is named may change with the order, the answer and its layer never.
#[test]
fn the_order_of_statements_documents_and_values_is_irrelevant() {
    let order = |dice: &mut Dice, layers: &mut Layers| {
        for (document, _) in documents(layers) {
            let statements = document["Statement"].as_array_mut().unwrap();
            shuffle(dice, statements);
            for statement in statements {
                for name in ["Action", "NotAction", "Resource", "NotResource"] {
                    let values = statement.get_mut(name).and_then(Value::as_array_mut);
                    values.into_iter().for_each(|all| shuffle(dice, all));
                }
                for entries in statement.get_mut("Condition").into_iter().flat_map(Value::as_object_mut) {
                    for values in entries.values_mut().flat_map(|it| it.as_object_mut().unwrap().values_mut())
                    {
                        values.as_array_mut().into_iter().for_each(|all| shuffle(dice, all));
                    }
                }
            }
        }
        shuffle(dice, &mut layers.identity);
        layers.session.iter_mut().for_each(|all| shuffle(dice, all));
    };
    let without_place = |verdict: &str| verdict.trim_end_matches(|c: char| !c.is_alphabetic()).to_owned();
    assert_eq!(check(5, order, |_, _| {}, |was, is| without_place(was) == without_place(is)), 0);
}

/// Pieces of policies, so that random text gets past the first brace.
fn fragments() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"Version\":\"2012-10-17\"",
        "\"Statement\":",
        "\"Effect\":\"Deny\"",
        "\"Principal\":",
        "{\"AWS\":\"",
        "*",
        "arn:aws:iam::111122223333:",
        "\"Action\":\"kms:",
        "\"Resource\":\"",
        "\"Condition\":{\"StringLike\":{\"aws:x\":\"",
        "${",
        "'",
        "?",
        "\u{e9}",
        "1e9",
        "null",
        "\\u00",
        "\\ud800",
        "7",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..40).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![fragments(), any::<String>()]) {
        for kind in [Kind::Key, Kind::Identity, Kind::Endpoint, Kind::Trust] {
            if let Err(cause) = Document::parse(&text, kind) {
                prop_assert!(!cause.to_string().is_empty() && !cause.message().is_empty());
            }
        }
    }

    /// Random texts in the places where the grammar takes any text, then a decision on what was accepted.
    #[test]
    fn no_value_panics(
        operator in proptest::sample::select(vec!["StringLike", "ArnLike", "NumericEquals", "DateLessThan", "Bool",
            "BinaryEquals", "IpAddress", "Null", "StringEqualsIgnoreCase"]),
        value in "[*?${}':/a-c0-9.,=\\-+TZ\u{e9} ]{0,24}",
        resource in "(arn:aws:kms:)?[*?${}':/a-c0-9\u{e9}]{0,24}",
        subject in any::<String>(),
    ) {
        let condition = serde_json::json!({ operator: { "x:k": value } });
        let text = serde_json::json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Principal": "*",
            "Action": "*", "Resource": ["*", resource], "Condition": condition } });
        if let Ok(policy) = Document::parse(&text.to_string(), Kind::Key) {
            let keys = Keys(vec![("x:k".to_owned(), Values::One(subject.clone().into()))]);
            let request = Request { principal: BOB, action: "kms:Encrypt", resource: &subject, context: &keys };
            decide(&request, &guarded(&policy));
        }
    }
}
