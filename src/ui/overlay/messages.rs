//! What was said of late in the message line, the latest first, with the time of each.

use ratatui::buffer::Buffer;

use super::{Window, closing, open, room};
use crate::ui::{
    format,
    scene::{Drawn, Scene},
    theme::Role,
};

/// The widest the box gets, borders included.
const WIDTH: u16 = 100;

/// The room of the time.
const TIME: u16 = 10;

/// The most rows of one sentence.
const MOST_ROWS: usize = 4;

/// Draws the sentences from line `scroll` on, and says how far they can be scrolled.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>, scroll: u16) -> Drawn {
    let width = WIDTH.min(room(scene).width);
    let wide = usize::from(width.saturating_sub(TIME + 4)).max(1);
    let zone = &scene.state.settings().zone;
    let mut lines = Vec::new();
    for said in scene.state.past() {
        let mut time = format::clock(said.at, zone);
        for row in format::wrap(&said.text, wide, MOST_ROWS, scene.ellipsis()) {
            lines.push((std::mem::take(&mut time), row, said.tone));
        }
    }
    let window = Window::place(scene, width, lines.len(), scroll);
    let close = closing(scene);
    let mut pen = open(buffer, scene, window.area, "Messages", &close);
    let seen = lines.iter().skip(usize::from(window.scroll));
    for (y, (time, text, tone)) in (0..window.height()).zip(seen) {
        pen.text(1, y, time, scene.style(Role::Muted));
        pen.text(1 + TIME, y, text, scene.theme.tone(*tone));
    }
    window.drawn()
}
