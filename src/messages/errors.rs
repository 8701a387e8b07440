//! Failed checks, downloads, previews and other errors of the domain, with the next step.

use std::{borrow::Cow, fmt, time::Duration};

use crate::domain::{
    download::DownloadError,
    list_change::StoreError,
    path_text::PathError,
    poll_queue::AccountBackoff,
    poll_result::PollError,
    preview::PreviewError,
    query::{FilterField, MAX_QUERY_LEN, QueryProblem, StateWord},
    response_notes::Anomaly,
    suggest::closest_match,
    time::Mono,
};

/// How long a rate limit must have lasted before the key's own limit is suspected.
const KEY_LIMIT_AGE: Duration = Duration::from_hours(1);

/// Returns `; did you mean "…"?` to append to an error about a name, or an empty string.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest_match(written, known)
        .map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

impl AccountBackoff {
    /// Returns the reason as the start of a sentence, without a full stop.
    ///
    /// A key has hourly, daily and total limits, and the server may report each of them as a rate
    /// limit: one that has lasted for an hour is probably such a limit.
    pub fn message(&self, now: Mono) -> Cow<'static, str> {
        let is_long = now.since(self.streak_began) >= KEY_LIMIT_AGE;
        if is_long && matches!(self.error, PollError::RateLimited { code: 429, .. }) {
            "the key's limit may be reached (hourly, daily or total)".into()
        } else {
            self.error.message().into()
        }
    }
}

impl PollError {
    /// Returns what happened, as the start of a sentence without a full stop.
    pub fn message(&self) -> String {
        match self {
            Self::Offline(why) => format!("offline: {why}"),
            Self::Untrusted(why) => format!("certificate not accepted: {why}"),
            Self::TimedOut => "no answer in time".into(),
            Self::ConnectionLost => "connection lost during the answer".into(),
            Self::NoKey => "no API key is set".into(),
            Self::KeyUnreadable(why) => format!("the API key cannot be read: {why}"),
            Self::Unauthorized(code) => format!("API key refused ({code})"),
            Self::Blocked(407) => "the proxy requires authentication (407)".into(),
            Self::Blocked(511) => "this network requires a login (511)".into(),
            Self::Blocked(code) => format!("blocked by the network or a gateway ({code})"),
            Self::OutOfCredits => "not enough credits (402)".into(),
            Self::RateLimited { code: 429, .. } => "too many requests (429)".into(),
            Self::RateLimited {
                code: code @ (430 | 433),
                ..
            } => format!("API key limit reached ({code})"),
            Self::RateLimited { code, .. } => format!("the server asked for a pause ({code})"),
            Self::Maintenance => "the service is down for maintenance (455)".into(),
            Self::Redirected(host) => format!("unexpected redirect to {host}, not followed"),
            Self::WrongAddress => "no API at this address".into(),
            Self::NotFound => "task not found on the server".into(),
            Self::Rejected { message, .. } | Self::Server { message, .. }
                if !message.is_empty() =>
            {
                format!("{}: {message}", self.summary())
            }
            Self::Malformed(why) => format!("{}: {why}", self.summary()),
            Self::Rejected { .. } | Self::Server { .. } => self.summary(),
            Self::AnswerLost => "the request got no answer".into(),
        }
    }

    /// Returns the message without the server's own text, which differs from task to task.
    pub fn summary(&self) -> String {
        if let Self::Rejected { code, .. } = self {
            return format!("the server rejected the task ({code})");
        }
        if let Self::Server { code, .. } = self {
            return format!("server error ({code})");
        }
        if let Self::Malformed(_) = self {
            return "invalid answer".to_owned();
        }
        self.message()
    }

    /// Returns what the user can do, or what happens automatically, as a sentence.
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::Offline(_) => "Showing last known states; retrying automatically.",
            Self::Untrusted(_) => {
                "Is this a network login page? Retrying automatically, never without a valid certificate."
            }
            Self::NoKey => "Set KIE_API_KEY and restart; showing last known states.",
            Self::KeyUnreadable(_) => {
                "Fix it (see kietop config path); it is re-read automatically."
            }
            Self::Unauthorized(_) => {
                "Check the key at https://kie.ai/api-key (is this IP address allowed?)."
            }
            Self::Blocked(_) => {
                "Try another network (VPN, data center, login page?). Retrying automatically."
            }
            Self::OutOfCredits => "Add credits at https://kie.ai; retrying automatically.",
            Self::RateLimited { .. } => "Checks continue, more slowly.",
            Self::Maintenance => "Retrying automatically.",
            Self::Redirected(_) | Self::WrongAddress => "Check the API address (KIETOP_API_URL).",
            Self::NotFound => "Is the id complete, and from this account?",
            Self::Rejected { .. } => "It is not checked again.",
            Self::TimedOut
            | Self::ConnectionLost
            | Self::Server { .. }
            | Self::Malformed(_)
            | Self::AnswerLost => "Keeping the last known state; retrying automatically.",
        }
    }
}

impl DownloadError {
    /// Returns what happened, as the start of a sentence without a full stop.
    pub fn message(&self) -> String {
        match self {
            Self::NotAllowed(why) => format!("link not allowed: {why}"),
            Self::NoAnswer(error) => error.message(),
            Self::Stalled => "the download stalled".into(),
            Self::HttpStatus(status) => format!("the file host returned {status}"),
            Self::LinkExpired { status, why: None } => {
                format!("link expired ({status}); files are kept for about 14 days")
            }
            Self::LinkExpired {
                status,
                why: Some(why),
            } => {
                format!("link expired ({status}), not renewed: {why}")
            }
            Self::RenewalFailed { status, error } => {
                let why = error.message();
                format!("the file host returned {status}, link not renewed: {why}")
            }
            Self::NotReady { status, why: None } => format!("not ready yet ({status})"),
            Self::NotReady {
                status,
                why: Some(why),
            } => format!("not ready yet ({status}), link not renewed: {why}"),
            Self::NotAVideo(start) => format!("not a video; the file starts with: {start}"),
            Self::Incomplete(why) => format!("the video is incomplete: {why}"),
            Self::TooLarge(limit) => format!("larger than {} GiB", limit >> 30),
            Self::DiskFull => "the disk is full".into(),
            Self::FolderUnwritable(why) => why.to_string(),
            Self::Busy => "another kietop is downloading it".into(),
            Self::Stopped => "stopped; the partial download is kept".into(),
            Self::Panicked => "internal error".into(),
        }
    }

    /// Returns what the user can do, as a sentence.
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "Only https links to public addresses are downloaded.",
            Self::NoAnswer(_)
            | Self::Stalled
            | Self::HttpStatus(_)
            | Self::RenewalFailed { .. }
            | Self::Panicked => "The partial download is kept; save again to resume.",
            Self::NotReady { .. } => {
                "Save again in a minute; an open dashboard retries automatically."
            }
            Self::LinkExpired { .. } => "https://kie.ai/logs may still show it.",
            Self::NotAVideo(_) | Self::Incomplete(_) => "Open the link in the browser to check.",
            Self::TooLarge(_) => "Open the link in the browser.",
            Self::DiskFull => "Free some space, then save again to resume.",
            Self::FolderUnwritable(_) => "Choose another folder.",
            Self::Busy => "Wait for that download to finish.",
            Self::Stopped => "Save again to resume.",
        }
    }
}

impl PreviewError {
    /// Returns what happened, or what the user can do.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoFfmpeg => "install ffmpeg to see input and result here",
            Self::InputUnavailable => "the input can no longer be downloaded",
            Self::FileMissing => "a saved file was moved or deleted",
            Self::Unreadable => "ffmpeg cannot read one of the files",
            Self::TooSlow => "ffmpeg took longer than 5s",
            Self::Unsupported => "this terminal cannot show pictures",
            Self::Stopped => "preview cancelled",
            Self::Panicked => "preview failed (internal error)",
        }
    }
}

impl Anomaly {
    /// Returns a name for the anomaly.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Malformed => "invalid answer",
            Self::MissingCode => "no code",
            Self::UnknownCode => "unknown code",
            Self::UnknownFlag => "unknown status flag",
            Self::StatusMismatch => "code 200 with another HTTP status",
            Self::DataAsText => "data sent as a string",
            Self::Contradiction => "changed a finished status",
        }
    }
}

/// The text follows a prefix such as "Not saved: ", and has no full stop.
impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the disk is full; free some space, nothing is lost"),
            Self::Quota => {
                f.write_str("your disk quota is used up; free some space, nothing is lost")
            }
            Self::ReadOnly(why) => write!(f, "the list file cannot be written: {why}"),
            Self::Unreadable(why) => write!(f, "the list file cannot be read: {why}"),
            Self::Missing(path) => {
                let path = path.display();
                write!(f, "the list file is missing from {path}; put it back")
            }
            Self::Busy => f.write_str("the list file is locked by another program; try again"),
            Self::NoLocks(why) => write!(f, "{why}; use a file on a local disk with --store"),
            Self::NoSharedMemory => f.write_str(
                "the disk of the list file does not support shared memory; use a file on a local disk with --store",
            ),
            Self::Disk(why) => write!(
                f,
                "the disk of the list file failed: {why}; check it, or use a file on another disk with --store"
            ),
            Self::Damaged(why) => write!(f, "the list file is damaged: {why}"),
            Self::NewerVersion { found, known } => write!(
                f,
                "the list file has version {found}, this kietop supports {known}; update kietop or use another file with --store"
            ),
            Self::Other(why) => write!(f, "the list file cannot be used: {why}"),
        }
    }
}

/// The text follows the name of the option or setting.
impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the path is empty"),
            Self::NoHome => f.write_str("~ needs a home folder: set HOME"),
            Self::OtherHome(name) => write!(
                f,
                "~ works for your own home only: write {name} in full, or as ./{name}"
            ),
            Self::UnknownVariable(name) => write!(
                f,
                "the variable {name} is not set; write $$ for a dollar sign"
            ),
            Self::MissingVariableName => {
                f.write_str("a $ without a name; write $$ for a dollar sign")
            }
        }
    }
}

/// Suggests the closest name, else lists all of them.
fn did_you_mean_or(written: &str, known: &[&str], list: String) -> String {
    let hint = did_you_mean(written, known.iter().copied());
    if hint.is_empty() { list } else { hint }
}

/// The problem and the correct form, without a full stop.
impl fmt::Display for QueryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a filter has at most {MAX_QUERY_LEN} bytes"),
            Self::EmptyNegation => f.write_str("\"!\" needs a term, as in !state:failed"),
            Self::EmptyQuotes => f.write_str("nothing between the quotes"),
            Self::UnclosedQuotes => f.write_str("missing closing quote"),
            Self::MissingValue(field) => {
                let (name, example) = (field.name(), field.example());
                write!(f, "{name} needs a value, as in {example}")
            }
            Self::UnknownField(name) => {
                let known = FilterField::ALL.map(|(_, known, _)| known);
                let list = format!("; fields are {}; put text in quotes", known.join(", "));
                let hint = did_you_mean_or(name, &known, list);
                write!(f, "unknown field \"{name}\"{hint}")
            }
            Self::UnknownState(name) => {
                let known: Vec<_> = StateWord::ALL.iter().map(|state| state.name()).collect();
                let list = format!("; states are {}", known.join(", "));
                let hint = did_you_mean_or(name, &known, list);
                write!(f, "unknown state \"{name}\"{hint}")
            }
            Self::CodeNotANumber => {
                f.write_str("a code is compared with a number, as in code:>=500")
            }
            Self::MissingOperator(field) => {
                let (name, example) = (field.name(), field.example());
                write!(f, "{name} needs < or >, as in {example}")
            }
            Self::MissingDuration(field) => {
                write!(f, "missing duration, as in {}", field.example())
            }
            Self::InvalidDuration(text) => write!(
                f,
                "\"{text}\" is not a duration; use 90s, 5m, 2h30m, 3d or 1w"
            ),
            Self::MissingUnit(text) => write!(f, "\"{text}\" needs a unit: s, m, h, d or w"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{poll_result::tests::every_error, text::CleanText};

    #[test]
    fn every_poll_error_is_half_a_sentence_with_a_next_step() {
        for error in every_error() {
            assert!(error.next_step().ends_with(['.', '?']), "{error:?}");
            assert!(!error.message().ends_with('.'), "{error:?}");
        }
    }

    #[test]
    fn similar_names_are_suggested() {
        assert_eq!(
            did_you_mean("qit", ["next", "quit"]),
            "; did you mean \"quit\"?"
        );
        assert_eq!(did_you_mean("banana", ["next", "quit"]), "");
    }

    #[test]
    fn limits_are_named() {
        let message = |code| {
            let retry_after = None;
            PollError::RateLimited { code, retry_after }.message()
        };

        assert_eq!(message(429), "too many requests (429)");
        assert_eq!(message(433), "API key limit reached (433)");
        assert_eq!(message(503), "the server asked for a pause (503)");
    }

    #[test]
    fn every_download_error_is_half_a_sentence_with_a_next_step() {
        let text = || CleanText::line("x", 9);
        for error in [
            DownloadError::NotAllowed(text()),
            DownloadError::NoAnswer(PollError::ConnectionLost),
            DownloadError::Stalled,
            DownloadError::HttpStatus(500),
            DownloadError::LinkExpired {
                status: 404,
                why: None,
            },
            DownloadError::RenewalFailed {
                status: 404,
                error: PollError::ConnectionLost,
            },
            DownloadError::NotReady {
                status: 404,
                why: Some(text()),
            },
            DownloadError::NotAVideo(text()),
            DownloadError::Incomplete(text()),
            DownloadError::TooLarge(8 << 30),
            DownloadError::DiskFull,
            DownloadError::FolderUnwritable(text()),
            DownloadError::Busy,
            DownloadError::Stopped,
            DownloadError::Panicked,
        ] {
            assert!(error.next_step().ends_with('.'), "{error:?}");
            assert!(!error.message().ends_with('.'), "{error:?}");
        }
    }
}
