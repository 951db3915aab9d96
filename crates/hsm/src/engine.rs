//! The engine: carries out commands. No sockets, no files, no clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claviger_hsm_proto::{Binding, Command, Disclosed, MaterialId, Refusal, Reply, VERSION, WrappedKey};

use crate::algorithms::{self, PrivateKey};
use crate::arena::{ArenaError, Protection, Secret, SecretArena, SecretBytes, slots_of};
use crate::cache::{Cache, Found, Ticket};
use crate::cipher;
use crate::credential;
use crate::domain::{self, Domain};
use crate::envelope::Recipient;
use crate::import;
use crate::limits;
use crate::primitives::Key;
use crate::random::{Entropy, Random};
use crate::seal::{MAX_GENERATIONS, Seal, SealError};
use crate::selftest::{self, KNOWN_ANSWERS, KnownAnswers};
use crate::session::{Scratch, Session};
use crate::token::{self, Place};
use crate::transfer;

mod encryption;
mod operations;
mod transport;

/// Unwrapped materials that are cached unless told otherwise: half a mebibyte of secret memory for symmetric keys, and
/// half as much for HMAC keys.
pub const DEFAULT_CACHE_LEN: usize = 16_384;
/// Most parsed asymmetric keys that are cached. One takes 1 to 20 KiB of the heap.
const MAX_PARSED: usize = 2048;
/// Most HMAC keys that are cached: 128 bytes of secret memory each.
const MAX_MACS: usize = 2048;

/// The HSM. Shared by all connections; each of them has a [`Session`].
#[derive(Debug)]
pub struct Engine {
    domain: Domain,
    /// Symmetric keys.
    cache: Cache<Secret>,
    /// HMAC keys.
    macs: Cache<SecretBytes>,
    /// Asymmetric keys.
    parsed: Cache<Arc<PrivateKey>>,
    /// Held while materials are forgotten, so that all caches count evictions in one order: a command that was deferred
    /// knows one number for all of them.
    evicting: Mutex<()>,
    entropy: Entropy,
    arena: Arc<SecretArena>,
}

/// Why an engine does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A known answer was not met, or a trial encryption did not open.
    SelfTest,
    /// The generator failed.
    Randomness,
    /// There is no memory for secrets.
    Memory(ArenaError),
    /// The seal did not open, or could not be made.
    Seal(SealError),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SelfTest => f.write_str("the self-test failed; nothing is served"),
            Self::Randomness => f.write_str("the random number generator failed"),
            Self::Memory(error) => error.fmt(f),
            Self::Seal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<Refusal> for StartError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Randomness => Self::Randomness,
            _ => Self::SelfTest,
        }
    }
}

/// Draws a new domain and lets the seal keep it. The seal must refuse if it keeps one already.
///
/// # Errors
/// [`StartError`].
pub fn create_domain(seal: &mut dyn Seal, random: Box<dyn Random>) -> Result<(), StartError> {
    selftest::run(&KNOWN_ANSWERS)?;
    match seal.load() {
        Err(SealError::Missing) => {}
        Ok(_) => return Err(StartError::Seal(SealError::Exists)),
        Err(error) => return Err(StartError::Seal(error)),
    }
    let secrets = domain::draw(&Entropy::new(random)?)?;
    seal.save(&secrets).map_err(StartError::Seal)
}

impl Engine {
    /// Tests itself, opens the seal and is ready to serve. `cache_len` bounds the cached materials of each form; of
    /// HMAC keys and of asymmetric keys there are at most 2,048 each.
    ///
    /// # Errors
    /// [`StartError`]; an engine that fails its self-test does not exist.
    pub fn start(seal: Box<dyn Seal>, random: Box<dyn Random>, cache_len: usize) -> Result<Self, StartError> {
        Self::start_if(&KNOWN_ANSWERS, seal, random, cache_len)
    }

    fn start_if(
        known: &KnownAnswers,
        mut seal: Box<dyn Seal>,
        random: Box<dyn Random>,
        cache_len: usize,
    ) -> Result<Self, StartError> {
        selftest::run(known)?;
        let entropy = Entropy::new(random)?;
        let (macs, parsed) = (cache_len.min(MAX_MACS), cache_len.min(MAX_PARSED));
        let mac_slots = macs * slots_of(algorithms::MAX_MAC_KEY_LEN);
        let slots = cache_len.saturating_add(mac_slots).saturating_add(MAX_GENERATIONS).saturating_add(1);
        let arena = SecretArena::new(slots).map_err(StartError::Memory)?;
        let secrets = seal.load().map_err(StartError::Seal)?;
        let domain = Domain::new(&secrets, seal, &arena)?;
        let engine = Self {
            domain,
            cache: Cache::new(cache_len),
            macs: Cache::new(macs),
            parsed: Cache::new(parsed),
            evicting: Mutex::default(),
            entropy,
            arena,
        };
        engine.try_round_trip()?;
        Ok(engine)
    }

    /// A new connection's state.
    pub fn session(&self) -> Session<'_> {
        Session::new(self)
    }

    /// A worker's state: it carries out what the sessions of connections defer.
    pub fn worker(&self) -> Session<'_> {
        Session::of_worker(self)
    }

    /// How many evictions there were so far, by the cache that counts them last.
    pub(crate) fn evictions(&self) -> Ticket {
        self.cache.ticket()
    }

    /// How secrets at rest in this process are kept from being read.
    pub fn protection(&self) -> Protection {
        self.arena.protection()
    }

    /// Carries out one command. `now` is the time since any fixed moment. What the reply shows lies in `scratch`.
    pub(crate) fn answer<'s>(
        &self,
        scratch: &'s mut Scratch,
        now: Duration,
        command: &Command<'_>,
    ) -> Result<Reply<'s>, Refusal> {
        match command {
            Command::Hello { version: VERSION } => {
                Ok(Reply::Hello { version: VERSION, domain: *self.domain.id() })
            }
            Command::Hello { .. } => Err(Refusal::Version),
            Command::CreateKey { binding } => self.create_key(binding, scratch),
            Command::Encrypt { key, context, plaintext, algorithm } => {
                let cipher = self.cipher(key, algorithm, context, now, scratch)?;
                scratch.show(plaintext);
                self.seal(&cipher, scratch)?;
                Ok(Reply::Ciphertext { blob: &scratch.sealed })
            }
            Command::Decrypt { key, context, blob, algorithm, recipient } => {
                let recipient = recipient.as_ref().map(Recipient::of).transpose()?;
                let cipher = self.cipher(key, algorithm, context, now, scratch)?;
                self.open(&cipher, blob, scratch)?;
                self.hand_over(recipient, scratch, |plaintext| Reply::Plaintext { plaintext })
            }
            Command::GenerateDataKey { key, context, length, disclose, recipient } => {
                limits::symmetric(&key.binding)?;
                let length = limits::random_len(*length)?;
                let recipient = recipient.as_ref().map(Recipient::of).transpose()?;
                let material = self.material(key, now, scratch)?;
                self.draw(length, scratch)?;
                cipher::seal(&material, key.material, context, &self.entropy, scratch)?;
                self.enclose(*disclose, recipient.as_ref(), scratch)?;
                let (plaintext, enveloped) = scratch.disclosed(*disclose, recipient.is_some());
                Ok(Reply::DataKey { blob: &scratch.sealed, plaintext, enveloped })
            }
            Command::GenerateRandom { length, recipient } => {
                let recipient = recipient.as_ref().map(Recipient::of).transpose()?;
                self.draw(limits::random_len(*length)?, scratch)?;
                self.hand_over(recipient, scratch, |bytes| Reply::Random { bytes })
            }
            Command::Evict { materials } => self.evict(materials, now).map(|()| Reply::Evicted),
            Command::HostKey { label } => {
                scratch.show(self.domain.host_key(*label)?.bytes());
                Ok(Reply::HostKey { key: Disclosed(&scratch.clear) })
            }
            Command::RotateDomainKey { newest } => {
                Ok(Reply::DomainKeyRotated { generation: self.domain.rotate(*newest, &self.entropy)? })
            }
            Command::Rewrap { key } => self.rewrap(key, scratch),
            Command::CreateCredential { binding, secret } => {
                limits::credential(binding)?;
                credential::create(&self.domain, &self.entropy, binding, *secret, scratch)?;
                let shown = secret.is_none().then_some(Disclosed(&scratch.clear));
                Ok(Reply::CredentialWrapped { token: &scratch.sealed, secret: shown })
            }
            Command::SigningKey { credential, date, region, service } => {
                limits::credential(&credential.binding)?;
                limits::scope(date, region, service)?;
                credential::signing_key(&self.domain, credential, [date, region, service], scratch)?;
                Ok(Reply::SigningKey { key: Disclosed(&scratch.clear) })
            }
            _ => self.operate(scratch, now, command),
        }
    }

    fn create_key<'s>(&self, binding: &Binding<'_>, scratch: &'s mut Scratch) -> Result<Reply<'s>, Refusal> {
        let spec = limits::kind(binding)?.spec;
        let made = algorithms::generate(spec, &self.entropy)?;
        scratch.public.extend_from_slice(made.public.as_deref().unwrap_or_default());
        let material = token::stored_id(spec, &made.private, binding.key_id)?;
        self.wrap(binding, material, &made.private, scratch)?;
        let public = made.public.is_some().then_some(scratch.public.as_slice());
        Ok(Reply::KeyWrapped { material, token: &scratch.sealed, public })
    }

    fn rewrap<'s>(&self, key: &WrappedKey<'_>, scratch: &'s mut Scratch) -> Result<Reply<'s>, Refusal> {
        let spec = limits::kind(&key.binding)?.spec;
        let stored = token::unwrap_stored(&self.domain, spec, key, &mut scratch.clear)?;
        self.wrap(&key.binding, key.material, &stored, scratch)?;
        Ok(Reply::KeyWrapped { material: key.material, token: &scratch.sealed, public: None })
    }

    fn wrap(
        &self,
        binding: &Binding<'_>,
        material: MaterialId,
        stored: &[u8],
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let place = Place::key(&self.domain, binding, material)?;
        token::wrap(&self.domain, &self.entropy, place, stored, &mut scratch.sealed)
    }

    /// Forgets materials, in whatever form.
    fn evict(&self, materials: &[MaterialId], now: Duration) -> Result<(), Refusal> {
        let _turn = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        self.parsed.evict(materials, now)?;
        self.macs.evict(materials, now)?;
        self.cache.evict(materials, now)
    }

    /// The material of a wrapped key: from the cache, or unwrapped and cached.
    fn material(&self, key: &WrappedKey<'_>, now: Duration, scratch: &mut Scratch) -> Result<Key, Refusal> {
        let place = Place::key(&self.domain, &key.binding, key.material)?;
        match self.cache.find(key.material, place.as_slice(), key.token, Secret::copy)? {
            Found::Hit(material) => Ok(material),
            Found::Miss(ticket) => {
                let ticket = scratch.since.unwrap_or(ticket);
                let clear = &mut scratch.clear;
                let material =
                    token::unwrap_material(&self.domain, &key.binding, key.material, key.token, clear)?;
                self.cache.put(ticket, now, key.material, place.as_slice(), key.token, || {
                    self.arena.keep(&material)
                })?;
                Ok(material)
            }
        }
    }

    /// Answers with what is in the clear: as it is, or enveloped to a recipient.
    fn hand_over<'s>(
        &self,
        recipient: Option<Recipient>,
        scratch: &'s mut Scratch,
        clear: impl FnOnce(Disclosed<'s>) -> Reply<'s>,
    ) -> Result<Reply<'s>, Refusal> {
        match recipient {
            None => Ok(clear(Disclosed(&scratch.clear))),
            Some(recipient) => {
                recipient.envelop(&self.entropy, scratch)?;
                Ok(Reply::Enveloped { content: &scratch.enveloped })
            }
        }
    }

    /// Envelopes what is in the clear where it is to be disclosed and there is a recipient.
    fn enclose(
        &self,
        disclose: bool,
        recipient: Option<&Recipient>,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        match recipient.filter(|_| disclose) {
            Some(recipient) => recipient.envelop(&self.entropy, scratch),
            None => Ok(()),
        }
    }

    /// Whether the material of a key is cached, in whatever form.
    #[cfg(test)]
    pub(crate) fn caches(&self, key: &WrappedKey<'_>) -> bool {
        let place = Place::key(&self.domain, &key.binding, key.material).unwrap();
        let (material, place, token) = (key.material, place.as_slice(), key.token);
        matches!(self.cache.find(material, place, token, |_| ()), Ok(Found::Hit(())))
            || matches!(self.macs.find(material, place, token, |_| ()), Ok(Found::Hit(())))
            || matches!(self.parsed.find(material, place, token, |_| ()), Ok(Found::Hit(())))
    }

    fn draw(&self, length: usize, scratch: &mut Scratch) -> Result<(), Refusal> {
        scratch.wipe();
        scratch.clear.resize(length, 0);
        self.entropy.fill(&mut scratch.clear)
    }

    /// A key made, wrapped, unwrapped, used to encrypt and to decrypt; the last part of the self-test.
    fn try_round_trip(&self) -> Result<(), StartError> {
        const TRIAL: &[u8] = b"power-on self-test";
        let binding = Binding {
            account: "000000000000",
            region: "self-test",
            key_id: "self-test",
            spec: "SYMMETRIC_DEFAULT",
            usage: "ENCRYPT_DECRYPT",
        };
        let mut scratch = Scratch::new();
        let Reply::KeyWrapped { material, token, .. } = self.create_key(&binding, &mut scratch)? else {
            return Err(StartError::SelfTest);
        };
        let token = token.to_vec();
        let key =
            token::unwrap_material(&self.domain, &binding, material, &token, &mut Scratch::new().clear)?;
        scratch.reset();
        scratch.show(TRIAL);
        cipher::seal(&key, material, &[], &self.entropy, &mut scratch)?;
        let blob = scratch.sealed.clone();
        cipher::open(&key, material, &[], &blob, &mut scratch)?;
        if scratch.clear == TRIAL && !blob.windows(TRIAL.len()).any(|window| window == TRIAL) {
            Ok(())
        } else {
            Err(StartError::SelfTest)
        }
    }
}

#[cfg(test)]
mod tests;
