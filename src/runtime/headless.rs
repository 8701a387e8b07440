//! Runs the core without a screen, for commands that wait: it polls, stores and follows other
//! instances as the dashboard does.

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

/// Why [`run_headless`] returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadlessEnd<B, U> {
    /// `inspect` broke with this value.
    Stopped(B),
    /// `until` resolved to this value.
    Resolved(U),
}

/// Runs the core until `inspect` breaks or `until` resolves. `inspect` is called after every change
/// of the state. Pending writes are completed and permits released first, within
/// `effects::SHUTDOWN_TIMEOUT`.
pub async fn run_headless<B, U>(
    mut state: State,
    services: Services,
    until: impl Future<Output = U>,
    mut inspect: impl FnMut(&State, Now) -> ControlFlow<B>,
) -> HeadlessEnd<B, U> {
    let clock = Arc::clone(&services.clock);
    let (_, preview_maker) = preview::new_preview(PreviewMode::Off);
    let (mut effect_runner, mut answers) = EffectRunner::new(services, preview_maker);
    let mut until = pin!(until);
    let mut effects = startup_effects();
    loop {
        for effect in effects.drain(..) {
            // It ignores the effects for the terminal.
            effect_runner.run(effect);
        }
        if let ControlFlow::Break(end) = inspect(&state, clock.now()) {
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

async fn shut_down(mut state: State, mut effect_runner: EffectRunner, now: Now) {
    for effect in update(&mut state, Msg::ShutdownRequested, now) {
        effect_runner.run(effect);
    }
    effect_runner.close().await;
}
