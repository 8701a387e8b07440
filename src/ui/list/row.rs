//! The columns of the table, and their values for one task.

use std::borrow::Cow;

use ratatui::style::{Modifier, Style};

use crate::{
    app::mouse::HitTarget,
    domain::{
        download::DownloadProgress,
        fuzzy::Searcher,
        poll_result::PollError,
        query::SortColumn,
        status::{LinkExpiry, Status, Urgency},
        watched_task::WatchedTask,
    },
    messages::format,
    ui::{layout::WidthClass, painter::Painter, render_context::RenderContext, theme::Role},
};

/// The width of a progress bar in cells.
const BAR_WIDTH: u16 = 6;

/// The positions of the columns; an absent column is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListColumns {
    width_class: WidthClass,
    mark: u16,
    glyph: u16,
    status: Option<ColumnSpan>,
    title: ColumnSpan,
    age_end: Option<u16>,
    time: Option<ColumnSpan>,
    link_end: Option<u16>,
}

/// The cells of a column.
#[derive(Debug, Clone, Copy)]
struct ColumnSpan {
    start: u16,
    width: u16,
}

impl ColumnSpan {
    const fn end(self) -> u16 {
        self.start + self.width
    }
}

impl ListColumns {
    /// Returns the columns for a table of the given width; the title takes the rest.
    pub(super) fn new(width_class: WidthClass, width: u16) -> Self {
        let edge = width.saturating_sub(1);
        let title_to = |start: u16, end: u16| ColumnSpan {
            start,
            width: end.saturating_sub(start),
        };
        match width_class {
            WidthClass::Wide | WidthClass::Medium => {
                let time = ColumnSpan {
                    start: edge.saturating_sub(21),
                    width: 12,
                };
                let age_end = time.start.saturating_sub(1);
                Self {
                    width_class,
                    mark: 1,
                    glyph: 2,
                    status: Some(ColumnSpan {
                        start: 4,
                        width: 15,
                    }),
                    title: title_to(20, age_end.saturating_sub(5)),
                    age_end: Some(age_end),
                    time: Some(time),
                    link_end: Some(edge),
                }
            }
            WidthClass::Narrow => {
                let time = ColumnSpan {
                    start: edge.saturating_sub(9),
                    width: 9,
                };
                let age_end = time.start.saturating_sub(1);
                Self {
                    width_class,
                    // Covers the pointer; the style still marks the selected row.
                    mark: 0,
                    glyph: 1,
                    status: Some(ColumnSpan { start: 3, width: 5 }),
                    title: title_to(9, age_end.saturating_sub(5)),
                    age_end: Some(age_end),
                    time: Some(time),
                    link_end: None,
                }
            }
            WidthClass::Minimal => Self {
                width_class,
                mark: 0,
                glyph: 1,
                status: None,
                title: title_to(3, edge),
                age_end: None,
                time: None,
                link_end: None,
            },
        }
    }

    pub(super) fn draw_heads(&self, painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
        let style = ctx.style(Role::Heading);
        let (status, time) = match self.width_class {
            WidthClass::Wide | WidthClass::Medium => ("STATUS", "TOOK / LEFT"),
            WidthClass::Narrow | WidthClass::Minimal => ("ST", "LEFT/LINK"),
        };
        let arrow = if ctx.state.list_view().order.is_ascending() {
            ctx.theme.glyphs().ascending
        } else {
            ctx.theme.glyphs().descending
        };
        let sort = ctx.state.list_view().order.column;
        let from_left = [
            (
                self.status.map(|span| span.start),
                status,
                SortColumn::Status,
            ),
            (Some(self.title.start), "TITLE", SortColumn::Title),
        ];
        let from_right = [
            (self.age_end, "AGE", SortColumn::Age),
            (self.time.map(ColumnSpan::end), time, SortColumn::Took),
            (self.link_end, "LINK", SortColumn::Link),
        ];
        let mut heads = Vec::with_capacity(5);
        for (start, text, by) in from_left {
            let Some(start) = start else { continue };
            let end = painter.text(start, 0, text, style);
            if by == sort {
                painter.text(end, 0, arrow, style);
            }
            heads.push((start, end, by));
        }
        for (end, text, by) in from_right {
            let Some(end) = end else { continue };
            let start = painter.text_ending_at(end, 0, text, style);
            if by == sort {
                painter.text_ending_at(start, 0, arrow, style);
            }
            heads.push((start, end, by));
        }
        register_heads(painter, &heads, ctx);
    }

    pub(super) fn draw_row(
        &self,
        painter: &mut Painter<'_>,
        y: u16,
        watched: &WatchedTask,
        ctx: &RenderContext<'_>,
        searcher: &mut Searcher,
    ) {
        let is_selected = ctx.state.is_selected(watched.id());
        let paint = RowStyle { ctx, is_selected };
        let status = ctx.status_of(watched);
        let style = ctx.theme.status_style(status, ctx.now);
        if is_selected {
            painter.style_row(y, paint.style_for(Role::Text));
            let cursor = ctx.theme.glyphs().row_cursor;
            painter.text(0, y, cursor, paint.style_for(Role::Text));
        }
        if ctx.state.marks().has(watched.id()) {
            painter.text(self.mark, y, "*", paint.style_for(Role::Accent));
        }
        painter.text(self.glyph, y, style.glyph, paint.style_for(style.role));
        if let Some(span) = self.status {
            self.draw_status(painter, y, span, watched, status, &paint);
        }
        let (title, role) = title_text(watched, usize::from(self.title.width), ctx);
        painter.text(self.title.start, y, &title, paint.style_for(role));
        if role == Role::Text {
            self.underline_matches(painter, y, &title, ctx, searcher);
        }
        if let Some(end) = self.age_end {
            let age = format::format_age(ctx.now.age_of(watched.started_at()));
            painter.text_ending_at(end, y, &age, paint.style_for(Role::Muted));
        }
        let link = watched.link_expiry(ctx.state.settings().retention, ctx.now);
        let (time, has_bar) = time_cell(watched, status, self.time_width(), ctx);
        let download = ctx.state.downloads().progress(watched.id());
        let (link_text, link_role) = match download {
            Some(download) => (download_cell(download).into(), Role::Busy),
            None => (format::link_expiry(link), link_role(link)),
        };
        match (self.time, self.link_end) {
            (Some(span), Some(end)) => {
                if let (true, Some(done)) = (has_bar, bar_cells(watched, status, ctx)) {
                    let glyphs = ctx.theme.glyphs();
                    painter.repeat(
                        span.start,
                        y,
                        done,
                        glyphs.bar_done,
                        paint.style_for(Role::Busy),
                    );
                    let rest = span.start + done;
                    painter.repeat(
                        rest,
                        y,
                        BAR_WIDTH - done,
                        glyphs.bar_rest,
                        paint.style_for(Role::Muted),
                    );
                }
                painter.text_ending_at(span.end(), y, &time.text, paint.style_for(time.role));
                painter.text_ending_at(end, y, &link_text, paint.style_for(link_role));
            }
            (Some(span), None) => {
                let (text, role) = if link == LinkExpiry::None && download.is_none() {
                    (time.text, time.role)
                } else {
                    (link_text, link_role)
                };
                painter.text_ending_at(span.end(), y, &text, paint.style_for(role));
            }
            (None, _) => {}
        }
    }

    /// Underlines the parts of a title that match the filter.
    fn underline_matches(
        &self,
        painter: &mut Painter<'_>,
        y: u16,
        title: &str,
        ctx: &RenderContext<'_>,
        searcher: &mut Searcher,
    ) {
        let query = &ctx.state.list_view().query;
        if query.is_empty() {
            return;
        }
        let matches = query.match_positions(title, searcher);
        let mut matches = matches.iter().peekable();
        let mut x = self.title.start;
        for (at, (_, width)) in (0..).zip(format::visible_graphemes(title)) {
            let width = u16::try_from(width).unwrap_or_default();
            if matches.next_if_eq(&&at).is_some() {
                let style = Style::new().add_modifier(Modifier::UNDERLINED);
                painter.style_cells(x, y, width, style);
            }
            x = x.saturating_add(width);
        }
    }

    fn time_width(&self) -> usize {
        self.time.map_or(0, |span| usize::from(span.width))
    }

    /// Draws the status word, followed by its age if it is stale.
    fn draw_status(
        &self,
        painter: &mut Painter<'_>,
        y: u16,
        span: ColumnSpan,
        watched: &WatchedTask,
        status: Status,
        paint: &RowStyle<'_>,
    ) {
        let ctx = paint.ctx;
        let style = ctx.theme.status_style(status, ctx.now);
        let width = usize::from(span.width);
        let is_stale = is_stale(watched, ctx);
        if self.width_class == WidthClass::Narrow {
            let x = painter.text(
                span.start,
                y,
                status.short_word(),
                paint.style_for(style.role),
            );
            if is_stale {
                painter.text(x, y, "~", paint.style_for(Role::Muted));
            }
            return;
        }
        let word = status_word(watched, status, status.word());
        let word = format::fit_end(&word, width - 1, ctx.ellipsis());
        let x = painter.text(span.start, y, &word, paint.style_for(style.role));
        if is_stale {
            // A finished task needs no age here: it does not change.
            let last_ok = watched.poll_history.last_ok;
            let age = last_ok
                .filter(|_| !watched.task.state().is_final())
                .map_or_else(String::new, |at| format::format_age(ctx.now.age_of(at)));
            let mark = format!(" ~{age}");
            let used = format::width(&word) + format::width(&mark);
            let mark = if used <= width {
                mark.as_str()
            } else {
                mark.trim_start()
            };
            let room = usize::from(span.end().saturating_sub(x));
            let mark = format::fit_end(mark, room, "");
            painter.text(x, y, &mark, paint.style_for(Role::Muted));
        }
    }
}

/// Registers the headings as mouse targets; cells between two headings belong to the nearer one.
fn register_heads(
    painter: &Painter<'_>,
    heads: &[(u16, u16, SortColumn)],
    ctx: &RenderContext<'_>,
) {
    let mut from = 0;
    for (at, (_, end, sort)) in heads.iter().enumerate() {
        let next = heads.get(at + 1).map(|(start, ..)| *start);
        let to = next.map_or(painter.width(), |next| end.midpoint(next));
        let width = to.saturating_sub(from);
        ctx.register(painter.cells_area(from, 0, width), || {
            HitTarget::ColumnHead(*sort)
        });
        from = to;
    }
}

/// The styles of a row; a selected row has one style for all roles.
struct RowStyle<'a> {
    ctx: &'a RenderContext<'a>,
    is_selected: bool,
}

impl RowStyle<'_> {
    fn style_for(&self, role: Role) -> Style {
        self.ctx.style(if self.is_selected {
            Role::Selected
        } else {
            role
        })
    }
}

/// Reports whether the shown state is out of date.
///
/// "Not found" is a valid answer for an unfinished task. For a finished one it means that the last
/// known state is shown; nothing else makes a finished task stale.
fn is_stale(watched: &WatchedTask, ctx: &RenderContext<'_>) -> bool {
    let failed = watched
        .poll_history
        .last_error
        .as_ref()
        .is_some_and(|failed| failed.error != PollError::NotFound);
    if watched.task.state().is_final() {
        return watched.is_no_longer_on_server();
    }
    failed || ctx.state.poll_queue().backoff().is_some()
}

/// Returns the status word; an unknown status with the server's flag.
pub(in crate::ui) fn status_word(
    watched: &WatchedTask,
    status: Status,
    word: &'static str,
) -> Cow<'static, str> {
    match (&watched.task.details().flag, status) {
        (Some(flag), Status::Unknown) => format!("{word} ({flag})").into(),
        _ => word.into(),
    }
}

/// Returns the title, truncated to `width` cells; an id keeps both its ends.
fn title_text<'a>(
    watched: &'a WatchedTask,
    width: usize,
    ctx: &RenderContext<'_>,
) -> (Cow<'a, str>, Role) {
    let id = watched.id().as_str();
    if watched.title() == id {
        return (format::short_id(id, width, ctx.ellipsis()), Role::Muted);
    }
    let title = match watched.unique_title(ctx.state.list().labels()) {
        Cow::Borrowed(title) => format::fit_end(title, width, ctx.ellipsis()),
        Cow::Owned(title) => {
            let fitted = format::fit_end(&title, width, ctx.ellipsis());
            fitted.into_owned().into()
        }
    };
    (title, Role::Text)
}

struct RowText {
    text: Cow<'static, str>,
    role: Role,
}

impl RowText {
    fn new(text: impl Into<Cow<'static, str>>, role: Role) -> Self {
        Self {
            text: text.into(),
            role,
        }
    }
}

/// Returns the text of the time column, and whether a progress bar precedes it.
fn time_cell(
    watched: &WatchedTask,
    status: Status,
    width: usize,
    ctx: &RenderContext<'_>,
) -> (RowText, bool) {
    let run = watched.run_time(ctx.now);
    let estimate = &ctx.estimate;
    let cell = match status {
        Status::Generating | Status::Finishing if run >= estimate.median => {
            return (RowText::new("soon", Role::Busy), true);
        }
        Status::Generating | Status::Finishing => {
            let left = format::rough_wait(estimate.median.saturating_sub(run));
            return (RowText::new(left, Role::Text), true);
        }
        Status::Late => {
            let over = format::format_age(run.saturating_sub(estimate.late));
            RowText::new(format!("+{over} late"), Role::Warn)
        }
        Status::CreateFailed | Status::GenerationFailed => {
            let code = &watched.task.details().error_code;
            code.as_ref().filter(|code| !code.is_empty()).map_or(
                RowText::new("-", Role::Muted),
                |code| {
                    let code = format::fit_end(code.as_str(), width, ctx.ellipsis());
                    RowText::new(code.into_owned(), Role::Error)
                },
            )
        }
        Status::Ready
        | Status::Saved
        | Status::NoLink
        | Status::LinkExpired
        | Status::CallbackFailed => watched
            .task
            .run_time()
            .map_or(RowText::new("-", Role::Muted), |took| {
                RowText::new(format::run_time(took), Role::Text)
            }),
        Status::New | Status::NotFound | Status::Unknown => RowText::new("-", Role::Muted),
    };
    (cell, false)
}

/// Returns the number of done cells in a running task's bar, estimated from the median run time.
fn bar_cells(watched: &WatchedTask, status: Status, ctx: &RenderContext<'_>) -> Option<u16> {
    if !matches!(status, Status::Generating | Status::Finishing) {
        return None;
    }
    let run = watched.run_time(ctx.now).as_millis();
    let usual = ctx.estimate.median.as_millis().max(1);
    let done = (run.saturating_mul(u128::from(BAR_WIDTH)) / usual).min(u128::from(BAR_WIDTH));
    u16::try_from(done).ok()
}

/// Returns the progress of a download in the nine cells of the link column.
fn download_cell(download: DownloadProgress) -> String {
    let left = download.progress.remaining().map(format::countdown);
    match (download.progress.percent(), left) {
        _ if download.waiting == download.files => "queued".into(),
        (Some(percent), Some(left)) => format!("{percent}% {left}"),
        (Some(percent), None) => format!("{percent}%"),
        (None, _) => format::byte_size(download.progress.bytes),
    }
}

fn link_role(link: LinkExpiry) -> Role {
    match (link, link.urgency()) {
        (LinkExpiry::Saved, _) => Role::Ok,
        (LinkExpiry::None | LinkExpiry::Expired | LinkExpiry::Unknown, _) => Role::Muted,
        (LinkExpiry::Remaining(_), Urgency::VerySoon) => Role::Error,
        (LinkExpiry::Remaining(_), Urgency::Soon) => Role::Warn,
        (LinkExpiry::Remaining(_), Urgency::None) => Role::Text,
    }
}
