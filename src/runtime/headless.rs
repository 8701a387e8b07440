//! The same core without a screen: it asks, learns, writes down and follows other instances exactly as the dashboard does.
//!
//! For commands that wait for something to happen.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use tokio::time;

use super::{
    effects::{Hands, Outside},
    pictures,
};
use crate::{
    app::{
        msg::{Effect, Msg},
        state::State,
        update::{next_wakeup, start, update},
    },
    domain::picture::Preview,
};

/// Runs the core until `look`, which sees the state after every change, breaks off; returns what it broke off with. What
/// was to be written is written by then, if the disk takes it within a moment.
///
/// May be dropped at any moment; then what was not yet written is learnt again later.
pub async fn follow<B>(
    mut state: State,
    outside: Outside,
    mut look: impl FnMut(&State) -> ControlFlow<B>,
) -> B {
    let clock = Arc::clone(&outside.clock);
    let (_, studio) = pictures::open(Preview::Off);
    let (mut hands, mut answers) = Hands::new(outside, studio);
    let mut effects = start();
    loop {
        for effect in effects.drain(..) {
            match effect {
                // There is no screen, and nobody at it.
                Effect::Redraw | Effect::Suspend | Effect::Ask(_) | Effect::Quit => {}
                effect @ (Effect::Recall
                | Effect::Remember(_)
                | Effect::Load
                | Effect::Poll { .. }
                | Effect::Tell(_)
                | Effect::Store(_)
                | Effect::ReadJournal(_)
                | Effect::ReadRecord(_)
                | Effect::NoteVisit(_)
                | Effect::Copy(_)
                | Effect::Announce(_)
                | Effect::Open { .. }
                | Effect::Compare(_)
                | Effect::Picture(_)
                | Effect::Save { .. }
                | Effect::StopSave(_)
                | Effect::LookFor(_)) => hands.carry_out(effect),
            }
        }
        if let ControlFlow::Break(end) = look(&state) {
            let last = update(&mut state, Msg::Interrupted, clock.now());
            for effect in last {
                hands.carry_out(effect);
            }
            hands.close().await;
            return end;
        }
        let now = clock.now();
        let wait = next_wakeup(&state, now).map_or(Duration::MAX, |at| at.since(now.mono));
        let msg = tokio::select! {
            Some(msg) = answers.recv() => msg,
            () = time::sleep(wait) => Msg::Tick,
        };
        effects = update(&mut state, msg, clock.now());
    }
}
