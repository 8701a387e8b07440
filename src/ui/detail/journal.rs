//! The history of a task: its journal and the server's times.

use jiff::Timestamp;
use ratatui::text::Line;

use super::field_list::FieldList;
use crate::{
    domain::{
        list_change::{JournalEvent, JournalLine},
        watched_task::WatchedTask,
    },
    messages::{format, screen},
    ui::{render_context::RenderContext, theme::Role},
};

struct HistoryEntry {
    at: Timestamp,
    text: String,
    role: Role,
}

/// Returns the full-screen page.
pub(super) fn page_lines<'a>(
    watched: &'a WatchedTask,
    ctx: &RenderContext<'a>,
    width: u16,
) -> Vec<Line<'a>> {
    let mut fields = FieldList::new(ctx, width);
    fields.text_line(watched.title(), Role::Title);
    fields.blank_line();
    for entry in entries(watched, ctx) {
        write_entry(&mut fields, &entry, ctx, 6);
    }
    if ctx.state.journal().is_empty() {
        fields.blank_line();
        fields.text_line(screen::NO_JOURNAL, Role::Muted);
    }
    fields.into_lines()
}

/// Writes the last `count` entries of the history.
pub(super) fn write_last(
    fields: &mut FieldList<'_, '_>,
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
    count: usize,
) {
    let entries = entries(watched, ctx);
    let skipped = entries.len().saturating_sub(count);
    for entry in entries.iter().skip(skipped) {
        write_entry(fields, entry, ctx, 1);
    }
}

/// Returns time and text of the last entry, or `None` if the journal is empty.
pub(super) fn last_entry(
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
) -> Option<(String, String)> {
    let entry = entries(watched, ctx).pop()?;
    let zone = &ctx.state.settings().time_zone;
    let at = format::date_time(entry.at, ctx.now, zone);
    (!ctx.state.journal().is_empty()).then_some((at, entry.text))
}

fn write_entry(
    fields: &mut FieldList<'_, '_>,
    entry: &HistoryEntry,
    ctx: &RenderContext<'_>,
    max_lines: usize,
) {
    let zone = &ctx.state.settings().time_zone;
    let at = format::date_time(entry.at, ctx.now, zone);
    if format::width(&at) < 9 {
        fields.wrapped_field(&at, &entry.text, entry.role, max_lines);
    } else {
        fields.paragraph(&format!("{at}  {}", entry.text), entry.role, max_lines);
    }
}

/// Returns the history, oldest first: the journal and the server's times.
fn entries(watched: &WatchedTask, ctx: &RenderContext<'_>) -> Vec<HistoryEntry> {
    let details = watched.task.details();
    let took = watched.task.run_time().map(format::run_time);
    let server_events = [
        (details.created, "created".to_owned()),
        (details.completed, screen::finished_on_server(took)),
    ];
    let server_events = server_events.into_iter().filter_map(|(at, text)| {
        Some(HistoryEntry {
            at: at?,
            text,
            role: Role::Text,
        })
    });
    let journal = ctx.state.journal().iter().map(journal_entry);
    let mut entries: Vec<_> = server_events.chain(journal).collect();
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

/// Returns the role of a state name in the journal.
fn state_role(state: &str) -> Role {
    match state {
        "succeeded" => Role::Ok,
        "rescued" | "not_found" | "unknown" => Role::Warn,
        "failed" => Role::Error,
        _ => Role::Text,
    }
}
