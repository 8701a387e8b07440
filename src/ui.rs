//! The screen: a function of the state, the present and the theme. Drawing changes nothing.
//!
//! One file a part. Knows neither the terminal's events nor who draws when; only rows that are seen
//! are built, so a frame costs the same for ten tasks and for a hundred thousand.

mod banner;
mod detail;
mod empty;
mod footer;
pub mod format;
mod header;
mod layout;
mod list;
mod overlay;
mod painter;
mod render_context;
mod stats;
mod text_input;
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
    layout::{
        DetailPlacement, MIN_SCREEN_SIZE, ScreenLayout, WidthClass, list_rows, screen_layout,
    },
    render_context::{DrawResult, PreviewPlacement},
    title::window_title,
};
use self::{
    painter::{FrameTitle, Painter},
    render_context::{HitTest, RenderContext},
    theme::{Role, Theme},
};
use crate::{
    app::{
        mouse::HitTarget,
        state::{MainScreen, State},
    },
    domain::time::Now,
};

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, state: &State, now: Now, theme: &Theme) -> DrawResult {
    render(frame.buffer_mut(), state, now, theme, None)
}

/// Returns what lies at a column and row of a screen of that size.
///
/// The screen is drawn once more, into nothing, and what is drawn there says what it is: so the
/// mouse meets what the eye sees, and no place is worked out twice.
pub fn hit_test(
    state: &State,
    now: Now,
    theme: &Theme,
    (width, height): (u16, u16),
    at: (u16, u16),
) -> HitTarget {
    let probe = HitTest {
        position: at.into(),
        target: RefCell::default(),
    };
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    render(&mut buffer, state, now, theme, Some(&probe));
    probe.target.into_inner()
}

/// Draws the whole screen into a buffer.
fn render(
    buffer: &mut Buffer,
    state: &State,
    now: Now,
    theme: &Theme,
    probe: Option<&HitTest>,
) -> DrawResult {
    let screen = *buffer.area();
    let areas = screen_layout((screen.width, screen.height));
    if areas.is_too_small() {
        draw_too_small(buffer, &areas, theme);
        return DrawResult::default();
    }
    let scene = RenderContext {
        state,
        now,
        theme,
        estimate: state.estimate(),
        layout: areas,
        hit_test: probe,
    };
    header::draw(buffer, &scene);
    let drawn = match state.screen() {
        MainScreen::List => draw_list(buffer, &scene),
        MainScreen::Detail { page, scroll } => detail::draw_full(buffer, &scene, page, scroll),
    };
    footer::draw(buffer, &scene);
    let drawn = match overlay::draw(buffer, &scene) {
        Some(above) => DrawResult {
            preview_area: drawn.preview_area,
            ..above
        },
        None => drawn,
    };
    apply_background(buffer, theme.background());
    drawn
}

/// Draws everything between tabs and footer: the table, with the detail and the statistics where
/// they fit.
fn draw_list(buffer: &mut Buffer, scene: &RenderContext<'_>) -> DrawResult {
    let areas = &scene.layout;
    if areas.rule.height > 0 {
        let mut pen = Painter::new(buffer, areas.rule);
        pen.rule(0, 0, &FrameTitle::default(), scene.theme);
    }
    if scene.state.list().is_empty() {
        empty::draw(buffer, scene);
        return DrawResult::default();
    }
    list::draw(buffer, scene);
    let mut drawn = DrawResult::default();
    match areas.detail_placement {
        DetailPlacement::Hidden => {}
        DetailPlacement::Compact => detail::draw_compact(buffer, scene),
        DetailPlacement::Below => detail::draw_below(buffer, scene),
        DetailPlacement::Side => drawn = detail::draw_side(buffer, scene),
    }
    stats::draw(buffer, scene);
    drawn
}

/// Puts the theme's ground below everything that has none of its own.
fn apply_background(buffer: &mut Buffer, ground: Style) {
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
fn draw_too_small(buffer: &mut Buffer, areas: &ScreenLayout, theme: &Theme) {
    let (width, height) = MIN_SCREEN_SIZE;
    let text = format!(
        "needs {width}x{height}, has {}x{}",
        areas.screen.width, areas.screen.height
    );
    Painter::new(buffer, areas.screen).text(0, 0, &text, theme.style(Role::Warn));
}
