//! The menu of what can be copied: a key, what it copies, and why not where there is none.

use ratatui::buffer::Buffer;

use super::{centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::{CopyChoice, CopyMenu},
    },
    ui::{footer::KeyHint, format, painter::Painter, render_context::RenderContext, theme::Role},
};

/// The width of the box, borders included.
const WIDTH: u16 = 52;

/// Draws the menu.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, menu: &CopyMenu) {
    let count = menu.choices().len();
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(4);
    let area = centred_area(scene, WIDTH, height);
    let right = match menu.tasks().len() {
        0 | 1 => String::new(),
        tasks => format!("of {tasks} tasks"),
    };
    let mut pen = open_dialog(buffer, scene, area, "Copy", &right);
    // The keys and the space above them give way to the choices where it is tight.
    let below = match pen.height() {
        0..3 => 0,
        3..8 => 1,
        8.. => 2,
    };
    let rows = pen.height().saturating_sub(below);
    let first = first_visible(menu.cursor(), count, usize::from(rows));
    for (y, (at, choice)) in (0..rows).zip(menu.choices().iter().enumerate().skip(first)) {
        scene.register(pen.row_area(y), || HitTarget::DialogLine(at));
        draw_choice(&mut pen, y, choice, at == menu.cursor(), scene);
    }
    if below > 0 {
        let hint = |action| KeyHint::for_action(action, KeyContext::Copy, scene);
        let hints = vec![
            hint(Action::Accept).map(|hint| hint.with_word("copy")),
            hint(Action::Back).map(|hint| hint.with_word("cancel")),
        ];
        let y = pen.height() - 1;
        draw_hints(&mut pen, y, hints, scene);
    }
}

fn draw_choice(
    pen: &mut Painter<'_>,
    y: u16,
    choice: &CopyChoice,
    is_here: bool,
    scene: &RenderContext<'_>,
) {
    let of = |role| scene.style(if is_here { Role::Selected } else { role });
    if is_here {
        pen.style_row(y, of(Role::Text));
        pen.text(0, y, scene.theme.glyphs().row_cursor, of(Role::Text));
    }
    let action = Action::Copy(choice.kind);
    let key = scene
        .state
        .keymap()
        .hint(action, KeyContext::Copy)
        .map_or_else(String::new, |(chord, _)| scene.theme.key_name(chord));
    let x = pen.text(2, y, &format::pad_end(&key, 2), of(Role::Key)) + 1;
    let (text, role) = match &choice.label {
        Ok(what) => (what.as_str(), Role::Text),
        Err(reason) => (*reason, Role::Muted),
    };
    let room = usize::from(pen.width().saturating_sub(x + 1));
    let text = format::fit_end(text, room, scene.ellipsis());
    pen.text(x, y, &text, of(role));
}
