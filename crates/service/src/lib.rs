//! The domain of Claviger: the operations of KMS, IAM and STS, who may call them, and the record of each call.
//!
//! A request goes one way through this crate ([`dispatch`]):
//!
//! ```text
//! Incoming -> Claim -> Caller -> Entry -> Request -> load -> authorize -> act -> commit -> Event durable -> Outgoing
//! ```
//!
//! Nothing here opens a socket or a file, reads a clock or makes randomness: the shell passes them in as
//! [`Moment`], [`Entropy`], [`store::Store`](claviger_store::Store), [`Vault`] and [`Ledger`].

pub mod account;
mod announcement;
pub mod attestation;
pub mod audit;
mod authn;
mod cache;
mod call;
mod cleared;
pub mod credential;
mod decided;
mod dispatch;
mod endpoint;
mod error;
pub mod explain;
pub mod iam;
mod installation;
pub mod kms;
pub mod ledger_end;
mod moment;
pub mod oidc;
mod operation;
pub mod outbox;
pub mod query;
pub mod quota;
mod record;
pub mod schedule;
mod services;
pub mod sts;
mod turns;
pub mod usage;
mod vault;
pub mod writeback;

pub use audit::{Ledger, LedgerError, Reservation};
pub use authn::{Caller, Principal};
pub use call::{Authorized, Call};
pub use dispatch::{Handled, Outgoing, Service};
pub use endpoint::{Endpoint, Endpoints};
pub use error::{Error, Result};
pub use installation::{Installation, OpenError, Regions};
pub use moment::{Clock, Entropy, Moment, NoEntropy, Stopwatch};
pub use operation::{Entry, Operation};
pub use record::FORMAT;
pub use services::{ServiceDefinition, Services};
pub use vault::{ReplyBody, Vault, VaultError};

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
