//! The account's backoff, and the spreading of polls after the machine slept. Single polls are in
//! `polling`.

use super::messages::queue_event;
use crate::{
    app::state::{Severity, State},
    domain::{
        poll_request::Backoff,
        schedule::{self, PollState, SUSPEND_GAP},
        time::Now,
    },
    messages::message_line,
};

/// Applies the backoff that came with an answer.
pub(super) fn update_backoff(state: &mut State, backoff: Option<Backoff>, now: Now) {
    if state.poll_queue.update_backoff(backoff, now.mono).is_some() {
        report_recovery(state, now);
    }
}

/// Lifts the backoff when another instance got an answer, as far as that proves that our key works.
/// That answer replaces our own probe, as nothing may be due here.
pub(super) fn lift_after_external_success(state: &mut State, now: Now) {
    let lifted = state.poll_queue.lift_after_external_success(now.mono);
    if lifted.is_some() {
        report_recovery(state, now);
    }
}

fn report_recovery(state: &mut State, now: Now) {
    let text = message_line::SERVER_RECOVERED;
    queue_event(state, Severity::Success, text, now);
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
    // While paused nothing is due, and a minute without a message is normal.
    if !state.poll_queue.is_paused {
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
