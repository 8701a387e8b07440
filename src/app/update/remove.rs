//! Removing tasks, and undoing the last removal or label change as a whole.

use super::{context::Context, messages::reply, selection, writes};
use crate::{
    app::state::{Confirm, MainScreen, Overlay, Severity, UndoStep},
    domain::{
        list_change::{ChangeKind, ListChange},
        task::TaskId,
    },
    messages::message_line,
};

/// Removes the target task; asks first for several tasks or a hidden one.
pub(super) fn remove_targets(cx: &mut Context) {
    let mut tasks = cx.state.target_ids();
    let has_targets = !tasks.is_empty();
    tasks.retain(|task| !cx.state.undo_stack.is_removing(task));
    let hidden = cx.state.hidden_targets();
    match tasks.len() {
        0 if has_targets => reply(cx, Severity::Info, message_line::ALREADY_REMOVING),
        0 => reply(cx, Severity::Info, message_line::NO_TASK_TO_REMOVE),
        1 if hidden == 0 => remove_tasks(cx, tasks),
        _ => {
            cx.state.overlay = Some(Overlay::Confirm(Confirm::Remove { tasks, hidden }));
        }
    }
}

/// Removes tasks in one change, so that one undo restores all of them.
pub(super) fn remove_tasks(cx: &mut Context, tasks: Vec<TaskId>) {
    cx.state.nav.screen = MainScreen::List;
    selection::leave_detail(cx.state);
    let remove = |task: &TaskId| ListChange::new(task.clone(), cx.now.wall, ChangeKind::Remove);
    let changes: Vec<_> = tasks.iter().map(remove).collect();
    cx.state
        .undo_stack
        .record_write(changes.clone(), UndoStep::Removal(tasks));
    writes::write(cx, changes);
}

/// Undoes the last change: a removal, also of an earlier run, or labels. Writes still in flight
/// count too, since writes keep their order.
pub(super) fn undo(cx: &mut Context) {
    let Some(step) = cx.state.undo_stack.pop() else {
        return reply(cx, Severity::Info, message_line::NOTHING_TO_UNDO);
    };
    let change = |(task, kind)| ListChange::new(task, cx.now.wall, kind);
    let changes = step.changes().into_iter().map(change).collect();
    writes::write(cx, changes);
}
