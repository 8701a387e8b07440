//! The dialog that adds tasks: a line for ids, what was found in it or in pasted text, a label for
//! all.

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
    ui::{
        footer::KeyHint,
        format,
        painter::{Painter, cell_count},
        render_context::RenderContext,
        text_input,
        theme::Role,
    },
};

/// The width of the box, borders included: an id of 32 characters, its box and its word.
const WIDTH: u16 = 61;

/// The width with the text around each id.
const WIDE_WIDTH: u16 = 100;

/// The column where the text around an id begins, counted from the row's start, and its least
/// width.
const CONTEXT_COLUMN: u16 = 57;
const MIN_CONTEXT_WIDTH: u16 = 14;

/// The most ids the box shows at once before they scroll.
const MAX_ROWS: usize = 12;

/// A line of the dialog, most of which are there only where there is room.
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

/// Draws the dialog.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, dialog: &AddDialog) {
    let has_context = |found: &Candidate| !found.context.is_empty();
    let width = if dialog.candidates().iter().any(has_context) {
        WIDE_WIDTH
    } else {
        WIDTH
    };
    let widest = centred_area(scene, width, u16::MAX);
    let most = usize::from(widest.height.saturating_sub(2));
    let parts = choose_lines(scene, dialog, widest.width, most);
    let height = u16::try_from(parts.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    let count = dialog.candidates().len();
    let seen = parts
        .iter()
        .filter(|part| matches!(part, AddDialogLine::Candidate(_)))
        .count();
    let right = if count > seen {
        format!("{} of {count}", dialog.cursor() + 1)
    } else {
        String::new()
    };
    let area = centred_area(scene, width, height);
    let mut pen = open_dialog(buffer, scene, area, "Add tasks", &right);
    for (y, part) in (0..pen.height()).zip(&parts) {
        draw_line(&mut pen, y, part, scene, dialog);
    }
}

/// Chooses the lines that fit, the needed ones first, in the order they stand.
fn choose_lines(
    scene: &RenderContext<'_>,
    dialog: &AddDialog,
    width: u16,
    most: usize,
) -> Vec<AddDialogLine> {
    let found = dialog.candidates().len();
    let can_try = !scene.state.settings().suggestions.is_empty();
    let is_fruitless =
        found == 0 && dialog.ids().value().is_empty() && dialog.unmatched_paste().is_some();
    let is_blank = found == 0
        && dialog.ids().value().is_empty()
        && dialog.rejected().is_empty()
        && !is_fruitless;
    let mut spare = most.saturating_sub(2);
    let mut take = |wanted: bool| {
        let taken = wanted && spare > 0;
        spare -= usize::from(taken);
        taken
    };
    let has_first = take(found > 0);
    let has_hints = take(true);
    let has_fruitless = take(is_fruitless);
    let has_rejected = take(!dialog.rejected().is_empty() && !is_fruitless);
    let has_skipped = take(dialog.skipped() != Skipped::default());
    let has_cut = take(dialog.is_truncated());
    let has_try = take(is_blank && can_try);
    let has_head = take(found > 0);
    let is_narrow = width < CONTEXT_COLUMN + MIN_CONTEXT_WIDTH + 3;
    let context = dialog
        .candidates()
        .get(dialog.cursor())
        .map(|found| &found.context);
    let has_context = take(is_narrow && context.is_some_and(|context| !context.is_empty()));
    let has_space = take(true);
    let has_second_space = take(true);
    let rows = (usize::from(has_first) + spare).min(found).min(MAX_ROWS);
    let first = first_visible(dialog.cursor(), found, rows);

    let mut parts = vec![AddDialogLine::Ids];
    if has_try {
        parts.push(AddDialogLine::Suggestion);
    }
    if has_space {
        parts.push(AddDialogLine::Blank);
    }
    if has_head {
        parts.push(AddDialogLine::CandidateHeading);
    }
    if rows > 0 && has_first {
        parts.extend((first..first + rows).map(AddDialogLine::Candidate));
    }
    if has_context {
        parts.push(AddDialogLine::Context);
    }
    if has_fruitless {
        parts.push(AddDialogLine::NoIdFound);
    }
    if has_rejected {
        parts.push(AddDialogLine::Rejected);
    }
    if has_skipped {
        parts.push(AddDialogLine::Skipped);
    }
    if has_cut {
        parts.push(AddDialogLine::Truncated);
    }
    parts.push(AddDialogLine::Label);
    if has_second_space {
        parts.push(AddDialogLine::Blank);
    }
    if has_hints {
        parts.push(AddDialogLine::Hints);
    }
    parts
}

fn draw_line(
    pen: &mut Painter<'_>,
    y: u16,
    part: &AddDialogLine,
    scene: &RenderContext<'_>,
    dialog: &AddDialog,
) {
    let muted = scene.style(Role::Muted);
    let field = dialog.field();
    match part {
        AddDialogLine::Blank => {}
        AddDialogLine::Ids => {
            let here = field == AddField::Ids;
            let hint = "type or paste ids";
            draw_field(pen, y, "ids: ", dialog.ids(), here, hint, scene);
        }
        AddDialogLine::Suggestion => {
            let x = pen.text(1, y, "try: ", muted);
            if let Some(id) = scene.state.settings().suggestions.first() {
                pen.text(x, y, id.as_str(), scene.style(Role::Text));
            }
        }
        AddDialogLine::CandidateHeading => {
            let text = if dialog.has_pasted() {
                "found in the pasted text:"
            } else {
                "found:"
            };
            pen.text(1, y, text, muted);
        }
        AddDialogLine::Candidate(at) => {
            if let Some(candidate) = dialog.candidates().get(*at) {
                scene.register(pen.row_area(y), || HitTarget::DialogLine(*at));
                let here = field == AddField::Found && dialog.cursor() == *at;
                draw_candidate(pen, y, candidate, here, scene);
            }
        }
        AddDialogLine::Label => {
            let here = field == AddField::Label;
            draw_field(
                pen,
                y,
                "label for all: ",
                dialog.label(),
                here,
                "none",
                scene,
            );
        }
        AddDialogLine::NoIdFound => {
            let beginning = dialog.unmatched_paste().map_or("", CleanText::as_str);
            let room = usize::from(pen.width().saturating_sub(2));
            let head = "No task id in the pasted text: ";
            let left = room.saturating_sub(format::width(head));
            let text = format!(
                "{head}{}",
                format::fit_end(beginning, left, scene.ellipsis())
            );
            let text = format::fit_end(&text, room, scene.ellipsis());
            pen.text(1, y, &text, scene.style(Role::Warn));
        }
        AddDialogLine::Rejected => {
            let room = usize::from(pen.width().saturating_sub(2));
            let text = rejected_text(dialog, room, scene.ellipsis());
            pen.text(1, y, &text, scene.style(Role::Warn));
        }
        AddDialogLine::Context => {
            if let Some(candidate) = dialog.candidates().get(dialog.cursor()) {
                let room = usize::from(pen.width().saturating_sub(7));
                let context = candidate.context.as_str();
                let context = format::fit_end(context, room, scene.ellipsis());
                pen.text(6, y, &context, muted);
            }
        }
        AddDialogLine::Skipped => {
            let room = usize::from(pen.width().saturating_sub(2));
            let text = format!(
                "skipped: {}",
                format::skipped_values(dialog.skipped()).join(", ")
            );
            pen.text(1, y, &format::fit_end(&text, room, scene.ellipsis()), muted);
        }
        AddDialogLine::Truncated => {
            let text = "the text was too long: only its start was read";
            pen.text(1, y, text, scene.style(Role::Warn));
        }
        AddDialogLine::Hints => {
            let hint = |action| KeyHint::for_action(action, KeyContext::Add, scene);
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
            draw_hints(pen, y, hints, scene);
        }
    }
}

/// Names the words that are no ids, as many as fit, and counts the rest.
fn rejected_text(dialog: &AddDialog, room: usize, ellipsis: &str) -> String {
    let words: Vec<_> = dialog.rejected().iter().map(CleanText::as_str).collect();
    let all = words.len() + dialog.more_rejected();
    let naming = |count: usize| {
        let named = words.get(..count).unwrap_or_default().join(", ");
        match all.saturating_sub(count) {
            0 => format!("not ids: {named}"),
            more => format!("not ids: {named}, +{more} more"),
        }
    };
    let fits = |text: &String| format::width(text) <= room;
    let named = (1..=words.len()).rev().map(naming).find(fits);
    named.unwrap_or_else(|| {
        let text = format!("not ids: {}", words.join(", "));
        format::fit_end(&text, room, ellipsis).into_owned()
    })
}

fn draw_candidate(
    pen: &mut Painter<'_>,
    y: u16,
    candidate: &Candidate,
    is_here: bool,
    scene: &RenderContext<'_>,
) {
    let (mark, word, role) = match (candidate.is_watched, candidate.is_selected) {
        (true, _) => ("[ ]", "watched already", Role::Muted),
        (false, true) => ("[x]", "new", Role::Ok),
        (false, false) if candidate.certainty == Certainty::Suspicious => {
            ("[ ]", "looks odd", Role::Warn)
        }
        (false, false) if candidate.certainty == Certainty::Unnamed => {
            ("[ ]", "no name", Role::Warn)
        }
        (false, false) => ("[ ]", "left out", Role::Muted),
    };
    let of = |role| scene.style(if is_here { Role::Selected } else { role });
    if is_here {
        pen.style_row(y, of(Role::Text));
        pen.text(1, y, scene.theme.glyphs().row_cursor, of(Role::Text));
    }
    let x = pen.text(2, y, mark, of(Role::Text)) + 1;
    // Where it is tight the mark alone tells, so that the id keeps its ends.
    let has_word = pen.width() >= 36;
    let room = pen
        .width()
        .min(CONTEXT_COLUMN)
        .saturating_sub(x + if has_word { 19 } else { 1 });
    let id = format::fit_middle(candidate.id.as_str(), usize::from(room), scene.ellipsis());
    let id_role = if candidate.is_selected {
        Role::Text
    } else {
        Role::Muted
    };
    let x = pen.text(x, y, &id, of(id_role));
    if has_word {
        pen.text(x + 2, y, word, of(role));
    }
    let room = pen.width().saturating_sub(CONTEXT_COLUMN + 1);
    if room >= MIN_CONTEXT_WIDTH {
        let context = candidate.context.as_str();
        let context = format::fit_end(context, usize::from(room), scene.ellipsis());
        pen.text(CONTEXT_COLUMN, y, &context, of(Role::Muted));
    }
}

/// Draws a field: its name, and the line that is typed into where the keyboard is there.
pub(super) fn draw_field(
    pen: &mut Painter<'_>,
    y: u16,
    name: &str,
    input: &Input,
    is_here: bool,
    hint: &str,
    scene: &RenderContext<'_>,
) {
    let name_role = if is_here { Role::Title } else { Role::Muted };
    let start = pen.text(1, y, name, scene.style(name_role));
    if !is_here {
        let (shown, role) = if input.value().is_empty() {
            (hint, Role::Muted)
        } else {
            (input.value(), Role::Text)
        };
        let room = usize::from(pen.width().saturating_sub(start + 1));
        let shown = format::fit_end(shown, room, scene.ellipsis());
        pen.text(start, y, &shown, scene.style(role));
        return;
    }
    let end = pen.width().saturating_sub(1);
    let x = text_input::draw(pen, (start, y), end, input, None, scene);
    if input.value().is_empty() && cell_count(hint) + 1 < pen.width().saturating_sub(x) {
        pen.text(x + 1, y, hint, scene.style(Role::Muted));
    }
}
