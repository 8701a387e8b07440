//! The dialog that adds tasks: an input for ids, the ids found in it or in pasted text, and a label
//! for all.

use ratatui::buffer::Buffer;
use tui_input::Input;

use super::{centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::{AddDialog, AddField, Candidate},
    },
    domain::{
        id_extract::{Certainty, Skipped},
        text::CleanText,
    },
    messages::{format, screen},
    ui::{
        footer::KeyHint,
        painter::{Painter, cell_count},
        render_context::RenderContext,
        text_input,
        theme::Role,
    },
};

/// The width, borders included: an id of 32 characters with checkbox and word.
const WIDTH: u16 = 61;

/// The width with a context column.
const WIDE_WIDTH: u16 = 100;

/// The start and the minimum width of the context column, which shows the text around an id.
const CONTEXT_COLUMN: u16 = 57;
const MIN_CONTEXT_WIDTH: u16 = 14;

/// The maximum number of ids shown without scrolling.
const MAX_ROWS: usize = 12;

/// A line of the dialog; most are drawn only if there is room.
enum AddDialogLine {
    Ids,
    Blank,
    Suggestion,
    CandidateHeading,
    Candidate(usize),
    Context,
    Label,
    NoIdFound,
    Rejected,
    Skipped,
    Truncated,
    Hints,
}

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, dialog: &AddDialog) {
    let has_context = |candidate: &Candidate| !candidate.context.is_empty();
    let width = if dialog.candidates().iter().any(has_context) {
        WIDE_WIDTH
    } else {
        WIDTH
    };
    let widest = centred_area(ctx, width, u16::MAX);
    let max_lines = usize::from(widest.height.saturating_sub(2));
    let lines = choose_lines(ctx, dialog, widest.width, max_lines);
    let height = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    let count = dialog.candidates().len();
    let seen = lines
        .iter()
        .filter(|line| matches!(line, AddDialogLine::Candidate(_)))
        .count();
    let right = if count > seen {
        format!("{} of {count}", dialog.cursor() + 1)
    } else {
        String::new()
    };
    let area = centred_area(ctx, width, height);
    let mut painter = open_dialog(buffer, ctx, area, "Add tasks", &right);
    for (y, line) in (0..painter.height()).zip(&lines) {
        draw_line(&mut painter, y, line, ctx, dialog);
    }
}

/// Returns the lines that fit, in screen order; the most important ones are chosen first.
fn choose_lines(
    ctx: &RenderContext<'_>,
    dialog: &AddDialog,
    width: u16,
    max_lines: usize,
) -> Vec<AddDialogLine> {
    let count = dialog.candidates().len();
    let can_try = !ctx.state.settings().suggestions.is_empty();
    let has_no_match =
        count == 0 && dialog.ids().value().is_empty() && dialog.unmatched_paste().is_some();
    let is_blank = count == 0
        && dialog.ids().value().is_empty()
        && dialog.rejected().is_empty()
        && !has_no_match;
    let has_rejected = !dialog.rejected().is_empty() && !has_no_match;
    let mut spare = max_lines.saturating_sub(2);
    let mut reserve = |is_needed: bool| {
        let is_reserved = is_needed && spare > 0;
        spare -= usize::from(is_reserved);
        is_reserved
    };
    let has_candidates = reserve(count > 0);
    let has_hints = reserve(true);
    let has_no_match = reserve(has_no_match);
    let has_rejected = reserve(has_rejected);
    let has_skipped = reserve(dialog.skipped() != Skipped::default());
    let is_truncated = reserve(dialog.is_truncated());
    let has_suggestion = reserve(is_blank && can_try);
    let has_heading = reserve(count > 0);
    let is_narrow = width < CONTEXT_COLUMN + MIN_CONTEXT_WIDTH + 3;
    let context = dialog
        .candidates()
        .get(dialog.cursor())
        .map(|candidate| &candidate.context);
    let has_context = reserve(is_narrow && context.is_some_and(|context| !context.is_empty()));
    let has_blank_above = reserve(true);
    let has_blank_below = reserve(true);
    let rows = (usize::from(has_candidates) + spare)
        .min(count)
        .min(MAX_ROWS);
    let first = first_visible(dialog.cursor(), count, rows);

    let mut lines = vec![AddDialogLine::Ids];
    if has_suggestion {
        lines.push(AddDialogLine::Suggestion);
    }
    if has_blank_above {
        lines.push(AddDialogLine::Blank);
    }
    if has_heading {
        lines.push(AddDialogLine::CandidateHeading);
    }
    if rows > 0 && has_candidates {
        lines.extend((first..first + rows).map(AddDialogLine::Candidate));
    }
    if has_context {
        lines.push(AddDialogLine::Context);
    }
    if has_no_match {
        lines.push(AddDialogLine::NoIdFound);
    }
    if has_rejected {
        lines.push(AddDialogLine::Rejected);
    }
    if has_skipped {
        lines.push(AddDialogLine::Skipped);
    }
    if is_truncated {
        lines.push(AddDialogLine::Truncated);
    }
    lines.push(AddDialogLine::Label);
    if has_blank_below {
        lines.push(AddDialogLine::Blank);
    }
    if has_hints {
        lines.push(AddDialogLine::Hints);
    }
    lines
}

fn draw_line(
    painter: &mut Painter<'_>,
    y: u16,
    line: &AddDialogLine,
    ctx: &RenderContext<'_>,
    dialog: &AddDialog,
) {
    let muted = ctx.style(Role::Muted);
    let field = dialog.field();
    match line {
        AddDialogLine::Blank => {}
        AddDialogLine::Ids => {
            let has_focus = field == AddField::Ids;
            let hint = "type or paste ids";
            draw_field(painter, y, "ids: ", dialog.ids(), has_focus, hint, ctx);
        }
        AddDialogLine::Suggestion => {
            let x = painter.text(1, y, "try: ", muted);
            if let Some(id) = ctx.state.settings().suggestions.first() {
                painter.text(x, y, id.as_str(), ctx.style(Role::Text));
            }
        }
        AddDialogLine::CandidateHeading => {
            let text = if dialog.has_pasted() {
                "found in the pasted text:"
            } else {
                "found:"
            };
            painter.text(1, y, text, muted);
        }
        AddDialogLine::Candidate(at) => {
            if let Some(candidate) = dialog.candidates().get(*at) {
                ctx.register(painter.row_area(y), || HitTarget::DialogLine(*at));
                let is_current = field == AddField::Found && dialog.cursor() == *at;
                draw_candidate(painter, y, candidate, is_current, ctx);
            }
        }
        AddDialogLine::Label => {
            let has_focus = field == AddField::Label;
            draw_field(
                painter,
                y,
                "label for all: ",
                dialog.label(),
                has_focus,
                "none",
                ctx,
            );
        }
        AddDialogLine::NoIdFound => {
            let beginning = dialog.unmatched_paste().map_or("", CleanText::as_str);
            let room = usize::from(painter.width().saturating_sub(2));
            let prefix = "No task id in the pasted text: ";
            let left = room.saturating_sub(format::width(prefix));
            let text = format!(
                "{prefix}{}",
                format::fit_end(beginning, left, ctx.ellipsis())
            );
            let text = format::fit_end(&text, room, ctx.ellipsis());
            painter.text(1, y, &text, ctx.style(Role::Warn));
        }
        AddDialogLine::Rejected => {
            let room = usize::from(painter.width().saturating_sub(2));
            let text = rejected_text(dialog, room, ctx.ellipsis());
            painter.text(1, y, &text, ctx.style(Role::Warn));
        }
        AddDialogLine::Context => {
            if let Some(candidate) = dialog.candidates().get(dialog.cursor()) {
                let room = usize::from(painter.width().saturating_sub(7));
                let context = candidate.context.as_str();
                let context = format::fit_end(context, room, ctx.ellipsis());
                painter.text(6, y, &context, muted);
            }
        }
        AddDialogLine::Skipped => {
            let room = usize::from(painter.width().saturating_sub(2));
            let text = format!(
                "skipped: {}",
                format::skipped_values(dialog.skipped()).join(", ")
            );
            painter.text(1, y, &format::fit_end(&text, room, ctx.ellipsis()), muted);
        }
        AddDialogLine::Truncated => {
            painter.text(1, y, screen::PASTE_TRUNCATED, ctx.style(Role::Warn));
        }
        AddDialogLine::Hints => {
            let hint = |action| KeyHint::for_action(action, KeyContext::Add, ctx);
            let accept = match dialog.selected().count() {
                0 => "add".to_owned(),
                count => format!("add {count}"),
            };
            let is_choosing = field == AddField::Found;
            let hints = vec![
                hint(Action::Accept).map(|hint| hint.with_word(accept)),
                hint(Action::Toggle).filter(|_| is_choosing),
                hint(Action::NextField),
                hint(Action::Back).map(|hint| hint.with_word("cancel")),
            ];
            draw_hints(painter, y, hints, ctx);
        }
    }
}

/// Lists the words that are not ids, as many as fit, and counts the rest.
fn rejected_text(dialog: &AddDialog, room: usize, ellipsis: &str) -> String {
    let words: Vec<_> = dialog.rejected().iter().map(CleanText::as_str).collect();
    let all = words.len() + dialog.more_rejected();
    let list_first = |count: usize| {
        let named = words.get(..count).unwrap_or_default().join(", ");
        match all.saturating_sub(count) {
            0 => format!("not ids: {named}"),
            more => format!("not ids: {named}, +{more} more"),
        }
    };
    let fits = |text: &String| format::width(text) <= room;
    let named = (1..=words.len()).rev().map(list_first).find(fits);
    named.unwrap_or_else(|| {
        let text = format!("not ids: {}", words.join(", "));
        format::fit_end(&text, room, ellipsis).into_owned()
    })
}

fn draw_candidate(
    painter: &mut Painter<'_>,
    y: u16,
    candidate: &Candidate,
    is_current: bool,
    ctx: &RenderContext<'_>,
) {
    let (mark, word, role) = match (candidate.is_watched, candidate.is_selected) {
        (true, _) => ("[ ]", "already added", Role::Muted),
        (false, true) => ("[x]", "new", Role::Ok),
        (false, false) if candidate.certainty == Certainty::Suspicious => {
            ("[ ]", "unusual", Role::Warn)
        }
        (false, false) if candidate.certainty == Certainty::Unnamed => {
            ("[ ]", "uncertain", Role::Warn)
        }
        (false, false) => ("[ ]", "not selected", Role::Muted),
    };
    let style = |role| ctx.style(if is_current { Role::Selected } else { role });
    if is_current {
        painter.style_row(y, style(Role::Text));
        painter.text(1, y, ctx.theme.glyphs().row_cursor, style(Role::Text));
    }
    let x = painter.text(2, y, mark, style(Role::Text)) + 1;
    // On a narrow screen the checkbox is enough, so that the id keeps both ends.
    let has_word = painter.width() >= 36;
    let room = painter
        .width()
        .min(CONTEXT_COLUMN)
        .saturating_sub(x + if has_word { 19 } else { 1 });
    let id = format::fit_middle(candidate.id.as_str(), usize::from(room), ctx.ellipsis());
    let id_role = if candidate.is_selected {
        Role::Text
    } else {
        Role::Muted
    };
    let x = painter.text(x, y, &id, style(id_role));
    if has_word {
        painter.text(x + 2, y, word, style(role));
    }
    let room = painter.width().saturating_sub(CONTEXT_COLUMN + 1);
    if room >= MIN_CONTEXT_WIDTH {
        let context = candidate.context.as_str();
        let context = format::fit_end(context, usize::from(room), ctx.ellipsis());
        painter.text(CONTEXT_COLUMN, y, &context, style(Role::Muted));
    }
}

/// Draws a field: its name and its value, as an input while it has the focus.
pub(super) fn draw_field(
    painter: &mut Painter<'_>,
    y: u16,
    name: &str,
    input: &Input,
    has_focus: bool,
    hint: &str,
    ctx: &RenderContext<'_>,
) {
    let name_role = if has_focus { Role::Title } else { Role::Muted };
    let start = painter.text(1, y, name, ctx.style(name_role));
    if !has_focus {
        let (shown, role) = if input.value().is_empty() {
            (hint, Role::Muted)
        } else {
            (input.value(), Role::Text)
        };
        let room = usize::from(painter.width().saturating_sub(start + 1));
        let shown = format::fit_end(shown, room, ctx.ellipsis());
        painter.text(start, y, &shown, ctx.style(role));
        return;
    }
    let end = painter.width().saturating_sub(1);
    let x = text_input::draw(painter, (start, y), end, input, None, ctx);
    if input.value().is_empty() && cell_count(hint) + 1 < painter.width().saturating_sub(x) {
        painter.text(x + 1, y, hint, ctx.style(Role::Muted));
    }
}
