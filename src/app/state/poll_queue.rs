//! The account's side of polling: pause, hold after account-wide errors, the rate, the numbering.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use crate::domain::{
    limiter::Broadcast,
    list_change::AccessMode,
    poll_result::PollError,
    schedule::{
        FAILURE_THRESHOLD, FAILURE_WINDOW, Jitter, LOST_AFTER, MAX_IN_FLIGHT, MAX_PER_SECOND,
        MIN_INTERVAL, PollAttempt, PollIntervals, RATE_WINDOW,
    },
    task::TaskId,
    time::Mono,
};

/// Why every poll waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBackoff {
    /// What was answered last.
    pub error: PollError,
    /// How many answers in a row said so.
    pub failures: u32,
    /// Since when.
    pub since: Mono,
    /// Since when one hold has followed another for the same reason.
    pub streak_began: Mono,
    /// When one poll tries again.
    pub until: Mono,
    /// Whether another instance told of it, and no answer of our own has.
    pub is_external: bool,
}

/// A question under way after a task that was taken off the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OrphanedPoll {
    task: TaskId,
    attempt: PollAttempt,
    since: Mono,
}

/// The account's side of polling.
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
    /// The questions under way that a person asked for.
    manual: Vec<PollAttempt>,
    /// When the next turn is worth asking for, where others took them all.
    deferred_until: Option<Mono>,
    /// The rows in trouble of late, with the time of it.
    recent_failures: VecDeque<(Mono, TaskId)>,
    /// How many questions in a row ended in trouble; those after one row in a row count once.
    consecutive_failures: u32,
    /// The row whose question was the last of them.
    last_failed: Option<TaskId>,
    /// What the other instances are to be told.
    broadcast: Option<Broadcast>,
    /// The tasks answered for of late, with the time of it.
    recent_ends: VecDeque<(Mono, TaskId)>,
    /// The tasks whose question the account's trouble was the answer to, while that lasts.
    rejected_at: HashMap<TaskId, Mono>,
}

/// How long the server must have limited us until the key itself may be at its limit.
const KEY_LIMIT_AGE: Duration = Duration::from_hours(1);

impl AccountBackoff {
    /// Returns what is the matter, as the start of a sentence without a full stop.
    ///
    /// A key has limits for an hour, for a day and in all, and the server may call each of them
    /// "asked too often": what does not pass by waiting for an hour is rather one of those.
    pub fn message(&self, now: Mono) -> Cow<'static, str> {
        let is_long = now.since(self.streak_began) >= KEY_LIMIT_AGE;
        if is_long && matches!(self.error, PollError::RateLimited { code: 429, .. }) {
            "the limit of this key may be reached (hourly, daily or in all)".into()
        } else {
            self.error.message().into()
        }
    }
}

impl PollQueue {
    /// Returns the start: nothing asked, nothing held.
    pub fn new(pace: PollIntervals, jitter: Jitter) -> Self {
        Self {
            intervals: pace,
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

    /// Returns how often tasks are asked after.
    pub const fn intervals(&self) -> PollIntervals {
        self.intervals
    }

    /// Sets how often tasks are asked after.
    pub const fn set_intervals(&mut self, pace: PollIntervals) {
        self.intervals = pace;
    }

    /// Returns the spread of waits.
    pub const fn jitter(&self) -> Jitter {
        self.jitter
    }

    /// Reports whether the user stopped the asking.
    pub const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Stops the asking, or goes on.
    pub const fn toggle_pause(&mut self) {
        self.is_paused = !self.is_paused;
    }

    /// Returns why every poll waits, if it does.
    pub const fn backoff(&self) -> Option<&AccountBackoff> {
        self.backoff.as_ref()
    }

    /// Notes an account-wide error: every poll waits.
    ///
    /// Answers to questions asked before the hold began do not make it longer, unless they say
    /// something else; and none makes it shorter.
    pub fn back_off(&mut self, error: PollError, asked: Mono, now: Mono) {
        let (failures, at_least) = match &self.backoff {
            Some(hold) if asked < hold.until => {
                if hold.error == error {
                    return;
                }
                (hold.failures, hold.until)
            }
            Some(hold) => (hold.failures.saturating_add(1), now),
            None => (1, now),
        };
        let until = now.after(self.jitter.account_backoff(&error, failures));
        if until >= at_least {
            self.start_backoff(error, failures, until, now);
        }
    }

    /// Holds every poll, and lets the other instances know what is true for them too.
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

    /// Takes over the hold that another instance told of.
    pub fn adopt_backoff(&mut self, error: PollError, failures: u32, until: Mono, now: Mono) {
        let own = self.backoff.as_ref().map_or(until, |hold| hold.until);
        self.backoff = Some(AccountBackoff {
            streak_began: self.streak_began(&error, now),
            error,
            failures,
            since: now,
            until: own.max(until),
            is_external: true,
        });
        self.clear_failures();
    }

    /// Returns since when one hold has followed another for that reason, with one that begins now.
    fn streak_began(&self, error: &PollError, now: Mono) -> Mono {
        let is_same = |held: &PollError| held.kind() == error.kind() && held.code() == error.code();
        let before = self.backoff.as_ref().filter(|hold| is_same(&hold.error));
        before.map_or(now, |hold| hold.streak_began)
    }

    /// Counts a row in trouble. When it is one of many, it is the server: every poll waits, and one
    /// tries.
    ///
    /// Many are five rows within ten seconds, or five questions in a row; one row that fails again
    /// and again is its own affair.
    pub fn record_failure(&mut self, task: &TaskId, error: &PollError, now: Mono) {
        if self.backoff.is_some() {
            return;
        }
        if self.last_failed.as_ref() != Some(task) {
            self.consecutive_failures = self.consecutive_failures.saturating_add(1);
            self.last_failed = Some(task.clone());
        }
        self.recent_failures
            .retain(|(at, row)| now.since(*at) < FAILURE_WINDOW && row != task);
        self.recent_failures.push_back((now, task.clone()));
        let rows = u32::try_from(self.recent_failures.len()).unwrap_or(u32::MAX);
        if rows.max(self.consecutive_failures) >= FAILURE_THRESHOLD {
            let wait = self.jitter.account_backoff(error, FAILURE_THRESHOLD);
            self.start_backoff(error.clone(), FAILURE_THRESHOLD, now.after(wait), now);
        }
    }

    /// Notes that the server answered: no question in a row failed.
    pub fn record_success(&mut self) {
        (self.consecutive_failures, self.last_failed) = (0, None);
    }

    fn clear_failures(&mut self) {
        self.recent_failures.clear();
        self.record_success();
    }

    /// Takes what the other instances are to be told.
    pub const fn take_broadcast(&mut self) -> Option<Broadcast> {
        self.broadcast.take()
    }

    /// Notes that a question of that time failed for a reason of its own: if it was the hold's one
    /// try, the hold goes on.
    pub fn extend_backoff(&mut self, asked: Mono, now: Mono) {
        let hold = self.backoff.as_ref().filter(|hold| asked >= hold.until);
        if let Some(hold) = hold.cloned() {
            let failures = hold.failures.saturating_add(1);
            let until = now.after(self.jitter.account_backoff(&hold.error, failures));
            self.start_backoff(hold.error, failures, until, now);
        }
    }

    /// Ends the hold after the server answered a question asked since; returns what it was.
    ///
    /// An answer to a question from before the hold tells nothing of it.
    pub fn lift_after_answer(&mut self, asked: Mono) -> Option<AccountBackoff> {
        self.backoff.take_if(|hold| asked >= hold.until)
    }

    /// Ends the hold after another instance was answered, as its news of now say; returns what it
    /// was.
    ///
    /// The news of the hold's own beginning may be of a question from before. And the other's key
    /// may be another one: what is said of a key is not over by news. The book of turns knows whose
    /// hold it was, so that is asked at once; it refuses without a request as long as the hold
    /// stands. Without a book there is nobody to ask.
    pub fn lift_after_external_success(
        &mut self,
        access: AccessMode,
        now: Mono,
    ) -> Option<AccountBackoff> {
        let hold = self.backoff.as_mut()?;
        let (is_over, is_limit) = (hold.until <= now, hold.error.is_rate_limit());
        let is_old = hold.since.after(MIN_INTERVAL) <= now;
        if hold.error.is_key_specific() {
            if access == AccessMode::ReadOnly {
                return None;
            }
            if is_old && !is_limit {
                hold.until = hold.until.min(now);
            }
            return self.backoff.take_if(|_| is_over && is_limit);
        }
        self.backoff.take_if(|_| is_over || is_old)
    }

    /// Reports whether a hold is over and only an answer of our own can end it: news are no reason
    /// to put that off.
    pub fn needs_own_probe(&self, now: Mono) -> bool {
        let is_over = |hold: &AccountBackoff| hold.error.is_key_specific() && hold.until <= now;
        self.backoff.as_ref().is_some_and(is_over)
    }

    /// Forgets a hold that is over while nothing is left to try with.
    pub fn drop_expired_backoff(&mut self, now: Mono) {
        self.backoff.take_if(|hold| hold.until <= now);
    }

    /// Lets one poll try at once although the hold is not over.
    pub fn retry_now(&mut self, now: Mono) {
        if let Some(hold) = &mut self.backoff {
            hold.until = hold.until.min(now);
            self.broadcast = Some(Broadcast::RetryNow);
        }
    }

    /// Puts a task first in line again whose turn did not come.
    pub fn requeue_first(&mut self, task: TaskId) {
        if self.requested_set.insert(task.clone()) {
            self.requested.push_front(task);
        }
    }

    /// Notes that others take every turn until then.
    pub const fn defer_until(&mut self, until: Mono) {
        self.deferred_until = Some(until);
    }

    /// Uncounts the poll of that time, which was not asked after all.
    pub fn uncount_start(&mut self, started: Mono) {
        if let Some(at) = self.sent.iter().rposition(|sent| *sent == started) {
            self.sent.remove(at);
        }
    }

    /// Notes that a question after a task is over.
    pub fn record_end(&mut self, task: &TaskId, now: Mono) {
        self.recent_ends
            .retain(|(at, _)| now.since(*at) < MIN_INTERVAL);
        self.recent_ends.push_back((now, task.clone()));
    }

    /// Reports whether this instance asked after a task so lately that it gets no turn for it yet.
    pub fn was_just_polled(&self, task: &TaskId, now: Mono) -> bool {
        let mut ended = self.recent_ends.iter();
        ended.any(|(at, other)| other == task && now.since(*at) < MIN_INTERVAL)
    }

    /// Notes that the account's trouble was the answer to a question after a task.
    pub fn record_rejection(&mut self, task: &TaskId, now: Mono) {
        if self.backoff.is_none() {
            self.rejected_at.clear();
        }
        self.rejected_at.insert(task.clone(), now);
    }

    /// Returns when the account's trouble, as long as it lasts, was the answer to a question after
    /// a task.
    pub fn rejected_at(&self, task: &TaskId) -> Option<Mono> {
        let at = self.rejected_at.get(task).copied();
        at.filter(|_| self.backoff.is_some())
    }

    /// Notes that a person asked for this poll.
    pub fn mark_manual(&mut self, attempt: PollAttempt) {
        self.manual.push(attempt);
    }

    /// Reports whether a person asked for this poll, which is over.
    pub fn take_manual(&mut self, attempt: PollAttempt) -> bool {
        let count = self.manual.len();
        self.manual.retain(|other| *other != attempt);
        self.manual.len() < count
    }

    /// Gives the questions under way after tasks no longer on the list their whole time again.
    pub fn restart_orphans(&mut self, now: Mono) {
        for stray in &mut self.orphans {
            stray.since = now;
        }
    }

    /// Puts a task first in line, pause or no pause.
    pub fn request(&mut self, task: TaskId) {
        if self.requested_set.insert(task.clone()) {
            self.requested.push_back(task);
        }
    }

    /// Remembers the question under way after a task that leaves the list: it still takes its room.
    pub fn add_orphan(&mut self, task: TaskId, attempt: PollAttempt, since: Mono) {
        self.orphans.push(OrphanedPoll {
            task,
            attempt,
            since,
        });
    }

    /// Ends the question after a task that was taken off the list; returns since when it was under
    /// way.
    pub fn end_orphan(&mut self, attempt: PollAttempt) -> Option<Mono> {
        let is_it = |stray: &OrphanedPoll| stray.attempt == attempt;
        let at = self.orphans.iter().position(is_it)?;
        Some(self.orphans.swap_remove(at).since)
    }

    /// Returns the question still under way after a task that comes back.
    pub fn take_orphan(&mut self, task: &TaskId) -> Option<(PollAttempt, Mono)> {
        let at = self.orphans.iter().position(|stray| stray.task == *task)?;
        let OrphanedPoll { attempt, since, .. } = self.orphans.swap_remove(at);
        Some((attempt, since))
    }

    /// Forgets the strays that were answered by this, or by nothing in all the time an answer may
    /// take.
    pub fn prune_orphans(&mut self, answered: Option<PollAttempt>, now: Mono) {
        self.orphans
            .retain(|stray| Some(stray.attempt) != answered && stray.since.after(LOST_AFTER) > now);
    }

    /// Returns how many strays there are.
    pub const fn orphan_count(&self) -> usize {
        self.orphans.len()
    }

    /// Returns when the next stray counts as lost.
    pub fn next_lost(&self) -> Option<Mono> {
        self.orphans
            .iter()
            .map(|stray| stray.since.after(LOST_AFTER))
            .min()
    }

    /// Returns the tasks the user asked for, in order.
    pub const fn requested(&self) -> &VecDeque<TaskId> {
        &self.requested
    }

    /// Takes the first task the user asked for.
    pub fn take_requested(&mut self) -> Option<TaskId> {
        let task = self.requested.pop_front()?;
        self.requested_set.remove(&task);
        Some(task)
    }

    /// Returns when the next poll may start at the earliest, with so many under way; `None` when
    /// another answer must come first.
    pub fn next_slot_at(&self, in_flight: usize, now: Mono) -> Option<Mono> {
        let most = if self.backoff.is_some() {
            1
        } else {
            MAX_IN_FLIGHT
        };
        if in_flight + self.orphans.len() >= most {
            return None;
        }
        let held = self
            .backoff
            .as_ref()
            .map_or(now, |hold| hold.until.max(now));
        let held = self.deferred_until.map_or(held, |until| until.max(held));
        let rated = match self
            .sent
            .len()
            .checked_sub(MAX_PER_SECOND)
            .and_then(|at| self.sent.get(at))
        {
            Some(sent) => sent.after(RATE_WINDOW),
            None => now,
        };
        Some(held.max(rated))
    }

    /// Numbers and counts a poll that starts now.
    pub fn start(&mut self, now: Mono) -> PollAttempt {
        self.forget_before(now);
        self.sent.push_back(now);
        self.last_attempt = PollAttempt(self.last_attempt.0.wrapping_add(1));
        self.last_attempt
    }

    /// Returns how many polls started in the last minute.
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
        let mut polls = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        for n in 0..5 {
            assert_eq!(polls.next_slot_at(0, at(n)), Some(at(n)));
            polls.start(at(n));
        }

        assert_eq!(polls.next_slot_at(0, at(5)), Some(at(1100)));
        assert_eq!(polls.next_slot_at(0, at(1100)), Some(at(1100)));
        assert_eq!(polls.next_slot_at(4, at(1100)), None);
        assert_eq!(polls.per_minute(at(1100)), 5);
        assert_eq!(polls.per_minute(at(60_003)), 1);
    }

    #[test]
    fn a_backoff_allows_one_probe() {
        let mut polls = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        polls.back_off(PollError::Maintenance, at(0), at(100));
        let hold = polls.backoff().unwrap().clone();

        polls.back_off(PollError::Maintenance, at(0), at(200));

        assert_eq!(polls.backoff(), Some(&hold));
        assert_eq!(polls.next_slot_at(0, at(300)), Some(hold.until));
        assert_eq!(polls.next_slot_at(1, hold.until), None);
        polls.back_off(
            PollError::Maintenance,
            hold.until,
            hold.until.after(Duration::from_secs(1)),
        );
        assert_eq!(polls.backoff().unwrap().failures, 2);
    }

    #[test]
    fn a_missing_key_is_not_broadcast() {
        let mut polls = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        let unread = PollError::KeyUnreadable(crate::domain::text::CleanText::line("x", 9));
        for error in [PollError::NoKey, unread] {
            polls.back_off(error, at(0), at(100));
            assert_eq!(polls.take_broadcast(), None);
        }
        polls.back_off(PollError::Maintenance, at(0), at(200));
        assert!(polls.backoff().is_some());
    }

    #[test]
    fn earlier_requests_do_not_change_a_backoff() {
        let mut polls = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        let told = |secs| PollError::RateLimited {
            code: 429,
            retry_after: Some(Duration::from_secs(secs)),
        };
        polls.back_off(told(60), at(0), at(100));
        let hold = polls.backoff().unwrap().clone();

        polls.back_off(told(3), at(50), at(200));
        polls.extend_backoff(at(60), at(300));
        assert_eq!(polls.lift_after_answer(at(70)), None);
        assert_eq!(polls.backoff(), Some(&hold));
        polls.back_off(told(60), at(80), hold.until.after(Duration::from_secs(1)));
        assert_eq!(
            polls.backoff(),
            Some(&hold),
            "nor when it comes after its end"
        );

        polls.extend_backoff(hold.until, hold.until);
        assert_eq!(
            polls.backoff().unwrap().failures,
            2,
            "a try that told nothing"
        );
        let until = polls.backoff().unwrap().until;
        assert!(polls.lift_after_answer(until).is_some());
    }

    #[test]
    fn orphaned_polls_count_until_answered_or_lost() {
        let mut polls = PollQueue::new(PollIntervals::default(), Jitter::seeded(1));
        let id = TaskId::parse("a").unwrap();
        let attempt = polls.start(at(0));
        polls.add_orphan(id.clone(), attempt, at(0));

        assert_eq!(polls.next_slot_at(3, at(1)), None);
        assert_eq!(polls.take_orphan(&id), Some((attempt, at(0))));
        assert!(polls.next_slot_at(3, at(1)).is_some());

        polls.add_orphan(id, attempt, at(0));
        polls.prune_orphans(None, at(24_999));
        assert_eq!(polls.next_lost(), Some(at(25_000)));
        polls.prune_orphans(None, at(25_000));
        assert_eq!(polls.orphan_count(), 0);
    }
}
