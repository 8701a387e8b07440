//! Drawing primitives that are clipped to one area of the screen.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::Line,
    widgets::{Block, Borders, Widget as _},
};

use super::theme::{Role, Theme};
use crate::messages::format;

/// A clipped area of the buffer; coordinates are relative to its top left corner.
pub(crate) struct Painter<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
}

impl<'a> Painter<'a> {
    /// Returns a painter for the visible part of `area`.
    pub(crate) fn new(buffer: &'a mut Buffer, area: Rect) -> Self {
        let area = area.intersection(*buffer.area());
        Self { buffer, area }
    }

    pub(crate) const fn width(&self) -> u16 {
        self.area.width
    }

    pub(crate) const fn height(&self) -> u16 {
        self.area.height
    }

    /// Returns some cells of a row in screen coordinates.
    pub(crate) fn cells_area(&self, x: u16, y: u16, width: u16) -> Rect {
        let strip = Rect {
            x: self.area.x.saturating_add(x),
            y: self.area.y.saturating_add(y),
            width,
            height: 1,
        };
        strip.intersection(self.area)
    }

    /// Returns a row in screen coordinates.
    pub(crate) fn row_area(&self, y: u16) -> Rect {
        self.cells_area(0, y, self.area.width)
    }

    /// Writes a text, clipped to the area, and returns the column after it.
    pub(crate) fn text(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if y >= self.area.height || x >= self.area.width {
            return x;
        }
        let room = usize::from(self.area.width - x);
        let (end, _) = self
            .buffer
            .set_stringn(self.area.x + x, self.area.y + y, text, room, style);
        end.saturating_sub(self.area.x)
    }

    /// Writes a text that ends before column `end`, and returns its first column.
    pub(crate) fn text_ending_at(&mut self, end: u16, y: u16, text: &str, style: Style) -> u16 {
        let start = end.saturating_sub(cell_count(text));
        self.text(start, y, text, style);
        start
    }

    /// Writes a styled line and returns the column after it.
    pub(crate) fn line(&mut self, x: u16, y: u16, line: &Line<'_>) -> u16 {
        let mut x = x;
        for span in &line.spans {
            x = self.text(x, y, &span.content, line.style.patch(span.style));
        }
        x
    }

    /// Clears the area.
    ///
    /// A wide character that extends into the area from the left is replaced too: the terminal
    /// would draw it over the first column.
    pub(crate) fn clear(&mut self) {
        if let Some(before) = self.area.x.checked_sub(1) {
            for y in self.area.top()..self.area.bottom() {
                if let Some(cell) = self.buffer.cell_mut((before, y))
                    && cell_count(cell.symbol()) > 1
                {
                    cell.set_symbol(" ");
                }
            }
        }
        for position in self.area.positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.reset();
            }
        }
    }

    pub(crate) fn style_row(&mut self, y: u16, style: Style) {
        self.style_cells(0, y, self.area.width, style);
    }

    /// Patches the style of some cells of a row.
    pub(crate) fn style_cells(&mut self, x: u16, y: u16, width: u16, style: Style) {
        if y < self.area.height && x < self.area.width {
            let width = width.min(self.area.width - x);
            let cells = Rect::new(self.area.x + x, self.area.y + y, width, 1);
            self.buffer.set_style(cells, style);
        }
    }

    /// Draws a horizontal line with titles, and returns the area of the right one.
    pub(crate) fn rule(&mut self, y: u16, titles: &FrameTitle<'_>, theme: &Theme) -> Rect {
        Painter::new(self.buffer, self.row_area(y)).borders(Borders::TOP, titles, theme)
    }

    /// Draws a frame around the area, and returns the area of the right title.
    pub(crate) fn frame(&mut self, titles: &FrameTitle<'_>, theme: &Theme) -> Rect {
        self.borders(Borders::ALL, titles, theme)
    }

    /// Draws borders with titles in the upper one. The right title is drawn where both fit; else
    /// the returned area is empty.
    fn borders(&mut self, borders: Borders, titles: &FrameTitle<'_>, theme: &Theme) -> Rect {
        Block::new()
            .borders(borders)
            .border_set(theme.glyphs().border)
            .border_style(theme.style(titles.border_role()))
            .render(self.area, self.buffer);
        // Styles are patched: without a reset, that of the border would shine through.
        let label = |role| Style::reset().patch(theme.style(role));
        let mut end = 0;
        if !titles.title.is_empty() {
            let room = usize::from(self.width()).saturating_sub(6);
            let title = format::fit_end(titles.title, room, theme.glyphs().ellipsis);
            end = self.text(2, 0, &format!(" {title} "), label(titles.title_role()));
        }
        let width = cell_count(titles.right);
        let start = self.width().saturating_sub(4 + width);
        if width == 0 || start <= end {
            return Rect::default();
        }
        self.text(start, 0, &format!(" {} ", titles.right), label(Role::Muted));
        self.cells_area(start + 1, 0, width)
    }
}

/// The titles in a rule or in the upper border of a frame.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameTitle<'a> {
    pub(crate) title: &'a str,
    pub(crate) right: &'a str,
    pub(crate) focus: KeyboardFocus,
}

/// Whether a part of the screen has the keyboard focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KeyboardFocus {
    Focused,
    #[default]
    Unfocused,
}

impl FrameTitle<'_> {
    const fn border_role(&self) -> Role {
        match self.focus {
            KeyboardFocus::Focused => Role::Focus,
            KeyboardFocus::Unfocused => Role::Border,
        }
    }

    const fn title_role(&self) -> Role {
        match self.focus {
            KeyboardFocus::Focused => Role::Title,
            KeyboardFocus::Unfocused => Role::Text,
        }
    }
}

/// Returns the area inside a frame.
pub(crate) fn inner_area(area: Rect) -> Rect {
    area.inner(ratatui::layout::Margin::new(1, 1))
}

/// Returns the width of a text in cells, saturating at `u16::MAX`.
pub(crate) fn cell_count(text: &str) -> u16 {
    u16::try_from(format::width(text)).unwrap_or(u16::MAX)
}
