//! Tasks, answers about them, the polling schedule, the shared limits and the watch list.
//!
//! Pure: no I/O, no clock, no async, no terminal. Functions that depend on time take a
//! [`time::Now`] or a [`time::Mono`].

pub mod account_hash;
pub mod api_origin;
pub mod comparison;
pub mod download;
pub mod duration_text;
pub mod estimate;
pub mod fuzzy;
pub mod id_extract;
pub mod label_index;
pub mod limiter;
pub mod link;
pub mod list_change;
pub mod path_text;
pub mod poll_queue;
pub mod poll_request;
pub mod poll_result;
pub mod preview;
pub mod query;
pub mod raw_response;
pub mod response_notes;
pub mod saved_session;
pub mod schedule;
pub mod status;
pub mod store_request;
pub mod stored_key;
pub mod suggest;
pub mod task;
pub mod text;
pub mod time;
pub mod watched_task;
pub mod watchlist;
