//! Complete links, for terminals where no browser can be started.
//!
//! Links start at the left edge without a frame, so that a mouse selects nothing but the link.

use ratatui::{buffer::Buffer, layout::Rect};

use super::available_area;
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::ShownLinks,
    },
    domain::text::CleanText,
    messages::{format, screen},
    ui::{
        footer::KeyHint,
        painter::{FrameTitle, KeyboardFocus, Painter},
        render_context::RenderContext,
        theme::Role,
    },
};

/// The maximum length of the reason in bytes: it comes from the system.
const MAX_REASON_LEN: usize = 400;

/// Draws the links between two rules, each on its own line.
pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, links: &ShownLinks) {
    let room = available_area(ctx);
    let width = usize::from(room.width);
    let reason = CleanText::line(&links.reason, MAX_REASON_LEN);
    let inner = width.saturating_sub(2);
    let reason = format::wrap(reason.as_str(), inner, 3, ctx.ellipsis());
    let copied = links.copied.as_deref().map_or_else(Vec::new, |text| {
        let text = CleanText::line(text, MAX_REASON_LEN);
        format::wrap(text.as_str(), inner, 2, ctx.ellipsis())
    });
    let urls = links.urls.iter();
    let rows: Vec<_> = urls
        .flat_map(|url| format::break_anywhere(url.as_str(), width.max(1)))
        .collect();
    let total = rows.len() + reason.len() + copied.len() + 5;
    let is_tight = total > usize::from(room.height);
    // The links take precedence: on a small screen reason, blank line and hint are dropped.
    let content_height = if is_tight { rows.len() + 2 } else { total };
    let height = u16::try_from(content_height)
        .unwrap_or(u16::MAX)
        .min(room.height);
    let area = Rect {
        y: room.y + (room.height - height) / 2,
        height,
        ..room
    };
    ctx.register(ctx.layout.screen, || HitTarget::OutsideDialog);
    ctx.register(area, || HitTarget::Text);
    let mut painter = Painter::new(buffer, area);
    painter.clear();
    let is_truncated = content_height > usize::from(height);
    let frame_title = FrameTitle {
        title: if links.urls.len() == 1 {
            "Link"
        } else {
            "Links"
        },
        right: if is_truncated {
            screen::ENLARGE_WINDOW
        } else {
            ""
        },
        focus: KeyboardFocus::Focused,
    };
    painter.rule(0, &frame_title, ctx.theme);
    let mut y = 1;
    if !is_tight {
        for line in &reason {
            painter.text(1, y, line, ctx.style(Role::Warn));
            y += 1;
        }
        for line in &copied {
            painter.text(1, y, line, ctx.style(Role::Text));
            y += 1;
        }
        y += 1;
    }
    let bottom = height.saturating_sub(1);
    for (y, row) in (y..bottom).zip(&rows) {
        painter.text(0, y, row, ctx.style(Role::Text));
    }
    let no_title = FrameTitle {
        focus: KeyboardFocus::Focused,
        ..FrameTitle::default()
    };
    painter.rule(bottom, &no_title, ctx.theme);
    if !is_tight && let Some(hint) = KeyHint::for_action(Action::Back, KeyContext::Link, ctx) {
        hint.draw_at(&mut painter, 1, bottom.saturating_sub(1), ctx);
    }
}
