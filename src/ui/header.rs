//! The two top lines: name, counts and clock; tabs or banner.

use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use super::{
    banner::{Banner, banner},
    layout::WidthClass,
    line_fit::{self, LinePiece},
    painter::Painter,
    render_context::RenderContext,
    theme::Role,
    title::status_counts,
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
        status::Tab,
    },
    messages::format,
};

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    draw_top_line(&mut Painter::new(buffer, ctx.layout.header), ctx);
    let mut painter = Painter::new(buffer, ctx.layout.tabs);
    if painter.height() > 0 {
        let banner = banner(ctx).filter(|_| !is_banner_below(ctx));
        line_fit::draw(&mut painter, 0, tab_line(ctx, banner.as_ref()), ctx);
    }
}

/// Draws the top line. Without a tab line it also shows the banner, else the current tab and the
/// filter.
fn draw_top_line(painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
    let state = ctx.state;
    let is_only_line = ctx.layout.tabs.height == 0;
    let mut pieces = Vec::new();
    if ctx.layout.width_class >= WidthClass::Medium || state.list().is_empty() {
        pieces.push(LinePiece::new(0, ctx.span("kietop", Role::Accent)));
        if !state.settings().name.is_empty() {
            let name = format::fit_end(&state.settings().name, 24, ctx.ellipsis());
            pieces.push(LinePiece::new(0, ctx.span(name, Role::Text)));
        }
        if state.settings().access == AccessMode::ReadOnly {
            pieces.push(LinePiece::new(0, ctx.span("read-only", Role::Warn)));
        }
    }
    if !state.list().is_empty() {
        pieces.push(LinePiece::new(1, counts_line(ctx)).lead(3));
    }
    if let Some(banner) = banner(ctx).filter(|_| is_only_line) {
        let end = line_fit::draw(painter, 0, pieces, ctx);
        let x = if end > 1 { end + 2 } else { end };
        let room = usize::from(painter.width().saturating_sub(x + 1));
        let text = banner.fit_headline(room, ctx.ellipsis());
        painter.text(x, 0, &text, ctx.style(banner.role));
        return;
    }
    if is_only_line && state.tab() != Tab::All {
        pieces.push(LinePiece::new(2, current_tab(ctx)));
    }
    if is_only_line && ctx.is_filtered() {
        pieces.push(LinePiece::new(3, filter_line(ctx)));
    }
    pieces.push(LinePiece::with_forms(4, clock_lines(ctx)).at_right());
    line_fit::draw(painter, 0, pieces, ctx);
}

/// Returns the counts with their glyphs, and with words if there is room.
fn counts_line(ctx: &RenderContext<'_>) -> Line<'static> {
    let is_wide = ctx.layout.width_class == WidthClass::Wide;
    let (gap, inner_gap) = if is_wide { ("  ", " ") } else { (" ", "") };
    let mut line = Line::default();
    for (count, status, word) in status_counts(ctx.state) {
        let style = ctx.theme.status_style(status, ctx.now);
        let (role, word_role) = match count {
            0 => (Role::Muted, Role::Muted),
            _ => (style.role, Role::Text),
        };
        if !line.spans.is_empty() {
            line.push_span(gap);
        }
        line.push_span(ctx.span(format!("{}{inner_gap}{count}", style.glyph), role));
        if is_wide {
            line.push_span(" ");
            line.push_span(ctx.span(word, word_role));
        }
    }
    line
}

/// Returns the next check, the request rate and the time of day, then the time alone. Seconds are
/// shown only while the screen is updated every second: a stopped clock must not look like a
/// running one.
fn clock_lines(ctx: &RenderContext<'_>) -> Vec<Line<'static>> {
    let RenderContext { state, now, .. } = ctx;
    let width_class = ctx.layout.width_class;
    let is_wide = width_class == WidthClass::Wide;
    let polls = state.poll_queue();
    if state.list().is_empty() && polls.backoff().is_none() {
        // Nothing wakes the event loop then, so a clock would stop.
        return Vec::new();
    }
    let has_key = polls
        .backoff()
        .is_none_or(|backoff| backoff.error != PollError::NoKey);
    let next = state.next_poll(*now).filter(|_| has_key);
    let mut parts = Vec::new();
    if width_class > WidthClass::Minimal {
        parts.extend(match next.map(format::countdown) {
            Some(wait) if is_wide => Some(format!("next check {wait}")),
            Some(wait) => Some(format!("next {wait}")),
            None if polls.is_paused => Some("paused".to_owned()),
            None if state.list().counts().in_flight > 0 => Some("checking".to_owned()),
            None => None,
        });
    }
    let rate = polls.per_minute(now.mono);
    if rate > 0 && width_class >= WidthClass::Medium {
        let unit = if is_wide { " req/min" } else { "/min" };
        parts.push(format!("{rate}{unit}"));
    }
    let zone = &state.settings().time_zone;
    let time = if is_wide && state.is_ticking() {
        format::clock(now.wall, zone)
    } else {
        format::clock_minutes(now.wall, zone)
    };
    let time = ctx.span(time, Role::Text);
    let separator = format!(" {} ", ctx.theme.glyphs().dot);
    parts.push(String::new());
    let parts = ctx.span(parts.join(&separator), Role::Muted);
    vec![Line::from(vec![parts, time.clone()]), time.into()]
}

/// Returns the tab line: the tabs, and at the right the order and the filter, or a banner after
/// them. A full-screen task shows its position in the list instead.
///
/// The banner is left-aligned, so its countdown does not move it.
fn tab_line(ctx: &RenderContext<'_>, banner: Option<&Banner>) -> Vec<LinePiece<'static>> {
    let is_list = ctx.state.screen() == MainScreen::List;
    let mut pieces = if is_list {
        tab_pieces(ctx, banner.is_some())
    } else {
        position_pieces(ctx)
    };
    let Some(banner) = banner else {
        if is_list {
            // An active filter or a custom order takes precedence over the last tabs.
            let rank = if is_customised(ctx) { 1 } else { 3 };
            pieces.push(LinePiece::with_forms(rank, order_lines(ctx)).at_right());
        }
        return pieces;
    };
    if is_list && ctx.is_filtered() {
        pieces.push(LinePiece::new(0, filter_line(ctx)));
    }
    let required = line_fit::required_width(&pieces);
    let room = ctx.layout.tabs.width.saturating_sub(4 + required);
    let headline = banner.fit_headline(usize::from(room), ctx.ellipsis());
    let forms = [banner.full_text(), headline];
    let forms = forms.map(|text| ctx.span(text, banner.role).into());
    pieces.push(LinePiece::with_forms(1, forms.into()));
    pieces
}

/// Reports whether the banner is drawn in the message line: on a wide screen, where tabs, order and
/// filter stay complete.
pub(super) fn is_banner_below(ctx: &RenderContext<'_>) -> bool {
    ctx.layout.width_class == WidthClass::Wide
        && ctx.layout.tabs.height > 0
        && ctx.state.screen() == MainScreen::List
}

fn is_customised(ctx: &RenderContext<'_>) -> bool {
    ctx.is_filtered() || ctx.state.list_view().order != SortOrder::default()
}

fn current_tab(ctx: &RenderContext<'_>) -> Span<'static> {
    ctx.span(format!("[{}]", ctx.state.tab().title()), Role::Accent)
}

/// Returns the position of the full-screen task in the list.
fn position_pieces(ctx: &RenderContext<'_>) -> Vec<LinePiece<'static>> {
    let mut line = Line::from(current_tab(ctx));
    if let Some(at) = ctx.state.position() {
        let text = format!(" {} of {}", at + 1, ctx.state.shown().len());
        line.push_span(ctx.span(text, Role::Muted));
    }
    vec![LinePiece::new(0, line).lead(0)]
}

/// Returns the tabs with their counts. The current one always stays; beside a banner, so does the
/// first, and the others are dropped before it.
fn tab_pieces(ctx: &RenderContext<'_>, has_banner: bool) -> Vec<LinePiece<'static>> {
    let gap = u16::from(ctx.layout.width_class == WidthClass::Wide);
    let is_known = *ctx.state.loading() == ListLoading::Done;
    let mut lead = 0;
    let tabs = Tab::ALL.iter().map(|&tab| {
        let count = query::tab_count(tab, ctx.state.list(), ctx.now);
        let is_shown = ctx.state.tab() == tab;
        let mut text = tab.title().to_owned();
        if is_known {
            text = format!("{text} {count}");
        }
        let (text, role) = match (is_shown, count) {
            (true, _) => (format!("[{text}]"), Role::Accent),
            (false, 0) => (format!(" {text}"), Role::Muted),
            (false, _) => (format!(" {text}"), Role::Text),
        };
        let is_kept = is_shown || has_banner && tab == Tab::All;
        let piece = LinePiece::new(if is_kept { 0 } else { 2 }, ctx.span(text, role))
            .lead(lead)
            .target(HitTarget::Tab(tab));
        lead = gap + u16::from(!is_shown);
        piece
    });
    tabs.collect()
}

/// The maximum width of the filter in the tab line.
const MAX_FILTER_WIDTH: usize = 30;

fn filter_line(ctx: &RenderContext<'_>) -> Line<'static> {
    let query = &ctx.state.list_view().query;
    if query.is_empty() {
        return ctx.span("filter: none", Role::Muted).into();
    }
    let text = query.to_string();
    let text = format::fit_end(&text, MAX_FILTER_WIDTH, ctx.ellipsis()).into_owned();
    Line::from(vec![
        ctx.span("filter: ", Role::Muted),
        ctx.span(text, Role::Accent),
    ])
}

/// Returns the candidates for the right side of the tab line, the longest first: the visible rows
/// unless all are visible, the sort order and the filter.
fn order_lines(ctx: &RenderContext<'_>) -> Vec<Line<'static>> {
    let order = ctx.state.list_view().order;
    let is_wide = ctx.layout.width_class == WidthClass::Wide;
    let order = if is_wide {
        format!("sort: {}", order.name())
    } else {
        order.short().to_owned()
    };
    let rows = usize::from(ctx.layout.rows.height);
    let has_more = !ctx.layout.is_boxed && ctx.state.shown().len() > rows;
    let mut texts = Vec::new();
    if has_more {
        let dot = ctx.theme.glyphs().dot;
        texts.push(format!("{} {dot} {order}", ctx.visible_range()));
    }
    // The visible rows can be seen in the list, but a custom order cannot.
    texts.push(if has_more && !is_customised(ctx) {
        ctx.visible_range()
    } else {
        order
    });
    let plain = texts.iter().map(|text| ctx.span(text.clone(), Role::Muted));
    let with_filter = plain.clone().map(|span| {
        let mut line = filter_line(ctx);
        line.spans.splice(0..0, [span, Span::raw("   ")]);
        line
    });
    match (ctx.is_filtered(), is_wide) {
        (true, _) => with_filter.chain([filter_line(ctx)]).collect(),
        (false, true) => with_filter.chain(plain.clone().map(Line::from)).collect(),
        (false, false) => plain.map(Line::from).collect(),
    }
}

/// Returns the part of the banner that does not fit at the top, truncated to `room` cells where the
/// top line shows none of it.
pub(super) fn banner_overflow(ctx: &RenderContext<'_>, room: usize) -> Option<(String, Role)> {
    let banner = banner(ctx)?;
    if is_banner_below(ctx) {
        return Some((banner.fit_full_text(room, ctx.ellipsis()), banner.role));
    }
    let text = if ctx.layout.tabs.height > 0 {
        let room = ctx.layout.tabs.width.saturating_sub(2);
        let shown = line_fit::fit(tab_line(ctx, Some(&banner)), room);
        let shown = shown
            .last()
            .and_then(LinePiece::line)
            .map(ToString::to_string);
        if shown.is_some_and(|shown| shown == banner.full_text()) {
            return None;
        }
        banner.next_step
    } else if ctx.layout.width_class < WidthClass::Wide {
        // The banner behind the counts may be truncated.
        banner.fit_full_text(room, ctx.ellipsis())
    } else {
        banner.next_step
    };
    (!text.is_empty()).then_some((text, Role::Text))
}
