//! The folder input for saving results.

use ratatui::buffer::Buffer;

use super::{add::draw_field, centred_area, draw_hints, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        state::FolderDialog,
    },
    ui::{footer::KeyHint, render_context::RenderContext},
};

/// The width, borders included.
const WIDTH: u16 = 76;

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, dialog: &FolderDialog) {
    let area = centred_area(ctx, WIDTH, 5);
    let title = match dialog.tasks().len() {
        1 => "Save to folder".to_owned(),
        count => format!("Save {count} results to folder"),
    };
    let mut painter = open_dialog(buffer, ctx, area, &title, "");
    draw_field(
        &mut painter,
        0,
        "folder: ",
        dialog.line(),
        true,
        "~ is your home folder",
        ctx,
    );
    let hint = |action| KeyHint::for_action(action, KeyContext::Folder, ctx);
    let hints = vec![
        hint(Action::Accept).map(|hint| hint.with_word("save")),
        hint(Action::Back).map(|hint| hint.with_word("cancel")),
    ];
    if painter.height() > 1 {
        let y = painter.height() - 1;
        draw_hints(&mut painter, y, hints, ctx);
    }
}
