//! The outside as it is: what the ports promise, made real. Nothing above knows how.

pub mod store;
