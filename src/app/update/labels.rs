//! What a person says of a task: what it is called, and whether its ending is told of.

use super::{
    notices::{notify, offer_undo, quoted, refuses_changes},
    selection,
};
use crate::{
    app::{
        msg::Effect,
        state::{LabelEditor, Labels, Overlay, State, Tone, Undo},
    },
    domain::{
        change::Change,
        task::TaskId,
        time::Now,
        watched::{Notices, Watched},
    },
};

/// Opens the editor of the label.
pub(super) fn open(state: &mut State, now: Now) {
    if refuses_changes(state, now) {
        return;
    }
    let editor = LabelEditor::of(&state.targets());
    if editor.tasks().is_empty() {
        return notify(state, Tone::Plain, "No task to label.", now);
    }
    state.overlay = Some(Overlay::Label(Box::new(editor)));
}

/// Orders the label to be written and closes the editor.
pub(super) fn accept(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if refuses_changes(state, now) {
        return;
    }
    let Some(Overlay::Label(editor)) = &state.overlay else {
        return;
    };
    let label = editor.label();
    let change = |task: &TaskId| Change::Label {
        task: task.clone(),
        at: now.wall,
        label: label.clone(),
    };
    let changes: Vec<_> = editor.tasks().iter().map(change).collect();
    let before: Labels = editor
        .tasks()
        .iter()
        .filter_map(|task| {
            let known = state.list.get(task)?.label.clone();
            let before = state.undos.label_after_writes(task, known);
            (before != label).then(|| (task.clone(), before))
        })
        .collect();
    if !before.is_empty() {
        state
            .undos
            .record_write(changes.clone(), Undo::Labels(before));
    }
    state.overlay = None;
    effects.push(Effect::Store(changes));
}

/// Turns the notices of the tasks off when those of all are on or mixed, else on.
pub(super) fn toggle_notices(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if refuses_changes(state, now) {
        return;
    }
    let targets = state.targets();
    if targets.is_empty() {
        return notify(state, Tone::Plain, "No task selected.", now);
    }
    let is_off = |watched: &&Watched| watched.notices == Notices::Off;
    let notices = if targets.iter().all(is_off) {
        Notices::On
    } else {
        Notices::Off
    };
    let change = |watched: &&Watched| Change::Notify {
        task: watched.id().clone(),
        at: now.wall,
        notices,
    };
    let changes = targets.iter().map(change).collect();
    effects.push(Effect::Store(changes));
}

/// Applies a user's written change and shows its result; shows nothing if its undo is in flight.
pub(super) fn taken_in(state: &mut State, changes: &[&Change], is_undone: bool, now: Now) {
    let before = note(state, changes, now);
    if is_undone {
        return;
    }
    let count = changes.len();
    let text = match changes.first() {
        Some(Change::Label { label, .. }) => match (label, count) {
            (Some(label), 1) => format!("Now called \"{label}\"."),
            (Some(label), _) => format!("{count} tasks are now called \"{label}\"."),
            (None, 1) => "The label is gone.".to_owned(),
            (None, _) => format!("The labels of {count} tasks are gone."),
        },
        Some(Change::Notify { task, notices, .. }) => {
            let what = match (count, state.list.get(task)) {
                (1, Some(watched)) => quoted(watched),
                _ => format!("{count} tasks"),
            };
            match notices {
                Notices::On => format!("On: the ending of {what} is told of again."),
                Notices::Off => {
                    format!("Off: the ending of {what} is told of on this screen alone.")
                }
            }
        }
        _ => return,
    };
    if before.is_empty() {
        return notify(state, Tone::Plain, text, now);
    }
    state.undos.push(Undo::Labels(before));
    offer_undo(state, &text, now);
}

/// Takes in the labels that were brought back, and says so.
pub(super) fn returned(state: &mut State, changes: &[&Change], now: Now) {
    note(state, changes, now);
    let text = match changes {
        [] => "The label was not brought back: its task is not watched any more.".to_owned(),
        [
            Change::Label {
                label: Some(label), ..
            },
        ] => format!("Called \"{label}\" again."),
        [_] => "Without a label again.".to_owned(),
        several => format!("The labels of {} tasks are as before.", several.len()),
    };
    notify(state, Tone::Plain, text, now);
}

/// Notes what was said of tasks; returns the labels of those that are called something else now.
fn note(state: &mut State, changes: &[&Change], now: Now) -> Labels {
    let mut before = Labels::new();
    selection::steadily(state, now, |rows| {
        for change in changes {
            rows.change(change.task(), |watched| match change {
                Change::Label { task, label, .. } => {
                    let old = std::mem::replace(&mut watched.label, label.clone());
                    if old != *label {
                        before.push((task.clone(), old));
                    }
                }
                Change::Notify { notices, .. } => watched.notices = *notices,
                Change::Add { .. }
                | Change::Remove { .. }
                | Change::Restore { .. }
                | Change::Observed { .. }
                | Change::CheckFailed { .. }
                | Change::Opened { .. }
                | Change::SaveBegun { .. }
                | Change::Saved { .. }
                | Change::NotSaved { .. }
                | Change::Warned { .. } => {}
            });
        }
    });
    before
}
