//! Terminal input: from bytes to events, and from events to messages of the core.
//!
//! - `reader` reads the terminal without blocking.
//! - `parser` makes events of the bytes, with:
//!   - `sequence_reader`, which splits them into characters, complete sequences and pastes;
//!   - `decode`, which maps sequences to keys and mouse actions; only it knows the parser library;
//!   - `paste_detector`, which keeps pasted text, bracketed or not, from acting as keys.
//! - `event` has the events and their messages.
//! - `reply` parses the terminal's replies to queries.

mod decode;
mod event;
mod parser;
mod paste_detector;
mod reader;
mod reply;
mod sequence_reader;

pub use self::{
    event::{InputEvent, translate},
    reader::InputReader,
    reply::{CellSize, Rgb, TerminalReply},
};
