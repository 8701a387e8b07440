//! Polling: starting requests and applying their results.

use super::context::Context;
use std::time::Duration;

use super::{
    backoff, download,
    messages::{reply, report_finished},
    selection, writes,
};
use crate::{
    app::{
        msg::Effect,
        state::{Severity, State},
    },
    domain::{
        list_change::ListChange,
        poll_request::{Backoff, Denied, DenyReason},
        poll_result::{ErrorScope, PollError, PollResult},
        response_notes::{self, Anomaly, ResponseNotes},
        schedule::{self, LOST_AFTER, MAX_WAIT, PollAttempt, PollState, StopReason},
        task::TaskId,
        time::{self, Mono, Now},
        watched_task::WatchedTask,
    },
    messages::message_line,
};

/// Returns the earliest time at which a poll may start; `None` if there is none to start.
pub(super) fn next_start(state: &State, now: Now) -> Option<Mono> {
    let opens = state.poll_queue.next_start(now.mono)?;
    if !state.poll_queue.requested().is_empty() {
        return Some(opens);
    }
    if state.poll_queue.is_paused {
        return None;
    }
    state.list.next_due().map(|due| due.max(opens))
}

/// Asks for the next poll that is due, those that the user requested first.
pub(super) fn start_due(cx: &mut Context) {
    while next_start(cx.state, cx.now).is_some_and(|at| at <= cx.now.mono) {
        let requested = cx.state.poll_queue.take_requested();
        let is_manual = requested.is_some();
        let next = requested.or_else(|| cx.state.list.due(cx.now.mono).next().cloned());
        let Some(task) = next else { return };
        let may_start =
            |watched: &WatchedTask| !matches!(watched.poll_state, PollState::InFlight { .. });
        let Some(family) = cx
            .state
            .list
            .get(&task)
            .filter(|watched| may_start(watched))
            .map(|watched| watched.task.family())
        else {
            continue;
        };
        let (attempt, trigger) = cx.state.poll_queue.ask(is_manual);
        cx.state.list.update(&task, |watched| {
            watched.poll_state = PollState::InFlight {
                attempt,
                since: cx.now.mono,
            };
        });
        cx.effects.push(Effect::Poll {
            task,
            family,
            attempt,
            trigger,
        });
    }
}

/// Ends polls that got no result by the deadline.
pub(super) fn expire_lost(cx: &mut Context) {
    loop {
        let lost = cx
            .state
            .list
            .in_flight()
            .next()
            .filter(|(since, _)| since.after(LOST_AFTER) <= cx.now.mono);
        let Some(id) = lost.map(|(_, id)| id.clone()) else {
            return;
        };
        let Some(PollState::InFlight { attempt, .. }) =
            cx.state.list.get(&id).map(|watched| watched.poll_state)
        else {
            return;
        };
        let result = (Err(PollError::AnswerLost), ResponseNotes::default());
        poll_finished(cx, &id, attempt, result);
    }
}

/// Applies a poll result. An outdated one, or one for a removed task, counts for the account only.
pub(super) fn poll_finished(
    cx: &mut Context,
    task: &TaskId,
    attempt: PollAttempt,
    (answer, notes): (PollResult, ResponseNotes),
) {
    cx.state.poll_queue.end_asking(attempt);
    let since = start_of(cx.state, task, attempt);
    compare_clocks(cx, &notes, since);
    let backoff = notes.backoff.clone();
    record_anomalies(cx, task, &answer, notes, since);
    cx.state.poll_queue.end_deferral();
    let error = answer.as_ref().err();
    let is_account_wide = error.is_some_and(|error| error.scope() == ErrorScope::Account);
    if since.is_some() && is_account_wide {
        reschedule(cx.state, task, cx.now.mono);
        cx.state.poll_queue.record_rejection(task, cx.now.mono);
    }
    if backoff.is_some() || error.is_none_or(PollError::is_answer) {
        backoff::update_backoff(cx, backoff);
    }
    if since.is_some() && !is_account_wide {
        apply_answer(cx, task, answer);
    }
}

/// Compares the server's clock with ours.
fn compare_clocks(cx: &mut Context, notes: &ResponseNotes, sent_at: Option<Mono>) {
    let (Some(date), Some(sent_at)) = (notes.date, sent_at) else {
        return;
    };
    let sent_at = time::saturating_sub(cx.now.wall, cx.now.mono.since(sent_at));
    let gap = response_notes::clock_gap(date, sent_at, cx.now.wall);
    cx.state.diagnostics.add_clock_sample(gap);
}

/// Counts a response that is unusual by itself, or contradicts an earlier one.
fn record_anomalies(
    cx: &mut Context,
    task: &TaskId,
    answer: &PollResult,
    mut notes: ResponseNotes,
    in_flight_since: Option<Mono>,
) {
    notes.add_from_result(answer);
    let watched = in_flight_since.and_then(|_| cx.state.list.get(task));
    if watched.is_some_and(|watched| watched.is_contradicted_by(answer)) {
        notes.add(Anomaly::Contradiction);
        // Taken alone the answer is fine, so no excerpt of it was kept.
        if let (Ok(answer), None) = (answer, &notes.text) {
            notes.keep_excerpt(&answer.raw);
        }
    }
    cx.state
        .diagnostics
        .record(task, notes, answer, cx.now.wall);
}

/// Returns when an attempt started; `None` if it is outdated or its task was removed.
fn start_of(state: &State, task: &TaskId, attempt: PollAttempt) -> Option<Mono> {
    match state.list.get(task)?.poll_state {
        PollState::InFlight {
            attempt: awaited,
            since,
        } if awaited == attempt => Some(since),
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

/// Handles a denied poll: it counts neither as a check nor as an error, and is only scheduled
/// again.
pub(super) fn poll_denied(cx: &mut Context, task: &TaskId, attempt: PollAttempt, denied: Denied) {
    let is_manual = cx.state.poll_queue.end_asking(attempt);
    if start_of(cx.state, task, attempt).is_none() {
        return;
    }
    let wait = denied.wait.min(MAX_WAIT);
    match denied.reason {
        reason @ (DenyReason::JustChecked | DenyReason::TaskBusy) => {
            let at = cx
                .now
                .mono
                .after(wait)
                .max(interval_end(cx.state, task, cx.now));
            reschedule(cx.state, task, at);
            if is_manual {
                explain_denial(cx, &reason, wait);
            }
        }
        DenyReason::InFlightLimit | DenyReason::RateLimit => {
            cx.state.poll_queue.defer(&denied, cx.now.mono);
            // It was first in the queue, and stays first.
            reschedule(cx.state, task, Mono::default());
            if is_manual {
                cx.state.poll_queue.requeue_first(task.clone());
            }
        }
        DenyReason::AccountBackoff(error) => {
            reschedule(cx.state, task, cx.now.mono);
            let is_external = !error.is_local();
            let backoff = Backoff { error, wait };
            cx.state
                .poll_queue
                .set_backoff(backoff, is_external, cx.now.mono);
        }
    }
}

/// Explains why a requested refresh was denied: this instance or another one has just polled the
/// task.
fn explain_denial(cx: &mut Context, reason: &DenyReason, wait: Duration) {
    let wait = wait.as_secs_f64().ceil();
    let text = match cx.state.poll_queue.backoff() {
        _ if *reason == DenyReason::TaskBusy => message_line::REFRESHED_BY_OTHER.to_owned(),
        Some(backoff) => message_line::refresh_blocked(&backoff.message(cx.now.mono), wait),
        None => message_line::just_refreshed(wait),
    };
    reply(cx, Severity::Info, text);
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
        .intervals
        .interval(watched.run_time(now), late_after);
    let wait = watched.poll_history.last_ok.map_or(Duration::ZERO, |last| {
        interval.saturating_sub(now.age_of(last))
    });
    now.mono.after(wait)
}

/// Merges a result into the task, schedules the next poll and writes the result.
fn apply_answer(cx: &mut Context, task: &TaskId, answer: PollResult) {
    let (now, is_ok) = (cx.now, answer.is_ok());
    let change = ListChange::from_result(task.clone(), answer, now.wall);
    let late_after = cx.state.estimate().late;
    let (intervals, jitter) = (cx.state.poll_queue.intervals, cx.state.poll_queue.jitter);
    let is_changed = selection::with_stable_selection(cx, |rows| {
        rows.update(task, |watched| {
            let old_state = watched.task.state().clone();
            change.apply_to(watched);
            let poll_input = watched.poll_input(now);
            watched.poll_state =
                schedule::next_state(poll_input, intervals, late_after, jitter, now.mono);
            *watched.task.state() != old_state
        })
    });
    if is_changed == Some(true) {
        report_finished(cx, task);
        download::auto_save(cx, task);
    }
    if is_ok {
        cx.state.answered_tasks.insert(task.clone());
    }
    writes::write(cx, vec![change]);
}
