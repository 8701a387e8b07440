//! The numbered picker of several videos.

use ratatui::buffer::Buffer;

use super::{centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::Picker,
    },
    ui::{
        footer::KeyHint, format, painter::cell_count, render_context::RenderContext, theme::Role,
    },
};

/// The widest the box gets, borders included.
const WIDTH: u16 = 76;

/// Draws the picker.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, picker: &Picker) {
    let count = picker.videos.len();
    let longest = picker
        .videos
        .iter()
        .map(|url| cell_count(url.as_str()))
        .max()
        .unwrap_or_default();
    let width = longest.saturating_add(9).clamp(40, WIDTH);
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(4);
    let area = centred_area(scene, width, height);
    let title = format!("Open which {}?", picker.kind.name());
    let right = format!("{} of {count}", picker.cursor + 1);
    let mut pen = open_dialog(buffer, scene, area, &title, &right);
    // The keys and the space above them give way to the videos where it is tight.
    let below = match pen.height() {
        0..3 => 0,
        3..5 => 1,
        5.. => 2,
    };
    let rows = pen.height().saturating_sub(below);
    let first = first_visible(picker.cursor, count, usize::from(rows));
    for (y, (at, url)) in (0..rows).zip(picker.videos.iter().enumerate().skip(first)) {
        scene.register(pen.row_area(y), || HitTarget::DialogLine(at));
        let is_here = at == picker.cursor;
        let of = |role| scene.style(if is_here { Role::Selected } else { role });
        if is_here {
            pen.style_row(y, of(Role::Text));
            pen.text(1, y, scene.theme.glyphs().row_cursor, of(Role::Text));
        }
        let number = format::pad_start(&(at + 1).to_string(), 2);
        let x = pen.text(2, y, &number, of(Role::Key)) + 2;
        let room = usize::from(pen.width().saturating_sub(x + 1));
        let url = format::url_tail(url.as_str(), room, scene.ellipsis());
        pen.text(x, y, &url, of(Role::Text));
    }
    if below > 0 {
        let hint = |action| KeyHint::for_action(action, KeyContext::Pick, scene);
        let hints = vec![
            hint(Action::Accept).map(|hint| hint.with_word("open")),
            hint(Action::Back).map(|hint| hint.with_word("cancel")),
        ];
        let y = pen.height() - 1;
        draw_hints(&mut pen, y, hints, scene);
    }
}
