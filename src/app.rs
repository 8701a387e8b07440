//! The core: state, messages, effects, and the `update` function.
//!
//! `update(&mut State, Msg, Now) -> Vec<Effect>` is the only entry point. No I/O, no clock, no
//! async, no panic. The core knows neither the ports nor the terminal crates nor the drawing.

pub mod copy_payload;
pub mod keymap;
pub mod mouse;
pub mod msg;
pub mod notifications;
pub mod palette;
pub mod state;
pub mod update;
