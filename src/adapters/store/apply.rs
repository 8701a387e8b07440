//! One change of the list inside a transaction: the row as it stands now, the domain's rule, the journal.
//!
//! The row is read afresh for each change, so what another instance learnt a moment ago counts: a final
//! state holds across instances. Knows nothing of files and of when to wait for the disk.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};

use super::{
    quiet, read,
    rows::{self, COLUMNS, Stored, WIDTH, whole},
};
use crate::domain::{
    change::{Applied, Change, StoreError},
    report::Answer,
    task::{Absorbed, Family, Task, TaskId},
    text::CleanText,
    watched::Watched,
};

/// How many lines about failing checks are kept of one task: a bad network must not fill the disk.
const MOST_CHECK_LINES: i64 = 50;

/// Is a row that was written, for telling our own writes from those of others.
#[derive(Debug)]
pub(super) struct Written {
    /// Whose row.
    pub(super) task: TaskId,
    /// The revision it had before, if there was a row.
    pub(super) before: Option<i64>,
    /// Whether the caller cannot know from the answer what the row holds now.
    pub(super) is_news: bool,
}

/// Writes changes within one transaction, all under one revision.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    tx: &'a Transaction<'a>,
    rev: i64,
    added: i64,
    written: Vec<Written>,
}

impl<'a> Writer<'a> {
    /// Returns a writer for the revision `rev`.
    pub(super) const fn new(tx: &'a Transaction<'a>, rev: i64) -> Self {
        Self {
            tx,
            rev,
            added: 0,
            written: Vec::new(),
        }
    }

    /// Notes the revision and the count of rows, and returns which rows were written.
    pub(super) fn finish(self) -> Result<Vec<Written>, StoreError> {
        if !self.written.is_empty() {
            self.tx
                .prepare_cached("UPDATE meta SET rev = ?1, rows = rows + ?2")?
                .execute([self.rev, self.added])?;
        }
        Ok(self.written)
    }

    /// Applies one change and says what became of it.
    pub(super) fn apply(&mut self, change: &Change) -> Result<Applied, StoreError> {
        let stored = read::one(self.tx, change.task())?;
        match (change, stored) {
            (
                Change::Add {
                    task,
                    family,
                    label,
                    at,
                },
                stored,
            ) => self.add(task, *family, label.as_ref(), whole(*at), stored),
            (Change::Restore { .. }, Some(stored)) if stored.removed_at.is_none() => {
                Ok(Applied::AlreadyWatched)
            }
            (Change::Restore { at, .. }, Some(stored)) => self.bring_back(stored, *at, "restored"),
            (_, None) => Ok(Applied::NotWatched),
            (_, Some(stored)) if stored.removed_at.is_some() => Ok(Applied::NotWatched),
            (Change::Remove { task, at }, Some(mut stored)) => {
                stored.removed_at = Some(whole(*at));
                self.write(stored, false)?;
                self.note(task, *at, "removed", None)?;
                Ok(Applied::Removed)
            }
            (
                Change::Observed {
                    task,
                    at,
                    observation,
                },
                Some(stored),
            ) => {
                let observation = observation.as_ref();
                let told = observation.state.name();
                let absorbed = self.learn(stored, &Ok(observation.clone()), *at, told)?;
                if absorbed != Absorbed::Ignored && !observation.raw.is_empty() {
                    self.keep_raw(task, *at, &observation.raw)?;
                }
                Ok(Applied::Noted)
            }
            (Change::CheckFailed { error, .. }, Some(stored)) => {
                self.learn(stored, &Err(error.error.clone()), error.at, "not_found")?;
                Ok(Applied::Noted)
            }
            (Change::Label { task, at, label }, Some(mut stored)) => {
                if stored.watched.label != *label {
                    stored.watched.label.clone_from(label);
                    self.write(stored, false)?;
                    let label = label.as_ref().map_or("", CleanText::original);
                    self.note(task, *at, "labelled", Some(label))?;
                }
                Ok(Applied::Noted)
            }
            (Change::Notify { task, notices, .. }, Some(stored)) => {
                quiet::set_notices(self.tx, task, *notices)?;
                // For the other instances: they read what has a new revision.
                self.write(stored, false)?;
                Ok(Applied::Noted)
            }
            (Change::Opened { task, at, url }, Some(_)) => {
                self.note(task, *at, "opened", Some(url))?;
                Ok(Applied::Noted)
            }
            (Change::SaveBegun { folder, .. }, Some(mut stored)) => {
                stored.watched.saves.begun = Some(folder.clone());
                self.write(stored, false)?;
                Ok(Applied::Noted)
            }
            (
                Change::Saved {
                    task,
                    at,
                    number,
                    path,
                },
                Some(mut stored),
            ) => {
                stored.watched.saved(*number, path.clone());
                self.write(stored, false)?;
                self.note(task, *at, "saved", Some(&path.to_string_lossy()))?;
                Ok(Applied::Noted)
            }
            (Change::NotSaved { task, at, error }, Some(mut stored)) => {
                // One line for the first failure and one for the end are enough.
                let is_known = stored.watched.saves.retry.is_some() && error.is_retried();
                stored.watched.saves.failed(error, *at);
                self.write(stored, false)?;
                if !is_known {
                    self.note(task, *at, "not_saved", Some(&error.message()))?;
                }
                Ok(Applied::Noted)
            }
            (Change::Warned { at, .. }, Some(mut stored)) => {
                stored.watched.saves.warned = Some(whole(*at));
                self.write(stored, false)?;
                Ok(Applied::Noted)
            }
        }
    }

    fn add(
        &mut self,
        task: &TaskId,
        family: Family,
        label: Option<&CleanText>,
        at: Timestamp,
        stored: Option<Stored>,
    ) -> Result<Applied, StoreError> {
        match stored {
            None => {
                let watched =
                    Watched::new(Task::new(task.clone(), family), label.cloned(), whole(at));
                let stored = Stored {
                    watched: watched.clone(),
                    removed_at: None,
                    rev: self.rev,
                };
                self.added += 1;
                self.put(&stored)?;
                self.written.push(Written {
                    task: task.clone(),
                    before: None,
                    is_news: false,
                });
                self.note(task, at, "added", None)?;
                Ok(Applied::Added(Box::new(watched)))
            }
            Some(mut stored) if stored.removed_at.is_some() => {
                if label.is_some() {
                    stored.watched.label = label.cloned();
                }
                stored.watched.added = at;
                self.bring_back(stored, at, "added")
            }
            // A name given to a task that has none is not thrown away; one it has is not replaced.
            Some(mut stored) if stored.watched.label.is_none() && label.is_some() => {
                stored.watched.label = label.cloned();
                self.write(stored, true)?;
                Ok(Applied::AlreadyWatched)
            }
            Some(_) => Ok(Applied::AlreadyWatched),
        }
    }

    fn bring_back(
        &mut self,
        mut stored: Stored,
        at: Timestamp,
        kind: &str,
    ) -> Result<Applied, StoreError> {
        stored.removed_at = None;
        let watched = stored.watched.clone();
        self.write(stored, false)?;
        self.note(watched.id(), at, kind, None)?;
        Ok(Applied::Added(Box::new(watched)))
    }

    /// Joins an answer with the row, and writes down in the journal what is worth a line.
    fn learn(
        &mut self,
        mut stored: Stored,
        answer: &Answer,
        at: Timestamp,
        told: &str,
    ) -> Result<Absorbed, StoreError> {
        let watched = &mut stored.watched;
        let task = watched.id().clone();
        let state = watched.task.state().name();
        let trouble = watched.freshness.last_error.as_ref();
        let trouble = trouble.map(|trouble| trouble.error.kind());
        let absorbed = watched.learn(answer, whole(at));
        let became = watched.task.state().name();

        match (answer, trouble) {
            (Ok(_), Some(_)) => self.note(&task, at, "recovered", None)?,
            (Err(error), trouble) if trouble != Some(error.kind()) => {
                if watched.is_no_longer_there() {
                    self.note(&task, at, "no_longer_there", None)?;
                } else {
                    self.note(&task, at, "check_failed", Some(&error.message()))?;
                }
                self.forget_check_lines(&task)?;
            }
            _ => {}
        }
        if absorbed == Absorbed::Ignored {
            if self.last_kind(&task)?.as_deref() != Some("contradicted") {
                self.note(&task, at, "contradicted", Some(told))?;
            }
        } else if became != state {
            self.note(&task, at, "became", Some(became))?;
        }
        self.write(stored, false)?;
        Ok(absorbed)
    }

    /// Writes a row that was there before.
    fn write(&mut self, mut stored: Stored, is_news: bool) -> Result<(), StoreError> {
        let before = std::mem::replace(&mut stored.rev, self.rev);
        self.put(&stored)?;
        self.written.push(Written {
            task: stored.watched.id().clone(),
            before: Some(before),
            is_news,
        });
        Ok(())
    }

    fn put(&self, stored: &Stored) -> Result<(), StoreError> {
        put(self.tx, stored)
    }

    /// Keeps the last answer as it came. The same answer again costs a look, no write.
    fn keep_raw(&self, task: &TaskId, at: Timestamp, body: &str) -> Result<(), StoreError> {
        self.tx
            .prepare_cached(
                "INSERT INTO raw (task, at, body) VALUES (?1, ?2, ?3) ON CONFLICT (task)
                 DO UPDATE SET at = excluded.at, body = excluded.body WHERE body <> excluded.body",
            )?
            .execute(params![task.as_str(), at.as_millisecond(), body])?;
        Ok(())
    }

    fn note(
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

    fn last_kind(&self, task: &TaskId) -> Result<Option<String>, StoreError> {
        let kind = self
            .tx
            .prepare_cached("SELECT kind FROM journal WHERE task = ?1 ORDER BY seq DESC LIMIT 1")?
            .query_row([task.as_str()], |row| row.get(0))
            .optional()?;
        Ok(kind)
    }

    fn forget_check_lines(&self, task: &TaskId) -> Result<(), StoreError> {
        self.tx
            .prepare_cached(
                "DELETE FROM journal WHERE task = ?1
                 AND kind IN ('check_failed', 'no_longer_there', 'recovered')
                 AND seq <= (SELECT seq FROM journal WHERE task = ?1
                     AND kind IN ('check_failed', 'no_longer_there', 'recovered')
                     ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![task.as_str(), MOST_CHECK_LINES])?;
        Ok(())
    }
}

/// Writes a row, in the place of the one there may be.
pub(super) fn put(conn: &rusqlite::Connection, stored: &Stored) -> Result<(), StoreError> {
    let marks = ["?"; WIDTH].join(", ");
    conn.prepare_cached(&format!(
        "INSERT OR REPLACE INTO task ({COLUMNS}) VALUES ({marks})"
    ))?
    .execute(params_from_iter(rows::encode(stored)))?;
    Ok(())
}
