//! The same core without a screen: it asks, learns, writes down and follows other instances exactly
//! as the dashboard does.
//!
//! For commands that wait for something to happen.

use std::{future::Future, ops::ControlFlow, pin::pin, sync::Arc, time::Duration};

use tokio::time;

use super::{
    effects::{EffectRunner, Services},
    preview,
};
use crate::{
    app::{
        msg::Msg,
        state::State,
        update::{next_wakeup, startup_effects, update},
    },
    domain::{preview::PreviewMode, time::Now},
};

/// Says what ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadlessEnd<B, U> {
    /// What was seen of the state.
    Stopped(B),
    /// What it was to run until.
    Resolved(U),
}

/// Runs the core until `look`, which sees the state and the time after every change, breaks off, or
/// until `until` resolves. By then pending writes are done and turns released, if the disk takes it
/// within a moment.
pub async fn run_headless<B, U>(
    mut state: State,
    services: Services,
    until: impl Future<Output = U>,
    mut look: impl FnMut(&State, Now) -> ControlFlow<B>,
) -> HeadlessEnd<B, U> {
    let clock = Arc::clone(&services.clock);
    let (_, preview_maker) = preview::new_preview(PreviewMode::Off);
    let (mut effect_runner, mut answers) = EffectRunner::new(services, preview_maker);
    let mut until = pin!(until);
    let mut effects = startup_effects();
    loop {
        for effect in effects.drain(..) {
            // What is the terminal's is left aside there: there is no screen, and nobody at it.
            effect_runner.run(effect);
        }
        if let ControlFlow::Break(end) = look(&state, clock.now()) {
            shut_down(state, effect_runner, clock.now()).await;
            return HeadlessEnd::Stopped(end);
        }
        let now = clock.now();
        let wait = next_wakeup(&state, now).map_or(Duration::MAX, |at| at.since(now.mono));
        let msg = tokio::select! {
            end = &mut until => {
                shut_down(state, effect_runner, clock.now()).await;
                return HeadlessEnd::Resolved(end);
            }
            Some(msg) = answers.recv() => msg,
            () = time::sleep(wait) => Msg::Tick,
        };
        effects = update(&mut state, msg, clock.now());
    }
}

/// Writes what is to be written.
async fn shut_down(mut state: State, mut hands: EffectRunner, now: Now) {
    for effect in update(&mut state, Msg::ShutdownRequested, now) {
        hands.run(effect);
    }
    hands.close().await;
}
