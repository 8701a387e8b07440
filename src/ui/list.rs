//! The table of watched tasks, with the detail and the statistics beside it where they fit.
//!
//! Builds the rows that are seen, no others.

pub(super) mod row;

use ratatui::buffer::Buffer;

use self::row::Columns;
use super::{
    Drawn, Scene,
    areas::{Breadth, DetailForm},
    detail, empty, header,
    pen::{Head, Pen},
    stats,
    theme::Role,
};
use crate::{
    app::{keymap::Action, pointer::Spot, state::Loading},
    domain::{fuzzy::Searcher, query},
};

/// Draws everything between tabs and footer.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>) -> Drawn {
    let areas = &scene.areas;
    if areas.rule.height > 0 {
        let mut pen = Pen::new(buffer, areas.rule);
        pen.rule(0, 0, &Head::default(), scene.theme);
    }
    if scene.state.list().is_empty() {
        empty::draw(buffer, scene);
        return Drawn::default();
    }
    draw_table(buffer, scene);
    let mut drawn = Drawn::default();
    match areas.detail_form {
        DetailForm::None => {}
        DetailForm::Compact => detail::draw_compact(buffer, scene),
        DetailForm::Below => detail::draw_below(buffer, scene),
        DetailForm::Side => drawn = detail::draw_side(buffer, scene),
    }
    stats::draw(buffer, scene);
    drawn
}

fn draw_table(buffer: &mut Buffer, scene: &Scene<'_>) {
    let areas = &scene.areas;
    if areas.is_boxed {
        // Where the banner takes the place of the filter in force, the box says it.
        let title = if header::is_filtered(scene) && header::banner(scene).is_some() {
            format!("Watched tasks, filter: {}", scene.state.lens().query)
        } else {
            "Watched tasks".to_owned()
        };
        let right = seen(scene);
        let head = Head {
            title: &title,
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
    if scene.state.lens().query.is_empty() {
        return format!("No task under {}.", tab.name());
    }
    let on_tab = query::count(tab, scene.state.list(), scene.now);
    let all = scene.state.list().len();
    let key = scene.key(Action::Back);
    if on_tab < all {
        format!(
            "None of the {on_tab} tasks under {} passes the filter; {key} clears it.",
            tab.name()
        )
    } else {
        format!("None of {all} tasks passes the filter; {key} clears it.")
    }
}

/// Returns which rows are seen: "1-11 of 11".
pub(super) fn seen(scene: &Scene<'_>) -> String {
    let count = scene.state.shown().len();
    if count == 0 {
        return "none".to_owned();
    }
    let top = scene.state.top().min(count - 1);
    let bottom = (top + usize::from(scene.areas.rows.height)).min(count);
    format!("{}-{bottom} of {count}", top + 1)
}
