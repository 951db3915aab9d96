//! Bytes to meaning and back, as AWS's protocols define them; pure: no sockets, files, clock or async.
//!
//! - [`incoming`]: a request as it came off the socket.
//! - [`sigv4`]: who says they sign, and whether they do (AWS Signature Version 4).
//! - [`json`], [`codec`]: AWS JSON 1.1 requests to typed members, with AWS's error texts.
//! - [`query`]: the query protocol of IAM and STS; [`xml`] its answers.
//! - [`digits`]: decimal digits of dates.
//! - [`line`]: one JSON object, written fast, for logs and records.
//! - [`arn`]: Amazon Resource Names.
//! - [`fault`]: the error envelope.

pub mod arn;
pub mod codec;
pub mod digits;
pub mod fault;
pub mod incoming;
pub mod json;
pub mod line;
pub mod query;
pub mod sigv4;
pub mod xml;
