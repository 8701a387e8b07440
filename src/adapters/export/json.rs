//! Tasks as JSON, with the API's field names where it has one; safe to print in a terminal.
//!
//! Texts are as the server sent them, with control characters as JSON escapes. Only white space and
//! byte order marks at both ends are removed, and everything beyond 64 KiB of one text. The raw
//! record has the same limits, and also keeps the fields that kietop does not read.

use std::{io, time::Duration};

use jiff::Timestamp;
use serde::Serialize as _;
use serde_json::{Value, json, ser::Formatter};

use crate::domain::{
    link::{Link, Links},
    status,
    task::{SuccessFlag, TaskState},
    text::{CleanText, MAX_MARKS_PER_BASE, is_combining, is_unsafe},
    watched_task::WatchedTask,
};

/// The fields of a record, in order.
#[rustfmt::skip]
pub const FIELD_NAMES: [&str; 22] = [
    "taskId", "family", "label", "state", "successFlag", "prompt", "videoUrl", "callBackUrl",
    "waterMark", "createTime", "completeTime", "durationMs", "errorCode", "errorMessage",
    "originUrls", "resultUrls", "addedAt", "checkedAt", "checkError", "expiresAt", "savedTo",
    "savedFiles",
];

/// Returns a task as a JSON object. Unknown values are null; times are RFC 3339 in UTC with
/// milliseconds.
pub fn task_record(watched: &WatchedTask, retention: Duration) -> Value {
    let task = &watched.task;
    let details = task.details();
    let results = if let TaskState::Succeeded { videos, .. } = task.state() {
        link_texts(videos)
    } else {
        json!([])
    };
    let check_error = watched.poll_history.last_error.as_ref().map(|failed| {
        json!({
            "kind": failed.error.kind(),
            "code": failed.error.code(),
            "message": failed.error.message(),
        })
    });
    json!({
        "taskId": task.id().as_str(),
        "family": task.family().name(),
        "label": original_text(watched.label.as_ref()),
        "state": task.state().name(),
        "successFlag": details.flag.as_ref().map(|flag| match flag {
            SuccessFlag::Number(number) => json!(number),
            SuccessFlag::Word(word) => json!(word.original()),
        }),
        "prompt": original_text(details.prompt.as_ref()),
        "videoUrl": details.input.as_ref().map(link_text),
        "callBackUrl": original_text(details.callback.as_ref()),
        "waterMark": original_text(details.watermark.as_ref()),
        "createTime": format_time(details.created),
        "completeTime": format_time(details.completed),
        "durationMs": task.run_time().map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "errorCode": original_text(details.error_code.as_ref()),
        "errorMessage": original_text(details.error_message.as_ref()),
        "originUrls": link_texts(&details.origin_urls),
        "resultUrls": results,
        "addedAt": format_time(Some(watched.added)),
        "checkedAt": format_time(watched.poll_history.last_ok),
        "checkError": check_error,
        "expiresAt": format_time(status::expires_at(task, retention)),
        "savedTo": watched.saved_results.existing().next().map(|file| file.path.to_string_lossy()),
        "savedFiles": saved_files(watched),
    })
}

/// Returns the saved file of each result, in the order of the results; null if it is not saved.
fn saved_files(watched: &WatchedTask) -> Value {
    let results = watched.task.state().videos().zip(1..);
    let path_of = |number| {
        let mut files = watched.saved_results.existing();
        let file = files.find(|file| file.number == number)?;
        Some(file.path.to_string_lossy())
    };
    results.map(|(_, number)| json!(path_of(number))).collect()
}

fn original_text(text: Option<&CleanText>) -> Option<&str> {
    text.map(CleanText::original)
}

fn format_time(at: Option<Timestamp>) -> Option<String> {
    // Always with milliseconds, so that times sort as text.
    at.map(|at| format!("{at:.3}"))
}

fn link_texts(links: &Links) -> Value {
    links.iter().map(link_text).collect()
}

fn link_text(link: &Link) -> &str {
    match link {
        Link::Video(url) => url.as_str(),
        Link::Rejected(text) => text.original(),
    }
}

/// Returns the text of a value: nothing for null, a line for each item of a list, and the parts of
/// an object after each other.
pub fn value_text(value: &Value) -> String {
    let join = |values: &mut dyn Iterator<Item = &Value>, separator| {
        let values = values.filter(|value| !value.is_null());
        values.map(value_text).collect::<Vec<_>>().join(separator)
    };
    match value {
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => join(&mut items.iter(), "\n"),
        Value::Object(parts) => join(&mut parts.values(), ": "),
    }
}

/// Serializes JSON on one line, without characters that could act on a terminal.
pub fn to_json_line(value: &Value) -> String {
    format!("{}\n", to_safe_json(value))
}

/// Serializes JSON without characters that could act on a terminal.
///
/// The unsafe characters that `serde_json` leaves raw (DEL, C1, format and invisible characters,
/// too many combining marks) become `\uXXXX`, so every parser gets the same text back.
pub fn to_safe_json(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut bytes, SafeFormatter::default());
    // Serializing into memory cannot fail.
    value.serialize(&mut serializer).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

#[derive(Default)]
struct SafeFormatter {
    /// The number of combining marks on the previous character.
    marks: usize,
}

impl Formatter for SafeFormatter {
    fn begin_string<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.marks = 0;
        writer.write_all(b"\"")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            self.marks = if is_combining(c) { self.marks + 1 } else { 0 };
            if is_unsafe(c) || self.marks > MAX_MARKS_PER_BASE {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::{Family, Task, TaskId};

    #[test]
    fn control_characters_are_escaped_losslessly() {
        let four = "e\u{301}\u{302}\u{303}\u{304}";
        let piled = format!("{four}\u{305}\u{1d167}x\u{301}");
        let written = to_safe_json(&json!([four, piled]));

        let escaped = r"\u0305\ud834\udd67";
        assert_eq!(written, format!("[\"{four}\",\"{four}{escaped}x\u{301}\"]"));
        let long = json!(format!("a{}\"\u{301}", "\u{301}".repeat(5_000)));
        let written = to_safe_json(&long);
        let raw = written.chars().filter(|c| *c == '\u{301}').count();
        assert!(raw <= 5, "{raw}");
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), long);
    }

    #[test]
    fn record_fields_keep_their_order() {
        let task = Task::new(TaskId::parse("a").unwrap(), Family::default());
        let watched = WatchedTask::new(task, None, Timestamp::UNIX_EPOCH);

        let record = task_record(&watched, Duration::ZERO);

        let names: Vec<_> = record.as_object().unwrap().keys().collect();
        assert_eq!(names, FIELD_NAMES);
    }
}
