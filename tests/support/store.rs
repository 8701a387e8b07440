//! Helpers of the store tests: lists, changes and random numbers.

use std::{
    path::PathBuf,
    sync::mpsc::{self, Receiver, Sender},
    time::Duration,
};

use jiff::Timestamp;
use kietop::{
    adapters::store::{Recovery, SqliteStore},
    domain::{
        link::Links,
        list_change::{AccessMode, ChangeKind, ExternalChange, ListChange, StoreError},
        poll_result::{Observation, PollError},
        task::{CallbackStatus, Family, TaskDetails, TaskId, TaskState},
        text::CleanText,
        watched_task::{NotifySetting, WatchedTask},
    },
};
use tempfile::TempDir;

pub(crate) const FAMILY: Family = Family::LumaModify;

/// A list file in a temporary folder.
#[derive(Debug)]
pub(crate) struct TestList {
    pub(crate) dir: TempDir,
}

impl TestList {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("data/kietop.db")
    }

    /// Opens the list and makes these changes.
    pub(crate) fn apply(&self, changes: &[ListChange]) {
        self.open().apply(changes).unwrap();
    }

    pub(crate) fn open(&self) -> SqliteStore {
        self.open_at(at(0))
    }

    /// Opens the list; fails on any recovery.
    pub(crate) fn open_at(&self, at: Timestamp) -> SqliteStore {
        SqliteStore::open(&self.path(), at, assert_undamaged).unwrap()
    }

    /// Opens a list that may be damaged, and collects its recoveries.
    pub(crate) fn open_damaged(&self) -> (SqliteStore, RecoveryReports) {
        let reports = RecoveryReports::default();
        let store = SqliteStore::open(&self.path(), at(0), reports.sink()).unwrap();
        (store, reports)
    }

    /// Opens the list read-only.
    pub(crate) fn open_to_read(&self) -> Result<SqliteStore, StoreError> {
        let path = self.path();
        SqliteStore::open_with_access(&path, AccessMode::ReadOnly, at(0), assert_undamaged)
    }

    /// Writes a file in place of a list, in a new folder.
    pub(crate) fn with_file(bytes: &[u8]) -> Self {
        let list = Self::new();
        std::fs::create_dir(list.path().parent().unwrap()).unwrap();
        std::fs::write(list.path(), bytes).unwrap();
        list
    }

    /// Creates a list of schema version 1: "made" (finished), "new" and "running", and a removed
    /// one.
    pub(crate) fn version_1() -> Self {
        let list = Self::with_file(b"");
        list.execute_sql(include_str!("../fixtures/store/v1.sql"));
        list
    }

    /// Returns the path of the id file.
    pub(crate) fn ids(&self) -> PathBuf {
        self.path().with_file_name("kietop.db.ids")
    }

    pub(crate) fn execute_sql(&self, sql: &str) {
        let conn = rusqlite::Connection::open(self.path()).unwrap();
        conn.execute_batch(sql).unwrap();
    }

    /// Returns the values of the first column that `sql` selects.
    pub(crate) fn read_texts(&self, sql: &str) -> Vec<String> {
        let conn = rusqlite::Connection::open(self.path()).unwrap();
        let mut select = conn.prepare(sql).unwrap();
        let texts = select.query_map([], |row| row.get(0)).unwrap();
        texts.map(Result::unwrap).collect()
    }

    /// Returns the names of the files beside the list, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.dir.path().join("data")).unwrap();
        let mut names: Vec<_> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Fails on any recovery except that of an interrupted add.
pub(crate) fn assert_undamaged(recovery: &Recovery) {
    assert_eq!(recovery.backup_path, None, "{recovery}");
}

/// The recoveries reported by a store.
#[derive(Debug)]
pub(crate) struct RecoveryReports {
    sink: Sender<Recovery>,
    received: Receiver<Recovery>,
}

impl Default for RecoveryReports {
    fn default() -> Self {
        let (sink, received) = mpsc::channel();
        Self { sink, received }
    }
}

impl RecoveryReports {
    /// Returns a callback that collects recoveries.
    pub(crate) fn sink(&self) -> impl FnMut(&Recovery) + Send + use<> {
        let sink = self.sink.clone();
        // A store may outlive its reports.
        move |recovery| sink.send(recovery.clone()).unwrap_or_default()
    }

    /// Removes and returns the collected recoveries.
    pub(crate) fn take(&self) -> Vec<Recovery> {
        self.received.try_iter().collect()
    }

    /// Removes and returns the only recovery; fails if there is not exactly one.
    pub(crate) fn take_single(&self) -> Recovery {
        let [recovery] = self.take().try_into().unwrap();
        recovery
    }
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap() + Duration::from_secs(seconds)
}

pub(crate) fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

/// Returns the ids of tasks, in their order.
pub(crate) fn ids_of(tasks: &[WatchedTask]) -> Vec<&str> {
    tasks.iter().map(|watched| watched.id().as_str()).collect()
}

/// Returns the ids on the list, in its order.
pub(crate) fn listed_ids(store: &mut SqliteStore) -> Vec<String> {
    let tasks = store.load().unwrap();
    ids_of(&tasks).into_iter().map(str::to_owned).collect()
}

/// Returns the sorted ids of external changes, with a minus for removed tasks.
pub(crate) fn changed_ids(store: &mut SqliteStore) -> Vec<String> {
    let changes = store.external_changes().unwrap();
    let name = |change: &ExternalChange| match change {
        ExternalChange::Changed(watched) => watched.id().to_string(),
        ExternalChange::Removed(id) => format!("-{id}"),
    };
    let mut names: Vec<_> = changes.iter().map(name).collect();
    names.sort();
    names
}

/// Returns the only external change.
pub(crate) fn single_change(store: &mut SqliteStore) -> ExternalChange {
    let [change] = store.external_changes().unwrap().try_into().unwrap();
    change
}

pub(crate) fn running() -> TaskState {
    TaskState::Running {
        is_finishing: false,
    }
}

pub(crate) fn success() -> TaskState {
    TaskState::Succeeded {
        videos: Links::parse(["https://ex.com/1.mp4"]),
        callback: CallbackStatus::Delivered,
    }
}

pub(crate) fn add(task: &str) -> ListChange {
    ListChange::add(id(task), None, at(0))
}

pub(crate) fn labelled(task: &str, label: &CleanText) -> ListChange {
    ListChange::add(id(task), Some(label.clone()), at(0))
}

/// Sets the label; an empty one removes it.
pub(crate) fn set_label(task: &str, label: &str) -> ListChange {
    ListChange::new(
        id(task),
        at(5),
        ChangeKind::Label((!label.is_empty()).then(|| CleanText::line(label, 256))),
    )
}

pub(crate) fn set_notify(task: &str, notify: NotifySetting) -> ListChange {
    ListChange::new(id(task), at(5), ChangeKind::SetNotify(notify))
}

pub(crate) fn save_finished(task: &str, path: &str) -> ListChange {
    ListChange::new(
        id(task),
        at(2),
        ChangeKind::Saved {
            number: 1,
            path: path.into(),
        },
    )
}

pub(crate) fn remove(task: &str) -> ListChange {
    remove_at(task, 0)
}

pub(crate) fn remove_at(task: &str, seconds: u64) -> ListChange {
    ListChange::new(id(task), at(seconds), ChangeKind::Remove)
}

pub(crate) fn restore(task: &str) -> ListChange {
    ListChange::new(id(task), at(0), ChangeKind::Restore)
}

pub(crate) fn observed(task: &str, state: TaskState) -> ListChange {
    observed_as(task, state, TaskDetails::default(), "")
}

pub(crate) fn observed_as(
    task: &str,
    state: TaskState,
    details: TaskDetails,
    raw: &str,
) -> ListChange {
    ListChange::from_result(
        id(task),
        Ok(Observation {
            state,
            details,
            raw: raw.into(),
        }),
        at(0),
    )
}

pub(crate) fn failed(task: &str, error: PollError) -> ListChange {
    ListChange::from_result(id(task), Err(error), at(0))
}

pub(crate) fn opened(task: &str) -> ListChange {
    ListChange::new(
        id(task),
        at(0),
        ChangeKind::Opened("https://ex.com/1.mp4".into()),
    )
}
