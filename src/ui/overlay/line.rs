//! The dialogs with one line of text.

use ratatui::buffer::Buffer;

use super::dialog::{centred_area, draw_hints, key_hints, open_dialog};
use crate::{
    app::{
        keymap::Action,
        state::{LineDialog, LinePurpose},
    },
    ui::{line_editor::draw_field, render_context::RenderContext},
};

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, dialog: &LineDialog) {
    let width = match dialog.purpose {
        LinePurpose::Label => 61,
        LinePurpose::SaveFolder => 76,
    };
    let area = centred_area(ctx, width, 5);
    let mut painter = open_dialog(buffer, ctx, area, &dialog.title, &dialog.note);
    let (prompt, placeholder) = (dialog.prompt, dialog.placeholder);
    draw_field(
        &mut painter,
        0,
        prompt,
        &dialog.line,
        true,
        placeholder,
        ctx,
    );
    let [accept, accept_empty] = dialog.accept_words;
    let accept = match dialog.line.label() {
        Some(_) => accept,
        None => accept_empty,
    };
    let mut hints = key_hints(ctx, &[(Action::Accept, accept), (Action::Back, "cancel")]);
    // If only one hint fits, show what Enter does.
    let width: u16 = hints.iter().map(|hint| hint.width() + 3).sum();
    if width > painter.width() {
        hints.truncate(1);
    }
    let y = painter.height().saturating_sub(1);
    if y > 0 {
        draw_hints(&mut painter, y, hints, ctx);
    }
}
