//! Whose turn it is: the limits on asking, held over all instances that share a list.
//!
//! A [`Book`] stands beside the list. Who wants to ask takes a turn from it and gives it back afterwards. Pure: the
//! file it lives in is an adapter's. Times in it are [`Mono`]s counted from a start that all instances share, the host's.
//!
//! A turn never given back (a killed instance) ends by itself when its answer would count as lost. Whatever is wrong
//! with the book costs at most the others' limits: every instance keeps its own all the same.

use std::time::Duration;

use super::{
    report::PollError,
    schedule::{CEILING, FLOOR, LOST_AFTER, MOST_IN_FLIGHT, MOST_PER_SECOND},
    task::TaskId,
    time::Mono,
};

/// How long who finds all places taken waits before it looks again; answers take about this long.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long who finds another's try under way waits before it looks again.
const TRY_TIME: Duration = Duration::from_secs(1);

/// Is the right to ask after one task now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// After which task.
    pub task: TaskId,
    /// When it was given.
    pub since: Mono,
}

/// Tells why there is no turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another instance is asking after this very task, or just did: its answer comes by way of the list.
    Elsewhere,
    /// As many questions are under way, or started in this second, as may be.
    Crowded,
    /// Another instance learnt of an account-wide error: every question waits.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It answers for tasks: a hold is over.
    Server,
    /// Nothing of the kind.
    Nothing,
}

impl Heard {
    /// Returns what an answer tells.
    pub const fn of(answer: &super::report::Answer) -> Self {
        match answer {
            Ok(_) | Err(PollError::NotFound | PollError::Refused { .. }) => Self::Server,
            Err(_) => Self::Nothing,
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
    /// When the last turns were given, oldest first; at most five.
    pub started: Vec<Mono>,
    /// The turns under way; at most four.
    pub asking: Vec<Turn>,
    /// The turns given back of late, with the time of that: the answer may not be seen on the list yet.
    pub asked: Vec<Turn>,
    /// Why every question waits.
    pub held: Option<Held>,
}

impl Book {
    /// Gives the turn to ask after a task now, or says why not.
    pub fn take(&mut self, task: &TaskId, now: Mono) -> Result<Turn, PutOff> {
        self.tidy(now);
        if let Some(wait) = self.held_for(now) {
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
        if self.started.len() >= MOST_PER_SECOND
            && let Some(first) = self.started.first()
        {
            let wait = first.after(Duration::from_secs(1)).since(now);
            return put_off(Refusal::Crowded, wait);
        }
        let turn = Turn {
            task: task.clone(),
            since: now,
        };
        self.started.push(now);
        self.asking.push(turn.clone());
        Ok(turn)
    }

    /// Says why nobody may ask at all. Once a hold is over one question at a time tries.
    fn held_for(&self, now: Mono) -> Option<PutOff> {
        let held = self.held.as_ref()?;
        let wait = if now < held.until {
            held.until.since(now)
        } else if self.asking.iter().any(|turn| turn.since >= held.until) {
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

    /// Takes a turn back. A server that answers for a task asked after since the end of a hold ends it.
    pub fn end(&mut self, turn: &Turn, heard: Heard, now: Mono) {
        self.tidy(now);
        self.asking.retain(|other| other != turn);
        self.asked.push(Turn {
            task: turn.task.clone(),
            since: now,
        });
        if heard == Heard::Server {
            self.held.take_if(|held| turn.since >= held.until);
        }
    }

    /// Takes in what an instance tells the others. No word makes a hold shorter, but a person's.
    pub fn note(&mut self, word: &Word, now: Mono) {
        self.tidy(now);
        match word {
            Word::Hold {
                error,
                failures,
                wait,
            } => {
                let until = now.after((*wait).min(CEILING));
                if self.held.as_ref().is_none_or(|held| held.until <= until) {
                    self.held = Some(Held {
                        error: error.clone(),
                        failures: *failures,
                        since: now,
                        until,
                    });
                }
            }
            Word::TryNow => {
                if let Some(held) = &mut self.held {
                    held.until = held.until.min(now);
                }
            }
        }
    }

    /// Forgets what is over, and what cannot be: times ahead of the clock are from before the host's last start.
    fn tidy(&mut self, now: Mono) {
        let is_within = |since: Mono, span| since <= now && now < since.after(span);
        self.started
            .retain(|at| is_within(*at, Duration::from_secs(1)));
        self.asking.retain(|turn| is_within(turn.since, LOST_AFTER));
        self.asked.retain(|turn| is_within(turn.since, FLOOR));
        // Whoever tries after a hold ends it or makes it a new one; with nobody left to try it ends here.
        self.held.take_if(|held| {
            held.since > now
                || held.until > held.since.after(CEILING)
                || held.until.after(CEILING) <= now
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
            .map(|name| book.take(&id(name), at(0)).unwrap())
            .collect();

        assert_eq!(book.take(&id("e"), at(1)), refused(Refusal::Crowded, 200));
        book.end(&turns[0], Heard::Server, at(2));
        assert!(book.take(&id("e"), at(3)).is_ok());
        book.end(&turns[1], Heard::Server, at(4));
        assert_eq!(book.take(&id("f"), at(5)), refused(Refusal::Crowded, 995));
        assert!(book.take(&id("f"), at(1000)).is_ok());
    }

    #[test]
    fn nobody_asks_after_a_task_that_another_asks_or_just_asked_after() {
        let mut book = Book::default();
        let turn = book.take(&id("a"), at(0)).unwrap();

        assert_eq!(
            book.take(&id("a"), at(1500)),
            refused(Refusal::Elsewhere, 2000)
        );
        book.end(&turn, Heard::Nothing, at(3000));
        assert_eq!(
            book.take(&id("a"), at(3500)),
            refused(Refusal::Elsewhere, 1500)
        );
        assert!(book.take(&id("a"), at(5000)).is_ok());
    }

    #[test]
    fn a_turn_never_given_back_ends_by_itself() {
        let mut book = Book::default();
        for name in ["a", "b", "c", "d"] {
            book.take(&id(name), at(0)).unwrap();
        }

        assert!(book.take(&id("a"), at(24_999)).is_err());
        assert!(book.take(&id("a"), at(25_000)).is_ok());
        assert_eq!(book.asking.len(), 1);
    }

    #[test]
    fn after_a_hold_one_tries_and_what_it_hears_decides() {
        let mut book = Book::default();
        let early = book.take(&id("a"), at(0)).unwrap();
        book.note(&limited(10), at(0));
        let held = |millis| {
            let (error, failures) = (PollError::Maintenance, 2);
            refused(Refusal::Held { error, failures }, millis)
        };

        assert_eq!(book.take(&id("b"), at(1000)), held(9000));
        book.note(&limited(3), at(2000));
        book.end(&early, Heard::Server, at(2500));
        assert_eq!(
            book.take(&id("b"), at(3000)),
            held(7000),
            "nothing from before shortens it"
        );
        let probe = book.take(&id("b"), at(10_000)).unwrap();
        assert_eq!(book.take(&id("c"), at(10_100)), held(1000));
        book.end(&probe, Heard::Nothing, at(10_200));
        let probe = book.take(&id("c"), at(10_300)).unwrap();
        book.end(&probe, Heard::Server, at(10_400));
        assert_eq!(book.held, None);
    }

    #[test]
    fn a_person_may_try_at_once() {
        let mut book = Book::default();
        book.note(&limited(300), at(0));

        book.note(&Word::TryNow, at(1000));

        assert!(book.take(&id("a"), at(1000)).is_ok());
        assert!(book.take(&id("b"), at(1000)).is_err(), "one at a time");
    }

    #[test]
    fn times_of_an_earlier_start_of_the_host_and_hostile_waits_hold_nobody() {
        let mut book = Book::default();
        for name in ["a", "b", "c", "d"] {
            book.take(&id(name), at(9_000_000)).unwrap();
        }
        let forever = Word::Hold {
            error: PollError::Offline(CleanText::line("x", 9)),
            failures: u32::MAX,
            wait: Duration::MAX,
        };
        book.note(&forever, at(9_000_000));

        assert!(book.take(&id("a"), at(0)).is_ok());

        book.note(&forever, at(0));
        let waits = book.take(&id("b"), at(1)).unwrap_err().wait;
        assert!(waits <= CEILING);
        if let Some(held) = &mut book.held {
            held.until = Mono::NEVER;
        }
        assert!(book.take(&id("b"), at(2)).is_ok());
    }
}
