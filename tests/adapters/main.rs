//! API client, downloads, list file and limiter against misbehaving servers and disks.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "test code: an unexpected value must fail loudly"
)]

mod compare_page;
mod compat;
mod download;
mod ffmpeg;
mod kie_api;
mod kie_tls;
mod limiter;
mod simulator;
mod store;
#[path = "../support/mod.rs"]
mod support;
