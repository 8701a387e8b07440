//! `kietop add`: ids on the list, on the disk before a line says so.

use std::{
    fmt::Write as _,
    io::{self, Read as _},
};

use super::{Add, Failure, Global, exit, output, place};
use crate::{
    adapters::desktop::SystemClock,
    domain::{
        change::{Applied, Change},
        harvest::harvest,
        task::{Family, TaskId},
        text::CleanText,
        watchlist::LONGEST_LABEL,
    },
    ports::ListStore as _,
};

/// The most read from standard input, in bytes.
const LONGEST_INPUT: u64 = 4 * 1024 * 1024;

/// Adds ids; those known already are named, not dropped in silence.
pub fn run(add: &Add, global: &Global) -> Result<(), Failure> {
    place::writable(global)?;
    let ids = ids(add)?;
    let mut store = place::list(global)?;
    let at = SystemClock::wall();
    let label = add
        .label
        .as_deref()
        .map(|label| CleanText::line(label, LONGEST_LABEL));
    let label = label.filter(|label| !label.is_empty());
    let changes: Vec<_> = ids
        .into_iter()
        .map(|task| Change::Add {
            task,
            family: Family::default(),
            label: label.clone(),
            at,
        })
        .collect();
    let applied = store
        .apply(&changes)
        .map_err(|error| place::store_failed(&error))?;
    let mut said = String::new();
    for (change, applied) in changes.iter().zip(applied) {
        let word = match applied {
            Applied::Added(_) => "added",
            Applied::AlreadyWatched => "watched already",
            Applied::Removed | Applied::NotWatched | Applied::Noted => "noted",
        };
        // Writing into a `String` cannot fail.
        writeln!(said, "{} {word}", change.task()).unwrap_or_default();
    }
    output::data(&said)
}

/// Reads the ids given, or found on standard input; each once, in their order.
fn ids(add: &Add) -> Result<Vec<TaskId>, Failure> {
    let mut ids = Vec::new();
    for text in &add.ids {
        let found = if text == "-" {
            from_input()?
        } else {
            vec![given(text)?]
        };
        for id in found {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    Ok(ids)
}

fn given(text: &str) -> Result<TaskId, Failure> {
    TaskId::parse(text).map_err(|error| {
        Failure::new(
            exit::USAGE,
            format!("{}: {error}.", CleanText::line(text, 80)),
        )
    })
}

fn from_input() -> Result<Vec<TaskId>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin()
        .lock()
        .take(LONGEST_INPUT)
        .read_to_end(&mut bytes);
    read.map_err(|error| Failure::plain(format!("Standard input cannot be read: {error}.")))?;
    let found = harvest(&String::from_utf8_lossy(&bytes));
    if found.is_cut {
        output::talk("kietop: the input is too long; ids beyond its first part were not read.");
    }
    for word in &found.rejected {
        output::talk(&format!("kietop: \"{word}\" is no task id."));
    }
    if found.ids.is_empty() {
        return Err(Failure::plain("No task id found on standard input."));
    }
    Ok(found.ids)
}
