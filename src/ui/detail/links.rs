//! The links and files of a task: its input, its results, where they are saved, and the callback.

use super::field_list::FieldList;
use crate::{
    app::keymap::Action,
    domain::{
        link::Link,
        status::{self, LinkExpiry, Status},
        task::TaskState,
        time::format_age,
        watched_task::WatchedTask,
    },
    messages::{format, screen},
    ui::{render_context::RenderContext, theme::Role},
};

/// Writes input, results, link expiry, saved files and callback, one line each.
pub(super) fn write_short(
    fields: &mut FieldList<'_, '_>,
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
) {
    let room = fields.value_width().saturating_sub(3);
    let tail = |url: &str, room| format::url_tail(url, room, ctx.ellipsis()).into_owned();
    if let Some(input) = input_link(watched) {
        let text = tail(input.as_str(), room);
        fields.field_with_key("Input", &text, Role::Text, Action::OpenInput);
    }
    let mut videos = watched.task.state().videos();
    if let Some(first) = videos.next() {
        let count = match videos.count() {
            0 => String::new(),
            more => format!(" +{more}"),
        };
        let url = tail(first.as_str(), room.saturating_sub(count.len()));
        let text = format!("{url}{count}");
        fields.field_with_key("Result", &text, Role::Text, Action::OpenResult);
    } else {
        fields.field("Result", missing_result(watched), Role::Muted);
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
            fields.field_with_key("Saved", &tail(&text, room), role, Action::Save);
        }
        None => {}
    }
    write_preview_error(fields, ctx);
    if let Some(callback) = callback(watched) {
        fields.field("Callback", format::without_scheme(callback), Role::Text);
    }
}

/// Writes every link and path in full.
pub(super) fn write_full(
    fields: &mut FieldList<'_, '_>,
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
) {
    let details = watched.task.details();
    let input = details.input.as_ref();
    let others = details.origin_urls.iter();
    for link in input
        .into_iter()
        .chain(others.filter(|link| Some(*link) != input))
    {
        write_link(fields, "Input", link);
    }
    if let TaskState::Succeeded { videos, .. } = watched.task.state() {
        for link in videos.iter() {
            write_link(fields, "Result", link);
        }
        if videos.omitted() > 0 {
            let text = format!("and {} more, not kept", videos.omitted());
            fields.field("", &text, Role::Muted);
        }
    } else {
        fields.field("Result", missing_result(watched), Role::Muted);
    }
    if let Some(callback) = callback(watched) {
        fields.link_field("Callback", callback, Role::Text);
    }
    let files = watched.saved_results.files();
    if is_download_pending(watched, ctx) || files.is_empty() {
        if let Some((text, role)) = saved_text(watched, ctx) {
            fields.wrapped_field("Saved", &text, role, 2);
        }
    } else {
        for file in files {
            let path = ctx.state.settings().display_path(&file.path);
            let role = if file.exists { Role::Ok } else { Role::Muted };
            fields.link_field("Saved", &path, role);
            if !file.exists {
                fields.field("", "no longer there", Role::Warn);
            }
        }
    }
    write_preview_error(fields, ctx);
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

/// Writes why a preview could not be made.
fn write_preview_error(fields: &mut FieldList<'_, '_>, ctx: &RenderContext<'_>) {
    if let Some(error) = ctx.state.preview_error() {
        fields.wrapped_field("Preview", error.message(), Role::Muted, 2);
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

const fn missing_result(watched: &WatchedTask) -> &'static str {
    match watched.task.state() {
        TaskState::Failed { .. } => "none",
        TaskState::New
        | TaskState::Running { .. }
        | TaskState::Succeeded { .. }
        | TaskState::NotFound
        | TaskState::Unrecognised => "not yet",
    }
}

fn callback(watched: &WatchedTask) -> Option<&str> {
    let callback = watched.task.details().callback.as_ref()?;
    (!callback.is_empty()).then(|| callback.as_str())
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

/// Reports whether a download is running or waits for a retry.
fn is_download_pending(watched: &WatchedTask, ctx: &RenderContext<'_>) -> bool {
    watched.saved_results.retry.is_some() || ctx.state.downloads().progress(watched.id()).is_some()
}

/// Returns where results are saved, the progress or the next attempt; `None` for a task without
/// savable results.
fn saved_text(watched: &WatchedTask, ctx: &RenderContext<'_>) -> Option<(String, Role)> {
    let settings = ctx.state.settings();
    let downloads = ctx.state.downloads();
    let saved = &watched.saved_results;
    if let Some(download) = downloads.progress(watched.id()) {
        return Some((format::download_progress(&download), Role::Busy));
    }
    if downloads.is_held_by_other(watched.id()) && saved.pending_folder.is_some() {
        return Some((screen::SAVED_BY_OTHER.into(), Role::Busy));
    }
    if let Some(retry) = saved.retry {
        let wait = format_age(ctx.now.until(retry.at));
        return Some((screen::not_saved_yet(&wait), Role::Warn));
    }
    let mut files = saved.files().iter();
    if let Some(file) = files.next() {
        let path = settings.display_path(&file.path);
        let more = match files.count() {
            0 => String::new(),
            more => format!(" +{more}"),
        };
        return Some(if file.exists {
            (format!("{path}{more}"), Role::Ok)
        } else {
            (format!("no longer at {path}{more}"), Role::Warn)
        });
    }
    if saved.pending_folder.is_some() {
        return Some((screen::PARTIALLY_SAVED.into(), Role::Warn));
    }
    let status = ctx.status_of(watched);
    let is_running = matches!(
        status,
        Status::Generating | Status::Finishing | Status::Late
    );
    if is_running && settings.auto_save {
        let folder = settings.display_path(&settings.save_folder);
        return Some((format!("on success, to {folder}"), Role::Muted));
    }
    let is_unsaved = matches!(
        status,
        Status::Ready | Status::CallbackFailed | Status::LinkExpired
    );
    is_unsaved.then(|| ("no".into(), Role::Muted))
}
