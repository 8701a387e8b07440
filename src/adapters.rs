//! Real forms of the ports: the API's client, the list on disk, the turns of all instances, files, the machine; and the log.
//!
//! Each adapter knows its own outside (HTTP, SQL) and the domain; none knows another, the core or the screen.

pub mod desktop;
pub mod download;
pub mod kie;
pub mod log;
pub mod store;
pub mod turns;
