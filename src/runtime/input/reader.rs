//! Reads the terminal without blocking.
//!
//! crossterm's reader is not used. In crossterm 0.29 (`event/source/unix`) an unterminated paste
//! swallows all later keys, the tail of a paste is read as keys, and a dead terminal makes it spin.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::Path,
};

use futures_util::{Stream, stream};
use rustix::{fs::OFlags, termios::ttyname};
use tokio::{
    net::unix::pipe::Receiver,
    sync::watch,
    time::{self, Instant},
};

use super::{InputEvent, InputParser};

/// Bytes read before other work may run.
const CHUNK_SIZE: usize = 64 * 1024;

#[derive(Debug)]
pub struct InputReader {
    /// A pipe receiver accepts any readable file; `AsyncFd` would need `unsafe`.
    tty: Receiver,
    parser: InputParser,
    buffer: Vec<u8>,
    query_times: watch::Receiver<Option<Instant>>,
}

impl InputReader {
    /// Opens the terminal of standard input a second time, non-blocking: `O_NONBLOCK` belongs to
    /// the open file, which standard input shares with the shell.
    ///
    /// `query_times` carries the time of the last query; for a while after it, sequences are given
    /// more time to complete.
    ///
    /// # Errors
    ///
    /// Without a terminal, or outside a tokio runtime with I/O.
    pub fn open(query_times: watch::Receiver<Option<Instant>>) -> io::Result<Self> {
        let named = ttyname(io::stdin(), Vec::new())
            .map_err(io::Error::from)
            .and_then(|name| open(Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()))));
        let tty = named.or_else(|_| open(Path::new("/dev/tty")))?;
        Ok(Self {
            tty: Receiver::from_file_unchecked(tty)?,
            parser: InputParser::default(),
            buffer: vec![0; CHUNK_SIZE],
            query_times,
        })
    }

    /// Returns a stream of events. It ends after the first error, which means that the terminal is
    /// gone.
    pub fn events(self) -> impl Stream<Item = io::Result<InputEvent>> {
        stream::unfold(Some(self), |reader| async {
            let mut reader = reader?;
            match reader.next().await {
                Ok(input) => Some((Ok(input), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> io::Result<InputEvent> {
        loop {
            if let Some(input) = self.parser.pop() {
                return Ok(input);
            }
            let deadline = self.parser.deadline();
            tokio::select! {
                // Reading first: bytes that have arrived may complete a sequence.
                biased;
                count = read_available(&self.tty, &mut self.buffer) => {
                    let chunk = self.buffer.get(..count?).unwrap_or_default();
                    if let Some(at) = *self.query_times.borrow_and_update() {
                        self.parser.query_sent(at);
                    }
                    self.parser.feed(chunk, Instant::now());
                }
                () = sleep_until_deadline(deadline) => self.parser.flush(Instant::now()),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
}

/// Waits for the first byte and fills the buffer as far as possible. End of file is an error.
async fn read_available(tty: &Receiver, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        tty.readable().await?;
        let mut count = 0;
        while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match tty.try_read(rest) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if count > 0 {
            return Ok(count);
        }
    }
}

async fn sleep_until_deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
