//! Stands between host and HSM and writes down every byte.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// All bytes of one direction of one connection.
type Tape = Arc<Mutex<Vec<u8>>>;

/// The recorder. Records for as long as the runtime lives.
pub(crate) struct Recorder {
    socket: PathBuf,
    tapes: Arc<Mutex<Vec<Tape>>>,
}

impl Recorder {
    /// Listens on `socket` for hosts, and speaks to the HSM for them.
    pub(crate) fn start(socket: &Path, hsm: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let (tapes, hsm) = (Arc::<Mutex<Vec<Tape>>>::default(), hsm.to_owned());
        let begun = Arc::clone(&tapes);
        tokio::spawn(async move {
            loop {
                let (host, _) = listener.accept().await.unwrap();
                let hsm = UnixStream::connect(&hsm).await.unwrap();
                let ((from_host, to_host), (from_hsm, to_hsm)) = (host.into_split(), hsm.into_split());
                for (from, to) in [(from_host, to_hsm), (from_hsm, to_host)] {
                    let tape = Tape::default();
                    begun.lock().unwrap().push(Arc::clone(&tape));
                    tokio::spawn(copy(from, to, tape));
                }
            }
        });
        Self { socket: socket.to_owned(), tapes }
    }

    /// Where hosts connect.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// What went over each connection and direction so far.
    pub(crate) fn tapes(&self) -> Vec<Vec<u8>> {
        self.tapes.lock().unwrap().iter().map(|tape| tape.lock().unwrap().clone()).collect()
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, tape: Tape) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        tape.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
