//! Opening videos in the browser: one, a choice of several, or a comparison; and the links for
//! which no browser could be started.

use std::path::{Path, PathBuf};

use super::{
    messages::{explain_missing_result, key_hint, quoted_title, reply},
    writes,
};
use crate::{
    app::{
        copy_payload::CopyPayload,
        keymap::{Action, KeyContext},
        msg::Effect,
        state::{
            Confirm, ListLoading, Menu, MenuChoice, MenuItem, Overlay, Severity, ShownLinks, State,
            VideoKind,
        },
    },
    domain::{
        comparison::{Comparison, MissingSide},
        link::VideoUrl,
        list_change::{ChangeKind, ListChange},
        task::TaskId,
        text::CleanText,
        time::Now,
        watched_task::WatchedTask,
    },
    messages::message_line,
};

/// The most videos opened at once without a confirmation.
const MAX_UNCONFIRMED_OPENS: usize = 3;

/// Opens a video of the target task; several results go through a menu. For several tasks it
/// opens the first video of each, after a confirmation if they are many.
pub(super) fn open_video(state: &mut State, kind: VideoKind, now: Now, effects: &mut Vec<Effect>) {
    match state.targets().as_slice() {
        [] => reply(state, Severity::Info, message_line::NO_TASK_SELECTED, now),
        [watched] => match videos(watched, kind).as_slice() {
            [] => {
                let reason = match kind {
                    VideoKind::Input => message_line::NO_INPUT_TO_OPEN.to_owned(),
                    VideoKind::Result => explain_missing_result(state, watched, "open", now),
                };
                reply(state, Severity::Warning, reason, now);
            }
            [url] => {
                let video = (watched.id().clone(), url.clone());
                open_all(state, vec![video], effects);
            }
            several => {
                let menu = video_menu(watched.id(), several, kind);
                state.overlay = Some(Overlay::Menu(Box::new(menu)));
            }
        },
        several => {
            let first_video = |watched: &&WatchedTask| {
                let video = videos(watched, kind).into_iter().next()?;
                Some((watched.id().clone(), video))
            };
            let videos: Vec<_> = several.iter().filter_map(first_video).collect();
            let without = several.len() - videos.len();
            open_several(state, videos, without, kind, now, effects);
        }
    }
}

fn videos(watched: &WatchedTask, kind: VideoKind) -> Vec<VideoUrl> {
    match kind {
        VideoKind::Result => watched.task.state().videos().cloned().collect(),
        VideoKind::Input => watched.task.input_videos().into_iter().cloned().collect(),
    }
}

fn video_menu(task: &TaskId, videos: &[VideoUrl], kind: VideoKind) -> Menu {
    let item = |url: &VideoUrl| {
        let choice = MenuChoice::Open(task.clone(), url.clone());
        MenuItem::new(choice, url.as_str())
    };
    Menu {
        title: format!("Open which {}?", kind.name()),
        accept_word: "open",
        ..Menu::numbered(KeyContext::Pick, videos.iter().map(item).collect())
    }
}

/// Opens the chosen video and closes the menu.
pub(super) fn accept(state: &mut State, task: TaskId, url: VideoUrl, effects: &mut Vec<Effect>) {
    state.overlay = None;
    open_all(state, vec![(task, url)], effects);
}

fn open_several(
    state: &mut State,
    videos: Vec<(TaskId, VideoUrl)>,
    without: usize,
    kind: VideoKind,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    if videos.is_empty() {
        let text = message_line::no_marked_video(without);
        return reply(state, Severity::Warning, text, now);
    }
    if videos.len() > MAX_UNCONFIRMED_OPENS {
        state.overlay = Some(Overlay::Confirm(Confirm::Open { videos, kind }));
        return;
    }
    if without > 0 {
        let text = message_line::opening_some(videos.len(), without);
        reply(state, Severity::Info, text, now);
    }
    open_all(state, videos, effects);
}

/// Opens videos: the saved file of each if there is one, else its link.
pub(super) fn open_all(
    state: &mut State,
    videos: Vec<(TaskId, VideoUrl)>,
    effects: &mut Vec<Effect>,
) {
    state.pending_opens.waiting += videos.len();
    effects.extend(videos.into_iter().map(|(task, url)| {
        let watched = state.list.get(&task);
        let file = watched.and_then(|watched| watched.saved_file_for(&url));
        Effect::Open {
            file: file.map(Path::to_owned),
            task,
            url,
        }
    }));
}

/// Opens the comparison of the selected task's input and result in the browser.
pub(super) fn show_comparison(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let Some(watched) = state.selected() else {
        return reply(state, Severity::Info, message_line::NO_TASK_SELECTED, now);
    };
    let reason = match Comparison::for_task(watched) {
        Ok(comparison) => return effects.push(Effect::ShowComparison(Box::new(comparison))),
        Err(MissingSide::Result) => explain_missing_result(state, watched, "compare", now),
        Err(MissingSide::Input) => {
            let hint = key_hint(state, Action::OpenResult, message_line::OPEN_RESULT_HINT);
            format!("{}{hint}", message_line::NO_INPUT_TO_COMPARE)
        }
    };
    reply(state, Severity::Warning, reason, now);
}

pub(super) fn comparison_shown(
    state: &mut State,
    task: &TaskId,
    result: Result<(), String>,
    now: Now,
) {
    let (severity, text) = match result {
        Ok(()) => {
            let watched = state.list.get(task);
            let title = watched.map_or_else(|| task.to_string(), quoted_title);
            (Severity::Info, message_line::comparison_opened(&title))
        }
        Err(reason) => (Severity::Error, reason),
    };
    reply(state, severity, text, now);
}

/// Reports what was opened. If no browser could be started, shows the link once all pending opens
/// have completed.
pub(super) fn video_opened(
    state: &mut State,
    task: &TaskId,
    url: VideoUrl,
    result: Result<Option<PathBuf>, String>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    match result {
        Ok(Some(file)) => {
            let text = message_line::opened_file(&state.settings.display_path(&file));
            record_opened(state, task, &text, &file.to_string_lossy(), now, effects);
        }
        Ok(None) => {
            let text = message_line::opened_in_browser(url.host());
            record_opened(state, task, &text, url.as_str(), now, effects);
        }
        Err(reason) => state.pending_opens.failed.push((url, reason)),
    }
    state.pending_opens.waiting = state.pending_opens.waiting.saturating_sub(1);
    if state.pending_opens.waiting == 0 {
        show_links(state, now, effects);
    }
}

/// Reports an opened video and writes it to the list.
fn record_opened(
    state: &mut State,
    task: &TaskId,
    text: &str,
    address: &str,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let watched = state.list.get(task);
    let note = watched.map_or("", |watched| watched.task.state().undelivered_note());
    reply(state, Severity::Info, format!("{text}{note}"), now);
    if state.loading == ListLoading::Done {
        let opened = ChangeKind::Opened(address.to_owned());
        let change = ListChange::new(task.clone(), now.wall, opened);
        writes::write(state, vec![change], effects);
    }
}

/// Shows and copies the links for which no browser could be started.
fn show_links(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let failed = std::mem::take(&mut state.pending_opens.failed);
    let (urls, reasons): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
    let Some(reason) = reasons.into_iter().next() else {
        return;
    };
    let lines: Vec<_> = urls.iter().map(VideoUrl::as_str).collect();
    // A dialog in use stays open; the links go to the message line.
    if matches!(
        state.overlay,
        Some(Overlay::Add(_) | Overlay::Line(_) | Overlay::Filter(_) | Overlay::Confirm(_))
    ) {
        let text = message_line::links_not_opened(&reason, &lines.join(" "));
        return reply(state, Severity::Error, text, now);
    }
    let name = match lines.len() {
        1 => "the link".to_owned(),
        count => format!("{count} links"),
    };
    effects.push(Effect::Copy(CopyPayload::text(name, lines.join("\n"))));
    state.overlay = Some(Overlay::Link(ShownLinks {
        urls,
        reason: CleanText::line(&reason, usize::MAX).to_string(),
        copied: None,
    }));
}
