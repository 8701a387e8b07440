//! The same core without a screen: it asks, learns, writes down and follows other instances exactly as the dashboard does.
//!
//! For commands that wait for something to happen.

use std::{future::Future, ops::ControlFlow, pin::pin, sync::Arc, time::Duration};

use tokio::time;

use super::{
    effects::{Hands, Outside},
    pictures,
};
use crate::{
    app::{
        msg::Msg,
        state::State,
        update::{next_wakeup, start, update},
    },
    domain::{picture::Preview, time::Now},
};

/// Says what ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended<B, U> {
    /// What was seen of the state.
    Broke(B),
    /// What it was to run until.
    Until(U),
}

/// Runs the core until `look`, which sees the state and the time after every change, breaks off, or
/// until `until` resolves. By then pending writes are done and turns released, if the disk takes it
/// within a moment.
pub async fn follow<B, U>(
    mut state: State,
    outside: Outside,
    until: impl Future<Output = U>,
    mut look: impl FnMut(&State, Now) -> ControlFlow<B>,
) -> Ended<B, U> {
    let clock = Arc::clone(&outside.clock);
    let (_, studio) = pictures::open(Preview::Off);
    let (mut hands, mut answers) = Hands::new(outside, studio);
    let mut until = pin!(until);
    let mut effects = start();
    loop {
        for effect in effects.drain(..) {
            // What is the terminal's is left aside there: there is no screen, and nobody at it.
            hands.carry_out(effect);
        }
        if let ControlFlow::Break(end) = look(&state, clock.now()) {
            leave(state, hands, clock.now()).await;
            return Ended::Broke(end);
        }
        let now = clock.now();
        let wait = next_wakeup(&state, now).map_or(Duration::MAX, |at| at.since(now.mono));
        let msg = tokio::select! {
            end = &mut until => {
                leave(state, hands, clock.now()).await;
                return Ended::Until(end);
            }
            Some(msg) = answers.recv() => msg,
            () = time::sleep(wait) => Msg::Tick,
        };
        effects = update(&mut state, msg, clock.now());
    }
}

/// Writes what is to be written.
async fn leave(mut state: State, mut hands: Hands, now: Now) {
    for effect in update(&mut state, Msg::Interrupted, now) {
        hands.carry_out(effect);
    }
    hands.close().await;
}
