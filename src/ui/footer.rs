//! The two bottom lines: what just happened, and which keys can be pressed.

use ratatui::buffer::Buffer;

use super::{
    banner::banner,
    format, header, input,
    pen::{Pen, cells},
    scene::Scene,
    theme::Role,
};
use crate::{
    app::{
        keymap::{self, Action, Context},
        pointer::Spot,
        state::{FilterLine, Overlay},
    },
    domain::{change::Access, query},
};

/// Draws the bottom lines.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>) {
    draw_message(&mut Pen::new(buffer, scene.areas.message), scene);
    draw_hints(&mut Pen::new(buffer, scene.areas.hints), scene);
}

/// Draws how many tasks are marked, and the notice of the moment; without one, what the banner could not say for want
/// of room. While a filter is typed, its line.
fn draw_message(pen: &mut Pen<'_>, scene: &Scene<'_>) {
    if let Some(Overlay::Filter(line)) = scene.state.overlay() {
        return draw_filter(pen, scene, line);
    }
    let end = draw_said(pen, scene);
    draw_saves(pen, end, scene);
}

/// Draws marks and what was said, and returns the column after it.
fn draw_said(pen: &mut Pen<'_>, scene: &Scene<'_>) -> u16 {
    let mut x = 1;
    let marked = scene.state.marks().len();
    if marked > 0 {
        let text = match scene.state.hidden_marks() {
            0 => format!("{marked} marked."),
            hidden => format!("{marked} marked ({hidden} hidden)."),
        };
        x = pen.text(x, 0, &text, scene.style(Role::Accent)) + 1;
    }
    let room = usize::from(pen.width().saturating_sub(x + 1));
    if let Some(notice) = scene.state.notice() {
        let (text, step) = notice.parts();
        let room = room.saturating_sub(format::width(step));
        let shown = format::fit_end(text, room, scene.ellipsis());
        let style = scene.theme.tone(notice.tone);
        x = pen.text(x, 0, &shown, style);
        x = pen.text(x, 0, step, style) + 2;
        let is_said = banner(scene).is_none_or(|banner| text.starts_with(&banner.headline()));
        if is_said || !header::is_below(scene) {
            return x;
        }
    }
    let room = usize::from(pen.width().saturating_sub(x + 1));
    if let Some((text, role)) = header::left_over(scene, room).filter(|_| room > 0) {
        let text = format::fit_end(&text, room, scene.ellipsis());
        x = pen.text(x, 0, &text, scene.style(role)) + 2;
    }
    x
}

/// Draws at the right how far several saves are together: as much of it as what was said leaves room for.
fn draw_saves(pen: &mut Pen<'_>, said: u16, scene: &Scene<'_>) {
    let Some(all) = scene.state.saves().all().filter(|all| all.files > 1) else {
        return;
    };
    let right = pen.width().saturating_sub(1);
    let dot = format!(" {} ", scene.theme.glyphs().dot);
    let mut parts = format::all_saves(&all);
    while !parts.is_empty() {
        let text = parts.join(&dot);
        if said + cells(&text) <= right {
            pen.text_before(right, 0, &text, scene.style(Role::Busy));
            return;
        }
        parts.pop();
    }
}

/// Draws the line a filter is typed into, and at the right how many tasks it lets through.
fn draw_filter(pen: &mut Pen<'_>, scene: &Scene<'_>, line: &FilterLine) {
    let all = query::count(scene.state.tab(), scene.state.list(), scene.now);
    let found = format!("{} of {all}", scene.state.shown().len());
    let mut end = pen.width().saturating_sub(1);
    if pen.width() >= 40 {
        end = pen.text_before(end, 0, &found, scene.style(Role::Muted));
        end = end.saturating_sub(2);
    }
    let start = pen.text(1, 0, "filter: ", scene.style(Role::Title));
    let fault = line.fault().map(|fault| &fault.at);
    input::draw(pen, (start, 0), end, line.input(), fault, scene);
}

/// Draws below the filter what is wrong with it, else what just happened, else the keys and what can be written.
fn draw_filter_help(pen: &mut Pen<'_>, scene: &Scene<'_>, line: &FilterLine) {
    let room = usize::from(pen.width().saturating_sub(2));
    if let Some(fault) = line.fault() {
        let text = format::sentence(&fault.message);
        let text = format::fit_end(&text, room, scene.ellipsis());
        pen.text(1, 0, &text, scene.style(Role::Error));
        return;
    }
    if let Some(notice) = scene.state.notice() {
        let text = format::fit_end(&notice.text, room, scene.ellipsis());
        pen.text(1, 0, &text, scene.theme.tone(notice.tone));
        return;
    }
    let hint = |action| Hint::of(action, Context::Filter, scene);
    let hints = [
        hint(Action::Accept).map(|hint| hint.saying("keep")),
        hint(Action::Back).map(|hint| hint.saying("clear")),
    ];
    let mut x = 1;
    for hint in hints.into_iter().flatten() {
        x = hint.draw(pen, x, scene) + 2;
    }
    for example in FILTER_EXAMPLES {
        if x + cells(example) + 1 > pen.width() {
            break;
        }
        x = pen.text(x, 0, example, scene.style(Role::Muted)) + 2;
    }
}

/// What can be written into a filter, the most wanted first.
const FILTER_EXAMPLES: [&str; 7] = [
    "words",
    "state:failed",
    "!not",
    "took:>5m",
    "\"a phrase\"",
    "code:501",
    "left:<2d",
];

/// Draws the keys from the left as far as they fit; the way to all of them, and out, stays at the right.
fn draw_hints(pen: &mut Pen<'_>, scene: &Scene<'_>) {
    if let Some(Overlay::Filter(line)) = scene.state.overlay() {
        return draw_filter_help(pen, scene, line);
    }
    let context = scene.state.context();
    if scene.state.overlay().is_some() {
        // A box names its own keys.
        return;
    }
    let stays: &[Action] = if pen.width() < 80 {
        &[Action::Help]
    } else {
        &[Action::Help, Action::Quit]
    };
    let hint = |action: &Action| Hint::of(*action, context, scene);
    let tail: Vec<_> = stays.iter().filter_map(hint).collect();
    let tail_width: u16 = tail.iter().map(|hint| hint.width() + 2).sum();
    let end = (pen.width() + 1).saturating_sub(tail_width);
    let mut x = end;
    for hint in tail {
        x = hint.draw(pen, x, scene) + 2;
    }
    let mut x = 1;
    for action in keymap::footer(context) {
        if stays.contains(action) || is_idle(*action, scene) {
            continue;
        }
        let Some(hint) = hint(action) else { continue };
        if x + hint.width() + 2 > end {
            break;
        }
        x = hint.draw(pen, x, scene) + 2;
    }
}

/// Reports whether there is nothing an action could act on, or it would be refused.
fn is_idle(action: Action, scene: &Scene<'_>) -> bool {
    if action.changes_the_list() && scene.state.settings().access == Access::ReadOnly {
        return true;
    }
    if action == Action::Undo {
        return !scene.state.can_undo();
    }
    let needs_task = !matches!(
        action,
        Action::Add | Action::Help | Action::Quit | Action::Back
    );
    needs_task && scene.state.list().is_empty()
}

/// Is a key with what it does.
pub(super) struct Hint {
    action: Action,
    key: String,
    word: String,
}

impl Hint {
    /// Returns the hint of an action where it has a key.
    pub(super) fn of(action: Action, context: Context, scene: &Scene<'_>) -> Option<Self> {
        let (chord, word) = scene.state.keymap().hint(action, context)?;
        let word = if action == Action::Pause && scene.state.polls().is_paused() {
            "go on"
        } else if action == Action::Quit && scene.state.came_from().is_some() {
            "back"
        } else {
            word
        };
        Some(Self {
            action,
            key: scene.theme.key(chord),
            word: word.to_owned(),
        })
    }

    /// Says it in another word.
    #[must_use]
    pub(super) fn saying(self, word: impl Into<String>) -> Self {
        Self {
            word: word.into(),
            ..self
        }
    }

    /// Returns its width.
    pub(super) fn width(&self) -> u16 {
        cells(&self.key) + 1 + cells(&self.word)
    }

    /// Draws it and returns the column after it.
    pub(super) fn draw(&self, pen: &mut Pen<'_>, x: u16, scene: &Scene<'_>) -> u16 {
        self.draw_in(pen, x, 0, scene)
    }

    /// Draws it in a row and returns the column after it.
    pub(super) fn draw_in(&self, pen: &mut Pen<'_>, x: u16, y: u16, scene: &Scene<'_>) -> u16 {
        scene.mark(pen.strip(x, y, self.width()), || Spot::Hint(self.action));
        let x = pen.text(x, y, &self.key, scene.style(Role::Key));
        pen.text(x + 1, y, &self.word, scene.style(Role::Muted))
    }
}
