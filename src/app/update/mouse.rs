//! The mouse: a click does the same as a key, the wheel scrolls the area under the pointer.

use super::{filter, keys, selection, sort};
use crate::{
    app::{
        keymap::{Action, Key, KeyChord},
        mouse::{HitTarget, MouseAction},
        msg::Effect,
        state::{MainScreen, Overlay, State},
    },
    domain::time::Now,
};

/// Rows scrolled by one step of the wheel.
const WHEEL_ROWS: isize = 3;

pub(super) fn handle_mouse(
    state: &mut State,
    action: MouseAction,
    target: HitTarget,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    state.is_untouched = false;
    match action {
        MouseAction::Press => click(state, target, now, effects),
        MouseAction::WheelDown => scroll(state, &target, WHEEL_ROWS),
        MouseAction::WheelUp => scroll(state, &target, -WHEEL_ROWS),
    }
}

fn click(state: &mut State, target: HitTarget, now: Now, effects: &mut Vec<Effect>) {
    // A click outside the filter line accepts the filter.
    if matches!(state.overlay, Some(Overlay::Filter(_))) && !matches!(target, HitTarget::Hint(_)) {
        filter::accept_filter(state);
    }
    match target {
        HitTarget::Nothing | HitTarget::List | HitTarget::Text => {}
        HitTarget::OutsideDialog => act(state, Action::Back, now, effects),
        HitTarget::Task(id) if state.is_selected(&id) => act(state, Action::Detail, now, effects),
        HitTarget::Task(id) => selection::select(state, &id),
        HitTarget::Tab(tab) => selection::show_tab(state, tab, now),
        HitTarget::ColumnHead(column) => sort::sort_by(state, column, now),
        HitTarget::Page(page) => keys::show_page(state, page, now),
        HitTarget::Hint(action) => act(state, action, now, effects),
        HitTarget::DialogLine(at) => choose_line(state, at, now, effects),
    }
}

/// Moves the dialog's cursor to a line and accepts it, as the keys would.
fn choose_line(state: &mut State, at: usize, now: Now, effects: &mut Vec<Effect>) {
    match &mut state.overlay {
        Some(Overlay::Menu(menu)) => {
            menu.go_to(at);
            act(state, Action::Accept, now, effects);
        }
        Some(Overlay::Add(dialog)) => {
            dialog.go_to(at);
            dialog.toggle();
        }
        _ => {}
    }
}

fn scroll(state: &mut State, target: &HitTarget, by: isize) {
    match (&state.overlay, state.screen, target) {
        (Some(Overlay::Filter(_)), ..) => keys::move_by(state, by.signum()),
        (Some(_), _, HitTarget::OutsideDialog) => {}
        (Some(Overlay::Text { .. }), ..) | (None, MainScreen::Detail { .. }, _) => {
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
    // Enter stands for the click: it is never inserted as text.
    let chord = KeyChord::plain(Key::Enter);
    keys::act(state, action, chord, context, now, effects);
}
