//! Non-blocking output: writes as much as the terminal accepts and keeps the rest.
//!
//! A terminal that has stopped reading (a stalled connection, a stopped multiplexer) would block a
//! write for hours, and the event loop runs on the same thread. Only
//! [`NonBlockingTty::flush_pending`], which the event loop awaits, and
//! [`NonBlockingTty::send_with_retries`], for a moment, wait.
//!
//! Bytes are sent as they are: sanitising is the caller's job.

use std::{fs::OpenOptions, future, io, thread, time::Duration};

use rustix::{fd::AsFd, io::Errno};
use tokio::{net::unix::pipe::Sender, time};

use crate::runtime::tty::reopen_nonblocking;

/// Interval of retries in case the kernel does not report the terminal as writable.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Pause between two tries of [`NonBlockingTty::send_with_retries`].
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// A second, non-blocking descriptor of the terminal, with the unsent bytes.
#[derive(Debug)]
pub(super) struct NonBlockingTty {
    /// Tokio's pipe type serves as the asynchronous file, because `AsyncFd` needs `unsafe`.
    tty: Sender,
    pending: Vec<u8>,
}

impl NonBlockingTty {
    /// Opens the terminal a second time.
    ///
    /// # Errors
    ///
    /// If there is no terminal, or no tokio runtime with I/O.
    pub(super) fn open(tty: impl AsFd) -> io::Result<Self> {
        let file = reopen_nonblocking(tty, OpenOptions::new().write(true))?;
        Ok(Self {
            tty: Sender::from_file_unchecked(file)?,
            pending: Vec::new(),
        })
    }

    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Sends the pending bytes and these; keeps those that the terminal does not accept now.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.pending.extend_from_slice(bytes);
        match self.write_pending() {
            Err(Errno::AGAIN) => Ok(()),
            result => result,
        }
    }

    /// Sends the pending bytes; never resolves when there are none. Cancel safe.
    ///
    /// # Errors
    ///
    /// If the terminal is gone.
    pub(super) async fn flush_pending(&mut self) -> Result<(), Errno> {
        if self.pending.is_empty() {
            return future::pending().await;
        }
        loop {
            tokio::select! {
                ready = self.tty.writable() => {
                    ready.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                    // Tokio's own write, because it clears the readiness if the terminal is full.
                    match self.tty.try_write(&self.pending) {
                        Ok(count) => drop(self.pending.drain(..count)),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
                    }
                }
                () = time::sleep(RETRY_INTERVAL) => {}
            }
            match self.write_pending() {
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
    }

    /// Sends the pending bytes and these, with at most that many retries, 10 ms apart.
    ///
    /// Retries, not poll(2), which may report a terminal as writable that accepts nothing.
    ///
    /// # Errors
    ///
    /// `AGAIN` if bytes are left, any other error if the terminal is gone.
    pub(super) fn send_with_retries(&mut self, bytes: &[u8], retries: usize) -> Result<(), Errno> {
        self.pending.extend_from_slice(bytes);
        for _ in 0..retries {
            match self.write_pending() {
                Err(Errno::AGAIN) => thread::park_timeout(RETRY_DELAY),
                result => return result,
            }
        }
        self.write_pending()
    }

    pub(super) fn discard(&mut self) {
        self.pending = Vec::new();
    }

    /// Writes as many pending bytes as the terminal accepts; `AGAIN` if some are left.
    fn write_pending(&mut self) -> Result<(), Errno> {
        let mut written = 0;
        let result = loop {
            let Some(rest) = self.pending.get(written..).filter(|rest| !rest.is_empty()) else {
                break Ok(());
            };
            match rustix::io::write(&self.tty, rest) {
                Ok(0) => break Err(Errno::IO),
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(errno) => break Err(errno),
            }
        };
        self.pending.drain(..written);
        result
    }
}
