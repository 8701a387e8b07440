//! The info page: the server's data, its age, and the next step.

use std::borrow::Cow;

use ratatui::text::Line;

use super::{advice, field_list::FieldList, journal, links};
use crate::{
    app::keymap::Action,
    domain::{
        poll_result::PollError,
        schedule::{PollState, StopReason},
        status::Status,
        task::TaskState,
        watched_task::{NotifySetting, WatchedTask},
    },
    messages::{format, screen},
    ui::{list, render_context::RenderContext, theme::Role},
};

/// Returns the side panel with at most `prompt` lines of the prompt and `journal` lines of the
/// journal.
pub(super) fn side_lines<'a>(
    watched: &'a WatchedTask,
    ctx: &RenderContext<'a>,
    width: u16,
    prompt: usize,
    journal: usize,
) -> Vec<Line<'a>> {
    let mut fields = FieldList::new(ctx, width);
    let id = watched.id().as_str();
    let has_title = watched.title() != id;
    if has_title {
        fields.text_line(watched.title(), Role::Title);
    }
    let id_role = if has_title { Role::Muted } else { Role::Title };
    let room = usize::from(width.saturating_sub(2));
    fields.text_line(&format::short_id(id, room, ctx.ellipsis()), id_role);
    fields.blank_line();
    write_status(&mut fields, watched, ctx);
    fields.blank_line();
    if let Some(text) = prompt_if_not_in_title(watched, usize::from(width)) {
        fields.wrapped_field("Prompt", text, Role::Text, prompt);
        fields.blank_line();
    }
    links::write_short(&mut fields, watched, ctx);
    fields.blank_line();
    if journal > 0 && !ctx.state.journal().is_empty() {
        journal::write_last(&mut fields, watched, ctx, journal);
        fields.blank_line();
    }
    write_next_steps(&mut fields, watched, ctx);
    fields.into_lines()
}

/// Returns the full-screen page, untruncated.
pub(super) fn page_lines<'a>(
    watched: &'a WatchedTask,
    ctx: &RenderContext<'a>,
    width: u16,
) -> Vec<Line<'a>> {
    let mut fields = FieldList::new(ctx, width);
    let id = watched.id().as_str();
    if watched.title() != id {
        let max_lines = if watched.label.is_some() { 4 } else { 1 };
        fields.paragraph(watched.title(), Role::Title, max_lines);
    }
    for line in format::break_anywhere(id, usize::from(width.saturating_sub(2)).max(1)) {
        fields.text_line(&line, Role::Muted);
    }
    fields.blank_line();
    write_status(&mut fields, watched, ctx);
    fields.blank_line();
    write_next_steps(&mut fields, watched, ctx);
    fields.blank_line();
    let details = watched.task.details();
    if let Some(text) = prompt_if_not_in_title(watched, usize::from(width)) {
        fields.wrapped_field("Prompt", text, Role::Text, usize::MAX - 1);
        fields.blank_line();
    }
    links::write_full(&mut fields, watched, ctx);
    fields.blank_line();
    if let Some(label) = &watched.label {
        fields.wrapped_field("Label", label.as_str(), Role::Text, 4);
    }
    if let Some(mark) = details.watermark.as_ref().filter(|mark| !mark.is_empty()) {
        fields.wrapped_field("Watermark", mark.as_str(), Role::Text, 4);
    }
    if watched.notify == NotifySetting::Off {
        fields.field_with_key("Notify", "off", Role::Warn, Action::ToggleNotify);
    }
    let zone = &ctx.state.settings().time_zone;
    fields.field("Family", watched.task.family().name(), Role::Text);
    let added = format::date_time(watched.added, ctx.now, zone);
    fields.field("Added", &added, Role::Text);
    fields.into_lines()
}

/// Returns the prompt, unless a title of `width` cells shows it completely.
pub(super) fn prompt_if_not_in_title(watched: &WatchedTask, width: usize) -> Option<&str> {
    let prompt = watched.task.details().prompt.as_ref()?.as_str();
    let is_in_title =
        watched.title() == prompt && !prompt.contains('\n') && format::width(prompt) + 2 <= width;
    (!prompt.is_empty() && !is_in_title).then_some(prompt)
}

/// Writes status, times, estimate and last check.
fn write_status(fields: &mut FieldList<'_, '_>, watched: &WatchedTask, ctx: &RenderContext<'_>) {
    let zone = &ctx.state.settings().time_zone;
    let details = watched.task.details();
    let status = ctx.status_of(watched);
    fields.styled_field("Status", status_parts(watched, status, ctx));
    if let Some(created) = details.created {
        let at = format::date_time(created, ctx.now, zone);
        let age = format::ago(ctx.now.age_of(created));
        fields.field("Created", &format!("{at}, {age}"), Role::Text);
    }
    if let Some(completed) = details.completed {
        let at = format::date_time(completed, ctx.now, zone);
        let took = watched.task.run_time().map(format::run_time);
        let took = took.map_or_else(String::new, |took| format!(", took {took}"));
        fields.field("Finished", &format!("{at}{took}"), Role::Text);
    }
    if let Some((expected, late)) = expected_times(watched, ctx) {
        fields.field("Expected", &expected, Role::Text);
        let role = if status == Status::Late {
            Role::Warn
        } else {
            Role::Text
        };
        fields.field("", &late, role);
    }
    if let Some(error) = server_error(watched) {
        fields.wrapped_field("Error", &error, Role::Error, 6);
    }
    fields.wrapped_field("Checked", &last_check(watched, ctx), Role::Text, 2);
    if let Some((error, _)) = advice::check_error(watched, ctx) {
        fields.wrapped_field("", &error, Role::Warn, 3);
    }
}

/// Returns glyph and word, then the server's flag.
pub(super) fn status_parts(
    watched: &WatchedTask,
    status: Status,
    ctx: &RenderContext<'_>,
) -> [(Cow<'static, str>, Role); 2] {
    let style = ctx.theme.status_style(status, ctx.now);
    let word = list::row::status_word(watched, status, status.full_word());
    let flag = match (&watched.task.details().flag, status) {
        (None, _) | (_, Status::Unknown) => String::new(),
        (Some(flag), _) => format!(", flag {flag}"),
    };
    [
        (format!("{} {word}", style.glyph).into(), style.role),
        (flag.into(), Role::Muted),
    ]
}

/// Returns the expected finish time of a running task, and the time after which it is late.
pub(super) fn expected_times(
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
) -> Option<(String, String)> {
    let is_running = matches!(watched.task.state(), TaskState::Running { .. });
    let created = watched.task.details().created.filter(|_| is_running)?;
    let zone = &ctx.state.settings().time_zone;
    let estimate = &ctx.estimate;
    let minutes = |at| format::date_time_minutes(at, ctx.now, zone);
    let (usual, late) = match estimate.samples {
        0 => ("(documented)".to_owned(), "(documented)"),
        samples => (format!("(p50 of {samples})"), "(p95)"),
    };
    Some((
        format!("about {} {usual}", minutes(estimate.expected(created))),
        format!(
            "late after {} {late}",
            minutes(estimate.late_after(created))
        ),
    ))
}

/// Returns the error that the server reports for a task: "501: internal error".
pub(super) fn server_error(watched: &WatchedTask) -> Option<String> {
    let details = watched.task.details();
    let part = |text: &Option<crate::domain::text::CleanText>| {
        text.as_ref()
            .filter(|text| !text.is_empty())
            .map(ToString::to_string)
    };
    let is_failed = matches!(watched.task.state(), TaskState::Failed { .. });
    match (part(&details.error_code), part(&details.error_message)) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (Some(code), None) => Some(format!("{code} (no message)")),
        (None, Some(message)) => Some(message),
        (None, None) => is_failed.then(|| screen::NO_REASON_GIVEN.to_owned()),
    }
}

/// Returns time of the last check, poll interval and number of checks.
pub(super) fn last_check(watched: &WatchedTask, ctx: &RenderContext<'_>) -> String {
    let history = &watched.poll_history;
    let queue = ctx.state.poll_queue();
    let rejected = queue.backoff().zip(queue.rejected_at(watched.id()));
    let is_due = matches!(watched.poll_state, PollState::DueAt(_)) && !queue.is_paused;
    let last = match (history.last_ok, history.failures, rejected) {
        (None, 0, Some((backoff, at))) => {
            let ago = format::ago(ctx.now.mono.since(at));
            format!("tried {ago}: {}", backoff.error.message())
        }
        (None, 0, None) => match queue.backoff() {
            Some(backoff) if is_due => {
                let needs_key = matches!(
                    backoff.error,
                    PollError::NoKey | PollError::KeyUnreadable(_)
                );
                return screen::never_checked(needs_key);
            }
            _ => "never".to_owned(),
        },
        (None, ..) => "no answer yet".to_owned(),
        (Some(at), 0, _) => format::ago(ctx.now.age_of(at)),
        (Some(at), ..) => format!("last success {}", format::ago(ctx.now.age_of(at))),
    };
    let checks = match history.checks {
        1 => "1 check".to_owned(),
        checks => format!("{checks} checks"),
    };
    let schedule = match watched.poll_state {
        PollState::InFlight { .. } => "checking now".to_owned(),
        PollState::Stopped(StopReason::Finished) => "finished".to_owned(),
        PollState::Stopped(StopReason::Rejected) => "stopped".to_owned(),
        PollState::DueAt(_) if queue.is_paused => "paused".to_owned(),
        PollState::DueAt(_) if queue.backoff().is_some() => "waiting".to_owned(),
        PollState::DueAt(at) if history.failures > 0 => {
            let wait = format::countdown(at.since(ctx.now.mono));
            format!("next try in {wait}").replace("in now", "now")
        }
        PollState::DueAt(_) => {
            let run = watched.run_time(ctx.now);
            let intervals = queue.intervals;
            let interval = intervals.interval(run, ctx.estimate.late);
            format!("every {}", format::format_age(interval))
        }
    };
    if history.checks == 0 && rejected.is_some() {
        // A rejected request does not count as a check, so a figure of 0 would confuse.
        return format!("{last}, {schedule}");
    }
    format!("{last}, {schedule}, {checks}")
}

/// Writes the next step after a failed check, and the advice on the status.
fn write_next_steps(
    fields: &mut FieldList<'_, '_>,
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
) {
    if let Some((_, step)) = advice::check_error(watched, ctx) {
        fields.paragraph(&step, Role::Text, 3);
    }
    for (sentence, role) in advice::advice(watched, ctx) {
        fields.paragraph(&sentence, role, 4);
    }
}
