//! The account's backoff, and the spreading of polls after the machine slept. Single polls are in
//! `polling`.

use super::{context::Context, messages::queue_event};
use crate::{
    app::state::Severity,
    domain::{
        poll_request::Backoff,
        schedule::{self, PollState, SUSPEND_GAP},
    },
    messages::message_line,
};

/// Applies the backoff that came with an answer.
pub(super) fn update_backoff(cx: &mut Context, backoff: Option<Backoff>) {
    if cx
        .state
        .poll_queue
        .update_backoff(backoff, cx.now.mono)
        .is_some()
    {
        report_recovery(cx);
    }
}

/// Lifts the backoff when another instance got an answer, as far as that proves that our key works.
/// That answer replaces our own probe, as nothing may be due here.
pub(super) fn lift_after_external_success(cx: &mut Context) {
    let lifted = cx.state.poll_queue.lift_after_external_success(cx.now.mono);
    if lifted.is_some() {
        report_recovery(cx);
    }
}

fn report_recovery(cx: &mut Context) {
    let text = message_line::SERVER_RECOVERED;
    queue_event(cx, Severity::Success, text);
}

/// Drops an expired backoff while nothing is due: no answer would ever lift it.
pub(super) fn drop_idle_backoff(cx: &mut Context) {
    // Paused polls count as due: when the pause ends, one task probes, not all at once.
    let is_idle = cx.state.list.next_due().is_none()
        && cx.state.poll_queue.requested().is_empty()
        && cx.state.list.counts().in_flight == 0;
    if is_idle {
        cx.state.poll_queue.drop_expired_backoff(cx.now.mono);
    }
}

/// Detects that the machine slept or the process was stopped: no message came for [`SUSPEND_GAP`].
///
/// Overdue polls then start once each, spread over ten seconds or more. Requests in flight get
/// their whole time again, since their own deadlines stood still as well.
pub(super) fn detect_suspend(cx: &mut Context) {
    let seen = cx
        .state
        .last_message_at
        .replace(cx.now.mono)
        .unwrap_or(cx.now.mono);
    if cx.now.mono.since(seen) < SUSPEND_GAP {
        return;
    }
    let in_flight: Vec<_> = cx
        .state
        .list
        .in_flight()
        .map(|(_, id)| id.clone())
        .collect();
    for id in in_flight {
        cx.state.list.update(&id, |watched| {
            if let PollState::InFlight { since, .. } = &mut watched.poll_state {
                *since = cx.now.mono;
            }
        });
    }
    // While paused nothing is due, and a minute without a message is normal.
    if !cx.state.poll_queue.is_paused {
        spread_due(cx);
    }
}

/// Spreads the polls that are due when one of them is overdue by [`SUSPEND_GAP`] or more.
pub(super) fn spread_overdue(cx: &mut Context) {
    if cx
        .state
        .list
        .next_due()
        .is_some_and(|due| cx.now.mono.since(due) >= SUSPEND_GAP)
    {
        spread_due(cx);
    }
}

/// Spreads the polls that are due now, longest overdue first.
fn spread_due(cx: &mut Context) {
    let due: Vec<_> = cx.state.list.due(cx.now.mono).cloned().collect();
    let step = schedule::spread_time(due.len());
    let mut at = cx.now.mono;
    for id in due {
        cx.state
            .list
            .update(&id, |watched| watched.poll_state = PollState::DueAt(at));
        at = at.after(step);
    }
}
