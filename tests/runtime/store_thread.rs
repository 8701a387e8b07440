//! The list's own thread, in the real loop: a list that opens late, and one that breaks under the
//! hand.

use futures_util::FutureExt as _;
use kietop::{adapters::store::SqliteStore, domain::task::Task};
use rusqlite::Connection;

use super::*;

/// Runs the loop on that list until a task was asked after so often, and a moment longer; returns
/// its screens.
async fn collect_screens(asked_for: usize, open_store: OpenStore) -> Vec<String> {
    let started = time::Instant::now();
    let (asked, mut all_asked) = mpsc::unbounded_channel();
    let api = FakeApi {
        latency: Duration::from_secs(1),
        finishes_after: Duration::MAX,
        started,
        requests: asked,
    };
    let mut paper = MemoryDisplay::new();
    let (_alive, interruptions) = mpsc::channel(1);
    // The list's thread takes real time, for which paused time does not wait: it may be years later
    // when that answers. So the end waits for what follows from it, and nothing here depends on the
    // hour.
    let leave = async move {
        for _ in 0..asked_for {
            all_asked.recv().await.unwrap();
        }
        time::sleep(Duration::from_secs(3)).await;
        Ok(InputEvent::Key {
            chord: KeyChord::char('q'),
            is_repeat: false,
        })
    };
    let code = runtime::run(
        &mut paper,
        leave.into_stream().chain(stream::pending()),
        interruptions,
        State::new(test_settings()),
        Theme::monochrome().into(),
        fake_services(started, api, open_store),
    )
    .await;
    assert_eq!(code, 0);
    paper.screens
}

#[tokio::test(start_paused = true)]
async fn a_list_locked_at_start_is_read_when_unlocked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kietop.db");
    let mut store = SqliteStore::open(&path, now().wall, |_| ()).unwrap();
    let add = ListChange::Add {
        task: support::id("neon-city"),
        family: Family::default(),
        label: None,
        at: now().wall,
    };
    store.apply(&[add]).unwrap();
    drop(store);
    let lock = Connection::open(&path).unwrap();
    lock.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        .unwrap();
    let mut lock = Some(lock);

    let screens = collect_screens(
        1,
        Box::new(move |_| {
            let result = SqliteStore::open(&path, now().wall, |_| ());
            // It stands in the way of one opening.
            lock.take();
            result.map(opened_store)
        }),
    )
    .await;

    let at = |text: &str| screens.iter().position(|screen| screen.contains(text));
    let refused = at("The list could not be read.").unwrap();
    assert!(
        screens[refused].contains("The list file is locked by another program"),
        "{}",
        screens[refused]
    );
    assert!(at("neon-city").unwrap() > refused);
    assert!(!screens.last().unwrap().contains("could not be read"));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_list_is_reported_on_screen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kietop.db");
    let mut store = SqliteStore::open(&path, now().wall, |_| ()).unwrap();
    let add = |task| ListChange::Add {
        task: support::id(task),
        family: Family::default(),
        label: None,
        at: now().wall,
    };
    store.apply(&["neon-city", "slow-pan"].map(add)).unwrap();
    drop(store);
    let changed = Connection::open(&path).unwrap();
    changed
        .execute_batch("UPDATE task SET checks = 7 WHERE id = 'slow-pan'")
        .unwrap();
    drop(changed);

    let screens = collect_screens(
        1,
        Box::new(move |notice| {
            let store = SqliteStore::open(&path, now().wall, move |recovery| {
                notice.report_recovery(recovery.to_string());
            });
            store.map(opened_store)
        }),
    )
    .await;

    let is_said = |screen: &String| screen.contains("The list file was damaged");
    assert!(screens.iter().any(is_said), "{}", screens.last().unwrap());
    let last = screens.last().unwrap();
    assert!(
        last.contains("neon-city") && last.contains("slow-pan"),
        "{last}"
    );
}

/// A list that can be read once, and breaks at everything else.
#[derive(Debug)]
struct FailingStore(Vec<WatchedTask>);

impl ListStore for FailingStore {
    fn load(&mut self) -> Result<Vec<WatchedTask>, StoreError> {
        Ok(self.0.clone())
    }
    fn apply(&mut self, _: &[ListChange]) -> Result<Vec<ChangeResult>, StoreError> {
        panic!("it breaks")
    }
    fn external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        panic!("it breaks")
    }
    fn read_journal(&mut self, _: &TaskId, _: usize) -> Result<Vec<JournalLine>, StoreError> {
        panic!("it breaks")
    }
    fn read_raw_response(&mut self, _: &TaskId) -> Result<Option<RawResponse>, StoreError> {
        panic!("it breaks")
    }
    fn load_session(&mut self) -> Result<SavedSession, StoreError> {
        panic!("it breaks")
    }
    fn save_session(&mut self, _: &ListView) -> Result<(), StoreError> {
        panic!("it breaks")
    }
    fn save_last_seen(&mut self, _: Timestamp) -> Result<(), StoreError> {
        panic!("it breaks")
    }
}

#[tokio::test(start_paused = true)]
async fn polling_continues_when_the_store_fails() {
    let task = Task::new(support::id("neon-city"), Family::default());
    let watched = WatchedTask::new(task, None, now().wall);

    let screens = collect_screens(
        5,
        Box::new(move |_| Ok(opened_store(FailingStore(vec![watched.clone()])))),
    )
    .await;

    let last = screens.last().unwrap();
    assert!(
        last.contains("neon-city") && last.contains("generating"),
        "{last}"
    );
    assert!(
        last.contains("Not saved: the list file failed: reading or writing it broke"),
        "{last}"
    );
}
