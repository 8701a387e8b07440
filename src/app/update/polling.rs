//! Polling: starting requests and applying their results.

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
    messages::message_line,
};

/// The shortest delay after a denied poll: an immediate retry would be denied again.
const MIN_DELAY: Duration = Duration::from_millis(50);

/// Returns the earliest time at which a poll may start; `None` if there is none to start.
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

/// Starts every poll that is due and permitted, those that the user requested first.
pub(super) fn start_due(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    while next_start(state, now).is_some_and(|at| at <= now.mono) {
        let requested = state.poll_queue.take_requested();
        let is_manual = requested.is_some();
        let next = requested.or_else(|| state.list.due(now.mono).next().cloned());
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
        if is_manual {
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

/// Ends polls that got no result by the deadline.
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
        let result = (Err(PollError::AnswerLost), ResponseNotes::default());
        poll_finished(state, &id, attempt, result, now, effects);
    }
}

/// Applies a poll result. An outdated one is dropped; one for a removed task counts for the account
/// only.
pub(super) fn poll_finished(
    state: &mut State,
    task: &TaskId,
    attempt: PollAttempt,
    (answer, notes): (PollResult, ResponseNotes),
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let orphan_since = state.poll_queue.end_orphan(attempt);
    let in_flight_since = end_attempt(state, task, attempt, now).map(|(since, _)| since);
    compare_clocks(state, &notes, in_flight_since.or(orphan_since), now);
    record_anomalies(state, task, &answer, notes, in_flight_since, now);
    let Some(since) = in_flight_since else {
        if let Some(since) = orphan_since {
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
                // It was never sent.
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

/// Compares the server's clock with ours.
fn compare_clocks(state: &mut State, notes: &ResponseNotes, sent_at: Option<Mono>, now: Now) {
    let (Some(date), Some(sent_at)) = (notes.date, sent_at) else {
        return;
    };
    let sent_at = time::saturating_sub(now.wall, now.mono.since(sent_at));
    let gap = response_notes::clock_gap(date, sent_at, now.wall);
    state.diagnostics.add_clock_sample(gap);
}

/// Counts a response that is unusual by itself, or contradicts an earlier one.
fn record_anomalies(
    state: &mut State,
    task: &TaskId,
    answer: &PollResult,
    mut notes: ResponseNotes,
    in_flight_since: Option<Mono>,
    now: Now,
) {
    notes.add_from_result(answer);
    let watched = in_flight_since.and_then(|_| state.list.get(task));
    if watched.is_some_and(|watched| watched.is_contradicted_by(answer)) {
        notes.add(Anomaly::Contradiction);
        // Taken alone the answer is fine, so no excerpt of it was kept.
        if let (Ok(answer), None) = (answer, &notes.text) {
            notes.keep_excerpt(&answer.raw);
        }
    }
    state.diagnostics.record(task, notes, answer, now.wall);
}

/// Ends an attempt; returns its start time and whether the user requested it. `None` if it is
/// outdated or its task was removed.
fn end_attempt(
    state: &mut State,
    task: &TaskId,
    attempt: PollAttempt,
    now: Now,
) -> Option<(Mono, bool)> {
    state.poll_queue.prune_orphans(Some(attempt), now.mono);
    let is_manual = state.poll_queue.take_manual(attempt);
    match state.list.get(task)?.poll_state {
        PollState::InFlight {
            attempt: awaited,
            since,
        } if awaited == attempt => Some((since, is_manual)),
        PollState::InFlight { .. } | PollState::DueAt(_) | PollState::Stopped(_) => None,
    }
}

/// Schedules the next poll at `at`. A finished task was polled at the user's request and is not
/// scheduled.
fn reschedule(state: &mut State, task: &TaskId, at: Mono) {
    state.list.update(task, |watched| {
        watched.poll_state = if watched.task.state().is_final() && !watched.lacks_link() {
            PollState::Stopped(StopReason::Finished)
        } else {
            PollState::DueAt(at)
        };
    });
}

/// Handles a poll that the limiter denied: it counts neither as a check nor as an error, and is
/// only scheduled again.
pub(super) fn poll_denied(
    state: &mut State,
    task: &TaskId,
    attempt: PollAttempt,
    denied: Denied,
    now: Now,
) {
    let Some((since, is_manual)) = end_attempt(state, task, attempt, now) else {
        return;
    };
    state.poll_queue.uncount_start(since);
    let until = now.mono.after(denied.wait.clamp(MIN_DELAY, MAX_WAIT));
    match denied.reason {
        DenyReason::TaskBusy => {
            let at = until.max(interval_end(state, task, now));
            reschedule(state, task, at);
            if is_manual {
                explain_denial(state, task, denied.wait, now);
            }
        }
        DenyReason::LimitReached => {
            state.poll_queue.defer_until(until);
            // It was first in the queue, and stays first.
            reschedule(state, task, Mono::default());
            if is_manual {
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

/// Explains why a requested refresh was denied: this instance or another one has just polled the
/// task.
fn explain_denial(state: &mut State, task: &TaskId, wait: Duration, now: Now) {
    let wait = wait.as_secs_f64().ceil();
    let text = match state.poll_queue.backoff() {
        _ if !state.poll_queue.was_just_polled(task, now.mono) => {
            message_line::REFRESHED_BY_OTHER.to_owned()
        }
        Some(backoff) => message_line::refresh_blocked(&backoff.message(now.mono), wait),
        None => message_line::just_refreshed(wait),
    };
    reply(state, Severity::Info, text, now);
}

/// Returns the end of the task's interval since its last check: by then the result of the other
/// instance may be here.
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

/// Merges a result into the task and schedules the next poll.
fn apply_answer(
    state: &mut State,
    task: &TaskId,
    answer: PollResult,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let late_after = state.estimate().late;
    let (intervals, jitter) = (state.poll_queue.intervals(), state.poll_queue.jitter());
    let merge = selection::with_stable_selection(state, now, |rows| {
        rows.update(task, |watched| {
            let merge = watched.apply_answer(&answer, now.wall);
            watched.poll_state = schedule::next_state(
                watched.poll_input(now),
                intervals,
                late_after,
                jitter,
                now.mono,
            );
            merge
        })
    });
    if merge == Some(Merge::Changed) {
        report_finished(state, task, now);
        download::auto_save(state, task, now, effects);
    }
    if answer.is_ok() {
        state.answered_tasks.insert(task.clone());
    }
    write_answer(state, task, answer, now, effects);
}

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
