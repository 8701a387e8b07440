//! Options of the screen.

use super::osc::TerminalCaps;

/// Options of [`TerminalScreen::enter`](super::TerminalScreen::enter).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScreenOptions {
    /// Whether presses, releases and the wheel are reported; else the terminal gets the mouse, and
    /// text is selected and copied as everywhere else.
    ///
    /// Motion is not reported: each move would wake an idle program (crossterm's
    /// `EnableMouseCapture` requests all motion).
    pub captures_mouse: bool,
    /// Whether the terminal reports a change between dark and light mode, if it knows mode 2031.
    /// Off if the user chose a theme.
    pub follows_color_scheme: bool,
    pub caps: TerminalCaps,
    /// Columns and rows if the terminal reports none.
    pub assumed_size: (u16, u16),
}
