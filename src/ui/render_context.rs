//! What every part of a frame draws from, and what a frame found out.

use std::cell::RefCell;

use ratatui::{
    layout::{Position, Rect},
    style::Style,
};

use super::{
    layout::ScreenLayout,
    painter::KeyboardFocus,
    theme::{Role, Theme},
};
use crate::{
    app::{keymap::Action, mouse::HitTarget, state::State},
    domain::{
        estimate::Estimate, preview::CellArea, status::Status, time::Now, watched_task::WatchedTask,
    },
};

/// What a frame found out while it was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrawResult {
    /// How many lines of the text on the screen can be scrolled away; the figure of
    /// `Msg::Measured`.
    pub max_scroll: u16,
    /// The room for each picture of the selected task; the figure of `Msg::Measured` too.
    pub preview_area: Option<CellArea>,
    /// Where its pictures are to be seen: nowhere while a box is above them.
    pub preview_placement: Option<PreviewPlacement>,
}

/// Where the two pictures go, of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviewPlacement {
    /// The frame of the input.
    pub input: Rect,
    /// The frame of the result.
    pub result: Rect,
}

/// Asks a frame what is drawn in one place.
#[derive(Debug)]
pub(super) struct HitTest {
    pub(super) position: Position,
    pub(super) target: RefCell<HitTarget>,
}

/// What every part of a frame draws from.
#[derive(Debug)]
pub(super) struct RenderContext<'a> {
    pub(super) state: &'a State,
    pub(super) now: Now,
    pub(super) theme: &'a Theme,
    pub(super) estimate: Estimate,
    pub(super) layout: ScreenLayout,
    pub(super) hit_test: Option<&'a HitTest>,
}

impl RenderContext<'_> {
    /// Returns the status of a task in this frame.
    pub(super) fn status_of(&self, watched: &WatchedTask) -> Status {
        self.state.status_of(watched, &self.estimate, self.now)
    }

    /// Reports whether a filter is in force.
    pub(super) fn is_filtered(&self) -> bool {
        !self.state.list_view().query.is_empty()
    }

    /// Returns which rows are seen: "1-11 of 11".
    pub(super) fn visible_range(&self) -> String {
        let count = self.state.shown().len();
        if count == 0 {
            return "none".to_owned();
        }
        let top = self.state.top().min(count - 1);
        let bottom = (top + usize::from(self.layout.rows.height)).min(count);
        format!("{}-{bottom} of {count}", top + 1)
    }

    /// Says what lies in a part of the screen; what is said later lies above.
    pub(super) fn register(&self, area: Rect, spot: impl FnOnce() -> HitTarget) {
        if let Some(probe) = self.hit_test.filter(|probe| area.contains(probe.position)) {
            *probe.target.borrow_mut() = spot();
        }
    }

    /// Returns the mark of a shortened text.
    pub(super) const fn ellipsis(&self) -> &'static str {
        self.theme.glyphs().ellipsis
    }

    /// Returns the style of a role.
    pub(super) const fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// Returns the name of the key of an action, as it is drawn; empty where it has none.
    pub(super) fn key_name(&self, action: Action) -> String {
        let chord = self.state.keymap().key_for(action);
        chord.map_or_else(String::new, |chord| self.theme.key_name(chord))
    }

    /// Returns whether a part of the screen, or a box above it, has the keyboard.
    pub(super) const fn focus(&self) -> KeyboardFocus {
        match self.state.overlay() {
            None => KeyboardFocus::Focused,
            Some(_) => KeyboardFocus::Unfocused,
        }
    }
}
