//! A list of named values: names in one column, wrapped values in the other.

use std::borrow::Cow;

use ratatui::text::{Line, Span};

use crate::messages::format;
use crate::ui::{render_context::RenderContext, theme::Role};

/// The width of the names, with the margin before and the gap after.
const LABEL_WIDTH: usize = 11;

/// The builder of a list of named values.
pub(super) struct FieldList<'a, 's> {
    ctx: &'s RenderContext<'a>,
    width: usize,
    lines: Vec<Line<'a>>,
}

impl<'a, 's> FieldList<'a, 's> {
    pub(super) fn new(ctx: &'s RenderContext<'a>, width: u16) -> Self {
        Self {
            ctx,
            width: usize::from(width),
            lines: Vec::new(),
        }
    }

    pub(super) fn into_lines(self) -> Vec<Line<'a>> {
        self.lines
    }

    pub(super) fn value_width(&self) -> usize {
        self.width.saturating_sub(LABEL_WIDTH + 1)
    }

    /// Writes a blank line, unless the last line is blank.
    pub(super) fn blank_line(&mut self) {
        if self.lines.last().is_some_and(|line| !line.spans.is_empty()) {
            self.lines.push(Line::default());
        }
    }

    /// Writes an unnamed line, truncated to the width.
    pub(super) fn text_line(&mut self, text: &str, role: Role) {
        let room = self.width.saturating_sub(2);
        let text = format::fit_end(text, room, self.ctx.ellipsis()).into_owned();
        self.lines.push(Line::from(vec![
            Span::raw(" "),
            Span::styled(text, self.ctx.style(role)),
        ]));
    }

    /// Writes an unnamed text, wrapped.
    pub(super) fn paragraph(&mut self, text: &str, role: Role, max_lines: usize) {
        let room = self.width.saturating_sub(2);
        for line in format::wrap(text, room, max_lines, self.ctx.ellipsis()) {
            self.lines.push(Line::from(vec![
                Span::raw(" "),
                Span::styled(line, self.ctx.style(role)),
            ]));
        }
    }

    /// Writes a line of code, broken at any character; its rows keep the indentation.
    pub(super) fn code_line(&mut self, line: &str) {
        let code = line.trim_start();
        let indent = (line.len() - code.len() + 1).min(self.width / 2);
        let room = self.width.saturating_sub(indent + 1).max(2);
        for row in format::break_anywhere(code, room) {
            let row = format!("{:indent$}{row}", "");
            self.lines
                .push(Line::styled(row, self.ctx.style(Role::Text)));
        }
    }

    /// Writes a named value on one line, truncated.
    pub(super) fn field(&mut self, name: &str, text: &str, role: Role) {
        self.styled_field(name, [(Cow::Borrowed(text), role)]);
    }

    /// Writes a named value of several styles on one line, truncated.
    pub(super) fn styled_field<'t>(
        &mut self,
        name: &str,
        parts: impl IntoIterator<Item = (Cow<'t, str>, Role)>,
    ) {
        let mut line = self.labelled_line(name);
        let mut room = self.value_width();
        for (text, role) in parts {
            let text = format::fit_end(&text, room, self.ctx.ellipsis()).into_owned();
            room = room.saturating_sub(format::width(&text));
            line.push_span(Span::styled(text, self.ctx.style(role)));
        }
        self.lines.push(line);
    }

    /// Writes a named value on one line with a key at its end.
    pub(super) fn field_with_key(&mut self, name: &str, text: &str, role: Role, key: &str) {
        let room = self.value_width().saturating_sub(format::width(key) + 2);
        let text = format::fit_end(text, room, self.ctx.ellipsis()).into_owned();
        let gap = self
            .value_width()
            .saturating_sub(format::width(&text) + format::width(key) + 1);
        let mut line = self.labelled_line(name);
        line.push_span(Span::styled(text, self.ctx.style(role)));
        line.push_span(Span::raw(" ".repeat(gap)));
        line.push_span(Span::styled(key.to_owned(), self.ctx.style(Role::Key)));
        self.lines.push(line);
    }

    /// Writes a named value, wrapped.
    pub(super) fn wrapped_field(&mut self, name: &str, text: &str, role: Role, max_lines: usize) {
        self.push_rows(
            name,
            format::wrap(text, self.value_width(), max_lines, self.ctx.ellipsis()),
            role,
        );
    }

    /// Writes a complete named link, broken at any character.
    pub(super) fn link_field(&mut self, name: &str, link: &str, role: Role) {
        self.push_rows(
            name,
            format::break_anywhere(link, self.value_width().max(1)),
            role,
        );
    }

    fn push_rows(&mut self, name: &str, rows: Vec<String>, role: Role) {
        let mut name = name;
        for row in rows {
            let mut line = self.labelled_line(name);
            line.push_span(Span::styled(row, self.ctx.style(role)));
            self.lines.push(line);
            name = "";
        }
    }

    fn labelled_line(&self, name: &str) -> Line<'a> {
        let name = format::pad_end(name, LABEL_WIDTH - 1);
        Line::from(vec![
            Span::raw(" "),
            Span::styled(name, self.ctx.style(Role::Muted)),
        ])
    }
}
