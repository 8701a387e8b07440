//! Plays the outside: keeps what was ordered until a step answers it, each order once.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kietop::{
    app::{
        msg::{Effect, Msg},
        state::State,
    },
    domain::{
        change::{Applied, Change, Delta, JournalEvent, JournalLine, StoreError},
        memory::Memory,
        picture::PictureError,
        record::Record,
        save::{Progress, SaveAttempt, SaveOrder},
        schedule::{Attempt, LOST_AFTER, MOST_IN_FLIGHT},
        task::TaskId,
        time::Now,
        watched::Watched,
    },
    ui::{self, theme::Theme},
};

use crate::{
    steps::{Step, answer_of, hostile, noticed_of, put_off_of, save_error_of},
    support::{id, task},
};

#[derive(Default)]
pub(crate) struct Outside {
    polls: Vec<(TaskId, Attempt, Duration)>,
    old: Vec<(TaskId, Attempt)>,
    /// What was removed, with all that was known of it.
    removed: HashMap<TaskId, Watched>,
    writes: Vec<Vec<Change>>,
    /// What else was ordered and is answered.
    orders: Vec<Effect>,
    ended_saves: Vec<SaveAttempt>,
    /// When questions were asked.
    pub(crate) starts: Vec<Duration>,
}

impl Outside {
    pub(crate) fn take(&mut self, effects: Vec<Effect>, state: &State, now: Now) {
        for effect in effects {
            match effect {
                Effect::Poll { task, attempt, .. } => {
                    let at = now.mono.since_start();
                    // What was not answered in all that time counts as lost: no adapter waits so long.
                    let (under_way, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut self.polls)
                        .into_iter()
                        .partition(|(_, _, since)| *since + LOST_AFTER > at);
                    self.polls = under_way;
                    self.old
                        .extend(lost.into_iter().map(|(task, attempt, _)| (task, attempt)));
                    assert!(
                        self.polls.iter().all(|(other, ..)| *other != task),
                        "{task} is asked after twice at a time"
                    );
                    assert!(state.list().get(&task).is_some(), "{task} is watched");
                    self.polls.push((task, attempt, at));
                    assert!(self.polls.len() <= MOST_IN_FLIGHT, "{:?}", self.polls);
                    self.starts.push(at);
                }
                Effect::Store(changes) => self.writes.push(changes),
                effect @ (Effect::Recall
                | Effect::Load
                | Effect::WriteBack
                | Effect::Remember(_)
                | Effect::ReadJournal(_)
                | Effect::ReadRecord(_)
                | Effect::Open { .. }
                | Effect::Compare(_)
                | Effect::Picture(_)
                | Effect::Save { .. }
                | Effect::LookFor(_)
                | Effect::FindHolders(_)
                | Effect::Copy(_)
                | Effect::Announce(_)
                | Effect::Suspend) => self.orders.push(effect),
                // Others are told; a hold of theirs comes back as `PutOff`.
                Effect::Tell(_)
                | Effect::StopSave(_)
                | Effect::StopPicture(_)
                | Effect::NoteVisit(_)
                | Effect::Ask(_)
                | Effect::Redraw
                | Effect::Quit => {}
            }
        }
    }

    /// Returns what a step sends, if it sends anything by now.
    pub(crate) fn message(&mut self, step: Step, state: &State, now: Now) -> Option<Msg> {
        Some(match step {
            Step::Key(chord) => Msg::Key {
                chord,
                is_repeat: false,
            },
            Step::HeldKey(chord) => Msg::Key {
                chord,
                is_repeat: true,
            },
            Step::Paste(text) => Msg::Pasted(text),
            Step::Resize(width, height) => Msg::Resized {
                width,
                height,
                page: ui::page_rows(width, height),
            },
            Step::Wait(_) => Msg::Tick,
            Step::Answer(kind) => {
                let (task, attempt, _) = self.poll(kind)?;
                Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(answer_of(kind)),
                    noticed: noticed_of(kind),
                }
            }
            Step::PutOff(kind) => {
                let (task, attempt, asked) = self.poll(kind)?;
                // It was not asked after all, so it takes nothing of the limits.
                let start = self.starts.iter().rposition(|start| *start == asked)?;
                self.starts.remove(start);
                Msg::PutOff {
                    task,
                    attempt,
                    put_off: put_off_of(kind),
                }
            }
            Step::LateAnswer(kind) => {
                let (task, attempt) = self.old.last().cloned()?;
                Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(answer_of(kind)),
                    noticed: noticed_of(kind),
                }
            }
            Step::Disk(kind) => self.write((kind % 4 == 3).then_some(StoreError::Full), state)?,
            Step::Reply(kind) => self.reply(kind)?,
            Step::Elsewhere(n, true) => {
                Msg::ChangedElsewhere(vec![Delta::Gone(id(&format!("t{n}")))])
            }
            Step::Elsewhere(n, false) => Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(
                task(&format!("t{n}")).running().created("14:30").build(),
            ))]),
            Step::Point(gesture, at) => {
                let size = (state.size().width, state.size().height);
                let spot = ui::spot(state, now, &Theme::monochrome(), size, at);
                Msg::Pointed { gesture, spot }
            }
            Step::Focus(focus) => Msg::Focused(focus),
            Step::Broke(what) => Msg::Broke(what),
            Step::RemoveAndUndo => return None,
        })
    }

    /// Ends one of the questions under way.
    fn poll(&mut self, kind: u8) -> Option<(TaskId, Attempt, Duration)> {
        let at = usize::from(kind / 16) % self.polls.len().max(1);
        let last = self.polls.len().checked_sub(1)?;
        let poll = self.polls.swap_remove(at.min(last));
        self.old.push((poll.0.clone(), poll.1));
        Some(poll)
    }

    /// Answers the oldest write.
    pub(crate) fn write(&mut self, error: Option<StoreError>, state: &State) -> Option<Msg> {
        if self.writes.is_empty() {
            return None;
        }
        let changes = self.writes.remove(0);
        let result = match error {
            Some(error) => Err(error),
            None => Ok(changes
                .iter()
                .map(|change| self.applied(change, state))
                .collect()),
        };
        Some(Msg::Stored { changes, result })
    }

    /// Keeps the list as the disk does: what was removed comes back with all that was known of it.
    fn applied(&mut self, change: &Change, state: &State) -> Applied {
        let id = change.task();
        let is_watched = state.list().get(id).is_some();
        match change {
            Change::Add { .. } | Change::Restore { .. } if is_watched => Applied::AlreadyWatched,
            Change::Restore { .. } if !self.removed.contains_key(id) => Applied::NotWatched,
            Change::Add { .. } | Change::Restore { .. } => {
                let known = self.removed.remove(id);
                let Watched {
                    task,
                    label,
                    added,
                    freshness,
                    ..
                } = known.unwrap_or_else(|| task(id.as_str()).build());
                Applied::Added(Box::new(Watched::restored(task, label, added, freshness)))
            }
            Change::Remove { .. } => match state.list().get(id) {
                Some(watched) => {
                    self.removed.insert(id.clone(), watched.clone());
                    Applied::Removed
                }
                None => Applied::NotWatched,
            },
            Change::Observed { .. }
            | Change::CheckFailed { .. }
            | Change::Opened { .. }
            | Change::Label { .. }
            | Change::Notify { .. }
            | Change::SaveBegun { .. }
            | Change::Saved { .. }
            | Change::NotSaved { .. }
            | Change::Warned { .. } => Applied::Noted,
        }
    }

    /// Answers one of the other orders.
    fn reply(&mut self, kind: u8) -> Option<Msg> {
        // News of a save that has ended come late.
        if kind % 16 == 15
            && let Some(attempt) = self.ended_saves.last()
        {
            return Some(Msg::SaveEnded {
                attempt: *attempt,
                result: Ok("/v/late.mp4".into()),
            });
        }
        let at = usize::from(kind / 2) % self.orders.len().max(1);
        if let Some(Effect::Save { attempt, .. }) = self.orders.get(at)
            && kind % 4 < 2
        {
            let progress = Progress {
                bytes: u64::from(kind) << (kind % 50),
                total: (!kind.is_multiple_of(3)).then_some(u64::from(kind)),
                rate: u64::from(kind % 5),
            };
            return Some(Msg::SaveProgressed {
                attempt: *attempt,
                progress,
            });
        }
        if self.orders.is_empty() {
            return None;
        }
        let order = self.orders.swap_remove(at);
        if let Effect::Save { attempt, .. } = &order {
            self.ended_saves.push(*attempt);
        }
        answer_to(order, kind)
    }
}

/// Answers an order, well or not.
fn answer_to(order: Effect, kind: u8) -> Option<Msg> {
    let (is_good, text) = (kind.is_multiple_of(2), hostile(kind / 16));
    let said = || {
        if is_good {
            Ok(())
        } else {
            Err(format!("because of {text}"))
        }
    };
    Some(match order {
        Effect::Recall => Msg::Recalled(Ok(Memory::default())),
        Effect::Load => Msg::Loaded(Err(StoreError::Busy)),
        Effect::Remember(_) => Msg::Remembered(Ok(())),
        Effect::WriteBack => Msg::WrittenBack(said().map_err(StoreError::Other)),
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
        Effect::ReadRecord(task) => {
            let raw = format!("{{\"a\":{kind},\"b\":[1]}}");
            let record = Record::read(Timestamp::UNIX_EPOCH, &raw);
            Msg::RecordRead {
                task,
                record: if is_good {
                    Ok((kind % 8 > 1).then(|| Arc::new(record)))
                } else {
                    Err(StoreError::Busy)
                },
            }
        }
        Effect::Open { task, url, file } => match file {
            Some(file) if is_good => Msg::OpenedFile { task, file },
            Some(_) | None => Msg::Opened {
                task,
                url,
                result: said(),
            },
        },
        Effect::Compare(comparison) => Msg::Compared {
            task: comparison.task,
            result: said(),
        },
        Effect::Picture(order) => Msg::Pictured {
            number: order.number,
            result: if is_good {
                Ok(())
            } else if kind % 4 == 1 {
                Err(PictureError::Stopped)
            } else {
                Err(PictureError::Refused)
            },
        },
        Effect::Save { attempt, order } => {
            let path = || PathBuf::from(format!("/v/{}-{}{text}.mp4", order.task, order.number));
            Msg::SaveEnded {
                attempt,
                result: if is_good {
                    Ok(path())
                } else {
                    Err(save_error_of(kind))
                },
            }
        }
        Effect::LookFor(files) => {
            let look = |(task, path)| (task, path, is_good);
            Msg::LookedFor(files.into_iter().map(look).collect())
        }
        Effect::FindHolders(orders) => {
            let found = |order: SaveOrder| (order.task, is_good);
            Msg::HoldersFound(orders.into_iter().map(found).collect())
        }
        Effect::Copy(clip) => Msg::Copied {
            what: clip.what,
            text: "x".repeat(usize::from(kind) * 400),
            result: if is_good {
                Ok(format!("program {text}"))
            } else {
                Err(format!("because of {text}"))
            },
        },
        Effect::Announce(_) => Msg::Announced(said()),
        Effect::Suspend => Msg::Resumed,
        Effect::Poll { .. }
        | Effect::Tell(_)
        | Effect::Store(_)
        | Effect::StopSave(_)
        | Effect::StopPicture(_)
        | Effect::NoteVisit(_)
        | Effect::Ask(_)
        | Effect::Redraw
        | Effect::Quit => return None,
    })
}
