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
        noticed::{self, Noticed, Oddity},
        report::{Answer, PollError, Scope},
        schedule::{self, Attempt, CEILING, LOST_AFTER, Polling, Stop},
        task::{Absorbed, TaskId},
        time::{self, Mono, Now},
        turns::{PutOff, Refusal},
        watched::Watched,
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
        let told = (Err(PollError::Lost), Noticed::default());
        answered(state, &id, attempt, told, now, effects);
    }
}

/// Takes an answer in. One to an old question is left aside; of one after a task no longer watched counts what it says
/// of the account.
pub(super) fn answered(
    state: &mut State,
    task: &TaskId,
    attempt: Attempt,
    (answer, noticed): (Answer, Noticed),
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let stray = state.polls.end_stray(attempt);
    let under_way = under_way(state, task, attempt, now).map(|(since, _)| since);
    compare_clocks(state, &noticed, under_way.or(stray), now);
    diagnose(state, task, &answer, noticed, under_way, now);
    let Some(since) = under_way else {
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
    state.polls.note_end(task, now.mono);
    match answer {
        Err(error) if error.scope() == Scope::Account => {
            due_again(state, task, now.mono);
            if error.is_own_affair() {
                // It never was sent.
                state.polls.take_back(since);
            } else {
                state.polls.turn_away(task, now.mono);
            }
            state.polls.hold_back(error, since, now.mono);
        }
        answer => {
            pacing::heard(state, task, &answer, since, now);
            learn(state, task, answer, now, effects);
        }
    }
}

/// Compares the server's clock with ours, as one answer showed it.
fn compare_clocks(state: &mut State, noticed: &Noticed, asked: Option<Mono>, now: Now) {
    let (Some(date), Some(asked)) = (noticed.date, asked) else {
        return;
    };
    let asked = time::earlier(now.wall, now.mono.since(asked));
    let gap = noticed::clock_gap(date, asked, now.wall);
    state.diagnostics.compare_clocks(gap);
}

/// Counts an answer that is odd by itself, or beside what the server told before.
fn diagnose(
    state: &mut State,
    task: &TaskId,
    answer: &Answer,
    mut noticed: Noticed,
    under_way: Option<Mono>,
    now: Now,
) {
    noticed.note_outcome(answer);
    let watched = under_way.and_then(|_| state.list.get(task));
    if watched.is_some_and(|watched| watched.is_taken_back_by(answer)) {
        noticed.note(Oddity::TakenBack);
        // Seen from itself such an answer is a good one, of which nothing was kept but the record.
        if let (Ok(seen), None) = (answer, &noticed.text) {
            noticed.keep(&seen.raw);
        }
    }
    state.diagnostics.note(task, noticed, answer, now.wall);
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
                say_put_off(state, task, put_off.wait, now);
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

/// Says why a task that a person asked for is not asked after at once: this very program, or another one, just did.
fn say_put_off(state: &mut State, task: &TaskId, wait: Duration, now: Now) {
    let wait = wait.as_secs_f64().ceil();
    let text = match state.polls.hold() {
        _ if !state.polls.has_just_asked(task, now.mono) => {
            "Another kietop is asking after it; its answer shows here too.".to_owned()
        }
        Some(hold) => {
            let why = hold.message(now.mono);
            format!("Held back: {why}. Asking again in {wait}s.")
        }
        None => format!("It was asked after just now; {wait}s must lie between."),
    };
    notify(state, Tone::Plain, text, now);
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
    if answer.is_ok() {
        state.met.insert(task.clone());
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
