//! Whose endings are not told of: in a table beside the rows of the list, for the rows' checksums cover what a row has
//! had from the first version on.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::domain::{
    change::StoreError,
    task::TaskId,
    watched::{Notices, Watched},
};

/// Sets each task's notices as they were stored.
pub(super) fn fill_notices<'a>(
    conn: &Connection,
    tasks: impl IntoIterator<Item = &'a mut Watched>,
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
            watched.notices = Notices::Off;
        }
    }
    Ok(())
}

/// Reads one task's notices.
pub(super) fn notices(conn: &Connection, task: &TaskId) -> Result<Notices, StoreError> {
    let is_quiet = conn
        .prepare_cached("SELECT 1 FROM quiet WHERE task = ?1")?
        .exists([task.as_str()])?;
    Ok(if is_quiet { Notices::Off } else { Notices::On })
}

/// Writes one task's notices.
pub(super) fn set_notices(
    conn: &Connection,
    task: &TaskId,
    notices: Notices,
) -> Result<(), StoreError> {
    let sql = match notices {
        Notices::On => "DELETE FROM quiet WHERE task = ?1",
        Notices::Off => "INSERT OR IGNORE INTO quiet (task) VALUES (?1)",
    };
    conn.prepare_cached(sql)?.execute([task.as_str()])?;
    Ok(())
}
