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
    Failure, GlobalArgs, ListArgs, ShowArgs, csv, exit, json, output,
    refresh::{self, AnswerSink, RefreshStopped},
    services,
    signals::Signals,
};
use crate::{
    adapters::{desktop::SystemClock, store::SqliteStore},
    domain::{
        estimate::RunTimes,
        fuzzy::Searcher,
        label_index::LabelIndex,
        list_change::{AccessMode, JournalLine, ListChange, StoreError},
        poll_result::{ErrorScope, PollError, PollResult},
        query::{FilterContext, MAX_QUERY_LEN, Query},
        schedule::PollState,
        task::{Family, TaskId, TaskState},
        text::CleanText,
        watched_task::WatchedTask,
    },
    messages::tasks::NO_LONGER_ON_SERVER,
    ports::{Clock as _, ListStore as _},
    ui::{format, theme::Theme},
};

/// The most journal lines shown.
const MAX_JOURNAL_LINES: usize = 1000;

/// Prints the list.
pub async fn run(list: &ListArgs, global: &GlobalArgs) -> Result<(), Failure> {
    let query = parse_filter(list.filter.as_deref().unwrap_or_default())?;
    let states = Query::any_state(&list.state);
    let retention = services::load_config(global)?.settings.retention.0;
    let mut store = services::open_list_to_read(global)?;
    let mut tasks = store
        .load()
        .map_err(|error| services::store_failure(&error))?;
    let mut failure = None;
    if list.refresh {
        let unfinished = tasks
            .iter()
            .filter(|watched| matches!(watched.poll_state, PollState::DueAt(_)))
            .map(|watched| (watched.id().clone(), watched.task.family()))
            .collect();
        failure = refresh_tasks(&mut store, &mut tasks, unfinished, global).await?;
    }
    // Before the filter, which may ask for what is saved.
    for watched in &mut tasks {
        services::check_saved_files(watched);
    }
    // What to expect of a running task, all of them tell.
    let sight = filter_context(&tasks, retention);
    let mut names = LabelIndex::default();
    for watched in &tasks {
        names.add(watched.label.as_ref());
    }
    let mut searcher = Searcher::default();
    tasks.retain(|watched| {
        states.matches(watched, &sight, &mut searcher)
            && query.matches(watched, &sight, &mut searcher)
    });
    if tasks.is_empty() && names.count() > 0 && !(query.is_empty() && states.is_empty()) {
        output::to_stderr("kietop: No task on the list passes the filter.");
    }
    tasks.sort_by(|a, b| (b.started_at(), b.id()).cmp(&(a.started_at(), a.id())));
    let records = || {
        tasks
            .iter()
            .map(|watched| json::task_record(watched, retention))
    };
    if list.json {
        output::to_stdout(&format!("{}\n", json::to_safe_json(&records().collect())))?;
    } else if list.csv {
        output::to_stdout(&csv::to_csv(
            &records().collect::<Vec<_>>(),
            &json::FIELD_NAMES,
        ))?;
    } else {
        let mut text = format_table(&tasks, &names, &sight);
        if io::stdout().is_terminal() && !tasks.is_empty() {
            text.insert_str(0, &format_header(&tasks));
        }
        output::to_stdout(&text)?;
    }
    failure.map_or(Ok(()), Err)
}

/// Reads the filter; a fault is shown where it is.
fn parse_filter(text: &str) -> Result<Query, Failure> {
    Query::parse(text).map_err(|fault| {
        let mut said = clean_piece(&fault.to_string());
        if !said.ends_with('?') {
            said.push('.');
        }
        // A filter too long to be read is too long to be shown.
        if text.len() <= MAX_QUERY_LEN {
            let piece = |at| clean_piece(text.get(at).unwrap_or_default());
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
fn clean_piece(text: &str) -> String {
    let clean = CleanText::line(&format!("|{text}|"), usize::MAX);
    let inner = clean.as_str().strip_prefix('|');
    let inner = inner.and_then(|text| text.strip_suffix('|'));
    inner.unwrap_or_default().to_owned()
}

/// Returns what a list knows beside each task.
fn filter_context(tasks: &[WatchedTask], retention: Duration) -> FilterContext {
    let mut run_times = RunTimes::default();
    for watched in tasks {
        run_times.record(&watched.task);
    }
    FilterContext {
        estimate: run_times.estimate(),
        retention,
        now: SystemClock::start().now(),
    }
}

/// Prints one task.
pub async fn show(show: &ShowArgs, global: &GlobalArgs) -> Result<(), Failure> {
    let retention = services::load_config(global)?.settings.retention.0;
    let mut store = services::open_list_to_read(global)?;
    let id = match services::resolve_id(&mut store, &show.id) {
        Ok(id) => id,
        Err(failure) => return show_removed(&mut store, show, failure),
    };
    let mut failure = None;
    let mut tasks = vec![services::find_task(&mut store, &id)?];
    if show.refresh {
        let wanted = tasks
            .iter()
            .map(|watched| (id.clone(), watched.task.family()))
            .collect();
        failure = refresh_tasks(&mut store, &mut tasks, wanted, global).await?;
    }
    let mut watched = tasks
        .into_iter()
        .find(|watched| *watched.id() == id)
        .ok_or_else(|| services::not_on_list(&id))?;
    services::check_saved_files(&mut watched);
    if show.json {
        output::to_stdout(&format!(
            "{}\n",
            json::to_safe_json(&json::task_record(&watched, retention))
        ))?;
    } else {
        let journal = store
            .read_journal(&id, MAX_JOURNAL_LINES)
            .map_err(|error| services::store_failure(&error))?;
        let mut text = format_task(&watched, retention);
        text.push_str(&format_journal(&journal));
        output::to_stdout(&text)?;
    }
    failure.map_or(Ok(()), Err)
}

/// Prints what was noted of a task that is on the list no more, named by its whole id; else it is
/// not known.
fn show_removed(store: &mut SqliteStore, show: &ShowArgs, failure: Failure) -> Result<(), Failure> {
    let Some(id) = TaskId::parse(&show.id).ok().filter(|_| !show.json) else {
        return Err(failure);
    };
    let journal = store
        .read_journal(&id, MAX_JOURNAL_LINES)
        .map_err(|error| services::store_failure(&error))?;
    if journal.is_empty() {
        return Err(failure);
    }
    let head = format!("{:<13} {id}\n{:<13} removed\n", "taskId", "list");
    output::to_stdout(&format!("{head}{}", format_journal(&journal)))
}

/// Returns a journal, a line each.
fn format_journal(journal: &[JournalLine]) -> String {
    let mut text = String::new();
    for line in journal {
        // Writing into a `String` cannot fail.
        writeln!(text, "{}  {}", line.at, line.event.description()).unwrap_or_default();
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
async fn refresh_tasks(
    store: &mut SqliteStore,
    tasks: &mut Vec<WatchedTask>,
    wanted: Vec<(TaskId, Family)>,
    global: &GlobalArgs,
) -> Result<Option<Failure>, Failure> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let config = services::load_config(global)?;
    let turns = services::shared_limiter(&config, services::access_mode(global))?;
    let (client, clock) = (services::api_client(&config, &turns)?, SystemClock::start());
    let outside = refresh::RefreshDeps {
        api: &client,
        clock: &clock,
        limiter: turns,
    };
    let mut signals = Signals::listen();
    let mut desk = ListAnswerSink {
        checks_before: tasks
            .iter()
            .map(|watched| (watched.id().clone(), watched.poll_history.checks))
            .collect(),
        store,
        tasks,
        clock: &clock,
        access: services::access_mode(global),
        counts: CheckCounts::default(),
        error: None,
    };
    let asked = refresh::refresh_once(wanted, outside, signals.next(), &mut desk).await;
    let (checked, error) = (desk.counts, desk.error);
    if !global.read_only {
        *tasks = store
            .load()
            .map_err(|error| services::store_failure(&error))?;
    }
    if let Some(error) = error {
        return Err(services::store_failure(&error));
    }
    match asked {
        Ok(()) | Err(RefreshStopped::SinkFailed) => Ok(checked.failure_if_all_failed()),
        Err(RefreshStopped::AccountError(error)) => Ok(Some(account_failure(&error))),
        Err(RefreshStopped::Signal(signal)) => Err(interrupted_failure(signal)),
    }
}

/// The outcomes of one refresh.
#[derive(Default)]
struct CheckCounts {
    /// The number of checks with an answer; "no such task" is one.
    succeeded: usize,
    /// The number of failed checks by reason, in order of appearance.
    failed_by_reason: Vec<(String, usize)>,
}

/// The most reasons named in one line.
const MAX_REASONS: usize = 3;

impl CheckCounts {
    fn count_answer(&mut self, answer: &PollResult) {
        let Some(error) = answer
            .as_ref()
            .err()
            .filter(|error| **error != PollError::NotFound)
        else {
            self.succeeded += 1;
            return;
        };
        let reason = error.summary();
        match self
            .failed_by_reason
            .iter_mut()
            .find(|(known, _)| *known == reason)
        {
            Some((_, count)) => *count += 1,
            None => self.failed_by_reason.push((reason, 1)),
        }
    }

    /// Returns the failure if every check failed; prints a message if some did.
    fn failure_if_all_failed(&self) -> Option<Failure> {
        let failed: usize = self.failed_by_reason.iter().map(|(_, count)| count).sum();
        if failed == 0 {
            return None;
        }
        let named = self
            .failed_by_reason
            .get(..MAX_REASONS)
            .unwrap_or(&self.failed_by_reason);
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
            let what = match (failed, self.failed_by_reason.as_slice()) {
                (1, [(reason, _)]) => format!("The check failed: {reason}."),
                _ => format!("All {failed} checks failed ({reasons})."),
            };
            let message = format!("{what} Last known states are shown; try again.");
            return Some(Failure::plain(message));
        }
        let all = failed.saturating_add(self.succeeded);
        output::to_stderr(&format!(
            "kietop: {failed} of {all} checks failed ({reasons})."
        ));
        None
    }
}

/// Takes answers into the list.
struct ListAnswerSink<'a> {
    store: &'a mut SqliteStore,
    tasks: &'a mut Vec<WatchedTask>,
    clock: &'a SystemClock,
    access: AccessMode,
    /// How often each task was checked when this began.
    checks_before: HashMap<TaskId, u32>,
    counts: CheckCounts,
    error: Option<StoreError>,
}

impl AnswerSink for ListAnswerSink<'_> {
    fn is_answered_elsewhere(&mut self, task: &TaskId) -> bool {
        let now = self.store.get(task).ok().flatten();
        let checks = now.map(|watched| watched.poll_history.checks);
        let is_answered = checks.is_some_and(|checks| {
            self.checks_before
                .get(task)
                .is_some_and(|before| *before < checks)
        });
        self.counts.succeeded += usize::from(is_answered);
        is_answered
    }

    fn accept(&mut self, task: TaskId, answer: PollResult) -> ControlFlow<()> {
        let at = self.clock.now().wall;
        self.counts.count_answer(&answer);
        if self.access == AccessMode::ReadOnly {
            if let Some(watched) = self.tasks.iter_mut().find(|watched| *watched.id() == task) {
                watched.apply_answer(&answer, at);
            }
            return ControlFlow::Continue(());
        }
        match self
            .store
            .apply(&[ListChange::from_result(task, answer, at)])
        {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

fn interrupted_failure(signal: i32) -> Failure {
    Failure::new(
        exit::SIGNAL_BASE + signal,
        "Interrupted; what was answered by then is kept.",
    )
}

/// Turns an account-wide error into one of the command; what is next differs from the dashboard,
/// which asks again.
fn account_failure(error: &PollError) -> Failure {
    let (code, next) = match error {
        PollError::NoKey => (exit::UNAUTHORISED, "Set KIE_API_KEY."),
        PollError::Unauthorized(_) | PollError::KeyUnreadable(_) => {
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
        | PollError::ConnectionLost
        | PollError::NotFound
        | PollError::Rejected { .. }
        | PollError::Server { .. }
        | PollError::Malformed(_)
        | PollError::AnswerLost => (exit::FAILED, "The list is shown as last known; try again."),
    };
    let what = format::capitalised(&error.message());
    Failure::new(code, format!("{}. {next}", what.trim_end_matches('.')))
}

/// Returns the list as aligned lines, without colour.
fn format_table(tasks: &[WatchedTask], names: &LabelIndex, sight: &FilterContext) -> String {
    let FilterContext {
        estimate,
        retention,
        now,
    } = *sight;
    let width = id_width(tasks);
    let mut text = String::new();
    for watched in tasks {
        let status = watched.status(&estimate, retention, now);
        let word = Theme::monochrome().status_style(status, now).word;
        let age = format::format_age(now.age_of(watched.started_at()));
        let link = format::link_expiry(watched.link_expiry(retention, now));
        let title = watched.unique_title(names);
        let title = title.lines().next().unwrap_or_default();
        let cells = [
            watched.id().as_str(),
            word,
            &age,
            &format_run_time(watched),
            &link,
            title,
        ];
        push_row(&mut text, width, cells);
    }
    text
}

/// Returns the heads of the table's columns.
fn format_header(tasks: &[WatchedTask]) -> String {
    let mut text = String::new();
    let heads = ["TASK", "STATUS", "AGE", "TOOK", "LINK", "TITLE"];
    push_row(&mut text, id_width(tasks), heads);
    text
}

/// Returns the width of the widest id.
fn id_width(tasks: &[WatchedTask]) -> usize {
    let widths = tasks
        .iter()
        .map(|watched| format::width(watched.id().as_str()));
    widths.max().unwrap_or_default().max(32)
}

fn push_row(text: &mut String, id_width: usize, [id, word, age, took, link, title]: [&str; 6]) {
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

/// Returns how long it took, or in that place the error code of one that failed, as the dashboard
/// has it.
fn format_run_time(watched: &WatchedTask) -> String {
    let code = watched.task.details().error_code.as_ref();
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
            .run_time()
            .map_or_else(|| "-".into(), format::run_time),
    }
}

/// Says what the last check failed of; of an account's trouble, that it is none of the task's.
fn describe_failed_check(watched: &WatchedTask, error: &PollError) -> String {
    if watched.is_no_longer_on_server() {
        return format!(
            "{}. What was known is kept.",
            format::capitalised(NO_LONGER_ON_SERVER)
        );
    }
    let what = format::capitalised(&error.message());
    match error.scope() {
        ErrorScope::Account => format!("{what}. This concerns the account, not the task."),
        ErrorScope::Task => format!("{what}. {}", error.next_step()),
    }
}

/// Returns one task as lines of name and value.
fn format_task(watched: &WatchedTask, retention: Duration) -> String {
    let record = json::task_record(watched, retention);
    let mut text = String::new();
    for (name, value) in record.as_object().into_iter().flatten() {
        let failed = watched.poll_history.last_error.as_ref();
        let value = match value {
            Value::Null => continue,
            Value::Object(_) if name == "checkError" && failed.is_some() => failed
                .map(|failed| describe_failed_check(watched, &failed.error))
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
