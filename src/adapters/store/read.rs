//! Read-only queries on the list file. Rows that do not verify are reported as damage.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::rows::{self, StoredTask};
use crate::domain::{list_change::StoreError, task::TaskId, watched_task::WatchedTask};

/// The minimum length of an id prefix, in characters.
pub const MIN_PREFIX_LEN: usize = 4;

/// Reads the list's revision and its number of rows.
pub(super) fn read_meta(conn: &Connection) -> Result<(i64, i64), StoreError> {
    let meta = conn
        .prepare_cached("SELECT rev, rows FROM meta")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(meta)
}

/// Reads SQLite's `data_version`, which changes with every commit of another connection.
pub(super) fn read_data_version(conn: &Connection) -> Result<i64, StoreError> {
    let version = conn
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))?;
    Ok(version)
}

/// Reads the list's revision and every watched task.
pub(super) fn read_all(conn: &Connection) -> Result<(i64, Vec<WatchedTask>), StoreError> {
    let mut all = Vec::new();
    let rev = for_each_row(conn, |stored| {
        if stored.removed_at.is_none() {
            all.push(stored.watched);
        }
    })?;
    Ok((rev, all))
}

/// Calls `on_row` for every row, including removed tasks, and returns the list's revision. Verifies
/// each checksum and revision, the order and the number of rows.
pub(super) fn for_each_row(
    conn: &Connection,
    mut on_row: impl FnMut(StoredTask),
) -> Result<i64, StoreError> {
    let damaged = |why: &str| Err(StoreError::Damaged(why.into()));
    let (newest_rev, count) = read_meta(conn)?;
    let mut count_seen = 0_i64;
    let mut last = None;
    let mut statement = conn.prepare_cached(&rows::select(""))?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let stored = rows::decode(row)?;
        count_seen += 1;
        let id = Some(stored.watched.id().clone());
        if id <= last {
            return damaged("rows out of order");
        }
        last = id;
        if stored.rev > newest_rev {
            return damaged("a row is newer than the list");
        }
        on_row(stored);
    }
    if count_seen != count {
        return damaged(&format!("{count_seen} rows instead of {count}"));
    }
    Ok(newest_rev)
}

/// Returns the revision of the list and all ids, each with whether it is watched. Reads an index of
/// ids, no rows.
pub(super) fn read_ids(conn: &Connection) -> Result<(i64, HashMap<TaskId, bool>), StoreError> {
    let tx = conn.unchecked_transaction()?;
    let (rev, _) = read_meta(&tx)?;
    let mut ids = HashMap::new();
    for (sql, is_watched) in [
        ("SELECT id FROM task", true),
        ("SELECT id FROM task WHERE removed_at IS NOT NULL", false),
    ] {
        let mut statement = tx.prepare(sql)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let id = row.get_ref(0)?.as_str().unwrap_or_default();
            // An invalid id is reported when its row is read.
            if let Ok(id) = TaskId::parse(id) {
                ids.insert(id, is_watched);
            }
        }
    }
    Ok((rev, ids))
}

/// Finds the watched task with this exact id, else all whose ids start with `prefix`.
pub(super) fn resolve_prefix(conn: &Connection, prefix: &str) -> Result<Vec<TaskId>, StoreError> {
    let prefix = prefix.trim();
    // A range uses the order of the table; `LIKE` would treat `%` and `_` as wildcards.
    let mut statement = conn.prepare_cached(
        "SELECT id FROM task WHERE id >= ?1 AND id < ?1 || char(1114111)
         AND removed_at IS NULL ORDER BY id",
    )?;
    let mut found: Vec<String> = statement
        .query_map([prefix], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if found.iter().any(|id| id == prefix) {
        found.retain(|id| id == prefix);
    } else if prefix.chars().count() < MIN_PREFIX_LEN {
        found.clear();
    }
    let ids = found.iter().filter_map(|id| TaskId::parse(id).ok());
    Ok(ids.collect())
}

/// Finds a watched task whose id is this one in all lower or all upper case.
pub(super) fn find_case_variant(
    conn: &Connection,
    task: &TaskId,
) -> Result<Option<TaskId>, StoreError> {
    let id = task.as_str();
    let spellings = (id.to_ascii_lowercase(), id.to_ascii_uppercase(), id);
    let found: Option<String> = conn
        .prepare_cached(
            "SELECT id FROM task WHERE id IN (?1, ?2) AND id <> ?3 AND removed_at IS NULL",
        )?
        .query_row(spellings, |row| row.get(0))
        .optional()?;
    Ok(found.and_then(|id| TaskId::parse(&id).ok()))
}

/// Reads the last usable response about a task, unchanged, and the time it was first received.
pub(super) fn read_raw(
    conn: &Connection,
    task: &TaskId,
) -> Result<Option<(Timestamp, String)>, StoreError> {
    let found: Option<(i64, String)> = conn
        .prepare_cached("SELECT at, body FROM raw WHERE task = ?1")?
        .query_row([task.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(at, body)| {
        let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        (at, body)
    }))
}

/// Reads the row of a task, which may be removed.
pub(super) fn read_one(conn: &Connection, task: &TaskId) -> Result<Option<StoredTask>, StoreError> {
    Ok(rows::query(conn, "WHERE id = ?1", [task.as_str()])?.pop())
}
