//! Writes changes to the list on disk. Every write starts here, where it is counted.

use super::selection;
use crate::{
    app::{msg::Effect, state::State},
    domain::{
        list_change::{AccessMode, ListChange},
        store_request::StoreRequest,
        time::Now,
    },
};

/// Applies a change to the task on the screen, without writing it.
pub(super) fn apply(state: &mut State, change: &ListChange, now: Now) {
    selection::with_stable_selection(state, now, |rows| {
        rows.update(&change.task, |watched| change.apply_to(watched));
    });
}

/// Writes changes. Those that the user waits for are written at once, after all that wait already;
/// others wait behind these.
pub(super) fn write(state: &mut State, changes: Vec<ListChange>, effects: &mut Vec<Effect>) {
    if changes.is_empty() || state.settings.access == AccessMode::ReadOnly {
        return;
    }
    let is_urgent = changes.iter().any(ListChange::needs_ack);
    if is_urgent && !state.write_queue.changes.is_empty() {
        write_queued(state, effects);
    }
    let changes = state.write_queue.push(changes);
    effects.extend(changes.map(|changes| Effect::Store(StoreRequest::Write(changes))));
}

/// Writes the queued changes; without any, checks whether the list can be written.
pub(super) fn write_queued(state: &mut State, effects: &mut Vec<Effect>) {
    let changes = state.write_queue.drain();
    effects.push(Effect::Store(StoreRequest::Write(changes)));
}
