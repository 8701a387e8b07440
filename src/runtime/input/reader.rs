//! Reads the terminal without blocking.
//!
//! crossterm's reader is not used. In crossterm 0.29 (`event/source/unix`) an unterminated paste
//! swallows all later keys, the tail of a paste is read as keys, and a dead terminal makes it spin.

use std::{fs::OpenOptions, io};

use futures_util::{Stream, future::OptionFuture, stream};
use tokio::{
    net::unix::pipe::Receiver,
    sync::watch,
    time::{self, Instant},
};

use super::{event::InputEvent, parser::InputParser};
use crate::runtime::tty::reopen_nonblocking;

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
    /// Opens the terminal of standard input a second time.
    ///
    /// `query_times` carries the time of the last query; for a while after it, sequences are given
    /// more time to complete.
    ///
    /// # Errors
    ///
    /// Without a terminal, or outside a tokio runtime with I/O.
    pub fn open(query_times: watch::Receiver<Option<Instant>>) -> io::Result<Self> {
        let tty = reopen_nonblocking(io::stdin(), OpenOptions::new().read(true))?;
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
        stream::try_unfold(self, |mut reader| async {
            let input = reader.next().await?;
            Ok(Some((input, reader)))
        })
    }

    async fn next(&mut self) -> io::Result<InputEvent> {
        loop {
            if let Some(input) = self.parser.pop() {
                return Ok(input);
            }
            let sleep = OptionFuture::from(self.parser.deadline().map(time::sleep_until));
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
                Some(()) = sleep => self.parser.flush(Instant::now()),
            }
        }
    }
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
