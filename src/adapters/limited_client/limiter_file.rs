//! The limiter in a file beside the list, shared by all instances on this host.
//!
//! A small text file, read and rewritten under its lock. That takes microseconds, needs no sync
//! (the content is stale within seconds), and does not write to the list, which would wake all
//! instances. Invalid content is discarded.
//!
//! The file contains a salted hash of address and key, never the key.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    adapters::regular_file::{self, Symlinks},
    domain::{
        account_hash::AccountHash,
        limiter::{OwnerProcess, Permit, RequestLimiter, SharedBackoff},
        poll_result::PollError,
        schedule::MAX_IN_FLIGHT,
        task::TaskId,
        text::CleanText,
        time::Mono,
    },
};

/// The first line of the file. A file of another version is discarded.
const FILE_HEADER: &str = "kietop turns 3";

/// The most read of the file, in bytes; a full limiter takes a few thousand.
const MAX_FILE_LEN: usize = 16 * 1024;

/// The longest error text kept, in bytes.
const MAX_ERROR_LEN: usize = 512;

/// Whether to wait for the lock of another process, which holds it for microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockWait {
    Patient,
    Never,
}

/// A file with a limiter. It is kept open.
#[derive(Debug)]
pub(super) struct LimiterFile {
    list: PathBuf,
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

/// A lock that ends on drop, also after a panic.
#[derive(Debug)]
struct FileLock<'a>(&'a File);

impl Drop for FileLock<'_> {
    fn drop(&mut self) {
        // Closing the file would end it too.
        self.0.unlock().unwrap_or_default();
    }
}

impl LimiterFile {
    /// Returns the file beside a list.
    pub(super) const fn for_list(list: PathBuf) -> Self {
        Self { list, open: None }
    }

    /// Runs `work` on the limiter and its salt, and writes the result back.
    pub(super) fn update<T>(
        &mut self,
        lock_wait: LockWait,
        work: impl FnOnce(&mut RequestLimiter, u64) -> T,
    ) -> io::Result<T> {
        let file = self.open()?;
        match lock_wait {
            LockWait::Patient => file.lock()?,
            LockWait::Never => file.try_lock()?,
        }
        let _lock = FileLock(file);
        let mut buffer = vec![0; MAX_FILE_LEN];
        let length = file.read_at(&mut buffer, 0)?;
        buffer.truncate(length);
        // Invalid UTF-8: start with an empty limiter.
        let text = String::from_utf8(buffer).unwrap_or_default();
        let (mut limiter, salt) = deserialize(&text);
        let salt = salt.unwrap_or_else(|| RandomState::new().hash_one(FILE_HEADER));
        let result = work(&mut limiter, salt);
        let text = serialize(&limiter, salt);
        file.write_all_at(text.as_bytes(), 0)?;
        if text.len() < length {
            file.set_len(text.len() as u64)?;
        }
        Ok(result)
    }

    /// Returns the open file. Opens it for the first call, and after it was deleted or replaced.
    fn open(&mut self) -> io::Result<&File> {
        let id = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
        self.open.take_if(|open| {
            fs::metadata(&open.path).map_or(true, |metadata| id(&metadata) != open.id)
        });
        let open = if let Some(open) = self.open.take() {
            open
        } else {
            let path = self.path();
            let file = open_file(&path, self.list.exists())?;
            let id = id(&file.metadata()?);
            OpenFile { file, path, id }
        };
        Ok(&self.open.insert(open).file)
    }

    /// Returns the file's path, beside the list itself and not beside a symbolic link to it.
    fn path(&self) -> PathBuf {
        let list = fs::canonicalize(&self.list).unwrap_or_else(|_| self.list.clone());
        let mut name = list.into_os_string();
        name.push("-turns");
        name.into()
    }
}

/// Opens the file, or creates it (0600) if its list exists. Symbolic links are not followed.
fn open_file(path: &Path, may_create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(may_create)
        .truncate(false)
        .mode(0o600);
    regular_file::open(path, &mut options, Symlinks::Refuse)
}

pub(super) fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Serialises a limiter: one line for each entry, times in milliseconds.
fn serialize(limiter: &RequestLimiter, salt: u64) -> String {
    let millis = |at: Mono| at.since_start().as_millis();
    let mut text = format!("{FILE_HEADER}\nsalt {salt:016x}\n");
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing into a `String` cannot fail.
        writeln!(text, "{line}").unwrap_or_default();
    };
    for at in &limiter.request_times {
        line(format_args!("started {}", millis(*at)));
    }
    for (keyword, permits) in [
        ("asking", &limiter.in_use),
        ("asked", &limiter.released),
        ("failed", &limiter.failed),
    ] {
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
fn deserialize(text: &str) -> (RequestLimiter, Option<u64>) {
    let (mut limiter, mut salt) = (RequestLimiter::default(), None);
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

fn parse_line(line: &str, limiter: &mut RequestLimiter) -> Option<()> {
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
        "failed" => limiter.failed.push(permit(rest)?),
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
        let limiter = RequestLimiter {
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
            failed: vec![Permit {
                task: id("c"),
                account: AccountHash::from_u64(7),
                since: at(2),
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
        let empty = RequestLimiter::default();
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
            assert_eq!(
                deserialize(&text),
                (RequestLimiter::default(), None),
                "{text:?}"
            );
        }
        let many = "asking 1 7 - a\n".repeat(100);
        let (limiter, _) = deserialize(&format!("{header}{many}"));
        assert_eq!(limiter.in_use.len(), MAX_IN_FLIGHT);
    }
}
