//! The failure of a command, and the exit codes.

use crate::{
    adapters::environment::BaseFolderError,
    domain::list_change::StoreError,
    messages::{command_line as messages, format},
};

/// The exit codes beside 0.
pub mod exit {
    /// The command failed.
    pub const FAILED: i32 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: i32 = 2;
    /// `wait`: at least one task failed.
    pub const WAIT_FAILED: i32 = 3;
    /// The key is missing or was refused.
    pub const UNAUTHORISED: i32 = 4;
    pub const NO_SUCH_TASK: i32 = 5;
    /// `wait`: timed out.
    pub const TIMED_OUT: i32 = 124;
    /// Ended by a signal: this plus its number.
    pub const SIGNAL_BASE: i32 = 128;
}

/// The failure of a command: an exit code, and a message with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandFailure {
    pub code: i32,
    pub message: String,
}

impl CommandFailure {
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// Returns a failure with the general exit code 1.
    pub fn general(message: impl Into<String>) -> Self {
        Self::new(exit::FAILED, message)
    }

    /// Returns a failure of wrong usage or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message)
    }

    /// Returns the failure for a task that is not on the list.
    pub fn no_such_task(message: impl Into<String>) -> Self {
        Self::new(exit::NO_SUCH_TASK, message)
    }

    /// Returns the failure of a command that a signal ended.
    pub fn interrupted(signal: i32, message: &str) -> Self {
        Self::new(exit::SIGNAL_BASE + signal, message)
    }
}

impl From<StoreError> for CommandFailure {
    fn from(error: StoreError) -> Self {
        Self::general(format!("{error}."))
    }
}

/// An unusable base folder, with the next step.
impl From<BaseFolderError> for CommandFailure {
    fn from(error: BaseFolderError) -> Self {
        let next = match error {
            BaseFolderError::NoHome => messages::SET_HOME,
            BaseFolderError::NotAbsolute { .. } => messages::GIVE_ABSOLUTE_PATH,
        };
        let error = format::capitalised(&error.to_string());
        Self::usage(format!("{error}; {next}."))
    }
}
