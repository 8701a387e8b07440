//! The polling schedule: intervals by age, backoff after errors, lost answers, and when to stop.
//!
//! Pure functions of the known state and a seed: no clock, no timer, no random source.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    poll_result::{ErrorScope, FailedCheck, PollError, RetryRule},
    task::TaskId,
    time::Mono,
};

/// The shortest interval that a user can set: the API's own advice for one task.
pub const MIN_INTERVAL: Duration = Duration::from_secs(2);

/// The longest wait of any kind, also for a hostile `Retry-After`.
pub const MAX_WAIT: Duration = Duration::from_mins(15);

/// The most requests in flight.
pub const MAX_IN_FLIGHT: usize = 4;

/// The most requests started in one second, over all tasks.
pub const MAX_PER_SECOND: usize = 5;

/// The time over which they are counted: a tenth more than a second, because evenly sent requests
/// do not arrive evenly. With a window of one second, a server counted nine in one second (measured
/// over an hour): the last of one burst arrived late, the first of the next on time.
pub const RATE_WINDOW: Duration = Duration::from_millis(1100);

/// The time after which an unanswered check counts as lost. Longer than each timeout of the
/// adapter.
pub const LOST_AFTER: Duration = Duration::from_secs(25);

/// The time during which a new id may be unknown to the server (public clients grant it as well).
pub const NOT_FOUND_GRACE: Duration = Duration::from_secs(90);

/// The age up to which a task counts as young.
const YOUNG: Duration = Duration::from_mins(2);

/// The first cap of the wait after an error; doubled with each further one.
const BACKOFF_BASE: Duration = Duration::from_secs(2);

/// The longest wait after errors of one task, or of the account.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// The number of failures in a row that take about an hour: with [`MAX_BACKOFF`] they wait half a
/// minute on average.
const FAILURES_PER_HOUR: u32 = 120;

/// The longest wait after an hour of failures.
const MAX_LONG_BACKOFF: Duration = Duration::from_mins(10);

/// A gap between two ticks that means that the machine slept or the program was stopped.
pub const SUSPEND_GAP: Duration = Duration::from_secs(30);

/// The least time over which checks that became due in such a gap are spread.
const RESUME_SPREAD: Duration = Duration::from_secs(10);

/// The longest wait for a task that the server does not know.
const MAX_NOT_FOUND_WAIT: Duration = Duration::from_hours(1);

/// The most repeated checks of a success without a link.
const MAX_MISSING_LINK_CHECKS: u32 = 5;

/// The first wait for a missing link; the n-th is n times as long, so that five take ten minutes.
const MISSING_LINK_WAIT: Duration = Duration::from_secs(40);

/// The number of a check of one task, to tell an old answer from a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PollAttempt(pub u32);

/// The poll state of a task. One enum, so that no task is in flight twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollState {
    /// To be checked at that moment.
    DueAt(Mono),
    /// Checked, and not yet answered.
    InFlight {
        attempt: PollAttempt,
        since: Mono,
    },
    Stopped(StopReason),
}

/// The reason why a task is no longer checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    Finished,
    /// The server rejected the task permanently.
    Rejected,
}

/// The history of a task's checks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PollHistory {
    /// The last successful check; "no such task" is none.
    pub last_ok: Option<Timestamp>,
    pub checks: u32,
    /// Failures since the last success.
    pub failures: u32,
    /// The last failure, until the next success.
    pub last_error: Option<FailedCheck>,
}

impl PollHistory {
    /// Returns when the last check was, successful or failed.
    pub fn last_check(&self) -> Option<Timestamp> {
        self.last_ok
            .max(self.last_error.as_ref().map(|failed| failed.at))
    }
}

/// Poll intervals by age of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollIntervals {
    /// For the first two minutes.
    pub young: Duration,
    pub steady: Duration,
    /// Once the task is late by the [estimate](super::estimate::Estimate).
    pub late: Duration,
}

impl Default for PollIntervals {
    /// Ten, thirty and sixty seconds: the advice of the quick start and the task page.
    fn default() -> Self {
        Self {
            young: Duration::from_secs(10),
            steady: Duration::from_secs(30),
            late: Duration::from_mins(1),
        }
    }
}

impl PollIntervals {
    /// The steps of `+` and `-`: the young interval in seconds.
    const STEPS: [u64; 8] = [2, 3, 5, 10, 15, 30, 60, 120];

    /// Returns the next longer intervals; the longest stay.
    #[must_use]
    pub fn longer(self) -> Self {
        let young = self.young.as_secs();
        Self::from_young(
            Self::STEPS
                .into_iter()
                .find(|&step| step > young)
                .unwrap_or(young),
        )
    }

    /// Returns the next shorter intervals, not below [`MIN_INTERVAL`].
    #[must_use]
    pub fn shorter(self) -> Self {
        let young = self.young.as_secs();
        Self::from_young(
            Self::STEPS
                .into_iter()
                .rfind(|&step| step < young)
                .unwrap_or(young),
        )
    }

    fn from_young(young: u64) -> Self {
        let young = Duration::from_secs(young).max(MIN_INTERVAL);
        Self {
            young,
            steady: young * 3,
            late: young * 6,
        }
    }

    pub fn interval(&self, run_time: Duration, late_after: Duration) -> Duration {
        if run_time < YOUNG {
            self.young
        } else if run_time < late_after {
            self.steady
        } else {
            self.late
        }
    }
}

/// Jitter that is the same for the same task, attempt and seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// `None` always gives the longest wait.
    seed: Option<u64>,
}

impl Jitter {
    /// Returns the jitter of a seed; two instances use two seeds.
    pub const fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed) }
    }

    /// The longest wait that any instance's jitter could give.
    const MAX: Self = Self { seed: None };

    /// Returns a number from 0 up to, but not including, 1; for [`Self::MAX`], 1.
    fn unit(self, task: Option<&TaskId>, attempt: u32) -> f64 {
        let Some(seed) = self.seed else { return 1.0 };
        let mut hasher = DefaultHasher::new();
        (seed, task, attempt).hash(&mut hasher);
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or_default())
            / (f64::from(u32::MAX) + 1.0)
    }

    /// Returns `wait`, up to ten per cent more or less.
    pub fn around(self, wait: Duration, task: &TaskId, attempt: u32) -> Duration {
        wait.mul_f64(0.9 + 0.2 * self.unit(Some(task), attempt))
    }

    /// Returns the wait after `failures` errors in a row: full jitter under a doubling cap.
    ///
    /// The cap doubles from two seconds to one minute, stays there for about an hour of failures,
    /// then is ten minutes. The wait is at least one second.
    pub fn backoff(self, failures: u32, task: Option<&TaskId>) -> Duration {
        let longest = if failures > FAILURES_PER_HOUR {
            MAX_LONG_BACKOFF
        } else {
            MAX_BACKOFF
        };
        self.jittered_backoff(longest, failures, task)
    }

    /// Returns a wait with full jitter under a doubling cap that stays at `longest`.
    fn jittered_backoff(self, longest: Duration, failures: u32, task: Option<&TaskId>) -> Duration {
        let doubled = BACKOFF_BASE.saturating_mul(1 << failures.clamp(1, 16).saturating_sub(1));
        doubled
            .min(longest)
            .mul_f64(self.unit(task, failures))
            .max(Duration::from_secs(1))
    }

    /// Returns how long every check waits after an account-wide error.
    ///
    /// The server's `Retry-After` wins, limited to between one second and fifteen minutes, plus up
    /// to a tenth. Being offline costs the server nothing, so that wait stays within a minute
    /// however long it lasts.
    ///
    /// Any other wait is that of [`PollError::retry_rule`].
    pub fn account_backoff(self, error: &PollError, failures: u32) -> Duration {
        let wait = match error.retry_rule() {
            RetryRule::Backoff => return self.backoff(failures, None),
            RetryRule::ShortBackoff => return self.jittered_backoff(MAX_BACKOFF, failures, None),
            RetryRule::RateLimit(Some(wait)) | RetryRule::After(wait) => wait,
            RetryRule::RateLimit(None) => {
                let doublings = failures.clamp(1, 8).saturating_sub(1);
                Duration::from_secs(10).saturating_mul(1 << doublings)
            }
        };
        wait.clamp(Duration::from_secs(1), MAX_WAIT)
            .mul_f64(1.0 + 0.1 * self.unit(None, failures))
            .min(MAX_WAIT)
    }
}

/// The inputs of a task's next poll state.
#[derive(Debug, Clone, Copy)]
pub struct PollInput<'a> {
    pub task: &'a TaskId,
    pub is_final: bool,
    /// Whether the last answer had a known state.
    pub is_understood: bool,
    /// Checks that found a success without a link.
    pub missing_link_checks: u32,
    pub run_time: Duration,
    pub history: &'a PollHistory,
}

/// Returns the poll state after an answer about the task.
///
/// A success schedules the next check by age, an error of the task itself backs off, and a
/// rejection stops. A finished task is not checked again, even if a manual check of it failed. An
/// account-wide error leaves the task due: the account's backoff delays it.
pub fn next_state(
    input: PollInput<'_>,
    intervals: PollIntervals,
    late_after: Duration,
    jitter: Jitter,
    now: Mono,
) -> PollState {
    let PollInput { task, history, .. } = input;
    let interval = if input.is_understood {
        intervals.interval(input.run_time, late_after)
    } else {
        intervals.late
    };
    if input.is_final && !(1..=MAX_MISSING_LINK_CHECKS).contains(&input.missing_link_checks) {
        return PollState::Stopped(StopReason::Finished);
    }
    if let Some(FailedCheck { error, .. }) = &history.last_error {
        return state_after_error(error, input, interval, jitter, now);
    }
    // A link may come late: each check waits longer, so that a few reach ten minutes.
    let wait = match input.missing_link_checks {
        0 => interval,
        checks => MISSING_LINK_WAIT.saturating_mul(checks),
    };
    PollState::DueAt(now.after(jitter.around(wait, task, history.checks)))
}

/// Returns the poll state after another instance's answer. That instance continues to check the
/// task, so ours waits longer than it can, and checks only if its answer does not come.
pub fn next_state_after_external(
    input: PollInput<'_>,
    intervals: PollIntervals,
    late_after: Duration,
    jitter: Jitter,
    now: Mono,
) -> PollState {
    match next_state(input, intervals, late_after, Jitter::MAX, now) {
        PollState::DueAt(at) => {
            let spread = jitter.unit(Some(input.task), input.history.checks);
            let delay = Duration::from_secs(1) + at.since(now).mul_f64(0.1 * spread);
            PollState::DueAt(at.after(delay))
        }
        state @ (PollState::InFlight { .. } | PollState::Stopped(_)) => state,
    }
}

/// Returns the gap between the starts of checks that became due during a suspend.
pub fn spread_time(checks: usize) -> Duration {
    let min_gap = RATE_WINDOW / u32::try_from(MAX_PER_SECOND).unwrap_or(1);
    let gaps = u32::try_from(checks.saturating_sub(1)).unwrap_or(u32::MAX);
    RESUME_SPREAD
        .checked_div(gaps)
        .map_or(min_gap, |gap| gap.max(min_gap))
}

/// Returns the poll state after a failed check. `wait` is the interval without errors.
fn state_after_error(
    error: &PollError,
    input: PollInput<'_>,
    wait: Duration,
    jitter: Jitter,
    now: Mono,
) -> PollState {
    let PollInput {
        task,
        history,
        run_time,
        ..
    } = input;
    if matches!(error, PollError::Rejected { .. }) {
        return PollState::Stopped(StopReason::Rejected);
    }
    if matches!(error, PollError::NotFound) {
        // A new id fails a dozen times within its grace period, so its age limits the growth.
        let backoff = wait
            .saturating_mul(1 << history.failures.min(12))
            .min(run_time)
            .clamp(wait, MAX_NOT_FOUND_WAIT.max(wait));
        let wait = if run_time < NOT_FOUND_GRACE {
            wait
        } else {
            backoff
        };
        return PollState::DueAt(now.after(jitter.around(wait, task, history.checks)));
    }
    match error.scope() {
        ErrorScope::Account => PollState::DueAt(now),
        ErrorScope::Task => {
            PollState::DueAt(now.after(jitter.backoff(history.failures, Some(task))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::CleanText;

    const JITTER: Jitter = Jitter::seeded(7);

    fn id() -> TaskId {
        TaskId::parse("a").unwrap()
    }

    #[test]
    fn backoff_rises_then_stays_at_its_cap() {
        for failures in 1..200 {
            let wait = JITTER.backoff(failures, Some(&id()));
            let cap = BACKOFF_BASE * 2_u32.pow(failures.min(12) - 1);
            let longest = if failures > 120 { 600 } else { 60 };
            assert!(
                wait <= cap.min(Duration::from_secs(longest)),
                "{failures}: {wait:?}"
            );
            assert!(wait >= Duration::from_secs(1));
        }
        let longest = (1..120)
            .map(|n| JITTER.backoff(n, Some(&id())))
            .max()
            .unwrap();
        assert!(
            longest > Duration::from_secs(50),
            "full jitter reaches up to the cap: {longest:?}"
        );
        let hour: Duration = (1..=120).map(|n| JITTER.backoff(n, Some(&id()))).sum();
        assert!(
            (45 * 60..75 * 60).contains(&hour.as_secs()),
            "the long cap comes after about an hour: {hour:?}"
        );
        let offline = PollError::Offline(CleanText::line("x", 9));
        assert!((1..1000).all(|n| JITTER.account_backoff(&offline, n) <= MAX_BACKOFF));
    }

    #[test]
    fn checks_due_in_a_suspend_are_spread_out() {
        for (checks, millis) in [
            (0, 220),
            (1, 220),
            (2, 10_000),
            (11, 1000),
            (51, 220),
            (500, 220),
        ] {
            assert_eq!(
                spread_time(checks),
                Duration::from_millis(millis),
                "{checks}"
            );
        }
    }

    #[test]
    fn jitter_stays_within_a_tenth_and_does_spread() {
        let wait = Duration::from_secs(30);
        let waits: Vec<_> = (0..200)
            .map(|attempt| JITTER.around(wait, &id(), attempt))
            .collect();

        assert!(
            waits
                .iter()
                .all(|w| (27.0..33.0).contains(&w.as_secs_f64()))
        );
        assert!(
            waits
                .iter()
                .max()
                .unwrap()
                .saturating_sub(*waits.iter().min().unwrap())
                > Duration::from_secs(4)
        );
    }

    #[test]
    fn hostile_waits_are_clamped() {
        for requested in [0, 1, 7, 900, 901, u64::MAX] {
            let error = PollError::RateLimited {
                code: 429,
                retry_after: Some(Duration::from_secs(requested)),
            };
            let wait = JITTER.account_backoff(&error, 1);
            assert!(
                wait >= Duration::from_secs(requested.clamp(1, 900)) && wait <= MAX_WAIT,
                "{requested}: {wait:?}"
            );
        }
    }

    #[test]
    fn the_interval_follows_the_age() {
        let intervals = PollIntervals::default();
        let late = Duration::from_mins(8);
        let table = [
            (0, 10),
            (119, 10),
            (120, 30),
            (479, 30),
            (480, 60),
            (86_400, 60),
        ];
        for (age, wait) in table {
            assert_eq!(
                intervals.interval(Duration::from_secs(age), late),
                Duration::from_secs(wait),
                "{age}"
            );
        }
        assert_eq!(intervals.shorter().young, Duration::from_secs(5));
        assert_eq!(
            (0..9)
                .fold(intervals, |intervals, _| intervals.shorter())
                .young,
            MIN_INTERVAL
        );
        assert_eq!(
            (0..9)
                .fold(intervals, |intervals, _| intervals.longer())
                .young,
            Duration::from_mins(2)
        );
        assert_eq!(intervals.shorter().longer(), intervals);
    }

    #[test]
    fn the_next_poll_follows_the_answer() {
        let history = |error: Option<PollError>, failures, checks| PollHistory {
            last_ok: None,
            checks,
            failures,
            last_error: error.map(|error| FailedCheck {
                at: Timestamp::UNIX_EPOCH,
                error,
            }),
        };
        let next = |is_final, missing_link_checks, history: &PollHistory| {
            let id = id();
            let input = PollInput {
                task: &id,
                is_final,
                is_understood: true,
                missing_link_checks,
                run_time: Duration::from_secs(200),
                history,
            };
            next_state(
                input,
                PollIntervals::default(),
                Duration::from_mins(8),
                JITTER,
                Mono::default(),
            )
        };

        assert_eq!(
            next(true, 0, &history(None, 0, 3)),
            PollState::Stopped(StopReason::Finished)
        );
        assert!(matches!(
            next(true, 1, &history(None, 0, 99)),
            PollState::DueAt(_)
        ));
        assert_eq!(
            next(true, 6, &history(None, 0, 6)),
            PollState::Stopped(StopReason::Finished)
        );
        assert_eq!(
            next(true, 0, &history(Some(PollError::TimedOut), 1, 3)),
            PollState::Stopped(StopReason::Finished),
            "a failed manual check is not repeated"
        );
        assert!(matches!(
            next(true, 1, &history(Some(PollError::TimedOut), 1, 3)),
            PollState::DueAt(_)
        ));
        let refused = PollError::Rejected {
            code: 422,
            message: CleanText::line("no", 9),
        };
        assert_eq!(
            next(false, 0, &history(Some(refused), 1, 3)),
            PollState::Stopped(StopReason::Rejected)
        );
        assert_eq!(
            next(false, 0, &history(Some(PollError::Maintenance), 1, 3)),
            PollState::DueAt(Mono::default())
        );
        let PollState::DueAt(at) = next(false, 0, &history(Some(PollError::NotFound), 30, 3))
        else {
            panic!("a task not found is still checked");
        };
        assert!(
            at.since_start() <= Duration::from_secs(220),
            "no longer than the task's age"
        );
    }
}
