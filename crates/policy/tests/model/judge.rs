//! The decision, from the documents as JSON ("Policy evaluation logic"; AWS KMS Developer Guide, "Key policies").

use claviger_policy::{Grant, Principal};
use serde_json::Value;

use super::condition;
use super::generate::{Ask, HOME, Layers, Side, unique_id};
use super::seen::Seen;
use super::text::{self, Reading};

/// The elements where the grammar takes one or several.
pub(crate) fn several(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

/// A value as a text.
pub(crate) fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    several(value).into_iter().map(written).collect()
}

/// How a statement names the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// In person: by user, session, federated user or service; or as everyone whom `aws:PrincipalArn` narrows down.
    Person,
    /// By its role or by the user that vouches for it, as one of everyone, or as one who is not excepted.
    Capped,
    /// By its account.
    Account,
}

/// One question.
pub(crate) struct Judge<'a> {
    pub(crate) layers: &'a Layers,
    pub(crate) ask: &'a Ask,
    pub(crate) seen: &'a Seen,
}

impl Judge<'_> {
    /// `allow` or `deny`, by what, and the document and statement that decided where one did.
    pub(crate) fn verdict(&self) -> String {
        let none = Vec::new();
        let one = |policy: &Option<Value>| policy.iter().cloned().collect::<Vec<Value>>();
        let (endpoint, boundary) = (one(&self.layers.endpoint), one(&self.layers.boundary));
        let has_key = self.ask.side != Side::Unguarded;
        let key = if has_key { vec![self.layers.key.clone()] } else { Vec::new() };
        let session = self.layers.session.as_ref().unwrap_or(&none);
        let identity = &self.layers.identity;
        let shown = self.ask.without_tags();
        let of_key = Judge { ask: &shown, ..*self };
        for (layer, documents) in [
            ("Endpoint", &endpoint),
            ("Resource", &key),
            ("Boundary", &boundary),
            ("Session", session),
            ("Identity", identity),
        ] {
            let judge = if layer == "Resource" { &of_key } else { self };
            if let Some((place, _)) = judge.found(documents, "Deny").first() {
                return format!("deny explicit {layer} {place}");
            }
        }
        let guarded = self.ask.side == Side::Guarded;
        let named = if guarded { of_key.found(&key, "Allow") } else { Vec::new() };
        let by = |wanted: How| named.iter().find(|(_, how)| *how == wanted).map(|(place, _)| place.clone());
        let (person, capped) = (by(How::Person), by(How::Capped));
        let allowing = self.found(identity, "Allow").first().map(|(place, _)| place.clone());
        let root = matches!(self.ask.caller, Principal::Root { .. });
        let own_key = guarded && self.ask.caller.account().is_none_or(|account| account == HOME);
        let to_caller = has_key && self.ask.grant == Grant::ToCaller;
        let to_account = self.ask.grant == Grant::ToAccount;
        let in_person = own_key && person.is_some();
        let key_alone = own_key && (person.is_some() || capped.is_some());
        let caps_count = !to_caller && !in_person;
        let lacks = |there: bool, documents: &[Value]| there && self.found(documents, "Allow").is_empty();
        let missing = [
            ("Endpoint", lacks(self.layers.endpoint.is_some(), &endpoint)),
            ("Resource", has_key && named.is_empty() && !to_caller && !to_account),
            ("Identity", !to_caller && !key_alone && !root && allowing.is_none()),
            ("Boundary", caps_count && lacks(self.layers.boundary.is_some(), &boundary)),
            ("Session", caps_count && lacks(self.layers.session.is_some(), session)),
        ];
        if let Some((layer, _)) = missing.iter().find(|(_, missing)| *missing) {
            return format!("deny implicit {layer}");
        }
        match (person, capped) {
            (Some(place), _) if own_key => format!("allow Resource {place}"),
            _ if to_caller => "allow Grant".to_owned(),
            (_, Some(place)) if own_key => format!("allow Resource {place}"),
            _ if root => "allow Root".to_owned(),
            _ => format!("allow Identity {}", allowing.unwrap_or_default()),
        }
    }

    /// The statements with this effect that apply to the request: where each stands, and how it names the caller.
    pub(crate) fn found(&self, documents: &[Value], effect: &str) -> Vec<(String, How)> {
        let mut found = Vec::new();
        for (number, document) in documents.iter().enumerate() {
            for (place, statement) in several(&document["Statement"]).into_iter().enumerate() {
                if statement["Effect"] == effect
                    && let Some(how) = self.names(statement)
                    && self.covers(document, statement)
                {
                    found.push((format!("{number}.{place}"), how));
                }
            }
        }
        found
    }

    /// Whether action, resource and condition of a statement fit the request.
    fn covers(&self, document: &Value, statement: &Value) -> bool {
        let (keys, seen) = (&self.ask.keys, self.seen);
        let variables = (document["Version"] == "2012-10-17").then_some(keys);
        let reading = Reading { variables, seen };
        let deny = statement["Effect"] == "Deny";
        let action = self.clause(statement, "Action", |it| text::action(it, self.ask.action));
        let resource = self.resource(&reading, statement, deny);
        let mut condition = true;
        for (operator, entries) in statement["Condition"].as_object().into_iter().flatten() {
            for (key, asked) in entries.as_object().unwrap() {
                let carried = keys.0.get(&*key.to_ascii_lowercase());
                condition &= condition::holds(&reading, carried, operator, asked, deny);
            }
        }
        action && resource && condition
    }

    fn resource(&self, reading: &Reading<'_>, statement: &Value, deny: bool) -> bool {
        let given = statement.get("Resource").or_else(|| statement.get("NotResource"));
        if given.is_some_and(|given| texts(given).iter().any(|text| reading.is_ambiguous(text))) {
            self.seen.note("ambiguous variable in a resource", deny);
            return deny;
        }
        self.clause(statement, "Resource", |it| it == "*" || reading.arn(it, self.ask.resource))
    }

    /// An element or its negation; a statement with neither applies to nothing.
    fn clause(&self, statement: &Value, name: &str, fits: impl Fn(&str) -> bool) -> bool {
        let negation = format!("Not{name}");
        if let Some(excepted) = statement.get(&negation) {
            return self.seen.note(&negation, !texts(excepted).iter().any(|it| fits(it)));
        }
        match statement.get(name) {
            Some(listed) => self.seen.note(name, texts(listed).iter().any(|it| fits(it))),
            None => self.seen.note(&format!("no {name}"), false),
        }
    }

    /// How a statement names the caller; `None` where it is about others. A policy of the caller's side names nobody.
    fn names(&self, statement: &Value) -> Option<How> {
        let facts = self.facts();
        if let Some(listed) = statement.get("NotPrincipal") {
            let listed = self.listed(listed);
            let is_listed = |fact: &(How, String)| listed.contains(&fact.1);
            let by = |how: How| facts.iter().any(|fact| fact.0 == how && is_listed(fact));
            let excepted = match &*written(&statement["Effect"]) {
                // A Deny spares who is listed as all that it is: account, and user; account, role, and session.
                "Deny" => [How::Account, How::Capped, How::Person]
                    .iter()
                    .all(|how| !facts.iter().any(|fact| fact.0 == *how) || by(*how)),
                _ => facts.iter().any(is_listed),
            };
            self.seen.note("NotPrincipal", !excepted);
            return (!excepted).then_some(How::Capped);
        }
        let Some(listed) = statement.get("Principal") else { return Some(How::Person) };
        let listed = self.listed(listed);
        let by = |how: How| facts.iter().any(|fact| fact.0 == how && listed.contains(&fact.1));
        let everyone = listed.contains(&"*".to_owned());
        let narrowed = everyone && narrows(&statement["Condition"]);
        self.seen.note("everyone is narrowed to principals", narrowed);
        match () {
            () if by(How::Person) || narrowed => Some(How::Person),
            () if by(How::Capped) || everyone => Some(How::Capped),
            () if by(How::Account) => Some(How::Account),
            () => None,
        }
    }

    /// Everything a principal element lists; what was bound to a unique id stands as that id.
    fn listed(&self, element: &Value) -> Vec<String> {
        let Some(kinds) = element.as_object() else { return vec!["*".to_owned()] };
        let mut listed = Vec::new();
        for (kind, names) in kinds {
            for name in texts(names) {
                let id = unique_id(&name).filter(|_| self.layers.bound && kind == "AWS");
                listed.push(match id {
                    // A session is still that session, and of that very role.
                    Some(id) if name.contains(":assumed-role/") => format!("{name} of {id}"),
                    Some(id) => id.to_owned(),
                    None if kind == "Service" => format!("service {name}"),
                    None => name,
                });
            }
        }
        listed
    }

    /// All texts that name the caller, with what each of them names.
    fn facts(&self) -> Vec<(How, String)> {
        let mut facts = Vec::new();
        let mut fact = |how: How, text: &str| facts.push((how, text.to_owned()));
        let bound = self.layers.bound;
        match self.ask.caller {
            Principal::Root { .. } => {}
            Principal::User { arn, id, .. } => {
                fact(How::Person, id);
                fact(How::Person, if bound { id } else { arn });
            }
            Principal::RoleSession { role_arn, role_id, session_arn, .. } => {
                fact(How::Capped, role_id);
                fact(How::Capped, if bound { role_id } else { role_arn });
                let session =
                    if bound { format!("{session_arn} of {role_id}") } else { session_arn.to_owned() };
                fact(How::Person, &session);
            }
            Principal::FederatedUser { arn, user_arn, user_id, .. } => {
                fact(How::Capped, user_id);
                fact(How::Capped, if bound { user_id } else { user_arn });
                fact(How::Person, arn);
            }
            Principal::Service { name } => fact(How::Person, &format!("service {name}")),
            // Only trust policies name these.
            Principal::WebIdentity { .. } => {}
        }
        if let Some(account) = self.ask.caller.account() {
            fact(How::Account, account);
            fact(How::Account, &format!("arn:aws:iam::{account}:root"));
        }
        facts
    }
}

/// Whether a condition says which principals are meant: a comparison of `aws:PrincipalArn` that fails without the key.
fn narrows(condition: &Value) -> bool {
    let names_them = |operator: &str| {
        let (set, name, if_exists) = condition::parts(operator);
        let positive = !name.contains("Not") && (name.starts_with("String") || name.starts_with("Arn"));
        positive && !if_exists && set != "ForAllValues"
    };
    condition.as_object().into_iter().flatten().any(|(operator, entries)| {
        let asks = |key: &String| key.eq_ignore_ascii_case("aws:PrincipalArn");
        names_them(operator) && entries.as_object().unwrap().keys().any(asks)
    })
}
