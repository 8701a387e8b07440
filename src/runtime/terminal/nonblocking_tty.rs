//! The way out to the terminal: bytes go as far as the terminal takes them, and the rest waits
//! here.
//!
//! A terminal that reads no more (a connection that stalls, a multiplexer that is stopped) would
//! hold whoever writes to it in order, for hours, and the loop asks, stores and listens on that
//! same thread. So nothing here waits but [`Outlet::catch_up`], which the loop awaits beside
//! everything else, and [`Outlet::send_within`], for a moment.
//!
//! It knows nothing of modes and frames, and cleans nothing: what must not reach a terminal is not
//! given to it.

use std::{
    fs::{File, OpenOptions},
    future,
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::Path,
    thread,
    time::Duration,
};

use rustix::{fd::AsFd, fs::OFlags, io::Errno, termios::ttyname};
use tokio::{net::unix::pipe::Sender, time};

/// How often a terminal that took nothing is tried again, though the system said no word of it.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The pause between two tries of [`Outlet::send_within`].
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// The terminal, opened once more, with the bytes that it has not taken yet.
#[derive(Debug)]
pub(super) struct NonBlockingTty {
    /// Tokio's name for a writable file that can be waited for; `AsyncFd` cannot be had without
    /// `unsafe`.
    tty: Sender,
    pending: Vec<u8>,
}

impl NonBlockingTty {
    /// Opens that terminal once more, to write to it without waiting.
    ///
    /// Once more, because "without waiting" is a property of the open file, which standard output
    /// shares with the shell.
    ///
    /// # Errors
    ///
    /// When there is no terminal, or outside a tokio runtime with I/O.
    pub(super) fn open(tty: impl AsFd) -> std::io::Result<Self> {
        let named = ttyname(tty, Vec::new())
            .map_err(std::io::Error::from)
            .and_then(|name| {
                open_nonblocking(Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())))
            });
        let tty = named.or_else(|_| open_nonblocking(Path::new("/dev/tty")))?;
        Ok(Self {
            tty: Sender::from_file_unchecked(tty)?,
            pending: Vec::new(),
        })
    }

    /// Returns how many bytes the terminal has not taken yet.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Sends bytes after those that wait; what the terminal does not take now waits in turn.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.pending.extend_from_slice(bytes);
        match self.write_pending() {
            Ok(()) | Err(Errno::AGAIN) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Waits until the terminal has taken everything; for ever when nothing waits. May be dropped
    /// at any time.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub(super) async fn flush_pending(&mut self) -> Result<(), Errno> {
        if self.pending.is_empty() {
            return future::pending().await;
        }
        loop {
            tokio::select! {
                ready = self.tty.writable() => {
                    ready.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                    // By tokio's own write, which is how it learns that the terminal is full.
                    match self.tty.try_write(&self.pending) {
                        Ok(count) => drop(self.pending.drain(..count)),
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                        Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
                    }
                }
                () = time::sleep(RETRY_INTERVAL) => {}
            }
            match self.write_pending() {
                Ok(()) => return Ok(()),
                Err(Errno::AGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Sends what waits and then those bytes, and waits for a slow terminal: that many pauses of 10
    /// ms at most.
    ///
    /// By the number of tries and not by poll(2), which may call a terminal writable that takes
    /// nothing.
    ///
    /// # Errors
    ///
    /// `AGAIN` when it did not take them all, else when the terminal is gone.
    pub(super) fn send_with_retries(&mut self, bytes: &[u8], pauses: usize) -> Result<(), Errno> {
        self.pending.extend_from_slice(bytes);
        for _ in 0..pauses {
            match self.write_pending() {
                Err(Errno::AGAIN) => thread::park_timeout(RETRY_DELAY),
                outcome => return outcome,
            }
        }
        self.write_pending()
    }

    /// Forgets what waits.
    pub(super) fn discard(&mut self) {
        self.pending = Vec::new();
    }

    /// Writes as much of what waits as the terminal takes; `AGAIN` when some is left.
    fn write_pending(&mut self) -> Result<(), Errno> {
        let mut taken = 0;
        let outcome = loop {
            let Some(rest) = self.pending.get(taken..).filter(|rest| !rest.is_empty()) else {
                break Ok(());
            };
            match rustix::io::write(&self.tty, rest) {
                Ok(0) => break Err(Errno::IO),
                Ok(count) => taken += count,
                Err(Errno::INTR) => {}
                Err(errno) => break Err(errno),
            }
        };
        self.pending.drain(..taken);
        outcome
    }
}

/// Opens a terminal for writing, such that no write to it waits.
pub(super) fn open_nonblocking(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .write(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
}
