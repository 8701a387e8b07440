//! The sentences that people read, by where they appear.
//!
//! Labels of one or two words stay where they are drawn. Errors of the config file are worded in
//! `config::error`.

pub mod command_line;
pub mod crashes;
pub mod dialogs;
pub mod errors;
pub mod format;
pub mod ids;
pub mod message_line;
pub mod screen;
pub mod tasks;
