//! The table of watched tasks.
//!
//! Builds the rows that are seen, no others.

pub(super) mod row;

use ratatui::buffer::Buffer;

use self::row::Columns;
use super::{
    areas::Breadth,
    pen::{Head, Pen},
    scene::Scene,
    theme::Role,
};
use crate::{
    app::{keymap::Action, pointer::Spot, state::Loading},
    domain::{fuzzy::Searcher, query},
};

/// Draws the table.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>) {
    let areas = &scene.areas;
    if areas.is_boxed {
        let right = scene.seen();
        let head = Head {
            title: "Watched tasks",
            right: &right,
            focus: scene.focus(),
        };
        Pen::new(buffer, areas.list).frame(&head, scene.theme);
    }
    scene.mark(areas.list, || Spot::List);
    let columns = Columns::of(areas.breadth, areas.rows.width);
    columns.draw_heads(&mut Pen::new(buffer, areas.heads), scene);
    let mut pen = Pen::new(buffer, areas.rows);
    if scene.state.shown().is_empty() && *scene.state.loading() == Loading::Done {
        let lead = if areas.breadth == Breadth::Tiny { 1 } else { 4 };
        let text = nothing(scene);
        pen.text(lead, 0, &text, scene.style(Role::Muted));
        return;
    }
    let rows = usize::from(areas.rows.height);
    let mut searcher = Searcher::default();
    for (y, watched) in (0..areas.rows.height).zip(scene.state.visible(rows)) {
        scene.mark(pen.row(y), || Spot::Task(watched.id().clone()));
        columns.draw_row(&mut pen, y, watched, scene, &mut searcher);
    }
}

/// Says why no row is seen, and what shows some.
fn nothing(scene: &Scene<'_>) -> String {
    let tab = scene.state.tab();
    if !scene.is_filtered() {
        return format!("No task under {}.", tab.name());
    }
    let on_tab = query::count(tab, scene.state.list(), scene.now);
    let all = scene.state.list().len();
    let key = scene.key(Action::Back);
    if on_tab < all {
        let tab = tab.name();
        match on_tab {
            0 => format!("No task under {tab}; {key} clears the filter."),
            1 => format!("The one task under {tab} does not pass the filter; {key} clears it."),
            _ => format!(
                "None of the {on_tab} tasks under {tab} passes the filter; {key} clears it."
            ),
        }
    } else if all == 1 {
        format!("The one task does not pass the filter; {key} clears it.")
    } else {
        format!("None of {all} tasks passes the filter; {key} clears it.")
    }
}
