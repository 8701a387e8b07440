//! Implementations of the ports: API client, list file, rate limiter, downloads, video frames,
//! comparison pages, programs of the system; and the log.
//!
//! An adapter knows its technology (HTTP, SQL, a desktop) and the domain, not the core or the
//! screen. Programs are started by `command` only, and files opened by path with `regular_file`.

pub mod clipboard;
pub mod command;
pub mod compare;
pub mod desktop;
pub mod download;
pub mod environment;
pub mod export;
pub mod frames;
pub mod http;
pub mod input_cache;
pub mod kie;
pub mod limited_client;
pub mod log;
pub mod notify;
mod pruning;
pub mod regular_file;
mod rename_noreplace;
pub mod resource_check;
pub mod store;
