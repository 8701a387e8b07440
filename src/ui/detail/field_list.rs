//! A list of named values: names in one column, wrapped values in the other.

use std::borrow::Cow;

use ratatui::text::{Line, Span};

use crate::{
    app::keymap::Action,
    messages::format,
    ui::{render_context::RenderContext, theme::Role},
};

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
        self.push_unnamed(text, role);
    }

    /// Writes an unnamed text, wrapped.
    pub(super) fn paragraph(&mut self, text: &str, role: Role, max_lines: usize) {
        let room = self.width.saturating_sub(2);
        for line in format::wrap(text, room, max_lines, self.ctx.ellipsis()) {
            self.push_unnamed(line, role);
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
            line.push_span(self.ctx.span(text, role));
        }
        self.lines.push(line);
    }

    /// Writes a named value on one line with a key at its end.
    pub(super) fn field_with_key(&mut self, name: &str, text: &str, role: Role, action: Action) {
        let key = self.ctx.key_name(action);
        let room = self.value_width().saturating_sub(format::width(&key) + 2);
        let text = format::fit_end(text, room, self.ctx.ellipsis()).into_owned();
        let used = format::width(&text) + format::width(&key) + 1;
        let gap = self.value_width().saturating_sub(used);
        let mut line = self.labelled_line(name);
        line.push_span(self.ctx.span(text, role));
        line.push_span(Span::raw(" ".repeat(gap)));
        line.push_span(self.ctx.span(key, Role::Key));
        self.lines.push(line);
    }

    /// Writes a named value, wrapped.
    pub(super) fn wrapped_field(&mut self, name: &str, text: &str, role: Role, max_lines: usize) {
        let rows = format::wrap(text, self.value_width(), max_lines, self.ctx.ellipsis());
        self.push_rows(name, rows, role);
    }

    /// Writes a complete named link, broken at any character.
    pub(super) fn link_field(&mut self, name: &str, link: &str, role: Role) {
        let rows = format::break_anywhere(link, self.value_width().max(1));
        self.push_rows(name, rows, role);
    }

    fn push_unnamed(&mut self, text: String, role: Role) {
        let line = vec![Span::raw(" "), self.ctx.span(text, role)];
        self.lines.push(line.into());
    }

    fn push_rows(&mut self, name: &str, rows: Vec<String>, role: Role) {
        let mut name = name;
        for row in rows {
            let mut line = self.labelled_line(name);
            line.push_span(self.ctx.span(row, role));
            self.lines.push(line);
            name = "";
        }
    }

    fn labelled_line(&self, name: &str) -> Line<'a> {
        let name = format::pad_end(name, LABEL_WIDTH - 1);
        Line::from(vec![Span::raw(" "), self.ctx.span(name, Role::Muted)])
    }
}
