//! The command palette: a line to type into, and the actions that fit with their keys.

use ratatui::buffer::Buffer;

use super::{add::draw_field, draw_hints, first_seen, open, place};
use crate::{
    app::{
        keymap::{Action, Context},
        pointer::Spot,
        state::{Found, Palette},
    },
    ui::{footer::Hint, format, pen::Pen, scene::Scene, theme::Role},
};

/// The width of the box, borders included.
const WIDTH: u16 = 76;

/// The most actions the box shows at once before they scroll.
const MOST_ROWS: u16 = 14;

/// The room of a key and of a name.
const KEY: usize = 8;
const NAME: usize = 16;

/// Draws the palette.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>, palette: &Palette) {
    let count = palette.found().len();
    let area = place(scene, WIDTH, MOST_ROWS + 5);
    let right = if count == 0 {
        "none".to_owned()
    } else {
        format!("{} of {count}", palette.cursor() + 1)
    };
    let mut pen = open(buffer, scene, area, "Command", &right);
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
    let first = first_seen(palette.cursor(), count, usize::from(rows));
    for (y, (at, found)) in (1..=rows).zip(palette.found().iter().enumerate().skip(first)) {
        scene.mark(pen.row(y), || Spot::Choice(at));
        draw_found(&mut pen, y, *found, at == palette.cursor(), scene);
    }
    if count == 0 && rows > 0 {
        pen.text(1, 1, "no action is called that", scene.style(Role::Muted));
    }
    if below > 0 {
        let hint = |action| Hint::of(action, Context::Palette, scene);
        let hints = vec![
            hint(Action::Accept),
            hint(Action::Back).map(|hint| hint.saying("cancel")),
        ];
        let y = pen.height() - 1;
        draw_hints(&mut pen, y, hints, scene);
    }
}

fn draw_found(pen: &mut Pen<'_>, y: u16, found: Found, is_here: bool, scene: &Scene<'_>) {
    let role = |role| if found.is_fitting { role } else { Role::Muted };
    let of = |wanted| {
        scene.style(if is_here {
            Role::Selected
        } else {
            role(wanted)
        })
    };
    if is_here {
        pen.style_row(y, of(Role::Text));
        pen.text(0, y, scene.theme.glyphs().pointer, of(Role::Text));
    }
    let own = scene.key(found.action);
    let key = if matches!(found.action, Action::Copy(_)) {
        // The way there: the menu, then its key.
        format!("{} {own}", scene.key(Action::CopyMenu))
    } else {
        own
    };
    let x = pen.text(2, y, &format::pad_end(&key, KEY), of(Role::Key));
    let name = found.action.name().replace('_', " ");
    let x = pen.text(x, y, &format::pad_end(&name, NAME), of(Role::Text)) + 1;
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
