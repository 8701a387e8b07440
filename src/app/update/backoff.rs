//! The account's backoff, and the spreading of polls after the machine slept. Single polls are in
//! `polling`.

use super::messages::queue_event;
use crate::{
    app::state::{Severity, State},
    domain::{
        limiter::RequestOutcome,
        poll_result::PollResult,
        schedule::{self, PollState, SUSPEND_GAP},
        task::TaskId,
        time::{Mono, Now},
    },
    messages::message_line,
};

/// Lifts the backoff when the server answered for a task, and extends it when its one probe failed.
/// Errors on several tasks start one.
pub(super) fn apply_outcome(
    state: &mut State,
    task: &TaskId,
    answer: &PollResult,
    sent_at: Mono,
    now: Now,
) {
    if RequestOutcome::from_result(answer) == RequestOutcome::Answered {
        state.poll_queue.record_success();
        if state.poll_queue.lift_after_answer(sent_at).is_some() {
            queue_event(
                state,
                Severity::Success,
                message_line::SERVER_RECOVERED,
                now,
            );
        }
    } else if let Err(error) = answer {
        if error.is_transient() {
            state.poll_queue.record_failure(task, error, now.mono);
        }
        state.poll_queue.extend_backoff(sent_at, now.mono);
    }
}

/// Lifts the backoff when another instance got an answer, as far as that proves that our key works.
/// That answer replaces our own probe, as nothing may be due here.
pub(super) fn lift_after_external_success(state: &mut State, now: Now) {
    let access = state.settings.access;
    if state
        .poll_queue
        .lift_after_external_success(access, now.mono)
        .is_some()
    {
        queue_event(
            state,
            Severity::Success,
            message_line::SERVER_RECOVERED,
            now,
        );
    }
}

/// Drops an expired backoff while nothing is due: no answer would ever lift it.
pub(super) fn drop_idle_backoff(state: &mut State, now: Now) {
    // Paused polls count as due: when the pause ends, one task probes, not all at once.
    let is_idle = state.list.next_due().is_none()
        && state.poll_queue.requested().is_empty()
        && state.list.counts().in_flight == 0;
    if is_idle {
        state.poll_queue.drop_expired_backoff(now.mono);
    }
}

/// Detects that the machine slept or the process was stopped: no message came for [`SUSPEND_GAP`].
///
/// Overdue polls then start once each, spread over ten seconds or more. Requests in flight get
/// their whole time again, since their own deadlines stood still as well.
pub(super) fn detect_suspend(state: &mut State, now: Now) {
    let seen = state.last_message_at.replace(now.mono).unwrap_or(now.mono);
    if now.mono.since(seen) < SUSPEND_GAP {
        return;
    }
    let in_flight: Vec<_> = state.list.in_flight().map(|(_, id)| id.clone()).collect();
    for id in in_flight {
        state.list.update(&id, |watched| {
            if let PollState::InFlight { since, .. } = &mut watched.poll_state {
                *since = now.mono;
            }
        });
    }
    state.poll_queue.restart_orphans(now.mono);
    // While paused nothing is due, and a minute without a message is normal.
    if !state.poll_queue.is_paused() {
        spread_due(state, now);
    }
}

/// Spreads the polls that are due when one of them is overdue by [`SUSPEND_GAP`] or more.
pub(super) fn spread_overdue(state: &mut State, now: Now) {
    if state
        .list
        .next_due()
        .is_some_and(|due| now.mono.since(due) >= SUSPEND_GAP)
    {
        spread_due(state, now);
    }
}

/// Spreads the polls that are due now, longest overdue first.
fn spread_due(state: &mut State, now: Now) {
    let due: Vec<_> = state.list.due(now.mono).cloned().collect();
    let step = schedule::spread_time(due.len());
    let mut at = now.mono;
    for id in due {
        state
            .list
            .update(&id, |watched| watched.poll_state = PollState::DueAt(at));
        at = at.after(step);
    }
}
