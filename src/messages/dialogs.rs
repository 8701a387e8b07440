//! The copy menu, the absence summary, notifications, and a long rate limit.

use std::time::Duration;

use crate::domain::time::format_age;

/// The reason why an action on tasks has nothing to do.
pub const NO_TASK_SELECTED: &str = "no task is selected";

/// Returns the reason why the result links of some tasks cannot be copied.
pub const fn no_result_link(tasks: usize) -> &'static str {
    match tasks {
        1 => "no result link yet",
        _ => "no result links yet",
    }
}

/// Returns the reason why the input links of some tasks cannot be copied.
pub const fn no_input_video(tasks: usize) -> &'static str {
    match tasks {
        1 => "the server gave no input video",
        _ => "the server gave no input videos",
    }
}

/// Returns the reason why the prompts of some tasks cannot be copied.
pub const fn no_prompt(tasks: usize) -> &'static str {
    match tasks {
        1 => "the server gave no prompt",
        _ => "the server gave no prompts",
    }
}

/// Returns a sentence such as "Since you left (40m): +2 ready, +1 failed."
pub fn absence_summary(
    duration: Duration,
    counts: impl Iterator<Item = (usize, &'static str)>,
) -> String {
    let counts: Vec<_> = counts
        .map(|(count, label)| format!("+{count} {label}"))
        .collect();
    let duration = format_age(duration);
    format!("Since you left ({duration}): {}.", counts.join(", "))
}

/// Adds the number of tasks that a notification does not list to its message.
pub fn with_unlisted(message: &str, unlisted: usize) -> String {
    match unlisted {
        0 => message.to_owned(),
        _ => format!("{message} (and {unlisted} more, not listed)"),
    }
}
