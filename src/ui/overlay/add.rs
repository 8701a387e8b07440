//! The dialog that adds tasks: an input for ids, the ids found in it or in pasted text, and a label
//! for all.

use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use super::dialog::{
    centred_area, draw_hints, first_visible, framed_height, key_hints, open_dialog,
};
use crate::{
    app::{
        keymap::Action,
        mouse::HitTarget,
        state::{AddDialog, AddField, Candidate},
    },
    domain::{id_extract::Certainty, text::CleanText},
    messages::{format, screen},
    ui::{
        footer::KeyHint, line_editor::draw_field, painter::Painter, render_context::RenderContext,
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

/// A part of the dialog: a line, except for the ids.
enum AddPart {
    Ids,
    Text(Line<'static>),
    Candidates,
    Label,
    Hints,
}

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, dialog: &AddDialog) {
    let has_context = |candidate: &Candidate| !candidate.context.is_empty();
    let width = if dialog.candidates.iter().any(has_context) {
        WIDE_WIDTH
    } else {
        WIDTH
    };
    let widest = centred_area(ctx, width, u16::MAX);
    let max_lines = usize::from(widest.height.saturating_sub(2));
    let mut parts = parts(ctx, dialog, usize::from(widest.width));
    while parts.len() > max_lines {
        // The least important part that is left has the highest rank.
        let least = parts.iter().map(|(rank, _)| *rank).max();
        parts.retain(|(rank, _)| Some(*rank) != least);
    }
    let count = dialog.candidates.len();
    let has_candidates = parts
        .iter()
        .any(|(_, part)| matches!(part, AddPart::Candidates));
    let rows = if has_candidates {
        (max_lines + 1 - parts.len()).min(count).min(MAX_ROWS)
    } else {
        0
    };
    let first = first_visible(dialog.cursor, count, rows);
    let right = if count > rows {
        format!("{} of {count}", dialog.cursor + 1)
    } else {
        String::new()
    };
    let height = parts.len() + rows - usize::from(has_candidates);
    let area = centred_area(ctx, width, framed_height(height));
    let mut painter = open_dialog(buffer, ctx, area, "Add tasks", &right);
    let mut y = 0;
    for (_, part) in &parts {
        match part {
            AddPart::Text(line) => drop(painter.line(1, y, line)),
            AddPart::Ids => {
                let has_focus = dialog.field == AddField::Ids;
                let (line, hint) = (&dialog.ids, "type or paste ids");
                draw_field(&mut painter, y, "ids: ", line, has_focus, hint, ctx);
            }
            AddPart::Label => {
                let has_focus = dialog.field == AddField::Label;
                let name = "label for all: ";
                draw_field(&mut painter, y, name, &dialog.label, has_focus, "none", ctx);
            }
            AddPart::Candidates => {
                for at in first..first + rows {
                    draw_candidate(&mut painter, y, dialog, at, ctx);
                    y += 1;
                }
                continue;
            }
            AddPart::Hints => draw_hints(&mut painter, y, hints(ctx, dialog), ctx),
        }
        y += 1;
    }
}

/// Returns the parts in screen order, each with its rank; if there is not enough room, those with
/// the highest rank are dropped.
fn parts(ctx: &RenderContext<'_>, dialog: &AddDialog, width: usize) -> Vec<(u8, AddPart)> {
    let room = width.saturating_sub(4);
    let text = |text: String, role| {
        let text = format::fit_end(&text, room, ctx.ellipsis()).into_owned();
        AddPart::Text(Line::styled(text, ctx.style(role)))
    };
    let has_candidates = !dialog.candidates.is_empty();
    let is_untyped = !has_candidates && dialog.ids.text().is_empty();
    let heading = if dialog.pasted.is_empty() {
        "found:"
    } else {
        "found in the pasted text:"
    };
    let has_context_column = width >= usize::from(CONTEXT_COLUMN + MIN_CONTEXT_WIDTH + 3);
    let current = dialog.candidates.get(dialog.cursor);
    let context = current
        .filter(|candidate| !candidate.context.is_empty() && !has_context_column)
        .map(|candidate| format!("     {}", candidate.context));
    let unmatched = dialog.from_paste.beginning.as_ref().filter(|_| is_untyped);
    let no_id = unmatched.map(|start| format!("No task id in the pasted text: {start}"));
    let has_rejected = !dialog.rejected.is_empty() && unmatched.is_none();
    let rejected = has_rejected.then(|| rejected_text(dialog, room));
    let skipped = format::skipped_values(dialog.skipped).join(", ");
    let skipped = (!skipped.is_empty()).then(|| format!("skipped: {skipped}"));
    let is_blank = is_untyped && rejected.is_none() && unmatched.is_none();
    let suggestion = ctx.state.settings().suggestions.first();
    let suggestion = suggestion.filter(|_| is_blank).map(|id| {
        AddPart::Text(Line::from(vec![
            Span::styled("try: ", ctx.style(Role::Muted)),
            Span::styled(id.to_string(), ctx.style(Role::Text)),
        ]))
    });
    let truncated = dialog
        .is_truncated
        .then(|| screen::PASTE_TRUNCATED.to_owned());
    let parts = [
        (0, Some(AddPart::Ids)),
        (7, suggestion),
        (10, Some(AddPart::Text(Line::default()))),
        (
            8,
            has_candidates.then(|| text(heading.to_owned(), Role::Muted)),
        ),
        (1, has_candidates.then_some(AddPart::Candidates)),
        (9, context.map(|context| text(context, Role::Muted))),
        (3, no_id.map(|no_id| text(no_id, Role::Warn))),
        (4, rejected.map(|words| text(words, Role::Warn))),
        (5, skipped.map(|skipped| text(skipped, Role::Muted))),
        (6, truncated.map(|truncated| text(truncated, Role::Warn))),
        (0, Some(AddPart::Label)),
        (11, Some(AddPart::Text(Line::default()))),
        (2, Some(AddPart::Hints)),
    ];
    let parts = parts.into_iter();
    parts
        .filter_map(|(rank, part)| Some((rank, part?)))
        .collect()
}

fn hints(ctx: &RenderContext<'_>, dialog: &AddDialog) -> Vec<KeyHint> {
    let accept = match dialog.selected().count() {
        0 => "add".to_owned(),
        count => format!("add {count}"),
    };
    let mut actions = vec![(Action::Accept, accept.as_str())];
    if dialog.field == AddField::Found {
        actions.push((Action::Toggle, ""));
    }
    actions.extend([(Action::NextField, ""), (Action::Back, "cancel")]);
    key_hints(ctx, &actions)
}

/// Lists the words that are not ids, as many as fit, and counts the rest.
fn rejected_text(dialog: &AddDialog, room: usize) -> String {
    let words: Vec<_> = dialog.rejected.iter().map(CleanText::as_str).collect();
    let all = words.len() + dialog.more_rejected;
    let list_first = |count: usize| {
        let named = words.get(..count).unwrap_or_default().join(", ");
        match all.saturating_sub(count) {
            0 => format!("not ids: {named}"),
            more => format!("not ids: {named}, +{more} more"),
        }
    };
    let fits = |text: &String| format::width(text) <= room;
    let mut texts = (1..=words.len()).rev().map(list_first);
    texts
        .find(fits)
        .unwrap_or_else(|| format!("not ids: {}", words.join(", ")))
}

fn draw_candidate(
    painter: &mut Painter<'_>,
    y: u16,
    dialog: &AddDialog,
    at: usize,
    ctx: &RenderContext<'_>,
) {
    let Some(candidate) = dialog.candidates.get(at) else {
        return;
    };
    ctx.register(painter.row_area(y), || HitTarget::DialogLine(at));
    let is_current = dialog.field == AddField::Found && dialog.cursor == at;
    let (word, role) = match candidate.certainty {
        _ if candidate.is_watched => ("already added", Role::Muted),
        _ if candidate.is_selected => ("new", Role::Ok),
        Certainty::Suspicious => ("unusual", Role::Warn),
        Certainty::Unnamed => ("uncertain", Role::Warn),
        Certainty::Certain => ("not selected", Role::Muted),
    };
    let (mark, id_role) = if candidate.is_selected {
        ("[x]", Role::Text)
    } else {
        ("[ ]", Role::Muted)
    };
    let style = |role| ctx.style(if is_current { Role::Selected } else { role });
    if is_current {
        painter.style_row(y, style(Role::Text));
        painter.text(1, y, ctx.theme.glyphs().row_cursor, style(Role::Text));
    }
    let x = painter.text(2, y, mark, style(Role::Text)) + 1;
    // On a narrow screen the checkbox is enough, so that the id keeps both ends.
    let has_word = painter.width() >= 36;
    let end = painter.width().min(CONTEXT_COLUMN);
    let room = end.saturating_sub(x + if has_word { 19 } else { 1 });
    let id = format::fit_middle(candidate.id.as_str(), usize::from(room), ctx.ellipsis());
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
