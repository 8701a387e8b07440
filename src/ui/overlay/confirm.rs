//! The confirmation before an action on several tasks.

use ratatui::buffer::Buffer;

use super::dialog::{centred_area, draw_hints, framed_height, key_hints, open_dialog};
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

/// Draws the question with the titles of the first affected tasks.
pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, confirm: &Confirm) {
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
    let note_line = (!note.is_empty()).then_some((1, note, Role::Warn));
    let titles = task_titles(ctx, &tasks).into_iter();
    let lines: Vec<_> = note_line
        .into_iter()
        .chain(titles.map(|title| (2, title, Role::Text)))
        .collect();
    let area = centred_area(ctx, WIDTH, framed_height(lines.len() + 2));
    let mut painter = open_dialog(buffer, ctx, area, &question, "");
    let room = usize::from(painter.width().saturating_sub(3));
    let last = painter.height().saturating_sub(1);
    for (y, (x, text, role)) in (0..last).zip(lines) {
        let text = format::fit_end(&text, room, ctx.ellipsis());
        painter.text(x, y, &text, ctx.style(role));
    }
    let accept = format!("yes, {verb} {}", tasks.len());
    let hints = key_hints(ctx, &[(Action::Accept, &accept), (Action::Back, "")]);
    draw_hints(&mut painter, last, hints, ctx);
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
