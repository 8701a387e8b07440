//! The details in little space: below the list, or in a few lines.

use ratatui::text::{Line, Span};

use super::{advice, field_list::FieldList, info, journal, links};
use crate::{
    app::keymap::{Action, KeyContext},
    domain::watched_task::WatchedTask,
    messages::format,
    ui::{render_context::RenderContext, theme::Role},
};

/// Returns the details for an area below the list.
pub(super) fn below_lines<'a>(
    watched: &'a WatchedTask,
    ctx: &RenderContext<'a>,
    width: u16,
    height: usize,
) -> Vec<Line<'a>> {
    let mut fields = FieldList::new(ctx, width);
    fields.text_line(watched.title(), Role::Title);
    let mut lines = fields.into_lines();
    lines.push(status_line(watched, ctx, usize::from(width)));

    let mut tail = FieldList::new(ctx, width);
    if let Some(error) = info::server_error(watched) {
        tail.wrapped_field("Error", &error, Role::Error, 2);
    }
    tail.styled_field("Input", link_parts(watched, ctx, tail.value_width()));
    let error = advice::check_error(watched, ctx);
    let mut checked = info::last_check(watched, ctx);
    if let (None, Some((at, event))) = (&error, journal::last_entry(watched, ctx)) {
        checked = format!("{checked}; {at} {event}");
    }
    tail.field("Checked", &checked, Role::Text);
    if let Some((error, step)) = error {
        tail.wrapped_field("", &error, Role::Warn, 2);
        tail.paragraph(&step, Role::Text, 1);
    }
    let sentences = advice::advice(watched, ctx);
    let role = sentences.first().map_or(Role::Text, |(_, role)| *role);
    let sentences: Vec<_> = sentences.into_iter().map(|(text, _)| text).collect();
    tail.paragraph(&sentences.join(" "), role, 2);
    let tail = tail.into_lines();

    let room = height.saturating_sub(lines.len() + tail.len());
    if let Some(prompt) = info::prompt_if_not_in_title(watched, usize::from(width)) {
        let mut fields = FieldList::new(ctx, width);
        fields.wrapped_field("Prompt", prompt, Role::Text, room);
        lines.extend(fields.into_lines());
    }
    lines.extend(tail);
    lines
}

/// Returns the details in three lines: status, error or prompt, key hint.
pub(super) fn compact_lines<'a>(
    watched: &'a WatchedTask,
    ctx: &RenderContext<'a>,
    width: u16,
) -> Vec<Line<'a>> {
    let mut lines = vec![status_line(watched, ctx, usize::from(width))];
    let mut fields = FieldList::new(ctx, width);
    let prompt = watched.task.details().prompt.as_ref();
    if let Some(error) = info::server_error(watched) {
        fields.text_line(&error, Role::Error);
    } else if let Some((error, _)) = advice::check_error(watched, ctx) {
        fields.text_line(&error, Role::Warn);
    } else if let Some(prompt) = prompt.filter(|prompt| !prompt.is_empty()) {
        fields.text_line(prompt.as_str(), Role::Text);
    } else {
        fields.text_line(watched.id().as_str(), Role::Text);
    }
    if let Some((key, _)) = ctx.state.keymap().hint(Action::Detail, KeyContext::List) {
        let hint = format!("{} full-screen details", ctx.theme.key_name(key));
        fields.text_line(&hint, Role::Muted);
    }
    lines.extend(fields.into_lines());
    lines
}

/// Returns status and times on one line; parts that do not fit are dropped from the end.
fn status_line<'a>(watched: &'a WatchedTask, ctx: &RenderContext<'a>, width: usize) -> Line<'a> {
    let zone = &ctx.state.settings().time_zone;
    let details = watched.task.details();
    let status = ctx.status_of(watched);
    let mut line = Line::from(Span::raw(" "));
    let [(word, role), (flag, flag_role)] = info::status_parts(watched, status, ctx);
    line.push_span(ctx.span(word, role));
    if width >= 80 {
        line.push_span(ctx.span(flag, flag_role));
    }
    let mut parts = Vec::new();
    if let Some(created) = details.created {
        let at = format::date_time(created, ctx.now, zone);
        parts.push(format!("created {at}"));
    }
    if let Some(took) = watched.task.run_time() {
        parts.push(format!("took {}", format::run_time(took)));
    }
    if let Some(created) = details.created
        && info::expected_times(watched, ctx).is_some()
    {
        let estimate = &ctx.estimate;
        let minutes = |at| format::date_time_minutes(at, ctx.now, zone);
        let expected = minutes(estimate.expected(created));
        parts.push(format!("expect about {expected}"));
        let late = minutes(estimate.late_after(created));
        parts.push(format!("late after {late}"));
    }
    let mut used = line.width();
    for part in parts {
        used += 2 + format::width(&part);
        if used + 1 > width {
            break;
        }
        line.push_span(ctx.span(format!("  {part}"), Role::Text));
    }
    line
}

/// Returns input and result side by side, with their keys.
fn link_parts(
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
    room: usize,
) -> Vec<(std::borrow::Cow<'static, str>, Role)> {
    let result = watched.task.state().videos().next();
    let half = match result {
        Some(_) => room / 2,
        None => room.saturating_sub(10),
    };
    let tail =
        |url: &str, room: usize| format::url_tail(url, room.max(12), ctx.ellipsis()).into_owned();
    let mut parts = Vec::new();
    match links::input_link(watched) {
        Some(link) => {
            let room = half.saturating_sub(14);
            parts.push((tail(link.as_str(), room).into(), Role::Text));
            let key = format!(" {}", ctx.key_name(Action::OpenInput));
            parts.push((key.into(), Role::Key));
        }
        None => parts.push(("unknown".into(), Role::Muted)),
    }
    parts.push(("    Result  ".into(), Role::Muted));
    match result {
        Some(url) => {
            let room = (room - half).saturating_sub(2);
            parts.push((tail(url.as_str(), room).into(), Role::Text));
            let key = format!(" {}", ctx.key_name(Action::OpenResult));
            parts.push((key.into(), Role::Key));
        }
        None if watched.task.state().is_final() => parts.push(("none".into(), Role::Muted)),
        None => parts.push(("not yet".into(), Role::Muted)),
    }
    parts
}
