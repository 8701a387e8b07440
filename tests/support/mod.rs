//! Builders for tests: tasks in every state and programs with a list, at one fixed time.
//!
//! A test reads like the screen it expects:
//!
//! ```ignore
//! let state = program()
//!     .with(task("a").label("neon city").running().created("14:28:59"))
//!     .with(task("b").ready("5m09s").created("14:10"))
//!     .with_size(120, 36)
//!     .build();
//! ```
//!
//! The current time is [`now`]. States are built with messages to `update`, so the program can
//! really reach each of them.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "each test binary uses a part of the module"
)]

pub mod deadline;
pub mod exit_runs;
pub mod fake_list;
#[cfg(target_os = "linux")]
pub mod faulty_libc;
pub mod harmful_chars;
pub mod hostile_server;
pub mod long_run;
pub mod nohup;
pub mod output_check;
pub mod process_stats;
pub mod pty;
pub mod random_input;
pub mod raw_server;
pub mod rerun;
pub mod save_kills;
pub mod soak;
pub mod sources;
pub mod store;
pub mod story;
pub mod svg;
pub mod terminal_probe;
pub mod test_home;

use std::{sync::Arc, time::Duration};

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
        list_change::{
            ChangeResult, ExternalChange, JournalEvent, JournalLine, ListChange, StoreError,
        },
        poll_request::{Backoff, Denied, DenyReason, PollRequest, PollTrigger},
        poll_result::{ErrorScope, FailedCheck, PollError, PollResult},
        raw_response::RawResponse,
        response_notes::ResponseNotes,
        saved_session::SavedSession,
        schedule::{Jitter, MAX_IN_FLIGHT, PollAttempt, PollHistory, PollState, StopReason},
        store_request::{StoreReply, StoreRequest},
        task::{
            CallbackStatus, FailureStage, Family, SuccessFlag, Task, TaskDetails, TaskId, TaskState,
        },
        text::CleanText,
        time::{Mono, Now},
        watched_task::WatchedTask,
    },
    ui,
};

/// The current time in tests: 14:32:07 UTC on 4 May 2026, one hour after the program's start.
pub fn now() -> Now {
    Now {
        wall: at("14:32:07"),
        mono: Mono::at(Duration::from_hours(1)),
    }
}

/// Returns [`now`] plus a duration, on both clocks.
pub fn later(by: Duration) -> Now {
    let by_signed = SignedDuration::try_from(by).expect("a short duration");
    Now {
        wall: now().wall + by_signed,
        mono: now().mono.after(by),
    }
}

/// Parses a time of the tests' day ("14:28", "14:28:59") or a full timestamp.
pub fn at(text: &str) -> Timestamp {
    if let Ok(timestamp) = text.parse() {
        return timestamp;
    }
    let time: civil::Time = text.parse().expect("a time of day");
    civil::date(2026, 5, 4)
        .to_datetime(time)
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .expect("a time in UTC")
        .timestamp()
}

/// Parses a duration: "5m09s", "90s", "12d", "19h".
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

/// Returns [`now`] minus a duration.
pub fn ago(text: &str) -> Timestamp {
    now().wall - SignedDuration::try_from(span(text)).expect("a span")
}

pub fn id(text: &str) -> TaskId {
    TaskId::parse(text).expect("a task id")
}

pub fn line(text: &str) -> CleanText {
    CleanText::line(text, 4096)
}

/// Returns a new task, added at [`now`], with its first poll in four seconds.
pub fn task(name: &str) -> TaskBuilder {
    TaskBuilder {
        id: id(name),
        label: None,
        state: TaskState::New,
        details: TaskDetails::default(),
        took: None,
        added: None,
        poll_history: PollHistory::default(),
        poll_state: None,
    }
}

/// Builder for a [`WatchedTask`]; fields that are not set get realistic values.
#[derive(Debug, Clone)]
pub struct TaskBuilder {
    id: TaskId,
    label: Option<CleanText>,
    state: TaskState,
    details: TaskDetails,
    took: Option<Duration>,
    added: Option<Timestamp>,
    poll_history: PollHistory,
    poll_state: Option<PollState>,
}

impl TaskBuilder {
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(line(label));
        self
    }

    /// Sets the prompt; line breaks are kept.
    pub fn prompt(mut self, prompt: &str) -> Self {
        self.details.prompt = Some(CleanText::block(prompt, 8192));
        self
    }

    /// Sets the URL of the input video.
    pub fn source(mut self, url: &str) -> Self {
        self.details.input = Some(Link::parse(url));
        self
    }

    pub fn callback(mut self, url: &str) -> Self {
        self.details.callback = Some(line(url));
        self
    }

    /// Sets the creation time on the server: "14:28:59".
    pub fn created(mut self, time: &str) -> Self {
        self.details.created = Some(at(time));
        self
    }

    /// Sets the creation time on the server by its age: "3m08s".
    pub fn created_ago(mut self, span: &str) -> Self {
        self.details.created = Some(ago(span));
        self
    }

    pub fn added(mut self, time: &str) -> Self {
        self.added = Some(at(time));
        self
    }

    pub fn running(mut self) -> Self {
        self.details.flag = Some(SuccessFlag::Number(0));
        self.state = TaskState::Running {
            is_finishing: false,
        };
        self
    }

    /// Sets the state to running with results that are there already.
    pub fn finishing(mut self) -> Self {
        self.details.flag = Some(SuccessFlag::Number(0));
        self.state = TaskState::Running { is_finishing: true };
        self
    }

    /// Sets the state to succeeded after `took`, with one video.
    pub fn ready(self, took: &str) -> Self {
        let name = format!("https://tempfile.example/r/{}.mp4", self.id);
        self.finished(took, CallbackStatus::Delivered, &[&name])
    }

    /// Sets the state to succeeded after `took`, with one video and a failed callback.
    pub fn rescued(self, took: &str) -> Self {
        let name = format!("https://tempfile.example/r/{}.mp4", self.id);
        self.finished(took, CallbackStatus::Failed, &[&name])
    }

    /// Sets the state to succeeded after `took`, with these videos (none: no link yet).
    pub fn finished(mut self, took: &str, callback: CallbackStatus, urls: &[&str]) -> Self {
        self.details.flag = Some(SuccessFlag::Number(match callback {
            CallbackStatus::Delivered => 1,
            CallbackStatus::Failed => 4,
        }));
        self.took = Some(span(took));
        self.state = TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            callback,
        };
        self
    }

    pub fn failed(self, code: &str, message: &str) -> Self {
        self.failed_at_stage(FailureStage::Generation, code, message)
    }

    /// Sets the state to failed on creation.
    pub fn not_created(self, code: &str, message: &str) -> Self {
        self.failed_at_stage(FailureStage::Creation, code, message)
    }

    fn failed_at_stage(mut self, stage: FailureStage, code: &str, message: &str) -> Self {
        self.details.flag = Some(SuccessFlag::Number(match stage {
            FailureStage::Creation => 2,
            FailureStage::Generation => 3,
        }));
        self.details.error_code = (!code.is_empty()).then(|| line(code));
        self.details.error_message = (!message.is_empty()).then(|| line(message));
        self.took = Some(span("90s"));
        self.state = TaskState::Failed { stage };
        self
    }

    pub fn not_found(mut self) -> Self {
        self.state = TaskState::NotFound;
        self.check_failed(PollError::NotFound, "30s")
    }

    /// Sets a status flag that kietop does not know.
    pub fn unknown(mut self, flag: &str) -> Self {
        self.details.flag = Some(SuccessFlag::Word(line(flag)));
        self.state = TaskState::Unrecognised;
        self
    }

    /// Sets the age of the last successful check and the number of checks.
    pub fn checked_ago(mut self, span: &str, polls: u32) -> Self {
        self.poll_history.last_ok = Some(ago(span));
        self.poll_history.checks = polls;
        self
    }

    /// Sets the error and the age of the last check.
    pub fn check_failed(mut self, error: PollError, span: &str) -> Self {
        self.poll_history.failures += 1;
        self.poll_history.checks += 1;
        self.poll_history.last_error = Some(FailedCheck {
            at: ago(span),
            error,
        });
        self
    }

    /// Sets a poll in flight: attempt 1.
    pub fn in_flight(mut self) -> Self {
        self.poll_state = Some(PollState::InFlight {
            attempt: PollAttempt(1),
            since: now().mono,
        });
        self
    }

    /// Sets the time until the next poll.
    pub fn due_in(mut self, delay: &str) -> Self {
        self.poll_state = Some(PollState::DueAt(now().mono.after(span(delay))));
        self
    }

    pub fn build(mut self) -> WatchedTask {
        if let (Some(created), Some(took)) = (self.details.created, self.took) {
            let took = SignedDuration::try_from(took).expect("a span");
            self.details.completed = Some(created + took);
        }
        let is_final = self.state.is_final();
        if self.state != TaskState::New && self.poll_history == PollHistory::default() {
            self.poll_history.last_ok = self.details.completed.or_else(|| Some(ago("5s")));
            self.poll_history.checks = 12;
        }
        let poll_state = self.poll_state.unwrap_or(if is_final {
            PollState::Stopped(StopReason::Finished)
        } else {
            PollState::DueAt(now().mono.after(Duration::from_secs(4)))
        });
        let added = self
            .added
            .or(self.details.created)
            .unwrap_or_else(|| now().wall);
        let task = Task::from_stored(self.id, Family::default(), self.state, self.details);
        WatchedTask {
            poll_state,
            ..WatchedTask::from_stored(task, self.label, added, self.poll_history)
        }
    }
}

/// Returns a program with an empty list and a terminal of 120×36.
pub fn program() -> ProgramBuilder {
    ProgramBuilder {
        settings: AppSettings::default(),
        tasks: Vec::new(),
        size: (120, 36),
        is_loaded: true,
    }
}

/// Builder for a [`State`].
#[derive(Debug, Clone)]
pub struct ProgramBuilder {
    settings: AppSettings,
    tasks: Vec<WatchedTask>,
    size: (u16, u16),
    is_loaded: bool,
}

impl ProgramBuilder {
    pub fn with(mut self, task: TaskBuilder) -> Self {
        self.tasks.push(task.build());
        self
    }

    pub fn with_all(mut self, tasks: impl IntoIterator<Item = TaskBuilder>) -> Self {
        self.tasks.extend(tasks.into_iter().map(TaskBuilder::build));
        self
    }

    pub fn with_list_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.settings.name);
        self
    }

    pub fn set(mut self, change: impl FnOnce(&mut AppSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Rebinds actions: `with_keys(&[("open_result", &["x"])])`.
    pub fn with_keys(mut self, changes: &[(&str, &[&str])]) -> Self {
        let change = |(action, keys): &(&str, &[&str])| KeyOverride {
            context: None,
            action: (*action).to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let changes: Vec<_> = changes.iter().map(change).collect();
        self.settings.keymap = Keymap::with_overrides(&changes).expect("valid key bindings");
        self
    }

    pub fn with_size(mut self, width: u16, height: u16) -> Self {
        self.size = (width, height);
        self
    }

    /// Leaves the list unloaded.
    pub fn still_loading(mut self) -> Self {
        self.is_loaded = false;
        self
    }

    pub fn build(self) -> State {
        let mut state = State::new(self.settings);
        resize(&mut state, self.size);
        if self.is_loaded {
            let effects = update(&mut state, list_loaded(self.tasks), now());
            grant_polls(&mut state, effects, MAX_IN_FLIGHT, now());
        }
        state
    }
}

/// Grants up to `count` polls, one after another, and denies the next.
fn grant_polls(state: &mut State, effects: Vec<Effect>, count: usize, at: Now) {
    for effect in effects {
        let Effect::Poll { task, attempt, .. } = effect else {
            continue;
        };
        if let Some(count) = count.checked_sub(1) {
            let effects = update(state, Msg::PollStarted(attempt), at);
            grant_polls(state, effects, count, at);
        } else {
            let denied = Denied {
                reason: DenyReason::InFlightLimit,
                wait: Duration::from_secs(1),
            };
            let msg = Msg::PollDenied {
                task,
                attempt,
                denied,
            };
            update(state, msg, at);
        }
    }
}

/// Starts a poll, and no other.
pub fn start_poll(state: &mut State, attempt: PollAttempt, at: Now) {
    let effects = update(state, Msg::PollStarted(attempt), at);
    grant_polls(state, effects, 0, at);
}

/// Sends a resize message, as the runtime does.
pub fn resize(state: &mut State, size: (u16, u16)) {
    let (width, height) = size;
    let msg = Msg::Resized {
        width,
        height,
        page: ui::list_rows(width, height),
    };
    update(state, msg, now());
}

/// Presses keys by name: `press(&mut state, &["j", "Enter"])`.
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

pub fn type_text(state: &mut State, text: &str) {
    for c in text.chars() {
        let msg = Msg::Key {
            chord: KeyChord::char(c),
            is_repeat: false,
        };
        update(state, msg, now());
    }
}

/// Sets a filter in the filter line.
pub fn apply_filter(state: &mut State, filter: &str) {
    press(state, &["/"]);
    type_text(state, filter);
    press(state, &["Enter"]);
}

/// Parses a key name: "a", "Enter", "Ctrl-D".
pub fn chord(name: &str) -> KeyChord {
    KeyChord::parse(name).expect("a key name")
}

/// Returns the text of the message line.
pub fn message(state: &State) -> &str {
    state.message().map_or("", |message| message.text.as_str())
}

/// Returns the id of the selected task.
pub fn selected_task(state: &State) -> &str {
    state.selected().map_or("", |watched| watched.id().as_str())
}

/// Returns a task of the list.
pub fn watched<'a>(state: &'a State, name: &str) -> &'a WatchedTask {
    state.list().get(&id(name)).expect("a task on the list")
}

/// Returns the scroll limit that the runtime measures on a drawn frame.
pub fn layout_measured(max_scroll: u16) -> Msg {
    Msg::LayoutMeasured {
        max_scroll,
        preview_area: None,
    }
}

/// Answers the poll in flight for a task.
pub fn answer(state: &mut State, name: &str, answer: PollResult) -> Vec<Effect> {
    answer_with_notes(state, name, answer, ResponseNotes::default())
}

/// Answers the poll in flight for a task, with notes about the response.
pub fn answer_with_notes(
    state: &mut State,
    name: &str,
    answer: PollResult,
    notes: ResponseNotes,
) -> Vec<Effect> {
    let task = id(name);
    let poll_state = state.list().get(&task).map(|watched| watched.poll_state);
    let Some(PollState::InFlight { attempt, .. }) = poll_state else {
        panic!("no poll in flight for {name}: {poll_state:?}");
    };
    let msg = Msg::Polled {
        task,
        attempt,
        notes: ResponseNotes {
            backoff: own_backoff(&answer, 1),
            ..notes
        },
        answer: Box::new(answer),
    };
    update(state, msg, now())
}

/// Returns a scheduled request for a task's state.
pub fn poll_request(task: TaskId) -> PollRequest {
    PollRequest {
        task,
        family: Family::LumaModify,
        trigger: PollTrigger::Scheduled,
        is_retry: false,
    }
}

/// Returns the backoff after a number of answers with the same error.
pub fn own_backoff(answer: &PollResult, failures: u32) -> Option<Backoff> {
    let error = answer.as_ref().err()?;
    (error.scope() == ErrorScope::Account).then(|| Backoff {
        error: error.clone(),
        wait: Jitter::seeded(0).account_backoff(error, failures),
    })
}

/// Loads the journal of a task; times are of the tests' day.
pub fn load_journal(state: &mut State, name: &str, lines: &[(&str, JournalEvent)]) {
    let lines = lines
        .iter()
        .map(|(time, event)| JournalLine {
            at: at(time),
            event: event.clone(),
        })
        .collect();
    let msg = journal_read(id(name), Ok(lines));
    update(state, msg, now());
}

/// Returns the list's answer to a request.
pub fn answered(request: StoreRequest, result: Result<StoreReply, StoreError>) -> Msg {
    Msg::StoreAnswered { request, result }
}

pub fn list_loaded(tasks: Vec<WatchedTask>) -> Msg {
    answered(StoreRequest::LoadList, Ok(StoreReply::List(tasks)))
}

pub fn session_loaded(session: SavedSession) -> Msg {
    answered(StoreRequest::LoadSession, Ok(StoreReply::Session(session)))
}

/// Returns the news of these changes by other instances.
pub fn external_changes(changes: Vec<ExternalChange>) -> Msg {
    answered(
        StoreRequest::ReadExternalChanges,
        Ok(StoreReply::ExternalChanges(changes)),
    )
}

/// Returns the news that another instance changed or added a task.
pub fn changed_elsewhere(watched: WatchedTask) -> Msg {
    external_changes(vec![ExternalChange::Changed(Box::new(watched))])
}

/// Returns the news that another instance removed a task.
pub fn removed_elsewhere(name: &str) -> Msg {
    external_changes(vec![ExternalChange::Removed(id(name))])
}

/// Returns the saved session of a run that ended at that time.
pub fn session_seen(last_seen: &str) -> Msg {
    session_loaded(SavedSession {
        last_seen: Some(at(last_seen)),
        ..SavedSession::default()
    })
}

/// Returns the answer to a write.
pub fn written(changes: Vec<ListChange>, result: Result<Vec<ChangeResult>, StoreError>) -> Msg {
    answered(
        StoreRequest::Write(changes),
        result.map(StoreReply::Written),
    )
}

pub fn journal_read(task: TaskId, lines: Result<Vec<JournalLine>, StoreError>) -> Msg {
    answered(
        StoreRequest::ReadJournal(task),
        lines.map(StoreReply::Journal),
    )
}

pub fn raw_response_read(
    task: TaskId,
    response: Result<Option<Arc<RawResponse>>, StoreError>,
) -> Msg {
    answered(
        StoreRequest::ReadRawResponse(task),
        response.map(StoreReply::RawResponse),
    )
}
