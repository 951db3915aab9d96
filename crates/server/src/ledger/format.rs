//! What a ledger looks like on disk: the segment header and the record frame, as pure functions over bytes.
//!
//! All integers are little endian. A segment is one file:
//!
//! ```text
//! header   4,096 bytes   magic 8, version 4, zero 4, ledger id 16, segment number 8, file length 8,
//!                        first sequence 8, chain before it 32, digest of the previous header 32, zeros,
//!                        SHA-256 of everything before it 32
//! frames   one after another
//! zeros    up to the file length
//! ```
//!
//! and a frame is
//!
//! ```text
//! magic 4, payload length 4, sequence 8, first sequence of its batch 8, chain 32, payload
//! ```
//!
//! The chain value of a record is SHA-256 (FIPS 180-4) over a label, the value before it, the frame's fields and the
//! payload. A header is a link of the same chain: it holds the value of the last record before it, and its digest is
//! the value that the first record after it builds on.

use aws_lc_rs::digest;

/// Bytes of a segment before its first frame.
pub(super) const HEADER_LEN: usize = 4096;
/// Bytes of a frame before its payload.
pub(super) const FRAME_HEAD_LEN: usize = FIELDS_LEN + CHAIN_LEN;
/// Longest payload of one record in bytes.
pub const MAX_PAYLOAD_LEN: usize = 256 * 1024;
/// Longest frame in bytes.
pub(super) const MAX_FRAME_LEN: usize = FRAME_HEAD_LEN + MAX_PAYLOAD_LEN;
/// Least length of a segment's file in bytes: 1 MiB.
pub const MIN_SEGMENT_LEN: u64 = 1 << 20;
/// The format this program writes, and the newest one it reads.
pub(super) const VERSION: u32 = 1;

pub(super) const CHAIN_LEN: usize = 32;
pub(super) const FIELDS_LEN: usize = 24;
const SEGMENT_MAGIC: [u8; 8] = *b"CLVLEDGR";
/// 0xC1 and 0xFF occur in no UTF-8 text, so that no JSON payload can look like a frame.
pub(super) const FRAME_MAGIC: [u8; 4] = [0xC1, b'L', b'R', 0xFF];
const GENESIS_LABEL: &[u8] = b"claviger ledger genesis v1\0";
const RECORD_LABEL: &[u8] = b"claviger ledger record v1\0";

/// A value of the hash chain.
pub type Chain = [u8; CHAIN_LEN];

/// Tells one ledger from another: 16 random bytes, chosen when it is made.
pub type LedgerId = [u8; 16];

/// The chain value before the first record of a ledger.
pub(super) fn genesis(id: &LedgerId) -> Chain {
    sha256(&[GENESIS_LABEL, id])
}

fn sha256(parts: &[&[u8]]) -> Chain {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut chain = [0; CHAIN_LEN];
    for (to, from) in chain.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    chain
}

/// What stands at the head of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The ledger the segment belongs to.
    pub(super) id: LedgerId,
    /// The segment's number; its file is named after it.
    pub(super) segment: u64,
    /// Length of the file in bytes, so that one cut short is found.
    pub(super) length: u64,
    /// Sequence number of the first record.
    pub(super) first_sequence: u64,
    /// Chain value of the record before it.
    pub(super) chain: Chain,
    /// Digest of the previous segment's header; zeros in the first segment.
    pub(super) previous: Chain,
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// All zeros: the segment has been prepared and not begun.
    Blank,
    /// A whole header of a format from the future.
    Newer(u32),
    /// Anything else.
    Broken,
}

impl Header {
    /// The bytes of the header, and its digest.
    pub(super) fn encode(&self) -> (Vec<u8>, Chain) {
        self.encode_as(VERSION)
    }

    fn encode_as(&self, version: u32) -> (Vec<u8>, Chain) {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
        bytes.extend_from_slice(&self.first_sequence.to_le_bytes());
        bytes.extend_from_slice(&self.chain);
        bytes.extend_from_slice(&self.previous);
        bytes.resize(HEADER_LEN - CHAIN_LEN, 0);
        let digest = sha256(&[&bytes]);
        bytes.extend_from_slice(&digest);
        (bytes, digest)
    }

    /// Reads a header and its digest. The digest stands in the same place in every version, so that damage is never
    /// taken for a newer format.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, Chain), HeaderFault> {
        let (body, digest) = bytes.split_last_chunk::<CHAIN_LEN>().ok_or(HeaderFault::Broken)?;
        if bytes.len() != HEADER_LEN {
            return Err(HeaderFault::Broken);
        }
        if is_zero(bytes) {
            return Err(HeaderFault::Blank);
        }
        let mut rest = body;
        let magic = take::<8>(&mut rest).ok_or(HeaderFault::Broken)?;
        if magic != SEGMENT_MAGIC || sha256(&[body]) != *digest {
            return Err(HeaderFault::Broken);
        }
        let version = take(&mut rest).map(u32::from_le_bytes).ok_or(HeaderFault::Broken)?;
        if version > VERSION {
            return Err(HeaderFault::Newer(version));
        }
        let header = Self::decode_fields(&mut rest).filter(|_| version == VERSION && is_zero(rest));
        header.map(|header| (header, *digest)).ok_or(HeaderFault::Broken)
    }

    fn decode_fields(rest: &mut &[u8]) -> Option<Self> {
        take::<4>(rest).filter(|zero| *zero == [0; 4])?;
        Some(Self {
            id: take(rest)?,
            segment: take(rest).map(u64::from_le_bytes)?,
            length: take(rest).map(u64::from_le_bytes)?,
            first_sequence: take(rest).map(u64::from_le_bytes)?,
            chain: take(rest)?,
            previous: take(rest)?,
        })
    }
}

/// The fields of a frame that its chain value covers, beside the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    /// Length of the payload in bytes.
    pub(super) length: u32,
    /// The record's sequence number.
    pub(super) sequence: u64,
    /// Sequence number of the first record that was synced together with this one.
    pub(super) batch_first: u64,
}

impl Fields {
    /// The fields as they stand in a frame.
    pub(super) fn encode(&self) -> [u8; FIELDS_LEN] {
        let mut bytes = [0; FIELDS_LEN];
        let values = FRAME_MAGIC
            .into_iter()
            .chain(self.length.to_le_bytes())
            .chain(self.sequence.to_le_bytes())
            .chain(self.batch_first.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(values) {
            *to = from;
        }
        bytes
    }

    /// Reads the fields at the start of `bytes`; `None` where no frame begins.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        take(&mut bytes).filter(|magic| *magic == FRAME_MAGIC)?;
        Some(Self {
            length: take(&mut bytes).map(u32::from_le_bytes)?,
            sequence: take(&mut bytes).map(u64::from_le_bytes)?,
            batch_first: take(&mut bytes).map(u64::from_le_bytes)?,
        })
    }

    /// Length of the whole frame in bytes, if the payload keeps to its limit.
    pub(super) fn frame_len(&self) -> Option<usize> {
        let payload = usize::try_from(self.length).ok().filter(|length| *length <= MAX_PAYLOAD_LEN)?;
        Some(FRAME_HEAD_LEN + payload)
    }

    /// The chain value of a record.
    pub(super) fn link(&self, previous: &Chain, payload: &[u8]) -> Chain {
        sha256(&[RECORD_LABEL, previous, &self.encode(), payload])
    }
}

/// Adds a frame without batch and chain to `frames`; [`seal`] completes it.
pub(super) fn push_frame(frames: &mut Vec<u8>, length: u32, sequence: u64, payload: &[u8]) {
    frames.extend_from_slice(&Fields { length, sequence, batch_first: 0 }.encode());
    frames.extend_from_slice(&[0; CHAIN_LEN]);
    frames.extend_from_slice(payload);
}

/// Length in bytes of the frame that [`push_frame`] put at the start of `frames`.
pub(super) fn frame_len(frames: &[u8]) -> Option<usize> {
    Fields::decode(frames)?.frame_len()
}

/// Makes one batch of `frames`: fills in its first sequence number and the chain that goes on from `chain`. Gives the
/// last sequence number and its chain value, or `None` if the bytes are not frames of [`push_frame`].
pub(super) fn seal(frames: &mut [u8], chain: Chain) -> Option<(u64, Chain)> {
    let batch_first = Fields::decode(frames)?.sequence;
    let mut last = (batch_first, chain);
    let mut rest = frames;
    while !rest.is_empty() {
        let fields = Fields { batch_first, ..Fields::decode(rest)? };
        let (frame, after) = rest.split_at_mut_checked(fields.frame_len()?)?;
        let (head, payload) = frame.split_at_mut_checked(FRAME_HEAD_LEN)?;
        let link = fields.link(&last.1, payload);
        for (to, from) in head.iter_mut().zip(fields.encode().into_iter().chain(link)) {
            *to = from;
        }
        last = (fields.sequence, link);
        rest = after;
    }
    Some(last)
}

/// Whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| ZEROS.starts_with(chunk))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            id: [7; 16],
            segment: 3,
            length: 1 << 20,
            first_sequence: 9,
            chain: [1; 32],
            previous: [2; 32],
        }
    }

    #[test]
    fn a_header_survives_its_own_encoding() {
        let (bytes, digest) = header().encode();
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(Header::decode(&bytes), Ok((header(), digest)));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_found() {
        let (bytes, _) = header().encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                assert_eq!(Header::decode(&bytes), Err(HeaderFault::Broken), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_whole_header_of_the_future_is_told_from_damage() {
        let (bytes, _) = header().encode_as(VERSION + 1);
        assert_eq!(Header::decode(&bytes), Err(HeaderFault::Newer(VERSION + 1)));
        let (bytes, _) = header().encode_as(0);
        assert_eq!(Header::decode(&bytes), Err(HeaderFault::Broken));
        assert_eq!(Header::decode(&[0; HEADER_LEN]), Err(HeaderFault::Blank));
        assert_eq!(Header::decode(&[]), Err(HeaderFault::Broken));
    }

    #[test]
    fn a_batch_is_sealed_as_the_chain_of_its_records() {
        let mut frames = Vec::new();
        push_frame(&mut frames, 3, 5, b"one");
        push_frame(&mut frames, 0, 6, b"");
        let (last, chain) = seal(&mut frames, [9; 32]).unwrap();
        let first = Fields { length: 3, sequence: 5, batch_first: 5 };
        let second = Fields { length: 0, sequence: 6, batch_first: 5 };
        let link = first.link(&[9; 32], b"one");
        assert_eq!((last, chain), (6, second.link(&link, b"")));
        assert_eq!(Fields::decode(&frames), Some(first));
        assert_eq!(frame_len(&frames), Some(FRAME_HEAD_LEN + 3));
        assert_eq!(frames.len(), 2 * FRAME_HEAD_LEN + 3);
    }

    #[test]
    fn the_chain_covers_every_field() {
        let fields = Fields { length: 1, sequence: 2, batch_first: 2 };
        let links = [
            fields.link(&[0; 32], b"x"),
            fields.link(&[1; 32], b"x"),
            fields.link(&[0; 32], b"y"),
            Fields { length: 2, ..fields }.link(&[0; 32], b"x"),
            Fields { sequence: 3, ..fields }.link(&[0; 32], b"x"),
            Fields { batch_first: 1, ..fields }.link(&[0; 32], b"x"),
        ];
        let distinct: std::collections::BTreeSet<_> = links.iter().collect();
        assert_eq!(distinct.len(), links.len());
    }
}
