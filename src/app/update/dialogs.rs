//! The boxes above the list: adding, picking, opening.

use tui_input::InputRequest;

use super::{
    notices::{nothing_of, notify, quoted, refuses_changes, step},
    selection, storing,
};
use crate::{
    app::{
        keymap::{Action, Key, KeyChord},
        msg::Effect,
        state::{AddDialog, AddField, Loading, Overlay, Picker, ShownLink, State, Tone, VideoKind},
    },
    domain::{
        change::{Access, Change},
        comparison::{Comparison, MissingSide},
        task::{Family, TaskId, VideoUrl},
        time::Now,
    },
};

/// Takes pasted text in: it opens the add dialog wherever it comes, and never is a command.
pub(super) fn pasted(state: &mut State, text: &str) {
    if let Some(Overlay::Folder(dialog)) = &mut state.overlay {
        return dialog.paste(text);
    }
    if !matches!(state.overlay, Some(Overlay::Add(_))) {
        state.overlay = Some(Overlay::Add(Box::default()));
    }
    if let Some(Overlay::Add(dialog)) = &mut state.overlay {
        dialog.paste(text, &state.list);
    }
}

/// Opens the add dialog.
pub(super) fn open_add(state: &mut State, now: Now) {
    if !refuses_changes(state, now) {
        state.overlay = Some(Overlay::Add(Box::<AddDialog>::default()));
    }
}

/// Takes a key in that the table leaves free: typed into a dialog, a number of the picker, or nothing.
pub(super) fn typed(state: &mut State, chord: KeyChord) {
    match &mut state.overlay {
        Some(Overlay::Add(dialog)) => match (chord.typed(), edit(chord)) {
            (Some(c), _) => dialog.insert(c, &state.list),
            (None, Some(edit)) => dialog.edit(edit, &state.list),
            (None, None) => {}
        },
        Some(Overlay::Folder(dialog)) => match (chord.typed(), edit(chord)) {
            (Some(c), _) => dialog.insert(c),
            (None, Some(edit)) => dialog.edit(edit),
            (None, None) => {}
        },
        Some(Overlay::Pick(picker)) => {
            let number = chord
                .typed()
                .and_then(|c| c.to_digit(10))
                .and_then(|n| usize::try_from(n).ok());
            if let Some(at) = number
                .and_then(|n| n.checked_sub(1))
                .filter(|at| *at < picker.videos.len())
            {
                picker.cursor = at;
            }
        }
        Some(Overlay::Link(_) | Overlay::Help { .. }) | None => {}
    }
}

/// Returns the edit of a line that a key stands for.
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

/// Takes an id in or out; in a line, the key is typed.
pub(super) fn toggle(state: &mut State, chord: KeyChord) {
    let Some(Overlay::Add(dialog)) = &mut state.overlay else {
        return;
    };
    match (dialog.field(), chord.typed()) {
        (AddField::Found, _) => dialog.toggle(),
        (AddField::Ids | AddField::Label, Some(c)) => dialog.insert(c, &state.list),
        (AddField::Ids | AddField::Label, None) => {}
    }
}

/// Goes to the dialog's next field.
pub(super) fn next_field(state: &mut State) {
    if let Some(Overlay::Add(dialog)) = &mut state.overlay {
        dialog.next_field();
    }
}

/// Goes to the dialog's field before.
pub(super) fn previous_field(state: &mut State) {
    if let Some(Overlay::Add(dialog)) = &mut state.overlay {
        dialog.previous_field();
    }
}

/// Orders the chosen ids to be watched and closes the dialog; with nothing to add it says why and stays.
pub(super) fn accept_add(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if refuses_changes(state, now) {
        return;
    }
    let Some(Overlay::Add(dialog)) = &state.overlay else {
        return;
    };
    let label = dialog.chosen_label();
    let changes: Vec<_> = dialog
        .taken()
        .map(|task| Change::Add {
            task: task.clone(),
            family: Family::default(),
            label: label.clone(),
            at: now.wall,
        })
        .collect();
    if changes.is_empty() {
        let reason = match (dialog.found(), dialog.rejected().first()) {
            ([], None) => "No task id in there yet: type or paste one.".to_owned(),
            ([], Some(word)) => format!("\"{word}\" is no task id."),
            ([..], _) => {
                "Nothing to add: the ids found are watched already or left out.".to_owned()
            }
        };
        return notify(state, Tone::Warning, reason, now);
    }
    state.overlay = None;
    effects.push(Effect::Store(changes));
}

/// Opens a video of the selected task: at once when there is one, through the picker when there are several.
pub(super) fn open_video(state: &mut State, kind: VideoKind, now: Now, effects: &mut Vec<Effect>) {
    let Some(watched) = state.selected() else {
        return notify(state, Tone::Plain, "No task selected.", now);
    };
    let task = watched.id().clone();
    let videos: Vec<_> = match kind {
        VideoKind::Result => watched.task.state().videos().cloned().collect(),
        VideoKind::Original => watched.task.originals().into_iter().cloned().collect(),
    };
    match videos.as_slice() {
        [] => {
            let reason = nothing_to_open(state, kind, now);
            notify(state, Tone::Warning, reason, now);
        }
        [url] => effects.push(Effect::Open {
            task,
            url: url.clone(),
        }),
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

/// Shows the selected task's input beside its result.
pub(super) fn compare(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let Some(watched) = state.selected() else {
        return notify(state, Tone::Plain, "No task selected.", now);
    };
    let reason = match Comparison::of(watched) {
        Ok(comparison) => return effects.push(Effect::Compare(Box::new(comparison))),
        Err(MissingSide::Result) => nothing_of(state, watched, "compare", now),
        Err(MissingSide::Input) => {
            let next = step(state, Action::OpenResult, "opens the result alone");
            format!("The server named no input link to compare with.{next}")
        }
    };
    notify(state, Tone::Warning, reason, now);
}

/// Says that input and result are shown, or why not.
pub(super) fn compared(state: &mut State, task: &TaskId, result: Result<(), String>, now: Now) {
    let (tone, text) = match result {
        Ok(()) => {
            let name = state
                .list
                .get(task)
                .map_or_else(|| task.to_string(), quoted);
            let text = format!("Input and result of {name} are in the browser.");
            (Tone::Plain, text)
        }
        Err(reason) => (Tone::Bad, reason),
    };
    notify(state, tone, text, now);
}

/// Returns why there is nothing to open, with the next step.
fn nothing_to_open(state: &State, kind: VideoKind, now: Now) -> String {
    let Some(watched) = state.selected() else {
        return "No task selected.".to_owned();
    };
    if kind == VideoKind::Original {
        return "The server named no input video that can be opened.".to_owned();
    }
    nothing_of(state, watched, "open", now)
}

/// Opens the video under the picker's cursor.
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
        effects.push(Effect::Open { task, url });
    }
}

/// Says that the browser was started, or shows the link whole where none could be.
pub(super) fn opened(
    state: &mut State,
    task: &TaskId,
    url: VideoUrl,
    result: Result<(), String>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    match result {
        Ok(()) => {
            let host = url.host().to_owned();
            let watched = state.list.get(task);
            let rescue = watched.map_or("", |watched| watched.task.state().rescue());
            notify(
                state,
                Tone::Plain,
                format!("Opened in the browser ({host}).{rescue}"),
                now,
            );
            if state.settings.access == Access::Full && state.loading == Loading::Done {
                let change = Change::Opened {
                    task: task.clone(),
                    at: now.wall,
                    url: url.as_str().to_owned(),
                };
                storing::write(state, vec![change], effects);
                selection::forget_journal(state, task);
            }
        }
        // What is being typed or chosen stays; the link is said below it.
        Err(reason) if matches!(state.overlay, Some(Overlay::Add(_))) => {
            let text = format!("{reason}: {}", url.as_str());
            notify(state, Tone::Bad, text, now);
        }
        Err(reason) => state.overlay = Some(Overlay::Link(ShownLink { url, reason })),
    }
}
