//! Real forms of the ports: the API's client, the list on disk, the turns of all instances, files,
//! frames of videos, the page of a comparison, the machine's own programs; and the log.
//!
//! Each adapter knows its own outside (HTTP, SQL, a desktop) and the domain; none knows another,
//! the core or the screen. Those that start programs share the one safe way to do it (`helper`),
//! those that open files by path use `regular_file`, and the comparison starts the browser.

pub mod clipboard;
pub mod command;
pub mod compare;
pub mod desktop;
pub mod download;
pub mod environment;
pub mod file_limiter;
pub mod frames;
pub mod input_cache;
pub mod kie;
pub mod log;
pub mod notify;
pub mod proxy;
pub mod regular_file;
pub mod resource_check;
pub mod store;
