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

use std::{
    collections::HashMap,
    fmt, mem,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use self::{
    apply::ChangeWriter,
    file::FileIdentity,
    id_log::{IdLog, IdLogEntry, IdLogEvent, IdLogLines, UnconfirmedLines},
    schema::SchemaState,
};
use crate::{
    domain::{
        list_change::{
            AccessMode, ChangeResult, ExternalChange, JournalLine, ListChange, StoreError,
        },
        query::ListView,
        raw_response::RawResponse,
        saved_session::SavedSession,
        task::{Family, TaskId},
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
mod merge;
mod notify_off;
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

/// The minimum time for which a removed task can be restored.
const MIN_UNDO_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The number of newest removed tasks that can be restored whatever their age.
const MIN_UNDO_COUNT: u32 = 200;

/// The number of attempts to write a change while the file keeps being replaced.
const MAX_WRITE_ATTEMPTS: u32 = 5;

/// A callback for each recovery, called as it happens.
struct RecoverySink(Box<dyn FnMut(&Recovery) + Send>);

impl RecoverySink {
    /// Ignores recoveries: for a list in memory, or before the callback is known.
    fn ignoring() -> Self {
        Self(Box::new(|_| ()))
    }
}

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
    conn: Connection,
    /// `None` for a list in memory.
    path: Option<PathBuf>,
    /// The open file, to notice its replacement by another instance.
    identity: Option<FileIdentity>,
    /// The open write-ahead log: SQLite would apply a left-over log to any new file at the path.
    wal_identity: Option<FileIdentity>,
    access: AccessMode,
    read_only_reason: Option<StoreError>,
    /// The current setting; `None` before the first write.
    flushes_commits: Option<bool>,
    /// The revision up to which the caller knows the list.
    seen_revision: i64,
    /// SQLite's `data_version` at the last read; a commit of another connection changes it.
    data_version: i64,
    /// Rows with a later revision that contain nothing new for the caller.
    own_revisions: HashMap<TaskId, i64>,
    /// Whether rows must be reloaded although no other connection wrote.
    has_pending_changes: bool,
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
        let mut report = RecoverySink(Box::new(report));
        let opened = Self::open_or_recover(&path, access, at, &mut report);
        let mut store = opened.map_err(|error| error_cause::explain(&path, access, error))?;
        store.recovery_sink = report;
        Ok(store)
    }

    fn open_or_recover(
        path: &Path,
        access: AccessMode,
        at: Timestamp,
        report: &mut RecoverySink,
    ) -> Result<Self, StoreError> {
        if access == AccessMode::Full {
            file::create_missing(path)?;
        }
        let mut opened = Self::connect_and_reconcile(path, access, at, report);
        if access == AccessMode::Full && matches!(opened, Err(StoreError::Damaged(_))) {
            let damaged = file::identity(path);
            opened = Self::connect_and_reconcile(path, access, at, report);
            if let Err(StoreError::Damaged(why)) = &opened {
                recovery::recover(path, damaged, at, why, &mut report.0)?;
                opened = Self::connect_and_reconcile(path, access, at, report);
            }
        }
        opened
    }

    /// Creates a list in memory, for the demo and for tests.
    pub fn in_memory() -> Result<Self, StoreError> {
        let mut conn = Connection::open_in_memory()?;
        schema::migrate(&mut conn, None, SchemaState::Empty)?;
        Self::from_connection(conn, Timestamp::UNIX_EPOCH)
    }

    /// Returns the ids of watched tasks that match: the exact id, else all with this prefix.
    ///
    /// A prefix needs [`MIN_PREFIX_LEN`] characters. If nothing matches, every row is verified
    /// first, since a damaged row may hide the task.
    pub fn resolve(&mut self, prefix: &str) -> Result<Vec<TaskId>, StoreError> {
        let found = self.read_even_if_gone(|store| read::resolve_prefix(&store.conn, prefix))?;
        if !found.is_empty() {
            return Ok(found);
        }
        self.read_even_if_gone(Self::read_all)?;
        self.read_even_if_gone(|store| read::resolve_prefix(&store.conn, prefix))
    }

    /// Finds a watched task whose id is this one in all lower or all upper case.
    pub fn find_case_variant(&mut self, task: &TaskId) -> Result<Option<TaskId>, StoreError> {
        let lower = task.as_str().to_ascii_lowercase();
        let upper = task.as_str().to_ascii_uppercase();
        for spelling in [lower, upper] {
            let known =
                self.read_even_if_gone(|store| read::resolve_prefix(&store.conn, &spelling))?;
            let mut known = known.into_iter();
            let variant = known.find(|id| id != task && id.as_str() == spelling);
            if variant.is_some() {
                return Ok(variant);
            }
        }
        Ok(None)
    }

    pub fn get(&mut self, task: &TaskId) -> Result<Option<WatchedTask>, StoreError> {
        let found = self.read_even_if_gone(|store| read::read_one(&store.conn, task))?;
        Ok(found
            .filter(|stored| stored.removed_at.is_none())
            .map(|stored| stored.watched))
    }

    /// Returns the removed tasks that can be restored, with the time of removal, latest first.
    pub fn removed(&mut self, limit: usize) -> Result<Vec<(TaskId, Timestamp)>, StoreError> {
        self.read_even_if_gone(|store| read::read_removed(&store.conn, limit))
    }

    /// Returns the last usable response about a task, unchanged (at most 64 KiB of JSON), and the
    /// time it was first received. Not safe to print on a terminal.
    pub fn raw_answer(&mut self, task: &TaskId) -> Result<Option<(Timestamp, String)>, StoreError> {
        self.read_even_if_gone(|store| read::read_raw(&store.conn, task))
    }

    pub const fn read_only_reason(&self) -> Option<&StoreError> {
        self.read_only_reason.as_ref()
    }

    /// Opens the file and reconciles it with the id file; handles no other damage.
    fn connect_and_reconcile(
        path: &Path,
        access: AccessMode,
        at: Timestamp,
        report: &mut RecoverySink,
    ) -> Result<Self, StoreError> {
        let mut store = Self::open_unrepaired(path, access, at)?;
        store.reconcile_ids(report)?;
        Ok(store)
    }

    fn open_unrepaired(path: &Path, access: AccessMode, at: Timestamp) -> Result<Self, StoreError> {
        match access {
            AccessMode::Full => Self::attach(path, at),
            AccessMode::ReadOnly => Self::attach_read_only(path, at),
        }
    }

    fn reconcile_ids(&mut self, report: &mut RecoverySink) -> Result<(), StoreError> {
        let restored = self.sync_id_log()?;
        if restored > 0 {
            (report.0)(&Recovery::from_interrupted_add(restored));
        }
        Ok(())
    }

    /// Opens the file for writing; handles neither damage nor a missing file.
    fn attach(path: &Path, at: Timestamp) -> Result<Self, StoreError> {
        file::make_private(path);
        if file::lost_main_file(path) {
            return Err(StoreError::Damaged(
                "the file is empty but its log is not".into(),
            ));
        }
        file::check_is_regular(path)?;
        let identity = file::identity(path);
        let (mut conn, read_only) = file::connect(path)?;
        let state = schema::schema_state(&conn)?;
        match (&read_only, state) {
            (None, state) => Self::migrate_to_current(&mut conn, path, state, identity)?,
            (Some(_), SchemaState::Current) => {}
            (Some(why), SchemaState::Empty | SchemaState::Outdated(_)) => return Err(why.clone()),
        }
        schema::check_tables(&conn)?;
        let mut store = Self::from_connection(conn, at)?;
        store.path = Some(path.to_owned());
        store.identity = identity;
        store.wal_identity = file::identity(&side_files::with_suffix(path, side_files::WAL_SUFFIX));
        store.read_only_reason = read_only;
        if store.read_only_reason.is_none() {
            // Purging can wait: only damage matters now.
            if let Err(error @ StoreError::Damaged(_)) = store.purge_removed() {
                return Err(error);
            }
            file::enable_checkpoint_on_close(&store.conn)?;
        }
        Ok(store)
    }

    /// Migrates a writable file to this version, and sets a journal mode that works on its disk.
    fn migrate_to_current(
        conn: &mut Connection,
        path: &Path,
        state: SchemaState,
        identity: Option<FileIdentity>,
    ) -> Result<(), StoreError> {
        if state == SchemaState::Empty {
            conn.pragma_update(None, "page_size", schema::PAGE_SIZE)?;
        }
        let device = identity.map_or_else(String::new, |(device, _)| device.to_string());
        let has_wal = session::device_without_wal(conn).as_ref() == Some(&device)
            || file::enable_wal(conn, path)?;
        schema::migrate(conn, Some(path), state)?;
        if !has_wal {
            session::save_device_without_wal(conn, &device)?;
        }
        Ok(())
    }

    /// Opens the file for reading; a missing file is an empty list in memory.
    fn attach_read_only(path: &Path, at: Timestamp) -> Result<Self, StoreError> {
        let identity = file::find_identity(path)?;
        let mut store = if identity.is_some() {
            file::check_is_regular(path)?;
            let conn = file::connect_read_only(path)?;
            if schema::schema_state(&conn)? != SchemaState::Current {
                return Err(StoreError::Other(format!(
                    "{} was written by an older kietop; open it once without --read-only",
                    path.display()
                )));
            }
            schema::check_tables(&conn)?;
            Self::from_connection(conn, at)?
        } else {
            Self::in_memory()?
        };
        store.identity = identity;
        store.path = Some(path.to_owned());
        store.access = AccessMode::ReadOnly;
        store.read_only_reason = Some(StoreError::ReadOnly("it was opened read-only".into()));
        Ok(store)
    }

    fn from_connection(conn: Connection, at: Timestamp) -> Result<Self, StoreError> {
        let (seen, _) = read::read_meta(&conn)?;
        let version = read::read_data_version(&conn)?;
        Ok(Self {
            conn,
            path: None,
            identity: None,
            wal_identity: None,
            access: AccessMode::Full,
            read_only_reason: None,
            flushes_commits: None,
            seen_revision: seen,
            data_version: version,
            own_revisions: HashMap::new(),
            has_pending_changes: false,
            recovery_sink: RecoverySink::ignoring(),
            latest_time: at,
        })
    }

    /// Runs `work` on the file at the path. If a new connection confirms damage, recovers the list
    /// and runs `work` again.
    fn with_recovery<T>(
        &mut self,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(path) = self.path.clone() else {
            return work(self);
        };
        let result = match self.run_on_current_file(&path, &work) {
            Err(StoreError::Damaged(_))
                if self.access == AccessMode::Full && self.read_only_reason.is_none() =>
            {
                self.recover_if_damaged(&path, &work)
            }
            // The connection is dead after its file system was unmounted and mounted again.
            Err(StoreError::Disk(_)) => self.reopen(&path).and_then(|()| work(self)),
            result => result,
        };
        result.map_err(|error| self.explain(&path, error))
    }

    fn run_on_current_file<T>(
        &mut self,
        path: &Path,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.reopen_if_replaced(path)?;
        work(self)
    }

    /// Runs `work` on a new connection; if that finds damage too, recovers the list and runs it
    /// again.
    fn recover_if_damaged<T>(
        &mut self,
        path: &Path,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let damaged = file::identity(path);
        let retried = self.reopen(path).and_then(|()| work(self));
        let Err(StoreError::Damaged(why)) = retried else {
            return retried;
        };
        file::disable_checkpoint_on_close(&self.conn);
        recovery::recover(
            path,
            damaged,
            self.latest_time,
            &why,
            &mut self.recovery_sink.0,
        )?;
        self.reopen(path)?;
        work(self)
    }

    fn explain(&self, path: &Path, error: StoreError) -> StoreError {
        error_cause::explain(path, self.access, error)
    }

    /// Runs `work`, which only reads, even if the file is gone from its path.
    fn read_even_if_gone<T>(
        &mut self,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.with_recovery(&work) {
            Err(StoreError::Missing(_)) => work(self),
            result => result,
        }
    }

    /// Reports whether the open file is still at its path.
    fn is_in_place(&self) -> bool {
        self.path
            .as_ref()
            .is_none_or(|path| file::identity(path) == self.identity)
    }

    /// Switches to the file that replaced the open one at the path. Creates none.
    fn reopen_if_replaced(&mut self, path: &Path) -> Result<(), StoreError> {
        match file::find_identity(path)? {
            current if current == self.identity => Ok(()),
            None => Err(StoreError::Missing(path.to_owned())),
            Some(_) => {
                if self.wal_identity.is_some()
                    && file::identity(&side_files::with_suffix(path, side_files::WAL_SUFFIX))
                        == self.wal_identity
                {
                    file::move_helpers_aside(path)?;
                }
                self.reopen(path)
            }
        }
    }

    fn reopen(&mut self, path: &Path) -> Result<(), StoreError> {
        let new = Self::open_unrepaired(path, self.access, self.latest_time)?;
        self.switch_to(new)
    }

    /// Switches to another connection, and merges the old list into its file.
    fn switch_to(&mut self, mut new: Self) -> Result<(), StoreError> {
        if new.read_only_reason.is_none() && new.identity != self.identity {
            let merged = merge::merge_lists(&self.conn, &mut new.conn)?;
            if merged > 0 {
                (self.recovery_sink.0)(&Recovery::from_replaced_list(merged));
            }
        }
        // After the merge: the id file may name tasks that only the old list had.
        new.reconcile_ids(&mut self.recovery_sink)?;
        file::disable_checkpoint_on_close(&self.conn);
        mem::swap(&mut new.recovery_sink, &mut self.recovery_sink);
        // The caller knows another file, so every row of this one is reported as changed.
        new.seen_revision = -1;
        new.has_pending_changes = true;
        *self = new;
        Ok(())
    }

    /// Reopens a read-only file, in case it has become writable.
    fn retry_writing(&mut self) -> Result<(), StoreError> {
        let Some(why) = self.read_only_reason.clone() else {
            return Ok(());
        };
        let Some(path) = self
            .path
            .clone()
            .filter(|_| self.access == AccessMode::Full)
        else {
            return Err(why);
        };
        if file::find_identity(&path)?.is_none() {
            return Err(StoreError::Missing(path));
        }
        let new =
            Self::attach(&path, self.latest_time).map_err(|error| self.explain(&path, error))?;
        match &new.read_only_reason {
            Some(why) => Err(why.clone()),
            None => self.switch_to(new),
        }
    }

    /// Compares the list with the id file, and returns the number of tasks added. Reads an index of
    /// ids, no rows.
    ///
    /// A list that lacks a confirmed change of the id file is damaged. A task whose add was
    /// interrupted before the commit is added by its id. An id file that lacks a task, or has
    /// damaged lines, is rewritten.
    fn sync_id_log(&mut self) -> Result<usize, StoreError> {
        let (Some(path), Some(_)) = (self.path.clone(), self.identity) else {
            return Ok(0);
        };
        // Read before the list, which then contains every change that is confirmed here.
        let log = match id_log::read(&path) {
            Ok(log) => log,
            Err(error) => {
                tracing::warn!(%error, "the id file cannot be read");
                return Ok(0);
            }
        };
        let (rev, listed) = read::read_ids(&self.conn)?;
        let known = log.unwrap_or_default();
        let is_unlisted =
            |(id, entry): &(&TaskId, &IdLogEntry)| entry.is_watched && !listed.contains_key(*id);
        let is_lost = |line: &(&TaskId, &IdLogEntry)| {
            line.1.is_committed && (line.1.rev > rev || is_unlisted(line))
        };
        let lost = known.entries.iter().filter(is_lost).count();
        if lost > 0 {
            let tasks = if lost == 1 { "task" } else { "tasks" };
            let why = format!("it lacks changes of {lost} {tasks}");
            return Err(StoreError::Damaged(why));
        }
        if self.read_only_reason.is_some() {
            return Ok(0);
        }
        let changes: Vec<_> = (known.entries.iter().filter(is_unlisted))
            .map(|(id, entry)| ListChange::Add {
                task: id.clone(),
                family: Family::default(),
                label: entry.label.clone(),
                at: self.latest_time,
            })
            .collect();
        let is_logged = |(id, is_watched): (&TaskId, &bool)| {
            let entry = known.entries.get(id);
            entry.map_or(!is_watched, |entry| entry.is_watched == *is_watched)
        };
        let is_current = known.is_intact && !known.is_bloated() && listed.iter().all(is_logged);
        // If this fails, the next opening retries it, and an add reports the error itself.
        match self.add_missing_tasks(&path, &changes, is_current) {
            Err(error @ StoreError::Damaged(_)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the id file cannot be written");
                Ok(0)
            }
            result => result,
        }
    }

    /// Adds tasks to the list, and rewrites the id file unless it is current.
    fn add_missing_tasks(
        &mut self,
        path: &Path,
        changes: &[ListChange],
        is_current: bool,
    ) -> Result<usize, StoreError> {
        let mut applied = Vec::new();
        if !changes.is_empty() {
            applied = self.write_changes(changes)?;
        }
        if !is_current {
            self.set_flush_commits(true)?;
            let tx = self
                .conn
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            rewrite_id_log(&tx, path)?;
            tx.commit()?;
        }
        let is_added = |applied: &&ChangeResult| matches!(applied, ChangeResult::Added(_));
        Ok(applied.iter().filter(is_added).count())
    }

    /// Deletes tasks that were removed long ago, except the newest.
    fn purge_removed(&mut self) -> Result<(), StoreError> {
        let Ok(before) = self.latest_time.checked_sub(MIN_UNDO_AGE) else {
            return Ok(());
        };
        let old = {
            let mut statement = self.conn.prepare(
                "SELECT id FROM (SELECT id, removed_at FROM task WHERE removed_at IS NOT NULL
                 ORDER BY removed_at DESC LIMIT -1 OFFSET ?1) WHERE removed_at < ?2",
            )?;
            statement
                .query_map(params![MIN_UNDO_COUNT, before.as_millisecond()], |row| {
                    row.get::<_, String>(0)
                })?
                .collect::<Result<Vec<_>, _>>()?
        };
        if old.is_empty() {
            return Ok(());
        }
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for id in old {
            let deleted = tx.execute(
                "DELETE FROM task WHERE id = ?1 AND removed_at < ?2",
                params![&id, before.as_millisecond()],
            )?;
            if deleted > 0 {
                tx.execute("UPDATE meta SET rows = rows - 1", [])?;
                tx.execute("DELETE FROM raw WHERE task = ?1", [&id])?;
                tx.execute("DELETE FROM quiet WHERE task = ?1", [&id])?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    fn read_all(&mut self) -> Result<Vec<WatchedTask>, StoreError> {
        let tx = self.conn.transaction()?;
        let (rev, rows) = read::read_meta(&tx)?;
        let version = read::read_data_version(&tx)?;
        let all = read::read_all(&tx, rev, rows)?;
        tx.finish()?;
        self.seen_revision = rev;
        self.data_version = version;
        self.own_revisions.clear();
        self.has_pending_changes = false;
        Ok(all)
    }

    /// Sets whether the next commits are flushed. Costs no I/O; possible between transactions only.
    fn set_flush_commits(&mut self, is_flushed: bool) -> Result<(), StoreError> {
        if self.flushes_commits != Some(is_flushed) {
            // EXTRA is FULL, and with a rollback journal it also flushes the folder after the
            // journal is deleted.
            let level = if is_flushed { "EXTRA" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", level)?;
            if cfg!(target_os = "macos") {
                // macOS: fsync(2) leaves the data in the drive's cache.
                self.conn.pragma_update(None, "fullfsync", is_flushed)?;
            }
            self.flushes_commits = Some(is_flushed);
        }
        Ok(())
    }

    fn write_changes(&mut self, changes: &[ListChange]) -> Result<Vec<ChangeResult>, StoreError> {
        self.set_flush_commits(changes.iter().any(must_be_flushed))?;
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (before, _) = read::read_meta(&tx)?;
        let rev = before.saturating_add(1);
        let mut writer = ChangeWriter::new(&tx, rev);
        let mut applied = Vec::with_capacity(changes.len());
        for change in changes {
            applied.push(writer.apply(change)?);
        }
        let written = writer.finish()?;
        let appended = append_id_lines(&tx, self.path.as_deref(), rev, changes, &applied)?;
        let committed = tx.commit();
        self.finish_id_lines(appended, committed.is_ok());
        committed?;

        if written.is_empty() {
            return Ok(applied);
        }
        let needs_reload = written.iter().any(|row| row.needs_reload);
        self.has_pending_changes |= needs_reload;
        if before == self.seen_revision && !needs_reload {
            self.seen_revision = rev;
            return Ok(applied);
        }
        for row in written {
            // A row that another instance wrote since our last read must still be reported.
            let known = match row.previous_revision {
                None => true,
                Some(before) => {
                    before <= self.seen_revision
                        || before == rev
                        || self.own_revisions.get(&row.task) == Some(&before)
                }
            };
            if known && !row.needs_reload {
                self.own_revisions.insert(row.task, rev);
            } else {
                self.own_revisions.remove(&row.task);
            }
        }
        Ok(applied)
    }

    /// Confirms lines of the id file, or removes them if their transaction failed.
    fn finish_id_lines(&mut self, appended: Option<UnconfirmedLines>, is_committed: bool) {
        let Some(appended) = appended else { return };
        let result = if !is_committed {
            // Another instance may have written since, so the lock is needed again.
            self.conn
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(StoreError::from)
                .and_then(|_lock| appended.roll_back())
        } else if self.is_in_place() {
            appended.confirm()
        } else {
            // The file was replaced meanwhile, so the change will be written again.
            Ok(())
        };
        if let Err(error) = result {
            tracing::warn!(%error, "the id file has unconfirmed lines");
        }
    }

    fn read_external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        if !self.has_pending_changes && read::read_data_version(&self.conn)? == self.data_version {
            return Ok(Vec::new());
        }
        let tx = self.conn.transaction()?;
        let (rev, _) = read::read_meta(&tx)?;
        let version = read::read_data_version(&tx)?;
        let mut changes = Vec::new();
        {
            let mut statement = tx.prepare_cached(&rows::select("WHERE rev > ?1"))?;
            let mut found = statement.query([self.seen_revision])?;
            while let Some(row) = found.next()? {
                let mut stored = rows::decode(row)?;
                let id = stored.watched.id();
                if self.own_revisions.get(id) == Some(&stored.rev) {
                    continue;
                }
                stored.watched.notify = notify_off::load_notify_setting(&tx, id)?;
                let id = stored.watched.id();
                changes.push(match stored.removed_at {
                    Some(_) => ExternalChange::Removed(id.clone()),
                    None => ExternalChange::Changed(Box::new(stored.watched)),
                });
            }
        }
        tx.finish()?;
        self.seen_revision = rev;
        self.data_version = version;
        self.own_revisions.clear();
        self.has_pending_changes = false;
        Ok(changes)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if !self.is_in_place() {
            file::disable_checkpoint_on_close(&self.conn);
        }
    }
}

impl ListStore for SqliteStore {
    fn load(&mut self) -> Result<Vec<WatchedTask>, StoreError> {
        self.read_even_if_gone(Self::read_all)
    }

    /// Fails at once if the file is read-only, and with [`StoreError::Missing`] if it is gone from
    /// its path. An empty slice checks both.
    ///
    /// Adding a watched task without a label sets the label of the change. The result does not
    /// contain the row, so [`external_changes`](ListStore::external_changes) reports it next.
    fn apply(&mut self, changes: &[ListChange]) -> Result<Vec<ChangeResult>, StoreError> {
        if self.access == AccessMode::Full || !changes.is_empty() {
            self.retry_writing()?;
        }
        if changes.is_empty() {
            return self.with_recovery(|_| Ok(Vec::new()));
        }
        self.latest_time = changes
            .iter()
            .map(ListChange::at)
            .fold(self.latest_time, Timestamp::max);
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let applied = self.with_recovery(|store| store.write_changes(changes))?;
            // Another instance may have set the file aside as damaged while we wrote. The change
            // is then written to the new file as well.
            if self.is_in_place() {
                return Ok(applied);
            }
        }
        Err(StoreError::Other(
            "another program keeps replacing it".into(),
        ))
    }

    /// Reads only shared memory while no other connection has written.
    fn external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        self.with_recovery(Self::read_external_changes)
    }

    /// Writes the list of the open connection back to its path if the file is gone.
    fn write_back(&mut self) -> Result<(), StoreError> {
        if let Some(why) = self.read_only_reason.clone() {
            return Err(why);
        }
        if let Some(path) = self.path.clone()
            && file::find_identity(&path)?.is_none()
        {
            file::write_to_path(&self.conn, &path).map_err(|error| self.explain(&path, error))?;
        }
        // Also if another instance has written it back first.
        self.with_recovery(|_| Ok(()))
    }

    fn load_session(&mut self) -> Result<SavedSession, StoreError> {
        self.read_even_if_gone(|store| session::load_session(&store.conn))
    }

    /// Fails with the reason if the file is read-only. Other instances do not reload anything.
    fn save_session(&mut self, list_view: &ListView) -> Result<(), StoreError> {
        if let Some(why) = &self.read_only_reason {
            return Err(why.clone());
        }
        self.with_recovery(|store| {
            store.set_flush_commits(false)?;
            let tx = store
                .conn
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            session::save_list_view(&tx, list_view)?;
            tx.commit()?;
            Ok(())
        })
    }

    fn read_journal(
        &mut self,
        task: &TaskId,
        limit: usize,
    ) -> Result<Vec<JournalLine>, StoreError> {
        self.read_even_if_gone(|store| read::read_journal(&store.conn, task, limit))
    }

    fn read_raw_response(&mut self, task: &TaskId) -> Result<Option<RawResponse>, StoreError> {
        let found = self.raw_answer(task)?;
        Ok(found.map(|(received_at, json)| RawResponse::parse(received_at, &json)))
    }

    /// Does nothing if the file is read-only.
    fn save_last_seen(&mut self, at: Timestamp) -> Result<(), StoreError> {
        if self.read_only_reason.is_some() {
            return Ok(());
        }
        self.with_recovery(|store| {
            store.set_flush_commits(false)?;
            session::save_last_seen(&store.conn, at)
        })
    }
}

/// Reports whether a change must be on disk when it is acknowledged: a person waits for it, or no
/// later check would repeat it (a final state, a saved file).
fn must_be_flushed(change: &ListChange) -> bool {
    let is_final =
        matches!(change, ListChange::Observed { observation, .. } if observation.state.is_final());
    is_final || matches!(change, ListChange::Saved { .. }) || change.needs_ack()
}

/// Reports whether a list has an id file; the list itself may be gone.
pub fn has_id_log(list: &Path) -> bool {
    file::resolve_symlinks(list)
        .is_ok_and(|list| side_files::with_suffix(&list, side_files::ID_LOG_SUFFIX).is_file())
}

/// Appends the id and label changes of a transaction to the id file, before it is committed.
fn append_id_lines(
    tx: &Transaction<'_>,
    list: Option<&Path>,
    rev: i64,
    changes: &[ListChange],
    applied: &[ChangeResult],
) -> Result<Option<UnconfirmedLines>, StoreError> {
    let Some(list) = list else { return Ok(None) };
    let mut lines = IdLogLines::default();
    for (change, applied) in changes.iter().zip(applied) {
        let id = change.task();
        match (change, applied) {
            (ListChange::Add { .. } | ListChange::Restore { .. }, ChangeResult::Added(watched)) => {
                lines.push(rev, IdLogEvent::Add, id, watched.label.as_ref());
            }
            (ListChange::Remove { .. }, ChangeResult::Removed) => {
                lines.push(rev, IdLogEvent::Remove, id, None);
            }
            (ListChange::Label { .. }, ChangeResult::Recorded)
            | (ListChange::Add { label: Some(_), .. }, ChangeResult::AlreadyWatched) => {
                let label = read::read_one(tx, id)?.and_then(|stored| stored.watched.label);
                lines.push(rev, IdLogEvent::Label, id, label.as_ref());
            }
            _ => {}
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let appended = id_log::append(list, rev, &lines)?;
    if appended.is_none() {
        rewrite_id_log(tx, list)?;
    }
    Ok(appended)
}

/// Rewrites the id file from the list, and from its own lines about tasks without a row.
///
/// Needs the write lock, under which nobody else appends lines, and a flushed commit: the revisions
/// in the file must never be lost. The list is verified first: a damaged one would produce an
/// incomplete file that claims to be intact.
fn rewrite_id_log(tx: &Transaction<'_>, path: &Path) -> Result<(), StoreError> {
    let (rev, rows) = read::read_meta(tx)?;
    read::read_all(tx, rev, rows)?;
    let IdLog { mut entries, .. } = id_log::read(path)?.unwrap_or_default();
    entries.retain(|_, entry| entry.is_committed);
    read::for_each_row(tx, |stored| {
        let entry = IdLogEntry {
            rev: stored.rev,
            is_watched: stored.removed_at.is_none(),
            label: stored.watched.label.clone(),
            is_committed: true,
        };
        entries.insert(stored.watched.id().clone(), entry);
    })?;
    // A transaction without a change flushes nothing.
    tx.execute("UPDATE meta SET rev = rev", [])?;
    id_log::rewrite(path, &entries)
}
