//! Writes changes to the list on disk. Every write starts here, where it is counted.

use super::{context::Context, selection};
use crate::{
    app::msg::Effect,
    domain::{
        list_change::{AccessMode, ListChange},
        store_request::StoreRequest,
    },
};

/// Applies a change to the task on the screen, without writing it.
pub(super) fn apply(cx: &mut Context, change: &ListChange) {
    selection::with_stable_selection(cx, |rows| {
        rows.update(&change.task, |watched| change.apply_to(watched));
    });
}

/// Writes changes. Those that the user waits for are written at once, after all that wait already;
/// others wait behind these.
pub(super) fn write(cx: &mut Context, changes: Vec<ListChange>) {
    if changes.is_empty() || cx.state.settings.access == AccessMode::ReadOnly {
        return;
    }
    let is_urgent = changes.iter().any(ListChange::needs_ack);
    if is_urgent && !cx.state.write_queue.changes.is_empty() {
        write_queued(cx);
    }
    let changes = cx.state.write_queue.push(changes);
    cx.effects
        .extend(changes.map(|changes| Effect::Store(StoreRequest::Write(changes))));
}

/// Writes the queued changes; without any, checks whether the list can be written.
pub(super) fn write_queued(cx: &mut Context) {
    let changes = cx.state.write_queue.drain();
    cx.effects.push(Effect::Store(StoreRequest::Write(changes)));
}
