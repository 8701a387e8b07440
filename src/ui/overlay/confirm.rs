//! The confirmation before an action on several tasks.

use ratatui::text::Line;

use super::{
    dialog::{available_area, key_hints},
    text::TextContent,
};
use crate::{
    app::{keymap::Action, state::Confirm},
    domain::task::TaskId,
    messages::{format, screen},
    ui::{render_context::RenderContext, theme::Role},
};

/// The width, borders included.
const WIDTH: u16 = 61;

/// The maximum number of listed tasks.
const MAX_NAMED: usize = 5;

/// Returns the question with the titles of the first affected tasks.
pub(super) fn content(ctx: &RenderContext<'_>, confirm: &Confirm) -> TextContent {
    let (question, note, verb, tasks) = match confirm {
        Confirm::Remove { tasks, hidden } => (
            screen::confirm_remove(tasks.len()),
            screen::hidden_targets(*hidden, tasks.len()),
            "remove",
            tasks.iter().collect::<Vec<_>>(),
        ),
        Confirm::QuitUnsaved { tasks } => {
            let key = ctx.key_name(Action::RestoreListFile);
            (
                screen::CONFIRM_QUIT.to_owned(),
                screen::list_file_restorable(&key),
                "discard",
                tasks.iter().collect(),
            )
        }
        Confirm::Open { videos, kind } => (
            format!("Open {} {} videos?", videos.len(), kind.name()),
            String::new(),
            "open",
            videos.iter().map(|(task, _)| task).collect(),
        ),
    };
    let room = usize::from(WIDTH.min(available_area(ctx).width).saturating_sub(5));
    let line = |lead: &str, text: &str, role| {
        let text = format::fit_end(text, room, ctx.ellipsis());
        Line::styled(format!("{lead}{text}"), ctx.style(role))
    };
    let note = (!note.is_empty()).then(|| line("", &note, Role::Warn));
    let titles = task_titles(ctx, &tasks).into_iter();
    let titles = titles.map(|title| line(" ", &title, Role::Text));
    let accept = format!("yes, {verb} {}", tasks.len());
    TextContent {
        title: question,
        width: WIDTH,
        lines: note.into_iter().chain(titles).collect(),
        hints: key_hints(ctx, &[(Action::Accept, &accept), (Action::Back, "")]),
    }
}

/// Returns the titles of the first tasks and the number of further ones.
fn task_titles(ctx: &RenderContext<'_>, tasks: &[&TaskId]) -> Vec<String> {
    let mut names: Vec<_> = tasks
        .iter()
        .take(MAX_NAMED)
        .filter_map(|id| ctx.state.list().get(id))
        .map(|watched| watched.title().to_owned())
        .collect();
    if tasks.len() > MAX_NAMED {
        names.push(format!("and {} more", tasks.len() - MAX_NAMED));
    }
    names
}
