//! The history of a task in words: what its journal holds, and the server's own times.

use jiff::Timestamp;
use ratatui::text::Line;

use super::sheet::Sheet;
use crate::{
    domain::{
        change::{JournalEvent, JournalLine},
        watched::Watched,
    },
    ui::{format, scene::Scene, theme::Role},
};

/// Is one line of the history.
struct Entry {
    at: Timestamp,
    text: String,
    role: Role,
}

/// Returns the page for the whole screen.
pub(super) fn full<'a>(watched: &'a Watched, scene: &Scene<'a>, width: u16) -> Vec<Line<'a>> {
    let mut sheet = Sheet::new(scene, width);
    sheet.plain(watched.title(), Role::Title);
    sheet.space();
    for entry in entries(watched, scene) {
        write(&mut sheet, &entry, scene, 6);
    }
    if scene.state.journal().is_empty() {
        sheet.space();
        sheet.plain("The journal holds nothing of this task yet.", Role::Muted);
    }
    sheet.into_lines()
}

/// Writes the last lines of the history.
pub(super) fn tail(sheet: &mut Sheet<'_, '_>, watched: &Watched, scene: &Scene<'_>, most: usize) {
    let entries = entries(watched, scene);
    let skipped = entries.len().saturating_sub(most);
    for entry in entries.iter().skip(skipped) {
        write(sheet, entry, scene, 1);
    }
}

/// Returns the last line of the history: its time and its words.
pub(super) fn latest(watched: &Watched, scene: &Scene<'_>) -> Option<(String, String)> {
    let entry = entries(watched, scene).pop()?;
    let zone = &scene.state.settings().zone;
    let at = format::moment(entry.at, scene.now, zone);
    (!scene.state.journal().is_empty()).then_some((at, entry.text))
}

fn write(sheet: &mut Sheet<'_, '_>, entry: &Entry, scene: &Scene<'_>, most: usize) {
    let zone = &scene.state.settings().zone;
    let at = format::moment(entry.at, scene.now, zone);
    if format::width(&at) < 9 {
        sheet.text(&at, &entry.text, entry.role, most);
    } else {
        sheet.prose(&format!("{at}  {}", entry.text), entry.role, most);
    }
}

/// Returns the history, oldest first: the journal, and what the server said of its own times.
fn entries(watched: &Watched, scene: &Scene<'_>) -> Vec<Entry> {
    let facts = watched.task.facts();
    let told = |at: Option<Timestamp>, text: String| {
        at.map(|at| Entry {
            at,
            text,
            role: Role::Text,
        })
    };
    let took = watched.task.took().map_or_else(String::new, |took| {
        format!(", took {}", format::run_time(took))
    });
    let mut entries: Vec<_> = [
        told(facts.created, "created".to_owned()),
        told(facts.completed, format!("ended at the server{took}")),
    ]
    .into_iter()
    .flatten()
    .chain(scene.state.journal().iter().map(entry))
    .collect();
    entries.sort_by_key(|entry| entry.at);
    entries
}

fn entry(line: &JournalLine) -> Entry {
    let role = match &line.event {
        JournalEvent::Became(state) => became_role(state.as_str()),
        JournalEvent::CheckFailed(_)
        | JournalEvent::NoLongerThere
        | JournalEvent::Contradicted(_)
        | JournalEvent::NotSaved(_) => Role::Warn,
        JournalEvent::Saved(_) => Role::Ok,
        JournalEvent::Added
        | JournalEvent::Removed
        | JournalEvent::Restored
        | JournalEvent::Recovered
        | JournalEvent::Opened(_)
        | JournalEvent::Labelled(_) => Role::Text,
        JournalEvent::Other(_) => Role::Muted,
    };
    Entry {
        at: line.at,
        text: line.event.words(),
        role,
    }
}

/// Returns the role of a state by its name in the journal.
fn became_role(state: &str) -> Role {
    match state {
        "succeeded" => Role::Ok,
        "rescued" | "not_found" | "unknown" => Role::Warn,
        "failed" => Role::Error,
        _ => Role::Text,
    }
}
