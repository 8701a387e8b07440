//! Real forms of the ports: the API's client, the list on disk, files, browser and clocks.
//!
//! Each adapter knows its own outside (HTTP, SQL) and the domain; none knows another, the core or the screen.

pub mod desktop;
pub mod download;
pub mod kie;
pub mod store;
