//! Merges a replaced list into the list file that is now at its path.
//!
//! Tasks are matched by id. A task on either list is on the merged one, unless the new list removed
//! it after the old one added it.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    read,
    rows::{self, StoredTask},
};
use crate::domain::{
    list_change::StoreError,
    watched_task::{NotifySetting, WatchedTask},
};

/// Merges `old` into `new`, and returns the number of watched tasks that changed.
///
/// Unreadable parts of `old` are skipped: its disk may be gone.
pub(super) fn merge_lists(old: &Connection, new: &mut Connection) -> Result<usize, StoreError> {
    let tx = new.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (before, count) = read::read_meta(&tx)?;
    // The id file may belong to either list.
    let old_rev = read::read_meta(old).map_or(before, |(rev, _)| rev);
    let rev = before.max(old_rev).saturating_add(1);
    let (mut added, mut written, mut watched) = (0, 0, 0);
    for_each_readable(old, |row| {
        let known = read::read_one(&tx, row.watched.id())?;
        let is_new = known.is_none();
        let Some(mut merged) = merge_rows(row, known) else {
            return Ok(());
        };
        merged.rev = rev;
        rows::put(&tx, &merged)?;
        rows::put_notify_setting(&tx, merged.watched.id(), merged.watched.notify)?;
        written += 1;
        if is_new {
            added += 1;
            copy_history(old, &tx, &merged)?;
        }
        watched += usize::from(merged.removed_at.is_none());
        Ok(())
    })?;
    if written > 0 || old_rev > before {
        tx.execute("UPDATE meta SET rev = ?1, rows = ?2", [rev, count + added])?;
        tx.commit()?;
    }
    Ok(watched)
}

/// Calls `on_row` for every row with a valid checksum, including removed tasks, until a read fails.
fn for_each_readable(
    conn: &Connection,
    mut on_row: impl FnMut(StoredTask) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Ok(mut statement) = conn.prepare(&rows::select("")) else {
        return Ok(());
    };
    let Ok(mut found) = statement.query([]) else {
        return Ok(());
    };
    while let Ok(Some(row)) = found.next() {
        if let Ok(stored) = rows::decode(row) {
            on_row(stored)?;
        }
    }
    Ok(())
}

/// Returns the merged row, `None` if the known one is unchanged.
fn merge_rows(row: StoredTask, known: Option<StoredTask>) -> Option<StoredTask> {
    let Some(known) = known else { return Some(row) };
    let is_re_added = match (row.removed_at, known.removed_at) {
        (None, None) => false,
        (None, Some(removed)) if row.watched.added > removed => true,
        _ => return None,
    };
    let is_notify_off = [row.watched.notify, known.watched.notify].contains(&NotifySetting::Off);
    let mut merged = known.clone();
    merged.watched = merge_tasks(known.watched.clone(), row.watched);
    if is_notify_off {
        merged.watched.notify = NotifySetting::Off;
    }
    if is_re_added {
        merged.removed_at = None;
    }
    (is_re_added || merged.watched != known.watched).then_some(merged)
}

/// Merges two versions of a task: the higher-ranked state wins, else the later check.
fn merge_tasks(known: WatchedTask, other: WatchedTask) -> WatchedTask {
    let is_later = other.poll_history.last_check() > known.poll_history.last_check();
    let (earlier, mut later) = if is_later {
        (known, other)
    } else {
        (other, known)
    };
    let mut task = earlier.task.clone();
    task.merge(later.task.state(), later.task.details());
    later.task = task;
    later.saved_results.merge(&earlier.saved_results);
    later.label = later.label.or(earlier.label);
    later.added = later.added.min(earlier.added);
    later
}

/// Copies a task's journal and last response.
fn copy_history(
    old: &Connection,
    tx: &Transaction<'_>,
    row: &StoredTask,
) -> Result<(), StoreError> {
    let id = row.watched.id();
    if let Ok(Some((at, body))) = read::read_raw(old, id) {
        tx.execute(
            "INSERT OR REPLACE INTO raw (task, at, body) VALUES (?1, ?2, ?3)",
            params![id.as_str(), at.as_millisecond(), body],
        )?;
    }
    let read_lines = || -> Result<Vec<(i64, String, Option<String>)>, rusqlite::Error> {
        old.prepare_cached("SELECT at, kind, detail FROM journal WHERE task = ?1 ORDER BY seq")?
            .query_map([id.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect()
    };
    for (at, kind, detail) in read_lines().unwrap_or_default() {
        tx.execute(
            "INSERT INTO journal (at, task, kind, detail) VALUES (?1, ?2, ?3, ?4)",
            params![at, id.as_str(), kind, detail],
        )?;
    }
    Ok(())
}
