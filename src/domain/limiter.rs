//! Rate limiter of API requests: [four](MAX_IN_FLIGHT) in flight, [five](MAX_PER_SECOND) started in
//! a second, and one at a time after an account-wide error.
//!
//! A request needs a [`Permit`], which is released with its [outcome](RequestOutcome). Pure: the
//! API client's decorator keeps the limiter in memory, or in a file that all instances on one list
//! share. Its times are [`Mono`]s from the start of the host, which all instances share too.
//!
//! A permit that is never released is dropped when its [owner](OwnerProcess) has exited, else when
//! its request counts as lost.
//!
//! Permits are counted over all accounts. A backoff holds for one address and key only.

use std::time::Duration;

use super::{
    account_hash::AccountHash,
    poll_request::{Backoff, Denied, DenyReason, PollTrigger},
    poll_result::{ErrorScope, PollError},
    schedule::{
        Jitter, LOST_AFTER, MAX_IN_FLIGHT, MAX_PER_SECOND, MAX_WAIT, MIN_INTERVAL, RATE_WINDOW,
    },
    task::TaskId,
    time::Mono,
};

/// The wait if all permits are in use, some of them by other instances: about the time of an
/// answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// The wait if this instance uses all permits, or probes the account: it asks again after its next
/// answer anyway.
const OWN_RETRY_DELAY: Duration = Duration::from_secs(5);

/// The wait while another instance probes the account after a backoff.
const PROBE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The most backoffs kept; more accounts than any list is used with.
const MAX_BACKOFFS: usize = 8;

/// The number of failures in a row, of several tasks, that counts as a failure of the whole server.
const FAILURE_THRESHOLD: u32 = 5;

/// The time for which a failure counts towards [`FAILURE_THRESHOLD`].
const FAILURE_WINDOW: Duration = Duration::from_mins(10);

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
    /// When it was acquired; in [`RequestLimiter::released`], when it was released.
    pub since: Mono,
    /// `None` if the process cannot be identified.
    pub owner: Option<OwnerProcess>,
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The server answers.
    Answered,
    Failed(PollError),
    /// No answer, or no request.
    NoAnswer,
}

impl RequestOutcome {
    pub fn from_result<T>(answer: &Result<T, PollError>) -> Self {
        match answer {
            Ok(_) => Self::Answered,
            Err(error) if error.is_answer() => Self::Answered,
            Err(error) if error.is_local() => Self::NoAnswer,
            Err(error) => Self::Failed(error.clone()),
        }
    }
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

/// The limits on requests, with what is known about recent ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestLimiter {
    /// The starts of recent requests, retries included, oldest first; at most five.
    pub request_times: Vec<Mono>,
    /// Permits in use; at most four.
    pub in_use: Vec<Permit>,
    /// Recently released permits: their answers may not be on the list yet.
    pub released: Vec<Permit>,
    /// The permits of failed requests since the last answer. Repeated failures of one task count
    /// once.
    pub failed: Vec<Permit>,
    /// At most one for each account, and eight in all.
    pub backoffs: Vec<SharedBackoff>,
}

impl RequestLimiter {
    /// Drops the permits of exited processes, which get no answer. Their requests still count.
    /// Reports whether there were any.
    pub fn release_dead(&mut self, has_exited: impl Fn(OwnerProcess) -> bool) -> bool {
        let count = self.in_use.len();
        self.in_use
            .retain(|permit| !permit.owner.is_some_and(&has_exited));
        self.in_use.len() < count
    }

    /// Acquires a permit, at the time at which it starts.
    pub fn acquire(&mut self, permit: &Permit, trigger: PollTrigger) -> Result<(), Denied> {
        let now = permit.since;
        self.expire(now);
        if trigger == PollTrigger::Manual {
            self.retry_now(permit.account, now);
        }
        if let Some(denied) = self
            .check_backoff(permit)
            .or_else(|| self.check_task(permit))
        {
            return Err(denied);
        }
        if self.in_use.len() >= MAX_IN_FLIGHT {
            let is_own = |other: &Permit| other.owner == permit.owner;
            let wait = if self.in_use.iter().all(is_own) {
                OWN_RETRY_DELAY
            } else {
                RETRY_DELAY
            };
            let reason = DenyReason::InFlightLimit;
            return Err(Denied { reason, wait });
        }
        self.count_request(now).map_err(|wait| {
            let reason = DenyReason::RateLimit;
            Denied { reason, wait }
        })?;
        self.in_use.push(permit.clone());
        Ok(())
    }

    /// Counts a request, such as the retry of one whose connection broke; the error is the time to
    /// wait.
    pub fn count_request(&mut self, now: Mono) -> Result<(), Duration> {
        self.expire(now);
        if self.request_times.len() >= MAX_PER_SECOND
            && let Some(first) = self.request_times.first()
        {
            return Err(first.after(RATE_WINDOW).since(now));
        }
        self.request_times.push(now);
        Ok(())
    }

    /// Returns the backoff of an account.
    pub fn backoff(&self, account: AccountHash, now: Mono) -> Option<Backoff> {
        let backoff = self.stored_backoff(account)?;
        Some(Backoff {
            error: backoff.error.clone(),
            wait: backoff.until.since(now),
        })
    }

    fn stored_backoff(&self, account: AccountHash) -> Option<&SharedBackoff> {
        self.backoffs
            .iter()
            .find(|backoff| backoff.account == account)
    }

    /// Denies requests during a backoff. After it, one request at a time probes the account.
    fn check_backoff(&self, permit: &Permit) -> Option<Denied> {
        let (account, now) = (permit.account, permit.since);
        let backoff = self.stored_backoff(account)?;
        let is_probe = |other: &&Permit| other.account == account && other.since >= backoff.until;
        let wait = if now < backoff.until {
            backoff.until.since(now)
        } else if self.in_use.iter().find(is_probe)?.owner == permit.owner {
            OWN_RETRY_DELAY
        } else {
            PROBE_RETRY_DELAY
        };
        let reason = DenyReason::AccountBackoff(backoff.error.clone());
        Some(Denied { reason, wait })
    }

    /// Denies a second request about a task, and one so soon after the first that its answer may
    /// not be on the list yet.
    fn check_task(&self, permit: &Permit) -> Option<Denied> {
        let is_same = |other: &&Permit| other.task == permit.task;
        let (other, wait) = if let Some(other) = self.in_use.iter().find(is_same) {
            (other, MIN_INTERVAL)
        } else {
            let other = self.released.iter().find(is_same)?;
            (other, other.since.after(MIN_INTERVAL).since(permit.since))
        };
        let reason = if other.owner == permit.owner {
            DenyReason::JustChecked
        } else {
            DenyReason::TaskBusy
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
        let backoff = self.stored_backoff(account).cloned();
        let is_probe = backoff
            .as_ref()
            .is_some_and(|backoff| permit.since >= backoff.until);
        let error = match outcome {
            RequestOutcome::Failed(error) => error,
            RequestOutcome::NoAnswer => return,
            RequestOutcome::Answered => {
                self.failed.clear();
                self.backoffs
                    .retain(|backoff| !(is_probe && backoff.account == account));
                return;
            }
        };
        let is_account_wide = error.scope() == ErrorScope::Account;
        match backoff {
            None if is_account_wide => self.back_off(account, error.clone(), 1, now),
            None => {
                if error.is_transient() && self.count_failure(permit, now) {
                    self.back_off(account, error.clone(), FAILURE_THRESHOLD, now);
                }
            }
            Some(backoff) if is_probe => {
                let failures = backoff.failures.saturating_add(1);
                let error = if is_account_wide {
                    error.clone()
                } else {
                    backoff.error
                };
                self.back_off(account, error, failures, now);
            }
            Some(backoff) => {
                if is_account_wide && backoff.error != *error {
                    self.back_off(account, error.clone(), backoff.failures, now);
                }
            }
        }
    }

    /// Counts a failed request. Reports whether many failed: then the server is at fault.
    fn count_failure(&mut self, permit: &Permit, now: Mono) -> bool {
        if self
            .failed
            .last()
            .is_none_or(|last| last.task != permit.task)
        {
            self.failed.push(Permit {
                since: now,
                ..permit.clone()
            });
        }
        u32::try_from(self.failed.len()).unwrap_or(u32::MAX) >= FAILURE_THRESHOLD
    }

    /// Ends the wait of an account's backoff, unless it is a rate limit.
    fn retry_now(&mut self, account: AccountHash, now: Mono) {
        for backoff in &mut self.backoffs {
            if backoff.account == account && !backoff.error.is_rate_limit() {
                backoff.until = backoff.until.min(now);
            }
        }
    }

    /// Sets an account's backoff, unless a longer one is set.
    fn back_off(&mut self, account: AccountHash, error: PollError, failures: u32, now: Mono) {
        self.failed.clear();
        // The seed varies, and gives the same wait to each reader.
        let seed = u64::try_from(now.since_start().as_nanos()).unwrap_or_default();
        let until = now.after(Jitter::seeded(seed).account_backoff(&error, failures));
        if self
            .stored_backoff(account)
            .is_some_and(|backoff| backoff.until > until)
        {
            return;
        }
        self.backoffs.retain(|backoff| backoff.account != account);
        let surplus = (self.backoffs.len() + 1).saturating_sub(MAX_BACKOFFS);
        self.backoffs.drain(..surplus);
        self.backoffs.push(SharedBackoff {
            account,
            error,
            failures,
            since: now,
            until,
        });
    }

    /// Drops expired entries, and entries ahead of the clock, which are from before the host's last
    /// boot.
    fn expire(&mut self, now: Mono) {
        let is_within = |since: Mono, span| since <= now && now < since.after(span);
        self.request_times.retain(|at| is_within(*at, RATE_WINDOW));
        for (permits, span) in [
            (&mut self.in_use, LOST_AFTER),
            (&mut self.released, MIN_INTERVAL),
            (&mut self.failed, FAILURE_WINDOW),
        ] {
            permits.retain(|permit| is_within(permit.since, span));
        }
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
    use proptest::prelude::*;

    use super::*;

    const MINE: AccountHash = AccountHash::from_u64(1);
    const THEIRS: AccountHash = AccountHash::from_u64(2);
    const RATE_LIMITED: PollError = PollError::RateLimited {
        code: 429,
        retry_after: None,
    };

    fn at(millis: u64) -> Mono {
        Mono::at(Duration::from_hours(1)).after(Duration::from_millis(millis))
    }

    fn permit(task: &str, account: AccountHash, pid: u32, since: Mono) -> Permit {
        Permit {
            task: TaskId::parse(task).unwrap(),
            account,
            since,
            owner: Some(OwnerProcess {
                namespace: 1,
                pid,
                started_at: 5,
            }),
        }
    }

    fn acquire_as(
        limiter: &mut RequestLimiter,
        task: &str,
        account: AccountHash,
        since: Mono,
    ) -> Result<Permit, Denied> {
        let permit = permit(task, account, 1, since);
        limiter.acquire(&permit, PollTrigger::Scheduled)?;
        Ok(permit)
    }

    fn acquire(limiter: &mut RequestLimiter, task: &str, millis: u64) -> Result<Permit, Denied> {
        acquire_as(limiter, task, MINE, at(millis))
    }

    fn denied(reason: DenyReason, millis: u64) -> Result<Permit, Denied> {
        let wait = Duration::from_millis(millis);
        Err(Denied { reason, wait })
    }

    /// Returns a limiter with a backoff of [`MINE`], and its end in milliseconds.
    fn backed_off(error: &PollError) -> (RequestLimiter, u64) {
        let mut limiter = RequestLimiter::default();
        let early = ["a", "b"].map(|task| acquire(&mut limiter, task, 0).unwrap());
        for permit in &early {
            // Two answers in one round count once.
            limiter.release(permit, &RequestOutcome::Failed(error.clone()), at(0));
        }
        assert_eq!(limiter.backoffs[0].failures, 1);
        let wait = limiter.backoff(MINE, at(0)).unwrap().wait;
        (limiter, u64::try_from(wait.as_millis()).unwrap() + 1)
    }

    #[test]
    fn denials_say_when_to_try_again() {
        let mut limiter = RequestLimiter::default();
        let permits = ["a", "b", "c", "d"].map(|task| acquire(&mut limiter, task, 0).unwrap());

        let own = denied(DenyReason::InFlightLimit, 5000);
        assert_eq!(acquire(&mut limiter, "e", 1), own, "until an own answer");
        let other = permit("e", THEIRS, 2, at(1));
        let result = limiter.acquire(&other, PollTrigger::Scheduled);
        let foreign = denied(DenyReason::InFlightLimit, 200);
        assert_eq!(result.map(|()| other), foreign, "over all accounts");

        limiter.release(&permits[0], &RequestOutcome::Answered, at(2));
        assert_eq!(limiter.count_request(at(3)), Ok(()), "a retry counts");
        let rate = denied(DenyReason::RateLimit, 1096);
        assert_eq!(acquire(&mut limiter, "e", 4), rate);
        let busy = denied(DenyReason::JustChecked, 2000);
        assert_eq!(acquire(&mut limiter, "b", 1100), busy);
        let recent = denied(DenyReason::JustChecked, 902);
        assert_eq!(acquire(&mut limiter, "a", 1100), recent);
        let mut other = permit("a", MINE, 2, at(1100));
        let result = limiter.acquire(&other, PollTrigger::Manual).unwrap_err();
        assert_eq!(result.reason, DenyReason::TaskBusy);
        other.since = at(2002);
        limiter.acquire(&other, PollTrigger::Scheduled).unwrap();
    }

    #[test]
    fn permits_of_dead_processes_are_released_and_others_expire() {
        let mut limiter = RequestLimiter::default();
        for (task, pid) in [("a", 1), ("b", 1), ("c", 2), ("d", 2)] {
            let permit = permit(task, MINE, pid, at(0));
            limiter.acquire(&permit, PollTrigger::Scheduled).unwrap();
        }

        assert!(limiter.release_dead(|owner| owner.pid == 2));
        assert!(!limiter.release_dead(|owner| owner.pid == 2));

        let started = acquire(&mut limiter, "c", 1);
        assert!(started.is_ok(), "it was never answered");
        let rate = denied(DenyReason::RateLimit, 1098);
        assert_eq!(acquire(&mut limiter, "d", 2), rate, "its request counts");
        assert!(acquire(&mut limiter, "a", 24_999).is_err());
        assert!(acquire(&mut limiter, "a", 25_000).is_ok());
    }

    #[test]
    fn one_probe_decides_after_a_backoff() {
        let (mut limiter, mut end) = backed_off(&PollError::Maintenance);
        let reason = || DenyReason::AccountBackoff(PollError::Maintenance);
        assert_eq!(acquire(&mut limiter, "c", 1).unwrap_err().reason, reason());
        for (failures, outcome) in [
            (2, RequestOutcome::Failed(PollError::Maintenance)),
            (3, RequestOutcome::Failed(PollError::TimedOut)),
        ] {
            let probe = acquire(&mut limiter, "c", end).unwrap();
            let second = acquire(&mut limiter, "d", end);
            assert_eq!(second, denied(reason(), 5000), "one probe");
            limiter.release(&probe, &outcome, at(end));
            assert_eq!(limiter.backoffs[0].failures, failures);
            end += u64::try_from(MAX_WAIT.as_millis()).unwrap() - 1000;
        }
        let probe = acquire(&mut limiter, "c", end).unwrap();
        limiter.release(&probe, &RequestOutcome::NoAnswer, at(end));
        let probe = acquire(&mut limiter, "d", end).unwrap();
        limiter.release(&probe, &RequestOutcome::Answered, at(end));
        assert_eq!(limiter.backoffs, []);
    }

    #[test]
    fn the_user_may_end_a_backoff_but_no_rate_limit() {
        let (mut limiter, _) = backed_off(&PollError::Unauthorized(401));
        let mut other = permit("c", MINE, 1, at(1));
        limiter.acquire(&other, PollTrigger::Manual).unwrap();
        other.task = TaskId::parse("d").unwrap();
        let second = limiter.acquire(&other, PollTrigger::Manual).unwrap_err();
        assert_eq!(second.wait, OWN_RETRY_DELAY, "one at a time");

        let (mut limiter, _) = backed_off(&RATE_LIMITED);
        assert!(limiter.acquire(&other, PollTrigger::Manual).is_err());
    }

    #[test]
    fn a_backoff_holds_for_its_account() {
        let (mut limiter, end) = backed_off(&PollError::Unauthorized(401));
        let theirs = acquire_as(&mut limiter, "c", THEIRS, at(end)).unwrap();
        limiter.release(&theirs, &RequestOutcome::Answered, at(end));

        assert!(limiter.backoff(MINE, at(end)).is_some());
        assert_eq!(limiter.backoff(THEIRS, at(end)), None);
    }

    #[test]
    fn failures_in_a_row_of_several_tasks_are_a_backoff() {
        let fail = |tasks: &[&str]| {
            let mut limiter = RequestLimiter::default();
            for (n, task) in (0..).zip(tasks) {
                let task = task.strip_prefix('+').unwrap_or(task);
                let outcome = if tasks[usize::try_from(n).unwrap()] == task {
                    RequestOutcome::Failed(PollError::TimedOut)
                } else {
                    RequestOutcome::Answered
                };
                let permit = acquire(&mut limiter, task, n * 30_000).unwrap();
                limiter.release(&permit, &outcome, at(n * 30_000));
            }
            limiter.backoffs.len()
        };
        assert_eq!(fail(&["a", "b", "a", "b", "a"]), 1);
        assert_eq!(fail(&["a", "b", "+a", "b", "a"]), 0, "an answer between");
        assert_eq!(fail(&["a"; 20]), 0, "one task");
    }

    #[test]
    fn stale_times_and_hostile_waits_do_not_block() {
        let mut limiter = RequestLimiter::default();
        let hostile = PollError::RateLimited {
            code: 429,
            retry_after: Some(Duration::MAX),
        };
        for task in ["a", "b", "c", "d"] {
            let permit = acquire(&mut limiter, task, 9_000_000).unwrap();
            limiter.release(&permit, &RequestOutcome::NoAnswer, at(9_000_000));
        }
        // The host was started again.
        let permit = acquire(&mut limiter, "a", 0).unwrap();
        limiter.release(&permit, &RequestOutcome::Failed(hostile), at(0));
        assert!(acquire(&mut limiter, "b", 1).unwrap_err().wait <= MAX_WAIT);
        limiter.backoffs[0].until = Mono::NEVER;
        assert!(acquire(&mut limiter, "b", 2).is_ok());
    }

    #[test]
    fn account_hashes_differ_by_key_and_origin() {
        let one = AccountHash::new("https://api.example", "canary-1");
        assert_eq!(one, AccountHash::new("https://api.example", "canary-1"));
        assert_ne!(one, AccountHash::new("https://api.example", "canary-2"));
        assert_ne!(one, AccountHash::new("https://api2.example", "canary-1"));
        assert_ne!(one.salted(1), one.salted(2));
    }

    /// A step of a simulation: a wait in milliseconds, then a request by one of four processes
    /// about one of twelve tasks, or the end of a request.
    fn step() -> impl Strategy<Value = (u64, bool, u32, u8)> {
        (0_u64..400, any::<bool>(), 0_u32..4, any::<u8>())
    }

    fn outcome(kind: u8) -> RequestOutcome {
        match kind % 16 {
            0 => RequestOutcome::Failed(RATE_LIMITED),
            1 => RequestOutcome::Failed(PollError::TimedOut),
            2 => RequestOutcome::NoAnswer,
            _ => RequestOutcome::Answered,
        }
    }

    proptest! {
        #[test]
        fn no_order_of_requests_exceeds_the_limits(steps in prop::collection::vec(step(), 1..300)) {
            let mut limiter = RequestLimiter::default();
            let (mut in_flight, mut starts): (Vec<Permit>, Vec<Mono>) = (Vec::new(), Vec::new());
            let mut now = at(0);
            for (wait, is_request, pid, kind) in steps {
                now = now.after(Duration::from_millis(wait));
                // Its owner was killed, or it is lost.
                in_flight.retain(|permit| now.since(permit.since) < LOST_AFTER);
                if is_request {
                    let request = permit(&format!("t{}", kind % 12), MINE, pid, now);
                    let backoff = limiter.backoff(MINE, now);
                    if limiter.acquire(&request, PollTrigger::Scheduled).is_ok() {
                        prop_assert!(in_flight.iter().all(|other| other.task != request.task));
                        prop_assert!(backoff.is_none_or(|backoff| backoff.wait.is_zero()));
                        in_flight.push(request);
                        starts.push(now);
                    }
                } else if kind == 7 {
                    limiter.release_dead(|owner| owner.pid == pid);
                    in_flight.retain(|permit| permit.owner.is_some_and(|owner| owner.pid != pid));
                } else if !in_flight.is_empty() {
                    let permit = in_flight.swap_remove(usize::from(kind) % in_flight.len());
                    limiter.release(&permit, &outcome(kind), now);
                }
                prop_assert!(in_flight.len() <= MAX_IN_FLIGHT);
            }
            for window in starts.windows(MAX_PER_SECOND + 1) {
                let span = window[MAX_PER_SECOND].since(window[0]);
                prop_assert!(span >= Duration::from_secs(1), "{span:?}");
            }
            let later = now.after(MAX_WAIT + LOST_AFTER);
            prop_assert!(acquire_as(&mut limiter, "t0", MINE, later).is_ok(), "blocked for ever");
        }
    }
}
