//! `kietop remove`: off the list. The API is never asked to delete anything, and the journal is kept.

use super::{Failure, Global, Remove, exit, output, place};
use crate::{adapters::desktop::SystemClock, domain::change::Change, ports::ListStore as _};

/// Removes tasks, all or none: every one that is not there is named first.
pub fn run(remove: &Remove, global: &Global) -> Result<(), Failure> {
    place::writable(global)?;
    let mut store = place::list(global)?;
    let at = SystemClock::wall();
    let (mut changes, mut faults) = (Vec::new(), Vec::new());
    for text in &remove.ids {
        match place::resolve(&mut store, text) {
            Ok(task) => changes.push(Change::Remove { task, at }),
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
    store
        .apply(&changes)
        .map_err(|error| place::store_failed(&error))?;
    let said: Vec<_> = changes
        .iter()
        .map(|change| format!("{} removed\n", change.task()))
        .collect();
    output::data(&said.concat())
}
