//! The command palette: an action chosen by its name is done as if its key had been pressed.

use super::notices::notify;
use crate::{
    app::{
        keymap::{Action, Context},
        state::{Overlay, Palette, State, Tone},
    },
    domain::time::Now,
};

/// Opens the palette for where the keyboard is.
pub(super) fn open(state: &mut State) {
    let palette = Palette::of(state.context(), &state.settings.keymap);
    state.overlay = Some(Overlay::Palette(Box::new(palette)));
}

/// Returns the action under the cursor and where it is done, and closes the palette; with none, or one that has no
/// meaning where the palette was opened, it says so and stays.
pub(super) fn accept(state: &mut State, now: Now) -> Option<(Action, Context)> {
    let Some(Overlay::Palette(palette)) = &state.overlay else {
        return None;
    };
    let Some(chosen) = palette.chosen() else {
        notify(state, Tone::Warning, "No action is called that.", now);
        return None;
    };
    state.overlay = None;
    Some((chosen.action, state.context()))
}
