//! The result of a check: an observation or an error.
//!
//! An error concerns one task or the account (its [`ErrorScope`]) and is never a task's state: a
//! failed check does not change what is known.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use strum::IntoStaticStr;

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

/// When an account-wide error is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryRule {
    /// After growing waits.
    Backoff,
    /// After waits that stay short however long it lasts: the server has no part in it.
    ShortBackoff,
    /// After the time that the server asked for, or growing waits.
    RateLimit(Option<Duration>),
    /// After a fixed time.
    After(Duration),
}

/// The reason why a check failed. Plain and comparable; texts are clean.
///
/// The names of the variants are used in JSON and in the list file.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PollError {
    /// No connection: unknown host, connection refused, network unreachable.
    Offline(CleanText),
    /// The TLS connection could not be verified or established, and is not tried without
    /// verification.
    Untrusted(CleanText),
    TimedOut,
    /// The connection ended within the answer.
    #[strum(serialize = "cut_off")]
    ConnectionLost,
    NoKey,
    /// The API key could not be read from its source.
    #[strum(serialize = "key_unread")]
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
    #[strum(serialize = "refused")]
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
    #[strum(serialize = "lost")]
    AnswerLost,
}

impl PollError {
    pub const fn scope(&self) -> ErrorScope {
        let is_of_task = self.is_transient()
            || matches!(
                self,
                Self::NotFound | Self::Rejected { .. } | Self::Malformed(_)
            );
        if is_of_task {
            ErrorScope::Task
        } else {
            ErrorScope::Account
        }
    }

    /// Reports whether the server or the connection failed, which may have nothing to do with the
    /// task.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::TimedOut | Self::ConnectionLost | Self::Server { .. } | Self::AnswerLost
        )
    }

    /// Returns when the error is retried if it concerns the account.
    ///
    /// One that the user must fix (key, credits, address, certificate) is often fixed elsewhere,
    /// and such a request costs the server next to nothing. The key is never sent over an untrusted
    /// connection.
    pub const fn retry_rule(&self) -> RetryRule {
        match self {
            Self::RateLimited { retry_after, .. } => RetryRule::RateLimit(*retry_after),
            Self::Maintenance => RetryRule::After(Duration::from_mins(1)),
            Self::Unauthorized(_)
            | Self::NoKey
            | Self::KeyUnreadable(_)
            | Self::OutOfCredits
            | Self::WrongAddress
            | Self::Redirected(_)
            | Self::Untrusted(_) => RetryRule::After(Duration::from_mins(5)),
            Self::Offline(_) | Self::Blocked(_) => RetryRule::ShortBackoff,
            Self::TimedOut
            | Self::ConnectionLost
            | Self::NotFound
            | Self::Rejected { .. }
            | Self::Server { .. }
            | Self::Malformed(_)
            | Self::AnswerLost => RetryRule::Backoff,
        }
    }

    /// Reports whether the server answered, with an error of the task itself.
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::NotFound | Self::Rejected { .. })
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

    /// Reports whether only another key, or the user, can mend it.
    pub const fn is_key_refused(&self) -> bool {
        self.is_local() || matches!(self, Self::Unauthorized(_))
    }

    /// Returns the name used in JSON (`checkError.kind`) and in the list file.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Returns the server's code, if it sent one.
    pub const fn code(&self) -> Option<i64> {
        if let Self::Unauthorized(code)
        | Self::Blocked(code)
        | Self::RateLimited { code, .. }
        | Self::Rejected { code, .. }
        | Self::Server { code, .. } = self
        {
            return Some(*code);
        }
        if matches!(self, Self::OutOfCredits) {
            return Some(402);
        }
        if matches!(self, Self::Maintenance) {
            Some(455)
        } else {
            None
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
        if let Self::Offline(text)
        | Self::Untrusted(text)
        | Self::KeyUnreadable(text)
        | Self::Redirected(text)
        | Self::Malformed(text)
        | Self::Rejected { message: text, .. }
        | Self::Server { message: text, .. } = self
        {
            Some(text)
        } else {
            None
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
