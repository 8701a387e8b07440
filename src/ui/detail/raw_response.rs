//! The JSON page: the server's last response with syntax colours.
//!
//! A response may have 64 KiB, so rows are counted from line widths and only visible ones are
//! built.

use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

use super::field_list::FieldList;
use crate::{
    domain::{
        raw_response::{JsonPieceKind, RawResponse, RawResponseLine},
        watched_task::WatchedTask,
    },
    messages::{format, screen},
    ui::{render_context::RenderContext, theme::Role},
};

/// The indentation per level, and the margin before all lines.
const INDENT_STEP: u16 = 2;
const MARGIN: u16 = 1;

/// Returns the lines above the response: the title and the time, or why there is no response.
pub(super) fn header_lines<'a>(
    watched: &'a WatchedTask,
    ctx: &RenderContext<'a>,
    width: u16,
) -> Vec<Line<'a>> {
    let mut fields = FieldList::new(ctx, width);
    fields.text_line(watched.title(), Role::Title);
    let zone = &ctx.state.settings().time_zone;
    match ctx.state.raw().map(|raw| &raw.response) {
        None => fields.text_line("Loading…", Role::Muted),
        Some(Err(error)) => {
            let text = screen::response_not_read(&error.to_string());
            fields.paragraph(&text, Role::Error, 3);
        }
        Some(Ok(None)) => {
            fields.paragraph(screen::NO_RESPONSE, Role::Muted, 2);
        }
        Some(Ok(Some(response))) => {
            let since = format::date_time(response.since(), ctx.now, zone);
            fields.text_line(&format!("received {since}"), Role::Muted);
            if !response.is_complete() {
                fields.text_line(screen::RESPONSE_TRUNCATED, Role::Warn);
            }
        }
    }
    fields.blank_line();
    fields.into_lines()
}

/// A response wrapped to a page width.
pub(super) struct RawResponsePage<'a> {
    response: &'a RawResponse,
    width: u16,
}

impl<'a> RawResponsePage<'a> {
    pub(super) const fn new(response: &'a RawResponse, width: u16) -> Self {
        Self { response, width }
    }

    pub(super) fn row_count(&self) -> usize {
        self.response
            .lines()
            .iter()
            .map(|line| self.wrapped_height(line))
            .sum()
    }

    /// Returns at most `count` rows from `first` on.
    pub(super) fn visible_rows(
        &self,
        first: usize,
        count: usize,
        ctx: &RenderContext<'_>,
    ) -> Vec<Line<'static>> {
        let mut visible = Vec::with_capacity(count);
        let mut before = 0;
        for line in self.response.lines() {
            let rows = self.wrapped_height(line);
            if before + rows > first {
                let skipped = first.saturating_sub(before);
                let rest = count - visible.len();
                visible.extend(
                    self.render_line(line, ctx)
                        .into_iter()
                        .skip(skipped)
                        .take(rest),
                );
            }
            before += rows;
            if visible.len() == count {
                break;
            }
        }
        visible
    }

    /// Returns the indentation of a line, at most half of the page.
    fn indent(&self, line: &RawResponseLine) -> u16 {
        let indent = MARGIN.saturating_add(line.depth().saturating_mul(INDENT_STEP));
        indent.min(self.width / 2)
    }

    fn text_width(&self, line: &RawResponseLine) -> usize {
        usize::from(self.width.saturating_sub(self.indent(line) + 1)).max(2)
    }

    fn wrapped_height(&self, line: &RawResponseLine) -> usize {
        let room = self.text_width(line);
        if line.is_ascii() || line.width() <= room {
            return line.width().div_ceil(room).max(1);
        }
        // A wide character that does not fit leaves a cell blank, so the wrapping is simulated.
        let mut wrap = LineWrapper::new(room);
        for (_, text) in line.pieces() {
            for grapheme in text.graphemes(true) {
                wrap.advance(grapheme);
            }
        }
        wrap.row + 1
    }

    /// Wraps one line into styled rows.
    fn render_line(&self, line: &RawResponseLine, ctx: &RenderContext<'_>) -> Vec<Line<'static>> {
        let indent = " ".repeat(usize::from(self.indent(line)));
        let empty = || Line::from(vec![Span::raw(indent.clone())]);
        let mut wrap = LineWrapper::new(self.text_width(line));
        let mut rows = vec![empty()];
        for (token, text) in line.pieces() {
            let style = ctx.style(piece_role(token));
            let mut part = String::new();
            for grapheme in text.graphemes(true) {
                let row = wrap.row;
                wrap.advance(grapheme);
                if wrap.row > row {
                    append_span(&mut rows, Span::styled(std::mem::take(&mut part), style));
                    rows.push(empty());
                }
                part.push_str(grapheme);
            }
            append_span(&mut rows, Span::styled(part, style));
        }
        rows
    }
}

fn append_span(rows: &mut [Line<'static>], span: Span<'static>) {
    if let Some(row) = rows.last_mut().filter(|_| !span.content.is_empty()) {
        row.push_span(span);
    }
}

/// The position of the next character while a line is wrapped.
struct LineWrapper {
    width: usize,
    row: usize,
    x: usize,
}

impl LineWrapper {
    const fn new(room: usize) -> Self {
        Self {
            width: room,
            row: 0,
            x: 0,
        }
    }

    /// Advances by one grapheme, to the next row if it does not fit.
    fn advance(&mut self, grapheme: &str) {
        let width = format::width(grapheme);
        if self.x + width > self.width {
            self.row += 1;
            self.x = 0;
        }
        self.x += width;
    }
}

const fn piece_role(token: JsonPieceKind) -> Role {
    match token {
        JsonPieceKind::Name => Role::Key,
        JsonPieceKind::Text => Role::Text,
        JsonPieceKind::Number => Role::Ok,
        JsonPieceKind::Literal => Role::Busy,
        JsonPieceKind::Punctuation => Role::Muted,
    }
}
