//! The sentences that people read, by where they appear. Labels of one or two words stay where they
//! are drawn; the words of the config file's errors are in [`crate::config::error`].

pub mod command_line;
pub mod errors;
pub mod message_line;
pub mod screen;
pub mod tasks;
