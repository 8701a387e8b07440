//! The JSON page: the server's last response.

use ratatui::text::Line;

use super::field_list::FieldList;
use crate::{
    domain::watched_task::WatchedTask,
    messages::{format, screen},
    ui::{render_context::RenderContext, theme::Role},
};

/// Returns the full-screen page: title and time, then the response or why there is none.
pub(super) fn page_lines<'a>(
    watched: &'a WatchedTask,
    ctx: &RenderContext<'a>,
    width: u16,
) -> Vec<Line<'a>> {
    let mut fields = FieldList::new(ctx, width);
    fields.text_line(watched.title(), Role::Title);
    match ctx.state.raw().map(|raw| &raw.response) {
        None => fields.text_line("Loading…", Role::Muted),
        Some(Err(error)) => {
            let text = screen::response_not_read(&error.to_string());
            fields.paragraph(&text, Role::Error, 3);
        }
        Some(Ok(None)) => fields.paragraph(screen::NO_RESPONSE, Role::Muted, 2),
        Some(Ok(Some(response))) => {
            let zone = &ctx.state.settings().time_zone;
            let since = format::date_time(response.since, ctx.now, zone);
            fields.text_line(&format!("received {since}"), Role::Muted);
            if !response.is_complete {
                fields.text_line(screen::RESPONSE_TRUNCATED, Role::Warn);
            }
            fields.blank_line();
            for line in response.text.lines() {
                fields.code_line(line);
            }
        }
    }
    fields.into_lines()
}
