//! Checks a program's output: only printable text and a short list of escape sequences are allowed.
//!
//! Escape sequences come only from our own backend, so no text of a server, a link or a paste can
//! control the terminal.

use crate::support::harmful_chars::is_harmful;

/// Final bytes of the `CSI` sequences that draw.
const DRAWING_FINALS: [char; 3] = ['m', 'H', 'J'];

/// Private modes that may be set: cursor, mouse clicks, focus events, SGR mouse reports, alternate
/// screen, bracketed paste, colour scheme reports.
const ALLOWED_SET_MODES: [&str; 7] = ["25", "1000", "1004", "1006", "1049", "2004", "2031"];

/// Private modes that may only be reset, in case another program left them on.
const ALLOWED_RESET_MODES: [&str; 3] = ["1002", "1003", "1015"];

/// Synchronized output, around each frame.
const SYNC_UPDATE_MODE: &str = "2026";

/// Our longest sequence, a title, is far shorter.
const MAX_SEQUENCE_LEN: usize = 4096;

const ENTER_ALT_SCREEN: &[u8] = b"\x1b[?1049h";
const LEAVE_ALT_SCREEN: &[u8] = b"\x1b[?1049l";

/// A checker of a program's output, in chunks of any size.
///
/// Outside the alternate screen (before, after, suspended by Ctrl-Z) the terminal itself echoes
/// typed bytes, which need not be text. An escape is echoed as `^[`, so escape sequences are still
/// checked.
#[derive(Debug, Default)]
pub(crate) struct OutputChecker {
    pending: Vec<u8>,
    /// Whether the alternate screen is active.
    is_on_screen: bool,
    /// The number of bytes checked.
    pub(crate) bytes: usize,
}

impl OutputChecker {
    /// Checks the next bytes; the error describes the first forbidden sequence.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.bytes += bytes.len();
        self.pending.extend(bytes);
        let mut at = 0;
        loop {
            let rest = self.pending.get(at..).unwrap_or_default();
            match token_len(rest) {
                Ok(0) => break,
                Ok(length) => {
                    self.is_on_screen = match rest.get(..length) {
                        Some(ENTER_ALT_SCREEN) => true,
                        Some(LEAVE_ALT_SCREEN) => false,
                        Some(_) | None => self.is_on_screen,
                    };
                    at += length;
                }
                Err(_) if !self.is_on_screen && is_terminal_echo(rest) => at += 1,
                Err(what) => {
                    let around = rest.get(..rest.len().min(60)).unwrap_or_default();
                    return Err(format!("{what}: {:?}", String::from_utf8_lossy(around)));
                }
            }
        }
        self.pending.drain(..at);
        Ok(())
    }

    /// Reports whether the output ended at a complete token.
    pub(crate) fn is_at_boundary(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Reports whether the first byte may be the terminal's echo of a typed byte, which is never an
/// escape.
fn is_terminal_echo(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| *byte != 0x1b)
}

/// Returns the length of the first character or sequence; 0 when more bytes are needed.
fn token_len(bytes: &[u8]) -> Result<usize, &'static str> {
    match bytes {
        [] | [0x1b] => Ok(0),
        [0x1b, b'[', rest @ ..] => csi_len(rest).map(|length| length + usize::from(length > 0) * 2),
        [0x1b, b']', rest @ ..] => osc_len(rest).map(|length| length + usize::from(length > 0) * 2),
        // ST: ends a title that an aborted write may have left open.
        [0x1b, b'\\', ..] => Ok(2),
        [0x1b, ..] => Err("an escape sequence that is not ours"),
        [b'\r' | b'\n' | 0x20..0x7f, ..] => Ok(1),
        [0..0x20 | 0x7f, ..] => Err("a control character"),
        [first, ..] => {
            let length = match first {
                0xc2..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0..0xf5 => 4,
                _ => return Err("a byte that is not text"),
            };
            let Some(character) = bytes.get(..length) else {
                return Ok(0);
            };
            let text = std::str::from_utf8(character)
                .ok()
                .ok_or("bytes that are not text")?;
            if text.chars().any(is_harmful) {
                return Err("a forbidden character");
            }
            Ok(length)
        }
    }
}

fn csi_len(rest: &[u8]) -> Result<usize, &'static str> {
    let Some(end) = rest.iter().position(|byte| (0x40..0x7f).contains(byte)) else {
        return if rest.len() > MAX_SEQUENCE_LEN {
            Err("a sequence without an end")
        } else {
            Ok(0)
        };
    };
    let (parameters, last) = (rest.get(..end), rest.get(end).copied().map(char::from));
    let parameters = parameters.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let (Some(parameters), Some(last)) = (parameters, last) else {
        return Err("a sequence that is not text");
    };
    let are_numbers = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_digit() || [';', ':'].contains(&c))
    };
    let is_ours = match (parameters.strip_prefix('?'), last) {
        (Some(mode), 'h') => ALLOWED_SET_MODES.contains(&mode) || mode == SYNC_UPDATE_MODE,
        (Some(mode), 'l') => [
            &ALLOWED_SET_MODES[..],
            &ALLOWED_RESET_MODES,
            &[SYNC_UPDATE_MODE],
        ]
        .concat()
        .contains(&mode),
        (None, 't') => ["22;0", "23;0"].contains(&parameters),
        (None, last) => DRAWING_FINALS.contains(&last) && are_numbers(parameters),
        (Some(_), _) => false,
    };
    if is_ours {
        Ok(end + 1)
    } else {
        Err("a sequence that is not ours")
    }
}

/// Returns the length of an OSC sequence after its start: a title, a query for the background
/// colour, or a copy to the clipboard.
///
/// Notifications (OSC 9, 777, 99) and images (kitty, sixel, iTerm2) are forbidden: the programs
/// under test have both turned off, so such a sequence came from outside.
fn osc_len(rest: &[u8]) -> Result<usize, &'static str> {
    let Some(end) = rest.iter().position(|byte| *byte < 0x20 || *byte == 0x7f) else {
        return if rest.len() > 64 * MAX_SEQUENCE_LEN {
            Err("a string without an end")
        } else {
            Ok(0)
        };
    };
    let (text, after) = rest.split_at(end);
    let closed = match after {
        [0x07, ..] => 1,
        [0x1b, b'\\', ..] => 2,
        [0x1b] => return Ok(0),
        _ => return Err("a control character in a string"),
    };
    let text = std::str::from_utf8(text)
        .ok()
        .ok_or("a string that is not text")?;
    let is_base64 = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || ['+', '/', '='].contains(&c))
    };
    let is_ours = match text.split_once(';') {
        Some(("11", query)) => query == "?",
        Some(("2", title)) => !title.chars().any(is_harmful),
        Some(("52", copied)) => copied.strip_prefix("c;").is_some_and(is_base64),
        Some(_) | None => false,
    };
    if is_ours {
        Ok(end + closed)
    } else {
        Err("a string that is not ours")
    }
}
