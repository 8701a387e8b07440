//! What the user sets on a task: its label, and notifications on or off.

use super::{
    context::Context,
    messages::{of_several_tasks, offer_undo, quoted_title, reject_if_read_only, reply},
    writes,
};
use crate::{
    app::state::{Labels, LineDialog, LineEditor, LinePurpose, Overlay, Severity, UndoStep},
    domain::{
        list_change::{ChangeKind, ListChange},
        task::TaskId,
        text::CleanText,
        watched_task::{MAX_LABEL_LEN, NotifySetting, WatchedTask},
    },
    messages::message_line,
};

/// Opens the editor for the target tasks, with their common label.
pub(super) fn open_editor(cx: &mut Context) {
    let targets = cx.state.targets();
    if targets.is_empty() {
        return reply(cx, Severity::Info, message_line::NO_TASK_TO_LABEL);
    }
    let mut labels = targets.iter().map(|watched| watched.label.as_ref());
    let first = labels.next().flatten();
    let is_mixed = labels.any(|label| label != first);
    let mut dialog = label_dialog(cx.state.target_ids(), first.filter(|_| !is_mixed));
    if is_mixed {
        dialog.placeholder = "(different labels)";
    }
    let hidden = cx.state.hidden_targets();
    if hidden > 0 {
        let note = format!("{} ({hidden} hidden)", dialog.note);
        note.trim_start().clone_into(&mut dialog.note);
    }
    cx.state.overlay = Some(Overlay::Line(Box::new(dialog)));
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
pub(super) fn accept(cx: &mut Context) {
    if reject_if_read_only(cx) {
        return;
    }
    let Some(Overlay::Line(dialog)) = &cx.state.overlay else {
        return;
    };
    let label = dialog.line.label();
    let change = |task: &TaskId| {
        ListChange::new(task.clone(), cx.now.wall, ChangeKind::Label(label.clone()))
    };
    let changes: Vec<_> = dialog.tasks.iter().map(change).collect();
    let before: Labels = dialog
        .tasks
        .iter()
        .filter_map(|task| {
            let known = cx.state.list.get(task)?.label.clone();
            let before = cx.state.undo_stack.label_after_writes(task, known);
            (before != label).then(|| (task.clone(), before))
        })
        .collect();
    if !before.is_empty() {
        cx.state
            .undo_stack
            .record_write(changes.clone(), UndoStep::Labels(before));
    }
    cx.state.overlay = None;
    writes::write(cx, changes);
}

/// Turns notifications of the target tasks off, or on if they are off for all of them.
pub(super) fn toggle_notify(cx: &mut Context) {
    let targets = cx.state.targets();
    if targets.is_empty() {
        return reply(cx, Severity::Info, message_line::NO_TASK_SELECTED);
    }
    let is_off = |watched: &&WatchedTask| watched.notify == NotifySetting::Off;
    let notify = if targets.iter().all(is_off) {
        NotifySetting::On
    } else {
        NotifySetting::Off
    };
    let change = |watched: &&WatchedTask| {
        let task = watched.id().clone();
        ListChange::new(task, cx.now.wall, ChangeKind::SetNotify(notify))
    };
    let changes = targets.iter().map(change).collect();
    writes::write(cx, changes);
}

/// Reports a written change; `before` are the labels that it replaced.
pub(super) fn change_written(cx: &mut Context, changes: &[&ListChange], before: Labels) {
    let Some(first) = changes.first() else { return };
    let count = changes.len();
    let text = if let ChangeKind::SetNotify(notify) = first.kind {
        let tasks = match (count, cx.state.list.get(&first.task)) {
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
        return reply(cx, Severity::Info, text);
    }
    cx.state.undo_stack.push(UndoStep::Labels(before));
    offer_undo(cx, &text);
}

fn new_label(change: &ListChange) -> Option<&str> {
    if let ChangeKind::Label(label) = &change.kind {
        label.as_ref().map(CleanText::as_str)
    } else {
        None
    }
}

/// Reports restored labels.
pub(super) fn labels_restored(cx: &mut Context, changes: &[&ListChange]) {
    let text = match changes {
        [] => message_line::LABEL_NOT_RESTORED.to_owned(),
        [change] => message_line::label_restored(new_label(change)),
        several => message_line::labels_restored(several.len()),
    };
    reply(cx, Severity::Info, text);
}
