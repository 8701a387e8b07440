//! The empty list: the first steps, or the error that prevented loading.

use ratatui::{buffer::Buffer, text::Line};

use super::{
    painter::{FrameTitle, Painter, inner_area},
    render_context::RenderContext,
    theme::Role,
};
use crate::{
    app::{
        keymap::Action,
        state::{ApiKeyStatus, ListLoading},
    },
    domain::list_change::AccessMode,
    messages::{format, message_line, screen},
};

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    let areas = &ctx.layout;
    let mut area = areas.body;
    if areas.is_boxed {
        let frame_title = FrameTitle {
            title: "Watched tasks",
            right: "",
            focus: ctx.focus(),
        };
        Painter::new(buffer, area).frame(&frame_title, ctx.theme);
        area = inner_area(area);
    }
    let mut painter = Painter::new(buffer, area);
    let lines = match ctx.state.loading() {
        // Takes a few milliseconds at the start: a message would only flash.
        ListLoading::Pending => return,
        ListLoading::Failed(error) => load_error_lines(&error.to_string(), painter.width(), ctx),
        ListLoading::Done => first_step_lines(painter.width(), ctx),
    };
    let count = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let top = painter.height().saturating_sub(count) / 3;
    let longest = lines.iter().map(Line::width).max().unwrap_or_default();
    let longest = u16::try_from(longest).unwrap_or(u16::MAX);
    let left = (painter.width().saturating_sub(longest) / 2).max(1);
    for (y, line) in (top..).zip(&lines) {
        painter.line(left, y, line);
    }
}

fn load_error_lines(error: &str, width: u16, ctx: &RenderContext<'_>) -> Vec<Line<'static>> {
    let room = usize::from(width.saturating_sub(4)).min(72);
    let mut lines = vec![
        ctx.span(screen::LIST_NOT_READ, Role::Error).into(),
        Line::default(),
    ];
    let sentence = format!("{}.", format::capitalised(error));
    for line in format::wrap(&sentence, room, 8, ctx.ellipsis()) {
        lines.push(ctx.span(line, Role::Text).into());
    }
    lines.push(Line::default());
    lines.push(ctx.span(screen::NOTHING_WRITTEN, Role::Muted).into());
    lines
}

fn first_step_lines(width: u16, ctx: &RenderContext<'_>) -> Vec<Line<'static>> {
    let mut lines = vec![
        ctx.span(message_line::NO_TASKS_YET, Role::Title).into(),
        Line::default(),
    ];
    let key = ctx.key_name(Action::Add);
    let is_demo = !ctx.state.settings().suggestions.is_empty();
    let mut steps = Vec::new();
    if ctx.state.settings().access == AccessMode::Full {
        steps.push((key, screen::ADD_TASKS));
        steps.push(("paste".into(), screen::PASTE_ANYTHING));
    }
    if ctx.state.settings().api_key == ApiKeyStatus::Missing {
        steps.push(("KIE_API_KEY".into(), screen::SET_API_KEY));
    }
    if !is_demo {
        steps.push(("kietop demo".into(), screen::TRY_DEMO));
    }
    let is_narrow = width < 70;
    for (key, text) in steps {
        if is_narrow {
            lines.push(ctx.span(key, Role::Key).into());
            let room = usize::from(width.saturating_sub(4));
            for line in format::wrap(text, room, 3, ctx.ellipsis()) {
                lines.push(ctx.span(format!("  {line}"), Role::Text).into());
            }
        } else {
            let key = ctx.span(format::pad_end(&key, 14), Role::Key);
            lines.push(vec![key, ctx.span(text, Role::Text)].into());
        }
    }
    if let Some(id) = ctx.state.settings().suggestions.first() {
        lines.push(Line::default());
        let id = ctx.span(id.as_str().to_owned(), Role::Text);
        lines.push(vec![ctx.span("try: ", Role::Muted), id].into());
    }
    if !is_narrow {
        lines.push(Line::default());
        let room = usize::from(width.saturating_sub(4));
        for line in format::wrap(screen::WHERE_IDS_ARE, room, 2, ctx.ellipsis()) {
            lines.push(ctx.span(line, Role::Muted).into());
        }
    }
    lines
}
