//! `kietop remove`: off the list. The API is never asked to delete anything, and the journal is kept.

use super::{Failure, Global, Remove, output, place};
use crate::{adapters::desktop::SystemClock, domain::change::Change, ports::ListStore as _};

/// Removes tasks, all or none.
pub fn run(remove: &Remove, global: &Global) -> Result<(), Failure> {
    place::writable(global)?;
    let mut store = place::list(global)?;
    let at = SystemClock::wall();
    let mut changes = Vec::new();
    for text in &remove.ids {
        changes.push(Change::Remove {
            task: place::resolve(&mut store, text)?,
            at,
        });
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
