//! The id file (`<list>.ids`): a second copy of all ids and labels as text, so that no id is lost
//! with a damaged list. A lost id is a lost video.
//!
//! It has one line per task added, removed, restored or relabelled: checksum, list revision, event,
//! id, label. The last line about an id wins. A torn or changed line is skipped.
//!
//! **The lines are written first.** They are flushed before their transaction is committed, and
//! removed if the commit fails. So every committed id is in the file, and a disk with room for only
//! one of the two refuses the add. After the commit a line confirms them, without a flush. A kill
//! in between leaves unconfirmed lines of an add that was never acknowledged; its tasks are added
//! at the next opening. A list that lacks a task of confirmed lines, or has an earlier revision, is
//! damaged.
//!
//! **Only a write transaction of the list writes here**, so its lock serialises instances, also for
//! rewriting. The exception is an instance with a list open that was set aside: it repeats its
//! changes on the new list, and so in this file.

use std::{
    collections::HashMap,
    fmt::{Display, Write as _},
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    ops::Range,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rusqlite::types::ValueRef;
use strum::{EnumString, IntoStaticStr};

use super::{checksum::checksum, errors, side_files};
use crate::{
    adapters::regular_file::{self, Symlinks},
    domain::{list_change::StoreError, task::TaskId, text::CleanText, watched_task::MAX_LABEL_LEN},
};

/// The first line; without it the start of the file is missing.
const HEADER: &str = "kietop ids 1";

/// The number of bytes read: two million lines. Rewriting keeps the file far smaller.
const MAX_BYTES: u64 = 256 << 20;

/// The size in bytes above which superseded lines are removed.
const MIN_REWRITE_BYTES: u64 = 1 << 20;

/// The last line about a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdLogEntry {
    pub(super) rev: i64,
    pub(super) is_watched: bool,
    pub(super) label: Option<CleanText>,
    /// Whether a later line confirms the transaction.
    pub(super) is_committed: bool,
}

/// The content of the id file.
#[derive(Debug, Default)]
pub(super) struct IdLog {
    pub(super) entries: HashMap<TaskId, IdLogEntry>,
    /// Whether the first line is there, and no line is torn or changed.
    pub(super) is_intact: bool,
    lines: usize,
    bytes: u64,
}

impl IdLog {
    /// Reports whether the file is large and most of its lines are superseded.
    pub(super) fn is_bloated(&self) -> bool {
        self.bytes > MIN_REWRITE_BYTES && self.lines > 4 * self.entries.len()
    }
}

#[derive(Debug, Clone, Copy, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum IdLogEvent {
    Add,
    Remove,
    Label,
    /// Confirms a transaction, by the byte range of its lines.
    Done,
}

/// Lines to append.
#[derive(Debug, Default)]
pub(super) struct IdLogLines(String);

impl IdLogLines {
    pub(super) fn push(
        &mut self,
        rev: i64,
        event: IdLogEvent,
        task: &TaskId,
        label: Option<&CleanText>,
    ) {
        let label = escape_label(label.map_or("", CleanText::original));
        self.push_line(rev, event, task, &label);
    }

    fn push_confirmation(&mut self, rev: i64, lines: &Range<u64>) {
        self.push_line(rev, IdLogEvent::Done, &lines.start, &lines.end);
    }

    fn push_line(
        &mut self,
        rev: i64,
        event: IdLogEvent,
        subject: &dyn Display,
        rest: &dyn Display,
    ) {
        let body = format!("{rev}\t{}\t{subject}\t{rest}", <&str>::from(event));
        // Writing to a `String` cannot fail.
        writeln!(self.0, "{:08x}\t{body}", line_checksum(&body)).unwrap_or_default();
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Lines that were written for a transaction before its commit.
#[derive(Debug)]
pub(super) struct UnconfirmedLines {
    path: PathBuf,
    file: File,
    rev: i64,
    byte_range: Range<u64>,
}

impl UnconfirmedLines {
    /// Writes the line that confirms the transaction.
    pub(super) fn confirm(mut self) -> Result<(), StoreError> {
        let mut line = IdLogLines::default();
        line.push_confirmation(self.rev, &self.byte_range);
        let written = self.file.write_all(line.0.as_bytes());
        written.map_err(|error| errors::io_error(&self.path, &error))
    }

    /// Removes the lines, unless others follow them. Needs the list's write lock.
    pub(super) fn roll_back(self) -> Result<(), StoreError> {
        let length = self.file.metadata().map(|meta| meta.len());
        let result = length.and_then(|length| {
            if length == self.byte_range.end {
                self.file.set_len(self.byte_range.start)?;
            }
            self.file.sync_data()
        });
        result.map_err(|error| errors::io_error(&self.path, &error))
    }
}

/// Opens the file beside a list; `None` if there is none.
fn open_if_present(path: &Path, options: &mut OpenOptions) -> io::Result<Option<File>> {
    match regular_file::open(path, options, Symlinks::Refuse) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}

/// Runs `work` with the path of the file beside a list.
fn with_path<T>(list: &Path, work: impl Fn(&Path) -> io::Result<T>) -> Result<T, StoreError> {
    let path = side_files::with_suffix(list, side_files::ID_LOG_SUFFIX);
    work(&path).map_err(|error| errors::io_error(&path, &error))
}

/// Reads the file beside a list; `None` if there is none.
pub(super) fn read(list: &Path) -> Result<Option<IdLog>, StoreError> {
    with_path(list, read_from)
}

fn read_from(path: &Path) -> io::Result<Option<IdLog>> {
    let Some(file) = open_if_present(path, OpenOptions::new().read(true))? else {
        return Ok(None);
    };
    let bytes = file.metadata()?.len();
    let mut log = IdLog {
        bytes,
        ..IdLog::default()
    };
    let mut reader = BufReader::new(file.take(MAX_BYTES));
    let mut line = Vec::new();
    let mut at = 0;
    let mut unconfirmed = Vec::new();
    log.is_intact = bytes <= MAX_BYTES;
    loop {
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").map(str::from_utf8);
        match text.and_then(Result::ok) {
            Some(HEADER) if at == 0 => {}
            // The next writer completes a torn line with a line break.
            text => match text.filter(|_| at > 0).and_then(parse_line) {
                Some(IdLogLine::Task(task, entry)) => {
                    unconfirmed.push((at, task.clone()));
                    log.entries.insert(task, entry);
                }
                Some(IdLogLine::Confirmation(lines)) => {
                    for (_, task) in unconfirmed.drain(..).filter(|(at, _)| lines.contains(at)) {
                        if let Some(entry) = log.entries.get_mut(&task) {
                            entry.is_committed = true;
                        }
                    }
                }
                None => log.is_intact = false,
            },
        }
        at = at.saturating_add(length.try_into().unwrap_or(u64::MAX));
        log.lines += 1;
        line.clear();
    }
    log.is_intact &= log.lines > 0;
    Ok(Some(log))
}

enum IdLogLine {
    Task(TaskId, IdLogEntry),
    Confirmation(Range<u64>),
}

fn parse_line(line: &str) -> Option<IdLogLine> {
    let (sum, body) = line.split_once('\t')?;
    if u32::from_str_radix(sum, 16).ok()? != line_checksum(body) {
        return None;
    }
    let mut fields = body.splitn(4, '\t');
    let mut field = || fields.next();
    let (rev, event, subject, rest) = (field()?, field()?, field()?, field()?);
    let is_watched = match event.parse().ok()? {
        IdLogEvent::Add | IdLogEvent::Label => true,
        IdLogEvent::Remove => false,
        IdLogEvent::Done => {
            let lines = subject.parse().ok()?..rest.parse().ok()?;
            return Some(IdLogLine::Confirmation(lines));
        }
    };
    let label = CleanText::line(&unescape_label(rest)?, MAX_LABEL_LEN);
    let entry = IdLogEntry {
        rev: rev.parse().ok()?,
        is_watched,
        label: (!label.is_empty()).then_some(label),
        is_committed: false,
    };
    Some(IdLogLine::Task(TaskId::parse(subject).ok()?, entry))
}

/// Appends lines and flushes them; `None` if there is no file.
pub(super) fn append(
    list: &Path,
    rev: i64,
    lines: &IdLogLines,
) -> Result<Option<UnconfirmedLines>, StoreError> {
    with_path(list, |path| append_to(path, rev, lines))
}

fn append_to(path: &Path, rev: i64, lines: &IdLogLines) -> io::Result<Option<UnconfirmedLines>> {
    let Some(mut file) = open_if_present(path, OpenOptions::new().read(true).append(true))? else {
        return Ok(None);
    };
    let before = file.metadata()?.len();
    let mut last = [b'\n'];
    if let Some(at) = before.checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    let mut start = before;
    let written = if last == *b"\n" {
        Ok(())
    } else {
        start = start.saturating_add(1);
        file.write_all(b"\n")
    };
    let written = written
        .and_then(|()| file.write_all(lines.0.as_bytes()))
        .and_then(|()| file.sync_data());
    if let Err(error) = written {
        file.set_len(before)?;
        return Err(error);
    }
    let length = lines.0.len().try_into().unwrap_or(u64::MAX);
    Ok(Some(UnconfirmedLines {
        path: path.to_owned(),
        file,
        rev,
        byte_range: start..start.saturating_add(length),
    }))
}

/// Replaces the file by a new one with these entries.
pub(super) fn rewrite(
    list: &Path,
    entries: &HashMap<TaskId, IdLogEntry>,
) -> Result<(), StoreError> {
    with_path(list, |path| rewrite_to(path, entries))
}

fn rewrite_to(path: &Path, entries: &HashMap<TaskId, IdLogEntry>) -> io::Result<()> {
    let mut lines = IdLogLines(format!("{HEADER}\n"));
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_unstable_by_key(|(task, entry)| (entry.rev, *task));
    for (task, entry) in sorted {
        let event = if entry.is_watched {
            IdLogEvent::Add
        } else {
            IdLogEvent::Remove
        };
        lines.push(entry.rev, event, task, entry.label.as_ref());
    }
    let end = lines.0.len().try_into().unwrap_or(u64::MAX);
    lines.push_confirmation(0, &(0..end));
    let new = side_files::with_suffix(path, ".new");
    // An earlier rewrite was killed.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let written = write_new(&new, &lines).and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        fs::remove_file(&new).unwrap_or_default();
        return Err(error);
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

fn write_new(new: &PathBuf, lines: &IdLogLines) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(new)?;
    file.write_all(lines.0.as_bytes())?;
    file.sync_all()
}

/// Computes a line's checksum: a flipped bit in an id would make another id.
fn line_checksum(body: &str) -> u32 {
    let sum = checksum([ValueRef::Text(body.as_bytes())]).cast_unsigned();
    u32::try_from(sum >> 32).unwrap_or_default()
}

/// Escapes the characters of a label that separate fields or lines, or control a terminal.
fn escape_label(label: &str) -> String {
    let mut text = String::with_capacity(label.len());
    for c in label.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            c if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() => text.push(c),
            c => text.extend(c.escape_unicode()),
        }
    }
    text
}

fn unescape_label(text: &str) -> Option<String> {
    let mut label = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        label.push_str(plain);
        if let Some(tail) = escaped.strip_prefix('\\') {
            label.push('\\');
            rest = tail;
        } else {
            let (code, tail) = escaped.strip_prefix("u{")?.split_once('}')?;
            label.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
            rest = tail;
        }
    }
    label.push_str(rest);
    Some(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::regular_file::test_support::make_fifo;

    fn id(text: &str) -> TaskId {
        TaskId::parse(text).unwrap()
    }

    fn label(text: &str) -> CleanText {
        CleanText::line(text, MAX_LABEL_LEN)
    }

    fn lines(events: &[(i64, IdLogEvent, &str, &str)]) -> IdLogLines {
        let mut lines = IdLogLines::default();
        for (rev, event, task, text) in events {
            let text = (!text.is_empty()).then(|| label(text));
            lines.push(*rev, *event, &id(task), text.as_ref());
        }
        lines
    }

    fn new_log() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.db");
        rewrite(&list, &HashMap::new()).unwrap();
        (folder, list)
    }

    #[test]
    fn the_last_line_of_a_task_wins() {
        let (_folder, list) = new_log();
        let special = "tab\there \\ \u{1b}[31m \u{9b}2J 語 \u{202e}x \\u{41} e\u{301}";

        let added = [
            (1, IdLogEvent::Add, "a", special),
            (1, IdLogEvent::Add, "b", "first"),
        ];
        append(&list, 1, &lines(&added)).unwrap().unwrap();
        let later = [
            (2, IdLogEvent::Remove, "a", ""),
            (3, IdLogEvent::Label, "b", special),
        ];
        append(&list, 2, &lines(&later)).unwrap().unwrap();

        let log = read(&list).unwrap().unwrap();
        assert!(log.is_intact);
        assert_eq!(log.entries.len(), 2);
        let (a, b) = (&log.entries[&id("a")], &log.entries[&id("b")]);
        assert_eq!((a.rev, a.is_watched), (2, false));
        assert_eq!(
            (b.rev, b.is_watched, &b.label),
            (3, true, &Some(label(special)))
        );
        let text =
            fs::read_to_string(side_files::with_suffix(&list, side_files::ID_LOG_SUFFIX)).unwrap();
        let is_plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
        assert!(text.chars().all(is_plain), "{text:?}");
    }

    #[test]
    fn a_damaged_line_loses_only_itself() {
        let (_folder, list) = new_log();
        let path = side_files::with_suffix(&list, side_files::ID_LOG_SUFFIX);
        let added = [
            (1, IdLogEvent::Add, "first", ""),
            (2, IdLogEvent::Add, "second", ""),
        ];
        append(&list, 1, &lines(&added)).unwrap().unwrap();
        let torn_length = fs::metadata(&path).unwrap().len() - 3;
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(torn_length)
            .unwrap();
        append(&list, 2, &lines(&[(2, IdLogEvent::Add, "third", "")])).unwrap();

        let log = read(&list).unwrap().unwrap();
        let mut ids: Vec<_> = log.entries.keys().map(TaskId::as_str).collect();
        ids.sort_unstable();
        assert_eq!((ids, log.is_intact), (vec!["first", "third"], false));

        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("first", "fjrst")).unwrap();
        let log = read(&list).unwrap().unwrap();
        assert_eq!(log.entries.len(), 1, "no id that was never added");
    }

    #[test]
    fn a_line_confirms_those_of_its_own_transaction() {
        let (_folder, list) = new_log();
        let append_one = |task| append(&list, 1, &lines(&[(1, IdLogEvent::Add, task, "")]));
        let is_committed = |task| read(&list).unwrap().unwrap().entries[&id(task)].is_committed;

        append_one("interrupted").unwrap();
        let confirmed = append_one("confirmed").unwrap().unwrap();
        let concurrent = append_one("concurrent").unwrap().unwrap();
        confirmed.confirm().unwrap();
        let seen = ["interrupted", "confirmed", "concurrent"].map(is_committed);
        assert_eq!(seen, [false, true, false]);

        concurrent.confirm().unwrap();
        assert_eq!(read(&list).unwrap().unwrap().lines, 7);
    }

    #[test]
    fn an_append_is_rolled_back_if_it_is_the_last() {
        let (_folder, list) = new_log();
        let line = |task| lines(&[(1, IdLogEvent::Add, task, "")]);
        let count = || read(&list).unwrap().unwrap().entries.len();

        let appended = append(&list, 1, &line("a")).unwrap().unwrap();
        appended.roll_back().unwrap();
        assert_eq!(count(), 0);
        let appended = append(&list, 1, &line("a")).unwrap().unwrap();
        append(&list, 1, &line("b")).unwrap();
        appended.roll_back().unwrap();
        assert_eq!(count(), 2);
    }

    #[test]
    fn a_bloated_log_is_rewritten() {
        let (_folder, list) = new_log();
        let text = "x".repeat(200);
        let many: Vec<_> = (0..6000)
            .map(|rev| (rev, IdLogEvent::Label, "a", &*text))
            .collect();
        append(&list, 1, &lines(&many)).unwrap();
        let log = read(&list).unwrap().unwrap();
        assert!(log.is_bloated());

        rewrite(&list, &log.entries).unwrap();

        let short = read(&list).unwrap().unwrap();
        assert!(!short.is_bloated() && short.is_intact);
        let entry = &short.entries[&id("a")];
        assert_eq!((entry.rev, &entry.label), (5999, &Some(label(&text))));
    }

    #[test]
    fn symlinks_and_pipes_are_refused() {
        let (folder, list) = new_log();
        let path = side_files::with_suffix(&list, side_files::ID_LOG_SUFFIX);
        fs::remove_file(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();

        assert!(read(&list).is_err());
        assert!(append(&list, 1, &lines(&[(1, IdLogEvent::Add, "a", "")])).is_err());
        assert_eq!(fs::read(&other).unwrap(), b"mine");
        fs::remove_file(&path).unwrap();
        make_fifo(&path);
        assert!(read(&list).is_err());
    }
}
