//! The encryption context: public pairs that a ciphertext is bound to.

use claviger_hsm_proto::encode_context;
use claviger_wire::codec::{self, Member, Notes, Path, WrongType};
use claviger_wire::json::Value;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::error::{Error, Result as Answer};
use crate::kms::shapes::EncryptionAlgorithm;

/// Longest encoding of an encryption context in bytes: what an external key store accepts as associated data (XKS
/// proxy API specification 1.0).
pub const MAX_ENCODED_LEN: usize = 8192;

/// Pairs of an encryption context. No key stands twice: the JSON reader refuses that.
#[derive(Debug, Clone, Default)]
pub struct EncryptionContext(Vec<(String, String)>);

impl EncryptionContext {
    /// Of pairs whose keys differ.
    pub(crate) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The pairs, in the order sent.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The associated data of a context that may be absent; absent and empty are the same.
    pub fn encode(context: Option<&Self>) -> Vec<u8> {
        match context {
            Some(context) => encode_context(context.pairs()),
            None => encode_context([]),
        }
    }

    /// The associated data of a context under an algorithm: nothing under an asymmetric one, which cannot bind any.
    ///
    /// # Errors
    /// `ValidationException` for pairs that the algorithm cannot bind.
    pub fn bound_by(algorithm: EncryptionAlgorithm, context: Option<&Self>) -> Answer<Vec<u8>> {
        if algorithm == EncryptionAlgorithm::SymmetricDefault {
            return Ok(Self::encode(context));
        }
        match context {
            Some(context) if !context.0.is_empty() => {
                let message =
                    "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.";
                Err(Error::validation(message))
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl Member for EncryptionContext {
    fn decode(value: &Value<'_>, at: Path<'_>, notes: &mut Notes) -> Result<Option<Self>, WrongType> {
        let mut pairs = Vec::new();
        for (key, value) in codec::map(value)? {
            pairs.push((key.clone().into_owned(), codec::text(value)?.to_owned()));
        }
        let length: usize = pairs.iter().map(|(key, value)| key.len() + value.len() + 8).sum::<usize>() + 4;
        Ok(codec::check_blob_length(length, 0, MAX_ENCODED_LEN, at, notes).then_some(Self(pairs)))
    }

    fn audit<M: SerializeMap>(&self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self)
    }
}

impl Serialize for EncryptionContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.pairs())
    }
}
