//! The command palette: an input and the matching actions with their keys.

use ratatui::buffer::Buffer;

use super::{add::draw_field, centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::{CommandPalette, PaletteMatch},
    },
    messages::format,
    ui::{footer::KeyHint, painter::Painter, render_context::RenderContext, theme::Role},
};

/// The width, borders included.
const WIDTH: u16 = 76;

/// The maximum number of actions shown without scrolling.
const MAX_ROWS: u16 = 14;

/// The widths of key and name.
const KEY_WIDTH: usize = 8;
const NAME_WIDTH: usize = 16;

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, palette: &CommandPalette) {
    let count = palette.matches().len();
    let area = centred_area(ctx, WIDTH, MAX_ROWS + 5);
    let right = if count == 0 {
        "none".to_owned()
    } else {
        format!("{} of {count}", palette.cursor() + 1)
    };
    let mut painter = open_dialog(buffer, ctx, area, "Command", &right);
    draw_field(
        &mut painter,
        0,
        ": ",
        palette.input(),
        true,
        "type a name",
        ctx,
    );
    // On a small screen the actions take the space of the hints.
    let below = match painter.height() {
        0..4 => 0,
        4..8 => 1,
        8.. => 2,
    };
    let rows = painter.height().saturating_sub(below + 1);
    let first = first_visible(palette.cursor(), count, usize::from(rows));
    for (y, (at, found)) in (1..=rows).zip(palette.matches().iter().enumerate().skip(first)) {
        ctx.register(painter.row_area(y), || HitTarget::DialogLine(at));
        draw_match(&mut painter, y, *found, at == palette.cursor(), ctx);
    }
    if count == 0 && rows > 0 {
        painter.text(1, 1, "no matching action", ctx.style(Role::Muted));
    }
    if below > 0 {
        let hint = |action| KeyHint::for_action(action, KeyContext::Palette, ctx);
        let hints = vec![
            hint(Action::Accept),
            hint(Action::Back).map(|hint| hint.with_word("cancel")),
        ];
        let y = painter.height() - 1;
        draw_hints(&mut painter, y, hints, ctx);
    }
}

fn draw_match(
    painter: &mut Painter<'_>,
    y: u16,
    found: PaletteMatch,
    is_current: bool,
    ctx: &RenderContext<'_>,
) {
    let style = |role| {
        ctx.style(if is_current {
            Role::Selected
        } else if found.is_available {
            role
        } else {
            Role::Muted
        })
    };
    if is_current {
        painter.style_row(y, style(Role::Text));
        painter.text(0, y, ctx.theme.glyphs().row_cursor, style(Role::Text));
    }
    let key = ctx.key_name(found.action);
    let key = if matches!(found.action, Action::Copy(_)) {
        // Two keys: one opens the menu, one chooses in it.
        format!("{} {key}", ctx.key_name(Action::CopyMenu))
    } else {
        key
    };
    let x = painter.text(2, y, &format::pad_end(&key, KEY_WIDTH), style(Role::Key));
    let name = found.action.name().replace('_', " ");
    let x = painter.text(x, y, &format::pad_end(&name, NAME_WIDTH), style(Role::Text)) + 1;
    let help = ctx
        .state
        .keymap()
        .bindings()
        .iter()
        .find(|binding| binding.action == found.action)
        .map_or("", |binding| binding.help);
    let room = usize::from(painter.width().saturating_sub(x + 1));
    let help = format::fit_end(help, room, ctx.ellipsis());
    painter.text(x, y, &help, style(Role::Muted));
}
