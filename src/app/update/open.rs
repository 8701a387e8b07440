//! Opening videos in the browser: one, a choice of several, or a comparison; and the links for
//! which no browser could be started.

use super::context::Context;
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
            Confirm, ListLoading, Menu, MenuChoice, MenuItem, Overlay, Severity, ShownLinks,
            VideoKind,
        },
    },
    domain::{
        comparison::{Comparison, MissingSide},
        link::VideoUrl,
        list_change::{ChangeKind, ListChange},
        task::TaskId,
        text::CleanText,
        watched_task::WatchedTask,
    },
    messages::message_line,
};

/// The most videos opened at once without a confirmation.
const MAX_UNCONFIRMED_OPENS: usize = 3;

/// Opens a video of the target task; several results go through a menu. For several tasks it
/// opens the first video of each, after a confirmation if they are many.
pub(super) fn open_video(cx: &mut Context, kind: VideoKind) {
    match cx.state.targets().as_slice() {
        [] => reply(cx, Severity::Info, message_line::NO_TASK_SELECTED),
        [watched] => match videos(watched, kind).as_slice() {
            [] => {
                let reason = match kind {
                    VideoKind::Input => message_line::NO_INPUT_TO_OPEN.to_owned(),
                    VideoKind::Result => explain_missing_result(cx.state, watched, "open", cx.now),
                };
                reply(cx, Severity::Warning, reason);
            }
            [url] => {
                let video = (watched.id().clone(), url.clone());
                open_all(cx, vec![video]);
            }
            several => {
                let menu = video_menu(watched.id(), several, kind);
                cx.state.overlay = Some(Overlay::Menu(Box::new(menu)));
            }
        },
        several => {
            let first_video = |watched: &&WatchedTask| {
                let video = videos(watched, kind).into_iter().next()?;
                Some((watched.id().clone(), video))
            };
            let videos: Vec<_> = several.iter().filter_map(first_video).collect();
            let without = several.len() - videos.len();
            open_several(cx, videos, without, kind);
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
pub(super) fn accept(cx: &mut Context, task: TaskId, url: VideoUrl) {
    cx.state.overlay = None;
    open_all(cx, vec![(task, url)]);
}

fn open_several(
    cx: &mut Context,
    videos: Vec<(TaskId, VideoUrl)>,
    without: usize,
    kind: VideoKind,
) {
    if videos.is_empty() {
        let text = message_line::no_marked_video(without);
        return reply(cx, Severity::Warning, text);
    }
    if videos.len() > MAX_UNCONFIRMED_OPENS {
        cx.state.overlay = Some(Overlay::Confirm(Confirm::Open { videos, kind }));
        return;
    }
    if without > 0 {
        let text = message_line::opening_some(videos.len(), without);
        reply(cx, Severity::Info, text);
    }
    open_all(cx, videos);
}

/// Opens videos: the saved file of each if there is one, else its link.
pub(super) fn open_all(cx: &mut Context, videos: Vec<(TaskId, VideoUrl)>) {
    cx.state.pending_opens.waiting += videos.len();
    cx.effects.extend(videos.into_iter().map(|(task, url)| {
        let watched = cx.state.list.get(&task);
        let file = watched.and_then(|watched| watched.saved_file_for(&url));
        Effect::Open {
            file: file.map(Path::to_owned),
            task,
            url,
        }
    }));
}

/// Opens the comparison of the selected task's input and result in the browser.
pub(super) fn show_comparison(cx: &mut Context) {
    let Some(watched) = cx.state.selected() else {
        return reply(cx, Severity::Info, message_line::NO_TASK_SELECTED);
    };
    let reason = match Comparison::for_task(watched) {
        Ok(comparison) => {
            return cx
                .effects
                .push(Effect::ShowComparison(Box::new(comparison)));
        }
        Err(MissingSide::Result) => explain_missing_result(cx.state, watched, "compare", cx.now),
        Err(MissingSide::Input) => {
            let hint = key_hint(cx.state, Action::OpenResult, message_line::OPEN_RESULT_HINT);
            format!("{}{hint}", message_line::NO_INPUT_TO_COMPARE)
        }
    };
    reply(cx, Severity::Warning, reason);
}

pub(super) fn comparison_shown(cx: &mut Context, task: &TaskId, result: Result<(), String>) {
    let (severity, text) = match result {
        Ok(()) => {
            let watched = cx.state.list.get(task);
            let title = watched.map_or_else(|| task.to_string(), quoted_title);
            (Severity::Info, message_line::comparison_opened(&title))
        }
        Err(reason) => (Severity::Error, reason),
    };
    reply(cx, severity, text);
}

/// Reports what was opened. If no browser could be started, shows the link once all pending opens
/// have completed.
pub(super) fn video_opened(
    cx: &mut Context,
    task: &TaskId,
    url: VideoUrl,
    result: Result<Option<PathBuf>, String>,
) {
    match result {
        Ok(Some(file)) => {
            let text = message_line::opened_file(&cx.state.settings.display_path(&file));
            record_opened(cx, task, &text, &file.to_string_lossy());
        }
        Ok(None) => {
            let text = message_line::opened_in_browser(url.host());
            record_opened(cx, task, &text, url.as_str());
        }
        Err(reason) => cx.state.pending_opens.failed.push((url, reason)),
    }
    cx.state.pending_opens.waiting = cx.state.pending_opens.waiting.saturating_sub(1);
    if cx.state.pending_opens.waiting == 0 {
        show_links(cx);
    }
}

/// Reports an opened video and writes it to the list.
fn record_opened(cx: &mut Context, task: &TaskId, text: &str, address: &str) {
    let watched = cx.state.list.get(task);
    let note = watched.map_or("", |watched| watched.task.state().undelivered_note());
    reply(cx, Severity::Info, format!("{text}{note}"));
    if cx.state.loading == ListLoading::Done {
        let opened = ChangeKind::Opened(address.to_owned());
        let change = ListChange::new(task.clone(), cx.now.wall, opened);
        writes::write(cx, vec![change]);
    }
}

/// Shows and copies the links for which no browser could be started.
fn show_links(cx: &mut Context) {
    let failed = std::mem::take(&mut cx.state.pending_opens.failed);
    let (urls, reasons): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
    let Some(reason) = reasons.into_iter().next() else {
        return;
    };
    let lines: Vec<_> = urls.iter().map(VideoUrl::as_str).collect();
    // A dialog in use stays open; the links go to the message line.
    if matches!(
        cx.state.overlay,
        Some(Overlay::Add(_) | Overlay::Line(_) | Overlay::Filter(_) | Overlay::Confirm(_))
    ) {
        let text = message_line::links_not_opened(&reason, &lines.join(" "));
        return reply(cx, Severity::Error, text);
    }
    let name = match lines.len() {
        1 => "the link".to_owned(),
        count => format!("{count} links"),
    };
    cx.effects
        .push(Effect::Copy(CopyPayload::text(name, lines.join("\n"))));
    cx.state.overlay = Some(Overlay::Link(ShownLinks {
        urls,
        reason: CleanText::line(&reason, usize::MAX).to_string(),
        copied: None,
    }));
}
