//! The saved session: the view of the list, the time it was last seen, and the removals that can be
//! undone.
//!
//! Invalid or unknown values are replaced by the defaults.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::domain::{
    list_change::StoreError,
    query::{ListView, Query, SortOrder},
    saved_session::SavedSession,
    status::Tab,
    task::TaskId,
};

const TAB_KEY: &str = "tab";
const SORT_ORDER_KEY: &str = "order";
const FILTER_KEY: &str = "filter";
const LAST_SEEN_KEY: &str = "visited";
const NO_WAL_DEVICE_KEY: &str = "no_log_on";

/// The number of removals that can be undone; each may have many tasks.
const MAX_REMOVALS: i64 = 20;

pub(super) fn load_session(conn: &Connection) -> Result<SavedSession, StoreError> {
    let mut read = conn.prepare_cached("SELECT name, value FROM outlook")?;
    let values: HashMap<String, String> = read
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let value = |name| values.get(name).map_or("", String::as_str);
    Ok(SavedSession {
        list_view: ListView {
            tab: Tab::from_key(value(TAB_KEY)).unwrap_or_default(),
            order: SortOrder::from_key(value(SORT_ORDER_KEY)).unwrap_or_default(),
            query: Query::parse(value(FILTER_KEY)).unwrap_or_default(),
        },
        removals: load_removals(conn)?,
        last_seen: value(LAST_SEEN_KEY).parse().ok(),
    })
}

pub(super) fn save_list_view(conn: &Connection, list_view: &ListView) -> Result<(), StoreError> {
    let values = [
        (TAB_KEY, list_view.tab.key().to_owned()),
        (SORT_ORDER_KEY, list_view.order.key()),
        (FILTER_KEY, list_view.query.to_string()),
    ];
    for (name, value) in values {
        write_value(conn, name, &value)?;
    }
    Ok(())
}

pub(super) fn save_last_seen(conn: &Connection, at: Timestamp) -> Result<(), StoreError> {
    write_value(conn, LAST_SEEN_KEY, &at.to_string())
}

/// Returns the device on which the write-ahead log did not work.
pub(super) fn device_without_wal(conn: &Connection) -> Option<String> {
    // Schema version 1 does not have the table.
    conn.query_row(
        "SELECT value FROM outlook WHERE name = ?1",
        [NO_WAL_DEVICE_KEY],
        |row| row.get(0),
    )
    .ok()
}

/// Stores the device on which the write-ahead log does not work, so that later openings do not try
/// it.
pub(super) fn save_device_without_wal(conn: &Connection, device: &str) -> Result<(), StoreError> {
    write_value(conn, NO_WAL_DEVICE_KEY, device)
}

fn write_value(conn: &Connection, name: &str, value: &str) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO outlook (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![name, value])?;
    Ok(())
}

/// Reads the last removals. Tasks that were removed together have the same time.
fn load_removals(conn: &Connection) -> Result<Vec<Vec<TaskId>>, StoreError> {
    let mut read = conn.prepare_cached(
        "SELECT id, removed_at FROM task WHERE removed_at IN
             (SELECT DISTINCT removed_at FROM task WHERE removed_at IS NOT NULL
              ORDER BY removed_at DESC LIMIT ?1)
         ORDER BY removed_at",
    )?;
    let mut found = read.query([MAX_REMOVALS])?;
    let mut removals: Vec<Vec<TaskId>> = Vec::new();
    let mut last = None;
    while let Some(row) = found.next()? {
        let (id, at): (String, i64) = (row.get(0)?, row.get(1)?);
        let Ok(id) = TaskId::parse(&id) else { continue };
        match removals.last_mut() {
            Some(batch) if last == Some(at) => batch.push(id),
            _ => removals.push(vec![id]),
        }
        last = Some(at);
    }
    Ok(removals)
}
