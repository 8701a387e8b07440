//! A small language for stories: a program driven through its one door on a time of our own, with a disk and a
//! server that do as they are told. Everything that was ordered is recorded.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test file takes what it needs of it"
)]

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::State,
        update::{next_wakeup, update},
    },
    domain::{
        change::{Applied, Change, StoreError},
        link::Links,
        noticed::Noticed,
        query::Lens,
        report::{Answer, Observation, PollError},
        schedule::{Attempt, Polling},
        task::{Delivery, Facts, FailedStage, TaskId, TaskState},
        time::Now,
        watched::Watched,
    },
};

use crate::support::{self, ProgramBuilder};

/// Answers a question: the task, and how often it was asked after before. `None` leaves it unanswered.
pub(crate) type Server = fn(&TaskId, usize) -> Option<Answer>;

/// Is a story under way.
pub(crate) struct Story {
    /// The program.
    pub(crate) state: State,
    /// How much time has passed.
    pub(crate) at: Duration,
    /// Every order, with its time.
    pub(crate) orders: Vec<(Duration, Effect)>,
    /// How often it was woken by the clock.
    pub(crate) wakeups: usize,
    /// Why the disk takes nothing, if it does not.
    pub(crate) disk: Result<(), StoreError>,
    /// Whether the disk answers only when [`Story::flush`] lets it.
    pub(crate) is_disk_slow: bool,
    unwritten: VecDeque<Vec<Change>>,
    /// How the list is looked at, as last written down.
    pub(crate) remembered: Option<Lens>,
    server: Option<Server>,
    delay: Duration,
    asked: HashMap<TaskId, usize>,
    answers: BTreeMap<(Duration, usize), (TaskId, Attempt, Answer)>,
    open: Vec<(TaskId, Attempt)>,
    removed: HashMap<TaskId, Watched>,
}

impl Story {
    /// Begins with that program.
    pub(crate) fn of(program: ProgramBuilder) -> Self {
        let mut story = Self {
            state: program.loading().build(),
            at: Duration::ZERO,
            orders: Vec::new(),
            wakeups: 0,
            disk: Ok(()),
            is_disk_slow: false,
            unwritten: VecDeque::new(),
            remembered: None,
            server: None,
            delay: Duration::from_millis(200),
            asked: HashMap::new(),
            answers: BTreeMap::new(),
            open: Vec::new(),
            removed: HashMap::new(),
        };
        story.say(Msg::Tick);
        story
    }

    /// Begins with these tasks on the list.
    pub(crate) fn with(tasks: impl IntoIterator<Item = support::TaskBuilder>) -> Self {
        let mut story = Self::of(support::program());
        let tasks = tasks.into_iter().map(support::TaskBuilder::build).collect();
        story.say(Msg::Loaded(Ok(tasks)));
        story
    }

    /// Lets a server answer from now on, so much later than asked.
    pub(crate) fn served(mut self, delay: Duration, server: Server) -> Self {
        (self.server, self.delay) = (Some(server), delay);
        for (task, attempt) in std::mem::take(&mut self.open) {
            self.asked.entry(task.clone()).and_modify(|turn| *turn -= 1);
            self.ask(task, attempt);
        }
        self
    }

    /// Returns the present of the story.
    pub(crate) fn now(&self) -> Now {
        support::later(self.at)
    }

    /// Sends a message; the disk answers at once.
    pub(crate) fn say(&mut self, msg: Msg) -> Vec<Effect> {
        let now = self.now();
        let effects = update(&mut self.state, msg, now);
        for effect in effects.clone() {
            self.orders.push((self.at, effect.clone()));
            match effect {
                Effect::Poll { task, attempt, .. } => self.ask(task, attempt),
                Effect::Store(changes) => {
                    self.unwritten.push_back(changes);
                    if !self.is_disk_slow {
                        self.flush();
                    }
                }
                Effect::ReadJournal(task) => {
                    let lines = Ok(Vec::new());
                    self.say(Msg::JournalRead { task, lines });
                }
                Effect::ReadRecord(task) => {
                    self.say(Msg::RecordRead {
                        task,
                        record: Ok(None),
                    });
                }
                Effect::Remember(lens) => {
                    self.remembered = Some(lens);
                    self.say(Msg::Remembered(Ok(())));
                }
                Effect::Recall
                | Effect::Load
                | Effect::Tell(_)
                | Effect::Open { .. }
                | Effect::Compare(_)
                | Effect::Picture(_)
                | Effect::Save { .. }
                | Effect::StopSave(_)
                | Effect::StopPicture(_)
                | Effect::WriteBack
                | Effect::LookFor(_)
                | Effect::FindHolders(_)
                | Effect::NoteVisit(_)
                | Effect::Copy(_)
                | Effect::Ask(_)
                | Effect::Announce(_)
                | Effect::Redraw
                | Effect::Suspend
                | Effect::Quit => {}
            }
        }
        effects
    }

    /// Lets the disk answer the oldest order; returns whether there was one.
    pub(crate) fn flush(&mut self) -> bool {
        let Some(changes) = self.unwritten.pop_front() else {
            return false;
        };
        let result = match self.disk.clone() {
            Ok(()) => Ok(changes.iter().map(|change| self.apply(change)).collect()),
            Err(error) => Err(error),
        };
        self.say(Msg::Stored { changes, result });
        true
    }

    fn ask(&mut self, task: TaskId, attempt: Attempt) {
        let turn = self.asked.entry(task.clone()).or_default();
        if let Some(server) = self.server {
            if let Some(answer) = server(&task, *turn) {
                let number = usize::try_from(attempt.0).unwrap_or_default();
                let key = (self.at + self.delay, number);
                self.answers.insert(key, (task, attempt, answer));
            }
        } else {
            self.open.push((task, attempt));
        }
        *turn += 1;
    }

    fn apply(&mut self, change: &Change) -> Applied {
        let id = change.task();
        match change {
            Change::Add { .. } | Change::Restore { .. } if self.state.list().get(id).is_some() => {
                Applied::AlreadyWatched
            }
            Change::Add { label, at, .. } => {
                let mut watched = support::task(id.as_str()).build();
                watched = Watched::new(watched.task, label.clone(), *at);
                Applied::Added(Box::new(watched))
            }
            Change::Restore { .. } => match self.removed.remove(id) {
                Some(watched) => Applied::Added(Box::new(Watched::restored(
                    watched.task,
                    watched.label,
                    watched.added,
                    watched.freshness,
                ))),
                None => Applied::NotWatched,
            },
            Change::Remove { .. } => match self.state.list().get(id) {
                Some(watched) => {
                    self.removed.insert(id.clone(), watched.clone());
                    Applied::Removed
                }
                None => Applied::NotWatched,
            },
            Change::Label { .. } if self.state.list().get(id).is_none() => Applied::NotWatched,
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

    /// Presses keys by their names.
    pub(crate) fn press(&mut self, keys: &[&str]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for key in keys {
            effects.extend(self.say(Msg::Key {
                chord: support::chord(key),
                is_repeat: false,
            }));
        }
        effects
    }

    /// Answers the question under way after a task.
    pub(crate) fn answer(&mut self, name: &str, answer: Answer) {
        self.answer_noticing(name, answer, Noticed::default());
    }

    /// Answers the question under way after a task, with what was noticed beside the answer.
    pub(crate) fn answer_noticing(&mut self, name: &str, answer: Answer, noticed: Noticed) {
        let id = support::id(name);
        let at = self.open.iter().rposition(|(task, _)| *task == id);
        let (task, attempt) = self.open.remove(at.expect("a question under way"));
        self.say(Msg::Polled {
            task,
            attempt,
            answer: Box::new(answer),
            noticed,
        });
    }

    /// Returns the questions the server has not answered.
    pub(crate) fn open(&self) -> &[(TaskId, Attempt)] {
        &self.open
    }

    /// Lets time pass: the program is woken when it asks for it, answers come when they are due.
    pub(crate) fn wait(&mut self, time: Duration) {
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
                self.say(Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(answer),
                    noticed: Noticed::default(),
                });
                continue;
            }
            self.wakeups += 1;
            let effects = self.say(Msg::Tick);
            assert!(
                !is_late || !effects.is_empty(),
                "woken in the past, at {:?}, for nothing",
                self.at
            );
        }
    }

    /// Returns when polls started, after one task or after any.
    pub(crate) fn starts(&self, of: Option<&str>) -> Vec<Duration> {
        let is_meant = |effect: &Effect| matches!(effect, Effect::Poll { task, .. } if of.is_none_or(|name| task.as_str() == name));
        let polls = self.orders.iter().filter(|(_, effect)| is_meant(effect));
        polls.map(|(at, _)| *at).collect()
    }

    /// Returns how many polls started.
    pub(crate) fn polls(&self) -> usize {
        self.starts(None).len()
    }

    /// Returns a task of the list.
    pub(crate) fn task(&self, name: &str) -> &Watched {
        let found = self.state.list().get(&support::id(name));
        found.expect("a task on the list")
    }

    /// Returns what is being done about a task.
    pub(crate) fn polling(&self, name: &str) -> Polling {
        self.task(name).polling
    }

    /// Returns the name of a task's state.
    pub(crate) fn name(&self, of: &str) -> &'static str {
        self.task(of).task.state().name()
    }

    /// Returns the message line.
    pub(crate) fn said(&self) -> &str {
        self.state
            .notice()
            .map_or("", |notice| notice.text.as_str())
    }

    /// Returns the selected id.
    pub(crate) fn selected(&self) -> &str {
        self.state
            .selected()
            .map_or("", |watched| watched.id().as_str())
    }

    /// Returns the id in the first visible row.
    pub(crate) fn first_row(&self) -> &str {
        let row = self.state.shown().get(self.state.top());
        row.map_or("", TaskId::as_str)
    }
}

/// Returns a good answer with that state.
#[expect(
    clippy::unnecessary_wraps,
    reason = "one of the answers a server gives"
)]
pub(crate) fn seen(state: TaskState) -> Answer {
    Ok(Observation {
        state,
        facts: Facts::default(),
        raw: "{}".into(),
    })
}

/// Returns the answer of a task being made.
pub(crate) fn running() -> Answer {
    seen(TaskState::Running {
        is_finishing: false,
    })
}

/// Returns the answer of a task made, with these videos.
pub(crate) fn made(urls: &[&str]) -> Answer {
    seen(TaskState::Succeeded {
        videos: Links::parse(urls.iter().copied()),
        delivery: Delivery::Done,
    })
}

/// Returns the answer of a task that was not made.
pub(crate) fn not_made() -> Answer {
    seen(TaskState::Failed {
        stage: FailedStage::Generation,
    })
}

/// Returns a rate limit that asks for so many seconds.
pub(crate) fn limited(seconds: u64) -> Answer {
    Err(PollError::RateLimited {
        code: 429,
        retry_after: Some(Duration::from_secs(seconds)),
    })
}

/// Returns the answer of no network.
pub(crate) fn offline() -> Answer {
    Err(PollError::Offline(support::line("no route")))
}

/// Returns trouble at the server.
pub(crate) fn trouble() -> Answer {
    Err(PollError::Server {
        code: 500,
        message: support::line("oops"),
    })
}
