//! Copying text to the clipboard, by a program or through the terminal.

use super::messages::reply;
use crate::{
    app::{
        copy_payload::{CopyKind, CopyPayload},
        msg::{Effect, TerminalRequest},
        state::{CopyMenu, DetailPage, MainScreen, Overlay, Severity, State},
    },
    domain::{text::CleanText, time::Now, watched_task::WatchedTask},
    messages::message_line,
};

/// The longest text that a terminal is asked to copy, in bytes. xterm accepts at most 75,000
/// characters of base64, and a terminal does not report its limit.
const MAX_TERMINAL_LEN: usize = 56_000;

pub(super) fn open_menu(state: &mut State, now: Now) {
    let menu = CopyMenu::new(&state.targets());
    if menu.tasks().is_empty() {
        return reply(state, Severity::Info, message_line::NO_TASK_TO_COPY, now);
    }
    state.overlay = Some(Overlay::Copy(menu));
}

/// Copies the chosen line of the menu.
pub(super) fn accept_menu(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if let Some(Overlay::Copy(menu)) = &state.overlay
        && let Some(kind) = menu.chosen()
    {
        copy(state, kind, now, effects);
    }
}

/// Copies from the tasks of the menu, else from the target tasks, and closes the menu.
pub(super) fn copy(state: &mut State, kind: CopyKind, now: Now, effects: &mut Vec<Effect>) {
    let payload = shown_raw_response(state, kind)
        .map_or_else(|| CopyPayload::from_tasks(kind, &targets(state)), Ok);
    state.overlay = None;
    match payload {
        Ok(payload) => effects.push(Effect::Copy(payload)),
        Err(reason) => reply(
            state,
            Severity::Warning,
            message_line::nothing_to_copy(reason),
            now,
        ),
    }
}

fn targets(state: &State) -> Vec<&WatchedTask> {
    match &state.overlay {
        Some(Overlay::Copy(menu)) => {
            let tasks = menu.tasks().iter();
            tasks.filter_map(|id| state.list.get(id)).collect()
        }
        _ => state.targets(),
    }
}

/// Returns the raw response if its page is on the screen.
fn shown_raw_response(state: &State, kind: CopyKind) -> Option<CopyPayload> {
    let is_shown = matches!(
        state.screen,
        MainScreen::Detail {
            page: DetailPage::Json,
            ..
        }
    );
    if kind != CopyKind::Json || !is_shown {
        return None;
    }
    let response = state.raw()?.response.as_ref().ok()?.as_ref()?;
    Some(CopyPayload::text("the raw record", response.text.clone()))
}

/// Reports how a text was copied, also in the links dialog. Asks the terminal if no program could.
pub(super) fn copied(
    state: &mut State,
    name: &str,
    text: String,
    result: Result<String, String>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let (severity, text) = match result {
        Ok(program) => (Severity::Info, message_line::copied(name, &program)),
        Err(reason) if text.len() > MAX_TERMINAL_LEN => {
            let size = text.len() / 1000;
            let text = message_line::too_large_to_copy(&reason, size);
            (Severity::Error, text)
        }
        Err(_) => {
            effects.push(Effect::Terminal(TerminalRequest::Copy(text)));
            (Severity::Info, message_line::copied_to_terminal(name))
        }
    };
    if let Some(Overlay::Link(links)) = &mut state.overlay {
        links.copied = Some(CleanText::line(&text, usize::MAX).to_string());
    }
    reply(state, severity, text, now);
}
