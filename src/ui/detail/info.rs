//! The info page: the server's data, its age, and the next step.

use std::borrow::Cow;

use ratatui::text::Line;

use super::{advice, field_list::FieldList, journal, saved_files::saved_text};
use crate::{
    app::keymap::Action,
    domain::{
        link::Link,
        poll_result::PollError,
        schedule::{PollState, StopReason},
        status::{self, LinkExpiry, Status},
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
    if watched.title() != id {
        fields.text_line(watched.title(), Role::Title);
    }
    let room = usize::from(width.saturating_sub(2));
    let id_role = if watched.title() == id {
        Role::Title
    } else {
        Role::Muted
    };
    fields.text_line(&format::short_id(id, room, ctx.ellipsis()), id_role);
    fields.blank_line();
    write_status(&mut fields, watched, ctx);
    fields.blank_line();
    if let Some(text) = self::prompt_if_not_in_title(watched, usize::from(width)) {
        fields.wrapped_field("Prompt", text, Role::Text, prompt);
        fields.blank_line();
    }
    write_links(&mut fields, watched, ctx);
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
    write_full_links(&mut fields, watched);
    write_full_paths(&mut fields, watched, ctx);
    write_preview_error(&mut fields, ctx);
    fields.blank_line();
    if let Some(label) = &watched.label {
        fields.wrapped_field("Label", label.as_str(), Role::Text, 4);
    }
    if let Some(mark) = details.watermark.as_ref().filter(|mark| !mark.is_empty()) {
        fields.wrapped_field("Watermark", mark.as_str(), Role::Text, 4);
    }
    if watched.notify == NotifySetting::Off {
        fields.field_with_key(
            "Notify",
            "off",
            Role::Warn,
            &ctx.key_name(Action::ToggleNotify),
        );
    }
    let zone = &ctx.state.settings().time_zone;
    fields.field("Family", watched.task.family().name(), Role::Text);
    fields.field(
        "Added",
        &format::date_time(watched.added, ctx.now, zone),
        Role::Text,
    );
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
    match (details.completed, watched.task.run_time()) {
        (Some(completed), Some(took)) => {
            let at = format::date_time(completed, ctx.now, zone);
            let took = format::run_time(took);
            fields.field("Finished", &format!("{at}, took {took}"), Role::Text);
        }
        (Some(completed), None) => {
            let at = format::date_time(completed, ctx.now, zone);
            fields.field("Finished", &at, Role::Text);
        }
        (None, _) => {}
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
    let error = server_error(watched);
    if let Some(error) = error {
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
    if let (PollState::DueAt(_), Some(backoff), None, None, 0, false) = (
        &watched.poll_state,
        queue.backoff(),
        rejected,
        history.last_ok,
        history.failures,
        queue.is_paused(),
    ) {
        let needs_key = matches!(
            backoff.error,
            PollError::NoKey | PollError::KeyUnreadable(_)
        );
        return screen::never_checked(needs_key);
    }
    let last = match (history.last_ok, history.failures) {
        (None, 0) => rejected.map_or_else(
            || "never".to_owned(),
            |(backoff, at)| {
                let ago = format::ago(ctx.now.mono.since(at));
                format!("tried {ago}: {}", backoff.error.message())
            },
        ),
        (None, _) => "no answer yet".to_owned(),
        (Some(at), 0) => format::ago(ctx.now.age_of(at)),
        (Some(at), _) => format!("last success {}", format::ago(ctx.now.age_of(at))),
    };
    let checks = match history.checks {
        1 => "1 check".to_owned(),
        checks => format!("{checks} checks"),
    };
    let schedule = match watched.poll_state {
        PollState::InFlight { .. } => "checking now".to_owned(),
        PollState::Stopped(StopReason::Finished) => "finished".to_owned(),
        PollState::Stopped(StopReason::Rejected) => "stopped".to_owned(),
        PollState::DueAt(_) if queue.is_paused() => "paused".to_owned(),
        PollState::DueAt(_) if queue.backoff().is_some() => "waiting".to_owned(),
        PollState::DueAt(at) if history.failures > 0 => {
            let wait = format::countdown(at.since(ctx.now.mono));
            format!("next try in {wait}").replace("in now", "now")
        }
        PollState::DueAt(_) => {
            let run = watched.run_time(ctx.now);
            let intervals = queue.intervals();
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

/// Writes input, results, link expiry, saved files and callback, one line each.
fn write_links(fields: &mut FieldList<'_, '_>, watched: &WatchedTask, ctx: &RenderContext<'_>) {
    let details = watched.task.details();
    let room = fields.value_width().saturating_sub(3);
    let ellipsis = ctx.ellipsis();
    if let Some(input) = input_link(watched) {
        let text = format::url_tail(input.as_str(), room, ellipsis);
        fields.field_with_key("Input", &text, Role::Text, &ctx.key_name(Action::OpenInput));
    }
    let mut videos = watched.task.state().videos();
    match videos.next() {
        Some(first) => {
            let more = videos.count();
            let count = if more > 0 {
                format!(" +{more}")
            } else {
                String::new()
            };
            let tail = format::url_tail(first.as_str(), room - count.len().min(room), ellipsis);
            let text = format!("{tail}{count}");
            fields.field_with_key(
                "Result",
                &text,
                Role::Text,
                &ctx.key_name(Action::OpenResult),
            );
        }
        None if matches!(watched.task.state(), TaskState::Failed { .. }) => {
            fields.field("Result", "none", Role::Muted);
        }
        None => fields.field("Result", "not yet", Role::Muted),
    }
    if let Some(text) = link_expiry(watched, ctx) {
        fields.field("Link", &text, Role::Text);
    }
    match saved_text(watched, ctx) {
        // The progress is a sentence: wrapped, not shortened at its start like a path.
        Some((text, role)) if is_download_pending(watched, ctx) => {
            fields.wrapped_field("Saved", &text, role, 2);
        }
        Some((text, role)) => {
            let text = format::url_tail(&text, room, ellipsis);
            fields.field_with_key("Saved", &text, role, &ctx.key_name(Action::Save));
        }
        None => {}
    }
    write_preview_error(fields, ctx);
    if let Some(callback) = details.callback.as_ref().filter(|text| !text.is_empty()) {
        let text = format::without_scheme(callback.as_str());
        fields.field("Callback", text, Role::Text);
    }
}

/// Writes every link in full.
fn write_full_links(fields: &mut FieldList<'_, '_>, watched: &WatchedTask) {
    let details = watched.task.details();
    if let Some(input) = &details.input {
        write_link(fields, "Input", input);
    }
    for link in details
        .origin_urls
        .iter()
        .filter(|link| Some(*link) != details.input.as_ref())
    {
        write_link(fields, "Input", link);
    }
    match watched.task.state() {
        TaskState::Succeeded { videos, .. } => {
            for link in videos.iter() {
                write_link(fields, "Result", link);
            }
            if videos.omitted() > 0 {
                let text = format!("and {} more, not kept", videos.omitted());
                fields.field("", &text, Role::Muted);
            }
        }
        TaskState::Failed { .. } => fields.field("Result", "none", Role::Muted),
        TaskState::New
        | TaskState::Running { .. }
        | TaskState::NotFound
        | TaskState::Unrecognised => fields.field("Result", "not yet", Role::Muted),
    }
    if let Some(callback) = details.callback.as_ref().filter(|text| !text.is_empty()) {
        fields.link_field("Callback", callback.as_str(), Role::Text);
    }
}

/// Writes why a preview could not be made.
fn write_preview_error(fields: &mut FieldList<'_, '_>, ctx: &RenderContext<'_>) {
    if let Some(error) = ctx.state.preview_error() {
        fields.wrapped_field("Preview", error.message(), Role::Muted, 2);
    }
}

/// Reports whether a download is running or waits for a retry.
fn is_download_pending(watched: &WatchedTask, ctx: &RenderContext<'_>) -> bool {
    watched.saved_results.retry.is_some() || ctx.state.downloads().progress(watched.id()).is_some()
}

/// Writes the full path of every saved result, or the progress.
fn write_full_paths(
    fields: &mut FieldList<'_, '_>,
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
) {
    if is_download_pending(watched, ctx) || watched.saved_results.files().is_empty() {
        if let Some((text, role)) = saved_text(watched, ctx) {
            fields.wrapped_field("Saved", &text, role, 2);
        }
        return;
    }
    for file in watched.saved_results.files() {
        let path = ctx.state.settings().display_path(&file.path);
        if file.exists {
            fields.link_field("Saved", &path, Role::Ok);
        } else {
            fields.link_field("Saved", &path, Role::Muted);
            fields.field("", "no longer there", Role::Warn);
        }
    }
}

fn write_link(fields: &mut FieldList<'_, '_>, name: &str, link: &Link) {
    match link {
        Link::Video(url) => fields.link_field(name, url.as_str(), Role::Text),
        Link::Rejected(text) => {
            fields.link_field(name, text.as_str(), Role::Warn);
            fields.field("", screen::NOT_A_WEB_LINK, Role::Muted);
        }
    }
}

/// Returns the input video as given in the request, else as given in the answer.
pub(super) fn input_link(watched: &WatchedTask) -> Option<&Link> {
    let details = watched.task.details();
    details
        .input
        .as_ref()
        .or_else(|| details.origin_urls.iter().next())
}

/// Returns the estimated remaining lifetime of the result's link.
fn link_expiry(watched: &WatchedTask, ctx: &RenderContext<'_>) -> Option<String> {
    let retention = ctx.state.settings().retention;
    match watched.link_expiry(retention, ctx.now) {
        LinkExpiry::None | LinkExpiry::Saved => None,
        LinkExpiry::Unknown => Some("expiry unknown".to_owned()),
        LinkExpiry::Expired => Some("probably expired".to_owned()),
        LinkExpiry::Remaining(left) => {
            let end = status::expires_at(&watched.task, retention).map_or_else(String::new, |at| {
                let zone = &ctx.state.settings().time_zone;
                format!(", until {}", format::date_time_minutes(at, ctx.now, zone))
            });
            Some(format!("~{}{end}", format::run_time(left)))
        }
    }
}

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
