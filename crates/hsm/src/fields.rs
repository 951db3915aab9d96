//! A bounded buffer on the stack in which associated data and key derivation inputs are put together.
//!
//! Every variable part is written with its length before it, so two different lists of parts never give the same
//! bytes.

use claviger_hsm_proto::Refusal;

/// At most `N` bytes. Holds no secrets.
pub(crate) struct Fields<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Fields<N> {
    /// An empty buffer.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Appends a part of variable length: its length (u32, big endian), then its bytes.
    ///
    /// # Errors
    /// [`Refusal::Length`] where it does not fit.
    pub(crate) fn variable(&mut self, part: &[u8]) -> Result<(), Refusal> {
        let length = u32::try_from(part.len()).map_err(|_| Refusal::Length)?;
        self.fixed(&length.to_be_bytes())?;
        self.fixed(part)
    }

    /// Appends a part whose length the layout fixes.
    ///
    /// # Errors
    /// [`Refusal::Length`] where it does not fit.
    pub(crate) fn fixed(&mut self, part: &[u8]) -> Result<(), Refusal> {
        let end = self.len.checked_add(part.len()).ok_or(Refusal::Length)?;
        self.bytes.get_mut(self.len..end).ok_or(Refusal::Length)?.copy_from_slice(part);
        self.len = end;
        Ok(())
    }

    /// What was appended so far.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_differ() {
        let encode = |parts: &[&[u8]]| {
            let mut fields = Fields::<64>::new();
            parts.iter().for_each(|part| fields.variable(part).unwrap());
            fields.as_slice().to_vec()
        };
        assert_ne!(encode(&[b"ab", b"c"]), encode(&[b"a", b"bc"]));
        assert_ne!(encode(&[b"ab", b""]), encode(&[b"ab"]));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_the_rest() {
        let mut fields = Fields::<4>::new();
        fields.fixed(&[1, 2, 3]).unwrap();
        assert_eq!(fields.fixed(&[4, 5]), Err(Refusal::Length));
        assert_eq!(fields.as_slice(), [1, 2, 3]);
    }
}
