//! The dialogs above the screen: centred, and scrollable if they do not fit.

mod add;
mod confirm;
mod diagnostics;
mod dialog;
mod help;
mod line;
mod link;
mod menu;
mod messages;
mod text;

use ratatui::buffer::Buffer;

use super::render_context::{DrawResult, RenderContext};
use crate::app::state::{Overlay, TextPage};

/// Draws the open dialog, if there is one.
pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) -> Option<DrawResult> {
    let mut result = DrawResult::default();
    match ctx.state.overlay()? {
        Overlay::Menu(menu) => menu::draw(buffer, ctx, menu),
        Overlay::Line(dialog) => line::draw(buffer, ctx, dialog),
        Overlay::Text { page, scroll } => {
            let content = match page {
                TextPage::Help => help::content(ctx),
                TextPage::Messages => messages::content(ctx),
                TextPage::Diagnostics => diagnostics::content(ctx),
            };
            result.max_scroll = text::draw(buffer, ctx, content, *scroll);
        }
        Overlay::Add(dialog) => add::draw(buffer, ctx, dialog),
        // The footer draws the filter line.
        Overlay::Filter(_) => return None,
        Overlay::Link(links) => link::draw(buffer, ctx, links),
        Overlay::Confirm(confirm) => {
            text::draw(buffer, ctx, confirm::content(ctx, confirm), 0);
        }
    }
    Some(result)
}
