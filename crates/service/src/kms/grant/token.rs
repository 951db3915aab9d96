//! Grant tokens: which grant on which key, sealed for this installation.
//!
//! With AWS a token lets a grant be used before every host knows of it. Here a grant is known everywhere once it is
//! made, so a token gives nothing: it must be one of ours and of the key that is used, and then the grant itself is what
//! counts. The token of a grant that is gone is therefore of no effect.
//!
//! A token is AES-256-GCM-SIV (RFC 8452) under a key that the HSM derives for the domain.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use claviger_store::Record;
use claviger_wire::fault::Code;

use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::kms::key::Key;
use crate::kms::shapes::GrantTokens;
use crate::moment::Entropy;
use crate::record::{self, grant::TokenRecord};

/// First byte of a token; a different layout gets a different number.
const FORMAT: u8 = 1;

/// Makes and opens tokens.
pub(crate) struct Tokens(LessSafeKey);

impl Tokens {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).map_err(|_| failed())?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// A new token. Each is another, also of the same grant.
    pub(crate) fn seal(&self, entropy: &dyn Entropy, token: &TokenRecord) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut body = record::encode(token)?;
        let place = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(place, Aad::from([FORMAT]), &mut body).map_err(|_| failed())?;
        Ok(base64_simd::URL_SAFE_NO_PAD.encode_to_string([&[FORMAT][..], &nonce, &body].concat()))
    }

    /// What a token says.
    ///
    /// # Errors
    /// `InvalidGrantTokenException` for everything that [`Tokens::seal`] did not make in this domain.
    pub(crate) fn open(&self, token: &str) -> Result<TokenRecord> {
        self.read(token).ok_or_else(invalid)
    }

    fn read(&self, token: &str) -> Option<TokenRecord> {
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token.as_bytes()).ok()?;
        let (format, rest) = bytes.split_first()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *format != FORMAT {
            return None;
        }
        let mut body = body.to_vec();
        let opened = self.0.open_in_place(Nonce::from(nonce), Aad::from([*format]), &mut body).ok()?;
        let sealed = Record { name: b"grant-token".to_vec(), value: opened.to_vec(), revision: 0 };
        record::decode(&sealed).ok()
    }
}

fn failed() -> Error {
    Error::internal("the cryptographic library failed")
}

/// The error of a token that is none, or of another key.
pub(crate) fn invalid() -> Error {
    Error::bare(Code::InvalidGrantToken)
}

/// The tokens that a request brings: ours, and still to be held against the keys that it uses.
#[must_use]
pub(crate) struct Presented(Vec<TokenRecord>);

/// Reads the tokens of a request.
///
/// # Errors
/// As [`Tokens::open`].
pub(crate) fn presented(service: &Service, tokens: Option<&GrantTokens>) -> Result<Presented> {
    let tokens = tokens.iter().flat_map(|tokens| &tokens.0);
    tokens.map(|token| service.installation.grant_tokens.open(&token.0)).collect::<Result<_>>().map(Presented)
}

impl Presented {
    /// Checks that every token is of one of these keys. To be asked of a caller that may use them: others must not learn
    /// which key a name stands for.
    ///
    /// # Errors
    /// `InvalidGrantTokenException`.
    pub(crate) fn are_of(self, keys: &[&Key]) -> Result<()> {
        let is_of = |token: &TokenRecord, key: &Key| {
            (&*token.account, &*token.region, &*token.key) == (&*key.account, &*key.region, key.id())
        };
        let all = self.0.iter().all(|token| keys.iter().any(|key| is_of(token, key)));
        if all { Ok(()) } else { Err(invalid()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::NoEntropy;

    struct Counted(std::sync::atomic::AtomicU8);

    impl Entropy for Counted {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            Ok(())
        }
    }

    /// Attack E4: tokens that are altered in any bit, cut, lengthened, or of another domain.
    #[test]
    fn e04_only_own_tokens_are_read() {
        let (tokens, entropy) = (Tokens::new(&[7; 32]).unwrap(), Counted(0.into()));
        let text = str::to_owned;
        let says = TokenRecord {
            account: text("111122223333"),
            region: text("us-east-1"),
            key: text("1234abcd-12ab-34cd-56ef-1234567890ab"),
            grant: "0f".repeat(32),
        };
        let token = tokens.seal(&entropy, &says).unwrap();
        assert_eq!(tokens.open(&token).unwrap(), says);
        let again = tokens.seal(&entropy, &says).unwrap();
        assert_ne!(again, token, "each token is another");
        assert_eq!(tokens.open(&again).unwrap(), says);
        let check = |tokens: &Tokens, token: &str| {
            assert_eq!(tokens.open(token).unwrap_err().code, Code::InvalidGrantToken, "{token}");
        };
        check(&Tokens::new(&[8; 32]).unwrap(), &token);
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token.as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&tokens, &base64_simd::URL_SAFE_NO_PAD.encode_to_string(&flipped));
        }
        for length in 0..bytes.len() {
            check(&tokens, &base64_simd::URL_SAFE_NO_PAD.encode_to_string(&bytes[..length]));
        }
        for other in ["", "AAAA", "not base64", &format!("{token}AAAA"), &format!("{token}=")] {
            check(&tokens, other);
        }
        assert!(!bytes.windows(12).any(|window| window == b"111122223333"), "it shows nothing");
    }
}
