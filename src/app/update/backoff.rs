//! The account's side of asking: what its holds hear, and what a sleep of the machine leaves
//! behind.
//!
//! Knows no single question: those are `polling`'s.

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
};

/// What is said when a hold ends.
const RECOVERED_MESSAGE: &str = "The server answers again.";

/// Ends the hold when the server answered for a task, and lets it go on when its one try told
/// nothing. Trouble with many tasks begins one.
pub(super) fn apply_outcome(
    state: &mut State,
    task: &TaskId,
    answer: &PollResult,
    asked: Mono,
    now: Now,
) {
    if RequestOutcome::from_result(answer) == RequestOutcome::Answered {
        state.poll_queue.record_success();
        if state.poll_queue.lift_after_answer(asked).is_some() {
            queue_event(state, Severity::Success, RECOVERED_MESSAGE, now);
        }
    } else if let Err(error) = answer {
        if error.is_transient() {
            state.poll_queue.record_failure(task, error, now.mono);
        }
        state.poll_queue.extend_backoff(asked, now.mono);
    }
}

/// Ends the hold when another instance was answered, as far as that tells of our key: it was that
/// one's try, and nothing may come to be asked here.
pub(super) fn lift_after_external_success(state: &mut State, now: Now) {
    let access = state.settings.access;
    if state
        .poll_queue
        .lift_after_external_success(access, now.mono)
        .is_some()
    {
        queue_event(state, Severity::Success, RECOVERED_MESSAGE, now);
    }
}

/// Forgets a hold that is over while nothing is to be asked by itself: nobody would ever end it.
pub(super) fn drop_idle_backoff(state: &mut State, now: Now) {
    // A pause ends: then one tries, not all at once.
    let is_idle = state.list.next_due().is_none()
        && state.poll_queue.requested().is_empty()
        && state.list.counts().in_flight == 0;
    if is_idle {
        state.poll_queue.drop_expired_backoff(now.mono);
    }
}

/// Notices that the machine slept, or the program was stopped: nothing came for so long that
/// something must have.
///
/// What came due in the meantime is asked after once, spread over ten seconds or more, and each
/// question under way has its whole time again: its own deadlines stood still as well.
pub(super) fn detect_suspend(state: &mut State, now: Now) {
    let seen = state.last_message_at.replace(now.mono).unwrap_or(now.mono);
    if now.mono.since(seen) < SUSPEND_GAP {
        return;
    }
    let under_way: Vec<_> = state.list.in_flight().map(|(_, id)| id.clone()).collect();
    for id in under_way {
        state.list.update(&id, |watched| {
            if let PollState::InFlight { since, .. } = &mut watched.poll_state {
                *since = now.mono;
            }
        });
    }
    state.poll_queue.restart_orphans(now.mono);
    // While all is paused nothing is due by itself, and a minute without a message is nothing
    // unusual.
    if !state.poll_queue.is_paused() {
        spread_due(state, now);
    }
}

/// Spreads what is due, when some of it has been for so long that a sleep would count.
pub(super) fn spread_overdue(state: &mut State, now: Now) {
    if state
        .list
        .next_due()
        .is_some_and(|due| now.mono.since(due) >= SUSPEND_GAP)
    {
        spread_due(state, now);
    }
}

/// Spreads what is due now over some time, the longest waiting first.
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
