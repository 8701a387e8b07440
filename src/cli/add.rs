//! `kietop add`: adds ids to the list. Each id is on the disk before its line is printed.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    args::{AddArgs, GlobalArgs},
    failure::CommandFailure,
    output,
    services::CommandContext,
};
use crate::{
    adapters::{
        desktop::SystemClock,
        store::{MIN_PREFIX_LEN, SqliteStore},
    },
    domain::{
        id_extract::{
            Certainty, FoundId, IdExtractor, KnownSecrets, certain_ids, extract_argument,
        },
        list_change::{ChangeResult, ListChange},
        task::TaskId,
        text::CleanText,
        watched_task::MAX_LABEL_LEN,
    },
    messages::{command_line as messages, format, ids},
};

/// The bytes of standard input read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The longest pause of the input before the ids found so far are added.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The minimum length of an id on the command line. A shorter one is a typo, and no prefix could
/// name it.
const MIN_ID_LEN: usize = MIN_PREFIX_LEN;

/// Adds ids and reports those already on the list.
///
/// All arguments are parsed before any is added. Standard input is read in chunks and the ids of
/// each are added at once, so memory does not grow with the input, and a kill loses one chunk at
/// most.
pub fn run(args: &AddArgs, global: &GlobalArgs) -> Result<(), CommandFailure> {
    let context = CommandContext::load_to_write(global)?;
    if args.tee && !args.ids.iter().any(|text| text == "-") {
        return Err(CommandFailure::usage(messages::TEE_NEEDS_STDIN));
    }
    let secrets = context.known_secrets()?;
    let mut given = Vec::new();
    for text in args.ids.iter().filter(|text| *text != "-") {
        given.extend(parse_argument(text, args.force, &secrets)?);
    }
    let label = args
        .label
        .as_deref()
        .map(|label| CleanText::line(label, MAX_LABEL_LEN));
    let mut adder = IdAdder {
        store: context.open_list()?,
        label: label.filter(|label| !label.is_empty()),
        tee: args.tee,
        added: 0,
        not_added: 0,
        failure: None,
        stream_failure: None,
    };
    adder.add_batch(&given);
    if args.ids.iter().any(|text| text == "-") {
        adder.add_from_stdin(&secrets)?;
    }
    adder.into_result()
}

/// Parses one argument: an id, or a link, JSON or other text that contains some.
fn parse_argument(
    text: &str,
    force: bool,
    secrets: &KnownSecrets,
) -> Result<Vec<TaskId>, CommandFailure> {
    let found = extract_argument(text, secrets);
    if found.ids.is_empty() && found.skipped.secrets > 0 {
        return Err(CommandFailure::usage(ids::SECRET_IN_ARGUMENT));
    }
    let shown = CleanText::line(text, 80);
    let reject = |reason: &str| Err(CommandFailure::usage(format!("{shown}: {reason}")));
    if force {
        return TaskId::parse(text)
            .map(|id| vec![id])
            .or_else(|error| reject(&format!("{error}.")));
    }
    let ids: Vec<_> = certain_ids(&found.ids).cloned().collect();
    let is_suspicious = |found: &FoundId| found.certainty == Certainty::Suspicious;
    match ids.as_slice() {
        [] if found.ids.iter().any(is_suspicious) => reject(ids::EXTRA_CHARACTERS),
        [] => reject(ids::NO_ID_IN_ARGUMENT),
        [id] if id.as_str() == text && text.chars().count() < MIN_ID_LEN => reject(ids::TOO_SHORT),
        _ => Ok(ids),
    }
}

/// Adds batches of ids and counts the results.
struct IdAdder {
    store: SqliteStore,
    label: Option<CleanText>,
    /// Whether the input is copied to standard output.
    tee: bool,
    added: usize,
    not_added: usize,
    /// The first failure of the list; nothing more is added after it.
    failure: Option<CommandFailure>,
    /// The first failure to read or print; adding continues.
    stream_failure: Option<CommandFailure>,
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
                    output::report(&messages::not_added(id));
                }
                self.not_added += ids.len();
                self.failure.get_or_insert(failure);
            }
        }
    }

    fn apply_batch(&mut self, ids: &[TaskId]) -> Result<String, CommandFailure> {
        let at = SystemClock::wall();
        let add = |task: &TaskId| ListChange::add(task.clone(), self.label.clone(), at);
        let changes: Vec<_> = ids.iter().map(add).collect();
        let variants = find_case_variants(&mut self.store, ids)?;
        let applied = self.store.apply(&changes)?;
        self.added += ids.len();
        for (id, variant) in variants {
            output::report(&messages::case_variant(&id, &variant));
        }
        let line = |(id, applied): (&TaskId, ChangeResult)| {
            let word = match applied {
                ChangeResult::Added(_) => "added",
                ChangeResult::Updated { .. } => "already watched",
                ChangeResult::Removed | ChangeResult::NotWatched => "recorded",
            };
            format!("{id} {word}\n")
        };
        Ok(ids.iter().zip(applied).map(line).collect())
    }

    /// Prints the results. If that fails, the ids are on the list all the same.
    fn print_results(&mut self, lines: &str) {
        if self.tee {
            output::to_stderr(lines);
        } else if let Err(failure) = output::to_stdout(lines) {
            self.stream_failure.get_or_insert(failure);
        }
    }

    /// Adds the ids of standard input as they are read.
    fn add_from_stdin(&mut self, secrets: &KnownSecrets) -> Result<(), CommandFailure> {
        let mut extractor = IdExtractor::new(secrets);
        let mut report = InputReport::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut is_flushed = true;
        loop {
            if !is_flushed && is_input_idle() {
                self.add_found(&extractor.flush(), &mut report);
                is_flushed = true;
            }
            let count = match io::stdin().read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let message = messages::cannot_read_stdin(&error);
                    self.stream_failure
                        .get_or_insert(CommandFailure::general(message));
                    break;
                }
            };
            let bytes = chunk.get(..count).unwrap_or_default();
            self.copy_to_stdout(bytes);
            self.add_found(&extractor.push(bytes), &mut report);
            is_flushed = false;
        }
        self.add_found(&extractor.finish(), &mut report);
        report.print(&extractor);
        if report.certain == 0 && self.stream_failure.is_none() && !self.tee {
            return Err(CommandFailure::general(messages::NO_ID_ON_STDIN));
        }
        Ok(())
    }

    /// Copies input to standard output; if the reader closes it, adding continues.
    fn copy_to_stdout(&mut self, bytes: &[u8]) {
        if !self.tee {
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
                Certainty::Suspicious => {
                    output::report(&ids::extra_characters_skipped(found.id.as_str()));
                }
            }
        }
    }

    fn into_result(self) -> Result<(), CommandFailure> {
        let Some(failure) = self.failure.or(self.stream_failure) else {
            return Ok(());
        };
        if self.not_added == 0 {
            return Err(failure);
        }
        Err(CommandFailure::new(
            failure.code,
            messages::add_failed(self.not_added, self.added, &failure.message),
        ))
    }
}

/// Counts of the values found on standard input.
#[derive(Debug, Default)]
struct InputReport {
    certain: usize,
    unnamed: usize,
}

impl InputReport {
    fn print(&self, extractor: &IdExtractor) {
        let (rejected, more) = extractor.rejected();
        for word in rejected {
            output::report(&ids::not_task_id(word.as_str()));
        }
        if more > 0 {
            output::report(&ids::more_not_task_ids(more));
        }
        let mut parts = format::skipped_values(extractor.skipped());
        if self.unnamed > 0 {
            parts.push(ids::unnamed_values(self.unnamed));
        }
        if !parts.is_empty() {
            output::report(&messages::skipped(&parts));
        }
    }
}

/// Returns whether no input arrives within [`MAX_PAUSE`].
fn is_input_idle() -> bool {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let pause = Timespec::try_from(MAX_PAUSE).ok();
    poll(&mut fds, pause.as_ref()) == Ok(0)
}

/// Finds the ids that differ only in case from one on the list or one before them. Ids are opaque,
/// so this is reported and nothing is merged.
fn find_case_variants(
    store: &mut SqliteStore,
    ids: &[TaskId],
) -> Result<Vec<(TaskId, TaskId)>, CommandFailure> {
    let mut first_of: HashMap<String, &TaskId> = HashMap::new();
    let mut variants = Vec::new();
    for id in ids {
        let lower = id.as_str().to_ascii_lowercase();
        let known = store.find_case_variant(id)?;
        let first = first_of.get(&lower).filter(|first| **first != id);
        let variant = known.or_else(|| first.map(|first| (*first).clone()));
        if let Some(variant) = variant {
            variants.push((id.clone(), variant));
        }
        first_of.entry(lower).or_insert(id);
    }
    Ok(variants)
}
