//! `kietop remove`: removes tasks from the list. Nothing is deleted on the server, and the journal
//! is kept.

use std::fmt::Write as _;

use super::{
    args::{GlobalArgs, RemoveArgs},
    failure::{CommandFailure, exit},
    output, resolve,
    services::CommandContext,
};
use crate::{
    adapters::desktop::SystemClock,
    domain::list_change::{ChangeKind, ChangeResult, ListChange},
    messages::command_line as messages,
};

/// Removes tasks, all or none; if some are not on the list, reports each of them.
pub fn run(args: &RemoveArgs, global: &GlobalArgs) -> Result<(), CommandFailure> {
    let mut store = CommandContext::load_to_write(global)?.open_list()?;
    let at = SystemClock::wall();
    let (mut changes, mut errors) = (Vec::new(), Vec::new());
    for text in &args.ids {
        match resolve::resolve_id(&mut store, text) {
            Ok(task) => {
                let change = ListChange::new(task, at, ChangeKind::Remove);
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
            Err(error) if error.code == exit::NO_SUCH_TASK => errors.push(error.message),
            Err(error) => return Err(error),
        }
    }
    if !errors.is_empty() {
        if args.ids.len() > 1 {
            errors.push(messages::NOTHING_REMOVED.to_owned());
        }
        return Err(CommandFailure::no_such_task(errors.join("\n")));
    }
    let applied = store.apply(&changes)?;
    let mut lines = String::new();
    for (change, applied) in changes.iter().zip(applied) {
        if applied == ChangeResult::Removed {
            // Writing into a `String` cannot fail.
            writeln!(lines, "{} removed", change.task).unwrap_or_default();
        } else {
            errors.push(resolve::not_on_list(&change.task).message);
        }
    }
    output::to_stdout(&lines)?;
    if errors.is_empty() {
        return Ok(());
    }
    Err(CommandFailure::no_such_task(errors.join("\n")))
}
