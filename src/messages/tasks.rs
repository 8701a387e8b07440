//! A task: its status, its journal, its states in the filter, and notes on its result.

use crate::domain::{
    list_change::JournalEvent,
    query::StateWord,
    status::Status,
    task::{CallbackStatus, TaskState},
    watched_task::WatchedTask,
};

/// The message for a finished task whose record the server no longer has: it keeps records for a
/// limited time.
pub const NO_LONGER_ON_SERVER: &str = "no longer on server";

impl Status {
    /// Returns the word in at most 13 cells.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Generating => "generating",
            Self::Finishing => "finishing",
            Self::Late => "late",
            Self::Ready => "ready",
            Self::Saved => "ready, saved",
            Self::NoLink => "no link yet",
            Self::LinkExpired => "link expired",
            Self::CallbackFailed => "ready !cb",
            Self::CreateFailed => "rejected",
            Self::GenerationFailed => "failed",
            Self::NotFound => "not found",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the word where there is room.
    pub fn full_word(self) -> &'static str {
        if self == Self::CallbackFailed {
            "ready (no callback)"
        } else {
            self.word()
        }
    }

    /// Returns the word in at most four cells.
    pub const fn short_word(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Generating => "GEN",
            Self::Finishing => "FIN",
            Self::Late => "LATE",
            Self::Ready => "OK",
            Self::Saved => "SAVE",
            Self::NoLink => "NOLK",
            Self::LinkExpired => "EXP",
            Self::CallbackFailed => "CBK",
            Self::CreateFailed => "REJ",
            Self::GenerationFailed => "FAIL",
            Self::NotFound => "NONE",
            Self::Unknown => "UNKN",
        }
    }
}

impl WatchedTask {
    /// Returns why the last check failed, as the start of a sentence without a full stop.
    pub fn last_error_message(&self) -> Option<String> {
        if self.is_no_longer_on_server() {
            return Some(NO_LONGER_ON_SERVER.to_owned());
        }
        let failed = self.poll_history.last_error.as_ref();
        failed.map(|failed| failed.error.message())
    }
}

impl TaskState {
    /// Returns a sentence to append, with a space before it, for a finished video whose callback
    /// failed; empty for other tasks.
    pub const fn undelivered_note(&self) -> &'static str {
        match self {
            Self::Succeeded {
                callback: CallbackStatus::Failed,
                ..
            } => " The video is finished; only its callback failed.",
            Self::New
            | Self::Running { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::NotFound
            | Self::Unrecognised => "",
        }
    }
}

impl JournalEvent {
    /// Returns the text of the event, the same in the dashboard and on the command line.
    pub fn description(&self) -> String {
        match self {
            Self::Added => "added to the list".to_owned(),
            Self::Removed => "removed from the list".to_owned(),
            Self::Restored => "restored".to_owned(),
            Self::StateChanged(name) => describe_state(name.as_str()),
            Self::CheckFailed(why) => format!("check failed: {why}"),
            Self::NoLongerOnServer => NO_LONGER_ON_SERVER.to_owned(),
            Self::Recovered => "checks work again".to_owned(),
            Self::ContradictionIgnored(state) => {
                format!("ignored a contradictory answer: {state}")
            }
            Self::Opened(url) => format!("opened {url}"),
            Self::Labelled(label) if label.is_empty() => "label removed".to_owned(),
            Self::Labelled(label) => format!("label set to \"{label}\""),
            Self::Saved(path) => format!("saved to {path}"),
            Self::SaveFailed(why) => format!("save failed: {why}"),
            Self::Other(text) => text.to_string(),
        }
    }
}

/// Returns the text for a change to the state of that name, which may be from a newer kietop.
fn describe_state(name: &str) -> String {
    match name {
        "succeeded" => "finished".to_owned(),
        "rescued" => "finished, callback failed".to_owned(),
        "unknown" => "unknown status".to_owned(),
        other => other.replace('_', " "),
    }
}

impl StateWord {
    /// Returns the meaning of the word, for the help of the command line.
    pub const fn description(self) -> &'static str {
        match self {
            Self::New => "No answer yet",
            Self::Generating => "Being generated",
            Self::Late => "Taking longer than most",
            Self::Active => "Not finished",
            Self::Succeeded => "Finished",
            Self::Ready => "Finished, without a callback error",
            Self::Rescued => "Finished, callback failed",
            Self::Failed => "Failed or rejected",
            Self::NotFound => "Not found on the server",
            Self::Unknown => "Unknown status from the server",
            Self::Expiring => "Finished, link expires within two days",
            Self::Expired => "Finished, link expired",
            Self::Saved => "Finished, all results on disk",
        }
    }
}
