//! Several instances on one list in simulated time: complete app states, one shared limiter, a list
//! that reports changes with realistic delays, and a fake server that checks the limits.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::State,
        update::{next_wakeup, update},
    },
    domain::{
        account_hash::AccountHash,
        limiter::{OwnerProcess, Permit, RequestLimiter, RequestOutcome},
        list_change::{ChangeResult, ExternalChange},
        poll_result::{PollError, PollResult},
        response_notes::ResponseNotes,
        schedule::{LOST_AFTER, MAX_IN_FLIGHT, MAX_PER_SECOND, MAX_WAIT, PollAttempt},
        store_request::StoreRequest,
        task::{TaskId, TaskState},
        time::Mono,
    },
};

use crate::support::{
    self, chord,
    fake_list::{FakeList, as_stored},
    later, line, program,
    story::{HOUR, MINUTE, SECOND, observed, running},
    task,
};

/// Answers a request made at that time; `None` leaves it unanswered.
type Server = fn(&TaskId, Duration) -> Option<PollResult>;

enum FleetEvent {
    Answered {
        attempt: PollAttempt,
        permit: Permit,
        answer: Box<PollResult>,
    },
    Message(Msg),
}

struct SentRequest {
    at: Duration,
    end: Duration,
    task: TaskId,
    instance: usize,
}

struct InstanceFleet {
    instances: Vec<State>,
    limiter: RequestLimiter,
    list: FakeList,
    at: Duration,
    events: BTreeMap<(Duration, u64), (usize, FleetEvent)>,
    count: u64,
    requests: Vec<SentRequest>,
    server: Server,
    dead: HashSet<usize>,
    /// The account of each instance.
    accounts: Vec<AccountHash>,
    /// The instance whose key the server refuses.
    refused_account: Option<usize>,
}

impl InstanceFleet {
    /// Creates instances on a list of running tasks.
    fn with_instances(instances: usize, tasks: usize, server: Server) -> Self {
        let list: Vec<_> = (0..tasks)
            .map(|n| {
                let watched = task(&format!("t{n:03}")).running().created("14:31").build();
                as_stored(&watched)
            })
            .collect();
        let mut fleet = Self {
            instances: Vec::new(),
            limiter: RequestLimiter::default(),
            list: FakeList::with(list.clone()),
            at: Duration::ZERO,
            events: BTreeMap::new(),
            count: 0,
            requests: Vec::new(),
            server,
            dead: HashSet::new(),
            accounts: vec![AccountHash::default(); instances],
            refused_account: None,
        };
        for n in 0..instances {
            let seed = u64::try_from(n).expect("few") * 7919 + 1;
            let state = program().set(|set| set.seed = seed).still_loading().build();
            fleet.instances.push(state);
        }
        for n in 0..instances {
            fleet.send(n, support::list_loaded(list.clone()));
        }
        fleet
    }

    /// Returns the time of the clock that all instances share.
    fn shared_clock(&self) -> Mono {
        Mono::at(HOUR * 100).after(self.at)
    }

    fn schedule(&mut self, wait: Duration, to: usize, event: FleetEvent) {
        self.count += 1;
        self.events
            .insert((self.at + wait, self.count), (to, event));
    }

    /// Returns a pseudo-random duration below `max` that differs between events.
    fn jitter(&self, max: Duration) -> Duration {
        let random = self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        max.mul_f64(f64::from(u32::try_from(random).expect("ten bits")) / 1024.0)
    }

    fn send(&mut self, to: usize, msg: Msg) {
        let now = later(self.at);
        let effects = update(&mut self.instances[to], msg, now);
        for effect in effects {
            self.run_effect(to, effect);
        }
    }

    fn run_effect(&mut self, by: usize, effect: Effect) {
        match effect {
            Effect::Poll {
                task,
                attempt,
                trigger,
                ..
            } => {
                let permit = Permit {
                    task: task.clone(),
                    account: self.accounts[by],
                    since: self.shared_clock(),
                    owner: Some(OwnerProcess {
                        namespace: 1,
                        pid: u32::try_from(by).expect("few"),
                        started_at: 0,
                    }),
                };
                let msg = match self.limiter.acquire(&permit, trigger) {
                    Ok(()) => {
                        self.send_request(by, attempt, permit);
                        Msg::PollStarted(attempt)
                    }
                    Err(denied) => Msg::PollDenied {
                        task,
                        attempt,
                        denied,
                    },
                };
                self.schedule(Duration::from_millis(1), by, FleetEvent::Message(msg));
            }
            Effect::Store(StoreRequest::Write(changes)) => {
                let results = self.list.write(&changes);
                self.report_elsewhere(by, &results);
                let msg = support::written(changes, Ok(results));
                self.schedule(Duration::from_millis(5), by, FleetEvent::Message(msg));
            }
            Effect::Store(StoreRequest::ReadJournal(task)) => {
                let msg = support::journal_read(task, Ok(Vec::new()));
                self.schedule(SECOND, by, FleetEvent::Message(msg));
            }
            _ => {}
        }
    }

    fn send_request(&mut self, by: usize, attempt: PollAttempt, permit: Permit) {
        let task = permit.task.clone();
        let in_flight: Vec<_> = self
            .requests
            .iter()
            .rev()
            .take(100)
            .filter(|request| request.end > self.at)
            .collect();
        assert!(
            in_flight.len() < MAX_IN_FLIGHT,
            "a fifth request in flight at {:?}",
            self.at
        );
        assert!(
            in_flight.iter().all(|request| request.task != task),
            "{task} twice in flight"
        );
        let duration = Duration::from_millis(250) + self.jitter(SECOND / 5);
        self.requests.push(SentRequest {
            at: self.at,
            end: self.at + duration,
            task: task.clone(),
            instance: by,
        });
        let answer = if self.refused_account == Some(by) {
            Some(Err(PollError::Unauthorized(401)))
        } else {
            (self.server)(&task, self.at)
        };
        if let Some(answer) = answer {
            let event = FleetEvent::Answered {
                attempt,
                permit,
                answer: Box::new(answer),
            };
            self.schedule(duration, by, event);
        }
    }

    /// Reports written rows to the other instances, 50 to 1,050 ms later.
    fn report_elsewhere(&mut self, by: usize, results: &[ChangeResult]) {
        for result in results {
            let ChangeResult::Updated { watched, .. } = result else {
                panic!("a task on the list: {result:?}");
            };
            for other in (0..self.instances.len()).filter(|other| *other != by) {
                let change = ExternalChange::Changed(watched.clone());
                let wait = Duration::from_millis(50) + self.jitter(SECOND);
                let msg = support::external_changes(vec![change]);
                self.schedule(wait, other, FleetEvent::Message(msg));
            }
        }
    }

    fn advance(&mut self, time: Duration) {
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
                    self.dispatch(to, event);
                }
            } else if let Some((_, n)) = wakeup {
                self.send(n, Msg::Tick);
            }
        }
    }

    fn dispatch(&mut self, to: usize, event: FleetEvent) {
        match event {
            FleetEvent::Message(msg) => self.send(to, msg),
            FleetEvent::Answered {
                attempt,
                permit,
                answer,
            } => {
                self.limiter.release(
                    &permit,
                    &RequestOutcome::from_result(&answer),
                    self.shared_clock(),
                );
                let notes = ResponseNotes {
                    backoff: self.limiter.backoff(permit.account, self.shared_clock()),
                    ..ResponseNotes::default()
                };
                let msg = Msg::Polled {
                    task: permit.task,
                    attempt,
                    answer,
                    notes,
                };
                self.send(to, msg);
            }
        }
    }

    fn press(&mut self, to: usize, key: &str) {
        let msg = Msg::Key {
            chord: chord(key),
            is_repeat: false,
        };
        self.send(to, msg);
    }

    /// Returns the times of the requests since `from`.
    fn request_times(&self, from: Duration) -> Vec<Duration> {
        self.requests_since(from)
            .map(|request| request.at)
            .collect()
    }

    fn requests_since(&self, from: Duration) -> impl Iterator<Item = &SentRequest> {
        let requests = self.requests.iter();
        requests.filter(move |request| request.at >= from)
    }

    fn requests_by(&self, instance: usize) -> usize {
        let requests = self.requests.iter();
        requests
            .filter(|request| request.instance == instance)
            .count()
    }

    /// Fails if more than five requests start within any second.
    fn assert_rate_limit(&self) {
        for window in self
            .request_times(Duration::ZERO)
            .windows(MAX_PER_SECOND + 1)
        {
            let span = window[MAX_PER_SECOND].saturating_sub(window[0]);
            assert!(span >= SECOND, "six within {span:?} at {:?}", window[0]);
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the return type of a Server")]
fn always_running(_: &TaskId, _: Duration) -> Option<PollResult> {
    Some(running())
}

fn rate_limited() -> PollResult {
    Err(PollError::RateLimited {
        code: 429,
        retry_after: None,
    })
}

// F72: many instances send as many requests as one.

#[test]
fn instances_together_poll_like_one() {
    let servers: [(&str, Server, &[usize]); 3] = [
        ("running", always_running, &[2, 5]),
        (
            "half of the tasks malformed",
            |task, at| {
                if task.as_str().ends_with(['0', '2', '4', '6', '8']) {
                    Some(Err(PollError::Malformed(line("no object"))))
                } else {
                    always_running(task, at)
                }
            },
            &[5, 12],
        ),
        (
            "unknown status",
            |_, _| Some(observed(TaskState::Unrecognised)),
            &[3],
        ),
    ];
    for (name, server, counts) in servers {
        let mut alone = InstanceFleet::with_instances(1, 40, server);
        alone.advance(HOUR);
        for &count in counts {
            let mut fleet = InstanceFleet::with_instances(count, 40, server);
            fleet.advance(HOUR);

            fleet.assert_rate_limit();
            let (all, one) = (fleet.requests.len(), alone.requests.len());
            assert!(
                (one * 8..=one * 11).contains(&(all * 10)),
                "{name}: {count} instances send {all} requests, one {one}"
            );
            let checks: u32 = fleet
                .list
                .tasks()
                .map(|watched| watched.poll_history.checks - 12)
                .sum();
            assert!(
                usize::try_from(checks).expect("few") + MAX_IN_FLIGHT >= all,
                "every request is a check"
            );
        }
    }
}

#[test]
fn other_instances_take_over_from_a_dead_one() {
    let mut fleet = InstanceFleet::with_instances(3, 8, always_running);
    fleet.advance(MINUTE + SECOND / 10);
    let busiest = (0..3).max_by_key(|n| fleet.requests_by(*n));
    let busiest = busiest.expect("three");

    // It never releases its permits.
    fleet.dead.insert(busiest);
    let killed_at = fleet.at;
    fleet.advance(3 * MINUTE);

    fleet.assert_rate_limit();
    for n in 0..8 {
        let name = format!("t{n:03}");
        let requests = fleet.requests_since(killed_at + Duration::from_nanos(1));
        let times: Vec<_> = requests
            .filter(|request| request.task.as_str() == name)
            .map(|request| request.at)
            .collect();
        let first = times.first().map(|at| at.saturating_sub(killed_at));
        assert!(
            first.is_some_and(|wait| wait < MINUTE + LOST_AFTER),
            "{name}: {first:?}"
        );
        assert!(times.len() >= 3, "{name}: {times:?}");
    }
}

// P13: no burst of requests.

#[test]
fn five_instances_keep_the_limits() {
    let mut fleet = InstanceFleet::with_instances(5, 500, always_running);

    fleet.advance(110 * SECOND);

    fleet.assert_rate_limit();
    let first_round: HashSet<_> = fleet
        .requests
        .iter()
        .take(500)
        .map(|request| &request.task)
        .collect();
    assert!(
        first_round.len() >= 490,
        "nearly all tasks are checked once before any is checked twice: {}",
        first_round.len()
    );
    assert!(
        fleet.requests.len() >= 500,
        "the rate limit is used up: {}",
        fleet.requests.len()
    );
}

#[test]
fn a_429_gets_one_probe_from_all_instances() {
    let mut fleet = InstanceFleet::with_instances(5, 500, |task, at| {
        if (20 * SECOND..80 * SECOND).contains(&at) {
            Some(rate_limited())
        } else {
            always_running(task, at)
        }
    });

    fleet.advance(3 * MINUTE);

    fleet.assert_rate_limit();
    let refused: Vec<_> = fleet
        .request_times(20 * SECOND)
        .into_iter()
        .filter(|at| *at < 80 * SECOND)
        .collect();
    let probes: Vec<_> = refused.iter().filter(|at| **at > 21 * SECOND).collect();
    assert!(
        refused.len() - probes.len() <= MAX_PER_SECOND,
        "{refused:?}"
    );
    assert!(
        (1..=3).contains(&probes.len()),
        "10, 20, 40 seconds: {refused:?}"
    );
    assert!(probes.iter().all(|at| **at > 30 * SECOND), "{refused:?}");
    let after = fleet.request_times(80 * SECOND);
    assert!(after.len() > 100, "polling continues: {}", after.len());
    for state in &fleet.instances {
        assert_eq!(state.poll_queue().backoff(), None);
    }
}

#[test]
fn a_long_429_is_probed_every_15_minutes() {
    let mut fleet = InstanceFleet::with_instances(5, 100, |_, _| Some(rate_limited()));

    fleet.advance(4 * HOUR);

    let times = fleet.request_times(2 * HOUR);
    assert!((6..=9).contains(&times.len()), "four per hour: {times:?}");
    for pair in times.windows(2) {
        assert!(
            pair[1].saturating_sub(pair[0]) + SECOND >= MAX_WAIT,
            "{times:?}"
        );
    }
    assert!(
        fleet
            .instances
            .iter()
            .all(|state| state.poll_queue().backoff().is_some()),
        "every instance backs off"
    );
    assert!(
        fleet
            .list
            .tasks()
            .all(|watched| watched.poll_history.failures == 0),
        "no task counts a failure"
    );
}

#[test]
fn a_refused_key_is_retried_by_one_instance() {
    let mut fleet = InstanceFleet::with_instances(5, 50, |task, at| {
        if at < 16 * MINUTE {
            Some(Err(PollError::Unauthorized(401)))
        } else {
            always_running(task, at)
        }
    });
    fleet.advance(16 * MINUTE);
    let during = fleet.requests.len();
    assert!(
        during <= MAX_IN_FLIGHT + 3,
        "{:?}",
        fleet.request_times(Duration::ZERO)
    );

    fleet.press(3, "r");
    // When the change arrives, the others ask the limiter again, and then wait for a permit.
    fleet.advance(30 * SECOND);

    for state in &fleet.instances {
        assert_eq!(
            state.poll_queue().backoff(),
            None,
            "the key is accepted again"
        );
    }
    assert!(fleet.requests.len() > during + 1, "all tasks are checked");
    assert_eq!(fleet.requests[during].instance, 3);
}

// F11: the machine slept.
#[test]
fn checks_after_a_suspend_are_shared_and_spread() {
    for (instances, tasks) in [(1, 12), (1, 500), (5, 40), (5, 500)] {
        let mut fleet = InstanceFleet::with_instances(instances, tasks, always_running);
        fleet.advance(5 * MINUTE);

        fleet.at += 10 * MINUTE;
        let resumed_at = fleet.at;
        fleet.advance(10 * SECOND);

        fleet.assert_rate_limit();
        let since: Vec<_> = fleet.requests_since(resumed_at).collect();
        let first = since
            .first()
            .map(|request| request.at.saturating_sub(resumed_at));
        assert!(first.is_some_and(|wait| wait < 2 * SECOND), "{first:?}");
        let tasks_checked: HashSet<_> = since.iter().map(|request| &request.task).collect();
        assert_eq!(
            tasks_checked.len(),
            since.len(),
            "{instances} on {tasks}: each at most once"
        );
        if tasks <= 40 {
            let early = since
                .iter()
                .filter(|request| request.at < resumed_at + 5 * SECOND)
                .count();
            assert!(
                early <= tasks * 2 / 3,
                "{instances} on {tasks}: {early} in five seconds"
            );
            fleet.advance(10 * SECOND);
            let since = fleet.requests_since(resumed_at);
            let tasks_checked: HashSet<_> = since.map(|request| &request.task).collect();
            // Up to four responses were in flight during the suspend.
            assert!(
                tasks_checked.len() + MAX_IN_FLIGHT >= tasks,
                "all tasks are checked soon: {}",
                tasks_checked.len()
            );
        }
    }
}

#[test]
fn a_refused_key_does_not_stop_instances_with_another() {
    // The fake server does not see keys, so it refuses the second instance by its index.
    let mut fleet = InstanceFleet::with_instances(2, 12, always_running);
    fleet.accounts[1] = AccountHash::new("https://api.example", "refused");
    fleet.refused_account = Some(1);
    fleet.press(0, "p");
    fleet.advance(2 * MINUTE);
    assert!(fleet.instances[1].poll_queue().backoff().is_some());
    fleet.press(0, "p");

    fleet.advance(HOUR / 2);

    let (accepted, refused) = (fleet.requests_by(0), fleet.requests_by(1));
    assert!(accepted > 100, "the accepted key continues: {accepted}");

    assert!(refused <= 4 + 8, "one retry every five minutes: {refused}");
    assert!(fleet.instances[0].poll_queue().backoff().is_none());
    assert!(fleet.instances[1].poll_queue().backoff().is_some());
}
