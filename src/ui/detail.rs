//! The selected task: beside the list, below it, in two lines, or on the whole screen.

mod advice;
mod brief;
mod info;
mod journal;
mod picture;
mod record;
mod saved;
mod sheet;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    areas::Breadth,
    pen::{Head, Pen, cells, inside},
    scene::{Drawn, Scene},
};
use crate::app::{
    keymap::{Action, Context},
    pointer::Spot,
    state::DetailPage,
};

/// How much of the prompt and of the journal the side shows; the first pair that fits is taken.
const SIDE_SHARES: [(usize, usize); 6] = [(12, 8), (8, 6), (6, 4), (4, 2), (2, 0), (1, 0)];

/// Draws the detail beside the list, and says where its pictures go.
pub(super) fn draw_side(buffer: &mut Buffer, scene: &Scene<'_>) -> Drawn {
    let area = scene.areas.detail;
    let hint = enter_hint(scene);
    let head = Head {
        title: "Detail",
        right: if scene.state.selected().is_some() {
            &hint
        } else {
            ""
        },
        ..Head::default()
    };
    Pen::new(buffer, area).frame(&head, scene.theme);
    let Some(watched) = scene.state.selected() else {
        return Drawn::default();
    };
    let (text, drawn) = picture::draw(buffer, inside(area), scene);
    let mut pen = Pen::new(buffer, text);
    let (width, height) = (pen.width(), usize::from(pen.height()));
    let mut lines = Vec::new();
    for (prompt, journal) in SIDE_SHARES {
        lines = info::side(watched, scene, width, prompt, journal);
        if lines.len() <= height {
            break;
        }
    }
    draw_lines(&mut pen, &lines);
    drawn
}

/// Draws the detail below the list.
pub(super) fn draw_below(buffer: &mut Buffer, scene: &Scene<'_>) {
    let (title_area, area) = split_top(scene.areas.detail);
    let hint = enter_hint(scene);
    let mut title = "Detail".to_owned();
    if let Some(watched) = scene.state.selected() {
        let room = usize::from(title_area.width.saturating_sub(40));
        let id = super::format::short_id(watched.id().as_str(), room, scene.ellipsis());
        title = format!("Detail  {id}");
    }
    let head = Head {
        title: &title,
        right: &hint,
        ..Head::default()
    };
    Pen::new(buffer, title_area).rule(0, 0, &head, scene.theme);
    if let Some(watched) = scene.state.selected() {
        let mut pen = Pen::new(buffer, area);
        let lines = brief::below(watched, scene, pen.width(), usize::from(pen.height()));
        draw_lines(&mut pen, &lines);
    }
}

/// Draws the detail in a few lines below the list.
pub(super) fn draw_compact(buffer: &mut Buffer, scene: &Scene<'_>) {
    let (title_area, area) = split_top(scene.areas.detail);
    Pen::new(buffer, title_area).rule(0, 0, &Head::default(), scene.theme);
    if let Some(watched) = scene.state.selected() {
        let mut pen = Pen::new(buffer, area);
        let lines = brief::compact(watched, scene, pen.width());
        draw_lines(&mut pen, &lines);
    }
}

/// Draws one page of the detail on the whole body, from line `scroll` on, and says how far it can be scrolled.
pub(super) fn draw_full(
    buffer: &mut Buffer,
    scene: &Scene<'_>,
    page: DetailPage,
    scroll: u16,
) -> Drawn {
    let area = scene.areas.body;
    let is_boxed = scene.areas.breadth >= Breadth::Middle;
    let inner = if is_boxed {
        inside(area)
    } else {
        split_top(area).1
    };
    let (inner, drawn) = match page {
        DetailPage::Info => picture::draw(buffer, inner, scene),
        DetailPage::Time | DetailPage::Json => (inner, Drawn::default()),
    };
    let sheet = Sheet::of(scene, page, inner.width);
    let count = u16::try_from(sheet.count()).unwrap_or(u16::MAX);
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
        if super::pen::cells(&lines) + 16 <= area.width {
            lines
        } else {
            pages
        }
    };
    let head = Head {
        title: "Detail",
        right: &right,
        focus: scene.focus(),
    };
    scene.mark(area, || Spot::Text);
    let mut pen = Pen::new(buffer, area);
    let right = if is_boxed {
        pen.frame(&head, scene.theme)
    } else {
        pen.rule(0, 0, &head, scene.theme)
    };
    mark_pages(right, page, scene);
    if scene.areas.rule.height > 0 && !is_boxed {
        Pen::new(buffer, scene.areas.rule).rule(0, 0, &Head::default(), scene.theme);
    }
    let mut pen = Pen::new(buffer, inner);
    let seen = sheet.seen(usize::from(scroll), usize::from(inner.height), scene);
    draw_lines(&mut pen, &seen);
    Drawn {
        most_scroll,
        ..drawn
    }
}

/// Says where the names of the pages are, at the end of the text in the border.
fn mark_pages(right: Rect, shown: DetailPage, scene: &Scene<'_>) {
    let mut end = right.right();
    for page in DetailPage::ALL.into_iter().rev() {
        let width = cells(page.name()) + if page == shown { 2 } else { 0 };
        let start = end.saturating_sub(width).max(right.left());
        let place = Rect {
            x: start,
            width: end - start,
            ..right
        };
        scene.mark(place, || Spot::Page(page));
        end = start.saturating_sub(1).max(right.left());
    }
}

/// Is a page of the whole screen: lines that are all built, and behind them a record of which only what is seen is.
struct Sheet<'a> {
    lines: Vec<Line<'a>>,
    record: Option<record::Page<'a>>,
}

impl<'a> Sheet<'a> {
    fn of(scene: &Scene<'a>, page: DetailPage, width: u16) -> Self {
        let Some(watched) = scene.state.selected() else {
            return Self {
                lines: Vec::new(),
                record: None,
            };
        };
        let (lines, record) = match page {
            DetailPage::Info => (info::full(watched, scene, width), None),
            DetailPage::Time => (journal::full(watched, scene, width), None),
            DetailPage::Json => {
                let record = scene
                    .state
                    .raw()
                    .and_then(|raw| raw.record.as_ref().ok()?.as_deref());
                let page = record.map(|record| record::Page::new(record, width));
                (record::head(watched, scene, width), page)
            }
        };
        Self { lines, record }
    }

    fn count(&self) -> usize {
        self.lines.len() + self.record.as_ref().map_or(0, record::Page::count)
    }

    fn seen(self, first: usize, most: usize, scene: &Scene<'_>) -> Vec<Line<'a>> {
        let above = self.lines.len();
        let mut seen: Vec<_> = self.lines.into_iter().skip(first).take(most).collect();
        if let Some(record) = self.record {
            let wanted = most - seen.len();
            seen.extend(record.seen(first.saturating_sub(above), wanted, scene));
        }
        seen
    }
}

fn draw_lines(pen: &mut Pen<'_>, lines: &[Line<'_>]) {
    for (y, line) in (0..pen.height()).zip(lines) {
        pen.line(0, y, line);
    }
}

/// Returns "Enter full screen", with the key as it is bound.
fn enter_hint(scene: &Scene<'_>) -> String {
    scene
        .state
        .keymap()
        .hint(Action::Detail, Context::List)
        .map_or_else(String::new, |(key, _)| {
            format!("{} full screen", scene.theme.key(key))
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
