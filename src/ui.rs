//! Draws the screen from the state, the time and the theme, without changing any of them.
//!
//! One file for each part of the screen. Only visible rows are built, so a frame costs the same for
//! ten tasks as for a hundred thousand.

mod banner;
mod detail;
mod empty;
mod footer;
mod header;
mod layout;
mod line_editor;
mod line_fit;
mod list;
mod overlay;
mod painter;
mod render_context;
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
    messages::format,
};

pub fn draw(frame: &mut Frame<'_>, state: &State, now: Now, theme: &Theme) -> DrawResult {
    render(frame.buffer_mut(), state, now, theme, None)
}

/// Returns the mouse target at a column and row of a screen of the given size.
///
/// The frame is rendered again into a scratch buffer in which each part registers its target, so
/// the targets always match what is drawn.
pub fn hit_test(
    state: &State,
    now: Now,
    theme: &Theme,
    (width, height): (u16, u16),
    position: (u16, u16),
) -> HitTarget {
    let probe = HitTest {
        position: position.into(),
        target: RefCell::default(),
    };
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    render(&mut buffer, state, now, theme, Some(&probe));
    probe.target.into_inner()
}

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
    let ctx = RenderContext {
        state,
        now,
        theme,
        estimate: state.estimate(),
        layout: areas,
        hit_test: probe,
    };
    header::draw(buffer, &ctx);
    let result = match state.screen() {
        MainScreen::List => draw_list(buffer, &ctx),
        MainScreen::Detail { page, scroll } => detail::draw_full(buffer, &ctx, page, scroll),
    };
    footer::draw(buffer, &ctx);
    let result = match overlay::draw(buffer, &ctx) {
        Some(dialog_result) => DrawResult {
            preview_area: result.preview_area,
            ..dialog_result
        },
        None => result,
    };
    apply_background(buffer, theme.background());
    result
}

/// Draws everything between tabs and footer: the table, and details and statistics where they fit.
fn draw_list(buffer: &mut Buffer, ctx: &RenderContext<'_>) -> DrawResult {
    let areas = &ctx.layout;
    if areas.rule.height > 0 {
        let mut painter = Painter::new(buffer, areas.rule);
        painter.rule(0, &FrameTitle::default(), ctx.theme);
    }
    if ctx.state.list().is_empty() {
        empty::draw(buffer, ctx);
        return DrawResult::default();
    }
    list::draw(buffer, ctx);
    let mut result = DrawResult::default();
    match areas.detail_placement {
        DetailPlacement::Hidden => {}
        DetailPlacement::Compact => detail::draw_compact(buffer, ctx),
        DetailPlacement::Below => detail::draw_below(buffer, ctx),
        DetailPlacement::Side => result = detail::draw_side(buffer, ctx),
    }
    stats::draw(buffer, ctx);
    result
}

/// Applies the theme's colours to all cells that have none of their own.
fn apply_background(buffer: &mut Buffer, background: Style) {
    if background == Style::new() {
        return;
    }
    for cell in &mut buffer.content {
        if let (Color::Reset, Some(colour)) = (cell.fg, background.fg) {
            cell.fg = colour;
        }
        if let (Color::Reset, Some(colour)) = (cell.bg, background.bg) {
            cell.bg = colour;
        }
    }
}

fn draw_too_small(buffer: &mut Buffer, areas: &ScreenLayout, theme: &Theme) {
    let (width, height) = MIN_SCREEN_SIZE;
    let size = format!("needs {width}x{height}");
    let text = format!("too small: {size}");
    let room = usize::from(areas.screen.width);
    let text = if format::width(&text) <= room {
        text
    } else {
        size
    };
    Painter::new(buffer, areas.screen).text(0, 0, &text, theme.style(Role::Warn));
}
