//! Removing tasks, and undoing the last removal or label change as a whole.

use super::{messages::reply, selection, writes};
use crate::{
    app::{
        msg::Effect,
        state::{Confirm, MainScreen, Overlay, Severity, State, UndoStep},
    },
    domain::{
        list_change::{ChangeKind, ListChange},
        task::TaskId,
        time::Now,
    },
    messages::message_line,
};

/// Removes the target task; asks first for several tasks or a hidden one.
pub(super) fn remove_targets(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let mut tasks = state.target_ids();
    let has_targets = !tasks.is_empty();
    tasks.retain(|task| !state.undo_stack.is_removing(task));
    let hidden = state.hidden_targets();
    match tasks.len() {
        0 if has_targets => reply(state, Severity::Info, message_line::ALREADY_REMOVING, now),
        0 => reply(state, Severity::Info, message_line::NO_TASK_TO_REMOVE, now),
        1 if hidden == 0 => remove_tasks(state, tasks, now, effects),
        _ => {
            state.overlay = Some(Overlay::Confirm(Confirm::Remove { tasks, hidden }));
        }
    }
}

/// Removes tasks in one change, so that one undo restores all of them.
pub(super) fn remove_tasks(
    state: &mut State,
    tasks: Vec<TaskId>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    state.screen = MainScreen::List;
    selection::leave_detail(state);
    let remove = |task: &TaskId| ListChange::new(task.clone(), now.wall, ChangeKind::Remove);
    let changes: Vec<_> = tasks.iter().map(remove).collect();
    state
        .undo_stack
        .record_write(changes.clone(), UndoStep::Removal(tasks));
    writes::write(state, changes, effects);
}

/// Undoes the last change: a removal, also of an earlier run, or labels. Writes still in flight
/// count too, since writes keep their order.
pub(super) fn undo(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let at = now.wall;
    let changes = match state.undo_stack.pop() {
        Some(UndoStep::Removal(tasks)) => {
            let restore = |task| ListChange::new(task, at, ChangeKind::Restore);
            tasks.into_iter().map(restore).collect()
        }
        Some(UndoStep::Labels(labels)) => {
            let relabel = |(task, label)| ListChange::new(task, at, ChangeKind::Label(label));
            labels.into_iter().map(relabel).collect()
        }
        None => return reply(state, Severity::Info, message_line::NOTHING_TO_UNDO, now),
    };
    writes::write(state, changes, effects);
}
