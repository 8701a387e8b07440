//! The list on disk: one SQLite file that several instances share, and in which no id is ever lost.
//!
//! What holds here:
//! - **A change a person waits for, and every ending, is flushed before it is acknowledged**
//!   (`synchronous = EXTRA`, which is `FULL` and more); other poll answers go to the log without a
//!   flush (`NORMAL`): a power cut may cost the last of them, which are asked again, never the
//!   file's order. A kill costs neither.
//! - **A file is never overwritten in place of another**: a newer one is left byte for byte, an
//!   older one is copied before it is brought forward, a damaged one is moved aside and what it
//!   still holds is carried over (`store/rescue.rs`).
//! - **A file that is gone from its path is not created again** by a connection that had it open:
//!   reads go on through the connection, writes fail until it is back or is written back on
//!   request, and another file at its path is merged with it by id (`store/merge.rs`).
//! - **Every row has a checksum, and their count is kept**, for SQLite notices a broken page, not a
//!   flipped bit in a text. Reading the list verifies them all on the way; SQLite's own
//!   `quick_check` would cost as much again (18 ms for 10,000 tasks, 180 ms for 100,000) and see
//!   less, so it is not run.
//! - **Ids and labels are written twice**: also as text beside the file (`store/id_log.rs`), which
//!   is compared with the list at every opening.
//! - Several instances: writes begin with the lock (`BEGIN IMMEDIATE`) and read the row as it
//!   stands; every transaction that writes takes a revision, by which others see what is new.
//!
//! Nothing outside these files knows SQL. Blocking: to be called off the loop.

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
    rows::COLUMNS,
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
mod carve;
mod error_cause;
mod file;
mod id_log;
mod merge;
mod notify_off;
mod read;
mod recovery;
mod rows;
mod schema;
mod session;
mod watch;

pub use self::{
    recovery::Recovery,
    watch::{ListWatcher, watch},
};

/// The shortest beginning that stands for an id, in characters.
pub const MIN_PREFIX_LEN: usize = 4;

/// How long a removed task can be brought back at least; and how many of the newest always can.
const MIN_UNDO_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);
const MIN_UNDO_COUNT: u32 = 200;

/// How often a change is written again when the file was replaced under it.
const MAX_WRITE_ATTEMPTS: u32 = 5;

/// A callback for every recovery, called as it happens.
struct RecoverySink(Box<dyn FnMut(&Recovery) + Send>);

impl RecoverySink {
    /// Returns one that ignores recoveries, for lists that cannot be damaged or that have no
    /// callback yet.
    fn ignoring() -> Self {
        Self(Box::new(|_| ()))
    }
}

impl fmt::Debug for RecoverySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoverySink")
    }
}

/// Keeps the list in an SQLite file, or in memory.
///
/// Damage is handled whenever it shows, at opening or later: the file is moved aside, what it holds
/// is carried over into a new one, the recovery is reported at once, and the call goes on with the
/// new file.
///
/// A file counts as damaged only if a second connection finds it so too: SQLite also reports damage
/// when one read failed.
#[derive(Debug)]
pub struct SqliteStore {
    conn: Connection,
    /// Where the file lies; none in memory.
    path: Option<PathBuf>,
    /// Which file the connection holds, to notice when another instance put a new one in its place.
    identity: Option<FileIdentity>,
    /// Which log the connection holds: SQLite would apply a left-over log to any new file at the
    /// path.
    wal_identity: Option<FileIdentity>,
    /// Whether anything may be made, mended or written at all.
    access: AccessMode,
    /// Why nothing can be written, if so.
    read_only_reason: Option<StoreError>,
    /// Whether commits are flushed at present; none before the first.
    flushes_commits: Option<bool>,
    /// Up to which revision the caller knows the list.
    seen_revision: i64,
    /// SQLite's mark of the last state looked at: another connection's commit changes it.
    data_version: i64,
    /// Rows of later revisions that hold nothing new for the caller.
    own_revisions: HashMap<TaskId, i64>,
    /// Whether there is news though no other connection wrote.
    has_pending_changes: bool,
    recovery_sink: RecoverySink,
    /// The last time heard of, for the name of a file moved aside.
    latest_time: Timestamp,
}

impl SqliteStore {
    /// Opens the list file, and makes it (0600) and its folder (0700) if need be.
    ///
    /// A symbolic link is followed and stays. A file others may read is made private. A damaged one
    /// is moved aside and its rows are carried over, now or later, and each time `report` is
    /// called; one opened read-only is read as far as possible. Fails with
    /// [`StoreError::NewerVersion`] on a newer program's file, which is not touched.
    pub fn open(
        path: &Path,
        at: Timestamp,
        report: impl FnMut(&Recovery) + Send + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_with_access(path, AccessMode::Full, at, report)
    }

    /// Opens the list file for that access.
    ///
    /// To read only, nothing is made, mended or tidied: where there is no file the list is empty
    /// until another instance makes one, and a damaged one is an error and stays where it is.
    /// SQLite may leave its two empty helper files beside the list, without which it cannot read
    /// what another instance is writing.
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
            let judged = file::identity(path);
            opened = Self::connect_and_reconcile(path, access, at, report);
            if let Err(StoreError::Damaged(why)) = &opened {
                recovery::recover(path, judged, at, why, &mut report.0)?;
                opened = Self::connect_and_reconcile(path, access, at, report);
            }
        }
        opened
    }

    /// Returns a store that keeps nothing, for the demo and for tests.
    pub fn in_memory() -> Result<Self, StoreError> {
        let mut conn = Connection::open_in_memory()?;
        schema::migrate(&mut conn, None, SchemaState::Empty)?;
        Self::from_connection(conn, Timestamp::UNIX_EPOCH)
    }

    /// Returns the ids of watched tasks a person may mean by `prefix`: the exact match, else all
    /// that begin so. A prefix needs [`MIN_PREFIX_LEN`] characters. Before no match is reported,
    /// every row is verified.
    pub fn resolve(&mut self, prefix: &str) -> Result<Vec<TaskId>, StoreError> {
        let found = self.read_even_if_gone(|store| read::resolve_prefix(&store.conn, prefix))?;
        if !found.is_empty() {
            return Ok(found);
        }
        self.read_even_if_gone(Self::read_all)?;
        self.read_even_if_gone(|store| read::resolve_prefix(&store.conn, prefix))
    }

    /// Returns a watched task whose id differs from this one in capitals only.
    pub fn find_case_variant(&mut self, task: &TaskId) -> Result<Option<TaskId>, StoreError> {
        let small = task.as_str().to_ascii_lowercase();
        let great = task.as_str().to_ascii_uppercase();
        for spelt in [small, great] {
            let known =
                self.read_even_if_gone(|store| read::resolve_prefix(&store.conn, &spelt))?;
            let mut known = known.into_iter();
            let twin = known.find(|id| id != task && id.as_str() == spelt);
            if twin.is_some() {
                return Ok(twin);
            }
        }
        Ok(None)
    }

    /// Returns a watched task.
    pub fn get(&mut self, task: &TaskId) -> Result<Option<WatchedTask>, StoreError> {
        let found = self.read_even_if_gone(|store| read::read_one(&store.conn, task))?;
        Ok(found
            .filter(|stored| stored.removed_at.is_none())
            .map(|stored| stored.watched))
    }

    /// Returns the tasks that were removed and can be brought back, the latest first, at most
    /// `most`, with the time of their removal.
    pub fn removed(&mut self, most: usize) -> Result<Vec<(TaskId, Timestamp)>, StoreError> {
        self.read_even_if_gone(|store| read::read_removed(&store.conn, most))
    }

    /// Returns the last good answer about a task as it came (at most 64 KiB of JSON), and when it
    /// was first given so; for JSON, never for a terminal.
    pub fn raw_answer(&mut self, task: &TaskId) -> Result<Option<(Timestamp, String)>, StoreError> {
        self.read_even_if_gone(|store| read::read_raw(&store.conn, task))
    }

    /// Returns why the list is read-only, if it is.
    pub const fn read_only_reason(&self) -> Option<&StoreError> {
        self.read_only_reason.as_ref()
    }

    /// Opens the file as it is, and makes the list and the file of ids agree; handles no other
    /// damage.
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
        let put_back = self.sync_id_log()?;
        if put_back > 0 {
            (report.0)(&Recovery::from_interrupted_add(put_back));
        }
        Ok(())
    }

    /// Opens the file as it is; handles neither damage nor absence.
    fn attach(path: &Path, at: Timestamp) -> Result<Self, StoreError> {
        file::make_private(path);
        if file::lost_main_file(path) {
            return Err(StoreError::Damaged("it is empty, its log is not".into()));
        }
        file::check_is_regular(path)?;
        let identity = file::identity(path);
        let (mut conn, read_only) = file::connect(path)?;
        let standing = schema::schema_state(&conn)?;
        match (&read_only, standing) {
            (None, standing) => Self::migrate_to_current(&mut conn, path, standing, identity)?,
            (Some(_), SchemaState::Current) => {}
            (Some(why), SchemaState::Empty | SchemaState::Outdated(_)) => return Err(why.clone()),
        }
        schema::check_tables(&conn)?;
        let mut store = Self::from_connection(conn, at)?;
        store.path = Some(path.to_owned());
        store.identity = identity;
        store.wal_identity = file::identity(&file::with_suffix(path, file::WAL_SUFFIX));
        store.read_only_reason = read_only;
        if store.read_only_reason.is_none() {
            // Housekeeping can wait, whatever else is in its way.
            if let Err(error @ StoreError::Damaged(_)) = store.purge_removed() {
                return Err(error);
            }
            file::enable_checkpoint_on_close(&store.conn)?;
        }
        Ok(store)
    }

    /// Migrates a writable file to this version, and sets the journal mode that works on its disk.
    fn migrate_to_current(
        conn: &mut Connection,
        path: &Path,
        standing: SchemaState,
        identity: Option<FileIdentity>,
    ) -> Result<(), StoreError> {
        if standing == SchemaState::Empty {
            // Four rows fit on a page even with long prompts; has effect on an empty file only.
            conn.pragma_update(None, "page_size", 8192)?;
        }
        let device = identity.map_or_else(String::new, |(device, _)| device.to_string());
        let has_log = session::device_without_wal(conn).as_ref() == Some(&device)
            || file::enable_wal(conn, path)?;
        schema::migrate(conn, Some(path), standing)?;
        if !has_log {
            session::save_device_without_wal(conn, &device)?;
        }
        Ok(())
    }

    /// Lets SQLite in for reading; an empty list in memory stands for a file that is not there.
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
        store.read_only_reason = Some(StoreError::ReadOnly("it was opened to be read".into()));
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

    /// Runs `work` on the file at the path; if a new connection confirms damage, recovers the list
    /// and runs `work` once more.
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
            // A file system that was unmounted and mounted again leaves a dead connection.
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

    /// Runs `work` on a new connection, and on a recovered file if that finds damage too.
    fn recover_if_damaged<T>(
        &mut self,
        path: &Path,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let judged = file::identity(path);
        let again = self.reopen(path).and_then(|()| work(self));
        let Err(StoreError::Damaged(why)) = again else {
            return again;
        };
        file::disable_checkpoint_on_close(&self.conn);
        recovery::recover(
            path,
            judged,
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

    /// Runs `work`, which only reads; works even when the file is gone from its path.
    fn read_even_if_gone<T>(
        &mut self,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.with_recovery(&work) {
            Err(StoreError::Missing(_)) => work(self),
            result => result,
        }
    }

    /// Reports whether the path still names the file the connection holds.
    fn is_in_place(&self) -> bool {
        self.path
            .as_ref()
            .is_none_or(|path| file::identity(path) == self.identity)
    }

    /// Switches to another file that replaced ours at the path. If there is none, none is created.
    fn reopen_if_replaced(&mut self, path: &Path) -> Result<(), StoreError> {
        match file::find_identity(path)? {
            found if found == self.identity => Ok(()),
            None => Err(StoreError::Missing(path.to_owned())),
            Some(_) => {
                if self.wal_identity.is_some()
                    && file::identity(&file::with_suffix(path, file::WAL_SUFFIX))
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

    /// Switches to another connection, and adds to its file what only this one knows.
    fn switch_to(&mut self, mut new: Self) -> Result<(), StoreError> {
        if new.read_only_reason.is_none() && new.identity != self.identity {
            let merged = merge::merge_lists(&self.conn, &mut new.conn)?;
            if merged > 0 {
                (self.recovery_sink.0)(&Recovery::from_replaced_list(merged));
            }
        }
        // Not before: tasks named in the file of ids may have been on our list alone.
        new.reconcile_ids(&mut self.recovery_sink)?;
        file::disable_checkpoint_on_close(&self.conn);
        mem::swap(&mut new.recovery_sink, &mut self.recovery_sink);
        // What the caller knows came from another file: all of this one is news.
        new.seen_revision = -1;
        new.has_pending_changes = true;
        *self = new;
        Ok(())
    }

    /// Reopens a file that was read-only so far, in case that has changed.
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

    /// Compares the list with the file of ids. Reads no rows: an index has the ids.
    ///
    /// A list without a task that was added, or without a later change, is damaged. A task whose
    /// add was killed before the commit is added by its id. A file of ids that lacks a task or has
    /// damaged lines is rewritten. Returns the number of tasks added.
    fn sync_id_log(&mut self) -> Result<usize, StoreError> {
        let (Some(path), Some(_)) = (self.path.clone(), self.identity) else {
            return Ok(0);
        };
        // Read first: every change committed in it is then on the list too.
        let log = match id_log::read(&path) {
            Ok(log) => log,
            Err(error) => {
                tracing::warn!(%error, "the file of ids cannot be read");
                return Ok(0);
            }
        };
        let (rev, listed) = read::read_ids(&self.conn)?;
        let known = log.unwrap_or_default();
        let is_lacking =
            |(id, entry): &(&TaskId, &IdLogEntry)| entry.is_watched && !listed.contains_key(*id);
        let is_lost = |said: &(&TaskId, &IdLogEntry)| {
            said.1.is_committed && (said.1.rev > rev || is_lacking(said))
        };
        let lost = known.entries.iter().filter(is_lost).count();
        if lost > 0 {
            let tasks = if lost == 1 { "task" } else { "tasks" };
            let what = format!("it lacks changes of {lost} {tasks}");
            return Err(StoreError::Damaged(what));
        }
        if self.read_only_reason.is_some() {
            return Ok(0);
        }
        let changes: Vec<_> = (known.entries.iter().filter(is_lacking))
            .map(|(id, entry)| ListChange::Add {
                task: id.clone(),
                family: Family::default(),
                label: entry.label.clone(),
                at: self.latest_time,
            })
            .collect();
        let is_known = |(id, is_watched): (&TaskId, &bool)| {
            let entry = known.entries.get(id);
            entry.map_or(!is_watched, |entry| entry.is_watched == *is_watched)
        };
        let is_right = known.is_intact && !known.is_bloated() && listed.iter().all(is_known);
        // If the disk refuses now, the next opening does it; an add reports the error itself.
        match self.add_missing_tasks(&path, &changes, is_right) {
            Err(error @ StoreError::Damaged(_)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the file of ids cannot be written");
                Ok(0)
            }
            put_back => put_back,
        }
    }

    /// Adds tasks to the list, and rewrites the file of ids if it is not right.
    fn add_missing_tasks(
        &mut self,
        path: &Path,
        changes: &[ListChange],
        is_right: bool,
    ) -> Result<usize, StoreError> {
        let mut applied = Vec::new();
        if !changes.is_empty() {
            applied = self.write_changes(changes)?;
        }
        if !is_right {
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

    /// Forgets what was removed long ago, except the newest.
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
            let gone = tx.execute(
                "DELETE FROM task WHERE id = ?1 AND removed_at < ?2",
                params![&id, before.as_millisecond()],
            )?;
            if gone > 0 {
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

    /// Sets whether commits are flushed. SQLite takes it between transactions only, and without any
    /// input or output, so it is set for each as it needs.
    fn set_flush_commits(&mut self, is_flushed: bool) -> Result<(), StoreError> {
        if self.flushes_commits != Some(is_flushed) {
            // EXTRA is FULL, and where the write-ahead log is refused it also syncs the folder
            // after the journal's end.
            let level = if is_flushed { "EXTRA" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", level)?;
            if cfg!(target_os = "macos") {
                // There fsync(2) leaves the data in the drive's cache.
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
        let has_news = written.iter().any(|row| row.needs_reload);
        self.has_pending_changes |= has_news;
        if before == self.seen_revision && !has_news {
            self.seen_revision = rev;
            return Ok(applied);
        }
        for row in written {
            // A row another instance wrote since we looked stays news after we wrote it too.
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

    /// Confirms lines of the file of ids, or removes them if their transaction failed.
    fn finish_id_lines(&mut self, appended: Option<UnconfirmedLines>, is_committed: bool) {
        let Some(appended) = appended else { return };
        let done = if !is_committed {
            // Others may have written since, so the lock is needed again.
            self.conn
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(StoreError::from)
                .and_then(|_lock| appended.roll_back())
        } else if self.is_in_place() {
            appended.confirm()
        } else {
            // A change written to a file that was replaced meanwhile is written again.
            Ok(())
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the file of ids has lines that nothing confirms");
        }
    }

    fn read_external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        if !self.has_pending_changes && read::read_data_version(&self.conn)? == self.data_version {
            return Ok(Vec::new());
        }
        let tx = self.conn.transaction()?;
        let (rev, _) = read::read_meta(&tx)?;
        let version = read::read_data_version(&tx)?;
        let mut deltas = Vec::new();
        {
            let mut statement =
                tx.prepare_cached(&format!("SELECT {COLUMNS} FROM task WHERE rev > ?1"))?;
            let mut found = statement.query([self.seen_revision])?;
            while let Some(row) = found.next()? {
                let mut stored = rows::decode_row(&read::row_cells(row)?)?;
                let id = stored.watched.id();
                if self.own_revisions.get(id) == Some(&stored.rev) {
                    continue;
                }
                stored.watched.notify = notify_off::load_notify_setting(&tx, id)?;
                let id = stored.watched.id();
                deltas.push(match stored.removed_at {
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
        Ok(deltas)
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

    /// Fails at once if the file is read-only, and with [`StoreError::Missing`] if it is no longer
    /// at its path; an empty list of changes checks whether that is still so.
    ///
    /// Adding a watched task that has no label gives it the one of the change; the row then comes
    /// with the next [`changes`](ListStore::external_changes), as the answer does not hold it.
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
            // Another instance may have moved the file aside as damaged while we wrote: what went
            // into the old one is written to the new one as well.
            if self.is_in_place() {
                return Ok(applied);
            }
        }
        Err(StoreError::Other("it is replaced again and again".into()))
    }

    /// Costs one look at shared memory while no other connection has written.
    fn external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        self.with_recovery(Self::read_external_changes)
    }

    /// Writes the list, as the connection still holds it, back to its path if the file is gone.
    fn write_back(&mut self) -> Result<(), StoreError> {
        if let Some(why) = self.read_only_reason.clone() {
            return Err(why);
        }
        if let Some(path) = self.path.clone()
            && file::find_identity(&path)?.is_none()
        {
            file::write_to_path(&self.conn, &path).map_err(|error| self.explain(&path, error))?;
        }
        // Also when another instance was faster.
        self.with_recovery(|_| Ok(()))
    }

    fn load_session(&mut self) -> Result<SavedSession, StoreError> {
        self.read_even_if_gone(|store| session::load_session(&store.conn))
    }

    /// Fails with [`StoreError::ReadOnly`] where the file may only be read. Other instances have
    /// nothing to read anew.
    fn save_session(&mut self, lens: &ListView) -> Result<(), StoreError> {
        if let Some(why) = &self.read_only_reason {
            return Err(why.clone());
        }
        self.with_recovery(|store| {
            store.set_flush_commits(false)?;
            let tx = store
                .conn
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            session::save_list_view(&tx, lens)?;
            tx.commit()?;
            Ok(())
        })
    }

    fn read_journal(&mut self, task: &TaskId, most: usize) -> Result<Vec<JournalLine>, StoreError> {
        self.read_even_if_gone(|store| read::read_journal(&store.conn, task, most))
    }

    fn read_raw_response(&mut self, task: &TaskId) -> Result<Option<RawResponse>, StoreError> {
        let found = self.raw_answer(task)?;
        Ok(found.map(|(since, json)| RawResponse::parse(since, &json)))
    }

    /// Does nothing where the file may only be read.
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

/// Reports whether a change must be on the disk when it is acknowledged: a person waits for it, or
/// it is an ending, or a file on disk, which is not asked for again.
fn must_be_flushed(change: &ListChange) -> bool {
    let is_ending =
        matches!(change, ListChange::Observed { observation, .. } if observation.state.is_final());
    is_ending || matches!(change, ListChange::Saved { .. }) || change.needs_ack()
}

/// Reports whether a file of ids lies beside the path of a list, which may itself be gone.
pub fn has_id_log(list: &Path) -> bool {
    file::resolve_symlinks(list)
        .is_ok_and(|list| file::with_suffix(&list, id_log::SUFFIX).is_file())
}

/// Appends the id and label changes of a transaction to the file of ids, before it is committed.
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

/// Rewrites the file of ids from the list, and from its own lines about tasks without a row.
///
/// Needs the write lock, under which no other lines are being written, and a flushed commit: the
/// revisions it names must never be lost. A damaged list would make an incomplete file that claims
/// to be whole, so the whole list is verified first.
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
    // A transaction without a change would flush nothing.
    tx.execute("UPDATE meta SET rev = rev", [])?;
    id_log::rewrite(path, &entries)
}
