//! The table of watched tasks; only visible rows are built.

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
    messages::screen,
};

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    let areas = &ctx.layout;
    if areas.is_boxed {
        let right = ctx.visible_range();
        let frame_title = FrameTitle {
            title: "Watched tasks",
            right: &right,
            focus: ctx.focus(),
        };
        Painter::new(buffer, areas.list).frame(&frame_title, ctx.theme);
    }
    ctx.register(areas.list, || HitTarget::List);
    let columns = ListColumns::new(areas.width_class);
    columns.draw_heads(&mut Painter::new(buffer, areas.column_heads), ctx);
    let mut painter = Painter::new(buffer, areas.rows);
    if ctx.state.shown().is_empty() && *ctx.state.loading() == ListLoading::Done {
        let lead = if areas.width_class == WidthClass::Minimal {
            1
        } else {
            4
        };
        let text = empty_text(ctx);
        painter.text(lead, 0, &text, ctx.style(Role::Muted));
        return;
    }
    let rows = usize::from(areas.rows.height);
    let mut searcher = Searcher::default();
    for (y, watched) in (0..areas.rows.height).zip(ctx.state.visible(rows)) {
        ctx.register(painter.row_area(y), || {
            HitTarget::Task(watched.id().clone())
        });
        columns.draw_row(&mut painter, y, watched, ctx, &mut searcher);
    }
}

/// Explains why no row is visible, and how to see some.
fn empty_text(ctx: &RenderContext<'_>) -> String {
    let tab = ctx.state.tab();
    if !ctx.is_filtered() {
        return screen::no_tasks_in(tab);
    }
    let on_tab = query::tab_count(tab, ctx.state.list(), ctx.now);
    let all = ctx.state.list().len();
    let key = ctx.key_name(Action::Back);
    if on_tab < all {
        screen::no_match(on_tab, Some(tab), &key)
    } else {
        screen::no_match(all, None, &key)
    }
}
