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
    let tasks: Vec<_> = targets
        .into_iter()
        .map(|watched| watched.id().clone())
        .collect();
    let hidden = state.hidden_targets();
    match tasks.len() {
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
    let remove = |task| Change::Remove { task, at: now.wall };
    effects.push(Effect::Store(tasks.into_iter().map(remove).collect()));
}

/// Takes back what was done last: a removal, one of an earlier run too, or labels.
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
