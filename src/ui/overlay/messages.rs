//! What was said of late in the message line, the latest first, with the time of each.

use ratatui::buffer::Buffer;

use super::{ScrolledDialog, available_area, close_hint, open_dialog};
use crate::ui::{
    format,
    render_context::{DrawResult, RenderContext},
    theme::Role,
};

/// The widest the box gets, borders included.
const WIDTH: u16 = 100;

/// The room of the time.
const TIME_WIDTH: u16 = 10;

/// The most rows of one sentence.
const MAX_ROWS: usize = 4;

/// Draws the sentences from line `scroll` on, and says how far they can be scrolled.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, scroll: u16) -> DrawResult {
    let width = WIDTH.min(available_area(scene).width);
    let wide = usize::from(width.saturating_sub(TIME_WIDTH + 4)).max(1);
    let zone = &scene.state.settings().time_zone;
    let mut lines = Vec::new();
    for said in scene.state.past_messages() {
        let mut time = format::clock(said.at, zone);
        for row in format::wrap(&said.text, wide, MAX_ROWS, scene.ellipsis()) {
            lines.push((std::mem::take(&mut time), row, said.severity));
        }
    }
    let window = ScrolledDialog::new(scene, width, lines.len(), scroll);
    let close = close_hint(scene);
    let mut pen = open_dialog(buffer, scene, window.area, "Messages", &close);
    let seen = lines.iter().skip(usize::from(window.scroll));
    for (y, (time, text, tone)) in (0..window.height()).zip(seen) {
        pen.text(1, y, time, scene.style(Role::Muted));
        pen.text(1 + TIME_WIDTH, y, text, scene.theme.severity_style(*tone));
    }
    window.draw_result()
}
