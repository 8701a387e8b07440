//! The list on disk: one SQLite file, shared by several instances, that never loses an id.
//!
//! - **Changes that a person waits for and finished states are flushed before they are
//!   acknowledged** (`synchronous = EXTRA`, a superset of `FULL`). Other poll results are written
//!   without a flush (`NORMAL`): a power cut may lose the last of them, which are requested again,
//!   but leaves the file consistent. A kill loses neither.
//! - **No file is overwritten by another.** A newer version's file is left byte for byte, an older
//!   one is copied before its migration, and a damaged one is set aside and its rows are recovered
//!   (`store/recovery.rs`).
//! - **A file that is gone from its path is not created again** by a connection that had it open.
//!   Reads continue on that connection; writes fail until the file is back or is written back on
//!   request. Another file at the path is merged by id (`store/merge.rs`).
//! - **Every row has a checksum, and the number of rows is stored**: SQLite notices a broken page,
//!   but not a flipped bit in a text. Loading the list verifies all of them. SQLite's own
//!   `quick_check` would take as long again (18 ms for 10,000 tasks, 180 ms for 100,000) and find
//!   less, so it is not run.
//! - **Ids and labels are stored twice**: the second copy is a text file (`store/id_log.rs`), which
//!   is compared with the list at each opening.
//! - **Several instances**: a write takes the lock (`BEGIN IMMEDIATE`) before it reads the row.
//!   Each writing transaction gets a new revision, by which other instances find its changes.
//!
//! SQL is used in this module only. Blocking.

use std::{fmt, path::Path, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use self::open_list::OpenList;
use crate::{
    domain::{
        list_change::{
            AccessMode, ChangeResult, ExternalChange, JournalLine, ListChange, StoreError,
        },
        query::ListView,
        raw_response::RawResponse,
        saved_session::SavedSession,
        store_request::{StoreReply, StoreRequest},
        task::TaskId,
        watched_task::WatchedTask,
    },
    ports::ListStore,
};

mod apply;
mod checksum;
mod error_cause;
mod errors;
mod file;
mod id_log;
mod id_sync;
mod journal;
mod merge;
mod open_list;
mod read;
mod recovery;
mod rows;
mod schema;
mod session;
mod side_files;
mod watch;

pub use self::{
    read::MIN_PREFIX_LEN,
    recovery::Recovery,
    watch::{ListWatcher, watch},
};

/// Journal lines read for the details.
const MAX_JOURNAL_LINES: usize = 200;

/// The number of attempts to write a change while the file keeps being replaced.
const MAX_WRITE_ATTEMPTS: u32 = 5;

/// A callback for each recovery, called as it happens.
struct RecoverySink(Box<dyn FnMut(&Recovery) + Send>);

impl fmt::Debug for RecoverySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoverySink")
    }
}

/// A list in an SQLite file, or in memory.
///
/// Damage is handled when it is found, at opening or later: the file is set aside, its tasks are
/// recovered to a new file, the recovery is reported, and the call continues on the new file.
///
/// A file counts as damaged only if a second connection confirms it: SQLite also reports damage
/// after one failed read.
#[derive(Debug)]
pub struct SqliteStore {
    list: OpenList,
    access: AccessMode,
    recovery_sink: RecoverySink,
    /// The time of the latest change, for the name of a file that is set aside.
    latest_time: Timestamp,
}

impl SqliteStore {
    /// Opens the list file. Creates it (0600) and its folder (0700) if missing.
    ///
    /// A symbolic link is followed and kept. A file that others can read is made private. A damaged
    /// file is set aside and recovered, now or later, and `report` is called each time. A newer
    /// version's file fails with [`StoreError::NewerVersion`] and is not modified.
    pub fn open(
        path: &Path,
        at: Timestamp,
        report: impl FnMut(&Recovery) + Send + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_with_access(path, AccessMode::Full, at, report)
    }

    /// Opens the list file with the given access.
    ///
    /// With read-only access nothing is created, repaired or purged: a missing file is an empty
    /// list until another instance creates it, and a damaged file is an error and stays in place.
    /// SQLite may create its two empty helper files, which it needs to read while another instance
    /// writes.
    pub fn open_with_access(
        path: &Path,
        access: AccessMode,
        at: Timestamp,
        report: impl FnMut(&Recovery) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let path = file::resolve_symlinks(path)?;
        if access == AccessMode::Full {
            file::create_missing(&path)
                .map_err(|error| error_cause::explain(&path, access, error))?;
        }
        let mut store = Self {
            list: OpenList::missing(path, access)?,
            access,
            recovery_sink: RecoverySink(Box::new(report)),
            latest_time: at,
        };
        store.with_recovery(|_| Ok(()))?;
        Ok(store)
    }

    /// Creates a list in memory, for the demo and for tests.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self {
            list: OpenList::in_memory()?,
            access: AccessMode::Full,
            recovery_sink: RecoverySink(Box::new(|_| ())),
            latest_time: Timestamp::UNIX_EPOCH,
        })
    }

    /// Returns the ids of watched tasks that match: the exact id, else all with this prefix.
    ///
    /// A prefix needs [`MIN_PREFIX_LEN`] characters. If nothing matches, every row is verified
    /// first, since a damaged row may hide the task.
    pub fn resolve(&mut self, prefix: &str) -> Result<Vec<TaskId>, StoreError> {
        let found = self.read_even_if_gone(|list| read::resolve_prefix(&list.conn, prefix))?;
        if !found.is_empty() {
            return Ok(found);
        }
        self.read_even_if_gone(OpenList::read_all)?;
        self.read_even_if_gone(|list| read::resolve_prefix(&list.conn, prefix))
    }

    /// Finds a watched task whose id is this one in all lower or all upper case.
    pub fn find_case_variant(&mut self, task: &TaskId) -> Result<Option<TaskId>, StoreError> {
        self.read_even_if_gone(|list| read::find_case_variant(&list.conn, task))
    }

    pub fn get(&mut self, task: &TaskId) -> Result<Option<WatchedTask>, StoreError> {
        let found = self.read_even_if_gone(|list| read::read_one(&list.conn, task))?;
        Ok(found
            .filter(|stored| stored.removed_at.is_none())
            .map(|stored| stored.watched))
    }

    /// Runs `work` on the file at the path, after its repair if that is necessary.
    fn with_recovery<T>(
        &mut self,
        work: impl Fn(&mut OpenList) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(path) = self.list.path.clone() else {
            return work(&mut self.list);
        };
        self.run_with_recovery(&path, work)
            .map_err(|error| error_cause::explain(&path, self.access, error))
    }

    fn run_with_recovery<T>(
        &mut self,
        path: &Path,
        work: impl Fn(&mut OpenList) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let is_open = self.list.identity.is_some();
        let result = self
            .reopen_if_replaced(path)
            .and_then(|()| work(&mut self.list));
        let may_repair = self.access == AccessMode::Full && self.list.read_only_reason.is_none();
        match result {
            Err(StoreError::Damaged(_)) if may_repair => {}
            // The connection is dead after its file system was unmounted and mounted again.
            Err(StoreError::Disk(_)) if is_open => {
                self.reopen(path)?;
                return work(&mut self.list);
            }
            result => return result,
        }
        let damaged = file::identity(path);
        let retried = self.reopen(path).and_then(|()| work(&mut self.list));
        let Err(StoreError::Damaged(why)) = retried else {
            return retried;
        };
        file::set_checkpoint_on_close(&self.list.conn, false)?;
        let report = &mut self.recovery_sink.0;
        recovery::recover(path, damaged, self.latest_time, &why, report)?;
        self.reopen(path)?;
        work(&mut self.list)
    }

    /// Runs `work`, which only reads, even if the file is gone from its path.
    fn read_even_if_gone<T>(
        &mut self,
        work: impl Fn(&mut OpenList) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.with_recovery(&work) {
            Err(StoreError::Missing(_)) => work(&mut self.list),
            result => result,
        }
    }

    /// Switches to the file that replaced the open one at the path. Creates none.
    fn reopen_if_replaced(&mut self, path: &Path) -> Result<(), StoreError> {
        let current = file::find_identity(path)?;
        let is_optional = self.access == AccessMode::ReadOnly && self.list.identity.is_none();
        if current.is_none() && !is_optional {
            return Err(StoreError::Missing(path.to_owned()));
        }
        if current == self.list.identity {
            return Ok(());
        }
        let wal = side_files::with_suffix(path, side_files::WAL_SUFFIX);
        if self.access == AccessMode::Full
            && self.list.wal_identity.is_some()
            && file::identity(&wal) == self.list.wal_identity
        {
            file::move_helpers_aside(path)?;
        }
        self.reopen(path)
    }

    fn reopen(&mut self, path: &Path) -> Result<(), StoreError> {
        let new = OpenList::open(path, self.access, self.latest_time)?;
        self.switch_to(new)
    }

    /// Switches to another connection, and merges the old list into its file.
    fn switch_to(&mut self, mut new: OpenList) -> Result<(), StoreError> {
        let mut report = |tasks, reason| {
            if tasks > 0 {
                (self.recovery_sink.0)(&Recovery::of_restored(tasks, reason));
            }
        };
        let is_replaced = self.list.identity.is_some() && self.list.identity != new.identity;
        if is_replaced && new.read_only_reason.is_none() {
            let merged = merge::merge_lists(&self.list.conn, &mut new.conn)?;
            report(merged, "the list file was replaced by one with less data");
        }
        // After the merge: the id file may name tasks that only the old list had.
        let restored = new.sync_id_log(self.latest_time)?;
        report(restored, "kietop add was interrupted");
        self.list = new;
        Ok(())
    }

    /// Reopens a read-only file, in case it has become writable.
    fn retry_writing(&mut self) -> Result<(), StoreError> {
        let Some(why) = self.list.read_only_reason.clone() else {
            return Ok(());
        };
        let path = self.list.path.clone();
        let Some(path) = path.filter(|_| self.access == AccessMode::Full) else {
            return Err(why);
        };
        if file::find_identity(&path)?.is_none() {
            return Err(StoreError::Missing(path));
        }
        let new = OpenList::open(&path, self.access, self.latest_time)
            .map_err(|error| error_cause::explain(&path, self.access, error))?;
        match &new.read_only_reason {
            Some(why) => Err(why.clone()),
            None => self.switch_to(new),
        }
    }
}

/// The requests of [`ListStore`], one method for each.
impl SqliteStore {
    /// Reads every watched task; [`external_changes`](Self::external_changes) continues from here.
    pub fn load(&mut self) -> Result<Vec<WatchedTask>, StoreError> {
        self.read_even_if_gone(OpenList::read_all)
    }

    /// Applies changes in one transaction, all or none, and returns the result of each, in order.
    ///
    /// Fails at once if the file is read-only, and with [`StoreError::Missing`] if it is gone from
    /// its path. An empty slice checks both.
    ///
    /// Adding a watched task without a label sets the label of the change.
    pub fn apply(&mut self, changes: &[ListChange]) -> Result<Vec<ChangeResult>, StoreError> {
        if self.access == AccessMode::Full || !changes.is_empty() {
            self.retry_writing()?;
        }
        if changes.is_empty() {
            return self.with_recovery(|_| Ok(Vec::new()));
        }
        self.latest_time = changes
            .iter()
            .map(|change| change.at)
            .fold(self.latest_time, Timestamp::max);
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let applied = self.with_recovery(|list| list.write_changes(changes))?;
            // Another instance may have set the file aside as damaged while we wrote. The change
            // is then written to the new file as well.
            if self.list.is_in_place() {
                return Ok(applied);
            }
        }
        Err(StoreError::Other(
            "another program keeps replacing it".into(),
        ))
    }

    /// Returns the changes made by other instances since the last call or load. Reads only shared
    /// memory while no other connection has written.
    pub fn external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        self.with_recovery(OpenList::read_external_changes)
    }

    /// Writes the list of the open connection back to its path if the file is gone.
    pub fn write_back(&mut self) -> Result<(), StoreError> {
        if let Some(why) = self.list.read_only_reason.clone() {
            return Err(why);
        }
        if let Some(path) = self.list.path.clone()
            && file::find_identity(&path)?.is_none()
        {
            file::write_to_path(&self.list.conn, &path)
                .map_err(|error| error_cause::explain(&path, self.access, error))?;
        }
        // Also if another instance has written it back first.
        self.with_recovery(|_| Ok(()))
    }

    pub fn load_session(&mut self) -> Result<SavedSession, StoreError> {
        self.read_even_if_gone(|list| session::load_session(&list.conn))
    }

    /// Fails with the reason if the file is read-only. Other instances do not reload anything.
    pub fn save_session(&mut self, list_view: &ListView) -> Result<(), StoreError> {
        self.write_session(|conn| session::save_list_view(conn, list_view))
    }

    /// Fails with the reason if the file is read-only.
    pub fn save_last_seen(&mut self, at: Timestamp) -> Result<(), StoreError> {
        self.write_session(|conn| session::save_last_seen(conn, at))
    }

    fn write_session(
        &mut self,
        write: impl Fn(&Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Some(why) = &self.list.read_only_reason {
            return Err(why.clone());
        }
        self.with_recovery(|list| {
            list.set_flush_commits(false)?;
            let tx = list
                .conn
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            write(&tx)?;
            tx.commit()?;
            Ok(())
        })
    }

    /// Returns the last lines of a task's journal, oldest first.
    pub fn read_journal(
        &mut self,
        task: &TaskId,
        limit: usize,
    ) -> Result<Vec<JournalLine>, StoreError> {
        self.read_even_if_gone(|list| journal::read_lines(&list.conn, task, limit))
    }

    pub fn read_raw_response(&mut self, task: &TaskId) -> Result<Option<RawResponse>, StoreError> {
        let found = self.read_even_if_gone(|list| read::read_raw(&list.conn, task))?;
        Ok(found.map(|(received_at, json)| RawResponse::parse(received_at, &json)))
    }
}

impl ListStore for SqliteStore {
    fn handle(&mut self, request: &StoreRequest) -> Result<StoreReply, StoreError> {
        Ok(match request {
            StoreRequest::LoadList => StoreReply::List(self.load()?),
            StoreRequest::LoadSession => StoreReply::Session(self.load_session()?),
            StoreRequest::Write(changes) => StoreReply::Written(self.apply(changes)?),
            StoreRequest::ReadExternalChanges => {
                StoreReply::ExternalChanges(self.external_changes()?)
            }
            StoreRequest::ReadJournal(task) => {
                StoreReply::Journal(self.read_journal(task, MAX_JOURNAL_LINES)?)
            }
            StoreRequest::ReadRawResponse(task) => {
                StoreReply::RawResponse(self.read_raw_response(task)?.map(Arc::new))
            }
            StoreRequest::SaveSession(view) => {
                self.save_session(view).map(|()| StoreReply::Done)?
            }
            StoreRequest::SaveLastSeen(at) => {
                self.save_last_seen(*at).map(|()| StoreReply::Done)?
            }
            StoreRequest::RestoreListFile => self.write_back().map(|()| StoreReply::Done)?,
        })
    }
}

/// Reports whether a list has an id file; the list itself may be gone.
pub fn has_id_log(list: &Path) -> bool {
    file::resolve_symlinks(list)
        .is_ok_and(|list| side_files::with_suffix(&list, side_files::ID_LOG_SUFFIX).is_file())
}
