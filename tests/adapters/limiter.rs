//! The limiter file: it enforces the limits across processes, and never blocks checks when it
//! cannot be used.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use kietop::{
    adapters::{
        desktop::SystemClock,
        limited_client::{LimitedClient, shared_limiter::SharedLimiter},
    },
    domain::{
        account_hash::AccountHash,
        limiter::{Permit, RequestOutcome},
        poll_request::{Backoff, Denied, DenyReason, PollRequest, PollTrigger},
        poll_result::PollError,
        response_notes::ResponseNotes,
        schedule::MAX_IN_FLIGHT,
        time::Mono,
    },
    ports::{BoxFuture, PollStart, TaskApi},
};

use crate::support::{id, poll_request};

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

/// A stopped clock, so that no test depends on the speed of the machine. Not a round number, to
/// test the file's precision.
fn frozen_clock() -> Mono {
    Mono::at(Duration::from_nanos(3_600_123_456_789))
}

fn limiter(list: &Path) -> SharedLimiter {
    SharedLimiter::for_list(list.to_owned(), frozen_clock)
}

fn own_account() -> AccountHash {
    AccountHash::new("https://api.example", "canary-key")
}

fn acquire(limiter: &SharedLimiter, task: &str) -> Result<Permit, Denied> {
    limiter.acquire(&id(task), own_account(), PollTrigger::Scheduled)
}

fn deny_reason(limiter: &SharedLimiter, task: &str) -> DenyReason {
    acquire(limiter, task).unwrap_err().reason
}

/// Releases a permit after the key was refused.
fn refuse_key(limiter: &SharedLimiter, permit: &Permit) -> Backoff {
    let refused = RequestOutcome::Failed(PollError::Unauthorized(401));
    limiter.release(permit, &refused).unwrap()
}

#[test]
fn the_limiter_file_is_shared_and_private() {
    let folder = new_folder();
    let link = folder.list.with_file_name("linked.db");
    symlink(&folder.list, &link).unwrap();
    // A symbolic link to the list uses the same file.
    let (one, other) = (limiter(&folder.list), limiter(&link));

    let permit = acquire(&one, "a").unwrap();
    assert_eq!(
        deny_reason(&other, "a"),
        DenyReason::JustChecked,
        "the same process"
    );
    for task in ["b", "c", "d"] {
        acquire(&other, task).unwrap();
    }
    assert_eq!(deny_reason(&one, "e"), DenyReason::InFlightLimit);
    assert_eq!(one.release(&permit, &RequestOutcome::Answered), None);
    let permit = acquire(&one, "e").unwrap();

    let backoff = refuse_key(&one, &permit);
    let denied = acquire(&other, "f").unwrap_err();
    assert_eq!(denied.reason, DenyReason::AccountBackoff(backoff.error));
    let difference = backoff.wait.abs_diff(denied.wait);
    assert!(difference <= Duration::from_millis(1), "{difference:?}");
    let mode = fs::metadata(&folder.limiter_file)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let length = fs::metadata(&folder.list).unwrap().len();
    assert_eq!(length, 0, "the list is unchanged");
}

#[test]
fn the_limiter_file_contains_no_key_or_plain_hash() {
    let folder = new_folder();
    let one = limiter(&folder.list);
    let permit = acquire(&one, "a").unwrap();
    refuse_key(&one, &permit);

    let text = fs::read_to_string(&folder.limiter_file).unwrap();
    assert!(text.contains("held") && !text.contains("canary"), "{text}");
    assert!(!text.contains(&format!("{:016x}", own_account().as_u64())));
    let restarted = limiter(&folder.list);
    assert!(acquire(&restarted, "b").is_err(), "the same key");
    let other = AccountHash::new("https://api.example", "canary-other");
    let permit = restarted.acquire(&id("b"), other, PollTrigger::Scheduled);
    assert!(permit.is_ok(), "another key");
}

/// A file of the version before.
const OLD_FILE: &str = "kietop turns 3
salt 00000000000000ff
started 3600100
asking 3600100 0000000000000007 - a
asked 3600050 0000000000000007 - b
held 3600000 3600900 0000000000000007 2 offline 0 no route
";

#[test]
fn the_file_is_read_and_written_in_the_format_before() {
    let folder = new_folder();
    fs::write(&folder.limiter_file, OLD_FILE).unwrap();
    let one = limiter(&folder.list);

    assert_eq!(deny_reason(&one, "a"), DenyReason::TaskBusy);
    assert_eq!(deny_reason(&one, "b"), DenyReason::TaskBusy);
    let permit = acquire(&one, "c").unwrap();

    let text = fs::read_to_string(&folder.limiter_file).unwrap();
    let old: Vec<_> = OLD_FILE.lines().collect();
    assert!(old.iter().all(|line| text.contains(line)), "{text}");
    one.release(&permit, &RequestOutcome::Failed(PollError::TimedOut));
    let text = fs::read_to_string(&folder.limiter_file).unwrap();
    // The version before skips the lines that it does not know.
    assert_eq!(text.matches("\nfailed ").count(), 1, "{text}");
    assert!(!text.contains("asking 3600123 "), "{text}");
}

#[test]
fn a_damaged_or_replaced_limiter_file_is_started_again() {
    let folder = new_folder();
    let long = vec![b'x'; 1 << 20];
    let texts: [&[u8]; 5] = [
        b"",
        b"kietop turns 1\nasking",
        b"\xff\xfe\0",
        b"SQLite format 3\0",
        &long,
    ];
    let open = limiter(&folder.list);
    for text in texts {
        fs::write(&folder.limiter_file, text).unwrap();
        acquire(&open, "a").unwrap();
        assert!(acquire(&limiter(&folder.list), "a").is_err());
        assert!(fs::metadata(&folder.limiter_file).unwrap().len() < 1000);
    }
    fs::remove_file(&folder.limiter_file).unwrap();
    acquire(&limiter(&folder.list), "b").unwrap();
    assert!(acquire(&open, "b").is_err(), "it finds the new file");
    // Without its list it is not created.
    fs::remove_file(&folder.list).unwrap();
    fs::remove_file(&folder.limiter_file).unwrap();
    acquire(&open, "c").unwrap();
    assert!(!folder.limiter_file.exists());
}

#[test]
fn without_its_file_each_process_keeps_the_limits() {
    let assert_limits = |list: &Path| {
        let one = limiter(list);
        let permit = acquire(&one, "a").unwrap();
        assert!(acquire(&one, "a").is_err());
        acquire(&limiter(list), "a").unwrap();
        for task in ["b", "c", "d"] {
            acquire(&one, task).unwrap();
        }
        assert_eq!(deny_reason(&one, "e"), DenyReason::InFlightLimit);
        one.release(&permit, &RequestOutcome::Answered);
        acquire(&one, "e").unwrap();
    };

    assert_limits(Path::new("/nowhere/at/all/kietop.db"));

    let folder = new_folder();
    fs::create_dir(&folder.limiter_file).unwrap();
    assert_limits(&folder.list);

    let linked = new_folder();
    let target = linked.list.with_file_name("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, &linked.limiter_file).unwrap();
    assert_limits(&linked.list);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");

    let pipe = new_folder();
    let status = std::process::Command::new("mkfifo")
        .arg(&pipe.limiter_file)
        .status();
    if status.is_ok_and(|status| status.success()) {
        assert_limits(&pipe.list);
    }

    // Root can read it anyway; then it is a normal limiter file.
    let closed = new_folder();
    fs::write(&closed.limiter_file, "").unwrap();
    fs::set_permissions(&closed.limiter_file, Permissions::from_mode(0o000)).unwrap();
    if File::open(&closed.limiter_file).is_err() {
        assert_limits(&closed.list);
    }
}

/// An API that does not answer.
#[derive(Debug)]
struct SilentApi;

impl TaskApi for SilentApi {
    fn start_poll(&self, _: PollRequest) -> PollStart<'_> {
        let answer: BoxFuture<'_, _> = Box::pin(std::future::ready((
            Err(PollError::NotFound),
            ResponseNotes::default(),
        )));
        Box::pin(std::future::ready(Ok(answer)))
    }
}

// A process that is stopped while it holds the lock, or a disk that hangs.
#[tokio::test]
async fn a_lock_that_is_not_released_stops_nobody() {
    let folder = new_folder();
    let locked = File::create(&folder.limiter_file).unwrap();
    locked.lock().unwrap();
    let shared = SharedLimiter::for_list(folder.list.clone(), SystemClock::since_boot);
    let client = LimitedClient::new(SilentApi, Arc::new(shared));

    for task in ["a", "b"] {
        let answer = client.start_poll(poll_request(id(task))).await.unwrap();
        assert_eq!(answer.await.0, Err(PollError::NotFound));
    }
    let denied = client.start_poll(poll_request(id("a"))).await.err();
    assert_eq!(
        denied.map(|denied| denied.reason),
        Some(DenyReason::JustChecked),
        "the limits are kept in memory"
    );

    drop(locked);
    let other = SharedLimiter::for_list(folder.list.clone(), SystemClock::since_boot);
    while fs::metadata(&folder.limiter_file).unwrap().len() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    acquire(&other, "d").unwrap();
}

#[test]
fn concurrent_callers_share_four_permits() {
    let folder = new_folder();
    let acquire_three = |n: usize| {
        let own = limiter(&folder.list);
        thread::spawn(move || {
            let tasks = (0..3).map(|round| format!("t{n}-{round}"));
            tasks.filter(|task| acquire(&own, task).is_ok()).count()
        })
    };
    let threads: Vec<_> = (0..8).map(acquire_three).collect();

    let granted: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();

    assert_eq!(granted, MAX_IN_FLIGHT);
}
