//! Input events, and their messages for the core.

use super::reply::TerminalReply;
use crate::app::{keymap::KeyChord, mouse::MouseAction, msg::Msg, notifications::TerminalFocus};

#[derive(Debug, Clone, PartialEq)]
pub enum InputEvent {
    Key {
        chord: KeyChord,
        /// Set only by terminals that report it.
        is_repeat: bool,
    },
    /// Pasted text, unchecked.
    Paste(String),
    /// A mouse action at a column and row, from 0.
    Mouse(MouseAction, (u16, u16)),
    Reply(TerminalReply),
    /// The terminal gained (true) or lost the focus.
    Focus(bool),
}

impl InputEvent {
    pub(super) const fn press(chord: KeyChord) -> Self {
        Self::Key {
            chord,
            is_repeat: false,
        }
    }
}

/// Returns the message for an event; `None` for mouse actions and replies, which have other
/// receivers.
pub fn translate(input: InputEvent) -> Option<Msg> {
    match input {
        InputEvent::Key { chord, is_repeat } => Some(Msg::Key { chord, is_repeat }),
        InputEvent::Paste(text) => Some(Msg::Pasted(text)),
        InputEvent::Focus(true) => Some(Msg::Focused(TerminalFocus::Focused)),
        InputEvent::Focus(false) => Some(Msg::Focused(TerminalFocus::Unfocused)),
        InputEvent::Mouse(..) | InputEvent::Reply(_) => None,
    }
}
