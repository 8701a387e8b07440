//! The saved results of a task: paths, progress or next attempt.

use crate::{
    domain::{status::Status, time::format_age, watched_task::WatchedTask},
    messages::{format, screen},
    ui::{render_context::RenderContext, theme::Role},
};

/// Returns the text of the "Saved" field, or `None` for a task without savable results.
pub(super) fn saved_text(watched: &WatchedTask, ctx: &RenderContext<'_>) -> Option<(String, Role)> {
    let settings = ctx.state.settings();
    if let Some(download) = ctx.state.downloads().progress(watched.id()) {
        return Some((format::download_progress(&download), Role::Busy));
    }
    if ctx.state.downloads().is_held_by_other(watched.id())
        && watched.saved_results.pending_folder.is_some()
    {
        return Some((screen::SAVED_BY_OTHER.into(), Role::Busy));
    }
    if let Some(retry) = watched.saved_results.retry {
        let wait = ctx.now.until(retry.at);
        return Some((screen::not_saved_yet(&format_age(wait)), Role::Warn));
    }
    let mut files = watched.saved_results.files().iter();
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
    if watched.saved_results.pending_folder.is_some() {
        return Some((screen::PARTIALLY_SAVED.into(), Role::Warn));
    }
    let folder = settings.display_path(&settings.save_folder);
    match ctx.status_of(watched) {
        Status::Ready | Status::CallbackFailed | Status::LinkExpired => {
            Some(("no".into(), Role::Muted))
        }
        Status::Generating | Status::Finishing | Status::Late if settings.auto_save => {
            Some((format!("on success, to {folder}"), Role::Muted))
        }
        Status::New
        | Status::Generating
        | Status::Finishing
        | Status::Late
        | Status::Saved
        | Status::NoLink
        | Status::CreateFailed
        | Status::GenerationFailed
        | Status::NotFound
        | Status::Unknown => None,
    }
}
