//! The book of turns as a file beside the list, for all instances on this host.
//!
//! A small text, read and written whole under the file's lock: microseconds, no sync to the disk (what it says is stale
//! in seconds anyway), and no write to the list, which would wake everybody. Whatever is wrong with it (no room, no
//! right, a strange text, a lock that somebody keeps) stops nobody: the turn is given, and the caller's own limits hold.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    domain::{
        report::PollError,
        schedule::MOST_IN_FLIGHT,
        task::TaskId,
        text::CleanText,
        time::Mono,
        turns::{Book, Heard, Held, PutOff, Turn, Word},
    },
    ports::Turns,
};

/// What the file begins with; another version's text is none of ours.
const TITLE: &str = "kietop turns 1";

/// The most of the file that is read; a whole book is a few thousand bytes.
const MOST_BYTES: u64 = 16 * 1024;

/// The longest text of an error kept.
const MOST_TEXT: usize = 512;

/// How often the lock is tried, and how far apart: a fifth of a second in all. It is held for microseconds, but an
/// instance may be stopped just then.
const TRIES: u32 = 400;
/// See [`TRIES`].
const BETWEEN_TRIES: Duration = Duration::from_micros(500);

/// Is the book beside a list.
#[derive(Debug)]
pub struct FileTurns {
    list: PathBuf,
    clock: fn() -> Mono,
}

impl FileTurns {
    /// Returns the book beside that list, by a clock that all programs of the host share.
    pub const fn beside(list: PathBuf, clock: fn() -> Mono) -> Self {
        Self { list, clock }
    }

    /// Returns the book's file: beside the list itself, not beside a link to it.
    fn path(&self) -> PathBuf {
        let list = fs::canonicalize(&self.list).unwrap_or_else(|_| self.list.clone());
        let mut name = list.into_os_string();
        name.push("-turns");
        name.into()
    }

    /// Returns the present as finely as the file tells it, so that a turn is known again.
    fn now(&self) -> Mono {
        let millis = (self.clock)().since_start().as_millis();
        Mono::at(Duration::from_millis(millis.try_into().unwrap_or(u64::MAX)))
    }

    /// Does something in the book, and writes it back; `None` when it cannot be had.
    fn with<T>(&self, work: impl FnOnce(&mut Book, Mono) -> T) -> Option<T> {
        self.try_with(work)
            .map_err(|error| tracing::debug!(%error, "the turns of other instances are not known"))
            .ok()
    }

    fn try_with<T>(&self, work: impl FnOnce(&mut Book, Mono) -> T) -> io::Result<T> {
        let mut file = open(&self.path())?;
        lock(&file)?;
        let mut text = String::new();
        // What is no text is no book: a new one is begun.
        if (&file).take(MOST_BYTES).read_to_string(&mut text).is_err() {
            text.clear();
        }
        let mut book = read(&text);
        let result = work(&mut book, self.now());
        let text = written(&book);
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len().try_into().unwrap_or(MOST_BYTES))?;
        Ok(result)
    }
}

impl Turns for FileTurns {
    fn take(&self, task: &TaskId) -> Result<Turn, PutOff> {
        let alone = || Turn {
            task: task.clone(),
            since: self.now(),
        };
        self.with(|book, now| book.take(task, now))
            .unwrap_or_else(|| Ok(alone()))
    }

    fn end(&self, turn: &Turn, heard: Heard) {
        self.with(|book, now| book.end(turn, heard, now))
            .unwrap_or_default();
    }

    fn tell(&self, word: &Word) {
        self.with(|book, now| book.note(word, now))
            .unwrap_or_default();
    }
}

/// Opens the file, or makes it for this user alone. A link in its place is not followed.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options
            .mode(0o600)
            .custom_flags(flags.bits().try_into().unwrap_or_default());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    Ok(file)
}

/// Takes the file's lock; it goes with the file.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) => thread::park_timeout(BETWEEN_TRIES),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another instance keeps it locked"))
}

/// Writes a book out: a line each, times in milliseconds.
fn written(book: &Book) -> String {
    let millis = |at: Mono| at.since_start().as_millis();
    let mut text = format!("{TITLE}\n");
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing into a `String` cannot fail.
        writeln!(text, "{line}").unwrap_or_default();
    };
    for at in &book.started {
        line(format_args!("started {}", millis(*at)));
    }
    for Turn { task, since } in &book.asking {
        line(format_args!("asking {} {task}", millis(*since)));
    }
    for Turn { task, since } in &book.asked {
        line(format_args!("asked {} {task}", millis(*since)));
    }
    if let Some(Held {
        error,
        failures,
        since,
        until,
    }) = &book.held
    {
        let (since, until) = (millis(*since), millis(*until));
        let (kind, code) = (error.kind(), error.code().unwrap_or_default());
        let why = error.text().map_or("", CleanText::as_str);
        line(format_args!(
            "held {since} {until} {failures} {kind} {code} {why}"
        ));
    }
    text
}

/// Reads a book. A line that makes no sense is left out; so is all of a text that is not ours.
fn read(text: &str) -> Book {
    let mut book = Book::default();
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return book;
    }
    for line in lines {
        read_line(line, &mut book).unwrap_or_default();
    }
    // A strange text must not hold up anybody: a whole book has no more than that.
    book.asking.truncate(MOST_IN_FLIGHT);
    book
}

fn read_line(line: &str, book: &mut Book) -> Option<()> {
    let (word, rest) = line.split_once(' ')?;
    let moment = |text: &str| Some(Mono::at(Duration::from_millis(text.parse().ok()?)));
    let turn = |rest: &str| {
        let (since, task) = rest.split_once(' ')?;
        Some(Turn {
            task: TaskId::parse(task).ok()?,
            since: moment(since)?,
        })
    };
    match word {
        "started" => book.started.push(moment(rest)?),
        "asking" => book.asking.push(turn(rest)?),
        "asked" => book.asked.push(turn(rest)?),
        "held" => {
            let mut words = rest.splitn(6, ' ');
            let mut next = || words.next();
            let (since, until) = (moment(next()?)?, moment(next()?)?);
            let failures = next()?.parse().ok()?;
            let (kind, code) = (next()?, next()?.parse().ok()?);
            let why = CleanText::line(next()?, MOST_TEXT);
            book.held = Some(Held {
                error: PollError::restored(kind, Some(code), why),
                failures,
                since,
                until,
            });
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> TaskId {
        TaskId::parse(name).unwrap()
    }

    #[test]
    fn a_book_survives_its_file() {
        let at = |millis| Mono::at(Duration::from_millis(millis));
        let book = Book {
            started: vec![at(1), at(2)],
            asking: vec![Turn {
                task: id("a"),
                since: at(1),
            }],
            asked: vec![Turn {
                task: id("b"),
                since: at(3),
            }],
            held: Some(Held {
                error: PollError::Server {
                    code: 502,
                    message: CleanText::line("bad gate way", 99),
                },
                failures: 5,
                since: at(4),
                until: at(5000),
            }),
        };

        assert_eq!(read(&written(&book)), book);
        assert_eq!(read(&written(&Book::default())), Book::default());
    }

    #[test]
    fn strange_texts_are_no_book_or_less_of_one() {
        let title = format!("{TITLE}\n");
        let strange = [
            String::new(),
            "asking 1 a\n".to_owned(),
            format!(
                "{title}asking\nasking 1\nasking x a\nasking 1 a b\nheld 1 2 3\nnonsense 1\n\0\u{202e}"
            ),
            format!("{title}held -1 2 3 offline 0 x\nstarted 99999999999999999999999999\n"),
        ];
        for text in strange {
            assert_eq!(read(&text), Book::default(), "{text:?}");
        }
        let many = "asking 1 a\n".repeat(100);
        assert!(read(&format!("{title}{many}")).asking.len() <= MOST_IN_FLIGHT);
    }
}
