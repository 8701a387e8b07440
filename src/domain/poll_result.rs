//! The result of a check: an observation or an error.
//!
//! An error concerns one task or the account (its [`ErrorScope`]) and is never a task's state: a
//! failed check does not change what is known.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    task::{TaskDetails, TaskState},
    text::CleanText,
};

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub state: TaskState,
    pub details: TaskDetails,
    /// The answer's `data` as JSON, cut at 64 KiB, without the key.
    pub raw: Arc<str>,
}

/// The scope of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorScope {
    /// One task: shown in its row and details.
    Task,
    /// The key or the connection: shown once, in the banner. Every check waits.
    Account,
}

/// The reason why a check failed. Plain and comparable; texts are clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollError {
    /// No connection: unknown host, connection refused, network unreachable.
    Offline(CleanText),
    /// The TLS connection could not be verified or established, and is not tried without
    /// verification.
    Untrusted(CleanText),
    TimedOut,
    /// The connection ended within the answer.
    ConnectionLost,
    NoKey,
    /// The API key could not be read from its source.
    KeyUnreadable(CleanText),
    /// 401 or 403: the key was refused, or it is not allowed from this IP address.
    Unauthorized(i64),
    /// A gateway refused the request: a challenge, a firewall, a login page. Holds the status.
    Blocked(i64),
    /// Code 402.
    OutOfCredits,
    /// 429 (too many requests), 430 or 433 (the key's cap is reached), or another code with a
    /// `Retry-After`.
    RateLimited {
        code: i64,
        retry_after: Option<Duration>,
    },
    /// Code 455.
    Maintenance,
    /// A redirect, which is not followed: the key goes to one origin only. Holds the host.
    Redirected(CleanText),
    /// A 404 without the API's envelope: the API address is probably wrong.
    WrongAddress,
    /// The server does not know the task (yet).
    NotFound,
    /// The server rejects the task permanently: 400, 422, 451, 505.
    Rejected {
        code: i64,
        message: CleanText,
    },
    /// A server error: 408, 500 and similar, or an unknown code.
    Server {
        /// The code of the body, else the HTTP status.
        code: i64,
        message: CleanText,
    },
    /// An answer that cannot be parsed. Holds the reason.
    Malformed(CleanText),
    /// The request was never answered, not even with an error of ours.
    AnswerLost,
}

impl PollError {
    pub const fn scope(&self) -> ErrorScope {
        match self {
            Self::Offline(_)
            | Self::Untrusted(_)
            | Self::NoKey
            | Self::KeyUnreadable(_)
            | Self::Unauthorized(_)
            | Self::Blocked(_)
            | Self::OutOfCredits
            | Self::RateLimited { .. }
            | Self::Maintenance
            | Self::Redirected(_)
            | Self::WrongAddress => ErrorScope::Account,
            Self::TimedOut
            | Self::ConnectionLost
            | Self::NotFound
            | Self::Rejected { .. }
            | Self::Server { .. }
            | Self::Malformed(_)
            | Self::AnswerLost => ErrorScope::Task,
        }
    }

    /// Reports whether the server or the connection failed, which may have nothing to do with the
    /// task.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut | Self::ConnectionLost | Self::Server { .. } | Self::AnswerLost => true,
            Self::Offline(_)
            | Self::Untrusted(_)
            | Self::NoKey
            | Self::KeyUnreadable(_)
            | Self::Unauthorized(_)
            | Self::Blocked(_)
            | Self::OutOfCredits
            | Self::RateLimited { .. }
            | Self::Maintenance
            | Self::Redirected(_)
            | Self::WrongAddress
            | Self::NotFound
            | Self::Rejected { .. }
            | Self::Malformed(_) => false,
        }
    }

    /// Reports whether no request was sent: another instance, or the next start, may have a key.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::NoKey | Self::KeyUnreadable(_))
    }

    /// Reports whether another key may give another result.
    pub const fn is_key_specific(&self) -> bool {
        self.is_local()
            || self.is_rate_limit()
            || matches!(self, Self::Unauthorized(_) | Self::OutOfCredits)
    }

    /// Reports whether the server asked for a pause, which another key does not shorten.
    pub const fn is_rate_limit(&self) -> bool {
        matches!(self, Self::RateLimited { .. })
    }

    /// Returns the name used in JSON (`checkError.kind`) and in the list file.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Offline(_) => "offline",
            Self::Untrusted(_) => "untrusted",
            Self::TimedOut => "timed_out",
            Self::ConnectionLost => "cut_off",
            Self::NoKey => "no_key",
            Self::KeyUnreadable(_) => "key_unread",
            Self::Unauthorized(_) => "unauthorized",
            Self::Blocked(_) => "blocked",
            Self::OutOfCredits => "out_of_credits",
            Self::RateLimited { .. } => "rate_limited",
            Self::Maintenance => "maintenance",
            Self::Redirected(_) => "redirected",
            Self::WrongAddress => "wrong_address",
            Self::NotFound => "not_found",
            Self::Rejected { .. } => "refused",
            Self::Server { .. } => "server",
            Self::Malformed(_) => "malformed",
            Self::AnswerLost => "lost",
        }
    }

    /// Returns the server's code, if it sent one.
    pub const fn code(&self) -> Option<i64> {
        match self {
            Self::Unauthorized(code)
            | Self::Blocked(code)
            | Self::RateLimited { code, .. }
            | Self::Rejected { code, .. }
            | Self::Server { code, .. } => Some(*code),
            Self::OutOfCredits => Some(402),
            Self::Maintenance => Some(455),
            Self::Offline(_)
            | Self::Untrusted(_)
            | Self::TimedOut
            | Self::ConnectionLost
            | Self::NoKey
            | Self::KeyUnreadable(_)
            | Self::Redirected(_)
            | Self::WrongAddress
            | Self::NotFound
            | Self::Malformed(_)
            | Self::AnswerLost => None,
        }
    }

    /// Restores an error from its [`kind`](Self::kind), [`code`](Self::code) and
    /// [`text`](Self::text).
    ///
    /// An unknown kind (of a newer program) becomes [`PollError::Malformed`] with that text.
    pub fn from_stored(kind: &str, code: Option<i64>, text: CleanText) -> Self {
        let code = code.unwrap_or_default();
        match kind {
            "offline" => Self::Offline(text),
            "untrusted" => Self::Untrusted(text),
            "timed_out" => Self::TimedOut,
            "cut_off" => Self::ConnectionLost,
            "no_key" => Self::NoKey,
            "key_unread" => Self::KeyUnreadable(text),
            "unauthorized" => Self::Unauthorized(code),
            "blocked" => Self::Blocked(code),
            "out_of_credits" => Self::OutOfCredits,
            "rate_limited" => Self::RateLimited {
                code,
                retry_after: None,
            },
            "maintenance" => Self::Maintenance,
            "redirected" => Self::Redirected(text),
            "wrong_address" => Self::WrongAddress,
            "not_found" => Self::NotFound,
            "refused" => Self::Rejected {
                code,
                message: text,
            },
            "server" => Self::Server {
                code,
                message: text,
            },
            "lost" => Self::AnswerLost,
            _ => Self::Malformed(text),
        }
    }

    /// Returns the text that [`from_stored`](Self::from_stored) needs.
    pub const fn text(&self) -> Option<&CleanText> {
        match self {
            Self::Offline(text)
            | Self::Untrusted(text)
            | Self::KeyUnreadable(text)
            | Self::Redirected(text)
            | Self::Malformed(text)
            | Self::Rejected { message: text, .. }
            | Self::Server { message: text, .. } => Some(text),
            Self::TimedOut
            | Self::ConnectionLost
            | Self::NoKey
            | Self::Unauthorized(_)
            | Self::Blocked(_)
            | Self::OutOfCredits
            | Self::RateLimited { .. }
            | Self::Maintenance
            | Self::WrongAddress
            | Self::NotFound
            | Self::AnswerLost => None,
        }
    }
}

/// A failed check with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCheck {
    pub at: Timestamp,
    pub error: PollError,
}

/// The result of one check.
pub type PollResult = Result<Observation, PollError>;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One error of each kind.
    pub(crate) fn every_error() -> Vec<PollError> {
        let text = || CleanText::line("x", 9);
        vec![
            PollError::Offline(text()),
            PollError::Untrusted(text()),
            PollError::TimedOut,
            PollError::ConnectionLost,
            PollError::NoKey,
            PollError::Unauthorized(403),
            PollError::Blocked(511),
            PollError::OutOfCredits,
            PollError::RateLimited {
                code: 433,
                retry_after: None,
            },
            PollError::Maintenance,
            PollError::KeyUnreadable(text()),
            PollError::Redirected(text()),
            PollError::WrongAddress,
            PollError::NotFound,
            PollError::Rejected {
                code: 451,
                message: text(),
            },
            PollError::Server {
                code: 502,
                message: text(),
            },
            PollError::Malformed(text()),
            PollError::AnswerLost,
        ]
    }

    #[test]
    fn errors_round_trip_through_the_store() {
        for error in every_error() {
            let text = error
                .text()
                .cloned()
                .unwrap_or_else(|| CleanText::line("", 1));
            assert_eq!(
                PollError::from_stored(error.kind(), error.code(), text),
                error
            );
        }
    }
}
