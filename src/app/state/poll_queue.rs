//! Account-wide polling state: pause, backoff, rate limit, manual requests, poll ids.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use crate::{
    domain::{
        limiter::Broadcast,
        list_change::AccessMode,
        poll_result::PollError,
        schedule::{
            FAILURE_THRESHOLD, FAILURE_WINDOW, Jitter, LOST_AFTER, MAX_IN_FLIGHT, MAX_PER_SECOND,
            MIN_INTERVAL, PollAttempt, PollIntervals, RATE_WINDOW,
        },
        task::TaskId,
        time::Mono,
    },
    messages::dialogs::KEY_LIMIT_REACHED,
};

/// A pause of all polls after an account-wide error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBackoff {
    /// The last error.
    pub error: PollError,
    /// The number of consecutive answers with this error.
    pub failures: u32,
    pub since: Mono,
    /// When the first of consecutive backoffs for the same reason began.
    pub streak_began: Mono,
    /// When one poll probes the server.
    pub until: Mono,
    /// Whether another instance reported it and no answer of our own has confirmed it.
    pub is_external: bool,
}

/// An unanswered poll of a task that was removed from the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OrphanedPoll {
    task: TaskId,
    attempt: PollAttempt,
    since: Mono,
}

/// The scheduler of all polls of the account.
#[derive(Debug, Clone)]
pub struct PollQueue {
    intervals: PollIntervals,
    jitter: Jitter,
    is_paused: bool,
    backoff: Option<AccountBackoff>,
    sent: VecDeque<Mono>,
    requested: VecDeque<TaskId>,
    requested_set: HashSet<TaskId>,
    orphans: Vec<OrphanedPoll>,
    last_attempt: PollAttempt,
    /// Unanswered polls that the user requested.
    manual: Vec<PollAttempt>,
    /// When to try for a permit again, after other instances took them all.
    deferred_until: Option<Mono>,
    /// The tasks that failed recently, with the time.
    recent_failures: VecDeque<(Mono, TaskId)>,
    /// The number of consecutive failed polls; repeated failures of one task count once.
    consecutive_failures: u32,
    /// The task of the last failed poll.
    last_failed: Option<TaskId>,
    /// A message to the other instances, not sent yet.
    broadcast: Option<Broadcast>,
    /// The tasks whose poll ended recently, with the time.
    recent_ends: VecDeque<(Mono, TaskId)>,
    /// The tasks whose poll was rejected with the account-wide error, during the backoff.
    rejected_at: HashMap<TaskId, Mono>,
}

/// How long a rate limit must have lasted before the key's own limit is suspected.
const KEY_LIMIT_AGE: Duration = Duration::from_hours(1);

impl AccountBackoff {
    /// Returns the reason as the start of a sentence, without a full stop.
    ///
    /// A key has hourly, daily and total limits, and the server may report each of them as a rate
    /// limit: one that has lasted for an hour is probably such a limit.
    pub fn message(&self, now: Mono) -> Cow<'static, str> {
        let is_long = now.since(self.streak_began) >= KEY_LIMIT_AGE;
        if is_long && matches!(self.error, PollError::RateLimited { code: 429, .. }) {
            KEY_LIMIT_REACHED.into()
        } else {
            self.error.message().into()
        }
    }
}

impl PollQueue {
    pub fn new(intervals: PollIntervals, jitter: Jitter) -> Self {
        Self {
            intervals,
            jitter,
            is_paused: false,
            backoff: None,
            sent: VecDeque::new(),
            requested: VecDeque::new(),
            requested_set: HashSet::new(),
            orphans: Vec::new(),
            last_attempt: PollAttempt(0),
            manual: Vec::new(),
            deferred_until: None,
            recent_failures: VecDeque::new(),
            consecutive_failures: 0,
            last_failed: None,
            broadcast: None,
            recent_ends: VecDeque::new(),
            rejected_at: HashMap::new(),
        }
    }

    pub const fn intervals(&self) -> PollIntervals {
        self.intervals
    }

    pub const fn set_intervals(&mut self, intervals: PollIntervals) {
        self.intervals = intervals;
    }

    pub const fn jitter(&self) -> Jitter {
        self.jitter
    }

    pub const fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub const fn toggle_pause(&mut self) {
        self.is_paused = !self.is_paused;
    }

    pub const fn backoff(&self) -> Option<&AccountBackoff> {
        self.backoff.as_ref()
    }

    /// Starts or extends the backoff after an account-wide error.
    ///
    /// Answers to requests sent before the backoff began extend it only if they report another
    /// error; none shortens it.
    pub fn back_off(&mut self, error: PollError, sent_at: Mono, now: Mono) {
        let (failures, at_least) = match &self.backoff {
            Some(backoff) if sent_at < backoff.until => {
                if backoff.error == error {
                    return;
                }
                (backoff.failures, backoff.until)
            }
            Some(backoff) => (backoff.failures.saturating_add(1), now),
            None => (1, now),
        };
        let until = now.after(self.jitter.account_backoff(&error, failures));
        if until >= at_least {
            self.start_backoff(error, failures, until, now);
        }
    }

    /// Starts a backoff, and broadcasts it if it applies to the other instances too.
    fn start_backoff(&mut self, error: PollError, failures: u32, until: Mono, now: Mono) {
        if !error.is_local() {
            self.broadcast = Some(Broadcast::Backoff {
                error: error.clone(),
                failures,
                wait: until.since(now),
            });
        }
        self.backoff = Some(AccountBackoff {
            streak_began: self.streak_began(&error, now),
            error,
            failures,
            since: now,
            until,
            is_external: false,
        });
        self.clear_failures();
    }

    /// Adopts a backoff that another instance reported.
    pub fn adopt_backoff(&mut self, error: PollError, failures: u32, until: Mono, now: Mono) {
        let current_end = self.backoff.as_ref().map_or(until, |backoff| backoff.until);
        self.backoff = Some(AccountBackoff {
            streak_began: self.streak_began(&error, now),
            error,
            failures,
            since: now,
            until: current_end.max(until),
            is_external: true,
        });
        self.clear_failures();
    }

    /// Returns when the first of consecutive backoffs for this reason began, including one that
    /// begins now.
    fn streak_began(&self, error: &PollError, now: Mono) -> Mono {
        let is_same =
            |other: &PollError| other.kind() == error.kind() && other.code() == error.code();
        let before = self
            .backoff
            .as_ref()
            .filter(|backoff| is_same(&backoff.error));
        before.map_or(now, |backoff| backoff.streak_began)
    }

    /// Counts a failed task. If many fail, the server is at fault: all polls wait, and one probes.
    ///
    /// Many means five tasks within ten seconds, or five polls in a row. One task that fails
    /// repeatedly starts no backoff.
    pub fn record_failure(&mut self, task: &TaskId, error: &PollError, now: Mono) {
        if self.backoff.is_some() {
            return;
        }
        if self.last_failed.as_ref() != Some(task) {
            self.consecutive_failures = self.consecutive_failures.saturating_add(1);
            self.last_failed = Some(task.clone());
        }
        self.recent_failures
            .retain(|(at, failed)| now.since(*at) < FAILURE_WINDOW && failed != task);
        self.recent_failures.push_back((now, task.clone()));
        let failures = u32::try_from(self.recent_failures.len()).unwrap_or(u32::MAX);
        if failures.max(self.consecutive_failures) >= FAILURE_THRESHOLD {
            let wait = self.jitter.account_backoff(error, FAILURE_THRESHOLD);
            self.start_backoff(error.clone(), FAILURE_THRESHOLD, now.after(wait), now);
        }
    }

    /// Resets the count of consecutive failures after an answer.
    pub fn record_success(&mut self) {
        (self.consecutive_failures, self.last_failed) = (0, None);
    }

    fn clear_failures(&mut self) {
        self.recent_failures.clear();
        self.record_success();
    }

    pub const fn take_broadcast(&mut self) -> Option<Broadcast> {
        self.broadcast.take()
    }

    /// Extends the backoff if its probe, sent at `sent_at`, failed for a reason of its own.
    pub fn extend_backoff(&mut self, sent_at: Mono, now: Mono) {
        let backoff = self
            .backoff
            .as_ref()
            .filter(|backoff| sent_at >= backoff.until);
        if let Some(backoff) = backoff.cloned() {
            let failures = backoff.failures.saturating_add(1);
            let until = now.after(self.jitter.account_backoff(&backoff.error, failures));
            self.start_backoff(backoff.error, failures, until, now);
        }
    }

    /// Ends the backoff after an answer to a request sent since; returns the ended backoff.
    ///
    /// An answer to a request sent before the backoff proves nothing about it.
    pub fn lift_after_answer(&mut self, sent_at: Mono) -> Option<AccountBackoff> {
        self.backoff.take_if(|backoff| sent_at >= backoff.until)
    }

    /// Ends the backoff after another instance reported a success; returns the ended backoff.
    ///
    /// The report may belong to a request from before the backoff, so a recent backoff stays.
    /// Another instance may use another key, so its success does not lift a key-specific backoff.
    /// Retry at once instead; the shared limiter rejects locally while this key is blocked. Without
    /// a limiter (a read-only list) the backoff stays.
    pub fn lift_after_external_success(
        &mut self,
        access: AccessMode,
        now: Mono,
    ) -> Option<AccountBackoff> {
        let backoff = self.backoff.as_mut()?;
        let (is_over, is_limit) = (backoff.until <= now, backoff.error.is_rate_limit());
        let is_old = backoff.since.after(MIN_INTERVAL) <= now;
        if backoff.error.is_key_specific() {
            if access == AccessMode::ReadOnly {
                return None;
            }
            if is_old && !is_limit {
                backoff.until = backoff.until.min(now);
            }
            return self.backoff.take_if(|_| is_over && is_limit);
        }
        self.backoff.take_if(|_| is_over || is_old)
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
            self.broadcast = Some(Broadcast::RetryNow);
        }
    }

    /// Puts a task whose poll was denied back at the front of the manual requests.
    pub fn requeue_first(&mut self, task: TaskId) {
        if self.requested_set.insert(task.clone()) {
            self.requested.push_front(task);
        }
    }

    /// Delays all polls: other instances hold all permits until then.
    pub const fn defer_until(&mut self, until: Mono) {
        self.deferred_until = Some(until);
    }

    /// Removes a start from the rate count, because no request was sent.
    pub fn uncount_start(&mut self, started: Mono) {
        if let Some(at) = self.sent.iter().rposition(|sent| *sent == started) {
            self.sent.remove(at);
        }
    }

    /// Records the end of a task's poll.
    pub fn record_end(&mut self, task: &TaskId, now: Mono) {
        self.recent_ends
            .retain(|(at, _)| now.since(*at) < MIN_INTERVAL);
        self.recent_ends.push_back((now, task.clone()));
    }

    /// Reports whether the limiter would still deny a permit for the task because this instance has
    /// just polled it.
    pub fn was_just_polled(&self, task: &TaskId, now: Mono) -> bool {
        let mut ended = self.recent_ends.iter();
        ended.any(|(at, other)| other == task && now.since(*at) < MIN_INTERVAL)
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

    pub fn mark_manual(&mut self, attempt: PollAttempt) {
        self.manual.push(attempt);
    }

    /// Forgets an ended poll; returns whether the user requested it.
    pub fn take_manual(&mut self, attempt: PollAttempt) -> bool {
        let count = self.manual.len();
        self.manual.retain(|other| *other != attempt);
        self.manual.len() < count
    }

    /// Restarts the answer timeout of all orphaned polls.
    pub fn restart_orphans(&mut self, now: Mono) {
        for orphan in &mut self.orphans {
            orphan.since = now;
        }
    }

    /// Queues a manual request, which is sent even while polling is paused.
    pub fn request(&mut self, task: TaskId) {
        if self.requested_set.insert(task.clone()) {
            self.requested.push_back(task);
        }
    }

    /// Keeps the unanswered poll of a removed task: it still occupies a slot.
    pub fn add_orphan(&mut self, task: TaskId, attempt: PollAttempt, since: Mono) {
        self.orphans.push(OrphanedPoll {
            task,
            attempt,
            since,
        });
    }

    /// Removes an answered orphaned poll; returns when it was sent.
    pub fn end_orphan(&mut self, attempt: PollAttempt) -> Option<Mono> {
        let is_match = |orphan: &OrphanedPoll| orphan.attempt == attempt;
        let index = self.orphans.iter().position(is_match)?;
        Some(self.orphans.swap_remove(index).since)
    }

    /// Removes and returns the unanswered poll of a task that is restored.
    pub fn take_orphan(&mut self, task: &TaskId) -> Option<(PollAttempt, Mono)> {
        let at = self
            .orphans
            .iter()
            .position(|orphan| orphan.task == *task)?;
        let OrphanedPoll { attempt, since, .. } = self.orphans.swap_remove(at);
        Some((attempt, since))
    }

    /// Removes the orphaned poll that was answered, and those that are lost.
    pub fn prune_orphans(&mut self, answered: Option<PollAttempt>, now: Mono) {
        self.orphans.retain(|orphan| {
            Some(orphan.attempt) != answered && orphan.since.after(LOST_AFTER) > now
        });
    }

    pub const fn orphan_count(&self) -> usize {
        self.orphans.len()
    }

    /// Returns when the next orphaned poll counts as lost.
    pub fn next_lost(&self) -> Option<Mono> {
        self.orphans
            .iter()
            .map(|orphan| orphan.since.after(LOST_AFTER))
            .min()
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

    /// Returns the earliest start of the next poll with `in_flight` polls unanswered; `None` if it
    /// must wait for an answer.
    pub fn next_slot_at(&self, in_flight: usize, now: Mono) -> Option<Mono> {
        let limit = if self.backoff.is_some() {
            1
        } else {
            MAX_IN_FLIGHT
        };
        if in_flight + self.orphans.len() >= limit {
            return None;
        }
        let backoff_end = self
            .backoff
            .as_ref()
            .map_or(now, |backoff| backoff.until.max(now));
        let backoff_end = self
            .deferred_until
            .map_or(backoff_end, |until| until.max(backoff_end));
        let rate_end = match self
            .sent
            .len()
            .checked_sub(MAX_PER_SECOND)
            .and_then(|at| self.sent.get(at))
        {
            Some(sent) => sent.after(RATE_WINDOW),
            None => now,
        };
        Some(backoff_end.max(rate_end))
    }

    /// Counts a poll that starts now and returns its id.
    pub fn start(&mut self, now: Mono) -> PollAttempt {
        self.forget_before(now);
        self.sent.push_back(now);
        self.last_attempt = PollAttempt(self.last_attempt.0.wrapping_add(1));
        self.last_attempt
    }

    pub fn per_minute(&self, now: Mono) -> usize {
        self.sent
            .iter()
            .filter(|sent| now.since(**sent) < Duration::from_mins(1))
            .count()
    }

    fn forget_before(&mut self, now: Mono) {
        while self
            .sent
            .front()
            .is_some_and(|sent| now.since(*sent) >= Duration::from_mins(1))
        {
            self.sent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::at(Duration::from_millis(millis))
    }

    #[test]
    fn five_polls_start_a_second_and_four_are_in_flight() {
        let mut queue = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        for n in 0..5 {
            assert_eq!(queue.next_slot_at(0, at(n)), Some(at(n)));
            queue.start(at(n));
        }

        assert_eq!(queue.next_slot_at(0, at(5)), Some(at(1100)));
        assert_eq!(queue.next_slot_at(0, at(1100)), Some(at(1100)));
        assert_eq!(queue.next_slot_at(4, at(1100)), None);
        assert_eq!(queue.per_minute(at(1100)), 5);
        assert_eq!(queue.per_minute(at(60_003)), 1);
    }

    #[test]
    fn a_backoff_allows_one_probe() {
        let mut queue = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        queue.back_off(PollError::Maintenance, at(0), at(100));
        let backoff = queue.backoff().unwrap().clone();

        queue.back_off(PollError::Maintenance, at(0), at(200));

        assert_eq!(queue.backoff(), Some(&backoff));
        assert_eq!(queue.next_slot_at(0, at(300)), Some(backoff.until));
        assert_eq!(queue.next_slot_at(1, backoff.until), None);
        queue.back_off(
            PollError::Maintenance,
            backoff.until,
            backoff.until.after(Duration::from_secs(1)),
        );
        assert_eq!(queue.backoff().unwrap().failures, 2);
    }

    #[test]
    fn a_missing_key_is_not_broadcast() {
        let mut queue = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        let unread = PollError::KeyUnreadable(crate::domain::text::CleanText::line("x", 9));
        for error in [PollError::NoKey, unread] {
            queue.back_off(error, at(0), at(100));
            assert_eq!(queue.take_broadcast(), None);
        }
        queue.back_off(PollError::Maintenance, at(0), at(200));
        assert!(queue.backoff().is_some());
    }

    #[test]
    fn earlier_requests_do_not_change_a_backoff() {
        let mut queue = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        let rate_limited = |secs| PollError::RateLimited {
            code: 429,
            retry_after: Some(Duration::from_secs(secs)),
        };
        queue.back_off(rate_limited(60), at(0), at(100));
        let backoff = queue.backoff().unwrap().clone();

        queue.back_off(rate_limited(3), at(50), at(200));
        queue.extend_backoff(at(60), at(300));
        assert_eq!(queue.lift_after_answer(at(70)), None);
        assert_eq!(queue.backoff(), Some(&backoff));
        queue.back_off(
            rate_limited(60),
            at(80),
            backoff.until.after(Duration::from_secs(1)),
        );
        assert_eq!(
            queue.backoff(),
            Some(&backoff),
            "nor when it comes after its end"
        );

        queue.extend_backoff(backoff.until, backoff.until);
        assert_eq!(
            queue.backoff().unwrap().failures,
            2,
            "a probe without an answer about the account"
        );
        let until = queue.backoff().unwrap().until;
        assert!(queue.lift_after_answer(until).is_some());
    }

    #[test]
    fn orphaned_polls_count_until_answered_or_lost() {
        let mut queue = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        let id = TaskId::parse("a").unwrap();
        let attempt = queue.start(at(0));
        queue.add_orphan(id.clone(), attempt, at(0));

        assert_eq!(queue.next_slot_at(3, at(1)), None);
        assert_eq!(queue.take_orphan(&id), Some((attempt, at(0))));
        assert!(queue.next_slot_at(3, at(1)).is_some());

        queue.add_orphan(id, attempt, at(0));
        queue.prune_orphans(None, at(24_999));
        assert_eq!(queue.next_lost(), Some(at(25_000)));
        queue.prune_orphans(None, at(25_000));
        assert_eq!(queue.orphan_count(), 0);
    }
}
