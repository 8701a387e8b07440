//! The add dialog: choosing among the ids found, and adding them to the list.

use super::{
    context::Context,
    messages::{reject_if_read_only, reply},
    writes,
};
use crate::{
    app::state::{AddDialog, Overlay, Severity, State},
    domain::{list_change::ListChange, task::TaskId},
    messages::ids,
};

pub(super) fn change_field(state: &mut State, change: fn(&mut AddDialog)) {
    if let Some(Overlay::Add(dialog)) = &mut state.overlay {
        change(dialog);
    }
}

/// Adds the selected ids and closes the dialog; without any it explains why and stays open.
pub(super) fn accept(cx: &mut Context) {
    if reject_if_read_only(cx) {
        return;
    }
    let Some(Overlay::Add(dialog)) = &cx.state.overlay else {
        return;
    };
    let label = dialog.label.label();
    let add = |task: &TaskId| ListChange::add(task.clone(), label.clone(), cx.now.wall);
    let changes: Vec<_> = dialog.selected().map(add).collect();
    if changes.is_empty() {
        let reason = match (dialog.candidates.as_slice(), dialog.rejected.first()) {
            ([], None) => ids::NO_ID_IN_DIALOG.to_owned(),
            ([], Some(word)) => ids::not_task_id(word.as_str()),
            ([..], _) => ids::NOTHING_SELECTED.to_owned(),
        };
        return reply(cx, Severity::Warning, reason);
    }
    cx.state.overlay = None;
    writes::write(cx, changes);
}
