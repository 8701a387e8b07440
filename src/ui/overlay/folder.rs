//! The box in which a folder is typed.

use ratatui::buffer::Buffer;

use super::{add::draw_field, centred_area, draw_hints, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        state::FolderDialog,
    },
    ui::{footer::KeyHint, render_context::RenderContext},
};

/// How wide the box is, borders included.
const WIDTH: u16 = 76;

/// Draws the box.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, dialog: &FolderDialog) {
    let area = centred_area(scene, WIDTH, 5);
    let title = match dialog.tasks().len() {
        1 => "Save to which folder?".to_owned(),
        count => format!("Save {count} results to which folder?"),
    };
    let mut pen = open_dialog(buffer, scene, area, &title, "");
    draw_field(
        &mut pen,
        0,
        "folder: ",
        dialog.line(),
        true,
        "a folder; ~ is your home",
        scene,
    );
    let hint = |action| KeyHint::for_action(action, KeyContext::Folder, scene);
    let hints = vec![
        hint(Action::Accept).map(|hint| hint.with_word("save")),
        hint(Action::Back).map(|hint| hint.with_word("cancel")),
    ];
    if pen.height() > 1 {
        let y = pen.height() - 1;
        draw_hints(&mut pen, y, hints, scene);
    }
}
