//! The boxes above the screen: in the middle, never wider than it, and scrolled where they are too
//! tall.

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

/// Draws the box above the screen, if there is one, and says how far its text can be scrolled.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>) -> Option<DrawResult> {
    match scene.state.overlay()? {
        Overlay::Add(dialog) => {
            add::draw(buffer, scene, dialog);
            Some(DrawResult::default())
        }
        Overlay::Pick(picker) => {
            picker::draw(buffer, scene, picker);
            Some(DrawResult::default())
        }
        Overlay::Folder(dialog) => {
            folder::draw(buffer, scene, dialog);
            Some(DrawResult::default())
        }
        Overlay::Link(link) => {
            link::draw(buffer, scene, link);
            Some(DrawResult::default())
        }
        Overlay::Copy(menu) => {
            copy::draw(buffer, scene, menu);
            Some(DrawResult::default())
        }
        Overlay::Label(editor) => {
            label::draw(buffer, scene, editor);
            Some(DrawResult::default())
        }
        Overlay::Palette(palette) => {
            palette::draw(buffer, scene, palette);
            Some(DrawResult::default())
        }
        Overlay::Help { scroll } => Some(help::draw(buffer, scene, *scroll)),
        Overlay::Messages { scroll } => Some(messages::draw(buffer, scene, *scroll)),
        Overlay::Diagnostics { scroll } => Some(diagnostics::draw(buffer, scene, *scroll)),
        // It is a line, not a box: the footer draws it.
        Overlay::Filter(_) => None,
        Overlay::Sort { cursor } => {
            sort::draw(buffer, scene, *cursor);
            Some(DrawResult::default())
        }
        Overlay::Confirm(confirm) => {
            confirm::draw(buffer, scene, confirm);
            Some(DrawResult::default())
        }
    }
}

/// Returns where boxes may be: over everything but the message line and what is below it, as a
/// box's own messages appear there; on a small screen over everything.
fn available_area(scene: &RenderContext<'_>) -> Rect {
    let screen = scene.layout.screen;
    if screen.height < 10 {
        return screen;
    }
    Rect {
        height: screen.height - 2,
        ..screen
    }
}

/// Returns the place of a box of that size in the middle of the screen, borders included.
fn centred_area(scene: &RenderContext<'_>, width: u16, height: u16) -> Rect {
    let room = available_area(scene);
    let (width, height) = (width.min(room.width), height.min(room.height));
    Rect {
        x: room.x + (room.width - width) / 2,
        y: room.y + (room.height - height) / 2,
        width,
        height,
    }
}

/// A box with a text that may be longer than it, and what of that is seen.
struct ScrolledDialog {
    area: Rect,
    count: u16,
    scroll: u16,
}

impl ScrolledDialog {
    /// Places a box of that width for a text of so many lines, `scroll` of them scrolled away where
    /// there are more.
    fn new(scene: &RenderContext<'_>, width: u16, count: usize, scroll: u16) -> Self {
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let area = centred_area(scene, width, count.saturating_add(2));
        let mut window = Self {
            area,
            count,
            scroll,
        };
        window.scroll = scroll.min(window.max_scroll());
        window
    }

    const fn height(&self) -> u16 {
        self.area.height.saturating_sub(2)
    }

    const fn max_scroll(&self) -> u16 {
        self.count.saturating_sub(self.height())
    }

    /// Returns which lines are seen, where that is not all of them, and how the box is closed.
    fn title_right(&self, scene: &RenderContext<'_>) -> String {
        let close = close_hint(scene);
        if self.max_scroll() == 0 {
            return close;
        }
        let (first, last) = (self.scroll + 1, self.scroll + self.height());
        format!("{first}-{last} of {}  {close}", self.count)
    }

    /// Returns what drawing it found out.
    fn draw_result(&self) -> DrawResult {
        DrawResult {
            max_scroll: self.max_scroll(),
            ..DrawResult::default()
        }
    }
}

/// Says by which key a box with nothing but a text is closed.
fn close_hint(scene: &RenderContext<'_>) -> String {
    let hint = scene.state.keymap().hint(Action::Back, KeyContext::Help);
    hint.map_or_else(String::new, |(key, _)| {
        format!("{} close", scene.theme.key_name(key))
    })
}

/// Draws an empty box with the keyboard in it, and returns the pen for its inside.
fn open_dialog<'b>(
    buffer: &'b mut Buffer,
    scene: &RenderContext<'_>,
    area: Rect,
    title: &str,
    right: &str,
) -> Painter<'b> {
    scene.register(scene.layout.screen, || HitTarget::OutsideDialog);
    scene.register(area, || HitTarget::Text);
    let mut pen = Painter::new(buffer, area);
    pen.clear();
    let head = FrameTitle {
        title,
        right,
        focus: KeyboardFocus::Focused,
    };
    pen.frame(&head, scene.theme);
    Painter::new(buffer, inner_area(area))
}

/// Draws hints in a row as far as they fit; the last one stays.
fn draw_hints(
    pen: &mut Painter<'_>,
    y: u16,
    hints: Vec<Option<KeyHint>>,
    scene: &RenderContext<'_>,
) {
    let mut hints: Vec<_> = hints.into_iter().flatten().collect();
    let Some(last) = hints.pop() else { return };
    let mut x = 1;
    for hint in hints {
        if x + hint.width() + 3 + last.width() + 1 > pen.width() {
            break;
        }
        x = hint.draw_at(pen, x, y, scene) + 3;
    }
    last.draw_at(pen, x, y, scene);
}

/// Returns the first of `count` lines to show in `rows` rows so that line `at` is among them, in
/// the middle where it can be.
fn first_visible(at: usize, count: usize, rows: usize) -> usize {
    at.saturating_sub(rows / 2).min(count.saturating_sub(rows))
}
