//! The book of turns as a real file: whatever is wrong with it, asking goes on; where all is well,
//! limits hold over all.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

mod support;

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
use support::id;

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

/// A clock that stands still, so that no test depends on how fast the machine is; and not on a
/// round figure.
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
    let place = new_folder();
    let one = FileLimiter::for_list(place.list.clone(), frozen_clock);
    let other = FileLimiter::for_list(place.list.clone(), frozen_clock);

    let turn = one.acquire(&id("a"), own_account()).unwrap();
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
    one.release(&turn, &RequestOutcome::Answered);
    one.acquire(&id("e"), own_account()).unwrap();

    let word = Broadcast::Backoff {
        error: PollError::Unauthorized(401),
        failures: 3,
        wait: Duration::from_mins(1),
    };
    one.broadcast(&word, own_account());
    let put_off = other.acquire(&id("f"), own_account()).unwrap_err();
    let held = DenyReason::AccountBackoff {
        error: PollError::Unauthorized(401),
        failures: 3,
    };
    assert_eq!(
        (put_off.reason, put_off.wait),
        (held, Duration::from_mins(1))
    );
    assert_eq!(file_mode(&place.limiter_file), 0o600);
    let length = fs::metadata(&place.list).unwrap().len();
    assert_eq!(length, 0, "the list itself is not touched");
}

#[test]
fn no_limiter_file_is_created_for_a_missing_list() {
    let place = new_folder();
    fs::remove_file(&place.list).unwrap();

    file_limiter(&place.list)
        .acquire(&id("a"), own_account())
        .unwrap();

    assert!(!place.limiter_file.exists());
}

#[test]
fn a_symlinked_list_uses_the_same_limiter_file() {
    let place = new_folder();
    File::create(&place.list).unwrap();
    let link = place.list.with_file_name("linked.db");
    symlink(&place.list, &link).unwrap();

    FileLimiter::for_list(place.list.clone(), frozen_clock)
        .acquire(&id("a"), own_account())
        .unwrap();

    let by_link = FileLimiter::for_list(link, frozen_clock).acquire(&id("a"), own_account());
    assert_eq!(by_link.unwrap_err().reason, DenyReason::TaskBusy);
}

#[test]
fn a_damaged_limiter_file_is_replaced() {
    let place = new_folder();
    let long = vec![b'x'; 1 << 20];
    let texts: [&[u8]; 5] = [
        b"",
        b"kietop turns 1\nasking",
        b"\xff\xfe\0",
        b"SQLite format 3\0",
        &long,
    ];
    for text in texts {
        fs::write(&place.limiter_file, text).unwrap();
        let one = FileLimiter::for_list(place.list.clone(), frozen_clock);

        one.acquire(&id("a"), own_account()).unwrap();

        assert_eq!(
            one.acquire(&id("a"), own_account()).unwrap_err().reason,
            DenyReason::TaskBusy
        );
        assert!(fs::metadata(&place.limiter_file).unwrap().len() < 1000);
    }
}

#[test]
fn an_unavailable_limiter_file_stops_nobody() {
    let asks = |list: &Path| {
        let one = file_limiter(list);
        let turn = one.acquire(&id("a"), own_account()).unwrap();
        one.acquire(&id("a"), own_account()).unwrap();
        one.release(&turn, &RequestOutcome::NoAnswer);
        one.broadcast(&Broadcast::RetryNow, own_account());
    };

    asks(Path::new("/nowhere/at/all/kietop.db"));

    let folder = new_folder();
    fs::create_dir(&folder.limiter_file).unwrap();
    asks(&folder.list);

    let linked = new_folder();
    let target = linked.list.with_file_name("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, &linked.limiter_file).unwrap();
    asks(&linked.list);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");

    let pipe = new_folder();
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe.limiter_file)
        .status();
    if made.is_ok_and(|made| made.success()) {
        asks(&pipe.list);
    }

    // Whoever is root may write all the same; then it is simply a good book.
    let closed = new_folder();
    fs::write(&closed.limiter_file, "").unwrap();
    fs::set_permissions(&closed.limiter_file, Permissions::from_mode(0o000)).unwrap();
    if File::open(&closed.limiter_file).is_err() {
        asks(&closed.list);
    }
}

#[test]
fn a_lock_is_skipped_only_after_a_timeout() {
    /// A clock that is six seconds further each time it is read.
    fn fast_clock() -> Mono {
        static CLOCK_READS: AtomicU64 = AtomicU64::new(100);
        Mono::at(Duration::from_secs(
            CLOCK_READS.fetch_add(6, Ordering::Relaxed),
        ))
    }
    let place = new_folder();
    let held = File::create(&place.limiter_file).unwrap();
    held.lock().unwrap();

    let one = FileLimiter::for_list(place.list.clone(), frozen_clock);
    assert_eq!(
        one.acquire(&id("a"), own_account()).unwrap_err().reason,
        DenyReason::LimitReached
    );
    let other = FileLimiter::for_list(place.list.clone(), fast_clock);
    assert!(other.acquire(&id("a"), own_account()).is_err());
    assert!(other.acquire(&id("a"), own_account()).is_err());
    assert!(
        other.acquire(&id("a"), own_account()).is_ok(),
        "it was stopped"
    );
    drop(held);
    assert!(one.acquire(&id("a"), own_account()).is_ok());
    assert!(other.acquire(&id("b"), own_account()).is_ok());
}

#[test]
fn the_limiter_file_contains_no_key_or_plain_hash() {
    let place = new_folder();
    let one = file_limiter(&place.list);
    one.acquire(&id("a"), own_account()).unwrap();
    let word = Broadcast::Backoff {
        error: PollError::Unauthorized(401),
        failures: 1,
        wait: Duration::from_mins(1),
    };
    one.broadcast(&word, own_account());

    let text = fs::read_to_string(&place.limiter_file).unwrap();
    assert!(text.contains("held") && !text.contains("canary"), "{text}");
    assert!(!text.contains(&format!("{:016x}", own_account().as_u64())));
    let restarted = file_limiter(&place.list);
    assert!(
        restarted.acquire(&id("b"), own_account()).is_err(),
        "the same key"
    );
    let other = AccountHash::new("https://api.example", "canary-other");
    assert!(restarted.acquire(&id("b"), other).is_ok(), "another key");
}

#[test]
fn concurrent_callers_share_four_permits() {
    let place = new_folder();
    let ask = |n: usize| {
        let list = place.list.clone();
        thread::spawn(move || {
            let own = FileLimiter::for_list(list, frozen_clock);
            let tasks = (0..3).map(|round| id(&format!("t{n}-{round}")));
            tasks
                .filter(|task| own.acquire(task, own_account()).is_ok())
                .count()
        })
    };
    let asking: Vec<_> = (0..8).map(ask).collect();

    let given: usize = asking.into_iter().map(|one| one.join().unwrap()).sum();

    assert_eq!(given, MAX_IN_FLIGHT);
}
