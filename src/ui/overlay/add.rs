//! The dialog that adds tasks: a line for ids, what was found in it or in pasted text, a label for all.

use ratatui::buffer::Buffer;
use tui_input::Input;

use super::{draw_hints, first_seen, open, place};
use crate::{
    app::{
        keymap::{Action, Context},
        pointer::Spot,
        state::{AddDialog, AddField, Candidate},
    },
    domain::{
        id_extract::{Certainty, Skipped},
        text::CleanText,
    },
    ui::{
        footer::Hint,
        format, input,
        pen::{Pen, cells},
        scene::Scene,
        theme::Role,
    },
};

/// The width of the box, borders included: an id of 32 characters, its box and its word.
const WIDTH: u16 = 61;

/// The width with the text around each id.
const WIDTH_WITH_CONTEXT: u16 = 100;

/// The column where the text around an id begins, counted from the row's start, and its least
/// width.
const CONTEXT_COLUMN: u16 = 57;
const MIN_CONTEXT: u16 = 14;

/// The most ids the box shows at once before they scroll.
const MOST_ROWS: usize = 12;

/// Is a line of the dialog, most of which are there only where there is room.
enum Part {
    Ids,
    Space,
    Try,
    FoundHead,
    Found(usize),
    Context,
    Label,
    Fruitless,
    Rejected,
    Skipped,
    Cut,
    Hints,
}

/// Draws the dialog.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>, dialog: &AddDialog) {
    let has_context = |found: &Candidate| !found.context.is_empty();
    let width = if dialog.found().iter().any(has_context) {
        WIDTH_WITH_CONTEXT
    } else {
        WIDTH
    };
    let widest = place(scene, width, u16::MAX);
    let most = usize::from(widest.height.saturating_sub(2));
    let parts = plan(scene, dialog, widest.width, most);
    let height = u16::try_from(parts.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    let count = dialog.found().len();
    let seen = parts
        .iter()
        .filter(|part| matches!(part, Part::Found(_)))
        .count();
    let right = if count > seen {
        format!("{} of {count}", dialog.cursor() + 1)
    } else {
        String::new()
    };
    let area = place(scene, width, height);
    let mut pen = open(buffer, scene, area, "Add tasks", &right);
    for (y, part) in (0..pen.height()).zip(&parts) {
        draw_part(&mut pen, y, part, scene, dialog);
    }
}

/// Chooses the lines that fit, the needed ones first, in the order they stand.
fn plan(scene: &Scene<'_>, dialog: &AddDialog, width: u16, most: usize) -> Vec<Part> {
    let found = dialog.found().len();
    let can_try = !scene.state.settings().suggestions.is_empty();
    let is_fruitless =
        found == 0 && dialog.ids().value().is_empty() && dialog.fruitless_paste().is_some();
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
    let has_cut = take(dialog.is_cut());
    let has_try = take(is_blank && can_try);
    let has_head = take(found > 0);
    let is_narrow = width < CONTEXT_COLUMN + MIN_CONTEXT + 3;
    let context = dialog
        .found()
        .get(dialog.cursor())
        .map(|found| &found.context);
    let has_context = take(is_narrow && context.is_some_and(|context| !context.is_empty()));
    let has_space = take(true);
    let has_second_space = take(true);
    let rows = (usize::from(has_first) + spare).min(found).min(MOST_ROWS);
    let first = first_seen(dialog.cursor(), found, rows);

    let mut parts = vec![Part::Ids];
    if has_try {
        parts.push(Part::Try);
    }
    if has_space {
        parts.push(Part::Space);
    }
    if has_head {
        parts.push(Part::FoundHead);
    }
    if rows > 0 && has_first {
        parts.extend((first..first + rows).map(Part::Found));
    }
    if has_context {
        parts.push(Part::Context);
    }
    if has_fruitless {
        parts.push(Part::Fruitless);
    }
    if has_rejected {
        parts.push(Part::Rejected);
    }
    if has_skipped {
        parts.push(Part::Skipped);
    }
    if has_cut {
        parts.push(Part::Cut);
    }
    parts.push(Part::Label);
    if has_second_space {
        parts.push(Part::Space);
    }
    if has_hints {
        parts.push(Part::Hints);
    }
    parts
}

fn draw_part(pen: &mut Pen<'_>, y: u16, part: &Part, scene: &Scene<'_>, dialog: &AddDialog) {
    let muted = scene.style(Role::Muted);
    let field = dialog.field();
    match part {
        Part::Space => {}
        Part::Ids => {
            let here = field == AddField::Ids;
            let hint = "type or paste ids";
            draw_field(pen, y, "ids: ", dialog.ids(), here, hint, scene);
        }
        Part::Try => {
            let x = pen.text(1, y, "try: ", muted);
            if let Some(id) = scene.state.settings().suggestions.first() {
                pen.text(x, y, id.as_str(), scene.style(Role::Text));
            }
        }
        Part::FoundHead => {
            let text = if dialog.has_pasted() {
                "found in the pasted text:"
            } else {
                "found:"
            };
            pen.text(1, y, text, muted);
        }
        Part::Found(at) => {
            if let Some(candidate) = dialog.found().get(*at) {
                scene.mark(pen.row(y), || Spot::Choice(*at));
                let here = field == AddField::Found && dialog.cursor() == *at;
                draw_candidate(pen, y, candidate, here, scene);
            }
        }
        Part::Label => {
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
        Part::Fruitless => {
            let beginning = dialog.fruitless_paste().map_or("", CleanText::as_str);
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
        Part::Rejected => {
            let room = usize::from(pen.width().saturating_sub(2));
            let text = rejected(dialog, room, scene.ellipsis());
            pen.text(1, y, &text, scene.style(Role::Warn));
        }
        Part::Context => {
            if let Some(candidate) = dialog.found().get(dialog.cursor()) {
                let room = usize::from(pen.width().saturating_sub(7));
                let context = candidate.context.as_str();
                let context = format::fit_end(context, room, scene.ellipsis());
                pen.text(6, y, &context, muted);
            }
        }
        Part::Skipped => {
            let room = usize::from(pen.width().saturating_sub(2));
            let text = format!("skipped: {}", format::skipped(dialog.skipped()).join(", "));
            pen.text(1, y, &format::fit_end(&text, room, scene.ellipsis()), muted);
        }
        Part::Cut => {
            let text = "the text was too long: only its start was read";
            pen.text(1, y, text, scene.style(Role::Warn));
        }
        Part::Hints => {
            let hint = |action| Hint::of(action, Context::Add, scene);
            let accept = match dialog.taken().count() {
                0 => "add".to_owned(),
                count => format!("add {count}"),
            };
            let is_choosing = field == AddField::Found;
            let hints = vec![
                hint(Action::Accept).map(|hint| hint.saying(accept)),
                hint(Action::Toggle).filter(|_| is_choosing),
                hint(Action::NextField),
                hint(Action::Back).map(|hint| hint.saying("cancel")),
            ];
            draw_hints(pen, y, hints, scene);
        }
    }
}

/// Names the words that are no ids, as many as fit, and counts the rest.
fn rejected(dialog: &AddDialog, room: usize, ellipsis: &str) -> String {
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
    pen: &mut Pen<'_>,
    y: u16,
    candidate: &Candidate,
    is_here: bool,
    scene: &Scene<'_>,
) {
    let (mark, word, role) = match (candidate.is_watched, candidate.is_taken) {
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
        pen.text(1, y, scene.theme.glyphs().pointer, of(Role::Text));
    }
    let x = pen.text(2, y, mark, of(Role::Text)) + 1;
    // Where it is tight the mark alone tells, so that the id keeps its ends.
    let has_word = pen.width() >= 36;
    let room = pen
        .width()
        .min(CONTEXT_COLUMN)
        .saturating_sub(x + if has_word { 19 } else { 1 });
    let id = format::fit_middle(candidate.id.as_str(), usize::from(room), scene.ellipsis());
    let id_role = if candidate.is_taken {
        Role::Text
    } else {
        Role::Muted
    };
    let x = pen.text(x, y, &id, of(id_role));
    if has_word {
        pen.text(x + 2, y, word, of(role));
    }
    let room = pen.width().saturating_sub(CONTEXT_COLUMN + 1);
    if room >= MIN_CONTEXT {
        let context = candidate.context.as_str();
        let context = format::fit_end(context, usize::from(room), scene.ellipsis());
        pen.text(CONTEXT_COLUMN, y, &context, of(Role::Muted));
    }
}

/// Draws a field: its name, and the line that is typed into where the keyboard is there.
pub(super) fn draw_field(
    pen: &mut Pen<'_>,
    y: u16,
    name: &str,
    input: &Input,
    is_here: bool,
    hint: &str,
    scene: &Scene<'_>,
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
    let x = input::draw(pen, (start, y), end, input, None, scene);
    if input.value().is_empty() && cells(hint) + 1 < pen.width().saturating_sub(x) {
        pen.text(x + 1, y, hint, scene.style(Role::Muted));
    }
}
