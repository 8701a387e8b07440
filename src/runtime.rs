//! (to come)

pub mod terminal;
