//! Real forms of the ports: the API's client, the list on disk, the turns of all instances, files, the page of a
//! comparison, frames, the machine; and the log.
//!
//! Each adapter knows its own outside (HTTP, SQL) and the domain; none knows the core or the screen, and
//! none another, but for the comparison, which starts the browser.

pub mod compare;
pub mod desktop;
pub mod download;
pub mod frames;
pub mod inputs;
pub mod kie;
pub mod log;
pub mod store;
pub mod turns;
