//! The dialogs above the screen: centred, and scrollable if they do not fit.

mod add;
mod confirm;
mod copy;
mod diagnostics;
mod folder;
mod help;
mod label;
mod link;
mod messages;
mod palette;
mod picker;
mod sort;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    footer::KeyHint,
    painter::{FrameTitle, KeyboardFocus, Painter, inner_area},
    render_context::{DrawResult, RenderContext},
};
use crate::app::{
    keymap::{Action, KeyContext},
    mouse::HitTarget,
    state::Overlay,
};

/// Draws the open dialog, if there is one.
pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) -> Option<DrawResult> {
    match ctx.state.overlay()? {
        Overlay::Add(dialog) => {
            add::draw(buffer, ctx, dialog);
            Some(DrawResult::default())
        }
        Overlay::Pick(picker) => {
            picker::draw(buffer, ctx, picker);
            Some(DrawResult::default())
        }
        Overlay::Folder(dialog) => {
            folder::draw(buffer, ctx, dialog);
            Some(DrawResult::default())
        }
        Overlay::Link(link) => {
            link::draw(buffer, ctx, link);
            Some(DrawResult::default())
        }
        Overlay::Copy(menu) => {
            copy::draw(buffer, ctx, menu);
            Some(DrawResult::default())
        }
        Overlay::Label(editor) => {
            label::draw(buffer, ctx, editor);
            Some(DrawResult::default())
        }
        Overlay::Palette(palette) => {
            palette::draw(buffer, ctx, palette);
            Some(DrawResult::default())
        }
        Overlay::Help { scroll } => Some(help::draw(buffer, ctx, *scroll)),
        Overlay::Messages { scroll } => Some(messages::draw(buffer, ctx, *scroll)),
        Overlay::Diagnostics { scroll } => Some(diagnostics::draw(buffer, ctx, *scroll)),
        // The footer draws the filter line.
        Overlay::Filter(_) => None,
        Overlay::Sort { cursor } => {
            sort::draw(buffer, ctx, *cursor);
            Some(DrawResult::default())
        }
        Overlay::Confirm(confirm) => {
            confirm::draw(buffer, ctx, confirm);
            Some(DrawResult::default())
        }
    }
}

/// Returns the area for dialogs: the screen without the two bottom lines, where messages about the
/// dialog appear. On a small screen it is the whole screen.
fn available_area(ctx: &RenderContext<'_>) -> Rect {
    let screen = ctx.layout.screen;
    if screen.height < 10 {
        return screen;
    }
    Rect {
        height: screen.height - 2,
        ..screen
    }
}

/// Returns a centred area of the given size, borders included.
fn centred_area(ctx: &RenderContext<'_>, width: u16, height: u16) -> Rect {
    let room = available_area(ctx);
    let (width, height) = (width.min(room.width), height.min(room.height));
    Rect {
        x: room.x + (room.width - width) / 2,
        y: room.y + (room.height - height) / 2,
        width,
        height,
    }
}

/// A dialog with scrollable text.
struct ScrolledDialog {
    area: Rect,
    count: u16,
    scroll: u16,
}

impl ScrolledDialog {
    /// Returns a centred dialog for `count` lines, scrolled by at most `scroll` lines.
    fn new(ctx: &RenderContext<'_>, width: u16, count: usize, scroll: u16) -> Self {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let area = centred_area(ctx, width, count.saturating_add(2));
        let mut dialog = Self {
            area,
            count,
            scroll,
        };
        dialog.scroll = scroll.min(dialog.max_scroll());
        dialog
    }

    const fn height(&self) -> u16 {
        self.area.height.saturating_sub(2)
    }

    const fn max_scroll(&self) -> u16 {
        self.count.saturating_sub(self.height())
    }

    /// Returns the range of visible lines, unless all are visible, and the close hint.
    fn title_right(&self, ctx: &RenderContext<'_>) -> String {
        let close = close_hint(ctx);
        if self.max_scroll() == 0 {
            return close;
        }
        let (first, last) = (self.scroll + 1, self.scroll + self.height());
        format!("{first}-{last} of {}  {close}", self.count)
    }

    fn draw_result(&self) -> DrawResult {
        DrawResult {
            max_scroll: self.max_scroll(),
            ..DrawResult::default()
        }
    }
}

/// Returns "Esc close", with the current key binding.
fn close_hint(ctx: &RenderContext<'_>) -> String {
    let hint = ctx.state.keymap().hint(Action::Back, KeyContext::Help);
    hint.map_or_else(String::new, |(key, _)| {
        format!("{} close", ctx.theme.key_name(key))
    })
}

/// Draws an empty dialog and returns the painter for its inner area.
fn open_dialog<'b>(
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

/// Draws the hints that fit into a row; the last one is always drawn.
fn draw_hints(
    painter: &mut Painter<'_>,
    y: u16,
    hints: Vec<Option<KeyHint>>,
    ctx: &RenderContext<'_>,
) {
    let mut hints: Vec<_> = hints.into_iter().flatten().collect();
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
fn first_visible(at: usize, count: usize, rows: usize) -> usize {
    at.saturating_sub(rows / 2).min(count.saturating_sub(rows))
}
