//! Real forms of the ports: the API's client, the list on disk, the turns of all instances, files, the machine's own programs;
//! and the log.
//!
//! Each adapter knows its own outside (HTTP, SQL, a desktop) and the domain; none knows another, the core or the
//! screen. Those that start programs share the one safe way to do it (`helper`).

pub mod clipboard;
pub mod desktop;
pub mod download;
pub mod helper;
pub mod kie;
pub mod log;
pub mod notify;
pub mod store;
pub mod surroundings;
pub mod turns;
