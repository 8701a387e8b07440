//! The two bottom lines: the message line and the key hints.

use ratatui::{buffer::Buffer, text::Line};

use super::{
    banner::banner,
    header, line_editor,
    line_fit::{self, LinePiece, line_width},
    painter::{Painter, cell_count},
    render_context::RenderContext,
    theme::Role,
};
use crate::{
    app::{
        keymap::{Action, DETAIL_FOOTER, KeyContext, LIST_FOOTER},
        mouse::HitTarget,
        state::{FilterLine, MainScreen, Overlay},
    },
    domain::{list_change::AccessMode, query},
    messages::format,
};

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    draw_message(&mut Painter::new(buffer, ctx.layout.message), ctx);
    draw_hints(&mut Painter::new(buffer, ctx.layout.hints), ctx);
}

/// Draws the message line: the filter input while it is open, else the number of marked tasks, the
/// current message or the rest of the banner, and the download progress.
fn draw_message(painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
    if let Some(Overlay::Filter(line)) = ctx.state.overlay() {
        return draw_filter(painter, ctx, line);
    }
    let end = draw_message_text(painter, ctx);
    draw_downloads(painter, end, ctx);
}

/// Draws marks, message and banner, and returns the column after them.
fn draw_message_text(painter: &mut Painter<'_>, ctx: &RenderContext<'_>) -> u16 {
    let mut x = 1;
    let marked = ctx.state.marks().len();
    if marked > 0 {
        let text = match ctx.state.hidden_marks() {
            0 => format!("{marked} marked."),
            hidden => format!("{marked} marked ({hidden} hidden)."),
        };
        x = painter.text(x, 0, &text, ctx.style(Role::Accent)) + 1;
    }
    let room = usize::from(painter.width().saturating_sub(x + 1));
    if let Some(message) = ctx.state.message() {
        let (text, step) = message.parts();
        let room = room.saturating_sub(format::width(step));
        let shown = format::fit_end(text, room, ctx.ellipsis());
        let style = ctx.theme.severity_style(message.severity);
        x = painter.text(x, 0, &shown, style);
        x = painter.text(x, 0, step, style) + 2;
        let is_in_message = banner(ctx).is_none_or(|banner| text.starts_with(&banner.headline()));
        if is_in_message || !header::is_banner_below(ctx) {
            return x;
        }
    }
    let room = usize::from(painter.width().saturating_sub(x + 1));
    if let Some((text, role)) = header::banner_overflow(ctx, room).filter(|_| room > 0) {
        let text = format::fit_end(&text, room, ctx.ellipsis());
        x = painter.text(x, 0, &text, ctx.style(role)) + 2;
    }
    x
}

/// Draws the total progress of several downloads at the right, as far as the message leaves room.
fn draw_downloads(painter: &mut Painter<'_>, message_end: u16, ctx: &RenderContext<'_>) {
    let Some(all) = ctx
        .state
        .downloads()
        .total_progress()
        .filter(|all| all.files > 1)
    else {
        return;
    };
    let dot = format!(" {} ", ctx.theme.glyphs().dot);
    let parts = format::total_progress(&all);
    let forms = (1..=parts.len()).rev().map(|count| {
        let parts = parts.get(..count).unwrap_or_default();
        ctx.span(parts.join(&dot), Role::Busy).into()
    });
    let right = painter.width().saturating_sub(1);
    let progress = LinePiece::with_forms(0, forms.collect());
    let fitted = line_fit::fit(vec![progress], right.saturating_sub(message_end));
    if let Some(line) = fitted.first().and_then(LinePiece::line) {
        painter.line(right.saturating_sub(line_width(line)), 0, line);
    }
}

/// Draws the filter input, and the number of matching tasks at the right.
fn draw_filter(painter: &mut Painter<'_>, ctx: &RenderContext<'_>, line: &FilterLine) {
    let all = query::tab_count(ctx.state.tab(), ctx.state.list(), ctx.now);
    let found = format!("{} of {all}", ctx.state.shown().len());
    let mut end = painter.width().saturating_sub(1);
    if painter.width() >= 40 {
        end = painter.text_ending_at(end, 0, &found, ctx.style(Role::Muted));
        end = end.saturating_sub(2);
    }
    let start = painter.text(1, 0, "filter: ", ctx.style(Role::Title));
    let error = line.error.as_ref().map(|error| &error.at);
    line_editor::draw(painter, (start, 0), end, &line.line, error, ctx);
}

/// Draws the line below the filter input: its error, else the current message, else keys and
/// examples.
fn draw_filter_help(painter: &mut Painter<'_>, ctx: &RenderContext<'_>, line: &FilterLine) {
    let error = line.error.as_ref().map(|error| {
        let text = format::capitalised(&error.to_string());
        (text, ctx.style(Role::Error))
    });
    let message = ctx.state.message().map(|message| {
        let style = ctx.theme.severity_style(message.severity);
        (message.text.clone(), style)
    });
    if let Some((text, style)) = error.or(message) {
        let room = usize::from(painter.width().saturating_sub(2));
        painter.text(1, 0, &format::fit_end(&text, room, ctx.ellipsis()), style);
        return;
    }
    let hints = [(Action::Accept, "apply"), (Action::Back, "clear")];
    let hints = hints.into_iter().filter_map(|(action, word)| {
        let hint = KeyHint::for_action(action, KeyContext::Filter, ctx)?;
        Some(hint.with_word(word).into_piece(0, ctx))
    });
    let examples = FILTER_EXAMPLES.map(|text| LinePiece::new(1, ctx.span(text, Role::Muted)));
    line_fit::draw(painter, 0, hints.chain(examples).collect(), ctx);
}

/// Examples of filter terms, the most useful first.
const FILTER_EXAMPLES: [&str; 7] = [
    "words",
    "state:failed",
    "!not",
    "took:>5m",
    "\"a phrase\"",
    "code:501",
    "left:<2d",
];

/// Draws the key hints that fit, with help (and quit, if there is room) always at the right.
fn draw_hints(painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
    if let Some(Overlay::Filter(line)) = ctx.state.overlay() {
        return draw_filter_help(painter, ctx, line);
    }
    let context = ctx.state.context();
    if ctx.state.overlay().is_some() {
        // A dialog draws its own hints.
        return;
    }
    let pinned: &[Action] = if painter.width() < 80 {
        &[Action::Help]
    } else {
        &[Action::Help, Action::Quit]
    };
    let shown = match ctx.state.screen() {
        MainScreen::List => LIST_FOOTER,
        MainScreen::Detail { .. } => DETAIL_FOOTER,
    };
    let shown = shown
        .iter()
        .filter(|action| !pinned.contains(action) && !is_unavailable(**action, ctx));
    let piece = |action: &Action, rank| {
        let hint = KeyHint::for_action(*action, context, ctx)?;
        Some(hint.into_piece(rank, ctx))
    };
    let pieces = shown.filter_map(|action| piece(action, 1)).chain(
        pinned
            .iter()
            .filter_map(|action| Some(piece(action, 0)?.at_right())),
    );
    line_fit::draw(painter, 0, pieces.collect(), ctx);
}

/// Reports whether an action has no target or would be rejected.
fn is_unavailable(action: Action, ctx: &RenderContext<'_>) -> bool {
    if action.needs_write_access() && ctx.state.settings().access == AccessMode::ReadOnly {
        return true;
    }
    if action == Action::Undo {
        return !ctx.state.can_undo();
    }
    let needs_task = !matches!(
        action,
        Action::Add | Action::Help | Action::Quit | Action::Back
    );
    needs_task && ctx.state.list().is_empty()
}

/// A key and its action in a word or two.
pub(super) struct KeyHint {
    action: Action,
    key: String,
    word: String,
}

impl KeyHint {
    /// Returns the hint of an action, or `None` if no key is bound to it.
    pub(super) fn for_action(
        action: Action,
        context: KeyContext,
        ctx: &RenderContext<'_>,
    ) -> Option<Self> {
        let (chord, word) = ctx.state.keymap().hint(action, context)?;
        let word = if action == Action::Pause && ctx.state.poll_queue().is_paused {
            "resume"
        } else if action == Action::Quit && ctx.state.raw_opened_from().is_some() {
            "back"
        } else {
            word
        };
        Some(Self {
            action,
            key: ctx.theme.key_name(chord),
            word: word.to_owned(),
        })
    }

    #[must_use]
    pub(super) fn with_word(self, word: impl Into<String>) -> Self {
        Self {
            word: word.into(),
            ..self
        }
    }

    pub(super) fn width(&self) -> u16 {
        cell_count(&self.key) + 1 + cell_count(&self.word)
    }

    pub(super) fn into_piece(self, rank: u8, ctx: &RenderContext<'_>) -> LinePiece<'static> {
        let line = Line::from(vec![
            ctx.span(self.key, Role::Key),
            " ".into(),
            ctx.span(self.word, Role::Muted),
        ]);
        LinePiece::new(rank, line).target(HitTarget::Hint(self.action))
    }

    /// Draws the hint and returns the column after it.
    pub(super) fn draw_at(
        &self,
        painter: &mut Painter<'_>,
        x: u16,
        y: u16,
        ctx: &RenderContext<'_>,
    ) -> u16 {
        ctx.register(painter.cells_area(x, y, self.width()), || {
            HitTarget::Hint(self.action)
        });
        let x = painter.text(x, y, &self.key, ctx.style(Role::Key));
        painter.text(x + 1, y, &self.word, ctx.style(Role::Muted))
    }
}
