//! The two top lines: who this is, how many tasks are how far, when the next poll is; the tabs, and
//! the banner.

use std::borrow::Cow;

use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use super::{
    banner::{Banner, banner},
    format,
    layout::WidthClass,
    painter::{Painter, cell_count},
    render_context::RenderContext,
    theme::Role,
};
use crate::{
    app::{
        mouse::HitTarget,
        state::{ListLoading, MainScreen},
    },
    domain::{
        list_change::AccessMode,
        poll_result::PollError,
        query::{self, SortOrder},
        status::{Status, Tab},
    },
};

/// Draws the top lines.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>) {
    let mut pen = Painter::new(buffer, scene.layout.header);
    draw_top_line(&mut pen, scene);
    let mut pen = Painter::new(buffer, scene.layout.tabs);
    match scene.state.screen() {
        MainScreen::List => draw_tabs(&mut pen, scene),
        MainScreen::Detail { .. } => draw_position(&mut pen, scene),
    }
}

fn draw_top_line(pen: &mut Painter<'_>, scene: &RenderContext<'_>) {
    let right = pen.width().saturating_sub(1);
    let banner = banner(scene).filter(|_| scene.layout.tabs.height == 0);
    let status = clock_line(scene);
    let status_width = line_width(&status);
    let status_start = right.saturating_sub(status_width);
    let mut x = 1;
    if scene.layout.width_class >= WidthClass::Medium || scene.state.list().is_empty() {
        x = pen.text(x, 0, "kietop", scene.style(Role::Accent)) + 2;
        if !scene.state.settings().name.is_empty() {
            let name = format::fit_end(&scene.state.settings().name, 24, scene.ellipsis());
            x = pen.text(x, 0, &name, scene.style(Role::Text)) + 2;
        }
        if scene.state.settings().access == AccessMode::ReadOnly {
            x = pen.text(x, 0, "read-only", scene.style(Role::Warn)) + 2;
        }
        x += 1;
    }
    let counts = counts_line(scene);
    if !scene.state.list().is_empty() && x + line_width(&counts) < right {
        x = pen.line(x, 0, &counts) + 2;
    }
    if let Some(banner) = banner {
        let room = usize::from(right.saturating_sub(x));
        let text = banner.fit_headline(room, scene.ellipsis());
        pen.text(x, 0, &text, scene.style(banner.role));
        return;
    }
    if scene.layout.tabs.height == 0 && scene.state.tab() != Tab::All {
        let tab = format!("[{}]", scene.state.tab().name());
        if x + cell_count(&tab) < right {
            x = pen.text(x, 0, &tab, scene.style(Role::Accent)) + 1;
        }
    }
    if scene.layout.tabs.height == 0 && scene.is_filtered() {
        let filter = filter_line(scene);
        if x + line_width(&filter) < right {
            x = pen.line(x, 0, &filter) + 1;
        }
    }
    if x <= status_start {
        pen.line(status_start, 0, &status);
    } else if let Some(last) = status.spans.last() {
        let start = right.saturating_sub(cell_count(&last.content));
        if x <= start {
            pen.text(start, 0, &last.content, last.style);
        }
    }
}

/// Returns the counts by glyph; with words where there is room.
fn counts_line(scene: &RenderContext<'_>) -> Line<'static> {
    let tally = scene.state.list().counts();
    let parts = [
        (Status::Generating, tally.generating, "generating"),
        (Status::Ready, tally.ready, "ready"),
        (Status::CallbackFailed, tally.rescued, "callback"),
        (Status::GenerationFailed, tally.failed, "failed"),
    ];
    let mut line = Line::default();
    for (status, count, word) in parts {
        let look = scene.theme.status_style(status, scene.now);
        let role = if count == 0 { Role::Muted } else { look.role };
        if !line.spans.is_empty() {
            line.push_span(Span::raw(if scene.layout.width_class == WidthClass::Wide {
                "  "
            } else {
                " "
            }));
        }
        if scene.layout.width_class == WidthClass::Wide {
            let glyph = Span::styled(format!("{} {count}", look.glyph), scene.style(role));
            let muted = if count == 0 { Role::Muted } else { Role::Text };
            line.push_span(glyph);
            line.push_span(Span::raw(" "));
            line.push_span(Span::styled(word, scene.style(muted)));
        } else {
            let text = format!("{}{count}", look.glyph);
            line.push_span(Span::styled(text, scene.style(role)));
        }
    }
    line
}

/// Returns the next poll, the rate and the time of day. Seconds are shown only while something
/// ticks: a clock that stands still must not look like one that runs.
fn clock_line(scene: &RenderContext<'_>) -> Line<'static> {
    let RenderContext { state, now, .. } = scene;
    let breadth = scene.layout.width_class;
    let zone = &state.settings().time_zone;
    let mut parts: Vec<Cow<'static, str>> = Vec::with_capacity(3);
    let polls = state.poll_queue();
    if state.list().is_empty() && polls.backoff().is_none() {
        // Nothing wakes the program then: a clock would stand still.
        return Line::default();
    }
    let has_key = polls
        .backoff()
        .is_none_or(|hold| hold.error != PollError::NoKey);
    let next = state
        .next_poll(*now)
        .filter(|_| has_key)
        .map(format::countdown);
    match (next, breadth) {
        (_, WidthClass::Minimal) => {}
        (Some(wait), WidthClass::Wide) => parts.push(format!("next poll {wait}").into()),
        (Some(wait), WidthClass::Narrow | WidthClass::Medium) => {
            parts.push(format!("next {wait}").into());
        }
        (None, _) if polls.is_paused() => parts.push("paused".into()),
        (None, _) if state.list().counts().in_flight > 0 => parts.push("asking".into()),
        (None, _) => {}
    }
    let rate = polls.per_minute(now.mono);
    match breadth {
        WidthClass::Wide if rate > 0 => parts.push(format!("{rate} req/min").into()),
        WidthClass::Medium if rate > 0 => parts.push(format!("{rate}/min").into()),
        WidthClass::Wide | WidthClass::Medium | WidthClass::Narrow | WidthClass::Minimal => {}
    }
    let is_exact = breadth == WidthClass::Wide && state.is_ticking();
    let time = if is_exact {
        format::clock(now.wall, zone)
    } else {
        format::clock_minutes(now.wall, zone)
    };
    let mut line = Line::default();
    for part in parts {
        line.push_span(Span::styled(part, scene.style(Role::Muted)));
        let dot = format!(" {} ", scene.theme.glyphs().dot);
        line.push_span(Span::styled(dot, scene.style(Role::Muted)));
    }
    line.push_span(Span::styled(time, scene.style(Role::Text)));
    line
}

/// Draws the tabs with their counts, and at the right the banner, else how the list is ordered.
fn draw_tabs(pen: &mut Painter<'_>, scene: &RenderContext<'_>) {
    if pen.height() == 0 {
        return;
    }
    let right = pen.width().saturating_sub(1);
    if let Some(banner) = banner(scene).filter(|_| !is_banner_below(scene)) {
        return draw_banner(pen, scene, &banner);
    }
    let orders = order_lines(scene);
    // A filter in force, or an order of the user's own, is said before the last tabs are.
    let is_told = scene.is_filtered() || scene.state.list_view().order != SortOrder::default();
    let least = orders.iter().map(line_width).min().filter(|_| is_told);
    let room = right.saturating_sub(least.map_or(0, |least| least + 3));
    let x = draw_left(pen, &tab_parts(scene, room), scene);
    let order = orders
        .iter()
        .find(|order| x + line_width(order) + 1 < right);
    if let Some(order) = order {
        pen.line(right.saturating_sub(line_width(order)), 0, order);
    }
}

/// Reports whether the banner stands in the message line: on a broad screen, where tabs, order and
/// filter stay whole.
pub(super) fn is_banner_below(scene: &RenderContext<'_>) -> bool {
    scene.layout.width_class == WidthClass::Wide
        && scene.layout.tabs.height > 0
        && scene.state.screen() == MainScreen::List
}

/// Draws where the task of the full detail stands, and at the right the banner.
fn draw_position(pen: &mut Painter<'_>, scene: &RenderContext<'_>) {
    if pen.height() == 0 {
        return;
    }
    match banner(scene) {
        Some(banner) => draw_banner(pen, scene, &banner),
        None => drop(pen.line(1, 0, &position_text(scene))),
    }
}

/// Draws the banner behind what stands before it; not at the right edge, where its countdown would
/// move it.
fn draw_banner(pen: &mut Painter<'_>, scene: &RenderContext<'_>, banner: &Banner) {
    let right = pen.width().saturating_sub(1);
    let BannerLayout {
        left: lead, text, ..
    } = layout_banner(scene, banner);
    let x = draw_left(pen, &lead, scene) + BANNER_GAP;
    let room = usize::from(right.saturating_sub(x));
    let text = format::fit_end(&text, room, scene.ellipsis());
    pen.text(x, 0, &text, scene.style(banner.role));
}

/// The space between tabs and banner.
const BANNER_GAP: u16 = 2;

/// A part of what stands at the left of the line.
enum TabLinePart {
    /// A tab.
    Tab(Tab, Span<'static>),
    /// A text.
    Text(Span<'static>),
}

impl TabLinePart {
    const fn span(&self) -> &Span<'static> {
        match self {
            Self::Tab(_, span) | Self::Text(span) => span,
        }
    }

    fn width(&self) -> u16 {
        cell_count(&self.span().content)
    }
}

/// Draws what stands at the left of the line, and returns the column after it.
fn draw_left(pen: &mut Painter<'_>, parts: &[TabLinePart], scene: &RenderContext<'_>) -> u16 {
    let mut x = 1;
    for part in parts {
        if let TabLinePart::Tab(tab, _) = part {
            scene.register(pen.cells_area(x, 0, part.width()), || HitTarget::Tab(*tab));
        }
        x = pen.text(x, 0, &part.span().content, part.span().style);
    }
    x
}

/// A banner in its place, with what stands before it.
struct BannerLayout {
    left: Vec<TabLinePart>,
    text: String,
    is_complete: bool,
}

/// Finds what of a banner fits beside the tabs: all of it beside all of them, else its headline
/// beside as many as there is room for.
fn layout_banner(scene: &RenderContext<'_>, banner: &Banner) -> BannerLayout {
    let room = scene.layout.tabs.width.saturating_sub(2 + BANNER_GAP);
    let whole = banner.full_text();
    let lead = |room| match scene.state.screen() {
        MainScreen::List => tabs_and_filter(scene, room),
        MainScreen::Detail { .. } => position_text(scene)
            .spans
            .into_iter()
            .map(TabLinePart::Text)
            .collect(),
    };
    let width = |parts: &[TabLinePart]| {
        let widths = parts.iter().map(TabLinePart::width);
        widths.fold(0, u16::saturating_add)
    };
    let all = lead(u16::MAX);
    if width(&all).saturating_add(cell_count(&whole)) <= room {
        return BannerLayout {
            left: all,
            text: whole,
            is_complete: true,
        };
    }
    let headline = cell_count(&banner.headline());
    let lead = lead(room.saturating_sub(headline));
    let left = room.saturating_sub(width(&lead));
    let is_cut = headline > left;
    BannerLayout {
        left: lead,
        text: banner.fit_headline(usize::from(left), scene.ellipsis()),
        is_complete: banner.next_step.is_empty() && !is_cut,
    }
}

/// Returns what of tabs and filter stands before a banner: the tab shown and the filter in force
/// always, the first tab too, the others as far as there is room.
fn tabs_and_filter(scene: &RenderContext<'_>, room: u16) -> Vec<TabLinePart> {
    let filter = if scene.is_filtered() {
        filter_line(scene).spans
    } else {
        Vec::new()
    };
    let taken: u16 = filter
        .iter()
        .map(|span| cell_count(&span.content) + 1)
        .sum();
    let mut parts = tab_parts(scene, room.saturating_sub(taken));
    let is_first = |part: &TabLinePart| matches!(part, TabLinePart::Tab(Tab::All, _));
    if !parts.iter().any(is_first) {
        let all = tab_parts(scene, u16::MAX).into_iter().find(is_first);
        parts.splice(0..0, all);
    }
    if !filter.is_empty() {
        parts.push(TabLinePart::Text(Span::raw(" ")));
        parts.extend(filter.into_iter().map(TabLinePart::Text));
    }
    parts
}

fn shown_tab(scene: &RenderContext<'_>) -> Line<'static> {
    let text = format!("[{}]", scene.state.tab().name());
    Line::from(Span::styled(text, scene.style(Role::Accent)))
}

fn position_text(scene: &RenderContext<'_>) -> Line<'static> {
    let mut line = shown_tab(scene);
    let count = scene.state.shown().len();
    if let Some(at) = scene.state.position() {
        let text = format!(" {} of {count}", at + 1);
        line.push_span(Span::styled(text, scene.style(Role::Muted)));
    }
    line
}

/// Returns the tabs with their counts; those that do not fit into `room` are left out from the
/// right, but never the one that is shown.
fn tab_parts(scene: &RenderContext<'_>, room: u16) -> Vec<TabLinePart> {
    let gap = if scene.layout.width_class == WidthClass::Wide {
        " "
    } else {
        ""
    };
    let is_known = *scene.state.loading() == ListLoading::Done;
    let texts = Tab::ALL.map(|tab| {
        let count = query::tab_count(tab, scene.state.list(), scene.now);
        let is_shown = scene.state.tab() == tab;
        let (open, close) = if is_shown { ("[", "]") } else { (" ", " ") };
        let text = if is_known {
            format!("{open}{} {count}{close}{gap}", tab.name())
        } else {
            format!("{open}{}{close}{gap}", tab.name())
        };
        let role = match (is_shown, count) {
            (true, _) => Role::Accent,
            (false, 0) => Role::Muted,
            (false, _) => Role::Text,
        };
        (tab, text, role, is_shown)
    });
    let mut left = texts
        .iter()
        .filter(|(.., is_shown)| *is_shown)
        .fold(room, |left, (_, text, ..)| {
            left.saturating_sub(cell_count(text))
        });
    let mut is_full = false;
    let mut parts = Vec::new();
    for (tab, text, role, is_shown) in texts {
        is_full |= !is_shown && cell_count(&text) > left;
        if !is_shown {
            if is_full {
                continue;
            }
            left -= cell_count(&text);
        }
        parts.push(TabLinePart::Tab(tab, Span::styled(text, scene.style(role))));
    }
    parts
}

/// The most cells of a filter at the top.
const MAX_FILTER_WIDTH: usize = 30;

/// Returns the filter in force.
fn filter_line(scene: &RenderContext<'_>) -> Line<'static> {
    let query = &scene.state.list_view().query;
    if query.is_empty() {
        return Line::styled("filter: none", scene.style(Role::Muted));
    }
    let text = query.to_string();
    let text = format::fit_end(&text, MAX_FILTER_WIDTH, scene.ellipsis()).into_owned();
    Line::from(vec![
        Span::styled("filter: ", scene.style(Role::Muted)),
        Span::styled(text, scene.style(Role::Accent)),
    ])
}

/// Returns what the right of the tab line may say, the most telling first: which rows are seen
/// where not all are, the order, and the filter.
fn order_lines(scene: &RenderContext<'_>) -> Vec<Line<'static>> {
    let muted = scene.style(Role::Muted);
    let order = scene.state.list_view().order;
    // Which rows are seen can be counted; an order of the user's own cannot.
    let is_told = scene.is_filtered() || order != SortOrder::default();
    let is_wide = scene.layout.width_class == WidthClass::Wide;
    let order = if is_wide {
        format!("sort: {}", order.name())
    } else {
        order.short().to_owned()
    };
    let (rows, count) = (scene.layout.rows.height, scene.state.shown().len());
    let has_more = !scene.layout.is_boxed && count > usize::from(rows);
    let seen = has_more.then(|| scene.visible_range());
    let dot = scene.theme.glyphs().dot;
    let mut texts = Vec::new();
    if let Some(seen) = &seen {
        texts.push(format!("{seen} {dot} {order}"));
    }
    if is_told || seen.is_none() {
        texts.push(order);
    } else {
        texts.extend(seen);
    }
    let plain = texts.into_iter().map(|text| Line::styled(text, muted));
    if !scene.is_filtered() && !is_wide {
        return plain.collect();
    }
    let filter = filter_line(scene);
    let with_filter = plain.clone().map(|mut line| {
        line.push_span(Span::raw("   "));
        line.spans.extend(
            filter
                .spans
                .iter()
                .map(|span| Span::styled(span.content.clone(), filter.style.patch(span.style))),
        );
        line
    });
    if scene.is_filtered() {
        return with_filter.chain([filter.clone()]).collect();
    }
    with_filter.chain(plain.clone()).collect()
}

/// Returns what of the banner the top of the screen has no room for, in so much room where it may
/// be cut.
pub(super) fn banner_overflow(scene: &RenderContext<'_>, room: usize) -> Option<(String, Role)> {
    let banner = banner(scene)?;
    let whole = |banner: &Banner| banner.fit_full_text(room, scene.ellipsis());
    if is_banner_below(scene) {
        return Some((whole(&banner), banner.role));
    }
    if scene.layout.tabs.height == 0 {
        // What stands behind the counts may be cut.
        let is_cut = scene.layout.width_class < WidthClass::Wide;
        let text = if is_cut {
            whole(&banner)
        } else {
            banner.next_step
        };
        return Some((text, Role::Text)).filter(|(text, _)| !text.is_empty());
    }
    let BannerLayout {
        is_complete: is_whole,
        ..
    } = layout_banner(scene, &banner);
    (!is_whole && !banner.next_step.is_empty()).then_some((banner.next_step, Role::Text))
}

fn line_width(line: &Line<'_>) -> u16 {
    line.spans
        .iter()
        .map(|span| cell_count(&span.content))
        .fold(0, u16::saturating_add)
}
