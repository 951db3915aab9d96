//! The shell of Claviger: everything that touches the machine. Sockets, files, the clock, processes, configuration.
//!
//! What a request means is decided in `claviger-service`; here it is read from a socket ([`http`]), and its reply is
//! written once its event is durable ([`ledger`]). Key material is behind [`hsm_link`], in another process.

pub mod account;
pub mod admin;
pub mod attestation;
pub mod audit;
pub mod certificate;
pub mod cli;
pub mod config;
pub mod cross_origin;
pub mod dev;
pub mod entrance;
pub mod explain;
pub mod files;
pub mod hsm_link;
pub mod hsm_process;
pub mod http;
pub mod ledger;
pub mod ledger_lane;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod oidc;
pub mod program;
pub mod proxy;
pub mod quotas;
pub mod secrets;
pub mod security_log;
pub mod serve;
pub mod services;
pub mod shell;
pub mod status;
pub mod stop;
pub mod tls;
