//! Numbers that look random and are the same in each run with the same seed (splitmix64).

use std::time::Duration;

/// Environment variable that repeats a run.
const SEED: &str = "CLAVIGER_TEST_SEED";

/// The numbers.
pub(crate) struct Dice(u64);

impl Dice {
    /// The numbers of one seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of the seed in the environment, or of one taken from the clock. Prints which.
    #[expect(clippy::disallowed_methods, reason = "a failed run is repeated with the seed it printed")]
    pub(crate) fn of_this_run() -> Self {
        let given = std::env::var(SEED).ok().map(|seed| seed.parse().expect("the seed is a number"));
        let seed = given.unwrap_or_else(|| claviger_server::shell::now().0.cast_unsigned());
        println!("{SEED}={seed}");
        Self(seed)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    /// A place in something that has `len` of them.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.roll(len as u64)).unwrap()
    }

    /// Whether something with this many chances in a hundred happens.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    /// A time between two, in microseconds.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_micros();
        least + Duration::from_micros(self.roll(u64::try_from(span).unwrap().max(1)))
    }

    /// Bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Numbers of their own for somebody else.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
