//! The history of a task in words: what its journal holds, and the server's own times.

use jiff::Timestamp;
use ratatui::text::Line;

use super::field_list::FieldList;
use crate::{
    domain::{
        list_change::{JournalEvent, JournalLine},
        watched_task::WatchedTask,
    },
    ui::{format, render_context::RenderContext, theme::Role},
};

/// One line of the history.
struct HistoryEntry {
    at: Timestamp,
    text: String,
    role: Role,
}

/// Returns the page for the whole screen.
pub(super) fn page_lines<'a>(
    watched: &'a WatchedTask,
    scene: &RenderContext<'a>,
    width: u16,
) -> Vec<Line<'a>> {
    let mut sheet = FieldList::new(scene, width);
    sheet.text_line(watched.title(), Role::Title);
    sheet.blank_line();
    for entry in entries(watched, scene) {
        write_entry(&mut sheet, &entry, scene, 6);
    }
    if scene.state.journal().is_empty() {
        sheet.blank_line();
        sheet.text_line("The journal holds nothing of this task yet.", Role::Muted);
    }
    sheet.into_lines()
}

/// Writes the last lines of the history.
pub(super) fn write_last(
    sheet: &mut FieldList<'_, '_>,
    watched: &WatchedTask,
    scene: &RenderContext<'_>,
    most: usize,
) {
    let entries = entries(watched, scene);
    let skipped = entries.len().saturating_sub(most);
    for entry in entries.iter().skip(skipped) {
        write_entry(sheet, entry, scene, 1);
    }
}

/// Returns the last line of the history: its time and its words.
pub(super) fn last_entry(
    watched: &WatchedTask,
    scene: &RenderContext<'_>,
) -> Option<(String, String)> {
    let entry = entries(watched, scene).pop()?;
    let zone = &scene.state.settings().time_zone;
    let at = format::date_time(entry.at, scene.now, zone);
    (!scene.state.journal().is_empty()).then_some((at, entry.text))
}

fn write_entry(
    sheet: &mut FieldList<'_, '_>,
    entry: &HistoryEntry,
    scene: &RenderContext<'_>,
    most: usize,
) {
    let zone = &scene.state.settings().time_zone;
    let at = format::date_time(entry.at, scene.now, zone);
    if format::width(&at) < 9 {
        sheet.wrapped_field(&at, &entry.text, entry.role, most);
    } else {
        sheet.paragraph(&format!("{at}  {}", entry.text), entry.role, most);
    }
}

/// Returns the history, oldest first: the journal, and what the server said of its own times.
fn entries(watched: &WatchedTask, scene: &RenderContext<'_>) -> Vec<HistoryEntry> {
    let facts = watched.task.details();
    let told = |at: Option<Timestamp>, text: String| {
        at.map(|at| HistoryEntry {
            at,
            text,
            role: Role::Text,
        })
    };
    let took = watched.task.run_time().map_or_else(String::new, |took| {
        format!(", took {}", format::run_time(took))
    });
    let mut entries: Vec<_> = [
        told(facts.created, "created".to_owned()),
        told(facts.completed, format!("ended at the server{took}")),
    ]
    .into_iter()
    .flatten()
    .chain(scene.state.journal().iter().map(journal_entry))
    .collect();
    entries.sort_by_key(|entry| entry.at);
    entries
}

fn journal_entry(line: &JournalLine) -> HistoryEntry {
    let role = match &line.event {
        JournalEvent::StateChanged(state) => state_role(state.as_str()),
        JournalEvent::CheckFailed(_)
        | JournalEvent::NoLongerOnServer
        | JournalEvent::ContradictionIgnored(_)
        | JournalEvent::SaveFailed(_) => Role::Warn,
        JournalEvent::Saved(_) => Role::Ok,
        JournalEvent::Added
        | JournalEvent::Removed
        | JournalEvent::Restored
        | JournalEvent::Recovered
        | JournalEvent::Opened(_)
        | JournalEvent::Labelled(_) => Role::Text,
        JournalEvent::Other(_) => Role::Muted,
    };
    HistoryEntry {
        at: line.at,
        text: line.event.description(),
        role,
    }
}

/// Returns the role of a state by its name in the journal.
fn state_role(state: &str) -> Role {
    match state {
        "succeeded" => Role::Ok,
        "rescued" | "not_found" | "unknown" => Role::Warn,
        "failed" => Role::Error,
        _ => Role::Text,
    }
}
