//! The account's side of asking: what its holds hear, and what a sleep of the machine leaves behind.
//!
//! Knows no single question: those are `polling`'s.

use super::notices::notify;
use crate::{
    app::state::{State, Tone},
    domain::{
        report::Answer,
        schedule::{self, ASLEEP, Polling},
        task::TaskId,
        time::{Mono, Now},
        turns::Heard,
    },
};

/// What is said when a hold ends.
const AGAIN: &str = "The server answers again.";

/// Ends the hold when the server answered for a task, and lets it go on when its one try told nothing. Trouble with
/// many tasks begins one.
pub(super) fn heard(state: &mut State, task: &TaskId, answer: &Answer, asked: Mono, now: Now) {
    if Heard::of(answer) == Heard::Server {
        state.polls.no_trouble();
        if state.polls.release(asked).is_some() {
            notify(state, Tone::Good, AGAIN, now);
        }
    } else if let Err(error) = answer {
        if error.is_trouble() {
            state.polls.trouble(task, error, now.mono);
        }
        state.polls.hold_on(asked, now.mono);
    }
}

/// Ends the hold when another instance was answered, as far as that tells of our key: it was that one's try, and
/// nothing may come to be asked here.
pub(super) fn release_by_news(state: &mut State, now: Now) {
    let access = state.settings.access;
    if state.polls.release_by_news(access, now.mono).is_some() {
        notify(state, Tone::Good, AGAIN, now);
    }
}

/// Forgets a hold that is over while nothing is to be asked by itself: nobody would ever end it.
pub(super) fn forget_idle_hold(state: &mut State, now: Now) {
    // A pause ends: then one tries, not all at once.
    let is_idle = state.list.next_due().is_none()
        && state.polls.asked_for().is_empty()
        && state.list.tally().in_flight == 0;
    if is_idle {
        state.polls.forget_hold(now.mono);
    }
}

/// Notices that the machine slept, or the program was stopped: nothing came for so long that something must have.
///
/// What came due in the meantime is asked after once, spread over ten seconds or more, and each question under way has
/// its whole time again: its own deadlines stood still as well.
pub(super) fn notice_sleep(state: &mut State, now: Now) {
    let seen = state.seen.replace(now.mono).unwrap_or(now.mono);
    if now.mono.since(seen) < ASLEEP {
        return;
    }
    let under_way: Vec<_> = state.list.in_flight().map(|(_, id)| id.clone()).collect();
    for id in under_way {
        state.list.change(&id, |watched| {
            if let Polling::InFlight { since, .. } = &mut watched.polling {
                *since = now.mono;
            }
        });
    }
    state.polls.restart_strays(now.mono);
    // While all is paused nothing is due by itself, and a minute without a message is nothing unusual.
    if !state.polls.is_paused() {
        spread_due(state, now);
    }
}

/// Spreads what is due, when some of it has been for so long that a sleep would count.
pub(super) fn spread_long_due(state: &mut State, now: Now) {
    if state
        .list
        .next_due()
        .is_some_and(|due| now.mono.since(due) >= ASLEEP)
    {
        spread_due(state, now);
    }
}

/// Spreads what is due now over some time, the longest waiting first.
fn spread_due(state: &mut State, now: Now) {
    let due: Vec<_> = state.list.due(now.mono).cloned().collect();
    let step = schedule::spread(due.len());
    let mut at = now.mono;
    for id in due {
        state
            .list
            .change(&id, |watched| watched.polling = Polling::DueAt(at));
        at = at.after(step);
    }
}
