//! Why a past request was answered as it was: which statement decided, or which permission was missing at each step.
//!
//! Read from a record of the ledger alone ([`Explanation::of`]). Nothing is evaluated anew: policies change, and what was
//! recorded is what counted.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audit;

/// Why a record cannot be explained: it is not one of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record cannot be read: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

/// Why a request was answered as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Id of the event.
    pub event_id: String,
    /// `x-amzn-RequestId` of the answer.
    pub request_id: String,
    /// When, ISO 8601.
    pub event_time: String,
    /// Such as `kms.amazonaws.com`.
    pub event_source: String,
    /// Name of the operation.
    pub event_name: String,
    /// Region.
    pub region: String,
    /// Account of the caller.
    pub account: String,
    /// ARN of the caller, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The error that was answered; none where the request succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Answered>,
    /// What there is to say of decisions.
    pub basis: Basis,
    /// The decisions, in the order in which they were asked for.
    pub decisions: Vec<Step>,
    /// How many more there were.
    pub omitted: u64,
}

/// An error that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// Its code.
    pub code: String,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What an explanation stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "eventId")]
pub enum Basis {
    /// Decisions were made.
    Decided,
    /// The request was refused before any decision.
    RefusedBefore,
    /// The service did it by itself; nobody was asked.
    ByItself,
    /// An operator of the installation did it, outside the API.
    ByOperator,
    /// The record is of an older release, which kept no decisions.
    NotRecorded,
    /// The effect of a call in another Region; its decisions stand with this event.
    See(String),
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The permission that was needed; none where the call needs no permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// ARN of the resource, or `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Whether it was allowed.
    pub allowed: bool,
    /// What decided: a kind of policy (`key-policy`, `identity-policy`, `permissions-boundary`, `session-policy`,
    /// `endpoint-policy`, `trust-policy`), `grant`, `root`, `rule`, or `no-permission-needed`.
    pub by: String,
    /// Whether a statement denied it. Where not, and it was not allowed, no policy of the kind allowed it.
    pub explicit: bool,
    /// The rule, where one refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The statement that decided, where one did; or the grant.
    #[serde(flatten)]
    pub statement: Statement,
    /// Of a denial, what each kind of policy said that was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Said>,
}

/// A statement of a policy, or a policy as a whole, as it was then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Name of an inline policy, ARN of a managed one, or id of the VPC endpoint whose policy it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Whose inline policy it is, such as `user/bob`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Version of a managed policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// First 64 bits of the SHA-256 of the policy's text, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Index of the statement, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<u64>,
    /// Its `Sid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Id of the grant, where a grant decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// What a kind of policy said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The kind.
    pub layer: String,
    /// `nothing`, `deny`, `allow`, `allow-within-caps` or `delegate`.
    pub says: String,
    /// How many policies said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// Why the statement, which allows the action, did not apply: `resource`, `principal` or `condition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misses: Option<String>,
    /// The statement.
    #[serde(flatten)]
    pub statement: Statement,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "eventID")]
    event_id: String,
    #[serde(rename = "requestID")]
    request_id: String,
    event_time: String,
    event_source: String,
    event_name: String,
    event_type: String,
    aws_region: String,
    recipient_account_id: String,
    user_identity: UserIdentity,
    error_code: Option<String>,
    error_message: Option<String>,
    resources: Vec<ResourceName>,
}

#[derive(Deserialize)]
struct UserIdentity {
    arn: Option<String>,
}

#[derive(Deserialize)]
struct ResourceName {
    #[serde(rename = "ARN")]
    arn: String,
}

/// The second line of a record, as `decided.rs` writes it.
#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    decisions: Vec<KeptStep>,
    #[serde(default)]
    omitted: u64,
    of: Option<String>,
}

#[derive(Deserialize)]
struct KeptStep {
    action: Option<String>,
    on: Option<usize>,
    resource: Option<String>,
    allow: Option<String>,
    deny: Option<String>,
    #[serde(default)]
    explicit: bool,
    rule: Option<String>,
    #[serde(flatten)]
    statement: Statement,
    #[serde(default)]
    layers: Vec<Said>,
}

/// The ids by which a record is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ids<'a> {
    /// Id of the event.
    #[serde(rename = "eventID", borrow)]
    pub event_id: Cow<'a, str>,
    /// `x-amzn-RequestId` of the answer.
    #[serde(rename = "requestID", borrow)]
    pub request_id: Cow<'a, str>,
}

impl<'a> Ids<'a> {
    /// The ids of a record of the ledger.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn of(record: &'a [u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(audit::split(record).0).map_err(unreadable)
    }
}

fn unreadable(error: serde_json::Error) -> Unreadable {
    Unreadable(error.to_string())
}

impl Explanation {
    /// Explains a record of the ledger.
    ///
    /// # Errors
    /// [`Unreadable`] for what this program did not write.
    pub fn of(record: &[u8]) -> Result<Self, Unreadable> {
        let (event, kept) = audit::split(record);
        let event: Event = serde_json::from_slice(event).map_err(unreadable)?;
        let kept: Option<Kept> = kept.map(serde_json::from_slice).transpose().map_err(unreadable)?;
        let (basis, steps, omitted) = match kept {
            None if event.event_type == "AwsServiceEvent" => (Basis::ByItself, Vec::new(), 0),
            None if event.event_type == "AwsConsoleAction" => (Basis::ByOperator, Vec::new(), 0),
            None => (Basis::NotRecorded, Vec::new(), 0),
            Some(Kept { of: Some(id), .. }) => (Basis::See(id), Vec::new(), 0),
            Some(Kept { decisions, omitted: 0, .. }) if decisions.is_empty() => {
                (Basis::RefusedBefore, Vec::new(), 0)
            }
            Some(Kept { decisions, omitted, .. }) => (Basis::Decided, decisions, omitted),
        };
        let decisions = steps.into_iter().map(|step| step.named(&event.resources)).collect();
        Ok(Self {
            error: event.error_code.map(|code| Answered { code, message: event.error_message }),
            event_id: event.event_id,
            request_id: event.request_id,
            event_time: event.event_time,
            event_source: event.event_source,
            event_name: event.event_name,
            region: event.aws_region,
            account: event.recipient_account_id,
            caller: event.user_identity.arn,
            basis,
            decisions,
            omitted,
        })
    }
}

impl KeptStep {
    fn named(self, resources: &[ResourceName]) -> Step {
        let listed = self.on.and_then(|index| resources.get(index)).map(|listed| listed.arn.clone());
        Step {
            action: self.action,
            resource: self.resource.or(listed),
            allowed: self.deny.is_none(),
            by: self.deny.or(self.allow).unwrap_or_default(),
            explicit: self.explicit,
            rule: self.rule,
            statement: self.statement,
            layers: self.layers,
        }
    }
}

/// Text that others chose, for a terminal: nothing in it moves the cursor.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => write!(f, "{c}"),
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, caller) = (Plain(&self.event_name), self.caller.as_deref().unwrap_or("the service"));
        writeln!(f, "{name} at {} by {}", self.event_time, Plain(caller))?;
        writeln!(f, "  account {}, {} in {}", self.account, self.event_source, self.region)?;
        writeln!(f, "  event {}, request {}", self.event_id, Plain(&self.request_id))?;
        match &self.error {
            None => writeln!(f, "\nIt succeeded.")?,
            Some(Answered { code, message: None }) => writeln!(f, "\nIt was refused: {code}")?,
            Some(Answered { code, message: Some(text) }) => {
                writeln!(f, "\nIt was refused: {code}: {}", Plain(text))?;
            }
        }
        self.write_basis(f)?;
        for (index, step) in self.decisions.iter().enumerate() {
            write!(f, "\n{}. {step}", index + 1)?;
        }
        match self.omitted {
            0 => Ok(()),
            more => writeln!(f, "\n{more} more decisions were not kept: there was no room."),
        }
    }
}

impl Explanation {
    fn write_basis(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let denied = self.error.as_ref().is_some_and(|error| error.code == "AccessDenied");
        match &self.basis {
            Basis::Decided if denied && self.decisions.iter().all(|step| step.allowed) => writeln!(
                f,
                "The policies that were asked allowed it; then a rule refused it, or what it names next does not \
                 exist or is of another account, where this operation does not reach."
            ),
            Basis::Decided if self.error.is_some() && self.decisions.iter().all(|step| step.allowed) => {
                writeln!(f, "Its permissions were there; it failed for the reason above.")
            }
            Basis::Decided => Ok(()),
            Basis::RefusedBefore if denied => writeln!(
                f,
                "No policy was asked: what it names does not exist, or is of another account, where this operation \
                 does not reach."
            ),
            Basis::RefusedBefore => {
                writeln!(f, "No policy was asked: it was refused before any decision, for the reason above.")
            }
            Basis::ByItself => writeln!(f, "The service did this by itself; no policy was asked."),
            Basis::ByOperator => {
                writeln!(f, "An operator of this installation asked for it; no policy applies.")
            }
            Basis::NotRecorded => writeln!(f, "The release that wrote this event kept no decisions."),
            Basis::See(event) => {
                writeln!(f, "This is the effect in another Region of the call of event {event}.")
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(action) = &self.action else {
            return writeln!(f, "allowed: the call needs no permission");
        };
        write!(f, "{action} on {}: ", Plain(self.resource.as_deref().unwrap_or("-")))?;
        let kind = kind(&self.by);
        match (self.allowed, self.by.as_str()) {
            (_, "rule") => writeln!(f, "denied: {}", self.rule.as_deref().unwrap_or("a rule"))?,
            (_, "root") => writeln!(f, "allowed: the root user has every permission in its account")?,
            (true, "grant") => match &self.statement.grant {
                Some(id) => writeln!(f, "allowed by the grant {}", Plain(id))?,
                None => writeln!(f, "allowed by a grant")?,
            },
            (true, _) => writeln!(f, "allowed by the {kind}: {}", self.statement)?,
            (false, _) if self.explicit => writeln!(f, "denied by the {kind}: {}", self.statement)?,
            (false, _) => writeln!(f, "denied: no {kind} allows it")?,
        }
        self.layers.iter().try_for_each(|said| writeln!(f, "     {said}"))
    }
}

/// A kind of policy, in words.
fn kind(layer: &str) -> &str {
    match layer {
        "endpoint-policy" => "VPC endpoint policy",
        "key-policy" => "key policy",
        "trust-policy" => "trust policy",
        "permissions-boundary" => "permissions boundary",
        "session-policy" => "session policy",
        "identity-policy" => "identity policy",
        other => other,
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", kind(&self.layer))?;
        let statement = &self.statement;
        match (self.says.as_str(), self.asked, &self.misses) {
            ("deny", ..) => write!(f, "{statement} denies it"),
            ("allow", ..) if self.layer == "grant" => write!(f, "one allows it"),
            ("allow", ..) => write!(f, "{statement} allows it"),
            ("allow-within-caps", ..) => {
                write!(f, "{statement} allows it within permissions boundary and session policies")
            }
            ("delegate", ..) if self.layer == "grant" => {
                write!(f, "one leaves it to the account's identity policies")
            }
            ("delegate", ..) => write!(f, "{statement} leaves it to the account's identity policies"),
            (_, Some(0), _) => write!(f, "there is none"),
            (_, asked, misses) => {
                match (asked, statement.statement) {
                    (Some(1) | None, Some(_)) => write!(f, "it does not allow it")?,
                    (Some(1) | None, None) => write!(f, "{statement} does not allow it")?,
                    (Some(many), _) => write!(f, "none of {many} allows it")?,
                }
                match misses.as_deref() {
                    None => Ok(()),
                    Some("principal") => write!(f, "; {statement} would, but not to this caller"),
                    Some("resource") => write!(f, "; {statement} would, but not on this resource"),
                    Some(_) => write!(f, "; {statement} would, but its condition is not met"),
                }
            }
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.statement, &self.policy) {
            (Some(number), _) => write!(f, "statement {number}")?,
            (None, Some(policy)) => write!(f, "{}", Plain(policy))?,
            (None, None) => f.write_str("it")?,
        }
        if let Some(sid) = &self.sid {
            write!(f, " \"{}\"", Plain(sid))?;
        }
        if let (Some(_), Some(policy)) = (self.statement, &self.policy) {
            write!(f, " of {}", Plain(policy))?;
        }
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        if let Some(holder) = &self.holder {
            write!(f, " in {}", Plain(holder))?;
        }
        match &self.digest {
            Some(digest) => write!(f, " (text {digest})"),
            None => Ok(()),
        }
    }
}
