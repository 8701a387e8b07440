//! Where a task's results are on disk, or how far they are on their way there.

use crate::{
    domain::{status::Status, time::age, watched::Watched},
    ui::{format, scene::Scene, theme::Role},
};

/// Returns what the sheet says of it; nothing for a task of which nothing can be saved.
pub(super) fn saved(watched: &Watched, scene: &Scene<'_>) -> Option<(String, Role)> {
    let settings = scene.state.settings();
    if let Some(saving) = scene.state.saves().saving(watched.id()) {
        return Some((format::saving(&saving), Role::Busy));
    }
    if scene.state.saves().is_elsewhere(watched.id()) && watched.saves.begun.is_some() {
        return Some(("another kietop is saving it".into(), Role::Busy));
    }
    if let Some(retry) = watched.saves.retry {
        let wait = scene.now.until(retry.at);
        return Some((
            format!("not there yet, next try in {}", age(wait)),
            Role::Warn,
        ));
    }
    let mut files = watched.saves.files().iter();
    if let Some(file) = files.next() {
        let path = settings.shown(&file.path);
        let more = match files.count() {
            0 => String::new(),
            more => format!(" +{more}"),
        };
        return Some(if file.is_there {
            (format!("{path}{more}"), Role::Ok)
        } else {
            (format!("no longer at {path}{more}"), Role::Warn)
        });
    }
    if watched.saves.begun.is_some() {
        return Some(("not all of it; what came is kept".into(), Role::Warn));
    }
    let folder = settings.shown(&settings.save_folder);
    match scene.status_of(watched) {
        Status::Ready | Status::CallbackFailed | Status::LinkGone => {
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
