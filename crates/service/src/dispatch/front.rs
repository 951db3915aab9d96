//! The checks of AWS's front end, in its order, before anything is known of the caller but what it sent.

use std::borrow::Cow;

use claviger_wire::fault::{self, Code};
use claviger_wire::incoming::Incoming;
use claviger_wire::json::{self, Value};
use claviger_wire::query::Query;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, ORIGIN};

use super::Protocol;
use crate::error::Error;
use crate::kms;
use crate::operation::{Authentication, Entry};
use crate::query::Api;
use crate::quota::Rule;
use crate::sts;

/// Where a request goes.
pub(crate) enum Route<'a> {
    /// An operation of AWS JSON and its body.
    Json(&'static Entry, Value<'a>),
    /// An action of the query protocol.
    Query(&'static Api, &'static Entry, Value<'a>),
    /// An operation of an API that this version does not serve.
    NotServed(&'static str, Protocol),
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
    pub(crate) protocol: Protocol,
}

impl Refused {
    /// The refusal as an operation's outcome, for the trail and the query protocol's envelope.
    pub(crate) fn error(&self) -> Error {
        Error { cause: self.cause.clone(), message: self.message.clone(), ..Error::bare(self.code) }
    }
}

/// Where the operation stands.
const X_AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const TARGET_PREFIX: &str = "TrentService.";
/// Longest operation name that the log and the trail repeat, in bytes.
const MAX_NAME: usize = 128;

const NO_OPERATION: &str = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be \
                            authorized</Message>\n</AccessDeniedException>\n";

impl Route<'_> {
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Json(..) => Protocol::Json,
            Self::Query(api, ..) => Protocol::Query(api),
            Self::NotServed(_, protocol) => *protocol,
            Self::Refused(refused) => refused.protocol,
        }
    }

    /// The body of a request that says by a token in it who calls, and by nothing else.
    pub(crate) fn web_identity(&self) -> Option<&Value<'_>> {
        match self {
            Self::Query(_, entry, body) if entry.authentication == Authentication::WebIdentity => Some(body),
            _ => None,
        }
    }

    /// Name of the operation for the log and the trail.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Json(entry, _) | Self::Query(_, entry, _) => entry.name,
            Self::NotServed(name, _) => name,
            Self::Refused(refused) => &refused.name,
        }
    }

    /// The same, to be kept.
    pub(crate) fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Json(entry, _) | Self::Query(_, entry, _) => Cow::Borrowed(entry.name),
            Self::NotServed(name, _) => Cow::Borrowed(name),
            Self::Refused(refused) => Cow::Owned(refused.name.clone()),
        }
    }

    /// The operation of KMS, if it is one that is served.
    pub(crate) fn kms_operation(&self) -> Option<&'static str> {
        match self {
            Self::Json(entry, _) => Some(entry.name),
            _ => None,
        }
    }

    /// The service that the credential must be scoped to.
    pub(crate) fn service(&self) -> &'static str {
        match self.protocol() {
            Protocol::Json => "kms",
            Protocol::Query(api) => api.service,
        }
    }

    /// How the request is counted.
    pub(crate) fn rule(&self) -> Rule {
        match self.protocol() {
            Protocol::Json => Rule::of(self.name()),
            Protocol::Query(api) => Rule::of_service(api.service),
        }
    }

    pub(crate) fn event_source(&self) -> &'static str {
        match self.protocol() {
            Protocol::Json => "kms.amazonaws.com",
            Protocol::Query(api) => api.event_source,
        }
    }

    /// The Region of the event. IAM is global; its events are of one Region ("Global service events").
    pub(crate) fn region<'r>(&self, signed_for: &'r str, iam_region: &'r str) -> &'r str {
        match self.protocol() {
            Protocol::Query(api) if api.service == "iam" => iam_region,
            _ => signed_for,
        }
    }

    pub(crate) fn read_only(&self) -> bool {
        match self {
            Self::Json(entry, _) | Self::Query(_, entry, _) => entry.read_only,
            // Nothing is done, so nothing is written.
            Self::NotServed(..) | Self::Refused(_) => true,
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
    let value = incoming.header(&CONTENT_TYPE).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim() {
        "application/x-amz-json-1.1" => ContentType::AwsJson,
        "application/json" => ContentType::PlainJson,
        "application/x-www-form-urlencoded" => ContentType::Form,
        _ => ContentType::Other,
    }
}

/// Whether a browser asks if a page of some origin may call ("CORS-preflight request", Fetch Standard). It is no request
/// of an API and carries no signature.
pub(crate) fn is_preflight(incoming: &Incoming) -> bool {
    incoming.method == Method::OPTIONS && incoming.path == "/" && incoming.headers.contains_key(ORIGIN)
}

/// Finds out what a request asks for.
pub(crate) fn route(incoming: &Incoming) -> Route<'_> {
    let target = incoming.header(&X_AMZ_TARGET);
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
        (false, None, Some(name)) => Route::NotServed(name, Protocol::Json),
        _ => refuse_json(name, Code::UnknownOperation, "no such operation", plain),
    }
}

/// The version of the API tells which service is meant; the credential must then be scoped to that service.
fn query(form: &[u8]) -> Route<'_> {
    let parsed = match Query::parse(form) {
        Ok(parsed) => parsed,
        Err(error) => {
            // The first version that is named tells for whom it was signed, so that its event can be written.
            let api = Query::version_of(form).and_then(|version| Api::of_version(&version));
            return refuse_query(api.unwrap_or(&sts::API), "-", Code::Validation, error.to_string());
        }
    };
    let (action, version) =
        (parsed.value("Action").unwrap_or("-").to_owned(), parsed.value("Version").unwrap_or_default());
    let unknown = |api| {
        let message = format!("Could not find operation {} for version {}", clip(&action), clip(version));
        refuse_query(api, &action, Code::InvalidAction, message)
    };
    let Some(api) = Api::of_version(version) else { return unknown(&sts::API) };
    if let Some(name) = api.not_served.iter().find(|name| **name == action) {
        return Route::NotServed(name, Protocol::Query(api));
    }
    let Some(entry) = api.entries.iter().find(|entry| entry.name == action) else { return unknown(api) };
    match parsed.into_tree() {
        Ok(body) => Route::Query(api, entry, body),
        Err(error) => refuse_query(api, &action, Code::Validation, error.to_string()),
    }
}

fn refuse_query(api: &'static Api, name: &str, code: Code, message: String) -> Route<'static> {
    Route::Refused(Refused {
        status: code.query_name().1,
        content_type: "text/xml",
        body: Vec::new(),
        code,
        cause: None,
        message: Some(message),
        name: clip(name).to_owned(),
        protocol: Protocol::Query(api),
    })
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
