//! Tasks with notifications off.
//!
//! They are stored in a separate table, so that rows and their checksums stay unchanged.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::domain::{
    list_change::StoreError,
    task::TaskId,
    watched_task::{NotifySetting, WatchedTask},
};

pub(super) fn load_notify_settings<'a>(
    conn: &Connection,
    tasks: impl IntoIterator<Item = &'a mut WatchedTask>,
) -> Result<(), StoreError> {
    let off: HashSet<String> = conn
        .prepare_cached("SELECT task FROM quiet")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if off.is_empty() {
        return Ok(());
    }
    for watched in tasks {
        if off.contains(watched.id().as_str()) {
            watched.notify = NotifySetting::Off;
        }
    }
    Ok(())
}

pub(super) fn load_notify_setting(
    conn: &Connection,
    task: &TaskId,
) -> Result<NotifySetting, StoreError> {
    let is_off = conn
        .prepare_cached("SELECT 1 FROM quiet WHERE task = ?1")?
        .exists([task.as_str()])?;
    Ok(if is_off {
        NotifySetting::Off
    } else {
        NotifySetting::On
    })
}

pub(super) fn save_notify_setting(
    conn: &Connection,
    task: &TaskId,
    notify: NotifySetting,
) -> Result<(), StoreError> {
    let sql = match notify {
        NotifySetting::On => "DELETE FROM quiet WHERE task = ?1",
        NotifySetting::Off => "INSERT OR IGNORE INTO quiet (task) VALUES (?1)",
    };
    conn.prepare_cached(sql)?.execute([task.as_str()])?;
    Ok(())
}
