//! What one run leaves to the next beside the tasks: how the list was looked at, and which removals can be undone.
//!
//! Read leniently: what a newer program wrote, or a hand, falls back to how a list is looked at first.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::domain::{
    change::StoreError,
    memory::Memory,
    query::{Lens, Order, Query},
    status::Tab,
    task::TaskId,
};

const TAB: &str = "tab";
const ORDER: &str = "order";
const FILTER: &str = "filter";
const VISITED: &str = "visited";
const NO_LOG_ON: &str = "no_log_on";

/// How many removals back an undo can go; each of them may be of many tasks.
const MOST_REMOVALS: i64 = 20;

/// Reads what the last run left.
pub(super) fn recall(conn: &Connection) -> Result<Memory, StoreError> {
    Ok(Memory {
        lens: lens(conn)?,
        removals: removals(conn)?,
        visited: visited(conn)?,
    })
}

/// Writes how the list is looked at.
pub(super) fn remember(conn: &Connection, lens: &Lens) -> Result<(), StoreError> {
    let values = [
        (TAB, lens.tab.name().to_owned()),
        (ORDER, lens.order.key()),
        (FILTER, lens.query.to_string()),
    ];
    for (name, value) in values {
        write(conn, name, &value)?;
    }
    Ok(())
}

/// Writes until when the list was looked at.
pub(super) fn note_visit(conn: &Connection, at: Timestamp) -> Result<(), StoreError> {
    write(conn, VISITED, &at.to_string())
}

/// Returns the device on which the write-ahead log was found not to work.
pub(super) fn no_log_on(conn: &Connection) -> Option<String> {
    // A file of schema version 1 has no such table.
    conn.query_row(
        "SELECT value FROM outlook WHERE name = ?1",
        [NO_LOG_ON],
        |row| row.get(0),
    )
    .ok()
}

/// Stores the device on which the write-ahead log does not work, so that later openings skip it.
pub(super) fn store_no_log(conn: &Connection, device: &str) -> Result<(), StoreError> {
    write(conn, NO_LOG_ON, device)
}

fn visited(conn: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let value: Option<String> = conn
        .prepare_cached("SELECT value FROM outlook WHERE name = ?1")?
        .query_row([VISITED], |row| row.get(0))
        .optional()?;
    Ok(value.and_then(|value| value.parse().ok()))
}

fn write(conn: &Connection, name: &str, value: &str) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO outlook (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![name, value])?;
    Ok(())
}

fn lens(conn: &Connection) -> Result<Lens, StoreError> {
    let mut read = conn.prepare_cached("SELECT name, value FROM outlook")?;
    let values: HashMap<String, String> = read
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let value = |name| values.get(name).map(String::as_str);
    Ok(Lens {
        tab: value(TAB).and_then(Tab::named).unwrap_or_default(),
        order: value(ORDER).and_then(Order::named).unwrap_or_default(),
        query: value(FILTER)
            .and_then(|text| Query::parse(text).ok())
            .unwrap_or_default(),
    })
}

/// Reads the last removals: what was removed together has the same time.
fn removals(conn: &Connection) -> Result<Vec<Vec<TaskId>>, StoreError> {
    let mut read = conn.prepare_cached(
        "SELECT id, removed_at FROM task WHERE removed_at IN
             (SELECT DISTINCT removed_at FROM task WHERE removed_at IS NOT NULL
              ORDER BY removed_at DESC LIMIT ?1)
         ORDER BY removed_at",
    )?;
    let mut found = read.query([MOST_REMOVALS])?;
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
