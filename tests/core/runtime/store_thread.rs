//! The store thread in the real event loop: a list that opens late, and one whose store fails.

use futures_util::FutureExt as _;
use kietop::{adapters::store::SqliteStore, domain::task::Task};
use rusqlite::Connection;

use super::*;

/// Runs the event loop until three seconds after the given number of polls; returns its screens.
async fn collect_screens(poll_count: usize, open_store: OpenStore) -> Vec<String> {
    let started = time::Instant::now();
    let (request_sender, mut requests) = mpsc::unbounded_channel();
    let api = FakeApi {
        latency: Duration::from_secs(1),
        finishes_after: Duration::MAX,
        started,
        requests: request_sender,
    };
    let mut display = MemoryDisplay::new();
    let (_alive, interruptions) = mpsc::channel(1);
    // The store thread takes real time, but paused time may advance by years before it answers. So
    // q is pressed a number of polls after the list is loaded, and nothing here depends on the
    // time.
    let quit_key = async move {
        for _ in 0..poll_count {
            requests.recv().await.unwrap();
        }
        time::sleep(Duration::from_secs(3)).await;
        Ok(InputEvent::Key {
            chord: KeyChord::char('q'),
            is_repeat: false,
        })
    };
    let code = runtime::run(
        &mut display,
        quit_key.into_stream().chain(stream::pending()),
        interruptions,
        State::new(test_settings()),
        Theme::monochrome().into(),
        fake_services(started, api, open_store),
    )
    .await;
    assert_eq!(code, 0);
    display.screens
}

#[tokio::test(start_paused = true)]
async fn a_list_locked_at_start_is_read_when_unlocked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kietop.db");
    let mut store = SqliteStore::open(&path, now().wall, |_| ()).unwrap();
    let add = ListChange::add(crate::support::id("neon-city"), None, now().wall);
    store.apply(&[add]).unwrap();
    drop(store);
    let lock = Connection::open(&path).unwrap();
    lock.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        .unwrap();
    let mut lock = Some(lock);

    let screens = collect_screens(
        1,
        OpenStore::new(move |_| {
            let result = SqliteStore::open(&path, now().wall, |_| ());
            // Only the first attempt finds the file locked.
            lock.take();
            result.map(opened_store)
        }),
    )
    .await;

    let first_with = |text: &str| screens.iter().position(|screen| screen.contains(text));
    let failed = first_with("Could not read the list.").unwrap();
    assert!(
        screens[failed].contains("The list file is locked by another program"),
        "{}",
        screens[failed]
    );
    assert!(first_with("neon-city").unwrap() > failed);
    assert!(!screens.last().unwrap().contains("Could not read"));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_list_is_reported_on_screen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kietop.db");
    let mut store = SqliteStore::open(&path, now().wall, |_| ()).unwrap();
    let add = |task| ListChange::add(crate::support::id(task), None, now().wall);
    store.apply(&["neon-city", "slow-pan"].map(add)).unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("UPDATE task SET checks = 7 WHERE id = 'slow-pan'")
        .unwrap();
    drop(connection);

    let screens = collect_screens(
        1,
        OpenStore::new(move |reporter| {
            let store = SqliteStore::open(&path, now().wall, move |recovery| {
                reporter.report_recovery(recovery.to_string());
            });
            store.map(opened_store)
        }),
    )
    .await;

    let has_message = |screen: &String| screen.contains("The list file was damaged");
    assert!(
        screens.iter().any(has_message),
        "{}",
        screens.last().unwrap()
    );
    let last = screens.last().unwrap();
    assert!(
        last.contains("neon-city") && last.contains("slow-pan"),
        "{last}"
    );
}

/// A store that loads the list and panics on all other calls.
#[derive(Debug)]
struct FailingStore(Vec<WatchedTask>);

impl ListStore for FailingStore {
    fn handle(&mut self, request: &StoreRequest) -> Result<StoreReply, StoreError> {
        assert_eq!(*request, StoreRequest::LoadList, "a panicking store");
        Ok(StoreReply::List(self.0.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn polling_continues_when_the_store_fails() {
    let task = Task::new(crate::support::id("neon-city"), Family::default());
    let watched = WatchedTask::new(task, None, now().wall);

    let screens = collect_screens(
        5,
        OpenStore::new(move |_| Ok(opened_store(FailingStore(vec![watched.clone()])))),
    )
    .await;

    let last = screens.last().unwrap();
    assert!(
        last.contains("neon-city") && last.contains("generating"),
        "{last}"
    );
    assert!(
        last.contains(
            "Not saved: the list file cannot be used: reading or writing it crashed (a bug)"
        ),
        "{last}"
    );
}
