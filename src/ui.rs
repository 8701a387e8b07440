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
mod stats;
pub mod theme;
mod title;

use std::cell::RefCell;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Color, Style},
};

pub use self::{
    areas::{Areas, Breadth, DetailForm, SMALLEST, areas, page_rows},
    title::title,
};
use self::{
    pen::{Head, Pen},
    theme::{Role, Theme},
};
use crate::{
    app::{
        keymap::Action,
        pointer::Spot,
        state::{Screen, State},
    },
    domain::{estimate::Estimate, picture::Room, status::Status, time::Now, watchlist::Watched},
};

/// Is what a frame found out while it was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drawn {
    /// How many lines of the text on the screen can be scrolled away; the figure of `Msg::Measured`.
    pub most_scroll: u16,
    /// The room for each picture of the selected task; the figure of `Msg::Measured` too.
    pub room: Option<Room>,
    /// Where its pictures are to be seen: nowhere while a box is above them.
    pub picture: Option<PicturePlace>,
}

/// Is where the two pictures go, of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PicturePlace {
    /// The frame of the input.
    pub input: Rect,
    /// The frame of the result.
    pub result: Rect,
}

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

/// Asks a frame what is drawn in one place.
#[derive(Debug)]
struct Probe {
    at: Position,
    spot: RefCell<Spot>,
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

/// Is what every part of a frame draws from.
#[derive(Debug)]
struct Scene<'a> {
    state: &'a State,
    now: Now,
    theme: &'a Theme,
    estimate: Estimate,
    areas: Areas,
    probe: Option<&'a Probe>,
}

impl Scene<'_> {
    /// Returns the status of a task in this frame.
    fn status_of(&self, watched: &Watched) -> Status {
        self.state.status_of(watched, &self.estimate, self.now)
    }

    /// Reports whether a filter is in force.
    fn is_filtered(&self) -> bool {
        !self.state.lens().query.is_empty()
    }

    /// Returns which rows are seen: "1-11 of 11".
    fn seen(&self) -> String {
        let count = self.state.shown().len();
        if count == 0 {
            return "none".to_owned();
        }
        let top = self.state.top().min(count - 1);
        let bottom = (top + usize::from(self.areas.rows.height)).min(count);
        format!("{}-{bottom} of {count}", top + 1)
    }

    /// Says what lies in a part of the screen; what is said later lies above.
    fn mark(&self, area: Rect, spot: impl FnOnce() -> Spot) {
        if let Some(probe) = self.probe.filter(|probe| area.contains(probe.at)) {
            *probe.spot.borrow_mut() = spot();
        }
    }

    /// Returns the mark of a shortened text.
    const fn ellipsis(&self) -> &'static str {
        self.theme.glyphs().ellipsis
    }

    /// Returns the style of a role.
    const fn style(&self, role: Role) -> ratatui::style::Style {
        self.theme.style(role)
    }

    /// Returns the name of the key of an action, as it is drawn; empty where it has none.
    fn key(&self, action: Action) -> String {
        let chord = self.state.keymap().key_of(action);
        chord.map_or_else(String::new, |chord| self.theme.key(chord))
    }

    /// Returns whether a part of the screen, or a box above it, has the keyboard.
    const fn focus(&self) -> pen::Focus {
        match self.state.overlay() {
            None => pen::Focus::Here,
            Some(_) => pen::Focus::Elsewhere,
        }
    }
}
