//! Whose turn it is: the limits on asking, held over all instances that share a list.
//!
//! A [`Limiter`] stands beside the list. Who wants to ask takes a turn from it and gives it back
//! afterwards. Pure: the file it lives in is an adapter's. Times in it are [`Mono`]s counted from a
//! start that all instances share, the host's.
//!
//! A turn never given back ends when its [holder](OwnerProcess) is known to be gone (a killed
//! instance), else by itself when its answer would count as lost. Whatever is wrong with the book
//! costs at most the others' limits: every instance keeps its own all the same.
//!
//! How many may ask is counted over all. What the server says of an account holds for those only
//! who ask the same address with the same key.

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

/// How long who finds all places taken waits before it looks again; answers take about this long.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How long who finds another's try under way waits before it looks again.
const PROBE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The most accounts whose holds are kept; more than any list is watched with.
const MAX_BACKOFFS: usize = 8;

/// A fingerprint of who asks whom: the same for the same address and key, and neither can be
/// read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountHash(u64);

impl AccountHash {
    /// Returns the fingerprint of an address and a key.
    pub fn new(origin: &str, key: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (origin, key).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns what stands for it in one book: in another it is another, so that no two files can
    /// be compared.
    #[must_use]
    pub fn salted(self, salt: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (salt, self.0).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns the fingerprint that a number stands for.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number that stands for it.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The process that holds a turn, told apart from every other one of its world, also from a
/// later one of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerProcess {
    /// The world its number is of: one start of a host, and there one space of numbers.
    pub namespace: u64,
    /// Its number.
    pub pid: u32,
    /// When it began, as the host counts.
    pub started_at: u64,
}

/// The right to ask after one task now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// After which task.
    pub task: TaskId,
    /// Who asks whom.
    pub account: AccountHash,
    /// When it was given.
    pub since: Mono,
    /// Which process has it; `None` where that cannot be told.
    pub owner: Option<OwnerProcess>,
}

/// Why there is no turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DenyReason {
    /// Another instance is asking after this very task, or just did: its answer comes by way of the
    /// list.
    TaskBusy,
    /// As many questions are under way, or started in this second, as may be.
    LimitReached,
    /// Another instance learnt of an account-wide error with the same key: every question waits.
    AccountBackoff {
        /// Which.
        error: PollError,
        /// How many answers in a row said so.
        failures: u32,
    },
}

/// A turn refused: why, and when it is worth trying again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Why.
    pub reason: DenyReason,
    /// How long to wait.
    pub wait: Duration,
}

/// What a question brought to light about the server, whatever it said of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It answers for tasks: a hold is over.
    Answered,
    /// It says something of the account: every question with this key waits.
    AccountError(PollError),
    /// An answer of which nothing follows: a hold goes on.
    TransientError,
    /// Nothing was answered, or even asked.
    NoAnswer,
}

impl RequestOutcome {
    /// Returns what an answer tells.
    pub fn from_result<T>(answer: &Result<T, PollError>) -> Self {
        match answer {
            Ok(_) | Err(PollError::NotFound | PollError::Rejected { .. }) => Self::Answered,
            Err(error) if error.is_local() => Self::NoAnswer,
            Err(error) if error.scope() == ErrorScope::Account => Self::AccountError(error.clone()),
            Err(_) => Self::TransientError,
        }
    }
}

/// What one instance tells the others about the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broadcast {
    /// Every question waits.
    Backoff {
        /// Why.
        error: PollError,
        /// How many answers in a row said so.
        failures: u32,
        /// How long.
        wait: Duration,
    },
    /// A person wants one try now.
    RetryNow,
}

/// An account-wide error as the book holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedBackoff {
    /// Whom it concerns.
    pub account: AccountHash,
    /// Which.
    pub error: PollError,
    /// How many answers in a row said so.
    pub failures: u32,
    /// When it was told.
    pub since: Mono,
    /// When one question tries again.
    pub until: Mono,
}

/// What the instances of a list must know of each other to ask no more than one would.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limiter {
    /// When requests were made of late, those put a second time too, oldest first; at most five.
    pub request_times: Vec<Mono>,
    /// The turns under way; at most four.
    pub in_use: Vec<Permit>,
    /// The turns given back of late, with the time of that: the answer may not be seen on the list
    /// yet.
    pub released: Vec<Permit>,
    /// Why every question of an account waits; at most one an account, and eight in all.
    pub backoffs: Vec<SharedBackoff>,
}

impl Limiter {
    /// Takes back the turns of those who are gone: their answers come no more. What they started
    /// still counts.
    pub fn release_dead(&mut self, is_gone: impl Fn(OwnerProcess) -> bool) {
        self.in_use.retain(|turn| !turn.owner.is_some_and(&is_gone));
    }

    /// Gives the turn to ask after a task now to nobody known; as [`give`](Self::acquire_for).
    pub fn acquire(
        &mut self,
        task: &TaskId,
        account: AccountHash,
        now: Mono,
    ) -> Result<Permit, Denied> {
        self.acquire_for(task, account, None, now)
    }

    /// Gives the turn to ask after a task now, or says why not.
    pub fn acquire_for(
        &mut self,
        task: &TaskId,
        account: AccountHash,
        holder: Option<OwnerProcess>,
        now: Mono,
    ) -> Result<Permit, Denied> {
        self.expire(now);
        if let Some(wait) = self.check_backoff(account, now) {
            return Err(wait);
        }
        let put_off = |why, wait| Err(Denied { reason: why, wait });
        if self.in_use.iter().any(|turn| turn.task == *task) {
            return put_off(DenyReason::TaskBusy, MIN_INTERVAL);
        }
        if let Some(asked) = self.released.iter().find(|turn| turn.task == *task) {
            let wait = asked.since.after(MIN_INTERVAL).since(now);
            return put_off(DenyReason::TaskBusy, wait);
        }
        if self.in_use.len() >= MAX_IN_FLIGHT {
            return put_off(DenyReason::LimitReached, RETRY_DELAY);
        }
        if let Some(wait) = self.rate_limit_wait(now) {
            return put_off(DenyReason::LimitReached, wait);
        }
        let turn = Permit {
            task: task.clone(),
            account,
            since: now,
            owner: holder,
        };
        self.request_times.push(now);
        self.in_use.push(turn.clone());
        Ok(turn)
    }

    /// Counts that a question in its turn is put a second time, as its connection broke; or says
    /// how long that must wait for its place in the second.
    pub fn acquire_retry(&mut self, now: Mono) -> Result<(), Duration> {
        self.expire(now);
        if let Some(wait) = self.rate_limit_wait(now) {
            return Err(wait);
        }
        self.request_times.push(now);
        Ok(())
    }

    /// Returns how long the next request must wait, where as many were made in this second as may
    /// be.
    fn rate_limit_wait(&self, now: Mono) -> Option<Duration> {
        let first = self.request_times.first()?;
        (self.request_times.len() >= MAX_PER_SECOND).then(|| first.after(RATE_WINDOW).since(now))
    }

    fn backoff_of(&self, account: AccountHash) -> Option<&SharedBackoff> {
        self.backoffs.iter().find(|held| held.account == account)
    }

    /// Says why nobody may ask with that key at all. Once a hold is over one question at a time
    /// tries.
    fn check_backoff(&self, account: AccountHash, now: Mono) -> Option<Denied> {
        let held = self.backoff_of(account)?;
        let is_try = |turn: &Permit| turn.account == account && turn.since >= held.until;
        let wait = if now < held.until {
            held.until.since(now)
        } else if self.in_use.iter().any(is_try) {
            PROBE_RETRY_DELAY
        } else {
            return None;
        };
        let why = DenyReason::AccountBackoff {
            error: held.error.clone(),
            failures: held.failures,
        };
        Some(Denied { reason: why, wait })
    }

    /// Takes a turn back, with what it brought to light: so the end of a hold's try is its end or
    /// the next hold, and nobody tries in between.
    ///
    /// As in every instance: only what was asked since the end of a hold ends it or makes it grow.
    pub fn release(&mut self, turn: &Permit, heard: &RequestOutcome, now: Mono) {
        self.expire(now);
        self.in_use.retain(|other| other != turn);
        self.released.push(Permit {
            since: now,
            ..turn.clone()
        });
        let account = turn.account;
        let held = self.backoff_of(account).cloned();
        let is_try = held.as_ref().is_some_and(|held| turn.since >= held.until);
        let (error, failures) = match (heard, held) {
            (RequestOutcome::Answered, _) if is_try => {
                self.backoffs.retain(|held| held.account != account);
                return;
            }
            (RequestOutcome::TransientError, Some(held)) if is_try => {
                (held.error, held.failures.saturating_add(1))
            }
            (
                RequestOutcome::Answered
                | RequestOutcome::NoAnswer
                | RequestOutcome::TransientError,
                _,
            ) => return,
            (RequestOutcome::AccountError(error), None) => (error.clone(), 1),
            (RequestOutcome::AccountError(error), Some(held)) if is_try => {
                (error.clone(), held.failures.saturating_add(1))
            }
            (RequestOutcome::AccountError(error), Some(held)) if held.error == *error => return,
            (RequestOutcome::AccountError(error), Some(held)) => (error.clone(), held.failures),
        };
        // Another spread each time, and the same for everybody who reads it.
        let seed = u64::try_from(now.since_start().as_nanos()).unwrap_or_default();
        let wait = Jitter::seeded(seed).account_backoff(&error, failures);
        self.set_backoff(account, error, failures, now.after(wait), now);
    }

    /// Takes in what an instance tells the others of its key. No word makes a hold shorter, but a
    /// person's.
    pub fn apply(&mut self, word: &Broadcast, account: AccountHash, now: Mono) {
        self.expire(now);
        match word {
            Broadcast::Backoff {
                error,
                failures,
                wait,
            } => {
                let until = now.after((*wait).min(MAX_WAIT));
                self.set_backoff(account, error.clone(), *failures, until, now);
            }
            Broadcast::RetryNow => {
                for held in &mut self.backoffs {
                    if held.account == account {
                        held.until = held.until.min(now);
                    }
                }
            }
        }
    }

    /// Holds an account back, unless it is held for longer.
    fn set_backoff(
        &mut self,
        account: AccountHash,
        error: PollError,
        failures: u32,
        until: Mono,
        now: Mono,
    ) {
        let known = self.backoff_of(account);
        if known.is_some_and(|held| held.until > until) {
            return;
        }
        let failures = known.map_or(failures, |held| held.failures.max(failures));
        self.backoffs.retain(|held| held.account != account);
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

    /// Forgets what is over, and what cannot be: times ahead of the clock are from before the
    /// host's last start.
    fn expire(&mut self, now: Mono) {
        let is_within = |since: Mono, span| since <= now && now < since.after(span);
        self.request_times.retain(|at| is_within(*at, RATE_WINDOW));
        self.in_use.retain(|turn| is_within(turn.since, LOST_AFTER));
        self.released
            .retain(|turn| is_within(turn.since, MIN_INTERVAL));
        // Whoever tries after a hold ends it or makes it a new one; with nobody left to try it ends
        // here.
        self.backoffs.retain(|held| {
            held.since <= now
                && held.until <= held.since.after(MAX_WAIT)
                && held.until.after(MAX_WAIT) > now
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

    fn refused(why: DenyReason, millis: u64) -> Result<Permit, Denied> {
        Err(Denied {
            reason: why,
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
        let mut book = Limiter::default();
        let turns: Vec<_> = ["a", "b", "c", "d"]
            .iter()
            .map(|name| book.acquire(&id(name), MINE, at(0)).unwrap())
            .collect();

        assert_eq!(
            book.acquire(&id("e"), MINE, at(1)),
            refused(DenyReason::LimitReached, 200)
        );
        book.release(&turns[0], &RequestOutcome::Answered, at(2));
        assert!(book.acquire(&id("e"), MINE, at(3)).is_ok());
        book.release(&turns[1], &RequestOutcome::Answered, at(4));
        assert_eq!(
            book.acquire(&id("f"), MINE, at(5)),
            refused(DenyReason::LimitReached, 1095)
        );
        assert!(book.acquire(&id("f"), MINE, at(1100)).is_ok());
    }

    #[test]
    fn a_retried_request_counts_twice() {
        let mut book = Limiter::default();
        for name in ["a", "b", "c", "d"] {
            book.acquire(&id(name), MINE, at(0)).unwrap();
        }

        assert_eq!(
            book.acquire_retry(at(100)),
            Ok(()),
            "its own turn is no hindrance"
        );
        assert_eq!(book.acquire_retry(at(200)), Err(Duration::from_millis(900)));
        assert_eq!(book.acquire_retry(at(1100)), Ok(()));
        let turn = book.in_use[0].clone();
        book.release(&turn, &RequestOutcome::Answered, at(1101));
        for name in ["e", "f", "g"] {
            let turn = book.acquire(&id(name), MINE, at(1200)).unwrap();
            book.release(&turn, &RequestOutcome::Answered, at(1201));
        }
        let fifth = book.acquire(&id("h"), MINE, at(1300)).unwrap();
        book.release(&fifth, &RequestOutcome::Answered, at(1301));
        assert_eq!(
            book.acquire(&id("i"), MINE, at(1400)),
            refused(DenyReason::LimitReached, 800)
        );
    }

    #[test]
    fn a_task_is_checked_by_one_instance_at_a_time() {
        let mut book = Limiter::default();
        let turn = book.acquire(&id("a"), MINE, at(0)).unwrap();

        assert_eq!(
            book.acquire(&id("a"), MINE, at(1500)),
            refused(DenyReason::TaskBusy, 2000)
        );
        book.release(&turn, &RequestOutcome::NoAnswer, at(3000));
        assert_eq!(
            book.acquire(&id("a"), MINE, at(3500)),
            refused(DenyReason::TaskBusy, 1500)
        );
        assert!(book.acquire(&id("a"), MINE, at(5000)).is_ok());
    }

    #[test]
    fn an_unreleased_permit_expires() {
        let mut book = Limiter::default();
        for name in ["a", "b", "c", "d"] {
            book.acquire(&id(name), MINE, at(0)).unwrap();
        }

        assert!(book.acquire(&id("a"), MINE, at(24_999)).is_err());
        assert!(book.acquire(&id("a"), MINE, at(25_000)).is_ok());
        assert_eq!(book.in_use.len(), 1);
    }

    #[test]
    fn permits_of_dead_processes_are_released() {
        let one = |process| OwnerProcess {
            namespace: 1,
            pid: process,
            started_at: 5,
        };
        let mut book = Limiter::default();
        for (name, process) in [("a", 1), ("b", 1), ("c", 2)] {
            let given = book.acquire_for(&id(name), MINE, Some(one(process)), at(0));
            given.unwrap();
        }
        book.acquire(&id("d"), MINE, at(0)).unwrap();

        book.release_dead(|holder| holder == one(1));

        assert!(book.acquire(&id("a"), MINE, at(1)).is_ok());
        assert_eq!(
            book.acquire(&id("b"), MINE, at(2)),
            refused(DenyReason::LimitReached, 1098),
            "five have started"
        );
        assert!(book.acquire(&id("b"), MINE, at(1100)).is_ok());
        for name in ["c", "d"] {
            let other = book.acquire(&id(name), MINE, at(2000)).unwrap_err();
            assert_eq!(
                other.reason,
                DenyReason::TaskBusy,
                "{name} is still asked after"
            );
        }
    }

    #[test]
    fn one_probe_decides_after_a_backoff() {
        let mut book = Limiter::default();
        let early = book.acquire(&id("a"), MINE, at(0)).unwrap();
        book.apply(&limited(10), MINE, at(0));
        let held = |millis| {
            let (error, failures) = (PollError::Maintenance, 2);
            refused(DenyReason::AccountBackoff { error, failures }, millis)
        };

        assert_eq!(book.acquire(&id("b"), MINE, at(1000)), held(9000));
        book.apply(&limited(3), MINE, at(2000));
        book.release(&early, &RequestOutcome::Answered, at(2500));
        assert_eq!(
            book.acquire(&id("b"), MINE, at(3000)),
            held(7000),
            "nothing from before shortens it"
        );
        let probe = book.acquire(&id("b"), MINE, at(10_000)).unwrap();
        assert_eq!(book.acquire(&id("c"), MINE, at(10_100)), held(1000));
        book.release(&probe, &RequestOutcome::NoAnswer, at(10_200));
        let probe = book.acquire(&id("c"), MINE, at(10_300)).unwrap();
        book.release(&probe, &RequestOutcome::Answered, at(10_400));
        assert_eq!(book.backoffs, []);
    }

    #[test]
    fn a_manual_retry_is_immediate() {
        let mut book = Limiter::default();
        book.apply(&limited(300), MINE, at(0));

        book.apply(&Broadcast::RetryNow, MINE, at(1000));

        assert!(book.acquire(&id("a"), MINE, at(1000)).is_ok());
        assert!(
            book.acquire(&id("b"), MINE, at(1000)).is_err(),
            "one at a time"
        );
    }

    #[test]
    fn stale_times_and_hostile_waits_do_not_block() {
        let mut book = Limiter::default();
        for name in ["a", "b", "c", "d"] {
            book.acquire(&id(name), MINE, at(9_000_000)).unwrap();
        }
        let forever = Broadcast::Backoff {
            error: PollError::Offline(CleanText::line("x", 9)),
            failures: u32::MAX,
            wait: Duration::MAX,
        };
        book.apply(&forever, MINE, at(9_000_000));

        assert!(book.acquire(&id("a"), MINE, at(0)).is_ok());

        book.apply(&forever, MINE, at(0));
        let waits = book.acquire(&id("b"), MINE, at(1)).unwrap_err().wait;
        assert!(waits <= MAX_WAIT);
        if let [held] = book.backoffs.as_mut_slice() {
            held.until = Mono::NEVER;
        }
        assert!(book.acquire(&id("b"), MINE, at(2)).is_ok());
    }

    #[test]
    fn a_refused_key_does_not_block_other_keys() {
        let mut book = Limiter::default();
        let refused = RequestOutcome::AccountError(PollError::Unauthorized(401));
        let turn = book.acquire(&id("a"), THEIRS, at(0)).unwrap();
        book.release(&turn, &refused, at(100));

        assert!(book.acquire(&id("b"), THEIRS, at(200)).is_err());
        let mine = book.acquire(&id("b"), MINE, at(200)).unwrap();
        assert_eq!(
            book.acquire(&id("b"), MINE, at(300)),
            self::refused(DenyReason::TaskBusy, 2000),
            "the same task is still nobody else's"
        );
        book.release(&mine, &RequestOutcome::Answered, at(400));
        assert!(
            book.acquire(&id("c"), THEIRS, at(500)).is_err(),
            "nor ends it"
        );
        book.apply(&limited(60), MINE, at(600));
        book.apply(&Broadcast::RetryNow, THEIRS, at(700));
        assert!(book.acquire(&id("c"), MINE, at(800)).is_err());
        assert!(book.acquire(&id("c"), THEIRS, at(800)).is_ok());
    }

    #[test]
    fn permits_are_counted_over_all_keys() {
        let mut book = Limiter::default();
        for (name, account) in [("a", MINE), ("b", THEIRS), ("c", MINE), ("d", THEIRS)] {
            book.acquire(&id(name), account, at(0)).unwrap();
        }

        let crowded = self::refused(DenyReason::LimitReached, 200);
        assert_eq!(book.acquire(&id("e"), MINE, at(1)), crowded);
    }

    #[test]
    fn a_failed_probe_starts_a_longer_backoff() {
        let limit = || {
            RequestOutcome::AccountError(PollError::RateLimited {
                code: 429,
                retry_after: None,
            })
        };
        let mut book = Limiter::default();
        let early = ["a", "b"].map(|name| book.acquire(&id(name), MINE, at(0)).unwrap());
        for turn in &early {
            book.release(turn, &limit(), at(100));
        }
        assert_eq!(book.backoffs[0].failures, 1, "one and the same moment");
        let mut waits = Vec::new();
        let mut now = at(100);
        for (failures, heard) in [
            (2, limit()),
            (3, RequestOutcome::TransientError),
            (4, limit()),
        ] {
            now = book.backoffs[0].until;
            let probe = book.acquire(&id("c"), MINE, now).unwrap();
            now = now.after(Duration::from_secs(2));
            book.release(&probe, &heard, now);

            assert_eq!(book.backoffs[0].failures, failures);
            assert!(book.acquire(&id("d"), MINE, now).is_err(), "no second try");
            waits.push(book.backoffs[0].until.since(now));
        }
        assert!(waits.is_sorted() && waits[0] >= Duration::from_secs(20));
        let probe = book
            .acquire(&id("c"), MINE, book.backoffs[0].until)
            .unwrap();
        book.release(&probe, &RequestOutcome::NoAnswer, now.after(MAX_WAIT));
        assert!(book.backoffs.len() <= 1);
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
