//! `kietop add`: ids on the list, on the disk before a line says so.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{self, Read as _},
};

use super::{Add, Failure, Global, exit, output, place};
use crate::{
    adapters::{
        desktop::SystemClock,
        store::{SHORTEST_PREFIX, SqliteStore},
    },
    domain::{
        change::{Applied, Change},
        harvest::harvest,
        task::{Family, TaskId},
        text::CleanText,
        watched::LONGEST_LABEL,
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
    let twins = twins(&mut store, &changes)?;
    let applied = store
        .apply(&changes)
        .map_err(|error| place::store_failed(&error))?;
    for (id, twin) in twins {
        output::talk(&format!(
            "kietop: {id} looks like another spelling of {twin}; capitals count, so it is a task of its own."
        ));
    }
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
            given(text)?
        };
        for id in found {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    Ok(ids)
}

/// The shortest id taken from the command line, in characters: what could not be named by its beginning is a slip.
const SHORTEST_ID: usize = SHORTEST_PREFIX;

/// Reads one argument: an id as it is, or a link or JSON that names some.
fn given(text: &str) -> Result<Vec<TaskId>, Failure> {
    let shown = CleanText::line(text, 80);
    let refused = |why: &str| Err(Failure::new(exit::USAGE, format!("{shown}: {why}")));
    if text.contains("://") || text.contains(['{', '"', '=']) {
        let found = harvest(text);
        if found.ids.is_empty() {
            return refused("there is no task id in it; the id is the taskId of an answer.");
        }
        return Ok(found.ids);
    }
    match TaskId::parse(text) {
        Err(error) => refused(&format!("{error}.")),
        Ok(_) if text.chars().count() < SHORTEST_ID => {
            refused("too short for a task id; give the whole of it.")
        }
        Ok(id) => Ok(vec![id]),
    }
}

/// Finds the ids that differ only in capitals from one that is watched or added with them. Ids are opaque, so this is
/// said and nothing is merged.
fn twins(store: &mut SqliteStore, changes: &[Change]) -> Result<Vec<(TaskId, TaskId)>, Failure> {
    let mut first_of: HashMap<String, &TaskId> = HashMap::new();
    let mut twins = Vec::new();
    for id in changes.iter().map(Change::task) {
        let spelt = id.as_str();
        let small = spelt.to_ascii_lowercase();
        let known = store
            .spelt_like(id)
            .map_err(|error| place::store_failed(&error))?;
        let twin = known.or_else(|| first_of.get(&small).map(|first| (*first).clone()));
        if let Some(twin) = twin {
            twins.push((id.clone(), twin));
        }
        first_of.entry(small).or_insert(id);
    }
    Ok(twins)
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
    if found.more_rejected > 0 {
        let more = found.more_rejected;
        output::talk(&format!("kietop: and {more} more words are no task ids."));
    }
    for id in &found.odd {
        output::talk(&format!(
            "kietop: {id} looks like an id with something stuck to it, and is left out; kietop add {id} takes it as it is."
        ));
    }
    let ids: Vec<_> = found
        .ids
        .into_iter()
        .filter(|id| !found.odd.contains(id))
        .collect();
    if ids.is_empty() {
        return Err(Failure::plain("No task id found on standard input."));
    }
    Ok(ids)
}
