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
    ui::{
        layout::WidthClass,
        painter::{Painter, cell_count},
        render_context::RenderContext,
        theme::Role,
    },
};

/// The width of a progress bar in cells.
const BAR_WIDTH: usize = 6;

/// The pieces of a cell, from left to right.
type CellPieces<'a> = Vec<(Cow<'a, str>, Role)>;

/// Returns the value of a task for a column of the given width.
type CellValue = for<'a> fn(&ListRow<'a>, usize) -> CellPieces<'a>;

/// A column of the table.
struct ListColumn {
    heading: &'static str,
    sort: SortColumn,
    /// The cells that it takes; 0 for the rest of the row.
    width: u16,
    value: CellValue,
    is_at_right: bool,
}

impl ListColumn {
    const fn left(heading: &'static str, sort: SortColumn, width: u16, value: CellValue) -> Self {
        Self {
            heading,
            sort,
            width,
            value,
            is_at_right: false,
        }
    }

    const fn right(heading: &'static str, sort: SortColumn, width: u16, value: CellValue) -> Self {
        Self {
            is_at_right: true,
            ..Self::left(heading, sort, width, value)
        }
    }
}

const TITLE: ListColumn = ListColumn::left("TITLE", SortColumn::Title, 0, title_cell);
const AGE: ListColumn = ListColumn::right("AGE", SortColumn::Age, 4, age_cell);

const ALL_COLUMNS: [ListColumn; 5] = [
    ListColumn::left("STATUS", SortColumn::Status, 15, status_cell),
    TITLE,
    AGE,
    ListColumn::right("TOOK / LEFT", SortColumn::Took, 12, time_cell),
    ListColumn::right("LINK", SortColumn::Link, 8, link_cell),
];

const NARROW_COLUMNS: [ListColumn; 4] = [
    ListColumn::left("ST", SortColumn::Status, 5, short_status_cell),
    TITLE,
    AGE,
    ListColumn::right("LEFT/LINK", SortColumn::Took, 9, time_or_link_cell),
];

const MINIMAL_COLUMNS: [ListColumn; 1] = [TITLE];

/// The columns of a table.
pub(super) struct ListColumns {
    columns: &'static [ListColumn],
    /// The position of the status glyph: after the mark, before the first column.
    glyph: u16,
}

impl ListColumns {
    pub(super) const fn new(width_class: WidthClass) -> Self {
        let (columns, glyph): (&[ListColumn], _) = match width_class {
            WidthClass::Wide | WidthClass::Medium => (&ALL_COLUMNS, 2),
            // The mark covers the pointer; the style still marks the selected row.
            WidthClass::Narrow => (&NARROW_COLUMNS, 1),
            WidthClass::Minimal => (&MINIMAL_COLUMNS, 1),
        };
        Self { columns, glyph }
    }

    /// Returns the columns of a table of that width, each with its first cell and its width. One
    /// cell is blank after each.
    fn placed(&self, table_width: u16) -> impl Iterator<Item = (&'static ListColumn, u16, u16)> {
        let start = self.glyph + 2;
        let fixed: u16 = self.columns.iter().map(|column| column.width + 1).sum();
        let rest = table_width.saturating_sub(start + fixed);
        let mut next = start;
        self.columns.iter().map(move |column| {
            let start = next;
            let width = if column.width == 0 {
                rest
            } else {
                column.width
            };
            next += width + 1;
            (column, start, width)
        })
    }

    pub(super) fn draw_heads(&self, painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
        let style = ctx.style(Role::Heading);
        let order = ctx.state.list_view().order;
        let arrow = if order.is_ascending() {
            ctx.theme.glyphs().ascending
        } else {
            ctx.theme.glyphs().descending
        };
        let mut heads = Vec::with_capacity(self.columns.len());
        for (column, start, width) in self.placed(painter.width()) {
            let mut start = start;
            if column.is_at_right {
                start = (start + width).saturating_sub(cell_count(column.heading));
            }
            let end = painter.text(start, 0, column.heading, style);
            if column.sort == order.column {
                let at = if column.is_at_right { start - 1 } else { end };
                painter.text(at, 0, arrow, style);
            }
            heads.push((start, end, column.sort));
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
        // A selected row has one style for all roles.
        let style = |role| ctx.style(if is_selected { Role::Selected } else { role });
        let status = ctx.status_of(watched);
        if is_selected {
            painter.style_row(y, style(Role::Text));
            painter.text(0, y, ctx.theme.glyphs().row_cursor, style(Role::Text));
        }
        if ctx.state.marks().has(watched.id()) {
            painter.text(self.glyph - 1, y, "*", style(Role::Accent));
        }
        let glyph = ctx.theme.status_style(status, ctx.now);
        painter.text(self.glyph, y, glyph.glyph, style(glyph.role));
        let row = ListRow {
            ctx,
            watched,
            status,
        };
        for (column, start, width) in self.placed(painter.width()) {
            let cell = (column.value)(&row, usize::from(width));
            let mut x = start;
            if column.is_at_right {
                let used = cell.iter().map(|(text, _)| cell_count(text)).sum();
                x = (start + width).saturating_sub(used);
            }
            for (text, role) in &cell {
                x = painter.text(x, y, text, style(*role));
                if column.sort == SortColumn::Title && *role == Role::Text {
                    underline_matches(painter, (start, y), text, ctx, searcher);
                }
            }
        }
    }
}

/// Underlines the parts of a title that match the filter.
fn underline_matches(
    painter: &mut Painter<'_>,
    (mut x, y): (u16, u16),
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
    for (at, (_, width)) in (0..).zip(format::visible_graphemes(title)) {
        let width = u16::try_from(width).unwrap_or_default();
        if matches.next_if_eq(&&at).is_some() {
            let style = Style::new().add_modifier(Modifier::UNDERLINED);
            painter.style_cells(x, y, width, style);
        }
        x = x.saturating_add(width);
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

/// A task in the table.
struct ListRow<'a> {
    ctx: &'a RenderContext<'a>,
    watched: &'a WatchedTask,
    status: Status,
}

/// Returns the status word, followed by its age if it is stale.
fn status_cell<'a>(row: &ListRow<'a>, width: usize) -> CellPieces<'a> {
    let ListRow { ctx, watched, .. } = row;
    let role = ctx.theme.status_style(row.status, ctx.now).role;
    let word = status_word(watched, row.status, row.status.word());
    let word = format::fit_end(&word, width - 1, ctx.ellipsis()).into_owned();
    let mut cell = vec![(word.clone().into(), role)];
    if is_stale(watched, ctx) {
        // A finished task needs no age here: it does not change.
        let last_ok = watched.poll_history.last_ok;
        let age = last_ok
            .filter(|_| !watched.task.state().is_final())
            .map_or_else(String::new, |at| format::format_age(ctx.now.age_of(at)));
        let room = width - format::width(&word);
        let mark = format!(" ~{age}");
        let mark = if format::width(&mark) <= room {
            mark.as_str()
        } else {
            mark.trim_start()
        };
        cell.push((
            format::fit_end(mark, room, "").into_owned().into(),
            Role::Muted,
        ));
    }
    cell
}

/// Returns the short status word, with a mark if it is stale.
fn short_status_cell<'a>(row: &ListRow<'a>, _width: usize) -> CellPieces<'a> {
    let role = row.ctx.theme.status_style(row.status, row.ctx.now).role;
    let mut cell = vec![(row.status.short_word().into(), role)];
    if is_stale(row.watched, row.ctx) {
        cell.push(("~".into(), Role::Muted));
    }
    cell
}

/// Reports whether the shown state is out of date.
///
/// "Not found" is a valid answer for an unfinished task. For a finished one it means that the last
/// known state is shown; nothing else makes a finished task stale.
fn is_stale(watched: &WatchedTask, ctx: &RenderContext<'_>) -> bool {
    if watched.task.state().is_final() {
        return watched.is_no_longer_on_server();
    }
    let last_error = watched.poll_history.last_error.as_ref();
    last_error.is_some_and(|failed| failed.error != PollError::NotFound)
        || ctx.state.poll_queue().backoff().is_some()
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

/// Returns the title; an id keeps both its ends.
fn title_cell<'a>(row: &ListRow<'a>, width: usize) -> CellPieces<'a> {
    let ListRow { ctx, watched, .. } = *row;
    let id = watched.id().as_str();
    if watched.title() == id {
        let id = format::short_id(id, width, ctx.ellipsis());
        return vec![(id, Role::Muted)];
    }
    let title = match watched.unique_title(ctx.state.list().labels()) {
        Cow::Borrowed(title) => format::fit_end(title, width, ctx.ellipsis()),
        Cow::Owned(title) => {
            let fitted = format::fit_end(&title, width, ctx.ellipsis());
            fitted.into_owned().into()
        }
    };
    vec![(title, Role::Text)]
}

fn age_cell<'a>(row: &ListRow<'a>, _width: usize) -> CellPieces<'a> {
    let age = row.ctx.now.age_of(row.watched.started_at());
    vec![(format::format_age(age).into(), Role::Muted)]
}

/// Returns the time that a task took or takes, with a progress bar while it runs.
fn time_cell<'a>(row: &ListRow<'a>, width: usize) -> CellPieces<'a> {
    let (text, role) = time_value(row, width);
    if !matches!(row.status, Status::Generating | Status::Finishing) {
        return vec![(text, role)];
    }
    let run = row.watched.run_time(row.ctx.now).as_millis();
    let usual = row.ctx.estimate.median.as_millis().max(1);
    let bar_width = BAR_WIDTH as u128;
    let done = (run.saturating_mul(bar_width) / usual).min(bar_width);
    let done = usize::try_from(done).unwrap_or(BAR_WIDTH);
    let glyphs = row.ctx.theme.glyphs();
    vec![
        (glyphs.bar_done.repeat(done).into(), Role::Busy),
        (glyphs.bar_rest.repeat(BAR_WIDTH - done).into(), Role::Muted),
        (format::pad_start(&text, width - BAR_WIDTH).into(), role),
    ]
}

fn time_value(row: &ListRow<'_>, width: usize) -> (Cow<'static, str>, Role) {
    let ListRow { ctx, watched, .. } = *row;
    let run = watched.run_time(ctx.now);
    let estimate = &ctx.estimate;
    let none = ("-".into(), Role::Muted);
    match row.status {
        Status::Generating | Status::Finishing if run >= estimate.median => {
            ("soon".into(), Role::Busy)
        }
        Status::Generating | Status::Finishing => {
            let left = format::rough_wait(estimate.median.saturating_sub(run));
            (left.into(), Role::Text)
        }
        Status::Late => {
            let over = format::format_age(run.saturating_sub(estimate.late));
            (format!("+{over} late").into(), Role::Warn)
        }
        Status::CreateFailed | Status::GenerationFailed => {
            let code = watched.task.details().error_code.as_ref();
            code.filter(|code| !code.is_empty()).map_or(none, |code| {
                let code = format::fit_end(code.as_str(), width, ctx.ellipsis());
                (code.into_owned().into(), Role::Error)
            })
        }
        Status::Ready
        | Status::Saved
        | Status::NoLink
        | Status::LinkExpired
        | Status::CallbackFailed => {
            let took = watched.task.run_time().map(format::run_time);
            took.map_or(none, |took| (took.into(), Role::Text))
        }
        Status::New | Status::NotFound | Status::Unknown => none,
    }
}

/// Returns the progress of a download, else the remaining life of the link.
fn link_cell<'a>(row: &ListRow<'a>, _width: usize) -> CellPieces<'a> {
    let ctx = row.ctx;
    if let Some(download) = ctx.state.downloads().progress(row.watched.id()) {
        return vec![(download_text(download).into(), Role::Busy)];
    }
    let link = row
        .watched
        .link_expiry(ctx.state.settings().retention, ctx.now);
    let role = match (link, link.urgency()) {
        (LinkExpiry::Saved, _) => Role::Ok,
        (LinkExpiry::None | LinkExpiry::Expired | LinkExpiry::Unknown, _) => Role::Muted,
        (LinkExpiry::Remaining(_), Urgency::VerySoon) => Role::Error,
        (LinkExpiry::Remaining(_), Urgency::Soon) => Role::Warn,
        (LinkExpiry::Remaining(_), Urgency::None) => Role::Text,
    };
    vec![(format::link_expiry(link), role)]
}

/// Returns the link once there is one, else the time.
fn time_or_link_cell<'a>(row: &ListRow<'a>, width: usize) -> CellPieces<'a> {
    let ctx = row.ctx;
    let link = row
        .watched
        .link_expiry(ctx.state.settings().retention, ctx.now);
    let download = ctx.state.downloads().progress(row.watched.id());
    if link == LinkExpiry::None && download.is_none() {
        vec![time_value(row, width)]
    } else {
        link_cell(row, width)
    }
}

/// Returns the progress of a download, as short as the column of links.
fn download_text(download: DownloadProgress) -> String {
    let left = download.progress.remaining().map(format::countdown);
    match (download.progress.percent(), left) {
        _ if download.waiting == download.files => "queued".into(),
        (Some(percent), Some(left)) => format!("{percent}% {left}"),
        (Some(percent), None) => format!("{percent}%"),
        (None, _) => format::byte_size(download.progress.bytes),
    }
}
