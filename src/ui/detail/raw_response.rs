//! The page of the raw record: the server's last answer, coloured, and only the rows of it that are
//! seen.
//!
//! A record may have 64 KiB: its rows are counted by the lines' widths, and built for the screen
//! alone.

use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

use super::field_list::FieldList;
use crate::{
    domain::{
        raw_response::{JsonPieceKind, RawResponse, RawResponseLine},
        watched_task::WatchedTask,
    },
    ui::{format, render_context::RenderContext, theme::Role},
};

/// How far a level is set in, and the margin before all of them.
const INDENT_STEP: u16 = 2;
const MARGIN: u16 = 1;

/// Returns what stands above the record: whose it is and since when it is so, or why there is none.
pub(super) fn header_lines<'a>(
    watched: &'a WatchedTask,
    scene: &RenderContext<'a>,
    width: u16,
) -> Vec<Line<'a>> {
    let mut sheet = FieldList::new(scene, width);
    sheet.text_line(watched.title(), Role::Title);
    let zone = &scene.state.settings().time_zone;
    match scene.state.raw().map(|raw| &raw.response) {
        None => sheet.text_line("Reading…", Role::Muted),
        Some(Err(error)) => {
            let text = format!("The record could not be read: {error}.");
            sheet.paragraph(&text, Role::Error, 3);
        }
        Some(Ok(None)) => {
            sheet.paragraph(
                "The server has not given a record of it yet.",
                Role::Muted,
                2,
            );
        }
        Some(Ok(Some(record))) => {
            let since = format::date_time(record.since(), scene.now, zone);
            sheet.text_line(&format!("received at {since}"), Role::Muted);
            if !record.is_complete() {
                sheet.text_line("It was too long: its end is not kept.", Role::Warn);
            }
        }
    }
    sheet.blank_line();
    sheet.into_lines()
}

/// A record on a page of some width.
pub(super) struct RawResponsePage<'a> {
    record: &'a RawResponse,
    width: u16,
}

impl<'a> RawResponsePage<'a> {
    /// Returns the record on a page that wide.
    pub(super) const fn new(record: &'a RawResponse, width: u16) -> Self {
        Self { record, width }
    }

    /// Returns how many rows it takes.
    pub(super) fn row_count(&self) -> usize {
        self.record
            .lines()
            .iter()
            .map(|line| self.wrapped_height(line))
            .sum()
    }

    /// Returns the rows from `first` on, at most `most` of them.
    pub(super) fn visible_rows(
        &self,
        first: usize,
        most: usize,
        scene: &RenderContext<'_>,
    ) -> Vec<Line<'static>> {
        let mut seen = Vec::with_capacity(most);
        let mut before = 0;
        for line in self.record.lines() {
            let rows = self.wrapped_height(line);
            if before + rows > first {
                let skipped = first.saturating_sub(before);
                let wanted = most - seen.len();
                seen.extend(
                    self.render_line(line, scene)
                        .into_iter()
                        .skip(skipped)
                        .take(wanted),
                );
            }
            before += rows;
            if seen.len() == most {
                break;
            }
        }
        seen
    }

    /// Returns where a line begins; what is nested deeply leaves half of the page to its text.
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
        // A wide character that does not fit leaves a cell free: that has to be tried.
        let mut wrap = LineWrapper::new(room);
        for (_, text) in line.pieces() {
            for grapheme in text.graphemes(true) {
                wrap.advance(grapheme);
            }
        }
        wrap.row + 1
    }

    /// Sets one line in rows.
    fn render_line(&self, line: &RawResponseLine, scene: &RenderContext<'_>) -> Vec<Line<'static>> {
        let indent = " ".repeat(usize::from(self.indent(line)));
        let empty = || Line::from(vec![Span::raw(indent.clone())]);
        let mut wrap = LineWrapper::new(self.text_width(line));
        let mut rows = vec![empty()];
        for (token, text) in line.pieces() {
            let style = scene.style(piece_role(token));
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

/// Walks through the rows of a line.
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

    /// Places a character, in the next row where it does not fit any more.
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
