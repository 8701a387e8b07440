//! Draws into one part of the screen and never outside it, whatever it is told.
//!
//! Widgets would build the same cells through more allocations; some of them panic outside the
//! buffer.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::{
    format,
    theme::{Role, Theme},
};

/// Writes into a part of the screen; places are counted from the part's own corner.
pub(crate) struct Painter<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
}

impl<'a> Painter<'a> {
    /// Returns a pen for the part of `area` that is on the screen.
    pub(crate) fn new(buffer: &'a mut Buffer, area: Rect) -> Self {
        let area = area.intersection(*buffer.area());
        Self { buffer, area }
    }

    /// Returns how many columns there are.
    pub(crate) const fn width(&self) -> u16 {
        self.area.width
    }

    /// Returns how many rows there are.
    pub(crate) const fn height(&self) -> u16 {
        self.area.height
    }

    /// Returns the place of so many columns of a row, on the screen.
    pub(crate) fn cells_area(&self, x: u16, y: u16, width: u16) -> Rect {
        let strip = Rect {
            x: self.area.x.saturating_add(x),
            y: self.area.y.saturating_add(y),
            width,
            height: 1,
        };
        strip.intersection(self.area)
    }

    /// Returns the place of a row, on the screen.
    pub(crate) fn row_area(&self, y: u16) -> Rect {
        self.cells_area(0, y, self.area.width)
    }

    /// Writes a text and returns the column after it. What is outside is left out.
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

    /// Writes a text that ends before column `end`, and returns the column it starts in.
    pub(crate) fn text_ending_at(&mut self, end: u16, y: u16, text: &str, style: Style) -> u16 {
        let start = end.saturating_sub(cell_count(text));
        self.text(start, y, text, style);
        start
    }

    /// Writes a line of several styles.
    pub(crate) fn line(&mut self, x: u16, y: u16, line: &Line<'_>) -> u16 {
        let mut x = x;
        for span in &line.spans {
            x = self.text(x, y, &span.content, line.style.patch(span.style));
        }
        x
    }

    /// Writes one of our own glyphs several times.
    pub(crate) fn repeat(&mut self, x: u16, y: u16, times: u16, glyph: &'static str, style: Style) {
        if y >= self.area.height {
            return;
        }
        for x in x..x.saturating_add(times).min(self.area.width) {
            if let Some(cell) = self.buffer.cell_mut((self.area.x + x, self.area.y + y)) {
                cell.set_symbol(glyph).set_style(style);
            }
        }
    }

    /// Empties the whole part.
    ///
    /// A wide character that reaches in from the left is replaced as well: the terminal would draw
    /// it whole, over our first column.
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

    /// Gives a whole row a style.
    pub(crate) fn style_row(&mut self, y: u16, style: Style) {
        self.style_cells(0, y, self.area.width, style);
    }

    /// Gives some cells of a row a style, over the one they have.
    pub(crate) fn style_cells(&mut self, x: u16, y: u16, width: u16, style: Style) {
        if y < self.area.height && x < self.area.width {
            let width = width.min(self.area.width - x);
            let cells = Rect::new(self.area.x + x, self.area.y + y, width, 1);
            self.buffer.set_style(cells, style);
        }
    }

    /// Draws a horizontal line with a title in it at the left, and a text at the right where both
    /// fit.
    ///
    /// Returns where the text at the right is; a place without columns when it is not there.
    pub(crate) fn rule(&mut self, y: u16, lead: u16, head: &FrameTitle<'_>, theme: &Theme) -> Rect {
        let line = theme.style(head.border_role());
        self.repeat(
            lead,
            y,
            self.width().saturating_sub(lead * 2),
            theme.glyphs().horizontal,
            line,
        );
        let mut end = 0;
        if !head.title.is_empty() {
            let room = usize::from(self.width()).saturating_sub(6);
            let title = format::fit_end(head.title, room, theme.glyphs().ellipsis);
            end = self.line_label(2, y, &title, theme.style(head.title_role()));
        }
        let tail = cell_count(head.right);
        let start = self.width().saturating_sub(4 + tail);
        if tail > 0 && start > end {
            self.line_label(start, y, head.right, theme.style(Role::Muted));
            return self.cells_area(start + 1, y, tail);
        }
        Rect::default()
    }

    /// Writes a text into a line, with a space at both ends, and returns the column after it.
    ///
    /// Styles are laid one over the other: what the line's style left would show.
    fn line_label(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        let end = x.saturating_add(cell_count(text)).saturating_add(2);
        for x in x..end.min(self.area.width) {
            if y < self.area.height
                && let Some(cell) = self.buffer.cell_mut((self.area.x + x, self.area.y + y))
            {
                cell.reset();
            }
        }
        self.text(x + 1, y, text, style);
        end
    }

    /// Draws a box around the whole part, and returns where the text at the right of its upper
    /// border is.
    pub(crate) fn frame(&mut self, head: &FrameTitle<'_>, theme: &Theme) -> Rect {
        let line = theme.style(head.border_role());
        let (right, bottom) = (
            self.width().saturating_sub(1),
            self.height().saturating_sub(1),
        );
        let glyphs = theme.glyphs();
        for y in 1..bottom {
            self.repeat(0, y, 1, glyphs.vertical, line);
            self.repeat(right, y, 1, glyphs.vertical, line);
        }
        self.repeat(1, bottom, right.saturating_sub(1), glyphs.horizontal, line);
        let right_text = self.rule(0, 1, head, theme);
        let [top_left, top_right, bottom_left, bottom_right] = glyphs.corners;
        self.repeat(0, 0, 1, top_left, line);
        self.repeat(right, 0, 1, top_right, line);
        self.repeat(0, bottom, 1, bottom_left, line);
        self.repeat(right, bottom, 1, bottom_right, line);
        right_text
    }
}

/// What stands in the upper border of a box.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameTitle<'a> {
    /// Its name, at the left.
    pub(crate) title: &'a str,
    /// What is said at the right.
    pub(crate) right: &'a str,
    /// Whether the box has the keyboard.
    pub(crate) focus: KeyboardFocus,
}

/// Whether a box has the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum KeyboardFocus {
    /// It has.
    Focused,
    /// It has not.
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

/// Returns the inside of a box.
pub(crate) fn inner_area(area: Rect) -> Rect {
    area.inner(ratatui::layout::Margin::new(1, 1))
}

/// Returns a text's width in cells, held at what a screen can have.
pub(crate) fn cell_count(text: &str) -> u16 {
    u16::try_from(format::width(text)).unwrap_or(u16::MAX)
}
