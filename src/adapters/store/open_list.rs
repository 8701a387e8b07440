//! An open connection to the list file, with what its user knows of the list.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior};

use super::{
    apply::ChangeWriter,
    file::{self, FileIdentity},
    id_log::{self, IdLogEntry, UnconfirmedLines},
    id_sync, read, rows,
    schema::{self, SchemaState},
    session, side_files,
};
use crate::domain::{
    list_change::{AccessMode, ChangeKind, ChangeResult, ExternalChange, ListChange, StoreError},
    task::TaskId,
    watched_task::WatchedTask,
};

/// The minimum time for which a removed task can be restored.
const MIN_UNDO_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The number of newest removed tasks that can be restored whatever their age.
const MIN_UNDO_COUNT: u32 = 200;

/// An open list file, or a list in memory.
#[derive(Debug)]
pub(super) struct OpenList {
    pub(super) conn: Connection,
    /// `None` for a list in memory.
    pub(super) path: Option<PathBuf>,
    /// The open file, to notice its replacement by another instance; `None` if there is no file.
    pub(super) identity: Option<FileIdentity>,
    /// The open write-ahead log: SQLite would apply a left-over log to any new file at the path.
    pub(super) wal_identity: Option<FileIdentity>,
    pub(super) read_only_reason: Option<StoreError>,
    /// The current setting; `None` before the first write.
    flushes_commits: Option<bool>,
    /// The revision up to which the caller knows the list.
    seen_revision: i64,
    /// SQLite's `data_version` at the last read; a commit of another connection changes it.
    data_version: i64,
    /// Rows with a later revision, which the caller got as the result of its changes.
    own_revisions: HashMap<TaskId, i64>,
}

impl OpenList {
    /// Creates an empty list in memory.
    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let mut conn = Connection::open_in_memory()?;
        schema::migrate(&mut conn, None, SchemaState::Empty)?;
        Ok(Self::from_connection(conn))
    }

    /// Returns an empty list in place of a missing file.
    pub(super) fn missing(path: PathBuf, access: AccessMode) -> Result<Self, StoreError> {
        let mut list = Self::in_memory()?;
        list.path = Some(path);
        list.read_only_reason = access_reason(access);
        Ok(list)
    }

    /// Opens the file. Handles neither damage nor a missing file.
    pub(super) fn open(path: &Path, access: AccessMode, at: Timestamp) -> Result<Self, StoreError> {
        if access == AccessMode::Full {
            file::make_private(path);
            if file::lost_main_file(path) {
                let why = "the file is empty but its log is not";
                return Err(StoreError::Damaged(why.into()));
            }
        }
        file::check_is_regular(path)?;
        let identity = file::identity(path);
        let (mut conn, read_only_reason) = file::connect(path, access)?;
        let state = schema::schema_state(&conn)?;
        match (access, &read_only_reason) {
            (AccessMode::Full, None) => migrate_to_current(&mut conn, path, state, identity)?,
            _ if state == SchemaState::Current => {}
            (AccessMode::Full, Some(why)) => return Err(why.clone()),
            (AccessMode::ReadOnly, _) => {
                return Err(StoreError::Other(format!(
                    "{} was written by an older kietop; open it once without --read-only",
                    path.display()
                )));
            }
        }
        schema::check_tables(&conn)?;
        let mut list = Self::from_connection(conn);
        list.path = Some(path.to_owned());
        list.identity = identity;
        list.wal_identity = file::identity(&side_files::with_suffix(path, side_files::WAL_SUFFIX));
        list.read_only_reason = access_reason(access).or(read_only_reason);
        if list.read_only_reason.is_none() {
            // Purging can wait: only damage matters now.
            if let Err(error @ StoreError::Damaged(_)) = purge_removed(&mut list.conn, at) {
                return Err(error);
            }
            file::set_checkpoint_on_close(&list.conn, true)?;
        }
        Ok(list)
    }

    fn from_connection(conn: Connection) -> Self {
        Self {
            conn,
            path: None,
            identity: None,
            wal_identity: None,
            read_only_reason: None,
            flushes_commits: None,
            // Until the list is loaded, every row of it is new.
            seen_revision: -1,
            data_version: -1,
            own_revisions: HashMap::new(),
        }
    }

    /// Reports whether the open file is still at its path.
    pub(super) fn is_in_place(&self) -> bool {
        self.path
            .as_ref()
            .is_none_or(|path| file::identity(path) == self.identity)
    }

    pub(super) fn read_all(&mut self) -> Result<Vec<WatchedTask>, StoreError> {
        let tx = self.conn.transaction()?;
        let version = read::read_data_version(&tx)?;
        let (rev, all) = read::read_all(&tx)?;
        tx.finish()?;
        self.mark_seen(rev, version);
        Ok(all)
    }

    pub(super) fn read_external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        if read::read_data_version(&self.conn)? == self.data_version {
            return Ok(Vec::new());
        }
        let tx = self.conn.transaction()?;
        let (rev, _) = read::read_meta(&tx)?;
        let version = read::read_data_version(&tx)?;
        let mut changes = Vec::new();
        for stored in rows::query(&tx, "WHERE rev > ?1", [self.seen_revision])? {
            let id = stored.watched.id();
            if self.own_revisions.get(id) != Some(&stored.rev) {
                changes.push(match stored.removed_at {
                    Some(_) => ExternalChange::Removed(id.clone()),
                    None => ExternalChange::Changed(Box::new(stored.watched)),
                });
            }
        }
        tx.finish()?;
        self.mark_seen(rev, version);
        Ok(changes)
    }

    fn mark_seen(&mut self, rev: i64, data_version: i64) {
        self.seen_revision = rev;
        self.data_version = data_version;
        self.own_revisions.clear();
    }

    /// Sets whether the next commits are flushed. Costs no I/O; possible between transactions only.
    pub(super) fn set_flush_commits(&mut self, is_flushed: bool) -> Result<(), StoreError> {
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

    /// Writes changes and their lines of the id file in one transaction.
    pub(super) fn write_changes(
        &mut self,
        changes: &[ListChange],
    ) -> Result<Vec<ChangeResult>, StoreError> {
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
        // Without a written row the list keeps its revision, which no line may exceed.
        let appended = if written.is_empty() {
            None
        } else {
            id_sync::append_lines(&tx, self.path.as_deref(), rev, changes, &applied)?
        };
        let committed = tx.commit();
        self.finish_id_lines(appended, committed.is_ok());
        committed?;

        if before == self.seen_revision && !written.is_empty() {
            self.seen_revision = rev;
        } else {
            let own = written.into_iter().map(|task| (task, rev));
            self.own_revisions.extend(own);
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

    /// Compares the list with the id file, and returns the number of tasks added. Reads an index of
    /// ids, no rows.
    ///
    /// A list that lacks a confirmed change of the id file is damaged. A task whose add was
    /// interrupted before the commit is added by its id. An id file that lacks a task, or has
    /// damaged lines, is rewritten.
    pub(super) fn sync_id_log(&mut self, at: Timestamp) -> Result<usize, StoreError> {
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
        let interrupted = known.entries.iter().filter(is_unlisted);
        let changes: Vec<_> = interrupted
            .map(|(id, entry)| ListChange::add(id.clone(), entry.label.clone(), at))
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
            added => added,
        }
    }

    /// Adds tasks to the list, and rewrites the id file unless it is current. Returns the number of
    /// tasks that no other instance has added meanwhile.
    fn add_missing_tasks(
        &mut self,
        path: &Path,
        changes: &[ListChange],
        is_current: bool,
    ) -> Result<usize, StoreError> {
        let mut applied = Vec::new();
        if !changes.is_empty() {
            applied = self.write_changes(changes)?;
            // The caller does not get these rows as results.
            self.own_revisions.clear();
        }
        if !is_current {
            self.set_flush_commits(true)?;
            let tx = self
                .conn
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            id_sync::rewrite(&tx, path)?;
            tx.commit()?;
        }
        let is_added = |applied: &&ChangeResult| matches!(applied, ChangeResult::Added(_));
        Ok(applied.iter().filter(is_added).count())
    }
}

impl Drop for OpenList {
    /// SQLite removes the log by name, which is then that of another file.
    fn drop(&mut self) {
        if !self.is_in_place() {
            drop(file::set_checkpoint_on_close(&self.conn, false));
        }
    }
}

fn access_reason(access: AccessMode) -> Option<StoreError> {
    let is_read_only = access == AccessMode::ReadOnly;
    is_read_only.then(|| StoreError::ReadOnly("it was opened read-only".into()))
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

/// Deletes tasks that were removed long ago, except the newest. Takes no lock if there are none.
fn purge_removed(conn: &mut Connection, at: Timestamp) -> Result<(), StoreError> {
    let Ok(before) = at.checked_sub(MIN_UNDO_AGE) else {
        return Ok(());
    };
    let old = "FROM task WHERE removed_at < ?1 AND id NOT IN
        (SELECT id FROM task WHERE removed_at IS NOT NULL ORDER BY removed_at DESC LIMIT ?2)";
    let limits = (before.as_millisecond(), MIN_UNDO_COUNT);
    if !conn.prepare(&format!("SELECT 1 {old}"))?.exists(limits)? {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let deleted = tx.execute(&format!("DELETE {old}"), limits)?;
    let deleted = i64::try_from(deleted).unwrap_or_default();
    tx.execute("UPDATE meta SET rows = rows - ?1", [deleted])?;
    for table in ["raw", "quiet"] {
        let sql = format!("DELETE FROM {table} WHERE task NOT IN (SELECT id FROM task)");
        tx.execute(&sql, [])?;
    }
    tx.commit()?;
    Ok(())
}

/// Reports whether a change must be on disk when it is acknowledged: a person waits for it, or no
/// later check would repeat it (a final state, a saved file).
fn must_be_flushed(change: &ListChange) -> bool {
    change.is_final() || matches!(change.kind, ChangeKind::Saved { .. }) || change.needs_ack()
}
