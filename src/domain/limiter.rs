//! Rate limiter shared by all instances on one list: [four](MAX_IN_FLIGHT) requests in flight,
//! [five](MAX_PER_SECOND) started in a second.
//!
//! A request needs a [`Permit`], which is released with its [outcome](RequestOutcome). Pure:
//! `adapters::file_limiter` keeps the [`Limiter`] in a file beside the list. Its times are
//! [`Mono`]s from the start of the host, which all instances share.
//!
//! A permit that is never released is dropped when its [owner](OwnerProcess) has exited, else when
//! its request counts as lost. If the file is unusable, only the shared limits are lost: every
//! instance also keeps its own.
//!
//! Permits are counted over all accounts. A backoff holds for one address and key only.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use super::{
    poll_result::{ErrorScope, PollError},
    schedule::{
        Jitter, LOST_AFTER, MAX_IN_FLIGHT, MAX_PER_SECOND, MAX_WAIT, MIN_INTERVAL, RATE_WINDOW,
    },
    task::TaskId,
    time::Mono,
};

/// The wait if all permits are in use: about the time of an answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// The wait while another instance probes the account after a backoff.
const PROBE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The most backoffs kept; more accounts than any list is used with.
const MAX_BACKOFFS: usize = 8;

/// A fingerprint of an address and a key, from which neither can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountHash(u64);

impl AccountHash {
    pub fn new(origin: &str, key: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (origin, key).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns the fingerprint used in one limiter file. Each file has its own salt, so that no two
    /// files can be compared.
    #[must_use]
    pub fn salted(self, salt: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (salt, self.0).hash(&mut hasher);
        Self(hasher.finish())
    }

    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A process that owns a permit, distinct from a later process with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerProcess {
    /// The PID namespace of one boot of one host.
    pub namespace: u64,
    pub pid: u32,
    /// In the host's clock ticks.
    pub started_at: u64,
}

/// The right to send one request about a task now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    pub task: TaskId,
    pub account: AccountHash,
    /// When it was acquired; in [`Limiter::released`], when it was released.
    pub since: Mono,
    /// `None` if the process cannot be identified.
    pub owner: Option<OwnerProcess>,
}

/// The reason why a permit was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DenyReason {
    /// Another instance is checking this task, or just did: its answer arrives through the list.
    TaskBusy,
    /// The limit of requests in flight, or of requests started in a second.
    LimitReached,
    /// An account-wide error with the same key: every request waits.
    AccountBackoff {
        error: PollError,
        /// The number of failures in a row.
        failures: u32,
    },
}

/// A denied permit: why, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub reason: DenyReason,
    pub wait: Duration,
}

/// The outcome of a request for the account, whatever it says about the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The server answers: a backoff ends.
    Answered,
    /// An account-wide error: every request with this key waits.
    AccountError(PollError),
    /// No conclusion: a backoff continues.
    TransientError,
    /// No answer, or no request.
    NoAnswer,
}

impl RequestOutcome {
    pub fn from_result<T>(answer: &Result<T, PollError>) -> Self {
        match answer {
            Ok(_) | Err(PollError::NotFound | PollError::Rejected { .. }) => Self::Answered,
            Err(error) if error.is_local() => Self::NoAnswer,
            Err(error) if error.scope() == ErrorScope::Account => Self::AccountError(error.clone()),
            Err(_) => Self::TransientError,
        }
    }
}

/// A message to the other instances about the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broadcast {
    /// Every request waits.
    Backoff {
        error: PollError,
        /// The number of failures in a row.
        failures: u32,
        wait: Duration,
    },
    /// The user wants one retry now.
    RetryNow,
}

/// An account-wide backoff as stored in the limiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedBackoff {
    pub account: AccountHash,
    pub error: PollError,
    /// The number of failures in a row.
    pub failures: u32,
    /// When it was set.
    pub since: Mono,
    /// When one request probes the account.
    pub until: Mono,
}

/// The limiter's state, shared by all instances on one list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limiter {
    /// The starts of recent requests, retries included, oldest first; at most five.
    pub request_times: Vec<Mono>,
    /// Permits in use; at most four.
    pub in_use: Vec<Permit>,
    /// Recently released permits: their answers may not be on the list yet.
    pub released: Vec<Permit>,
    /// At most one for each account, and eight in all.
    pub backoffs: Vec<SharedBackoff>,
}

impl Limiter {
    /// Drops the permits of exited processes, which get no answer. Their requests still count.
    pub fn release_dead(&mut self, is_gone: impl Fn(OwnerProcess) -> bool) {
        self.in_use
            .retain(|permit| !permit.owner.is_some_and(&is_gone));
    }

    /// Acquires a permit without an owner; see [`acquire_for`](Self::acquire_for).
    pub fn acquire(
        &mut self,
        task: &TaskId,
        account: AccountHash,
        now: Mono,
    ) -> Result<Permit, Denied> {
        self.acquire_for(task, account, None, now)
    }

    /// Acquires a permit to check a task now.
    pub fn acquire_for(
        &mut self,
        task: &TaskId,
        account: AccountHash,
        owner: Option<OwnerProcess>,
        now: Mono,
    ) -> Result<Permit, Denied> {
        self.expire(now);
        if let Some(denied) = self.check_backoff(account, now) {
            return Err(denied);
        }
        let deny = |reason, wait| Err(Denied { reason, wait });
        if self.in_use.iter().any(|permit| permit.task == *task) {
            return deny(DenyReason::TaskBusy, MIN_INTERVAL);
        }
        if let Some(recent) = self.released.iter().find(|permit| permit.task == *task) {
            let wait = recent.since.after(MIN_INTERVAL).since(now);
            return deny(DenyReason::TaskBusy, wait);
        }
        if self.in_use.len() >= MAX_IN_FLIGHT {
            return deny(DenyReason::LimitReached, RETRY_DELAY);
        }
        if let Some(wait) = self.rate_limit_wait(now) {
            return deny(DenyReason::LimitReached, wait);
        }
        let permit = Permit {
            task: task.clone(),
            account,
            since: now,
            owner,
        };
        self.request_times.push(now);
        self.in_use.push(permit.clone());
        Ok(permit)
    }

    /// Counts a retry of a request that has a permit, after its connection broke; the error is the
    /// time to wait.
    pub fn acquire_retry(&mut self, now: Mono) -> Result<(), Duration> {
        self.expire(now);
        if let Some(wait) = self.rate_limit_wait(now) {
            return Err(wait);
        }
        self.request_times.push(now);
        Ok(())
    }

    /// Returns the wait for the next request while the rate limit is reached.
    fn rate_limit_wait(&self, now: Mono) -> Option<Duration> {
        let first = self.request_times.first()?;
        (self.request_times.len() >= MAX_PER_SECOND).then(|| first.after(RATE_WINDOW).since(now))
    }

    fn backoff_of(&self, account: AccountHash) -> Option<&SharedBackoff> {
        self.backoffs
            .iter()
            .find(|backoff| backoff.account == account)
    }

    /// Denies requests during a backoff. After it, one request at a time probes the account.
    fn check_backoff(&self, account: AccountHash, now: Mono) -> Option<Denied> {
        let backoff = self.backoff_of(account)?;
        let is_probe = |permit: &Permit| permit.account == account && permit.since >= backoff.until;
        let wait = if now < backoff.until {
            backoff.until.since(now)
        } else if self.in_use.iter().any(is_probe) {
            PROBE_RETRY_DELAY
        } else {
            return None;
        };
        let reason = DenyReason::AccountBackoff {
            error: backoff.error.clone(),
            failures: backoff.failures,
        };
        Some(Denied { reason, wait })
    }

    /// Releases a permit with its outcome. A probe's outcome ends the backoff or starts the next
    /// one in the same step, so that no request slips in between.
    ///
    /// Only a request sent after the end of a backoff ends it or makes it longer.
    pub fn release(&mut self, permit: &Permit, outcome: &RequestOutcome, now: Mono) {
        self.expire(now);
        self.in_use.retain(|other| other != permit);
        self.released.push(Permit {
            since: now,
            ..permit.clone()
        });
        let account = permit.account;
        let backoff = self.backoff_of(account).cloned();
        let is_probe = backoff
            .as_ref()
            .is_some_and(|backoff| permit.since >= backoff.until);
        let (error, failures) = match (outcome, backoff) {
            (RequestOutcome::Answered, _) if is_probe => {
                self.backoffs.retain(|backoff| backoff.account != account);
                return;
            }
            (RequestOutcome::TransientError, Some(backoff)) if is_probe => {
                (backoff.error, backoff.failures.saturating_add(1))
            }
            (
                RequestOutcome::Answered
                | RequestOutcome::NoAnswer
                | RequestOutcome::TransientError,
                _,
            ) => return,
            (RequestOutcome::AccountError(error), None) => (error.clone(), 1),
            (RequestOutcome::AccountError(error), Some(backoff)) if is_probe => {
                (error.clone(), backoff.failures.saturating_add(1))
            }
            (RequestOutcome::AccountError(error), Some(backoff)) if backoff.error == *error => {
                return;
            }
            (RequestOutcome::AccountError(error), Some(backoff)) => {
                (error.clone(), backoff.failures)
            }
        };
        // The seed varies, and gives the same wait to each reader.
        let seed = u64::try_from(now.since_start().as_nanos()).unwrap_or_default();
        let wait = Jitter::seeded(seed).account_backoff(&error, failures);
        self.set_backoff(account, error, failures, now.after(wait), now);
    }

    /// Applies a message of an instance about its account. Only a manual retry makes a backoff
    /// shorter.
    pub fn apply(&mut self, message: &Broadcast, account: AccountHash, now: Mono) {
        self.expire(now);
        match message {
            Broadcast::Backoff {
                error,
                failures,
                wait,
            } => {
                let until = now.after((*wait).min(MAX_WAIT));
                self.set_backoff(account, error.clone(), *failures, until, now);
            }
            Broadcast::RetryNow => {
                for backoff in &mut self.backoffs {
                    if backoff.account == account {
                        backoff.until = backoff.until.min(now);
                    }
                }
            }
        }
    }

    /// Sets an account's backoff, unless a longer one is set.
    fn set_backoff(
        &mut self,
        account: AccountHash,
        error: PollError,
        failures: u32,
        until: Mono,
        now: Mono,
    ) {
        let known = self.backoff_of(account);
        if known.is_some_and(|backoff| backoff.until > until) {
            return;
        }
        let failures = known.map_or(failures, |backoff| backoff.failures.max(failures));
        self.backoffs.retain(|backoff| backoff.account != account);
        let surplus = (self.backoffs.len() + 1).saturating_sub(MAX_BACKOFFS);
        self.backoffs.drain(..surplus);
        self.backoffs.push(SharedBackoff {
            account,
            error,
            failures,
            since: now,
            until: until.min(now.after(MAX_WAIT)),
        });
    }

    /// Drops expired entries, and entries ahead of the clock, which are from before the host's last
    /// boot.
    fn expire(&mut self, now: Mono) {
        let is_within = |since: Mono, span| since <= now && now < since.after(span);
        self.request_times.retain(|at| is_within(*at, RATE_WINDOW));
        self.in_use
            .retain(|permit| is_within(permit.since, LOST_AFTER));
        self.released
            .retain(|permit| is_within(permit.since, MIN_INTERVAL));
        // A probe ends a backoff or starts a new one; without any probe it ends here.
        self.backoffs.retain(|backoff| {
            backoff.since <= now
                && backoff.until <= backoff.since.after(MAX_WAIT)
                && backoff.until.after(MAX_WAIT) > now
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::CleanText;

    fn at(millis: u64) -> Mono {
        Mono::at(Duration::from_hours(1)).after(Duration::from_millis(millis))
    }

    const MINE: AccountHash = AccountHash(1);
    const THEIRS: AccountHash = AccountHash(2);

    fn id(name: &str) -> TaskId {
        TaskId::parse(name).unwrap()
    }

    fn denied(reason: DenyReason, millis: u64) -> Result<Permit, Denied> {
        Err(Denied {
            reason,
            wait: Duration::from_millis(millis),
        })
    }

    fn limited(wait: u64) -> Broadcast {
        Broadcast::Backoff {
            error: PollError::Maintenance,
            failures: 2,
            wait: Duration::from_secs(wait),
        }
    }

    #[test]
    fn four_in_flight_and_five_starts_a_second() {
        let mut limiter = Limiter::default();
        let permits: Vec<_> = ["a", "b", "c", "d"]
            .iter()
            .map(|name| limiter.acquire(&id(name), MINE, at(0)).unwrap())
            .collect();

        assert_eq!(
            limiter.acquire(&id("e"), MINE, at(1)),
            denied(DenyReason::LimitReached, 200)
        );
        limiter.release(&permits[0], &RequestOutcome::Answered, at(2));
        assert!(limiter.acquire(&id("e"), MINE, at(3)).is_ok());
        limiter.release(&permits[1], &RequestOutcome::Answered, at(4));
        assert_eq!(
            limiter.acquire(&id("f"), MINE, at(5)),
            denied(DenyReason::LimitReached, 1095)
        );
        assert!(limiter.acquire(&id("f"), MINE, at(1100)).is_ok());
    }

    #[test]
    fn a_retried_request_counts_twice() {
        let mut limiter = Limiter::default();
        for name in ["a", "b", "c", "d"] {
            limiter.acquire(&id(name), MINE, at(0)).unwrap();
        }

        assert_eq!(
            limiter.acquire_retry(at(100)),
            Ok(()),
            "its own permit does not count against it"
        );
        assert_eq!(
            limiter.acquire_retry(at(200)),
            Err(Duration::from_millis(900))
        );
        assert_eq!(limiter.acquire_retry(at(1100)), Ok(()));
        let permit = limiter.in_use[0].clone();
        limiter.release(&permit, &RequestOutcome::Answered, at(1101));
        for name in ["e", "f", "g"] {
            let permit = limiter.acquire(&id(name), MINE, at(1200)).unwrap();
            limiter.release(&permit, &RequestOutcome::Answered, at(1201));
        }
        let fifth = limiter.acquire(&id("h"), MINE, at(1300)).unwrap();
        limiter.release(&fifth, &RequestOutcome::Answered, at(1301));
        assert_eq!(
            limiter.acquire(&id("i"), MINE, at(1400)),
            denied(DenyReason::LimitReached, 800)
        );
    }

    #[test]
    fn a_task_is_checked_by_one_instance_at_a_time() {
        let mut limiter = Limiter::default();
        let permit = limiter.acquire(&id("a"), MINE, at(0)).unwrap();

        assert_eq!(
            limiter.acquire(&id("a"), MINE, at(1500)),
            denied(DenyReason::TaskBusy, 2000)
        );
        limiter.release(&permit, &RequestOutcome::NoAnswer, at(3000));
        assert_eq!(
            limiter.acquire(&id("a"), MINE, at(3500)),
            denied(DenyReason::TaskBusy, 1500)
        );
        assert!(limiter.acquire(&id("a"), MINE, at(5000)).is_ok());
    }

    #[test]
    fn an_unreleased_permit_expires() {
        let mut limiter = Limiter::default();
        for name in ["a", "b", "c", "d"] {
            limiter.acquire(&id(name), MINE, at(0)).unwrap();
        }

        assert!(limiter.acquire(&id("a"), MINE, at(24_999)).is_err());
        assert!(limiter.acquire(&id("a"), MINE, at(25_000)).is_ok());
        assert_eq!(limiter.in_use.len(), 1);
    }

    #[test]
    fn permits_of_dead_processes_are_released() {
        let owner = |pid| OwnerProcess {
            namespace: 1,
            pid,
            started_at: 5,
        };
        let mut limiter = Limiter::default();
        for (name, pid) in [("a", 1), ("b", 1), ("c", 2)] {
            let acquired = limiter.acquire_for(&id(name), MINE, Some(owner(pid)), at(0));
            acquired.unwrap();
        }
        limiter.acquire(&id("d"), MINE, at(0)).unwrap();

        limiter.release_dead(|exited| exited == owner(1));

        assert!(limiter.acquire(&id("a"), MINE, at(1)).is_ok());
        assert_eq!(
            limiter.acquire(&id("b"), MINE, at(2)),
            denied(DenyReason::LimitReached, 1098),
            "five have started"
        );
        assert!(limiter.acquire(&id("b"), MINE, at(1100)).is_ok());
        for name in ["c", "d"] {
            let other = limiter.acquire(&id(name), MINE, at(2000)).unwrap_err();
            assert_eq!(
                other.reason,
                DenyReason::TaskBusy,
                "{name} is still being checked"
            );
        }
    }

    #[test]
    fn one_probe_decides_after_a_backoff() {
        let mut limiter = Limiter::default();
        let early = limiter.acquire(&id("a"), MINE, at(0)).unwrap();
        limiter.apply(&limited(10), MINE, at(0));
        let denied_for = |millis| {
            let (error, failures) = (PollError::Maintenance, 2);
            denied(DenyReason::AccountBackoff { error, failures }, millis)
        };

        assert_eq!(limiter.acquire(&id("b"), MINE, at(1000)), denied_for(9000));
        limiter.apply(&limited(3), MINE, at(2000));
        limiter.release(&early, &RequestOutcome::Answered, at(2500));
        assert_eq!(
            limiter.acquire(&id("b"), MINE, at(3000)),
            denied_for(7000),
            "an earlier request does not shorten it"
        );
        let probe = limiter.acquire(&id("b"), MINE, at(10_000)).unwrap();
        assert_eq!(
            limiter.acquire(&id("c"), MINE, at(10_100)),
            denied_for(1000)
        );
        limiter.release(&probe, &RequestOutcome::NoAnswer, at(10_200));
        let probe = limiter.acquire(&id("c"), MINE, at(10_300)).unwrap();
        limiter.release(&probe, &RequestOutcome::Answered, at(10_400));
        assert_eq!(limiter.backoffs, []);
    }

    #[test]
    fn a_manual_retry_is_immediate() {
        let mut limiter = Limiter::default();
        limiter.apply(&limited(300), MINE, at(0));

        limiter.apply(&Broadcast::RetryNow, MINE, at(1000));

        assert!(limiter.acquire(&id("a"), MINE, at(1000)).is_ok());
        assert!(
            limiter.acquire(&id("b"), MINE, at(1000)).is_err(),
            "one at a time"
        );
    }

    #[test]
    fn stale_times_and_hostile_waits_do_not_block() {
        let mut limiter = Limiter::default();
        for name in ["a", "b", "c", "d"] {
            limiter.acquire(&id(name), MINE, at(9_000_000)).unwrap();
        }
        let forever = Broadcast::Backoff {
            error: PollError::Offline(CleanText::line("x", 9)),
            failures: u32::MAX,
            wait: Duration::MAX,
        };
        limiter.apply(&forever, MINE, at(9_000_000));

        assert!(limiter.acquire(&id("a"), MINE, at(0)).is_ok());

        limiter.apply(&forever, MINE, at(0));
        let wait = limiter.acquire(&id("b"), MINE, at(1)).unwrap_err().wait;
        assert!(wait <= MAX_WAIT);
        if let [backoff] = limiter.backoffs.as_mut_slice() {
            backoff.until = Mono::NEVER;
        }
        assert!(limiter.acquire(&id("b"), MINE, at(2)).is_ok());
    }

    #[test]
    fn a_refused_key_does_not_block_other_keys() {
        let mut limiter = Limiter::default();
        let refused = RequestOutcome::AccountError(PollError::Unauthorized(401));
        let permit = limiter.acquire(&id("a"), THEIRS, at(0)).unwrap();
        limiter.release(&permit, &refused, at(100));

        assert!(limiter.acquire(&id("b"), THEIRS, at(200)).is_err());
        let mine = limiter.acquire(&id("b"), MINE, at(200)).unwrap();
        assert_eq!(
            limiter.acquire(&id("b"), MINE, at(300)),
            denied(DenyReason::TaskBusy, 2000),
            "a task is checked once, whatever the key"
        );
        limiter.release(&mine, &RequestOutcome::Answered, at(400));
        assert!(
            limiter.acquire(&id("c"), THEIRS, at(500)).is_err(),
            "another key's answer does not end it"
        );
        limiter.apply(&limited(60), MINE, at(600));
        limiter.apply(&Broadcast::RetryNow, THEIRS, at(700));
        assert!(limiter.acquire(&id("c"), MINE, at(800)).is_err());
        assert!(limiter.acquire(&id("c"), THEIRS, at(800)).is_ok());
    }

    #[test]
    fn permits_are_counted_over_all_keys() {
        let mut limiter = Limiter::default();
        for (name, account) in [("a", MINE), ("b", THEIRS), ("c", MINE), ("d", THEIRS)] {
            limiter.acquire(&id(name), account, at(0)).unwrap();
        }

        let limit_reached = denied(DenyReason::LimitReached, 200);
        assert_eq!(limiter.acquire(&id("e"), MINE, at(1)), limit_reached);
    }

    #[test]
    fn a_failed_probe_starts_a_longer_backoff() {
        let rate_limited = || {
            RequestOutcome::AccountError(PollError::RateLimited {
                code: 429,
                retry_after: None,
            })
        };
        let mut limiter = Limiter::default();
        let early = ["a", "b"].map(|name| limiter.acquire(&id(name), MINE, at(0)).unwrap());
        for permit in &early {
            limiter.release(permit, &rate_limited(), at(100));
        }
        assert_eq!(
            limiter.backoffs[0].failures, 1,
            "two answers in one round count once"
        );
        let mut waits = Vec::new();
        let mut now = at(100);
        for (failures, outcome) in [
            (2, rate_limited()),
            (3, RequestOutcome::TransientError),
            (4, rate_limited()),
        ] {
            now = limiter.backoffs[0].until;
            let probe = limiter.acquire(&id("c"), MINE, now).unwrap();
            now = now.after(Duration::from_secs(2));
            limiter.release(&probe, &outcome, now);

            assert_eq!(limiter.backoffs[0].failures, failures);
            assert!(
                limiter.acquire(&id("d"), MINE, now).is_err(),
                "no second probe"
            );
            waits.push(limiter.backoffs[0].until.since(now));
        }
        assert!(waits.is_sorted() && waits[0] >= Duration::from_secs(20));
        let probe = limiter
            .acquire(&id("c"), MINE, limiter.backoffs[0].until)
            .unwrap();
        limiter.release(&probe, &RequestOutcome::NoAnswer, now.after(MAX_WAIT));
        assert!(limiter.backoffs.len() <= 1);
    }

    #[test]
    fn account_hashes_differ_by_key_and_origin() {
        let one = AccountHash::new("https://api.example", "canary-1");
        assert_eq!(one, AccountHash::new("https://api.example", "canary-1"));
        assert_ne!(one, AccountHash::new("https://api.example", "canary-2"));
        assert_ne!(one, AccountHash::new("https://api2.example", "canary-1"));
        assert_ne!(one.salted(1), one.salted(2));
    }
}
