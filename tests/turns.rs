//! The book of turns as a real file: whatever is wrong with it, asking goes on; where all is well, limits hold over all.

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
    adapters::{desktop::SystemClock, turns::FileTurns},
    domain::{
        report::PollError,
        schedule::MOST_IN_FLIGHT,
        time::Mono,
        turns::{Account, Heard, Refusal, Word},
    },
    ports::Turns as _,
};
use support::id;

struct Place {
    _folder: tempfile::TempDir,
    list: PathBuf,
    book: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    File::create(root.join("kietop.db")).unwrap();
    Place {
        _folder: folder,
        list: root.join("kietop.db"),
        book: root.join("kietop.db-turns"),
    }
}

fn turns(list: &Path) -> FileTurns {
    FileTurns::beside(list.to_owned(), SystemClock::since_boot)
}

/// A clock that stands still, so that no test depends on how fast the machine is; and not on a round figure.
fn still() -> Mono {
    Mono::at(Duration::from_nanos(3_600_123_456_789))
}

fn mine() -> Account {
    Account::of("https://api.example", "canary-key")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn two_instances_hear_each_other_and_nobody_else_can_read_it() {
    let place = place();
    let one = FileTurns::beside(place.list.clone(), still);
    let other = FileTurns::beside(place.list.clone(), still);

    let turn = one.take(&id("a"), mine()).unwrap();
    assert_eq!(
        other.take(&id("a"), mine()).unwrap_err().why,
        Refusal::Elsewhere
    );
    for name in ["b", "c", "d"] {
        other.take(&id(name), mine()).unwrap();
    }
    assert_eq!(
        one.take(&id("e"), mine()).unwrap_err().why,
        Refusal::Crowded
    );
    one.end(&turn, &Heard::Server);
    one.take(&id("e"), mine()).unwrap();

    let word = Word::Hold {
        error: PollError::Unauthorized(401),
        failures: 3,
        wait: Duration::from_mins(1),
    };
    one.tell(&word, mine());
    let put_off = other.take(&id("f"), mine()).unwrap_err();
    let held = Refusal::Held {
        error: PollError::Unauthorized(401),
        failures: 3,
    };
    assert_eq!((put_off.why, put_off.wait), (held, Duration::from_mins(1)));
    assert_eq!(mode(&place.book), 0o600);
    let length = fs::metadata(&place.list).unwrap().len();
    assert_eq!(length, 0, "the list itself is not touched");
}

#[test]
fn no_book_is_begun_beside_a_list_that_is_gone() {
    let place = place();
    fs::remove_file(&place.list).unwrap();

    turns(&place.list).take(&id("a"), mine()).unwrap();

    assert!(!place.book.exists());
}

#[test]
fn a_link_to_the_list_leads_to_the_same_book() {
    let place = place();
    File::create(&place.list).unwrap();
    let link = place.list.with_file_name("linked.db");
    symlink(&place.list, &link).unwrap();

    FileTurns::beside(place.list.clone(), still)
        .take(&id("a"), mine())
        .unwrap();

    let by_link = FileTurns::beside(link, still).take(&id("a"), mine());
    assert_eq!(by_link.unwrap_err().why, Refusal::Elsewhere);
}

#[test]
fn a_damaged_book_is_begun_anew() {
    let place = place();
    let long = vec![b'x'; 1 << 20];
    let texts: [&[u8]; 5] = [
        b"",
        b"kietop turns 1\nasking",
        b"\xff\xfe\0",
        b"SQLite format 3\0",
        &long,
    ];
    for text in texts {
        fs::write(&place.book, text).unwrap();
        let one = FileTurns::beside(place.list.clone(), still);

        one.take(&id("a"), mine()).unwrap();

        assert_eq!(
            one.take(&id("a"), mine()).unwrap_err().why,
            Refusal::Elsewhere
        );
        assert!(fs::metadata(&place.book).unwrap().len() < 1000);
    }
}

#[test]
fn a_book_that_cannot_be_had_stops_nobody() {
    let asks = |list: &Path| {
        let one = turns(list);
        let turn = one.take(&id("a"), mine()).unwrap();
        one.take(&id("a"), mine()).unwrap();
        one.end(&turn, &Heard::Nothing);
        one.tell(&Word::TryNow, mine());
    };

    asks(Path::new("/nowhere/at/all/kietop.db"));

    let folder = place();
    fs::create_dir(&folder.book).unwrap();
    asks(&folder.list);

    let linked = place();
    let target = linked.list.with_file_name("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, &linked.book).unwrap();
    asks(&linked.list);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");

    let pipe = place();
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe.book)
        .status();
    if made.is_ok_and(|made| made.success()) {
        asks(&pipe.list);
    }

    // Whoever is root may write all the same; then it is simply a good book.
    let closed = place();
    fs::write(&closed.book, "").unwrap();
    fs::set_permissions(&closed.book, Permissions::from_mode(0o000)).unwrap();
    if File::open(&closed.book).is_err() {
        asks(&closed.list);
    }
}

#[test]
fn a_lock_is_waited_for_and_done_without_only_when_it_is_never_let_go() {
    /// A clock that is six seconds further each time it is read.
    fn hurried() -> Mono {
        static READ: AtomicU64 = AtomicU64::new(100);
        Mono::at(Duration::from_secs(READ.fetch_add(6, Ordering::Relaxed)))
    }
    let place = place();
    let held = File::create(&place.book).unwrap();
    held.lock().unwrap();

    let one = FileTurns::beside(place.list.clone(), still);
    assert_eq!(
        one.take(&id("a"), mine()).unwrap_err().why,
        Refusal::Crowded
    );
    let other = FileTurns::beside(place.list.clone(), hurried);
    assert!(other.take(&id("a"), mine()).is_err());
    assert!(other.take(&id("a"), mine()).is_err());
    assert!(other.take(&id("a"), mine()).is_ok(), "it was stopped");
    drop(held);
    assert!(one.take(&id("a"), mine()).is_ok());
    assert!(other.take(&id("b"), mine()).is_ok());
}

#[test]
fn neither_key_nor_its_bare_fingerprint_is_in_the_file() {
    let place = place();
    let one = turns(&place.list);
    one.take(&id("a"), mine()).unwrap();
    let word = Word::Hold {
        error: PollError::Unauthorized(401),
        failures: 1,
        wait: Duration::from_mins(1),
    };
    one.tell(&word, mine());

    let text = fs::read_to_string(&place.book).unwrap();
    assert!(text.contains("held") && !text.contains("canary"), "{text}");
    assert!(!text.contains(&format!("{:016x}", mine().number())));
    let restarted = turns(&place.list);
    assert!(restarted.take(&id("b"), mine()).is_err(), "the same key");
    let other = Account::of("https://api.example", "canary-other");
    assert!(restarted.take(&id("b"), other).is_ok(), "another key");
}

#[test]
fn many_at_once_are_given_four_turns_between_them() {
    let place = place();
    let ask = |n: usize| {
        let list = place.list.clone();
        thread::spawn(move || {
            let own = FileTurns::beside(list, still);
            let tasks = (0..3).map(|round| id(&format!("t{n}-{round}")));
            tasks.filter(|task| own.take(task, mine()).is_ok()).count()
        })
    };
    let asking: Vec<_> = (0..8).map(ask).collect();

    let given: usize = asking.into_iter().map(|one| one.join().unwrap()).sum();

    assert_eq!(given, MOST_IN_FLIGHT);
}
