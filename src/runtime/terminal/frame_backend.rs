//! A ratatui backend that sends each frame in one write, inside a synchronized update, and nothing
//! if nothing changed.
//!
//! It wraps ratatui's `CrosstermBackend`, which alone flushes at every cursor command (several
//! writes a frame), hides the cursor in every frame, ends an empty frame with 25 bytes of colour
//! resets, and runs `tput` from PATH for the size if the ioctl fails: 420 times in 3 s on a dead
//! terminal (crossterm 0.29, `terminal/sys/unix.rs`).

use std::io;
use std::sync::Arc;

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

use super::nonblocking_tty::NonBlockingTty;
use super::state::TerminalState;

/// The largest area drawn. A terminal may report 65535×65535, and two buffers of that many cells
/// fit in no memory (2000×2000 already takes 379 MB).
const MAX_SIZE: Size = Size {
    width: 1000,
    height: 500,
};

/// Terminals that do not know the mode ignore both sequences.
const BEGIN_UPDATE: &[u8] = b"\x1b[?2026h";
const END_UPDATE: &[u8] = b"\x1b[?2026l";

/// A backend that collects the bytes of a frame and writes them at its end.
///
/// Dropping a ratatui `Terminal` shows the cursor, and prints to standard error if that fails,
/// which panics on a dead terminal. With this backend it cannot fail: the bytes are only collected.
#[derive(Debug)]
pub(super) struct FrameBackend {
    terminal_state: Arc<TerminalState>,
    /// For writes between frames.
    pub(super) tty: NonBlockingTty,
    frame_bytes: Vec<u8>,
    /// The size if the terminal reports none.
    assumed_size: Size,
    /// `None` if unknown, because the shell had the terminal.
    is_cursor_shown: Option<bool>,
    cursor_position: Option<Position>,
}

impl FrameBackend {
    pub(super) fn new(
        terminal_state: Arc<TerminalState>,
        tty: NonBlockingTty,
        assumed_size: Size,
    ) -> Self {
        let mut backend = Self {
            terminal_state,
            tty,
            assumed_size,
            frame_bytes: Vec::new(),
            is_cursor_shown: None,
            cursor_position: None,
        };
        backend.begin_frame();
        backend
    }

    /// Discards the collected bytes and starts a frame that clears the screen.
    pub(super) fn clear_next_frame(&mut self) {
        self.begin_frame();
        self.is_cursor_shown = None;
        self.cursor_position = None;
        self.frame_bytes.extend_from_slice(b"\x1b[0m\x1b[2J");
    }

    fn begin_frame(&mut self) {
        self.frame_bytes.clear();
        self.frame_bytes.extend_from_slice(BEGIN_UPDATE);
    }

    fn set_cursor_visible(&mut self, is_shown: bool) {
        if self.is_cursor_shown != Some(is_shown) {
            self.is_cursor_shown = Some(is_shown);
            self.frame_bytes
                .extend_from_slice(if is_shown { b"\x1b[?25h" } else { b"\x1b[?25l" });
        }
    }

    fn crossterm_backend(&mut self) -> CrosstermBackend<&mut Vec<u8>> {
        CrosstermBackend::new(&mut self.frame_bytes)
    }
}

impl Backend for FrameBackend {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        self.cursor_position = None;
        self.crossterm_backend().draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.set_cursor_visible(false);
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.set_cursor_visible(true);
        Ok(())
    }

    /// Fails: it would query the terminal, and the event reader would get the reply.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if self.cursor_position == Some(position) {
            return Ok(());
        }
        self.cursor_position = Some(position);
        self.crossterm_backend().set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.crossterm_backend().clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        let size = self.terminal_state.window_size()?;
        let or_assumed = |reported, assumed| if reported == 0 { assumed } else { reported };
        Ok(Size {
            width: or_assumed(size.ws_col, self.assumed_size.width).clamp(1, MAX_SIZE.width),
            height: or_assumed(size.ws_row, self.assumed_size.height).clamp(1, MAX_SIZE.height),
        })
    }

    /// Fails: ratatui does not use it.
    fn window_size(&mut self) -> io::Result<WindowSize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends the frame unless it is empty.
    fn flush(&mut self) -> io::Result<()> {
        if self.frame_bytes.len() == BEGIN_UPDATE.len() {
            return Ok(());
        }
        self.frame_bytes.extend_from_slice(END_UPDATE);
        let written = self.terminal_state.write(&mut self.tty, &self.frame_bytes);
        self.begin_frame();
        written
    }
}
