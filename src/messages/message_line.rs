//! The message line of the dashboard, and notifications of finished tasks.
//!
//! Sentences end with a full stop, so that a hint can follow. Titles are passed in quotes, and key
//! names as the user has bound them.

use std::{fmt::Display, time::Duration};

use crate::domain::status::Status;

// Hints: which key to press next, and what for.

/// Returns the hint to press a key; `purpose` is one of the constants below.
pub fn press(key: &str, purpose: &str) -> String {
    format!("Press {key} {purpose}.")
}

pub const UNDO_HINT: &str = "to undo";
pub const QUIT_HINT: &str = "to quit";
pub const BACK_HINT: &str = "to go back";
pub const ADD_HINT: &str = "to add tasks";
pub const REFRESH_HINT: &str = "to refresh";
pub const REFRESH_ONCE_HINT: &str = "to refresh once";
pub const REFRESH_REJECTED_HINT: &str = "to try one of them again";
pub const OPEN_INPUT_HINT: &str = "to open the input";
pub const OPEN_RESULT_HINT: &str = "to open the result";
pub const SAVE_HINT: &str = "to save it";
pub const SHOW_HINT: &str = "to see them";
/// Resumes polling or a download.
pub const RESUME_HINT: &str = "to resume";
pub const MARK_RANGE_HINT: &str = "to mark the range";
pub const RESTORE_LIST_FILE_HINT: &str = "to restore it";
pub const STOP_DOWNLOAD_HINT: &str = "again to stop";

// Tasks in general.

pub const NO_TASK_SELECTED: &str = "No task selected.";

/// Returns "1 task" or "3 tasks".
pub fn task_count(count: usize) -> String {
    count_of(count, "task")
}

/// Returns a number with a noun, in the plural unless it is one.
pub fn count_of(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

// The list: adding, removing, undo.

pub const READ_ONLY: &str = "The list is read-only (--read-only).";
pub const LIST_LOADING: &str = "The list is still loading.";
pub const LIST_SAVED_AGAIN: &str = "The list is saved again.";
pub const LIST_FILE_EXISTS: &str = "The list file exists: nothing to restore.";
pub const ALREADY_ON_LIST: &str = "Already on the list: nothing to add.";
pub const NO_TASK_TO_REMOVE: &str = "No task to remove.";
pub const ALREADY_REMOVING: &str = "Already being removed.";
pub const NOTHING_TO_UNDO: &str = "Nothing to undo.";
pub const NOTHING_RESTORED: &str =
    "Nothing restored: already on the list, or removed too long ago.";

pub fn list_not_read(error: &impl Display) -> String {
    format!("The list could not be read: {error}.")
}

pub fn nothing_changed(error: &impl Display) -> String {
    format!("Nothing was changed: {error}.")
}

pub fn list_file_missing(path: &impl Display) -> String {
    format!("The list file is missing: {path}. Its tasks are still here.")
}

pub fn list_file_not_restored(error: &impl Display) -> String {
    format!("The list file was not restored: {error}.")
}

/// Reports added tasks: those already `known`, and whether the current view hides all new ones.
pub fn added(tasks: &str, known: usize, is_hidden: bool) -> String {
    let known = match known {
        0 => String::new(),
        1 => " 1 was already on the list.".to_owned(),
        known => format!(" {known} were already on the list."),
    };
    format!("Added {tasks}.{known}{}", hidden_note(is_hidden))
}

/// Reports the undo of a removal, and whether the current view hides all of the tasks.
pub fn restored(tasks: &str, is_hidden: bool) -> String {
    format!("Restored {tasks}.{}", hidden_note(is_hidden))
}

const fn hidden_note(is_hidden: bool) -> &'static str {
    if is_hidden {
        " Hidden by the current tab or filter."
    } else {
        ""
    }
}

pub fn removed(tasks: &str) -> String {
    format!("Removed {tasks}.")
}

// Labels and notification settings.

pub const NO_TASK_TO_LABEL: &str = "No task to label.";
pub const LABEL_NOT_RESTORED: &str = "Label not restored: the task is no longer on the list.";

/// Reports the new label of `count` tasks; `None` if it was removed.
pub fn label_changed(label: Option<&str>, count: usize) -> String {
    match (label, count) {
        (Some(label), 1) => format!("Label set to \"{label}\"."),
        (Some(label), count) => format!("Label of {count} tasks set to \"{label}\"."),
        (None, 1) => "Label removed.".to_owned(),
        (None, count) => format!("Labels of {count} tasks removed."),
    }
}

/// Reports the undo of a label change; `None` if the task had none before.
pub fn label_restored(label: Option<&str>) -> String {
    match label {
        Some(label) => format!("Label restored to \"{label}\"."),
        None => "Label removed again.".to_owned(),
    }
}

pub fn labels_restored(count: usize) -> String {
    format!("Labels of {count} tasks restored.")
}

pub fn notifications_on(tasks: &str) -> String {
    format!("Notifications on for {tasks}.")
}

pub fn notifications_off(tasks: &str) -> String {
    format!("Notifications off for {tasks}.")
}

// Marks, filter, sort order, pages, keys.

pub const NO_TASK_TO_MARK: &str = "No task to mark.";
pub const RANGE_STARTED: &str = "Range starts here: move to its other end.";
pub const FILTER_CLEARED: &str = "Filter cleared.";
pub const NOTHING_TO_CLOSE: &str = "Nothing to close.";
pub const NO_TASK_TO_SHOW: &str = "No task to show.";
pub const NO_MESSAGES: &str = "No messages yet.";
pub const NO_ACTION_FOUND: &str = "No matching action.";
pub const LAST_TASK: &str = "This is the last task shown.";
pub const FIRST_TASK: &str = "This is the first task shown.";

pub fn marked(title: &str) -> String {
    format!("Marked {title}.")
}

pub fn unmarked(title: &str) -> String {
    format!("Unmarked {title}.")
}

pub fn sorted(order: &str) -> String {
    format!("Sorted: {order}.")
}

pub fn no_such_page(count: usize) -> String {
    format!("The details have {count} pages.")
}

pub fn list_key_only(key: &str) -> String {
    format!("{key} works in the list only.")
}

pub fn size_unknown(width: u16, height: u16) -> String {
    format!(
        "The terminal reports no size; using {width}x{height}. Set COLUMNS and LINES to change it."
    )
}

// Polling.

pub const SERVER_RECOVERED: &str = "The server is responding again.";
pub const POLLING_RESUMED: &str = "Checks resumed.";
pub const POLLING_PAUSED: &str = "Paused: no automatic checks.";
pub const NO_TASK_TO_REFRESH: &str = "No task to refresh.";
pub const NO_TASKS_YET: &str = "No tasks yet.";
pub const ALREADY_REFRESHING: &str = "Already being refreshed.";
pub const OTHERS_REJECTED: &str = "The server rejected the others permanently.";
pub const ALL_FINISHED: &str = "All tasks are finished: nothing to refresh.";
pub const REFRESHED_BY_OTHER: &str =
    "Another kietop is refreshing it; the result will appear here.";

pub fn refreshing(tasks: &str) -> String {
    format!("Refreshing {tasks}.")
}

pub fn just_refreshed(wait_secs: f64) -> String {
    format!("Just refreshed; wait {wait_secs}s.")
}

/// Reports that a requested refresh has to wait for the account's backoff.
pub fn refresh_blocked(reason: &str, wait_secs: f64) -> String {
    format!("Waiting: {reason}. Next try in {wait_secs}s.")
}

/// Reports the poll intervals; `limit` is "fastest" or "slowest" where they cannot change further.
pub fn poll_intervals([young, steady, late]: [u64; 3], limit: Option<&str>) -> String {
    let limit = limit.map_or_else(String::new, |limit| format!(" That is the {limit}."));
    format!("Checking every {young}s (first 2 min), {steady}s, {late}s (late).{limit}")
}

// Opening, comparing and copying.

pub const NO_INPUT_TO_OPEN: &str = "The server gave no input link that can be opened.";
pub const NO_INPUT_TO_COMPARE: &str = "The server gave no input link to compare with.";
pub const NO_TASK_TO_COPY: &str = "No task to copy from.";

/// Reports that none of the `count` marked tasks has a video.
pub fn no_marked_video(count: usize) -> String {
    match count {
        1 => "The marked task has no video to open.".to_owned(),
        count => format!("None of the {count} marked tasks has a video to open."),
    }
}

/// Reports how many videos are opened, and how many of the marked tasks have none.
pub fn opening_some(videos: usize, without: usize) -> String {
    let verb = if without == 1 { "has" } else { "have" };
    let (videos, without) = (count_of(videos, "video"), task_count(without));
    format!("Opening {videos}; {without} {verb} none.")
}

pub fn opened_in_browser(host: &str) -> String {
    format!("Opened in the browser ({host}).")
}

pub fn links_not_opened(reason: &str, links: &str) -> String {
    format!("{reason}: {links}")
}

pub fn opened_file(path: &str) -> String {
    format!("Opened the saved file ({path}).")
}

pub fn comparison_opened(title: &str) -> String {
    format!("Opened the comparison of {title} in the browser.")
}

/// Returns why a task has no result to `verb`: "open", "save" or "compare".
pub fn no_result(status: Status, verb: &str) -> String {
    match status {
        Status::New => format!("No answer yet: nothing to {verb}."),
        Status::Generating | Status::Finishing | Status::Late => {
            format!("Still generating: nothing to {verb} yet.")
        }
        Status::CreateFailed | Status::GenerationFailed => {
            format!("The task failed: nothing to {verb}.")
        }
        Status::NotFound => format!("Not found on the server: nothing to {verb}."),
        Status::Unknown => format!("Unknown status from the server: nothing to {verb}."),
        Status::Ready
        | Status::Saved
        | Status::NoLink
        | Status::LinkExpired
        | Status::CallbackFailed => "The server gave no link that can be opened.".to_owned(),
    }
}

pub fn nothing_to_copy(reason: &str) -> String {
    format!("Nothing to copy: {reason}.")
}

pub fn not_in_copy_menu(key: char) -> String {
    format!("{key} is not in the copy menu.")
}

pub fn copied(name: &str, program: &str) -> String {
    format!("Copied {name} with {program}.")
}

pub fn copied_to_terminal(name: &str) -> String {
    format!("Sent {name} to the terminal clipboard (OSC 52); not every terminal supports it.")
}

pub fn too_large_to_copy(reason: &str, kilobytes: usize) -> String {
    format!("Not copied: {reason}; {kilobytes} kB is too large for the terminal clipboard.")
}

// Saving.

pub const TYPE_A_FOLDER: &str = "Type a folder.";
pub const DOWNLOAD_STOPPED: &str = "Stopped; the partial download is kept.";

/// Follows the sentence about a removal.
pub const DOWNLOAD_STOPPED_TOO: &str = "Its download was stopped; the partial file is kept.";

pub fn invalid_folder(error: &impl Display) -> String {
    format!("Invalid folder: {error}.")
}

pub fn already_saved(path: &str) -> String {
    format!("Already saved: {path}.")
}

/// Reports a started save; `hidden` of its tasks are not in the current view.
pub fn saving(tasks: &str, hidden: usize, folder: &str) -> String {
    let hidden = match hidden {
        0 => String::new(),
        hidden => format!(" ({hidden} hidden)"),
    };
    format!("Saving {tasks}{hidden} to {folder}.")
}

pub fn saved(title: &str, path: &str) -> String {
    format!("Saved {title} to {path}.")
}

pub fn save_failed(title: &str, error: &str, next_step: &str) -> String {
    format!("{title} was not saved: {error}. {next_step}")
}

pub fn next_try(wait: &str) -> String {
    format!("Next try in {wait}.")
}

/// Reports interrupted saves; without automatic saving a hint follows.
pub fn save_interrupted(tasks: &str, is_resumed: bool) -> String {
    let resuming = if is_resumed { "; resuming" } else { "" };
    format!("Saving {tasks} was interrupted{resuming}.")
}

/// Reports the progress of a save; `percent` is `None` while the size is unknown.
pub fn save_progress(tasks: &str, percent: Option<u8>, files: usize, is_queued: bool) -> String {
    match percent {
        Some(percent) => format!("{tasks}: {percent}% saved."),
        None if is_queued => format!("{tasks}: queued."),
        None => format!("{tasks}: {} downloading.", count_of(files, "file")),
    }
}

pub fn link_expires(title: &str, left: Duration) -> String {
    let minutes = usize::try_from(left.as_secs() / 60).unwrap_or(usize::MAX);
    let left = match minutes {
        0..60 => count_of(minutes, "minute"),
        _ => count_of(minutes / 60, "hour"),
    };
    format!("The link of {title} expires in about {left}.")
}

pub fn links_expire(count: usize) -> String {
    format!("{count} links expire within two days.")
}

// Finished tasks.

/// Returns the sentence about a finished task; `None` for an unfinished one.
pub fn task_finished(title: &str, status: Status) -> Option<String> {
    let sentence = match status {
        Status::Ready | Status::Saved | Status::LinkExpired => format!("{title} is ready."),
        Status::NoLink => format!("{title} is finished, but has no link yet."),
        Status::CallbackFailed => format!("{title} is ready; only its callback failed."),
        Status::CreateFailed => format!("{title} could not be created."),
        Status::GenerationFailed => format!("{title} failed."),
        Status::NotFound => format!("{title} was not found on the server."),
        Status::Unknown => format!("{title}: unknown status from the server."),
        Status::New | Status::Generating | Status::Finishing | Status::Late => return None,
    };
    Some(sentence)
}

/// Returns the status word that [`tasks_finished`] counts, from the name of a state.
pub fn finished_word(name: &'static str) -> &'static str {
    match name {
        "succeeded" => "ready",
        "rescued" => "no callback",
        "not_found" => "not found",
        name => name,
    }
}

/// Returns "3 tasks finished: 2 ready, 1 failed."; `counts` holds a status word and its number.
pub fn tasks_finished(counts: &[(&str, usize)]) -> String {
    with_counts("finished", counts)
}

/// Returns the same for tasks that had finished before this run.
pub fn tasks_already_finished(counts: &[(&str, usize)]) -> String {
    with_counts("were already finished", counts)
}

fn with_counts(what: &str, counts: &[(&str, usize)]) -> String {
    let total = task_count(counts.iter().map(|(_, count)| count).sum());
    let parts = counts.iter().map(|(word, count)| format!("{count} {word}"));
    format!("{total} {what}: {}.", parts.collect::<Vec<_>>().join(", "))
}

/// Follows the sentences of a notification that names some of its tasks.
pub fn more_finished(count: usize) -> String {
    format!("And {count} more.")
}
