//! The diagnostics dialog: clock difference, unusual answers by kind, the start of the last one.

use std::time::Duration;

use ratatui::text::{Line, Span};

use super::{dialog::available_area, text::TextContent};
use crate::{
    app::state::UnusualAnswer,
    messages::{format, screen},
    ui::{render_context::RenderContext, theme::Role},
};

/// The maximum width, borders included.
const WIDTH: u16 = 100;

/// The width of the names and of the counts below them.
const LABEL_WIDTH: usize = 9;

/// The smallest clock difference that is shown.
const MIN_CLOCK_GAP: Duration = Duration::from_secs(5);

/// The maximum number of rows of a paragraph.
const MAX_ROWS: usize = 4;

pub(super) fn content(ctx: &RenderContext<'_>) -> TextContent {
    let diagnostics = ctx.state.diagnostics();
    let width = WIDTH.min(available_area(ctx).width);
    let mut text = DiagnosticsText {
        ctx,
        width: usize::from(width.saturating_sub(4)).max(1),
        lines: Vec::new(),
    };
    let (clock, role) = clock_text(ctx);
    text.field("Clock", &clock, role);
    let count = screen::unusual_answers(diagnostics.unusual_answers);
    text.paragraph(&count, Role::Text);
    for (anomaly, count) in diagnostics.anomalies() {
        text.field(&format!("{count:>7}"), anomaly.description(), Role::Text);
    }
    if let Some(last) = &diagnostics.last_unusual {
        text.lines.push(Line::default());
        text.unusual_answer(last);
    }
    TextContent {
        title: "Diagnostics".to_owned(),
        width,
        lines: text.lines,
        hints: Vec::new(),
    }
}

/// Compares our clock to the server's.
fn clock_text(ctx: &RenderContext<'_>) -> (String, Role) {
    let Some(gap) = ctx.state.diagnostics().clock_gap() else {
        return (screen::CLOCK_NOT_COMPARED.to_owned(), Role::Muted);
    };
    let difference = gap.unsigned_abs();
    if difference < MIN_CLOCK_GAP {
        return (screen::CLOCK_AGREES.to_owned(), Role::Text);
    }
    let side = if gap.is_positive() {
        "ahead of"
    } else {
        "behind"
    };
    // The difference is measured to half a second.
    let difference = format::run_time(difference.saturating_add(Duration::from_millis(500)));
    (format!("{difference} {side} the server"), Role::Warn)
}

/// The builder of the dialog's lines.
struct DiagnosticsText<'a> {
    ctx: &'a RenderContext<'a>,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl DiagnosticsText<'_> {
    /// Writes a named value, wrapped.
    fn field(&mut self, name: &str, text: &str, role: Role) {
        let room = self.width.saturating_sub(LABEL_WIDTH);
        let mut name = name;
        for row in format::wrap(text, room, MAX_ROWS, self.ctx.ellipsis()) {
            let lead = format::pad_end(std::mem::take(&mut name), LABEL_WIDTH);
            self.lines.push(Line::from(vec![
                Span::styled(lead, self.ctx.style(Role::Muted)),
                Span::styled(row, self.ctx.style(role)),
            ]));
        }
    }

    /// Writes a sentence, wrapped.
    fn paragraph(&mut self, text: &str, role: Role) {
        let rows = format::wrap(text, self.width, MAX_ROWS, self.ctx.ellipsis());
        self.push_rows(rows, role);
    }

    fn push_rows(&mut self, rows: Vec<String>, role: Role) {
        let style = self.ctx.style(role);
        let lines = rows.into_iter().map(|row| Line::styled(row, style));
        self.lines.extend(lines);
    }

    /// Writes time, task, anomalies and raw start of an unusual answer.
    fn unusual_answer(&mut self, answer: &UnusualAnswer) {
        let zone = &self.ctx.state.settings().time_zone;
        let at = format::date_time(answer.at, self.ctx.now, zone);
        self.paragraph(&format!("Last: {at}, task {}", answer.task), Role::Title);
        let anomalies = answer.notes.anomalies.iter();
        let words: Vec<_> = anomalies.map(|anomaly| anomaly.description()).collect();
        let words = format::capitalised(&words.join(", "));
        self.paragraph(&format!("{words}."), Role::Warn);
        if let Some(error) = &answer.error {
            self.paragraph(&format!("{}.", format::capitalised(error)), Role::Text);
        }
        let Some(text) = &answer.notes.text else {
            return self.paragraph(screen::ANSWER_NOT_KEPT, Role::Muted);
        };
        for line in text.as_str().split('\n') {
            self.push_rows(format::break_anywhere(line, self.width), Role::Text);
        }
    }
}
