//! The page of facts: what the server told, how sure we are, and the next step.

use std::borrow::Cow;

use ratatui::text::Line;

use super::{advice, field_list::FieldList, journal, saved_files::saved_text};
use crate::{
    app::keymap::Action,
    domain::{
        link::Link,
        schedule::{PollState, StopReason},
        status::{self, LinkExpiry, Status},
        task::TaskState,
        watched_task::{NotifySetting, WatchedTask},
    },
    ui::{format, list, render_context::RenderContext, theme::Role},
};

/// Returns the page for the side of the list, with so many lines of the prompt and of the journal.
pub(super) fn side_lines<'a>(
    watched: &'a WatchedTask,
    scene: &RenderContext<'a>,
    width: u16,
    prompt: usize,
    journal: usize,
) -> Vec<Line<'a>> {
    let mut sheet = FieldList::new(scene, width);
    let id = watched.id().as_str();
    if watched.title() != id {
        sheet.text_line(watched.title(), Role::Title);
    }
    let room = usize::from(width.saturating_sub(2));
    let id_role = if watched.title() == id {
        Role::Title
    } else {
        Role::Muted
    };
    sheet.text_line(&format::short_id(id, room, scene.ellipsis()), id_role);
    sheet.blank_line();
    write_status(&mut sheet, watched, scene);
    sheet.blank_line();
    if let Some(text) = self::prompt_if_not_in_title(watched, usize::from(width)) {
        sheet.wrapped_field("Prompt", text, Role::Text, prompt);
        sheet.blank_line();
    }
    write_links(&mut sheet, watched, scene);
    sheet.blank_line();
    if journal > 0 && !scene.state.journal().is_empty() {
        journal::write_last(&mut sheet, watched, scene, journal);
        sheet.blank_line();
    }
    write_next_steps(&mut sheet, watched, scene);
    sheet.into_lines()
}

/// Returns the page for the whole screen: nothing cut.
pub(super) fn page_lines<'a>(
    watched: &'a WatchedTask,
    scene: &RenderContext<'a>,
    width: u16,
) -> Vec<Line<'a>> {
    let mut sheet = FieldList::new(scene, width);
    let id = watched.id().as_str();
    if watched.title() != id {
        let most = if watched.label.is_some() { 4 } else { 1 };
        sheet.paragraph(watched.title(), Role::Title, most);
    }
    for line in format::break_anywhere(id, usize::from(width.saturating_sub(2)).max(1)) {
        sheet.text_line(&line, Role::Muted);
    }
    sheet.blank_line();
    write_status(&mut sheet, watched, scene);
    sheet.blank_line();
    write_next_steps(&mut sheet, watched, scene);
    sheet.blank_line();
    let facts = watched.task.details();
    if let Some(text) = prompt_if_not_in_title(watched, usize::from(width)) {
        sheet.wrapped_field("Prompt", text, Role::Text, usize::MAX - 1);
        sheet.blank_line();
    }
    write_full_links(&mut sheet, watched);
    write_full_paths(&mut sheet, watched, scene);
    write_preview_error(&mut sheet, scene);
    sheet.blank_line();
    if let Some(label) = &watched.label {
        sheet.wrapped_field("Label", label.as_str(), Role::Text, 4);
    }
    if let Some(mark) = facts.watermark.as_ref().filter(|mark| !mark.is_empty()) {
        sheet.wrapped_field("Watermark", mark.as_str(), Role::Text, 4);
    }
    if watched.notify == NotifySetting::Off {
        sheet.field_with_key(
            "Notices",
            "off",
            Role::Warn,
            &scene.key_name(Action::ToggleNotify),
        );
    }
    let zone = &scene.state.settings().time_zone;
    sheet.field("Family", watched.task.family().name(), Role::Text);
    sheet.field(
        "Watched",
        &format!(
            "since {}",
            format::date_time(watched.added, scene.now, zone)
        ),
        Role::Text,
    );
    sheet.into_lines()
}

/// Returns the prompt where the title, one line that wide, has not said it whole.
pub(super) fn prompt_if_not_in_title(watched: &WatchedTask, width: usize) -> Option<&str> {
    let prompt = watched.task.details().prompt.as_ref()?.as_str();
    let is_said =
        watched.title() == prompt && !prompt.contains('\n') && format::width(prompt) + 2 <= width;
    (!prompt.is_empty() && !is_said).then_some(prompt)
}

/// Writes status, times, estimate and how the checks go.
fn write_status(sheet: &mut FieldList<'_, '_>, watched: &WatchedTask, scene: &RenderContext<'_>) {
    let zone = &scene.state.settings().time_zone;
    let facts = watched.task.details();
    let status = scene.status_of(watched);
    sheet.styled_field("Status", status_parts(watched, status, scene));
    if let Some(created) = facts.created {
        let at = format::date_time(created, scene.now, zone);
        let age = format::ago(scene.now.age_of(created));
        sheet.field("Created", &format!("{at}, {age}"), Role::Text);
    }
    match (facts.completed, watched.task.run_time()) {
        (Some(completed), Some(took)) => {
            let at = format::date_time(completed, scene.now, zone);
            let took = format::run_time(took);
            sheet.field("Ended", &format!("{at}, took {took}"), Role::Text);
        }
        (Some(completed), None) => {
            let at = format::date_time(completed, scene.now, zone);
            sheet.field("Ended", &at, Role::Text);
        }
        (None, _) => {}
    }
    if let Some((expected, late)) = expected_times(watched, scene) {
        sheet.field("Expect", &expected, Role::Text);
        let role = if status == Status::Late {
            Role::Warn
        } else {
            Role::Text
        };
        sheet.field("", &late, role);
    }
    let error = server_error(watched);
    if let Some(error) = error {
        sheet.wrapped_field("Error", &error, Role::Error, 6);
    }
    sheet.wrapped_field("Checked", &last_check(watched, scene), Role::Text, 2);
    if let Some((error, _)) = advice::check_error(watched, scene) {
        sheet.wrapped_field("", &error, Role::Warn, 3);
    }
}

/// Returns glyph, word and the server's own flag.
pub(super) fn status_parts(
    watched: &WatchedTask,
    status: Status,
    scene: &RenderContext<'_>,
) -> [(Cow<'static, str>, Role); 2] {
    let look = scene.theme.status_style(status, scene.now);
    let word = list::row::status_word(watched, status, scene);
    let flag = match (&watched.task.details().flag, status) {
        (None, _) | (_, Status::Unknown) => String::new(),
        (Some(flag), _) => format!(" (flag {flag})"),
    };
    [
        (format!("{} {word}", look.glyph).into(), look.role),
        (flag.into(), Role::Muted),
    ]
}

/// Returns when a running task should be done and from when on it is late.
pub(super) fn expected_times(
    watched: &WatchedTask,
    scene: &RenderContext<'_>,
) -> Option<(String, String)> {
    let is_running = matches!(watched.task.state(), TaskState::Running { .. });
    let created = watched.task.details().created.filter(|_| is_running)?;
    let zone = &scene.state.settings().time_zone;
    let estimate = &scene.estimate;
    let minutes = |at| format::date_time_minutes(at, scene.now, zone);
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

/// Returns the server's own error of a task, code first.
pub(super) fn server_error(watched: &WatchedTask) -> Option<String> {
    let facts = watched.task.details();
    let part = |text: &Option<crate::domain::text::CleanText>| {
        text.as_ref()
            .filter(|text| !text.is_empty())
            .map(ToString::to_string)
    };
    let is_failed = matches!(watched.task.state(), TaskState::Failed { .. });
    match (part(&facts.error_code), part(&facts.error_message)) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (Some(code), None) => Some(format!("{code}, without a message")),
        (None, Some(message)) => Some(message),
        (None, None) => is_failed.then(|| "the server gave no reason".to_owned()),
    }
}

/// Returns when a task was last answered for, how often it is asked after, and how often it was.
pub(super) fn last_check(watched: &WatchedTask, scene: &RenderContext<'_>) -> String {
    let freshness = &watched.poll_history;
    let polls = scene.state.poll_queue();
    let turned_away = polls.backoff().zip(polls.rejected_at(watched.id()));
    let last = match (freshness.last_ok, freshness.failures) {
        (None, 0) => turned_away.map_or_else(
            || "never".to_owned(),
            |(hold, at)| {
                let ago = format::ago(scene.now.mono.since(at));
                format!("asked {ago}: {}", hold.error.message())
            },
        ),
        (None, _) => "never answered".to_owned(),
        (Some(at), 0) => format::ago(scene.now.age_of(at)),
        (Some(at), _) => format!("last good {}", format::ago(scene.now.age_of(at))),
    };
    let polls = match freshness.checks {
        1 => "1 poll".to_owned(),
        polls => format!("{polls} polls"),
    };
    let pace = match watched.poll_state {
        PollState::InFlight { .. } => "asking now".to_owned(),
        PollState::Stopped(StopReason::Finished) => "ended".to_owned(),
        PollState::Stopped(StopReason::Rejected) => "no longer".to_owned(),
        PollState::DueAt(_) if scene.state.poll_queue().is_paused() => "paused".to_owned(),
        PollState::DueAt(_) if scene.state.poll_queue().backoff().is_some() => {
            "held back".to_owned()
        }
        PollState::DueAt(at) if freshness.failures > 0 => {
            let wait = format::countdown(at.since(scene.now.mono));
            format!("again in {wait}").replace("in now", "now")
        }
        PollState::DueAt(_) => {
            let run = watched.run_time(scene.now);
            let pace = scene.state.poll_queue().intervals();
            let every = pace.interval(run, scene.estimate.late);
            format!("every {}", format::format_age(every))
        }
    };
    if freshness.checks == 0 && turned_away.is_some() {
        // It was asked after; that none of it counts as a check needs no figure.
        return format!("{last}, {pace}");
    }
    format!("{last}, {pace}, {polls}")
}

/// Writes source, results, link life and callback on a line each.
fn write_links(sheet: &mut FieldList<'_, '_>, watched: &WatchedTask, scene: &RenderContext<'_>) {
    let facts = watched.task.details();
    let room = sheet.value_width().saturating_sub(3);
    let ellipsis = scene.ellipsis();
    if let Some(source) = input_link(watched) {
        let text = format::url_tail(source.as_str(), room, ellipsis);
        sheet.field_with_key(
            "Source",
            &text,
            Role::Text,
            &scene.key_name(Action::OpenInput),
        );
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
            sheet.field_with_key(
                "Result",
                &text,
                Role::Text,
                &scene.key_name(Action::OpenResult),
            );
        }
        None if matches!(watched.task.state(), TaskState::Failed { .. }) => {
            sheet.field("Result", "none", Role::Muted);
        }
        None => sheet.field("Result", "not yet", Role::Muted),
    }
    if let Some(text) = link_expiry(watched, scene) {
        sheet.field("Link", &text, Role::Text);
    }
    match saved_text(watched, scene) {
        // How far it is stands in words, of which the first matter most.
        Some((text, role)) if is_download_pending(watched, scene) => {
            sheet.wrapped_field("Saved", &text, role, 2);
        }
        Some((text, role)) => {
            let text = format::url_tail(&text, room, ellipsis);
            sheet.field_with_key("Saved", &text, role, &scene.key_name(Action::Save));
        }
        None => {}
    }
    write_preview_error(sheet, scene);
    if let Some(callback) = facts.callback.as_ref().filter(|text| !text.is_empty()) {
        let text = format::without_scheme(callback.as_str());
        sheet.field("Callback", text, Role::Text);
    }
}

/// Writes every link whole.
fn write_full_links(sheet: &mut FieldList<'_, '_>, watched: &WatchedTask) {
    let facts = watched.task.details();
    if let Some(source) = &facts.input {
        write_link(sheet, "Source", source);
    }
    for link in facts
        .origin_urls
        .iter()
        .filter(|link| Some(*link) != facts.input.as_ref())
    {
        write_link(sheet, "Original", link);
    }
    match watched.task.state() {
        TaskState::Succeeded { videos, .. } => {
            for link in videos.iter() {
                write_link(sheet, "Result", link);
            }
            if videos.omitted() > 0 {
                let text = format!("and {} more, left out", videos.omitted());
                sheet.field("", &text, Role::Muted);
            }
        }
        TaskState::Failed { .. } => sheet.field("Result", "none", Role::Muted),
        TaskState::New
        | TaskState::Running { .. }
        | TaskState::NotFound
        | TaskState::Unrecognised => sheet.field("Result", "not yet", Role::Muted),
    }
    if let Some(callback) = facts.callback.as_ref().filter(|text| !text.is_empty()) {
        sheet.link_field("Callback", callback.as_str(), Role::Text);
    }
}

/// Writes why there are no pictures where there could be.
fn write_preview_error(sheet: &mut FieldList<'_, '_>, scene: &RenderContext<'_>) {
    if let Some(error) = scene.state.preview_error() {
        sheet.wrapped_field("Picture", error.message(), Role::Muted, 2);
    }
}

/// Reports whether a save is running or waits for a retry.
fn is_download_pending(watched: &WatchedTask, scene: &RenderContext<'_>) -> bool {
    watched.saved_results.retry.is_some()
        || scene.state.downloads().progress(watched.id()).is_some()
}

/// Writes where every result is on disk, whole, or how far it is.
fn write_full_paths(
    sheet: &mut FieldList<'_, '_>,
    watched: &WatchedTask,
    scene: &RenderContext<'_>,
) {
    if is_download_pending(watched, scene) || watched.saved_results.files().is_empty() {
        if let Some((text, role)) = saved_text(watched, scene) {
            sheet.wrapped_field("Saved", &text, role, 2);
        }
        return;
    }
    for file in watched.saved_results.files() {
        let path = scene.state.settings().display_path(&file.path);
        if file.exists {
            sheet.link_field("Saved", &path, Role::Ok);
        } else {
            sheet.link_field("Saved", &path, Role::Muted);
            sheet.field("", "no longer there", Role::Warn);
        }
    }
}

fn write_link(sheet: &mut FieldList<'_, '_>, name: &str, link: &Link) {
    match link {
        Link::Video(url) => sheet.link_field(name, url.as_str(), Role::Text),
        Link::Rejected(text) => {
            sheet.link_field(name, text.as_str(), Role::Warn);
            sheet.field("", "no web link: shown, never opened", Role::Muted);
        }
    }
}

/// Returns the input video: as the request named it, else as the answer does.
pub(super) fn input_link(watched: &WatchedTask) -> Option<&Link> {
    let facts = watched.task.details();
    facts
        .input
        .as_ref()
        .or_else(|| facts.origin_urls.iter().next())
}

/// Returns how long the result's link lives, an estimate.
fn link_expiry(watched: &WatchedTask, scene: &RenderContext<'_>) -> Option<String> {
    let retention = scene.state.settings().retention;
    match watched.link_expiry(retention, scene.now) {
        LinkExpiry::None | LinkExpiry::Saved => None,
        LinkExpiry::Unknown => Some("unknown how long it lives".to_owned()),
        LinkExpiry::Expired => Some("probably expired".to_owned()),
        LinkExpiry::Remaining(left) => {
            let end = status::expires_at(&watched.task, retention).map_or_else(String::new, |at| {
                let zone = &scene.state.settings().time_zone;
                format!(", until {}", format::date_time_minutes(at, scene.now, zone))
            });
            Some(format!("~{}{end}", format::run_time(left)))
        }
    }
}

/// Writes what all this means and what to do.
fn write_next_steps(
    sheet: &mut FieldList<'_, '_>,
    watched: &WatchedTask,
    scene: &RenderContext<'_>,
) {
    if let Some((_, step)) = advice::check_error(watched, scene) {
        sheet.paragraph(&step, Role::Text, 3);
    }
    for (sentence, role) in advice::advice(watched, scene) {
        sheet.paragraph(&sentence, role, 4);
    }
}
