//! The page of the raw record: the server's last answer, coloured, and only the rows of it that are seen.
//!
//! A record may have 64 KiB: its rows are counted by the lines' widths, and built for the screen alone.

use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

use super::sheet::Sheet;
use crate::{
    domain::{
        record::{Record, RecordLine, Token},
        watched::Watched,
    },
    ui::{format, scene::Scene, theme::Role},
};

/// How far a level is set in, and the margin before all of them.
const STEP: u16 = 2;
const MARGIN: u16 = 1;

/// Returns what stands above the record: whose it is and since when it is so, or why there is none.
pub(super) fn head<'a>(watched: &'a Watched, scene: &Scene<'a>, width: u16) -> Vec<Line<'a>> {
    let mut sheet = Sheet::new(scene, width);
    sheet.plain(watched.title(), Role::Title);
    let zone = &scene.state.settings().zone;
    match scene.state.raw().map(|raw| &raw.record) {
        None => sheet.plain("Reading…", Role::Muted),
        Some(Err(error)) => {
            let text = format!("The record could not be read: {error}.");
            sheet.prose(&text, Role::Error, 3);
        }
        Some(Ok(None)) => {
            sheet.prose(
                "The server has not given a record of it yet.",
                Role::Muted,
                2,
            );
        }
        Some(Ok(Some(record))) => {
            let since = format::moment(record.since(), scene.now, zone);
            sheet.plain(&format!("received at {since}"), Role::Muted);
            if !record.is_whole() {
                sheet.plain("It was too long: its end is not kept.", Role::Warn);
            }
        }
    }
    sheet.space();
    sheet.into_lines()
}

/// Is a record on a page of some width.
pub(super) struct Page<'a> {
    record: &'a Record,
    width: u16,
}

impl<'a> Page<'a> {
    /// Returns the record on a page that wide.
    pub(super) const fn new(record: &'a Record, width: u16) -> Self {
        Self { record, width }
    }

    /// Returns how many rows it takes.
    pub(super) fn count(&self) -> usize {
        self.record.lines().iter().map(|line| self.rows(line)).sum()
    }

    /// Returns the rows from `first` on, at most `most` of them.
    pub(super) fn seen(&self, first: usize, most: usize, scene: &Scene<'_>) -> Vec<Line<'static>> {
        let mut seen = Vec::with_capacity(most);
        let mut before = 0;
        for line in self.record.lines() {
            let rows = self.rows(line);
            if before + rows > first {
                let skipped = first.saturating_sub(before);
                let wanted = most - seen.len();
                seen.extend(self.set(line, scene).into_iter().skip(skipped).take(wanted));
            }
            before += rows;
            if seen.len() == most {
                break;
            }
        }
        seen
    }

    /// Returns where a line begins; what is nested deeply leaves half of the page to its text.
    fn indent(&self, line: &RecordLine) -> u16 {
        let indent = MARGIN.saturating_add(line.depth().saturating_mul(STEP));
        indent.min(self.width / 2)
    }

    fn room(&self, line: &RecordLine) -> usize {
        usize::from(self.width.saturating_sub(self.indent(line) + 1)).max(2)
    }

    fn rows(&self, line: &RecordLine) -> usize {
        let room = self.room(line);
        if line.is_ascii() || line.width() <= room {
            return line.width().div_ceil(room).max(1);
        }
        // A wide character that does not fit leaves a cell free: that has to be tried.
        let mut wrap = Wrap::new(room);
        for (_, text) in line.pieces() {
            for grapheme in text.graphemes(true) {
                wrap.place(grapheme);
            }
        }
        wrap.row + 1
    }

    /// Sets one line in rows.
    fn set(&self, line: &RecordLine, scene: &Scene<'_>) -> Vec<Line<'static>> {
        let indent = " ".repeat(usize::from(self.indent(line)));
        let empty = || Line::from(vec![Span::raw(indent.clone())]);
        let mut wrap = Wrap::new(self.room(line));
        let mut rows = vec![empty()];
        for (token, text) in line.pieces() {
            let style = scene.style(role(token));
            let mut part = String::new();
            for grapheme in text.graphemes(true) {
                let row = wrap.row;
                wrap.place(grapheme);
                if wrap.row > row {
                    push(&mut rows, Span::styled(std::mem::take(&mut part), style));
                    rows.push(empty());
                }
                part.push_str(grapheme);
            }
            push(&mut rows, Span::styled(part, style));
        }
        rows
    }
}

fn push(rows: &mut [Line<'static>], span: Span<'static>) {
    if let Some(row) = rows.last_mut().filter(|_| !span.content.is_empty()) {
        row.push_span(span);
    }
}

/// Walks through the rows of a line.
struct Wrap {
    room: usize,
    row: usize,
    x: usize,
}

impl Wrap {
    const fn new(room: usize) -> Self {
        Self { room, row: 0, x: 0 }
    }

    /// Places a character, in the next row where it does not fit any more.
    fn place(&mut self, grapheme: &str) {
        let width = format::width(grapheme);
        if self.x + width > self.room {
            self.row += 1;
            self.x = 0;
        }
        self.x += width;
    }
}

const fn role(token: Token) -> Role {
    match token {
        Token::Name => Role::Key,
        Token::Text => Role::Text,
        Token::Number => Role::Ok,
        Token::Word => Role::Busy,
        Token::Mark => Role::Muted,
    }
}
