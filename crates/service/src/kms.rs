//! The Key Management Service.

pub mod alias;
pub(crate) mod aws_managed;
pub(crate) mod change;
pub mod context;
mod data_key;
mod data_key_pair;
mod dry_run;
pub(crate) mod grant;
pub mod identifier;
mod import;
mod import_token;
pub mod key;
pub(crate) mod key_count;
pub mod key_policy;
mod life;
pub(crate) mod load;
pub mod marker;
mod message;
pub mod metadata;
pub(crate) mod multi_region;
pub mod ops;
pub(crate) mod recipient;
pub(crate) mod rotation;
pub mod shapes;
pub mod spec;
mod state;
pub mod tags;

/// Operations of the KMS API that this version does not serve. They answer an error that says so.
///
/// Together with [`ops::ALL`] this is the whole API: a test compares the two with AWS's own model.
pub const NOT_SERVED: &[&str] = &[
    "ConnectCustomKeyStore",
    "CreateCustomKeyStore",
    "DeleteCustomKeyStore",
    "DescribeCustomKeyStores",
    "DisconnectCustomKeyStore",
    "UpdateCustomKeyStore",
];
