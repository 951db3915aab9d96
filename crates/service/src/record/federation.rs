//! Records of identity providers.

use minicbor::{Decode, Encode};

use super::{TagRecord, join};

/// An OpenID Connect provider, by its address in lower case.
pub(crate) fn provider(account: &str, key: &str) -> Vec<u8> {
    join(&["oidc", account, key])
}

/// All OpenID Connect providers of an account.
pub(crate) fn providers(account: &str) -> Vec<u8> {
    join(&["oidc", account, ""])
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct ProviderRecord {
    #[n(0)]
    pub(crate) account: String,
    /// Its address as it was spelled, without `https://`.
    #[n(1)]
    pub(crate) url: String,
    /// Unique id, which no answer shows: a provider that is made again under the same address is another.
    #[n(2)]
    pub(crate) id: String,
    #[n(3)]
    pub(crate) client_ids: Vec<String>,
    /// SHA-1 fingerprints of authorities that vouch for its servers, 40 hexadecimal digits in lower case.
    #[n(4)]
    pub(crate) thumbprints: Vec<String>,
    #[n(5)]
    pub(crate) created_ms: i64,
    #[n(6)]
    pub(crate) tags: Vec<TagRecord>,
}

/// Where a session of a web identity comes from; part of its token.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct FederationRecord {
    /// Address of the provider, without `https://`.
    #[n(0)]
    pub(crate) provider: String,
    /// The provider's unique id: the session dies with it.
    #[n(1)]
    pub(crate) provider_id: String,
    /// What the provider said of who it is.
    #[n(2)]
    pub(crate) claims: Vec<ClaimRecord>,
}

/// A claim that conditions may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ClaimRecord {
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) values: Vec<String>,
}
