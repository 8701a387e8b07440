//! Real forms of the ports: the API's client and the list on disk; and the log file.
//!
//! Each adapter knows its own outside (HTTP, SQL) and the domain; none knows another, the core or the screen.

pub mod desktop;
pub mod kie;
pub mod log;
pub mod store;
