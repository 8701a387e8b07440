//! The limiter file: it enforces the limits across processes, and never blocks checks when it
//! cannot be used.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use kietop::{
    adapters::{desktop::SystemClock, file_limiter::FileLimiter},
    domain::{
        limiter::{AccountHash, Broadcast, DenyReason, RequestOutcome},
        poll_result::PollError,
        schedule::MAX_IN_FLIGHT,
        time::Mono,
    },
    ports::RequestLimiter as _,
};

use crate::support::id;

struct LimiterFolder {
    _folder: tempfile::TempDir,
    list: PathBuf,
    limiter_file: PathBuf,
}

fn new_folder() -> LimiterFolder {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    File::create(root.join("kietop.db")).unwrap();
    LimiterFolder {
        _folder: folder,
        list: root.join("kietop.db"),
        limiter_file: root.join("kietop.db-turns"),
    }
}

fn file_limiter(list: &Path) -> FileLimiter {
    FileLimiter::for_list(list.to_owned(), SystemClock::since_boot)
}

/// A stopped clock, so that no test depends on the speed of the machine. Not a round number, to
/// test the file's precision.
fn frozen_clock() -> Mono {
    Mono::at(Duration::from_nanos(3_600_123_456_789))
}

fn own_account() -> AccountHash {
    AccountHash::new("https://api.example", "canary-key")
}

fn file_mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_limiter_file_is_shared_and_private() {
    let folder = new_folder();
    let one = FileLimiter::for_list(folder.list.clone(), frozen_clock);
    let other = FileLimiter::for_list(folder.list.clone(), frozen_clock);

    let permit = one.acquire(&id("a"), own_account()).unwrap();
    assert_eq!(
        other.acquire(&id("a"), own_account()).unwrap_err().reason,
        DenyReason::TaskBusy
    );
    for name in ["b", "c", "d"] {
        other.acquire(&id(name), own_account()).unwrap();
    }
    assert_eq!(
        one.acquire(&id("e"), own_account()).unwrap_err().reason,
        DenyReason::LimitReached
    );
    one.release(&permit, &RequestOutcome::Answered);
    one.acquire(&id("e"), own_account()).unwrap();

    let message = Broadcast::Backoff {
        error: PollError::Unauthorized(401),
        failures: 3,
        wait: Duration::from_mins(1),
    };
    one.broadcast(&message, own_account());
    let denied = other.acquire(&id("f"), own_account()).unwrap_err();
    let expected = DenyReason::AccountBackoff {
        error: PollError::Unauthorized(401),
        failures: 3,
    };
    assert_eq!(
        (denied.reason, denied.wait),
        (expected, Duration::from_mins(1))
    );
    assert_eq!(file_mode(&folder.limiter_file), 0o600);
    let length = fs::metadata(&folder.list).unwrap().len();
    assert_eq!(length, 0, "the list is unchanged");
}

#[test]
fn no_limiter_file_is_created_for_a_missing_list() {
    let folder = new_folder();
    fs::remove_file(&folder.list).unwrap();

    file_limiter(&folder.list)
        .acquire(&id("a"), own_account())
        .unwrap();

    assert!(!folder.limiter_file.exists());
}

#[test]
fn a_symlinked_list_uses_the_same_limiter_file() {
    let folder = new_folder();
    File::create(&folder.list).unwrap();
    let link = folder.list.with_file_name("linked.db");
    symlink(&folder.list, &link).unwrap();

    FileLimiter::for_list(folder.list.clone(), frozen_clock)
        .acquire(&id("a"), own_account())
        .unwrap();

    let by_link = FileLimiter::for_list(link, frozen_clock).acquire(&id("a"), own_account());
    assert_eq!(by_link.unwrap_err().reason, DenyReason::TaskBusy);
}

#[test]
fn a_damaged_limiter_file_is_replaced() {
    let folder = new_folder();
    let long = vec![b'x'; 1 << 20];
    let texts: [&[u8]; 5] = [
        b"",
        b"kietop turns 1\nasking",
        b"\xff\xfe\0",
        b"SQLite format 3\0",
        &long,
    ];
    for text in texts {
        fs::write(&folder.limiter_file, text).unwrap();
        let one = FileLimiter::for_list(folder.list.clone(), frozen_clock);

        one.acquire(&id("a"), own_account()).unwrap();

        assert_eq!(
            one.acquire(&id("a"), own_account()).unwrap_err().reason,
            DenyReason::TaskBusy
        );
        assert!(fs::metadata(&folder.limiter_file).unwrap().len() < 1000);
    }
}

#[test]
fn an_unavailable_limiter_file_blocks_nobody() {
    let assert_permits = |list: &Path| {
        let one = file_limiter(list);
        let permit = one.acquire(&id("a"), own_account()).unwrap();
        one.acquire(&id("a"), own_account()).unwrap();
        one.release(&permit, &RequestOutcome::NoAnswer);
        one.broadcast(&Broadcast::RetryNow, own_account());
    };

    assert_permits(Path::new("/nowhere/at/all/kietop.db"));

    let folder = new_folder();
    fs::create_dir(&folder.limiter_file).unwrap();
    assert_permits(&folder.list);

    let linked = new_folder();
    let target = linked.list.with_file_name("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, &linked.limiter_file).unwrap();
    assert_permits(&linked.list);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");

    let pipe = new_folder();
    let status = std::process::Command::new("mkfifo")
        .arg(&pipe.limiter_file)
        .status();
    if status.is_ok_and(|status| status.success()) {
        assert_permits(&pipe.list);
    }

    // Root can read it anyway; then it is a normal limiter file.
    let closed = new_folder();
    fs::write(&closed.limiter_file, "").unwrap();
    fs::set_permissions(&closed.limiter_file, Permissions::from_mode(0o000)).unwrap();
    if File::open(&closed.limiter_file).is_err() {
        assert_permits(&closed.list);
    }
}

#[test]
fn a_lock_is_skipped_only_after_a_timeout() {
    /// A clock that advances six seconds at each reading.
    fn fast_clock() -> Mono {
        static CLOCK_READS: AtomicU64 = AtomicU64::new(100);
        Mono::at(Duration::from_secs(
            CLOCK_READS.fetch_add(6, Ordering::Relaxed),
        ))
    }
    let folder = new_folder();
    let locked = File::create(&folder.limiter_file).unwrap();
    locked.lock().unwrap();

    let one = FileLimiter::for_list(folder.list.clone(), frozen_clock);
    assert_eq!(
        one.acquire(&id("a"), own_account()).unwrap_err().reason,
        DenyReason::LimitReached
    );
    let other = FileLimiter::for_list(folder.list.clone(), fast_clock);
    assert!(other.acquire(&id("a"), own_account()).is_err());
    assert!(other.acquire(&id("a"), own_account()).is_err());
    assert!(
        other.acquire(&id("a"), own_account()).is_ok(),
        "the lock is ignored"
    );
    drop(locked);
    assert!(one.acquire(&id("a"), own_account()).is_ok());
    assert!(other.acquire(&id("b"), own_account()).is_ok());
}

#[test]
fn the_limiter_file_contains_no_key_or_plain_hash() {
    let folder = new_folder();
    let one = file_limiter(&folder.list);
    one.acquire(&id("a"), own_account()).unwrap();
    let message = Broadcast::Backoff {
        error: PollError::Unauthorized(401),
        failures: 1,
        wait: Duration::from_mins(1),
    };
    one.broadcast(&message, own_account());

    let text = fs::read_to_string(&folder.limiter_file).unwrap();
    assert!(text.contains("held") && !text.contains("canary"), "{text}");
    assert!(!text.contains(&format!("{:016x}", own_account().as_u64())));
    let restarted = file_limiter(&folder.list);
    assert!(
        restarted.acquire(&id("b"), own_account()).is_err(),
        "the same key"
    );
    let other = AccountHash::new("https://api.example", "canary-other");
    assert!(restarted.acquire(&id("b"), other).is_ok(), "another key");
}

#[test]
fn concurrent_callers_share_four_permits() {
    let folder = new_folder();
    let acquire_three = |n: usize| {
        let list = folder.list.clone();
        thread::spawn(move || {
            let own = FileLimiter::for_list(list, frozen_clock);
            let tasks = (0..3).map(|round| id(&format!("t{n}-{round}")));
            tasks
                .filter(|task| own.acquire(task, own_account()).is_ok())
                .count()
        })
    };
    let threads: Vec<_> = (0..8).map(acquire_three).collect();

    let granted: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();

    assert_eq!(granted, MAX_IN_FLIGHT);
}
