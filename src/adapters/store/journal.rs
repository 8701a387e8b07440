//! The journal of each task: reads and adds its lines.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::domain::{
    list_change::{JournalEvent, JournalLine, MAX_DETAIL_LEN, StoreError},
    task::TaskId,
    text::CleanText,
};

/// The number of lines about failed checks per task: a bad network must not fill the disk.
const MAX_CHECK_LINES: i64 = 50;

/// Reads the last lines of a task's journal, oldest first.
pub(super) fn read_lines(
    conn: &Connection,
    task: &TaskId,
    limit: usize,
) -> Result<Vec<JournalLine>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT at, kind, detail FROM journal WHERE task = ?1 ORDER BY seq DESC LIMIT ?2",
    )?;
    let mut found = statement.query(params![task.as_str(), sql_limit(limit)])?;
    let mut lines = Vec::new();
    while let Some(row) = found.next()? {
        let detail: Option<String> = row.get(2)?;
        lines.push(JournalLine {
            at: Timestamp::from_millisecond(row.get(0)?).unwrap_or(Timestamp::UNIX_EPOCH),
            event: parse_event(row.get_ref(1)?.as_str().unwrap_or_default(), detail),
        });
    }
    lines.reverse();
    Ok(lines)
}

fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Adds a line, and returns whether it did: an ignored contradiction is not repeated.
pub(super) fn add_line(
    conn: &Connection,
    task: &TaskId,
    at: Timestamp,
    event: &JournalEvent,
) -> Result<bool, StoreError> {
    let (kind, detail) = event_columns(event);
    if matches!(event, JournalEvent::ContradictionIgnored(_))
        && last_kind(conn, task)?.as_deref() == Some(kind)
    {
        return Ok(false);
    }
    conn.prepare_cached("INSERT INTO journal (at, task, kind, detail) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            at.as_millisecond(),
            task.as_str(),
            kind,
            detail.map(CleanText::original)
        ])?;
    if matches!(
        event,
        JournalEvent::CheckFailed(_) | JournalEvent::NoLongerOnServer
    ) {
        prune_check_lines(conn, task)?;
    }
    Ok(true)
}

pub(super) fn last_kind(conn: &Connection, task: &TaskId) -> Result<Option<String>, StoreError> {
    let kind = conn
        .prepare_cached("SELECT kind FROM journal WHERE task = ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([task.as_str()], |row| row.get(0))
        .optional()?;
    Ok(kind)
}

fn prune_check_lines(conn: &Connection, task: &TaskId) -> Result<(), StoreError> {
    conn.prepare_cached(
        "DELETE FROM journal WHERE task = ?1
         AND kind IN ('check_failed', 'no_longer_there', 'recovered')
         AND seq <= (SELECT seq FROM journal WHERE task = ?1
             AND kind IN ('check_failed', 'no_longer_there', 'recovered')
             ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![task.as_str(), MAX_CHECK_LINES])?;
    Ok(())
}

/// Returns kind and detail of an event as stored.
const fn event_columns(event: &JournalEvent) -> (&'static str, Option<&CleanText>) {
    match event {
        JournalEvent::Added => ("added", None),
        JournalEvent::Removed => ("removed", None),
        JournalEvent::Restored => ("restored", None),
        JournalEvent::StateChanged(state) => ("became", Some(state)),
        JournalEvent::CheckFailed(error) => ("check_failed", Some(error)),
        JournalEvent::NoLongerOnServer => ("no_longer_there", None),
        JournalEvent::Recovered => ("recovered", None),
        JournalEvent::ContradictionIgnored(state) => ("contradicted", Some(state)),
        JournalEvent::Opened(url) => ("opened", Some(url)),
        JournalEvent::Saved(path) => ("saved", Some(path)),
        JournalEvent::SaveFailed(reason) => ("not_saved", Some(reason)),
        JournalEvent::Labelled(label) => ("labelled", Some(label)),
        JournalEvent::Other(text) => ("other", Some(text)),
    }
}

fn parse_event(kind: &str, detail: Option<String>) -> JournalEvent {
    let detail = CleanText::line(&detail.unwrap_or_default(), MAX_DETAIL_LEN);
    match kind {
        "added" => JournalEvent::Added,
        "removed" => JournalEvent::Removed,
        "restored" => JournalEvent::Restored,
        "became" => JournalEvent::StateChanged(detail),
        "check_failed" => JournalEvent::CheckFailed(detail),
        "no_longer_there" => JournalEvent::NoLongerOnServer,
        "recovered" => JournalEvent::Recovered,
        "contradicted" => JournalEvent::ContradictionIgnored(detail),
        "opened" => JournalEvent::Opened(detail),
        "saved" => JournalEvent::Saved(detail),
        "not_saved" => JournalEvent::SaveFailed(detail),
        "labelled" => JournalEvent::Labelled(detail),
        other => {
            let text = format!("{other} {detail}");
            JournalEvent::Other(CleanText::line(&text, MAX_DETAIL_LEN))
        }
    }
}
