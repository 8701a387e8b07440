//! Copying text to the clipboard, by a program or through the terminal.

use super::{
    context::Context,
    messages::{self, reply},
};
use crate::{
    app::{
        copy_payload::{CopyKind, CopyPayload},
        keymap::{Action, KeyContext},
        msg::{Effect, TerminalRequest},
        state::{DetailPage, MainScreen, Menu, MenuChoice, MenuItem, Overlay, Severity, State},
    },
    domain::{text::CleanText, watched_task::WatchedTask},
    messages::message_line,
};

/// The longest text that a terminal is asked to copy, in bytes. xterm accepts at most 75,000
/// characters of base64, and a terminal does not report its limit.
const MAX_TERMINAL_LEN: usize = 56_000;

/// Opens the menu: each kind of text with its key, or with the reason why there is none.
pub(super) fn open_menu(cx: &mut Context) {
    let targets = cx.state.targets();
    if targets.is_empty() {
        return reply(cx, Severity::Info, message_line::NO_TASK_TO_COPY);
    }
    let item = |kind| {
        let payload = CopyPayload::from_tasks(kind, &targets);
        let key = cx.state.keymap().hint(Action::Copy(kind), KeyContext::Copy);
        MenuItem {
            keys: key.map(|(chord, _)| chord).into_iter().collect(),
            is_available: payload.is_ok(),
            ..MenuItem::new(
                MenuChoice::Copy(kind),
                payload.map_or_else(str::to_owned, |payload| payload.name),
            )
        }
    };
    let items = CopyKind::ALL.map(item).into();
    let menu = Menu {
        title: "Copy".to_owned(),
        note: Some(messages::of_several_tasks(targets.len())),
        accept_word: "copy",
        tasks: cx.state.target_ids(),
        is_numbered: false,
        min_width: 52,
        key_width: 1,
        ..Menu::numbered(KeyContext::Copy, items)
    };
    cx.state.overlay = Some(Overlay::Menu(Box::new(menu)));
}

/// Copies from the tasks of the menu, else from the target tasks, and closes the menu.
pub(super) fn copy(cx: &mut Context, kind: CopyKind) {
    let payload = shown_raw_response(cx.state, kind)
        .map_or_else(|| CopyPayload::from_tasks(kind, &targets(cx.state)), Ok);
    cx.state.overlay = None;
    match payload {
        Ok(payload) => cx.effects.push(Effect::Copy(payload)),
        Err(reason) => reply(cx, Severity::Warning, message_line::nothing_to_copy(reason)),
    }
}

fn targets(state: &State) -> Vec<&WatchedTask> {
    match &state.overlay {
        Some(Overlay::Menu(menu)) if menu.context == KeyContext::Copy => {
            let tasks = menu.tasks.iter();
            tasks.filter_map(|id| state.list.get(id)).collect()
        }
        _ => state.targets(),
    }
}

/// Returns the raw response if its page is on the screen.
fn shown_raw_response(state: &State, kind: CopyKind) -> Option<CopyPayload> {
    let is_shown = matches!(
        state.nav.screen,
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
pub(super) fn copied(cx: &mut Context, name: &str, text: String, result: Result<String, String>) {
    let (severity, text) = match result {
        Ok(program) => (Severity::Info, message_line::copied(name, &program)),
        Err(reason) if text.len() > MAX_TERMINAL_LEN => {
            let size = text.len() / 1000;
            let text = message_line::too_large_to_copy(&reason, size);
            (Severity::Error, text)
        }
        Err(_) => {
            cx.effects
                .push(Effect::Terminal(TerminalRequest::Copy(text)));
            (Severity::Info, message_line::copied_to_terminal(name))
        }
    };
    if let Some(Overlay::Link(links)) = &mut cx.state.overlay {
        links.copied = Some(CleanText::line(&text, usize::MAX).to_string());
    }
    reply(cx, severity, text);
}
