//! One task as a row of the list file: the columns, the way there and back, and the row's checksum.
//!
//! Knows no connection, no file and no transaction. Texts are stored as they came and cleaned again on
//! the way back: the file is outside like everything else.

use std::{cmp::Ordering, path::PathBuf};

use jiff::Timestamp;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use serde_json::{Value, json};

use crate::domain::{
    change::StoreError,
    link::{Link, Links, VideoUrl},
    report::{CheckError, PollError},
    save::{Retry, Saves},
    schedule::Freshness,
    task::{Delivery, Facts, FailedStage, Family, Flag, LONGEST_ID, Task, TaskId, TaskState},
    text::CleanText,
    watched::{LONGEST_LABEL, Watched},
};

/// The columns of a task's row in their order in the file. The checksum covers all but itself; of those that came later,
/// and stand behind it, only what holds something, so that a row of before keeps its sum.
pub(super) const COLUMNS: &str = "id, added_at, removed_at, rev, family, label, state, flag, prompt, \
    source, callback, watermark, created_at, completed_at, origins, results, error_code, error_message, \
    last_ok, checks, failures, check_at, check_kind, check_code, check_text, sum, saves";

/// How many columns a row has.
pub(super) const WIDTH: usize = 27;

/// How many columns a row of the first version has.
pub(super) const FIRST_WIDTH: usize = SUM + 1;

/// Where the checksum stands.
const SUM: usize = 25;

/// Where the id stands.
pub(super) const ID: usize = 0;

/// Where the time of watching stands.
pub(super) const ADDED_AT: usize = 1;

/// Where the time of removal stands.
pub(super) const REMOVED_AT: usize = 2;

/// Where the revision stands.
pub(super) const REV: usize = 3;

/// Where the label stands.
pub(super) const LABEL: usize = 5;

/// The caps the decoder of the API uses, in bytes: with the same caps a text comes back as it went.
const LONGEST_PROMPT: usize = 16 * 1024;
const LONGEST_MESSAGE: usize = 4 * 1024;
const LONGEST_ADDRESS: usize = 2048;
const LONGEST_WORD: usize = 256;

/// Is a row as it lies in the file, column by column.
pub(super) type Cells<'a> = [ValueRef<'a>; WIDTH];

/// Is a task as the file holds it: a removed one keeps its row, so that it can come back.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// The task and our side of it.
    pub(super) watched: Watched,
    /// When it was taken off the list, if it was.
    pub(super) removed_at: Option<Timestamp>,
    /// The revision of the list that wrote it.
    pub(super) rev: i64,
}

/// Is one value on its way into the file.
#[derive(Debug)]
pub(super) enum Cell<'a> {
    Null,
    Number(i64),
    Text(&'a str),
    Built(String),
}

impl Cell<'_> {
    fn as_value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Built(text) => ValueRef::Text(text.as_bytes()),
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.as_value()))
    }
}

impl<'a> From<Option<&'a CleanText>> for Cell<'a> {
    fn from(text: Option<&'a CleanText>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.original()))
    }
}

impl From<Option<Timestamp>> for Cell<'_> {
    fn from(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Null, |at| Self::Number(at.as_millisecond()))
    }
}

/// Returns `at` cut to whole milliseconds: what the file keeps.
pub(super) fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Writes a row out, checksum included.
pub(super) fn encode(stored: &Stored) -> [Cell<'_>; WIDTH] {
    let Stored {
        watched,
        removed_at,
        rev,
    } = stored;
    let facts = watched.task.facts();
    let freshness = &watched.freshness;
    let check = freshness.last_error.as_ref();
    let (state, results) = state_to_words(watched.task.state());
    let mut cells = [
        Cell::Text(watched.id().as_str()),
        Some(watched.added).into(),
        (*removed_at).into(),
        Cell::Number(*rev),
        Cell::Text(watched.task.family().name()),
        watched.label.as_ref().into(),
        Cell::Text(state),
        match &facts.flag {
            None => Cell::Null,
            Some(Flag::Number(number)) => Cell::Number(*number),
            Some(Flag::Word(word)) => Cell::Text(word.original()),
        },
        facts.prompt.as_ref().into(),
        facts
            .source
            .as_ref()
            .map_or(Cell::Null, |source| links_to_json([source], 0)),
        facts.callback.as_ref().into(),
        facts.watermark.as_ref().into(),
        facts.created.into(),
        facts.completed.into(),
        links_to_json(facts.origins.iter(), facts.origins.left_out()),
        results.map_or(Cell::Null, |links| {
            links_to_json(links.iter(), links.left_out())
        }),
        facts.error_code.as_ref().into(),
        facts.error_message.as_ref().into(),
        freshness.last_ok.into(),
        Cell::Number(freshness.checks.into()),
        Cell::Number(freshness.failures.into()),
        check.map(|check| check.at).into(),
        check.map_or(Cell::Null, |check| Cell::Text(check.error.kind())),
        check
            .and_then(|check| check.error.code())
            .map_or(Cell::Null, Cell::Number),
        check.and_then(|check| check.error.text()).into(),
        Cell::Null,
        saves_to_json(&watched.saves),
    ];
    let sum = sum(covered(cells.iter().map(Cell::as_value)));
    if let Some(cell) = cells.get_mut(SUM) {
        *cell = Cell::Number(sum);
    }
    cells
}

/// Reports whether a row is as it was written.
pub(super) fn is_whole(cells: &Cells<'_>) -> bool {
    let sum = sum(covered(cells.iter().copied()));
    cells.get(SUM) == Some(&ValueRef::Integer(sum))
}

/// Returns the values a row's checksum covers.
fn covered<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> impl Iterator<Item = ValueRef<'a>> {
    let is_covered = |(at, value): &(usize, ValueRef<'_>)| match at.cmp(&SUM) {
        Ordering::Less => true,
        Ordering::Equal => false,
        Ordering::Greater => *value != ValueRef::Null,
    };
    values
        .enumerate()
        .filter(is_covered)
        .map(|(_, value)| value)
}

/// Reads a row back. Fails on one that is not as it was written.
pub(super) fn decode(cells: &Cells<'_>) -> Result<Stored, StoreError> {
    if !is_whole(cells) {
        return Err(StoreError::Damaged("a row is not as it was written".into()));
    }
    read(cells).map_err(|what| StoreError::Damaged(format!("a row has no readable {what}")))?
}

/// Reads a row whose checksum is right. The outer error names the column that holds no such value.
fn read(cells: &Cells<'_>) -> Result<Result<Stored, StoreError>, &'static str> {
    let [
        id,
        added_at,
        removed_at,
        rev,
        family,
        label,
        state,
        flag,
        prompt,
        source,
        callback,
        watermark,
        created_at,
        completed_at,
        origins,
        results,
        error_code,
        error_message,
        last_ok,
        checks,
        failures,
        check_at,
        check_kind,
        check_code,
        check_text,
        _,
        saves,
    ] = *cells;
    let family = text(family).ok_or("family")?;
    let Some(family) = Family::named(family) else {
        // Not damage: a newer program's. The file is left as it is.
        return Ok(Err(StoreError::Other(format!(
            "it holds a task of a family this kietop does not know ({}); update kietop",
            CleanText::line(family, 40)
        ))));
    };
    let id = text(id).and_then(|id| TaskId::parse(id).ok()).ok_or("id")?;
    let results = links(results).ok_or("results")?;
    let state = state_of_words(text(state).ok_or("state")?, results).ok_or("state")?;
    let facts = Facts {
        flag: match flag {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(Flag::Number(number)),
            ValueRef::Text(_) | ValueRef::Real(_) | ValueRef::Blob(_) => {
                Some(Flag::Word(line(flag, LONGEST_WORD).ok_or("flag")?))
            }
        },
        prompt: block(prompt, LONGEST_PROMPT),
        source: links(source).ok_or("source")?.iter().next().cloned(),
        callback: line(callback, LONGEST_ADDRESS),
        watermark: line(watermark, LONGEST_WORD),
        created: time(created_at, "creation time")?,
        completed: time(completed_at, "completion time")?,
        origins: links(origins).ok_or("origins")?,
        error_code: line(error_code, LONGEST_WORD),
        error_message: block(error_message, LONGEST_MESSAGE),
    };
    let freshness = Freshness {
        last_ok: time(last_ok, "time of the last answer")?,
        checks: count(checks).ok_or("count of checks")?,
        failures: count(failures).ok_or("count of failures")?,
        last_error: time(check_at, "time of the last check")?.map(|at| CheckError {
            at,
            error: check_error(check_kind, check_code, check_text),
        }),
    };
    let added = time(added_at, "time of adding")?.ok_or("time of adding")?;
    let task = Task::restored(id, family, state, facts);
    let label = line(label, LONGEST_LABEL);
    let mut watched = Watched::restored(task, label, added, freshness);
    watched.saves = self::saves(saves).ok_or("list of saved files")?;
    Ok(Ok(Stored {
        watched,
        removed_at: time(removed_at, "time of removal")?,
        rev: number(rev).ok_or("revision")?,
    }))
}

fn check_error(kind: ValueRef<'_>, code: ValueRef<'_>, words: ValueRef<'_>) -> PollError {
    let kind = text(kind).unwrap_or_default();
    let cap = match kind {
        "refused" | "server" => LONGEST_MESSAGE,
        _ => LONGEST_WORD,
    };
    let words = line(words, cap).unwrap_or_else(|| CleanText::line("", 1));
    PollError::restored(kind, number(code), words)
}

/// Returns the word of the file for a state, finer than [`TaskState::name`], and the links beside it.
const fn state_to_words(state: &TaskState) -> (&'static str, Option<&Links>) {
    match state {
        TaskState::New => ("new", None),
        TaskState::Running {
            is_finishing: false,
        } => ("generating", None),
        TaskState::Running { is_finishing: true } => ("finishing", None),
        TaskState::Succeeded {
            videos,
            delivery: Delivery::Done,
        } => ("succeeded", Some(videos)),
        TaskState::Succeeded {
            videos,
            delivery: Delivery::CallbackFailed,
        } => ("callback_failed", Some(videos)),
        TaskState::Failed {
            stage: FailedStage::Creation,
        } => ("create_failed", None),
        TaskState::Failed {
            stage: FailedStage::Generation,
        } => ("generation_failed", None),
        TaskState::NotFound => ("not_found", None),
        TaskState::Unrecognised => ("unknown", None),
    }
}

fn state_of_words(word: &str, videos: Links) -> Option<TaskState> {
    Some(match word {
        "new" => TaskState::New,
        "generating" => TaskState::Running {
            is_finishing: false,
        },
        "finishing" => TaskState::Running { is_finishing: true },
        "succeeded" => TaskState::Succeeded {
            videos,
            delivery: Delivery::Done,
        },
        "callback_failed" => TaskState::Succeeded {
            videos,
            delivery: Delivery::CallbackFailed,
        },
        "create_failed" => TaskState::Failed {
            stage: FailedStage::Creation,
        },
        "generation_failed" => TaskState::Failed {
            stage: FailedStage::Generation,
        },
        "not_found" => TaskState::NotFound,
        "unknown" => TaskState::Unrecognised,
        _ => return None,
    })
}

/// Writes links as a JSON array: a video is a string, a refused link an array of one string, and a
/// number at the end counts those beyond the cap.
fn links_to_json<'a>(links: impl IntoIterator<Item = &'a Link>, left_out: usize) -> Cell<'a> {
    let mut items: Vec<Value> = links
        .into_iter()
        .map(|link| match link {
            Link::Video(url) => url.as_str().into(),
            Link::Refused(text) => vec![Value::from(text.original())].into(),
        })
        .collect();
    if left_out > 0 {
        items.push(left_out.into());
    }
    if items.is_empty() {
        return Cell::Null;
    }
    Cell::Built(Value::from(items).to_string())
}

fn links(value: ValueRef<'_>) -> Option<Links> {
    if value == ValueRef::Null {
        return Some(Links::default());
    }
    let json = text(value)?;
    let only = json
        .strip_prefix("[\"")
        .and_then(|rest| rest.strip_suffix("\"]"));
    // Nearly every list has one plain link, and a list of 100,000 tasks is read in one go.
    if let Some(only) = only.filter(|only| !only.bytes().any(|b| matches!(b, b'"' | b'\\'))) {
        return Some(Links::restored(vec![link(only)], 0));
    }
    let Ok(Value::Array(items)) = serde_json::from_str(json) else {
        return None;
    };
    let mut kept = Vec::with_capacity(items.len());
    let mut left_out = 0;
    for item in &items {
        match item {
            Value::String(text) => kept.push(link(text)),
            Value::Array(refused) => kept.push(Link::Refused(CleanText::line(
                refused.first()?.as_str()?,
                LONGEST_ADDRESS,
            ))),
            Value::Number(more) => left_out = usize::try_from(more.as_u64()?).ok()?,
            Value::Null | Value::Bool(_) | Value::Object(_) => return None,
        }
    }
    Some(Links::restored(kept, left_out))
}

/// Writes what is known of a task's results on disk: `{"files": [[NUMBER, PATH], …], "begun":
/// FOLDER, "warned": TIME}`, with `"retry": [TRIES, TIME]` while a failed save is being retried.
fn saves_to_json(saves: &Saves) -> Cell<'static> {
    if *saves == Saves::default() {
        return Cell::Null;
    }
    let files = saves.files().iter();
    let files: Vec<_> = files
        .map(|file| json!([file.number, file.path.to_string_lossy()]))
        .collect();
    let begun = saves.begun.as_ref().map(|folder| folder.to_string_lossy());
    let warned = saves.warned.map(Timestamp::as_millisecond);
    let mut json = json!({ "files": files, "begun": begun, "warned": warned });
    if let (Some(retry), Some(object)) = (saves.retry, json.as_object_mut()) {
        let retry = json!([retry.tries, retry.at.as_millisecond()]);
        object.insert("retry".into(), retry);
    }
    Cell::Built(json.to_string())
}

fn saves(value: ValueRef<'_>) -> Option<Saves> {
    if value == ValueRef::Null {
        return Some(Saves::default());
    }
    let json: Value = serde_json::from_str(text(value)?).ok()?;
    let files = json.get("files")?.as_array()?.iter().map(|file| {
        let number = usize::try_from(file.get(0)?.as_u64()?).ok()?;
        Some((number, PathBuf::from(file.get(1)?.as_str()?)))
    });
    let files = files.collect::<Option<Vec<_>>>()?;
    let begun = json.get("begun").and_then(Value::as_str).map(PathBuf::from);
    let warned = json.get("warned").and_then(Value::as_i64);
    let warned = warned.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let retry = json.get("retry").and_then(|retry| {
        Some(Retry {
            tries: u32::try_from(retry.get(0)?.as_u64()?).ok()?,
            at: Timestamp::from_millisecond(retry.get(1)?.as_i64()?).ok()?,
        })
    });
    let mut saves = Saves::restored(files, begun, warned);
    saves.retry = retry;
    Some(saves)
}

fn link(text: &str) -> Link {
    VideoUrl::parse(text).map_or_else(
        || Link::Refused(CleanText::line(text, LONGEST_ADDRESS)),
        Link::Video,
    )
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    value.as_str().ok()
}

fn number(value: ValueRef<'_>) -> Option<i64> {
    value.as_i64().ok()
}

fn count(value: ValueRef<'_>) -> Option<u32> {
    number(value)?.try_into().ok()
}

fn line(value: ValueRef<'_>, cap: usize) -> Option<CleanText> {
    Some(CleanText::line(text(value)?, cap))
}

fn block(value: ValueRef<'_>, cap: usize) -> Option<CleanText> {
    Some(CleanText::block(text(value)?, cap))
}

/// Reads a time that may be missing; fails with `what` on anything else.
fn time(value: ValueRef<'_>, what: &'static str) -> Result<Option<Timestamp>, &'static str> {
    if value == ValueRef::Null {
        return Ok(None);
    }
    let ms = number(value).ok_or(what)?;
    Timestamp::from_millisecond(ms)
        .map(Some)
        .map_err(|_out_of_range| what)
}

/// Reads what is left of a row that is not as it was written: its id, and its label where there is one.
pub(super) fn remains(cells: &Cells<'_>) -> Option<(TaskId, Option<CleanText>)> {
    let (Some(id), Some(label)) = (cells.get(ID), cells.get(LABEL)) else {
        return None;
    };
    let id = text(*id).filter(|id| id.len() <= 4 * LONGEST_ID)?;
    Some((TaskId::parse(id).ok()?, line(*label, LONGEST_LABEL)))
}

/// Returns the checksum of values: SQLite keeps none, and a flipped bit in a text is read as it stands.
///
/// Each step is a one-to-one map of 64 bits, so a change within one word of eight bytes never goes unseen.
pub(super) fn sum<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut sum = Sum(0x6b69_6574_6f70);
    for value in values {
        match value {
            ValueRef::Null => sum.word(0),
            ValueRef::Integer(number) => {
                sum.word(1);
                sum.word(number.cast_unsigned());
            }
            ValueRef::Real(number) => {
                sum.word(2);
                sum.word(number.to_bits());
            }
            ValueRef::Text(bytes) => sum.bytes(3, bytes),
            ValueRef::Blob(bytes) => sum.bytes(4, bytes),
        }
    }
    sum.0.cast_signed()
}

struct Sum(u64);

impl Sum {
    const fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }

    fn bytes(&mut self, kind: u64, bytes: &[u8]) {
        self.word(kind | (bytes.len() as u64) << 8);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let last = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.word(last);
    }
}
