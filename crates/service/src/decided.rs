//! What was decided about a call, as it is kept beside the call's event.
//!
//! A record of the ledger is the event, one line of JSON, and behind a line feed a second line: what was decided, by
//! which statement of which policy. It goes into the ledger with the event, as one record, and is for the operator only:
//! what other accounts' key policies say is nothing for a caller's trail, which keeps CloudTrail's form. Policies change;
//! so this is what the policies said then. A fingerprint tells whether a policy is still the same.
//!
//! An Allow takes a few dozen bytes. Only a denial asks every layer ([`policy::trace`]).

use std::sync::Arc;

use aws_lc_rs::digest;
use claviger_policy::{self as policy, Finding, Grant, Grantor, Layer, Miss, StatementRef, Trace};
use claviger_wire::line::Line;

use crate::endpoint::Endpoint;
use crate::iam::effective::Effective;
use crate::iam::identity::Identity;
use crate::iam::managed::ManagedPolicy;

/// Most bytes of what was decided about one call. What does not fit is counted only.
pub(crate) const MAX_LEN: usize = 8 * 1024;
/// Room that closing the line and counting what was left out takes.
const CLOSING: usize = 64;
/// Longest `Sid` kept, in bytes.
const MAX_SID: usize = 128;
/// Longest name of a resource kept, in bytes.
const MAX_NAME: usize = 1024;
/// Room for an Allow in bytes.
const USUAL_LEN: usize = 192;

/// What tells the text of a policy from others: the first 64 bits of its SHA-256, in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub(crate) fn of(text: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let mut hex = [b'0'; 16];
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).map_or(b'0', |digit| digit as u8);
        for (pair, byte) in hex.chunks_exact_mut(2).zip(hash.as_ref()) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        Self(hex)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a policy of the caller's side is from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The inline policy of this index of a user, group or role.
    Inline(Arc<Identity>, usize),
    /// A managed policy, in the version in force.
    Managed(Arc<ManagedPolicy>),
    /// A policy that was given when the session was asked for.
    Session(Fingerprint),
}

/// The resource's own policy.
#[derive(Clone, Copy)]
pub(crate) struct Guard {
    /// `key-policy` or `trust-policy`.
    pub(crate) name: &'static str,
    pub(crate) fingerprint: Fingerprint,
}

/// Where the policies of a decision are from.
#[derive(Clone, Copy)]
pub(crate) struct Origins<'a> {
    pub(crate) guard: Option<Guard>,
    /// Id of the grant that allows it, if one does.
    pub(crate) grant: Option<&'a str>,
    pub(crate) effective: &'a Effective,
    pub(crate) session: &'a [Source],
    /// The VPC endpoint that the request came through.
    pub(crate) endpoint: Option<&'a Endpoint>,
    pub(crate) region: &'a str,
}

impl<'a> Origins<'a> {
    /// Where a document of a layer is from.
    fn source(&self, layer: Layer, document: usize) -> Option<&'a Source> {
        match layer {
            Layer::Identity => self.effective.sources.get(document),
            Layer::Boundary => self.effective.boundary_source.as_ref(),
            Layer::Session => self.session.get(document),
            Layer::Endpoint | Layer::Resource => None,
        }
    }

    /// How many policies of a layer were asked.
    fn count(&self, layer: Layer) -> usize {
        match layer {
            Layer::Identity => self.effective.identity.len(),
            Layer::Session => self.session.len(),
            Layer::Endpoint | Layer::Resource | Layer::Boundary => 1,
        }
    }

    /// What a layer is called.
    fn name(&self, layer: Layer) -> &'static str {
        match layer {
            Layer::Endpoint => "endpoint-policy",
            Layer::Resource => self.guard.map_or("resource-policy", |guard| guard.name),
            Layer::Boundary => "permissions-boundary",
            Layer::Session => "session-policy",
            Layer::Identity => "identity-policy",
        }
    }

    /// Names a policy.
    fn policy(&self, line: &mut Line, layer: Layer, document: usize) {
        match self.source(layer, document) {
            Some(Source::Inline(holder, index)) => {
                let held = holder.inline.get(*index);
                line.optional("policy", held.map(|inline| &*inline.name));
                line.text("holder", &format!("{}/{}", holder.kind.word(), holder.name));
                line.optional("digest", held.map(|inline| inline.fingerprint.as_str()));
            }
            Some(Source::Managed(policy)) => {
                line.text("policy", &policy.arn(self.region))
                    .text("version", &format!("v{}", policy.default));
                line.text("digest", policy.fingerprint.as_str());
            }
            Some(Source::Session(fingerprint)) => drop(line.text("digest", fingerprint.as_str())),
            None => {
                let endpoint = self.endpoint.filter(|_| layer == Layer::Endpoint);
                line.optional("policy", endpoint.map(|endpoint| &**endpoint.id()));
                let guard = self.guard.filter(|_| layer == Layer::Resource);
                let digest = guard.map(|guard| guard.fingerprint);
                let digest = digest.or_else(|| endpoint.and_then(Endpoint::fingerprint));
                line.optional("digest", digest.as_ref().map(Fingerprint::as_str));
            }
        }
    }

    /// Names a statement and its policy.
    fn statement(&self, line: &mut Line, statement: &StatementRef<'_>) {
        self.policy(line, statement.layer, statement.document);
        line.number("statement", u64::try_from(statement.statement).unwrap_or(u64::MAX));
        line.optional("sid", statement.sid.map(|sid| clip(sid, MAX_SID)));
    }
}

/// What a decision is about.
#[derive(Clone, Copy)]
pub(crate) enum On<'a> {
    /// The resource of this index in the event.
    Listed(usize),
    /// A resource that the event does not show.
    Named(&'a str),
}

/// What was decided about a call, in the order in which it was asked.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    /// Objects of JSON with commas between them.
    text: Vec<u8>,
    omitted: u64,
}

impl Decisions {
    /// Notes that something was allowed.
    pub(crate) fn allow(&mut self, action: &str, on: On<'_>, grantor: &Grantor<'_>, origins: &Origins<'_>) {
        let mut line = begin(action, on);
        match grantor {
            Grantor::Statement(statement) => {
                line.text("allow", origins.name(statement.layer));
                origins.statement(&mut line, statement);
            }
            Grantor::Grant => drop(line.text("allow", "grant").optional("grant", origins.grant)),
            Grantor::Root => drop(line.text("allow", "root")),
        }
        self.push(line);
    }

    /// Notes that something was denied, and what each layer said of it.
    pub(crate) fn deny(&mut self, action: &str, on: On<'_>, trace: &Trace<'_>, origins: &Origins<'_>) {
        let mut line = begin(action, on);
        if let policy::Decision::Deny(reason) = trace.conclusion() {
            match &reason {
                policy::Reason::Explicit(statement) => {
                    line.text("deny", origins.name(statement.layer)).flag("explicit", true);
                    origins.statement(&mut line, statement);
                }
                policy::Reason::Implicit(layer) => drop(line.text("deny", origins.name(*layer))),
            }
        }
        line.json("layers", &layers(trace, origins));
        self.push(line);
    }

    /// Notes that a rule refused what no policy could have allowed.
    pub(crate) fn refuse(&mut self, action: &str, on: On<'_>, rule: &str) {
        let mut line = begin(action, on);
        line.text("deny", "rule").text("rule", rule);
        self.push(line);
    }

    /// Notes that the call needs no permission.
    pub(crate) fn needs_none(&mut self) {
        let mut line = Line::with_capacity(USUAL_LEN);
        line.text("allow", "no-permission-needed");
        self.push(line);
    }

    fn push(&mut self, line: Line) {
        let object = line.finish();
        if self.text.len() + object.len() + CLOSING > MAX_LEN {
            self.omitted += 1;
        } else if self.text.is_empty() {
            self.text = object;
        } else {
            self.text.push(b',');
            self.text.extend_from_slice(&object);
        }
    }

    /// Puts it behind an event.
    pub(crate) fn append_to(&self, event: &mut Vec<u8>) {
        event.extend_from_slice(b"\n{\"decisions\":[");
        event.extend_from_slice(&self.text);
        event.push(b']');
        if self.omitted > 0 {
            event.extend_from_slice(format!(",\"omitted\":{}", self.omitted).as_bytes());
        }
        event.push(b'}');
    }
}

/// Says, behind the event of another Region's trail, which event the decisions are kept with.
pub(crate) fn append_reference(event: &mut Vec<u8>, event_id: &str) {
    let mut line = Line::with_capacity(USUAL_LEN);
    line.text("of", event_id);
    event.push(b'\n');
    event.extend_from_slice(&line.finish());
}

fn begin(action: &str, on: On<'_>) -> Line {
    let mut line = Line::with_capacity(USUAL_LEN);
    line.text("action", action);
    match on {
        On::Listed(index) => line.number("on", u64::try_from(index).unwrap_or(u64::MAX)),
        On::Named(name) => line.text("resource", clip(name, MAX_NAME)),
    };
    line
}

/// What each layer said, in order; layers without a policy are left out.
fn layers(trace: &Trace<'_>, origins: &Origins<'_>) -> String {
    let mut objects = Vec::new();
    for (layer, finding) in trace.findings() {
        let (says, statement, miss) = match &finding {
            Finding::Absent => continue,
            Finding::Silent(None) => ("nothing", None, None),
            Finding::Silent(Some(near)) => ("nothing", Some(&near.statement), Some(near.miss)),
            Finding::Denies(statement) => ("deny", Some(statement), None),
            Finding::Allows(statement) => ("allow", Some(statement), None),
            Finding::AllowsWithinCaps(statement) => ("allow-within-caps", Some(statement), None),
            Finding::Delegates(statement) => ("delegate", Some(statement), None),
        };
        let mut line = Line::with_capacity(USUAL_LEN);
        line.text("layer", origins.name(layer)).text("says", says);
        if says == "nothing" {
            line.number("asked", u64::try_from(origins.count(layer)).unwrap_or(u64::MAX));
        }
        line.optional("misses", miss.map(missed));
        match statement {
            Some(statement) => origins.statement(&mut line, statement),
            None if origins.count(layer) == 1 => origins.policy(&mut line, layer, 0),
            None => {}
        }
        objects.push(String::from_utf8(line.finish()).unwrap_or_default());
    }
    match trace.grant {
        Grant::None => {}
        Grant::ToAccount => objects.push(r#"{"layer":"grant","says":"delegate"}"#.to_owned()),
        Grant::ToCaller => objects.push(r#"{"layer":"grant","says":"allow"}"#.to_owned()),
    }
    format!("[{}]", objects.join(","))
}

fn missed(miss: Miss) -> &'static str {
    match miss {
        Miss::Resource => "resource",
        Miss::Principal => "principal",
        Miss::Condition => "condition",
    }
}

fn clip(text: &str, len: usize) -> &str {
    text.get(..text.floor_char_boundary(len)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(effective: &Effective) -> Origins<'_> {
        Origins { guard: None, grant: None, effective, session: &[], endpoint: None, region: "us-east-1" }
    }

    #[test]
    fn a_fingerprint_is_the_beginning_of_the_hash() {
        assert_eq!(Fingerprint::of("abc").as_str(), "ba7816bf8f01cfea");
    }

    /// However much is asked and however it is named, the room for it suffices.
    #[test]
    fn decisions_keep_to_their_room() {
        let effective = Effective::default();
        let origins = origins(&effective);
        let sid = "\u{1}".repeat(40_000);
        let statement =
            StatementRef { layer: Layer::Resource, document: 0, statement: usize::MAX, sid: Some(&sid) };
        let mut decisions = Decisions::default();
        for _ in 0..1_000 {
            decisions.allow("kms:Encrypt", On::Named(&sid), &Grantor::Statement(statement), &origins);
        }
        let mut event = b"{}".to_vec();
        decisions.append_to(&mut event);
        assert!(event.len() <= MAX_LEN + 2, "{}", event.len());
        let (_, side) = crate::audit::split(&event);
        let side: serde_json::Value = serde_json::from_slice(side.unwrap()).unwrap();
        let kept = side["decisions"].as_array().unwrap().len();
        assert!(kept >= 1 && side["omitted"] == 1_000 - kept, "{kept}");
    }

    #[test]
    fn an_allow_takes_a_few_dozen_bytes() {
        let effective = Effective::default();
        let origins = origins(&effective);
        let mut decisions = Decisions::default();
        decisions.allow("kms:Encrypt", On::Listed(0), &Grantor::Root, &origins);
        let mut event = Vec::new();
        decisions.append_to(&mut event);
        let expected = "\n{\"decisions\":[{\"action\":\"kms:Encrypt\",\"on\":0,\"allow\":\"root\"}]}";
        assert_eq!(String::from_utf8(event).unwrap(), expected);
    }
}
