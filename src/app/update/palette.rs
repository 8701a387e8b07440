//! The command palette: an action chosen by its name is done as if its key had been pressed.

use super::messages::reply;
use crate::{
    app::{
        keymap::{Action, KeyContext},
        state::{CommandPalette, Overlay, Severity, State},
    },
    domain::time::Now,
};

/// Opens the palette for where the keyboard is.
pub(super) fn open_palette(state: &mut State) {
    let palette = CommandPalette::new(state.context(), &state.settings.keymap);
    state.overlay = Some(Overlay::Palette(Box::new(palette)));
}

/// Returns the action under the cursor and where it is done, and closes the palette; with none, or
/// one that has no meaning where the palette was opened, it says so and stays.
pub(super) fn accept_palette(state: &mut State, now: Now) -> Option<(Action, KeyContext)> {
    let Some(Overlay::Palette(palette)) = &state.overlay else {
        return None;
    };
    let Some(chosen) = palette.chosen() else {
        reply(state, Severity::Warning, "No action is called that.", now);
        return None;
    };
    state.overlay = None;
    Some((chosen.action, state.context()))
}
