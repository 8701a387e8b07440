//! Recovery of a damaged list file: it is set aside unchanged, and its tasks are written to a new
//! file. A lost id is a lost video.
//!
//! Rows are read with SQLite as far as possible, then carved out of the raw bytes of the file and
//! its log, where the checksum proves them. A task without a proved row is recovered by its id and
//! checked again, unless its last known event is its removal. The id may come from the id file, the
//! journal, the raw responses, the tasks with notifications off, or an unproved row. There is a
//! complete file at the path at every moment.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    fs::{self, File},
    io, mem,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::{
    apply, carve, errors,
    file::{self, FileIdentity},
    id_log::{self, IdLog},
    read,
    rows::{
        self, COLUMN_COUNT, COLUMNS, FIRST_COLUMN_COUNT, REMOVED_AT_COLUMN, RowCells, StoredTask,
    },
    schema::{self, SchemaState},
    side_files,
};
use crate::domain::{
    list_change::StoreError,
    task::{Family, Task, TaskId},
    text::CleanText,
    watched_task::WatchedTask,
};

/// The recovery of a damaged list file, or of tasks that it lacked. `Display` writes sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The new path of the damaged file, with its log beside it; `None` if it was not set aside.
    pub backup_path: Option<PathBuf>,
    pub reason: String,
    /// The number of watched tasks recovered with all their data.
    pub intact: usize,
    /// The number of tasks recovered by id only, which are checked again.
    pub partial: usize,
    /// The number of tasks that could not be recovered; `None` if unknown.
    pub missing: Option<u64>,
}

impl Recovery {
    /// Reports tasks whose add was killed before it was acknowledged.
    pub(super) fn from_interrupted_add(tasks: usize) -> Self {
        Self {
            backup_path: None,
            reason: "kietop add was interrupted".into(),
            intact: 0,
            partial: tasks,
            missing: Some(0),
        }
    }

    /// Reports tasks that were missing or less complete in the file that replaced the list.
    pub(super) fn from_replaced_list(tasks: usize) -> Self {
        Self {
            reason: "the list file was replaced by one with less data".into(),
            ..Self::from_interrupted_add(tasks)
        }
    }

    /// Reports whether every task is on the list with all its data.
    pub const fn is_complete(&self) -> bool {
        self.backup_path.is_none() || (self.partial == 0 && matches!(self.missing, Some(0)))
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            backup_path,
            reason,
            intact,
            partial,
            missing,
        } = self;
        let Some(backup_path) = backup_path else {
            return match partial {
                1 => write!(f, "Restored 1 task: {reason}."),
                _ => write!(f, "Restored {partial} tasks: {reason}."),
            };
        };
        let backup_path = CleanText::line(&backup_path.to_string_lossy(), 1024);
        write!(
            f,
            "The list file was damaged ({reason}) and set aside as {backup_path}. "
        )?;
        match (intact, partial) {
            (0, 0) => write!(f, "No task could be recovered."),
            (1, 0) => write!(f, "Recovered 1 task."),
            (intact, 0) => write!(f, "Recovered {intact} tasks."),
            (intact, partial) => write!(
                f,
                "Recovered {intact} tasks in full and {partial} by id only, to be checked again."
            ),
        }?;
        match missing {
            Some(0) => Ok(()),
            Some(1) => f.write_str(" 1 is missing; check that file before you delete it."),
            Some(missing) => write!(
                f,
                " {missing} are missing; check that file before you delete it."
            ),
            None => f.write_str(" Some may be missing; check that file before you delete it."),
        }
    }
}

/// Sets the damaged file aside, replaces it by a new one with the recovered tasks, and reports it.
///
/// Does nothing if the path no longer leads to the file `damaged`: another instance has recovered
/// it. The report precedes the last step, so that a kill cannot leave a recovery unreported.
pub(super) fn recover(
    path: &Path,
    damaged: Option<FileIdentity>,
    at: Timestamp,
    why: &str,
    report: &mut dyn FnMut(&Recovery),
) -> Result<(), StoreError> {
    let still_damaged = |error: StoreError| {
        if let StoreError::ReadOnly(cause) = error {
            StoreError::Damaged(format!("{why}; it cannot be set aside: {cause}"))
        } else {
            error
        }
    };
    let io_error = |error: io::Error| still_damaged(errors::io_error(path, &error));

    let folder = path.parent().unwrap_or(Path::new("/"));
    let lock = File::open(folder).map_err(io_error)?;
    lock.lock().map_err(io_error)?;
    if file::identity(path) != damaged {
        return Ok(());
    }
    let new_file =
        file::create_free_name(path, ".new", file::create_private).map_err(still_damaged)?;
    let mut salvaged = salvage(path, &new_file);
    let log = id_log::read(path).unwrap_or_default().unwrap_or_default();
    salvaged.merge_sources(&log, at);
    let written = write_recovered(&new_file, &salvaged, at)
        .and_then(|intact| Ok((intact, link_backup(path, at).map_err(still_damaged)?)));
    let (intact, backup) = match written {
        Ok(written) => written,
        Err(error) => {
            drop(fs::remove_file(&new_file));
            return Err(error);
        }
    };
    report(&Recovery {
        backup_path: Some(backup.clone()),
        reason: CleanText::line(why, 256).as_str().to_owned(),
        intact,
        partial: salvaged.partial.len(),
        missing: salvaged.missing_tasks(&log),
    });
    // The old log is moved first: SQLite would apply it to any file beside it.
    for suffix in side_files::HELPER_SUFFIXES {
        match fs::rename(
            side_files::with_suffix(path, suffix),
            side_files::with_suffix(&backup, suffix),
        ) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
            _ => {}
        }
    }
    fs::rename(&new_file, path).map_err(io_error)?;
    lock.sync_all().map_err(io_error)?;
    Ok(())
}

/// Gives the damaged file a second name, so that there is a file at the path until it is replaced.
fn link_backup(path: &Path, at: Timestamp) -> Result<PathBuf, StoreError> {
    let suffix = format!(".corrupt-{}", at.strftime("%Y%m%dT%H%M%SZ"));
    file::create_free_name(path, &suffix, |name| {
        fs::hard_link(path, name).or_else(|_| {
            if name.exists() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            // The file system has no hard links.
            fs::copy(path, name).map(drop)
        })
    })
}

/// The readable content of a damaged file.
#[derive(Debug, Default)]
struct SalvagedList {
    /// The newest row of each id with a valid checksum.
    intact: BTreeMap<TaskId, StoredTask>,
    /// Ids and labels of rows without a valid checksum; after
    /// [`merge_sources`](Self::merge_sources), of all tasks known by id only.
    partial: BTreeMap<TaskId, Option<CleanText>>,
    /// Time and body of raw responses, by task.
    raw: BTreeMap<String, (i64, String)>,
    /// Time, task, kind and detail of journal lines, by row id.
    journal: BTreeMap<i64, (i64, String, String, Option<String>)>,
    notify_off: BTreeSet<String>,
    task_journals: HashMap<String, TaskJournal>,
    /// The number of rows that the file stores.
    declared_rows: Option<i64>,
    /// The latest known revision of the list.
    rev: i64,
}

/// The journal lines of one task.
#[derive(Debug, Clone, Copy)]
struct TaskJournal {
    count: usize,
    last_at: i64,
    /// Whether the last line is the removal of the task.
    is_removed: bool,
}

impl SalvagedList {
    fn add_row(&mut self, cells: &RowCells<'_>) {
        if let Ok(stored) = rows::decode_row(cells) {
            let id = stored.watched.id().clone();
            let is_newer = |known: &StoredTask| known.rev < stored.rev;
            if self.intact.get(&id).is_none_or(is_newer) {
                self.intact.insert(id, stored);
            }
        } else if cells.get(REMOVED_AT_COLUMN) == Some(&ValueRef::Null)
            && let Some((id, label)) = rows::salvage_id_and_label(cells)
        {
            self.partial.entry(id).or_insert(label);
        }
    }

    /// Adds a carved journal line, which SQLite may have read too.
    fn add_journal_line(&mut self, task: &str, at: i64, kind: &str) {
        let is_removed = kind == "removed";
        match self.task_journals.get_mut(task) {
            Some(lines) if lines.last_at >= at => {}
            Some(lines) => (lines.last_at, lines.is_removed) = (at, is_removed),
            None => {
                let lines = TaskJournal {
                    count: 1,
                    last_at: at,
                    is_removed,
                };
                self.task_journals.insert(task.to_owned(), lines);
            }
        }
    }

    /// Merges all sources: later lines of the id file override a row, and a task without a row is
    /// recovered by its id.
    fn merge_sources(&mut self, log: &IdLog, at: Timestamp) {
        let newest = self.intact.values().map(|stored| stored.rev).max();
        let logged = log.entries.values().map(|entry| entry.rev).max();
        self.rev = self.rev.max(newest.unwrap_or(0)).max(logged.unwrap_or(0));

        let unproved = mem::take(&mut self.partial);
        for (id, entry) in &log.entries {
            match self.intact.get_mut(id) {
                Some(stored) if entry.rev <= stored.rev => {}
                Some(stored) if entry.is_watched => {
                    stored.removed_at = None;
                    stored.watched.label.clone_from(&entry.label);
                }
                Some(stored) => drop(stored.removed_at.get_or_insert(at)),
                None if entry.is_watched => {
                    self.partial.insert(id.clone(), entry.label.clone());
                }
                None => {}
            }
        }
        let other_ids = (self.task_journals.keys())
            .chain(self.raw.keys())
            .chain(&self.notify_off);
        let mut candidates: BTreeSet<TaskId> = unproved.keys().cloned().collect();
        candidates.extend(other_ids.filter_map(|id| TaskId::parse(id).ok()));
        // A flipped bit makes an id that never existed. If the id file is intact, an id that it
        // lacks needs two sources.
        let min_sources = if log.is_intact { 2 } else { 1 };
        for id in candidates {
            let lines = self.task_journals.get(id.as_str());
            let sources = lines.map_or(0, |lines| lines.count)
                + usize::from(self.raw.contains_key(id.as_str()))
                + usize::from(self.notify_off.contains(id.as_str()))
                + usize::from(unproved.contains_key(&id));
            let is_known = self.intact.contains_key(&id) || log.entries.contains_key(&id);
            let is_removed = lines.is_some_and(|lines| lines.is_removed);
            if !is_known && !is_removed && sources >= min_sources {
                let label = unproved.get(&id).cloned().flatten();
                self.partial.insert(id, label);
            }
        }
    }

    /// Returns the number of lost tasks by the id file, else by the stored number of rows.
    fn missing_tasks(&self, log: &IdLog) -> Option<u64> {
        if log.is_intact {
            return Some(0);
        }
        let rows = self.intact.len() + self.partial.len();
        let lost = self
            .declared_rows?
            .saturating_sub(i64::try_from(rows).ok()?);
        Some(lost.max(0).unsigned_abs())
    }
}

/// Reads as much as possible, from copies: SQLite may write to files that it opens.
fn salvage(path: &Path, new_file: &Path) -> SalvagedList {
    let mut salvaged = SalvagedList::default();
    let copy = side_files::with_suffix(new_file, ".reading");
    let copies = ["", "-wal"].map(|suffix| (suffix, side_files::with_suffix(&copy, suffix)));
    for (suffix, copy) in &copies {
        drop(fs::copy(side_files::with_suffix(path, suffix), copy));
    }
    // Errors are ignored: each source may be partly readable.
    drop(salvage_by_sql(&copy, &mut salvaged));
    for (suffix, _) in &copies {
        let bytes = fs::read(side_files::with_suffix(path, suffix)).unwrap_or_default();
        carve::carve_rows(&bytes, |cells| salvaged.add_row(cells));
        carve::carve_journal(&bytes, |task, at, kind| {
            salvaged.add_journal_line(task, at, kind);
        });
    }
    for suffix in ["", "-wal", "-shm", "-journal"] {
        drop(fs::remove_file(side_files::with_suffix(&copy, suffix)));
    }
    salvaged
}

fn salvage_by_sql(copy: &Path, salvaged: &mut SalvagedList) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(copy, flags)?;
    file::configure(&conn)?;
    if let Ok((rev, rows)) = read::read_meta(&conn) {
        salvaged.rev = rev;
        salvaged.declared_rows = Some(rows);
    }
    // An older file has fewer columns.
    let columns = if conn.prepare(&format!("SELECT {COLUMNS} FROM task")).is_ok() {
        COLUMNS.to_owned()
    } else {
        let first: Vec<_> = COLUMNS.split(", ").take(FIRST_COLUMN_COUNT).collect();
        format!(
            "{}{}",
            first.join(", "),
            ", NULL".repeat(COLUMN_COUNT - FIRST_COLUMN_COUNT)
        )
    };
    // In both directions, so that a broken page loses only its own rows.
    for order in ["ASC", "DESC"] {
        let sql = format!("SELECT {columns} FROM task ORDER BY id {order}");
        drop(for_each_row(&conn, &sql, |row| {
            salvaged.add_row(&read::row_cells(row)?);
            Ok(())
        }));
    }
    drop(for_each_row(&conn, "SELECT task FROM quiet", |row| {
        salvaged.notify_off.insert(row.get(0)?);
        Ok(())
    }));
    for order in ["ASC", "DESC"] {
        let sql = format!("SELECT task, at, body FROM raw ORDER BY rowid {order}");
        drop(for_each_row(&conn, &sql, |row| {
            salvaged.raw.insert(row.get(0)?, (row.get(1)?, row.get(2)?));
            Ok(())
        }));
        let sql = format!("SELECT seq, at, task, kind, detail FROM journal ORDER BY seq {order}");
        drop(for_each_row(&conn, &sql, |row| {
            let line = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            salvaged.journal.insert(row.get(0)?, line);
            Ok(())
        }));
    }
    // The last line of a task comes first.
    for (at, task, kind, _) in salvaged.journal.values().rev() {
        let last = TaskJournal {
            count: 0,
            last_at: *at,
            is_removed: kind == "removed",
        };
        salvaged
            .task_journals
            .entry(task.clone())
            .or_insert(last)
            .count += 1;
    }
    Ok(())
}

fn for_each_row(
    conn: &Connection,
    sql: &str,
    mut on_row: impl FnMut(&rusqlite::Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // An unreadable row is skipped.
        drop(on_row(row));
    }
    Ok(())
}

/// Writes the recovered list to a new file, and returns the number of watched tasks with an intact
/// row.
fn write_recovered(
    new_file: &Path,
    salvaged: &SalvagedList,
    at: Timestamp,
) -> Result<usize, StoreError> {
    let (mut conn, _) = file::connect(new_file)?;
    file::enable_checkpoint_on_close(&conn)?;
    conn.pragma_update(None, "page_size", 8192)?;
    schema::migrate(&mut conn, None, SchemaState::Empty)?;
    // Later than any old revision, so that every instance reloads the rows.
    let rev = salvaged.rev.saturating_add(1);

    let tx = conn.transaction()?;
    for (id, label) in &salvaged.partial {
        let task = Task::new(id.clone(), Family::default());
        let stored = StoredTask {
            watched: WatchedTask::new(task, label.clone(), rows::truncate_to_millis(at)),
            removed_at: None,
            rev,
        };
        apply::put_row(&tx, &stored)?;
    }
    for stored in salvaged.intact.values() {
        apply::put_row(&tx, stored)?;
    }
    for (task, (at, body)) in &salvaged.raw {
        tx.execute(
            "INSERT INTO raw (task, at, body) VALUES (?1, ?2, ?3)",
            (task, at, body),
        )?;
    }
    for task in &salvaged.notify_off {
        tx.execute("INSERT OR IGNORE INTO quiet (task) VALUES (?1)", [task])?;
    }
    for line in salvaged.journal.values() {
        tx.execute(
            "INSERT INTO journal (at, task, kind, detail) VALUES (?1, ?2, ?3, ?4)",
            (line.0, &line.1, &line.2, &line.3),
        )?;
    }
    let rows = salvaged.intact.len() + salvaged.partial.len();
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    tx.execute("UPDATE meta SET rev = ?1, rows = ?2", [rev, rows])?;
    tx.commit()?;
    conn.close().map_err(|(_, error)| StoreError::from(error))?;
    let watched = salvaged
        .intact
        .values()
        .filter(|row| row.removed_at.is_none());
    Ok(watched.count())
}
