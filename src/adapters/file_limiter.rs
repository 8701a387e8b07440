//! The book of turns as a file beside the list, for all instances on this host.
//!
//! A small text, read and written whole under the file's lock: microseconds, no sync to the disk
//! (what it says is stale in seconds anyway), and no write to the list, which would wake everybody.
//! Whatever is wrong with it (no room, no right, a strange text) stops nobody: the turn is given,
//! and the caller's own limits hold. A lock that others hold is waited for: on a busy machine that
//! is how the limits hold; only one that is never let go is done without.
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
        limiter::{
            AccountHash, Broadcast, Denied, DenyReason, Limiter, OwnerProcess, Permit,
            RequestOutcome, SharedBackoff,
        },
        poll_result::PollError,
        schedule::MAX_IN_FLIGHT,
        task::TaskId,
        text::CleanText,
        time::Mono,
    },
    ports::RequestLimiter,
};

pub mod limited_client;
mod process_identity;

/// What the file begins with; another version's text is none of ours.
const FILE_HEADER: &str = "kietop turns 3";

/// The most of the file that is read; a whole book is a few thousand bytes.
const MAX_FILE_LEN: u64 = 16 * 1024;

/// The longest text of an error kept.
const MAX_ERROR_LEN: usize = 512;

/// How often the lock is tried, and how far apart: a second in all. It is held for microseconds,
/// but many may want it, and who holds it may have to wait for a processor.
const MAX_LOCK_ATTEMPTS: u32 = 1000;
/// See [`TRIES`].
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(1);

/// How long a lock may be held before it is done without: whoever holds it was stopped just then.
const MAX_LOCK_TIME: Duration = Duration::from_secs(10);

/// How long who did not get the lock waits before the next try.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// The book beside a list.
#[derive(Debug)]
pub struct FileLimiter {
    list: PathBuf,
    clock: fn() -> Mono,
    /// This process, for the turns it takes.
    own_process: Option<OwnerProcess>,
    /// Since when the lock is not to be had, in milliseconds of the clock; zero while it is.
    locked_since: AtomicU64,
}

/// Says why the book is not to be had.
#[derive(Debug, thiserror::Error)]
enum LimiterError {
    /// Others hold its lock.
    #[error("others hold its lock")]
    Locked,
    /// It is broken, or cannot be.
    #[error(transparent)]
    Unusable(#[from] io::Error),
}

impl FileLimiter {
    /// Returns the book beside that list, by a clock that all programs of the host share.
    pub fn for_list(list: PathBuf, clock: fn() -> Mono) -> Self {
        Self {
            list,
            clock,
            own_process: process_identity::current_process(),
            locked_since: AtomicU64::new(0),
        }
    }

    /// Returns the book's file: beside the list itself, not beside a link to it.
    fn file_path(&self) -> PathBuf {
        let list = fs::canonicalize(&self.list).unwrap_or_else(|_| self.list.clone());
        let mut name = list.into_os_string();
        name.push("-turns");
        name.into()
    }

    /// Returns the present as finely as the file tells it, so that a turn is known again.
    fn now(&self) -> Mono {
        Mono::at(Duration::from_millis(to_millis(
            (self.clock)().since_start(),
        )))
    }

    /// Does something in the book, which is told its salt, and writes it back.
    fn update<T>(
        &self,
        work: impl FnOnce(&mut Limiter, u64, Mono) -> T,
    ) -> Result<T, LimiterError> {
        let done = self.try_update(work);
        let now = u64::try_from(self.now().since_start().as_millis()).unwrap_or(u64::MAX);
        let done = match done {
            Err(LimiterError::Locked) => {
                // Zero means that it is to be had.
                let now = now.max(1);
                let first = self.locked_since.compare_exchange(
                    0,
                    now,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                let since = first.err().unwrap_or(now);
                if now.saturating_sub(since) < to_millis(MAX_LOCK_TIME) {
                    Err(LimiterError::Locked)
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

    fn try_update<T>(
        &self,
        work: impl FnOnce(&mut Limiter, u64, Mono) -> T,
    ) -> Result<T, LimiterError> {
        let mut file = open_file(&self.file_path(), self.list.exists())?;
        lock(&file)?;
        let mut text = String::new();
        // What is no text is no book: a new one is begun.
        if (&file)
            .take(MAX_FILE_LEN)
            .read_to_string(&mut text)
            .is_err()
        {
            text.clear();
        }
        let (mut book, salt) = deserialize(&text);
        let salt = salt.unwrap_or_else(|| RandomState::new().hash_one(FILE_HEADER));
        let result = work(&mut book, salt, self.now());
        let text = serialize(&book, salt);
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len().try_into().unwrap_or(MAX_FILE_LEN))?;
        Ok(result)
    }
}

impl RequestLimiter for FileLimiter {
    fn acquire(&self, task: &TaskId, account: AccountHash) -> Result<Permit, Denied> {
        let taken = self.update(|book, salt, now| {
            book.release_dead(|holder| process_identity::has_exited(holder, self.own_process));
            book.acquire_for(task, account.salted(salt), self.own_process, now)
        });
        match taken {
            Ok(taken) => taken,
            Err(LimiterError::Locked) => Err(Denied {
                reason: DenyReason::LimitReached,
                wait: RETRY_DELAY,
            }),
            // What such a turn brings to light is nobody's: no fingerprint without salt gets into
            // the file.
            Err(LimiterError::Unusable(_)) => Ok(Permit {
                task: task.clone(),
                account: AccountHash::default(),
                since: self.now(),
                owner: None,
            }),
        }
    }

    fn acquire_retry(&self) -> Result<(), Duration> {
        match self.update(|book, _, now| book.acquire_retry(now)) {
            Ok(counted) => counted,
            Err(LimiterError::Locked) => Err(RETRY_DELAY),
            Err(LimiterError::Unusable(_)) => Ok(()),
        }
    }

    fn release(&self, turn: &Permit, heard: &RequestOutcome) {
        // What cannot be told ends by itself.
        self.update(|book, _, now| book.release(turn, heard, now))
            .unwrap_or_default();
    }

    fn broadcast(&self, word: &Broadcast, account: AccountHash) {
        // As above.
        self.update(|book, salt, now| book.apply(word, account.salted(salt), now))
            .unwrap_or_default();
    }
}

/// Returns a span in milliseconds.
fn to_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Opens the file, or creates it (0600) if its list exists. Symbolic links are not followed.
fn open_file(path: &Path, is_created: bool) -> io::Result<File> {
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
fn lock(file: &File) -> Result<(), LimiterError> {
    for _ in 0..MAX_LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) => thread::park_timeout(LOCK_RETRY_DELAY),
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(LimiterError::Locked)
}

/// Writes a book out: a line each, times in milliseconds.
fn serialize(book: &Limiter, salt: u64) -> String {
    let millis = |at: Mono| at.since_start().as_millis();
    let mut text = format!("{FILE_HEADER}\nsalt {salt:016x}\n");
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing into a `String` cannot fail.
        writeln!(text, "{line}").unwrap_or_default();
    };
    for at in &book.request_times {
        line(format_args!("started {}", millis(*at)));
    }
    for (word, turns) in [("asking", &book.in_use), ("asked", &book.released)] {
        for Permit {
            task,
            account,
            since,
            owner: holder,
        } in turns
        {
            let (since, account) = (millis(*since), account.as_u64());
            let holder = holder.map_or_else(
                || "-".to_owned(),
                |OwnerProcess {
                     namespace: world,
                     pid: process,
                     started_at: begun,
                 }| format!("{world:016x}.{process}.{begun}"),
            );
            line(format_args!(
                "{word} {since} {account:016x} {holder} {task}"
            ));
        }
    }
    for SharedBackoff {
        account,
        error,
        failures,
        since,
        until,
    } in &book.backoffs
    {
        let (since, until) = (millis(*since), millis(*until));
        let (kind, code) = (error.kind(), error.code().unwrap_or_default());
        let (account, why) = (account.as_u64(), error.text().map_or("", CleanText::as_str));
        line(format_args!(
            "held {since} {until} {account:016x} {failures} {kind} {code} {why}"
        ));
    }
    text
}

/// Reads a book and its salt. A line that makes no sense is left out; so is all of a text that is
/// not ours.
fn deserialize(text: &str) -> (Limiter, Option<u64>) {
    let (mut book, mut salt) = (Limiter::default(), None);
    let mut lines = text.lines();
    if lines.next() != Some(FILE_HEADER) {
        return (book, salt);
    }
    for line in lines {
        match line.strip_prefix("salt ") {
            Some(number) => salt = u64::from_str_radix(number, 16).ok(),
            None => parse_line(line, &mut book).unwrap_or_default(),
        }
    }
    // A strange text must not hold up anybody: a whole book has no more than that.
    book.in_use.truncate(MAX_IN_FLIGHT);
    (book, salt)
}

/// Reads who holds a turn; one that makes no sense is nobody known.
fn parse_owner(text: &str) -> Option<OwnerProcess> {
    let (world, rest) = text.split_once('.')?;
    let (process, begun) = rest.split_once('.')?;
    Some(OwnerProcess {
        namespace: u64::from_str_radix(world, 16).ok()?,
        pid: process.parse().ok()?,
        started_at: begun.parse().ok()?,
    })
}

fn parse_line(line: &str, book: &mut Limiter) -> Option<()> {
    let (word, rest) = line.split_once(' ')?;
    let moment = |text: &str| Some(Mono::at(Duration::from_millis(text.parse().ok()?)));
    let account = |text: &str| Some(AccountHash::from_u64(u64::from_str_radix(text, 16).ok()?));
    let turn = |rest: &str| {
        let mut words = rest.splitn(4, ' ');
        Some(Permit {
            since: moment(words.next()?)?,
            account: account(words.next()?)?,
            owner: parse_owner(words.next()?),
            task: TaskId::parse(words.next()?).ok()?,
        })
    };
    match word {
        "started" => book.request_times.push(moment(rest)?),
        "asking" => book.in_use.push(turn(rest)?),
        "asked" => book.released.push(turn(rest)?),
        "held" => {
            let mut words = rest.splitn(7, ' ');
            let mut next = || words.next();
            let (since, until) = (moment(next()?)?, moment(next()?)?);
            let account = account(next()?)?;
            let failures = next()?.parse().ok()?;
            let (kind, code) = (next()?, next()?.parse().ok()?);
            let why = CleanText::line(next()?, MAX_ERROR_LEN);
            book.backoffs.push(SharedBackoff {
                account,
                error: PollError::from_stored(kind, Some(code), why),
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
    fn limiter_state_round_trips_through_its_file() {
        let at = |millis| Mono::at(Duration::from_millis(millis));
        let book = Limiter {
            request_times: vec![at(1), at(2)],
            in_use: vec![Permit {
                task: id("a"),
                account: AccountHash::from_u64(7),
                since: at(1),
                owner: Some(OwnerProcess {
                    namespace: u64::MAX,
                    pid: 42,
                    started_at: 7,
                }),
            }],
            released: vec![Permit {
                task: id("b"),
                account: AccountHash::from_u64(u64::MAX),
                since: at(3),
                owner: None,
            }],
            backoffs: vec![SharedBackoff {
                account: AccountHash::from_u64(7),
                error: PollError::Server {
                    code: 502,
                    message: CleanText::line("bad gate way", 99),
                },
                failures: 5,
                since: at(4),
                until: at(5000),
            }],
        };

        assert_eq!(deserialize(&serialize(&book, 5)), (book, Some(5)));
        let empty = Limiter::default();
        assert_eq!(deserialize(&serialize(&empty, 0)), (empty, Some(0)));
    }

    #[test]
    fn invalid_limiter_files_are_ignored_or_trimmed() {
        let title = format!("{FILE_HEADER}\n");
        let strange = [
            String::new(),
            "asking 1 a\n".to_owned(),
            format!(
                "{title}asking\nasking 1\nasking x a\nasking 1 x b\nasking 1 7 b\nsalt x\nheld 1 2 3\nnonsense 1\n\0\u{202e}"
            ),
            format!("{title}held -1 2 3 offline 0 x\nstarted 99999999999999999999999999\n"),
        ];
        for text in strange {
            assert_eq!(deserialize(&text), (Limiter::default(), None), "{text:?}");
        }
        let many = "asking 1 7 - a\n".repeat(100);
        let (book, _) = deserialize(&format!("{title}{many}"));
        assert_eq!(book.in_use.len(), MAX_IN_FLIGHT);
    }
}
