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

use claviger_hsm_proto::{
    Binding, CredentialBinding, ImportTerms, MaterialId, Refusal, WrappedKey, blob::NONCE_LEN,
};
use zeroize::{Zeroize, Zeroizing};

use crate::algorithms::{MAX_MATERIAL_LEN, Spec};
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
const HASHED_MATERIAL_LABEL: &[u8] = b"claviger hashed material id v1\0";

/// Where a wrapped secret stands, as associated data: purpose, version, domain, then each field with its length.
///
/// Every variable part has its length before it and the purpose fixes which parts there are, so two places never
/// have the same bytes.
pub(crate) struct Place(Fields<MAX_PLACE_LEN>);

impl Place {
    /// The place of a KMS key's material.
    pub(crate) fn key(domain: &Domain, binding: &Binding<'_>, material: MaterialId) -> Result<Self, Refusal> {
        let mut place = Self::bound(b"key", domain, binding)?;
        place.0.fixed(&material.0)?;
        Ok(place)
    }

    /// The place of a private key that material for a KMS key is wrapped to.
    pub(crate) fn import(
        domain: &Domain,
        binding: &Binding<'_>,
        terms: &ImportTerms<'_>,
    ) -> Result<Self, Refusal> {
        let mut place = Self::bound(b"import", domain, binding)?;
        place.0.variable(terms.wrapping_key.as_bytes())?;
        place.0.variable(terms.algorithm.as_bytes())?;
        place.0.fixed(&terms.valid_to_ms.to_be_bytes())?;
        Ok(place)
    }

    /// The place of a KMS key's material on its way: `from` is where it stands, `domain` is who sends it.
    pub(crate) fn transfer(
        domain: &Domain,
        from: &Binding<'_>,
        material: MaterialId,
        to_domain: &[u8; 16],
        to_region: &str,
    ) -> Result<Self, Refusal> {
        let mut place = Self::bound(b"transfer", domain, from)?;
        place.0.fixed(&material.0)?;
        place.0.fixed(to_domain)?;
        place.0.variable(to_region.as_bytes())?;
        Ok(place)
    }

    /// The place of a secret access key.
    pub(crate) fn credential(domain: &Domain, binding: &CredentialBinding<'_>) -> Result<Self, Refusal> {
        let mut place = Self::new(b"credential", domain)?;
        place.0.variable(binding.account.as_bytes())?;
        place.0.variable(binding.access_key_id.as_bytes())?;
        Ok(place)
    }

    fn bound(purpose: &[u8], domain: &Domain, binding: &Binding<'_>) -> Result<Self, Refusal> {
        let mut place = Self::new(purpose, domain)?;
        for field in [binding.account, binding.region, binding.key_id, binding.spec, binding.usage] {
            place.0.variable(field.as_bytes())?;
        }
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

/// Opens the token of a key of any spec and checks that the material is the one that the place names.
///
/// # Errors
/// [`Refusal::Token`].
pub(crate) fn unwrap_stored(
    domain: &Domain,
    spec: Spec,
    key: &WrappedKey<'_>,
    scratch: &mut Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    if !(OVERHEAD_LEN + 1..=OVERHEAD_LEN + MAX_MATERIAL_LEN).contains(&key.token.len()) {
        return Err(Refusal::Token);
    }
    let start = scratch.len();
    unwrap(domain, Place::key(domain, &key.binding, key.material)?, key.token, scratch)?;
    let clear = scratch.get_mut(start..).unwrap_or_default();
    let stored = Zeroizing::new(clear.to_vec());
    clear.zeroize();
    scratch.truncate(start);
    let named = stored_id(spec, &stored, key.binding.key_id);
    if named == Ok(key.material) { Ok(stored) } else { Err(Refusal::Token) }
}

/// Names stored material of any spec: symmetric keys by [`material_id()`], all others in the same way under SHA-256
/// of the material and with a label of their own.
///
/// Either commits to the material: HMAC pads keys of up to 64 bytes with zeros, so with the material itself as the
/// key two materials of different lengths could share an id; hashed they all have 32 bytes.
///
/// # Errors
/// [`Refusal::Token`] for symmetric material of another length.
pub(crate) fn stored_id(spec: Spec, stored: &[u8], key_id: &str) -> Result<MaterialId, Refusal> {
    if spec == Spec::SymmetricDefault {
        let material = <&[u8; KEY_LEN]>::try_from(stored).map_err(|_| Refusal::Token)?;
        return Ok(named(material, MATERIAL_LABEL, key_id));
    }
    Ok(named(&Zeroizing::new(primitives::sha256(stored)), HASHED_MATERIAL_LABEL, key_id))
}

/// Names key material: HMAC-SHA-256 under the material of a label and the key's id.
///
/// The id commits to the material: keys are 32 bytes, so two materials with one id would be a collision of SHA-256.
/// The label keeps these inputs apart from those of the key derivation, which start with the counter 0x00000001.
pub(crate) fn material_id(material: &Key, key_id: &str) -> MaterialId {
    named(material.bytes(), MATERIAL_LABEL, key_id)
}

fn named(secret: &[u8; KEY_LEN], label: &[u8], key_id: &str) -> MaterialId {
    let length = u32::try_from(key_id.len()).unwrap_or(u32::MAX).to_be_bytes();
    MaterialId(*primitives::hmac_sha256(secret, &[label, &length, key_id.as_bytes()]))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids stand in every blob: a symmetric key's must never change. Computed with Python's `hmac`.
    #[test]
    fn ids_are_what_they_were() {
        let key_id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        let check = |spec, stored: &[u8], id| {
            assert_eq!(stored_id(spec, stored, key_id).unwrap().to_hex(), id);
        };
        check(
            Spec::SymmetricDefault,
            &[7; 32],
            "88883705b62545beed7401414b620b505d6513bd90e71a764f8ae53f685e6b97",
        );
        assert_eq!(
            material_id(&Key::of([7; 32]), key_id).to_hex(),
            "88883705b62545beed7401414b620b505d6513bd90e71a764f8ae53f685e6b97"
        );
        check(Spec::Hmac256, &[7; 32], "66762d257911b9d3720fe08793f5fde9f54741ef6f1e24578e0d620b3353fb55");
        check(
            Spec::EccNistP256,
            &[7; 121],
            "31215be061d6ca45e06d0f3fa2de9894e03b70cdc9220785beb6c1ce23296418",
        );
        assert_eq!(stored_id(Spec::SymmetricDefault, &[7; 31], key_id), Err(Refusal::Token));
    }

    /// HMAC itself takes these keys for the same one.
    #[test]
    fn materials_that_differ_in_zeros_at_the_end_have_different_ids() {
        let id = |stored: &[u8]| stored_id(Spec::Hmac224, stored, "k").unwrap();
        assert_ne!(id(&[7; 28]), id(&[&[7; 28][..], &[0]].concat()));
        assert_eq!(
            primitives::hmac_sha256(&[7; 28], &[]),
            primitives::hmac_sha256(&[&[7; 28][..], &[0]].concat(), &[])
        );
    }
}
