//! The screen: a function of the state, the present and the theme. Drawing changes nothing.
//!
//! One file a part. Knows neither the terminal's events nor who draws when; only rows that are seen are built,
//! so a frame costs the same for ten tasks and for a hundred thousand.

mod areas;
mod banner;
mod detail;
mod empty;
mod footer;
pub mod format;
mod header;
mod input;
mod list;
mod overlay;
mod pen;
mod scene;
mod stats;
pub mod theme;
mod title;

use std::cell::RefCell;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    style::{Color, Style},
};

pub use self::{
    areas::{Areas, Breadth, DetailForm, SMALLEST, areas, page_rows},
    scene::{Drawn, PicturePlace},
    title::title,
};
use self::{
    pen::{Head, Pen},
    scene::{Probe, Scene},
    theme::{Role, Theme},
};
use crate::{
    app::{
        pointer::Spot,
        state::{Screen, State},
    },
    domain::time::Now,
};

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, state: &State, now: Now, theme: &Theme) -> Drawn {
    paint(frame.buffer_mut(), state, now, theme, None)
}

/// Returns what lies at a column and row of a screen of that size.
///
/// The screen is drawn once more, into nothing, and what is drawn there says what it is: so the mouse meets what the
/// eye sees, and no place is worked out twice.
pub fn spot(
    state: &State,
    now: Now,
    theme: &Theme,
    (width, height): (u16, u16),
    at: (u16, u16),
) -> Spot {
    let probe = Probe {
        at: at.into(),
        spot: RefCell::default(),
    };
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    paint(&mut buffer, state, now, theme, Some(&probe));
    probe.spot.into_inner()
}

/// Draws the whole screen into a buffer.
fn paint(
    buffer: &mut Buffer,
    state: &State,
    now: Now,
    theme: &Theme,
    probe: Option<&Probe>,
) -> Drawn {
    let screen = *buffer.area();
    let areas = areas((screen.width, screen.height));
    if areas.is_too_small() {
        too_small(buffer, &areas, theme);
        return Drawn::default();
    }
    let scene = Scene {
        state,
        now,
        theme,
        estimate: state.estimate(),
        areas,
        probe,
    };
    header::draw(buffer, &scene);
    let drawn = match state.screen() {
        Screen::List => draw_list(buffer, &scene),
        Screen::Detail { page, scroll } => detail::draw_full(buffer, &scene, page, scroll),
    };
    footer::draw(buffer, &scene);
    let drawn = match overlay::draw(buffer, &scene) {
        Some(above) => Drawn {
            room: drawn.room,
            ..above
        },
        None => drawn,
    };
    paint_ground(buffer, theme.ground());
    drawn
}

/// Draws everything between tabs and footer: the table, with the detail and the statistics where they fit.
fn draw_list(buffer: &mut Buffer, scene: &Scene<'_>) -> Drawn {
    let areas = &scene.areas;
    if areas.rule.height > 0 {
        let mut pen = Pen::new(buffer, areas.rule);
        pen.rule(0, 0, &Head::default(), scene.theme);
    }
    if scene.state.list().is_empty() {
        empty::draw(buffer, scene);
        return Drawn::default();
    }
    list::draw(buffer, scene);
    let mut drawn = Drawn::default();
    match areas.detail_form {
        DetailForm::None => {}
        DetailForm::Compact => detail::draw_compact(buffer, scene),
        DetailForm::Below => detail::draw_below(buffer, scene),
        DetailForm::Side => drawn = detail::draw_side(buffer, scene),
    }
    stats::draw(buffer, scene);
    drawn
}

/// Puts the theme's ground below everything that has none of its own.
fn paint_ground(buffer: &mut Buffer, ground: Style) {
    if ground == Style::new() {
        return;
    }
    for cell in &mut buffer.content {
        if let (Color::Reset, Some(colour)) = (cell.fg, ground.fg) {
            cell.fg = colour;
        }
        if let (Color::Reset, Some(colour)) = (cell.bg, ground.bg) {
            cell.bg = colour;
        }
    }
}

/// Says that the screen is too small, and what it takes.
fn too_small(buffer: &mut Buffer, areas: &Areas, theme: &Theme) {
    let (width, height) = SMALLEST;
    let text = format!(
        "needs {width}x{height}, has {}x{}",
        areas.screen.width, areas.screen.height
    );
    Pen::new(buffer, areas.screen).text(0, 0, &text, theme.style(Role::Warn));
}
