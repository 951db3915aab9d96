//! The HSM: the only part of Claviger that ever sees key material.
//!
//! [`Engine`] carries out commands and [`Session`] speaks the protocol of one connection; neither does I/O. The
//! program `claviger-hsm` adds a Unix socket, a seal in files and the confinement of the process.
//!
//! What may be known from outside:
//!
//! - Keys live in the store, wrapped under a domain key; the HSM keeps no table of them, only a bounded
//!   cache of unwrapped materials: symmetric and HMAC keys in secret memory, parsed asymmetric keys on the heap of the
//!   libraries that use them.
//! - Nothing here can hand out a backing key: no reply type carries one.
//! - Time and randomness are arguments, so the engine runs in simulations as it runs in production.

mod algorithms;
mod arena;
mod cache;
mod cipher;
mod cost;
mod credential;
mod domain;
mod engine;
mod envelope;
mod fields;
mod import;
mod limits;
mod primitives;
mod random;
pub mod seal;
mod selftest;
mod session;
mod token;
mod transfer;

pub use arena::{ArenaError, Protection};
pub use cost::{Class, Cost, cost};
pub use engine::{DEFAULT_CACHE_LEN, Engine, StartError, create_domain};
pub use random::{Random, RandomFailure, SystemEntropy};
pub use session::{Closed, Deferred, Session, Step};
