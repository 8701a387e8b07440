//! Recovery of a damaged list file: it is set aside unchanged, and its tasks are written to a new
//! file. A lost id is a lost video.
//!
//! SQLite reads each table from both ends, and once more with the first page of a new list, which
//! tells where the tables are. Rows count only with a valid checksum. Every other task is recovered
//! by its id and checked again: from the id file, and if that is not intact, also from the journal,
//! the raw responses, the tasks with notifications off and rows without a valid checksum, unless
//! its last journal line is its removal. There is a complete file at the path at every moment.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{
    Connection, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    errors,
    file::{self, FileIdentity},
    id_log::{self, IdLog},
    journal, read,
    rows::{self, RowValues, StoredTask},
    schema::{self, SchemaState, StoredTable},
    side_files,
};
use crate::domain::{
    list_change::{AccessMode, StoreError},
    task::{Family, Task, TaskId},
    text::CleanText,
    watched_task::WatchedTask,
};

/// The recovery of a damaged list file, or of tasks that it lacked. `Display` writes sentences.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// Returns the report of tasks that were restored without setting the file aside.
    pub(super) fn of_restored(tasks: usize, reason: &str) -> Self {
        Self {
            reason: reason.into(),
            partial: tasks,
            missing: Some(0),
            ..Self::default()
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
        let missing = match missing {
            Some(0) => return Ok(()),
            Some(1) => "1 is".to_owned(),
            Some(missing) => format!("{missing} are"),
            None => "Some may be".to_owned(),
        };
        write!(
            f,
            " {missing} missing; check that file before you delete it."
        )
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
    let written = write_recovered(path, &new_file, at)
        .and_then(|recovery| Ok((recovery, link_backup(path, at).map_err(still_damaged)?)));
    let (recovery, backup) = match written {
        Ok(written) => written,
        Err(error) => {
            drop(fs::remove_file(&new_file));
            return Err(error);
        }
    };
    report(&Recovery {
        backup_path: Some(backup.clone()),
        reason: CleanText::line(why, 256).as_str().to_owned(),
        ..recovery
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

/// What a damaged list tells beside the rows that can be copied.
#[derive(Debug, Default)]
struct Salvaged {
    /// Ids and labels of rows without a valid checksum.
    unproved: Vec<(TaskId, Option<CleanText>)>,
    /// The revision of the list and its number of rows.
    meta: Option<(i64, i64)>,
}

/// Writes what is known of the damaged list to a new file.
fn write_recovered(path: &Path, new_file: &Path, at: Timestamp) -> Result<Recovery, StoreError> {
    let log = id_log::read(path).unwrap_or_default().unwrap_or_default();
    let (mut conn, _) = file::connect(new_file, AccessMode::Full)?;
    file::set_checkpoint_on_close(&conn, true)?;
    conn.pragma_update(None, "page_size", schema::PAGE_SIZE)?;
    schema::migrate(&mut conn, None, SchemaState::Empty)?;
    let empty_list = fs::read(new_file).unwrap_or_default();
    let tx = conn.transaction()?;

    let mut salvaged = Salvaged::default();
    if copy_readable(path, new_file, None, &tx, &mut salvaged).is_err() {
        let first_page = empty_list.get(..schema::PAGE_SIZE as usize);
        // Errors are ignored: any part may be unreadable.
        drop(copy_readable(
            path,
            new_file,
            first_page,
            &tx,
            &mut salvaged,
        ));
    }
    apply_log(&tx, &log, at)?;
    let partial = find_partial(&tx, &log, salvaged.unproved)?;

    let count = |sql| tx.query_row(sql, [], |row| row.get::<_, i64>(0));
    let intact = count("SELECT count(*) FROM task WHERE removed_at IS NULL")?;
    let newest = count("SELECT coalesce(max(rev), 0) FROM task")?;
    let logged = log.entries.values().map(|entry| entry.rev).max();
    let (listed, declared_rows) = salvaged.meta.unzip();
    let known_revs = [Some(newest), logged, listed];
    // Later than any old revision, so that every instance reloads the rows.
    let rev = known_revs
        .into_iter()
        .flatten()
        .max()
        .unwrap_or_default()
        .saturating_add(1);
    for (id, label) in &partial {
        let task = Task::new(id.clone(), Family::default());
        let stored = StoredTask {
            watched: WatchedTask::new(task, label.clone(), rows::truncate_to_millis(at)),
            removed_at: None,
            rev,
        };
        rows::put(&tx, &stored)?;
    }
    let rows = count("SELECT count(*) FROM task")?;
    tx.execute("UPDATE meta SET rev = ?1, rows = ?2", [rev, rows])?;
    tx.commit()?;
    conn.close().map_err(|(_, error)| StoreError::from(error))?;
    Ok(Recovery {
        intact: usize::try_from(intact).unwrap_or_default(),
        partial: partial.len(),
        missing: if log.is_intact {
            Some(0)
        } else {
            declared_rows.map(|declared| declared.saturating_sub(rows).max(0).unsigned_abs())
        },
        ..Recovery::default()
    })
}

/// Copies the readable rows into the new list. Fails if a table is missing.
///
/// Reads a copy, with `first_page` in place of its own: SQLite may write to files that it opens.
fn copy_readable(
    path: &Path,
    new_file: &Path,
    first_page: Option<&[u8]>,
    new: &Connection,
    salvaged: &mut Salvaged,
) -> Result<(), StoreError> {
    let copy = side_files::with_suffix(new_file, ".reading");
    for suffix in ["", side_files::WAL_SUFFIX] {
        drop(fs::copy(
            side_files::with_suffix(path, suffix),
            side_files::with_suffix(&copy, suffix),
        ));
    }
    if let Some(page) = first_page {
        replace_first_page(&copy, page).map_err(|error| errors::io_error(&copy, &error))?;
    }
    let result = copy_tables(&copy, new, salvaged);
    drop(fs::remove_file(&copy));
    for suffix in side_files::HELPER_SUFFIXES {
        drop(fs::remove_file(side_files::with_suffix(&copy, suffix)));
    }
    result
}

fn replace_first_page(list: &Path, page: &[u8]) -> io::Result<()> {
    let list = OpenOptions::new().write(true).open(list)?;
    list.write_all_at(page, 0)?;
    // Without a stored number of pages SQLite uses the length of the file.
    list.write_all_at(&[0; 4], 28)
}

fn copy_tables(
    old_file: &Path,
    new: &Connection,
    salvaged: &mut Salvaged,
) -> Result<(), StoreError> {
    let mut old = file::open_writable(old_file)?;
    salvaged.meta = salvaged.meta.or(read::read_meta(&old).ok());
    // An older file has fewer columns.
    if let Ok(state @ SchemaState::Outdated(_)) = schema::schema_state(&old) {
        drop(schema::migrate(&mut old, None, state));
    }
    for table in schema::tables() {
        for order in ["ASC", "DESC"] {
            drop(copy_rows(&old, new, &table, order, &mut salvaged.unproved));
        }
    }
    schema::check_tables(&old)
}

/// Copies rows of a table that the new list does not have, up to an unreadable page.
fn copy_rows(
    old: &Connection,
    new: &Connection,
    table: &StoredTable,
    order: &str,
    unproved: &mut Vec<(TaskId, Option<CleanText>)>,
) -> Result<(), StoreError> {
    let StoredTable { name, key, columns } = table;
    let mut select = old.prepare(&format!(
        "SELECT {columns} FROM {name} ORDER BY {key} {order}"
    ))?;
    let count = select.column_count();
    let marks = vec!["?"; count].join(", ");
    let sql = format!("INSERT OR IGNORE INTO {name} ({columns}) VALUES ({marks})");
    let mut insert = new.prepare(&sql)?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        if *name == "task" {
            let values = RowValues::read(row)?;
            if values.decode().is_err() {
                unproved.extend(values.salvage_id_and_label());
                continue;
            }
        }
        let values = (0..count).map(|at| row.get_ref(at));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let is_unreadable =
            |value: &ValueRef<'_>| matches!(value, ValueRef::Text(_)) && value.as_str().is_err();
        if !values.iter().any(is_unreadable) {
            // A row with values of other types is refused.
            drop(insert.execute(params_from_iter(
                values.into_iter().map(ToSqlOutput::Borrowed),
            )));
        }
    }
    Ok(())
}

/// Applies the lines of the id file that are later than the row of their task.
fn apply_log(new: &Connection, log: &IdLog, at: Timestamp) -> Result<(), StoreError> {
    for (id, entry) in &log.entries {
        let stored = read::read_one(new, id)?;
        let Some(mut stored) = stored.filter(|stored| stored.rev < entry.rev) else {
            continue;
        };
        if entry.is_watched {
            stored.removed_at = None;
            stored.watched.label.clone_from(&entry.label);
        } else {
            stored.removed_at.get_or_insert(at);
        }
        rows::put(new, &stored)?;
    }
    Ok(())
}

/// Finds the ids and labels of tasks without a row.
///
/// An intact id file has every id. An id that it lacks was never added: a flipped bit made it.
fn find_partial(
    new: &Connection,
    log: &IdLog,
    unproved: Vec<(TaskId, Option<CleanText>)>,
) -> Result<BTreeMap<TaskId, Option<CleanText>>, StoreError> {
    let mut partial = BTreeMap::new();
    for (id, entry) in log.entries.iter().filter(|(_, entry)| entry.is_watched) {
        if read::read_one(new, id)?.is_none() {
            partial.insert(id.clone(), entry.label.clone());
        }
    }
    if log.is_intact {
        return Ok(partial);
    }
    let mut select = new.prepare(
        "SELECT task FROM journal UNION SELECT task FROM raw UNION SELECT task FROM quiet",
    )?;
    let other_ids: Vec<String> = select
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let other_ids = other_ids.iter().filter_map(|id| TaskId::parse(id).ok());
    for (id, label) in unproved.into_iter().chain(other_ids.map(|id| (id, None))) {
        let last_event = journal::last_kind(new, &id)?;
        let is_known = log.entries.contains_key(&id) || read::read_one(new, &id)?.is_some();
        if !is_known && last_event.as_deref() != Some("removed") {
            partial.entry(id).or_insert(label);
        }
    }
    Ok(partial)
}
