//! The mouse: a click does what a key could, the wheel scrolls what lies under the pointer.

use super::{finding, keys, selection};
use crate::{
    app::{
        keymap::{Action, Key, KeyChord},
        msg::Effect,
        pointer::{Gesture, Spot},
        state::{Overlay, Screen, State},
    },
    domain::{query::Sort, time::Now},
};

/// How many rows a turn of the wheel scrolls.
const WHEEL: isize = 3;

/// Takes in what the mouse did to what.
pub(super) fn pointed(
    state: &mut State,
    gesture: Gesture,
    spot: Spot,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    state.is_untouched = false;
    match gesture {
        Gesture::Press => pressed(state, spot, now, effects),
        Gesture::WheelDown => scroll(state, &spot, WHEEL),
        Gesture::WheelUp => scroll(state, &spot, -WHEEL),
    }
}

fn pressed(state: &mut State, spot: Spot, now: Now, effects: &mut Vec<Effect>) {
    // Whoever clicks into the list has done with typing its filter.
    if matches!(state.overlay, Some(Overlay::Filter(_))) && !matches!(spot, Spot::Hint(_)) {
        finding::accept_filter(state);
    }
    match spot {
        Spot::Nothing | Spot::List | Spot::Text => {}
        Spot::Outside => act(state, Action::Back, now, effects),
        Spot::Task(id) if state.is_selected(&id) => act(state, Action::Detail, now, effects),
        Spot::Task(id) => selection::select(state, &id),
        Spot::Tab(tab) => selection::show_tab(state, tab, now),
        Spot::Head(sort) => finding::sort_by(state, sort, now),
        Spot::Page(page) => keys::show_page(state, page, now),
        Spot::Hint(action) => act(state, action, now, effects),
        Spot::Choice(at) => choose(state, at, now, effects),
    }
}

/// Takes a line of the box, as the keys would: the cursor goes there, and what the box offers is done.
fn choose(state: &mut State, at: usize, now: Now, effects: &mut Vec<Effect>) {
    let action = match &mut state.overlay {
        Some(Overlay::Pick(picker)) => {
            picker.cursor = at.min(picker.videos.len().saturating_sub(1));
            Action::Accept
        }
        Some(Overlay::Copy(menu)) => {
            menu.go_to(at);
            Action::Accept
        }
        Some(Overlay::Palette(palette)) => {
            palette.go_to(at);
            Action::Accept
        }
        Some(Overlay::Add(dialog)) => {
            dialog.go_to(at);
            Action::Toggle
        }
        Some(Overlay::Sort { cursor }) => {
            *cursor = at.min(Sort::ALL.len().saturating_sub(1));
            Action::Accept
        }
        Some(
            Overlay::Link(_)
            | Overlay::Folder(_)
            | Overlay::Label(_)
            | Overlay::Help { .. }
            | Overlay::Messages { .. }
            | Overlay::Diagnostics { .. }
            | Overlay::Filter(_)
            | Overlay::Confirm(_),
        )
        | None => return,
    };
    act(state, action, now, effects);
}

fn scroll(state: &mut State, spot: &Spot, by: isize) {
    match (&state.overlay, state.screen, spot) {
        (Some(Overlay::Filter(_)), ..) => keys::move_by(state, by.signum()),
        (Some(_), _, Spot::Outside) => {}
        (
            Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Diagnostics { .. }),
            ..,
        )
        | (None, Screen::Detail { .. }, _) => {
            keys::move_by(state, by);
        }
        (Some(_), ..) => keys::move_by(state, by.signum()),
        (None, Screen::List, Spot::List | Spot::Task(_)) => selection::scroll(state, by),
        (None, Screen::List, _) => {}
    }
}

fn act(state: &mut State, action: Action, now: Now, effects: &mut Vec<Effect>) {
    let context = state.context();
    // No key was pressed; where one would be typed, there is nothing to type.
    let chord = KeyChord::plain(Key::Enter);
    keys::act(state, action, chord, context, now, effects);
}
