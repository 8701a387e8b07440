//! The command line: arguments, exit codes, and one file for each headless command.
//!
//! Data goes to standard output, messages to standard error. Commands use the same domain, ports
//! and adapters as the dashboard.

pub mod add;
pub mod args;
pub mod config;
pub mod failure;
pub mod list;
pub mod manual;
pub mod open;
pub mod output;
pub mod paths;
pub mod refresh;
pub mod remove;
pub mod resolve;
pub mod save;
pub mod services;
pub mod signals;
pub mod simulate;
pub mod wait;
