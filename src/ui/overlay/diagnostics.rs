//! What was noticed about the server's answers: how the clocks stand, the odd ones by kind, and how the last of them
//! began.

use std::time::Duration;

use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use super::{Window, open, room};
use crate::{
    app::state::OddAnswer,
    ui::{
        format,
        scene::{Drawn, Scene},
        theme::Role,
    },
};

/// The widest the box gets, borders included.
const WIDTH: u16 = 100;

/// The room of the names, and of the counts below them.
const LEAD: usize = 9;

/// From when on the clocks are apart: less says nothing to a person.
const APART: Duration = Duration::from_secs(5);

/// The most rows of what an answer came to.
const MOST_ROWS: usize = 4;

/// Draws what was noticed from line `scroll` on, and says how far it can be scrolled.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>, scroll: u16) -> Drawn {
    let width = WIDTH.min(room(scene).width);
    let wide = usize::from(width.saturating_sub(4)).max(1);
    let lines = lines(scene, wide);
    let window = Window::place(scene, width, lines.len(), scroll);
    let right = window.right(scene);
    let mut pen = open(buffer, scene, window.area, "Diagnostics", &right);
    let seen = lines.iter().skip(usize::from(window.scroll));
    for (y, line) in (0..window.height()).zip(seen) {
        pen.line(1, y, line);
    }
    window.drawn()
}

fn lines(scene: &Scene<'_>, wide: usize) -> Vec<Line<'static>> {
    let diagnostics = scene.state.diagnostics();
    let mut sheet = Sheet {
        scene,
        wide,
        lines: Vec::new(),
    };
    let (text, role) = clock(scene);
    sheet.named("Clock", &text, role);
    sheet.named(
        "Answers",
        &odd_answers(diagnostics.odd_answers()),
        Role::Text,
    );
    for (oddity, count) in diagnostics.oddities() {
        sheet.named(&format!("{count:>7}"), oddity.words(), Role::Text);
    }
    if let Some(last) = diagnostics.last() {
        sheet.lines.push(Line::default());
        sheet.tell_of(last);
    }
    sheet.lines
}

/// Returns how our clock stands to the server's.
fn clock(scene: &Scene<'_>) -> (String, Role) {
    let Some(gap) = scene.state.diagnostics().clock_gap() else {
        return ("not compared with the server's yet".to_owned(), Role::Muted);
    };
    let apart = gap.unsigned_abs();
    if apart < APART {
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

fn odd_answers(count: u32) -> String {
    match count {
        0 => "nothing odd about any".to_owned(),
        1 => "one was odd".to_owned(),
        _ => format!("{count} were odd"),
    }
}

/// Is the text of the box being written.
struct Sheet<'a> {
    scene: &'a Scene<'a>,
    wide: usize,
    lines: Vec<Line<'static>>,
}

impl Sheet<'_> {
    /// Writes a named value over as many lines as it takes.
    fn named(&mut self, name: &str, text: &str, role: Role) {
        let room = self.wide.saturating_sub(LEAD);
        let mut name = name;
        for row in format::wrap(text, room, MOST_ROWS, self.scene.ellipsis()) {
            let lead = format::pad_end(std::mem::take(&mut name), LEAD);
            self.lines.push(Line::from(vec![
                Span::styled(lead, self.scene.style(Role::Muted)),
                Span::styled(row, self.scene.style(role)),
            ]));
        }
    }

    /// Writes a sentence over as many lines as it takes.
    fn prose(&mut self, text: &str, role: Role) {
        let rows = format::wrap(text, self.wide, MOST_ROWS, self.scene.ellipsis());
        self.rows(rows, role);
    }

    fn rows(&mut self, rows: Vec<String>, role: Role) {
        let style = self.scene.style(role);
        let lines = rows.into_iter().map(|row| Line::styled(row, style));
        self.lines.extend(lines);
    }

    /// Writes of an odd answer when it came and for what, what was odd about it, and how it began, as it came.
    fn tell_of(&mut self, odd: &OddAnswer) {
        let zone = &self.scene.state.settings().zone;
        let at = format::moment(odd.at, self.scene.now, zone);
        self.prose(&format!("The last, {at}, for {}", odd.task), Role::Title);
        let words: Vec<_> = odd.oddities.iter().map(|oddity| oddity.words()).collect();
        self.prose(&format!("It {}.", words.join(", ")), Role::Warn);
        if let Some(error) = &odd.error {
            self.prose(&format!("{}.", format::sentence(error)), Role::Text);
        }
        let Some(text) = &odd.text else {
            return self.prose("Nothing of it was kept.", Role::Muted);
        };
        for line in text.as_str().split('\n') {
            self.rows(format::chop(line, self.wide), Role::Text);
        }
    }
}
