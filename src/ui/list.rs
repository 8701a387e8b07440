//! The table of watched tasks.
//!
//! Builds the rows that are seen, no others.

pub(super) mod row;

use ratatui::buffer::Buffer;

use self::row::ListColumns;
use super::{
    layout::WidthClass,
    painter::{FrameTitle, Painter},
    render_context::RenderContext,
    theme::Role,
};
use crate::{
    app::{keymap::Action, mouse::HitTarget, state::ListLoading},
    domain::{fuzzy::Searcher, query},
};

/// Draws the table.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>) {
    let areas = &scene.layout;
    if areas.is_boxed {
        let right = scene.visible_range();
        let head = FrameTitle {
            title: "Watched tasks",
            right: &right,
            focus: scene.focus(),
        };
        Painter::new(buffer, areas.list).frame(&head, scene.theme);
    }
    scene.register(areas.list, || HitTarget::List);
    let columns = ListColumns::new(areas.width_class, areas.rows.width);
    columns.draw_heads(&mut Painter::new(buffer, areas.column_heads), scene);
    let mut pen = Painter::new(buffer, areas.rows);
    if scene.state.shown().is_empty() && *scene.state.loading() == ListLoading::Done {
        let lead = if areas.width_class == WidthClass::Minimal {
            1
        } else {
            4
        };
        let text = empty_text(scene);
        pen.text(lead, 0, &text, scene.style(Role::Muted));
        return;
    }
    let rows = usize::from(areas.rows.height);
    let mut searcher = Searcher::default();
    for (y, watched) in (0..areas.rows.height).zip(scene.state.visible(rows)) {
        scene.register(pen.row_area(y), || HitTarget::Task(watched.id().clone()));
        columns.draw_row(&mut pen, y, watched, scene, &mut searcher);
    }
}

/// Says why no row is seen, and what shows some.
fn empty_text(scene: &RenderContext<'_>) -> String {
    let tab = scene.state.tab();
    if !scene.is_filtered() {
        return format!("No task under {}.", tab.name());
    }
    let on_tab = query::tab_count(tab, scene.state.list(), scene.now);
    let all = scene.state.list().len();
    let key = scene.key_name(Action::Back);
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
