//! Principals of IAM as the tests have them, and what they ask.

use std::fmt::Write as _;

use bytes::Bytes;
use claviger_service::Handled;
use claviger_wire::incoming::Incoming;
use claviger_wire::sigv4::{Scope, Signer, SigningKey, sign};
use http::{Method, Request};
use serde_json::Value;

use crate::explanations::check_explained;
use crate::world::{REGION, Root, World, block_on, origin};

/// Credentials of a principal, long-term or of a session.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

impl From<Root> for Actor {
    fn from(root: Root) -> Self {
        Self { access_key_id: root.access_key_id.to_owned(), secret: root.secret.to_owned(), token: None }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// The event, `null` where nobody was authenticated.
    pub(crate) event: Value,
}

impl Reply {
    /// The content of the first element of a name.
    pub(crate) fn element(&self, name: &str) -> &str {
        self.elements(name).first().unwrap_or_else(|| panic!("no <{name}> in {}", self.body))
    }

    /// The contents of all elements of a name.
    pub(crate) fn elements(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.body.split(&*open).skip(1).filter_map(|rest| Some(rest.split_once(&*close)?.0)).collect()
    }

    /// The code of an error, of either protocol.
    pub(crate) fn code(&self) -> Option<String> {
        if self.status == 200 {
            return None;
        }
        match serde_json::from_str::<Value>(&self.body) {
            Ok(body) => Some(body["__type"].as_str().unwrap().to_owned()),
            Err(_) => Some(self.element("Code").to_owned()),
        }
    }
}

impl Actor {
    fn signed(
        &self,
        world: &World,
        (service, region): (&str, &str),
        request: http::request::Builder,
        body: &str,
    ) -> Incoming {
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let now = world.now();
        let date: String = now.iso().chars().filter(char::is_ascii_digit).take(8).collect();
        let key = SigningKey::derive(self.secret.as_bytes(), &date, region, service);
        let scope = Scope { date, region: region.to_owned(), service: service.to_owned() };
        let (access_key_id, session_token) = (&*self.access_key_id, self.token.as_deref());
        let signer = Signer { access_key_id, session_token, scope: &scope, key: &key };
        sign(&mut head, body.as_bytes(), &signer, now.seconds()).unwrap();
        Incoming {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: Bytes::from(body.to_owned()),
            origin: origin().into(),
        }
    }

    /// A signed call of IAM or STS.
    pub(crate) fn query(
        &self,
        world: &World,
        service: &str,
        action: &str,
        members: &[(&str, &str)],
    ) -> Incoming {
        self.query_in(world, REGION, (service, action), members)
    }

    /// A call of IAM or STS that is signed for a Region.
    pub(crate) fn query_in(
        &self,
        world: &World,
        region: &str,
        (service, action): (&str, &str),
        members: &[(&str, &str)],
    ) -> Incoming {
        self.posts(world, (service, region), &form(service, action, members))
    }

    /// A form, signed as it stands.
    pub(crate) fn posts(&self, world: &World, scope: (&str, &str), form: &str) -> Incoming {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        self.signed(world, scope, request, form)
    }

    /// A signed call of KMS.
    pub(crate) fn json(&self, world: &World, operation: &str, body: &Value) -> Incoming {
        self.json_in(world, REGION, operation, body)
    }

    /// A signed call of KMS in a Region.
    pub(crate) fn json_in(&self, world: &World, region: &str, operation: &str, body: &Value) -> Incoming {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header("host", "localhost")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{operation}"));
        self.signed(world, ("kms", region), request, &body.to_string())
    }

    /// Calls IAM.
    pub(crate) fn iam(&self, world: &World, action: &str, members: &[(&str, &str)]) -> Reply {
        send(world, action, &self.query(world, "iam", action, members))
    }

    /// Calls STS.
    pub(crate) fn sts(&self, world: &World, action: &str, members: &[(&str, &str)]) -> Reply {
        send(world, action, &self.query(world, "sts", action, members))
    }

    /// Calls KMS.
    pub(crate) fn kms(&self, world: &World, operation: &str, body: &Value) -> Reply {
        send(world, operation, &self.json(world, operation, body))
    }

    /// A call of IAM that must succeed.
    pub(crate) fn does(&self, world: &World, action: &str, members: &[(&str, &str)]) -> Reply {
        let reply = self.iam(world, action, members);
        assert_eq!(reply.status, 200, "{action} {members:?}: {}", reply.body);
        reply
    }

    /// A call of IAM that must be refused; answers the error's code.
    pub(crate) fn refused(&self, world: &World, action: &str, members: &[(&str, &str)]) -> String {
        let reply = self.iam(world, action, members);
        reply.code().unwrap_or_else(|| panic!("{action} {members:?} succeeded: {}", reply.body))
    }
}

/// The form of a call of IAM or STS.
fn form(service: &str, action: &str, members: &[(&str, &str)]) -> String {
    let version = if service == "iam" { "2010-05-08" } else { "2011-06-15" };
    let mut body = format!("Action={action}&Version={version}");
    for (name, value) in members {
        let value = percent(value);
        write!(body, "&{name}={value}").unwrap();
    }
    body
}

/// A request that nobody signed.
pub(crate) fn bare(request: http::request::Builder, body: &str) -> Incoming {
    let (head, ()) = request.header("host", "localhost").body(()).unwrap().into_parts();
    Incoming {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: Bytes::from(body.to_owned()),
        origin: origin().into(),
    }
}

/// A call of STS without a signature.
pub(crate) fn unsigned_query(action: &str, members: &[(&str, &str)]) -> Incoming {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    bare(request, &form("sts", action, members))
}

/// Calls STS without a signature.
pub(crate) fn unsigned(world: &World, action: &str, members: &[(&str, &str)]) -> Reply {
    send(world, action, &unsigned_query(action, members))
}

fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => write!(out, "%{other:02X}").unwrap(),
        }
    }
    out
}

/// Sends a request and checks what must hold for every call: one event where someone was authenticated, which says what
/// the answer says; no change where it is refused.
pub(crate) fn send(world: &World, action: &str, incoming: &Incoming) -> Reply {
    let (before, events) = (world.content(), world.ledger.len());
    let handled: Handled = block_on(world.service.handle(incoming, world.now()));
    let written = world.ledger.since(events);
    let event = written.first().map_or(Value::Null, |event| serde_json::from_slice(event).unwrap());
    let reply = Reply {
        status: handled.outgoing.status,
        body: String::from_utf8(handled.outgoing.body.to_vec()).unwrap(),
        event,
    };
    assert_eq!(written.len(), usize::from(handled.account.is_some()), "events of {action}: {reply:?}");
    if reply.status != 200 {
        assert_eq!(before, world.content(), "a refused call changed the store: {reply:?}");
    }
    if handled.account.is_some() {
        assert_eq!(reply.event["eventName"], action);
        assert_eq!(reply.event["requestID"], handled.outgoing.request_id);
        assert_eq!(reply.event["errorCode"].is_string(), reply.status != 200, "{reply:?}");
        check_explained(&world.ledger.records(events)[0]);
    }
    reply
}

/// The credentials that an answer holds.
pub(crate) fn credentials(reply: &Reply) -> Actor {
    assert_eq!(reply.status, 200, "{}", reply.body);
    Actor {
        access_key_id: reply.element("AccessKeyId").to_owned(),
        secret: reply.element("SecretAccessKey").to_owned(),
        token: reply.elements("SessionToken").first().map(|token| (*token).to_owned()),
    }
}

/// Makes a user with an access key, as the root user.
pub(crate) fn new_user(world: &World, root: Root, name: &str) -> Actor {
    let root = Actor::from(root);
    root.does(world, "CreateUser", &[("UserName", name)]);
    credentials(&root.does(world, "CreateAccessKey", &[("UserName", name)]))
}

/// A policy with one statement that allows actions on everything.
pub(crate) fn allow(actions: &[&str]) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    })
    .to_string()
}

/// Gives a user an inline policy.
pub(crate) fn give(world: &World, root: Root, user: &str, policy: &str) {
    let members = [("UserName", user), ("PolicyName", "p"), ("PolicyDocument", policy)];
    Actor::from(root).does(world, "PutUserPolicy", &members);
}

/// A trust policy for an AWS principal.
pub(crate) fn trusts(principal: &str) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal},
            "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}],
    })
    .to_string()
}
