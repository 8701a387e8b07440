//! The label editor.

use ratatui::buffer::Buffer;

use super::{add::draw_field, centred_area, draw_hints, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        state::LabelEditor,
    },
    ui::{footer::KeyHint, render_context::RenderContext},
};

/// The width, borders included.
const WIDTH: u16 = 61;

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, editor: &LabelEditor) {
    let area = centred_area(ctx, WIDTH, 5);
    let right = match editor.tasks().len() {
        0 | 1 => String::new(),
        tasks => format!("of {tasks} tasks"),
    };
    let right = match ctx.state.hidden_targets() {
        0 => right,
        hidden => format!("{right} ({hidden} hidden)"),
    };
    let right = right.trim_start();
    let mut painter = open_dialog(buffer, ctx, area, "Label", right);
    let hint = if editor.is_mixed() {
        "(different labels)"
    } else {
        "none"
    };
    draw_field(&mut painter, 0, "label: ", editor.input(), true, hint, ctx);
    let hint = |action| KeyHint::for_action(action, KeyContext::Label, ctx);
    let accept = if editor.label().is_some() {
        "save"
    } else {
        "remove the label"
    };
    let hints = [
        hint(Action::Accept).map(|hint| hint.with_word(accept)),
        hint(Action::Back).map(|hint| hint.with_word("cancel")),
    ];
    // If only one hint fits, show the one that removes the label.
    let width: u16 = hints.iter().flatten().map(|hint| hint.width() + 3).sum();
    let count = if width <= painter.width() { 2 } else { 1 };
    let hints = hints.into_iter().take(count).collect();
    let y = painter.height().saturating_sub(1);
    if y > 0 {
        draw_hints(&mut painter, y, hints, ctx);
    }
}
