//! The page of facts: what the server told, how sure we are, and the next step.

use std::borrow::Cow;

use ratatui::text::Line;

use super::{advice, journal, saved::saved, sheet::Sheet};
use crate::{
    app::keymap::Action,
    domain::{
        link::Link,
        schedule::{Polling, Stop},
        status::{self, LinkLife, Status},
        task::TaskState,
        watched::{Notices, Watched},
    },
    ui::{format, list, scene::Scene, theme::Role},
};

/// Returns the page for the side of the list, with so many lines of the prompt and of the journal.
pub(super) fn side<'a>(
    watched: &'a Watched,
    scene: &Scene<'a>,
    width: u16,
    prompt: usize,
    journal: usize,
) -> Vec<Line<'a>> {
    let mut sheet = Sheet::new(scene, width);
    let id = watched.id().as_str();
    if watched.title() != id {
        sheet.plain(watched.title(), Role::Title);
    }
    let room = usize::from(width.saturating_sub(2));
    let id_role = if watched.title() == id {
        Role::Title
    } else {
        Role::Muted
    };
    sheet.plain(&format::short_id(id, room, scene.ellipsis()), id_role);
    sheet.space();
    standing(&mut sheet, watched, scene);
    sheet.space();
    if let Some(text) = self::prompt(watched, usize::from(width)) {
        sheet.text("Prompt", text, Role::Text, prompt);
        sheet.space();
    }
    links(&mut sheet, watched, scene);
    sheet.space();
    if journal > 0 && !scene.state.journal().is_empty() {
        journal::tail(&mut sheet, watched, scene, journal);
        sheet.space();
    }
    next_steps(&mut sheet, watched, scene);
    sheet.into_lines()
}

/// Returns the page for the whole screen: nothing cut.
pub(super) fn full<'a>(watched: &'a Watched, scene: &Scene<'a>, width: u16) -> Vec<Line<'a>> {
    let mut sheet = Sheet::new(scene, width);
    let id = watched.id().as_str();
    if watched.title() != id {
        let most = if watched.label.is_some() { 4 } else { 1 };
        sheet.prose(watched.title(), Role::Title, most);
    }
    for line in format::chop(id, usize::from(width.saturating_sub(2)).max(1)) {
        sheet.plain(&line, Role::Muted);
    }
    sheet.space();
    standing(&mut sheet, watched, scene);
    sheet.space();
    next_steps(&mut sheet, watched, scene);
    sheet.space();
    let facts = watched.task.facts();
    if let Some(text) = prompt(watched, usize::from(width)) {
        sheet.text("Prompt", text, Role::Text, usize::MAX - 1);
        sheet.space();
    }
    whole_links(&mut sheet, watched);
    whole_paths(&mut sheet, watched, scene);
    no_picture(&mut sheet, scene);
    sheet.space();
    if let Some(label) = &watched.label {
        sheet.text("Label", label.as_str(), Role::Text, 4);
    }
    if let Some(mark) = facts.watermark.as_ref().filter(|mark| !mark.is_empty()) {
        sheet.text("Watermark", mark.as_str(), Role::Text, 4);
    }
    if watched.notices == Notices::Off {
        sheet.keyed(
            "Notices",
            "off",
            Role::Warn,
            &scene.key(Action::ToggleNotices),
        );
    }
    let zone = &scene.state.settings().zone;
    sheet.field("Family", watched.task.family().name(), Role::Text);
    sheet.field(
        "Watched",
        &format!("since {}", format::moment(watched.added, scene.now, zone)),
        Role::Text,
    );
    sheet.into_lines()
}

/// Returns the prompt where the title, one line that wide, has not said it whole.
pub(super) fn prompt(watched: &Watched, width: usize) -> Option<&str> {
    let prompt = watched.task.facts().prompt.as_ref()?.as_str();
    let is_said =
        watched.title() == prompt && !prompt.contains('\n') && format::width(prompt) + 2 <= width;
    (!prompt.is_empty() && !is_said).then_some(prompt)
}

/// Writes status, times, estimate and how the checks go.
fn standing(sheet: &mut Sheet<'_, '_>, watched: &Watched, scene: &Scene<'_>) {
    let zone = &scene.state.settings().zone;
    let facts = watched.task.facts();
    let status = scene.status_of(watched);
    sheet.spans("Status", status_parts(watched, status, scene));
    if let Some(created) = facts.created {
        let at = format::moment(created, scene.now, zone);
        let age = format::ago(scene.now.age_of(created));
        sheet.field("Created", &format!("{at}, {age}"), Role::Text);
    }
    match (facts.completed, watched.task.took()) {
        (Some(completed), Some(took)) => {
            let at = format::moment(completed, scene.now, zone);
            let took = format::run_time(took);
            sheet.field("Ended", &format!("{at}, took {took}"), Role::Text);
        }
        (Some(completed), None) => {
            let at = format::moment(completed, scene.now, zone);
            sheet.field("Ended", &at, Role::Text);
        }
        (None, _) => {}
    }
    if let Some((expected, late)) = expectation(watched, scene) {
        sheet.field("Expect", &expected, Role::Text);
        let role = if status == Status::Late {
            Role::Warn
        } else {
            Role::Text
        };
        sheet.field("", &late, role);
    }
    let error = failure(watched);
    if let Some(error) = error {
        sheet.text("Error", &error, Role::Error, 6);
    }
    sheet.text("Checked", &checked(watched, scene), Role::Text, 2);
    if let Some((error, _)) = advice::check_error(watched, scene) {
        sheet.text("", &error, Role::Warn, 3);
    }
}

/// Returns glyph, word and the server's own flag.
pub(super) fn status_parts(
    watched: &Watched,
    status: Status,
    scene: &Scene<'_>,
) -> [(Cow<'static, str>, Role); 2] {
    let look = scene.theme.look(status, scene.now);
    let word = list::row::word(watched, status, scene);
    let flag = match (&watched.task.facts().flag, status) {
        (None, _) | (_, Status::Unknown) => String::new(),
        (Some(flag), _) => format!(" (flag {flag})"),
    };
    [
        (format!("{} {word}", look.glyph).into(), look.role),
        (flag.into(), Role::Muted),
    ]
}

/// Returns when a running task should be done and from when on it is late.
pub(super) fn expectation(watched: &Watched, scene: &Scene<'_>) -> Option<(String, String)> {
    let is_running = matches!(watched.task.state(), TaskState::Running { .. });
    let created = watched.task.facts().created.filter(|_| is_running)?;
    let zone = &scene.state.settings().zone;
    let estimate = &scene.estimate;
    let minutes = |at| format::moment_minutes(at, scene.now, zone);
    let (usual, late) = match estimate.samples {
        0 => ("(documented)".to_owned(), "(documented)"),
        samples => (format!("(p50 of {samples})"), "(p95)"),
    };
    Some((
        format!("about {} {usual}", minutes(estimate.expected(created))),
        format!("late after {} {late}", minutes(estimate.late_from(created))),
    ))
}

/// Returns the server's own error of a task, code first.
pub(super) fn failure(watched: &Watched) -> Option<String> {
    let facts = watched.task.facts();
    let part = |text: &Option<crate::domain::text::CleanText>| {
        text.as_ref()
            .filter(|text| !text.is_empty())
            .map(ToString::to_string)
    };
    let is_failed = matches!(watched.task.state(), TaskState::Failed { .. });
    match (part(&facts.error_code), part(&facts.error_message)) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (Some(code), None) => Some(format!("{code}, without a message")),
        (None, Some(message)) => Some(message),
        (None, None) => is_failed.then(|| "the server gave no reason".to_owned()),
    }
}

/// Returns when a task was last answered for, how often it is asked after, and how often it was.
pub(super) fn checked(watched: &Watched, scene: &Scene<'_>) -> String {
    let freshness = &watched.freshness;
    let polls = scene.state.polls();
    let turned_away = polls.hold().zip(polls.turned_away(watched.id()));
    let last = match (freshness.last_ok, freshness.failures) {
        (None, 0) => turned_away.map_or_else(
            || "never".to_owned(),
            |(hold, at)| {
                let ago = format::ago(scene.now.mono.since(at));
                format!("asked {ago}: {}", hold.error.message())
            },
        ),
        (None, _) => "never answered".to_owned(),
        (Some(at), 0) => format::ago(scene.now.age_of(at)),
        (Some(at), _) => format!("last good {}", format::ago(scene.now.age_of(at))),
    };
    let polls = match freshness.checks {
        1 => "1 poll".to_owned(),
        polls => format!("{polls} polls"),
    };
    let pace = match watched.polling {
        Polling::InFlight { .. } => "asking now".to_owned(),
        Polling::Stopped(Stop::Finished) => "ended".to_owned(),
        Polling::Stopped(Stop::Refused) => "no longer".to_owned(),
        Polling::DueAt(_) if scene.state.polls().is_paused() => "paused".to_owned(),
        Polling::DueAt(_) if scene.state.polls().hold().is_some() => "held back".to_owned(),
        Polling::DueAt(at) if freshness.failures > 0 => {
            let wait = format::wait(at.since(scene.now.mono));
            format!("again in {wait}").replace("in now", "now")
        }
        Polling::DueAt(_) => {
            let run = watched.run_time(scene.now);
            let pace = scene.state.polls().pace();
            let every = pace.interval(run, scene.estimate.late);
            format!("every {}", format::age(every))
        }
    };
    if freshness.checks == 0 && turned_away.is_some() {
        // It was asked after; that none of it counts as a check needs no figure.
        return format!("{last}, {pace}");
    }
    format!("{last}, {pace}, {polls}")
}

/// Writes source, results, link life and callback on a line each.
fn links(sheet: &mut Sheet<'_, '_>, watched: &Watched, scene: &Scene<'_>) {
    let facts = watched.task.facts();
    let room = sheet.room().saturating_sub(3);
    let ellipsis = scene.ellipsis();
    if let Some(source) = source(watched) {
        let text = format::url_tail(source.as_str(), room, ellipsis);
        sheet.keyed(
            "Source",
            &text,
            Role::Text,
            &scene.key(Action::OpenOriginal),
        );
    }
    let mut videos = watched.task.state().videos();
    match videos.next() {
        Some(first) => {
            let more = videos.count();
            let count = if more > 0 {
                format!(" +{more}")
            } else {
                String::new()
            };
            let tail = format::url_tail(first.as_str(), room - count.len().min(room), ellipsis);
            let text = format!("{tail}{count}");
            sheet.keyed("Result", &text, Role::Text, &scene.key(Action::OpenResult));
        }
        None if matches!(watched.task.state(), TaskState::Failed { .. }) => {
            sheet.field("Result", "none", Role::Muted);
        }
        None => sheet.field("Result", "not yet", Role::Muted),
    }
    if let Some(text) = link_life(watched, scene) {
        sheet.field("Link", &text, Role::Text);
    }
    match saved(watched, scene) {
        // How far it is stands in words, of which the first matter most.
        Some((text, role)) if is_coming(watched, scene) => {
            sheet.text("Saved", &text, role, 2);
        }
        Some((text, role)) => {
            let text = format::url_tail(&text, room, ellipsis);
            sheet.keyed("Saved", &text, role, &scene.key(Action::Save));
        }
        None => {}
    }
    no_picture(sheet, scene);
    if let Some(callback) = facts.callback.as_ref().filter(|text| !text.is_empty()) {
        let text = format::bare_url(callback.as_str());
        sheet.field("Callback", text, Role::Text);
    }
}

/// Writes every link whole.
fn whole_links(sheet: &mut Sheet<'_, '_>, watched: &Watched) {
    let facts = watched.task.facts();
    if let Some(source) = &facts.source {
        write_link(sheet, "Source", source);
    }
    for link in facts
        .origins
        .iter()
        .filter(|link| Some(*link) != facts.source.as_ref())
    {
        write_link(sheet, "Original", link);
    }
    match watched.task.state() {
        TaskState::Succeeded { videos, .. } => {
            for link in videos.iter() {
                write_link(sheet, "Result", link);
            }
            if videos.left_out() > 0 {
                let text = format!("and {} more, left out", videos.left_out());
                sheet.field("", &text, Role::Muted);
            }
        }
        TaskState::Failed { .. } => sheet.field("Result", "none", Role::Muted),
        TaskState::New
        | TaskState::Running { .. }
        | TaskState::NotFound
        | TaskState::Unrecognised => sheet.field("Result", "not yet", Role::Muted),
    }
    if let Some(callback) = facts.callback.as_ref().filter(|text| !text.is_empty()) {
        sheet.link("Callback", callback.as_str(), Role::Text);
    }
}

/// Writes why there are no pictures where there could be.
fn no_picture(sheet: &mut Sheet<'_, '_>, scene: &Scene<'_>) {
    if let Some(error) = scene.state.picture_error() {
        sheet.text("Picture", error.message(), Role::Muted, 2);
    }
}

/// Reports whether a save is running or waits for a retry.
fn is_coming(watched: &Watched, scene: &Scene<'_>) -> bool {
    watched.saves.retry.is_some() || scene.state.saves().saving(watched.id()).is_some()
}

/// Writes where every result is on disk, whole, or how far it is.
fn whole_paths(sheet: &mut Sheet<'_, '_>, watched: &Watched, scene: &Scene<'_>) {
    if is_coming(watched, scene) || watched.saves.files().is_empty() {
        if let Some((text, role)) = saved(watched, scene) {
            sheet.text("Saved", &text, role, 2);
        }
        return;
    }
    for file in watched.saves.files() {
        let path = scene.state.settings().shown(&file.path);
        if file.is_there {
            sheet.link("Saved", &path, Role::Ok);
        } else {
            sheet.link("Saved", &path, Role::Muted);
            sheet.field("", "no longer there", Role::Warn);
        }
    }
}

fn write_link(sheet: &mut Sheet<'_, '_>, name: &str, link: &Link) {
    match link {
        Link::Video(url) => sheet.link(name, url.as_str(), Role::Text),
        Link::Refused(text) => {
            sheet.link(name, text.as_str(), Role::Warn);
            sheet.field("", "no web link: shown, never opened", Role::Muted);
        }
    }
}

/// Returns the input video: as the request named it, else as the answer does.
pub(super) fn source(watched: &Watched) -> Option<&Link> {
    let facts = watched.task.facts();
    facts
        .source
        .as_ref()
        .or_else(|| facts.origins.iter().next())
}

/// Returns how long the result's link lives, an estimate.
fn link_life(watched: &Watched, scene: &Scene<'_>) -> Option<String> {
    let retention = scene.state.settings().retention;
    match watched.link_life(retention, scene.now) {
        LinkLife::None | LinkLife::Saved => None,
        LinkLife::Unknown => Some("unknown how long it lives".to_owned()),
        LinkLife::Gone => Some("probably expired".to_owned()),
        LinkLife::Left(left) => {
            let end = status::expires_at(&watched.task, retention).map_or_else(String::new, |at| {
                let zone = &scene.state.settings().zone;
                format!(", until {}", format::moment_minutes(at, scene.now, zone))
            });
            Some(format!("~{}{end}", format::run_time(left)))
        }
    }
}

/// Writes what all this means and what to do.
fn next_steps(sheet: &mut Sheet<'_, '_>, watched: &Watched, scene: &Scene<'_>) {
    if let Some((_, step)) = advice::check_error(watched, scene) {
        sheet.prose(&step, Role::Text, 3);
    }
    for (sentence, role) in advice::advice(watched, scene) {
        sheet.prose(&sentence, role, 4);
    }
}
