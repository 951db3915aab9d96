//! The domain: its id, the root of the host's keys and the ring of domain keys. Newest wraps, older ones unwrap.

use std::sync::{Arc, Mutex, RwLock};

use claviger_hsm_proto::{HostKeyLabel, Refusal};

use crate::arena::{Secret, SecretArena};
use crate::primitives::{self, Key};
use crate::random::Entropy;
use crate::seal::{DomainKey, DomainSecrets, MAX_GENERATIONS, Seal};

/// The secrets of a domain in secret memory, and the seal they came from.
pub(crate) struct Domain {
    id: [u8; 16],
    host_root: Secret,
    /// Domain keys by rising generation.
    ring: RwLock<Vec<(u32, Secret)>>,
    /// One rotation at a time; never taken while the ring is locked.
    seal: Mutex<Box<dyn Seal>>,
    arena: Arc<SecretArena>,
}

/// Draws the secrets of a new domain. They are of no use before a seal keeps them.
///
/// # Errors
/// [`Refusal::Randomness`].
pub(crate) fn draw(entropy: &Entropy) -> Result<DomainSecrets, Refusal> {
    let (mut id, mut host_root, mut key) = ([0; 16], Key::blank(), Key::blank());
    entropy.fill(&mut id)?;
    entropy.fill(host_root.bytes_mut())?;
    entropy.fill(key.bytes_mut())?;
    Ok(DomainSecrets { id, host_root, keys: vec![DomainKey { generation: 1, key }] })
}

impl Domain {
    /// Moves the secrets into secret memory.
    ///
    /// # Errors
    /// [`Refusal::Internal`] where the arena is too small.
    pub(crate) fn new(
        secrets: &DomainSecrets,
        seal: Box<dyn Seal>,
        arena: &Arc<SecretArena>,
    ) -> Result<Self, Refusal> {
        let keep = |key: &Key| arena.keep(key).ok_or(Refusal::Internal);
        let ring: Result<Vec<_>, _> =
            secrets.keys.iter().map(|key| Ok((key.generation, keep(&key.key)?))).collect();
        Ok(Self {
            id: secrets.id,
            host_root: keep(&secrets.host_root)?,
            ring: RwLock::new(ring?),
            seal: Mutex::new(seal),
            arena: Arc::clone(arena),
        })
    }

    /// Names the domain.
    pub(crate) fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// The generation that wraps, and its key.
    pub(crate) fn newest(&self) -> Result<(u32, Key), Refusal> {
        let ring = self.ring.read().map_err(|_| Refusal::Internal)?;
        ring.last().map(|(generation, secret)| (*generation, secret.copy())).ok_or(Refusal::Internal)
    }

    /// The key of one generation; [`Refusal::Token`] where the domain has none of that number.
    pub(crate) fn key(&self, generation: u32) -> Result<Key, Refusal> {
        let ring = self.ring.read().map_err(|_| Refusal::Internal)?;
        let place =
            ring.binary_search_by_key(&generation, |(number, _)| *number).map_err(|_| Refusal::Token)?;
        ring.get(place).map(|(_, secret)| secret.copy()).ok_or(Refusal::Internal)
    }

    /// A key of the host, derived from the root: the same at every start, independent for each label.
    pub(crate) fn host_key(&self, label: HostKeyLabel) -> Result<Key, Refusal> {
        let label = match label {
            HostKeyLabel::Records => "claviger host records v1",
            HostKeyLabel::Markers => "claviger host markers v1",
            HostKeyLabel::Sessions => "claviger host sessions v1",
            HostKeyLabel::GrantTokens => "claviger host grant tokens v1",
            HostKeyLabel::Seeds => "claviger host seeds v1",
            HostKeyLabel::Passwords => "claviger host passwords v1",
        };
        primitives::derive(self.host_root.copy().bytes(), label, &self.id)
    }

    /// Adds a domain key, unless the newest is another than this one; answers the number of the newest. The seal keeps it before it wraps anything, so nothing is ever wrapped under a key that a
    /// crash could lose.
    ///
    /// # Errors
    /// [`Refusal::Length`] at [`MAX_GENERATIONS`], [`Refusal::Randomness`], [`Refusal::Seal`]; the ring is then as
    /// it was.
    pub(crate) fn rotate(&self, newest: u32, entropy: &Entropy) -> Result<u32, Refusal> {
        let mut seal = self.seal.lock().map_err(|_| Refusal::Internal)?;
        let mut secrets = self.secrets()?;
        let last = secrets.keys.last().ok_or(Refusal::Internal)?.generation;
        if last != newest {
            return Ok(last);
        }
        if secrets.keys.len() >= MAX_GENERATIONS {
            return Err(Refusal::Length);
        }
        let generation = last.checked_add(1).ok_or(Refusal::Length)?;
        let mut key = Key::blank();
        entropy.fill(key.bytes_mut())?;
        let secret = self.arena.keep(&key).ok_or(Refusal::Internal)?;
        secrets.keys.push(DomainKey { generation, key });
        seal.save(&secrets).map_err(|_| Refusal::Seal)?;
        self.ring.write().map_err(|_| Refusal::Internal)?.push((generation, secret));
        Ok(generation)
    }

    /// A copy of everything, with room for one key more so that adding it moves nothing.
    fn secrets(&self) -> Result<DomainSecrets, Refusal> {
        let ring = self.ring.read().map_err(|_| Refusal::Internal)?;
        let mut keys = Vec::with_capacity(ring.len() + 1);
        keys.extend(ring.iter().map(|(number, key)| DomainKey { generation: *number, key: key.copy() }));
        Ok(DomainSecrets { id: self.id, host_root: self.host_root.copy(), keys })
    }
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Domain(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemEntropy;
    use crate::seal::{SealError, memory::MemorySeal};

    fn domain(generations: u32, seal: Box<dyn Seal>) -> Domain {
        let mut secrets = draw(&entropy()).unwrap();
        let key = |generation| DomainKey { generation, key: Key::of([7; 32]) };
        secrets.keys = (1..=generations).map(key).collect();
        Domain::new(&secrets, seal, &SecretArena::new(MAX_GENERATIONS + 1).unwrap()).unwrap()
    }

    fn entropy() -> Entropy {
        Entropy::new(Box::new(SystemEntropy::default())).unwrap()
    }

    #[test]
    fn rotation_is_sealed_before_it_counts() {
        let seal = MemorySeal::default();
        let domain = domain(1, Box::new(seal.clone()));
        assert_eq!(domain.rotate(1, &entropy()), Ok(2));
        let kept = seal.clone().load().unwrap();
        assert_eq!(kept.keys.len(), 2);
        assert_eq!(kept.keys[1].key.bytes(), domain.newest().unwrap().1.bytes());
        assert_eq!(domain.key(1).unwrap().bytes(), &[7; 32]);
        assert_eq!(domain.key(3).unwrap_err(), Refusal::Token);
        assert_eq!(domain.key(0).unwrap_err(), Refusal::Token);
    }

    #[test]
    fn a_seal_that_cannot_be_written_leaves_the_ring() {
        struct Full;
        impl Seal for Full {
            fn load(&mut self) -> Result<DomainSecrets, SealError> {
                Err(SealError::Missing)
            }
            fn save(&mut self, _: &DomainSecrets) -> Result<(), SealError> {
                Err(SealError::Io(rustix::io::Errno::NOSPC))
            }
        }
        let domain = domain(1, Box::new(Full));
        assert_eq!(domain.rotate(1, &entropy()), Err(Refusal::Seal));
        assert_eq!(domain.newest().unwrap().0, 1);
    }

    /// Who did not hear the answer asks again, and who comes second is told what the first has made.
    #[test]
    fn only_who_knows_the_newest_makes_another() {
        let seal = MemorySeal::default();
        let domain = domain(2, Box::new(seal.clone()));
        for other in [0, 1, 3, u32::MAX] {
            assert_eq!(domain.rotate(other, &entropy()), Ok(2));
        }
        assert!(seal.clone().load().is_err(), "nothing was written");
        assert_eq!(domain.rotate(2, &entropy()), Ok(3));
        assert_eq!(domain.rotate(2, &entropy()), Ok(3));
        assert_eq!(seal.clone().load().unwrap().keys.len(), 3);
    }

    #[test]
    fn the_ring_is_bounded() {
        let domain = domain(4096, Box::new(MemorySeal::default()));
        assert_eq!(domain.rotate(4096, &entropy()), Err(Refusal::Length));
        assert_eq!(domain.newest().unwrap().0, 4096);
    }

    #[test]
    fn host_keys_differ_by_label_and_domain_and_outlast_rotation() {
        let (one, other) =
            (domain(1, Box::new(MemorySeal::default())), domain(1, Box::new(MemorySeal::default())));
        let records = *one.host_key(HostKeyLabel::Records).unwrap().bytes();
        for label in [HostKeyLabel::Markers, HostKeyLabel::Sessions, HostKeyLabel::GrantTokens] {
            assert_ne!(&records, one.host_key(label).unwrap().bytes());
        }
        assert_ne!(&records, other.host_key(HostKeyLabel::Records).unwrap().bytes());
        one.rotate(1, &entropy()).unwrap();
        assert_eq!(&records, one.host_key(HostKeyLabel::Records).unwrap().bytes());
    }
}
