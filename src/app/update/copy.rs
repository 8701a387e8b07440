//! Copying: what is taken, and which way it went.

use super::messages::reply;
use crate::{
    app::{
        copy_payload::{CopyKind, CopyPayload},
        msg::{Effect, TerminalRequest},
        state::{CopyMenu, DetailPage, MainScreen, Overlay, Severity, State},
    },
    domain::{text::CleanText, time::Now, watched_task::WatchedTask},
};

/// The longest text a terminal is asked to put on its clipboard, in bytes: xterm takes no more than
/// 75,000 characters of base64, and those that take more are not told apart.
const MAX_TERMINAL_LEN: usize = 56_000;

/// Opens the menu of what can be copied.
pub(super) fn open_menu(state: &mut State, now: Now) {
    let menu = CopyMenu::new(&state.targets());
    if menu.tasks().is_empty() {
        return reply(state, Severity::Info, "No task to copy from.", now);
    }
    state.overlay = Some(Overlay::Copy(menu));
}

/// Copies what the cursor of the menu is on.
pub(super) fn accept_menu(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if let Some(Overlay::Copy(menu)) = &state.overlay
        && let Some(kind) = menu.chosen()
    {
        copy(state, kind, now, effects);
    }
}

/// Copies that of the tasks the menu is about, else of those an act applies to, and closes the
/// menu.
pub(super) fn copy(state: &mut State, kind: CopyKind, now: Now, effects: &mut Vec<Effect>) {
    let clip = shown_raw_response(state, kind)
        .map_or_else(|| CopyPayload::from_tasks(kind, &targets(state)), Ok);
    state.overlay = None;
    match clip {
        Ok(clip) => effects.push(Effect::Copy(clip)),
        Err(reason) => reply(
            state,
            Severity::Warning,
            format!("Nothing to copy: {reason}."),
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

/// Returns the raw record where it is what one looks at.
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
    let record = state.raw()?.response.as_ref().ok()?.as_ref()?;
    Some(CopyPayload::text("the raw record", record.to_text()))
}

/// Says which way a text went, on the screen of links as well; where no program took it, the
/// terminal is asked.
pub(super) fn copied(
    state: &mut State,
    what: &str,
    text: String,
    result: Result<String, String>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let (tone, text) = match result {
        Ok(program) => (Severity::Info, format!("Copied {what} with {program}.")),
        Err(reason) if text.len() > MAX_TERMINAL_LEN => {
            let size = text.len() / 1000;
            let text = format!(
                "Not copied: {reason}, and {size} kB are too much for a terminal's clipboard."
            );
            (Severity::Error, text)
        }
        Err(_) => {
            effects.push(Effect::Terminal(TerminalRequest::Copy(text)));
            let text =
                format!("Sent {what} to the terminal (OSC 52); not every terminal takes it.");
            (Severity::Info, text)
        }
    };
    if let Some(Overlay::Link(links)) = &mut state.overlay {
        links.copied = Some(CleanText::line(&text, usize::MAX).to_string());
    }
    reply(state, tone, text, now);
}
