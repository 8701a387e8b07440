//! Whatever comes, in whatever order: the core holds its invariants. `PROPTEST_CASES` raises the number of cases.

mod support;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use kietop::{
    app::{
        keymap::{Key, KeyChord},
        msg::{Effect, Msg},
        state::{Screen, State},
        update::{next_wakeup, update},
    },
    domain::{
        change::{Applied, Change, Delta, StoreError},
        noticed::Noticed,
        picture::Room,
        query::View,
        report::{Answer, Observation, PollError},
        schedule::{Attempt, LOST_AFTER, MOST_IN_FLIGHT, Polling},
        status::Tab,
        task::{Delivery, Facts, FailedStage, Links, TaskId, TaskState},
        time::{Mono, Now},
        turns::{PutOff, Refusal},
        watchlist::Watched,
    },
    ui,
};
use proptest::prelude::*;
use support::{id, later, line, program, task};

#[derive(Debug, Clone)]
enum Step {
    Key(KeyChord),
    HeldKey(KeyChord),
    Paste(String),
    Resize(u16, u16),
    Wait(u64),
    Answer(u8),
    LateAnswer(u8),
    PutOff(u8),
    Disk(bool),
    Elsewhere(u8, bool),
    Measured(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let letters = prop::sample::select(
        "jkgGhl123456adurRp+-oO?qe \nV*/sSyn!:<"
            .chars()
            .collect::<Vec<_>>(),
    );
    let keys = prop::sample::select(vec![
        Key::Enter,
        Key::Esc,
        Key::Tab,
        Key::BackTab,
        Key::Up,
        Key::Down,
        Key::PageUp,
        Key::PageDown,
        Key::Backspace,
        Key::Delete,
        Key::Home,
        Key::End,
        Key::F(1),
    ]);
    prop_oneof![
        6 => letters.clone().prop_map(|c| Step::Key(KeyChord::char(c))),
        1 => letters.prop_map(|c| Step::HeldKey(KeyChord::char(c))),
        3 => keys.prop_map(|key| Step::Key(KeyChord::plain(key))),
        1 => prop::sample::select(vec!['d', 'u', 'l', 'z', 'w']).prop_map(|c| Step::Key(KeyChord::ctrl(c))),
        1 => ".{0,40}|[0-9a-f]{32}".prop_map(Step::Paste),
        1 => prop::sample::select(vec![
            "state:generating",
            "!state:ready,late",
            "t1",
            "age:<3m",
            "!t",
            "left:<14d",
            "code:>400 ",
            "took:",
        ]).prop_map(|filter| Step::Paste(filter.to_owned())),
        1 => (0_u16..130, 0_u16..40).prop_map(|(w, h)| Step::Resize(w, h)),
        4 => (0_u64..40_000).prop_map(Step::Wait),
        6 => any::<u8>().prop_map(Step::Answer),
        1 => any::<u8>().prop_map(Step::LateAnswer),
        3 => any::<u8>().prop_map(Step::PutOff),
        3 => any::<bool>().prop_map(Step::Disk),
        1 => (0_u8..8, any::<bool>()).prop_map(|(n, is_gone)| Step::Elsewhere(n, is_gone)),
        1 => (0_u16..50).prop_map(Step::Measured),
    ]
}

fn answer_of(kind: u8) -> Answer {
    let seen = |state| {
        Ok(Observation {
            state,
            facts: Facts::default(),
            raw: "{}".into(),
        })
    };
    let made = |urls: &[&str], delivery| {
        seen(TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            delivery,
        })
    };
    match kind % 16 {
        0 => made(&["https://ex.com/1.mp4"], Delivery::Done),
        1 => made(
            &["https://ex.com/1.mp4", "https://ex.com/2.mp4"],
            Delivery::CallbackFailed,
        ),
        2 => made(&[], Delivery::Done),
        3 => seen(TaskState::Failed {
            stage: FailedStage::Creation,
        }),
        4 => seen(TaskState::Unrecognised),
        5 => Err(PollError::NotFound),
        6 => Err(PollError::RateLimited {
            code: 429,
            retry_after: Some(Duration::from_secs(u64::MAX)),
        }),
        7 => Err(PollError::Offline(line("no route"))),
        8 => Err(PollError::Server {
            code: 500,
            message: line("x"),
        }),
        9 => Err(PollError::Refused {
            code: 422,
            message: line("x"),
        }),
        10 => Err(PollError::Unauthorized(401)),
        11 => Err(PollError::TimedOut),
        13 => made(&["javascript:alert(1)"], Delivery::Done),
        14 => Err(PollError::Maintenance),
        kind => seen(TaskState::Running {
            is_finishing: kind == 12,
        }),
    }
}

fn put_off_of(kind: u8) -> PutOff {
    let waits = [0, 1, 200, 999, 2000, 60_000];
    let millis = waits.get(usize::from(kind % 7)).copied();
    let why = match kind % 3 {
        0 => Refusal::Elsewhere,
        1 => Refusal::Crowded,
        _ => Refusal::Held {
            error: PollError::Maintenance,
            failures: u32::from(kind),
        },
    };
    PutOff {
        why,
        wait: millis.map_or(Duration::MAX, Duration::from_millis),
    }
}

/// Plays the outside: keeps what was ordered until a step answers it.
#[derive(Default)]
struct Outside {
    polls: Vec<(TaskId, Attempt, Duration)>,
    old: Vec<(TaskId, Attempt)>,
    disk: HashMap<TaskId, Watched>,
    writes: Vec<Vec<Change>>,
    journals: Vec<TaskId>,
    starts: Vec<Duration>,
}

impl Outside {
    fn take(&mut self, effects: Vec<Effect>, now: Now) {
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
                    self.polls.push((task, attempt, at));
                    assert!(self.polls.len() <= MOST_IN_FLIGHT, "{:?}", self.polls);
                    self.starts.push(at);
                }
                Effect::Store(changes) => self.writes.push(changes),
                Effect::ReadJournal(task) => self.journals.push(task),
                // Others are told; a hold of theirs comes back as `PutOff`.
                Effect::Recall
                | Effect::Remember(_)
                | Effect::Load
                | Effect::Tell(_)
                | Effect::Open { .. }
                | Effect::Compare(_)
                | Effect::Picture(_)
                | Effect::Save { .. }
                | Effect::StopSave(_)
                | Effect::StopPicture(_)
                | Effect::LookFor(_)
                | Effect::FindHolders(_)
                | Effect::ReadRecord(_)
                | Effect::NoteVisit(_)
                | Effect::Copy(_)
                | Effect::Ask(_)
                | Effect::Announce(_)
                | Effect::Redraw
                | Effect::Suspend
                | Effect::Quit => {}
            }
        }
    }

    fn message(&mut self, step: Step, state: &State) -> Option<Msg> {
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
                let turn = usize::from(kind / 16) % self.polls.len().max(1);
                let at = turn.min(self.polls.len().checked_sub(1)?);
                let (task, attempt, _) = self.polls.swap_remove(at);
                self.old.push((task.clone(), attempt));
                Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(answer_of(kind)),
                    noticed: Noticed::default(),
                }
            }
            Step::PutOff(kind) => {
                let turn = usize::from(kind / 16) % self.polls.len().max(1);
                let at = turn.min(self.polls.len().checked_sub(1)?);
                let (task, attempt, asked) = self.polls.swap_remove(at);
                // It was not asked after all, so it takes nothing of the limits.
                let start = self.starts.iter().rposition(|start| *start == asked)?;
                self.starts.remove(start);
                self.old.push((task.clone(), attempt));
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
                    noticed: Noticed::default(),
                }
            }
            Step::Disk(false) => {
                let task = self.journals.pop()?;
                Msg::JournalRead {
                    task,
                    lines: Err(StoreError::Busy),
                }
            }
            Step::Disk(true) => {
                let changes = if self.writes.is_empty() {
                    return None;
                } else {
                    self.writes.remove(0)
                };
                let result = if changes.len() % 3 == 2 {
                    Err(StoreError::Full)
                } else {
                    Ok(changes
                        .iter()
                        .map(|change| self.applied(change, state))
                        .collect())
                };
                Msg::Stored { changes, result }
            }
            Step::Elsewhere(n, true) => {
                Msg::ChangedElsewhere(vec![Delta::Gone(id(&format!("t{n}")))])
            }
            Step::Elsewhere(n, false) => Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(
                task(&format!("t{n}")).running().created("14:30").build(),
            ))]),
            Step::Measured(most_scroll) => Msg::Measured {
                most_scroll,
                room: (most_scroll % 2 == 0).then_some(Room {
                    width: most_scroll,
                    height: 9,
                }),
            },
        })
    }

    /// Keeps the list as the disk does: what was removed comes back with all that was known of it.
    fn applied(&mut self, change: &Change, state: &State) -> Applied {
        let id = change.task();
        match change {
            Change::Add { .. } | Change::Restore { .. } => {
                let known = self
                    .disk
                    .remove(id)
                    .or_else(|| state.list().get(id).cloned());
                let Watched {
                    task,
                    label,
                    added,
                    freshness,
                    ..
                } = known.unwrap_or_else(|| task(id.as_str()).build());
                Applied::Added(Box::new(Watched::restored(task, label, added, freshness)))
            }
            Change::Remove { .. } => {
                if let Some(watched) = state.list().get(id) {
                    self.disk.insert(id.clone(), watched.clone());
                }
                Applied::Removed
            }
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
}

fn holds(state: &State, before: &State, now: Now) {
    let ids: HashSet<_> = state.shown().iter().collect();
    assert_eq!(ids.len(), state.shown().len(), "each id once");
    if state.tab() == Tab::All && state.lens().query.is_empty() {
        assert_eq!(ids.len(), state.list().len(), "All shows all");
    }
    let mut fresh = View::default();
    fresh.look(state.lens().clone(), state.list(), now);
    assert_eq!(state.shown(), fresh.ids(), "{:?}", state.lens());
    let marked = state.marks().iter();
    assert!(marked.into_iter().all(|id| state.list().get(id).is_some()));
    let targets: HashSet<_> = state.targets().into_iter().map(Watched::id).collect();
    let is_for_marks = state.screen() == Screen::List && !state.marks().is_empty();
    assert!(!is_for_marks || targets == state.marks().iter().collect());
    if state.screen() == Screen::List {
        assert_eq!(
            state.position().is_some(),
            !state.shown().is_empty(),
            "a row is selected, if there is one"
        );
    } else {
        assert!(state.selected().is_some(), "the detail is of a task");
        let is_same = before.screen() == Screen::List
            || before.selected().map(Watched::id) == state.selected().map(Watched::id);
        assert!(is_same, "the detail stays with its task");
    }
    assert!(
        state.top() <= state.shown().len().saturating_sub(1),
        "no empty screen"
    );
    let tally = state.list().tally();
    let in_flight = state
        .list()
        .iter()
        .filter(|w| matches!(w.polling, Polling::InFlight { .. }))
        .count();
    assert_eq!(
        (tally.all, tally.in_flight),
        (state.list().len(), in_flight)
    );
    for (tab, counted) in [
        (Tab::Active, tally.active),
        (Tab::Ready, tally.ready),
        (Tab::Rescued, tally.rescued),
        (Tab::Failed, tally.failed),
    ] {
        let recount = state.list().iter().filter(|w| w.tab() == tab).count();
        assert_eq!(counted, recount, "{tab:?}");
    }
    assert!(in_flight <= MOST_IN_FLIGHT);
    assert_eq!(
        tally.all,
        tally.active + tally.ready + tally.rescued + tally.failed
    );
    for watched in before
        .list()
        .iter()
        .filter(|watched| watched.task.state().is_final())
    {
        if let Some(after) = state.list().get(watched.id()) {
            assert!(after.task.state().is_final(), "{:?}", after.task.state());
            let links = |w: &Watched| w.task.state().videos().count();
            assert!(links(watched) == 0 || links(after) > 0, "no link is lost");
        }
    }
    if let Some(at) = next_wakeup(state, now) {
        assert!(at > now.mono, "what is due was done");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(2000, |n| n.parse().unwrap()), ..ProptestConfig::default() })]

    #[test]
    fn the_core_holds_whatever_comes(
        steps in prop::collection::vec(step(), 1..80),
        behind in prop::collection::vec(step(), 0..8),
    ) {
        let tasks = (0..8).map(|n| task(&format!("t{n}")).running().created("14:30").due_in("0s"));
        let mut state = program().with_all(tasks).sized(120, 36).build();
        let mut outside = Outside::default();
        let mut waited = Duration::ZERO;
        for step in steps {
            if let Step::Wait(millis) = step {
                waited += Duration::from_millis(millis);
            }
            let now = later(waited);
            let Some(msg) = outside.message(step, &state) else { continue };
            let before = state.clone();
            let effects = update(&mut state, msg, now);
            outside.take(effects, now);
            if state.is_leaving() {
                break;
            }
            holds(&state, &before, now);
        }
        for window in outside.starts.windows(6) {
            let [first, .., last] = window else { continue };
            prop_assert!(last.saturating_sub(*first) >= Duration::from_secs(1), "{:?}", window);
        }
        let quiet = later(waited + LOST_AFTER);
        if !state.is_leaving() {
            let effects = update(&mut state, Msg::Tick, quiet);
            outside.take(effects, quiet);
            let is_old = |(since, _): (Mono, &TaskId)| since.after(LOST_AFTER) <= quiet.mono;
            prop_assert!(!state.list().in_flight().any(is_old), "every question ends");
        }
        let escape = [Key::Esc, Key::Esc].map(KeyChord::plain);
        for chord in escape.into_iter().chain([KeyChord::char('q')]) {
            update(&mut state, Msg::Key { chord, is_repeat: false }, quiet);
        }
        prop_assert!(state.is_leaving(), "three keys lead out");
        prop_assert_eq!(next_wakeup(&state, quiet), None);
        for step in behind {
            let Some(msg) = outside.message(step, &state) else { continue };
            let is_answer = matches!(msg, Msg::Polled { .. } | Msg::PutOff { .. } | Msg::Stored { .. } | Msg::ChangedElsewhere(_));
            let effects = update(&mut state, msg, quiet);
            // A second order to leave writes once more what came back unwritten.
            let may_write = is_answer || effects.contains(&Effect::Quit);
            let is_harmless = effects.iter().all(|effect| {
                matches!(effect, Effect::Quit) || (may_write && matches!(effect, Effect::Store(_)))
            });
            prop_assert!(is_harmless, "{:?} after the way out", effects);
        }
    }
}
