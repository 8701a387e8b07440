//! Several instances on one list, over simulated time: whole cores, the one book of turns, a shared list whose news
//! travel as slowly as the real one's, and a server that counts.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: what is not as expected is to fail loudly"
)]

mod support;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::State,
        update::{next_wakeup, update},
    },
    domain::{
        change::{Applied, Change, Delta},
        noticed::Noticed,
        report::{Answer, Observation, PollError},
        schedule::{Attempt, CEILING, LOST_AFTER, MOST_IN_FLIGHT, MOST_PER_SECOND},
        task::{Facts, TaskId, TaskState},
        time::Mono,
        turns::{Account, Book, Heard, Turn},
        watched::Watched,
    },
};
use support::{chord, later, line, program, task};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Answers a request made at that time; `None` leaves it unanswered.
type Server = fn(&TaskId, Duration) -> Option<Answer>;

enum Event {
    Answered {
        attempt: Attempt,
        turn: Turn,
        answer: Box<Answer>,
    },
    Said(Msg),
}

struct Request {
    at: Duration,
    end: Duration,
    task: TaskId,
    by: usize,
}

struct Fleet {
    instances: Vec<State>,
    book: Book,
    list: HashMap<TaskId, Watched>,
    at: Duration,
    events: BTreeMap<(Duration, u64), (usize, Event)>,
    count: u64,
    requests: Vec<Request>,
    server: Server,
    dead: HashSet<usize>,
    /// With whose key each asks.
    accounts: Vec<Account>,
    /// Whose key the server refuses.
    refused: Option<usize>,
}

impl Fleet {
    /// Begins with so many instances on a list of so many tasks being made.
    fn of(instances: usize, tasks: usize, server: Server) -> Self {
        let list: Vec<_> = (0..tasks)
            .map(|n| {
                let watched = task(&format!("t{n:03}")).running().created("14:31").build();
                let Watched {
                    task,
                    label,
                    added,
                    freshness,
                    ..
                } = watched;
                Watched::restored(task, label, added, freshness)
            })
            .collect();
        let mut fleet = Self {
            instances: Vec::new(),
            book: Book::default(),
            list: list
                .iter()
                .map(|watched| (watched.id().clone(), watched.clone()))
                .collect(),
            at: Duration::ZERO,
            events: BTreeMap::new(),
            count: 0,
            requests: Vec::new(),
            server,
            dead: HashSet::new(),
            accounts: vec![Account::default(); instances],
            refused: None,
        };
        for n in 0..instances {
            let seed = u64::try_from(n).expect("few") * 7919 + 1;
            let state = program().set(|set| set.seed = seed).loading().build();
            fleet.instances.push(state);
        }
        for n in 0..instances {
            fleet.say(n, Msg::Loaded(Ok(list.clone())));
        }
        fleet
    }

    /// Returns the time on the clock that all instances share.
    fn shared(&self) -> Mono {
        Mono::at(HOUR * 100).after(self.at)
    }

    fn later(&mut self, wait: Duration, to: usize, event: Event) {
        self.count += 1;
        self.events
            .insert((self.at + wait, self.count), (to, event));
    }

    /// Returns a time that differs from call to call, up to `most`.
    fn some(&self, most: Duration) -> Duration {
        let lot = self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        most.mul_f64(f64::from(u32::try_from(lot).expect("ten bits")) / 1024.0)
    }

    fn say(&mut self, to: usize, msg: Msg) {
        let now = later(self.at);
        let effects = update(&mut self.instances[to], msg, now);
        for effect in effects {
            self.carry_out(to, effect);
        }
    }

    fn carry_out(&mut self, by: usize, effect: Effect) {
        match effect {
            Effect::Poll { task, attempt, .. } => {
                match self.book.take(&task, self.accounts[by], self.shared()) {
                    Ok(turn) => self.request(by, attempt, turn),
                    Err(put_off) => {
                        let msg = Msg::PutOff {
                            task,
                            attempt,
                            put_off,
                        };
                        self.later(Duration::from_millis(1), by, Event::Said(msg));
                    }
                }
            }
            Effect::Tell(word) => self.book.note(&word, self.accounts[by], self.shared()),
            Effect::Store(changes) => {
                let applied = changes
                    .iter()
                    .map(|change| self.write(by, change))
                    .collect();
                let msg = Msg::Stored {
                    changes,
                    result: Ok(applied),
                };
                self.later(Duration::from_millis(5), by, Event::Said(msg));
            }
            Effect::ReadJournal(task) => {
                let lines = Ok(Vec::new());
                self.later(SECOND, by, Event::Said(Msg::JournalRead { task, lines }));
            }
            Effect::Recall
            | Effect::Remember(_)
            | Effect::Save { .. }
            | Effect::StopSave(_)
            | Effect::WriteBack
            | Effect::StopPicture(_)
            | Effect::LookFor(_)
            | Effect::FindHolders(_)
            | Effect::Load
            | Effect::Open { .. }
            | Effect::Compare(_)
            | Effect::Picture(_)
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

    fn request(&mut self, by: usize, attempt: Attempt, turn: Turn) {
        let task = turn.task.clone();
        let open: Vec<_> = self
            .requests
            .iter()
            .rev()
            .take(100)
            .filter(|request| request.end > self.at)
            .collect();
        assert!(
            open.len() < MOST_IN_FLIGHT,
            "a fifth under way at {:?}",
            self.at
        );
        assert!(
            open.iter().all(|request| request.task != task),
            "{task} twice at a time"
        );
        let takes = Duration::from_millis(250) + self.some(SECOND / 5);
        self.requests.push(Request {
            at: self.at,
            end: self.at + takes,
            task: task.clone(),
            by,
        });
        let answer = if self.refused == Some(by) {
            Some(Err(PollError::Unauthorized(401)))
        } else {
            (self.server)(&task, self.at)
        };
        if let Some(answer) = answer {
            let event = Event::Answered {
                attempt,
                turn,
                answer: Box::new(answer),
            };
            self.later(takes, by, event);
        }
    }

    /// Writes a change; the others see it between 50 ms and a good second later.
    fn write(&mut self, by: usize, change: &Change) -> Applied {
        let answer = match change {
            Change::Observed { observation, .. } => Ok(observation.as_ref().clone()),
            Change::CheckFailed { error, .. } => Err(error.error.clone()),
            Change::Add { .. }
            | Change::Remove { .. }
            | Change::Restore { .. }
            | Change::Opened { .. }
            | Change::Label { .. }
            | Change::Notify { .. }
            | Change::SaveBegun { .. }
            | Change::Saved { .. }
            | Change::NotSaved { .. }
            | Change::Warned { .. } => return Applied::Noted,
        };
        let watched = self
            .list
            .get_mut(change.task())
            .expect("a task on the list");
        watched.learn(&answer, later(self.at).wall);
        let news = Watched::restored(
            watched.task.clone(),
            watched.label.clone(),
            watched.added,
            watched.freshness.clone(),
        );
        for other in (0..self.instances.len()).filter(|other| *other != by) {
            let delta = Delta::Changed(Box::new(news.clone()));
            let wait = Duration::from_millis(50) + self.some(SECOND);
            self.later(wait, other, Event::Said(Msg::ChangedElsewhere(vec![delta])));
        }
        Applied::Noted
    }

    /// Lets time pass.
    fn wait(&mut self, time: Duration) {
        let end = self.at + time;
        let start = support::now().mono;
        loop {
            let now = later(self.at);
            let wakeup = (0..self.instances.len())
                .filter(|n| !self.dead.contains(n))
                .filter_map(|n| Some((next_wakeup(&self.instances[n], now)?.since(start), n)))
                .min();
            let event = self.events.first_key_value().map(|(key, _)| key.0);
            let next = event.into_iter().chain(wakeup.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.at = end;
                return;
            };
            self.at = self.at.max(next);
            if event.is_some_and(|at| at <= self.at) {
                let (_, (to, event)) = self.events.pop_first().expect("an event");
                if !self.dead.contains(&to) {
                    self.happen(to, event);
                }
            } else if let Some((_, n)) = wakeup {
                self.say(n, Msg::Tick);
            }
        }
    }

    fn happen(&mut self, to: usize, event: Event) {
        match event {
            Event::Said(msg) => self.say(to, msg),
            Event::Answered {
                attempt,
                turn,
                answer,
            } => {
                self.book.end(&turn, &Heard::of(&answer), self.shared());
                let msg = Msg::Polled {
                    task: turn.task,
                    attempt,
                    answer,
                    noticed: Noticed::default(),
                };
                self.say(to, msg);
            }
        }
    }

    fn press(&mut self, to: usize, key: &str) {
        let msg = Msg::Key {
            chord: chord(key),
            is_repeat: false,
        };
        self.say(to, msg);
    }

    /// Returns the times of the requests from then on.
    fn times(&self, from: Duration) -> Vec<Duration> {
        self.requests
            .iter()
            .map(|request| request.at)
            .filter(|at| *at >= from)
            .collect()
    }

    /// Makes sure that no second saw more than may be.
    fn keeps_the_rate(&self) {
        for window in self.times(Duration::ZERO).windows(MOST_PER_SECOND + 1) {
            let span = window[MOST_PER_SECOND].saturating_sub(window[0]);
            assert!(span >= SECOND, "six within {span:?} at {:?}", window[0]);
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a server gives")]
fn seen(state: TaskState) -> Option<Answer> {
    Some(Ok(Observation {
        state,
        facts: Facts::default(),
        raw: "{}".into(),
    }))
}

fn running(_: &TaskId, _: Duration) -> Option<Answer> {
    seen(TaskState::Running {
        is_finishing: false,
    })
}

fn limited() -> Answer {
    Err(PollError::RateLimited {
        code: 429,
        retry_after: None,
    })
}

// F72: what many instances ask is what one would.

#[test]
fn instances_on_one_list_ask_no_more_than_one_would() {
    let servers: [(&str, Server, &[usize]); 3] = [
        ("all is well", running, &[2, 5]),
        (
            "half of it is not",
            |task, at| {
                if task.as_str().ends_with(['0', '2', '4', '6', '8']) {
                    Some(Err(PollError::Malformed(line("no object"))))
                } else {
                    running(task, at)
                }
            },
            &[5, 12],
        ),
        (
            "a flag is not understood",
            |_, _| seen(TaskState::Unrecognised),
            &[3],
        ),
    ];
    for (name, server, counts) in servers {
        let mut alone = Fleet::of(1, 40, server);
        alone.wait(HOUR);
        for &count in counts {
            let mut fleet = Fleet::of(count, 40, server);
            fleet.wait(HOUR);

            fleet.keeps_the_rate();
            let (all, one) = (fleet.requests.len(), alone.requests.len());
            assert!(
                all * 10 <= one * 11,
                "{name}: {count} ask {all} times, one {one}"
            );
            assert!(
                all * 10 >= one * 8,
                "{name}: {count} ask {all} times, one {one}"
            );
            let checks: u32 = fleet
                .list
                .values()
                .map(|watched| watched.freshness.checks - 12)
                .sum();
            assert!(
                usize::try_from(checks).expect("few") + MOST_IN_FLIGHT >= all,
                "every request is a check"
            );
        }
    }
}

#[test]
fn an_instance_that_ends_or_is_killed_is_stood_in_for() {
    let mut fleet = Fleet::of(3, 8, running);
    fleet.wait(MINUTE + SECOND / 10);
    let busiest = (0..3)
        .max_by_key(|n| {
            fleet
                .requests
                .iter()
                .filter(|request| request.by == *n)
                .count()
        })
        .expect("three");

    // In the middle of whatever it was doing: its turns are never given back.
    fleet.dead.insert(busiest);
    let killed = fleet.at;
    fleet.wait(3 * MINUTE);

    fleet.keeps_the_rate();
    for n in 0..8 {
        let name = format!("t{n:03}");
        let times: Vec<_> = fleet
            .requests
            .iter()
            .filter(|request| request.at > killed && request.task.as_str() == name)
            .map(|request| request.at)
            .collect();
        let first = times.first().map(|at| at.saturating_sub(killed));
        assert!(
            first.is_some_and(|wait| wait < MINUTE + LOST_AFTER),
            "{name}: {first:?}"
        );
        assert!(times.len() >= 3, "{name}: {times:?}");
    }
}

// P13: no stampede.

#[test]
fn five_instances_start_on_five_hundred_tasks_within_the_limits() {
    let mut fleet = Fleet::of(5, 500, running);

    fleet.wait(110 * SECOND);

    fleet.keeps_the_rate();
    let first_round: HashSet<_> = fleet
        .requests
        .iter()
        .take(500)
        .map(|request| &request.task)
        .collect();
    assert!(
        first_round.len() >= 490,
        "hardly any is asked after twice before all were once: {}",
        first_round.len()
    );
    assert!(
        fleet.requests.len() >= 500,
        "the rate is used: {}",
        fleet.requests.len()
    );
}

#[test]
fn a_minute_of_429_sees_one_probe_in_a_pause_from_all_of_them() {
    let mut fleet = Fleet::of(5, 500, |task, at| {
        if (20 * SECOND..80 * SECOND).contains(&at) {
            Some(limited())
        } else {
            running(task, at)
        }
    });

    fleet.wait(3 * MINUTE);

    fleet.keeps_the_rate();
    let refused: Vec<_> = fleet
        .times(20 * SECOND)
        .into_iter()
        .filter(|at| *at < 80 * SECOND)
        .collect();
    let probes: Vec<_> = refused.iter().filter(|at| **at > 21 * SECOND).collect();
    assert!(
        refused.len() - probes.len() <= MOST_PER_SECOND,
        "{refused:?}"
    );
    assert!(
        (1..=3).contains(&probes.len()),
        "10, 20, 40 seconds: {refused:?}"
    );
    assert!(probes.iter().all(|at| **at > 30 * SECOND), "{refused:?}");
    let after = fleet.times(80 * SECOND);
    assert!(after.len() > 100, "and all goes on: {}", after.len());
    for state in &fleet.instances {
        assert_eq!(state.polls().hold(), None);
    }
}

#[test]
fn hours_of_429_see_a_probe_every_quarter_of_an_hour_from_all_of_them() {
    let mut fleet = Fleet::of(5, 100, |_, _| Some(limited()));

    fleet.wait(4 * HOUR);

    let times = fleet.times(2 * HOUR);
    assert!((6..=9).contains(&times.len()), "four an hour: {times:?}");
    for pair in times.windows(2) {
        assert!(
            pair[1].saturating_sub(pair[0]) + SECOND >= CEILING,
            "{times:?}"
        );
    }
    assert!(
        fleet
            .instances
            .iter()
            .all(|state| state.polls().hold().is_some()),
        "each says so"
    );
    assert!(
        fleet
            .list
            .values()
            .all(|watched| watched.freshness.failures == 0),
        "no row is marked"
    );
}

#[test]
fn a_refused_key_is_tried_by_one_of_them_every_five_minutes_and_at_once_by_hand() {
    let mut fleet = Fleet::of(5, 50, |task, at| {
        if at < 16 * MINUTE {
            Some(Err(PollError::Unauthorized(401)))
        } else {
            running(task, at)
        }
    });
    fleet.wait(16 * MINUTE);
    let during = fleet.requests.len();
    assert!(
        during <= MOST_IN_FLIGHT + 3,
        "{:?}",
        fleet.times(Duration::ZERO)
    );

    fleet.press(3, "r");
    // The others ask the book at the news, and then await a turn of their own.
    fleet.wait(30 * SECOND);

    for state in &fleet.instances {
        assert_eq!(state.polls().hold(), None, "the key is good again");
    }
    assert!(fleet.requests.len() > during + 1, "and all is asked after");
    assert_eq!(fleet.requests[during].by, 3);
}

// F11: the machine slept.
#[test]
fn after_a_sleep_each_task_is_asked_after_once_and_not_all_at_once() {
    for (instances, tasks) in [(1, 12), (1, 500), (5, 40), (5, 500)] {
        let mut fleet = Fleet::of(instances, tasks, running);
        fleet.wait(5 * MINUTE);

        fleet.at += 10 * MINUTE;
        let woke = fleet.at;
        fleet.wait(10 * SECOND);

        fleet.keeps_the_rate();
        let since: Vec<_> = fleet
            .requests
            .iter()
            .filter(|request| request.at >= woke)
            .collect();
        let first = since.first().map(|request| request.at.saturating_sub(woke));
        assert!(first.is_some_and(|wait| wait < 2 * SECOND), "{first:?}");
        let each: HashSet<_> = since.iter().map(|request| &request.task).collect();
        assert_eq!(
            each.len(),
            since.len(),
            "{instances} on {tasks}: each at most once"
        );
        if tasks <= 40 {
            let early = since
                .iter()
                .filter(|request| request.at < woke + 5 * SECOND)
                .count();
            assert!(
                early <= tasks * 2 / 3,
                "{instances} on {tasks}: {early} in five seconds"
            );
            fleet.wait(10 * SECOND);
            let each: HashSet<_> = fleet
                .requests
                .iter()
                .filter(|request| request.at >= woke)
                .map(|request| &request.task)
                .collect();
            // Up to four were under way then, and their answers lay waiting.
            assert!(
                each.len() + MOST_IN_FLIGHT >= tasks,
                "and all of them soon: {}",
                each.len()
            );
        }
    }
}

#[test]
fn a_refused_key_silences_nobody_with_a_good_one_and_asks_no_more_for_its_news() {
    // The second of the two asks with a key that is refused; the server here cannot tell, so the requests are told apart.
    let mut fleet = Fleet::of(2, 12, running);
    fleet.accounts[1] = Account::of("https://api.example", "refused");
    fleet.refused = Some(1);
    fleet.press(0, "p");
    fleet.wait(2 * MINUTE);
    assert!(fleet.instances[1].polls().hold().is_some());
    fleet.press(0, "p");

    fleet.wait(HOUR / 2);

    let by = |n| fleet.requests.iter().filter(move |request| request.by == n);
    assert!(
        by(0).count() > 100,
        "the good key asks on: {}",
        by(0).count()
    );
    let refused = by(1).count();
    assert!(refused <= 4 + 8, "one try every five minutes: {refused}");
    assert!(fleet.instances[0].polls().hold().is_none());
    assert!(fleet.instances[1].polls().hold().is_some());
}
