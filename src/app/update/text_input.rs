//! Typed and pasted text: for the line editor with the keyboard focus, else for the add dialog.

use super::{context::Context, filter, messages::reply, palette};
use crate::{
    app::{
        keymap::KeyChord,
        state::{AddField, Overlay, Severity},
    },
    domain::list_change::AccessMode,
    messages::message_line,
};

/// Passes a key to the line editor; reports whether there is one.
pub(super) fn type_key(cx: &mut Context, chord: KeyChord) -> bool {
    if let Some(Overlay::Add(dialog)) = &mut cx.state.overlay
        && dialog.field == AddField::Found
        && chord.typed_char().is_some()
    {
        dialog.field = AddField::Ids;
    }
    let Some(line) = cx.state.overlay.as_mut().and_then(Overlay::line_editor) else {
        return matches!(cx.state.overlay, Some(Overlay::Add(_)));
    };
    if line.press(chord) {
        apply_edit(cx);
    }
    true
}

/// Inserts pasted text into the open line editor, else into the add dialog. Pasted text is never
/// run as a command.
pub(super) fn paste(cx: &mut Context, text: &str) {
    if !matches!(&cx.state.overlay, Some(Overlay::Add(dialog)) if dialog.field != AddField::Label)
        && let Some(overlay) = &mut cx.state.overlay
    {
        let first_line = text.trim_start().lines().next().unwrap_or_default();
        let is_filter = matches!(overlay, Overlay::Filter(_));
        if let Some(line) = overlay.line_editor() {
            line.paste(if is_filter { first_line } else { text });
            return apply_edit(cx);
        }
    }
    if cx.state.settings.access == AccessMode::ReadOnly {
        return reply(cx, Severity::Warning, message_line::READ_ONLY);
    }
    if !matches!(cx.state.overlay, Some(Overlay::Add(_))) {
        cx.state.overlay = Some(Overlay::Add(Box::default()));
    }
    if let Some(Overlay::Add(dialog)) = &mut cx.state.overlay {
        dialog.paste(text, &cx.state.list, &cx.state.settings.secrets);
    }
}

/// Applies the edited text to what depends on it.
fn apply_edit(cx: &mut Context) {
    match &mut cx.state.overlay {
        Some(Overlay::Add(dialog)) if dialog.field == AddField::Ids => {
            dialog.update_candidates(&cx.state.list, &cx.state.settings.secrets);
        }
        Some(Overlay::Menu(menu)) => {
            palette::update_matches(menu, cx.state.nav.screen, &cx.state.settings.keymap);
        }
        Some(Overlay::Filter(filter)) => {
            let query = filter.edited();
            filter::apply_typed(cx, query);
        }
        _ => {}
    }
}
