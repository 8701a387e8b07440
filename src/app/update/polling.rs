//! Questions and answers: which tasks are asked after, and what an answer changes.

use super::{
    notices::{announce, notify},
    saving, selection, storing,
};
use crate::{
    app::{
        msg::Effect,
        state::{State, Tone},
    },
    domain::{
        change::{Access, Change},
        report::{Answer, PollError, Scope},
        schedule::{self, Attempt, LOST_AFTER, Polling, Standing, Stop},
        task::{Absorbed, TaskId},
        time::{Mono, Now},
        watchlist::Watched,
    },
};

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

/// Takes an answer in. One to an old question, or after a task no longer watched, is left aside.
pub(super) fn answered(
    state: &mut State,
    task: &TaskId,
    attempt: Attempt,
    answer: Answer,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    state.polls.forget_strays(Some(attempt), now.mono);
    let Some(watched) = state.list.get(task) else {
        return;
    };
    let Polling::InFlight {
        attempt: awaited,
        since,
    } = watched.polling
    else {
        return;
    };
    if awaited != attempt {
        return;
    }
    match answer {
        Err(error) if error.scope() == Scope::Account => {
            // What has ended was asked after by a person's hand, and is not by itself.
            let has_ended = watched.task.state().is_final() && !watched.lacks_link();
            let polling = if has_ended {
                Polling::Stopped(Stop::Finished)
            } else {
                Polling::DueAt(now.mono)
            };
            state.list.change(task, |watched| watched.polling = polling);
            state.polls.hold_back(error, since, now.mono);
        }
        answer => {
            heard(state, &answer, since, now);
            learn(state, task, answer, now, effects);
        }
    }
}

/// Ends the hold when the server answered for a task, and lets it go on when its one try told nothing.
fn heard(state: &mut State, answer: &Answer, asked: Mono, now: Now) {
    match answer {
        Ok(_) | Err(PollError::NotFound | PollError::Refused { .. }) => {
            if state.polls.release(asked).is_some() {
                notify(state, Tone::Good, "The server answers again.", now);
            }
        }
        Err(_) => state.polls.hold_on(asked, now.mono),
    }
}

/// Forgets a hold that is over while nothing is to be asked by itself: nobody would ever end it.
pub(super) fn forget_idle_hold(state: &mut State, now: Now) {
    let is_idle = (state.polls.is_paused() || state.list.next_due().is_none())
        && state.polls.asked_for().is_empty()
        && state.list.tally().in_flight == 0;
    if is_idle {
        state.polls.forget_hold(now.mono);
    }
}

/// Joins what an answer says about one task with what is known, and sets its next question.
fn learn(state: &mut State, task: &TaskId, answer: Answer, now: Now, effects: &mut Vec<Effect>) {
    let late_after = state.estimate().late;
    let (pace, jitter) = (state.polls.pace(), state.polls.jitter());
    let absorbed = selection::steadily(state, now, |rows| {
        rows.change(task, |watched| {
            let absorbed = watched.learn(&answer, now.wall);
            watched.polling = schedule::next(
                Standing {
                    task: watched.task.id(),
                    is_final: watched.task.state().is_final(),
                    linkless: watched.linkless,
                    run_time: watched.run_time(now),
                    freshness: &watched.freshness,
                },
                pace,
                late_after,
                jitter,
                now.mono,
            );
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
