//! What was noticed about the server's answers: how the clocks stand, the odd ones by kind, and how
//! the last of them began.

use std::time::Duration;

use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use super::{ScrolledDialog, available_area, open_dialog};
use crate::{
    app::state::UnusualAnswer,
    ui::{
        format,
        render_context::{DrawResult, RenderContext},
        theme::Role,
    },
};

/// The widest the box gets, borders included.
const WIDTH: u16 = 100;

/// The room of the names, and of the counts below them.
const LABEL_WIDTH: usize = 9;

/// From when on the clocks are apart: less says nothing to a person.
const MIN_CLOCK_GAP: Duration = Duration::from_secs(5);

/// The most rows of what an answer came to.
const MAX_ROWS: usize = 4;

/// Draws what was noticed from line `scroll` on, and says how far it can be scrolled.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, scroll: u16) -> DrawResult {
    let width = WIDTH.min(available_area(scene).width);
    let wide = usize::from(width.saturating_sub(4)).max(1);
    let lines = lines(scene, wide);
    let window = ScrolledDialog::new(scene, width, lines.len(), scroll);
    let right = window.title_right(scene);
    let mut pen = open_dialog(buffer, scene, window.area, "Diagnostics", &right);
    let seen = lines.iter().skip(usize::from(window.scroll));
    for (y, line) in (0..window.height()).zip(seen) {
        pen.line(1, y, line);
    }
    window.draw_result()
}

fn lines(scene: &RenderContext<'_>, wide: usize) -> Vec<Line<'static>> {
    let diagnostics = scene.state.diagnostics();
    let mut sheet = DiagnosticsText {
        scene,
        width: wide,
        lines: Vec::new(),
    };
    let (text, role) = clock_text(scene);
    sheet.field("Clock", &text, role);
    sheet.field(
        "Answers",
        &unusual_count_text(diagnostics.unusual_answers()),
        Role::Text,
    );
    for (oddity, count) in diagnostics.anomalies() {
        sheet.field(&format!("{count:>7}"), oddity.description(), Role::Text);
    }
    if let Some(last) = diagnostics.last_unusual() {
        sheet.lines.push(Line::default());
        sheet.unusual_answer(last);
    }
    sheet.lines
}

/// Returns how our clock stands to the server's.
fn clock_text(scene: &RenderContext<'_>) -> (String, Role) {
    let Some(gap) = scene.state.diagnostics().clock_gap() else {
        return ("not compared with the server's yet".to_owned(), Role::Muted);
    };
    let apart = gap.unsigned_abs();
    if apart < MIN_CLOCK_GAP {
        return ("agrees with the server's".to_owned(), Role::Text);
    }
    let side = if gap.is_positive() {
        "ahead of"
    } else {
        "behind"
    };
    // It is known to half a second.
    let apart = format::run_time(apart.saturating_add(Duration::from_millis(500)));
    (format!("{apart} {side} the server"), Role::Warn)
}

fn unusual_count_text(count: u32) -> String {
    match count {
        0 => "nothing odd about any".to_owned(),
        1 => "one was odd".to_owned(),
        _ => format!("{count} were odd"),
    }
}

/// The text of the box being written.
struct DiagnosticsText<'a> {
    scene: &'a RenderContext<'a>,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl DiagnosticsText<'_> {
    /// Writes a named value over as many lines as it takes.
    fn field(&mut self, name: &str, text: &str, role: Role) {
        let room = self.width.saturating_sub(LABEL_WIDTH);
        let mut name = name;
        for row in format::wrap(text, room, MAX_ROWS, self.scene.ellipsis()) {
            let lead = format::pad_end(std::mem::take(&mut name), LABEL_WIDTH);
            self.lines.push(Line::from(vec![
                Span::styled(lead, self.scene.style(Role::Muted)),
                Span::styled(row, self.scene.style(role)),
            ]));
        }
    }

    /// Writes a sentence over as many lines as it takes.
    fn paragraph(&mut self, text: &str, role: Role) {
        let rows = format::wrap(text, self.width, MAX_ROWS, self.scene.ellipsis());
        self.push_rows(rows, role);
    }

    fn push_rows(&mut self, rows: Vec<String>, role: Role) {
        let style = self.scene.style(role);
        let lines = rows.into_iter().map(|row| Line::styled(row, style));
        self.lines.extend(lines);
    }

    /// Writes of an odd answer when it came and for what, what was odd about it, and how it began,
    /// as it came.
    fn unusual_answer(&mut self, odd: &UnusualAnswer) {
        let zone = &self.scene.state.settings().time_zone;
        let at = format::date_time(odd.at, self.scene.now, zone);
        self.paragraph(&format!("The last, {at}, for {}", odd.task), Role::Title);
        let words: Vec<_> = odd
            .anomalies
            .iter()
            .map(|oddity| oddity.description())
            .collect();
        self.paragraph(
            &format!("{}.", format::capitalised(&words.join(", "))),
            Role::Warn,
        );
        if let Some(error) = &odd.error {
            self.paragraph(&format!("{}.", format::capitalised(error)), Role::Text);
        }
        let Some(text) = &odd.text else {
            return self.paragraph("Nothing of it was kept.", Role::Muted);
        };
        for line in text.as_str().split('\n') {
            self.push_rows(format::break_anywhere(line, self.width), Role::Text);
        }
    }
}
