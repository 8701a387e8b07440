//! `kietop list` and `kietop show`: what is known, asked again first if wished.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use serde_json::Value;

use super::{Failure, Global, List, Show, csv, exit, json, output, place, refresh};
use crate::{
    adapters::{desktop::SystemClock, store::SqliteStore},
    domain::{
        change::{Change, JournalLine},
        estimate::RunTimes,
        fuzzy::Searcher,
        query::{LONGEST_QUERY, Query, Sight},
        report::PollError,
        schedule::Polling,
        task::{Family, TaskId},
        text::CleanText,
        watchlist::Watched,
    },
    ports::{Clock as _, ListStore as _, Turns},
    ui::{format, theme::Theme},
};

/// The most journal lines shown.
const JOURNAL_LINES: usize = 1000;

/// Prints the list.
pub async fn run(list: &List, global: &Global) -> Result<(), Failure> {
    let query = query(list.filter.as_deref().unwrap_or_default())?;
    let retention = place::config(global)?.settings.retention.0;
    let mut store = place::list(global)?;
    let mut tasks = store.load().map_err(|error| place::store_failed(&error))?;
    let mut refused = None;
    if list.refresh {
        let unfinished = tasks
            .iter()
            .filter(|watched| matches!(watched.polling, Polling::DueAt(_)))
            .map(|watched| (watched.id().clone(), watched.task.family()))
            .collect();
        refused = ask(&mut store, &mut tasks, unfinished, global).await?.err();
    }
    // Before the filter, which may ask for what is saved.
    for watched in &mut tasks {
        place::look(watched);
    }
    // What to expect of a running task, all of them tell.
    let sight = sight(&tasks, retention);
    let mut searcher = Searcher::default();
    tasks.retain(|watched| {
        let state = watched.task.state().name();
        let is_meant =
            list.state.is_empty() || list.state.iter().any(|meant| meant.as_str() == state);
        is_meant && query.accepts(watched, &sight, &mut searcher)
    });
    tasks.sort_by(|a, b| (b.submitted(), b.id()).cmp(&(a.submitted(), a.id())));
    let records = || tasks.iter().map(|watched| json::record(watched, retention));
    if list.json {
        output::data(&format!("{}\n", json::write(&records().collect())))?;
    } else if list.csv {
        output::data(&csv::write(&records().collect::<Vec<_>>(), &json::NAMES))?;
    } else {
        output::data(&table(&tasks, &sight))?;
    }
    refused.map_or(Ok(()), |error| Err(account_failed(&error)))
}

/// Reads the filter; a fault is shown where it is.
fn query(text: &str) -> Result<Query, Failure> {
    Query::parse(text).map_err(|fault| {
        let mut said = on_one_line(&fault.message);
        if !said.ends_with('?') {
            said.push('.');
        }
        // A filter too long to be read is too long to be shown.
        if text.len() <= LONGEST_QUERY {
            let piece = |at| on_one_line(text.get(at).unwrap_or_default());
            let (before, meant) = (piece(0..fault.at.start), piece(fault.at.clone()));
            let behind = piece(fault.at.end..text.len());
            let lead = " ".repeat(format::width(&before));
            let marks = "^".repeat(format::width(&meant).max(1));
            // Writing into a `String` cannot fail.
            write!(said, "\n  {before}{meant}{behind}\n  {lead}{marks}").unwrap_or_default();
        }
        Failure::new(exit::USAGE, said)
    })
}

/// Returns a piece of text that acts on no terminal, its spaces kept at both ends.
fn on_one_line(text: &str) -> String {
    let clean = CleanText::line(&format!("|{text}|"), usize::MAX);
    let inner = clean.as_str().strip_prefix('|');
    let inner = inner.and_then(|text| text.strip_suffix('|'));
    inner.unwrap_or_default().to_owned()
}

/// Returns what a list knows beside each task.
fn sight(tasks: &[Watched], retention: Duration) -> Sight {
    let mut run_times = RunTimes::default();
    for watched in tasks {
        run_times.note(&watched.task);
    }
    Sight {
        estimate: run_times.estimate(),
        retention,
        now: SystemClock::start().now(),
    }
}

/// Prints one task.
pub async fn show(show: &Show, global: &Global) -> Result<(), Failure> {
    let retention = place::config(global)?.settings.retention.0;
    let mut store = place::list(global)?;
    let id = match place::resolve(&mut store, &show.id) {
        Ok(id) => id,
        Err(failure) => return show_removed(&mut store, show, failure),
    };
    let mut refused = None;
    let mut tasks = vec![place::find(&mut store, &id)?];
    if show.refresh {
        let wanted = tasks
            .iter()
            .map(|watched| (id.clone(), watched.task.family()))
            .collect();
        refused = ask(&mut store, &mut tasks, wanted, global).await?.err();
    }
    let mut watched = tasks
        .into_iter()
        .find(|watched| *watched.id() == id)
        .ok_or_else(|| place::gone(&id))?;
    place::look(&mut watched);
    if show.json {
        output::data(&format!(
            "{}\n",
            json::write(&json::record(&watched, retention))
        ))?;
    } else {
        let journal = store
            .journal(&id, JOURNAL_LINES)
            .map_err(|error| place::store_failed(&error))?;
        let mut text = card(&watched, retention);
        text.push_str(&history(&journal));
        output::data(&text)?;
    }
    refused.map_or(Ok(()), |error| Err(account_failed(&error)))
}

/// Prints what was noted of a task that is on the list no more, named by its whole id; else it is not known.
fn show_removed(store: &mut SqliteStore, show: &Show, failure: Failure) -> Result<(), Failure> {
    let Some(id) = TaskId::parse(&show.id).ok().filter(|_| !show.json) else {
        return Err(failure);
    };
    let journal = store
        .journal(&id, JOURNAL_LINES)
        .map_err(|error| place::store_failed(&error))?;
    if journal.is_empty() {
        return Err(failure);
    }
    let head = format!("{:<13} {id}\n{:<13} removed\n", "taskId", "list");
    output::data(&format!("{head}{}", history(&journal)))
}

/// Returns a journal, a line each.
fn history(journal: &[JournalLine]) -> String {
    let mut text = String::new();
    for line in journal {
        // Writing into a `String` cannot fail.
        writeln!(text, "{}  {}", line.at, line.event.words()).unwrap_or_default();
    }
    text
}

/// Asks after some of the tasks once and takes the answers in: by way of the disk, unless it may only be read. The
/// inner error is account-wide. After Ctrl-C the answers so far are taken in, and then it fails.
async fn ask(
    store: &mut SqliteStore,
    tasks: &mut Vec<Watched>,
    wanted: Vec<(TaskId, Family)>,
    global: &Global,
) -> Result<Result<(), PollError>, Failure> {
    let config = place::config(global)?;
    let (client, clock) = (place::client(&config)?, SystemClock::start());
    let turns = place::turns(&config, place::access(global))?;
    let outside = refresh::Asked {
        api: &client,
        clock: &clock,
        turns: turns.as_ref().map(|turns| turns as &dyn Turns),
    };
    let mut answers = Vec::new();
    let asking = refresh::once(wanted, outside, |task, answer| {
        answers.push((task, answer, clock.now().wall));
    });
    let asked = tokio::select! {
        asked = asking => Ok(asked),
        () = refresh::interrupted() => Err(interrupted()),
    };
    if global.read_only {
        let told: HashMap<_, _> = answers
            .iter()
            .map(|(task, answer, at)| (task, (answer, *at)))
            .collect();
        for watched in tasks {
            if let Some((answer, at)) = told.get(watched.id()) {
                watched.learn(answer, *at);
            }
        }
        return asked;
    }
    let changes: Vec<_> = answers
        .into_iter()
        .map(|(task, answer, at)| Change::of_answer(task, answer, at))
        .collect();
    let written = store.apply(&changes).and_then(|_| store.load());
    *tasks = written.map_err(|error| place::store_failed(&error))?;
    asked
}

fn interrupted() -> Failure {
    Failure::new(
        exit::INTERRUPTED,
        "Interrupted; what was answered by then is kept.",
    )
}

/// Turns an account-wide error into one of the command; what is next differs from the dashboard, which asks again.
fn account_failed(error: &PollError) -> Failure {
    let (code, next) = match error {
        PollError::NoKey => (exit::UNAUTHORISED, "Set KIE_API_KEY."),
        PollError::Unauthorized(_) | PollError::KeyUnread(_) => {
            (exit::UNAUTHORISED, error.next_step())
        }
        PollError::Redirected(_) | PollError::WrongAddress => (exit::FAILED, error.next_step()),
        PollError::Untrusted(_) => (
            exit::FAILED,
            "Is this a network login page, or is an authority missing (SSL_CERT_FILE)?",
        ),
        PollError::OutOfCredits => (exit::FAILED, "Add credits at https://kie.ai."),
        PollError::Offline(_)
        | PollError::RateLimited { .. }
        | PollError::Maintenance
        | PollError::TimedOut
        | PollError::CutOff
        | PollError::NotFound
        | PollError::Refused { .. }
        | PollError::Server { .. }
        | PollError::Malformed(_)
        | PollError::Lost => (exit::FAILED, "The list is shown as last known; try again."),
    };
    let what = format::sentence(&error.message());
    Failure::new(code, format!("{}. {next}", what.trim_end_matches('.')))
}

/// Returns the list as aligned lines, without colour.
fn table(tasks: &[Watched], sight: &Sight) -> String {
    let Sight {
        estimate,
        retention,
        now,
    } = *sight;
    let mut text = String::new();
    for watched in tasks {
        let status = watched.status(&estimate, retention, now);
        let word = Theme::monochrome().look(status, now).word;
        let took = watched
            .task
            .took()
            .map_or_else(|| "-".into(), format::run_time);
        let link = format::link_life(watched.link_life(retention, now));
        let cells = [
            format::pad_end(watched.id().as_str(), 32),
            format::pad_end(word, 13),
            format::pad_start(&format::age(now.age_of(watched.submitted())), 4),
            format::pad_start(&took, 7),
            format::pad_end(&link, 9),
            watched
                .title()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        ];
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Returns one task as lines of name and value.
fn card(watched: &Watched, retention: Duration) -> String {
    let record = json::record(watched, retention);
    let mut text = String::new();
    for (name, value) in record.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => continue,
            Value::String(value) => value.clone(),
            Value::Array(values) if values.is_empty() => continue,
            Value::Array(values) => values
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join("\n"),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_)) => other.to_string(),
        };
        // The record holds the originals, for JSON; what a person reads is clean again.
        let value = CleanText::block(&value, 64 * 1024);
        for (at, line) in value.as_str().lines().enumerate() {
            let name = if at == 0 { name } else { "" };
            writeln!(text, "{name:<13} {line}").unwrap_or_default();
        }
    }
    text
}
