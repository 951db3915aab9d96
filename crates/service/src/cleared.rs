//! A buffer for what may hold secrets: what it leaves behind as it grows is cleared, as is what it holds when it is dropped.

use std::io;

use zeroize::Zeroizing;

/// Bytes of the first buffer: more than most answers have.
const FIRST: usize = 512;

/// Bytes that are written one after the other.
pub(crate) struct Cleared(Zeroizing<Vec<u8>>);

impl Cleared {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(FIRST)))
    }

    /// What was written. Whoever takes it clears it.
    pub(crate) fn take(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }
}

impl io::Write for Cleared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.0.capacity().saturating_mul(2)));
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Cleared, FIRST};

    #[test]
    fn what_is_written_is_kept_in_order() {
        let (mut buffer, mut expected) = (Cleared::new(), Vec::new());
        for number in 0..100_u8 {
            let piece = vec![number; usize::from(number) * 7];
            buffer.write_all(&piece).unwrap();
            expected.extend_from_slice(&piece);
        }
        assert!(expected.len() > 8 * FIRST);
        assert_eq!(buffer.take(), expected);
    }
}
