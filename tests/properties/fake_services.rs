//! Plays the outside: keeps what was ordered until a step answers it, each order once.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kietop::{
    app::{
        msg::{Effect, Msg},
        state::State,
    },
    domain::{
        download::{DownloadId, DownloadRequest, TransferProgress},
        list_change::{
            ChangeResult, ExternalChange, JournalEvent, JournalLine, ListChange, StoreError,
        },
        preview::PreviewError,
        raw_response::RawResponse,
        saved_session::SavedSession,
        schedule::{LOST_AFTER, MAX_IN_FLIGHT, PollAttempt},
        task::TaskId,
        time::Now,
        watched_task::WatchedTask,
    },
    ui::{self, theme::Theme},
};

use crate::{
    steps::{TestStep, answer_for, denial_for, download_error_for, hostile_text, notes_for},
    support::{id, task},
};

#[derive(Default)]
pub(crate) struct FakeServices {
    open_polls: Vec<(TaskId, PollAttempt, Duration)>,
    finished_polls: Vec<(TaskId, PollAttempt)>,
    /// What was removed, with all that was known of it.
    removed: HashMap<TaskId, WatchedTask>,
    open_writes: Vec<Vec<ListChange>>,
    /// What else was ordered and is answered.
    open_effects: Vec<Effect>,
    finished_downloads: Vec<DownloadId>,
    /// When questions were asked.
    pub(crate) starts: Vec<Duration>,
}

impl FakeServices {
    pub(crate) fn run_effects(&mut self, effects: Vec<Effect>, state: &State, now: Now) {
        for effect in effects {
            match effect {
                Effect::Poll { task, attempt, .. } => {
                    let at = now.mono.since_start();
                    // What was not answered in all that time counts as lost: no adapter waits so
                    // long.
                    let (under_way, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open_polls)
                        .into_iter()
                        .partition(|(_, _, since)| *since + LOST_AFTER > at);
                    self.open_polls = under_way;
                    self.finished_polls
                        .extend(lost.into_iter().map(|(task, attempt, _)| (task, attempt)));
                    assert!(
                        self.open_polls.iter().all(|(other, ..)| *other != task),
                        "{task} is asked after twice at a time"
                    );
                    assert!(state.list().get(&task).is_some(), "{task} is watched");
                    self.open_polls.push((task, attempt, at));
                    assert!(
                        self.open_polls.len() <= MAX_IN_FLIGHT,
                        "{:?}",
                        self.open_polls
                    );
                    self.starts.push(at);
                }
                Effect::WriteChanges(changes) => self.open_writes.push(changes),
                effect @ (Effect::LoadSession
                | Effect::LoadList
                | Effect::RestoreListFile
                | Effect::SaveSession(_)
                | Effect::ReadJournal(_)
                | Effect::ReadRawResponse(_)
                | Effect::Open { .. }
                | Effect::ShowComparison(_)
                | Effect::RenderPreview(_)
                | Effect::Download { .. }
                | Effect::CheckFiles(_)
                | Effect::CheckLocks(_)
                | Effect::Copy(_)
                | Effect::Notify(_)
                | Effect::Suspend) => self.open_effects.push(effect),
                // Others are told; a hold of theirs comes back as `PutOff`.
                Effect::Broadcast(_)
                | Effect::StopDownload(_)
                | Effect::StopPreview(_)
                | Effect::SaveLastSeen(_)
                | Effect::Terminal(_)
                | Effect::Redraw
                | Effect::Quit => {}
            }
        }
    }

    /// Returns what a step sends, if it sends anything by now.
    pub(crate) fn message_for_step(
        &mut self,
        step: TestStep,
        state: &State,
        now: Now,
    ) -> Option<Msg> {
        Some(match step {
            TestStep::Key(chord) => Msg::Key {
                chord,
                is_repeat: false,
            },
            TestStep::HeldKey(chord) => Msg::Key {
                chord,
                is_repeat: true,
            },
            TestStep::Paste(text) => Msg::Pasted(text),
            TestStep::Resize(width, height) => Msg::Resized {
                width,
                height,
                page: ui::list_rows(width, height),
            },
            TestStep::Wait(_) => Msg::Tick,
            TestStep::Answer(kind) => {
                let (task, attempt, _) = self.finish_poll(kind)?;
                Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(answer_for(kind)),
                    notes: notes_for(kind),
                }
            }
            TestStep::PutOff(kind) => {
                let (task, attempt, asked) = self.finish_poll(kind)?;
                // It was not asked after all, so it takes nothing of the limits.
                let start = self.starts.iter().rposition(|start| *start == asked)?;
                self.starts.remove(start);
                Msg::PollDenied {
                    task,
                    attempt,
                    denied: denial_for(kind),
                }
            }
            TestStep::LateAnswer(kind) => {
                let (task, attempt) = self.finished_polls.last().cloned()?;
                Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(answer_for(kind)),
                    notes: notes_for(kind),
                }
            }
            TestStep::Disk(kind) => {
                self.finish_write((kind % 4 == 3).then_some(StoreError::Full), state)?
            }
            TestStep::Reply(kind) => self.answer_effect(kind)?,
            TestStep::Elsewhere(n, true) => {
                Msg::ExternalChanges(vec![ExternalChange::Removed(id(&format!("t{n}")))])
            }
            TestStep::Elsewhere(n, false) => Msg::ExternalChanges(vec![ExternalChange::Changed(
                Box::new(task(&format!("t{n}")).running().created("14:30").build()),
            )]),
            TestStep::Point(gesture, at) => {
                let size = (state.size().width, state.size().height);
                let spot = ui::hit_test(state, now, &Theme::monochrome(), size, at);
                Msg::Mouse {
                    action: gesture,
                    target: spot,
                }
            }
            TestStep::Focus(focus) => Msg::Focused(focus),
            TestStep::Broke(what) => Msg::ComponentPanicked(what),
            TestStep::RemoveAndUndo => return None,
        })
    }

    /// Ends one of the questions under way.
    fn finish_poll(&mut self, kind: u8) -> Option<(TaskId, PollAttempt, Duration)> {
        let at = usize::from(kind / 16) % self.open_polls.len().max(1);
        let last = self.open_polls.len().checked_sub(1)?;
        let poll = self.open_polls.swap_remove(at.min(last));
        self.finished_polls.push((poll.0.clone(), poll.1));
        Some(poll)
    }

    /// Answers the oldest write.
    pub(crate) fn finish_write(&mut self, error: Option<StoreError>, state: &State) -> Option<Msg> {
        if self.open_writes.is_empty() {
            return None;
        }
        let changes = self.open_writes.remove(0);
        let result = match error {
            Some(error) => Err(error),
            None => Ok(changes
                .iter()
                .map(|change| self.apply_change(change, state))
                .collect()),
        };
        Some(Msg::Stored { changes, result })
    }

    /// Keeps the list as the disk does: what was removed comes back with all that was known of it.
    fn apply_change(&mut self, change: &ListChange, state: &State) -> ChangeResult {
        let id = change.task();
        let is_watched = state.list().get(id).is_some();
        match change {
            ListChange::Add { .. } | ListChange::Restore { .. } if is_watched => {
                ChangeResult::AlreadyWatched
            }
            ListChange::Restore { .. } if !self.removed.contains_key(id) => {
                ChangeResult::NotWatched
            }
            ListChange::Add { .. } | ListChange::Restore { .. } => {
                let known = self.removed.remove(id);
                let WatchedTask {
                    task,
                    label,
                    added,
                    poll_history: freshness,
                    ..
                } = known.unwrap_or_else(|| task(id.as_str()).build());
                ChangeResult::Added(Box::new(WatchedTask::from_stored(
                    task, label, added, freshness,
                )))
            }
            ListChange::Remove { .. } => match state.list().get(id) {
                Some(watched) => {
                    self.removed.insert(id.clone(), watched.clone());
                    ChangeResult::Removed
                }
                None => ChangeResult::NotWatched,
            },
            ListChange::Observed { .. }
            | ListChange::CheckFailed { .. }
            | ListChange::Opened { .. }
            | ListChange::Label { .. }
            | ListChange::SetNotify { .. }
            | ListChange::SaveBegun { .. }
            | ListChange::Saved { .. }
            | ListChange::SaveFailed { .. }
            | ListChange::ExpiryWarned { .. } => ChangeResult::Recorded,
        }
    }

    /// Answers one of the other orders.
    fn answer_effect(&mut self, kind: u8) -> Option<Msg> {
        // News of a save that has ended come late.
        if kind % 16 == 15
            && let Some(attempt) = self.finished_downloads.last()
        {
            return Some(Msg::DownloadEnded {
                id: *attempt,
                result: Ok("/v/late.mp4".into()),
            });
        }
        let at = usize::from(kind / 2) % self.open_effects.len().max(1);
        if let Some(Effect::Download { id: attempt, .. }) = self.open_effects.get(at)
            && kind % 4 < 2
        {
            let progress = TransferProgress {
                bytes: u64::from(kind) << (kind % 50),
                total: (!kind.is_multiple_of(3)).then_some(u64::from(kind)),
                rate: u64::from(kind % 5),
            };
            return Some(Msg::DownloadProgressed {
                id: *attempt,
                progress,
            });
        }
        if self.open_effects.is_empty() {
            return None;
        }
        let order = self.open_effects.swap_remove(at);
        if let Effect::Download { id: attempt, .. } = &order {
            self.finished_downloads.push(*attempt);
        }
        message_for_effect(order, kind)
    }
}

/// Answers an order, well or not.
#[expect(clippy::too_many_lines, reason = "one arm for each effect")]
fn message_for_effect(order: Effect, kind: u8) -> Option<Msg> {
    let (is_good, text) = (kind.is_multiple_of(2), hostile_text(kind / 16));
    let said = || {
        if is_good {
            Ok(())
        } else {
            Err(format!("because of {text}"))
        }
    };
    Some(match order {
        Effect::LoadSession => Msg::SessionLoaded(Ok(SavedSession::default())),
        Effect::LoadList => Msg::ListLoaded(Err(StoreError::Busy)),
        Effect::SaveSession(_) => Msg::SessionSaved(Ok(())),
        Effect::RestoreListFile => Msg::ListFileRestored(said().map_err(StoreError::Other)),
        Effect::ReadJournal(task) => Msg::JournalRead {
            task,
            lines: if is_good {
                Ok(vec![JournalLine {
                    at: Timestamp::UNIX_EPOCH,
                    event: JournalEvent::Added,
                }])
            } else {
                Err(StoreError::Busy)
            },
        },
        Effect::ReadRawResponse(task) => {
            let raw = format!("{{\"a\":{kind},\"b\":[1]}}");
            let record = RawResponse::parse(Timestamp::UNIX_EPOCH, &raw);
            Msg::RawResponseRead {
                task,
                response: if is_good {
                    Ok((kind % 8 > 1).then(|| Arc::new(record)))
                } else {
                    Err(StoreError::Busy)
                },
            }
        }
        Effect::Open { task, url, file } => match file {
            Some(file) if is_good => Msg::FileOpened { task, file },
            Some(_) | None => Msg::Opened {
                task,
                url,
                result: said(),
            },
        },
        Effect::ShowComparison(comparison) => Msg::Compared {
            task: comparison.task,
            result: said(),
        },
        Effect::RenderPreview(order) => Msg::PreviewReady {
            id: order.id,
            result: if is_good {
                Ok(())
            } else if kind % 4 == 1 {
                Err(PreviewError::Stopped)
            } else {
                Err(PreviewError::Unreadable)
            },
        },
        Effect::Download {
            id: attempt,
            request: order,
        } => {
            let path = || PathBuf::from(format!("/v/{}-{}{text}.mp4", order.task, order.number));
            Msg::DownloadEnded {
                id: attempt,
                result: if is_good {
                    Ok(path())
                } else {
                    Err(download_error_for(kind))
                },
            }
        }
        Effect::CheckFiles(files) => {
            let look = |(task, path)| (task, path, is_good);
            Msg::FilesChecked(files.into_iter().map(look).collect())
        }
        Effect::CheckLocks(orders) => {
            let found = |order: DownloadRequest| (order.task, is_good);
            Msg::LocksChecked(orders.into_iter().map(found).collect())
        }
        Effect::Copy(clip) => Msg::Copied {
            name: clip.name,
            text: "x".repeat(usize::from(kind) * 400),
            result: if is_good {
                Ok(format!("program {text}"))
            } else {
                Err(format!("because of {text}"))
            },
        },
        Effect::Notify(_) => Msg::Notified(said()),
        Effect::Suspend => Msg::Resumed,
        Effect::Poll { .. }
        | Effect::Broadcast(_)
        | Effect::WriteChanges(_)
        | Effect::StopDownload(_)
        | Effect::StopPreview(_)
        | Effect::SaveLastSeen(_)
        | Effect::Terminal(_)
        | Effect::Redraw
        | Effect::Quit => return None,
    })
}
