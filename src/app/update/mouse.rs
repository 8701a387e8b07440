//! The mouse: a click does what a key could, the wheel scrolls what lies under the pointer.

use super::{filter, keys, selection};
use crate::{
    app::{
        keymap::{Action, Key, KeyChord},
        mouse::{HitTarget, MouseAction},
        msg::Effect,
        state::{MainScreen, Overlay, State},
    },
    domain::{query::SortColumn, time::Now},
};

/// How many rows a turn of the wheel scrolls.
const WHEEL_ROWS: isize = 3;

/// Takes in what the mouse did to what.
pub(super) fn handle_mouse(
    state: &mut State,
    gesture: MouseAction,
    spot: HitTarget,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    state.is_untouched = false;
    match gesture {
        MouseAction::Press => click(state, spot, now, effects),
        MouseAction::WheelDown => scroll(state, &spot, WHEEL_ROWS),
        MouseAction::WheelUp => scroll(state, &spot, -WHEEL_ROWS),
    }
}

fn click(state: &mut State, spot: HitTarget, now: Now, effects: &mut Vec<Effect>) {
    // Whoever clicks into the list has done with typing its filter.
    if matches!(state.overlay, Some(Overlay::Filter(_))) && !matches!(spot, HitTarget::Hint(_)) {
        filter::accept_filter(state);
    }
    match spot {
        HitTarget::Nothing | HitTarget::List | HitTarget::Text => {}
        HitTarget::OutsideDialog => act(state, Action::Back, now, effects),
        HitTarget::Task(id) if state.is_selected(&id) => act(state, Action::Detail, now, effects),
        HitTarget::Task(id) => selection::select(state, &id),
        HitTarget::Tab(tab) => selection::show_tab(state, tab, now),
        HitTarget::ColumnHead(sort) => filter::sort_by(state, sort, now),
        HitTarget::Page(page) => keys::show_page(state, page, now),
        HitTarget::Hint(action) => act(state, action, now, effects),
        HitTarget::DialogLine(at) => choose_line(state, at, now, effects),
    }
}

/// Takes a line of the box, as the keys would: the cursor goes there, and what the box offers is
/// done.
fn choose_line(state: &mut State, at: usize, now: Now, effects: &mut Vec<Effect>) {
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
            *cursor = at.min(SortColumn::ALL.len().saturating_sub(1));
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

fn scroll(state: &mut State, spot: &HitTarget, by: isize) {
    match (&state.overlay, state.screen, spot) {
        (Some(Overlay::Filter(_)), ..) => keys::move_by(state, by.signum()),
        (Some(_), _, HitTarget::OutsideDialog) => {}
        (
            Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Diagnostics { .. }),
            ..,
        )
        | (None, MainScreen::Detail { .. }, _) => {
            keys::move_by(state, by);
        }
        (Some(_), ..) => keys::move_by(state, by.signum()),
        (None, MainScreen::List, HitTarget::List | HitTarget::Task(_)) => {
            selection::scroll(state, by);
        }
        (None, MainScreen::List, _) => {}
    }
}

fn act(state: &mut State, action: Action, now: Now, effects: &mut Vec<Effect>) {
    let context = state.context();
    // No key was pressed; where one would be typed, there is nothing to type.
    let chord = KeyChord::plain(Key::Enter);
    keys::act(state, action, chord, context, now, effects);
}
