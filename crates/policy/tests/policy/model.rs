//! The decision again, slow and obvious: a second reading of the rules, in another style, to disagree with the engine.
//!
//! It works on statements as data, before they are JSON, and collects every fact before it concludes anything.

use std::sync::Arc;

use claviger_policy::{Document, Grant, Kind, Policies, Principal, Request, ResourceSide, Values, decide};

use crate::support::{AWAY, BOB, EVE, FEDERATED, HOME, KEY, Keys, ROOT, SERVICE, SESSION, document, words};

/// Sets of policies, and requests asked of each: 200,000 pairs.
const SETS: usize = 20_000;
const REQUESTS: usize = 10;

/// A small generator (SplitMix64), so that each run tries the same pairs.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Statement {
    deny: bool,
    not_principal: bool,
    principals: Vec<&'static str>,
    not_action: bool,
    action: &'static str,
    resource: Option<&'static str>,
    condition: Option<(&'static str, &'static str, &'static str)>,
}

/// The policies of one case.
#[derive(Debug)]
struct Layers {
    key: Vec<Statement>,
    endpoint: Option<Vec<Statement>>,
    boundary: Option<Vec<Statement>>,
    session: Option<Vec<Statement>>,
    identity: Vec<Statement>,
}

/// One request, and what is not a document.
#[derive(Debug)]
struct Case<'l> {
    layers: &'l Layers,
    caller: Principal<'static>,
    action: &'static str,
    keys: Vec<(&'static str, Vec<&'static str>)>,
    guarded: bool,
    grant: Grant,
}

const PRINCIPALS: [&str; 12] = [
    "*",
    "111122223333",
    "444455556666",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:user/bob",
    "AIDABOBBOBBOBBOBBOBB",
    "arn:aws:iam::111122223333:role/ops/admin",
    "AROAADMINADMINADMIN1",
    "arn:aws:sts::111122223333:assumed-role/admin/s1",
    "arn:aws:sts::111122223333:federated-user/fed",
    "arn:aws:iam::444455556666:user/eve",
    "arn:aws:sts::111122223333:assumed-role/admin/s2",
];
const ACTIONS: [&str; 6] = ["*", "kms:*", "kms:Encrypt", "KMS:*crypt", "kms:?ecrypt", "s3:*"];
const RESOURCES: [&str; 5] =
    ["*", KEY, "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:*:444455556666:key/*", "arn:aws:kms"];
const OPERATORS: [&str; 9] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIfExists",
    "StringLike",
    "Null",
    "ForAnyValue:StringEquals",
    "ForAllValues:StringEquals",
    "ForAnyValue:StringNotEquals",
    "ForAllValues:StringNotEquals",
];

pub(crate) fn any_statement(dice: &mut Dice, kind: Kind) -> Statement {
    let not_principal = dice.roll(6) == 0;
    let choice = if not_principal { &PRINCIPALS[1..] } else { &PRINCIPALS };
    let count = if not_principal { 1 + dice.roll(5) } else { 1 + dice.roll(2) };
    let operator = dice.pick(&OPERATORS);
    let value = if operator == "Null" { dice.pick(&["true", "false"]) } else { dice.pick(&["a", "b", "*"]) };
    let conditional = dice.roll(3) == 0;
    Statement {
        deny: dice.roll(5) == 0,
        not_principal,
        principals: (0..count).map(|_| dice.pick(choice)).collect(),
        not_action: dice.roll(8) == 0,
        action: dice.pick(&ACTIONS),
        resource: (kind != Kind::Key || dice.roll(12) != 0).then(|| dice.pick(&RESOURCES)),
        condition: conditional.then(|| (operator, dice.pick(&["x:one", "aws:PrincipalArn"]), value)),
    }
}

pub(crate) fn render(statement: &Statement, kind: Kind) -> String {
    let mut members = vec![format!(r#""Effect":"{}""#, if statement.deny { "Deny" } else { "Allow" })];
    if kind != Kind::Identity {
        let name = if statement.not_principal { "NotPrincipal" } else { "Principal" };
        members.push(format!(r#""{name}":{{"AWS":{:?}}}"#, statement.principals));
    }
    let name = if statement.not_action { "NotAction" } else { "Action" };
    members.push(format!(r#""{name}":"{}""#, statement.action));
    members.extend(statement.resource.map(|it| format!(r#""Resource":"{it}""#)));
    if let Some((operator, key, value)) = statement.condition {
        members.push(format!(r#""Condition":{{"{operator}":{{"{key}":"{value}"}}}}"#));
    }
    format!("{{{}}}", members.join(","))
}

fn any_layers(dice: &mut Dice) -> Layers {
    fn some(dice: &mut Dice, kind: Kind) -> Vec<Statement> {
        (0..1 + dice.roll(3)).map(|_| any_statement(dice, kind)).collect()
    }
    let maybe = |dice: &mut Dice, kind| (dice.roll(4) == 0).then(|| some(dice, kind));
    Layers {
        key: some(dice, Kind::Key),
        endpoint: maybe(dice, Kind::Endpoint),
        boundary: maybe(dice, Kind::Identity),
        session: maybe(dice, Kind::Identity),
        identity: some(dice, Kind::Identity),
    }
}

fn any_case<'l>(dice: &mut Dice, layers: &'l Layers) -> Case<'l> {
    let mut keys = Vec::new();
    for key in ["x:one", "aws:principalarn"] {
        match dice.roll(3) {
            0 => keys.push((key, vec![dice.pick(&["a", "b", "c"])])),
            1 => keys.push((key, vec![dice.pick(&["a", "b"]), dice.pick(&["a", "c"])])),
            _ => {}
        }
    }
    Case {
        layers,
        caller: dice.pick(&[ROOT, BOB, SESSION, FEDERATED, EVE, SERVICE, Principal::Root { account: AWAY }]),
        action: dice.pick(&["kms:Encrypt", "kms:Decrypt", "kms:Sign"]),
        keys,
        guarded: dice.roll(8) != 0,
        grant: dice.pick(&[Grant::None, Grant::None, Grant::None, Grant::ToAccount, Grant::ToCaller]),
    }
}

// ---- the model ----

/// What a principal text is to the caller: nothing, its account, its role, itself, or everyone.
fn relation(text: &str, caller: &Principal<'_>) -> &'static str {
    let (account, role, own): (&str, Vec<&str>, Vec<&str>) = match *caller {
        Principal::Root { account } => (account, vec![], vec![]),
        Principal::User { arn, id, account } => (account, vec![], vec![arn, id]),
        Principal::RoleSession { role_arn, role_id, session_arn, account } => {
            (account, vec![role_arn, role_id], vec![session_arn])
        }
        Principal::FederatedUser { arn, account } => (account, vec![], vec![arn]),
        Principal::Service { .. } => ("", vec![], vec![]),
    };
    let root_arn = format!("arn:aws:iam::{account}:root");
    match text {
        "*" => "everyone",
        _ if own.contains(&text) => "itself",
        _ if role.contains(&text) => "role",
        _ if text == account || text == root_arn => "account",
        _ => "nothing",
    }
}

fn like(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).any(|at| like(&pattern[1..], &text[at..])),
        Some(c) => text.starts_with(|t| c == '?' || t == c) && like(&pattern[1..], &text[1..]),
    }
}

fn condition_holds(case: &Case<'_>, (operator, key, value): (&str, &str, &str)) -> bool {
    let own = case.keys.iter().find(|(name, _)| *name == key.to_lowercase()).map(|(_, values)| values);
    let Some(own) = own else {
        return match operator {
            "Null" => value == "true",
            "StringEquals" | "StringLike" => false,
            _ => !operator.starts_with("ForAnyValue"),
        };
    };
    let hits = own
        .iter()
        .filter(|it| if operator == "StringLike" { like(value, it) } else { **it == value })
        .count();
    match operator {
        "Null" => value == "false",
        "ForAllValues:StringEquals" => hits == own.len(),
        "StringNotEquals" | "ForAllValues:StringNotEquals" => hits == 0,
        "ForAnyValue:StringNotEquals" => hits < own.len(),
        _ => hits > 0,
    }
}

/// Action, resource and condition, not yet the principal.
fn covers(case: &Case<'_>, statement: &Statement) -> bool {
    let action = like(&statement.action.to_lowercase(), &case.action.to_lowercase()) != statement.not_action;
    let resource = statement.resource.is_some_and(|pattern| {
        let (mut parts, own): (Vec<&str>, Vec<&str>) =
            (pattern.split(':').collect(), KEY.split(':').collect());
        parts.resize(6, "*");
        pattern == "*" || parts.iter().zip(own).all(|(part, own)| like(part, own))
    });
    action && resource && statement.condition.is_none_or(|it| condition_holds(case, it))
}

/// `None` when the statement is not about the caller; else how it names it.
fn about(case: &Case<'_>, statement: &Statement) -> Option<&'static str> {
    let relations: Vec<&str> = statement.principals.iter().map(|it| relation(it, &case.caller)).collect();
    if !statement.not_principal {
        let by_arn = statement.condition.is_some_and(|(operator, key, _)| {
            key == "aws:PrincipalArn"
                && ["StringEquals", "StringLike", "ForAnyValue:StringEquals"].contains(&operator)
        });
        return match () {
            () if relations.contains(&"itself") => Some("person"),
            () if relations.contains(&"everyone") && by_arn => Some("person"),
            () if relations.contains(&"everyone") || relations.contains(&"role") => Some("capped"),
            () if relations.contains(&"account") => Some("account"),
            () => None,
        };
    }
    let needed: &[&str] = match case.caller {
        Principal::Root { .. } => &["account"],
        Principal::User { .. } | Principal::FederatedUser { .. } => &["account", "itself"],
        Principal::RoleSession { .. } => &["account", "role", "itself"],
        Principal::Service { .. } => &["itself"],
    };
    let excepted = match statement.deny {
        true => needed.iter().all(|it| relations.contains(it)),
        false => relations.iter().any(|it| *it != "nothing"),
    };
    (!excepted).then_some("capped")
}

fn conclude(case: &Case<'_>) -> String {
    let hit = |statements: &[Statement], deny: bool, named: bool| -> Vec<&'static str> {
        let relevant = statements.iter().filter(|it| it.deny == deny && covers(case, it));
        relevant.filter_map(|it| if named { about(case, it) } else { Some("person") }).collect()
    };
    let key: &[Statement] = if case.guarded { &case.layers.key } else { &[] };
    let none = Vec::new();
    let (endpoint, boundary) =
        (case.layers.endpoint.as_ref().unwrap_or(&none), case.layers.boundary.as_ref().unwrap_or(&none));
    let session = case.layers.session.as_ref().unwrap_or(&none);
    for (layer, statements, named) in [
        ("Endpoint", endpoint.as_slice(), true),
        ("Resource", key, true),
        ("Boundary", boundary, false),
        ("Session", session, false),
        ("Identity", &case.layers.identity, false),
    ] {
        if !hit(statements, true, named).is_empty() {
            return format!("deny explicit {layer}");
        }
    }
    let root = matches!(case.caller, Principal::Root { .. });
    let service = matches!(case.caller, Principal::Service { .. });
    let same = service || case.caller.account() == Some(HOME);
    let named = hit(key, false, true);
    let to_caller = case.guarded && case.grant == Grant::ToCaller;
    let key_side = !case.guarded || !named.is_empty() || case.grant != Grant::None;
    let identity_needed = !to_caller
        && !root
        && (!case.guarded || !same || !(named.contains(&"person") || named.contains(&"capped")));
    let caps_apply = !(to_caller || (case.guarded && same && named.contains(&"person")));
    let lacks = |policy: &Option<Vec<Statement>>, named| {
        policy.as_ref().is_some_and(|it| hit(it, false, named).is_empty())
    };
    let missing = [
        ("Endpoint", lacks(&case.layers.endpoint, true)),
        ("Resource", !key_side),
        ("Identity", identity_needed && hit(&case.layers.identity, false, false).is_empty()),
        ("Boundary", caps_apply && lacks(&case.layers.boundary, false)),
        ("Session", caps_apply && lacks(&case.layers.session, false)),
    ];
    match missing.iter().find(|(_, missing)| *missing) {
        Some((layer, _)) => format!("deny implicit {layer}"),
        None => "allow".to_owned(),
    }
}

// ---- the comparison ----

/// The same policies, compiled.
struct Compiled {
    key: Document,
    endpoint: Option<Document>,
    boundary: Option<Document>,
    session: Option<[Arc<Document>; 1]>,
    identity: [Arc<Document>; 1],
}

fn compile(layers: &Layers) -> Compiled {
    fn whole(statements: &[Statement], kind: Kind) -> Document {
        let texts: Vec<String> = statements.iter().map(|it| render(it, kind)).collect();
        document(kind, &texts.join(","))
    }
    Compiled {
        key: whole(&layers.key, Kind::Key),
        endpoint: layers.endpoint.as_ref().map(|it| whole(it, Kind::Endpoint)),
        boundary: layers.boundary.as_ref().map(|it| whole(it, Kind::Identity)),
        session: layers.session.as_ref().map(|it| [Arc::new(whole(it, Kind::Identity))]),
        identity: [Arc::new(whole(&layers.identity, Kind::Identity))],
    }
}

fn engine(case: &Case<'_>, compiled: &Compiled) -> String {
    let values = |it: &Vec<&'static str>| Values::Set(it.iter().map(|it| (*it).into()).collect());
    let keys = Keys(case.keys.iter().map(|(name, it)| ((*name).to_owned(), values(it))).collect());
    let request = Request { principal: case.caller, action: case.action, resource: KEY, context: &keys };
    let policies = Policies {
        resource: match case.guarded {
            true => ResourceSide::Guarded { policy: &compiled.key, account: HOME },
            false => ResourceSide::Unguarded,
        },
        grant: case.grant,
        identity: &compiled.identity,
        boundary: compiled.boundary.as_ref(),
        session: compiled.session.as_ref().map(|it| it.as_slice()),
        endpoint: compiled.endpoint.as_ref(),
    };
    words(&decide(&request, &policies))
}

#[test]
fn the_engine_agrees_with_the_model() {
    let mut dice = Dice(1);
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..SETS {
        let layers = any_layers(&mut dice);
        let compiled = compile(&layers);
        for _ in 0..REQUESTS {
            let case = any_case(&mut dice, &layers);
            let (found, expected) = (engine(&case, &compiled), conclude(&case));
            assert_eq!(found, expected, "{case:#?}");
            *seen.entry(found).or_insert(0) += 1;
        }
    }
    // Agreement means nothing where only one answer occurs: allow, and two denials of each of five layers.
    assert_eq!(seen.len(), 11, "{seen:?}");
    assert!(seen.values().all(|count| *count > SETS * REQUESTS / 1000), "{seen:?}");
}
