//! A client that signs, over one connection that is kept alive.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use claviger_server::shell;
use claviger_wire::sigv4::{Scope, Signer, SigningKey, sign};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// The Region that every test calls.
pub(crate) const REGION: &str = "us-east-1";

/// Whose requests these are.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: Arc<str>,
    pub(crate) secret_access_key: Arc<str>,
}

impl Credentials {
    /// From a file such as the AWS SDKs read, with one profile.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let value = |name: &str| -> Arc<str> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
            line.unwrap_or_else(|| panic!("{} has no {name}", path.display())).trim().into()
        };
        Self { access_key_id: value("aws_access_key_id"), secret_access_key: value("aws_secret_access_key") }
    }
}

/// The connection ended before an answer was read.
#[derive(Debug)]
pub(crate) struct Broken;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) body: Value,
}

impl Answer {
    /// Name of the error; `None` for a success.
    pub(crate) fn error(&self) -> Option<&str> {
        (self.status != 200).then(|| self.body["__type"].as_str().unwrap_or("-"))
    }

    /// A member of the body that holds text.
    pub(crate) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {self:?}"))
    }

    /// A member of the body that holds bytes.
    pub(crate) fn bytes(&self, member: &str) -> Vec<u8> {
        unbase64(self.text(member))
    }

    /// The same, which must be a success.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }
}

/// Bytes as base64, as AWS JSON shows them.
pub(crate) fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// The bytes of base64.
pub(crate) fn unbase64(text: &str) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text).unwrap()
}

/// A connection on which one request is under way at a time. Closed when it is dropped.
pub(crate) struct Client {
    host: String,
    credentials: Credentials,
    key: Option<(Scope, SigningKey)>,
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
}

impl Client {
    /// Connects without TLS.
    pub(crate) async fn connect(address: &str, credentials: &Credentials) -> Result<Self, Broken> {
        let stream = TcpStream::connect(address).await.map_err(|_| Broken)?;
        stream.set_nodelay(true).map_err(|_| Broken)?;
        Self::over(stream, address, credentials).await
    }

    /// Speaks over a stream that stands already.
    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: &str,
        credentials: &Credentials,
    ) -> Result<Self, Broken> {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Broken)?;
        let connection = tokio::spawn(async move {
            // How a connection ends is seen by the request that is under way on it.
            let _ = connection.await;
        });
        Ok(Self { host: host.to_owned(), credentials: credentials.clone(), key: None, sender, connection })
    }

    /// Calls an operation of KMS.
    pub(crate) async fn call(&mut self, operation: &str, input: &Value) -> Result<Answer, Broken> {
        let request = self.request(operation, input);
        let response = self.sender.send_request(request).await.map_err(|_| Broken)?;
        let status = response.status().as_u16();
        let request_id = response.headers().get("x-amzn-requestid").map(|id| id.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.map_err(|_| Broken)?.to_bytes();
        let request_id = request_id.unwrap_or_else(|| panic!("{status} without a request id"));
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Ok(Answer { status, request_id, body })
    }

    /// The bytes of a request, for whoever sends them by hand.
    pub(crate) fn bytes(&mut self, operation: &str, input: &Value) -> Vec<u8> {
        let request = self.request(operation, input);
        let mut bytes = b"POST / HTTP/1.1\r\n".to_vec();
        for (name, value) in request.headers() {
            bytes.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        let body = serde_json::to_vec(input).unwrap();
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    fn request(&mut self, operation: &str, input: &Value) -> Request<Full<Bytes>> {
        let body = Bytes::from(serde_json::to_vec(input).unwrap());
        let request = Request::post("/")
            .header("host", &self.host)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{operation}"));
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let now = shell::now();
        let date = now.iso().get(..10).unwrap().replace('-', "");
        if self.key.as_ref().is_none_or(|(scope, _)| scope.date != date) {
            let secret = self.credentials.secret_access_key.as_bytes();
            let key = SigningKey::derive(secret, &date, REGION, "kms");
            self.key = Some((Scope { date, region: REGION.to_owned(), service: "kms".to_owned() }, key));
        }
        let (scope, key) = self.key.as_ref().unwrap();
        let signer =
            Signer { access_key_id: &self.credentials.access_key_id, session_token: None, scope, key };
        sign(&mut head, &body, &signer, now.seconds()).unwrap();
        Request::from_parts(head, Full::new(body))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
