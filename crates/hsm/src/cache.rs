//! A bounded cache of unwrapped materials, one for each form that they are kept in: symmetric keys and HMAC keys in
//! secret memory, asymmetric keys parsed.
//!
//! A hit needs the exact associated data and the exact token that were unwrapped: what the cache answers is what
//! unwrapping would have answered. Its hash is keyed by random numbers of this process, so a host cannot choose ids
//! that collide. When it is full, the entry that was not used for longest (by the clock algorithm, an approximation
//! of least recently used) makes room.
//!
//! Evicted materials leave a *tombstone* for [`TOMBSTONE_TIME`], in which they are not cached again. A command that
//! began before the eviction can never put its copy in, whatever the time: every miss carries a ticket with the
//! number of evictions so far, and an older ticket than the tombstone is refused. A command that waits for a worker
//! first has begun when it was read: it brings its ticket from there. Tombstones that are dropped, for
//! their age or for lack of room, raise the lowest ticket that is still accepted.

use std::collections::{HashMap, VecDeque};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claviger_hsm_proto::{LONGEST_WAIT, MaterialId, Refusal};

/// How long an evicted material is not cached again: longer than the host waits for a command, also one that the HSM has not
/// read.
pub(crate) const TOMBSTONE_TIME: Duration = LONGEST_WAIT.saturating_add(Duration::from_secs(60));
/// Most tombstones that are kept.
const MAX_TOMBSTONES: usize = 8192;

/// Unwrapped materials, kept as `V`.
pub(crate) struct Cache<V> {
    capacity: usize,
    table: RwLock<Table<V>>,
}

/// What a look-up found.
pub(crate) enum Found<R> {
    /// The material.
    Hit(R),
    /// Nothing; the ticket allows to put in what was unwrapped, unless it was evicted since.
    Miss(Ticket),
}

/// Number of evictions when a look-up missed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(u64);

struct Table<V> {
    places: HashMap<MaterialId, usize>,
    entries: Vec<Entry<V>>,
    hand: usize,
    graves: HashMap<MaterialId, Grave>,
    /// Graves by age: material and the eviction that made it.
    ages: VecDeque<(MaterialId, u64)>,
    evictions: u64,
    lowest_ticket: u64,
}

struct Entry<V> {
    material: MaterialId,
    unwrapped: Unwrapped,
    kept: V,
    used: AtomicBool,
}

/// What was unwrapped: the token, behind the place that it was unwrapped with. In one piece, since each piece is one
/// more wait for memory where there are many keys.
struct Unwrapped {
    bytes: Box<[u8]>,
    place_len: usize,
}

impl Unwrapped {
    fn new(place: &[u8], token: &[u8]) -> Self {
        Self { bytes: [place, token].concat().into(), place_len: place.len() }
    }

    fn is(&self, place: &[u8], token: &[u8]) -> bool {
        self.bytes.split_at_checked(self.place_len) == Some((place, token))
    }
}

struct Grave {
    eviction: u64,
    until: Duration,
}

impl<V> Cache<V> {
    /// An empty cache of at most `capacity` materials.
    pub(crate) fn new(capacity: usize) -> Self {
        let table = Table {
            places: HashMap::new(),
            entries: Vec::new(),
            hand: 0,
            graves: HashMap::new(),
            ages: VecDeque::new(),
            evictions: 0,
            lowest_ticket: 0,
        };
        Self { capacity, table: RwLock::new(table) }
    }

    /// The ticket of a command that is read now and carried out later: it stands for the look-up's.
    pub(crate) fn ticket(&self) -> Ticket {
        // Where a thread died with the lock nothing is found or put in, with whatever ticket.
        Ticket(self.table.read().map_or(0, |table| table.evictions))
    }

    /// Looks a material up under the place and token it was unwrapped with; `copy` takes what is needed of it.
    pub(crate) fn find<R>(
        &self,
        material: MaterialId,
        place: &[u8],
        token: &[u8],
        copy: impl FnOnce(&V) -> R,
    ) -> Result<Found<R>, Refusal> {
        let table = self.table.read().map_err(|_| Refusal::Internal)?;
        let entry = table.places.get(&material).and_then(|at| table.entries.get(*at));
        Ok(match entry {
            Some(entry) if entry.unwrapped.is(place, token) => {
                if !entry.used.load(Ordering::Relaxed) {
                    entry.used.store(true, Ordering::Relaxed);
                }
                Found::Hit(copy(&entry.kept))
            }
            _ => Found::Miss(Ticket(table.evictions)),
        })
    }

    /// Puts in what was unwrapped after a miss, unless the material was evicted since or lately. `keep` makes what is
    /// kept once there is room for it; where it gives nothing, nothing is cached.
    pub(crate) fn put(
        &self,
        ticket: Ticket,
        now: Duration,
        material: MaterialId,
        place: &[u8],
        token: &[u8],
        keep: impl FnOnce() -> Option<V>,
    ) -> Result<(), Refusal> {
        let mut table = self.table.write().map_err(|_| Refusal::Internal)?;
        if self.capacity == 0 || table.forbids(material, ticket, now) {
            return Ok(());
        }
        table.remove(material);
        if table.entries.len() >= self.capacity {
            table.make_room();
        }
        if let Some(kept) = keep() {
            let (unwrapped, used) = (Unwrapped::new(place, token), AtomicBool::new(true));
            let at = table.entries.len();
            table.entries.push(Entry { material, unwrapped, kept, used });
            table.places.insert(material, at);
        }
        Ok(())
    }

    /// Forgets materials and keeps them out for a while. When it returns no copy is in the cache.
    pub(crate) fn evict(&self, materials: &[MaterialId], now: Duration) -> Result<(), Refusal> {
        let mut table = self.table.write().map_err(|_| Refusal::Internal)?;
        table.evictions += 1;
        table.bury_old(now);
        let (eviction, until) = (table.evictions, now.saturating_add(TOMBSTONE_TIME));
        for material in materials {
            table.remove(*material);
            table.graves.insert(*material, Grave { eviction, until });
            table.ages.push_back((*material, eviction));
            if table.ages.len() > MAX_TOMBSTONES {
                table.drop_oldest_grave();
            }
        }
        Ok(())
    }
}

impl<V> Table<V> {
    fn forbids(&self, material: MaterialId, ticket: Ticket, now: Duration) -> bool {
        let buried = self.graves.get(&material);
        ticket.0 < self.lowest_ticket
            || buried.is_some_and(|grave| now < grave.until || ticket.0 < grave.eviction)
    }

    fn remove(&mut self, material: MaterialId) {
        let Some(at) = self.places.remove(&material) else { return };
        if at >= self.entries.len() {
            return;
        }
        drop(self.entries.swap_remove(at));
        if let Some(moved) = self.entries.get(at) {
            self.places.insert(moved.material, at);
        }
    }

    /// Sweeps the hand over the entries until one was not used since it last came by; two rounds always find one.
    fn make_room(&mut self) {
        for _ in 0..=self.entries.len().saturating_mul(2) {
            self.hand = if self.hand + 1 < self.entries.len() { self.hand + 1 } else { 0 };
            let Some(entry) = self.entries.get(self.hand) else { return };
            if !entry.used.swap(false, Ordering::Relaxed) {
                let material = entry.material;
                return self.remove(material);
            }
        }
    }

    fn bury_old(&mut self, now: Duration) {
        while let Some((material, eviction)) = self.ages.front() {
            let grave = self.graves.get(material).filter(|grave| grave.eviction == *eviction);
            if grave.is_some_and(|grave| now < grave.until) {
                return;
            }
            self.drop_oldest_grave();
        }
    }

    fn drop_oldest_grave(&mut self) {
        let Some((material, eviction)) = self.ages.pop_front() else { return };
        if self.graves.get(&material).is_some_and(|grave| grave.eviction == eviction) {
            self.graves.remove(&material);
            self.lowest_ticket = self.lowest_ticket.max(eviction);
        }
    }
}

impl<V> std::fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache(at most {})", self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Secret, SecretArena};
    use crate::primitives::Key;

    const NOW: Duration = Duration::from_secs(1000);

    fn cache(capacity: usize) -> Cache<()> {
        Cache::new(capacity)
    }

    fn id(number: u32) -> MaterialId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        MaterialId(id)
    }

    fn ticket(cache: &Cache<()>, number: u32) -> Option<Ticket> {
        match cache.find(id(number), b"place", b"token", |()| ()).unwrap() {
            Found::Hit(()) => None,
            Found::Miss(ticket) => Some(ticket),
        }
    }

    fn put(cache: &Cache<()>, ticket: Ticket, now: Duration, number: u32) {
        cache.put(ticket, now, id(number), b"place", b"token", || Some(())).unwrap();
    }

    fn holds(cache: &Cache<()>, number: u32) -> bool {
        ticket(cache, number).is_none()
    }

    fn fill(cache: &Cache<()>, number: u32) {
        if let Some(ticket) = ticket(cache, number) {
            put(cache, ticket, NOW, number);
        }
    }

    #[test]
    fn a_hit_needs_the_same_place_and_token() {
        let cache = cache(4);
        fill(&cache, 1);
        assert!(holds(&cache, 1));
        for (place, token) in [
            (&b"Place"[..], &b"token"[..]),
            (b"place", b"tokeN"),
            (b"place", b""),
            (b"", b""),
            (b"placet", b"oken"),
        ] {
            assert!(matches!(cache.find(id(1), place, token, |()| ()).unwrap(), Found::Miss(_)));
        }
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let cache = cache(64);
        for number in 0..1000 {
            fill(&cache, number);
            fill(&cache, 0);
        }
        assert_eq!((0..1000).filter(|number| holds(&cache, *number)).count(), 64);
        assert!(holds(&cache, 0));
    }

    /// Room is made before a slot of secret memory is asked for, so an arena as large as the cache is enough.
    #[test]
    fn it_needs_no_more_slots_than_it_has_room() {
        let (cache, arena) = (Cache::<Secret>::new(4), SecretArena::new(4).unwrap());
        for number in 0..20 {
            let Ok(Found::Miss(ticket)) = cache.find(id(number), b"place", b"token", Secret::copy) else {
                panic!("{number} is not new")
            };
            cache.put(ticket, NOW, id(number), b"place", b"token", || arena.keep(&Key::blank())).unwrap();
            assert!(matches!(cache.find(id(number), b"place", b"token", Secret::copy), Ok(Found::Hit(_))));
        }
    }

    #[test]
    fn an_evicted_material_stays_out_for_a_while() {
        let cache = cache(4);
        fill(&cache, 1);
        fill(&cache, 2);
        cache.evict(&[id(1)], NOW).unwrap();
        assert!(!holds(&cache, 1) && holds(&cache, 2));
        fill(&cache, 1);
        assert!(!holds(&cache, 1));
        assert!(TOMBSTONE_TIME > LONGEST_WAIT, "a command that waits unread is read after it");
        let later = NOW + TOMBSTONE_TIME;
        put(&cache, ticket(&cache, 1).unwrap(), later, 1);
        assert!(holds(&cache, 1));
    }

    /// Attack J14: a command that began before the eviction ends after it, at any later time.
    #[test]
    fn a_command_in_flight_brings_nothing_back() {
        let cache = cache(4);
        let before = ticket(&cache, 1).unwrap();
        cache.evict(&[id(1)], NOW).unwrap();
        for after in [Duration::ZERO, TOMBSTONE_TIME, TOMBSTONE_TIME * 100] {
            put(&cache, before, NOW + after, 1);
            assert!(!holds(&cache, 1), "{after:?} later");
        }
        cache.evict(&[id(2)], NOW + TOMBSTONE_TIME * 100).unwrap();
        put(&cache, before, NOW + TOMBSTONE_TIME * 200, 1);
        assert!(!holds(&cache, 1), "after its tombstone was dropped for its age");
    }

    #[test]
    fn tombstones_are_bounded_and_dropping_one_lets_nothing_in() {
        let cache = cache(4);
        let before = ticket(&cache, 0).unwrap();
        for number in 0..u32::try_from(MAX_TOMBSTONES).unwrap() + 10 {
            cache.evict(&[id(number)], NOW).unwrap();
        }
        let table = cache.table.read().unwrap();
        assert_eq!((table.graves.len(), table.ages.len()), (MAX_TOMBSTONES, MAX_TOMBSTONES));
        drop(table);
        put(&cache, before, NOW, 0);
        assert!(!holds(&cache, 0));
    }

    #[test]
    fn evicting_again_and_again_stays_bounded() {
        let cache = cache(4);
        for _ in 0..3 * MAX_TOMBSTONES {
            cache.evict(&[id(7)], NOW).unwrap();
        }
        assert!(cache.table.read().unwrap().ages.len() <= MAX_TOMBSTONES);
        fill(&cache, 7);
        assert!(!holds(&cache, 7));
    }
}
