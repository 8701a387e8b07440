//! The field itself: tasks, what the outside may answer about them, when to ask, and the watch list.
//!
//! Pure: no I/O, no clock, no async, no terminal. Everything that depends on time takes a [`time::Now`].

pub mod change;
pub mod comparison;
pub mod estimate;
pub mod fuzzy;
pub mod id_extract;
pub mod link;
pub mod memory;
pub mod names;
pub mod nearest;
pub mod noticed;
pub mod path_text;
pub mod picture;
pub mod query;
pub mod record;
pub mod report;
pub mod save;
pub mod schedule;
pub mod span;
pub mod status;
pub mod task;
pub mod text;
pub mod time;
pub mod turns;
pub mod watched;
pub mod watchlist;
