//! The filter line, and saving the list view with the session.

use super::context::Context;
use std::time::Duration;

use super::{messages, selection};
use crate::{
    app::{
        msg::Effect,
        state::{
            FilterLine, HistoryStep, ListLoading, ListPosition, MainScreen, Overlay,
            PreviousPosition, State,
        },
    },
    domain::{
        list_change::AccessMode,
        query::{ListView, Query},
        saved_session::SavedSession,
        store_request::StoreRequest,
        task::TaskId,
    },
};

/// Delay between the last change of tab, sort order or filter and the session save.
const SAVE_DELAY: Duration = Duration::from_secs(2);

const MAX_FILTER_HISTORY: usize = 20;

/// Opens the filter line with the current filter; leaves the full-screen details first.
pub(super) fn open_filter(state: &mut State) {
    if state.nav.screen != MainScreen::List {
        state.nav.screen = MainScreen::List;
        selection::leave_detail(state);
    }
    let position = take_previous_position(state).unwrap_or_else(|| ListPosition {
        selected: state.nav.selected.clone(),
        first: state.shown().get(state.nav.top).cloned(),
    });
    let line = FilterLine::open(&state.list_view().query, position);
    state.overlay = Some(Overlay::Filter(Box::new(line)));
}

/// Applies the filter while it is typed.
pub(super) fn apply_typed(cx: &mut Context, query: Query) {
    let Some(Overlay::Filter(line)) = &cx.state.overlay else {
        return;
    };
    let position = line.origin.clone();
    if query != cx.state.list_view().query {
        apply_filter(cx, query);
        restore_position(cx.state, position);
    }
}

/// Puts an earlier or later filter into the line and applies it.
pub(super) fn step_history(cx: &mut Context, step: HistoryStep) {
    let State {
        overlay, session, ..
    } = &mut *cx.state;
    let Some(Overlay::Filter(line)) = overlay else {
        return;
    };
    if let Some(query) = line.step_history(&session.filters, step) {
        apply_typed(cx, query);
    }
}

/// Keeps the filter and closes the line; with an error in the filter the line stays open.
pub(super) fn accept_filter(state: &mut State) {
    if matches!(&state.overlay, Some(Overlay::Filter(line)) if line.error.is_none()) {
        keep_filter(state);
    }
}

fn keep_filter(state: &mut State) {
    let Some(Overlay::Filter(line)) = state.overlay.take() else {
        return;
    };
    let text = state.list_view().query.to_string();
    if !text.is_empty() {
        let filters = &mut state.session.filters;
        filters.retain(|past| *past != text);
        filters.push(text);
        filters.drain(..filters.len().saturating_sub(MAX_FILTER_HISTORY));
    }
    state.nav.previous_position =
        (line.origin.selected != state.nav.selected).then(|| PreviousPosition {
            position: line.origin,
            selected_after: state.nav.selected.clone(),
        });
}

/// Takes the list position from before the filter, unless the selection has moved since.
fn take_previous_position(state: &mut State) -> Option<ListPosition> {
    let previous = state.nav.previous_position.take()?;
    (previous.selected_after == state.nav.selected).then_some(previous.position)
}

/// Removes the filter and restores the position from before it.
pub(super) fn remove_filter(cx: &mut Context) {
    let position = take_previous_position(cx.state);
    apply_filter(cx, Query::default());
    if let Some(position) = position {
        restore_position(cx.state, position);
    }
}

/// Closes the filter line and removes the filter.
pub(super) fn clear_filter(cx: &mut Context) {
    let Some(Overlay::Filter(line)) = cx.state.overlay.take() else {
        return;
    };
    apply_filter(cx, Query::default());
    restore_position(cx.state, line.origin);
}

pub(super) fn apply_filter(cx: &mut Context, query: Query) {
    let view = ListView {
        query,
        ..cx.state.list_view().clone()
    };
    selection::set_view(cx, view);
}

/// Selects the same row again, or the nearest one, and restores the first visible row if it is
/// shown.
fn restore_position(state: &mut State, ListPosition { selected, first }: ListPosition) {
    if let Some(at) = first.and_then(|id| state.rows.position(&id, &state.list)) {
        state.nav.top = at;
    }
    match selected.and_then(|id| state.rows.nearest_position(&id, &state.list)) {
        Some(at) => selection::go_to(state, at),
        None => selection::keep_visible(state),
    }
}

/// Applies the saved session and returns the tasks that finished since. A view that the user chose
/// meanwhile stays.
pub(super) fn session_loaded(cx: &mut Context, session: SavedSession) -> Vec<TaskId> {
    let SavedSession {
        list_view: view,
        removals,
        last_seen,
    } = session;
    cx.state.session.is_loaded = true;
    cx.state.session.last_seen = last_seen;
    cx.state.undo_stack.add_earlier_removals(removals);
    cx.state.session.saved_view = view.clone();
    if *cx.state.list_view() == ListView::default()
        && !matches!(cx.state.overlay, Some(Overlay::Filter(_)))
    {
        selection::set_view(cx, view);
    }
    messages::report_finished_while_away(cx)
}

/// Saves the session a moment after the view last changed.
pub(super) fn schedule_session_save(cx: &mut Context) {
    let is_typing = matches!(cx.state.overlay, Some(Overlay::Filter(_)));
    if is_typing
        || !can_save_session(cx.state)
        || *cx.state.list_view() == cx.state.session.saved_view
    {
        cx.state.session.save_at = None;
        return;
    }
    match cx.state.session.save_at {
        Some(due) if due <= cx.now.mono => save_session_now(cx),
        Some(_) => {}
        None => cx.state.session.save_at = Some(cx.now.mono.after(SAVE_DELAY)),
    }
}

/// Saves a changed session at once, for example on quit.
pub(super) fn save_session_now(cx: &mut Context) {
    cx.state.session.save_at = None;
    if can_save_session(cx.state) && *cx.state.list_view() != cx.state.session.saved_view {
        let view = cx.state.list_view().clone();
        cx.state.session.saved_view = view.clone();
        cx.effects
            .push(Effect::Store(StoreRequest::SaveSession(view)));
    }
}

fn can_save_session(state: &State) -> bool {
    state.settings.access == AccessMode::Full && state.loading == ListLoading::Done
}
