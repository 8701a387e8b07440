//! Encodes and decodes a task as a row of the list file, and computes the row's checksum.
//!
//! Texts are stored unchanged and sanitised when they are read: the file is untrusted input.

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

/// The columns of a task's row in file order.
///
/// The checksum covers the columns before it, and those added later, which follow it, unless they
/// are null. So rows of older versions keep their checksum.
pub(super) const COLUMNS: &str = "id, added_at, removed_at, rev, family, label, state, flag, prompt, \
    source, callback, watermark, created_at, completed_at, origins, results, error_code, error_message, \
    last_ok, checks, failures, check_at, check_kind, check_code, check_text, sum, saves";

pub(super) const COLUMN_COUNT: usize = 27;

/// The number of columns in schema version 1.
pub(super) const FIRST_COLUMN_COUNT: usize = CHECKSUM_COLUMN + 1;

const CHECKSUM_COLUMN: usize = 25;
pub(super) const ID_COLUMN: usize = 0;
pub(super) const ADDED_AT_COLUMN: usize = 1;
pub(super) const REMOVED_AT_COLUMN: usize = 2;
pub(super) const REVISION_COLUMN: usize = 3;
pub(super) const LABEL_COLUMN: usize = 5;

// The limits of the API decoder, in bytes, so that texts survive a round trip unchanged.
const MAX_PROMPT_LEN: usize = 16 * 1024;
const MAX_MESSAGE_LEN: usize = 4 * 1024;
const MAX_LINK_LEN: usize = 2048;
const MAX_WORD_LEN: usize = 256;

pub(super) type RowCells<'a> = [ValueRef<'a>; COLUMN_COUNT];

/// A stored task. A removed task keeps its row, so that it can be restored.
#[derive(Debug, Clone)]
pub(super) struct StoredTask {
    pub(super) watched: WatchedTask,
    pub(super) removed_at: Option<Timestamp>,
    /// The revision of the list that wrote the row.
    pub(super) rev: i64,
}

/// A value to be stored.
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

/// Truncates a time to the precision of the file.
pub(super) fn truncate_to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Encodes a row, including its checksum.
pub(super) fn encode_row(stored: &StoredTask) -> [CellValue<'_>; COLUMN_COUNT] {
    let StoredTask {
        watched,
        removed_at,
        rev,
    } = stored;
    let details = watched.task.details();
    let history = &watched.poll_history;
    let check = history.last_error.as_ref();
    let (state, results) = encode_state(watched.task.state());
    let mut cells = [
        CellValue::Text(watched.id().as_str()),
        Some(watched.added).into(),
        (*removed_at).into(),
        CellValue::Number(*rev),
        CellValue::Text(watched.task.family().name()),
        watched.label.as_ref().into(),
        CellValue::Text(state),
        match &details.flag {
            None => CellValue::Null,
            Some(SuccessFlag::Number(number)) => CellValue::Number(*number),
            Some(SuccessFlag::Word(word)) => CellValue::Text(word.original()),
        },
        details.prompt.as_ref().into(),
        details
            .input
            .as_ref()
            .map_or(CellValue::Null, |input| encode_links([input], 0)),
        details.callback.as_ref().into(),
        details.watermark.as_ref().into(),
        details.created.into(),
        details.completed.into(),
        encode_links(details.origin_urls.iter(), details.origin_urls.omitted()),
        results.map_or(CellValue::Null, |links| {
            encode_links(links.iter(), links.omitted())
        }),
        details.error_code.as_ref().into(),
        details.error_message.as_ref().into(),
        history.last_ok.into(),
        CellValue::Number(history.checks.into()),
        CellValue::Number(history.failures.into()),
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

pub(super) fn has_valid_checksum(cells: &RowCells<'_>) -> bool {
    let sum = checksum(checksummed_values(cells.iter().copied()));
    cells.get(CHECKSUM_COLUMN) == Some(&ValueRef::Integer(sum))
}

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

/// Decodes a row. A wrong checksum is damage.
pub(super) fn decode_row(cells: &RowCells<'_>) -> Result<StoredTask, StoreError> {
    if !has_valid_checksum(cells) {
        return Err(StoreError::Damaged("checksum mismatch in a row".into()));
    }
    decode_cells(cells)
        .map_err(|field| StoreError::Damaged(format!("unreadable {field} in a row")))?
}

/// Decodes a row with a valid checksum. The outer error is the name of a field with an invalid
/// value.
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
        // Not damage: a newer version wrote it, so the file must stay unchanged.
        return Ok(Err(StoreError::Other(format!(
            "it has a task of an unknown family ({}); update kietop",
            CleanText::line(family, 40)
        ))));
    };
    let id = cell_text(id)
        .and_then(|id| TaskId::parse(id).ok())
        .ok_or("id")?;
    let results = decode_links(results).ok_or("results")?;
    let state = decode_state(cell_text(state).ok_or("state")?, results).ok_or("state")?;
    let details = TaskDetails {
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
    let history = PollHistory {
        last_ok: cell_time(last_ok, "time of the last response")?,
        checks: cell_count(checks).ok_or("number of checks")?,
        failures: cell_count(failures).ok_or("number of failures")?,
        last_error: cell_time(check_at, "time of the last check")?.map(|at| FailedCheck {
            at,
            error: decode_poll_error(check_kind, check_code, check_text),
        }),
    };
    let added = cell_time(added_at, "time of adding")?.ok_or("time of adding")?;
    let task = Task::from_stored(id, family, state, details);
    let label = cell_line(label, MAX_LABEL_LEN);
    let mut watched = WatchedTask::from_stored(task, label, added, history);
    watched.saved_results = decode_saved_results(saves).ok_or("list of saved files")?;
    Ok(Ok(StoredTask {
        watched,
        removed_at: cell_time(removed_at, "time of removal")?,
        rev: cell_number(rev).ok_or("revision")?,
    }))
}

fn decode_poll_error(kind: ValueRef<'_>, code: ValueRef<'_>, text: ValueRef<'_>) -> PollError {
    let kind = cell_text(kind).unwrap_or_default();
    let max_len = match kind {
        "refused" | "server" => MAX_MESSAGE_LEN,
        _ => MAX_WORD_LEN,
    };
    let text = cell_line(text, max_len).unwrap_or_else(|| CleanText::line("", 1));
    PollError::from_stored(kind, cell_number(code), text)
}

/// Returns the stored name of a state, which is finer than [`TaskState::name`], and its links.
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

fn decode_state(name: &str, videos: Links) -> Option<TaskState> {
    Some(match name {
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

/// Encodes links as a JSON array: a video is a string, a rejected link an array of one string, and
/// a number at the end counts the omitted links.
fn encode_links<'a>(links: impl IntoIterator<Item = &'a Link>, omitted: usize) -> CellValue<'a> {
    let mut items: Vec<Value> = links
        .into_iter()
        .map(|link| match link {
            Link::Video(url) => url.as_str().into(),
            Link::Rejected(text) => vec![Value::from(text.original())].into(),
        })
        .collect();
    if omitted > 0 {
        items.push(omitted.into());
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
    // A fast path for one plain link, the usual case: a list may have 100,000 tasks.
    if let Some(only) = only.filter(|only| !only.bytes().any(|b| matches!(b, b'"' | b'\\'))) {
        return Some(Links::from_stored(vec![decode_link(only)], 0));
    }
    let Ok(Value::Array(items)) = serde_json::from_str(json) else {
        return None;
    };
    let mut links = Vec::with_capacity(items.len());
    let mut omitted = 0;
    for item in &items {
        match item {
            Value::String(text) => links.push(decode_link(text)),
            Value::Array(rejected) => links.push(Link::Rejected(CleanText::line(
                rejected.first()?.as_str()?,
                MAX_LINK_LEN,
            ))),
            Value::Number(count) => omitted = usize::try_from(count.as_u64()?).ok()?,
            Value::Null | Value::Bool(_) | Value::Object(_) => return None,
        }
    }
    Some(Links::from_stored(links, omitted))
}

/// Encodes saved results as JSON: `{"files": [[NUMBER, PATH], …], "begun": FOLDER, "warned":
/// TIME}`, with `"retry": [TRIES, TIME]` while a failed save is being retried.
fn encode_saved_results(saved: &SavedResults) -> CellValue<'static> {
    if *saved == SavedResults::default() {
        return CellValue::Null;
    }
    let files = saved.files().iter();
    let files: Vec<_> = files
        .map(|file| json!([file.number, file.path.to_string_lossy()]))
        .collect();
    let folder = saved
        .pending_folder
        .as_ref()
        .map(|folder| folder.to_string_lossy());
    let warned = saved.expiry_warned.map(Timestamp::as_millisecond);
    let mut json = json!({ "files": files, "begun": folder, "warned": warned });
    if let (Some(retry), Some(object)) = (saved.retry, json.as_object_mut()) {
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
    let folder = json.get("begun").and_then(Value::as_str).map(PathBuf::from);
    let warned = json.get("warned").and_then(Value::as_i64);
    let warned = warned.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let retry = json.get("retry").and_then(|retry| {
        Some(DownloadRetry {
            tries: u32::try_from(retry.get(0)?.as_u64()?).ok()?,
            at: Timestamp::from_millisecond(retry.get(1)?.as_i64()?).ok()?,
        })
    });
    let mut saved = SavedResults::from_stored(files, folder, warned);
    saved.retry = retry;
    Some(saved)
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

fn cell_line(value: ValueRef<'_>, max_len: usize) -> Option<CleanText> {
    Some(CleanText::line(cell_text(value)?, max_len))
}

fn cell_block(value: ValueRef<'_>, max_len: usize) -> Option<CleanText> {
    Some(CleanText::block(cell_text(value)?, max_len))
}

/// Decodes a time that may be null; fails with `field` on anything else.
fn cell_time(value: ValueRef<'_>, field: &'static str) -> Result<Option<Timestamp>, &'static str> {
    if value == ValueRef::Null {
        return Ok(None);
    }
    let ms = cell_number(value).ok_or(field)?;
    Timestamp::from_millisecond(ms)
        .map(Some)
        .map_err(|_out_of_range| field)
}

/// Extracts the id and label of a row without a valid checksum.
pub(super) fn salvage_id_and_label(cells: &RowCells<'_>) -> Option<(TaskId, Option<CleanText>)> {
    let (Some(id), Some(label)) = (cells.get(ID_COLUMN), cells.get(LABEL_COLUMN)) else {
        return None;
    };
    let id = cell_text(*id).filter(|id| id.len() <= 4 * MAX_ID_LEN)?;
    Some((TaskId::parse(id).ok()?, cell_line(*label, MAX_LABEL_LEN)))
}

/// Computes the checksum of values: SQLite has none, so it would not notice a flipped bit in a
/// text.
///
/// Each step is a bijection on 64 bits, so every change within one word of eight bytes is detected.
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
