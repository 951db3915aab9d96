//! The checks of AWS's front end, in its order, before anything is known of the caller but what it sent.

use claviger_wire::fault::{self, Code};
use claviger_wire::incoming::Incoming;
use claviger_wire::json::{self, Value};
use claviger_wire::query::Query;
use http::Method;

use super::Protocol;
use crate::error::Error;
use crate::kms;
use crate::operation::Entry;
use crate::sts;

/// Where a request goes.
pub(crate) enum Route<'a> {
    /// An operation of AWS JSON and its body.
    Json(&'static Entry, Value<'a>),
    /// An action of the query protocol.
    Query(sts::Action),
    /// An operation of the API that this version does not serve.
    NotServed(&'static str),
    /// Nowhere.
    Refused(Refused),
}

/// An answer of the front end.
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) code: Code,
    pub(crate) cause: Option<String>,
    /// What the caller reads, in the query protocol: its envelope is written once the request's id is known.
    pub(crate) message: Option<String>,
    name: String,
    protocol: Protocol,
}

impl Refused {
    /// The refusal as an operation's outcome, for the trail and the query protocol's envelope.
    pub(crate) fn error(&self) -> Error {
        Error { cause: self.cause.clone(), message: self.message.clone(), ..Error::bare(self.code) }
    }
}

const TARGET_PREFIX: &str = "TrentService.";
/// Longest operation name that the log and the trail repeat, in bytes.
const MAX_NAME: usize = 128;

const NO_OPERATION: &str = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be \
                            authorized</Message>\n</AccessDeniedException>\n";

impl Route<'_> {
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Query(_) => Protocol::Query,
            Self::Refused(refused) => refused.protocol,
            Self::Json(..) | Self::NotServed(_) => Protocol::Json,
        }
    }

    /// Name of the operation for the log and the trail.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Json(entry, _) => entry.name,
            Self::Query(action) => action.name(),
            Self::NotServed(name) => name,
            Self::Refused(refused) => &refused.name,
        }
    }

    /// The service that the credential must be scoped to.
    pub(crate) fn service(&self) -> &'static str {
        match self.protocol() {
            Protocol::Json => "kms",
            Protocol::Query => "sts",
        }
    }

    pub(crate) fn event_source(&self) -> &'static str {
        match self.protocol() {
            Protocol::Json => "kms.amazonaws.com",
            Protocol::Query => "sts.amazonaws.com",
        }
    }

    pub(crate) fn read_only(&self) -> bool {
        match self {
            Self::Json(entry, _) => entry.read_only,
            Self::Query(_) => true,
            // Nothing is done, so nothing is written.
            Self::NotServed(_) | Self::Refused(_) => true,
        }
    }
}

/// What a content type says of the body.
enum ContentType {
    AwsJson,
    PlainJson,
    Form,
    Other,
}

fn content_type(incoming: &Incoming) -> ContentType {
    let value = incoming.header("content-type").unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim() {
        "application/x-amz-json-1.1" => ContentType::AwsJson,
        "application/json" => ContentType::PlainJson,
        "application/x-www-form-urlencoded" => ContentType::Form,
        _ => ContentType::Other,
    }
}

/// Finds out what a request asks for.
pub(crate) fn route(incoming: &Incoming) -> Route<'_> {
    let target = incoming.header("x-amz-target");
    let name = clip(target.map_or("-", |target| target.strip_prefix(TARGET_PREFIX).unwrap_or(target)));
    if incoming.path != "/" {
        return refuse(
            name,
            404,
            "application/xml",
            "<UnknownOperationException/>\n",
            Code::UnknownOperation,
        );
    }
    if incoming.method == Method::GET && incoming.query.contains("Action=") {
        return query(incoming.query.as_bytes());
    }
    if incoming.method != Method::POST {
        return refuse(name, 403, "application/xml", NO_OPERATION, Code::AccessDenied);
    }
    match content_type(incoming) {
        ContentType::Form => query(&incoming.body),
        ContentType::AwsJson => json(name, target, incoming, false),
        ContentType::PlainJson => json(name, target, incoming, true),
        // AWS looks for a body before it looks at its type.
        ContentType::Other if incoming.body.is_empty() => json(name, target, incoming, false),
        ContentType::Other if target.is_none() => {
            refuse(name, 403, "application/xml", NO_OPERATION, Code::AccessDenied)
        }
        ContentType::Other => {
            refuse(name, 404, "application/xml", "<UnknownOperationException/>\n", Code::UnknownOperation)
        }
    }
}

fn json<'a>(name: &str, target: Option<&str>, incoming: &'a Incoming, plain: bool) -> Route<'a> {
    let operation = target.and_then(|target| target.strip_prefix(TARGET_PREFIX)).unwrap_or_default();
    let entry = kms::ops::ALL.iter().find(|entry| entry.name == operation);
    let not_served = kms::NOT_SERVED.iter().find(|name| **name == operation);
    let known = entry.is_some() || not_served.is_some();
    if incoming.body.is_empty() {
        let code = if known { Code::Serialization } else { Code::UnknownOperation };
        return refuse_json(name, code, "the body is empty", plain);
    }
    let body = match json::parse(&incoming.body) {
        Ok(body) => body,
        Err(error) => return refuse_json(name, Code::Serialization, &error.cause, plain),
    };
    match (plain, entry, not_served) {
        (false, Some(entry), _) => Route::Json(entry, body),
        (false, None, Some(name)) => Route::NotServed(name),
        _ => refuse_json(name, Code::UnknownOperation, "no such operation", plain),
    }
}

fn query<'a>(form: &'a [u8]) -> Route<'a> {
    let refuse_query = |name: &str, code: Code, message: String| {
        Route::Refused(Refused {
            status: code.query_name().1,
            content_type: "text/xml",
            body: Vec::new(),
            code,
            cause: None,
            message: Some(message),
            name: clip(name).to_owned(),
            protocol: Protocol::Query,
        })
    };
    let parsed = match Query::parse(form) {
        Ok(parsed) => parsed,
        Err(error) => return refuse_query("-", Code::Validation, format!("{error:?}")),
    };
    let (action, version) =
        (parsed.value("Action").unwrap_or("-"), parsed.value("Version").unwrap_or_default());
    match sts::Action::named(action).filter(|_| version == sts::VERSION) {
        Some(action) => Route::Query(action),
        None => {
            let message = format!("Could not find operation {} for version {}", clip(action), clip(version));
            refuse_query(action, Code::InvalidAction, message)
        }
    }
}

fn refuse(name: &str, status: u16, content_type: &'static str, body: &str, code: Code) -> Route<'static> {
    Route::Refused(Refused {
        status,
        content_type,
        body: body.as_bytes().to_vec(),
        code,
        cause: None,
        message: None,
        name: name.to_owned(),
        protocol: Protocol::Json,
    })
}

fn refuse_json(name: &str, code: Code, cause: &str, plain: bool) -> Route<'static> {
    let body = if plain {
        let kind = code.json_name();
        format!(r#"{{"Output":{{"__type":"com.amazon.coral.service#{kind}"}},"Version":"1.0"}}"#).into_bytes()
    } else {
        fault::json_body(code, None)
    };
    let (status, content_type) = match (plain, code) {
        (true, Code::UnknownOperation) => (404, "application/json"),
        (true, _) => (400, "application/json"),
        (false, _) => (400, super::JSON),
    };
    Route::Refused(Refused {
        status,
        content_type,
        body,
        code,
        cause: Some(cause.to_owned()),
        message: None,
        name: name.to_owned(),
        protocol: Protocol::Json,
    })
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_NAME)).unwrap_or_default()
}
