//! The filter line, and saving the list view with the session.

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
        time::Now,
    },
};

/// Delay between the last change of tab, sort order or filter and the session save.
const SAVE_DELAY: Duration = Duration::from_secs(2);

const MAX_FILTER_HISTORY: usize = 20;

/// Opens the filter line with the current filter; leaves the full-screen details first.
pub(super) fn open_filter(state: &mut State) {
    if state.screen != MainScreen::List {
        state.screen = MainScreen::List;
        selection::leave_detail(state);
    }
    let position = take_previous_position(state).unwrap_or_else(|| ListPosition {
        selected: state.selected.clone(),
        first: state.shown().get(state.top).cloned(),
    });
    let line = FilterLine::open(&state.list_view().query, position);
    state.overlay = Some(Overlay::Filter(Box::new(line)));
}

/// Applies the filter while it is typed.
pub(super) fn apply_typed(state: &mut State, query: Query, now: Now) {
    let Some(Overlay::Filter(line)) = &state.overlay else {
        return;
    };
    let position = line.origin.clone();
    if query != state.list_view().query {
        apply_filter(state, query, now);
        restore_position(state, position);
    }
}

/// Puts an earlier or later filter into the line and applies it.
pub(super) fn step_history(state: &mut State, step: HistoryStep, now: Now) {
    let State {
        overlay, filters, ..
    } = &mut *state;
    let Some(Overlay::Filter(line)) = overlay else {
        return;
    };
    if let Some(query) = line.step_history(filters, step) {
        apply_typed(state, query, now);
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
        let filters = &mut state.filters;
        filters.retain(|past| *past != text);
        filters.push(text);
        filters.drain(..filters.len().saturating_sub(MAX_FILTER_HISTORY));
    }
    state.previous_position = (line.origin.selected != state.selected).then(|| PreviousPosition {
        position: line.origin,
        selected_after: state.selected.clone(),
    });
}

/// Takes the list position from before the filter, unless the selection has moved since.
fn take_previous_position(state: &mut State) -> Option<ListPosition> {
    let previous = state.previous_position.take()?;
    (previous.selected_after == state.selected).then_some(previous.position)
}

/// Removes the filter and restores the position from before it.
pub(super) fn remove_filter(state: &mut State, now: Now) {
    let position = take_previous_position(state);
    apply_filter(state, Query::default(), now);
    if let Some(position) = position {
        restore_position(state, position);
    }
}

/// Closes the filter line and removes the filter.
pub(super) fn clear_filter(state: &mut State, now: Now) {
    let Some(Overlay::Filter(line)) = state.overlay.take() else {
        return;
    };
    apply_filter(state, Query::default(), now);
    restore_position(state, line.origin);
}

pub(super) fn apply_filter(state: &mut State, query: Query, now: Now) {
    let view = ListView {
        query,
        ..state.list_view().clone()
    };
    selection::set_view(state, view, now);
}

/// Selects the same row again, or the nearest one, and restores the first visible row if it is
/// shown.
fn restore_position(state: &mut State, ListPosition { selected, first }: ListPosition) {
    if let Some(at) = first.and_then(|id| state.rows.position(&id, &state.list)) {
        state.top = at;
    }
    match selected.and_then(|id| state.rows.nearest_position(&id, &state.list)) {
        Some(at) => selection::go_to(state, at),
        None => selection::keep_visible(state),
    }
}

/// Applies the saved session and returns the tasks that finished since. A view that the user chose
/// meanwhile stays.
pub(super) fn session_loaded(state: &mut State, session: SavedSession, now: Now) -> Vec<TaskId> {
    let SavedSession {
        list_view: view,
        removals,
        last_seen,
    } = session;
    state.session.is_loaded = true;
    state.session.last_seen = last_seen;
    state.undo_stack.add_earlier_removals(removals);
    state.session.saved_view = view.clone();
    if *state.list_view() == ListView::default()
        && !matches!(state.overlay, Some(Overlay::Filter(_)))
    {
        selection::set_view(state, view, now);
    }
    messages::report_finished_while_away(state, now)
}

/// Saves the session a moment after the view last changed.
pub(super) fn schedule_session_save(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let is_typing = matches!(state.overlay, Some(Overlay::Filter(_)));
    if is_typing || !can_save_session(state) || *state.list_view() == state.session.saved_view {
        state.session.save_at = None;
        return;
    }
    match state.session.save_at {
        Some(due) if due <= now.mono => save_session_now(state, effects),
        Some(_) => {}
        None => state.session.save_at = Some(now.mono.after(SAVE_DELAY)),
    }
}

/// Saves a changed session at once, for example on quit.
pub(super) fn save_session_now(state: &mut State, effects: &mut Vec<Effect>) {
    state.session.save_at = None;
    if can_save_session(state) && *state.list_view() != state.session.saved_view {
        let view = state.list_view().clone();
        state.session.saved_view = view.clone();
        effects.push(Effect::Store(StoreRequest::SaveSession(view)));
    }
}

fn can_save_session(state: &State) -> bool {
    state.settings.access == AccessMode::Full && state.loading == ListLoading::Done
}
