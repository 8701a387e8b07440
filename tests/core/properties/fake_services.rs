//! Fake services for the property tests: they collect effects and answer each one once, in a later
//! step.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kietop::{
    app::{
        msg::{Effect, Msg},
        state::State,
    },
    domain::{
        download::{DownloadId, DownloadRequest, TransferProgress},
        list_change::{JournalEvent, JournalLine, ListChange, StoreError},
        preview::PreviewError,
        raw_response::RawResponse,
        response_notes::ResponseNotes,
        saved_session::SavedSession,
        schedule::{LOST_AFTER, PollAttempt},
        store_request::{StoreReply, StoreRequest},
        task::TaskId,
        time::Now,
    },
    ui::{self, theme::Theme},
};

use super::steps::{TestStep, answer_for, denial_for, download_error_for, hostile_text, notes_for};
use crate::support::{self, fake_list::FakeList, own_backoff, task};

#[derive(Default)]
pub(crate) struct FakeServices {
    /// The poll that waits for a permit, with its time.
    asking: Option<(TaskId, PollAttempt, Duration)>,
    open_polls: Vec<(TaskId, PollAttempt)>,
    finished_polls: Vec<(TaskId, PollAttempt)>,
    list: FakeList,
    open_writes: Vec<Vec<ListChange>>,
    /// All other effects that need an answer.
    open_effects: Vec<Effect>,
    finished_downloads: Vec<DownloadId>,
}

impl FakeServices {
    /// Returns services with the tasks of a program on the list.
    pub(crate) fn with_list_of(state: &State) -> Self {
        Self {
            list: FakeList::with(state.list().iter().cloned()),
            ..Self::default()
        }
    }

    pub(crate) fn run_effects(&mut self, effects: Vec<Effect>, state: &State, now: Now) {
        for effect in effects {
            match effect {
                Effect::Poll { task, attempt, .. } => {
                    let at = now.mono.since_start();
                    // A request that was not answered for that long counts as lost.
                    if let Some((_, _, since)) = self.asking {
                        assert!(since + LOST_AFTER <= at, "two polls wait for a permit");
                    }
                    assert!(
                        state.list().get(&task).is_some(),
                        "{task} is not on the list"
                    );
                    self.asking = Some((task, attempt, at));
                }
                Effect::Store(StoreRequest::Write(changes)) => self.open_writes.push(changes),
                effect @ (Effect::Store(_)
                | Effect::Open { .. }
                | Effect::ShowComparison(_)
                | Effect::RenderPreview(_)
                | Effect::Download { .. }
                | Effect::CheckFiles(_)
                | Effect::CheckLocks(_)
                | Effect::Copy(_)
                | Effect::Notify(_)
                | Effect::Suspend) => self.open_effects.push(effect),
                _ => {}
            }
        }
    }

    /// Returns the message of a step, if there is something to answer.
    pub(crate) fn message_for_step(
        &mut self,
        step: TestStep,
        state: &State,
        now: Now,
    ) -> Option<Msg> {
        Some(match step {
            TestStep::Key(chord, is_repeat) => Msg::Key { chord, is_repeat },
            TestStep::Paste(text) => Msg::Pasted(text),
            TestStep::Resize(width, height) => Msg::Resized {
                width,
                height,
                page: ui::list_rows(width, height),
            },
            TestStep::Wait(_) => Msg::Tick,
            TestStep::Answer(kind) => {
                if let Some((task, attempt, _)) = self.asking.take() {
                    self.open_polls.push((task, attempt));
                    return Some(Msg::PollStarted(attempt));
                }
                let (task, attempt) = self.finish_poll(kind)?;
                polled(task, attempt, kind)
            }
            TestStep::DenyPoll(kind) => {
                let (task, attempt, _) = self.asking.take()?;
                Msg::PollDenied {
                    task,
                    attempt,
                    denied: denial_for(kind),
                }
            }
            TestStep::LateAnswer(kind) => {
                let (task, attempt) = self.finished_polls.last().cloned()?;
                polled(task, attempt, kind)
            }
            TestStep::FinishWrite(kind) => {
                self.finish_write((kind % 4 == 3).then_some(StoreError::Full))?
            }
            TestStep::AnswerEffect(kind) => self.answer_effect(kind)?,
            TestStep::ExternalChange(n, is_removed) => {
                let name = format!("t{n}");
                let msg = if is_removed {
                    support::removed_elsewhere(&name)
                } else {
                    support::changed_elsewhere(task(&name).running().created("14:30").build())
                };
                self.list.follow(&msg);
                msg
            }
            TestStep::Mouse(action, position) => {
                let size = (state.size().width, state.size().height);
                let target = ui::hit_test(state, now, &Theme::monochrome(), size, position);
                Msg::Mouse { action, target }
            }
            TestStep::Focus(focus) => Msg::Focused(focus),
            TestStep::Panic(message) => Msg::ComponentPanicked(message),
            TestStep::RemoveAndUndo => return None,
        })
    }

    /// Ends one of the open polls.
    fn finish_poll(&mut self, kind: u8) -> Option<(TaskId, PollAttempt)> {
        let at = usize::from(kind / 16) % self.open_polls.len().max(1);
        let last = self.open_polls.len().checked_sub(1)?;
        let poll = self.open_polls.swap_remove(at.min(last));
        self.finished_polls.push(poll.clone());
        Some(poll)
    }

    /// Answers the oldest write.
    pub(crate) fn finish_write(&mut self, error: Option<StoreError>) -> Option<Msg> {
        if self.open_writes.is_empty() {
            return None;
        }
        let changes = self.open_writes.remove(0);
        let result = match error {
            Some(error) => Err(error),
            None => Ok(self.list.write(&changes)),
        };
        Some(support::written(changes, result))
    }

    /// Answers one of the other effects.
    fn answer_effect(&mut self, kind: u8) -> Option<Msg> {
        // The end of a finished download is reported again.
        if kind % 16 == 15
            && let Some(id) = self.finished_downloads.last()
        {
            return Some(Msg::DownloadEnded {
                id: *id,
                result: Ok("/v/late.mp4".into()),
            });
        }
        let at = usize::from(kind / 2) % self.open_effects.len().max(1);
        if let Some(Effect::Download { id, .. }) = self.open_effects.get(at)
            && kind % 4 < 2
        {
            let progress = TransferProgress {
                bytes: u64::from(kind) << (kind % 50),
                total: (!kind.is_multiple_of(3)).then_some(u64::from(kind)),
                rate: u64::from(kind % 5),
            };
            return Some(Msg::DownloadProgressed { id: *id, progress });
        }
        if self.open_effects.is_empty() {
            return None;
        }
        let effect = self.open_effects.swap_remove(at);
        if let Effect::Download { id, .. } = &effect {
            self.finished_downloads.push(*id);
        }
        message_for_effect(effect, kind)
    }
}

/// Answers an effect with success or an error.
fn message_for_effect(effect: Effect, kind: u8) -> Option<Msg> {
    let (is_success, text) = (kind.is_multiple_of(2), hostile_text(kind / 16));
    let result = || {
        if is_success {
            Ok(())
        } else {
            Err(format!("because of {text}"))
        }
    };
    Some(match effect {
        Effect::Store(request) => {
            let lines = vec![JournalLine {
                at: Timestamp::UNIX_EPOCH,
                event: JournalEvent::Added,
            }];
            let raw = format!("{{\"a\":{kind},\"b\":[1]}}");
            let raw = RawResponse::parse(Timestamp::UNIX_EPOCH, &raw);
            let result = match &request {
                StoreRequest::LoadSession => Ok(StoreReply::Session(SavedSession::default())),
                _ if !is_success => Err(StoreError::Busy),
                StoreRequest::ReadJournal(_) => Ok(StoreReply::Journal(lines)),
                StoreRequest::ReadRawResponse(_) => Ok(StoreReply::RawResponse(
                    (kind % 8 > 1).then(|| Arc::new(raw)),
                )),
                // The list was loaded before the first step.
                StoreRequest::LoadList => Err(StoreError::Busy),
                _ => Ok(StoreReply::Done),
            };
            support::answered(request, result)
        }
        Effect::Open { task, url, file } => Msg::Opened {
            task,
            url,
            result: result().map(|()| file),
        },
        Effect::ShowComparison(comparison) => Msg::Compared {
            task: comparison.task,
            result: result(),
        },
        Effect::RenderPreview(request) => Msg::PreviewReady {
            id: request.id,
            result: match kind % 4 {
                1 => Err(PreviewError::Stopped),
                3 => Err(PreviewError::Unreadable),
                _ => Ok(()),
            },
        },
        Effect::Download { id, request } => {
            let path =
                || PathBuf::from(format!("/v/{}-{}{text}.mp4", request.task, request.number));
            Msg::DownloadEnded {
                id,
                result: if is_success {
                    Ok(path())
                } else {
                    Err(download_error_for(kind))
                },
            }
        }
        Effect::CheckFiles(files) => {
            let checked = |(task, path)| (task, path, is_success);
            Msg::FilesChecked(files.into_iter().map(checked).collect())
        }
        Effect::CheckLocks(requests) => {
            let checked = |request: DownloadRequest| (request.task, is_success);
            Msg::LocksChecked(requests.into_iter().map(checked).collect())
        }
        Effect::Copy(payload) => Msg::Copied {
            name: payload.name,
            text: "x".repeat(usize::from(kind) * 400),
            result: result().map(|()| format!("program {text}")),
        },
        Effect::Notify(_) => Msg::Notified(result()),
        Effect::Suspend => Msg::Resumed,
        _ => return None,
    })
}

fn polled(task: TaskId, attempt: PollAttempt, kind: u8) -> Msg {
    let answer = answer_for(kind);
    Msg::Polled {
        task,
        attempt,
        notes: ResponseNotes {
            backoff: own_backoff(&answer, 1),
            ..notes_for(kind)
        },
        answer: Box::new(answer),
    }
}
