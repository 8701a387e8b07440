//! The mouse: a click does the same as a key, the wheel scrolls the area under the pointer.

use super::{context::Context, filter, keys, selection, sort};
use crate::app::{
    keymap::{Action, Key, KeyChord},
    mouse::{HitTarget, MouseAction},
    state::{MainScreen, Overlay, State},
};

/// Rows scrolled by one step of the wheel.
const WHEEL_ROWS: isize = 3;

pub(super) fn handle_mouse(cx: &mut Context, action: MouseAction, target: HitTarget) {
    cx.state.nav.has_input = true;
    match action {
        MouseAction::Press => click(cx, target),
        MouseAction::WheelDown => scroll(cx.state, &target, WHEEL_ROWS),
        MouseAction::WheelUp => scroll(cx.state, &target, -WHEEL_ROWS),
    }
}

fn click(cx: &mut Context, target: HitTarget) {
    // A click outside the filter line accepts the filter.
    if matches!(cx.state.overlay, Some(Overlay::Filter(_))) && !matches!(target, HitTarget::Hint(_))
    {
        filter::accept_filter(cx.state);
    }
    match target {
        HitTarget::Nothing | HitTarget::List | HitTarget::Text => {}
        HitTarget::OutsideDialog => act(cx, Action::Back),
        HitTarget::Task(id) if cx.state.is_selected(&id) => act(cx, Action::Detail),
        HitTarget::Task(id) => selection::select(cx.state, &id),
        HitTarget::Tab(tab) => selection::show_tab(cx, tab),
        HitTarget::ColumnHead(column) => sort::sort_by(cx, column),
        HitTarget::Page(page) => keys::show_page(cx, page),
        HitTarget::Hint(action) => act(cx, action),
        HitTarget::DialogLine(at) => choose_line(cx, at),
    }
}

/// Moves the dialog's cursor to a line and accepts it, as the keys would.
fn choose_line(cx: &mut Context, at: usize) {
    match &mut cx.state.overlay {
        Some(Overlay::Menu(menu)) => {
            menu.go_to(at);
            act(cx, Action::Accept);
        }
        Some(Overlay::Add(dialog)) => {
            dialog.go_to(at);
            dialog.toggle();
        }
        _ => {}
    }
}

fn scroll(state: &mut State, target: &HitTarget, by: isize) {
    match (&state.overlay, state.nav.screen, target) {
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

fn act(cx: &mut Context, action: Action) {
    let context = cx.state.context();
    // Enter stands for the click: it is never inserted as text.
    let chord = KeyChord::plain(Key::Enter);
    keys::act(cx, action, chord, context);
}
