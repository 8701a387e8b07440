//! Removals: several at once are asked about once. And taking back, whole, what was done last: a removal or labels.

use super::{
    notices::{notify, refuses_changes},
    selection,
};
use crate::{
    app::{
        msg::Effect,
        state::{Confirm, Overlay, Screen, State, Tone, Undo},
    },
    domain::{change::Change, task::TaskId, time::Now},
};

/// Removes the task meant; several of them, or one that is not to be seen, after a yes.
pub(super) fn remove(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if refuses_changes(state, now) {
        return;
    }
    let targets = state.targets();
    let is_any = !targets.is_empty();
    let tasks: Vec<_> = targets
        .into_iter()
        .map(|watched| watched.id().clone())
        .filter(|task| !state.undos.is_removing(task))
        .collect();
    let hidden = state.hidden_targets();
    match tasks.len() {
        0 if is_any => notify(state, Tone::Plain, "Already being removed.", now),
        0 => notify(state, Tone::Plain, "No task to remove.", now),
        1 if hidden == 0 => remove_all(state, tasks, now, effects),
        _ => {
            state.overlay = Some(Overlay::Confirm(Confirm::Remove { tasks, hidden }));
        }
    }
}

/// Orders tasks to be removed, in one change that one undo takes back.
pub(super) fn remove_all(
    state: &mut State,
    tasks: Vec<TaskId>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    state.screen = Screen::List;
    selection::settle(state);
    let remove = |task: &TaskId| Change::Remove {
        task: task.clone(),
        at: now.wall,
    };
    let changes: Vec<_> = tasks.iter().map(remove).collect();
    state
        .undos
        .record_write(changes.clone(), Undo::Removal(tasks));
    effects.push(Effect::Store(changes));
}

/// Undoes the last change: a removal, also of an earlier run, or labels. Writes that are not
/// answered yet count too: they are written in order.
pub(super) fn undo(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if refuses_changes(state, now) {
        return;
    }
    let at = now.wall;
    let changes = match state.undos.pop() {
        Some(Undo::Removal(tasks)) => {
            let restore = |task| Change::Restore { task, at };
            tasks.into_iter().map(restore).collect()
        }
        Some(Undo::Labels(labels)) => {
            let relabel = |(task, label)| Change::Label { task, at, label };
            labels.into_iter().map(relabel).collect()
        }
        None => return notify(state, Tone::Plain, "Nothing to undo.", now),
    };
    effects.push(Effect::Store(changes));
}
