//! Marking tasks, and stepping back: close the dialog, then the details, then clear marks, then the
//! filter.

use super::{
    context::Context,
    filter,
    messages::{key_hint, quoted_title, reply},
    selection,
};
use crate::{
    app::{
        keymap::Action,
        state::{MainScreen, Severity},
    },
    domain::task::TaskId,
    messages::message_line,
};

/// Toggles the mark of the selected task; in the list the selection moves to the next row.
pub(super) fn toggle_mark(cx: &mut Context) {
    let Some(id) = require_selected(cx) else {
        return;
    };
    cx.state.nav.marks.toggle(&id);
    if cx.state.nav.screen == MainScreen::List {
        return selection::move_by(cx.state, 1);
    }
    // Full-screen details do not show marks, so the message does.
    let title = cx
        .state
        .list
        .get(&id)
        .map_or_else(String::new, quoted_title);
    let text = if cx.state.nav.marks.has(&id) {
        message_line::marked(&title)
    } else {
        message_line::unmarked(&title)
    };
    reply(cx, Severity::Info, text);
}

/// Marks every row from the last one marked alone to the selected one; without such a row, the
/// selected one.
pub(super) fn mark_range(cx: &mut Context) {
    let Some(id) = require_selected(cx) else {
        return;
    };
    let anchor = cx.state.nav.marks.anchor();
    let ends = anchor
        .and_then(|anchor| cx.state.rows.position(anchor, &cx.state.list))
        .zip(cx.state.position());
    let count = if let Some((from, to)) = ends {
        let (from, to) = (from.min(to), from.max(to));
        let range = cx.state.rows.ids().get(from..=to).unwrap_or_default();
        cx.state.nav.marks.add(range);
        range.len()
    } else {
        cx.state.nav.marks.add([&id]);
        1
    };
    cx.state.nav.marks.anchor_at(id);
    if count == 1 {
        let hint = key_hint(cx.state, Action::MarkRange, message_line::MARK_RANGE_HINT);
        let text = format!("{}{hint}", message_line::RANGE_STARTED);
        reply(cx, Severity::Info, text);
    }
}

/// Marks every row shown; if all are marked, clears their marks.
pub(super) fn toggle_all(cx: &mut Context) {
    let shown = cx.state.rows.ids();
    if shown.is_empty() {
        return reply(cx, Severity::Info, message_line::NO_TASK_TO_MARK);
    }
    if shown.iter().all(|id| cx.state.nav.marks.has(id)) {
        for id in shown {
            cx.state.nav.marks.remove(id);
        }
    } else {
        cx.state.nav.marks.add(shown);
    }
}

pub(super) fn step_back(cx: &mut Context) {
    if cx.state.overlay.take().is_some() {
        return;
    }
    if cx.state.nav.screen != MainScreen::List {
        cx.state.nav.screen = cx.state.raw_opened_from().unwrap_or_default();
        cx.state.nav.raw_opened_from = None;
        if cx.state.nav.screen == MainScreen::List {
            selection::leave_detail(cx.state);
        }
        return;
    }
    if !cx.state.nav.marks.is_empty() {
        return cx.state.nav.marks.clear();
    }
    if cx.state.list_view().query.is_empty() {
        let hint = key_hint(cx.state, Action::Quit, message_line::QUIT_HINT);
        let text = format!("{}{hint}", message_line::NOTHING_TO_CLOSE);
        return reply(cx, Severity::Info, text);
    }
    filter::remove_filter(cx);
    reply(cx, Severity::Info, message_line::FILTER_CLEARED);
}

fn require_selected(cx: &mut Context) -> Option<TaskId> {
    let id = cx.state.selected().map(|watched| watched.id().clone());
    if id.is_none() {
        reply(cx, Severity::Info, message_line::NO_TASK_TO_MARK);
    }
    id
}
