//! Whatever comes, in whatever order: the core holds its invariants. `PROPTEST_CASES` raises the number of cases.

mod support;

use std::{collections::HashSet, time::Duration};

use kietop::{
    app::{
        keymap::{Key, KeyChord},
        msg::{Effect, Msg},
        state::State,
        update::{next_wakeup, update},
    },
    domain::{
        change::{Applied, Change, Delta, StoreError},
        report::{Answer, Observation, PollError},
        schedule::{Attempt, MOST_IN_FLIGHT, Polling},
        status::Tab,
        task::{Delivery, Facts, FailedStage, Links, TaskId, TaskState},
        time::Now,
    },
    ui,
};
use proptest::prelude::*;
use support::{id, later, line, program, task};

#[derive(Debug, Clone)]
enum Step {
    Key(KeyChord),
    Paste(String),
    Resize(u16, u16),
    Wait(u64),
    Answer(u8),
    LateAnswer(u8),
    Disk(bool),
    Elsewhere(u8, bool),
    Measured(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let letters = prop::sample::select("jkgGhl123456adurRp+-oO?qe \n".chars().collect::<Vec<_>>());
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
        6 => letters.prop_map(|c| Step::Key(KeyChord::char(c))),
        3 => keys.prop_map(|key| Step::Key(KeyChord::plain(key))),
        1 => prop::sample::select(vec!['d', 'u', 'l', 'z', 'w']).prop_map(|c| Step::Key(KeyChord::ctrl(c))),
        1 => ".{0,40}|[0-9a-f]{32}".prop_map(Step::Paste),
        1 => (0_u16..130, 0_u16..40).prop_map(|(w, h)| Step::Resize(w, h)),
        4 => (0_u64..40_000).prop_map(Step::Wait),
        6 => any::<u8>().prop_map(Step::Answer),
        1 => any::<u8>().prop_map(Step::LateAnswer),
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
    match kind % 14 {
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
        kind => seen(TaskState::Running {
            is_finishing: kind == 12,
        }),
    }
}

/// Plays the outside: keeps what was ordered until a step answers it.
#[derive(Default)]
struct Outside {
    polls: Vec<(TaskId, Attempt)>,
    old: Vec<(TaskId, Attempt)>,
    writes: Vec<Vec<Change>>,
    journals: Vec<TaskId>,
    starts: Vec<Duration>,
}

impl Outside {
    fn take(&mut self, effects: Vec<Effect>, now: Now) {
        for effect in effects {
            match effect {
                Effect::Poll { task, attempt, .. } => {
                    self.polls.push((task, attempt));
                    self.starts.push(now.mono.since_start());
                }
                Effect::Store(changes) => self.writes.push(changes),
                Effect::ReadJournal(task) => self.journals.push(task),
                Effect::Load
                | Effect::Open { .. }
                | Effect::Redraw
                | Effect::Suspend
                | Effect::Quit => {}
            }
        }
    }

    fn message(&mut self, step: Step) -> Option<Msg> {
        Some(match step {
            Step::Key(chord) => Msg::Key {
                chord,
                is_repeat: false,
            },
            Step::Paste(text) => Msg::Pasted(text),
            Step::Resize(width, height) => Msg::Resized {
                width,
                height,
                page: ui::page_rows(width, height),
            },
            Step::Wait(_) => Msg::Tick,
            Step::Answer(kind) => {
                let (task, attempt) = self.polls.pop()?;
                self.old.push((task.clone(), attempt));
                Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(answer_of(kind)),
                }
            }
            Step::LateAnswer(kind) => {
                let (task, attempt) = self.old.last().cloned()?;
                Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(answer_of(kind)),
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
                    Ok(changes.iter().map(applied).collect())
                };
                Msg::Stored { changes, result }
            }
            Step::Elsewhere(n, true) => {
                Msg::ChangedElsewhere(vec![Delta::Gone(id(&format!("t{n}")))])
            }
            Step::Elsewhere(n, false) => Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(
                task(&format!("t{n}")).running().created("14:30").build(),
            ))]),
            Step::Measured(most_scroll) => Msg::Measured { most_scroll },
        })
    }
}

fn applied(change: &Change) -> Applied {
    match change {
        Change::Add { task: id, .. } | Change::Restore { task: id, .. } => {
            Applied::Added(Box::new(task(id.as_str()).build()))
        }
        Change::Remove { .. } => Applied::Removed,
        Change::Observed { .. } | Change::CheckFailed { .. } | Change::Opened { .. } => {
            Applied::Noted
        }
    }
}

fn holds(state: &State, before: &State, now: Now) {
    let ids: HashSet<_> = state.shown().iter().collect();
    assert_eq!(ids.len(), state.shown().len(), "each id once");
    if state.tab() == Tab::All {
        assert_eq!(ids.len(), state.list().len(), "All shows all");
    }
    assert_eq!(
        state.position().is_some(),
        !state.shown().is_empty(),
        "a row is selected, if there is one"
    );
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
            let is_replaced = after.added != watched.added
                || matches!(
                    after.task.state(),
                    TaskState::Running { .. } | TaskState::New
                );
            assert!(
                after.task.state().is_final() || is_replaced,
                "{:?}",
                after.task.state()
            );
        }
    }
    if let Some(at) = next_wakeup(state, now) {
        assert!(at >= now.mono || state.list().tally().in_flight < MOST_IN_FLIGHT);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(2000, |n| n.parse().unwrap()), ..ProptestConfig::default() })]

    #[test]
    fn the_core_holds_whatever_comes(steps in prop::collection::vec(step(), 1..80)) {
        let tasks = (0..8).map(|n| task(&format!("t{n}")).running().created("14:30").due_in("0s"));
        let mut state = program().with_all(tasks).sized(120, 36).build();
        let mut outside = Outside::default();
        let mut waited = Duration::ZERO;
        for step in steps {
            if let Step::Wait(millis) = step {
                waited += Duration::from_millis(millis);
            }
            let now = later(waited);
            let Some(msg) = outside.message(step) else { continue };
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
        let escape = [Key::Esc, Key::Esc].map(KeyChord::plain);
        for chord in escape.into_iter().chain([KeyChord::char('q')]) {
            update(&mut state, Msg::Key { chord, is_repeat: false }, later(waited));
        }
        prop_assert!(state.is_leaving(), "three keys lead out");
    }
}
