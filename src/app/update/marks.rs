//! Marking tasks, and stepping back: close the dialog, then the details, then clear marks, then the
//! filter.

use super::{
    filter,
    messages::{key_hint, quoted_title, reply},
    selection,
};
use crate::{
    app::{
        keymap::Action,
        state::{MainScreen, Severity, State},
    },
    domain::{task::TaskId, time::Now},
    messages::message_line,
};

/// Toggles the mark of the selected task; in the list the selection moves to the next row.
pub(super) fn toggle_mark(state: &mut State, now: Now) {
    let Some(id) = require_selected(state, now) else {
        return;
    };
    state.marks.toggle(&id);
    if state.screen == MainScreen::List {
        return selection::move_by(state, 1);
    }
    // Full-screen details do not show marks, so the message does.
    let title = state.list.get(&id).map_or_else(String::new, quoted_title);
    let text = if state.marks.has(&id) {
        message_line::marked(&title)
    } else {
        message_line::unmarked(&title)
    };
    reply(state, Severity::Info, text, now);
}

/// Marks every row from the last one marked alone to the selected one; without such a row, the
/// selected one.
pub(super) fn mark_range(state: &mut State, now: Now) {
    let Some(id) = require_selected(state, now) else {
        return;
    };
    let anchor = state.marks.anchor();
    let ends = anchor
        .and_then(|anchor| state.rows.position(anchor, &state.list))
        .zip(state.position());
    let count = if let Some((from, to)) = ends {
        let (from, to) = (from.min(to), from.max(to));
        let range = state.rows.ids().get(from..=to).unwrap_or_default();
        state.marks.add(range);
        range.len()
    } else {
        state.marks.add([&id]);
        1
    };
    state.marks.anchor_at(id);
    if count == 1 {
        let hint = key_hint(state, Action::MarkRange, message_line::MARK_RANGE_HINT);
        let text = format!("{}{hint}", message_line::RANGE_STARTED);
        reply(state, Severity::Info, text, now);
    }
}

/// Marks every row shown; if all are marked, clears their marks.
pub(super) fn toggle_all(state: &mut State, now: Now) {
    let shown = state.rows.ids();
    if shown.is_empty() {
        return reply(state, Severity::Info, message_line::NO_TASK_TO_MARK, now);
    }
    if shown.iter().all(|id| state.marks.has(id)) {
        for id in shown {
            state.marks.remove(id);
        }
    } else {
        state.marks.add(shown);
    }
}

pub(super) fn step_back(state: &mut State, now: Now) {
    if state.overlay.take().is_some() {
        return;
    }
    if state.screen != MainScreen::List {
        state.screen = state.raw_opened_from().unwrap_or_default();
        state.raw_opened_from = None;
        if state.screen == MainScreen::List {
            selection::leave_detail(state);
        }
        return;
    }
    if !state.marks.is_empty() {
        return state.marks.clear();
    }
    if state.list_view().query.is_empty() {
        let hint = key_hint(state, Action::Quit, message_line::QUIT_HINT);
        let text = format!("{}{hint}", message_line::NOTHING_TO_CLOSE);
        return reply(state, Severity::Info, text, now);
    }
    filter::remove_filter(state, now);
    reply(state, Severity::Info, message_line::FILTER_CLEARED, now);
}

fn require_selected(state: &mut State, now: Now) -> Option<TaskId> {
    let id = state.selected().map(|watched| watched.id().clone());
    if id.is_none() {
        reply(state, Severity::Info, message_line::NO_TASK_TO_MARK, now);
    }
    id
}
