//! The details of the selected task: beside the list, below it, in a few lines, or full screen.

mod advice;
mod compact;
mod field_list;
mod info;
mod journal;
mod links;
mod preview;
mod raw_response;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    layout::{AreaSplitter, WidthClass},
    painter::{FrameTitle, Painter, cell_count, inner_area},
    render_context::{DrawResult, RenderContext},
};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::DetailPage,
    },
    messages::format,
};

/// The maximum lines of prompt and history in the side panel; the first pair that fits is used.
const SIDE_LINE_LIMITS: [(usize, usize); 6] = [(12, 8), (8, 6), (6, 4), (4, 2), (2, 0), (1, 0)];

/// Draws the details beside the list. The result holds the area of the previews.
pub(super) fn draw_side(buffer: &mut Buffer, ctx: &RenderContext<'_>) -> DrawResult {
    let area = ctx.layout.detail;
    let hint = enter_hint(ctx);
    let frame_title = FrameTitle {
        title: "Detail",
        right: if ctx.state.selected().is_some() {
            &hint
        } else {
            ""
        },
        ..FrameTitle::default()
    };
    Painter::new(buffer, area).frame(&frame_title, ctx.theme);
    let Some(watched) = ctx.state.selected() else {
        return DrawResult::default();
    };
    let (text_area, result) = preview::draw(buffer, inner_area(area), ctx);
    let mut painter = Painter::new(buffer, text_area);
    let (width, height) = (painter.width(), usize::from(painter.height()));
    let mut lines = Vec::new();
    for (prompt, journal) in SIDE_LINE_LIMITS {
        lines = info::side_lines(watched, ctx, width, prompt, journal);
        if lines.len() <= height {
            break;
        }
    }
    draw_lines(&mut painter, &lines);
    result
}

/// Draws the details below the list.
pub(super) fn draw_below(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    let mut area = AreaSplitter(ctx.layout.detail);
    let title_area = area.take_top(1);
    let hint = enter_hint(ctx);
    let mut title = "Detail".to_owned();
    if let Some(watched) = ctx.state.selected() {
        let room = usize::from(title_area.width.saturating_sub(40));
        let id = format::short_id(watched.id().as_str(), room, ctx.ellipsis());
        title = format!("Detail  {id}");
    }
    let frame_title = FrameTitle {
        title: &title,
        right: &hint,
        ..FrameTitle::default()
    };
    Painter::new(buffer, title_area).rule(0, &frame_title, ctx.theme);
    if let Some(watched) = ctx.state.selected() {
        let mut painter = Painter::new(buffer, area.0);
        let lines =
            compact::below_lines(watched, ctx, painter.width(), usize::from(painter.height()));
        draw_lines(&mut painter, &lines);
    }
}

/// Draws the details in a few lines below the list.
pub(super) fn draw_compact(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    let mut area = AreaSplitter(ctx.layout.detail);
    let title_area = area.take_top(1);
    Painter::new(buffer, title_area).rule(0, &FrameTitle::default(), ctx.theme);
    if let Some(watched) = ctx.state.selected() {
        let mut painter = Painter::new(buffer, area.0);
        let lines = compact::compact_lines(watched, ctx, painter.width());
        draw_lines(&mut painter, &lines);
    }
}

/// Draws one page of the details over the whole body, from line `scroll` on.
pub(super) fn draw_full(
    buffer: &mut Buffer,
    ctx: &RenderContext<'_>,
    page: DetailPage,
    scroll: u16,
) -> DrawResult {
    let area = ctx.layout.body;
    let is_boxed = ctx.layout.width_class >= WidthClass::Medium;
    let inner = if is_boxed {
        inner_area(area)
    } else {
        let mut inner = AreaSplitter(area);
        inner.take_top(1);
        inner.0
    };
    let (inner, result) = match page {
        DetailPage::Info => preview::draw(buffer, inner, ctx),
        DetailPage::Journal | DetailPage::Json => (inner, DrawResult::default()),
    };
    let lines = match (ctx.state.selected(), page) {
        (None, _) => Vec::new(),
        (Some(watched), DetailPage::Info) => info::page_lines(watched, ctx, inner.width),
        (Some(watched), DetailPage::Journal) => journal::page_lines(watched, ctx, inner.width),
        (Some(watched), DetailPage::Json) => raw_response::page_lines(watched, ctx, inner.width),
    };
    let count = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let max_scroll = count.saturating_sub(inner.height);
    let scroll = scroll.min(max_scroll);
    let pages = DetailPage::ALL
        .map(|each| {
            if each == page {
                format!("[{}]", each.name())
            } else {
                each.name().to_owned()
            }
        })
        .join(" ");
    let right = if max_scroll == 0 {
        pages
    } else {
        let bottom = scroll.saturating_add(inner.height).min(count);
        let range = format!("lines {}-{bottom} of {count}  {pages}", scroll + 1);
        if cell_count(&range) + 16 <= area.width {
            range
        } else {
            pages
        }
    };
    let frame_title = FrameTitle {
        title: "Detail",
        right: &right,
        focus: ctx.focus(),
    };
    ctx.register(area, || HitTarget::Text);
    let mut painter = Painter::new(buffer, area);
    let right = if is_boxed {
        painter.frame(&frame_title, ctx.theme)
    } else {
        painter.rule(0, &frame_title, ctx.theme)
    };
    register_pages(right, page, ctx);
    if ctx.layout.rule.height > 0 && !is_boxed {
        Painter::new(buffer, ctx.layout.rule).rule(0, &FrameTitle::default(), ctx.theme);
    }
    let mut painter = Painter::new(buffer, inner);
    draw_lines(
        &mut painter,
        lines.get(usize::from(scroll)..).unwrap_or_default(),
    );
    DrawResult {
        max_scroll,
        ..result
    }
}

/// Registers the page names at the end of the border text as mouse targets.
fn register_pages(right: Rect, shown: DetailPage, ctx: &RenderContext<'_>) {
    let mut end = right.right();
    for page in DetailPage::ALL.into_iter().rev() {
        let width = cell_count(page.name()) + if page == shown { 2 } else { 0 };
        let start = end.saturating_sub(width).max(right.left());
        let area = Rect {
            x: start,
            width: end - start,
            ..right
        };
        ctx.register(area, || HitTarget::Page(page));
        end = start.saturating_sub(1).max(right.left());
    }
}

fn draw_lines(painter: &mut Painter<'_>, lines: &[Line<'_>]) {
    for (y, line) in (0..painter.height()).zip(lines) {
        painter.line(0, y, line);
    }
}

/// Returns "Enter full screen", with the current key binding.
fn enter_hint(ctx: &RenderContext<'_>) -> String {
    ctx.state
        .keymap()
        .hint(Action::Detail, KeyContext::List)
        .map_or_else(String::new, |(key, _)| {
            format!("{} full screen", ctx.theme.key_name(key))
        })
}
