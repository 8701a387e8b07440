//! The selected task: beside the list, below it, in two lines, or on the whole screen.

mod advice;
mod compact;
mod field_list;
mod info;
mod journal;
mod preview;
mod raw_response;
mod saved_files;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    layout::WidthClass,
    painter::{FrameTitle, Painter, cell_count, inner_area},
    render_context::{DrawResult, RenderContext},
};
use crate::app::{
    keymap::{Action, KeyContext},
    mouse::HitTarget,
    state::DetailPage,
};

/// How much of the prompt and of the journal the side shows; the first pair that fits is taken.
const SIDE_LINE_LIMITS: [(usize, usize); 6] = [(12, 8), (8, 6), (6, 4), (4, 2), (2, 0), (1, 0)];

/// Draws the detail beside the list, and says where its pictures go.
pub(super) fn draw_side(buffer: &mut Buffer, scene: &RenderContext<'_>) -> DrawResult {
    let area = scene.layout.detail;
    let hint = enter_hint(scene);
    let head = FrameTitle {
        title: "Detail",
        right: if scene.state.selected().is_some() {
            &hint
        } else {
            ""
        },
        ..FrameTitle::default()
    };
    Painter::new(buffer, area).frame(&head, scene.theme);
    let Some(watched) = scene.state.selected() else {
        return DrawResult::default();
    };
    let (text, drawn) = preview::draw(buffer, inner_area(area), scene);
    let mut pen = Painter::new(buffer, text);
    let (width, height) = (pen.width(), usize::from(pen.height()));
    let mut lines = Vec::new();
    for (prompt, journal) in SIDE_LINE_LIMITS {
        lines = info::side_lines(watched, scene, width, prompt, journal);
        if lines.len() <= height {
            break;
        }
    }
    draw_lines(&mut pen, &lines);
    drawn
}

/// Draws the detail below the list.
pub(super) fn draw_below(buffer: &mut Buffer, scene: &RenderContext<'_>) {
    let (title_area, area) = split_top(scene.layout.detail);
    let hint = enter_hint(scene);
    let mut title = "Detail".to_owned();
    if let Some(watched) = scene.state.selected() {
        let room = usize::from(title_area.width.saturating_sub(40));
        let id = super::format::short_id(watched.id().as_str(), room, scene.ellipsis());
        title = format!("Detail  {id}");
    }
    let head = FrameTitle {
        title: &title,
        right: &hint,
        ..FrameTitle::default()
    };
    Painter::new(buffer, title_area).rule(0, 0, &head, scene.theme);
    if let Some(watched) = scene.state.selected() {
        let mut pen = Painter::new(buffer, area);
        let lines = compact::below_lines(watched, scene, pen.width(), usize::from(pen.height()));
        draw_lines(&mut pen, &lines);
    }
}

/// Draws the detail in a few lines below the list.
pub(super) fn draw_compact(buffer: &mut Buffer, scene: &RenderContext<'_>) {
    let (title_area, area) = split_top(scene.layout.detail);
    Painter::new(buffer, title_area).rule(0, 0, &FrameTitle::default(), scene.theme);
    if let Some(watched) = scene.state.selected() {
        let mut pen = Painter::new(buffer, area);
        let lines = compact::compact_lines(watched, scene, pen.width());
        draw_lines(&mut pen, &lines);
    }
}

/// Draws one page of the detail on the whole body, from line `scroll` on, and says how far it can
/// be scrolled.
pub(super) fn draw_full(
    buffer: &mut Buffer,
    scene: &RenderContext<'_>,
    page: DetailPage,
    scroll: u16,
) -> DrawResult {
    let area = scene.layout.body;
    let is_boxed = scene.layout.width_class >= WidthClass::Medium;
    let inner = if is_boxed {
        inner_area(area)
    } else {
        split_top(area).1
    };
    let (inner, drawn) = match page {
        DetailPage::Info => preview::draw(buffer, inner, scene),
        DetailPage::Journal | DetailPage::Json => (inner, DrawResult::default()),
    };
    let sheet = PageLines::new(scene, page, inner.width);
    let count = u16::try_from(sheet.line_count()).unwrap_or(u16::MAX);
    let most_scroll = count.saturating_sub(inner.height);
    let scroll = scroll.min(most_scroll);
    let pages = DetailPage::ALL
        .map(|each| {
            if each == page {
                format!("[{}]", each.name())
            } else {
                each.name().to_owned()
            }
        })
        .join(" ");
    let right = if most_scroll == 0 {
        pages
    } else {
        let bottom = scroll.saturating_add(inner.height).min(count);
        let lines = format!("lines {}-{bottom} of {count}  {pages}", scroll + 1);
        if super::painter::cell_count(&lines) + 16 <= area.width {
            lines
        } else {
            pages
        }
    };
    let head = FrameTitle {
        title: "Detail",
        right: &right,
        focus: scene.focus(),
    };
    scene.register(area, || HitTarget::Text);
    let mut pen = Painter::new(buffer, area);
    let right = if is_boxed {
        pen.frame(&head, scene.theme)
    } else {
        pen.rule(0, 0, &head, scene.theme)
    };
    register_pages(right, page, scene);
    if scene.layout.rule.height > 0 && !is_boxed {
        Painter::new(buffer, scene.layout.rule).rule(0, 0, &FrameTitle::default(), scene.theme);
    }
    let mut pen = Painter::new(buffer, inner);
    let seen = sheet.visible_lines(usize::from(scroll), usize::from(inner.height), scene);
    draw_lines(&mut pen, &seen);
    DrawResult {
        max_scroll: most_scroll,
        ..drawn
    }
}

/// Says where the names of the pages are, at the end of the text in the border.
fn register_pages(right: Rect, shown: DetailPage, scene: &RenderContext<'_>) {
    let mut end = right.right();
    for page in DetailPage::ALL.into_iter().rev() {
        let width = cell_count(page.name()) + if page == shown { 2 } else { 0 };
        let start = end.saturating_sub(width).max(right.left());
        let place = Rect {
            x: start,
            width: end - start,
            ..right
        };
        scene.register(place, || HitTarget::Page(page));
        end = start.saturating_sub(1).max(right.left());
    }
}

/// A page of the whole screen: lines that are all built, and behind them a record of which only
/// what is seen is.
struct PageLines<'a> {
    lines: Vec<Line<'a>>,
    record: Option<raw_response::RawResponsePage<'a>>,
}

impl<'a> PageLines<'a> {
    fn new(scene: &RenderContext<'a>, page: DetailPage, width: u16) -> Self {
        let Some(watched) = scene.state.selected() else {
            return Self {
                lines: Vec::new(),
                record: None,
            };
        };
        let (lines, record) = match page {
            DetailPage::Info => (info::page_lines(watched, scene, width), None),
            DetailPage::Journal => (journal::page_lines(watched, scene, width), None),
            DetailPage::Json => {
                let record = scene
                    .state
                    .raw()
                    .and_then(|raw| raw.response.as_ref().ok()?.as_deref());
                let page = record.map(|record| raw_response::RawResponsePage::new(record, width));
                (raw_response::header_lines(watched, scene, width), page)
            }
        };
        Self { lines, record }
    }

    fn line_count(&self) -> usize {
        self.lines.len()
            + self
                .record
                .as_ref()
                .map_or(0, raw_response::RawResponsePage::row_count)
    }

    fn visible_lines(self, first: usize, most: usize, scene: &RenderContext<'_>) -> Vec<Line<'a>> {
        let above = self.lines.len();
        let mut seen: Vec<_> = self.lines.into_iter().skip(first).take(most).collect();
        if let Some(record) = self.record {
            let wanted = most - seen.len();
            seen.extend(record.visible_rows(first.saturating_sub(above), wanted, scene));
        }
        seen
    }
}

fn draw_lines(pen: &mut Painter<'_>, lines: &[Line<'_>]) {
    for (y, line) in (0..pen.height()).zip(lines) {
        pen.line(0, y, line);
    }
}

/// Returns "Enter full screen", with the key as it is bound.
fn enter_hint(scene: &RenderContext<'_>) -> String {
    scene
        .state
        .keymap()
        .hint(Action::Detail, KeyContext::List)
        .map_or_else(String::new, |(key, _)| {
            format!("{} full screen", scene.theme.key_name(key))
        })
}

/// Cuts the first row off.
fn split_top(area: Rect) -> (Rect, Rect) {
    let first = area.height.min(1);
    let top = Rect {
        height: first,
        ..area
    };
    let rest = Rect {
        y: area.y + first,
        height: area.height - first,
        ..area
    };
    (top, rest)
}
