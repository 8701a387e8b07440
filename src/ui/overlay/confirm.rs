//! The confirmation before an action on several tasks.

use ratatui::buffer::Buffer;

use super::{centred_area, draw_hints, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        state::Confirm,
    },
    domain::task::TaskId,
    messages::{format, screen},
    ui::{footer::KeyHint, render_context::RenderContext, theme::Role},
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
    let named = task_titles(ctx, &tasks);
    let content_height = 2 + named.len() + usize::from(!note.is_empty()) + 2;
    let height = u16::try_from(content_height).unwrap_or(u16::MAX);
    let area = centred_area(ctx, WIDTH, height);
    let mut painter = open_dialog(buffer, ctx, area, &question, "");
    let room = usize::from(painter.width().saturating_sub(3));
    let last = painter.height().saturating_sub(1);
    let mut y = 0;
    if !note.is_empty() && y < last {
        let note = format::fit_end(&note, room, ctx.ellipsis());
        painter.text(1, y, &note, ctx.style(Role::Warn));
        y += 1;
    }
    for name in named {
        if y >= last {
            break;
        }
        let name = format::fit_end(&name, room, ctx.ellipsis());
        painter.text(2, y, &name, ctx.style(Role::Text));
        y += 1;
    }
    let hint = |action| KeyHint::for_action(action, KeyContext::Confirm, ctx);
    let hints = vec![
        hint(Action::Accept).map(|hint| hint.with_word(format!("yes, {verb} {}", tasks.len()))),
        hint(Action::Back),
    ];
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
