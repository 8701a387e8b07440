//! Finding tasks in a long list: the filter line, the menu of orders; and what of it is remembered.

use std::time::Duration;

use super::{
    messages::{self, reply},
    selection,
};
use crate::{
    app::{
        msg::Effect,
        state::{
            FilterLine, HistoryStep, ListLoading, ListPosition, MainScreen, Overlay,
            PreviousPosition, Severity, State,
        },
    },
    domain::{
        list_change::AccessMode,
        query::{ListView, Query, SortColumn, SortOrder},
        saved_session::SavedSession,
        task::TaskId,
        time::Now,
    },
};

/// How long after the last change of tab, order or filter it is remembered.
const SAVE_DELAY: Duration = Duration::from_secs(2);

/// The most filters that are kept to be called back.
const MAX_FILTER_HISTORY: usize = 20;

/// Opens the filter line, with the filter in force in it; out of the full detail, to the list it is
/// about.
pub(super) fn open_filter(state: &mut State) {
    if state.screen != MainScreen::List {
        state.screen = MainScreen::List;
        selection::leave_detail(state);
    }
    let place = take_previous_position(state).unwrap_or_else(|| ListPosition {
        selected: state.selected.clone(),
        first: state.shown().get(state.top).cloned(),
    });
    let line = FilterLine::open(&state.list_view().query, place);
    state.overlay = Some(Overlay::Filter(Box::new(line)));
}

/// Filters by what is typed by now.
pub(super) fn apply_typed(state: &mut State, query: Query, now: Now) {
    let Some(Overlay::Filter(line)) = &state.overlay else {
        return;
    };
    let before = line.origin().clone();
    if query != state.list_view().query {
        apply_filter(state, query, now);
        restore_position(state, before);
    }
}

/// Has an earlier filter in the line, and in force.
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

/// Keeps the filter and closes the line; one with a fault stays open, and says it.
pub(super) fn accept_filter(state: &mut State) {
    if matches!(&state.overlay, Some(Overlay::Filter(line)) if line.error().is_none()) {
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
    state.previous_position =
        (line.origin().selected != state.selected).then(|| PreviousPosition {
            position: line.origin().clone(),
            selected_after: state.selected.clone(),
        });
}

/// Takes the place where one was before the filter in force, as long as nobody has moved since.
fn take_previous_position(state: &mut State) -> Option<ListPosition> {
    let former = state.previous_position.take()?;
    (former.selected_after == state.selected).then_some(former.position)
}

/// Takes the filter off.
pub(super) fn remove_filter(state: &mut State, now: Now) {
    let place = take_previous_position(state);
    apply_filter(state, Query::default(), now);
    if let Some(place) = place {
        restore_position(state, place);
    }
}

/// Closes the line and takes the filter off.
pub(super) fn clear_filter(state: &mut State, now: Now) {
    let Some(Overlay::Filter(line)) = state.overlay.take() else {
        return;
    };
    let before = line.origin().clone();
    apply_filter(state, Query::default(), now);
    restore_position(state, before);
}

/// Lets through what a filter lets through.
pub(super) fn apply_filter(state: &mut State, query: Query, now: Now) {
    let lens = ListView {
        query,
        ..state.list_view().clone()
    };
    selection::set_view(state, lens, now);
}

/// Selects the row again that was selected, or the nearest to it, and begins with the one that was
/// first, where they are shown.
fn restore_position(state: &mut State, ListPosition { selected, first }: ListPosition) {
    if let Some(at) = first.and_then(|id| state.rows.position(&id, &state.list)) {
        state.top = at;
    }
    match selected.and_then(|id| state.rows.nearest_position(&id, &state.list)) {
        Some(at) => selection::go_to(state, at),
        None => selection::keep_visible(state),
    }
}

/// Opens the menu of orders, at the one in force.
pub(super) fn open_sort_menu(state: &mut State) {
    let sort = state.list_view().order.column;
    let at = SortColumn::ALL.iter().position(|other| *other == sort);
    state.overlay = Some(Overlay::Sort {
        cursor: at.unwrap_or_default(),
    });
}

/// Orders the list by what is under the menu's cursor; the order in force stays as it is.
pub(super) fn accept_sort(state: &mut State, now: Now) {
    if let Some(Overlay::Sort { cursor }) = state.overlay
        && let Some(sort) = SortColumn::ALL.get(cursor)
    {
        state.overlay = None;
        let order = state.list_view().order.offered(*sort);
        set_sort_order(state, order, now);
    }
}

/// Orders the list by something; by the same again, from the other end.
pub(super) fn sort_by(state: &mut State, sort: SortColumn, now: Now) {
    let order = state.list_view().order;
    let order = if order.column == sort {
        order.flipped()
    } else {
        SortOrder::new(sort)
    };
    set_sort_order(state, order, now);
}

/// Turns the order round.
pub(super) fn reverse_sort(state: &mut State, now: Now) {
    let order = state.list_view().order.flipped();
    set_sort_order(state, order, now);
}

fn set_sort_order(state: &mut State, order: SortOrder, now: Now) {
    let lens = ListView {
        order,
        ..state.list_view().clone()
    };
    selection::set_view(state, lens, now);
    let text = format!("Sorted: {}.", order.name());
    reply(state, Severity::Info, text, now);
}

/// Takes in what was known at the end of the last run, and returns which tasks ended since. What
/// was chosen since the start stays.
pub(super) fn session_loaded(state: &mut State, memory: SavedSession, now: Now) -> Vec<TaskId> {
    let SavedSession {
        list_view: lens,
        removals,
        last_seen: visited,
    } = memory;
    state.session.is_loaded = true;
    state.session.last_seen = visited;
    state.undo_stack.add_earlier_removals(removals);
    state.session.saved_view = lens.clone();
    if *state.list_view() == ListView::default()
        && !matches!(state.overlay, Some(Overlay::Filter(_)))
    {
        selection::set_view(state, lens, now);
    }
    messages::report_finished_while_away(state, now)
}

/// Has the way the list is looked at remembered, a moment after it last changed.
pub(super) fn schedule_session_save(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let is_typing = matches!(state.overlay, Some(Overlay::Filter(_)));
    if is_typing || !can_remember(state) || *state.list_view() == state.session.saved_view {
        state.session.save_at = None;
        return;
    }
    match state.session.save_at {
        Some(due) if due <= now.mono => save_session_now(state, effects),
        Some(_) => {}
        None => state.session.save_at = Some(now.mono.after(SAVE_DELAY)),
    }
}

/// Has it remembered at once, as on the way out.
pub(super) fn save_session_now(state: &mut State, effects: &mut Vec<Effect>) {
    state.session.save_at = None;
    if can_remember(state) && *state.list_view() != state.session.saved_view {
        let lens = state.list_view().clone();
        state.session.saved_view = lens.clone();
        effects.push(Effect::SaveSession(lens));
    }
}

fn can_remember(state: &State) -> bool {
    state.settings.access == AccessMode::Full && state.loading == ListLoading::Done
}
