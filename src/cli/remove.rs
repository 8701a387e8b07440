//! `kietop remove`: off the list. The API is never asked to delete anything, and the journal is
//! kept.

use std::fmt::Write as _;

use super::{Failure, GlobalArgs, RemoveArgs, exit, output, services};
use crate::{
    adapters::desktop::SystemClock,
    domain::list_change::{ChangeResult, ListChange},
    ports::ListStore as _,
};

/// Removes tasks, all or none: every one that is not there is named first.
pub fn run(remove: &RemoveArgs, global: &GlobalArgs) -> Result<(), Failure> {
    services::require_writable(global)?;
    let mut store = services::open_list(global)?;
    let at = SystemClock::wall();
    let (mut changes, mut faults) = (Vec::new(), Vec::new());
    for text in &remove.ids {
        match services::resolve_id(&mut store, text) {
            Ok(task) => {
                let change = ListChange::Remove { task, at };
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
            Err(fault) if fault.code == exit::NO_SUCH_TASK => faults.push(fault.message),
            Err(fault) => return Err(fault),
        }
    }
    if !faults.is_empty() {
        if remove.ids.len() > 1 {
            faults.push("Nothing was removed.".to_owned());
        }
        return Err(Failure::new(exit::NO_SUCH_TASK, faults.join("\n")));
    }
    let applied = store
        .apply(&changes)
        .map_err(|error| services::store_failure(&error))?;
    let mut said = String::new();
    for (change, applied) in changes.iter().zip(applied) {
        if applied == ChangeResult::Removed {
            // Writing into a `String` cannot fail.
            writeln!(said, "{} removed", change.task()).unwrap_or_default();
        } else {
            faults.push(services::not_on_list(change.task()).message);
        }
    }
    output::to_stdout(&said)?;
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::new(exit::NO_SUCH_TASK, faults.join("\n")))
}
