//! Domain, app and screens: no network, no disk, no terminal. The event loop runs on paused time
//! with fake services.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "test code: an unexpected value must fail loudly"
)]

mod actions;
mod config;
mod config_schema;
mod docs;
mod fault_index;
mod frame_cost;
mod layering;
mod multi_instance;
mod poll_errors;
mod previews;
mod properties;
mod query;
mod runtime;
mod sanitizing;
mod saving;
mod screens;
mod small_sizes;
mod stories;
mod style;
#[path = "../support/mod.rs"]
mod support;
mod themes;
mod update;
