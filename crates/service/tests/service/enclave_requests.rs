//! What the tests' worlds know of enclaves, and requests that name one.

use std::sync::OnceLock;

use crate::enclave::Chain;
use crate::world::{START, base64};

/// The chain that every world trusts. It is as old as the worlds.
pub(crate) fn trusted() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| Chain::new(START))
}

/// What a request names as its recipient.
pub(crate) fn named(document: &[u8]) -> serde_json::Value {
    serde_json::json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": base64(document)})
}
