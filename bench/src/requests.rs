//! Requests, signed before the clock starts.

use bytes::Bytes;
use claviger_service::Moment;
use claviger_wire::sigv4::{self, Scope, Signer, SigningKey};
use http::Request;

use crate::ceiling::LENGTH_HEADER;

/// Who signs.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    /// The token of a session.
    pub(crate) session_token: Option<String>,
    /// What the requests are for; the day is set when they are signed.
    pub(crate) scope: Scope,
}

impl Credentials {
    /// Reads the profile that `claviger dev` wrote.
    pub(crate) fn read(path: &std::path::Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let value = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.split_once('='));
            found.map(|(_, value)| value.trim().to_owned()).ok_or_else(|| format!("no {name}"))
        };
        Ok(Self {
            access_key_id: value("aws_access_key_id")?,
            secret_access_key: value("aws_secret_access_key")?,
            session_token: None,
            scope: Scope { date: String::new(), region: "us-east-1".to_owned(), service: "kms".to_owned() },
        })
    }
}

/// The same request for the ceiling, which answers with a body of this length.
pub(crate) fn for_ceiling(request: &Bytes, answer_length: usize) -> Bytes {
    let line = b"POST / HTTP/1.1\r\n";
    let rest = request.strip_prefix(line.as_slice()).unwrap_or_default();
    [line.as_slice(), format!("{LENGTH_HEADER}: {answer_length}\r\n").as_bytes(), rest].concat().into()
}

/// The bytes of a signed request on a kept-alive connection, with the headers that an AWS SDK sends.
pub(crate) fn signed(
    credentials: &Credentials,
    host: &str,
    operation: &str,
    body: &str,
    now: Moment,
) -> Result<Bytes, String> {
    let request = Request::post("/")
        .header("host", host)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("TrentService.{operation}"))
        .header("user-agent", "aws-sdk-rust/1.3 os/linux lang/rust/1.95 api/kms/1.129")
        .header("amz-sdk-invocation-id", "6b0f3b1c-2f0d-4a53-9f3e-6a6c6d7f2f11")
        .header("amz-sdk-request", "attempt=1; max=3");
    bytes_of(credentials, request, body, now)
}

/// The bytes of a signed request to IAM or STS, whose service the credentials' scope names.
pub(crate) fn query(
    credentials: &Credentials,
    host: &str,
    members: &[(&str, &str)],
    now: Moment,
) -> Result<Bytes, String> {
    let version = if credentials.scope.service == "iam" { "2010-05-08" } else { "2011-06-15" };
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("Version", version).extend_pairs(members);
    let request = Request::post("/").header("host", host);
    let request = request.header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    bytes_of(credentials, request, &body.finish(), now)
}

fn bytes_of(
    credentials: &Credentials,
    request: http::request::Builder,
    body: &str,
    now: Moment,
) -> Result<Bytes, String> {
    let (mut parts, ()) = request.body(()).map_err(|error| error.to_string())?.into_parts();
    let scope =
        Scope { date: now.iso().get(..10).unwrap_or_default().replace('-', ""), ..credentials.scope.clone() };
    let secret = credentials.secret_access_key.as_bytes();
    let key = SigningKey::derive(secret, &scope.date, &scope.region, &scope.service);
    let session_token = credentials.session_token.as_deref();
    let signer =
        Signer { access_key_id: &credentials.access_key_id, session_token, scope: &scope, key: &key };
    sigv4::sign(&mut parts, body.as_bytes(), &signer, now.seconds()).map_err(|error| format!("{error:?}"))?;
    let mut bytes = b"POST / HTTP/1.1\r\n".to_vec();
    for (name, value) in &parts.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
    Ok(bytes.into())
}
