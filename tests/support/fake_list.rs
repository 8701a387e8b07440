//! A list in memory that answers requests as the list file does.

use std::collections::HashMap;

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::State,
        update::update,
    },
    domain::{
        list_change::{
            ChangeKind, ChangeResult, ExternalChange, JournalLine, ListChange, StoreError,
        },
        saved_session::SavedSession,
        store_request::{StoreReply, StoreRequest},
        task::{Family, Task, TaskId},
        watched_task::WatchedTask,
    },
    ports::ListStore,
};

use super::{now, written};

#[derive(Debug, Default)]
pub struct FakeList {
    tasks: HashMap<TaskId, WatchedTask>,
    removed: HashMap<TaskId, WatchedTask>,
    journal: HashMap<TaskId, Vec<JournalLine>>,
}

impl FakeList {
    pub fn with(tasks: impl IntoIterator<Item = WatchedTask>) -> Self {
        let mut list = Self::default();
        list.insert_all(tasks);
        list
    }

    pub fn tasks(&self) -> impl Iterator<Item = &WatchedTask> {
        self.tasks.values()
    }

    fn insert_all(&mut self, tasks: impl IntoIterator<Item = WatchedTask>) {
        let by_id = |watched: WatchedTask| (watched.id().clone(), watched);
        self.tasks.extend(tasks.into_iter().map(by_id));
    }

    /// Follows a message to the program about the list.
    pub fn follow(&mut self, msg: &Msg) {
        let Msg::StoreAnswered {
            result: Ok(reply), ..
        } = msg
        else {
            return;
        };
        if let StoreReply::List(tasks) = reply {
            self.insert_all(tasks.clone());
        } else if let StoreReply::ExternalChanges(changes) = reply {
            for change in changes {
                match change {
                    ExternalChange::Changed(watched) => self.merge(*watched.clone()),
                    ExternalChange::Removed(id) => {
                        let removed = self.tasks.remove(id);
                        self.removed
                            .extend(removed.map(|watched| (id.clone(), watched)));
                    }
                }
            }
        }
    }

    /// Takes a row of another instance, which merged its answer with what was on the list.
    fn merge(&mut self, mut row: WatchedTask) {
        if let Some(known) = self.tasks.get(row.id()) {
            let other = std::mem::replace(&mut row.task, known.task.clone());
            row.task.merge(other.state(), other.details());
        }
        self.insert_all([row]);
    }

    pub fn write(&mut self, changes: &[ListChange]) -> Vec<ChangeResult> {
        changes.iter().map(|change| self.apply(change)).collect()
    }

    /// Writes the changes in `effects` and sends the answers to the program.
    pub fn answer_writes(&mut self, state: &mut State, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Store(StoreRequest::Write(changes)) = effect {
                let results = self.write(changes);
                update(state, written(changes.clone(), Ok(results)), now());
            }
        }
    }

    fn apply(&mut self, change: &ListChange) -> ChangeResult {
        let id = &change.task;
        if change.kind == ChangeKind::Remove {
            let Some(watched) = self.tasks.remove(id) else {
                return ChangeResult::NotWatched;
            };
            self.removed.insert(id.clone(), watched);
            return ChangeResult::Removed;
        }
        if let Some(watched) = self.tasks.get_mut(id) {
            let events = change.apply_to(watched).into_iter();
            let lines: Vec<_> = events
                .map(|event| JournalLine {
                    at: change.at,
                    event,
                })
                .collect();
            self.journal
                .entry(id.clone())
                .or_default()
                .extend(lines.clone());
            return ChangeResult::Updated {
                watched: Box::new(as_stored(watched)),
                journal: lines,
            };
        }
        let added = if let ChangeKind::Add { label, .. } = &change.kind {
            let new = Task::new(id.clone(), Family::default());
            let new = WatchedTask::new(new, label.clone(), change.at);
            Some(self.removed.remove(id).unwrap_or(new))
        } else if change.kind == ChangeKind::Restore {
            self.removed.remove(id)
        } else {
            None
        };
        let Some(added) = added else {
            return ChangeResult::NotWatched;
        };
        let stored = as_stored(&added);
        self.tasks.insert(id.clone(), added);
        ChangeResult::Added(Box::new(stored))
    }
}

impl ListStore for FakeList {
    fn handle(&mut self, request: &StoreRequest) -> Result<StoreReply, StoreError> {
        Ok(match request {
            StoreRequest::LoadList => {
                StoreReply::List(self.tasks.values().map(as_stored).collect())
            }
            StoreRequest::LoadSession => StoreReply::Session(SavedSession::default()),
            StoreRequest::Write(changes) => StoreReply::Written(self.write(changes)),
            StoreRequest::ReadExternalChanges => StoreReply::ExternalChanges(Vec::new()),
            StoreRequest::ReadJournal(task) => {
                StoreReply::Journal(self.journal.get(task).cloned().unwrap_or_default())
            }
            StoreRequest::ReadRawResponse(_) => StoreReply::RawResponse(None),
            StoreRequest::SaveSession(_)
            | StoreRequest::SaveLastSeen(_)
            | StoreRequest::RestoreListFile => StoreReply::Done,
        })
    }
}

/// Returns a task as it is read from disk: its poll state is not stored.
pub fn as_stored(watched: &WatchedTask) -> WatchedTask {
    let watched = watched.clone();
    WatchedTask {
        saved_results: watched.saved_results,
        notify: watched.notify,
        ..WatchedTask::from_stored(
            watched.task,
            watched.label,
            watched.added,
            watched.poll_history,
        )
    }
}
