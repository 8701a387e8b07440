//! Questions and answers: which tasks are asked after, and what an answer changes.

use std::time::Duration;

use super::{
    notices::{announce, notify},
    pacing, saving, selection, storing,
};
use crate::{
    app::{
        msg::Effect,
        state::{State, Tone},
    },
    domain::{
        change::{Access, Change},
        report::{Answer, PollError, Scope},
        schedule::{self, Attempt, CEILING, LOST_AFTER, Polling, Stop},
        task::{Absorbed, TaskId},
        time::{Mono, Now},
        turns::{PutOff, Refusal},
        watchlist::Watched,
    },
};

/// The shortest time a question is put off: a turn refused at once again is no use.
const SHORTEST: Duration = Duration::from_millis(50);

/// Returns when the next poll may start, if one is to.
pub(super) fn next_start(state: &State, now: Now) -> Option<Mono> {
    let in_flight = state.list.tally().in_flight;
    let opens = state.polls.opens_at(in_flight, now.mono)?;
    if !state.polls.asked_for().is_empty() {
        return Some(opens);
    }
    if state.polls.is_paused() {
        return None;
    }
    state.list.next_due().map(|due| due.max(opens))
}

/// Starts every poll that is due and may start, first those the user asked for.
pub(super) fn start_due(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    while next_start(state, now).is_some_and(|at| at <= now.mono) {
        let asked_for = state.polls.take_asked_for();
        let is_by_hand = asked_for.is_some();
        let next = asked_for.or_else(|| state.list.due(now.mono).next().cloned());
        let Some(task) = next else { return };
        let may_start = |watched: &Watched| !matches!(watched.polling, Polling::InFlight { .. });
        let Some(family) = state
            .list
            .get(&task)
            .filter(|watched| may_start(watched))
            .map(|watched| watched.task.family())
        else {
            continue;
        };
        let attempt = state.polls.start(now.mono);
        if is_by_hand {
            state.polls.note_by_hand(attempt);
        }
        state.list.change(&task, |watched| {
            watched.polling = Polling::InFlight {
                attempt,
                since: now.mono,
            };
        });
        effects.push(Effect::Poll {
            task,
            family,
            attempt,
        });
    }
}

/// Calls questions lost that were not answered by any deadline.
pub(super) fn give_up_lost(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    state.polls.forget_strays(None, now.mono);
    loop {
        let lost = state
            .list
            .in_flight()
            .next()
            .filter(|(since, _)| since.after(LOST_AFTER) <= now.mono);
        let Some(id) = lost.map(|(_, id)| id.clone()) else {
            return;
        };
        let Some(Polling::InFlight { attempt, .. }) =
            state.list.get(&id).map(|watched| watched.polling)
        else {
            return;
        };
        answered(state, &id, attempt, Err(PollError::Lost), now, effects);
    }
}

/// Takes an answer in. One to an old question is left aside; of one after a task no longer watched counts what it says
/// of the account.
pub(super) fn answered(
    state: &mut State,
    task: &TaskId,
    attempt: Attempt,
    answer: Answer,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let stray = state.polls.end_stray(attempt);
    let Some((since, _)) = under_way(state, task, attempt, now) else {
        if let Some(since) = stray {
            match answer {
                Err(error) if error.scope() == Scope::Account => {
                    state.polls.hold_back(error, since, now.mono);
                }
                answer => pacing::heard(state, task, &answer, since, now),
            }
        }
        return;
    };
    match answer {
        Err(error) if error.scope() == Scope::Account => {
            due_again(state, task, now.mono);
            state.polls.hold_back(error, since, now.mono);
        }
        answer => {
            pacing::heard(state, task, &answer, since, now);
            learn(state, task, answer, now, effects);
        }
    }
}

/// Closes a question: returns since when it was under way, and whether a person asked for it. `None` when it is an
/// old one, or its task is no longer on the list.
fn under_way(state: &mut State, task: &TaskId, attempt: Attempt, now: Now) -> Option<(Mono, bool)> {
    state.polls.forget_strays(Some(attempt), now.mono);
    let is_by_hand = state.polls.end_by_hand(attempt);
    match state.list.get(task)?.polling {
        Polling::InFlight {
            attempt: awaited,
            since,
        } if awaited == attempt => Some((since, is_by_hand)),
        Polling::InFlight { .. } | Polling::DueAt(_) | Polling::Stopped(_) => None,
    }
}

/// Lets a task be asked after then. What has ended was asked after by a person's hand, and is not by itself.
fn due_again(state: &mut State, task: &TaskId, at: Mono) {
    state.list.change(task, |watched| {
        watched.polling = if watched.task.state().is_final() && !watched.lacks_link() {
            Polling::Stopped(Stop::Finished)
        } else {
            Polling::DueAt(at)
        };
    });
}

/// Takes in that a question was not asked: no check, no error, only another time for it.
pub(super) fn put_off(
    state: &mut State,
    task: &TaskId,
    attempt: Attempt,
    put_off: PutOff,
    now: Now,
) {
    let Some((since, is_by_hand)) = under_way(state, task, attempt, now) else {
        return;
    };
    state.polls.take_back(since);
    let until = now.mono.after(put_off.wait.clamp(SHORTEST, CEILING));
    match put_off.why {
        Refusal::Elsewhere => {
            let at = until.max(after_last_check(state, task, now));
            due_again(state, task, at);
            if is_by_hand {
                let text = "Another kietop is asking after it; its answer shows here too.";
                notify(state, Tone::Plain, text, now);
            }
        }
        Refusal::Crowded => {
            state.polls.crowd(until);
            // It was the longest waiting, and stays it.
            due_again(state, task, Mono::default());
            if is_by_hand {
                state.polls.ask_first(task.clone());
            }
        }
        Refusal::Held { error, failures } => {
            due_again(state, task, now.mono);
            state.polls.adopt_hold(error, failures, until, now.mono);
        }
    }
}

/// Returns when a task's interval since its last check is over: the other instance's answer may be here already.
fn after_last_check(state: &State, task: &TaskId, now: Now) -> Mono {
    let Some(watched) = state.list.get(task) else {
        return now.mono;
    };
    let late_after = state.estimate().late;
    let interval = state
        .polls
        .pace()
        .interval(watched.run_time(now), late_after);
    let wait = watched.freshness.last_ok.map_or(Duration::ZERO, |last| {
        interval.saturating_sub(now.age_of(last))
    });
    now.mono.after(wait)
}

/// Joins what an answer says about one task with what is known, and sets its next question.
fn learn(state: &mut State, task: &TaskId, answer: Answer, now: Now, effects: &mut Vec<Effect>) {
    let late_after = state.estimate().late;
    let (pace, jitter) = (state.polls.pace(), state.polls.jitter());
    let absorbed = selection::steadily(state, now, |rows| {
        rows.change(task, |watched| {
            let absorbed = watched.learn(&answer, now.wall);
            watched.polling =
                schedule::next(watched.standing(now), pace, late_after, jitter, now.mono);
            absorbed
        })
    });
    if absorbed == Some(Absorbed::Moved) {
        announce(state, task, now);
        saving::made(state, task, now, effects);
    }
    record(state, task, answer, now, effects);
}

/// Writes an answer down.
fn record(state: &mut State, task: &TaskId, answer: Answer, now: Now, effects: &mut Vec<Effect>) {
    if state.settings.access == Access::ReadOnly {
        return;
    }
    let change = Change::of_answer(task.clone(), answer, now.wall);
    storing::write(state, vec![change], effects);
}
