//! Frames: how commands and replies stand one after another on a stream.
//!
//! A frame is its length (u32, big endian, of what follows), the request id (u64, big endian) and the CBOR of one
//! command or reply. Frames may be sent without waiting for answers; answers carry the id of their request and may
//! come in any order.

use minicbor::{Decode, Encode};

/// Largest body (request id and CBOR) that is accepted, in bytes. Checked before memory is spent on it.
pub const MAX_BODY_LEN: usize = 64 * 1024;
/// Length of the request id in bytes.
const ID_LEN: usize = 8;
/// Length of the length in bytes.
pub const PREFIX_LEN: usize = 4;

/// Why a stream of frames cannot be read on. The connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// A length above [`MAX_BODY_LEN`], or too short to hold a request id.
    Length,
    /// A body that is not one whole command or reply of this version.
    Body,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Length => "the frame's length is out of bounds",
            Self::Body => "the frame's body is not a message of this protocol version",
        })
    }
}

impl std::error::Error for FrameError {}

/// Appends one message as a frame.
///
/// # Errors
/// [`FrameError::Length`] when the message does not fit a frame; `out` is then left as it was.
pub fn write<T: Encode<()>>(out: &mut Vec<u8>, id: u64, message: &T) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    out.extend_from_slice(&id.to_be_bytes());
    let encoded = minicbor::encode(message, &mut *out);
    let body = out.len() - start - PREFIX_LEN;
    match u32::try_from(body) {
        Ok(length) if encoded.is_ok() && body <= MAX_BODY_LEN => {
            if let Some(place) = out.get_mut(start..start + PREFIX_LEN) {
                place.copy_from_slice(&length.to_be_bytes());
            }
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(FrameError::Length)
        }
    }
}

/// One whole frame found at the start of a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Which request this is, or answers.
    pub id: u64,
    /// CBOR of the message.
    pub body: &'a [u8],
    /// How many bytes of the buffer the frame takes.
    pub len: usize,
}

/// Finds the first frame of a buffer. `Ok(None)` means that more bytes are needed.
///
/// # Errors
/// [`FrameError::Length`] as soon as the length is seen to be out of bounds.
pub fn next(buffer: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((prefix, rest)) = buffer.split_first_chunk::<PREFIX_LEN>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
    if !(ID_LEN..=MAX_BODY_LEN).contains(&length) {
        return Err(FrameError::Length);
    }
    let Some(frame) = rest.get(..length) else { return Ok(None) };
    let Some((id, body)) = frame.split_first_chunk::<ID_LEN>() else { return Err(FrameError::Length) };
    Ok(Some(Frame { id: u64::from_be_bytes(*id), body, len: PREFIX_LEN + length }))
}

/// Reads the message of a frame. The body must hold exactly one message.
///
/// # Errors
/// [`FrameError::Body`] for anything else.
pub fn read<'a, T: Decode<'a, ()>>(body: &'a [u8]) -> Result<T, FrameError> {
    let mut decoder = minicbor::Decoder::new(body);
    let message = decoder.decode().map_err(|_| FrameError::Body)?;
    if decoder.position() == body.len() { Ok(message) } else { Err(FrameError::Body) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Command, Disclosed, HostKeyLabel, MaterialId, Refusal, Reply};

    #[test]
    fn frames_follow_one_another() {
        let mut stream = Vec::new();
        write(&mut stream, 1, &Command::Hello { version: 1 }).unwrap();
        write(&mut stream, 2, &Command::HostKey { label: HostKeyLabel::Markers }).unwrap();
        let first = next(&stream).unwrap().unwrap();
        assert!(matches!(read(first.body).unwrap(), Command::Hello { version: 1 }));
        let second = next(&stream[first.len..]).unwrap().unwrap();
        assert_eq!((first.id, second.id), (1, 2));
        assert_eq!(first.len + second.len, stream.len());
    }

    #[test]
    fn a_partial_frame_waits() {
        let mut stream = Vec::new();
        write(&mut stream, 1, &Reply::Refused(Refusal::Token)).unwrap();
        for length in 0..stream.len() {
            assert!(next(&stream[..length]).unwrap().is_none());
        }
    }

    /// Attack J6: lengths meant to make the reader allocate, or to hold nothing.
    #[test]
    fn lengths_out_of_bounds_are_refused_at_once() {
        for length in [0, 7, 64 * 1024 + 1, u32::MAX] {
            assert_eq!(next(&length.to_be_bytes()).unwrap_err(), FrameError::Length);
        }
    }

    #[test]
    fn an_oversized_message_leaves_the_stream_as_it_was() {
        let mut stream = vec![1, 2, 3];
        let plaintext = vec![0; MAX_BODY_LEN];
        let reply = Reply::Plaintext { plaintext: Disclosed(&plaintext) };
        assert_eq!(write(&mut stream, 1, &reply), Err(FrameError::Length));
        assert_eq!(stream, [1, 2, 3]);
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut body = minicbor::to_vec(Command::Evict { materials: vec![MaterialId([1; 32])] }).unwrap();
        body.push(0);
        assert_eq!(read::<Command<'_>>(&body).unwrap_err(), FrameError::Body);
    }

    #[test]
    fn disclosed_bytes_do_not_print() {
        assert_eq!(format!("{:?}", Disclosed(b"secret")), "Disclosed(6 bytes)");
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(frame)) = next(&bytes) {
                let _ = read::<Command<'_>>(frame.body);
                let _ = read::<Reply<'_>>(frame.body);
            }
        }
    }
}
