//! Random policies and requests, from pools small enough that they meet.

use std::collections::BTreeMap;

use claviger_policy::{Context, Grant, Kind, Principal, Values};
use serde_json::{Map, Value, json};

use super::condition::{OPERATORS, parts};
use super::dice::Dice;

/// The account of the key.
pub(crate) const HOME: &str = "111122223333";
const AWAY: &str = "444455556666";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";

/// The policies of a set of requests.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) key: Value,
    pub(crate) endpoint: Option<Value>,
    pub(crate) boundary: Option<Value>,
    pub(crate) session: Option<Vec<Value>>,
    pub(crate) identity: Vec<Value>,
    /// Whether the names in key and endpoint policy were bound to unique ids.
    pub(crate) bound: bool,
}

/// One request, and what is no document.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) caller: Principal<'static>,
    pub(crate) action: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) keys: Keys,
    pub(crate) side: Side,
    pub(crate) grant: Grant,
}

/// What guards the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// No policy.
    Unguarded,
    /// The key policy.
    Guarded,
    /// The key policy, which can only deny (`RetireGrant`).
    Denying,
}

/// Condition keys by their names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Keys(pub(crate) BTreeMap<&'static str, Values<'static>>);

impl Context for Keys {
    fn values(&self, key: &str) -> Option<Values<'_>> {
        self.0.get(key).cloned()
    }
}

const fn session(session_arn: &'static str) -> Principal<'static> {
    let (role_arn, role_id) = ("arn:aws:iam::111122223333:role/ops/admin", "AROAADMINADMINADMIN1");
    Principal::RoleSession { role_arn, role_id, session_arn, account: HOME }
}

const fn user(arn: &'static str, id: &'static str, account: &'static str) -> Principal<'static> {
    Principal::User { arn, id, account }
}

const CALLERS: [Principal<'_>; 10] = [
    Principal::Root { account: HOME },
    Principal::Root { account: AWAY },
    user("arn:aws:iam::111122223333:user/bob", "AIDABOBBOBBOBBOBBOBB", HOME),
    user("arn:aws:iam::111122223333:user/bob", "AIDABOBBOBBOBBOBBOBB", HOME),
    user("arn:aws:iam::444455556666:user/eve", "AIDAEVEEVEEVEEVEEVE1", AWAY),
    user("arn:aws:iam::444455556666:user/dan", "AIDADANDANDANDANDAN1", AWAY),
    session("arn:aws:sts::111122223333:assumed-role/admin/s1"),
    session("arn:aws:sts::111122223333:assumed-role/admin/s2"),
    Principal::FederatedUser {
        arn: "arn:aws:sts::111122223333:federated-user/fed",
        user_arn: "arn:aws:iam::111122223333:user/bob",
        user_id: "AIDABOBBOBBOBBOBBOBB",
        account: HOME,
    },
    Principal::Service { name: "ec2.amazonaws.com" },
];

/// Entries under `AWS`.
const PRINCIPALS: [&str; 15] = [
    "*",
    "*",
    "111122223333",
    "444455556666",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::444455556666:root",
    "arn:aws:iam::111122223333:user/bob",
    "AIDABOBBOBBOBBOBBOBB",
    "arn:aws:iam::111122223333:role/ops/admin",
    "AROAADMINADMINADMIN1",
    "arn:aws:sts::111122223333:assumed-role/admin/s1",
    "arn:aws:sts::111122223333:assumed-role/admin/s2",
    "arn:aws:sts::111122223333:federated-user/fed",
    "arn:aws:iam::444455556666:user/eve",
    "arn:aws:iam::444455556666:user/dan",
];

/// What the principals that are bound are bound to. Eve and the role of the second session were made anew since.
pub(crate) fn unique_id(arn: &str) -> Option<&'static str> {
    Some(match arn {
        "arn:aws:iam::111122223333:user/bob" => "AIDABOBBOBBOBBOBBOBB",
        "arn:aws:iam::111122223333:role/ops/admin" => "AROAADMINADMINADMIN1",
        "arn:aws:sts::111122223333:assumed-role/admin/s1" => "AROAADMINADMINADMIN1",
        "arn:aws:sts::111122223333:assumed-role/admin/s2" => "AROATHEOLDROLE123456",
        "arn:aws:iam::444455556666:user/eve" => "AIDATHEOLDEVE1234567",
        "arn:aws:iam::444455556666:user/dan" => "AIDADANDANDANDANDAN1",
        _ => return None,
    })
}

const ACTIONS: [&str; 8] =
    ["*", "*", "kms:*", "kms:Encrypt", "KMS:*crypt", "kms:?ecrypt", "kms:*n*t", "s3:*"];
const RESOURCES: [&str; 12] = [
    "*",
    "*",
    "*",
    KEY,
    "arn:aws:kms:*:111122223333:key/*",
    "arn:aws:kms:*:444455556666:key/*",
    "arn:aws:kms:us-east-?:*:*",
    "arn:aws:kms",
    "arn:aws:kms:*:111122223333:alias/*a*",
    "arn:aws:kms:*:*:key/${x:id}",
    "arn:aws:kms:*:*:alias/${x:none, 'app'}",
    "arn:aws:kms:*:*:key/${kms:EncryptionContext:Dept}*",
];

/// A family of operators: what the policy asks of its key, and what requests carry under it.
struct Family {
    key: &'static str,
    asked: &'static [&'static str],
    carried: &'static [&'static str],
}

const TEXT: Family = Family {
    key: "x:text",
    asked: &[
        "a",
        "b",
        "a*",
        "*b",
        "?",
        "*a*b",
        "A",
        "${*}",
        "${x:id}",
        "${x:none, 'a'}",
        "${x:none}",
        "p*${x:id}",
        "${x:set}",
        "${x:set, 'a'}",
        "${kms:EncryptionContext:Dept}",
        "a${x:text}",
    ],
    carried: &["a", "b", "A", "ab", "aab", "a*", "*", "1234abcd", "p-1234abcd", "${x:id}", "${*}", "\u{e9}"],
};
const NUMBER: Family = Family {
    key: "x:number",
    asked: &["7", "10", "7.0", "-1", "1000000", "0.5", "+7"],
    carried: &["7", "7.00", "10", "-1", "0.50", "ten", "1e3", "999999999999", ""],
};
const DATE: Family = Family {
    key: "x:date",
    asked: &["2026-11-24T16:00:00Z", "1795536000", "2026", "2026-11-24", "2024-02-29T12:30:00.5-02:00"],
    carried: &[
        "1795536000",
        "2026-11-24T17:00:00+01:00",
        "2026-11-23T23:59Z",
        "2026-01-01",
        "2024-02-29T14:30:00.50Z",
        "1769",
        "soon",
    ],
};
const FLAG: Family = Family {
    key: "x:flag",
    asked: &["true", "false", "True"],
    carried: &["true", "FALSE", "maybe", "false"],
};
const BYTES: Family = Family {
    key: "x:bytes",
    asked: &["AAE=", "AAI=", "QUJD", "AA=="],
    carried: &["AAE=", "AAJ=", "QUJD", "QUJE", "AA==", "AB==", "no"],
};
const ADDRESS: Family = Family {
    key: "x:address",
    asked: &["10.0.0.0/8", "10.1.2.3", "2001:db8::/33", "::ffff:10.0.0.1", "0.0.0.0/0", "::/0"],
    carried: &["10.1.2.3", "11.0.0.1", "2001:db8::1", "2001:db8:8000::", "::ffff:10.0.0.1", "10.0.0.1", "x"],
};
const ARN: Family = Family {
    key: "x:arn",
    asked: &[
        "*",
        "arn:aws:iam::*:user/*",
        "arn:aws:iam::111122223333:*",
        "arn:aws:s3:::b/${x:id}",
        "arn:aws:s?:*:*:b*",
    ],
    carried: &["arn:aws:s3:::b/1234abcd", "arn:aws:s3:::b:c", "arn:aws:iam::111122223333:user/bob", "b"],
};
const FAMILIES: [&Family; 7] = [&TEXT, &NUMBER, &DATE, &FLAG, &BYTES, &ADDRESS, &ARN];

fn family(name: &str) -> &'static Family {
    match name.trim_start_matches("Not") {
        name if name.starts_with("String") => &TEXT,
        name if name.starts_with("Numeric") => &NUMBER,
        name if name.starts_with("Date") => &DATE,
        name if name.starts_with("Arn") => &ARN,
        "Bool" => &FLAG,
        "BinaryEquals" => &BYTES,
        "IpAddress" => &ADDRESS,
        _ => &Family { key: "x:text", asked: &["true", "false"], carried: &[] },
    }
}

/// A condition entry: operator, key, values.
fn any_entry(dice: &mut Dice, kind: Kind) -> (String, &'static str, Value) {
    let name = dice.pick(&OPERATORS);
    let mut operator = dice.pick(&["", "", "ForAnyValue:", "ForAllValues:"]).to_owned() + name;
    operator += dice.pick(&["", "", "IfExists"]);
    let operator = if name == "Null" { name.to_owned() } else { operator };
    let family = family(name);
    let key = match dice.roll(10) {
        0 => "aws:PrincipalArn",
        // Refused with a set operator in a key policy: "OverlyPermissiveCondition".
        1 if kind != Kind::Key || parts(&operator).0.is_empty() => "kms:EncryptionContext:Dept",
        2 => "X:Set",
        4 if kind != Kind::Key || parts(&operator).0.is_empty() => "aws:ResourceTag/team",
        3 => dice.pick(&FAMILIES).key,
        _ => family.key,
    };
    let mut asked: Vec<Value> = dice.some(3, family.asked).into_iter().map(Value::from).collect();
    if key == "aws:PrincipalArn" && (name.starts_with("String") || name.starts_with("Arn")) {
        asked.push(json!("arn:aws:iam::111122223333:user/bob"));
    }
    match name {
        "Bool" if dice.one_in(3) => asked.push(json!(true)),
        _ if name.starts_with("Numeric") && dice.one_in(3) => asked.push(json!(7)),
        _ => {}
    }
    let values = if asked.len() == 1 { asked.remove(0) } else { Value::Array(asked) };
    (operator, key, values)
}

fn any_condition(dice: &mut Dice, kind: Kind) -> Value {
    let mut condition = Map::new();
    for _ in 0..=u64::from(dice.one_in(3)) {
        let (operator, key, values) = any_entry(dice, kind);
        let entries = condition.entry(operator).or_insert_with(|| json!({}));
        entries.as_object_mut().unwrap().insert(key.to_owned(), values);
    }
    Value::Object(condition)
}

fn any_principals(dice: &mut Dice, excepted: bool) -> Value {
    let names = if excepted { &PRINCIPALS[2..] } else { &PRINCIPALS };
    let listed = dice.some(if excepted { 6 } else { 2 }, names);
    match dice.roll(8) {
        0 if !excepted => json!("*"),
        1 => json!({"AWS": listed, "Service": dice.pick(&["ec2.amazonaws.com", "s3.amazonaws.com"])}),
        2 => json!({"Service": ["ec2.amazonaws.com"]}),
        _ => json!({"AWS": listed}),
    }
}

/// Everyone, narrowed to the principals that a condition names; or nearly so.
fn narrowed(dice: &mut Dice) -> Map<String, Value> {
    let operator =
        dice.pick(&["ArnLike", "StringLike", "ForAnyValue:ArnEquals", "ArnLikeIfExists", "ArnNotLike"]);
    let arn = dice.pick(&["arn:aws:iam::*:user/*", "arn:aws:iam::111122223333:role/ops/admin", "*"]);
    let condition = json!({operator: {"aws:principalARN": arn}});
    let everyone = json!({"AWS": dice.some(2, &["*", "*", "111122223333"])});
    Map::from_iter([("Principal".to_owned(), everyone), ("Condition".to_owned(), condition)])
}

/// A statement of a document of this kind.
pub(crate) fn any_statement(dice: &mut Dice, kind: Kind) -> Value {
    let deny = dice.one_in(6);
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    put("Effect", json!(if deny { "Deny" } else { "Allow" }));
    if kind != Kind::Identity {
        let excepted = dice.one_in(6);
        put(if excepted { "NotPrincipal" } else { "Principal" }, any_principals(dice, excepted));
    }
    // A key policy may lack either, and then the statement says nothing.
    if kind != Kind::Key || !dice.one_in(40) {
        let not = dice.one_in(8);
        let (most, name) = if not { (2, "NotAction") } else { (3, "Action") };
        put(name, json!(dice.some(most, &ACTIONS[if not { 2 } else { 0 }..])));
    }
    if kind != Kind::Key || !dice.one_in(40) {
        let not = dice.one_in(8);
        let from = if not { 3 } else { 0 };
        put(if not { "NotResource" } else { "Resource" }, json!(dice.some(2, &RESOURCES[from..])));
    }
    // What denies without a condition denies nearly everything.
    if if deny { !dice.one_in(4) } else { dice.one_in(2) } {
        put("Condition", any_condition(dice, kind));
    }
    if kind != Kind::Identity && !deny && dice.one_in(6) {
        members.remove("NotPrincipal");
        members.extend(narrowed(dice));
    }
    Value::Object(members)
}

/// A document of these statements; mostly of the newer version, in which a Boolean may be a variable.
fn document(dice: &mut Dice, kind: Kind, mut statements: Vec<Value>) -> Value {
    let version = match dice.roll(8) {
        0 => Some("2008-10-17"),
        1 if kind != Kind::Key => None,
        _ => Some("2012-10-17"),
    };
    if version == Some("2012-10-17") {
        let conditions = statements.iter_mut().filter_map(|it| it.get_mut("Condition")?.as_object_mut());
        let flags = conditions.flatten().filter(|(operator, _)| parts(operator).1 == "Bool");
        for asked in flags.flat_map(|(_, entries)| entries.as_object_mut().unwrap().values_mut()) {
            if dice.one_in(3) {
                *asked = json!("${x:yes}");
            }
        }
    }
    let mut document = json!({"Statement": statements});
    if let Some(version) = version {
        document["Version"] = json!(version);
    }
    document
}

fn any_document(dice: &mut Dice, kind: Kind) -> Value {
    let statements = (0..=dice.roll(3)).map(|_| any_statement(dice, kind)).collect();
    document(dice, kind, statements)
}

/// The policies of a set.
pub(crate) fn any_layers(dice: &mut Dice) -> Layers {
    let maybe = |dice: &mut Dice, kind| dice.one_in(4).then(|| any_document(dice, kind));
    let few = |dice: &mut Dice| (0..dice.roll(3)).map(|_| any_document(dice, Kind::Identity)).collect();
    Layers {
        key: any_document(dice, Kind::Key),
        endpoint: maybe(dice, Kind::Endpoint),
        boundary: maybe(dice, Kind::Identity),
        session: dice.one_in(4).then(|| few(dice)),
        identity: few(dice),
        bound: dice.one_in(3),
    }
}

/// Each kind of value: one, several, several where one is meant, none.
fn any_values(dice: &mut Dice, pool: &[&'static str]) -> Option<Values<'static>> {
    let many = |dice: &mut Dice| dice.some(3, pool).into_iter().map(Into::into).collect();
    match dice.roll(8) {
        0 => None,
        1 => Some(Values::Set(Vec::new())),
        2 => Some(Values::Conflicting(vec![dice.pick(pool).into(), dice.pick(pool).into()])),
        3 | 4 => Some(Values::Set(many(dice))),
        _ => Some(Values::One(dice.pick(pool).into())),
    }
}

fn principal_arn(caller: &Principal<'static>) -> &'static str {
    match *caller {
        Principal::User { arn, .. } | Principal::FederatedUser { arn, .. } => arn,
        Principal::RoleSession { role_arn, .. } => role_arn,
        Principal::WebIdentity { provider } => provider,
        Principal::Root { .. } | Principal::Service { .. } => "arn:aws:iam::111122223333:root",
    }
}

impl Ask {
    /// The request as a key policy sees it: tags of the key are for IAM policies to ask for.
    pub(crate) fn without_tags(&self) -> Self {
        let mut keys = Keys(self.keys.0.clone());
        keys.0.retain(|key, _| !key.starts_with("aws:resourcetag/"));
        Self { keys, ..*self }
    }
}

/// A request.
pub(crate) fn any_ask(dice: &mut Dice) -> Ask {
    let caller = dice.pick(&CALLERS);
    let mut keys = Keys::default();
    let mut put = |key: &'static str, values: Option<Values<'static>>| {
        values.map(|values| keys.0.insert(key, values));
    };
    for family in FAMILIES {
        put(family.key, any_values(dice, family.carried));
    }
    put("x:set", Some(Values::Set(dice.some(3, TEXT.carried).into_iter().map(Into::into).collect())));
    put("x:id", (!dice.one_in(4)).then(|| Values::One("1234abcd".into())));
    put("x:yes", dice.one_in(2).then(|| Values::One("TRUE".into())));
    put("kms:encryptioncontext:dept", any_values(dice, &["a", "b", "1234"]));
    put("aws:resourcetag/team", any_values(dice, &["a", "b", "7", "true"]));
    put("aws:principalarn", (!dice.one_in(8)).then(|| Values::One(principal_arn(&caller).into())));
    Ask {
        caller,
        action: dice.pick(&["kms:Encrypt", "kms:Decrypt", "kms:Sign"]),
        resource: dice.pick(&[KEY, KEY, KEY, "arn:aws:kms:us-east-1:111122223333:alias/app", "*"]),
        keys,
        side: dice.pick(&[
            Side::Unguarded,
            Side::Guarded,
            Side::Guarded,
            Side::Guarded,
            Side::Guarded,
            Side::Denying,
        ]),
        grant: dice.pick(&[
            Grant::None,
            Grant::None,
            Grant::None,
            Grant::None,
            Grant::ToAccount,
            Grant::ToCaller,
        ]),
    }
}
