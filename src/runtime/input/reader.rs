//! The terminal's own side of the input: read when there is something, never waited for, and timed.
//!
//! crossterm's reader is not used: it keeps a paste whose end never comes to itself, with every
//! later key, takes the tail of a paste for keys, and loops at full speed on a dead terminal
//! (crossterm 0.29, `event/source/unix`).

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

/// How much is read before something else may have its turn.
const CHUNK_SIZE: usize = 64 * 1024;

/// The keyboard, the mouse and the pastes of a terminal.
#[derive(Debug)]
pub struct InputReader {
    /// Tokio's name for a readable file that can be waited for; `AsyncFd` cannot be had without
    /// `unsafe`.
    tty: Receiver,
    parser: InputParser,
    buffer: Vec<u8>,
    /// When the terminal was asked something last.
    query_times: watch::Receiver<Option<Instant>>,
}

impl InputReader {
    /// Opens the terminal of standard input once more, to read from it without waiting.
    ///
    /// `questions` says when the terminal was asked something last: what then comes is given more
    /// time to be an answer.
    ///
    /// Once more, because "without waiting" is a property of the open file, which standard input
    /// shares with the shell.
    ///
    /// # Errors
    ///
    /// When there is no terminal, or outside a tokio runtime with I/O.
    pub fn open(questions: watch::Receiver<Option<Instant>>) -> io::Result<Self> {
        let named = ttyname(io::stdin(), Vec::new())
            .map_err(io::Error::from)
            .and_then(|name| open(Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()))));
        let tty = named.or_else(|_| open(Path::new("/dev/tty")))?;
        Ok(Self {
            tty: Receiver::from_file_unchecked(tty)?,
            parser: InputParser::default(),
            buffer: vec![0; CHUNK_SIZE],
            query_times: questions,
        })
    }

    /// Returns the events as they come. It ends with the first error, which means that the terminal
    /// is gone.
    pub fn events(self) -> impl Stream<Item = io::Result<InputEvent>> {
        stream::unfold(Some(self), |keyboard| async {
            let mut keyboard = keyboard?;
            match keyboard.next().await {
                Ok(input) => Some((Ok(input), Some(keyboard))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> io::Result<InputEvent> {
        loop {
            if let Some(input) = self.parser.pop() {
                return Ok(input);
            }
            let due = self.parser.deadline();
            tokio::select! {
                // Reading first: what has come already decides what the wait was for.
                biased;
                count = read_available(&self.tty, &mut self.buffer) => {
                    let lot = self.buffer.get(..count?).unwrap_or_default();
                    if let Some(at) = *self.query_times.borrow_and_update() {
                        self.parser.query_sent(at);
                    }
                    self.parser.feed(lot, Instant::now());
                }
                () = sleep_until_deadline(due) => self.parser.flush(Instant::now()),
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

/// Reads all there is, up to the buffer's length, waiting for the first byte. A terminal at its end
/// is an error.
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

async fn sleep_until_deadline(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
