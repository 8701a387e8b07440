//! The copy menu: each choice with its key, or the reason why it is not available.

use ratatui::buffer::Buffer;

use super::{centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::{CopyChoice, CopyMenu},
    },
    messages::format,
    ui::{footer::KeyHint, painter::Painter, render_context::RenderContext, theme::Role},
};

/// The width, borders included.
const WIDTH: u16 = 52;

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, menu: &CopyMenu) {
    let count = menu.choices().len();
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(4);
    let area = centred_area(ctx, WIDTH, height);
    let right = match menu.tasks().len() {
        0 | 1 => String::new(),
        tasks => format!("of {tasks} tasks"),
    };
    let mut painter = open_dialog(buffer, ctx, area, "Copy", &right);
    // On a small screen the choices take the space of the hints.
    let below = match painter.height() {
        0..3 => 0,
        3..8 => 1,
        8.. => 2,
    };
    let rows = painter.height().saturating_sub(below);
    let first = first_visible(menu.cursor(), count, usize::from(rows));
    for (y, (at, choice)) in (0..rows).zip(menu.choices().iter().enumerate().skip(first)) {
        ctx.register(painter.row_area(y), || HitTarget::DialogLine(at));
        draw_choice(&mut painter, y, choice, at == menu.cursor(), ctx);
    }
    if below > 0 {
        let hint = |action| KeyHint::for_action(action, KeyContext::Copy, ctx);
        let hints = vec![
            hint(Action::Accept).map(|hint| hint.with_word("copy")),
            hint(Action::Back).map(|hint| hint.with_word("cancel")),
        ];
        let y = painter.height() - 1;
        draw_hints(&mut painter, y, hints, ctx);
    }
}

fn draw_choice(
    painter: &mut Painter<'_>,
    y: u16,
    choice: &CopyChoice,
    is_current: bool,
    ctx: &RenderContext<'_>,
) {
    let style = |role| ctx.style(if is_current { Role::Selected } else { role });
    if is_current {
        painter.style_row(y, style(Role::Text));
        painter.text(0, y, ctx.theme.glyphs().row_cursor, style(Role::Text));
    }
    let action = Action::Copy(choice.kind);
    let key = ctx
        .state
        .keymap()
        .hint(action, KeyContext::Copy)
        .map_or_else(String::new, |(chord, _)| ctx.theme.key_name(chord));
    let x = painter.text(2, y, &format::pad_end(&key, 2), style(Role::Key)) + 1;
    let (text, role) = match &choice.label {
        Ok(what) => (what.as_str(), Role::Text),
        Err(reason) => (*reason, Role::Muted),
    };
    let room = usize::from(painter.width().saturating_sub(x + 1));
    let text = format::fit_end(text, room, ctx.ellipsis());
    painter.text(x, y, &text, style(role));
}
