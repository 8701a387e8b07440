//! Complete links, for terminals where no browser can be started.
//!
//! Links start at the left edge without a frame, so that a mouse selects nothing but the link.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::dialog::{available_area, draw_hints, framed_height, key_hints};
use crate::{
    app::{keymap::Action, mouse::HitTarget, state::ShownLinks},
    domain::text::CleanText,
    messages::{format, screen},
    ui::{
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
    let note = |text: &str, max_rows: usize, role: Role| {
        let text = CleanText::line(text, MAX_REASON_LEN);
        let rows = format::wrap(
            text.as_str(),
            width.saturating_sub(2),
            max_rows,
            ctx.ellipsis(),
        );
        let style = ctx.style(role);
        rows.into_iter()
            .map(|row| Line::styled(format!(" {row}"), style))
            .collect::<Vec<_>>()
    };
    let mut notes = note(&links.reason, 3, Role::Warn);
    if let Some(copied) = &links.copied {
        notes.extend(note(copied, 2, Role::Text));
    }
    notes.push(Line::default());
    let urls = links.urls.iter();
    let mut content: Vec<_> = urls
        .flat_map(|url| format::break_anywhere(url.as_str(), width.max(1)))
        .map(|row| Line::styled(row, ctx.style(Role::Text)))
        .collect();
    // The links take precedence: on a small screen reason, blank lines and hint are dropped.
    let has_notes = framed_height(notes.len() + content.len() + 2) <= room.height;
    if has_notes {
        content.splice(..0, notes);
        content.extend([Line::default(), Line::default()]);
    }
    let full_height = framed_height(content.len());
    let height = full_height.min(room.height);
    let area = Rect {
        y: room.y + (room.height - height) / 2,
        height,
        ..room
    };
    ctx.register(ctx.layout.screen, || HitTarget::OutsideDialog);
    ctx.register(area, || HitTarget::Text);
    let mut painter = Painter::new(buffer, area);
    painter.clear();
    let title = match links.urls.len() {
        1 => "Link",
        _ => "Links",
    };
    let right = if full_height > height {
        screen::ENLARGE_WINDOW
    } else {
        ""
    };
    let focus = KeyboardFocus::Focused;
    let frame_title = FrameTitle {
        title,
        right,
        focus,
    };
    painter.rule(0, &frame_title, ctx.theme);
    let bottom = height.saturating_sub(1);
    for (y, line) in (1..bottom).zip(&content) {
        painter.line(0, y, line);
    }
    let no_title = FrameTitle {
        focus,
        ..FrameTitle::default()
    };
    painter.rule(bottom, &no_title, ctx.theme);
    if has_notes {
        let hints = key_hints(ctx, &[(Action::Back, "")]);
        draw_hints(&mut painter, bottom.saturating_sub(1), hints, ctx);
    }
}
