//! What is done with two keys at once and with keys that are not symmetric.

use super::*;
use crate::algorithms::{Kind, MacAlgorithm, Message, Signing, SigningAlgorithm, Spec, Usage};
use zeroize::Zeroizing;

impl Engine {
    /// Carries out a command of this kind.
    pub(super) fn operate<'s>(
        &self,
        scratch: &'s mut Scratch,
        now: Duration,
        command: &Command<'_>,
    ) -> Result<Reply<'s>, Refusal> {
        match command {
            Command::ReEncrypt {
                source,
                source_context,
                blob,
                destination,
                destination_context,
                source_algorithm,
                destination_algorithm,
            } => {
                let from = self.cipher(source, source_algorithm, source_context, now, scratch)?;
                let to =
                    self.cipher(destination, destination_algorithm, destination_context, now, scratch)?;
                self.open(&from, blob, scratch)?;
                self.seal(&to, scratch)?;
                Ok(Reply::Ciphertext { blob: &scratch.sealed })
            }
            Command::Sign { key, algorithm, kind, message } => {
                let (kind, algorithm, message) = limits::signs(key, algorithm, *kind, message)?;
                let key = self.private_key(kind, key, now, scratch)?;
                self.sign(&key, algorithm, message, scratch)
            }
            Command::Verify { key, algorithm, kind, message, signature } => {
                let (kind, algorithm, message) = limits::signs(key, algorithm, *kind, message)?;
                limits::signature(signature)?;
                let key = self.private_key(kind, key, now, scratch)?;
                Ok(Reply::Verified { valid: signing(&key)?.public().verify(algorithm, message, signature) })
            }
            Command::GenerateMac { key, algorithm, message } => {
                let (kind, algorithm) = limits::authenticates(key, algorithm, message)?;
                let key = self.mac_key(kind, key, now, scratch)?;
                algorithms::generate_mac(algorithm, &key, message, &mut scratch.sealed);
                Ok(Reply::Mac { mac: &scratch.sealed })
            }
            Command::VerifyMac { key, algorithm, message, mac } => {
                let (kind, algorithm): (_, MacAlgorithm) = limits::authenticates(key, algorithm, message)?;
                limits::signature(mac)?;
                let key = self.mac_key(kind, key, now, scratch)?;
                Ok(Reply::Verified { valid: algorithms::verify_mac(algorithm, &key, message, mac) })
            }
            Command::DeriveSharedSecret { key, peer, recipient } => {
                let recipient = recipient.as_ref().map(Recipient::of).transpose()?;
                self.derive_shared_secret(key, peer, now, scratch)?;
                self.hand_over(recipient, scratch, |secret| Reply::SharedSecret { secret })
            }
            Command::Encapsulate { key } => self.encapsulate(key, now, scratch),
            Command::Decapsulate { key, ciphertext } => self.decapsulate(key, ciphertext, now, scratch),
            Command::GenerateDataKeyPair { key, context, pair, disclose, recipient } => {
                let recipient = recipient.as_ref().map(Recipient::of).transpose()?;
                self.generate_pair((key, context), pair, now, scratch)?;
                self.enclose(*disclose, recipient.as_ref(), scratch)?;
                let (private, enveloped) = scratch.disclosed(*disclose, recipient.is_some());
                Ok(Reply::DataKeyPair { blob: &scratch.sealed, public: &scratch.public, private, enveloped })
            }
            _ => self.transport(scratch, command),
        }
    }

    fn sign<'s>(
        &self,
        key: &PrivateKey,
        algorithm: SigningAlgorithm,
        message: Message<'_>,
        scratch: &'s mut Scratch,
    ) -> Result<Reply<'s>, Refusal> {
        let signature = algorithms::sign(signing(key)?, algorithm, message, &self.entropy)?;
        scratch.sealed.extend_from_slice(&signature);
        Ok(Reply::Signature { signature: &scratch.sealed })
    }

    /// Leaves the secret in `scratch.clear`.
    fn derive_shared_secret(
        &self,
        key: &WrappedKey<'_>,
        peer: &[u8],
        now: Duration,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let kind = limits::usage(key, Usage::KeyAgreement)?;
        let key = self.private_key(kind, key, now, scratch)?;
        let PrivateKey::Agreement(key) = &*key else { return Err(Refusal::Internal) };
        key.agree(peer, &mut scratch.clear)
    }

    fn encapsulate<'s>(
        &self,
        key: &WrappedKey<'_>,
        now: Duration,
        scratch: &'s mut Scratch,
    ) -> Result<Reply<'s>, Refusal> {
        let kind = limits::usage(key, Usage::EncapsulateDecapsulate)?;
        let key = self.private_key(kind, key, now, scratch)?;
        let PrivateKey::Encapsulation(key) = &*key else { return Err(Refusal::Internal) };
        self.entropy.check()?;
        key.encapsulate(&mut scratch.clear, &mut scratch.sealed)?;
        Ok(Reply::Encapsulated { secret: Disclosed(&scratch.clear), ciphertext: &scratch.sealed })
    }

    fn decapsulate<'s>(
        &self,
        key: &WrappedKey<'_>,
        ciphertext: &[u8],
        now: Duration,
        scratch: &'s mut Scratch,
    ) -> Result<Reply<'s>, Refusal> {
        let kind = limits::usage(key, Usage::EncapsulateDecapsulate)?;
        let key = self.private_key(kind, key, now, scratch)?;
        let PrivateKey::Encapsulation(key) = &*key else { return Err(Refusal::Internal) };
        key.decapsulate(ciphertext, &mut scratch.clear)?;
        Ok(Reply::SharedSecret { secret: Disclosed(&scratch.clear) })
    }

    /// Leaves a new private key in `scratch.clear` and `scratch.sealed`, its public key in `scratch.public`.
    fn generate_pair(
        &self,
        (key, context): (&WrappedKey<'_>, &[u8]),
        pair: &str,
        now: Duration,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        limits::symmetric(&key.binding)?;
        let spec = Spec::parse_pair(pair)?;
        let material = self.material(key, now, scratch)?;
        let made = algorithms::generate_pair(spec, &self.entropy)?;
        scratch.public.extend_from_slice(&made.public.ok_or(Refusal::Internal)?);
        scratch.show(&made.private);
        cipher::seal(&material, key.material, context, &self.entropy, scratch)
    }

    /// An asymmetric key: from the cache, or unwrapped, parsed and cached.
    pub(super) fn private_key(
        &self,
        kind: Kind,
        key: &WrappedKey<'_>,
        now: Duration,
        scratch: &mut Scratch,
    ) -> Result<Arc<PrivateKey>, Refusal> {
        let place = Place::key(&self.domain, &key.binding, key.material)?;
        match self.parsed.find(key.material, place.as_slice(), key.token, Arc::clone)? {
            Found::Hit(parsed) => Ok(parsed),
            Found::Miss(ticket) => {
                let ticket = scratch.since.unwrap_or(ticket);
                let stored = token::unwrap_stored(&self.domain, kind.spec, key, &mut scratch.clear)?;
                let parsed = Arc::new(PrivateKey::parse(kind, &stored)?);
                let keep = || Some(Arc::clone(&parsed));
                self.parsed.put(ticket, now, key.material, place.as_slice(), key.token, keep)?;
                Ok(parsed)
            }
        }
    }

    /// An HMAC key: from the cache, or unwrapped and cached.
    fn mac_key(
        &self,
        kind: Kind,
        key: &WrappedKey<'_>,
        now: Duration,
        scratch: &mut Scratch,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let place = Place::key(&self.domain, &key.binding, key.material)?;
        match self.macs.find(key.material, place.as_slice(), key.token, SecretBytes::copy)? {
            Found::Hit(stored) => Ok(stored),
            Found::Miss(ticket) => {
                let ticket = scratch.since.unwrap_or(ticket);
                let stored = token::unwrap_stored(&self.domain, kind.spec, key, &mut scratch.clear)?;
                let keep = || SecretBytes::keep(&self.arena, &stored);
                self.macs.put(ticket, now, key.material, place.as_slice(), key.token, keep)?;
                Ok(stored)
            }
        }
    }
}

fn signing(key: &PrivateKey) -> Result<&dyn Signing, Refusal> {
    match key {
        PrivateKey::Signing(key) => Ok(&**key),
        _ => Err(Refusal::Internal),
    }
}
