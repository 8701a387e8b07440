//! Questions and answers: which tasks are asked after, and what an answer changes.

use std::time::Duration;

use super::{
    backoff, download,
    messages::{reply, report_finished},
    selection, store,
};
use crate::{
    app::{
        msg::Effect,
        state::{Severity, State},
    },
    domain::{
        limiter::{Denied, DenyReason},
        list_change::{AccessMode, ListChange},
        poll_result::{ErrorScope, PollError, PollResult},
        response_notes::{self, Anomaly, ResponseNotes},
        schedule::{self, LOST_AFTER, MAX_WAIT, PollAttempt, PollState, StopReason},
        task::{Merge, TaskId},
        time::{self, Mono, Now},
        watched_task::WatchedTask,
    },
};

/// The shortest time a question is put off: a turn refused at once again is no use.
const MIN_DELAY: Duration = Duration::from_millis(50);

/// Returns when the next poll may start, if one is to.
pub(super) fn next_start(state: &State, now: Now) -> Option<Mono> {
    let in_flight = state.list.counts().in_flight;
    let opens = state.poll_queue.next_slot_at(in_flight, now.mono)?;
    if !state.poll_queue.requested().is_empty() {
        return Some(opens);
    }
    if state.poll_queue.is_paused() {
        return None;
    }
    state.list.next_due().map(|due| due.max(opens))
}

/// Starts every poll that is due and may start, first those the user asked for.
pub(super) fn start_due(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    while next_start(state, now).is_some_and(|at| at <= now.mono) {
        let asked_for = state.poll_queue.take_requested();
        let is_by_hand = asked_for.is_some();
        let next = asked_for.or_else(|| state.list.due(now.mono).next().cloned());
        let Some(task) = next else { return };
        let may_start =
            |watched: &WatchedTask| !matches!(watched.poll_state, PollState::InFlight { .. });
        let Some(family) = state
            .list
            .get(&task)
            .filter(|watched| may_start(watched))
            .map(|watched| watched.task.family())
        else {
            continue;
        };
        let attempt = state.poll_queue.start(now.mono);
        if is_by_hand {
            state.poll_queue.mark_manual(attempt);
        }
        state.list.update(&task, |watched| {
            watched.poll_state = PollState::InFlight {
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
pub(super) fn expire_lost(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    state.poll_queue.prune_orphans(None, now.mono);
    loop {
        let lost = state
            .list
            .in_flight()
            .next()
            .filter(|(since, _)| since.after(LOST_AFTER) <= now.mono);
        let Some(id) = lost.map(|(_, id)| id.clone()) else {
            return;
        };
        let Some(PollState::InFlight { attempt, .. }) =
            state.list.get(&id).map(|watched| watched.poll_state)
        else {
            return;
        };
        let told = (Err(PollError::AnswerLost), ResponseNotes::default());
        poll_finished(state, &id, attempt, told, now, effects);
    }
}

/// Takes an answer in. One to an old question is left aside; of one after a task no longer watched
/// counts what it says of the account.
pub(super) fn poll_finished(
    state: &mut State,
    task: &TaskId,
    attempt: PollAttempt,
    (answer, noticed): (PollResult, ResponseNotes),
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let stray = state.poll_queue.end_orphan(attempt);
    let under_way = end_attempt(state, task, attempt, now).map(|(since, _)| since);
    compare_clocks(state, &noticed, under_way.or(stray), now);
    record_anomalies(state, task, &answer, noticed, under_way, now);
    let Some(since) = under_way else {
        if let Some(since) = stray {
            match answer {
                Err(error) if error.scope() == ErrorScope::Account => {
                    state.poll_queue.back_off(error, since, now.mono);
                }
                answer => backoff::apply_outcome(state, task, &answer, since, now),
            }
        }
        return;
    };
    state.poll_queue.record_end(task, now.mono);
    match answer {
        Err(error) if error.scope() == ErrorScope::Account => {
            reschedule(state, task, now.mono);
            if error.is_local() {
                // It never was sent.
                state.poll_queue.uncount_start(since);
            } else {
                state.poll_queue.record_rejection(task, now.mono);
            }
            state.poll_queue.back_off(error, since, now.mono);
        }
        answer => {
            backoff::apply_outcome(state, task, &answer, since, now);
            apply_answer(state, task, answer, now, effects);
        }
    }
}

/// Compares the server's clock with ours, as one answer showed it.
fn compare_clocks(state: &mut State, noticed: &ResponseNotes, asked: Option<Mono>, now: Now) {
    let (Some(date), Some(asked)) = (noticed.date, asked) else {
        return;
    };
    let asked = time::saturating_sub(now.wall, now.mono.since(asked));
    let gap = response_notes::clock_gap(date, asked, now.wall);
    state.diagnostics.add_clock_sample(gap);
}

/// Counts an answer that is odd by itself, or beside what the server told before.
fn record_anomalies(
    state: &mut State,
    task: &TaskId,
    answer: &PollResult,
    mut noticed: ResponseNotes,
    under_way: Option<Mono>,
    now: Now,
) {
    noticed.add_from_result(answer);
    let watched = under_way.and_then(|_| state.list.get(task));
    if watched.is_some_and(|watched| watched.is_contradicted_by(answer)) {
        noticed.add(Anomaly::Contradiction);
        // Seen from itself such an answer is a good one, of which nothing was kept but the record.
        if let (Ok(seen), None) = (answer, &noticed.text) {
            noticed.keep_excerpt(&seen.raw);
        }
    }
    state.diagnostics.record(task, noticed, answer, now.wall);
}

/// Closes a question: returns since when it was under way, and whether a person asked for it.
/// `None` when it is an old one, or its task is no longer on the list.
fn end_attempt(
    state: &mut State,
    task: &TaskId,
    attempt: PollAttempt,
    now: Now,
) -> Option<(Mono, bool)> {
    state.poll_queue.prune_orphans(Some(attempt), now.mono);
    let is_by_hand = state.poll_queue.take_manual(attempt);
    match state.list.get(task)?.poll_state {
        PollState::InFlight {
            attempt: awaited,
            since,
        } if awaited == attempt => Some((since, is_by_hand)),
        PollState::InFlight { .. } | PollState::DueAt(_) | PollState::Stopped(_) => None,
    }
}

/// Lets a task be asked after then. What has ended was asked after by a person's hand, and is not
/// by itself.
fn reschedule(state: &mut State, task: &TaskId, at: Mono) {
    state.list.update(task, |watched| {
        watched.poll_state = if watched.task.state().is_final() && !watched.lacks_link() {
            PollState::Stopped(StopReason::Finished)
        } else {
            PollState::DueAt(at)
        };
    });
}

/// Takes in that a question was not asked: no check, no error, only another time for it.
pub(super) fn poll_denied(
    state: &mut State,
    task: &TaskId,
    attempt: PollAttempt,
    put_off: Denied,
    now: Now,
) {
    let Some((since, is_by_hand)) = end_attempt(state, task, attempt, now) else {
        return;
    };
    state.poll_queue.uncount_start(since);
    let until = now.mono.after(put_off.wait.clamp(MIN_DELAY, MAX_WAIT));
    match put_off.reason {
        DenyReason::TaskBusy => {
            let at = until.max(interval_end(state, task, now));
            reschedule(state, task, at);
            if is_by_hand {
                explain_denial(state, task, put_off.wait, now);
            }
        }
        DenyReason::LimitReached => {
            state.poll_queue.defer_until(until);
            // It was the longest waiting, and stays it.
            reschedule(state, task, Mono::default());
            if is_by_hand {
                state.poll_queue.requeue_first(task.clone());
            }
        }
        DenyReason::AccountBackoff { error, failures } => {
            reschedule(state, task, now.mono);
            state
                .poll_queue
                .adopt_backoff(error, failures, until, now.mono);
        }
    }
}

/// Says why a task that a person asked for is not asked after at once: this very program, or
/// another one, just did.
fn explain_denial(state: &mut State, task: &TaskId, wait: Duration, now: Now) {
    let wait = wait.as_secs_f64().ceil();
    let text = match state.poll_queue.backoff() {
        _ if !state.poll_queue.was_just_polled(task, now.mono) => {
            "Another kietop is asking after it; its answer shows here too.".to_owned()
        }
        Some(hold) => {
            let why = hold.message(now.mono);
            format!("Held back: {why}. Asking again in {wait}s.")
        }
        None => format!("It was asked after just now; {wait}s must lie between."),
    };
    reply(state, Severity::Info, text, now);
}

/// Returns when a task's interval since its last check is over: the other instance's answer may be
/// here already.
fn interval_end(state: &State, task: &TaskId, now: Now) -> Mono {
    let Some(watched) = state.list.get(task) else {
        return now.mono;
    };
    let late_after = state.estimate().late;
    let interval = state
        .poll_queue
        .intervals()
        .interval(watched.run_time(now), late_after);
    let wait = watched.poll_history.last_ok.map_or(Duration::ZERO, |last| {
        interval.saturating_sub(now.age_of(last))
    });
    now.mono.after(wait)
}

/// Joins what an answer says about one task with what is known, and sets its next question.
fn apply_answer(
    state: &mut State,
    task: &TaskId,
    answer: PollResult,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let late_after = state.estimate().late;
    let (pace, jitter) = (state.poll_queue.intervals(), state.poll_queue.jitter());
    let absorbed = selection::with_stable_selection(state, now, |rows| {
        rows.update(task, |watched| {
            let absorbed = watched.apply_answer(&answer, now.wall);
            watched.poll_state =
                schedule::next_state(watched.poll_input(now), pace, late_after, jitter, now.mono);
            absorbed
        })
    });
    if absorbed == Some(Merge::Changed) {
        report_finished(state, task, now);
        download::auto_save(state, task, now, effects);
    }
    if answer.is_ok() {
        state.answered_tasks.insert(task.clone());
    }
    write_answer(state, task, answer, now, effects);
}

/// Writes an answer down.
fn write_answer(
    state: &mut State,
    task: &TaskId,
    answer: PollResult,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    if state.settings.access == AccessMode::ReadOnly {
        return;
    }
    let change = ListChange::from_result(task.clone(), answer, now.wall);
    store::write(state, vec![change], effects);
}
