//! Applies one change inside a transaction: reads the row, merges the change, writes the row and
//! its journal line.
//!
//! The row is read again for each change, so a final state that another instance wrote is kept.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    read,
    rows::{self, StoredTask, truncate_to_millis},
};
use crate::domain::{
    list_change::{ChangeResult, ListChange, StoreError},
    poll_result::PollResult,
    task::{Family, Merge, Task, TaskId},
    text::CleanText,
    watched_task::WatchedTask,
};

/// The number of journal lines about failed checks per task: a bad network must not fill the disk.
const MAX_CHECK_LINES: i64 = 50;

/// A row that was written, to tell our own writes from those of other instances.
#[derive(Debug)]
pub(super) struct WrittenRow {
    pub(super) task: TaskId,
    /// `None` for a new row.
    pub(super) previous_revision: Option<i64>,
    /// Whether the result does not tell the caller what the row contains now.
    pub(super) needs_reload: bool,
}

/// A writer for the changes of one transaction, all with the same revision.
#[derive(Debug)]
pub(super) struct ChangeWriter<'a> {
    tx: &'a Transaction<'a>,
    rev: i64,
    added: i64,
    written: Vec<WrittenRow>,
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

    /// Stores the revision and the number of rows, and returns the rows that were written.
    pub(super) fn finish(self) -> Result<Vec<WrittenRow>, StoreError> {
        if !self.written.is_empty() {
            self.tx
                .prepare_cached("UPDATE meta SET rev = ?1, rows = rows + ?2")?
                .execute([self.rev, self.added])?;
        }
        Ok(self.written)
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of change")]
    pub(super) fn apply(&mut self, change: &ListChange) -> Result<ChangeResult, StoreError> {
        let stored = read::read_one(self.tx, change.task())?;
        match (change, stored) {
            (
                ListChange::Add {
                    task,
                    family,
                    label,
                    at,
                },
                stored,
            ) => self.add_task(
                task,
                *family,
                label.as_ref(),
                truncate_to_millis(*at),
                stored,
            ),
            (ListChange::Restore { .. }, Some(stored)) if stored.removed_at.is_none() => {
                Ok(ChangeResult::AlreadyWatched)
            }
            (ListChange::Restore { at, .. }, Some(stored)) => {
                self.restore_task(stored, *at, "restored")
            }
            (_, None) => Ok(ChangeResult::NotWatched),
            (_, Some(stored)) if stored.removed_at.is_some() => Ok(ChangeResult::NotWatched),
            (ListChange::Remove { task, at }, Some(mut stored)) => {
                stored.removed_at = Some(truncate_to_millis(*at));
                self.update_row(stored, false)?;
                self.add_journal_line(task, *at, "removed", None)?;
                Ok(ChangeResult::Removed)
            }
            (
                ListChange::Observed {
                    task,
                    at,
                    observation,
                },
                Some(stored),
            ) => {
                let observation = observation.as_ref();
                let state = observation.state.name();
                let merge = self.merge_answer(stored, &Ok(observation.clone()), *at, state)?;
                if merge != Merge::Ignored && !observation.raw.is_empty() {
                    self.store_raw_answer(task, *at, &observation.raw)?;
                }
                Ok(ChangeResult::Recorded)
            }
            (ListChange::CheckFailed { error, .. }, Some(stored)) => {
                self.merge_answer(stored, &Err(error.error.clone()), error.at, "not_found")?;
                Ok(ChangeResult::Recorded)
            }
            (ListChange::Label { task, at, label }, Some(mut stored)) => {
                if stored.watched.label != *label {
                    stored.watched.label.clone_from(label);
                    self.update_row(stored, false)?;
                    let label = label.as_ref().map_or("", CleanText::original);
                    self.add_journal_line(task, *at, "labelled", Some(label))?;
                }
                Ok(ChangeResult::Recorded)
            }
            (ListChange::SetNotify { task, notify, .. }, Some(stored)) => {
                rows::put_notify_setting(self.tx, task, *notify)?;
                // The new revision makes other instances reload the row.
                self.update_row(stored, false)?;
                Ok(ChangeResult::Recorded)
            }
            (ListChange::Opened { task, at, url }, Some(_)) => {
                self.add_journal_line(task, *at, "opened", Some(url))?;
                Ok(ChangeResult::Recorded)
            }
            (ListChange::SaveBegun { folder, .. }, Some(mut stored)) => {
                stored.watched.saved_results.pending_folder = Some(folder.clone());
                self.update_row(stored, false)?;
                Ok(ChangeResult::Recorded)
            }
            (
                ListChange::Saved {
                    task,
                    at,
                    number,
                    path,
                },
                Some(mut stored),
            ) => {
                stored.watched.mark_saved(*number, path.clone());
                self.update_row(stored, false)?;
                self.add_journal_line(task, *at, "saved", Some(&path.to_string_lossy()))?;
                Ok(ChangeResult::Recorded)
            }
            (ListChange::SaveFailed { task, at, error }, Some(mut stored)) => {
                // Only the first failure and the last are journaled.
                let is_repeated =
                    stored.watched.saved_results.retry.is_some() && error.is_retryable();
                stored.watched.saved_results.record_failure(error, *at);
                self.update_row(stored, false)?;
                if !is_repeated {
                    self.add_journal_line(task, *at, "not_saved", Some(&error.message()))?;
                }
                Ok(ChangeResult::Recorded)
            }
            (ListChange::ExpiryWarned { at, .. }, Some(mut stored)) => {
                stored.watched.saved_results.expiry_warned = Some(truncate_to_millis(*at));
                self.update_row(stored, false)?;
                Ok(ChangeResult::Recorded)
            }
        }
    }

    fn add_task(
        &mut self,
        task: &TaskId,
        family: Family,
        label: Option<&CleanText>,
        at: Timestamp,
        stored: Option<StoredTask>,
    ) -> Result<ChangeResult, StoreError> {
        match stored {
            None => {
                let watched = WatchedTask::new(
                    Task::new(task.clone(), family),
                    label.cloned(),
                    truncate_to_millis(at),
                );
                let stored = StoredTask {
                    watched: watched.clone(),
                    removed_at: None,
                    rev: self.rev,
                };
                self.added += 1;
                rows::put(self.tx, &stored)?;
                self.written.push(WrittenRow {
                    task: task.clone(),
                    previous_revision: None,
                    needs_reload: false,
                });
                self.add_journal_line(task, at, "added", None)?;
                Ok(ChangeResult::Added(Box::new(watched)))
            }
            Some(mut stored) if stored.removed_at.is_some() => {
                if label.is_some() {
                    stored.watched.label = label.cloned();
                }
                stored.watched.added = at;
                self.restore_task(stored, at, "added")
            }
            // A new label is set on a task without one, but does not replace another.
            Some(mut stored) if stored.watched.label.is_none() && label.is_some() => {
                stored.watched.label = label.cloned();
                self.update_row(stored, true)?;
                Ok(ChangeResult::AlreadyWatched)
            }
            Some(_) => Ok(ChangeResult::AlreadyWatched),
        }
    }

    fn restore_task(
        &mut self,
        mut stored: StoredTask,
        at: Timestamp,
        kind: &str,
    ) -> Result<ChangeResult, StoreError> {
        stored.removed_at = None;
        let watched = stored.watched.clone();
        self.update_row(stored, false)?;
        self.add_journal_line(watched.id(), at, kind, None)?;
        Ok(ChangeResult::Added(Box::new(watched)))
    }

    /// Merges an answer into the row, and adds journal lines for what changed. `reported` is the
    /// state in the answer.
    fn merge_answer(
        &mut self,
        mut stored: StoredTask,
        answer: &PollResult,
        at: Timestamp,
        reported: &str,
    ) -> Result<Merge, StoreError> {
        let watched = &mut stored.watched;
        let task = watched.id().clone();
        let old_state = watched.task.state().name();
        let last_error = watched.poll_history.last_error.as_ref();
        let last_error = last_error.map(|check| check.error.kind());
        let merge = watched.apply_answer(answer, truncate_to_millis(at));
        let new_state = watched.task.state().name();

        match (answer, last_error) {
            (Ok(_), Some(_)) => self.add_journal_line(&task, at, "recovered", None)?,
            (Err(error), last_error) if last_error != Some(error.kind()) => {
                if watched.is_no_longer_on_server() {
                    self.add_journal_line(&task, at, "no_longer_there", None)?;
                } else {
                    self.add_journal_line(&task, at, "check_failed", Some(&error.message()))?;
                }
                self.prune_check_lines(&task)?;
            }
            _ => {}
        }
        if merge == Merge::Ignored {
            if self.last_journal_kind(&task)?.as_deref() != Some("contradicted") {
                self.add_journal_line(&task, at, "contradicted", Some(reported))?;
            }
        } else if new_state != old_state {
            self.add_journal_line(&task, at, "became", Some(new_state))?;
        }
        self.update_row(stored, false)?;
        Ok(merge)
    }

    /// Writes an existing row.
    fn update_row(&mut self, mut stored: StoredTask, needs_reload: bool) -> Result<(), StoreError> {
        let previous = std::mem::replace(&mut stored.rev, self.rev);
        rows::put(self.tx, &stored)?;
        self.written.push(WrittenRow {
            task: stored.watched.id().clone(),
            previous_revision: Some(previous),
            needs_reload,
        });
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

    fn add_journal_line(
        &self,
        task: &TaskId,
        at: Timestamp,
        kind: &str,
        detail: Option<&str>,
    ) -> Result<(), StoreError> {
        self.tx
            .prepare_cached("INSERT INTO journal (at, task, kind, detail) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![at.as_millisecond(), task.as_str(), kind, detail])?;
        Ok(())
    }

    fn last_journal_kind(&self, task: &TaskId) -> Result<Option<String>, StoreError> {
        let kind = self
            .tx
            .prepare_cached("SELECT kind FROM journal WHERE task = ?1 ORDER BY seq DESC LIMIT 1")?
            .query_row([task.as_str()], |row| row.get(0))
            .optional()?;
        Ok(kind)
    }

    fn prune_check_lines(&self, task: &TaskId) -> Result<(), StoreError> {
        self.tx
            .prepare_cached(
                "DELETE FROM journal WHERE task = ?1
                 AND kind IN ('check_failed', 'no_longer_there', 'recovered')
                 AND seq <= (SELECT seq FROM journal WHERE task = ?1
                     AND kind IN ('check_failed', 'no_longer_there', 'recovered')
                     ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![task.as_str(), MAX_CHECK_LINES])?;
        Ok(())
    }
}
