//! One row of the table: which columns there are, where they stand, and what a task shows in each.

use std::borrow::Cow;

use ratatui::style::{Modifier, Style};

use crate::{
    app::pointer::Spot,
    domain::{
        fuzzy::Searcher,
        query::Sort,
        report::PollError,
        save::Saving,
        status::{LinkLife, Status, Urgency},
        watched::Watched,
    },
    ui::{areas::Breadth, format, pen::Pen, scene::Scene, theme::Role},
};

/// How many cells a progress bar has.
const BAR: u16 = 6;

/// Is the set of columns with their places; a column that is not there is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    breadth: Breadth,
    mark: u16,
    glyph: u16,
    status: Option<Span>,
    title: Span,
    age_end: Option<u16>,
    time: Option<Span>,
    link_end: Option<u16>,
}

/// Is where a column starts, and how wide it is.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u16,
    width: u16,
}

impl Span {
    const fn end(self) -> u16 {
        self.start + self.width
    }
}

impl Columns {
    /// Returns the columns of a table that wide; what is over goes to the title.
    pub(super) fn of(breadth: Breadth, width: u16) -> Self {
        let edge = width.saturating_sub(1);
        let title_to = |start: u16, end: u16| Span {
            start,
            width: end.saturating_sub(start),
        };
        match breadth {
            Breadth::Wide | Breadth::Middle => {
                let time = Span {
                    start: edge.saturating_sub(21),
                    width: 12,
                };
                let age_end = time.start.saturating_sub(1);
                Self {
                    breadth,
                    mark: 1,
                    glyph: 2,
                    status: Some(Span {
                        start: 4,
                        width: 14,
                    }),
                    title: title_to(19, age_end.saturating_sub(5)),
                    age_end: Some(age_end),
                    time: Some(time),
                    link_end: Some(edge),
                }
            }
            Breadth::Narrow => {
                let time = Span {
                    start: edge.saturating_sub(9),
                    width: 9,
                };
                let age_end = time.start.saturating_sub(1);
                Self {
                    breadth,
                    // Over the pointer: the selected row is told by its style as well.
                    mark: 0,
                    glyph: 1,
                    status: Some(Span { start: 3, width: 5 }),
                    title: title_to(9, age_end.saturating_sub(5)),
                    age_end: Some(age_end),
                    time: Some(time),
                    link_end: None,
                }
            }
            Breadth::Tiny => Self {
                breadth,
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
    pub(super) fn draw_heads(&self, pen: &mut Pen<'_>, scene: &Scene<'_>) {
        let style = scene.style(Role::Heading);
        let (status, time) = match self.breadth {
            Breadth::Wide | Breadth::Middle => ("STATUS", "TOOK / LEFT"),
            Breadth::Narrow | Breadth::Tiny => ("ST", "LEFT/LINK"),
        };
        let arrow = if scene.state.lens().order.is_ascending() {
            scene.theme.glyphs().ascending
        } else {
            scene.theme.glyphs().descending
        };
        let sort = scene.state.lens().order.sort;
        let from_left = [
            (self.status.map(|span| span.start), status, Sort::Status),
            (Some(self.title.start), "TITLE", Sort::Title),
        ];
        let from_right = [
            (self.age_end, "AGE", Sort::Age),
            (self.time.map(Span::end), time, Sort::Took),
            (self.link_end, "LINK", Sort::Link),
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
            let start = pen.text_before(end, 0, text, style);
            if by == sort {
                pen.text_before(start, 0, arrow, style);
            }
            heads.push((start, end, by));
        }
        mark_heads(pen, &heads, scene);
    }

    /// Draws a task.
    pub(super) fn draw_row(
        &self,
        pen: &mut Pen<'_>,
        y: u16,
        watched: &Watched,
        scene: &Scene<'_>,
        searcher: &mut Searcher,
    ) {
        let is_selected = scene.state.is_selected(watched.id());
        let paint = Paint { scene, is_selected };
        let status = scene.status_of(watched);
        let look = scene.theme.look(status, scene.now);
        if is_selected {
            pen.style_row(y, paint.of(Role::Text));
            let pointer = scene.theme.glyphs().pointer;
            pen.text(0, y, pointer, paint.of(Role::Text));
        }
        if scene.state.marks().has(watched.id()) {
            pen.text(self.mark, y, "*", paint.of(Role::Accent));
        }
        pen.text(self.glyph, y, look.glyph, paint.of(look.role));
        if let Some(span) = self.status {
            self.draw_status(pen, y, span, watched, status, &paint);
        }
        let (title, role) = title(watched, usize::from(self.title.width), scene);
        pen.text(self.title.start, y, &title, paint.of(role));
        if role == Role::Text {
            self.point_out(pen, y, &title, scene, searcher);
        }
        if let Some(end) = self.age_end {
            let age = format::age(scene.now.age_of(watched.submitted()));
            pen.text_before(end, y, &age, paint.of(Role::Muted));
        }
        let link = watched.link_life(scene.state.settings().retention, scene.now);
        let (time, is_bar_there) = time_cell(watched, status, self.width_of_time(), scene);
        let saving = scene.state.saves().saving(watched.id());
        let (link_text, link_role) = match saving {
            Some(saving) => (saving_cell(saving).into(), Role::Busy),
            None => (format::link_life(link), link_role(link)),
        };
        match (self.time, self.link_end) {
            (Some(span), Some(end)) => {
                if let (true, Some(done)) = (is_bar_there, progress(watched, status, scene)) {
                    let glyphs = scene.theme.glyphs();
                    pen.repeat(span.start, y, done, glyphs.done, paint.of(Role::Busy));
                    let rest = span.start + done;
                    pen.repeat(rest, y, BAR - done, glyphs.rest, paint.of(Role::Muted));
                }
                pen.text_before(span.end(), y, &time.text, paint.of(time.role));
                pen.text_before(end, y, &link_text, paint.of(link_role));
            }
            (Some(span), None) => {
                let (text, role) = if link == LinkLife::None && saving.is_none() {
                    (time.text, time.role)
                } else {
                    (link_text, link_role)
                };
                pen.text_before(span.end(), y, &text, paint.of(role));
            }
            (None, _) => {}
        }
    }

    /// Underlines what of a title the filter looked for.
    fn point_out(
        &self,
        pen: &mut Pen<'_>,
        y: u16,
        title: &str,
        scene: &Scene<'_>,
        searcher: &mut Searcher,
    ) {
        let query = &scene.state.lens().query;
        if query.is_empty() {
            return;
        }
        let places = query.places(title, searcher);
        let mut places = places.iter().peekable();
        let mut x = self.title.start;
        for (at, (_, width)) in (0..).zip(format::cells(title)) {
            let width = u16::try_from(width).unwrap_or_default();
            if places.next_if_eq(&&at).is_some() {
                let style = Style::new().add_modifier(Modifier::UNDERLINED);
                pen.style_cells(x, y, width, style);
            }
            x = x.saturating_add(width);
        }
    }

    fn width_of_time(&self) -> usize {
        self.time.map_or(0, |span| usize::from(span.width))
    }

    /// Draws the word, and behind it how old it is when the last check failed.
    fn draw_status(
        &self,
        pen: &mut Pen<'_>,
        y: u16,
        span: Span,
        watched: &Watched,
        status: Status,
        paint: &Paint<'_>,
    ) {
        let scene = paint.scene;
        let look = scene.theme.look(status, scene.now);
        let width = usize::from(span.width);
        let is_old = is_stale(watched, scene);
        if self.breadth == Breadth::Narrow {
            let x = pen.text(span.start, y, look.short, paint.of(look.role));
            if is_old {
                pen.text(x, y, "~", paint.of(Role::Muted));
            }
            return;
        }
        let word = word(watched, status, scene);
        let word = format::fit_end(&word, width - 1, scene.ellipsis());
        let x = pen.text(span.start, y, &word, paint.of(look.role));
        if is_old {
            // How old an ending is, its age says.
            let seen = watched.freshness.last_ok;
            let age = seen
                .filter(|_| !watched.task.state().is_final())
                .map_or_else(String::new, |at| format::age(scene.now.age_of(at)));
            let mark = format!(" ~{age}");
            let used = format::width(&word) + format::width(&mark);
            let mark = if used <= width {
                mark.as_str()
            } else {
                mark.trim_start()
            };
            let room = usize::from(span.end().saturating_sub(x));
            let mark = format::fit_end(mark, room, "");
            pen.text(x, y, &mark, paint.of(Role::Muted));
        }
    }
}

/// Says whose head lies where, from the left: what is between two heads belongs to the nearer one.
fn mark_heads(pen: &Pen<'_>, heads: &[(u16, u16, Sort)], scene: &Scene<'_>) {
    let mut from = 0;
    for (at, (_, end, sort)) in heads.iter().enumerate() {
        let next = heads.get(at + 1).map(|(start, ..)| *start);
        let to = next.map_or(pen.width(), |next| end.midpoint(next));
        let width = to.saturating_sub(from);
        scene.mark(pen.strip(from, 0, width), || Spot::Head(*sort));
        from = to;
    }
}

/// Gives roles their styles; in the selected row all have the one.
struct Paint<'a> {
    scene: &'a Scene<'a>,
    is_selected: bool,
}

impl Paint<'_> {
    fn of(&self, role: Role) -> Style {
        self.scene.style(if self.is_selected {
            Role::Selected
        } else {
            role
        })
    }
}

/// Reports whether what the row says is older than it should be.
///
/// "No such task" is an answer, not a lack of one, until the task has ended: then it is the last that was known. Nothing
/// else makes an ending old.
fn is_stale(watched: &Watched, scene: &Scene<'_>) -> bool {
    let failed = watched
        .freshness
        .last_error
        .as_ref()
        .is_some_and(|failed| failed.error != PollError::NotFound);
    if watched.task.state().is_final() {
        return watched.is_no_longer_there();
    }
    failed || scene.state.polls().hold().is_some()
}

/// Returns the status word; of an answer we do not understand, the server's own flag.
pub(in crate::ui) fn word(
    watched: &Watched,
    status: Status,
    scene: &Scene<'_>,
) -> Cow<'static, str> {
    match (&watched.task.facts().flag, status) {
        (Some(flag), Status::Unknown) => format!("flag {flag}").into(),
        _ => scene.theme.look(status, scene.now).word.into(),
    }
}

/// Returns what a row is called, in so many cells; a bare id keeps both its ends.
fn title<'a>(watched: &'a Watched, width: usize, scene: &Scene<'_>) -> (Cow<'a, str>, Role) {
    let id = watched.id().as_str();
    if watched.title() == id {
        return (format::short_id(id, width, scene.ellipsis()), Role::Muted);
    }
    let title = match watched.title_among(scene.state.list().names()) {
        Cow::Borrowed(title) => format::fit_end(title, width, scene.ellipsis()),
        Cow::Owned(title) => {
            let fitted = format::fit_end(&title, width, scene.ellipsis());
            fitted.into_owned().into()
        }
    };
    (title, Role::Text)
}

struct Cell {
    text: Cow<'static, str>,
    role: Role,
}

impl Cell {
    fn new(text: impl Into<Cow<'static, str>>, role: Role) -> Self {
        Self {
            text: text.into(),
            role,
        }
    }
}

/// Returns what matters of a task's time, and whether a progress bar stands before it.
fn time_cell(watched: &Watched, status: Status, width: usize, scene: &Scene<'_>) -> (Cell, bool) {
    let run = watched.run_time(scene.now);
    let estimate = &scene.estimate;
    let cell = match status {
        Status::Generating | Status::Finishing if run >= estimate.usual => {
            return (Cell::new("soon", Role::Busy), true);
        }
        Status::Generating | Status::Finishing => {
            let left = format::rough(estimate.usual.saturating_sub(run));
            return (Cell::new(left, Role::Text), true);
        }
        Status::Late => {
            let over = format::age(run.saturating_sub(estimate.late));
            let long = format!("+{over} past p95");
            let is_known = estimate.samples > 0;
            if is_known && long.len() <= width {
                Cell::new(long, Role::Warn)
            } else {
                Cell::new(format!("+{over} late"), Role::Warn)
            }
        }
        Status::CreateFailed | Status::GenerationFailed => {
            let code = &watched.task.facts().error_code;
            code.as_ref().filter(|code| !code.is_empty()).map_or(
                Cell::new("-", Role::Muted),
                |code| {
                    let code = format::fit_end(code.as_str(), width, scene.ellipsis());
                    Cell::new(code.into_owned(), Role::Error)
                },
            )
        }
        Status::Ready
        | Status::Saved
        | Status::NoLink
        | Status::LinkGone
        | Status::CallbackFailed => watched
            .task
            .took()
            .map_or(Cell::new("-", Role::Muted), |took| {
                Cell::new(format::run_time(took), Role::Text)
            }),
        Status::New | Status::NotFound | Status::Unknown => Cell::new("-", Role::Muted),
    };
    (cell, false)
}

/// Returns how many cells of a running task's bar are done, by what is usual.
fn progress(watched: &Watched, status: Status, scene: &Scene<'_>) -> Option<u16> {
    if !matches!(status, Status::Generating | Status::Finishing) {
        return None;
    }
    let run = watched.run_time(scene.now).as_millis();
    let usual = scene.estimate.usual.as_millis().max(1);
    let done = (run.saturating_mul(u128::from(BAR)) / usual).min(u128::from(BAR));
    u16::try_from(done).ok()
}

/// Returns how far a save is, in the nine cells of a link's life.
fn saving_cell(saving: Saving) -> String {
    let left = saving.progress.left().map(format::wait);
    match (saving.progress.percent(), left) {
        _ if saving.waiting == saving.files => "waits".into(),
        (Some(percent), Some(left)) => format!("{percent}% {left}"),
        (Some(percent), None) => format!("{percent}%"),
        (None, _) => format::size(saving.progress.bytes),
    }
}

fn link_role(link: LinkLife) -> Role {
    match (link, link.urgency()) {
        (LinkLife::Saved, _) => Role::Ok,
        (LinkLife::None | LinkLife::Gone | LinkLife::Unknown, _) => Role::Muted,
        (LinkLife::Left(_), Urgency::VerySoon) => Role::Error,
        (LinkLife::Left(_), Urgency::Soon) => Role::Warn,
        (LinkLife::Left(_), Urgency::None) => Role::Text,
    }
}
