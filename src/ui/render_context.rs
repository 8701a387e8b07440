//! The input shared by all parts of a frame, and the result of drawing it.

use std::{borrow::Cow, cell::RefCell};

use ratatui::{
    layout::{Position, Rect},
    style::Style,
    text::Span,
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

/// The measurements taken while a frame was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrawResult {
    /// The largest scroll offset of the text on the screen; part of `Msg::LayoutMeasured`.
    pub max_scroll: u16,
    /// The size of each preview of the selected task; part of `Msg::LayoutMeasured`.
    pub preview_area: Option<CellArea>,
    /// The position of the previews; `None` while a dialog covers them.
    pub preview_placement: Option<PreviewPlacement>,
}

/// The positions of the two previews, equal in size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviewPlacement {
    pub input: Rect,
    pub result: Rect,
}

/// A screen position and the mouse target found there.
#[derive(Debug)]
pub(super) struct HitTest {
    pub(super) position: Position,
    pub(super) target: RefCell<HitTarget>,
}

/// The input of all drawing functions of one frame.
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
    pub(super) fn status_of(&self, watched: &WatchedTask) -> Status {
        self.state.status_of(watched, &self.estimate, self.now)
    }

    pub(super) fn is_filtered(&self) -> bool {
        !self.state.list_view().query.is_empty()
    }

    /// Returns the range of visible rows: "1-11 of 11".
    pub(super) fn visible_range(&self) -> String {
        let count = self.state.shown().len();
        if count == 0 {
            return "none".to_owned();
        }
        let top = self.state.top().min(count - 1);
        let bottom = (top + usize::from(self.layout.rows.height)).min(count);
        format!("{}-{bottom} of {count}", top + 1)
    }

    /// Registers a mouse target for an area; later registrations lie above earlier ones.
    pub(super) fn register(&self, area: Rect, target: impl FnOnce() -> HitTarget) {
        if let Some(probe) = self.hit_test.filter(|probe| area.contains(probe.position)) {
            *probe.target.borrow_mut() = target();
        }
    }

    pub(super) const fn ellipsis(&self) -> &'static str {
        self.theme.glyphs().ellipsis
    }

    pub(super) fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    pub(super) fn span<'t>(&self, text: impl Into<Cow<'t, str>>, role: Role) -> Span<'t> {
        Span::styled(text, self.style(role))
    }

    /// Returns the name of an action's key as drawn, or "" if none is bound.
    pub(super) fn key_name(&self, action: Action) -> String {
        let chord = self.state.keymap().key_for(action);
        chord.map_or_else(String::new, |chord| self.theme.key_name(chord))
    }

    /// Returns the focus of the main screen: a dialog takes it away.
    pub(super) const fn focus(&self) -> KeyboardFocus {
        match self.state.overlay() {
            None => KeyboardFocus::Focused,
            Some(_) => KeyboardFocus::Unfocused,
        }
    }
}
