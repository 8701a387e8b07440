//! `kietop list` and `kietop show`: what is known, asked again first if wished.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{self, IsTerminal as _},
    ops::ControlFlow,
    time::Duration,
};

use serde_json::Value;

use super::{
    Failure, Global, List, Show, csv, exit, json, output, place,
    refresh::{self, Desk, Stopped},
    signals::Signals,
};
use crate::{
    adapters::{desktop::SystemClock, store::SqliteStore},
    domain::{
        change::{Access, Change, JournalLine, StoreError},
        estimate::RunTimes,
        fuzzy::Searcher,
        names::Names,
        query::{LONGEST_QUERY, Query, Sight},
        report::{Answer, PollError, Scope},
        schedule::Polling,
        task::{Family, TaskId, TaskState},
        text::CleanText,
        watched::{NO_LONGER_THERE, Watched},
    },
    ports::{Clock as _, ListStore as _},
    ui::{format, theme::Theme},
};

/// The most journal lines shown.
const JOURNAL_LINES: usize = 1000;

/// Prints the list.
pub async fn run(list: &List, global: &Global) -> Result<(), Failure> {
    let query = query(list.filter.as_deref().unwrap_or_default())?;
    let states = Query::of_states(&list.state);
    let retention = place::config(global)?.settings.retention.0;
    let mut store = place::list_to_read(global)?;
    let mut tasks = store.load().map_err(|error| place::store_failed(&error))?;
    let mut failure = None;
    if list.refresh {
        let unfinished = tasks
            .iter()
            .filter(|watched| matches!(watched.polling, Polling::DueAt(_)))
            .map(|watched| (watched.id().clone(), watched.task.family()))
            .collect();
        failure = ask(&mut store, &mut tasks, unfinished, global).await?;
    }
    // Before the filter, which may ask for what is saved.
    for watched in &mut tasks {
        place::look(watched);
    }
    // What to expect of a running task, all of them tell.
    let sight = sight(&tasks, retention);
    let mut names = Names::default();
    for watched in &tasks {
        names.note(watched.label.as_ref());
    }
    let mut searcher = Searcher::default();
    tasks.retain(|watched| {
        states.accepts(watched, &sight, &mut searcher)
            && query.accepts(watched, &sight, &mut searcher)
    });
    if tasks.is_empty() && names.count() > 0 && !(query.is_empty() && states.is_empty()) {
        output::talk("kietop: No task on the list passes the filter.");
    }
    tasks.sort_by(|a, b| (b.submitted(), b.id()).cmp(&(a.submitted(), a.id())));
    let records = || tasks.iter().map(|watched| json::record(watched, retention));
    if list.json {
        output::data(&format!("{}\n", json::write(&records().collect())))?;
    } else if list.csv {
        output::data(&csv::write(&records().collect::<Vec<_>>(), &json::NAMES))?;
    } else {
        let mut text = table(&tasks, &names, &sight);
        if io::stdout().is_terminal() && !tasks.is_empty() {
            text.insert_str(0, &head(&tasks));
        }
        output::data(&text)?;
    }
    failure.map_or(Ok(()), Err)
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
    let mut store = place::list_to_read(global)?;
    let id = match place::resolve(&mut store, &show.id) {
        Ok(id) => id,
        Err(failure) => return show_removed(&mut store, show, failure),
    };
    let mut failure = None;
    let mut tasks = vec![place::find(&mut store, &id)?];
    if show.refresh {
        let wanted = tasks
            .iter()
            .map(|watched| (id.clone(), watched.task.family()))
            .collect();
        failure = ask(&mut store, &mut tasks, wanted, global).await?;
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
    failure.map_or(Ok(()), Err)
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

/// Checks some of the tasks once and applies the answers as they come, through the list file unless
/// it is read-only.
///
/// Returns the failure to end with after the list is printed: an account-wide error, or that no
/// check succeeded. The error is not stored, because it is not about a task and the next command
/// may have another key. A signal ends it at once with a failure; answers that are here are still
/// applied.
async fn ask(
    store: &mut SqliteStore,
    tasks: &mut Vec<Watched>,
    wanted: Vec<(TaskId, Family)>,
    global: &Global,
) -> Result<Option<Failure>, Failure> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let config = place::config(global)?;
    let turns = place::turns(&config, place::access(global))?;
    let (client, clock) = (place::client(&config, &turns)?, SystemClock::start());
    let outside = refresh::Asked {
        api: &client,
        clock: &clock,
        turns,
    };
    let mut signals = Signals::listen();
    let mut desk = ListDesk {
        checks: tasks
            .iter()
            .map(|watched| (watched.id().clone(), watched.freshness.checks))
            .collect(),
        store,
        tasks,
        clock: &clock,
        access: place::access(global),
        checked: CheckCounts::default(),
        error: None,
    };
    let asked = refresh::once(wanted, outside, signals.next(), &mut desk).await;
    let (checked, error) = (desk.checked, desk.error);
    if !global.read_only {
        *tasks = store.load().map_err(|error| place::store_failed(&error))?;
    }
    if let Some(error) = error {
        return Err(place::store_failed(&error));
    }
    match asked {
        Ok(()) | Err(Stopped::Desk) => Ok(checked.outcome()),
        Err(Stopped::Account(error)) => Ok(Some(account_failed(&error))),
        Err(Stopped::Signal(signal)) => Err(interrupted(signal)),
    }
}

/// The outcomes of one refresh.
#[derive(Default)]
struct CheckCounts {
    /// The number of checks with an answer; "no such task" is one.
    succeeded: usize,
    /// The number of failed checks by reason, in order of appearance.
    failed: Vec<(String, usize)>,
}

/// The most reasons named in one line.
const MAX_REASONS: usize = 3;

impl CheckCounts {
    fn add(&mut self, answer: &Answer) {
        let Some(error) = answer
            .as_ref()
            .err()
            .filter(|error| **error != PollError::NotFound)
        else {
            self.succeeded += 1;
            return;
        };
        // The server's own message differs from task to task.
        let reason = if let PollError::Server { code, .. } = error {
            format!("server trouble ({code})")
        } else if let PollError::Refused { code, .. } = error {
            format!("the server refuses the task ({code})")
        } else if let PollError::Malformed(_) = error {
            "the answer made no sense".to_owned()
        } else {
            error.message()
        };
        match self.failed.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.failed.push((reason, 1)),
        }
    }

    /// Returns the failure if every check failed; prints a message if some did.
    fn outcome(&self) -> Option<Failure> {
        let failed: usize = self.failed.iter().map(|(_, count)| count).sum();
        if failed == 0 {
            return None;
        }
        let named = self.failed.get(..MAX_REASONS).unwrap_or(&self.failed);
        let mut reasons: Vec<_> = named
            .iter()
            .map(|(reason, count)| format!("{reason}: {count}"))
            .collect();
        let named: usize = named.iter().map(|(_, count)| count).sum();
        if failed > named {
            reasons.push(format!("other reasons: {}", failed - named));
        }
        let reasons = reasons.join("; ");
        if self.succeeded == 0 {
            let what = match (failed, self.failed.as_slice()) {
                (1, [(reason, _)]) => format!("The check failed: {reason}."),
                _ => format!("All {failed} checks failed ({reasons})."),
            };
            let message = format!("{what} Last known states are shown; try again.");
            return Some(Failure::plain(message));
        }
        let all = failed.saturating_add(self.succeeded);
        output::talk(&format!(
            "kietop: {failed} of {all} checks failed ({reasons})."
        ));
        None
    }
}

/// Takes answers into the list.
struct ListDesk<'a> {
    store: &'a mut SqliteStore,
    tasks: &'a mut Vec<Watched>,
    clock: &'a SystemClock,
    access: Access,
    /// How often each task was checked when this began.
    checks: HashMap<TaskId, u32>,
    checked: CheckCounts,
    error: Option<StoreError>,
}

impl Desk for ListDesk<'_> {
    fn is_answered(&mut self, task: &TaskId) -> bool {
        let now = self.store.get(task).ok().flatten();
        let checks = now.map(|watched| watched.freshness.checks);
        let is_answered = checks
            .is_some_and(|checks| self.checks.get(task).is_some_and(|before| *before < checks));
        self.checked.succeeded += usize::from(is_answered);
        is_answered
    }

    fn answered(&mut self, task: TaskId, answer: Answer) -> ControlFlow<()> {
        let at = self.clock.now().wall;
        self.checked.add(&answer);
        if self.access == Access::ReadOnly {
            if let Some(watched) = self.tasks.iter_mut().find(|watched| *watched.id() == task) {
                watched.learn(&answer, at);
            }
            return ControlFlow::Continue(());
        }
        match self.store.apply(&[Change::of_answer(task, answer, at)]) {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

fn interrupted(signal: i32) -> Failure {
    Failure::new(
        exit::SIGNAL_BASE + signal,
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
        PollError::Blocked(_) => (
            exit::FAILED,
            "Try another network: a VPN, a data center's address or a login page may be the cause.",
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
fn table(tasks: &[Watched], names: &Names, sight: &Sight) -> String {
    let Sight {
        estimate,
        retention,
        now,
    } = *sight;
    let width = id_width(tasks);
    let mut text = String::new();
    for watched in tasks {
        let status = watched.status(&estimate, retention, now);
        let word = Theme::monochrome().look(status, now).word;
        let age = format::age(now.age_of(watched.submitted()));
        let link = format::link_life(watched.link_life(retention, now));
        let title = watched.title_among(names);
        let title = title.lines().next().unwrap_or_default();
        let cells = [
            watched.id().as_str(),
            word,
            &age,
            &took(watched),
            &link,
            title,
        ];
        line(&mut text, width, cells);
    }
    text
}

/// Returns the heads of the table's columns.
fn head(tasks: &[Watched]) -> String {
    let mut text = String::new();
    let heads = ["TASK", "STATUS", "AGE", "TOOK", "LINK", "TITLE"];
    line(&mut text, id_width(tasks), heads);
    text
}

/// Returns the width of the widest id.
fn id_width(tasks: &[Watched]) -> usize {
    let widths = tasks
        .iter()
        .map(|watched| format::width(watched.id().as_str()));
    widths.max().unwrap_or_default().max(32)
}

fn line(text: &mut String, id_width: usize, [id, word, age, took, link, title]: [&str; 6]) {
    let cells = [
        format::pad_end(id, id_width),
        format::pad_end(word, 13),
        format::pad_start(age, 4),
        format::pad_start(took, 7),
        format::pad_end(link, 9),
        title.to_owned(),
    ];
    text.push_str(cells.join("  ").trim_end());
    text.push('\n');
}

/// Returns how long it took, or in that place the error code of one that failed, as the dashboard has it.
fn took(watched: &Watched) -> String {
    let code = watched.task.facts().error_code.as_ref();
    match watched.task.state() {
        TaskState::Failed { .. } => code.filter(|code| !code.is_empty()).map_or_else(
            || "-".into(),
            |code| format::fit_end(code.as_str(), 7, "…").into_owned(),
        ),
        TaskState::New
        | TaskState::Running { .. }
        | TaskState::Succeeded { .. }
        | TaskState::NotFound
        | TaskState::Unrecognised => watched
            .task
            .took()
            .map_or_else(|| "-".into(), format::run_time),
    }
}

/// Says what the last check failed of; of an account's trouble, that it is none of the task's.
fn check_failed(watched: &Watched, error: &PollError) -> String {
    if watched.is_no_longer_there() {
        return format!(
            "{}. What was known is kept.",
            format::sentence(NO_LONGER_THERE)
        );
    }
    let what = format::sentence(&error.message());
    match error.scope() {
        Scope::Account => format!("{what}. This concerns the account, not the task."),
        Scope::Task => format!("{what}. {}", error.next_step()),
    }
}

/// Returns one task as lines of name and value.
fn card(watched: &Watched, retention: Duration) -> String {
    let record = json::record(watched, retention);
    let mut text = String::new();
    for (name, value) in record.as_object().into_iter().flatten() {
        let failed = watched.freshness.last_error.as_ref();
        let value = match value {
            Value::Null => continue,
            Value::Object(_) if name == "checkError" && failed.is_some() => failed
                .map(|failed| check_failed(watched, &failed.error))
                .unwrap_or_default(),
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
