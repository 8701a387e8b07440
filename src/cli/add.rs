//! `kietop add`: ids on the list, on the disk before a line says so.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{AddArgs, Failure, GlobalArgs, exit, output, services};
use crate::{
    adapters::{
        desktop::SystemClock,
        store::{MIN_PREFIX_LEN, SqliteStore},
    },
    domain::{
        id_extract::{
            Certainty, FoundId, IdExtractor, KnownSecrets, Skipped, certain_ids, extract_argument,
        },
        list_change::{ChangeResult, ListChange},
        task::{Family, TaskId},
        text::CleanText,
        watched_task::MAX_LABEL_LEN,
    },
    messages::ids,
    ports::ListStore as _,
    ui::format,
};

/// How much of standard input is read at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// How long the input may pause before the ids found so far are added.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The fewest characters of an id on the command line; a shorter one, which no prefix could name,
/// is a typo.
const MIN_ID_LEN: usize = MIN_PREFIX_LEN;

/// Adds ids and reports those already on the list.
///
/// All arguments are parsed before any is added. Standard input is read in chunks and the ids of
/// each are added at once, so memory does not grow with the input, nor does what a kill can lose.
pub fn run(add: &AddArgs, global: &GlobalArgs) -> Result<(), Failure> {
    services::require_writable(global)?;
    if add.tee && !add.ids.iter().any(|text| text == "-") {
        return Err(Failure::new(
            exit::USAGE,
            "--tee needs the argument - (standard input).",
        ));
    }
    let secrets = services::known_secrets(&services::load_config(global)?)?;
    let mut given = Vec::new();
    for text in add.ids.iter().filter(|text| *text != "-") {
        given.extend(parse_argument(text, add.force, &secrets)?);
    }
    let label = add
        .label
        .as_deref()
        .map(|label| CleanText::line(label, MAX_LABEL_LEN));
    let mut adder = IdAdder {
        store: services::open_list(global)?,
        label: label.filter(|label| !label.is_empty()),
        is_tee: add.tee,
        added: 0,
        not_added: 0,
        failure: None,
        stream_failure: None,
    };
    adder.add_batch(&given);
    if add.ids.iter().any(|text| text == "-") {
        adder.add_from_stdin(&secrets)?;
    }
    adder.into_result()
}

/// Parses one argument: an id, or a link, JSON or other text that contains some.
fn parse_argument(
    text: &str,
    is_forced: bool,
    secrets: &KnownSecrets,
) -> Result<Vec<TaskId>, Failure> {
    let found = extract_argument(text, secrets);
    if found.ids.is_empty() && found.skipped.secrets > 0 {
        return Err(Failure::new(exit::USAGE, ids::SECRET_IN_ARGUMENT));
    }
    let shown = CleanText::line(text, 80);
    let refused = |why: &str| Err(Failure::new(exit::USAGE, format!("{shown}: {why}")));
    if is_forced {
        return TaskId::parse(text)
            .map(|id| vec![id])
            .or_else(|error| refused(&format!("{error}.")));
    }
    let ids: Vec<_> = certain_ids(&found.ids).cloned().collect();
    let is_suspicious = |found: &FoundId| found.certainty == Certainty::Suspicious;
    match ids.as_slice() {
        [] if found.ids.iter().any(is_suspicious) => refused(ids::EXTRA_CHARACTERS),
        [] => refused(ids::NO_ID_IN_ARGUMENT),
        [id] if id.as_str() == text && text.chars().count() < MIN_ID_LEN => refused(ids::TOO_SHORT),
        _ => Ok(ids),
    }
}

/// Adds batches of ids and counts the results.
struct IdAdder {
    store: SqliteStore,
    label: Option<CleanText>,
    /// Whether standard output passes the input through.
    is_tee: bool,
    added: usize,
    not_added: usize,
    /// The first failure of the list; nothing is added after it.
    failure: Option<Failure>,
    /// The first failure to read or print; ids are added in spite of it.
    stream_failure: Option<Failure>,
}

impl IdAdder {
    /// Adds ids in one transaction and prints the result of each.
    fn add_batch(&mut self, ids: &[TaskId]) {
        if ids.is_empty() {
            return;
        }
        let applied = match &self.failure {
            None => self.apply_batch(ids),
            Some(failure) => Err(failure.clone()),
        };
        match applied {
            Ok(lines) => self.print_results(&lines),
            Err(failure) => {
                for id in ids {
                    output::to_stderr(&format!("kietop: not added: {id}"));
                }
                self.not_added += ids.len();
                self.failure.get_or_insert(failure);
            }
        }
    }

    fn apply_batch(&mut self, ids: &[TaskId]) -> Result<String, Failure> {
        let at = SystemClock::wall();
        let add = |task: &TaskId| ListChange::Add {
            task: task.clone(),
            family: Family::default(),
            label: self.label.clone(),
            at,
        };
        let changes: Vec<_> = ids.iter().map(add).collect();
        let twins = find_case_variants(&mut self.store, ids)?;
        let applied = self
            .store
            .apply(&changes)
            .map_err(|error| services::store_failure(&error))?;
        self.added += ids.len();
        for (id, twin) in twins {
            output::to_stderr(&format!(
                "kietop: {id} looks like another spelling of {twin}; capitals count, so it is a task of its own."
            ));
        }
        let line = |(id, applied): (&TaskId, ChangeResult)| {
            let word = match applied {
                ChangeResult::Added(_) => "added",
                ChangeResult::AlreadyWatched => "watched already",
                ChangeResult::Removed | ChangeResult::NotWatched | ChangeResult::Recorded => {
                    "noted"
                }
            };
            format!("{id} {word}\n")
        };
        Ok(ids.iter().zip(applied).map(line).collect())
    }

    /// Prints the lines that acknowledge ids; if that fails, the ids are still on the list.
    fn print_results(&mut self, lines: &str) {
        if self.is_tee {
            output::to_stderr(lines);
        } else if let Err(failure) = output::to_stdout(lines) {
            self.stream_failure.get_or_insert(failure);
        }
    }

    /// Adds the ids of standard input, chunk by chunk.
    fn add_from_stdin(&mut self, secrets: &KnownSecrets) -> Result<(), Failure> {
        let mut extractor = IdExtractor::new(secrets);
        let mut report = InputReport::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut is_settled = true;
        loop {
            if !is_settled && is_input_idle() {
                self.add_found(&extractor.flush(), &mut report);
                is_settled = true;
            }
            let count = match io::stdin().read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let message = format!("Standard input cannot be read: {error}.");
                    self.stream_failure.get_or_insert(Failure::plain(message));
                    break;
                }
            };
            let bytes = chunk.get(..count).unwrap_or_default();
            self.copy_to_stdout(bytes);
            self.add_found(&extractor.push(bytes), &mut report);
            is_settled = false;
        }
        self.add_found(&extractor.finish(), &mut report);
        report.print(&extractor);
        if report.certain == 0 && self.stream_failure.is_none() && !self.is_tee {
            return Err(Failure::plain("No task id found on standard input."));
        }
        Ok(())
    }

    /// Copies the input to standard output; when the reader closes it, adding goes on.
    fn copy_to_stdout(&mut self, bytes: &[u8]) {
        if !self.is_tee {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(failure) = output::stdout_result(out.write_all(bytes).and_then(|()| out.flush()))
        {
            self.stream_failure.get_or_insert(failure);
        }
    }

    fn add_found(&mut self, found: &[FoundId], report: &mut InputReport) {
        let ids: Vec<_> = certain_ids(found).cloned().collect();
        report.certain += ids.len();
        self.add_batch(&ids);
        for found in found {
            match found.certainty {
                Certainty::Certain => {}
                Certainty::Unnamed => report.unnamed += 1,
                Certainty::Suspicious => output::to_stderr(&format!(
                    "kietop: {}",
                    ids::extra_characters_skipped(found.id.as_str())
                )),
            }
        }
    }

    fn into_result(self) -> Result<(), Failure> {
        let Some(failure) = self.failure.or(self.stream_failure) else {
            return Ok(());
        };
        let count = match self.not_added {
            0 => return Err(failure),
            1 => "1 id was not added".to_owned(),
            count => format!("{count} ids were not added"),
        };
        Err(Failure::new(
            failure.code,
            format!("{count}, {} were: {}", self.added, failure.message),
        ))
    }
}

/// Counts of what standard input held.
#[derive(Debug, Default)]
struct InputReport {
    certain: usize,
    unnamed: usize,
}

impl InputReport {
    fn print(&self, extractor: &IdExtractor) {
        let (rejected, more) = extractor.rejected();
        for word in rejected {
            let message = ids::not_task_id(word.as_str());
            output::to_stderr(&format!("kietop: {message}"));
        }
        if more > 0 {
            output::to_stderr(&format!("kietop: {}", ids::more_not_task_ids(more)));
        }
        if let Some(line) = describe_skipped(extractor.skipped(), self.unnamed) {
            output::to_stderr(&format!("kietop: skipped {line}."));
        }
    }
}

/// Describes the skipped values, by kind.
fn describe_skipped(skipped: Skipped, unnamed: usize) -> Option<String> {
    let mut parts = format::skipped_values(skipped);
    if unnamed > 0 {
        parts.push(ids::unnamed_values(unnamed));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Reports whether no more input came for a moment.
fn is_input_idle() -> bool {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let pause = Timespec::try_from(MAX_PAUSE).ok();
    poll(&mut fds, pause.as_ref()) == Ok(0)
}

/// Finds the ids that differ only in capitals from one that is watched or added with them. Ids are
/// opaque, so this is said and nothing is merged.
fn find_case_variants(
    store: &mut SqliteStore,
    ids: &[TaskId],
) -> Result<Vec<(TaskId, TaskId)>, Failure> {
    let mut first_of: HashMap<String, &TaskId> = HashMap::new();
    let mut twins = Vec::new();
    for id in ids {
        let small = id.as_str().to_ascii_lowercase();
        let known = store
            .find_case_variant(id)
            .map_err(|error| services::store_failure(&error))?;
        let first = first_of.get(&small).filter(|first| **first != id);
        let twin = known.or_else(|| first.map(|first| (*first).clone()));
        if let Some(twin) = twin {
            twins.push((id.clone(), twin));
        }
        first_of.entry(small).or_insert(id);
    }
    Ok(twins)
}
