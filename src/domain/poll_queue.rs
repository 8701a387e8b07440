//! The queue of checks: which may be asked for next and when, and the account's backoff.
//!
//! It counts no requests. The API client grants or denies each one, and one at a time is asked for,
//! so that the next is chosen when it can start.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::{
    poll_request::{Backoff, Denied, DenyReason, PollTrigger},
    poll_result::PollError,
    schedule::{Jitter, MAX_WAIT, MIN_INTERVAL, PollAttempt, PollIntervals},
    task::TaskId,
    time::Mono,
};

/// The shortest delay after a denied request: an immediate retry would be denied again.
const MIN_DELAY: Duration = Duration::from_millis(50);

/// A pause of all polls after an account-wide error, as the API client reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBackoff {
    /// The last error.
    pub error: PollError,
    pub since: Mono,
    /// When the first of consecutive backoffs for the same reason began.
    pub streak_began: Mono,
    /// When one poll probes the server.
    pub until: Mono,
    /// Whether another instance reported it and no answer of our own has confirmed it.
    pub is_external: bool,
}

/// The queue of all polls of the account.
#[derive(Debug, Clone)]
pub struct PollQueue {
    pub intervals: PollIntervals,
    pub jitter: Jitter,
    pub is_paused: bool,
    backoff: Option<AccountBackoff>,
    requested: VecDeque<TaskId>,
    requested_set: HashSet<TaskId>,
    last_attempt: PollAttempt,
    /// The poll that waits for a permit, and whether the user requested it.
    asking: Option<(PollAttempt, bool)>,
    trigger: PollTrigger,
    /// When to ask again, after the limits were reached.
    deferred_until: Option<Mono>,
    /// Whether an answer ends that wait.
    ends_with_answer: bool,
    /// The starts of the requests in the last minute.
    started_at: VecDeque<Mono>,
    /// The tasks whose poll was rejected with the account-wide error, during the backoff.
    rejected_at: HashMap<TaskId, Mono>,
}

impl PollQueue {
    pub fn new(intervals: PollIntervals, jitter: Jitter) -> Self {
        Self {
            intervals,
            jitter,
            is_paused: false,
            backoff: None,
            requested: VecDeque::new(),
            requested_set: HashSet::new(),
            last_attempt: PollAttempt(0),
            asking: None,
            trigger: PollTrigger::Scheduled,
            deferred_until: None,
            ends_with_answer: false,
            started_at: VecDeque::new(),
            rejected_at: HashMap::new(),
        }
    }

    pub const fn backoff(&self) -> Option<&AccountBackoff> {
        self.backoff.as_ref()
    }

    /// Applies the backoff that came with an answer; returns the one that it ended.
    pub fn update_backoff(
        &mut self,
        backoff: Option<Backoff>,
        now: Mono,
    ) -> Option<AccountBackoff> {
        match backoff {
            Some(backoff) => self.set_backoff(backoff, false, now),
            None => return self.backoff.take(),
        }
        None
    }

    /// Applies a backoff. `is_external` says that no answer of our own has confirmed it.
    pub fn set_backoff(&mut self, Backoff { error, wait }: Backoff, is_external: bool, now: Mono) {
        let is_same = |before: &&AccountBackoff| {
            before.error.kind() == error.kind() && before.error.code() == error.code()
        };
        let before = self.backoff.as_ref();
        self.backoff = Some(AccountBackoff {
            since: before.map_or(now, |before| before.since),
            streak_began: before
                .filter(is_same)
                .map_or(now, |before| before.streak_began),
            error,
            until: now.after(wait.clamp(MIN_DELAY, MAX_WAIT)),
            is_external,
        });
    }

    /// Ends the backoff after another instance reported a success; returns the ended backoff.
    ///
    /// The report may belong to a request from before the backoff, so a recent backoff stays.
    /// Another instance may use another key, so after an error of the key only a request of our own
    /// shows whether it still holds: it is sent at once, except during a rate limit.
    pub fn lift_after_external_success(&mut self, now: Mono) -> Option<AccountBackoff> {
        let backoff = self.backoff.as_mut()?;
        let (is_over, is_limit) = (backoff.until <= now, backoff.error.is_rate_limit());
        let is_old = backoff.since.after(MIN_INTERVAL) <= now;
        if backoff.error.is_key_specific() {
            if is_old && !is_limit {
                backoff.until = backoff.until.min(now);
            }
            return self.backoff.take_if(|_| is_over && is_limit);
        }
        let lifted = self.backoff.take_if(|_| is_over || is_old);
        if lifted.is_some() {
            self.trigger = PollTrigger::Manual;
        }
        lifted
    }

    /// Reports whether the backoff has expired and only an answer of our own can end it. Reports of
    /// other instances are no reason to delay that.
    pub fn needs_own_probe(&self, now: Mono) -> bool {
        let is_over =
            |backoff: &AccountBackoff| backoff.error.is_key_specific() && backoff.until <= now;
        self.backoff.as_ref().is_some_and(is_over)
    }

    /// Ends an expired backoff when no task is left to probe with.
    pub fn drop_expired_backoff(&mut self, now: Mono) {
        self.backoff.take_if(|backoff| backoff.until <= now);
    }

    /// Lets one poll probe at once.
    pub fn retry_now(&mut self, now: Mono) {
        if let Some(backoff) = &mut self.backoff {
            backoff.until = backoff.until.min(now);
            self.trigger = PollTrigger::Manual;
        }
    }

    /// Queues a manual request, which is sent even while polling is paused.
    pub fn request(&mut self, task: TaskId) {
        if self.requested_set.insert(task.clone()) {
            self.requested.push_back(task);
        }
    }

    /// Puts a task whose request was denied back at the front of the manual requests.
    pub fn requeue_first(&mut self, task: TaskId) {
        if self.requested_set.insert(task.clone()) {
            self.requested.push_front(task);
        }
    }

    /// Returns the manual requests in order.
    pub const fn requested(&self) -> &VecDeque<TaskId> {
        &self.requested
    }

    /// Takes the first manual request.
    pub fn take_requested(&mut self) -> Option<TaskId> {
        let task = self.requested.pop_front()?;
        self.requested_set.remove(&task);
        Some(task)
    }

    /// Returns when the next poll may be asked for; `None` while one is being asked for.
    pub fn next_start(&self, now: Mono) -> Option<Mono> {
        if self.asking.is_some() {
            return None;
        }
        let backoff_end = self.backoff.as_ref().map(|backoff| backoff.until);
        [Some(now), self.deferred_until, backoff_end]
            .into_iter()
            .flatten()
            .max()
    }

    /// Starts to ask for a poll; returns its id and its trigger.
    pub fn ask(&mut self, is_manual: bool) -> (PollAttempt, PollTrigger) {
        self.last_attempt = PollAttempt(self.last_attempt.0.wrapping_add(1));
        self.asking = Some((self.last_attempt, is_manual));
        (self.last_attempt, std::mem::take(&mut self.trigger))
    }

    /// Ends the wait of a poll for its permit; returns whether the user requested it.
    pub fn end_asking(&mut self, attempt: PollAttempt) -> bool {
        self.asking
            .take_if(|(asking, _)| *asking == attempt)
            .is_some_and(|(_, is_manual)| is_manual)
    }

    /// Delays all polls after a denial.
    pub fn defer(&mut self, Denied { reason, wait }: &Denied, now: Mono) {
        self.deferred_until = Some(now.after((*wait).clamp(MIN_DELAY, MAX_WAIT)));
        self.ends_with_answer = *reason != DenyReason::RateLimit;
    }

    /// Ends the delay, if an answer has left a permit to ask for.
    pub const fn end_deferral(&mut self) {
        if self.ends_with_answer {
            self.deferred_until = None;
        }
    }

    /// Ends the wait of a poll whose request is sent, and counts it for [`Self::per_minute`].
    pub fn count_start(&mut self, attempt: PollAttempt, now: Mono) {
        self.end_asking(attempt);
        self.started_at
            .retain(|at| now.since(*at) < Duration::from_mins(1));
        self.started_at.push_back(now);
    }

    /// Returns the number of requests started in the last minute.
    pub fn per_minute(&self, now: Mono) -> usize {
        let is_recent = |at: &&Mono| now.since(**at) < Duration::from_mins(1);
        self.started_at.iter().filter(is_recent).count()
    }

    /// Records that a task's poll was rejected with the account-wide error.
    pub fn record_rejection(&mut self, task: &TaskId, now: Mono) {
        if self.backoff.is_none() {
            self.rejected_at.clear();
        }
        self.rejected_at.insert(task.clone(), now);
    }

    /// Returns when a task's poll was rejected with the account-wide error; `None` without a
    /// backoff.
    pub fn rejected_at(&self, task: &TaskId) -> Option<Mono> {
        let at = self.rejected_at.get(task).copied();
        at.filter(|_| self.backoff.is_some())
    }
}
