//! The seal: where a domain's secrets rest while no HSM runs.
//!
//! A seal is opened once, at start, and written when a domain key is added. Every kind of seal stands behind [`Seal`].

pub mod file;
pub mod memory;

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::primitives::{KEY_LEN, Key};

/// Most domain keys a domain may have. At one rotation a day this is eleven years; each costs 36 bytes in the seal.
pub const MAX_GENERATIONS: usize = 4096;

/// Keeps the secrets of one domain.
pub trait Seal: Send {
    /// Opens the seal.
    ///
    /// # Errors
    /// [`SealError`]; a seal that does not open is never replaced by a new one.
    fn load(&mut self) -> Result<DomainSecrets, SealError>;

    /// Replaces what is kept. When it returns, the new content survives a crash.
    ///
    /// # Errors
    /// [`SealError`]; the new content must then not be used.
    fn save(&mut self, secrets: &DomainSecrets) -> Result<(), SealError>;
}

/// Everything that makes a domain: who can read it can open everything the domain ever wrapped.
#[derive(Clone, Encode, Decode)]
pub struct DomainSecrets {
    /// Names the domain. Not a secret.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    /// Root of the host's own keys. Never rotated.
    #[n(1)]
    pub(crate) host_root: Key,
    /// The domain keys, oldest first.
    #[n(2)]
    pub(crate) keys: Vec<DomainKey>,
}

/// One generation of domain key.
#[derive(Clone, Encode, Decode)]
pub struct DomainKey {
    /// Number of the generation; the first is 1.
    #[n(0)]
    pub(crate) generation: u32,
    /// The key.
    #[n(1)]
    pub(crate) key: Key,
}

impl DomainSecrets {
    /// Whether this can be a domain: at least one key and not too many, numbered upwards from 1.
    pub(crate) fn is_sound(&self) -> bool {
        let numbers = self.keys.iter().map(|key| key.generation);
        (1..=MAX_GENERATIONS).contains(&self.keys.len())
            && (1..).zip(numbers).all(|(number, is)| number == is)
    }

    /// As CBOR. The buffer is made large enough at once, so that no outgrown copy stays behind.
    ///
    /// # Errors
    /// [`SealError::Damaged`] if the encoder fails.
    pub(crate) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut out = Zeroizing::new(Vec::with_capacity(128 + self.keys.len() * (KEY_LEN + 16)));
        minicbor::encode(self, &mut *out).map_err(|_| SealError::Damaged)?;
        Ok(out)
    }

    /// From CBOR.
    ///
    /// # Errors
    /// [`SealError::Damaged`] for anything that is not a sound domain.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SealError> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let secrets: Self = decoder.decode().map_err(|_| SealError::Damaged)?;
        if decoder.position() == bytes.len() && secrets.is_sound() {
            Ok(secrets)
        } else {
            Err(SealError::Damaged)
        }
    }
}

impl std::fmt::Debug for DomainSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DomainSecrets({} keys)", self.keys.len())
    }
}

impl std::fmt::Debug for DomainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DomainKey({})", self.generation)
    }
}

/// Why a seal was not opened or not written.
#[derive(Debug)]
#[non_exhaustive]
pub enum SealError {
    /// There is no seal, and one is only made when that is asked for.
    Missing,
    /// A seal is already there; it is never written over by a new domain.
    Exists,
    /// No copy is whole.
    Damaged,
    /// The copies are equally new and differ, or are of different domains: nobody can say which is right.
    Conflict,
    /// The seal was written by a newer version.
    Newer(u16),
    /// Another process has the seal open.
    InUse,
    /// The folder or a file has the wrong kind, owner or mode.
    Unsafe(&'static str),
    /// The generator failed while the seal was written.
    Randomness,
    /// The operating system refused.
    Io(rustix::io::Errno),
}

impl std::fmt::Display for SealError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no seal; `--init` makes a new domain"),
            Self::Exists => {
                f.write_str("a seal is already there; a new domain would make its keys unreadable")
            }
            Self::Damaged => f.write_str("no copy of the seal is whole; restore one, nothing was written"),
            Self::Conflict => {
                f.write_str("the copies of the seal contradict each other; nothing was written")
            }
            Self::Newer(format) => {
                write!(f, "the seal has format {format}, which this version does not know")
            }
            Self::InUse => f.write_str("another process uses this seal"),
            Self::Unsafe(what) => f.write_str(what),
            Self::Randomness => f.write_str("the random number generator failed"),
            Self::Io(errno) => write!(f, "the seal could not be read or written: {errno}"),
        }
    }
}

impl std::error::Error for SealError {}

impl From<rustix::io::Errno> for SealError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno)
    }
}
