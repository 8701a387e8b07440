//! Links shown whole, for a terminal where no browser can be started.
//!
//! Its lines begin at the screen's edge and hold nothing else, so that a mouse selects the link alone.

use ratatui::{buffer::Buffer, layout::Rect};

use super::room;
use crate::{
    app::{
        keymap::{Action, Context},
        pointer::Spot,
        state::ShownLinks,
    },
    domain::text::CleanText,
    ui::{
        footer::Hint,
        format,
        pen::{Focus, Head, Pen},
        scene::Scene,
        theme::Role,
    },
};

/// The longest reason shown, in bytes: it comes from the system.
const LONGEST_REASON: usize = 400;

/// Draws the links between two lines, each from a line of its own.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>, links: &ShownLinks) {
    let room = room(scene);
    let width = usize::from(room.width);
    let reason = CleanText::line(&links.reason, LONGEST_REASON);
    let inner = width.saturating_sub(2);
    let reason = format::wrap(reason.as_str(), inner, 3, scene.ellipsis());
    let copied = links.copied.as_deref().map_or_else(Vec::new, |text| {
        let text = CleanText::line(text, LONGEST_REASON);
        format::wrap(text.as_str(), inner, 2, scene.ellipsis())
    });
    let urls = links.urls.iter();
    let rows: Vec<_> = urls
        .flat_map(|url| format::chop(url.as_str(), width.max(1)))
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
    scene.mark(scene.areas.screen, || Spot::Outside);
    scene.mark(area, || Spot::Text);
    let mut pen = Pen::new(buffer, area);
    pen.clear();
    let is_cut = wanted > usize::from(height);
    let head = Head {
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
        focus: Focus::Here,
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
    let foot = Head {
        focus: Focus::Here,
        ..Head::default()
    };
    pen.rule(bottom, 0, &foot, scene.theme);
    if !is_tight && let Some(hint) = Hint::of(Action::Back, Context::Link, scene) {
        hint.draw_in(&mut pen, 1, bottom.saturating_sub(1), scene);
    }
}
