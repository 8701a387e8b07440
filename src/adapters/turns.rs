//! The book of turns as a file beside the list, for all instances on this host.
//!
//! A small text, read and written whole under the file's lock: microseconds, no sync to the disk (what it says is stale
//! in seconds anyway), and no write to the list, which would wake everybody. Whatever is wrong with it (no room, no
//! right, a strange text) stops nobody: the turn is given, and the caller's own limits hold. A lock that others hold is
//! waited for: on a busy machine that is how the limits hold; only one that is never let go is done without.
//!
//! Of address and key there is a fingerprint in it, with a salt of the file's own; never the key.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use super::regular_file::{self, Symlinks};
use crate::{
    domain::{
        report::PollError,
        schedule::MOST_IN_FLIGHT,
        task::TaskId,
        text::CleanText,
        time::Mono,
        turns::{Account, Book, Heard, Held, Holder, PutOff, Refusal, Turn, Word},
    },
    ports::Turns,
};

pub mod asking;
mod holder;

/// What the file begins with; another version's text is none of ours.
const TITLE: &str = "kietop turns 3";

/// The most of the file that is read; a whole book is a few thousand bytes.
const MOST_BYTES: u64 = 16 * 1024;

/// The longest text of an error kept.
const MOST_TEXT: usize = 512;

/// How often the lock is tried, and how far apart: a second in all. It is held for microseconds, but many may want it,
/// and who holds it may have to wait for a processor.
const TRIES: u32 = 1000;
/// See [`TRIES`].
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// How long a lock may be held before it is done without: whoever holds it was stopped just then.
const LONGEST_LOCK: Duration = Duration::from_secs(10);

/// How long who did not get the lock waits before the next try.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Is the book beside a list.
#[derive(Debug)]
pub struct FileTurns {
    list: PathBuf,
    clock: fn() -> Mono,
    /// This process, for the turns it takes.
    own: Option<Holder>,
    /// Since when the lock is not to be had, in milliseconds of the clock; zero while it is.
    locked_since: AtomicU64,
}

/// Says why the book is not to be had.
#[derive(Debug, thiserror::Error)]
enum NoBook {
    /// Others hold its lock.
    #[error("others hold its lock")]
    Locked,
    /// It is broken, or cannot be.
    #[error(transparent)]
    Broken(#[from] io::Error),
}

impl FileTurns {
    /// Returns the book beside that list, by a clock that all programs of the host share.
    pub fn beside(list: PathBuf, clock: fn() -> Mono) -> Self {
        Self {
            list,
            clock,
            own: holder::own(),
            locked_since: AtomicU64::new(0),
        }
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
        Mono::at(Duration::from_millis(millis((self.clock)().since_start())))
    }

    /// Does something in the book, which is told its salt, and writes it back.
    fn with<T>(&self, work: impl FnOnce(&mut Book, u64, Mono) -> T) -> Result<T, NoBook> {
        let done = self.try_with(work);
        let now = u64::try_from(self.now().since_start().as_millis()).unwrap_or(u64::MAX);
        let done = match done {
            Err(NoBook::Locked) => {
                // Zero means that it is to be had.
                let now = now.max(1);
                let first = self.locked_since.compare_exchange(
                    0,
                    now,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                let since = first.err().unwrap_or(now);
                if now.saturating_sub(since) < millis(LONGEST_LOCK) {
                    Err(NoBook::Locked)
                } else {
                    Err(io::Error::other("somebody keeps it locked").into())
                }
            }
            done => {
                self.locked_since.store(0, Ordering::Relaxed);
                done
            }
        };
        done.inspect_err(
            |error| tracing::debug!(%error, "the turns of other instances are not known"),
        )
    }

    fn try_with<T>(&self, work: impl FnOnce(&mut Book, u64, Mono) -> T) -> Result<T, NoBook> {
        let mut file = open(&self.path(), self.list.exists())?;
        lock(&file)?;
        let mut text = String::new();
        // What is no text is no book: a new one is begun.
        if (&file).take(MOST_BYTES).read_to_string(&mut text).is_err() {
            text.clear();
        }
        let (mut book, salt) = read(&text);
        let salt = salt.unwrap_or_else(|| RandomState::new().hash_one(TITLE));
        let result = work(&mut book, salt, self.now());
        let text = written(&book, salt);
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len().try_into().unwrap_or(MOST_BYTES))?;
        Ok(result)
    }
}

impl Turns for FileTurns {
    fn take(&self, task: &TaskId, account: Account) -> Result<Turn, PutOff> {
        let taken = self.with(|book, salt, now| {
            book.bury(|holder| holder::is_gone(holder, self.own));
            book.give(task, account.salted(salt), self.own, now)
        });
        match taken {
            Ok(taken) => taken,
            Err(NoBook::Locked) => Err(PutOff {
                why: Refusal::Crowded,
                wait: LOOK_AGAIN,
            }),
            // What such a turn brings to light is nobody's: no fingerprint without salt gets into the file.
            Err(NoBook::Broken(_)) => Ok(Turn {
                task: task.clone(),
                account: Account::default(),
                since: self.now(),
                holder: None,
            }),
        }
    }

    fn again(&self) -> Result<(), Duration> {
        match self.with(|book, _, now| book.again(now)) {
            Ok(counted) => counted,
            Err(NoBook::Locked) => Err(LOOK_AGAIN),
            Err(NoBook::Broken(_)) => Ok(()),
        }
    }

    fn end(&self, turn: &Turn, heard: &Heard) {
        // What cannot be told ends by itself.
        self.with(|book, _, now| book.end(turn, heard, now))
            .unwrap_or_default();
    }

    fn tell(&self, word: &Word, account: Account) {
        // As above.
        self.with(|book, salt, now| book.note(word, account.salted(salt), now))
            .unwrap_or_default();
    }
}

/// Returns a span in milliseconds.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Opens the file, or creates it (0600) if its list exists. Symbolic links are not followed.
fn open(path: &Path, is_created: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(is_created)
        .truncate(false);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    regular_file::open(path, &mut options, Symlinks::Refuse)
}

/// Takes the file's lock; it goes with the file.
fn lock(file: &File) -> Result<(), NoBook> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) => thread::park_timeout(BETWEEN_TRIES),
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(NoBook::Locked)
}

/// Writes a book out: a line each, times in milliseconds.
fn written(book: &Book, salt: u64) -> String {
    let millis = |at: Mono| at.since_start().as_millis();
    let mut text = format!("{TITLE}\nsalt {salt:016x}\n");
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing into a `String` cannot fail.
        writeln!(text, "{line}").unwrap_or_default();
    };
    for at in &book.started {
        line(format_args!("started {}", millis(*at)));
    }
    for (word, turns) in [("asking", &book.asking), ("asked", &book.asked)] {
        for Turn {
            task,
            account,
            since,
            holder,
        } in turns
        {
            let (since, account) = (millis(*since), account.number());
            let holder = holder.map_or_else(
                || "-".to_owned(),
                |Holder {
                     world,
                     process,
                     begun,
                 }| format!("{world:016x}.{process}.{begun}"),
            );
            line(format_args!(
                "{word} {since} {account:016x} {holder} {task}"
            ));
        }
    }
    for Held {
        account,
        error,
        failures,
        since,
        until,
    } in &book.held
    {
        let (since, until) = (millis(*since), millis(*until));
        let (kind, code) = (error.kind(), error.code().unwrap_or_default());
        let (account, why) = (account.number(), error.text().map_or("", CleanText::as_str));
        line(format_args!(
            "held {since} {until} {account:016x} {failures} {kind} {code} {why}"
        ));
    }
    text
}

/// Reads a book and its salt. A line that makes no sense is left out; so is all of a text that is not ours.
fn read(text: &str) -> (Book, Option<u64>) {
    let (mut book, mut salt) = (Book::default(), None);
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return (book, salt);
    }
    for line in lines {
        match line.strip_prefix("salt ") {
            Some(number) => salt = u64::from_str_radix(number, 16).ok(),
            None => read_line(line, &mut book).unwrap_or_default(),
        }
    }
    // A strange text must not hold up anybody: a whole book has no more than that.
    book.asking.truncate(MOST_IN_FLIGHT);
    (book, salt)
}

/// Reads who holds a turn; one that makes no sense is nobody known.
fn holder_in(text: &str) -> Option<Holder> {
    let (world, rest) = text.split_once('.')?;
    let (process, begun) = rest.split_once('.')?;
    Some(Holder {
        world: u64::from_str_radix(world, 16).ok()?,
        process: process.parse().ok()?,
        begun: begun.parse().ok()?,
    })
}

fn read_line(line: &str, book: &mut Book) -> Option<()> {
    let (word, rest) = line.split_once(' ')?;
    let moment = |text: &str| Some(Mono::at(Duration::from_millis(text.parse().ok()?)));
    let account = |text: &str| Some(Account::numbered(u64::from_str_radix(text, 16).ok()?));
    let turn = |rest: &str| {
        let mut words = rest.splitn(4, ' ');
        Some(Turn {
            since: moment(words.next()?)?,
            account: account(words.next()?)?,
            holder: holder_in(words.next()?),
            task: TaskId::parse(words.next()?).ok()?,
        })
    };
    match word {
        "started" => book.started.push(moment(rest)?),
        "asking" => book.asking.push(turn(rest)?),
        "asked" => book.asked.push(turn(rest)?),
        "held" => {
            let mut words = rest.splitn(7, ' ');
            let mut next = || words.next();
            let (since, until) = (moment(next()?)?, moment(next()?)?);
            let account = account(next()?)?;
            let failures = next()?.parse().ok()?;
            let (kind, code) = (next()?, next()?.parse().ok()?);
            let why = CleanText::line(next()?, MOST_TEXT);
            book.held.push(Held {
                account,
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
                account: Account::numbered(7),
                since: at(1),
                holder: Some(Holder {
                    world: u64::MAX,
                    process: 42,
                    begun: 7,
                }),
            }],
            asked: vec![Turn {
                task: id("b"),
                account: Account::numbered(u64::MAX),
                since: at(3),
                holder: None,
            }],
            held: vec![Held {
                account: Account::numbered(7),
                error: PollError::Server {
                    code: 502,
                    message: CleanText::line("bad gate way", 99),
                },
                failures: 5,
                since: at(4),
                until: at(5000),
            }],
        };

        assert_eq!(read(&written(&book, 5)), (book, Some(5)));
        let empty = Book::default();
        assert_eq!(read(&written(&empty, 0)), (empty, Some(0)));
    }

    #[test]
    fn strange_texts_are_no_book_or_less_of_one() {
        let title = format!("{TITLE}\n");
        let strange = [
            String::new(),
            "asking 1 a\n".to_owned(),
            format!(
                "{title}asking\nasking 1\nasking x a\nasking 1 x b\nasking 1 7 b\nsalt x\nheld 1 2 3\nnonsense 1\n\0\u{202e}"
            ),
            format!("{title}held -1 2 3 offline 0 x\nstarted 99999999999999999999999999\n"),
        ];
        for text in strange {
            assert_eq!(read(&text), (Book::default(), None), "{text:?}");
        }
        let many = "asking 1 7 - a\n".repeat(100);
        let (book, _) = read(&format!("{title}{many}"));
        assert_eq!(book.asking.len(), MOST_IN_FLIGHT);
    }
}
