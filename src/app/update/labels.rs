//! What the user sets on a task: its label, and notifications on or off.

use super::{
    messages::{of_several_tasks, offer_undo, quoted_title, reject_if_read_only, reply},
    writes,
};
use crate::{
    app::{
        msg::Effect,
        state::{Labels, LineDialog, LineEditor, LinePurpose, Overlay, Severity, State, UndoStep},
    },
    domain::{
        list_change::{ChangeKind, ListChange},
        task::TaskId,
        text::CleanText,
        time::Now,
        watched_task::{MAX_LABEL_LEN, NotifySetting, WatchedTask},
    },
    messages::message_line,
};

/// Opens the editor for the target tasks, with their common label.
pub(super) fn open_editor(state: &mut State, now: Now) {
    let targets = state.targets();
    if targets.is_empty() {
        return reply(state, Severity::Info, message_line::NO_TASK_TO_LABEL, now);
    }
    let mut labels = targets.iter().map(|watched| watched.label.as_ref());
    let first = labels.next().flatten();
    let is_mixed = labels.any(|label| label != first);
    let mut dialog = label_dialog(state.target_ids(), first.filter(|_| !is_mixed));
    if is_mixed {
        dialog.placeholder = "(different labels)";
    }
    let hidden = state.hidden_targets();
    if hidden > 0 {
        let note = format!("{} ({hidden} hidden)", dialog.note);
        note.trim_start().clone_into(&mut dialog.note);
    }
    state.overlay = Some(Overlay::Line(Box::new(dialog)));
}

/// Returns the editor with a label, also to offer a label again that could not be written.
pub(super) fn label_dialog(tasks: Vec<TaskId>, label: Option<&CleanText>) -> LineDialog {
    LineDialog {
        purpose: LinePurpose::Label,
        title: "Label".to_owned(),
        note: of_several_tasks(tasks.len()),
        prompt: "label: ",
        placeholder: "none",
        accept_words: ["save", "remove the label"],
        line: LineEditor::new(label.map_or("", CleanText::as_str), MAX_LABEL_LEN),
        tasks,
    }
}

/// Writes the label and closes the editor.
pub(super) fn accept(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if reject_if_read_only(state, now) {
        return;
    }
    let Some(Overlay::Line(dialog)) = &state.overlay else {
        return;
    };
    let label = dialog.line.label();
    let change =
        |task: &TaskId| ListChange::new(task.clone(), now.wall, ChangeKind::Label(label.clone()));
    let changes: Vec<_> = dialog.tasks.iter().map(change).collect();
    let before: Labels = dialog
        .tasks
        .iter()
        .filter_map(|task| {
            let known = state.list.get(task)?.label.clone();
            let before = state.undo_stack.label_after_writes(task, known);
            (before != label).then(|| (task.clone(), before))
        })
        .collect();
    if !before.is_empty() {
        state
            .undo_stack
            .record_write(changes.clone(), UndoStep::Labels(before));
    }
    state.overlay = None;
    writes::write(state, changes, effects);
}

/// Turns notifications of the target tasks off, or on if they are off for all of them.
pub(super) fn toggle_notify(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let targets = state.targets();
    if targets.is_empty() {
        return reply(state, Severity::Info, message_line::NO_TASK_SELECTED, now);
    }
    let is_off = |watched: &&WatchedTask| watched.notify == NotifySetting::Off;
    let notify = if targets.iter().all(is_off) {
        NotifySetting::On
    } else {
        NotifySetting::Off
    };
    let change = |watched: &&WatchedTask| {
        let task = watched.id().clone();
        ListChange::new(task, now.wall, ChangeKind::SetNotify(notify))
    };
    let changes = targets.iter().map(change).collect();
    writes::write(state, changes, effects);
}

/// Reports a written change; `before` are the labels that it replaced.
pub(super) fn change_written(state: &mut State, changes: &[&ListChange], before: Labels, now: Now) {
    let Some(first) = changes.first() else { return };
    let count = changes.len();
    let text = if let ChangeKind::SetNotify(notify) = first.kind {
        let tasks = match (count, state.list.get(&first.task)) {
            (1, Some(watched)) => quoted_title(watched),
            _ => message_line::task_count(count),
        };
        match notify {
            NotifySetting::On => message_line::notifications_on(&tasks),
            NotifySetting::Off => message_line::notifications_off(&tasks),
        }
    } else {
        message_line::label_changed(new_label(first), count)
    };
    if before.is_empty() {
        return reply(state, Severity::Info, text, now);
    }
    state.undo_stack.push(UndoStep::Labels(before));
    offer_undo(state, &text, now);
}

fn new_label(change: &ListChange) -> Option<&str> {
    if let ChangeKind::Label(label) = &change.kind {
        label.as_ref().map(CleanText::as_str)
    } else {
        None
    }
}

/// Reports restored labels.
pub(super) fn labels_restored(state: &mut State, changes: &[&ListChange], now: Now) {
    let text = match changes {
        [] => message_line::LABEL_NOT_RESTORED.to_owned(),
        [change] => message_line::label_restored(new_label(change)),
        several => message_line::labels_restored(several.len()),
    };
    reply(state, Severity::Info, text, now);
}
