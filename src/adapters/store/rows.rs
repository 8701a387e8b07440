//! One task as a row of the list file: the columns, the way there and back, and the row's checksum.
//!
//! Knows no connection, no file and no transaction. Texts are stored as they came and cleaned again
//! on the way back: the file is outside like everything else.

use std::{cmp::Ordering, path::PathBuf};

use jiff::Timestamp;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use serde_json::{Value, json};

use crate::domain::{
    download::{DownloadRetry, SavedResults},
    link::{Link, Links, VideoUrl},
    list_change::StoreError,
    poll_result::{FailedCheck, PollError},
    schedule::PollHistory,
    task::{
        CallbackStatus, FailureStage, Family, MAX_ID_LEN, SuccessFlag, Task, TaskDetails, TaskId,
        TaskState,
    },
    text::CleanText,
    watched_task::{MAX_LABEL_LEN, WatchedTask},
};

/// The columns of a task's row in their order in the file. The checksum covers all but itself; of
/// those that came later, and stand behind it, only what holds something, so that a row of before
/// keeps its sum.
pub(super) const COLUMNS: &str = "id, added_at, removed_at, rev, family, label, state, flag, prompt, \
    source, callback, watermark, created_at, completed_at, origins, results, error_code, error_message, \
    last_ok, checks, failures, check_at, check_kind, check_code, check_text, sum, saves";

/// How many columns a row has.
pub(super) const COLUMN_COUNT: usize = 27;

/// How many columns a row of the first version has.
pub(super) const FIRST_COLUMN_COUNT: usize = CHECKSUM_COLUMN + 1;

/// Where the checksum stands.
const CHECKSUM_COLUMN: usize = 25;

/// Where the id stands.
pub(super) const ID_COLUMN: usize = 0;

/// Where the time of watching stands.
pub(super) const ADDED_AT_COLUMN: usize = 1;

/// Where the time of removal stands.
pub(super) const REMOVED_AT_COLUMN: usize = 2;

/// Where the revision stands.
pub(super) const REVISION_COLUMN: usize = 3;

/// Where the label stands.
pub(super) const LABEL_COLUMN: usize = 5;

/// The caps the decoder of the API uses, in bytes: with the same caps a text comes back as it went.
const MAX_PROMPT_LEN: usize = 16 * 1024;
const MAX_MESSAGE_LEN: usize = 4 * 1024;
const MAX_LINK_LEN: usize = 2048;
const MAX_WORD_LEN: usize = 256;

/// A row as it lies in the file, column by column.
pub(super) type RowCells<'a> = [ValueRef<'a>; COLUMN_COUNT];

/// A task as the file holds it: a removed one keeps its row, so that it can come back.
#[derive(Debug, Clone)]
pub(super) struct StoredTask {
    /// The task and our side of it.
    pub(super) watched: WatchedTask,
    /// When it was taken off the list, if it was.
    pub(super) removed_at: Option<Timestamp>,
    /// The revision of the list that wrote it.
    pub(super) rev: i64,
}

/// One value on its way into the file.
#[derive(Debug)]
pub(super) enum CellValue<'a> {
    Null,
    Number(i64),
    Text(&'a str),
    OwnedText(String),
}

impl CellValue<'_> {
    fn as_value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::OwnedText(text) => ValueRef::Text(text.as_bytes()),
        }
    }
}

impl ToSql for CellValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.as_value()))
    }
}

impl<'a> From<Option<&'a CleanText>> for CellValue<'a> {
    fn from(text: Option<&'a CleanText>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.original()))
    }
}

impl From<Option<Timestamp>> for CellValue<'_> {
    fn from(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Null, |at| Self::Number(at.as_millisecond()))
    }
}

/// Returns `at` cut to whole milliseconds: what the file keeps.
pub(super) fn truncate_to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Writes a row out, checksum included.
pub(super) fn encode_row(stored: &StoredTask) -> [CellValue<'_>; COLUMN_COUNT] {
    let StoredTask {
        watched,
        removed_at,
        rev,
    } = stored;
    let facts = watched.task.details();
    let freshness = &watched.poll_history;
    let check = freshness.last_error.as_ref();
    let (state, results) = encode_state(watched.task.state());
    let mut cells = [
        CellValue::Text(watched.id().as_str()),
        Some(watched.added).into(),
        (*removed_at).into(),
        CellValue::Number(*rev),
        CellValue::Text(watched.task.family().name()),
        watched.label.as_ref().into(),
        CellValue::Text(state),
        match &facts.flag {
            None => CellValue::Null,
            Some(SuccessFlag::Number(number)) => CellValue::Number(*number),
            Some(SuccessFlag::Word(word)) => CellValue::Text(word.original()),
        },
        facts.prompt.as_ref().into(),
        facts
            .input
            .as_ref()
            .map_or(CellValue::Null, |source| encode_links([source], 0)),
        facts.callback.as_ref().into(),
        facts.watermark.as_ref().into(),
        facts.created.into(),
        facts.completed.into(),
        encode_links(facts.origin_urls.iter(), facts.origin_urls.omitted()),
        results.map_or(CellValue::Null, |links| {
            encode_links(links.iter(), links.omitted())
        }),
        facts.error_code.as_ref().into(),
        facts.error_message.as_ref().into(),
        freshness.last_ok.into(),
        CellValue::Number(freshness.checks.into()),
        CellValue::Number(freshness.failures.into()),
        check.map(|check| check.at).into(),
        check.map_or(CellValue::Null, |check| CellValue::Text(check.error.kind())),
        check
            .and_then(|check| check.error.code())
            .map_or(CellValue::Null, CellValue::Number),
        check.and_then(|check| check.error.text()).into(),
        CellValue::Null,
        encode_saved_results(&watched.saved_results),
    ];
    let sum = checksum(checksummed_values(cells.iter().map(CellValue::as_value)));
    if let Some(cell) = cells.get_mut(CHECKSUM_COLUMN) {
        *cell = CellValue::Number(sum);
    }
    cells
}

/// Reports whether a row is as it was written.
pub(super) fn has_valid_checksum(cells: &RowCells<'_>) -> bool {
    let sum = checksum(checksummed_values(cells.iter().copied()));
    cells.get(CHECKSUM_COLUMN) == Some(&ValueRef::Integer(sum))
}

/// Returns the values a row's checksum covers.
fn checksummed_values<'a>(
    values: impl Iterator<Item = ValueRef<'a>>,
) -> impl Iterator<Item = ValueRef<'a>> {
    let is_covered = |(at, value): &(usize, ValueRef<'_>)| match at.cmp(&CHECKSUM_COLUMN) {
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
pub(super) fn decode_row(cells: &RowCells<'_>) -> Result<StoredTask, StoreError> {
    if !has_valid_checksum(cells) {
        return Err(StoreError::Damaged("a row is not as it was written".into()));
    }
    decode_cells(cells)
        .map_err(|what| StoreError::Damaged(format!("a row has no readable {what}")))?
}

/// Reads a row whose checksum is right. The outer error names the column that holds no such value.
fn decode_cells(cells: &RowCells<'_>) -> Result<Result<StoredTask, StoreError>, &'static str> {
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
    let family = cell_text(family).ok_or("family")?;
    let Some(family) = Family::parse(family) else {
        // Not damage: a newer program's. The file is left as it is.
        return Ok(Err(StoreError::Other(format!(
            "it holds a task of a family this kietop does not know ({}); update kietop",
            CleanText::line(family, 40)
        ))));
    };
    let id = cell_text(id)
        .and_then(|id| TaskId::parse(id).ok())
        .ok_or("id")?;
    let results = decode_links(results).ok_or("results")?;
    let state = decode_state(cell_text(state).ok_or("state")?, results).ok_or("state")?;
    let facts = TaskDetails {
        flag: match flag {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(SuccessFlag::Number(number)),
            ValueRef::Text(_) | ValueRef::Real(_) | ValueRef::Blob(_) => Some(SuccessFlag::Word(
                cell_line(flag, MAX_WORD_LEN).ok_or("flag")?,
            )),
        },
        prompt: cell_block(prompt, MAX_PROMPT_LEN),
        input: decode_links(source).ok_or("source")?.iter().next().cloned(),
        callback: cell_line(callback, MAX_LINK_LEN),
        watermark: cell_line(watermark, MAX_WORD_LEN),
        created: cell_time(created_at, "creation time")?,
        completed: cell_time(completed_at, "completion time")?,
        origin_urls: decode_links(origins).ok_or("origins")?,
        error_code: cell_line(error_code, MAX_WORD_LEN),
        error_message: cell_block(error_message, MAX_MESSAGE_LEN),
    };
    let freshness = PollHistory {
        last_ok: cell_time(last_ok, "time of the last answer")?,
        checks: cell_count(checks).ok_or("count of checks")?,
        failures: cell_count(failures).ok_or("count of failures")?,
        last_error: cell_time(check_at, "time of the last check")?.map(|at| FailedCheck {
            at,
            error: decode_poll_error(check_kind, check_code, check_text),
        }),
    };
    let added = cell_time(added_at, "time of adding")?.ok_or("time of adding")?;
    let task = Task::from_stored(id, family, state, facts);
    let label = cell_line(label, MAX_LABEL_LEN);
    let mut watched = WatchedTask::from_stored(task, label, added, freshness);
    watched.saved_results = self::decode_saved_results(saves).ok_or("list of saved files")?;
    Ok(Ok(StoredTask {
        watched,
        removed_at: cell_time(removed_at, "time of removal")?,
        rev: cell_number(rev).ok_or("revision")?,
    }))
}

fn decode_poll_error(kind: ValueRef<'_>, code: ValueRef<'_>, words: ValueRef<'_>) -> PollError {
    let kind = cell_text(kind).unwrap_or_default();
    let cap = match kind {
        "refused" | "server" => MAX_MESSAGE_LEN,
        _ => MAX_WORD_LEN,
    };
    let words = cell_line(words, cap).unwrap_or_else(|| CleanText::line("", 1));
    PollError::from_stored(kind, cell_number(code), words)
}

/// Returns the word of the file for a state, finer than [`TaskState::name`], and the links beside
/// it.
const fn encode_state(state: &TaskState) -> (&'static str, Option<&Links>) {
    match state {
        TaskState::New => ("new", None),
        TaskState::Running {
            is_finishing: false,
        } => ("generating", None),
        TaskState::Running { is_finishing: true } => ("finishing", None),
        TaskState::Succeeded {
            videos,
            callback: CallbackStatus::Delivered,
        } => ("succeeded", Some(videos)),
        TaskState::Succeeded {
            videos,
            callback: CallbackStatus::Failed,
        } => ("callback_failed", Some(videos)),
        TaskState::Failed {
            stage: FailureStage::Creation,
        } => ("create_failed", None),
        TaskState::Failed {
            stage: FailureStage::Generation,
        } => ("generation_failed", None),
        TaskState::NotFound => ("not_found", None),
        TaskState::Unrecognised => ("unknown", None),
    }
}

fn decode_state(word: &str, videos: Links) -> Option<TaskState> {
    Some(match word {
        "new" => TaskState::New,
        "generating" => TaskState::Running {
            is_finishing: false,
        },
        "finishing" => TaskState::Running { is_finishing: true },
        "succeeded" => TaskState::Succeeded {
            videos,
            callback: CallbackStatus::Delivered,
        },
        "callback_failed" => TaskState::Succeeded {
            videos,
            callback: CallbackStatus::Failed,
        },
        "create_failed" => TaskState::Failed {
            stage: FailureStage::Creation,
        },
        "generation_failed" => TaskState::Failed {
            stage: FailureStage::Generation,
        },
        "not_found" => TaskState::NotFound,
        "unknown" => TaskState::Unrecognised,
        _ => return None,
    })
}

/// Writes links as a JSON array: a video is a string, a refused link an array of one string, and a
/// number at the end counts those beyond the cap.
fn encode_links<'a>(links: impl IntoIterator<Item = &'a Link>, left_out: usize) -> CellValue<'a> {
    let mut items: Vec<Value> = links
        .into_iter()
        .map(|link| match link {
            Link::Video(url) => url.as_str().into(),
            Link::Rejected(text) => vec![Value::from(text.original())].into(),
        })
        .collect();
    if left_out > 0 {
        items.push(left_out.into());
    }
    if items.is_empty() {
        return CellValue::Null;
    }
    CellValue::OwnedText(Value::from(items).to_string())
}

fn decode_links(value: ValueRef<'_>) -> Option<Links> {
    if value == ValueRef::Null {
        return Some(Links::default());
    }
    let json = cell_text(value)?;
    let only = json
        .strip_prefix("[\"")
        .and_then(|rest| rest.strip_suffix("\"]"));
    // Nearly every list has one plain link, and a list of 100,000 tasks is read in one go.
    if let Some(only) = only.filter(|only| !only.bytes().any(|b| matches!(b, b'"' | b'\\'))) {
        return Some(Links::from_stored(vec![decode_link(only)], 0));
    }
    let Ok(Value::Array(items)) = serde_json::from_str(json) else {
        return None;
    };
    let mut kept = Vec::with_capacity(items.len());
    let mut left_out = 0;
    for item in &items {
        match item {
            Value::String(text) => kept.push(decode_link(text)),
            Value::Array(refused) => kept.push(Link::Rejected(CleanText::line(
                refused.first()?.as_str()?,
                MAX_LINK_LEN,
            ))),
            Value::Number(more) => left_out = usize::try_from(more.as_u64()?).ok()?,
            Value::Null | Value::Bool(_) | Value::Object(_) => return None,
        }
    }
    Some(Links::from_stored(kept, left_out))
}

/// Writes what is known of a task's results on disk: `{"files": [[NUMBER, PATH], …], "begun":
/// FOLDER, "warned": TIME}`, with `"retry": [TRIES, TIME]` while a failed save is being retried.
fn encode_saved_results(saves: &SavedResults) -> CellValue<'static> {
    if *saves == SavedResults::default() {
        return CellValue::Null;
    }
    let files = saves.files().iter();
    let files: Vec<_> = files
        .map(|file| json!([file.number, file.path.to_string_lossy()]))
        .collect();
    let begun = saves
        .pending_folder
        .as_ref()
        .map(|folder| folder.to_string_lossy());
    let warned = saves.expiry_warned.map(Timestamp::as_millisecond);
    let mut json = json!({ "files": files, "begun": begun, "warned": warned });
    if let (Some(retry), Some(object)) = (saves.retry, json.as_object_mut()) {
        let retry = json!([retry.tries, retry.at.as_millisecond()]);
        object.insert("retry".into(), retry);
    }
    CellValue::OwnedText(json.to_string())
}

fn decode_saved_results(value: ValueRef<'_>) -> Option<SavedResults> {
    if value == ValueRef::Null {
        return Some(SavedResults::default());
    }
    let json: Value = serde_json::from_str(cell_text(value)?).ok()?;
    let files = json.get("files")?.as_array()?.iter().map(|file| {
        let number = usize::try_from(file.get(0)?.as_u64()?).ok()?;
        Some((number, PathBuf::from(file.get(1)?.as_str()?)))
    });
    let files = files.collect::<Option<Vec<_>>>()?;
    let begun = json.get("begun").and_then(Value::as_str).map(PathBuf::from);
    let warned = json.get("warned").and_then(Value::as_i64);
    let warned = warned.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let retry = json.get("retry").and_then(|retry| {
        Some(DownloadRetry {
            tries: u32::try_from(retry.get(0)?.as_u64()?).ok()?,
            at: Timestamp::from_millisecond(retry.get(1)?.as_i64()?).ok()?,
        })
    });
    let mut saves = SavedResults::from_stored(files, begun, warned);
    saves.retry = retry;
    Some(saves)
}

fn decode_link(text: &str) -> Link {
    VideoUrl::parse(text).map_or_else(
        || Link::Rejected(CleanText::line(text, MAX_LINK_LEN)),
        Link::Video,
    )
}

fn cell_text(value: ValueRef<'_>) -> Option<&str> {
    value.as_str().ok()
}

fn cell_number(value: ValueRef<'_>) -> Option<i64> {
    value.as_i64().ok()
}

fn cell_count(value: ValueRef<'_>) -> Option<u32> {
    cell_number(value)?.try_into().ok()
}

fn cell_line(value: ValueRef<'_>, cap: usize) -> Option<CleanText> {
    Some(CleanText::line(cell_text(value)?, cap))
}

fn cell_block(value: ValueRef<'_>, cap: usize) -> Option<CleanText> {
    Some(CleanText::block(cell_text(value)?, cap))
}

/// Reads a time that may be missing; fails with `what` on anything else.
fn cell_time(value: ValueRef<'_>, what: &'static str) -> Result<Option<Timestamp>, &'static str> {
    if value == ValueRef::Null {
        return Ok(None);
    }
    let ms = cell_number(value).ok_or(what)?;
    Timestamp::from_millisecond(ms)
        .map(Some)
        .map_err(|_out_of_range| what)
}

/// Reads what is left of a row that is not as it was written: its id, and its label where there is
/// one.
pub(super) fn salvage_id_and_label(cells: &RowCells<'_>) -> Option<(TaskId, Option<CleanText>)> {
    let (Some(id), Some(label)) = (cells.get(ID_COLUMN), cells.get(LABEL_COLUMN)) else {
        return None;
    };
    let id = cell_text(*id).filter(|id| id.len() <= 4 * MAX_ID_LEN)?;
    Some((TaskId::parse(id).ok()?, cell_line(*label, MAX_LABEL_LEN)))
}

/// Returns the checksum of values: SQLite keeps none, and a flipped bit in a text is read as it
/// stands.
///
/// Each step is a one-to-one map of 64 bits, so a change within one word of eight bytes never goes
/// unseen.
pub(super) fn checksum<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut sum = RowChecksum(0x6b69_6574_6f70);
    for value in values {
        match value {
            ValueRef::Null => sum.add_word(0),
            ValueRef::Integer(number) => {
                sum.add_word(1);
                sum.add_word(number.cast_unsigned());
            }
            ValueRef::Real(number) => {
                sum.add_word(2);
                sum.add_word(number.to_bits());
            }
            ValueRef::Text(bytes) => sum.add_bytes(3, bytes),
            ValueRef::Blob(bytes) => sum.add_bytes(4, bytes),
        }
    }
    sum.0.cast_signed()
}

struct RowChecksum(u64);

impl RowChecksum {
    const fn add_word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }

    fn add_bytes(&mut self, kind: u64, bytes: &[u8]) {
        self.add_word(kind | (bytes.len() as u64) << 8);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add_word(u64::from_le_bytes(*word));
        }
        let last = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.add_word(last);
    }
}
