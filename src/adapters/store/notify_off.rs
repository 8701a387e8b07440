//! Whose endings are not told of: in a table beside the rows of the list, for the rows' checksums
//! cover what a row has had from the first version on.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::domain::{
    list_change::StoreError,
    task::TaskId,
    watched_task::{NotifySetting, WatchedTask},
};

/// Sets each task's notices as they were stored.
pub(super) fn load_notify_settings<'a>(
    conn: &Connection,
    tasks: impl IntoIterator<Item = &'a mut WatchedTask>,
) -> Result<(), StoreError> {
    let quiet: HashSet<String> = conn
        .prepare_cached("SELECT task FROM quiet")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if quiet.is_empty() {
        return Ok(());
    }
    for watched in tasks {
        if quiet.contains(watched.id().as_str()) {
            watched.notify = NotifySetting::Off;
        }
    }
    Ok(())
}

/// Reads one task's notices.
pub(super) fn load_notify_setting(
    conn: &Connection,
    task: &TaskId,
) -> Result<NotifySetting, StoreError> {
    let is_quiet = conn
        .prepare_cached("SELECT 1 FROM quiet WHERE task = ?1")?
        .exists([task.as_str()])?;
    Ok(if is_quiet {
        NotifySetting::Off
    } else {
        NotifySetting::On
    })
}

/// Writes one task's notices.
pub(super) fn save_notify_setting(
    conn: &Connection,
    task: &TaskId,
    notices: NotifySetting,
) -> Result<(), StoreError> {
    let sql = match notices {
        NotifySetting::On => "DELETE FROM quiet WHERE task = ?1",
        NotifySetting::Off => "INSERT OR IGNORE INTO quiet (task) VALUES (?1)",
    };
    conn.prepare_cached(sql)?.execute([task.as_str()])?;
    Ok(())
}
