//! The core: what the program knows, what may happen to it, and what it then orders.
//!
//! `update(&mut State, Msg, Now) -> Vec<Effect>` is the only door. No I/O, no clock, no async, no panic;
//! it does not know the ports, the terminal's crates, or how anything is drawn.

pub mod clip;
pub mod keymap;
pub mod msg;
pub mod pointer;
pub mod state;
pub mod tidings;
pub mod update;
