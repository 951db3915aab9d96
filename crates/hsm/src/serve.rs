//! One connection: reads what has arrived, handles all of it, writes all replies at once.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use claviger_hsm::{Closed, Engine};
use claviger_hsm_proto::frame::{MAX_BODY_LEN, PREFIX_LEN};
use zeroize::{Zeroize, Zeroizing};

use crate::log::{Level, log};

/// How much is read at once: room for two of the largest frames.
const INPUT_LEN: usize = 2 * (MAX_BODY_LEN + PREFIX_LEN);
/// Replies are sent when they are longer than this, in bytes.
const BATCH_LEN: usize = 256 * 1024;
/// How long a connection may take for its hello, and a peer to take its replies.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time since the program started.
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the shell: the engine gets the time from here")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Serves one connection to its end. Buffers hold plaintexts and are cleared after each batch; they are made large
/// enough at once, so they never move.
pub(crate) fn serve(engine: &Engine, stream: &UnixStream, clock: &Clock, number: u64) {
    match exchange(engine, stream, clock) {
        Ok(()) => {}
        Err(End::Closed(reason)) => {
            log(Level::Warn, "connection closed", &[("connection", &number), ("reason", &reason)]);
        }
        Err(End::Io(error)) => {
            log(Level::Info, "connection lost", &[("connection", &number), ("error", &error)]);
        }
    }
}

enum End {
    Closed(Closed),
    Io(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn exchange(engine: &Engine, mut stream: &UnixStream, clock: &Clock) -> Result<(), End> {
    let mut session = engine.session();
    let mut input = Zeroizing::new(vec![0; INPUT_LEN]);
    let mut out = Zeroizing::new(Vec::with_capacity(BATCH_LEN + MAX_BODY_LEN + PREFIX_LEN));
    let mut filled = 0;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    loop {
        // Never empty: a frame that does not fit half the buffer was refused for its length.
        let room = input.get_mut(filled..).unwrap_or_default();
        match stream.read(room) {
            Ok(0) => return Ok(()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        let was_open = session.is_open();
        let now = clock.now();
        let mut done = 0;
        let ended = loop {
            match session.handle(now, input.get(done..filled).unwrap_or_default(), &mut out) {
                Ok(0) => break Ok(()),
                Ok(handled) => done += handled,
                Err(closed) => break Err(closed),
            }
            if out.len() > BATCH_LEN {
                send(stream, &mut out)?;
            }
        };
        send(stream, &mut out)?;
        ended.map_err(End::Closed)?;
        if session.is_open() && !was_open {
            stream.set_read_timeout(None)?;
        }
        input.copy_within(done..filled, 0);
        let left = filled - done;
        input.get_mut(left..filled).unwrap_or_default().zeroize();
        filled = left;
    }
}

fn send(mut stream: &UnixStream, out: &mut Vec<u8>) -> io::Result<()> {
    let sent = stream.write_all(out);
    out.as_mut_slice().zeroize();
    out.clear();
    sent
}
