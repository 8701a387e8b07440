//! The command line: errors, hints and progress on stderr.

use std::{fmt::Display, path::Path};

use super::message_line::count_of;
use crate::domain::{
    poll_result::{ErrorScope, PollError},
    task::TaskId,
};

/// A command that changes the list was called with `--read-only`.
pub const READ_ONLY: &str = "This command cannot be used with --read-only.";

/// Start of the dashboard without a terminal.
pub const NO_TERMINAL: &str =
    "The dashboard needs a terminal. Without one: kietop list, kietop --help.";

pub fn cannot_start(reason: &impl Display) -> String {
    format!("kietop cannot start: {reason}.")
}

pub fn cannot_start_simulator(reason: &impl Display) -> String {
    format!("The simulator cannot start: {reason}.")
}

pub fn cannot_use_terminal(error: &impl Display) -> String {
    format!("Cannot use the terminal: {error}.")
}

pub fn cannot_read_terminal(error: &impl Display) -> String {
    format!("Cannot read from the terminal: {error}.")
}

pub fn cannot_read_stdin(error: &impl Display) -> String {
    format!("Cannot read standard input: {error}.")
}

pub fn cannot_write_stdout(error: &impl Display) -> String {
    format!("Cannot write to standard output: {error}.")
}

/// An option that `demo` and `simulate` reject.
pub fn not_for_simulator(option: &str, command: &str) -> String {
    format!("{option} cannot be used with {command}, which has its own server and list.")
}

/// The reason why a number is rejected, for clap.
pub fn out_of_range(min: impl Display, max: impl Display) -> String {
    format!("must be {min} to {max}")
}

/// The reason why a duration is rejected, for clap.
pub const NOT_A_DURATION: &str = "not a duration; examples: 90s, 15m, 2h30m, 1d";

// The list

/// No list file for a command that only reads.
pub fn no_list(file: &Path) -> String {
    format!("No list at {} yet. kietop add creates it.", file.display())
}

pub fn not_on_list(task: &impl Display) -> String {
    format!("No task {task} on the list.")
}

/// An id prefix that matches nothing because it is too short.
pub fn prefix_too_short(text: &impl Display, min_len: usize) -> String {
    format!("No task {text} on the list. An id prefix needs at least {min_len} characters.")
}

/// An id or prefix that matches nothing.
pub fn no_match(text: &impl Display) -> String {
    format!("No task {text} on the list. kietop list shows all tasks.")
}

pub fn ambiguous_prefix(text: &impl Display, one: &TaskId, other: &TaskId) -> String {
    format!("{text} is ambiguous: it matches {one} and {other}. Give more characters.")
}

/// The removal of a task by another process during a command.
pub fn removed_from_list(task: &TaskId) -> String {
    format!("{task} was removed from the list.")
}

// Base folders and environment

pub const SET_HOME: &str = "set HOME, or give files and folders as options";
pub const GIVE_ABSOLUTE_PATH: &str = "give an absolute path";

pub fn not_utf8(variable: &str) -> String {
    format!("{variable} is not valid UTF-8.")
}

// `kietop config`

pub const FILE_EXISTS: &str = "The file exists.";
pub const NO_FILE: &str = "Not found. kietop config default prints a template.";
pub const USING_DEFAULTS: &str = "No config file; using the defaults.";

pub fn config_ok(file: &impl Display) -> String {
    format!("{file}: OK")
}

// `kietop add`

pub const TEE_NEEDS_STDIN: &str = "--tee needs the argument - (standard input).";
pub const NO_ID_ON_STDIN: &str = "No task id found on standard input.";

pub fn not_added(task: &TaskId) -> String {
    format!("not added: {task}")
}

/// The end of an `add` that failed after some ids.
pub fn add_failed(not_added: usize, added: usize, reason: &str) -> String {
    let verb = if not_added == 1 { "was" } else { "were" };
    let ids = count_of(not_added, "id");
    format!("{ids} {verb} not added ({added} added): {reason}")
}

/// An added id that differs from another one in case only.
pub fn case_variant(task: &TaskId, other: &TaskId) -> String {
    format!("{task} differs from {other} in upper and lower case only; added as another task.")
}

pub fn skipped(parts: &[String]) -> String {
    format!("skipped {}.", parts.join(", "))
}

// `kietop remove`

pub const NOTHING_REMOVED: &str = "Nothing was removed.";

// `kietop list` and `kietop show`

pub const NO_FILTER_MATCH: &str = "No task matches the filter.";
pub const REFRESH_INTERRUPTED: &str = "Interrupted. The answers received so far are kept.";

const LAST_KNOWN_STATES: &str = "Showing the last known states; try again.";

/// The number of failed checks for reasons that are not listed.
pub fn other_reasons(count: usize) -> String {
    format!("other reasons: {count}")
}

pub fn check_failed(reason: &str) -> String {
    format!("The check failed: {reason}. {LAST_KNOWN_STATES}")
}

pub fn all_checks_failed(count: usize, reasons: &str) -> String {
    format!("All {count} checks failed ({reasons}). {LAST_KNOWN_STATES}")
}

pub fn some_checks_failed(failed: usize, all: usize, reasons: &str) -> String {
    format!("{failed} of {all} checks failed ({reasons}).")
}

/// The next step after an account-wide error. It differs from the dashboard's, which retries
/// automatically.
pub const fn account_next_step(error: &PollError) -> &'static str {
    match error {
        PollError::NoKey => "Set KIE_API_KEY.",
        PollError::Unauthorized(_)
        | PollError::KeyUnreadable(_)
        | PollError::Redirected(_)
        | PollError::WrongAddress => error.next_step(),
        PollError::Untrusted(_) => {
            "Log in to the network if it has a login page, or set SSL_CERT_FILE to the missing \
             certificate authority."
        }
        PollError::Blocked(_) => {
            "Try another network: a VPN, a data center address or a login page may be the cause."
        }
        PollError::OutOfCredits => "Add credits at https://kie.ai.",
        PollError::Offline(_)
        | PollError::RateLimited { .. }
        | PollError::Maintenance
        | PollError::TimedOut
        | PollError::ConnectionLost
        | PollError::NotFound
        | PollError::Rejected { .. }
        | PollError::Server { .. }
        | PollError::Malformed(_)
        | PollError::AnswerLost => LAST_KNOWN_STATES,
    }
}

/// The last failed check of a task; `message` is the capitalised message of `error`.
pub fn last_failed_check(message: &str, error: &PollError) -> String {
    match error.scope() {
        ErrorScope::Account => format!("{message}. This is about the account, not the task."),
        ErrorScope::Task => format!("{message}. {}", error.next_step()),
    }
}

/// A task that is no longer on the server; `message` says so, capitalised.
pub fn last_known_state(message: &str) -> String {
    format!("{message}. The last known state is shown.")
}

// `kietop open`

/// `kind` is "input" or "result".
pub fn no_video(task: &TaskId, kind: &str) -> String {
    format!("{task} has no {kind} video to open. See kietop show {task}.")
}

pub fn another_video(url: &str) -> String {
    format!("there is another video: {url}")
}

/// A failure to start the browser, after the link was printed.
pub fn open_failed(reason: &str) -> String {
    format!("{reason} The link is above.")
}

// `kietop save`

pub const SAVE_INTERRUPTED: &str = "Interrupted. Run the same command to resume.";

pub fn not_saved(count: usize) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!(
        "{} {verb} not saved (see above).",
        count_of(count, "result")
    )
}

pub fn nothing_to_save(status: &str) -> String {
    format!("no result to save ({status}).")
}

/// A task that was removed during its download.
pub fn save_not_recorded(task: &TaskId) -> String {
    format!("{task} was removed from the list; the saved file is not recorded there.")
}

pub fn next_try(error: &str, wait: &str) -> String {
    format!("{error}. Next try in {wait}.")
}

// `kietop wait`

pub const WAIT_INTERRUPTED: &str = "Interrupted. Run the same command to keep waiting.";
pub const TRY_KEY_AGAIN: &str = "To try again: kietop list --refresh.";

pub fn cannot_save_list(error: &impl Display) -> String {
    format!("Not saved: {error}. Retrying.")
}

/// `blocked` is a clause of [`blocked_since`], or empty.
pub fn timed_out(unfinished: usize, blocked: &str) -> String {
    let verb = if unfinished == 1 { "has" } else { "have" };
    let tasks = count_of(unfinished, "task");
    format!(
        "Timed out: {tasks} {verb} not finished{blocked}. Run the same command to keep waiting."
    )
}

pub fn checks_blocked(reason: &str, next_step: &str) -> String {
    format!("Checks blocked: {reason}. {next_step}")
}

pub fn checks_work_again(blocked_for: &str) -> String {
    format!("Checks work again after {blocked_for}.")
}

pub fn blocked_since(time: &str, reason: &str) -> String {
    format!("; checks blocked since {time}: {reason}")
}

// `kietop simulate`

pub fn cannot_use_port(port: u16, error: &impl Display) -> String {
    format!("Cannot use port {port}: {error}. Try another --port.")
}

pub fn cannot_handle_signals(error: &impl Display) -> String {
    format!("Cannot handle signals: {error}.")
}

pub fn simulated_tasks(tasks: usize, on_demand: usize) -> String {
    format!("{tasks} tasks, and {on_demand} more ids whose tasks start at their first check.")
}

pub fn simulator_hint(url: &impl Display) -> String {
    format!("Any key works: KIE_API_KEY=x KIETOP_API_URL={url} kietop. Press Ctrl-C to stop.")
}
