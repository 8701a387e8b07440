//! Watched tasks named on the command line.

use super::failure::CommandFailure;
use crate::{
    adapters::store::{MIN_PREFIX_LEN, SqliteStore},
    domain::{task::TaskId, text::CleanText, watched_task::WatchedTask},
    messages::command_line as messages,
};

/// Finds the watched task with this id or unique prefix.
pub fn resolve_id(store: &mut SqliteStore, text: &str) -> Result<TaskId, CommandFailure> {
    let shown = CleanText::line(text, 80);
    let mut found = store.resolve(text)?.into_iter();
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) if text.chars().count() < MIN_PREFIX_LEN => Err(CommandFailure::no_such_task(
            messages::prefix_too_short(&shown, MIN_PREFIX_LEN),
        )),
        (None, _) => Err(CommandFailure::no_such_task(messages::no_match(&shown))),
        (Some(one), Some(other)) => Err(CommandFailure::no_such_task(messages::ambiguous_prefix(
            &shown, &one, &other,
        ))),
    }
}

/// Finds the watched tasks with these ids or unique prefixes, each once.
pub fn resolve_ids(
    store: &mut SqliteStore,
    texts: &[String],
) -> Result<Vec<TaskId>, CommandFailure> {
    let mut ids = Vec::new();
    for text in texts {
        let id = resolve_id(store, text)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Returns a watched task; fails if it is not on the list.
pub fn find_task(store: &mut SqliteStore, id: &TaskId) -> Result<WatchedTask, CommandFailure> {
    let found = store.get(id)?;
    found.ok_or_else(|| not_on_list(id))
}

/// Returns the failure for a task that is not on the list.
pub fn not_on_list(id: &TaskId) -> CommandFailure {
    CommandFailure::no_such_task(messages::not_on_list(id))
}

/// Records which of a task's saved files exist. Blocks on the disk.
pub fn check_saved_files(watched: &mut WatchedTask) {
    let paths: Vec<_> = watched
        .saved_results
        .files()
        .iter()
        .map(|file| file.path.clone())
        .collect();
    for path in paths {
        let exists = path.is_file();
        watched.saved_results.set_exists(&path, exists);
    }
}
