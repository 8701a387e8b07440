//! Links shown whole, for a terminal where no browser can be started.
//!
//! Its lines begin at the screen's edge and hold nothing else, so that a mouse selects the link
//! alone.

use ratatui::{buffer::Buffer, layout::Rect};

use super::available_area;
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::ShownLinks,
    },
    domain::text::CleanText,
    ui::{
        footer::KeyHint,
        format,
        painter::{FrameTitle, KeyboardFocus, Painter},
        render_context::RenderContext,
        theme::Role,
    },
};

/// The longest reason shown, in bytes: it comes from the system.
const MAX_REASON_LEN: usize = 400;

/// Draws the links between two lines, each from a line of its own.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, links: &ShownLinks) {
    let room = available_area(scene);
    let width = usize::from(room.width);
    let reason = CleanText::line(&links.reason, MAX_REASON_LEN);
    let inner = width.saturating_sub(2);
    let reason = format::wrap(reason.as_str(), inner, 3, scene.ellipsis());
    let copied = links.copied.as_deref().map_or_else(Vec::new, |text| {
        let text = CleanText::line(text, MAX_REASON_LEN);
        format::wrap(text.as_str(), inner, 2, scene.ellipsis())
    });
    let urls = links.urls.iter();
    let rows: Vec<_> = urls
        .flat_map(|url| format::break_anywhere(url.as_str(), width.max(1)))
        .collect();
    let all = rows.len() + reason.len() + copied.len() + 5;
    let is_tight = all > usize::from(room.height);
    // The link comes first: where it is tight, reason, space and key go.
    let wanted = if is_tight { rows.len() + 2 } else { all };
    let height = u16::try_from(wanted).unwrap_or(u16::MAX).min(room.height);
    let area = Rect {
        y: room.y + (room.height - height) / 2,
        height,
        ..room
    };
    scene.register(scene.layout.screen, || HitTarget::OutsideDialog);
    scene.register(area, || HitTarget::Text);
    let mut pen = Painter::new(buffer, area);
    pen.clear();
    let is_cut = wanted > usize::from(height);
    let head = FrameTitle {
        title: if links.urls.len() == 1 {
            "Link"
        } else {
            "Links"
        },
        right: if is_cut {
            "the end needs a larger screen"
        } else {
            ""
        },
        focus: KeyboardFocus::Focused,
    };
    pen.rule(0, 0, &head, scene.theme);
    let mut y = 1;
    if !is_tight {
        for line in &reason {
            pen.text(1, y, line, scene.style(Role::Warn));
            y += 1;
        }
        for line in &copied {
            pen.text(1, y, line, scene.style(Role::Text));
            y += 1;
        }
        y += 1;
    }
    let bottom = height.saturating_sub(1);
    for (y, row) in (y..bottom).zip(&rows) {
        pen.text(0, y, row, scene.style(Role::Text));
    }
    let foot = FrameTitle {
        focus: KeyboardFocus::Focused,
        ..FrameTitle::default()
    };
    pen.rule(bottom, 0, &foot, scene.theme);
    if !is_tight && let Some(hint) = KeyHint::for_action(Action::Back, KeyContext::Link, scene) {
        hint.draw_at(&mut pen, 1, bottom.saturating_sub(1), scene);
    }
}
