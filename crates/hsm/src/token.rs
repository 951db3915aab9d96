//! Wrapped secrets: what the store keeps of a key or a credential.
//!
//! | length | content |
//! |---|---|
//! | 1 | [`VERSION`] |
//! | 4 | generation of the domain key, big endian |
//! | 16 | nonce of the key derivation |
//! | 12 | initialization vector |
//! | n + 16 | AES-256-GCM ciphertext and tag |
//!
//! Each wrap has a key of its own, derived from the domain key and a random 128-bit nonce (NIST SP 800-108), so no
//! number of wraps nears the limits of GCM. The associated data is the [`Place`] followed by the generation. A token
//! therefore opens only for the purpose, domain, place and material it was made for.

use claviger_hsm_proto::{Binding, CredentialBinding, MaterialId, Refusal, blob::NONCE_LEN};
use zeroize::Zeroize;

use crate::domain::Domain;
use crate::fields::Fields;
use crate::primitives::{self, IV_LEN, KEY_LEN, Key, TAG_LEN};
use crate::random::Entropy;

/// Version of the token layout and of the associated data.
pub(crate) const VERSION: u8 = 1;
/// Length of everything but the ciphertext, in bytes.
pub(crate) const OVERHEAD_LEN: usize = 1 + 4 + NONCE_LEN + IV_LEN + TAG_LEN;
/// Most bytes of associated data.
const MAX_PLACE_LEN: usize = 512;
const WRAP_LABEL: &str = "claviger wrap v1";
const MATERIAL_LABEL: &[u8] = b"claviger material id v1\0";

/// Where a wrapped secret stands, as associated data: purpose, version, domain, then each field with its length.
///
/// Every variable part has its length before it and the purpose fixes which parts there are, so two places never
/// have the same bytes.
pub(crate) struct Place(Fields<MAX_PLACE_LEN>);

impl Place {
    /// The place of a KMS key's material.
    pub(crate) fn key(domain: &Domain, binding: &Binding<'_>, material: MaterialId) -> Result<Self, Refusal> {
        let mut place = Self::new(b"key", domain)?;
        for field in [binding.account, binding.region, binding.key_id, binding.spec, binding.usage] {
            place.0.variable(field.as_bytes())?;
        }
        place.0.fixed(&material.0)?;
        Ok(place)
    }

    /// The place of a secret access key.
    pub(crate) fn credential(domain: &Domain, binding: &CredentialBinding<'_>) -> Result<Self, Refusal> {
        let mut place = Self::new(b"credential", domain)?;
        place.0.variable(binding.account.as_bytes())?;
        place.0.variable(binding.access_key_id.as_bytes())?;
        Ok(place)
    }

    fn new(purpose: &[u8], domain: &Domain) -> Result<Self, Refusal> {
        let mut place = Self(Fields::new());
        place.0.variable(purpose)?;
        place.0.fixed(&[VERSION])?;
        place.0.fixed(domain.id())?;
        Ok(place)
    }

    /// The bytes, without a generation.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Wraps a secret under the newest domain key and appends the token to `out`.
///
/// # Errors
/// [`Refusal::Randomness`], [`Refusal::Internal`]; what is then in `out` is no token and holds no secret.
pub(crate) fn wrap(
    domain: &Domain,
    entropy: &Entropy,
    mut place: Place,
    secret: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let (generation, domain_key) = domain.newest()?;
    let (nonce, iv) = entropy.nonces()?;
    let key = primitives::derive(domain_key.bytes(), WRAP_LABEL, &nonce)?;
    place.0.fixed(&generation.to_be_bytes())?;
    out.reserve(OVERHEAD_LEN + secret.len());
    out.push(VERSION);
    out.extend_from_slice(&generation.to_be_bytes());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&iv);
    let start = out.len();
    out.extend_from_slice(secret);
    let clear = out.get_mut(start..).unwrap_or_default();
    let sealed = primitives::encrypt(&key, &iv, place.as_slice(), clear);
    if sealed.is_err() {
        clear.zeroize();
    }
    out.extend_from_slice(&sealed?);
    Ok(())
}

/// Opens a token and appends the secret to `out`, which is left as it was where the token does not open.
///
/// # Errors
/// [`Refusal::Token`].
pub(crate) fn unwrap(
    domain: &Domain,
    mut place: Place,
    token: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let parts = split(token).ok_or(Refusal::Token)?;
    let domain_key = domain.key(parts.generation)?;
    let key = primitives::derive(domain_key.bytes(), WRAP_LABEL, parts.nonce)?;
    place.0.fixed(&parts.generation.to_be_bytes())?;
    let start = out.len();
    out.resize(start + parts.ciphertext.len(), 0);
    let clear = out.get_mut(start..).unwrap_or_default();
    if primitives::decrypt(&key, parts.iv, place.as_slice(), parts.ciphertext, parts.tag, clear).is_none() {
        clear.zeroize();
        out.truncate(start);
        return Err(Refusal::Token);
    }
    Ok(())
}

/// Opens the token of a key and checks that the material is the one that the place names.
///
/// # Errors
/// [`Refusal::Token`].
pub(crate) fn unwrap_material(
    domain: &Domain,
    binding: &Binding<'_>,
    material: MaterialId,
    token: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<Key, Refusal> {
    if token.len() != OVERHEAD_LEN + KEY_LEN {
        return Err(Refusal::Token);
    }
    let start = scratch.len();
    unwrap(domain, Place::key(domain, binding, material)?, token, scratch)?;
    let mut key = Key::blank();
    let clear = scratch.get_mut(start..).unwrap_or_default();
    let whole = clear.len() == KEY_LEN;
    key.bytes_mut().iter_mut().zip(clear.iter()).for_each(|(place, byte)| *place = *byte);
    clear.zeroize();
    scratch.truncate(start);
    if whole && material_id(&key, binding.key_id) == material { Ok(key) } else { Err(Refusal::Token) }
}

/// Names key material: HMAC-SHA-256 under the material of a label and the key's id.
///
/// The id commits to the material: keys are 32 bytes, so two materials with one id would be a collision of SHA-256.
/// The label keeps these inputs apart from those of the key derivation, which start with the counter 0x00000001.
pub(crate) fn material_id(material: &Key, key_id: &str) -> MaterialId {
    let length = u32::try_from(key_id.len()).unwrap_or(u32::MAX).to_be_bytes();
    MaterialId(*primitives::hmac_sha256(material.bytes(), &[MATERIAL_LABEL, &length, key_id.as_bytes()]))
}

struct Parts<'a> {
    generation: u32,
    nonce: &'a [u8; NONCE_LEN],
    iv: &'a [u8; IV_LEN],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_LEN],
}

fn split(token: &[u8]) -> Option<Parts<'_>> {
    let (&version, rest) = token.split_first()?;
    let (generation, rest) = rest.split_first_chunk::<4>()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
    let (iv, rest) = rest.split_first_chunk::<IV_LEN>()?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>()?;
    let generation = u32::from_be_bytes(*generation);
    (version == VERSION).then_some(Parts { generation, nonce, iv, ciphertext, tag })
}
