//! Marking tasks, and going back a step: out of the box, out of the detail, then no marks, then no filter.

use super::{
    finding,
    notices::{notify, quoted},
    selection,
};
use crate::{
    app::{
        keymap::Action,
        state::{Screen, State, Tone},
    },
    domain::{task::TaskId, time::Now},
};

/// Marks the selected task or takes its mark off; in the list it goes on to the next row.
pub(super) fn toggle(state: &mut State, now: Now) {
    let Some(id) = selected(state, now) else {
        return;
    };
    state.marks.toggle(&id);
    if state.screen == Screen::List {
        return selection::step(state, 1);
    }
    // Nothing on the full detail shows it.
    let verb = if state.marks.has(&id) {
        "Marked"
    } else {
        "No longer marked:"
    };
    let title = state.list.get(&id).map_or_else(String::new, quoted);
    notify(state, Tone::Plain, format!("{verb} {title}."), now);
}

/// Marks every row from the last one marked by hand to the selected one; without such a row, the selected one.
pub(super) fn range(state: &mut State, now: Now) {
    let Some(id) = selected(state, now) else {
        return;
    };
    let anchor = state.marks.anchor();
    let ends = anchor
        .and_then(|anchor| state.view.position(anchor, &state.list))
        .zip(state.position());
    let count = if let Some((from, to)) = ends {
        let (from, to) = (from.min(to), from.max(to));
        let range = state.view.ids().get(from..=to).unwrap_or_default();
        state.marks.add(range);
        range.len()
    } else {
        state.marks.add([&id]);
        1
    };
    state.marks.anchor_at(id);
    if count == 1 {
        let text = format!(
            "The range begins here; go to its other end.{}",
            super::notices::step(state, Action::MarkRange, "marks it")
        );
        notify(state, Tone::Plain, text, now);
    }
}

/// Marks every row shown; when all of them are, takes those marks off.
pub(super) fn all(state: &mut State, now: Now) {
    let shown = state.view.ids();
    if shown.is_empty() {
        return notify(state, Tone::Plain, "No task is shown.", now);
    }
    if shown.iter().all(|id| state.marks.has(id)) {
        for id in shown {
            state.marks.remove(id);
        }
    } else {
        state.marks.add(shown);
    }
}

/// Goes one step back.
pub(super) fn back(state: &mut State, now: Now) {
    if state.overlay.take().is_some() {
        return;
    }
    if state.screen != Screen::List {
        state.screen = state.came_from().unwrap_or_default();
        state.record_from = None;
        if state.screen == Screen::List {
            selection::settle(state);
        }
        return;
    }
    if !state.marks.is_empty() {
        return state.marks.clear();
    }
    if state.lens().query.is_empty() {
        let text = format!(
            "Nothing to go back from.{}",
            super::notices::step(state, Action::Quit, "leaves")
        );
        return notify(state, Tone::Plain, text, now);
    }
    finding::filter_off(state, now);
    notify(state, Tone::Plain, "The filter is off.", now);
}

fn selected(state: &mut State, now: Now) -> Option<TaskId> {
    let id = state.selected().map(|watched| watched.id().clone());
    if id.is_none() {
        notify(state, Tone::Plain, "No task to mark.", now);
    }
    id
}
