//! What the event loop draws on.

use std::{future, io};

use ratatui::Frame;

use super::input::CellSize;
use crate::app::msg::TerminalRequest;

/// The screen of the event loop: the terminal, or a test's buffer.
///
/// An error of any method means that the terminal is gone.
pub trait Display {
    /// Returns the size in columns and rows.
    fn size(&self) -> io::Result<(u16, u16)>;
    fn is_size_unknown(&self) -> bool {
        false
    }
    /// Returns whether output is still unsent; no frame is drawn meanwhile.
    fn has_pending_output(&self) -> bool {
        false
    }
    /// Sends pending output; never resolves when there is none. Cancel safe.
    fn flush_pending(&mut self) -> impl Future<Output = io::Result<()>> {
        future::pending()
    }
    /// Draws one frame.
    fn draw(&mut self, view: &mut dyn FnMut(&mut Frame<'_>)) -> io::Result<()>;
    /// Makes the next frame repaint every cell.
    fn invalidate(&mut self);
    /// Stops the process as Ctrl-Z does; returns after `fg`.
    fn suspend(&mut self) -> io::Result<()>;
    /// Restores the terminal modes after a SIGSTOP from outside; `false` if they were in place.
    fn resume(&mut self) -> io::Result<bool>;
    /// Sets the window title; an unchanged title sends nothing.
    fn set_title(&mut self, title: &str) -> io::Result<()>;
    fn send_request(&mut self, request: &TerminalRequest) -> io::Result<()>;
    /// Returns the size of a cell in pixels, if known.
    fn cell_size(&self) -> Option<CellSize> {
        None
    }
    /// Sends a query; the terminal's reply arrives with the input.
    fn send_query(&mut self, _query: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
