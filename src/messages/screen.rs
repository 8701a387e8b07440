//! The details, banners, dialogs and empty screens of the dashboard.
//!
//! Times and keys are passed as formatted text. A parameter `open`, `save` or `check` is the key of
//! that action.

use crate::domain::status::Tab;

impl Tab {
    /// Returns the title on the screen; [`Tab::key`] is the name in files.
    pub fn title(self) -> &'static str {
        if self == Self::Rescued {
            "Callback"
        } else {
            self.key()
        }
    }
}

// The banner

pub const RETRYING_NOW: &str = "Retrying now.";

pub fn retrying_in(wait: &str) -> String {
    format!("Retrying in {wait}.")
}

pub fn list_file_missing(restore: &str) -> String {
    format!("Not saved: list file missing. Press {restore} to restore it.")
}

pub fn not_saved(error: &str) -> String {
    format!("Not saved: {error}.")
}

pub const NO_API_KEY: &str = "No API key: set KIE_API_KEY and restart.";

pub const CHECKING_NOW: &str = "Checking now.";

// The empty list

pub const LIST_NOT_READ: &str = "Could not read the list.";

pub const NOTHING_WRITTEN: &str = "Nothing is written until it can be read.";

pub const ADD_TASKS: &str = "add tasks by id";

pub const PASTE_ANYTHING: &str = "ids, JSON, links, curl logs: kietop finds the ids";

pub const SET_API_KEY: &str = "not set: export it (see https://kie.ai/api-key) and restart";

pub const TRY_DEMO: &str = "try it out: no key, no network, nothing saved";

pub const WHERE_IDS_ARE: &str =
    "The id is in the response to your request (taskId); kie.ai cannot list it later.";

pub fn no_tasks_in(tab: Tab) -> String {
    format!("No tasks in {}.", tab.title())
}

/// Explains an empty list while a filter is active. `total` is the number of tasks without it, in
/// `tab` or on the whole list.
pub fn no_match(total: usize, tab: Option<Tab>, clear: &str) -> String {
    let place = tab.map_or_else(String::new, |tab| format!(" in {}", tab.title()));
    let problem = match total {
        0 => format!("No tasks{place}."),
        1 => format!("The only task{place} does not match."),
        _ => format!("None of {total} tasks{place} match."),
    };
    format!("{problem} Press {clear} to clear the filter.")
}

// Advice in the details

pub const GENERATING: &str = "Still generating; nothing to do.";

pub const FINISHING: &str = "The video seems finished; waiting for the server to confirm it.";

pub const LATE: &str = "Still generating, but slower than most tasks.";

pub const MAY_BE_CHARGED_TWICE: &str = "Resubmitting now may be charged twice.";

pub const CALLBACK_FAILED: &str = "The video is ready; only the callback to your URL failed.";

pub const NOT_CREATED: &str =
    "Could not be created: there is no video. Fix the cause and submit it again.";

pub const GENERATION_FAILED: &str =
    "Generation failed: there is no video. Fix the cause and submit it again.";

pub const UNKNOWN_STATUS: &str = "Unknown status from the server; see the JSON page.";

pub const UNKNOWN_IN_FIRST_SECONDS: &str =
    "No details yet: the server may not know a task in its first seconds.";

pub const NO_ANSWER_YET: &str = "No answer yet.";

pub const UNUSABLE_LINK: &str = "Finished, but its link cannot be opened.";

pub const LINK_PENDING: &str = "Finished, but without a link yet; checking again automatically.";

pub const LAST_STATE_KEPT: &str = "The last known state is kept.";

pub fn link_expired(open: &str) -> String {
    format!(
        "The link has probably expired: results are kept for a limited time. Press {open} to try \
         anyway."
    )
}

pub fn id_question(check: &str) -> String {
    format!(
        "Is the id complete, and from this account? {}",
        press_to_check(check)
    )
}

pub fn press_to_check(check: &str) -> String {
    format!("Press {check} to check again.")
}

pub const TASK_NOT_FOUND: &str = "The server does not know this task.";

pub fn no_data_after(age: &str) -> String {
    format!("No data from the server after {age}.")
}

pub fn open_or_save(open: &str, save: &str) -> String {
    format!("Press {open} to open the video, {save} to save it.")
}

pub fn link_expires_in(left: &str) -> String {
    format!("The link expires in about {left}.")
}

pub fn saved_on_disk(open: &str) -> String {
    format!("The video is on disk. Press {open} to open it.")
}

pub fn no_link(check: &str) -> String {
    format!(
        "Finished, but the server sent no link. {}",
        press_to_check(check)
    )
}

// Other parts of the details

pub const NO_REASON_GIVEN: &str = "the server gave no reason";

pub const NOT_A_WEB_LINK: &str = "not a web link; never opened";

pub const SAVED_BY_OTHER: &str = "another kietop is saving it";

pub const PARTIALLY_SAVED: &str = "incomplete; the partial download is kept";

pub const NO_JOURNAL: &str = "No journal entries yet.";

pub const NO_RESPONSE: &str = "No response from the server yet.";

pub const RESPONSE_TRUNCATED: &str = "Truncated: the response was too long.";

pub fn response_not_read(error: &str) -> String {
    format!("Could not read the response: {error}.")
}

pub fn not_saved_yet(wait: &str) -> String {
    format!("not saved yet, next try in {wait}")
}

pub fn never_checked(is_key_missing: bool) -> String {
    let reason = if is_key_missing {
        "waiting for the API key"
    } else {
        "waiting"
    };
    format!("never ({reason})")
}

pub fn finished_on_server(took: Option<String>) -> String {
    let took = took.map_or_else(String::new, |took| format!(" in {took}"));
    format!("finished on the server{took}")
}

// Dialogs

pub fn confirm_remove(tasks: usize) -> String {
    match tasks {
        1 => "Remove this task from the list?".to_owned(),
        _ => format!("Remove {tasks} tasks from the list?"),
    }
}

/// Returns how many of the affected tasks are not visible; empty if all are.
pub fn hidden_targets(hidden: usize, tasks: usize) -> String {
    match hidden {
        0 => String::new(),
        1 if tasks == 1 => "It is not visible here.".to_owned(),
        1 => "One of them is not visible here.".to_owned(),
        _ => format!("{hidden} of them are not visible here."),
    }
}

pub const CONFIRM_QUIT: &str = "Quit without saving the list?";

pub fn list_file_restorable(restore: &str) -> String {
    format!("The list file is missing. Press n, then {restore} to restore it.")
}

pub const PASTE_TRUNCATED: &str = "Text too long: only the start was read.";

pub const ENLARGE_WINDOW: &str = "enlarge the window to see the rest";

pub const CLOCK_NOT_COMPARED: &str = "not compared with the server yet";

pub const CLOCK_AGREES: &str = "agrees with the server";

pub fn unusual_answers(count: u32) -> String {
    match count {
        0 => "Unusual answers: none".to_owned(),
        _ => format!("Unusual answers: {count}"),
    }
}

pub const ANSWER_NOT_KEPT: &str = "The text of the answer was not kept.";
