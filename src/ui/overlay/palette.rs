//! The command palette: a line to type into, and the actions that fit with their keys.

use ratatui::buffer::Buffer;

use super::{add::draw_field, centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::{CommandPalette, PaletteMatch},
    },
    ui::{footer::KeyHint, format, painter::Painter, render_context::RenderContext, theme::Role},
};

/// The width of the box, borders included.
const WIDTH: u16 = 76;

/// The most actions the box shows at once before they scroll.
const MAX_ROWS: u16 = 14;

/// The room of a key and of a name.
const KEY_WIDTH: usize = 8;
const NAME_WIDTH: usize = 16;

/// Draws the palette.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, palette: &CommandPalette) {
    let count = palette.matches().len();
    let area = centred_area(scene, WIDTH, MAX_ROWS + 5);
    let right = if count == 0 {
        "none".to_owned()
    } else {
        format!("{} of {count}", palette.cursor() + 1)
    };
    let mut pen = open_dialog(buffer, scene, area, "Command", &right);
    draw_field(
        &mut pen,
        0,
        ": ",
        palette.input(),
        true,
        "type a name",
        scene,
    );
    // The keys and the space above them give way to the actions where it is tight.
    let below = match pen.height() {
        0..4 => 0,
        4..8 => 1,
        8.. => 2,
    };
    let rows = pen.height().saturating_sub(below + 1);
    let first = first_visible(palette.cursor(), count, usize::from(rows));
    for (y, (at, found)) in (1..=rows).zip(palette.matches().iter().enumerate().skip(first)) {
        scene.register(pen.row_area(y), || HitTarget::DialogLine(at));
        draw_match(&mut pen, y, *found, at == palette.cursor(), scene);
    }
    if count == 0 && rows > 0 {
        pen.text(1, 1, "no action is called that", scene.style(Role::Muted));
    }
    if below > 0 {
        let hint = |action| KeyHint::for_action(action, KeyContext::Palette, scene);
        let hints = vec![
            hint(Action::Accept),
            hint(Action::Back).map(|hint| hint.with_word("cancel")),
        ];
        let y = pen.height() - 1;
        draw_hints(&mut pen, y, hints, scene);
    }
}

fn draw_match(
    pen: &mut Painter<'_>,
    y: u16,
    found: PaletteMatch,
    is_here: bool,
    scene: &RenderContext<'_>,
) {
    let role = |role| {
        if found.is_available {
            role
        } else {
            Role::Muted
        }
    };
    let of = |wanted| {
        scene.style(if is_here {
            Role::Selected
        } else {
            role(wanted)
        })
    };
    if is_here {
        pen.style_row(y, of(Role::Text));
        pen.text(0, y, scene.theme.glyphs().row_cursor, of(Role::Text));
    }
    let own = scene.key_name(found.action);
    let key = if matches!(found.action, Action::Copy(_)) {
        // The way there: the menu, then its key.
        format!("{} {own}", scene.key_name(Action::CopyMenu))
    } else {
        own
    };
    let x = pen.text(2, y, &format::pad_end(&key, KEY_WIDTH), of(Role::Key));
    let name = found.action.name().replace('_', " ");
    let x = pen.text(x, y, &format::pad_end(&name, NAME_WIDTH), of(Role::Text)) + 1;
    let help = scene
        .state
        .keymap()
        .bindings()
        .iter()
        .find(|binding| binding.action == found.action)
        .map_or("", |binding| binding.help);
    let room = usize::from(pen.width().saturating_sub(x + 1));
    let help = format::fit_end(help, room, scene.ellipsis());
    pen.text(x, y, &help, of(Role::Muted));
}
