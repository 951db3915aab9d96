//! Engine and model side by side.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use claviger_policy::{
    Context, Decision, Document, Grantor, Kind, Layer, Policies, Reason, Request, ResourceSide, StatementRef,
    Values, Work, decide, trace,
};
use serde_json::Value;

use super::condition::OPERATORS;
use super::dice::Dice;
use super::generate::{Ask, HOME, Keys, Layers, Side, any_ask, any_layers, unique_id};
use super::judge::Judge;
use super::seen::Seen;

/// Requests asked of each set of policies.
const REQUESTS: u64 = 20;

/// What a run met.
#[derive(Default)]
pub(crate) struct Report {
    pairs: u64,
    seen: Seen,
    /// Verdicts without their places.
    verdicts: BTreeMap<String, u64>,
}

/// The policies of a set, compiled.
pub(crate) struct Compiled {
    key: Document,
    endpoint: Option<Document>,
    boundary: Option<Document>,
    session: Option<Vec<Arc<Document>>>,
    identity: Vec<Arc<Document>>,
}

impl Compiled {
    pub(crate) fn of(layers: &Layers) -> Self {
        let parse = |document: &Value, kind: Kind| {
            let text = document.to_string();
            let parsed = Document::parse(&text, kind).unwrap_or_else(|cause| panic!("{text}: {cause}"));
            match layers.bound && kind != Kind::Identity {
                true => parsed.bind(|name| unique_id(name.arn()?).map(Into::into)).unwrap(),
                false => parsed,
            }
        };
        let identity = |document: &Value| parse(document, Kind::Identity);
        let shared = |documents: &Vec<Value>| documents.iter().map(|it| Arc::new(identity(it))).collect();
        Self {
            key: parse(&layers.key, Kind::Key),
            endpoint: layers.endpoint.as_ref().map(|it| parse(it, Kind::Endpoint)),
            boundary: layers.boundary.as_ref().map(identity),
            session: layers.session.as_ref().map(shared),
            identity: shared(&layers.identity),
        }
    }

    /// The engine's verdict, in the words of [`Judge::verdict`].
    pub(crate) fn verdict(&self, ask: &Ask) -> String {
        let policies = self.policies(ask);
        let Ask { caller: principal, action, resource, keys: context, .. } = ask;
        let request = Request { principal: *principal, action, resource, context };
        let decision = decide(&request, &policies);
        assert_eq!(
            trace(&request, &policies).conclusion(),
            decision,
            "the trace of a decision agrees with it"
        );
        words(&decision)
    }

    /// The same where only so much work may be done.
    pub(crate) fn verdict_within(&self, ask: &Ask, work: usize) -> String {
        let bounded = Bounded { keys: &ask.keys, work: Work::new(work) };
        let Ask { caller: principal, action, resource, .. } = ask;
        let request = Request { principal: *principal, action, resource, context: &bounded };
        words(&decide(&request, &self.policies(ask)))
    }

    fn policies(&self, ask: &Ask) -> Policies<'_> {
        Policies {
            resource: match ask.side {
                Side::Unguarded => ResourceSide::Unguarded,
                Side::Guarded => ResourceSide::Guarded { policy: &self.key, account: HOME },
                Side::Denying => ResourceSide::Denying { policy: &self.key },
            },
            grant: ask.grant,
            identity: &self.identity,
            boundary: self.boundary.as_ref(),
            session: self.session.as_deref(),
            endpoint: self.endpoint.as_ref(),
        }
    }
}

/// Condition keys, and a bound on what is done with them.
struct Bounded<'a> {
    keys: &'a Keys,
    work: Work,
}

impl Context for Bounded<'_> {
    fn values(&self, key: &str) -> Option<Values<'_>> {
        self.keys.values(key)
    }

    fn spend(&self, bytes: usize) {
        self.work.spend(bytes);
    }

    fn is_spent(&self) -> bool {
        self.work.is_spent()
    }
}

fn words(decision: &Decision<'_>) -> String {
    let place = |found: &StatementRef<'_>| {
        let StatementRef { layer, document, statement, .. } = found;
        format!("{layer:?} {document}.{statement}")
    };
    match decision {
        Decision::Allow(Grantor::Statement(found)) => format!("allow {}", place(found)),
        Decision::Allow(grantor) => format!("allow {grantor:?}"),
        Decision::Deny(Reason::Explicit(found)) => format!("deny explicit {}", place(found)),
        Decision::Deny(Reason::Implicit(layer)) => format!("deny implicit {layer:?}"),
    }
}

/// Asks so many questions of both.
///
/// # Errors
/// The first question that they answer differently.
pub(crate) fn run(seed: u64, pairs: u64) -> Result<Report, String> {
    let mut dice = Dice(seed);
    let mut report = Report::default();
    while report.pairs < pairs {
        let layers = any_layers(&mut dice);
        let compiled = Compiled::of(&layers);
        for _ in 0..REQUESTS {
            let ask = any_ask(&mut dice);
            let expected = Judge { layers: &layers, ask: &ask, seen: &report.seen }.verdict();
            let found = compiled.verdict(&ask);
            if found != expected {
                return Err(format!("engine: {found}; model: {expected}\n{layers:#?}\n{ask:#?}"));
            }
            // With less work done than that takes, never wider.
            let work = usize::try_from(report.pairs * 37 % 1_024).unwrap_or_default();
            let within = compiled.verdict_within(&ask, work);
            if within.starts_with("allow") && !found.starts_with("allow") {
                return Err(format!("engine: {found}, within {work}: {within}\n{layers:#?}\n{ask:#?}"));
            }
            report.count(&found);
        }
    }
    Ok(report)
}

impl Report {
    fn count(&mut self, verdict: &str) {
        self.pairs += 1;
        let without_place = verdict.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end();
        match self.verdicts.get_mut(without_place) {
            Some(count) => *count += 1,
            None => drop(self.verdicts.insert(without_place.to_owned(), 1)),
        }
    }

    /// Everything that had to occur and hardly did, or came out one way only.
    pub(crate) fn vacuous(&self) -> Vec<String> {
        let layers = [Layer::Endpoint, Layer::Resource, Layer::Boundary, Layer::Session, Layer::Identity];
        let denials = ["explicit", "implicit"]
            .iter()
            .flat_map(|kind| layers.iter().map(move |layer| format!("deny {kind} {layer:?}")));
        let allows = ["Resource", "Identity", "Grant", "Root"].map(|by| format!("allow {by}"));
        let rare = denials.chain(allows).filter(|verdict| {
            let count = self.verdicts.get(verdict).copied().unwrap_or_default();
            count < self.pairs / 2_000
        });
        let both_ways = OPERATORS.iter().copied().chain([
            "no set operator",
            "ForAnyValue",
            "ForAllValues",
            "IfExists",
            "no IfExists",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "NotPrincipal",
            "conflicting values",
            "ambiguous variable in a condition",
            "ambiguous variable in a resource",
            "variable has a value",
            "variable takes its default",
            "the version has variables",
            "everyone is narrowed to principals",
        ]);
        let one_sided = both_ways.filter(|what| {
            let [no, yes] = self.seen.count(what);
            no.min(yes) < self.pairs / 10_000 + 1
        });
        let mut vacuous: Vec<String> = rare.chain(one_sided.map(str::to_owned)).collect();
        let share = self.allows() * 100 / self.pairs.max(1);
        if !(15..=85).contains(&share) {
            vacuous.push(format!("{share} % are allowed"));
        }
        vacuous
    }

    fn allows(&self) -> u64 {
        let allows = self.verdicts.iter().filter(|(verdict, _)| verdict.starts_with("allow"));
        allows.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (verdict, count) in &self.verdicts {
            writeln!(out, "{verdict:<44}{count:>12}")?;
        }
        writeln!(out, "\n{}", self.seen)?;
        let share = self.allows() * 100 / self.pairs.max(1);
        write!(out, "{} pairs, {share} % allowed, no disagreement", self.pairs)
    }
}
