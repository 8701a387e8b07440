//! The command palette: a chosen action runs as if its key had been pressed.

use super::messages::reply;
use crate::{
    app::{
        keymap::{Action, KeyContext},
        state::{CommandPalette, Overlay, Severity, State},
    },
    domain::time::Now,
    messages::message_line,
};

/// Opens the palette with the actions of the current key context.
pub(super) fn open_palette(state: &mut State) {
    let palette = CommandPalette::new(state.context(), &state.settings.keymap);
    state.overlay = Some(Overlay::Palette(Box::new(palette)));
}

/// Returns the chosen action and the context it runs in, and closes the palette. Without a match it
/// says so and stays open.
pub(super) fn accept_palette(state: &mut State, now: Now) -> Option<(Action, KeyContext)> {
    let Some(Overlay::Palette(palette)) = &state.overlay else {
        return None;
    };
    let Some(chosen) = palette.chosen() else {
        reply(state, Severity::Warning, message_line::NO_ACTION_FOUND, now);
        return None;
    };
    state.overlay = None;
    Some((chosen.action, state.context()))
}
