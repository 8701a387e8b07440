//! The editor of a label: one line.

use ratatui::buffer::Buffer;

use super::{add::draw_field, centred_area, draw_hints, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        state::LabelEditor,
    },
    ui::{footer::KeyHint, render_context::RenderContext},
};

/// The width of the box, borders included.
const WIDTH: u16 = 61;

/// Draws the editor.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, editor: &LabelEditor) {
    let area = centred_area(scene, WIDTH, 5);
    let right = match editor.tasks().len() {
        0 | 1 => String::new(),
        tasks => format!("of {tasks} tasks"),
    };
    let right = match scene.state.hidden_targets() {
        0 => right,
        hidden => format!("{right} ({hidden} hidden)"),
    };
    let right = right.trim_start();
    let mut pen = open_dialog(buffer, scene, area, "Label", right);
    let hint = if editor.is_mixed() {
        "they have different ones"
    } else {
        "none"
    };
    draw_field(&mut pen, 0, "label: ", editor.input(), true, hint, scene);
    let hint = |action| KeyHint::for_action(action, KeyContext::Label, scene);
    let accept = if editor.label().is_some() {
        "keep"
    } else {
        "take the label away"
    };
    let hints = [
        hint(Action::Accept).map(|hint| hint.with_word(accept)),
        hint(Action::Back).map(|hint| hint.with_word("cancel")),
    ];
    // What takes the label away is to be known before how not to.
    let width: u16 = hints.iter().flatten().map(|hint| hint.width() + 3).sum();
    let most = if width <= pen.width() { 2 } else { 1 };
    let hints = hints.into_iter().take(most).collect();
    let y = pen.height().saturating_sub(1);
    if y > 0 {
        draw_hints(&mut pen, y, hints, scene);
    }
}
