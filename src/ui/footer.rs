//! The two bottom lines: what just happened, and which keys can be pressed.

use ratatui::buffer::Buffer;

use super::{
    banner::banner,
    format, header,
    painter::{Painter, cell_count},
    render_context::RenderContext,
    text_input,
    theme::Role,
};
use crate::{
    app::{
        keymap::{self, Action, KeyContext},
        mouse::HitTarget,
        state::{FilterLine, Overlay},
    },
    domain::{list_change::AccessMode, query},
};

/// Draws the bottom lines.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>) {
    draw_message(&mut Painter::new(buffer, scene.layout.message), scene);
    draw_hints(&mut Painter::new(buffer, scene.layout.hints), scene);
}

/// Draws how many tasks are marked, and the notice of the moment; without one, what the banner
/// could not say for want of room. While a filter is typed, its line.
fn draw_message(pen: &mut Painter<'_>, scene: &RenderContext<'_>) {
    if let Some(Overlay::Filter(line)) = scene.state.overlay() {
        return draw_filter(pen, scene, line);
    }
    let end = draw_notice(pen, scene);
    draw_downloads(pen, end, scene);
}

/// Draws marks and what was said, and returns the column after it.
fn draw_notice(pen: &mut Painter<'_>, scene: &RenderContext<'_>) -> u16 {
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
    if let Some(notice) = scene.state.message() {
        let (text, step) = notice.parts();
        let room = room.saturating_sub(format::width(step));
        let shown = format::fit_end(text, room, scene.ellipsis());
        let style = scene.theme.severity_style(notice.severity);
        x = pen.text(x, 0, &shown, style);
        x = pen.text(x, 0, step, style) + 2;
        let is_said = banner(scene).is_none_or(|banner| text.starts_with(&banner.headline()));
        if is_said || !header::is_banner_below(scene) {
            return x;
        }
    }
    let room = usize::from(pen.width().saturating_sub(x + 1));
    if let Some((text, role)) = header::banner_overflow(scene, room).filter(|_| room > 0) {
        let text = format::fit_end(&text, room, scene.ellipsis());
        x = pen.text(x, 0, &text, scene.style(role)) + 2;
    }
    x
}

/// Draws at the right how far several saves are together: as much of it as what was said leaves
/// room for.
fn draw_downloads(pen: &mut Painter<'_>, said: u16, scene: &RenderContext<'_>) {
    let Some(all) = scene
        .state
        .downloads()
        .total_progress()
        .filter(|all| all.files > 1)
    else {
        return;
    };
    let right = pen.width().saturating_sub(1);
    let dot = format!(" {} ", scene.theme.glyphs().dot);
    let mut parts = format::total_progress(&all);
    while !parts.is_empty() {
        let text = parts.join(&dot);
        if said + cell_count(&text) <= right {
            pen.text_ending_at(right, 0, &text, scene.style(Role::Busy));
            return;
        }
        parts.pop();
    }
}

/// Draws the line a filter is typed into, and at the right how many tasks it lets through.
fn draw_filter(pen: &mut Painter<'_>, scene: &RenderContext<'_>, line: &FilterLine) {
    let all = query::tab_count(scene.state.tab(), scene.state.list(), scene.now);
    let found = format!("{} of {all}", scene.state.shown().len());
    let mut end = pen.width().saturating_sub(1);
    if pen.width() >= 40 {
        end = pen.text_ending_at(end, 0, &found, scene.style(Role::Muted));
        end = end.saturating_sub(2);
    }
    let start = pen.text(1, 0, "filter: ", scene.style(Role::Title));
    let fault = line.error().map(|fault| &fault.at);
    text_input::draw(pen, (start, 0), end, line.input(), fault, scene);
}

/// Draws below the filter what is wrong with it, else what just happened, else the keys and what
/// can be written.
fn draw_filter_help(pen: &mut Painter<'_>, scene: &RenderContext<'_>, line: &FilterLine) {
    let room = usize::from(pen.width().saturating_sub(2));
    if let Some(fault) = line.error() {
        let text = format::capitalised(&fault.to_string());
        let text = format::fit_end(&text, room, scene.ellipsis());
        pen.text(1, 0, &text, scene.style(Role::Error));
        return;
    }
    if let Some(notice) = scene.state.message() {
        let text = format::fit_end(&notice.text, room, scene.ellipsis());
        pen.text(1, 0, &text, scene.theme.severity_style(notice.severity));
        return;
    }
    let hint = |action| KeyHint::for_action(action, KeyContext::Filter, scene);
    let hints = [
        hint(Action::Accept).map(|hint| hint.with_word("keep")),
        hint(Action::Back).map(|hint| hint.with_word("clear")),
    ];
    let mut x = 1;
    for hint in hints.into_iter().flatten() {
        x = hint.draw(pen, x, scene) + 2;
    }
    for example in FILTER_EXAMPLES {
        if x + cell_count(example) + 1 > pen.width() {
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

/// Draws the keys from the left as far as they fit; the way to all of them, and out, stays at the
/// right.
fn draw_hints(pen: &mut Painter<'_>, scene: &RenderContext<'_>) {
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
    let hint = |action: &Action| KeyHint::for_action(*action, context, scene);
    let tail: Vec<_> = stays.iter().filter_map(hint).collect();
    let tail_width: u16 = tail.iter().map(|hint| hint.width() + 2).sum();
    let end = (pen.width() + 1).saturating_sub(tail_width);
    let mut x = end;
    for hint in tail {
        x = hint.draw(pen, x, scene) + 2;
    }
    let mut x = 1;
    for action in keymap::footer(context) {
        if stays.contains(action) || is_unavailable(*action, scene) {
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
fn is_unavailable(action: Action, scene: &RenderContext<'_>) -> bool {
    if action.needs_write_access() && scene.state.settings().access == AccessMode::ReadOnly {
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

/// A key with what it does.
pub(super) struct KeyHint {
    action: Action,
    key: String,
    word: String,
}

impl KeyHint {
    /// Returns the hint of an action where it has a key.
    pub(super) fn for_action(
        action: Action,
        context: KeyContext,
        scene: &RenderContext<'_>,
    ) -> Option<Self> {
        let (chord, word) = scene.state.keymap().hint(action, context)?;
        let word = if action == Action::Pause && scene.state.poll_queue().is_paused() {
            "go on"
        } else if action == Action::Quit && scene.state.raw_opened_from().is_some() {
            "back"
        } else {
            word
        };
        Some(Self {
            action,
            key: scene.theme.key_name(chord),
            word: word.to_owned(),
        })
    }

    /// Says it in another word.
    #[must_use]
    pub(super) fn with_word(self, word: impl Into<String>) -> Self {
        Self {
            word: word.into(),
            ..self
        }
    }

    /// Returns its width.
    pub(super) fn width(&self) -> u16 {
        cell_count(&self.key) + 1 + cell_count(&self.word)
    }

    /// Draws it and returns the column after it.
    pub(super) fn draw(&self, pen: &mut Painter<'_>, x: u16, scene: &RenderContext<'_>) -> u16 {
        self.draw_at(pen, x, 0, scene)
    }

    /// Draws it in a row and returns the column after it.
    pub(super) fn draw_at(
        &self,
        pen: &mut Painter<'_>,
        x: u16,
        y: u16,
        scene: &RenderContext<'_>,
    ) -> u16 {
        scene.register(pen.cells_area(x, y, self.width()), || {
            HitTarget::Hint(self.action)
        });
        let x = pen.text(x, y, &self.key, scene.style(Role::Key));
        pen.text(x + 1, y, &self.word, scene.style(Role::Muted))
    }
}
