//! The import token that callers are given: the HSM's token, and the terms that it is bound to.
//!
//! Nothing in it is secret or has to be believed: the HSM seals the wrapping key to the terms and to the KMS key, so a
//! token whose terms were altered, or that is of another key, does not open.

use claviger_hsm_proto::ImportTerms;
use claviger_wire::fault::Code;
use minicbor::{Decode, Encode};

use crate::error::{Error, Result};
use crate::kms::import;
use crate::kms::shapes::{KeySpec, WrappingAlgorithm, WrappingKeySpec};
use crate::moment::Moment;

/// Version of the form below, the first byte of a token.
const VERSION: u8 = 1;

/// The terms and the HSM's token. At most 6,144 bytes together (`CiphertextType`): the largest wrapping key, RSA of
/// 4,096 bits, takes less than half of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ImportToken<'a> {
    #[n(0)]
    valid_to_ms: i64,
    #[b(1)]
    wrapping_key: &'a str,
    #[b(2)]
    algorithm: &'a str,
    #[cbor(b(3), with = "minicbor::bytes")]
    pub(crate) sealed: &'a [u8],
}

impl<'a> ImportToken<'a> {
    pub(crate) fn new(terms: ImportTerms<'a>, sealed: &'a [u8]) -> Self {
        let ImportTerms { wrapping_key, algorithm, valid_to_ms } = terms;
        Self { valid_to_ms, wrapping_key, algorithm, sealed }
    }

    /// Reads a token for a key of this spec in this partition.
    ///
    /// # Errors
    /// `InvalidImportTokenException` for what is none, `ExpiredImportTokenException` for one that is too old.
    pub(crate) fn read(bytes: &'a [u8], spec: KeySpec, partition: &str, now: Moment) -> Result<Self> {
        let token = Self::decode_whole(bytes).filter(|token| token.could_be_for(spec, partition));
        let token = token.ok_or_else(|| Error::bare(Code::InvalidImportToken))?;
        if now.0 >= token.valid_to_ms {
            return Err(Error::bare(Code::ExpiredImportToken));
        }
        Ok(token)
    }

    fn decode_whole(bytes: &'a [u8]) -> Option<Self> {
        let body = bytes.strip_prefix(&[VERSION])?;
        let mut decoder = minicbor::Decoder::new(body);
        let token = decoder.decode().ok()?;
        (decoder.position() == body.len()).then_some(token)
    }

    /// Whether parameters with such terms would have been given.
    fn could_be_for(&self, spec: KeySpec, partition: &str) -> bool {
        let algorithm = WrappingAlgorithm::from_str_exact(self.algorithm);
        let terms = algorithm.zip(WrappingKeySpec::from_str_exact(self.wrapping_key));
        terms.is_some_and(|(algorithm, wrapping_key)| {
            import::check_fit(algorithm, wrapping_key, spec, partition).is_ok()
        })
    }

    pub(crate) fn write(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![VERSION];
        minicbor::encode(self, &mut bytes).map_err(|error| Error::internal(error.to_string()))?;
        Ok(bytes)
    }

    /// How the import was agreed to be done.
    pub(crate) fn terms(&self) -> ImportTerms<'a> {
        let Self { wrapping_key, algorithm, valid_to_ms, .. } = *self;
        ImportTerms { wrapping_key, algorithm, valid_to_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: ImportTerms<'static> =
        ImportTerms { wrapping_key: "RSA_4096", algorithm: "RSAES_OAEP_SHA_256", valid_to_ms: 1_000 };

    fn check(bytes: &[u8], now: i64, expected: Option<Code>) {
        check_in("aws", TERMS, bytes, now, expected);
    }

    fn check_in(partition: &str, terms: ImportTerms<'_>, bytes: &[u8], now: i64, expected: Option<Code>) {
        let read = ImportToken::read(bytes, KeySpec::Hmac256, partition, Moment(now));
        assert_eq!(read.as_ref().err().map(|error| error.code), expected, "{bytes:02x?} at {now}");
        assert!(read.is_err() || read.is_ok_and(|token| token.terms() == terms && token.sealed == [7; 9]));
    }

    #[test]
    fn only_whole_tokens_that_are_not_too_old_are_read() {
        let bytes = ImportToken::new(TERMS, &[7; 9]).write().unwrap();
        check(&bytes, 999, None);
        check(&bytes, 1_000, Some(Code::ExpiredImportToken));
        for length in 0..bytes.len() {
            check(&bytes[..length], 0, Some(Code::InvalidImportToken));
        }
        check(&[&bytes[..], &[0]].concat(), 0, Some(Code::InvalidImportToken));
        check(&[&[2], &bytes[1..]].concat(), 0, Some(Code::InvalidImportToken));
        for (wrapping_key, algorithm) in
            [("RSA_1024", "RSAES_OAEP_SHA_256"), ("RSA_4096", "RSAES_PKCS1_V1_5"), ("SM2", "SM2PKE")]
        {
            let terms = ImportTerms { wrapping_key, algorithm, ..TERMS };
            let bytes = ImportToken::new(terms, &[7; 9]).write().unwrap();
            check(&bytes, 0, Some(Code::InvalidImportToken));
        }
    }
    /// A token whose terms its Region would not have given is none.
    #[test]
    fn terms_are_those_of_the_partition() {
        for (wrapping_key, algorithm, partition) in [
            ("SM2", "SM2PKE", "aws-cn"),
            ("RSA_2048", "RSA_AES_KEY_WRAP_SHA_256", "aws"),
            ("RSA_2048", "RSA_AES_KEY_WRAP_SHA_1", "aws-us-gov"),
        ] {
            let terms = ImportTerms { wrapping_key, algorithm, ..TERMS };
            let bytes = ImportToken::new(terms, &[7; 9]).write().unwrap();
            let elsewhere = if partition == "aws-cn" { "aws" } else { "aws-cn" };
            check_in(partition, terms, &bytes, 0, None);
            check_in(elsewhere, terms, &bytes, 0, Some(Code::InvalidImportToken));
        }
    }
}
