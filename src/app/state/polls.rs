//! The account's side of polling: pause, hold after account-wide errors, the rate, the numbering.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use crate::domain::{
    change::Access,
    report::PollError,
    schedule::{
        Attempt, FLOOR, Jitter, LOST_AFTER, MOST_IN_FLIGHT, MOST_PER_SECOND, Pace, TROUBLE_MOST,
        TROUBLE_SPAN,
    },
    task::TaskId,
    time::Mono,
    turns::Word,
};

/// Is why every poll waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What was answered last.
    pub error: PollError,
    /// How many answers in a row said so.
    pub failures: u32,
    /// Since when.
    pub since: Mono,
    /// Since when one hold has followed another for the same reason.
    pub began: Mono,
    /// When one poll tries again.
    pub until: Mono,
    /// Whether another instance told of it, and no answer of our own has.
    pub is_told: bool,
}

/// Is a question under way after a task that was taken off the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stray {
    task: TaskId,
    attempt: Attempt,
    since: Mono,
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
    is_asked_for: HashSet<TaskId>,
    strays: Vec<Stray>,
    last_attempt: Attempt,
    /// The questions under way that a person asked for.
    by_hand: Vec<Attempt>,
    /// When the next turn is worth asking for, where others took them all.
    crowded: Option<Mono>,
    /// The rows in trouble of late, with the time of it.
    troubled: VecDeque<(Mono, TaskId)>,
    /// How many questions in a row ended in trouble; those after one row in a row count once.
    in_a_row: u32,
    /// The row whose question was the last of them.
    last_troubled: Option<TaskId>,
    /// What the other instances are to be told.
    news: Option<Word>,
    /// The tasks answered for of late, with the time of it.
    ended: VecDeque<(Mono, TaskId)>,
    /// The tasks whose question the account's trouble was the answer to, while that lasts.
    turned_away: HashMap<TaskId, Mono>,
}

/// How long the server must have limited us until the key itself may be at its limit.
const LONG_LIMIT: Duration = Duration::from_hours(1);

impl Hold {
    /// Returns what is the matter, as the start of a sentence without a full stop.
    ///
    /// A key has limits for an hour, for a day and in all, and the server may call each of them "asked too often": what
    /// does not pass by waiting for an hour is rather one of those.
    pub fn message(&self, now: Mono) -> Cow<'static, str> {
        let is_long = now.since(self.began) >= LONG_LIMIT;
        if is_long && matches!(self.error, PollError::RateLimited { code: 429, .. }) {
            "the limit of this key may be reached (hourly, daily or in all)".into()
        } else {
            self.error.message().into()
        }
    }
}

impl Polls {
    /// Returns the start: nothing asked, nothing held.
    pub fn new(pace: Pace, jitter: Jitter) -> Self {
        Self {
            pace,
            jitter,
            is_paused: false,
            hold: None,
            sent: VecDeque::new(),
            asked_for: VecDeque::new(),
            is_asked_for: HashSet::new(),
            strays: Vec::new(),
            last_attempt: Attempt(0),
            by_hand: Vec::new(),
            crowded: None,
            troubled: VecDeque::new(),
            in_a_row: 0,
            last_troubled: None,
            news: None,
            ended: VecDeque::new(),
            turned_away: HashMap::new(),
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
    /// Answers to questions asked before the hold began do not make it longer, unless they say something else;
    /// and none makes it shorter.
    pub fn hold_back(&mut self, error: PollError, asked: Mono, now: Mono) {
        let (failures, at_least) = match &self.hold {
            Some(hold) if asked < hold.until => {
                if hold.error == error {
                    return;
                }
                (hold.failures, hold.until)
            }
            Some(hold) => (hold.failures.saturating_add(1), now),
            None => (1, now),
        };
        let until = now.after(self.jitter.hold(&error, failures));
        if until >= at_least {
            self.hold_until(error, failures, until, now);
        }
    }

    /// Holds every poll, and lets the other instances know what is true for them too.
    fn hold_until(&mut self, error: PollError, failures: u32, until: Mono, now: Mono) {
        if !error.is_own_affair() {
            self.news = Some(Word::Hold {
                error: error.clone(),
                failures,
                wait: until.since(now),
            });
        }
        self.hold = Some(Hold {
            began: self.began(&error, now),
            error,
            failures,
            since: now,
            until,
            is_told: false,
        });
        self.forget_trouble();
    }

    /// Takes over the hold that another instance told of.
    pub fn adopt_hold(&mut self, error: PollError, failures: u32, until: Mono, now: Mono) {
        let own = self.hold.as_ref().map_or(until, |hold| hold.until);
        self.hold = Some(Hold {
            began: self.began(&error, now),
            error,
            failures,
            since: now,
            until: own.max(until),
            is_told: true,
        });
        self.forget_trouble();
    }

    /// Returns since when one hold has followed another for that reason, with one that begins now.
    fn began(&self, error: &PollError, now: Mono) -> Mono {
        let is_same = |held: &PollError| held.kind() == error.kind() && held.code() == error.code();
        let before = self.hold.as_ref().filter(|hold| is_same(&hold.error));
        before.map_or(now, |hold| hold.began)
    }

    /// Counts a row in trouble. When it is one of many, it is the server: every poll waits, and one tries.
    ///
    /// Many are five rows within ten seconds, or five questions in a row; one row that fails again and again is its
    /// own affair.
    pub fn trouble(&mut self, task: &TaskId, error: &PollError, now: Mono) {
        if self.hold.is_some() {
            return;
        }
        if self.last_troubled.as_ref() != Some(task) {
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.last_troubled = Some(task.clone());
        }
        self.troubled
            .retain(|(at, row)| now.since(*at) < TROUBLE_SPAN && row != task);
        self.troubled.push_back((now, task.clone()));
        let rows = u32::try_from(self.troubled.len()).unwrap_or(u32::MAX);
        if rows.max(self.in_a_row) >= TROUBLE_MOST {
            let wait = self.jitter.hold(error, TROUBLE_MOST);
            self.hold_until(error.clone(), TROUBLE_MOST, now.after(wait), now);
        }
    }

    /// Notes that the server answered: no question in a row failed.
    pub fn no_trouble(&mut self) {
        (self.in_a_row, self.last_troubled) = (0, None);
    }

    fn forget_trouble(&mut self) {
        self.troubled.clear();
        self.no_trouble();
    }

    /// Takes what the other instances are to be told.
    pub const fn take_news(&mut self) -> Option<Word> {
        self.news.take()
    }

    /// Notes that a question of that time failed for a reason of its own: if it was the hold's one try, the hold goes on.
    pub fn hold_on(&mut self, asked: Mono, now: Mono) {
        let hold = self.hold.as_ref().filter(|hold| asked >= hold.until);
        if let Some(hold) = hold.cloned() {
            let failures = hold.failures.saturating_add(1);
            let until = now.after(self.jitter.hold(&hold.error, failures));
            self.hold_until(hold.error, failures, until, now);
        }
    }

    /// Ends the hold after the server answered a question asked since; returns what it was.
    ///
    /// An answer to a question from before the hold tells nothing of it.
    pub fn release(&mut self, asked: Mono) -> Option<Hold> {
        self.hold.take_if(|hold| asked >= hold.until)
    }

    /// Ends the hold after another instance was answered, as its news of now say; returns what it was.
    ///
    /// The news of the hold's own beginning may be of a question from before. And the other's key may be another one:
    /// what is said of a key is not over by news. The book of turns knows whose hold it was, so that is asked at once;
    /// it refuses without a request as long as the hold stands. Without a book there is nobody to ask.
    pub fn release_by_news(&mut self, access: Access, now: Mono) -> Option<Hold> {
        let hold = self.hold.as_mut()?;
        let (is_over, is_limit) = (hold.until <= now, hold.error.is_limit());
        let is_old = hold.since.after(FLOOR) <= now;
        if hold.error.is_of_key() {
            if access == Access::ReadOnly {
                return None;
            }
            if is_old && !is_limit {
                hold.until = hold.until.min(now);
            }
            return self.hold.take_if(|_| is_over && is_limit);
        }
        self.hold.take_if(|_| is_over || is_old)
    }

    /// Reports whether a hold is over and only an answer of our own can end it: news are no reason to put that off.
    pub fn needs_own_try(&self, now: Mono) -> bool {
        let is_over = |hold: &Hold| hold.error.is_of_key() && hold.until <= now;
        self.hold.as_ref().is_some_and(is_over)
    }

    /// Forgets a hold that is over while nothing is left to try with.
    pub fn forget_hold(&mut self, now: Mono) {
        self.hold.take_if(|hold| hold.until <= now);
    }

    /// Lets one poll try at once although the hold is not over.
    pub fn try_now(&mut self, now: Mono) {
        if let Some(hold) = &mut self.hold {
            hold.until = hold.until.min(now);
            self.news = Some(Word::TryNow);
        }
    }

    /// Puts a task first in line again whose turn did not come.
    pub fn ask_first(&mut self, task: TaskId) {
        if self.is_asked_for.insert(task.clone()) {
            self.asked_for.push_front(task);
        }
    }

    /// Notes that others take every turn until then.
    pub const fn crowd(&mut self, until: Mono) {
        self.crowded = Some(until);
    }

    /// Uncounts the poll of that time, which was not asked after all.
    pub fn take_back(&mut self, started: Mono) {
        if let Some(at) = self.sent.iter().rposition(|sent| *sent == started) {
            self.sent.remove(at);
        }
    }

    /// Notes that a question after a task is over.
    pub fn note_end(&mut self, task: &TaskId, now: Mono) {
        self.ended.retain(|(at, _)| now.since(*at) < FLOOR);
        self.ended.push_back((now, task.clone()));
    }

    /// Reports whether this instance asked after a task so lately that it gets no turn for it yet.
    pub fn has_just_asked(&self, task: &TaskId, now: Mono) -> bool {
        let mut ended = self.ended.iter();
        ended.any(|(at, other)| other == task && now.since(*at) < FLOOR)
    }

    /// Notes that the account's trouble was the answer to a question after a task.
    pub fn turn_away(&mut self, task: &TaskId, now: Mono) {
        if self.hold.is_none() {
            self.turned_away.clear();
        }
        self.turned_away.insert(task.clone(), now);
    }

    /// Returns when the account's trouble, as long as it lasts, was the answer to a question after a task.
    pub fn turned_away(&self, task: &TaskId) -> Option<Mono> {
        let at = self.turned_away.get(task).copied();
        at.filter(|_| self.hold.is_some())
    }

    /// Notes that a person asked for this poll.
    pub fn note_by_hand(&mut self, attempt: Attempt) {
        self.by_hand.push(attempt);
    }

    /// Reports whether a person asked for this poll, which is over.
    pub fn end_by_hand(&mut self, attempt: Attempt) -> bool {
        let count = self.by_hand.len();
        self.by_hand.retain(|other| *other != attempt);
        self.by_hand.len() < count
    }

    /// Gives the questions under way after tasks no longer on the list their whole time again.
    pub fn restart_strays(&mut self, now: Mono) {
        for stray in &mut self.strays {
            stray.since = now;
        }
    }

    /// Puts a task first in line, pause or no pause.
    pub fn ask_for(&mut self, task: TaskId) {
        if self.is_asked_for.insert(task.clone()) {
            self.asked_for.push_back(task);
        }
    }

    /// Remembers the question under way after a task that leaves the list: it still takes its room.
    pub fn stray(&mut self, task: TaskId, attempt: Attempt, since: Mono) {
        self.strays.push(Stray {
            task,
            attempt,
            since,
        });
    }

    /// Ends the question after a task that was taken off the list; returns since when it was under way.
    pub fn end_stray(&mut self, attempt: Attempt) -> Option<Mono> {
        let is_it = |stray: &Stray| stray.attempt == attempt;
        let at = self.strays.iter().position(is_it)?;
        Some(self.strays.swap_remove(at).since)
    }

    /// Returns the question still under way after a task that comes back.
    pub fn take_stray(&mut self, task: &TaskId) -> Option<(Attempt, Mono)> {
        let at = self.strays.iter().position(|stray| stray.task == *task)?;
        let Stray { attempt, since, .. } = self.strays.swap_remove(at);
        Some((attempt, since))
    }

    /// Forgets the strays that were answered by this, or by nothing in all the time an answer may take.
    pub fn forget_strays(&mut self, answered: Option<Attempt>, now: Mono) {
        self.strays
            .retain(|stray| Some(stray.attempt) != answered && stray.since.after(LOST_AFTER) > now);
    }

    /// Returns how many strays there are.
    pub const fn strays(&self) -> usize {
        self.strays.len()
    }

    /// Returns when the next stray counts as lost.
    pub fn next_lost(&self) -> Option<Mono> {
        self.strays
            .iter()
            .map(|stray| stray.since.after(LOST_AFTER))
            .min()
    }

    /// Returns the tasks the user asked for, in order.
    pub const fn asked_for(&self) -> &VecDeque<TaskId> {
        &self.asked_for
    }

    /// Takes the first task the user asked for.
    pub fn take_asked_for(&mut self) -> Option<TaskId> {
        let task = self.asked_for.pop_front()?;
        self.is_asked_for.remove(&task);
        Some(task)
    }

    /// Returns when the next poll may start at the earliest, with so many under way; `None` when another
    /// answer must come first.
    pub fn opens_at(&self, in_flight: usize, now: Mono) -> Option<Mono> {
        let most = if self.hold.is_some() {
            1
        } else {
            MOST_IN_FLIGHT
        };
        if in_flight + self.strays.len() >= most {
            return None;
        }
        let held = self.hold.as_ref().map_or(now, |hold| hold.until.max(now));
        let held = self.crowded.map_or(held, |until| until.max(held));
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

    #[test]
    fn the_others_are_not_told_that_we_have_no_key() {
        let mut polls = Polls::new(Pace::default(), Jitter::seeded(1));
        let unread = PollError::KeyUnread(crate::domain::text::CleanText::line("x", 9));
        for error in [PollError::NoKey, unread] {
            polls.hold_back(error, at(0), at(100));
            assert_eq!(polls.take_news(), None);
        }
        polls.hold_back(PollError::Maintenance, at(0), at(200));
        assert!(polls.hold().is_some());
    }

    #[test]
    fn no_answer_from_before_a_hold_ends_or_shortens_it() {
        let mut polls = Polls::new(Pace::default(), Jitter::seeded(1));
        let told = |secs| PollError::RateLimited {
            code: 429,
            retry_after: Some(Duration::from_secs(secs)),
        };
        polls.hold_back(told(60), at(0), at(100));
        let hold = polls.hold().unwrap().clone();

        polls.hold_back(told(3), at(50), at(200));
        polls.hold_on(at(60), at(300));
        assert_eq!(polls.release(at(70)), None);
        assert_eq!(polls.hold(), Some(&hold));
        polls.hold_back(told(60), at(80), hold.until.after(Duration::from_secs(1)));
        assert_eq!(polls.hold(), Some(&hold), "nor when it comes after its end");

        polls.hold_on(hold.until, hold.until);
        assert_eq!(polls.hold().unwrap().failures, 2, "a try that told nothing");
        let until = polls.hold().unwrap().until;
        assert!(polls.release(until).is_some());
    }

    #[test]
    fn strays_take_room_until_they_are_answered_or_lost() {
        let mut polls = Polls::new(Pace::default(), Jitter::seeded(1));
        let id = TaskId::parse("a").unwrap();
        let attempt = polls.start(at(0));
        polls.stray(id.clone(), attempt, at(0));

        assert_eq!(polls.opens_at(3, at(1)), None);
        assert_eq!(polls.take_stray(&id), Some((attempt, at(0))));
        assert!(polls.opens_at(3, at(1)).is_some());

        polls.stray(id, attempt, at(0));
        polls.forget_strays(None, at(24_999));
        assert_eq!(polls.next_lost(), Some(at(25_000)));
        polls.forget_strays(None, at(25_000));
        assert_eq!(polls.strays(), 0);
    }
}
