//! The real program: commands in pipes, the dashboard in a pseudo-terminal.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "test code: an unexpected value must fail loudly"
)]

mod api_key;
mod background_color;
mod cli;
mod cli_hostile_input;
mod cli_refresh;
mod cli_wait_save_open;
mod deleted_list;
#[cfg(target_os = "linux")]
mod disk_faults;
#[cfg(target_os = "linux")]
mod dns;
mod nightly;
mod previews;
mod pty;
mod recording;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
