//! The box in which a folder is typed.

use ratatui::buffer::Buffer;

use super::{add::draw_field, draw_hints, open, place};
use crate::{
    app::{
        keymap::{Action, Context},
        state::FolderDialog,
    },
    ui::{footer::Hint, scene::Scene},
};

/// How wide the box is, borders included.
const WIDTH: u16 = 76;

/// Draws the box.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>, dialog: &FolderDialog) {
    let area = place(scene, WIDTH, 5);
    let title = match dialog.tasks().len() {
        1 => "Save to which folder?".to_owned(),
        count => format!("Save {count} results to which folder?"),
    };
    let mut pen = open(buffer, scene, area, &title, "");
    draw_field(
        &mut pen,
        0,
        "folder: ",
        dialog.line(),
        true,
        "a folder; ~ is your home",
        scene,
    );
    let hint = |action| Hint::of(action, Context::Folder, scene);
    let hints = vec![
        hint(Action::Accept).map(|hint| hint.saying("save")),
        hint(Action::Back).map(|hint| hint.saying("cancel")),
    ];
    if pen.height() > 1 {
        let y = pen.height() - 1;
        draw_hints(&mut pen, y, hints, scene);
    }
}
