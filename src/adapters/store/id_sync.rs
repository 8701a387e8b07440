//! Keeps the id file in step with the list.
//!
//! Each function needs the list's write lock, under which nobody else writes the id file.

use std::path::Path;

use rusqlite::Transaction;

use super::{
    id_log::{self, IdLog, IdLogEntry, IdLogEvent, IdLogLines, UnconfirmedLines},
    read,
};
use crate::domain::list_change::{ChangeKind, ChangeResult, ListChange, StoreError};

/// Appends the id and label changes of a transaction to the id file, before it is committed.
pub(super) fn append_lines(
    tx: &Transaction<'_>,
    list: Option<&Path>,
    rev: i64,
    changes: &[ListChange],
    applied: &[ChangeResult],
) -> Result<Option<UnconfirmedLines>, StoreError> {
    let Some(list) = list else { return Ok(None) };
    let mut lines = IdLogLines::default();
    for (change, applied) in changes.iter().zip(applied) {
        let id = &change.task;
        match (&change.kind, applied) {
            (_, ChangeResult::Added(watched)) => {
                lines.push(rev, IdLogEvent::Add, id, watched.label.as_ref());
            }
            (_, ChangeResult::Removed) => lines.push(rev, IdLogEvent::Remove, id, None),
            (
                ChangeKind::Label(_) | ChangeKind::Add { label: Some(_), .. },
                ChangeResult::Updated { watched, .. },
            ) => lines.push(rev, IdLogEvent::Label, id, watched.label.as_ref()),
            _ => {}
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let appended = id_log::append(list, rev, &lines)?;
    if appended.is_none() {
        rewrite(tx, list)?;
    }
    Ok(appended)
}

/// Rewrites the id file from the list, and from its own lines about tasks without a row.
///
/// Needs a flushed commit: the revisions in the file must never be lost. The list is verified: a
/// damaged one would produce an incomplete file that claims to be intact.
pub(super) fn rewrite(tx: &Transaction<'_>, path: &Path) -> Result<(), StoreError> {
    let IdLog { mut entries, .. } = id_log::read(path)?.unwrap_or_default();
    entries.retain(|_, entry| entry.is_committed);
    read::for_each_row(tx, |stored| {
        let entry = IdLogEntry {
            rev: stored.rev,
            is_watched: stored.removed_at.is_none(),
            label: stored.watched.label.clone(),
            is_committed: true,
        };
        entries.insert(stored.watched.id().clone(), entry);
    })?;
    // A transaction without a change flushes nothing.
    tx.execute("UPDATE meta SET rev = rev", [])?;
    id_log::rewrite(path, &entries)
}
