//! Dialogs: adding tasks, picking and opening videos, confirmations, links.

use std::path::Path;

use tui_input::InputRequest;

use super::{
    filter,
    messages::{explain_missing_result, key_hint, quoted_title, reject_if_read_only, reply},
    remove, selection, store,
};
use crate::{
    app::{
        copy_payload::CopyPayload,
        keymap::{Action, Key, KeyChord, KeyContext},
        msg::Effect,
        state::{
            AddDialog, AddField, Confirm, ListLoading, MainScreen, Overlay, Picker, Severity,
            ShownLinks, State, VideoKind,
        },
    },
    domain::{
        comparison::{Comparison, MissingSide},
        link::VideoUrl,
        list_change::{AccessMode, ListChange},
        query::SortColumn,
        task::{Family, TaskId},
        text::CleanText,
        time::Now,
        watched_task::WatchedTask,
    },
    messages::{ids, message_line},
};

/// Inserts pasted text into the open input line, else into the add dialog. Pasted text is never run
/// as a command.
pub(super) fn paste(state: &mut State, text: &str, now: Now) {
    match &mut state.overlay {
        Some(Overlay::Filter(line)) => {
            let query = line.paste(text);
            return filter::apply_typed(state, query, now);
        }
        Some(Overlay::Folder(dialog)) => return dialog.paste(text),
        Some(Overlay::Label(editor)) => return editor.paste(text),
        Some(Overlay::Palette(palette)) => return palette.paste(text, &state.settings.keymap),
        _ => {}
    }
    if !matches!(state.overlay, Some(Overlay::Add(_))) {
        if state.settings.access == AccessMode::ReadOnly {
            reject_if_read_only(state, now);
            return;
        }
        state.overlay = Some(Overlay::Add(Box::default()));
    }
    if let Some(Overlay::Add(dialog)) = &mut state.overlay {
        dialog.paste(text, &state.list, &state.settings.secrets);
    }
}

pub(super) fn open_add(state: &mut State, now: Now) {
    if !reject_if_read_only(state, now) {
        state.overlay = Some(Overlay::Add(Box::<AddDialog>::default()));
    }
}

/// Handles a key without a binding: text for an input line, the number of a menu line, or nothing.
pub(super) fn type_key(state: &mut State, chord: KeyChord, now: Now, effects: &mut Vec<Effect>) {
    match &mut state.overlay {
        Some(Overlay::Add(dialog)) => match (chord.typed_char(), edit(chord)) {
            (Some(c), _) => dialog.insert(c, &state.list, &state.settings.secrets),
            (None, Some(edit)) => dialog.edit(edit, &state.list, &state.settings.secrets),
            (None, None) => {}
        },
        Some(Overlay::Folder(dialog)) => match (chord.typed_char(), edit(chord)) {
            (Some(c), _) => dialog.insert(c),
            (None, Some(edit)) => dialog.edit(edit),
            (None, None) => {}
        },
        Some(Overlay::Filter(line)) => {
            let query = match (chord.typed_char(), edit(chord)) {
                (Some(c), _) => line.insert(c),
                (None, Some(edit)) => line.edit(edit),
                (None, None) => return,
            };
            filter::apply_typed(state, query, now);
        }
        Some(Overlay::Pick(picker)) => {
            if let Some(at) = line_for_digit(chord, picker.videos.len()) {
                picker.cursor = at;
                accept_pick(state, effects);
            }
        }
        Some(Overlay::Label(editor)) => match (chord.typed_char(), edit(chord)) {
            (Some(c), _) => editor.insert(c),
            (None, Some(edit)) => editor.edit(edit),
            (None, None) => {}
        },
        Some(Overlay::Palette(palette)) => match (chord.typed_char(), edit(chord)) {
            (Some(c), _) => palette.insert(c, &state.settings.keymap),
            (None, Some(edit)) => palette.edit(edit, &state.settings.keymap),
            (None, None) => {}
        },
        Some(Overlay::Sort { cursor }) => {
            if let Some(at) = line_for_digit(chord, SortColumn::ALL.len()) {
                *cursor = at;
                filter::accept_sort(state, now);
            }
        }
        Some(Overlay::Copy(_)) => {
            if let Some(c) = chord.typed_char() {
                let text = message_line::not_in_copy_menu(c);
                reply(state, Severity::Warning, text, now);
            }
        }
        Some(
            Overlay::Link(_)
            | Overlay::Help { .. }
            | Overlay::Messages { .. }
            | Overlay::Diagnostics { .. }
            | Overlay::Confirm(_),
        ) => {}
        None => explain_list_key(state, chord, now),
    }
}

/// Explains that a key pressed on the full-screen details works in the list only.
fn explain_list_key(state: &mut State, chord: KeyChord, now: Now) {
    if state.screen == MainScreen::List || state.keymap().lookup(chord, KeyContext::List).is_none()
    {
        return;
    }
    let hint = key_hint(state, Action::Back, message_line::back_hint);
    let text = message_line::list_key_only(&chord.ascii()) + &hint;
    reply(state, Severity::Info, text, now);
}

/// Returns the line that a digit key chooses, from zero, out of `count` lines.
fn line_for_digit(chord: KeyChord, count: usize) -> Option<usize> {
    let digit = chord.typed_char()?.to_digit(10)?;
    let at = usize::try_from(digit).ok()?.checked_sub(1)?;
    (at < count).then_some(at)
}

/// Maps a key to its edit of an input line.
const fn edit(chord: KeyChord) -> Option<InputRequest> {
    Some(match chord {
        KeyChord {
            key: Key::Backspace,
            alt: false,
            ctrl: false,
        } => InputRequest::DeletePrevChar,
        KeyChord {
            key: Key::Backspace,
            ..
        }
        | KeyChord {
            key: Key::Char('w'),
            ctrl: true,
            ..
        } => InputRequest::DeletePrevWord,
        KeyChord {
            key: Key::Delete, ..
        } => InputRequest::DeleteNextChar,
        KeyChord {
            key: Key::Left,
            ctrl: true,
            ..
        } => InputRequest::GoToPrevWord,
        KeyChord {
            key: Key::Right,
            ctrl: true,
            ..
        } => InputRequest::GoToNextWord,
        KeyChord { key: Key::Left, .. } => InputRequest::GoToPrevChar,
        KeyChord {
            key: Key::Right, ..
        } => InputRequest::GoToNextChar,
        KeyChord { key: Key::Home, .. }
        | KeyChord {
            key: Key::Char('a'),
            ctrl: true,
            ..
        } => InputRequest::GoToStart,
        KeyChord { key: Key::End, .. }
        | KeyChord {
            key: Key::Char('e'),
            ctrl: true,
            ..
        } => InputRequest::GoToEnd,
        KeyChord {
            key: Key::Char('u'),
            ctrl: true,
            ..
        } => InputRequest::DeleteLine,
        KeyChord {
            key: Key::Char('k'),
            ctrl: true,
            ..
        } => InputRequest::DeleteTillEnd,
        _ => return None,
    })
}

/// Selects or deselects an id; types the key while an input line has the focus.
pub(super) fn toggle(state: &mut State, chord: KeyChord) {
    let Some(Overlay::Add(dialog)) = &mut state.overlay else {
        return;
    };
    match (dialog.field(), chord.typed_char()) {
        (AddField::Found, _) => dialog.toggle(),
        (AddField::Ids | AddField::Label, Some(c)) => {
            dialog.insert(c, &state.list, &state.settings.secrets);
        }
        (AddField::Ids | AddField::Label, None) => {}
    }
}

pub(super) fn next_field(state: &mut State) {
    if let Some(Overlay::Add(dialog)) = &mut state.overlay {
        dialog.next_field();
    }
}

pub(super) fn previous_field(state: &mut State) {
    if let Some(Overlay::Add(dialog)) = &mut state.overlay {
        dialog.previous_field();
    }
}

/// Adds the selected ids and closes the dialog; without any it explains why and stays open.
pub(super) fn accept_add(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if reject_if_read_only(state, now) {
        return;
    }
    let Some(Overlay::Add(dialog)) = &state.overlay else {
        return;
    };
    let label = dialog.chosen_label();
    let changes: Vec<_> = dialog
        .selected()
        .map(|task| ListChange::Add {
            task: task.clone(),
            family: Family::default(),
            label: label.clone(),
            at: now.wall,
        })
        .collect();
    if changes.is_empty() {
        let reason = match (dialog.candidates(), dialog.rejected().first()) {
            ([], None) => ids::NO_ID_IN_DIALOG.to_owned(),
            ([], Some(word)) => ids::not_task_id(word.as_str()),
            ([..], _) => ids::NOTHING_SELECTED.to_owned(),
        };
        return reply(state, Severity::Warning, reason, now);
    }
    state.overlay = None;
    store::write(state, changes, effects);
}

/// The most videos opened at once without a confirmation.
const MAX_UNCONFIRMED_OPENS: usize = 3;

/// Opens a video of the target task; several results go through the picker. For several tasks it
/// opens the first video of each, after a confirmation if they are many.
pub(super) fn open_video(state: &mut State, kind: VideoKind, now: Now, effects: &mut Vec<Effect>) {
    let targets = state.targets();
    match targets.as_slice() {
        [] => reply(state, Severity::Info, message_line::NO_TASK_SELECTED, now),
        [watched] => {
            let (task, videos) = (watched.id().clone(), videos(watched, kind));
            open_one(state, task, videos, kind, now, effects);
        }
        several => {
            let found: Vec<_> = several
                .iter()
                .filter_map(|watched| {
                    let video = videos(watched, kind).into_iter().next()?;
                    Some((watched.id().clone(), video))
                })
                .collect();
            let without = several.len() - found.len();
            open_several(state, found, without, kind, now, effects);
        }
    }
}

fn videos(watched: &WatchedTask, kind: VideoKind) -> Vec<VideoUrl> {
    match kind {
        VideoKind::Result => watched.task.state().videos().cloned().collect(),
        VideoKind::Input => watched.task.input_videos().into_iter().cloned().collect(),
    }
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

fn open_all(state: &mut State, videos: Vec<(TaskId, VideoUrl)>, effects: &mut Vec<Effect>) {
    state.pending_opens.waiting += videos.len();
    let videos = videos.into_iter();
    effects.extend(videos.map(|(task, url)| open_effect(state, task, url)));
}

/// Returns the effect that opens a video: its saved file if there is one, else its link.
fn open_effect(state: &State, task: TaskId, url: VideoUrl) -> Effect {
    let watched = state.list.get(&task);
    let file = watched.and_then(|watched| watched.saved_file_for(&url));
    Effect::Open {
        file: file.map(Path::to_owned),
        task,
        url,
    }
}

/// Carries out the confirmed action.
pub(super) fn accept_confirm(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(confirm)) = state.overlay.take() else {
        return;
    };
    match confirm {
        Confirm::Remove { tasks, .. } => remove::remove_tasks(state, tasks, now, effects),
        Confirm::Open { videos, .. } => open_all(state, videos, effects),
        // The caller quits.
        Confirm::QuitUnsaved { .. } => {}
    }
}

fn open_one(
    state: &mut State,
    task: TaskId,
    videos: Vec<VideoUrl>,
    kind: VideoKind,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    match videos.as_slice() {
        [] => {
            let reason = explain_missing_video(state, &task, kind, now);
            reply(state, Severity::Warning, reason, now);
        }
        [url] => open_all(state, vec![(task, url.clone())], effects),
        _ => {
            state.overlay = Some(Overlay::Pick(Picker {
                task,
                kind,
                videos,
                cursor: 0,
            }));
        }
    }
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
            let hint = key_hint(state, Action::OpenResult, message_line::open_result_hint);
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
            let title = state
                .list
                .get(task)
                .map_or_else(|| task.to_string(), quoted_title);
            (Severity::Info, message_line::comparison_opened(&title))
        }
        Err(reason) => (Severity::Error, reason),
    };
    reply(state, severity, text, now);
}

/// Returns the reason why no video can be opened, with a hint.
fn explain_missing_video(state: &State, task: &TaskId, kind: VideoKind, now: Now) -> String {
    let Some(watched) = state.list.get(task) else {
        return message_line::NO_LONGER_ON_LIST.to_owned();
    };
    if kind == VideoKind::Input {
        return message_line::NO_INPUT_TO_OPEN.to_owned();
    }
    explain_missing_result(state, watched, "open", now)
}

pub(super) fn accept_pick(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(Overlay::Pick(picker)) = state.overlay.take() else {
        return;
    };
    let Picker {
        task,
        videos,
        cursor,
        ..
    } = picker;
    if let Some(url) = videos.into_iter().nth(cursor) {
        open_all(state, vec![(task, url)], effects);
    }
}

/// Reports that the browser was started. If none could be, shows the link once all pending opens
/// have completed.
pub(super) fn video_opened(
    state: &mut State,
    task: &TaskId,
    url: VideoUrl,
    result: Result<(), String>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    match result {
        Ok(()) => {
            let watched = state.list.get(task);
            let note = watched.map_or("", |watched| watched.task.state().undelivered_note());
            reply(
                state,
                Severity::Info,
                message_line::opened_in_browser(url.host()) + note,
                now,
            );
            record_opened(state, task, url.as_str(), now, effects);
        }
        Err(reason) => state.pending_opens.failed.push((url, reason)),
    }
    finish_open(state, now, effects);
}

/// Shows and copies the links for which no browser could be started.
fn show_links(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let (urls, reasons): (Vec<_>, Vec<_>) = std::mem::take(&mut state.pending_opens.failed)
        .into_iter()
        .unzip();
    let Some(reason) = reasons.into_iter().next() else {
        return;
    };
    let lines: Vec<_> = urls.iter().map(VideoUrl::as_str).collect();
    // A dialog in use stays open; the links go to the message line.
    if matches!(
        state.overlay,
        Some(Overlay::Add(_) | Overlay::Label(_) | Overlay::Filter(_) | Overlay::Confirm(_))
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

/// Reports that a saved file was opened.
pub(super) fn file_opened(
    state: &mut State,
    task: &TaskId,
    file: &Path,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let watched = state.list.get(task);
    let note = watched.map_or("", |watched| watched.task.state().undelivered_note());
    let shown = state.settings.display_path(file);
    reply(
        state,
        Severity::Info,
        message_line::opened_file(&shown) + note,
        now,
    );
    record_opened(state, task, &file.to_string_lossy(), now, effects);
    finish_open(state, now, effects);
}

/// Counts one pending open as completed; after the last one shows the links that failed.
fn finish_open(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    state.pending_opens.waiting = state.pending_opens.waiting.saturating_sub(1);
    if state.pending_opens.waiting == 0 {
        show_links(state, now, effects);
    }
}

/// Writes an opened video to the list.
fn record_opened(
    state: &mut State,
    task: &TaskId,
    address: &str,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    if state.settings.access == AccessMode::Full && state.loading == ListLoading::Done {
        let change = ListChange::Opened {
            task: task.clone(),
            at: now.wall,
            url: address.to_owned(),
        };
        store::write(state, vec![change], effects);
        selection::invalidate_journal(state, task);
    }
}
