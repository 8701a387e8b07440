//! Typed and pasted text: for the line editor with the keyboard focus, else for the add dialog.

use super::{filter, messages::reply, palette};
use crate::{
    app::{
        keymap::KeyChord,
        state::{AddField, Overlay, Severity, State},
    },
    domain::{list_change::AccessMode, time::Now},
    messages::message_line,
};

/// Passes a key to the line editor; reports whether there is one.
pub(super) fn type_key(state: &mut State, chord: KeyChord, now: Now) -> bool {
    if let Some(Overlay::Add(dialog)) = &mut state.overlay
        && dialog.field == AddField::Found
        && chord.typed_char().is_some()
    {
        dialog.field = AddField::Ids;
    }
    let Some(line) = state.overlay.as_mut().and_then(Overlay::line_editor) else {
        return matches!(state.overlay, Some(Overlay::Add(_)));
    };
    if line.press(chord) {
        apply_edit(state, now);
    }
    true
}

/// Inserts pasted text into the open line editor, else into the add dialog. Pasted text is never
/// run as a command.
pub(super) fn paste(state: &mut State, text: &str, now: Now) {
    if !matches!(&state.overlay, Some(Overlay::Add(dialog)) if dialog.field != AddField::Label)
        && let Some(overlay) = &mut state.overlay
    {
        let first_line = text.trim_start().lines().next().unwrap_or_default();
        let is_filter = matches!(overlay, Overlay::Filter(_));
        if let Some(line) = overlay.line_editor() {
            line.paste(if is_filter { first_line } else { text });
            return apply_edit(state, now);
        }
    }
    if state.settings.access == AccessMode::ReadOnly {
        return reply(state, Severity::Warning, message_line::READ_ONLY, now);
    }
    if !matches!(state.overlay, Some(Overlay::Add(_))) {
        state.overlay = Some(Overlay::Add(Box::default()));
    }
    if let Some(Overlay::Add(dialog)) = &mut state.overlay {
        dialog.paste(text, &state.list, &state.settings.secrets);
    }
}

/// Applies the edited text to what depends on it.
fn apply_edit(state: &mut State, now: Now) {
    match &mut state.overlay {
        Some(Overlay::Add(dialog)) => {
            dialog.update_candidates(&state.list, &state.settings.secrets);
        }
        Some(Overlay::Menu(menu)) => {
            palette::update_matches(menu, state.screen, &state.settings.keymap);
        }
        Some(Overlay::Filter(filter)) => {
            let query = filter.edited();
            filter::apply_typed(state, query, now);
        }
        _ => {}
    }
}
