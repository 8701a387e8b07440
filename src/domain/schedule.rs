//! When to ask: the pace of a task, back-off after errors, lost answers, and when to stop.
//!
//! Pure functions of what is known and of a seed; no clock, no timer, no random source of their
//! own.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    poll_result::{ErrorScope, FailedCheck, PollError},
    task::TaskId,
    time::Mono,
};

/// The shortest interval a user can set: what the API's own advice allows for one task.
pub const MIN_INTERVAL: Duration = Duration::from_secs(2);

/// The longest wait of any kind; hostile `Retry-After` values end here.
pub const MAX_WAIT: Duration = Duration::from_mins(15);

/// How many polls may be under way at once.
pub const MAX_IN_FLIGHT: usize = 4;

/// How many polls may start in one second, over all tasks.
pub const MAX_PER_SECOND: usize = 5;

/// Over what time those are counted: a tenth more than a second, as what is sent evenly does not
/// arrive so. Counted over a second, a server saw nine in one (measured over an hour): the last
/// ones of a burst came late, those of the next in time.
pub const RATE_WINDOW: Duration = Duration::from_millis(1100);

/// How long an answer may take before the question counts as lost. Longer than every deadline of
/// the adapter.
pub const LOST_AFTER: Duration = Duration::from_secs(25);

/// How long the server may not know a fresh id (public clients grant it as well).
pub const NOT_FOUND_GRACE: Duration = Duration::from_secs(90);

/// How long a task counts as young.
const YOUNG: Duration = Duration::from_mins(2);

/// The first wait after an error; doubled with each further one.
const BACKOFF_BASE: Duration = Duration::from_secs(2);

/// The longest wait after errors of one task, and of the account.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// How many errors in a row take about an hour: the waits under that cap are half a minute on
/// average.
const FAILURES_PER_HOUR: u32 = 120;

/// The longest wait once errors have gone on for an hour.
const MAX_LONG_BACKOFF: Duration = Duration::from_mins(10);

/// How many rows in trouble within [`FAILURE_WINDOW`], or failures of several in a row, are trouble
/// of the whole server.
pub const FAILURE_THRESHOLD: u32 = 5;

/// Within what time the rows in trouble are counted.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(10);

/// How long nothing was heard of the clock when the machine slept, or the program was stopped.
pub const SUSPEND_GAP: Duration = Duration::from_secs(30);

/// Over what time at least the questions that came due in such a sleep are spread.
const RESUME_SPREAD: Duration = Duration::from_secs(10);

/// The longest wait for a task that the server does not know.
const MAX_NOT_FOUND_WAIT: Duration = Duration::from_hours(1);

/// How often a success without a link is asked after again.
const MAX_MISSING_LINK_CHECKS: u32 = 5;

/// The first wait for a link that is missing; the n-th is n times as long, so that five take ten
/// minutes.
const MISSING_LINK_WAIT: Duration = Duration::from_secs(40);

/// Numbers the polls of one task, so that an old answer is told from a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PollAttempt(pub u32);

/// What we are doing about a task. One enum, so that no task is in flight twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollState {
    /// To be asked at that moment.
    DueAt(Mono),
    /// Asked, and not yet answered.
    InFlight {
        /// Which question.
        attempt: PollAttempt,
        /// Since when.
        since: Mono,
    },
    /// Not asked any more.
    Stopped(StopReason),
}

/// Why a task is not asked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It has ended.
    Finished,
    /// The server refuses to answer for it.
    Rejected,
}

/// How sure we are of what we show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PollHistory {
    /// When the server last gave a good answer about the task; "no such task" is none.
    pub last_ok: Option<Timestamp>,
    /// How many checks were made.
    pub checks: u32,
    /// How many checks failed since the last good one.
    pub failures: u32,
    /// The last failed check, until a good one.
    pub last_error: Option<FailedCheck>,
}

impl PollHistory {
    /// Returns when the last check was, good or failed.
    pub fn last_check(&self) -> Option<Timestamp> {
        self.last_ok
            .max(self.last_error.as_ref().map(|failed| failed.at))
    }
}

/// How often tasks are asked after, by their age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollIntervals {
    /// While a task is younger than two minutes.
    pub young: Duration,
    /// After that.
    pub steady: Duration,
    /// Once it runs longer than all but a few did.
    pub late: Duration,
}

impl Default for PollIntervals {
    /// Ten, thirty and sixty seconds: the quick start's and the task page's advice.
    fn default() -> Self {
        Self {
            young: Duration::from_secs(10),
            steady: Duration::from_secs(30),
            late: Duration::from_mins(1),
        }
    }
}

impl PollIntervals {
    /// The steps `+` and `-` go through, as the interval of a young task in seconds.
    const STEPS: [u64; 8] = [2, 3, 5, 10, 15, 30, 60, 120];

    /// Returns the next slower pace; the slowest stays.
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

    /// Returns the next faster pace; the fastest stays at the floor of two seconds.
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

    /// Returns the pace whose young tasks are asked after every `young` seconds.
    fn from_young(young: u64) -> Self {
        let young = Duration::from_secs(young).max(MIN_INTERVAL);
        Self {
            young,
            steady: young * 3,
            late: young * 6,
        }
    }

    /// Returns the interval for a task of that run time.
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

/// A source of spread that is the same for the same task, attempt and seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// `None` always spreads to the far end.
    seed: Option<u64>,
}

impl Jitter {
    /// Returns the spread of that seed; two instances take two seeds.
    pub const fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed) }
    }

    /// Makes every wait as long as any instance's spread could.
    const MAX: Self = Self { seed: None };

    /// Returns a number from 0 up to, but without, 1; for the longest wait, 1.
    fn unit(self, task: Option<&TaskId>, turn: u32) -> f64 {
        let Some(seed) = self.seed else { return 1.0 };
        let mut hasher = DefaultHasher::new();
        (seed, task, turn).hash(&mut hasher);
        f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or_default())
            / (f64::from(u32::MAX) + 1.0)
    }

    /// Returns `wait`, ten per cent more or less.
    pub fn around(self, wait: Duration, task: &TaskId, turn: u32) -> Duration {
        wait.mul_f64(0.9 + 0.2 * self.unit(Some(task), turn))
    }

    /// Returns the wait after `failures` errors in a row: full jitter under a doubling cap.
    ///
    /// The cap doubles from two seconds to one minute and stays there for about an hour of
    /// failures, then is ten minutes; the wait is never under one second.
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

    /// Returns how long every poll waits after an account-wide error.
    ///
    /// What the server asked for wins, held between one second and fifteen minutes, plus up to a
    /// tenth. No network costs the server nothing, so the waits for it stay within a minute however
    /// long it lasts: it is back soon after.
    ///
    /// What only a person can mend (a key, credits, an address, a certificate) is tried every five
    /// minutes all the same: it is often mended elsewhere, with nobody at this keyboard, and such a
    /// question costs the server next to nothing. Over a certificate that is not trusted the key is
    /// never sent.
    pub fn account_backoff(self, error: &PollError, failures: u32) -> Duration {
        let told = match error {
            PollError::RateLimited {
                retry_after: Some(told),
                ..
            } => Some(*told),
            PollError::RateLimited { .. } => Some(
                Duration::from_secs(10).saturating_mul(1 << failures.clamp(1, 8).saturating_sub(1)),
            ),
            PollError::Maintenance => Some(Duration::from_mins(1)),
            PollError::Unauthorized(_)
            | PollError::NoKey
            | PollError::KeyUnreadable(_)
            | PollError::OutOfCredits
            | PollError::WrongAddress
            | PollError::Redirected(_)
            | PollError::Untrusted(_) => Some(Duration::from_mins(5)),
            PollError::Offline(_)
            | PollError::Blocked(_)
            | PollError::TimedOut
            | PollError::ConnectionLost
            | PollError::NotFound
            | PollError::Rejected { .. }
            | PollError::Server { .. }
            | PollError::Malformed(_)
            | PollError::AnswerLost => None,
        };
        told.map_or_else(
            || {
                if matches!(error, PollError::Offline(_) | PollError::Blocked(_)) {
                    self.jittered_backoff(MAX_BACKOFF, failures, None)
                } else {
                    self.backoff(failures, None)
                }
            },
            |told| {
                let told = told.clamp(Duration::from_secs(1), MAX_WAIT);
                told.mul_f64(1.0 + 0.1 * self.unit(None, failures))
                    .min(MAX_WAIT)
            },
        )
    }
}

/// What a task's next question depends on.
#[derive(Debug, Clone, Copy)]
pub struct PollInput<'a> {
    /// Whose.
    pub task: &'a TaskId,
    /// Whether it has ended.
    pub is_final: bool,
    /// Whether its last answer was understood.
    pub is_understood: bool,
    /// How often it was seen to have ended well with nothing to show for it.
    pub missing_link_checks: u32,
    /// How long it has been running.
    pub run_time: Duration,
    /// How the last checks went.
    pub history: &'a PollHistory,
}

/// Decides what to do about a task that was just answered for.
///
/// A good answer sets the next question by the task's age; an error of the task's own backs off,
/// and a refusal stops. What has ended is not asked after again, whatever became of a question a
/// person asked. Account-wide errors leave the task due: the account's hold keeps it waiting.
pub fn next_state(
    standing: PollInput<'_>,
    pace: PollIntervals,
    late_after: Duration,
    jitter: Jitter,
    now: Mono,
) -> PollState {
    let PollInput {
        task,
        history: freshness,
        ..
    } = standing;
    let interval = if standing.is_understood {
        pace.interval(standing.run_time, late_after)
    } else {
        pace.late
    };
    if standing.is_final && !(1..=MAX_MISSING_LINK_CHECKS).contains(&standing.missing_link_checks) {
        return PollState::Stopped(StopReason::Finished);
    }
    if let Some(FailedCheck { error, .. }) = &freshness.last_error {
        return state_after_error(error, standing, interval, jitter, now);
    }
    // A link may come late: each further question waits longer, so that a few of them reach ten
    // minutes.
    let wait = match standing.missing_link_checks {
        0 => interval,
        times => MISSING_LINK_WAIT.saturating_mul(times),
    };
    PollState::DueAt(now.after(jitter.around(wait, task, freshness.checks)))
}

/// Decides the same about a task that another instance was answered for: it goes on asking, so our
/// own question waits longer than any that it may take, and is asked only when that does not come.
pub fn next_state_after_external(
    standing: PollInput<'_>,
    pace: PollIntervals,
    late_after: Duration,
    jitter: Jitter,
    now: Mono,
) -> PollState {
    match next_state(standing, pace, late_after, Jitter::MAX, now) {
        PollState::DueAt(at) => {
            let spread = jitter.unit(Some(standing.task), standing.history.checks);
            let behind = Duration::from_secs(1) + at.since(now).mul_f64(0.1 * spread);
            PollState::DueAt(at.after(behind))
        }
        polling @ (PollState::InFlight { .. } | PollState::Stopped(_)) => polling,
    }
}

/// Returns how far apart the questions start that all came due while nobody could ask.
pub fn spread_time(questions: usize) -> Duration {
    let most = RATE_WINDOW / u32::try_from(MAX_PER_SECOND).unwrap_or(1);
    let gaps = u32::try_from(questions.saturating_sub(1)).unwrap_or(u32::MAX);
    RESUME_SPREAD
        .checked_div(gaps)
        .map_or(most, |gap| gap.max(most))
}

/// Decides what to do about a task whose last check failed. `wait` is its interval when all is
/// well.
fn state_after_error(
    error: &PollError,
    standing: PollInput<'_>,
    wait: Duration,
    jitter: Jitter,
    now: Mono,
) -> PollState {
    let PollInput {
        task,
        history: freshness,
        run_time,
        ..
    } = standing;
    if matches!(error, PollError::Rejected { .. }) {
        return PollState::Stopped(StopReason::Rejected);
    }
    if matches!(error, PollError::NotFound) {
        // Asked at the pace, a fresh id fails a dozen times in its grace: the age holds the growth
        // back.
        let grown = wait
            .saturating_mul(1 << freshness.failures.min(12))
            .min(run_time)
            .clamp(wait, MAX_NOT_FOUND_WAIT.max(wait));
        let wait = if run_time < NOT_FOUND_GRACE {
            wait
        } else {
            grown
        };
        return PollState::DueAt(now.after(jitter.around(wait, task, freshness.checks)));
    }
    match error.scope() {
        ErrorScope::Account => PollState::DueAt(now),
        ErrorScope::Task => {
            PollState::DueAt(now.after(jitter.backoff(freshness.failures, Some(task))))
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
        for (questions, millis) in [
            (0, 220),
            (1, 220),
            (2, 10_000),
            (11, 1000),
            (51, 220),
            (500, 220),
        ] {
            assert_eq!(
                spread_time(questions),
                Duration::from_millis(millis),
                "{questions}"
            );
        }
    }

    #[test]
    fn jitter_stays_within_a_tenth_and_does_spread() {
        let wait = Duration::from_secs(30);
        let waits: Vec<_> = (0..200)
            .map(|turn| JITTER.around(wait, &id(), turn))
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
        for told in [0, 1, 7, 900, 901, u64::MAX] {
            let error = PollError::RateLimited {
                code: 429,
                retry_after: Some(Duration::from_secs(told)),
            };
            let wait = JITTER.account_backoff(&error, 1);
            assert!(
                wait >= Duration::from_secs(told.clamp(1, 900)) && wait <= MAX_WAIT,
                "{told}: {wait:?}"
            );
        }
    }

    #[test]
    fn the_interval_follows_the_age() {
        let pace = PollIntervals::default();
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
                pace.interval(Duration::from_secs(age), late),
                Duration::from_secs(wait),
                "{age}"
            );
        }
        assert_eq!(pace.shorter().young, Duration::from_secs(5));
        assert_eq!(
            (0..9).fold(pace, |pace, _| pace.shorter()).young,
            MIN_INTERVAL
        );
        assert_eq!(
            (0..9).fold(pace, |pace, _| pace.longer()).young,
            Duration::from_mins(2)
        );
        assert_eq!(pace.shorter().longer(), pace);
    }

    #[test]
    fn the_next_poll_follows_the_answer() {
        let fresh = |error: Option<PollError>, failures, checks| PollHistory {
            last_ok: None,
            checks,
            failures,
            last_error: error.map(|error| FailedCheck {
                at: Timestamp::UNIX_EPOCH,
                error,
            }),
        };
        let ask = |is_final, linkless, freshness: &PollHistory| {
            let id = id();
            let standing = PollInput {
                task: &id,
                is_final,
                is_understood: true,
                missing_link_checks: linkless,
                run_time: Duration::from_secs(200),
                history: freshness,
            };
            next_state(
                standing,
                PollIntervals::default(),
                Duration::from_mins(8),
                JITTER,
                Mono::default(),
            )
        };

        assert_eq!(
            ask(true, 0, &fresh(None, 0, 3)),
            PollState::Stopped(StopReason::Finished)
        );
        assert!(matches!(
            ask(true, 1, &fresh(None, 0, 99)),
            PollState::DueAt(_)
        ));
        assert_eq!(
            ask(true, 6, &fresh(None, 0, 6)),
            PollState::Stopped(StopReason::Finished)
        );
        assert_eq!(
            ask(true, 0, &fresh(Some(PollError::TimedOut), 1, 3)),
            PollState::Stopped(StopReason::Finished),
            "a question a person asked is not repeated by itself"
        );
        assert!(matches!(
            ask(true, 1, &fresh(Some(PollError::TimedOut), 1, 3)),
            PollState::DueAt(_)
        ));
        let refused = PollError::Rejected {
            code: 422,
            message: CleanText::line("no", 9),
        };
        assert_eq!(
            ask(false, 0, &fresh(Some(refused), 1, 3)),
            PollState::Stopped(StopReason::Rejected)
        );
        assert_eq!(
            ask(false, 0, &fresh(Some(PollError::Maintenance), 1, 3)),
            PollState::DueAt(Mono::default())
        );
        let PollState::DueAt(at) = ask(false, 0, &fresh(Some(PollError::NotFound), 30, 3)) else {
            panic!("a task not found is still asked after");
        };
        assert!(
            at.since_start() <= Duration::from_secs(220),
            "no longer than it is missing"
        );
    }
}
