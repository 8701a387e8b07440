//! A question before an act for many tasks.

use ratatui::buffer::Buffer;

use super::{draw_hints, open, place};
use crate::{
    app::{
        keymap::{Action, Context},
        state::Confirm,
    },
    domain::task::TaskId,
    ui::{footer::Hint, format, scene::Scene, theme::Role},
};

/// The width of the box, borders included.
const WIDTH: u16 = 61;

/// How many tasks are named.
const MOST_NAMED: usize = 5;

/// Draws the question, with the names of the first tasks it is about.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>, confirm: &Confirm) {
    let (question, note, verb, tasks) = match confirm {
        Confirm::Remove { tasks, hidden } => (
            match tasks.len() {
                1 => "Stop watching it?".to_owned(),
                tasks => format!("Stop watching {tasks} tasks?"),
            },
            match hidden {
                1 if tasks.len() == 1 => "It is not shown here.".to_owned(),
                0 => String::new(),
                1 => "One of them is not shown here.".to_owned(),
                hidden => format!("{hidden} of them are not shown here."),
            },
            "remove",
            tasks.iter().collect::<Vec<_>>(),
        ),
        Confirm::Leave { tasks } => {
            let key = scene.key(Action::WriteBack);
            (
                "Leave without a list file?".to_owned(),
                format!("It is gone. Press n, then {key} to write it back."),
                "lose",
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
    let named = names(scene, &tasks);
    let wanted = 2 + named.len() + usize::from(!note.is_empty()) + 2;
    let height = u16::try_from(wanted).unwrap_or(u16::MAX);
    let area = place(scene, WIDTH, height);
    let mut pen = open(buffer, scene, area, &question, "");
    let room = usize::from(pen.width().saturating_sub(3));
    let last = pen.height().saturating_sub(1);
    let mut y = 0;
    if !note.is_empty() && y < last {
        let note = format::fit_end(&note, room, scene.ellipsis());
        pen.text(1, y, &note, scene.style(Role::Warn));
        y += 1;
    }
    for name in named {
        if y >= last {
            break;
        }
        let name = format::fit_end(&name, room, scene.ellipsis());
        pen.text(2, y, &name, scene.style(Role::Text));
        y += 1;
    }
    let hint = |action| Hint::of(action, Context::Confirm, scene);
    let hints = vec![
        hint(Action::Accept).map(|hint| hint.saying(format!("yes, {verb} {}", tasks.len()))),
        hint(Action::Back),
    ];
    draw_hints(&mut pen, last, hints, scene);
}

/// Returns the titles of the first tasks, and how many more there are.
fn names(scene: &Scene<'_>, tasks: &[&TaskId]) -> Vec<String> {
    let mut names: Vec<_> = tasks
        .iter()
        .take(MOST_NAMED)
        .filter_map(|id| scene.state.list().get(id))
        .map(|watched| watched.title().to_owned())
        .collect();
    if tasks.len() > MOST_NAMED {
        names.push(format!("and {} more", tasks.len() - MOST_NAMED));
    }
    names
}
