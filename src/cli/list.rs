//! `kietop list` and `kietop show`: print known states, after a check with `--refresh`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal as _},
    time::Duration,
};

use super::{
    args::{GlobalArgs, ListArgs, ShowArgs},
    failure::{CommandFailure, exit},
    output,
    refresh::{self, AnswerSink, RefreshStopped},
    resolve,
    services::CommandContext,
    signals::Signals,
};
use crate::{
    adapters::{
        desktop::SystemClock,
        export::{csv, json},
        store::SqliteStore,
    },
    domain::{
        estimate::RunTimes,
        fuzzy::Searcher,
        label_index::LabelIndex,
        list_change::{AccessMode, JournalLine, ListChange, StoreError},
        poll_result::{PollError, PollResult},
        query::{FilterContext, MAX_QUERY_LEN, Query},
        schedule::PollState,
        task::{TaskId, TaskState},
        text::CleanText,
        watched_task::WatchedTask,
    },
    messages::{command_line as messages, format, tasks::NO_LONGER_ON_SERVER},
    ports::Clock as _,
};

/// The maximum number of journal lines shown.
const MAX_JOURNAL_LINES: usize = 1000;

/// Prints the list.
pub async fn run(args: &ListArgs, global: &GlobalArgs) -> Result<(), CommandFailure> {
    let query = parse_filter(args.filter.as_deref().unwrap_or_default())?;
    let states = Query::any_state(&args.state);
    let context = CommandContext::load_to_read(global)?;
    let retention = context.config.settings.retention;
    let mut store = context.open_list()?;
    let mut tasks = store.load()?;
    let mut failure = None;
    if args.refresh {
        let is_unfinished =
            |watched: &WatchedTask| matches!(watched.poll_state, PollState::DueAt(_));
        failure = refresh_tasks(&context, &mut store, &mut tasks, is_unfinished).await?;
    }
    // Before the filter, which may ask for saved tasks.
    for watched in &mut tasks {
        resolve::check_saved_files(watched);
    }
    // From all tasks: the estimate uses every run time, and titles are unique in the whole list.
    let filter_context = filter_context(&tasks, retention);
    let mut labels = LabelIndex::default();
    for watched in &tasks {
        labels.add(watched.label.as_ref());
    }
    let mut searcher = Searcher::default();
    tasks.retain(|watched| {
        states.matches(watched, &filter_context, &mut searcher)
            && query.matches(watched, &filter_context, &mut searcher)
    });
    if tasks.is_empty() && labels.count() > 0 && !(query.is_empty() && states.is_empty()) {
        output::report(messages::NO_FILTER_MATCH);
    }
    tasks.sort_by(|a, b| (b.started_at(), b.id()).cmp(&(a.started_at(), a.id())));
    let record = |watched| json::task_record(watched, retention);
    if args.json {
        output::to_stdout(&json::to_json_line(&tasks.iter().map(record).collect()))?;
    } else if args.csv {
        let records: Vec<_> = tasks.iter().map(record).collect();
        output::to_stdout(&csv::to_csv(&records, &json::FIELD_NAMES))?;
    } else {
        let has_header = io::stdout().is_terminal() && !tasks.is_empty();
        output::to_stdout(&format_table(&tasks, &labels, &filter_context, has_header))?;
    }
    failure.map_or(Ok(()), Err)
}

/// Parses the filter; an error is underlined in it.
fn parse_filter(text: &str) -> Result<Query, CommandFailure> {
    Query::parse(text).map_err(|error| {
        let mut message = clean_piece(&error.to_string());
        if !message.ends_with('?') {
            message.push('.');
        }
        // A filter that is too long is not shown.
        if text.len() <= MAX_QUERY_LEN {
            let piece = |range| clean_piece(text.get(range).unwrap_or_default());
            let (before, wrong) = (piece(0..error.at.start), piece(error.at.clone()));
            let after = piece(error.at.end..text.len());
            let indent = " ".repeat(format::width(&before));
            let carets = "^".repeat(format::width(&wrong).max(1));
            // Writing into a `String` cannot fail.
            write!(message, "\n  {before}{wrong}{after}\n  {indent}{carets}").unwrap_or_default();
        }
        CommandFailure::usage(message)
    })
}

/// Sanitises a piece of text; unlike [`CleanText::line`] it keeps white space at both ends.
fn clean_piece(text: &str) -> String {
    let clean = CleanText::line(&format!("|{text}|"), usize::MAX);
    let inner = clean.as_str().strip_prefix('|');
    let inner = inner.and_then(|text| text.strip_suffix('|'));
    inner.unwrap_or_default().to_owned()
}

/// Returns the context for filters and statuses: the estimate from all tasks, and the time.
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
pub async fn show(args: &ShowArgs, global: &GlobalArgs) -> Result<(), CommandFailure> {
    let context = CommandContext::load_to_read(global)?;
    let retention = context.config.settings.retention;
    let mut store = context.open_list()?;
    let id = match resolve::resolve_id(&mut store, &args.id) {
        Ok(id) => id,
        Err(failure) => return show_removed(&mut store, args, failure),
    };
    let mut failure = None;
    let mut tasks = vec![resolve::find_task(&mut store, &id)?];
    if args.refresh {
        failure = refresh_tasks(&context, &mut store, &mut tasks, |_| true).await?;
    }
    let mut watched = tasks
        .into_iter()
        .find(|watched| *watched.id() == id)
        .ok_or_else(|| resolve::not_on_list(&id))?;
    resolve::check_saved_files(&mut watched);
    if args.json {
        output::to_stdout(&json::to_json_line(&json::task_record(&watched, retention)))?;
    } else {
        let journal = store.read_journal(&id, MAX_JOURNAL_LINES)?;
        let mut text = format_task(&watched, retention);
        text.push_str(&format_journal(&journal));
        output::to_stdout(&text)?;
    }
    failure.map_or(Ok(()), Err)
}

/// Prints the journal of a removed task, found by its full id only; without a journal, returns
/// `failure`.
fn show_removed(
    store: &mut SqliteStore,
    args: &ShowArgs,
    failure: CommandFailure,
) -> Result<(), CommandFailure> {
    let Some(id) = TaskId::parse(&args.id).ok().filter(|_| !args.json) else {
        return Err(failure);
    };
    let journal = store.read_journal(&id, MAX_JOURNAL_LINES)?;
    if journal.is_empty() {
        return Err(failure);
    }
    let header = format!("{:<13} {id}\n{:<13} removed\n", "taskId", "list");
    output::to_stdout(&format!("{header}{}", format_journal(&journal)))
}

/// Formats a journal, one line for each entry.
fn format_journal(journal: &[JournalLine]) -> String {
    let mut text = String::new();
    for line in journal {
        // Writing into a `String` cannot fail.
        writeln!(text, "{}  {}", line.at, line.event.description()).unwrap_or_default();
    }
    text
}

/// Checks the wanted tasks once and applies each answer as it arrives: to the list file, or with
/// `--read-only` to `tasks` only.
///
/// Returns the failure to exit with after printing the list: an account-wide error, or that every
/// check failed. It is not stored, because it is not about a task and the next command may use
/// another key. A signal is an error at once; answers received by then are still applied.
async fn refresh_tasks(
    context: &CommandContext,
    store: &mut SqliteStore,
    tasks: &mut Vec<WatchedTask>,
    is_wanted: impl Fn(&WatchedTask) -> bool,
) -> Result<Option<CommandFailure>, CommandFailure> {
    let wanted = tasks.iter().filter(|watched| is_wanted(watched));
    let wanted: Vec<_> = wanted
        .map(|watched| (watched.id().clone(), watched.task.family()))
        .collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let client = context.api_client()?;
    let clock = SystemClock::start();
    let mut signals = Signals::listen();
    let mut sink = ListAnswerSink {
        store,
        tasks,
        access: context.access,
        counts: CheckCounts::default(),
    };
    let result = refresh::refresh_once(wanted, &client, &clock, signals.next(), &mut sink).await;
    let counts = sink.counts;
    if context.access == AccessMode::Full {
        *tasks = store.load()?;
    }
    match result {
        Ok(()) => Ok(counts.failure_if_all_failed()),
        Err(RefreshStopped::NotStored(error)) => Err(error.into()),
        Err(RefreshStopped::AccountError(error)) => Ok(Some(account_failure(&error))),
        Err(RefreshStopped::Signal(signal)) => Err(CommandFailure::interrupted(
            signal,
            messages::REFRESH_INTERRUPTED,
        )),
    }
}

/// The outcomes of one refresh.
#[derive(Default)]
struct CheckCounts {
    /// Checks with an answer; "no such task" is one.
    succeeded: usize,
    failed_by_reason: BTreeMap<String, usize>,
}

/// The maximum number of reasons in one line.
const MAX_REASONS: usize = 3;

impl CheckCounts {
    fn count_answer(&mut self, answer: &PollResult) {
        match answer {
            Ok(_) | Err(PollError::NotFound) => self.succeeded += 1,
            Err(error) => *self.failed_by_reason.entry(error.summary()).or_default() += 1,
        }
    }

    /// Returns a failure if every check failed; reports on standard error if only some did.
    fn failure_if_all_failed(&self) -> Option<CommandFailure> {
        let failed: usize = self.failed_by_reason.values().sum();
        let reason = self.failed_by_reason.keys().next()?;
        if failed == 1 && self.succeeded == 0 {
            return Some(CommandFailure::general(messages::check_failed(reason)));
        }
        let named = self.failed_by_reason.iter().take(MAX_REASONS);
        let mut reasons: Vec<_> = named
            .map(|(reason, count)| format!("{reason}: {count}"))
            .collect();
        let others: usize = self.failed_by_reason.values().skip(MAX_REASONS).sum();
        if others > 0 {
            reasons.push(messages::other_reasons(others));
        }
        let reasons = reasons.join("; ");
        if self.succeeded == 0 {
            let message = messages::all_checks_failed(failed, &reasons);
            return Some(CommandFailure::general(message));
        }
        let all = failed.saturating_add(self.succeeded);
        output::report(&messages::some_checks_failed(failed, all, &reasons));
        None
    }
}

/// Applies answers to the list, and counts them.
struct ListAnswerSink<'a> {
    store: &'a mut SqliteStore,
    /// The tasks as they were before their check.
    tasks: &'a mut [WatchedTask],
    access: AccessMode,
    counts: CheckCounts,
}

impl ListAnswerSink<'_> {
    fn find_task(&mut self, task: &TaskId) -> Option<&mut WatchedTask> {
        self.tasks.iter_mut().find(|watched| watched.id() == task)
    }
}

impl AnswerSink for ListAnswerSink<'_> {
    fn is_answered_elsewhere(&mut self, task: &TaskId) -> bool {
        let current = self.store.get(task).ok().flatten();
        let is_answered = match (self.find_task(task), current) {
            (Some(before), Some(current)) => {
                before.poll_history.checks < current.poll_history.checks
            }
            _ => false,
        };
        self.counts.succeeded += usize::from(is_answered);
        is_answered
    }

    fn accept(&mut self, task: TaskId, answer: PollResult) -> Result<(), StoreError> {
        let at = SystemClock::wall();
        self.counts.count_answer(&answer);
        if self.access == AccessMode::ReadOnly {
            if let Some(watched) = self.find_task(&task) {
                watched.apply_answer(&answer, at);
            }
            return Ok(());
        }
        let change = ListChange::from_result(task, answer, at);
        self.store.apply(&[change]).map(drop)
    }
}

fn account_failure(error: &PollError) -> CommandFailure {
    let code = if error.is_key_refused() {
        exit::UNAUTHORISED
    } else {
        exit::FAILED
    };
    let next = messages::account_next_step(error);
    let message = format::capitalised(&error.message());
    CommandFailure::new(code, format!("{}. {next}", message.trim_end_matches('.')))
}

/// Formats the list as aligned columns, without colour.
fn format_table(
    tasks: &[WatchedTask],
    labels: &LabelIndex,
    context: &FilterContext,
    has_header: bool,
) -> String {
    let FilterContext {
        estimate,
        retention,
        now,
    } = *context;
    let cells = |watched: &WatchedTask| {
        let title = watched.unique_title(labels);
        [
            watched.id().to_string(),
            watched.status(&estimate, retention, now).word().to_owned(),
            format::format_age(now.age_of(watched.started_at())),
            format_run_time(watched),
            format::link_expiry(watched.link_expiry(retention, now)).into_owned(),
            title.lines().next().unwrap_or_default().to_owned(),
        ]
    };
    let headings = ["TASK", "STATUS", "AGE", "TOOK", "LINK", "TITLE"].map(str::to_owned);
    let header = has_header.then_some(headings);
    let rows: Vec<_> = header.into_iter().chain(tasks.iter().map(cells)).collect();
    let id_width = rows.iter().map(|[id, ..]| format::width(id)).max();
    let id_width = id_width.unwrap_or_default().max(32);
    let lines = rows.iter().map(|[id, word, age, took, link, title]| {
        let cells = [
            format::pad_end(id, id_width),
            format::pad_end(word, 13),
            format::pad_start(age, 4),
            format::pad_start(took, 7),
            format::pad_end(link, 9),
            title.clone(),
        ];
        format!("{}\n", cells.join("  ").trim_end())
    });
    lines.collect()
}

/// Formats the run time, or the error code of a failed task, as in the dashboard.
fn format_run_time(watched: &WatchedTask) -> String {
    let text = if matches!(watched.task.state(), TaskState::Failed { .. }) {
        let code = watched.task.details().error_code.as_ref();
        let code = code.filter(|code| !code.is_empty());
        code.map(|code| format::fit_end(code.as_str(), 7, "…").into_owned())
    } else {
        watched.task.run_time().map(format::run_time)
    };
    text.unwrap_or_else(|| "-".to_owned())
}

/// Describes the last failed check; an account-wide error is marked as such.
fn describe_failed_check(watched: &WatchedTask, error: &PollError) -> String {
    if watched.is_no_longer_on_server() {
        return messages::last_known_state(&format::capitalised(NO_LONGER_ON_SERVER));
    }
    messages::last_failed_check(&format::capitalised(&error.message()), error)
}

/// Formats one task as lines of name and value.
fn format_task(watched: &WatchedTask, retention: Duration) -> String {
    let record = json::task_record(watched, retention);
    let mut text = String::new();
    let failed = watched.poll_history.last_error.as_ref();
    for (name, value) in record.as_object().into_iter().flatten() {
        let value = match failed {
            Some(failed) if name == "checkError" => describe_failed_check(watched, &failed.error),
            _ => json::value_text(value),
        };
        // The record has the original texts, for JSON.
        let value = CleanText::block(&value, 64 * 1024);
        for (at, line) in value.as_str().lines().enumerate() {
            let name = if at == 0 { name } else { "" };
            writeln!(text, "{name:<13} {line}").unwrap_or_default();
        }
    }
    text
}
