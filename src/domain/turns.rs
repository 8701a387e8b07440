//! Whose turn it is: the limits on asking, held over all instances that share a list.
//!
//! A [`Book`] stands beside the list. Who wants to ask takes a turn from it and gives it back afterwards. Pure: the
//! file it lives in is an adapter's. Times in it are [`Mono`]s counted from a start that all instances share, the host's.
//!
//! A turn never given back ends when its [holder](Holder) is known to be gone (a killed instance), else by itself when
//! its answer would count as lost. Whatever is wrong with the book costs at most the others' limits: every instance keeps
//! its own all the same.
//!
//! How many may ask is counted over all. What the server says of an account holds for those only who ask the same
//! address with the same key.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use super::{
    report::{PollError, Scope},
    schedule::{CEILING, FLOOR, Jitter, LOST_AFTER, MOST_IN_FLIGHT, MOST_PER_SECOND},
    task::TaskId,
    time::Mono,
};

/// How long who finds all places taken waits before it looks again; answers take about this long.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long who finds another's try under way waits before it looks again.
const TRY_TIME: Duration = Duration::from_secs(1);

/// The most accounts whose holds are kept; more than any list is watched with.
const MOST_HELD: usize = 8;

/// Is a fingerprint of who asks whom: the same for the same address and key, and neither can be read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account(u64);

impl Account {
    /// Returns the fingerprint of an address and a key.
    pub fn of(origin: &str, key: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (origin, key).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns what stands for it in one book: in another it is another, so that no two files can be compared.
    #[must_use]
    pub fn salted(self, salt: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (salt, self.0).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns the fingerprint that a number stands for.
    pub const fn numbered(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number that stands for it.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Is the process that holds a turn, told apart from every other one of its world, also from a later one of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The world its number is of: one start of a host, and there one space of numbers.
    pub world: u64,
    /// Its number.
    pub process: u32,
    /// When it began, as the host counts.
    pub begun: u64,
}

/// Is the right to ask after one task now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// After which task.
    pub task: TaskId,
    /// Who asks whom.
    pub account: Account,
    /// When it was given.
    pub since: Mono,
    /// Which process has it; `None` where that cannot be told.
    pub holder: Option<Holder>,
}

/// Tells why there is no turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another instance is asking after this very task, or just did: its answer comes by way of the list.
    Elsewhere,
    /// As many questions are under way, or started in this second, as may be.
    Crowded,
    /// Another instance learnt of an account-wide error with the same key: every question waits.
    Held {
        /// Which.
        error: PollError,
        /// How many answers in a row said so.
        failures: u32,
    },
}

/// Is a turn refused: why, and when it is worth trying again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOff {
    /// Why.
    pub why: Refusal,
    /// How long to wait.
    pub wait: Duration,
}

/// Tells what a question brought to light about the server, whatever it said of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It answers for tasks: a hold is over.
    Server,
    /// It says something of the account: every question with this key waits.
    Account(PollError),
    /// An answer of which nothing follows: a hold goes on.
    Trouble,
    /// Nothing was answered, or even asked.
    Nothing,
}

impl Heard {
    /// Returns what an answer tells.
    pub fn of<T>(answer: &Result<T, PollError>) -> Self {
        match answer {
            Ok(_) | Err(PollError::NotFound | PollError::Refused { .. }) => Self::Server,
            Err(error) if error.is_own_affair() => Self::Nothing,
            Err(error) if error.scope() == Scope::Account => Self::Account(error.clone()),
            Err(_) => Self::Trouble,
        }
    }
}

/// Is what one instance tells the others about the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Every question waits.
    Hold {
        /// Why.
        error: PollError,
        /// How many answers in a row said so.
        failures: u32,
        /// How long.
        wait: Duration,
    },
    /// A person wants one try now.
    TryNow,
}

/// Is an account-wide error as the book holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Whom it concerns.
    pub account: Account,
    /// Which.
    pub error: PollError,
    /// How many answers in a row said so.
    pub failures: u32,
    /// When it was told.
    pub since: Mono,
    /// When one question tries again.
    pub until: Mono,
}

/// Is what the instances of a list must know of each other to ask no more than one would.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// When requests were made of late, those put a second time too, oldest first; at most five.
    pub started: Vec<Mono>,
    /// The turns under way; at most four.
    pub asking: Vec<Turn>,
    /// The turns given back of late, with the time of that: the answer may not be seen on the list yet.
    pub asked: Vec<Turn>,
    /// Why every question of an account waits; at most one an account, and eight in all.
    pub held: Vec<Held>,
}

impl Book {
    /// Takes back the turns of those who are gone: their answers come no more. What they started still counts.
    pub fn bury(&mut self, is_gone: impl Fn(Holder) -> bool) {
        self.asking
            .retain(|turn| !turn.holder.is_some_and(&is_gone));
    }

    /// Gives the turn to ask after a task now to nobody known; as [`give`](Self::give).
    pub fn take(&mut self, task: &TaskId, account: Account, now: Mono) -> Result<Turn, PutOff> {
        self.give(task, account, None, now)
    }

    /// Gives the turn to ask after a task now, or says why not.
    pub fn give(
        &mut self,
        task: &TaskId,
        account: Account,
        holder: Option<Holder>,
        now: Mono,
    ) -> Result<Turn, PutOff> {
        self.tidy(now);
        if let Some(wait) = self.held_for(account, now) {
            return Err(wait);
        }
        let put_off = |why, wait| Err(PutOff { why, wait });
        if self.asking.iter().any(|turn| turn.task == *task) {
            return put_off(Refusal::Elsewhere, FLOOR);
        }
        if let Some(asked) = self.asked.iter().find(|turn| turn.task == *task) {
            let wait = asked.since.after(FLOOR).since(now);
            return put_off(Refusal::Elsewhere, wait);
        }
        if self.asking.len() >= MOST_IN_FLIGHT {
            return put_off(Refusal::Crowded, LOOK_AGAIN);
        }
        if let Some(wait) = self.rated(now) {
            return put_off(Refusal::Crowded, wait);
        }
        let turn = Turn {
            task: task.clone(),
            account,
            since: now,
            holder,
        };
        self.started.push(now);
        self.asking.push(turn.clone());
        Ok(turn)
    }

    /// Counts that a question in its turn is put a second time, as its connection broke; or says how long that must wait
    /// for its place in the second.
    pub fn again(&mut self, now: Mono) -> Result<(), Duration> {
        self.tidy(now);
        if let Some(wait) = self.rated(now) {
            return Err(wait);
        }
        self.started.push(now);
        Ok(())
    }

    /// Returns how long the next request must wait, where as many were made in this second as may be.
    fn rated(&self, now: Mono) -> Option<Duration> {
        let first = self.started.first()?;
        (self.started.len() >= MOST_PER_SECOND)
            .then(|| first.after(Duration::from_secs(1)).since(now))
    }

    fn hold_of(&self, account: Account) -> Option<&Held> {
        self.held.iter().find(|held| held.account == account)
    }

    /// Says why nobody may ask with that key at all. Once a hold is over one question at a time tries.
    fn held_for(&self, account: Account, now: Mono) -> Option<PutOff> {
        let held = self.hold_of(account)?;
        let is_try = |turn: &Turn| turn.account == account && turn.since >= held.until;
        let wait = if now < held.until {
            held.until.since(now)
        } else if self.asking.iter().any(is_try) {
            TRY_TIME
        } else {
            return None;
        };
        let why = Refusal::Held {
            error: held.error.clone(),
            failures: held.failures,
        };
        Some(PutOff { why, wait })
    }

    /// Takes a turn back, with what it brought to light: so the end of a hold's try is its end or the next hold, and
    /// nobody tries in between.
    ///
    /// As in every instance: only what was asked since the end of a hold ends it or makes it grow.
    pub fn end(&mut self, turn: &Turn, heard: &Heard, now: Mono) {
        self.tidy(now);
        self.asking.retain(|other| other != turn);
        self.asked.push(Turn {
            since: now,
            ..turn.clone()
        });
        let account = turn.account;
        let held = self.hold_of(account).cloned();
        let is_try = held.as_ref().is_some_and(|held| turn.since >= held.until);
        let (error, failures) = match (heard, held) {
            (Heard::Server, _) if is_try => {
                self.held.retain(|held| held.account != account);
                return;
            }
            (Heard::Trouble, Some(held)) if is_try => (held.error, held.failures.saturating_add(1)),
            (Heard::Server | Heard::Nothing | Heard::Trouble, _) => return,
            (Heard::Account(error), None) => (error.clone(), 1),
            (Heard::Account(error), Some(held)) if is_try => {
                (error.clone(), held.failures.saturating_add(1))
            }
            (Heard::Account(error), Some(held)) if held.error == *error => return,
            (Heard::Account(error), Some(held)) => (error.clone(), held.failures),
        };
        // Another spread each time, and the same for everybody who reads it.
        let seed = u64::try_from(now.since_start().as_nanos()).unwrap_or_default();
        let wait = Jitter::seeded(seed).hold(&error, failures);
        self.hold(account, error, failures, now.after(wait), now);
    }

    /// Takes in what an instance tells the others of its key. No word makes a hold shorter, but a person's.
    pub fn note(&mut self, word: &Word, account: Account, now: Mono) {
        self.tidy(now);
        match word {
            Word::Hold {
                error,
                failures,
                wait,
            } => {
                let until = now.after((*wait).min(CEILING));
                self.hold(account, error.clone(), *failures, until, now);
            }
            Word::TryNow => {
                for held in &mut self.held {
                    if held.account == account {
                        held.until = held.until.min(now);
                    }
                }
            }
        }
    }

    /// Holds an account back, unless it is held for longer.
    fn hold(&mut self, account: Account, error: PollError, failures: u32, until: Mono, now: Mono) {
        let known = self.hold_of(account);
        if known.is_some_and(|held| held.until > until) {
            return;
        }
        let failures = known.map_or(failures, |held| held.failures.max(failures));
        self.held.retain(|held| held.account != account);
        let surplus = (self.held.len() + 1).saturating_sub(MOST_HELD);
        self.held.drain(..surplus);
        self.held.push(Held {
            account,
            error,
            failures,
            since: now,
            until: until.min(now.after(CEILING)),
        });
    }

    /// Forgets what is over, and what cannot be: times ahead of the clock are from before the host's last start.
    fn tidy(&mut self, now: Mono) {
        let is_within = |since: Mono, span| since <= now && now < since.after(span);
        self.started
            .retain(|at| is_within(*at, Duration::from_secs(1)));
        self.asking.retain(|turn| is_within(turn.since, LOST_AFTER));
        self.asked.retain(|turn| is_within(turn.since, FLOOR));
        // Whoever tries after a hold ends it or makes it a new one; with nobody left to try it ends here.
        self.held.retain(|held| {
            held.since <= now
                && held.until <= held.since.after(CEILING)
                && held.until.after(CEILING) > now
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

    const MINE: Account = Account(1);
    const THEIRS: Account = Account(2);

    fn id(name: &str) -> TaskId {
        TaskId::parse(name).unwrap()
    }

    fn refused(why: Refusal, millis: u64) -> Result<Turn, PutOff> {
        Err(PutOff {
            why,
            wait: Duration::from_millis(millis),
        })
    }

    fn limited(wait: u64) -> Word {
        Word::Hold {
            error: PollError::Maintenance,
            failures: 2,
            wait: Duration::from_secs(wait),
        }
    }

    #[test]
    fn four_are_under_way_and_five_start_in_a_second() {
        let mut book = Book::default();
        let turns: Vec<_> = ["a", "b", "c", "d"]
            .iter()
            .map(|name| book.take(&id(name), MINE, at(0)).unwrap())
            .collect();

        assert_eq!(
            book.take(&id("e"), MINE, at(1)),
            refused(Refusal::Crowded, 200)
        );
        book.end(&turns[0], &Heard::Server, at(2));
        assert!(book.take(&id("e"), MINE, at(3)).is_ok());
        book.end(&turns[1], &Heard::Server, at(4));
        assert_eq!(
            book.take(&id("f"), MINE, at(5)),
            refused(Refusal::Crowded, 995)
        );
        assert!(book.take(&id("f"), MINE, at(1000)).is_ok());
    }

    #[test]
    fn what_is_put_a_second_time_counts_twice() {
        let mut book = Book::default();
        for name in ["a", "b", "c", "d"] {
            book.take(&id(name), MINE, at(0)).unwrap();
        }

        assert_eq!(book.again(at(100)), Ok(()), "its own turn is no hindrance");
        assert_eq!(book.again(at(200)), Err(Duration::from_millis(800)));
        assert_eq!(book.again(at(1000)), Ok(()));
        let turn = book.asking[0].clone();
        book.end(&turn, &Heard::Server, at(1001));
        for name in ["e", "f", "g"] {
            let turn = book.take(&id(name), MINE, at(1200)).unwrap();
            book.end(&turn, &Heard::Server, at(1201));
        }
        let fifth = book.take(&id("h"), MINE, at(1300)).unwrap();
        book.end(&fifth, &Heard::Server, at(1301));
        assert_eq!(
            book.take(&id("i"), MINE, at(1400)),
            refused(Refusal::Crowded, 600)
        );
    }

    #[test]
    fn nobody_asks_after_a_task_that_another_asks_or_just_asked_after() {
        let mut book = Book::default();
        let turn = book.take(&id("a"), MINE, at(0)).unwrap();

        assert_eq!(
            book.take(&id("a"), MINE, at(1500)),
            refused(Refusal::Elsewhere, 2000)
        );
        book.end(&turn, &Heard::Nothing, at(3000));
        assert_eq!(
            book.take(&id("a"), MINE, at(3500)),
            refused(Refusal::Elsewhere, 1500)
        );
        assert!(book.take(&id("a"), MINE, at(5000)).is_ok());
    }

    #[test]
    fn a_turn_never_given_back_ends_by_itself() {
        let mut book = Book::default();
        for name in ["a", "b", "c", "d"] {
            book.take(&id(name), MINE, at(0)).unwrap();
        }

        assert!(book.take(&id("a"), MINE, at(24_999)).is_err());
        assert!(book.take(&id("a"), MINE, at(25_000)).is_ok());
        assert_eq!(book.asking.len(), 1);
    }

    #[test]
    fn the_turns_of_those_who_are_gone_are_free_at_once_within_the_rate() {
        let one = |process| Holder {
            world: 1,
            process,
            begun: 5,
        };
        let mut book = Book::default();
        for (name, process) in [("a", 1), ("b", 1), ("c", 2)] {
            let given = book.give(&id(name), MINE, Some(one(process)), at(0));
            given.unwrap();
        }
        book.take(&id("d"), MINE, at(0)).unwrap();

        book.bury(|holder| holder == one(1));

        assert!(book.take(&id("a"), MINE, at(1)).is_ok());
        assert_eq!(
            book.take(&id("b"), MINE, at(2)),
            refused(Refusal::Crowded, 998),
            "five have started"
        );
        assert!(book.take(&id("b"), MINE, at(1000)).is_ok());
        for name in ["c", "d"] {
            let other = book.take(&id(name), MINE, at(2000)).unwrap_err();
            assert_eq!(other.why, Refusal::Elsewhere, "{name} is still asked after");
        }
    }

    #[test]
    fn after_a_hold_one_tries_and_what_it_hears_decides() {
        let mut book = Book::default();
        let early = book.take(&id("a"), MINE, at(0)).unwrap();
        book.note(&limited(10), MINE, at(0));
        let held = |millis| {
            let (error, failures) = (PollError::Maintenance, 2);
            refused(Refusal::Held { error, failures }, millis)
        };

        assert_eq!(book.take(&id("b"), MINE, at(1000)), held(9000));
        book.note(&limited(3), MINE, at(2000));
        book.end(&early, &Heard::Server, at(2500));
        assert_eq!(
            book.take(&id("b"), MINE, at(3000)),
            held(7000),
            "nothing from before shortens it"
        );
        let probe = book.take(&id("b"), MINE, at(10_000)).unwrap();
        assert_eq!(book.take(&id("c"), MINE, at(10_100)), held(1000));
        book.end(&probe, &Heard::Nothing, at(10_200));
        let probe = book.take(&id("c"), MINE, at(10_300)).unwrap();
        book.end(&probe, &Heard::Server, at(10_400));
        assert_eq!(book.held, []);
    }

    #[test]
    fn a_person_may_try_at_once() {
        let mut book = Book::default();
        book.note(&limited(300), MINE, at(0));

        book.note(&Word::TryNow, MINE, at(1000));

        assert!(book.take(&id("a"), MINE, at(1000)).is_ok());
        assert!(
            book.take(&id("b"), MINE, at(1000)).is_err(),
            "one at a time"
        );
    }

    #[test]
    fn times_of_an_earlier_start_of_the_host_and_hostile_waits_hold_nobody() {
        let mut book = Book::default();
        for name in ["a", "b", "c", "d"] {
            book.take(&id(name), MINE, at(9_000_000)).unwrap();
        }
        let forever = Word::Hold {
            error: PollError::Offline(CleanText::line("x", 9)),
            failures: u32::MAX,
            wait: Duration::MAX,
        };
        book.note(&forever, MINE, at(9_000_000));

        assert!(book.take(&id("a"), MINE, at(0)).is_ok());

        book.note(&forever, MINE, at(0));
        let waits = book.take(&id("b"), MINE, at(1)).unwrap_err().wait;
        assert!(waits <= CEILING);
        if let [held] = book.held.as_mut_slice() {
            held.until = Mono::NEVER;
        }
        assert!(book.take(&id("b"), MINE, at(2)).is_ok());
    }

    #[test]
    fn a_refused_key_holds_back_nobody_with_another() {
        let mut book = Book::default();
        let refused = Heard::Account(PollError::Unauthorized(401));
        let turn = book.take(&id("a"), THEIRS, at(0)).unwrap();
        book.end(&turn, &refused, at(100));

        assert!(book.take(&id("b"), THEIRS, at(200)).is_err());
        let mine = book.take(&id("b"), MINE, at(200)).unwrap();
        assert_eq!(
            book.take(&id("b"), MINE, at(300)),
            self::refused(Refusal::Elsewhere, 2000),
            "the same task is still nobody else's"
        );
        book.end(&mine, &Heard::Server, at(400));
        assert!(book.take(&id("c"), THEIRS, at(500)).is_err(), "nor ends it");
        book.note(&limited(60), MINE, at(600));
        book.note(&Word::TryNow, THEIRS, at(700));
        assert!(book.take(&id("c"), MINE, at(800)).is_err());
        assert!(book.take(&id("c"), THEIRS, at(800)).is_ok());
    }

    #[test]
    fn turns_are_counted_over_all_keys() {
        let mut book = Book::default();
        for (name, account) in [("a", MINE), ("b", THEIRS), ("c", MINE), ("d", THEIRS)] {
            book.take(&id(name), account, at(0)).unwrap();
        }

        let crowded = self::refused(Refusal::Crowded, 200);
        assert_eq!(book.take(&id("e"), MINE, at(1)), crowded);
    }

    #[test]
    fn the_end_of_a_try_is_the_next_and_longer_hold() {
        let limit = || {
            Heard::Account(PollError::RateLimited {
                code: 429,
                retry_after: None,
            })
        };
        let mut book = Book::default();
        let early = ["a", "b"].map(|name| book.take(&id(name), MINE, at(0)).unwrap());
        for turn in &early {
            book.end(turn, &limit(), at(100));
        }
        assert_eq!(book.held[0].failures, 1, "one and the same moment");
        let mut waits = Vec::new();
        let mut now = at(100);
        for (failures, heard) in [(2, limit()), (3, Heard::Trouble), (4, limit())] {
            now = book.held[0].until;
            let probe = book.take(&id("c"), MINE, now).unwrap();
            now = now.after(Duration::from_secs(2));
            book.end(&probe, &heard, now);

            assert_eq!(book.held[0].failures, failures);
            assert!(book.take(&id("d"), MINE, now).is_err(), "no second try");
            waits.push(book.held[0].until.since(now));
        }
        assert!(waits.is_sorted() && waits[0] >= Duration::from_secs(20));
        let probe = book.take(&id("c"), MINE, book.held[0].until).unwrap();
        book.end(&probe, &Heard::Nothing, now.after(CEILING));
        assert!(book.held.len() <= 1);
    }

    #[test]
    fn a_fingerprint_tells_keys_and_addresses_apart() {
        let one = Account::of("https://api.example", "canary-1");
        assert_eq!(one, Account::of("https://api.example", "canary-1"));
        assert_ne!(one, Account::of("https://api.example", "canary-2"));
        assert_ne!(one, Account::of("https://api2.example", "canary-1"));
        assert_ne!(one.salted(1), one.salted(2));
    }
}
