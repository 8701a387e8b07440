//! Reads and writes tasks as rows of the list file.
//!
//! Texts are stored unchanged and sanitised when they are read: the file is untrusted input.

use std::{borrow::Cow, cmp::Ordering, path::PathBuf};

use jiff::Timestamp;
use rusqlite::{
    Connection, Params, Row, params_from_iter,
    types::{ToSql as _, ToSqlOutput, ValueRef},
};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::checksum::checksum;
use crate::domain::{
    download::{DownloadRetry, SavedResults},
    link::{Link, Links, VideoUrl},
    list_change::StoreError,
    poll_result::{FailedCheck, PollError},
    schedule::PollHistory,
    task::{
        CallbackStatus, FailureStage, Family, SuccessFlag, Task, TaskDetails, TaskId, TaskState,
    },
    text::CleanText,
    watched_task::{MAX_LABEL_LEN, NotifySetting, WatchedTask},
};

/// A column of a task's row, in file order.
///
/// The checksum covers the columns before it, and those added later, which follow it, unless they
/// are null. So rows of older versions keep their checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
enum Column {
    Id,
    AddedAt,
    RemovedAt,
    Rev,
    Family,
    Label,
    State,
    Flag,
    Prompt,
    Source,
    Callback,
    Watermark,
    CreatedAt,
    CompletedAt,
    Origins,
    Results,
    ErrorCode,
    ErrorMessage,
    LastOk,
    Checks,
    Failures,
    CheckAt,
    CheckKind,
    CheckCode,
    CheckText,
    Sum,
    Saves,
}

// The limits of the API decoder, in bytes, so that texts survive a round trip unchanged.
const MAX_PROMPT_LEN: usize = 16 * 1024;
const MAX_MESSAGE_LEN: usize = 4 * 1024;
const MAX_LINK_LEN: usize = 2048;
const MAX_WORD_LEN: usize = 256;

/// A stored task. A removed task keeps its row, so that it can be restored.
#[derive(Debug, Clone)]
pub(super) struct StoredTask {
    pub(super) watched: WatchedTask,
    pub(super) removed_at: Option<Timestamp>,
    /// The revision of the list that wrote the row.
    pub(super) rev: i64,
}

/// Truncates a time to the precision of the file.
pub(super) fn truncate_to_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Returns the names of the columns of a task's row, separated by commas.
pub(super) fn column_names() -> String {
    let names: Vec<&str> = Column::VARIANTS.iter().map(<&str>::from).collect();
    names.join(", ")
}

/// Returns SQL that selects rows for [`decode`].
pub(super) fn select(condition: &str) -> String {
    let columns = column_names();
    format!("SELECT {columns}, id IN (SELECT task FROM quiet) FROM task {condition}")
}

/// Reads the tasks that meet a condition.
pub(super) fn query(
    conn: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Vec<StoredTask>, StoreError> {
    let mut statement = conn.prepare_cached(&select(condition))?;
    let mut found = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        all.push(decode(row)?);
    }
    Ok(all)
}

/// Inserts or replaces a row.
pub(super) fn put(conn: &Connection, stored: &StoredTask) -> Result<(), StoreError> {
    let marks = vec!["?"; Column::VARIANTS.len()].join(", ");
    let sql = format!(
        "INSERT OR REPLACE INTO task ({}) VALUES ({marks})",
        column_names()
    );
    let columns = Column::VARIANTS.iter();
    let mut values: Vec<_> = columns.map(|column| encode(stored, *column)).collect();
    let sum = row_checksum(values.iter().map(as_value));
    if let Some(value) = values.get_mut(Column::Sum as usize) {
        *value = sum.into();
    }
    conn.prepare_cached(&sql)?
        .execute(params_from_iter(values))?;
    Ok(())
}

/// Stores the notification setting, in a table of its own, so that rows and their checksums stay
/// unchanged.
pub(super) fn put_notify_setting(
    conn: &Connection,
    task: &TaskId,
    notify: NotifySetting,
) -> Result<(), StoreError> {
    let sql = match notify {
        NotifySetting::On => "DELETE FROM quiet WHERE task = ?1",
        NotifySetting::Off => "INSERT OR IGNORE INTO quiet (task) VALUES (?1)",
    };
    conn.prepare_cached(sql)?.execute([task.as_str()])?;
    Ok(())
}

fn as_value<'a>(value: &'a ToSqlOutput<'_>) -> ValueRef<'a> {
    let Ok(ToSqlOutput::Borrowed(value)) = value.to_sql() else {
        return ValueRef::Null;
    };
    value
}

/// Encodes the value of a column; null for the checksum.
fn encode(stored: &StoredTask, column: Column) -> ToSqlOutput<'_> {
    let watched = &stored.watched;
    let details = watched.task.details();
    let history = &watched.poll_history;
    let check = history.last_error.as_ref();
    match column {
        Column::Id => watched.id().as_str().into(),
        Column::AddedAt => encode_time(Some(watched.added)),
        Column::RemovedAt => encode_time(stored.removed_at),
        Column::Rev => stored.rev.into(),
        Column::Family => watched.task.family().name().into(),
        Column::Label => encode_text(watched.label.as_ref()),
        Column::State => state_name(watched.task.state()).into(),
        Column::Flag => match &details.flag {
            Some(SuccessFlag::Number(number)) => (*number).into(),
            Some(SuccessFlag::Word(word)) => word.original().into(),
            None => encode_text(None),
        },
        Column::Prompt => encode_text(details.prompt.as_ref()),
        Column::Source => encode_links(details.input.as_ref(), 0),
        Column::Callback => encode_text(details.callback.as_ref()),
        Column::Watermark => encode_text(details.watermark.as_ref()),
        Column::CreatedAt => encode_time(details.created),
        Column::CompletedAt => encode_time(details.completed),
        Column::Origins => encode_links(details.origin_urls.iter(), details.origin_urls.omitted()),
        Column::Results => {
            if let TaskState::Succeeded { videos, .. } = watched.task.state() {
                encode_links(videos.iter(), videos.omitted())
            } else {
                encode_text(None)
            }
        }
        Column::ErrorCode => encode_text(details.error_code.as_ref()),
        Column::ErrorMessage => encode_text(details.error_message.as_ref()),
        Column::LastOk => encode_time(history.last_ok),
        Column::Checks => history.checks.into(),
        Column::Failures => history.failures.into(),
        Column::CheckAt => encode_time(check.map(|check| check.at)),
        Column::CheckKind => ToSqlOutput::Borrowed(check.map(|check| check.error.kind()).into()),
        Column::CheckCode => ToSqlOutput::Owned(check.and_then(|check| check.error.code()).into()),
        Column::CheckText => encode_text(check.and_then(|check| check.error.text())),
        Column::Sum => encode_text(None),
        Column::Saves => encode_saves(&watched.saved_results),
    }
}

fn encode_text(text: Option<&CleanText>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(text.map(CleanText::original).into())
}

fn encode_time(at: Option<Timestamp>) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(at.map(Timestamp::as_millisecond).into())
}

fn row_checksum<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let columns = Column::VARIANTS.iter().zip(values);
    let covered = columns.filter(|(column, value)| match column.cmp(&&Column::Sum) {
        Ordering::Less => true,
        Ordering::Equal => false,
        Ordering::Greater => *value != ValueRef::Null,
    });
    checksum(covered.map(|(_, value)| value))
}

/// Decodes a row that [`select`] found.
pub(super) fn decode(row: &Row<'_>) -> Result<StoredTask, StoreError> {
    let mut stored = RowValues::read(row)?.decode()?;
    if row.get(Column::VARIANTS.len())? {
        stored.watched.notify = NotifySetting::Off;
    }
    Ok(stored)
}

/// The values of a task's row.
pub(super) struct RowValues<'a>([ValueRef<'a>; Column::VARIANTS.len()]);

impl<'a> RowValues<'a> {
    pub(super) fn read(row: &'a Row<'_>) -> Result<Self, StoreError> {
        let mut values = [ValueRef::Null; Column::VARIANTS.len()];
        for (at, value) in values.iter_mut().enumerate() {
            *value = row.get_ref(at)?;
        }
        Ok(Self(values))
    }

    fn get(&self, column: Column) -> ValueRef<'a> {
        self.0
            .get(column as usize)
            .copied()
            .unwrap_or(ValueRef::Null)
    }

    fn required<T>(
        &self,
        column: Column,
        parse: impl FnOnce(ValueRef<'a>) -> Option<T>,
    ) -> Result<T, StoreError> {
        parse(self.get(column)).ok_or_else(|| {
            StoreError::Damaged(format!("unreadable {} in a row", <&str>::from(column)))
        })
    }

    fn optional<T>(
        &self,
        column: Column,
        parse: impl FnOnce(ValueRef<'a>) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        if self.get(column) == ValueRef::Null {
            return Ok(None);
        }
        self.required(column, parse).map(Some)
    }

    /// Decodes the row. A wrong checksum is damage.
    pub(super) fn decode(&self) -> Result<StoredTask, StoreError> {
        if self.get(Column::Sum) != ValueRef::Integer(row_checksum(self.0)) {
            return Err(StoreError::Damaged("checksum mismatch in a row".into()));
        }
        let family = self.required(Column::Family, text)?;
        let Some(family) = Family::parse(family) else {
            // Not damage: a newer version wrote it, so the file must stay unchanged.
            return Err(StoreError::Other(format!(
                "it has a task of an unknown family ({}); update kietop",
                CleanText::line(family, 40)
            )));
        };
        let videos = self.links(Column::Results)?;
        let state = self.required(Column::State, |name| decode_state(text(name)?, videos))?;
        let details = TaskDetails {
            flag: self.optional(Column::Flag, |flag| match number(flag) {
                Some(number) => Some(SuccessFlag::Number(number)),
                None => line(MAX_WORD_LEN)(flag).map(SuccessFlag::Word),
            })?,
            prompt: self.optional(Column::Prompt, block(MAX_PROMPT_LEN))?,
            input: self.links(Column::Source)?.iter().next().cloned(),
            callback: self.optional(Column::Callback, line(MAX_LINK_LEN))?,
            watermark: self.optional(Column::Watermark, line(MAX_WORD_LEN))?,
            created: self.optional(Column::CreatedAt, time)?,
            completed: self.optional(Column::CompletedAt, time)?,
            origin_urls: self.links(Column::Origins)?,
            error_code: self.optional(Column::ErrorCode, line(MAX_WORD_LEN))?,
            error_message: self.optional(Column::ErrorMessage, block(MAX_MESSAGE_LEN))?,
        };
        let history = PollHistory {
            last_ok: self.optional(Column::LastOk, time)?,
            checks: self.required(Column::Checks, count)?,
            failures: self.required(Column::Failures, count)?,
            last_error: self.failed_check()?,
        };
        let id = self.required(Column::Id, |id| TaskId::parse(text(id)?).ok())?;
        let task = Task::from_stored(id, family, state, details);
        let label = self.optional(Column::Label, line(MAX_LABEL_LEN))?;
        let added = self.required(Column::AddedAt, time)?;
        let mut watched = WatchedTask::from_stored(task, label, added, history);
        let saves = self.optional(Column::Saves, decode_saves)?;
        watched.saved_results = saves.unwrap_or_default();
        Ok(StoredTask {
            watched,
            removed_at: self.optional(Column::RemovedAt, time)?,
            rev: self.required(Column::Rev, number)?,
        })
    }

    fn links(&self, column: Column) -> Result<Links, StoreError> {
        Ok(self.optional(column, decode_links)?.unwrap_or_default())
    }

    fn failed_check(&self) -> Result<Option<FailedCheck>, StoreError> {
        let Some(at) = self.optional(Column::CheckAt, time)? else {
            return Ok(None);
        };
        let kind = self.required(Column::CheckKind, text)?;
        let max_len = match kind {
            "refused" | "server" => MAX_MESSAGE_LEN,
            _ => MAX_WORD_LEN,
        };
        let code = self.optional(Column::CheckCode, number)?;
        let message = self.optional(Column::CheckText, line(max_len))?;
        let message = message.unwrap_or_else(|| CleanText::line("", 1));
        let error = PollError::from_stored(kind, code, message);
        Ok(Some(FailedCheck { at, error }))
    }

    /// Returns the id and label of a watched task, whether or not its checksum is valid.
    pub(super) fn salvage_id_and_label(&self) -> Option<(TaskId, Option<CleanText>)> {
        let is_watched = self.get(Column::RemovedAt) == ValueRef::Null;
        let id = text(self.get(Column::Id)).filter(|_| is_watched)?;
        let label = line(MAX_LABEL_LEN)(self.get(Column::Label));
        Some((TaskId::parse(id).ok()?, label))
    }
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

fn time(value: ValueRef<'_>) -> Option<Timestamp> {
    Timestamp::from_millisecond(number(value)?).ok()
}

/// Returns a parser for one line of text.
fn line(max_len: usize) -> impl Fn(ValueRef<'_>) -> Option<CleanText> {
    move |value| Some(CleanText::line(text(value)?, max_len))
}

/// Returns a parser for text that keeps its line breaks.
fn block(max_len: usize) -> impl Fn(ValueRef<'_>) -> Option<CleanText> {
    move |value| Some(CleanText::block(text(value)?, max_len))
}

/// Returns the stored name of a state, which is finer than [`TaskState::name`].
const fn state_name(state: &TaskState) -> &'static str {
    match state {
        TaskState::New => "new",
        TaskState::Running { is_finishing: true } => "finishing",
        TaskState::Running { .. } => "generating",
        TaskState::Succeeded { callback, .. } => match callback {
            CallbackStatus::Delivered => "succeeded",
            CallbackStatus::Failed => "callback_failed",
        },
        TaskState::Failed { stage } => match stage {
            FailureStage::Creation => "create_failed",
            FailureStage::Generation => "generation_failed",
        },
        TaskState::NotFound => "not_found",
        TaskState::Unrecognised => "unknown",
    }
}

fn decode_state(name: &str, videos: Links) -> Option<TaskState> {
    let running = |is_finishing| TaskState::Running { is_finishing };
    let succeeded = |callback| TaskState::Succeeded { videos, callback };
    let failed = |stage| TaskState::Failed { stage };
    Some(match name {
        "new" => TaskState::New,
        "generating" => running(false),
        "finishing" => running(true),
        "succeeded" => succeeded(CallbackStatus::Delivered),
        "callback_failed" => succeeded(CallbackStatus::Failed),
        "create_failed" => failed(FailureStage::Creation),
        "generation_failed" => failed(FailureStage::Generation),
        "not_found" => TaskState::NotFound,
        "unknown" => TaskState::Unrecognised,
        _ => return None,
    })
}

/// An item of a JSON array of links.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum LinkItem<'a> {
    Video(Cow<'a, str>),
    Rejected([Cow<'a, str>; 1]),
    /// The number of omitted links.
    Omitted(usize),
}

fn encode_links<'a>(links: impl IntoIterator<Item = &'a Link>, omitted: usize) -> ToSqlOutput<'a> {
    let mut items: Vec<_> = links
        .into_iter()
        .map(|link| match link {
            Link::Video(url) => LinkItem::Video(url.as_str().into()),
            Link::Rejected(text) => LinkItem::Rejected([text.original().into()]),
        })
        .collect();
    if omitted > 0 {
        items.push(LinkItem::Omitted(omitted));
    }
    let json = (!items.is_empty()).then(|| serde_json::to_string(&items).unwrap_or_default());
    ToSqlOutput::Owned(json.into())
}

fn decode_links(value: ValueRef<'_>) -> Option<Links> {
    let json = text(value)?;
    // A fast path for one plain link, the usual case: a list may have 100,000 tasks.
    let only = json
        .strip_prefix("[\"")
        .and_then(|rest| rest.strip_suffix("\"]"));
    if let Some(only) = only.filter(|only| !only.contains(['"', '\\'])) {
        return Some(Links::from_stored(vec![decode_link(only)], 0));
    }
    let mut links = Vec::new();
    let mut omitted = 0;
    for item in serde_json::from_str::<Vec<LinkItem<'_>>>(json).ok()? {
        match item {
            LinkItem::Video(text) => links.push(decode_link(&text)),
            LinkItem::Rejected([text]) => {
                links.push(Link::Rejected(CleanText::line(&text, MAX_LINK_LEN)));
            }
            LinkItem::Omitted(count) => omitted = count,
        }
    }
    Some(Links::from_stored(links, omitted))
}

fn decode_link(text: &str) -> Link {
    VideoUrl::parse(text).map_or_else(
        || Link::Rejected(CleanText::line(text, MAX_LINK_LEN)),
        Link::Video,
    )
}

/// Saved results as JSON. Times are in Unix milliseconds.
#[derive(Serialize, Deserialize)]
struct StoredSaves {
    /// Number and path of each file.
    files: Vec<(usize, String)>,
    /// The folder of a download that has not ended.
    begun: Option<String>,
    warned: Option<i64>,
    /// The number and time of retries, while a failed download is being retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<(u32, i64)>,
}

fn encode_saves(saved: &SavedResults) -> ToSqlOutput<'static> {
    let files = saved.files().iter();
    let folder = saved.pending_folder.as_ref();
    let json = StoredSaves {
        files: files
            .map(|file| (file.number, file.path.to_string_lossy().into_owned()))
            .collect(),
        begun: folder.map(|folder| folder.to_string_lossy().into_owned()),
        warned: saved.expiry_warned.map(Timestamp::as_millisecond),
        retry: saved
            .retry
            .map(|retry| (retry.tries, retry.at.as_millisecond())),
    };
    let is_empty = *saved == SavedResults::default();
    let json = (!is_empty).then(|| serde_json::to_string(&json).unwrap_or_default());
    ToSqlOutput::Owned(json.into())
}

fn decode_saves(value: ValueRef<'_>) -> Option<SavedResults> {
    let json: StoredSaves = serde_json::from_str(text(value)?).ok()?;
    let time = |ms| Timestamp::from_millisecond(ms).ok();
    let files = json.files.into_iter();
    let mut saved = SavedResults::from_stored(
        files.map(|(number, path)| (number, PathBuf::from(path))),
        json.begun.map(PathBuf::from),
        json.warned.and_then(time),
    );
    saved.retry = json.retry.and_then(|(tries, at)| {
        Some(DownloadRetry {
            tries,
            at: time(at)?,
        })
    });
    Some(saved)
}
