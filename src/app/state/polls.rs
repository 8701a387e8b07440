//! The account's side of polling: pause, hold after account-wide errors, the rate, the numbering.

use std::{collections::VecDeque, time::Duration};

use crate::domain::{
    report::PollError,
    schedule::{Attempt, Jitter, MOST_IN_FLIGHT, MOST_PER_SECOND, Pace},
    task::TaskId,
    time::Mono,
};

/// Is why every poll waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What was answered last.
    pub error: PollError,
    /// How many answers in a row said so.
    pub failures: u32,
    /// When one poll tries again.
    pub until: Mono,
}

/// Is the account's side of polling.
#[derive(Debug, Clone)]
pub struct Polls {
    pace: Pace,
    jitter: Jitter,
    is_paused: bool,
    hold: Option<Hold>,
    sent: VecDeque<Mono>,
    asked_for: VecDeque<TaskId>,
    last_attempt: Attempt,
}

impl Polls {
    /// Returns the start: nothing asked, nothing held.
    pub const fn new(pace: Pace, jitter: Jitter) -> Self {
        Self {
            pace,
            jitter,
            is_paused: false,
            hold: None,
            sent: VecDeque::new(),
            asked_for: VecDeque::new(),
            last_attempt: Attempt(0),
        }
    }

    /// Returns how often tasks are asked after.
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// Sets how often tasks are asked after.
    pub const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
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
    pub const fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// Notes an account-wide error: every poll waits.
    ///
    /// Answers to questions asked before the hold began do not make it longer.
    pub fn hold_back(&mut self, error: PollError, asked: Mono, now: Mono) {
        let failures = match &self.hold {
            Some(hold) if hold.until > now && asked < hold.until => {
                if hold.error == error {
                    return;
                }
                hold.failures
            }
            Some(hold) => hold.failures.saturating_add(1),
            None => 1,
        };
        let until = now.after(self.jitter.hold(&error, failures));
        self.hold = Some(Hold {
            error,
            failures,
            until,
        });
    }

    /// Ends the hold after a good answer; returns what it was.
    pub const fn release(&mut self) -> Option<Hold> {
        self.hold.take()
    }

    /// Lets one poll try at once although the hold is not over.
    pub const fn try_now(&mut self, now: Mono) {
        if let Some(hold) = &mut self.hold {
            hold.until = now;
        }
    }

    /// Puts a task first in line, pause or no pause.
    pub fn ask_for(&mut self, task: TaskId) {
        if !self.asked_for.contains(&task) {
            self.asked_for.push_back(task);
        }
    }

    /// Returns the tasks the user asked for, in order.
    pub const fn asked_for(&self) -> &VecDeque<TaskId> {
        &self.asked_for
    }

    /// Takes the first task the user asked for.
    pub fn take_asked_for(&mut self) -> Option<TaskId> {
        self.asked_for.pop_front()
    }

    /// Returns when the next poll may start at the earliest, with so many under way; `None` when another
    /// answer must come first.
    pub fn opens_at(&self, in_flight: usize, now: Mono) -> Option<Mono> {
        let most = if self.hold.is_some() {
            1
        } else {
            MOST_IN_FLIGHT
        };
        if in_flight >= most {
            return None;
        }
        let held = self.hold.as_ref().map_or(now, |hold| hold.until.max(now));
        let rated = match self
            .sent
            .len()
            .checked_sub(MOST_PER_SECOND)
            .and_then(|at| self.sent.get(at))
        {
            Some(sent) => sent.after(Duration::from_secs(1)),
            None => now,
        };
        Some(held.max(rated))
    }

    /// Numbers and counts a poll that starts now.
    pub fn start(&mut self, now: Mono) -> Attempt {
        self.forget_before(now);
        self.sent.push_back(now);
        self.last_attempt = Attempt(self.last_attempt.0.wrapping_add(1));
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
    fn five_start_in_a_second_and_four_are_under_way() {
        let mut polls = Polls::new(Pace::default(), Jitter::seeded(1));
        for n in 0..5 {
            assert_eq!(polls.opens_at(0, at(n)), Some(at(n)));
            polls.start(at(n));
        }

        assert_eq!(polls.opens_at(0, at(5)), Some(at(1000)));
        assert_eq!(polls.opens_at(0, at(1000)), Some(at(1000)));
        assert_eq!(polls.opens_at(4, at(1000)), None);
        assert_eq!(polls.per_minute(at(1000)), 5);
        assert_eq!(polls.per_minute(at(60_003)), 1);
    }

    #[test]
    fn a_hold_lets_one_probe_through_and_late_answers_do_not_lengthen_it() {
        let mut polls = Polls::new(Pace::default(), Jitter::seeded(1));
        polls.hold_back(PollError::Maintenance, at(0), at(100));
        let hold = polls.hold().unwrap().clone();

        polls.hold_back(PollError::Maintenance, at(0), at(200));

        assert_eq!(polls.hold(), Some(&hold));
        assert_eq!(polls.opens_at(0, at(300)), Some(hold.until));
        assert_eq!(polls.opens_at(1, hold.until), None);
        polls.hold_back(
            PollError::Maintenance,
            hold.until,
            hold.until.after(Duration::from_secs(1)),
        );
        assert_eq!(polls.hold().unwrap().failures, 2);
    }
}
