//! One row of the table: which columns there are, where they stand, and what a task shows in each.

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
    ui::{
        format, layout::WidthClass, painter::Painter, render_context::RenderContext, theme::Role,
    },
};

/// How many cells a progress bar has.
const BAR_WIDTH: u16 = 6;

/// The set of columns with their places; a column that is not there is `None`.
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

/// Where a column starts, and how wide it is.
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
    /// Returns the columns of a table that wide; what is over goes to the title.
    pub(super) fn new(breadth: WidthClass, width: u16) -> Self {
        let edge = width.saturating_sub(1);
        let title_to = |start: u16, end: u16| ColumnSpan {
            start,
            width: end.saturating_sub(start),
        };
        match breadth {
            WidthClass::Wide | WidthClass::Medium => {
                let time = ColumnSpan {
                    start: edge.saturating_sub(21),
                    width: 12,
                };
                let age_end = time.start.saturating_sub(1);
                Self {
                    width_class: breadth,
                    mark: 1,
                    glyph: 2,
                    status: Some(ColumnSpan {
                        start: 4,
                        width: 14,
                    }),
                    title: title_to(19, age_end.saturating_sub(5)),
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
                    width_class: breadth,
                    // Over the pointer: the selected row is told by its style as well.
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
                width_class: breadth,
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

    /// Draws the heads of the columns.
    pub(super) fn draw_heads(&self, pen: &mut Painter<'_>, scene: &RenderContext<'_>) {
        let style = scene.style(Role::Heading);
        let (status, time) = match self.width_class {
            WidthClass::Wide | WidthClass::Medium => ("STATUS", "TOOK / LEFT"),
            WidthClass::Narrow | WidthClass::Minimal => ("ST", "LEFT/LINK"),
        };
        let arrow = if scene.state.list_view().order.is_ascending() {
            scene.theme.glyphs().ascending
        } else {
            scene.theme.glyphs().descending
        };
        let sort = scene.state.list_view().order.column;
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
            let end = pen.text(start, 0, text, style);
            if by == sort {
                pen.text(end, 0, arrow, style);
            }
            heads.push((start, end, by));
        }
        for (end, text, by) in from_right {
            let Some(end) = end else { continue };
            let start = pen.text_ending_at(end, 0, text, style);
            if by == sort {
                pen.text_ending_at(start, 0, arrow, style);
            }
            heads.push((start, end, by));
        }
        register_heads(pen, &heads, scene);
    }

    /// Draws a task.
    pub(super) fn draw_row(
        &self,
        pen: &mut Painter<'_>,
        y: u16,
        watched: &WatchedTask,
        scene: &RenderContext<'_>,
        searcher: &mut Searcher,
    ) {
        let is_selected = scene.state.is_selected(watched.id());
        let paint = RowStyle { scene, is_selected };
        let status = scene.status_of(watched);
        let look = scene.theme.status_style(status, scene.now);
        if is_selected {
            pen.style_row(y, paint.style_for(Role::Text));
            let pointer = scene.theme.glyphs().row_cursor;
            pen.text(0, y, pointer, paint.style_for(Role::Text));
        }
        if scene.state.marks().has(watched.id()) {
            pen.text(self.mark, y, "*", paint.style_for(Role::Accent));
        }
        pen.text(self.glyph, y, look.glyph, paint.style_for(look.role));
        if let Some(span) = self.status {
            self.draw_status(pen, y, span, watched, status, &paint);
        }
        let (title, role) = title_text(watched, usize::from(self.title.width), scene);
        pen.text(self.title.start, y, &title, paint.style_for(role));
        if role == Role::Text {
            self.underline_matches(pen, y, &title, scene, searcher);
        }
        if let Some(end) = self.age_end {
            let age = format::format_age(scene.now.age_of(watched.started_at()));
            pen.text_ending_at(end, y, &age, paint.style_for(Role::Muted));
        }
        let link = watched.link_expiry(scene.state.settings().retention, scene.now);
        let (time, is_bar_there) = time_cell(watched, status, self.time_width(), scene);
        let saving = scene.state.downloads().progress(watched.id());
        let (link_text, link_role) = match saving {
            Some(saving) => (download_cell(saving).into(), Role::Busy),
            None => (format::link_expiry(link), link_role(link)),
        };
        match (self.time, self.link_end) {
            (Some(span), Some(end)) => {
                if let (true, Some(done)) = (is_bar_there, bar_cells(watched, status, scene)) {
                    let glyphs = scene.theme.glyphs();
                    pen.repeat(
                        span.start,
                        y,
                        done,
                        glyphs.bar_done,
                        paint.style_for(Role::Busy),
                    );
                    let rest = span.start + done;
                    pen.repeat(
                        rest,
                        y,
                        BAR_WIDTH - done,
                        glyphs.bar_rest,
                        paint.style_for(Role::Muted),
                    );
                }
                pen.text_ending_at(span.end(), y, &time.text, paint.style_for(time.role));
                pen.text_ending_at(end, y, &link_text, paint.style_for(link_role));
            }
            (Some(span), None) => {
                let (text, role) = if link == LinkExpiry::None && saving.is_none() {
                    (time.text, time.role)
                } else {
                    (link_text, link_role)
                };
                pen.text_ending_at(span.end(), y, &text, paint.style_for(role));
            }
            (None, _) => {}
        }
    }

    /// Underlines what of a title the filter looked for.
    fn underline_matches(
        &self,
        pen: &mut Painter<'_>,
        y: u16,
        title: &str,
        scene: &RenderContext<'_>,
        searcher: &mut Searcher,
    ) {
        let query = &scene.state.list_view().query;
        if query.is_empty() {
            return;
        }
        let places = query.match_positions(title, searcher);
        let mut places = places.iter().peekable();
        let mut x = self.title.start;
        for (at, (_, width)) in (0..).zip(format::visible_graphemes(title)) {
            let width = u16::try_from(width).unwrap_or_default();
            if places.next_if_eq(&&at).is_some() {
                let style = Style::new().add_modifier(Modifier::UNDERLINED);
                pen.style_cells(x, y, width, style);
            }
            x = x.saturating_add(width);
        }
    }

    fn time_width(&self) -> usize {
        self.time.map_or(0, |span| usize::from(span.width))
    }

    /// Draws the word, and behind it how old it is when the last check failed.
    fn draw_status(
        &self,
        pen: &mut Painter<'_>,
        y: u16,
        span: ColumnSpan,
        watched: &WatchedTask,
        status: Status,
        paint: &RowStyle<'_>,
    ) {
        let scene = paint.scene;
        let look = scene.theme.status_style(status, scene.now);
        let width = usize::from(span.width);
        let is_old = is_stale(watched, scene);
        if self.width_class == WidthClass::Narrow {
            let x = pen.text(span.start, y, look.short, paint.style_for(look.role));
            if is_old {
                pen.text(x, y, "~", paint.style_for(Role::Muted));
            }
            return;
        }
        let mut word = status_word(watched, status, scene);
        if word == look.full_word {
            word = look.word.into();
        }
        let word = format::fit_end(&word, width - 1, scene.ellipsis());
        let x = pen.text(span.start, y, &word, paint.style_for(look.role));
        if is_old {
            // How old an ending is, its age says.
            let seen = watched.poll_history.last_ok;
            let age = seen
                .filter(|_| !watched.task.state().is_final())
                .map_or_else(String::new, |at| format::format_age(scene.now.age_of(at)));
            let mark = format!(" ~{age}");
            let used = format::width(&word) + format::width(&mark);
            let mark = if used <= width {
                mark.as_str()
            } else {
                mark.trim_start()
            };
            let room = usize::from(span.end().saturating_sub(x));
            let mark = format::fit_end(mark, room, "");
            pen.text(x, y, &mark, paint.style_for(Role::Muted));
        }
    }
}

/// Says whose head lies where, from the left: what is between two heads belongs to the nearer one.
fn register_heads(pen: &Painter<'_>, heads: &[(u16, u16, SortColumn)], scene: &RenderContext<'_>) {
    let mut from = 0;
    for (at, (_, end, sort)) in heads.iter().enumerate() {
        let next = heads.get(at + 1).map(|(start, ..)| *start);
        let to = next.map_or(pen.width(), |next| end.midpoint(next));
        let width = to.saturating_sub(from);
        scene.register(pen.cells_area(from, 0, width), || {
            HitTarget::ColumnHead(*sort)
        });
        from = to;
    }
}

/// Gives roles their styles; in the selected row all have the one.
struct RowStyle<'a> {
    scene: &'a RenderContext<'a>,
    is_selected: bool,
}

impl RowStyle<'_> {
    fn style_for(&self, role: Role) -> Style {
        self.scene.style(if self.is_selected {
            Role::Selected
        } else {
            role
        })
    }
}

/// Reports whether what the row says is older than it should be.
///
/// "No such task" is an answer, not a lack of one, until the task has ended: then it is the last
/// that was known. Nothing else makes an ending old.
fn is_stale(watched: &WatchedTask, scene: &RenderContext<'_>) -> bool {
    let failed = watched
        .poll_history
        .last_error
        .as_ref()
        .is_some_and(|failed| failed.error != PollError::NotFound);
    if watched.task.state().is_final() {
        return watched.is_no_longer_on_server();
    }
    failed || scene.state.poll_queue().backoff().is_some()
}

/// Returns the status word; of an answer we do not understand, the server's own flag.
pub(in crate::ui) fn status_word(
    watched: &WatchedTask,
    status: Status,
    scene: &RenderContext<'_>,
) -> Cow<'static, str> {
    match (&watched.task.details().flag, status) {
        (Some(flag), Status::Unknown) => format!("unknown ({flag})").into(),
        _ => scene.theme.status_style(status, scene.now).full_word.into(),
    }
}

/// Returns what a row is called, in so many cells; a bare id keeps both its ends.
fn title_text<'a>(
    watched: &'a WatchedTask,
    width: usize,
    scene: &RenderContext<'_>,
) -> (Cow<'a, str>, Role) {
    let id = watched.id().as_str();
    if watched.title() == id {
        return (format::short_id(id, width, scene.ellipsis()), Role::Muted);
    }
    let title = match watched.unique_title(scene.state.list().labels()) {
        Cow::Borrowed(title) => format::fit_end(title, width, scene.ellipsis()),
        Cow::Owned(title) => {
            let fitted = format::fit_end(&title, width, scene.ellipsis());
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

/// Returns what matters of a task's time, and whether a progress bar stands before it.
fn time_cell(
    watched: &WatchedTask,
    status: Status,
    width: usize,
    scene: &RenderContext<'_>,
) -> (RowText, bool) {
    let run = watched.run_time(scene.now);
    let estimate = &scene.estimate;
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
            let long = format!("+{over} past p95");
            let is_known = estimate.samples > 0;
            if is_known && long.len() <= width {
                RowText::new(long, Role::Warn)
            } else {
                RowText::new(format!("+{over} late"), Role::Warn)
            }
        }
        Status::CreateFailed | Status::GenerationFailed => {
            let code = &watched.task.details().error_code;
            code.as_ref().filter(|code| !code.is_empty()).map_or(
                RowText::new("-", Role::Muted),
                |code| {
                    let code = format::fit_end(code.as_str(), width, scene.ellipsis());
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

/// Returns how many cells of a running task's bar are done, by what is usual.
fn bar_cells(watched: &WatchedTask, status: Status, scene: &RenderContext<'_>) -> Option<u16> {
    if !matches!(status, Status::Generating | Status::Finishing) {
        return None;
    }
    let run = watched.run_time(scene.now).as_millis();
    let usual = scene.estimate.median.as_millis().max(1);
    let done = (run.saturating_mul(u128::from(BAR_WIDTH)) / usual).min(u128::from(BAR_WIDTH));
    u16::try_from(done).ok()
}

/// Returns how far a save is, in the nine cells of a link's life.
fn download_cell(saving: DownloadProgress) -> String {
    let left = saving.progress.remaining().map(format::countdown);
    match (saving.progress.percent(), left) {
        _ if saving.waiting == saving.files => "waits".into(),
        (Some(percent), Some(left)) => format!("{percent}% {left}"),
        (Some(percent), None) => format!("{percent}%"),
        (None, _) => format::byte_size(saving.progress.bytes),
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
