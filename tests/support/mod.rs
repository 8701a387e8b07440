//! Builders for tests: tasks in every state, whole programs with a list, and the one time they live
//! in.
//!
//! A test reads like the screen it expects:
//!
//! ```ignore
//! let state = program()
//!     .with(task("a").label("neon city").running().created("14:28:59"))
//!     .with(task("b").ready("5m09s").created("14:10"))
//!     .sized(120, 36)
//!     .build();
//! ```
//!
//! The present is [`now`]: 14:32:07 UTC on 4 May 2026, one hour after the program's start.
//! Everything goes through the public door (`update`), so a built state is one the program can
//! really be in.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a wrong literal is to fail loudly"
)]
#![allow(
    dead_code,
    clippy::allow_attributes,
    unreachable_pub,
    missing_docs,
    reason = "each test file takes what it needs of it"
)]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil};
use kietop::{
    app::{
        keymap::{KeyChord, KeyOverride, Keymap},
        msg::{Effect, Msg},
        state::{AppSettings, State},
        update::update,
    },
    domain::{
        link::{Link, Links},
        list_change::{JournalEvent, JournalLine},
        poll_result::{FailedCheck, PollError, PollResult},
        response_notes::ResponseNotes,
        schedule::{PollAttempt, PollHistory, PollState, StopReason},
        task::{
            CallbackStatus, FailureStage, Family, SuccessFlag, Task, TaskDetails, TaskId, TaskState,
        },
        text::CleanText,
        time::{Mono, Now},
        watched_task::WatchedTask,
    },
    ui,
};

/// Returns the present of all tests.
pub fn now() -> Now {
    Now {
        wall: at("14:32:07"),
        mono: Mono::at(Duration::from_hours(1)),
    }
}

/// Returns the present so much later, on both clocks.
pub fn later(by: Duration) -> Now {
    let by_signed = SignedDuration::try_from(by).expect("a short wait");
    Now {
        wall: now().wall + by_signed,
        mono: now().mono.after(by),
    }
}

/// Returns a time: "14:28" and "14:28:59" of the tests' day, or a whole timestamp.
pub fn at(text: &str) -> Timestamp {
    if let Ok(whole) = text.parse() {
        return whole;
    }
    let time: civil::Time = text.parse().expect("a time of day");
    civil::date(2026, 5, 4)
        .to_datetime(time)
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .expect("a time in UTC")
        .timestamp()
}

/// Returns a span: "5m09s", "90s", "12d", "19h".
pub fn span(text: &str) -> Duration {
    let mut seconds = 0;
    let mut digits = String::new();
    for c in text.chars() {
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            digit => {
                digits.push(digit);
                continue;
            }
        };
        seconds += unit * digits.parse::<u64>().expect("a number before its unit");
        digits.clear();
    }
    Duration::from_secs(seconds)
}

/// Returns the time so long before the present.
pub fn ago(text: &str) -> Timestamp {
    now().wall - SignedDuration::try_from(span(text)).expect("a span")
}

/// Parses an id.
pub fn id(text: &str) -> TaskId {
    TaskId::parse(text).expect("a task id")
}

/// Cleans a line.
pub fn line(text: &str) -> CleanText {
    CleanText::line(text, 4096)
}

/// Begins a task: new, added at the present, first asked in four seconds.
pub fn task(name: &str) -> TaskBuilder {
    TaskBuilder {
        id: id(name),
        label: None,
        state: TaskState::New,
        facts: TaskDetails::default(),
        took: None,
        added: None,
        freshness: PollHistory::default(),
        polling: None,
    }
}

/// Is a task being described. Whatever is not said has the value a real one would have.
#[derive(Debug, Clone)]
pub struct TaskBuilder {
    id: TaskId,
    label: Option<CleanText>,
    state: TaskState,
    facts: TaskDetails,
    took: Option<Duration>,
    added: Option<Timestamp>,
    freshness: PollHistory,
    polling: Option<PollState>,
}

impl TaskBuilder {
    /// Gives it a label.
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(line(label));
        self
    }

    /// Gives it a prompt; line breaks are kept.
    pub fn prompt(mut self, prompt: &str) -> Self {
        self.facts.prompt = Some(CleanText::block(prompt, 8192));
        self
    }

    /// Gives it an input video.
    pub fn source(mut self, url: &str) -> Self {
        self.facts.input = Some(Link::parse(url));
        self
    }

    /// Gives it a callback URL.
    pub fn callback(mut self, url: &str) -> Self {
        self.facts.callback = Some(line(url));
        self
    }

    /// Sets when the server took it: "14:28:59".
    pub fn created(mut self, time: &str) -> Self {
        self.facts.created = Some(at(time));
        self
    }

    /// Sets how long ago the server took it: "3m08s".
    pub fn created_ago(mut self, span: &str) -> Self {
        self.facts.created = Some(ago(span));
        self
    }

    /// Sets when it was put on the list.
    pub fn added(mut self, time: &str) -> Self {
        self.added = Some(at(time));
        self
    }

    /// Is being made.
    pub fn running(mut self) -> Self {
        self.facts.flag = Some(SuccessFlag::Number(0));
        self.state = TaskState::Running {
            is_finishing: false,
        };
        self
    }

    /// Is being made, with its results there already.
    pub fn finishing(mut self) -> Self {
        self.facts.flag = Some(SuccessFlag::Number(0));
        self.state = TaskState::Running { is_finishing: true };
        self
    }

    /// Was made in that time, with one video.
    pub fn ready(self, took: &str) -> Self {
        let name = format!("https://tempfile.example/r/{}.mp4", self.id);
        self.finished(took, CallbackStatus::Delivered, &[&name])
    }

    /// Was made in that time; only its callback failed.
    pub fn rescued(self, took: &str) -> Self {
        let name = format!("https://tempfile.example/r/{}.mp4", self.id);
        self.finished(took, CallbackStatus::Failed, &[&name])
    }

    /// Was made in that time, with these videos (none: the server gave no link).
    pub fn finished(mut self, took: &str, delivery: CallbackStatus, urls: &[&str]) -> Self {
        self.facts.flag = Some(SuccessFlag::Number(match delivery {
            CallbackStatus::Delivered => 1,
            CallbackStatus::Failed => 4,
        }));
        self.took = Some(span(took));
        self.state = TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            callback: delivery,
        };
        self
    }

    /// Was not made: the generation failed.
    pub fn failed(self, code: &str, message: &str) -> Self {
        self.failed_at_stage(FailureStage::Generation, code, message)
    }

    /// Was not made: it could not even be created.
    pub fn not_created(self, code: &str, message: &str) -> Self {
        self.failed_at_stage(FailureStage::Creation, code, message)
    }

    fn failed_at_stage(mut self, stage: FailureStage, code: &str, message: &str) -> Self {
        self.facts.flag = Some(SuccessFlag::Number(match stage {
            FailureStage::Creation => 2,
            FailureStage::Generation => 3,
        }));
        self.facts.error_code = (!code.is_empty()).then(|| line(code));
        self.facts.error_message = (!message.is_empty()).then(|| line(message));
        self.took = Some(span("90s"));
        self.state = TaskState::Failed { stage };
        self
    }

    /// Is not known to the server.
    pub fn not_found(mut self) -> Self {
        self.state = TaskState::NotFound;
        self.check_failed(PollError::NotFound, "30s")
    }

    /// Has an answer we do not understand.
    pub fn unknown(mut self, flag: &str) -> Self {
        self.facts.flag = Some(SuccessFlag::Word(line(flag)));
        self.state = TaskState::Unrecognised;
        self
    }

    /// Was answered for so long ago, after so many polls.
    pub fn checked_ago(mut self, span: &str, polls: u32) -> Self {
        self.freshness.last_ok = Some(ago(span));
        self.freshness.checks = polls;
        self
    }

    /// Had its last check fail so long ago.
    pub fn check_failed(mut self, error: PollError, span: &str) -> Self {
        self.freshness.failures += 1;
        self.freshness.checks += 1;
        self.freshness.last_error = Some(FailedCheck {
            at: ago(span),
            error,
        });
        self
    }

    /// Is being asked after, with question number one.
    pub fn in_flight(mut self) -> Self {
        self.polling = Some(PollState::InFlight {
            attempt: PollAttempt(1),
            since: now().mono,
        });
        self
    }

    /// Is due so far ahead.
    pub fn due_in(mut self, span_ahead: &str) -> Self {
        self.polling = Some(PollState::DueAt(now().mono.after(span(span_ahead))));
        self
    }

    /// Returns the task.
    pub fn build(mut self) -> WatchedTask {
        if let (Some(created), Some(took)) = (self.facts.created, self.took) {
            let took = SignedDuration::try_from(took).expect("a span");
            self.facts.completed = Some(created + took);
        }
        let is_final = self.state.is_final();
        if self.state != TaskState::New && self.freshness == PollHistory::default() {
            self.freshness.last_ok = self.facts.completed.or_else(|| Some(ago("5s")));
            self.freshness.checks = 12;
        }
        let polling = self.polling.unwrap_or(if is_final {
            PollState::Stopped(StopReason::Finished)
        } else {
            PollState::DueAt(now().mono.after(Duration::from_secs(4)))
        });
        let added = self
            .added
            .or(self.facts.created)
            .unwrap_or_else(|| now().wall);
        let task = Task::from_stored(self.id, Family::default(), self.state, self.facts);
        WatchedTask {
            poll_state: polling,
            ..WatchedTask::from_stored(task, self.label, added, self.freshness)
        }
    }
}

/// Begins a program: nothing on its list, 120 by 36.
pub fn program() -> ProgramBuilder {
    ProgramBuilder {
        settings: AppSettings::default(),
        tasks: Vec::new(),
        size: (120, 36),
        is_loaded: true,
    }
}

/// Is a program being described.
#[derive(Debug, Clone)]
pub struct ProgramBuilder {
    settings: AppSettings,
    tasks: Vec<WatchedTask>,
    size: (u16, u16),
    is_loaded: bool,
}

impl ProgramBuilder {
    /// Puts a task on its list.
    pub fn with(mut self, task: TaskBuilder) -> Self {
        self.tasks.push(task.build());
        self
    }

    /// Puts many on its list.
    pub fn with_all(mut self, tasks: impl IntoIterator<Item = TaskBuilder>) -> Self {
        self.tasks.extend(tasks.into_iter().map(TaskBuilder::build));
        self
    }

    /// Calls the list by a name.
    pub fn with_list_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.settings.name);
        self
    }

    /// Changes its settings.
    pub fn set(mut self, change: impl FnOnce(&mut AppSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Gives actions other keys: `keyed(&[("open_result", &["x"])])`.
    pub fn with_keys(mut self, changes: &[(&str, &[&str])]) -> Self {
        let change = |(action, keys): &(&str, &[&str])| KeyOverride {
            context: None,
            action: (*action).to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let changes: Vec<_> = changes.iter().map(change).collect();
        self.settings.keymap = Keymap::with_overrides(&changes).expect("keys without fault");
        self
    }

    /// Gives its terminal a size.
    pub fn with_size(mut self, width: u16, height: u16) -> Self {
        self.size = (width, height);
        self
    }

    /// Leaves its list still to be read.
    pub fn still_loading(mut self) -> Self {
        self.is_loaded = false;
        self
    }

    /// Returns the state: sized, its list read.
    pub fn build(self) -> State {
        let mut state = State::new(self.settings);
        resize(&mut state, self.size);
        if self.is_loaded {
            update(&mut state, Msg::ListLoaded(Ok(self.tasks)), now());
        }
        state
    }
}

/// Gives the terminal another size, as the runtime does.
pub fn resize(state: &mut State, size: (u16, u16)) {
    let (width, height) = size;
    let msg = Msg::Resized {
        width,
        height,
        page: ui::list_rows(width, height),
    };
    update(state, msg, now());
}

/// Presses keys: letters by themselves, others by name: `press(&mut state, &["j", "Enter"])`.
pub fn press(state: &mut State, keys: &[&str]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for name in keys {
        let msg = Msg::Key {
            chord: chord(name),
            is_repeat: false,
        };
        effects.extend(update(state, msg, now()));
    }
    effects
}

/// Types a text, letter by letter.
pub fn type_text(state: &mut State, text: &str) {
    for c in text.chars() {
        let msg = Msg::Key {
            chord: KeyChord::char(c),
            is_repeat: false,
        };
        update(state, msg, now());
    }
}

/// Returns a key by its name: "a", "Enter", "Ctrl-D".
pub fn chord(name: &str) -> KeyChord {
    KeyChord::parse(name).expect("a key's name")
}

/// Answers the question under way after a task, whatever its number.
pub fn answer(state: &mut State, name: &str, answer: PollResult) -> Vec<Effect> {
    answer_with_notes(state, name, answer, ResponseNotes::default())
}

/// Answers the question under way after a task, with what was noticed beside the answer.
pub fn answer_with_notes(
    state: &mut State,
    name: &str,
    answer: PollResult,
    noticed: ResponseNotes,
) -> Vec<Effect> {
    let task = id(name);
    let polling = state.list().get(&task).map(|watched| watched.poll_state);
    let Some(PollState::InFlight { attempt, .. }) = polling else {
        panic!("{name} is not being asked after: {polling:?}");
    };
    let msg = Msg::Polled {
        task,
        attempt,
        answer: Box::new(answer),
        notes: noticed,
    };
    update(state, msg, now())
}

/// Hands the state a task's journal: times of the tests' day, and what happened.
pub fn load_journal(state: &mut State, name: &str, lines: &[(&str, JournalEvent)]) {
    let lines = lines
        .iter()
        .map(|(time, event)| JournalLine {
            at: at(time),
            event: event.clone(),
        })
        .collect();
    let msg = Msg::JournalRead {
        task: id(name),
        lines: Ok(lines),
    };
    update(state, msg, now());
}
