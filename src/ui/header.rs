//! The two top lines: name, counts and clock; tabs or banner.

use std::borrow::Cow;

use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use super::{
    banner::{Banner, banner},
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
    messages::format,
};

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    let mut painter = Painter::new(buffer, ctx.layout.header);
    draw_top_line(&mut painter, ctx);
    let mut painter = Painter::new(buffer, ctx.layout.tabs);
    match ctx.state.screen() {
        MainScreen::List => draw_tabs(&mut painter, ctx),
        MainScreen::Detail { .. } => draw_position(&mut painter, ctx),
    }
}

fn draw_top_line(painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
    let right = painter.width().saturating_sub(1);
    let banner = banner(ctx).filter(|_| ctx.layout.tabs.height == 0);
    let status = clock_line(ctx);
    let status_width = line_width(&status);
    let status_start = right.saturating_sub(status_width);
    let mut x = 1;
    if ctx.layout.width_class >= WidthClass::Medium || ctx.state.list().is_empty() {
        x = painter.text(x, 0, "kietop", ctx.style(Role::Accent)) + 2;
        if !ctx.state.settings().name.is_empty() {
            let name = format::fit_end(&ctx.state.settings().name, 24, ctx.ellipsis());
            x = painter.text(x, 0, &name, ctx.style(Role::Text)) + 2;
        }
        if ctx.state.settings().access == AccessMode::ReadOnly {
            x = painter.text(x, 0, "read-only", ctx.style(Role::Warn)) + 2;
        }
        x += 1;
    }
    let counts = counts_line(ctx);
    if !ctx.state.list().is_empty() && x + line_width(&counts) < right {
        x = painter.line(x, 0, &counts) + 2;
    }
    if let Some(banner) = banner {
        let room = usize::from(right.saturating_sub(x));
        let text = banner.fit_headline(room, ctx.ellipsis());
        painter.text(x, 0, &text, ctx.style(banner.role));
        return;
    }
    if ctx.layout.tabs.height == 0 && ctx.state.tab() != Tab::All {
        let tab = format!("[{}]", ctx.state.tab().title());
        if x + cell_count(&tab) < right {
            x = painter.text(x, 0, &tab, ctx.style(Role::Accent)) + 1;
        }
    }
    if ctx.layout.tabs.height == 0 && ctx.is_filtered() {
        let filter = filter_line(ctx);
        if x + line_width(&filter) < right {
            x = painter.line(x, 0, &filter) + 1;
        }
    }
    if x <= status_start {
        painter.line(status_start, 0, &status);
    } else if let Some(last) = status.spans.last() {
        let start = right.saturating_sub(cell_count(&last.content));
        if x <= start {
            painter.text(start, 0, &last.content, last.style);
        }
    }
}

/// Returns the counts with their glyphs, and with words if there is room.
fn counts_line(ctx: &RenderContext<'_>) -> Line<'static> {
    let counts = ctx.state.list().counts();
    let parts = [
        (Status::Generating, counts.generating, "generating"),
        (Status::Ready, counts.ready, "ready"),
        (Status::CallbackFailed, counts.rescued, "no callback"),
        (Status::GenerationFailed, counts.failed, "failed"),
    ];
    let mut line = Line::default();
    for (status, count, word) in parts {
        let style = ctx.theme.status_style(status, ctx.now);
        let role = if count == 0 { Role::Muted } else { style.role };
        if !line.spans.is_empty() {
            line.push_span(Span::raw(if ctx.layout.width_class == WidthClass::Wide {
                "  "
            } else {
                " "
            }));
        }
        if ctx.layout.width_class == WidthClass::Wide {
            let glyph = Span::styled(format!("{} {count}", style.glyph), ctx.style(role));
            let muted = if count == 0 { Role::Muted } else { Role::Text };
            line.push_span(glyph);
            line.push_span(Span::raw(" "));
            line.push_span(Span::styled(word, ctx.style(muted)));
        } else {
            let text = format!("{}{count}", style.glyph);
            line.push_span(Span::styled(text, ctx.style(role)));
        }
    }
    line
}

/// Returns the next check, the request rate and the time of day. Seconds are shown only while the
/// screen is updated every second: a stopped clock must not look like a running one.
fn clock_line(ctx: &RenderContext<'_>) -> Line<'static> {
    let RenderContext { state, now, .. } = ctx;
    let width_class = ctx.layout.width_class;
    let zone = &state.settings().time_zone;
    let mut parts: Vec<Cow<'static, str>> = Vec::with_capacity(3);
    let polls = state.poll_queue();
    if state.list().is_empty() && polls.backoff().is_none() {
        // Nothing wakes the event loop then, so a clock would stop.
        return Line::default();
    }
    let has_key = polls
        .backoff()
        .is_none_or(|backoff| backoff.error != PollError::NoKey);
    let next = state
        .next_poll(*now)
        .filter(|_| has_key)
        .map(format::countdown);
    match (next, width_class) {
        (_, WidthClass::Minimal) => {}
        (Some(wait), WidthClass::Wide) => parts.push(format!("next check {wait}").into()),
        (Some(wait), WidthClass::Narrow | WidthClass::Medium) => {
            parts.push(format!("next {wait}").into());
        }
        (None, _) if polls.is_paused() => parts.push("paused".into()),
        (None, _) if state.list().counts().in_flight > 0 => parts.push("checking".into()),
        (None, _) => {}
    }
    let rate = polls.per_minute(now.mono);
    match width_class {
        WidthClass::Wide if rate > 0 => parts.push(format!("{rate} req/min").into()),
        WidthClass::Medium if rate > 0 => parts.push(format!("{rate}/min").into()),
        WidthClass::Wide | WidthClass::Medium | WidthClass::Narrow | WidthClass::Minimal => {}
    }
    let is_exact = width_class == WidthClass::Wide && state.is_ticking();
    let time = if is_exact {
        format::clock(now.wall, zone)
    } else {
        format::clock_minutes(now.wall, zone)
    };
    let mut line = Line::default();
    for part in parts {
        line.push_span(Span::styled(part, ctx.style(Role::Muted)));
        let dot = format!(" {} ", ctx.theme.glyphs().dot);
        line.push_span(Span::styled(dot, ctx.style(Role::Muted)));
    }
    line.push_span(Span::styled(time, ctx.style(Role::Text)));
    line
}

/// Draws the tabs with their counts, and the banner or the sort order at the right.
fn draw_tabs(painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
    if painter.height() == 0 {
        return;
    }
    let right = painter.width().saturating_sub(1);
    if let Some(banner) = banner(ctx).filter(|_| !is_banner_below(ctx)) {
        return draw_banner(painter, ctx, &banner);
    }
    let orders = order_lines(ctx);
    // An active filter or a custom order takes precedence over the last tabs.
    let is_customised = ctx.is_filtered() || ctx.state.list_view().order != SortOrder::default();
    let min_width = orders
        .iter()
        .map(line_width)
        .min()
        .filter(|_| is_customised);
    let room = right.saturating_sub(min_width.map_or(0, |width| width + 3));
    let x = draw_left(painter, &tab_parts(ctx, room), ctx);
    let order = orders
        .iter()
        .find(|order| x + line_width(order) + 1 < right);
    if let Some(order) = order {
        painter.line(right.saturating_sub(line_width(order)), 0, order);
    }
}

/// Reports whether the banner is drawn in the message line: on a wide screen, where tabs, order and
/// filter stay complete.
pub(super) fn is_banner_below(ctx: &RenderContext<'_>) -> bool {
    ctx.layout.width_class == WidthClass::Wide
        && ctx.layout.tabs.height > 0
        && ctx.state.screen() == MainScreen::List
}

/// Draws the banner, else the position of the full-screen task in the list.
fn draw_position(painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
    if painter.height() == 0 {
        return;
    }
    match banner(ctx) {
        Some(banner) => draw_banner(painter, ctx, &banner),
        None => drop(painter.line(1, 0, &position_text(ctx))),
    }
}

/// Draws tabs and banner. The banner is left-aligned, so its countdown does not move it.
fn draw_banner(painter: &mut Painter<'_>, ctx: &RenderContext<'_>, banner: &Banner) {
    let right = painter.width().saturating_sub(1);
    let BannerLayout { left, text, .. } = layout_banner(ctx, banner);
    let x = draw_left(painter, &left, ctx) + BANNER_GAP;
    let room = usize::from(right.saturating_sub(x));
    let text = format::fit_end(&text, room, ctx.ellipsis());
    painter.text(x, 0, &text, ctx.style(banner.role));
}

/// The space between tabs and banner.
const BANNER_GAP: u16 = 2;

/// A part of the left side of the tab line.
enum TabLinePart {
    Tab(Tab, Span<'static>),
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

/// Draws the left side of the tab line and returns the column after it.
fn draw_left(painter: &mut Painter<'_>, parts: &[TabLinePart], ctx: &RenderContext<'_>) -> u16 {
    let mut x = 1;
    for part in parts {
        if let TabLinePart::Tab(tab, _) = part {
            ctx.register(painter.cells_area(x, 0, part.width()), || {
                HitTarget::Tab(*tab)
            });
        }
        x = painter.text(x, 0, &part.span().content, part.span().style);
    }
    x
}

/// A fitted banner and the parts before it.
struct BannerLayout {
    left: Vec<TabLinePart>,
    text: String,
    is_complete: bool,
}

/// Fits the banner beside the tabs: in full beside all tabs, else its headline beside those that
/// fit.
fn layout_banner(ctx: &RenderContext<'_>, banner: &Banner) -> BannerLayout {
    let room = ctx.layout.tabs.width.saturating_sub(2 + BANNER_GAP);
    let full_text = banner.full_text();
    let left_parts = |room| match ctx.state.screen() {
        MainScreen::List => tabs_and_filter(ctx, room),
        MainScreen::Detail { .. } => position_text(ctx)
            .spans
            .into_iter()
            .map(TabLinePart::Text)
            .collect(),
    };
    let width = |parts: &[TabLinePart]| {
        let widths = parts.iter().map(TabLinePart::width);
        widths.fold(0, u16::saturating_add)
    };
    let all = left_parts(u16::MAX);
    if width(&all).saturating_add(cell_count(&full_text)) <= room {
        return BannerLayout {
            left: all,
            text: full_text,
            is_complete: true,
        };
    }
    let headline = cell_count(&banner.headline());
    let left = left_parts(room.saturating_sub(headline));
    let rest = room.saturating_sub(width(&left));
    let is_truncated = headline > rest;
    BannerLayout {
        left,
        text: banner.fit_headline(usize::from(rest), ctx.ellipsis()),
        is_complete: banner.next_step.is_empty() && !is_truncated,
    }
}

/// Returns the tabs and the filter before a banner: always the current tab, the first tab and an
/// active filter, and the other tabs as far as there is room.
fn tabs_and_filter(ctx: &RenderContext<'_>, room: u16) -> Vec<TabLinePart> {
    let filter = if ctx.is_filtered() {
        filter_line(ctx).spans
    } else {
        Vec::new()
    };
    let filter_width: u16 = filter
        .iter()
        .map(|span| cell_count(&span.content) + 1)
        .sum();
    let mut parts = tab_parts(ctx, room.saturating_sub(filter_width));
    let is_first = |part: &TabLinePart| matches!(part, TabLinePart::Tab(Tab::All, _));
    if !parts.iter().any(is_first) {
        let all = tab_parts(ctx, u16::MAX).into_iter().find(is_first);
        parts.splice(0..0, all);
    }
    if !filter.is_empty() {
        parts.push(TabLinePart::Text(Span::raw(" ")));
        parts.extend(filter.into_iter().map(TabLinePart::Text));
    }
    parts
}

fn current_tab(ctx: &RenderContext<'_>) -> Line<'static> {
    let text = format!("[{}]", ctx.state.tab().title());
    Line::from(Span::styled(text, ctx.style(Role::Accent)))
}

fn position_text(ctx: &RenderContext<'_>) -> Line<'static> {
    let mut line = current_tab(ctx);
    let count = ctx.state.shown().len();
    if let Some(at) = ctx.state.position() {
        let text = format!(" {} of {count}", at + 1);
        line.push_span(Span::styled(text, ctx.style(Role::Muted)));
    }
    line
}

/// Returns the tabs with their counts. Tabs that do not fit into `room` are dropped from the right,
/// but never the current one.
fn tab_parts(ctx: &RenderContext<'_>, room: u16) -> Vec<TabLinePart> {
    let gap = if ctx.layout.width_class == WidthClass::Wide {
        " "
    } else {
        ""
    };
    let is_known = *ctx.state.loading() == ListLoading::Done;
    let texts = Tab::ALL.map(|tab| {
        let count = query::tab_count(tab, ctx.state.list(), ctx.now);
        let is_shown = ctx.state.tab() == tab;
        let (open, close) = if is_shown { ("[", "]") } else { (" ", " ") };
        let text = if is_known {
            format!("{open}{} {count}{close}{gap}", tab.title())
        } else {
            format!("{open}{}{close}{gap}", tab.title())
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
        parts.push(TabLinePart::Tab(tab, Span::styled(text, ctx.style(role))));
    }
    parts
}

/// The maximum width of the filter in the tab line.
const MAX_FILTER_WIDTH: usize = 30;

fn filter_line(ctx: &RenderContext<'_>) -> Line<'static> {
    let query = &ctx.state.list_view().query;
    if query.is_empty() {
        return Line::styled("filter: none", ctx.style(Role::Muted));
    }
    let text = query.to_string();
    let text = format::fit_end(&text, MAX_FILTER_WIDTH, ctx.ellipsis()).into_owned();
    Line::from(vec![
        Span::styled("filter: ", ctx.style(Role::Muted)),
        Span::styled(text, ctx.style(Role::Accent)),
    ])
}

/// Returns the candidates for the right side of the tab line, the longest first: the visible rows
/// unless all are visible, the sort order and the filter.
fn order_lines(ctx: &RenderContext<'_>) -> Vec<Line<'static>> {
    let muted = ctx.style(Role::Muted);
    let order = ctx.state.list_view().order;
    // The visible rows can be seen in the list, but a custom order cannot.
    let is_customised = ctx.is_filtered() || order != SortOrder::default();
    let is_wide = ctx.layout.width_class == WidthClass::Wide;
    let order = if is_wide {
        format!("sort: {}", order.name())
    } else {
        order.short().to_owned()
    };
    let (rows, count) = (ctx.layout.rows.height, ctx.state.shown().len());
    let has_more = !ctx.layout.is_boxed && count > usize::from(rows);
    let range = has_more.then(|| ctx.visible_range());
    let dot = ctx.theme.glyphs().dot;
    let mut texts = Vec::new();
    if let Some(range) = &range {
        texts.push(format!("{range} {dot} {order}"));
    }
    if is_customised || range.is_none() {
        texts.push(order);
    } else {
        texts.extend(range);
    }
    let plain = texts.into_iter().map(|text| Line::styled(text, muted));
    if !ctx.is_filtered() && !is_wide {
        return plain.collect();
    }
    let filter = filter_line(ctx);
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
    if ctx.is_filtered() {
        return with_filter.chain([filter.clone()]).collect();
    }
    with_filter.chain(plain.clone()).collect()
}

/// Returns the part of the banner that does not fit at the top, truncated to `room` cells where the
/// top line shows none of it.
pub(super) fn banner_overflow(ctx: &RenderContext<'_>, room: usize) -> Option<(String, Role)> {
    let banner = banner(ctx)?;
    let full_text = |banner: &Banner| banner.fit_full_text(room, ctx.ellipsis());
    if is_banner_below(ctx) {
        return Some((full_text(&banner), banner.role));
    }
    if ctx.layout.tabs.height == 0 {
        // The banner behind the counts may be truncated.
        let is_truncated = ctx.layout.width_class < WidthClass::Wide;
        let text = if is_truncated {
            full_text(&banner)
        } else {
            banner.next_step
        };
        return Some((text, Role::Text)).filter(|(text, _)| !text.is_empty());
    }
    let BannerLayout { is_complete, .. } = layout_banner(ctx, &banner);
    (!is_complete && !banner.next_step.is_empty()).then_some((banner.next_step, Role::Text))
}

fn line_width(line: &Line<'_>) -> u16 {
    line.spans
        .iter()
        .map(|span| cell_count(&span.content))
        .fold(0, u16::saturating_add)
}
