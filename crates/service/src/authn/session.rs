//! Tokens of sessions: what a temporary credential may do, sealed, and carried by its holder.
//!
//! A token is AES-256-GCM-SIV (RFC 8452) under a key that the HSM derives for the domain, over a [`SessionRecord`]. The
//! secret access key inside is sealed by the HSM besides, for the account and the access key id, so that the host does
//! not hold it either. Nothing of a session is in the store; that what it comes from is still there is looked up with
//! every request (`authn/principal.rs`).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use claviger_policy::{Document, Kind};
use claviger_store::Record;
use quick_cache::sync::Cache as Bounded;

use crate::decided::Fingerprint;
use crate::error::{Error, Result};
use crate::iam::document;
use crate::record::{self, iam::SessionRecord};

/// First byte of a token; a different layout gets a different number.
const FORMAT: u8 = 1;
/// Longest token in characters. AWS's are at most 4,096 today and may grow.
pub(crate) const MAX_TOKEN_LEN: usize = 8 * 1024;
/// Most opened tokens kept.
const MAX_SESSIONS: usize = 8_192;

/// A session whose token was opened: made by this domain, and unaltered.
pub(crate) struct Session {
    pub(crate) record: SessionRecord,
    /// Its session policy, compiled.
    pub(crate) policy: Option<Arc<Document>>,
    /// Tells it from others.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// Makes and opens tokens.
pub(crate) struct Sessions {
    key: LessSafeKey,
    /// Opened tokens by their SHA-256. A token never changes its meaning, so an entry is never stale; whether it has
    /// expired is looked at with every use.
    opened: Bounded<[u8; 32], Arc<Session>>,
}

impl Sessions {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).map_err(|_| failed())?;
        Ok(Self { key: LessSafeKey::new(key), opened: Bounded::new(MAX_SESSIONS) })
    }

    /// The token of a session.
    pub(crate) fn seal(&self, session: &SessionRecord) -> Result<String> {
        let nonce = nonce(&session.access_key_id);
        let mut body = record::encode(session)?;
        let place = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(place, Aad::from([FORMAT]), &mut body).map_err(|_| failed())?;
        let token = [&[FORMAT][..], &nonce, &body].concat();
        Ok(base64_simd::STANDARD.encode_to_string(&token))
    }

    /// The session of a token, or `None` where no token of this domain reads so.
    pub(crate) fn open(&self, token: &str) -> Option<Arc<Session>> {
        if token.len() > MAX_TOKEN_LEN {
            return None;
        }
        let name = digest::digest(&digest::SHA256, token.as_bytes());
        let name: [u8; 32] = name.as_ref().try_into().ok()?;
        if let Some(session) = self.opened.get(&name) {
            return Some(session);
        }
        let session = Arc::new(self.read(token)?);
        self.opened.insert(name, Arc::clone(&session));
        Some(session)
    }

    fn read(&self, token: &str) -> Option<Session> {
        let bytes = base64_simd::STANDARD.decode_to_vec(token.as_bytes()).ok()?;
        let (format, rest) = bytes.split_first()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *format != FORMAT {
            return None;
        }
        let mut body = body.to_vec();
        let opened = self.key.open_in_place(Nonce::from(nonce), Aad::from([*format]), &mut body).ok()?;
        let sealed = Record { name: b"session".to_vec(), value: opened.to_vec(), revision: 0 };
        let record: SessionRecord = record::decode(&sealed).ok()?;
        let policy = match &record.policy {
            Some(text) => Some(Arc::new(document::stored(text, Kind::Identity).ok()?)),
            None => None,
        };
        let fingerprint = record.policy.as_deref().map(Fingerprint::of);
        Some(Session { record, policy, fingerprint })
    }
}

/// The nonce of a token: its access key id is random and used once. Where two tokens shared one all the same, SIV gives
/// away only whether they are equal.
fn nonce(access_key_id: &str) -> [u8; NONCE_LEN] {
    let hash = digest::digest(&digest::SHA256, access_key_id.as_bytes());
    let mut nonce = [0; NONCE_LEN];
    nonce.iter_mut().zip(hash.as_ref()).for_each(|(place, byte)| *place = *byte);
    nonce
}

fn failed() -> Error {
    Error::internal("the cryptographic library failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionRecord {
        SessionRecord {
            account: "111122223333".to_owned(),
            access_key_id: "ASIAAAAAAAAAAAAAAAAA".to_owned(),
            secret: vec![1, 2, 3],
            issued_ms: 1,
            expires_ms: 2,
            principal: "AROAAAAAAAAAAAAAAAAAA".to_owned(),
            name: Some("s".to_owned()),
            source_key: None,
            policy: None,
            managed: Vec::new(),
            tags: Vec::new(),
            transitive: Vec::new(),
            source_identity: None,
            federation: None,
            mfa_ms: None,
            federated_user: None,
        }
    }

    /// Attack A18: tokens that are altered in any bit, cut, lengthened, or of another domain.
    #[test]
    fn a18_only_whole_tokens_of_this_domain_open() {
        let sessions = Sessions::new(&[7; 32]).unwrap();
        let token = sessions.seal(&session()).unwrap();
        assert_eq!(sessions.open(&token).unwrap().record.access_key_id, session().access_key_id);
        assert!(Sessions::new(&[8; 32]).unwrap().open(&token).is_none());
        let bytes = base64_simd::STANDARD.decode_to_vec(token.as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(sessions.open(&base64_simd::STANDARD.encode_to_string(&flipped)).is_none(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            let cut = base64_simd::STANDARD.encode_to_string(&bytes[..len]);
            assert!(sessions.open(&cut).is_none(), "{len} bytes");
        }
        for token in ["", "AAAA", "not base64", &format!("{token}AAAA"), &"A".repeat(MAX_TOKEN_LEN + 4)] {
            assert!(sessions.open(token).is_none());
        }
    }

    #[test]
    fn a_token_shows_nothing_of_what_it_holds() {
        let token = Sessions::new(&[7; 32]).unwrap().seal(&session()).unwrap();
        let bytes = base64_simd::STANDARD.decode_to_vec(token.as_bytes()).unwrap();
        assert!(!bytes.windows(12).any(|window| window == b"111122223333"));
    }
}
