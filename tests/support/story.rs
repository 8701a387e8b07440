//! A driver for scenario tests: it runs the program's `update` function on simulated time with a
//! fake disk and a fake server, and records every effect.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use kietop::{
    app::{
        keymap::KeyChord,
        msg::{Effect, Msg},
        state::State,
        update::{next_wakeup, update},
    },
    domain::{
        account_hash::AccountHash,
        limiter::{Permit, RequestLimiter, RequestOutcome},
        link::Links,
        list_change::{ListChange, StoreError},
        poll_queue::AccountBackoff,
        poll_request::{Denied, PollTrigger},
        poll_result::{Observation, PollError, PollResult},
        query::ListView,
        response_notes::ResponseNotes,
        schedule::{PollAttempt, PollState},
        store_request::StoreRequest,
        task::{CallbackStatus, FailureStage, TaskDetails, TaskId, TaskState},
        time::Now,
        watched_task::WatchedTask,
    },
    ports::ListStore as _,
};

use crate::support::{self, ProgramBuilder, TaskBuilder, fake_list::FakeList};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// A function from a task and the number of its earlier polls to a response; `None` leaves the poll
/// unanswered.
pub(crate) type FakeServer = fn(&TaskId, usize) -> Option<PollResult>;

/// A running scenario.
pub(crate) struct Story {
    pub(crate) state: State,
    /// Time since the start.
    pub(crate) at: Duration,
    /// Every effect, with its time.
    pub(crate) effects: Vec<(Duration, Effect)>,
    /// The number of wakeups by the timer.
    pub(crate) wakeups: usize,
    /// The result of every write.
    pub(crate) disk_result: Result<(), StoreError>,
    /// Whether writes complete only in [`Story::flush_one`].
    pub(crate) is_disk_slow: bool,
    pending_writes: VecDeque<Vec<ListChange>>,
    pub(crate) saved_view: Option<ListView>,
    server: Option<FakeServer>,
    delay: Duration,
    poll_counts: HashMap<TaskId, usize>,
    answers: BTreeMap<(Duration, usize), (TaskId, PollAttempt, PollResult)>,
    open_polls: Vec<(TaskId, PollAttempt)>,
    limiter: RequestLimiter,
    permits: HashMap<PollAttempt, Permit>,
    /// The polls that were permitted, with their times.
    polls: Vec<(Duration, TaskId)>,
    /// The next request is denied with this, whatever the limiter says.
    pub(crate) next_denial: Option<Denied>,
    list: FakeList,
}

impl Story {
    /// Starts a program whose list is not loaded.
    pub(crate) fn from_program(program: ProgramBuilder) -> Self {
        let mut story = Self {
            state: program.still_loading().build(),
            at: Duration::ZERO,
            effects: Vec::new(),
            wakeups: 0,
            disk_result: Ok(()),
            is_disk_slow: false,
            pending_writes: VecDeque::new(),
            saved_view: None,
            server: None,
            delay: Duration::from_millis(200),
            poll_counts: HashMap::new(),
            answers: BTreeMap::new(),
            open_polls: Vec::new(),
            limiter: RequestLimiter::default(),
            permits: HashMap::new(),
            polls: Vec::new(),
            next_denial: None,
            list: FakeList::default(),
        };
        story.send(Msg::Tick);
        story
    }

    /// Starts a program with these tasks on the list.
    pub(crate) fn with_tasks(tasks: impl IntoIterator<Item = TaskBuilder>) -> Self {
        let mut story = Self::from_program(support::program());
        story.load(tasks);
        story
    }

    /// Loads the list with these tasks.
    pub(crate) fn load(&mut self, tasks: impl IntoIterator<Item = TaskBuilder>) {
        let tasks = tasks.into_iter().map(TaskBuilder::build).collect();
        self.send(support::list_loaded(tasks));
    }

    /// Changes or adds a task as another instance does.
    pub(crate) fn change_elsewhere(&mut self, task: TaskBuilder) {
        self.send(support::changed_elsewhere(task.build()));
    }

    /// Removes a task as another instance does.
    pub(crate) fn remove_elsewhere(&mut self, name: &str) {
        self.send(support::removed_elsewhere(name));
    }

    /// Adds a server that answers open and new polls after `delay`.
    pub(crate) fn with_server(mut self, delay: Duration, server: FakeServer) -> Self {
        (self.server, self.delay) = (Some(server), delay);
        for (task, attempt) in std::mem::take(&mut self.open_polls) {
            self.poll_counts
                .entry(task.clone())
                .and_modify(|count| *count -= 1);
            self.start_poll(task, attempt);
        }
        self
    }

    /// Returns the current simulated time.
    pub(crate) fn now(&self) -> Now {
        support::later(self.at)
    }

    /// Sends a message and runs its effects; writes complete at once, except on a slow disk.
    pub(crate) fn send(&mut self, msg: Msg) -> Vec<Effect> {
        self.list.follow(&msg);
        let now = self.now();
        let effects = update(&mut self.state, msg, now);
        for effect in effects.clone() {
            self.effects.push((self.at, effect.clone()));
            match effect {
                Effect::Poll {
                    task,
                    attempt,
                    trigger,
                    ..
                } => self.ask(task, attempt, trigger),
                Effect::Store(StoreRequest::Write(changes)) => {
                    self.pending_writes.push_back(changes);
                    if !self.is_disk_slow {
                        self.flush_one();
                    }
                }
                Effect::Store(request) => self.answer_request(request),
                Effect::Open { .. }
                | Effect::ShowComparison(_)
                | Effect::RenderPreview(_)
                | Effect::Download { .. }
                | Effect::StopDownload(_)
                | Effect::StopPreview(_)
                | Effect::CheckFiles(_)
                | Effect::CheckLocks(_)
                | Effect::Copy(_)
                | Effect::Terminal(_)
                | Effect::Notify(_)
                | Effect::Redraw
                | Effect::Suspend
                | Effect::Quit => {}
            }
        }
        effects
    }

    /// Answers a request of the list. The tests themselves answer those at the start.
    fn answer_request(&mut self, request: StoreRequest) {
        if matches!(request, StoreRequest::LoadSession | StoreRequest::LoadList) {
            return;
        }
        if let StoreRequest::SaveSession(view) = &request {
            self.saved_view = Some(view.clone());
        }
        let result = self.list.handle(&request);
        self.send(support::answered(request, result));
    }

    /// Completes the oldest pending write; returns whether there was one.
    pub(crate) fn flush_one(&mut self) -> bool {
        let Some(changes) = self.pending_writes.pop_front() else {
            return false;
        };
        let result = match self.disk_result.clone() {
            Ok(()) => Ok(self.list.write(&changes)),
            Err(error) => Err(error),
        };
        self.send(support::written(changes, result));
        true
    }

    /// Completes all pending writes.
    pub(crate) fn flush_writes(&mut self) {
        while self.flush_one() {}
    }

    /// Asks the limiter for a permit, and starts the poll if it grants one.
    fn ask(&mut self, task: TaskId, attempt: PollAttempt, trigger: PollTrigger) {
        let permit = Permit {
            task: task.clone(),
            account: AccountHash::default(),
            since: self.now().mono,
            owner: None,
        };
        let result = match self.next_denial.take() {
            Some(denied) => Err(denied),
            None => self.limiter.acquire(&permit, trigger),
        };
        match result {
            Ok(()) => {
                self.permits.insert(attempt, permit);
                self.polls.push((self.at, task.clone()));
                self.start_poll(task, attempt);
                self.send(Msg::PollStarted(attempt));
            }
            Err(denied) => {
                self.send(Msg::PollDenied {
                    task,
                    attempt,
                    denied,
                });
            }
        }
    }

    /// Ends a poll with its answer.
    fn finish_poll(
        &mut self,
        task: TaskId,
        attempt: PollAttempt,
        answer: PollResult,
        mut notes: ResponseNotes,
    ) {
        notes.backoff = support::own_backoff(&answer, 1);
        if let Some(permit) = self.permits.remove(&attempt) {
            let now = self.now().mono;
            let outcome = RequestOutcome::from_result(&answer);
            self.limiter.release(&permit, &outcome, now);
            if outcome != RequestOutcome::NoAnswer {
                notes.backoff = self.limiter.backoff(permit.account, now);
            }
        }
        self.send(Msg::Polled {
            task,
            attempt,
            answer: Box::new(answer),
            notes,
        });
    }

    fn start_poll(&mut self, task: TaskId, attempt: PollAttempt) {
        let count = self.poll_counts.entry(task.clone()).or_default();
        if let Some(server) = self.server {
            if let Some(answer) = server(&task, *count) {
                let number = usize::try_from(attempt.0).unwrap_or_default();
                let key = (self.at + self.delay, number);
                self.answers.insert(key, (task, attempt, answer));
            }
        } else {
            self.open_polls.push((task, attempt));
        }
        *count += 1;
    }

    pub(crate) fn press(&mut self, keys: &[&str]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for key in keys {
            effects.extend(self.send(Msg::Key {
                chord: support::chord(key),
                is_repeat: false,
            }));
        }
        effects
    }

    /// Types text key by key.
    pub(crate) fn type_text(&mut self, text: &str) {
        for chord in text.chars().map(KeyChord::char) {
            let is_repeat = false;
            self.send(Msg::Key { chord, is_repeat });
        }
    }

    /// Presses keys and checks the message after them.
    #[track_caller]
    pub(crate) fn press_for(&mut self, keys: &[&str], message: &str) {
        self.press(keys);
        assert_eq!(self.message(), message, "{keys:?}");
    }

    #[track_caller]
    pub(crate) fn assert_message_starts(&self, expected: &str) {
        assert!(self.message().starts_with(expected), "{}", self.message());
    }

    /// Answers the newest open poll of a task.
    pub(crate) fn answer(&mut self, name: &str, answer: PollResult) {
        self.answer_with_notes(name, answer, ResponseNotes::default());
    }

    /// Answers the newest open poll of a task, with notes about the response.
    pub(crate) fn answer_with_notes(
        &mut self,
        name: &str,
        answer: PollResult,
        notes: ResponseNotes,
    ) {
        let id = support::id(name);
        let index = self.open_polls.iter().rposition(|(task, _)| *task == id);
        let (task, attempt) = self.open_polls.remove(index.expect("an open poll"));
        self.finish_poll(task, attempt, answer, notes);
    }

    /// Returns the polls without an answer.
    pub(crate) fn open_polls(&self) -> &[(TaskId, PollAttempt)] {
        &self.open_polls
    }

    /// Advances the time, with the program's wakeups and the server's responses in order.
    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.at + time;
        let start = support::now().mono;
        loop {
            let wakeup = next_wakeup(&self.state, self.now()).map(|at| at.since(start));
            let answer = self.answers.keys().next().map(|(at, _)| *at);
            let next = wakeup.into_iter().chain(answer).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.at = end;
                return;
            };
            let is_late = next <= self.at;
            self.at = self.at.max(next);
            if answer.is_some_and(|at| at <= self.at) {
                let (_, (task, attempt, answer)) = self.answers.pop_first().expect("an answer");
                self.finish_poll(task, attempt, answer, ResponseNotes::default());
                continue;
            }
            self.wakeups += 1;
            let effects = self.send(Msg::Tick);
            assert!(
                !is_late || !effects.is_empty(),
                "a wakeup in the past without effect, at {:?}",
                self.at
            );
        }
    }

    /// Returns the start times of polls, of one task or of all.
    pub(crate) fn poll_starts(&self, name: Option<&str>) -> Vec<Duration> {
        let is_match = |task: &TaskId| name.is_none_or(|name| task.as_str() == name);
        let polls = self.polls.iter().filter(|(_, task)| is_match(task));
        polls.map(|(at, _)| *at).collect()
    }

    pub(crate) fn poll_count(&self) -> usize {
        self.poll_starts(None).len()
    }

    pub(crate) fn task(&self, name: &str) -> &WatchedTask {
        support::watched(&self.state, name)
    }

    pub(crate) fn poll_state(&self, name: &str) -> PollState {
        self.task(name).poll_state
    }

    pub(crate) fn state_name(&self, name: &str) -> &'static str {
        self.task(name).task.state().name()
    }

    pub(crate) fn count_effects(&self, is_counted: fn(&Effect) -> bool) -> usize {
        let effects = self.effects.iter();
        effects.filter(|(_, effect)| is_counted(effect)).count()
    }

    pub(crate) fn count_writes(&self) -> usize {
        self.count_effects(|effect| matches!(effect, Effect::Store(StoreRequest::Write(_))))
    }

    pub(crate) fn count_failed_tasks(&self) -> usize {
        let tasks = self.state.list().iter();
        tasks
            .filter(|watched| watched.poll_history.failures > 0)
            .count()
    }

    pub(crate) fn backoff(&self) -> Option<&AccountBackoff> {
        self.state.poll_queue().backoff()
    }

    pub(crate) fn message(&self) -> &str {
        support::message(&self.state)
    }

    /// Returns the id of the selected task.
    pub(crate) fn selected(&self) -> &str {
        support::selected_task(&self.state)
    }

    /// Returns the id of the task in the first visible row.
    pub(crate) fn first_row(&self) -> &str {
        let row = self.state.shown().get(self.state.top());
        row.map_or("", TaskId::as_str)
    }
}

/// Returns a successful response with this state.
#[expect(clippy::unnecessary_wraps, reason = "every response has this type")]
pub(crate) fn observed(state: TaskState) -> PollResult {
    Ok(Observation {
        state,
        details: TaskDetails::default(),
        raw: "{}".into(),
    })
}

pub(crate) fn running() -> PollResult {
    observed(TaskState::Running {
        is_finishing: false,
    })
}

/// Returns the response for a succeeded task with these videos.
pub(crate) fn finished(urls: &[&str]) -> PollResult {
    observed(TaskState::Succeeded {
        videos: Links::parse(urls.iter().copied()),
        callback: CallbackStatus::Delivered,
    })
}

pub(crate) fn failed_generation() -> PollResult {
    observed(TaskState::Failed {
        stage: FailureStage::Generation,
    })
}

/// Returns a rate limit error with this `Retry-After`.
pub(crate) fn rate_limited(seconds: u64) -> PollResult {
    Err(PollError::RateLimited {
        code: 429,
        retry_after: Some(Duration::from_secs(seconds)),
    })
}

pub(crate) fn offline() -> PollResult {
    Err(PollError::Offline(support::line("no route")))
}

pub(crate) fn server_error() -> PollResult {
    Err(PollError::Server {
        code: 500,
        message: support::line("oops"),
    })
}

/// Returns a running task whose poll is due.
pub(crate) fn due_task(name: &str) -> TaskBuilder {
    support::task(name).running().created("14:30").due_in("0s")
}

pub(crate) fn due_tasks(count: usize) -> impl Iterator<Item = TaskBuilder> {
    (0..count).map(|n| due_task(&format!("t{n:03}")))
}
