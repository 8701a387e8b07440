//! The limiter in a file beside the list, shared by all instances on this host.
//!
//! A small text file, read and rewritten under its lock. That takes microseconds, needs no sync
//! (the content is stale within seconds), and does not write to the list, which would wake all
//! instances. If the file cannot be used (full disk, no permission), permits are granted anyway and
//! only the caller's own limits apply; invalid content is discarded. A held lock is waited for, so
//! the limits also work on a busy machine; a lock that is never released is ignored after a while.
//!
//! The file contains a salted hash of address and key, never the key.

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

/// The first line of the file. A file of another version is discarded.
const FILE_HEADER: &str = "kietop turns 3";

/// The most read of the file, in bytes; a full limiter takes a few thousand.
const MAX_FILE_LEN: u64 = 16 * 1024;

/// The longest error text kept, in bytes.
const MAX_ERROR_LEN: usize = 512;

/// Attempts to get the lock, [`LOCK_RETRY_DELAY`] apart: one second in all. It is held for
/// microseconds, but many processes may want it, and its holder may have to wait for a CPU.
const MAX_LOCK_ATTEMPTS: u32 = 1000;
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(1);

/// The time after which a held lock is ignored: its holder was probably stopped while holding it.
const MAX_LOCK_TIME: Duration = Duration::from_secs(10);

/// The wait before another attempt when the lock was not free.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A limiter stored in a file beside the list.
#[derive(Debug)]
pub struct FileLimiter {
    list: PathBuf,
    clock: fn() -> Mono,
    /// Owner of the permits acquired here.
    own_process: Option<OwnerProcess>,
    /// When the lock was first found held, in milliseconds of the clock; zero if it is free.
    locked_since: AtomicU64,
}

/// The reason why the limiter file cannot be used.
#[derive(Debug, thiserror::Error)]
enum LimiterError {
    #[error("another process holds the lock")]
    Locked,
    #[error(transparent)]
    Unusable(#[from] io::Error),
}

impl FileLimiter {
    /// Returns the limiter beside a list. All processes on the host must share the clock.
    pub fn for_list(list: PathBuf, clock: fn() -> Mono) -> Self {
        Self {
            list,
            clock,
            own_process: process_identity::current_process(),
            locked_since: AtomicU64::new(0),
        }
    }

    /// Returns the file's path, beside the list itself and not beside a symbolic link to it.
    fn file_path(&self) -> PathBuf {
        let list = fs::canonicalize(&self.list).unwrap_or_else(|_| self.list.clone());
        let mut name = list.into_os_string();
        name.push("-turns");
        name.into()
    }

    /// Returns the time in the file's precision, so that a permit equals its stored copy.
    fn now(&self) -> Mono {
        Mono::at(Duration::from_millis(to_millis(
            (self.clock)().since_start(),
        )))
    }

    /// Runs `work` on the limiter and its salt, and writes the result back.
    fn update<T>(
        &self,
        work: impl FnOnce(&mut Limiter, u64, Mono) -> T,
    ) -> Result<T, LimiterError> {
        let result = self.try_update(work);
        let now = u64::try_from(self.now().since_start().as_millis()).unwrap_or(u64::MAX);
        let result = match result {
            Err(LimiterError::Locked) => {
                // Zero means that the lock is free.
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
                    Err(io::Error::other("the lock is never released").into())
                }
            }
            result => {
                self.locked_since.store(0, Ordering::Relaxed);
                result
            }
        };
        result.inspect_err(|error| tracing::debug!(%error, "the shared limiter cannot be used"))
    }

    fn try_update<T>(
        &self,
        work: impl FnOnce(&mut Limiter, u64, Mono) -> T,
    ) -> Result<T, LimiterError> {
        let mut file = open_file(&self.file_path(), self.list.exists())?;
        lock(&file)?;
        let mut text = String::new();
        // Invalid UTF-8: start with an empty limiter.
        if (&file)
            .take(MAX_FILE_LEN)
            .read_to_string(&mut text)
            .is_err()
        {
            text.clear();
        }
        let (mut limiter, salt) = deserialize(&text);
        let salt = salt.unwrap_or_else(|| RandomState::new().hash_one(FILE_HEADER));
        let result = work(&mut limiter, salt, self.now());
        let text = serialize(&limiter, salt);
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len().try_into().unwrap_or(MAX_FILE_LEN))?;
        Ok(result)
    }
}

impl RequestLimiter for FileLimiter {
    fn acquire(&self, task: &TaskId, account: AccountHash) -> Result<Permit, Denied> {
        let result = self.update(|limiter, salt, now| {
            limiter.release_dead(|owner| process_identity::has_exited(owner, self.own_process));
            limiter.acquire_for(task, account.salted(salt), self.own_process, now)
        });
        match result {
            Ok(permit) => permit,
            Err(LimiterError::Locked) => Err(Denied {
                reason: DenyReason::LimitReached,
                wait: RETRY_DELAY,
            }),
            // Without an account: no hash without salt may get into the file.
            Err(LimiterError::Unusable(_)) => Ok(Permit {
                task: task.clone(),
                account: AccountHash::default(),
                since: self.now(),
                owner: None,
            }),
        }
    }

    fn acquire_retry(&self) -> Result<(), Duration> {
        match self.update(|limiter, _, now| limiter.acquire_retry(now)) {
            Ok(result) => result,
            Err(LimiterError::Locked) => Err(RETRY_DELAY),
            Err(LimiterError::Unusable(_)) => Ok(()),
        }
    }

    fn release(&self, permit: &Permit, outcome: &RequestOutcome) {
        // On failure the permit expires.
        self.update(|limiter, _, now| limiter.release(permit, outcome, now))
            .unwrap_or_default();
    }

    fn broadcast(&self, message: &Broadcast, account: AccountHash) {
        // On failure the others find out themselves.
        self.update(|limiter, salt, now| limiter.apply(message, account.salted(salt), now))
            .unwrap_or_default();
    }
}

fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Opens the file, or creates it (0600) if its list exists. Symbolic links are not followed.
fn open_file(path: &Path, may_create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(may_create)
        .truncate(false);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    regular_file::open(path, &mut options, Symlinks::Refuse)
}

/// Locks the file until it is closed.
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

/// Serialises a limiter: one line for each entry, times in milliseconds.
fn serialize(limiter: &Limiter, salt: u64) -> String {
    let millis = |at: Mono| at.since_start().as_millis();
    let mut text = format!("{FILE_HEADER}\nsalt {salt:016x}\n");
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing into a `String` cannot fail.
        writeln!(text, "{line}").unwrap_or_default();
    };
    for at in &limiter.request_times {
        line(format_args!("started {}", millis(*at)));
    }
    for (keyword, permits) in [("asking", &limiter.in_use), ("asked", &limiter.released)] {
        for Permit {
            task,
            account,
            since,
            owner,
        } in permits
        {
            let (since, account) = (millis(*since), account.as_u64());
            let owner = owner.map_or_else(
                || "-".to_owned(),
                |OwnerProcess {
                     namespace,
                     pid,
                     started_at,
                 }| format!("{namespace:016x}.{pid}.{started_at}"),
            );
            line(format_args!(
                "{keyword} {since} {account:016x} {owner} {task}"
            ));
        }
    }
    for SharedBackoff {
        account,
        error,
        failures,
        since,
        until,
    } in &limiter.backoffs
    {
        let (since, until) = (millis(*since), millis(*until));
        let (kind, code) = (error.kind(), error.code().unwrap_or_default());
        let (account, text) = (account.as_u64(), error.text().map_or("", CleanText::as_str));
        line(format_args!(
            "held {since} {until} {account:016x} {failures} {kind} {code} {text}"
        ));
    }
    text
}

/// Parses a limiter and its salt. Skips invalid lines, and the whole text of another version.
fn deserialize(text: &str) -> (Limiter, Option<u64>) {
    let (mut limiter, mut salt) = (Limiter::default(), None);
    let mut lines = text.lines();
    if lines.next() != Some(FILE_HEADER) {
        return (limiter, salt);
    }
    for line in lines {
        match line.strip_prefix("salt ") {
            Some(number) => salt = u64::from_str_radix(number, 16).ok(),
            None => parse_line(line, &mut limiter).unwrap_or_default(),
        }
    }
    // Invalid content must not block anyone: a valid file has no more permits in use.
    limiter.in_use.truncate(MAX_IN_FLIGHT);
    (limiter, salt)
}

/// Parses the owner of a permit; `None` if it is unknown or invalid.
fn parse_owner(text: &str) -> Option<OwnerProcess> {
    let (namespace, rest) = text.split_once('.')?;
    let (pid, started_at) = rest.split_once('.')?;
    Some(OwnerProcess {
        namespace: u64::from_str_radix(namespace, 16).ok()?,
        pid: pid.parse().ok()?,
        started_at: started_at.parse().ok()?,
    })
}

fn parse_line(line: &str, limiter: &mut Limiter) -> Option<()> {
    let (keyword, rest) = line.split_once(' ')?;
    let time = |text: &str| Some(Mono::at(Duration::from_millis(text.parse().ok()?)));
    let account = |text: &str| Some(AccountHash::from_u64(u64::from_str_radix(text, 16).ok()?));
    let permit = |rest: &str| {
        let mut fields = rest.splitn(4, ' ');
        Some(Permit {
            since: time(fields.next()?)?,
            account: account(fields.next()?)?,
            owner: parse_owner(fields.next()?),
            task: TaskId::parse(fields.next()?).ok()?,
        })
    };
    match keyword {
        "started" => limiter.request_times.push(time(rest)?),
        "asking" => limiter.in_use.push(permit(rest)?),
        "asked" => limiter.released.push(permit(rest)?),
        "held" => {
            let mut fields = rest.splitn(7, ' ');
            let mut next = || fields.next();
            let (since, until) = (time(next()?)?, time(next()?)?);
            let account = account(next()?)?;
            let failures = next()?.parse().ok()?;
            let (kind, code) = (next()?, next()?.parse().ok()?);
            let text = CleanText::line(next()?, MAX_ERROR_LEN);
            limiter.backoffs.push(SharedBackoff {
                account,
                error: PollError::from_stored(kind, Some(code), text),
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
        let limiter = Limiter {
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

        assert_eq!(deserialize(&serialize(&limiter, 5)), (limiter, Some(5)));
        let empty = Limiter::default();
        assert_eq!(deserialize(&serialize(&empty, 0)), (empty, Some(0)));
    }

    #[test]
    fn invalid_limiter_files_are_ignored_or_trimmed() {
        let header = format!("{FILE_HEADER}\n");
        let invalid = [
            String::new(),
            "asking 1 a\n".to_owned(),
            format!(
                "{header}asking\nasking 1\nasking x a\nasking 1 x b\nasking 1 7 b\nsalt x\nheld 1 2 3\nnonsense 1\n\0\u{202e}"
            ),
            format!("{header}held -1 2 3 offline 0 x\nstarted 99999999999999999999999999\n"),
        ];
        for text in invalid {
            assert_eq!(deserialize(&text), (Limiter::default(), None), "{text:?}");
        }
        let many = "asking 1 7 - a\n".repeat(100);
        let (limiter, _) = deserialize(&format!("{header}{many}"));
        assert_eq!(limiter.in_use.len(), MAX_IN_FLIGHT);
    }
}
