//! Applies one change inside a transaction: reads the row, merges the change, writes the row and
//! its journal lines.
//!
//! The row is read again for each change, so a final state that another instance wrote is kept.

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::{
    journal, read,
    rows::{self, StoredTask, truncate_to_millis},
};
use crate::domain::{
    list_change::{ChangeKind, ChangeResult, JournalEvent, JournalLine, ListChange, StoreError},
    task::{Family, Task, TaskId},
    text::CleanText,
    watched_task::WatchedTask,
};

/// A writer for the changes of one transaction, all with the same revision.
#[derive(Debug)]
pub(super) struct ChangeWriter<'a> {
    tx: &'a Transaction<'a>,
    rev: i64,
    added: i64,
    written: Vec<TaskId>,
}

impl<'a> ChangeWriter<'a> {
    pub(super) const fn new(tx: &'a Transaction<'a>, rev: i64) -> Self {
        Self {
            tx,
            rev,
            added: 0,
            written: Vec::new(),
        }
    }

    /// Stores the revision and the number of rows, and returns the tasks whose rows were written.
    pub(super) fn finish(self) -> Result<Vec<TaskId>, StoreError> {
        if !self.written.is_empty() {
            self.tx
                .prepare_cached("UPDATE meta SET rev = ?1, rows = rows + ?2")?
                .execute([self.rev, self.added])?;
        }
        Ok(self.written)
    }

    pub(super) fn apply(&mut self, change: &ListChange) -> Result<ChangeResult, StoreError> {
        let change = &ListChange {
            at: truncate_to_millis(change.at),
            ..change.clone()
        };
        let stored = read::read_one(self.tx, &change.task)?;
        let is_removed = stored.as_ref().map(|stored| stored.removed_at.is_some());
        match (&change.kind, stored, is_removed) {
            (ChangeKind::Add { family, label }, None, _) => {
                self.insert_row(change, *family, label.clone())
            }
            (ChangeKind::Add { .. } | ChangeKind::Restore, Some(stored), Some(true)) => {
                self.restore_row(change, stored)
            }
            (ChangeKind::Remove, Some(mut stored), Some(false)) => {
                stored.removed_at = Some(change.at);
                self.put_row(&mut stored)?;
                journal::add_line(self.tx, &change.task, change.at, &JournalEvent::Removed)?;
                Ok(ChangeResult::Removed)
            }
            (_, Some(stored), Some(false)) => self.update_row(change, stored),
            _ => Ok(ChangeResult::NotWatched),
        }
    }

    fn insert_row(
        &mut self,
        change: &ListChange,
        family: Family,
        label: Option<CleanText>,
    ) -> Result<ChangeResult, StoreError> {
        let task = Task::new(change.task.clone(), family);
        let watched = WatchedTask::new(task, label, change.at);
        self.added += 1;
        let mut stored = StoredTask {
            watched,
            removed_at: None,
            rev: self.rev,
        };
        self.put_row(&mut stored)?;
        journal::add_line(self.tx, &change.task, change.at, &JournalEvent::Added)?;
        Ok(ChangeResult::Added(Box::new(stored.watched)))
    }

    /// Restores a removed task; adding it again also sets its label and its time.
    fn restore_row(
        &mut self,
        change: &ListChange,
        mut stored: StoredTask,
    ) -> Result<ChangeResult, StoreError> {
        let mut event = JournalEvent::Restored;
        if let ChangeKind::Add { label, .. } = &change.kind {
            event = JournalEvent::Added;
            stored.watched.added = change.at;
            stored.watched.label = label.clone().or(stored.watched.label);
        }
        stored.removed_at = None;
        self.put_row(&mut stored)?;
        journal::add_line(self.tx, &change.task, change.at, &event)?;
        Ok(ChangeResult::Added(Box::new(stored.watched)))
    }

    fn update_row(
        &mut self,
        change: &ListChange,
        mut stored: StoredTask,
    ) -> Result<ChangeResult, StoreError> {
        let before = stored.watched.clone();
        let events = change.apply_to(&mut stored.watched);
        if stored.watched.notify != before.notify {
            rows::put_notify_setting(self.tx, &change.task, stored.watched.notify)?;
        }
        if stored.watched != before {
            self.put_row(&mut stored)?;
        }
        let is_ignored =
            |event: &JournalEvent| matches!(event, JournalEvent::ContradictionIgnored(_));
        if let Some(observation) = change.observation()
            && !observation.raw.is_empty()
            && !events.iter().any(is_ignored)
        {
            self.store_raw_answer(&change.task, change.at, &observation.raw)?;
        }
        let mut lines = Vec::new();
        for event in events {
            if journal::add_line(self.tx, &change.task, change.at, &event)? {
                lines.push(JournalLine {
                    at: change.at,
                    event,
                });
            }
        }
        Ok(ChangeResult::Updated {
            watched: Box::new(stored.watched),
            journal: lines,
        })
    }

    fn put_row(&mut self, stored: &mut StoredTask) -> Result<(), StoreError> {
        stored.rev = self.rev;
        rows::put(self.tx, stored)?;
        self.written.push(stored.watched.id().clone());
        Ok(())
    }

    /// Stores the last response unchanged. A repeated response costs a read, no write.
    fn store_raw_answer(&self, task: &TaskId, at: Timestamp, body: &str) -> Result<(), StoreError> {
        self.tx
            .prepare_cached(
                "INSERT INTO raw (task, at, body) VALUES (?1, ?2, ?3) ON CONFLICT (task)
                 DO UPDATE SET at = excluded.at, body = excluded.body WHERE body <> excluded.body",
            )?
            .execute(params![task.as_str(), at.as_millisecond(), body])?;
        Ok(())
    }
}
