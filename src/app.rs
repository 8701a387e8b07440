//! The core: what the program knows, what may happen to it, and what it then orders.
//!
//! `update(&mut State, Msg, Now) -> Vec<Effect>` is the only door. No I/O, no clock, no async, no
//! panic; it does not know the ports, the terminal's crates, or how anything is drawn.

pub mod copy_payload;
pub mod keymap;
pub mod mouse;
pub mod msg;
pub mod notifications;
pub mod state;
pub mod update;
