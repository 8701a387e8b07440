//! What all dialogs share: their place on the screen, their frame and their key hints.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    app::{keymap::Action, mouse::HitTarget},
    ui::{
        footer::KeyHint,
        painter::{FrameTitle, KeyboardFocus, Painter, inner_area},
        render_context::RenderContext,
    },
};

/// Returns the area for dialogs: the screen without the two bottom lines, where messages about the
/// dialog appear. On a small screen it is the whole screen.
pub(super) fn available_area(ctx: &RenderContext<'_>) -> Rect {
    let screen = ctx.layout.screen;
    if screen.height < 10 {
        return screen;
    }
    Rect {
        height: screen.height - 2,
        ..screen
    }
}

/// Returns the height of a dialog with some lines, borders included.
pub(super) fn framed_height(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2)
}

/// Returns a centred area of the given size, borders included.
pub(super) fn centred_area(ctx: &RenderContext<'_>, width: u16, height: u16) -> Rect {
    let room = available_area(ctx);
    let (width, height) = (width.min(room.width), height.min(room.height));
    Rect {
        x: room.x + (room.width - width) / 2,
        y: room.y + (room.height - height) / 2,
        width,
        height,
    }
}

/// Draws an empty dialog and returns the painter for its inner area.
pub(super) fn open_dialog<'b>(
    buffer: &'b mut Buffer,
    ctx: &RenderContext<'_>,
    area: Rect,
    title: &str,
    right: &str,
) -> Painter<'b> {
    ctx.register(ctx.layout.screen, || HitTarget::OutsideDialog);
    ctx.register(area, || HitTarget::Text);
    let mut painter = Painter::new(buffer, area);
    painter.clear();
    let frame_title = FrameTitle {
        title,
        right,
        focus: KeyboardFocus::Focused,
    };
    painter.frame(&frame_title, ctx.theme);
    Painter::new(buffer, inner_area(area))
}

/// Returns the hints of the keys in the open dialog, each with a word of its own unless that is
/// empty.
pub(super) fn key_hints(ctx: &RenderContext<'_>, actions: &[(Action, &str)]) -> Vec<KeyHint> {
    let context = ctx.state.context();
    let hint = |(action, word): &(Action, &str)| {
        let hint = KeyHint::for_action(*action, context, ctx)?;
        Some(if word.is_empty() {
            hint
        } else {
            hint.with_word(*word)
        })
    };
    actions.iter().filter_map(hint).collect()
}

/// Draws the hints that fit into a row; the last one is always drawn.
pub(super) fn draw_hints(
    painter: &mut Painter<'_>,
    y: u16,
    mut hints: Vec<KeyHint>,
    ctx: &RenderContext<'_>,
) {
    let Some(last) = hints.pop() else { return };
    let mut x = 1;
    for hint in hints {
        if x + hint.width() + 3 + last.width() + 1 > painter.width() {
            break;
        }
        x = hint.draw_at(painter, x, y, ctx) + 3;
    }
    last.draw_at(painter, x, y, ctx);
}

/// Returns the first of `count` lines to show in `rows` rows so that line `at` is visible, in the
/// middle if possible.
pub(super) fn first_visible(at: usize, count: usize, rows: usize) -> usize {
    at.saturating_sub(rows / 2).min(count.saturating_sub(rows))
}
