//! Tasks as JSON, in the API's own names where it has one; safe to look at in a terminal.
//!
//! Texts are as the server sent them, characters that act on a terminal included (as JSON escapes): white space and byte
//! order marks at both ends are gone, and what is beyond 64 KiB of one text. So it is lossless up to there and no
//! further; the same bounds hold for the raw record, which keeps the fields nobody here reads.

use std::{io, time::Duration};

use jiff::Timestamp;
use serde::Serialize as _;
use serde_json::{Value, json, ser::Formatter};

use crate::domain::{
    link::{Link, Links},
    status,
    task::{Flag, TaskState},
    text::{CleanText, MARKS_PER_BASE, is_mark, is_unsafe},
    watched::Watched,
};

/// The names of a record, in their order.
pub const NAMES: [&str; 22] = [
    "taskId",
    "family",
    "label",
    "state",
    "successFlag",
    "prompt",
    "videoUrl",
    "callBackUrl",
    "waterMark",
    "createTime",
    "completeTime",
    "durationMs",
    "errorCode",
    "errorMessage",
    "originUrls",
    "resultUrls",
    "addedAt",
    "checkedAt",
    "checkError",
    "expiresAt",
    "savedTo",
    "savedFiles",
];

/// Returns a task as documented; what is unknown is null, times are RFC 3339 in UTC with milliseconds.
pub fn record(watched: &Watched, retention: Duration) -> Value {
    let task = &watched.task;
    let facts = task.facts();
    let results = match task.state() {
        TaskState::Succeeded { videos, .. } => links(videos),
        TaskState::New
        | TaskState::Running { .. }
        | TaskState::Failed { .. }
        | TaskState::NotFound
        | TaskState::Unrecognised => json!([]),
    };
    let check_error = watched.freshness.last_error.as_ref().map(|failed| {
        json!({
            "kind": failed.error.kind(),
            "code": failed.error.code(),
            "message": failed.error.message(),
        })
    });
    json!({
        "taskId": task.id().as_str(),
        "family": task.family().name(),
        "label": text(watched.label.as_ref()),
        "state": task.state().name(),
        "successFlag": facts.flag.as_ref().map(|flag| match flag {
            Flag::Number(number) => json!(number),
            Flag::Word(word) => json!(word.original()),
        }),
        "prompt": text(facts.prompt.as_ref()),
        "videoUrl": facts.source.as_ref().map(link),
        "callBackUrl": text(facts.callback.as_ref()),
        "waterMark": text(facts.watermark.as_ref()),
        "createTime": time(facts.created),
        "completeTime": time(facts.completed),
        "durationMs": task.took().map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "errorCode": text(facts.error_code.as_ref()),
        "errorMessage": text(facts.error_message.as_ref()),
        "originUrls": links(&facts.origins),
        "resultUrls": results,
        "addedAt": time(Some(watched.added)),
        "checkedAt": time(watched.freshness.last_ok),
        "checkError": check_error,
        "expiresAt": time(status::expires_at(task, retention)),
        "savedTo": watched.saves.there().next().map(|file| file.path.to_string_lossy()),
        "savedFiles": saved_files(watched),
    })
}

/// Returns where each result is on disk, in the order of the results; null for one that is not.
fn saved_files(watched: &Watched) -> Value {
    let results = watched.task.state().videos().zip(1..);
    let path_of = |number| {
        let mut files = watched.saves.there();
        files
            .find(|file| file.number == number)
            .map(|file| file.path.to_string_lossy())
    };
    results.map(|(_, number)| json!(path_of(number))).collect()
}

fn text(text: Option<&CleanText>) -> Option<&str> {
    text.map(CleanText::original)
}

fn time(at: Option<Timestamp>) -> Option<String> {
    // Always with milliseconds, so that they sort as text.
    at.map(|at| format!("{at:.3}"))
}

fn links(links: &Links) -> Value {
    links.iter().map(link).collect()
}

fn link(link: &Link) -> &str {
    match link {
        Link::Video(url) => url.as_str(),
        Link::Refused(text) => text.original(),
    }
}

/// Writes JSON so that no character of it can act on a terminal: what `serde_json` leaves raw
/// beyond U+001F (DEL, C1, format characters, whatever is drawn as nothing, marks that would pile
/// up in one cell) becomes `\uXXXX`, and every reader gets the same text back.
pub fn write(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Safe::default());
    // Writing a value into memory cannot fail.
    value.serialize(&mut serializer).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

#[derive(Default)]
struct Safe {
    /// The number of combining marks on the previous character.
    marks: usize,
}

impl Formatter for Safe {
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
            self.marks = if is_mark(c) { self.marks + 1 } else { 0 };
            if is_unsafe(c) || self.marks > MARKS_PER_BASE {
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
    fn marks_beyond_a_cell_are_escaped_and_nothing_is_lost() {
        let four = "e\u{301}\u{302}\u{303}\u{304}";
        let piled = format!("{four}\u{305}\u{1d167}x\u{301}");
        let written = write(&json!([four, piled]));

        let escaped = r"\u0305\ud834\udd67";
        assert_eq!(written, format!("[\"{four}\",\"{four}{escaped}x\u{301}\"]"));
        let long = json!(format!("a{}\"\u{301}", "\u{301}".repeat(5_000)));
        let written = write(&long);
        let raw = written.chars().filter(|c| *c == '\u{301}').count();
        assert!(raw <= 5, "{raw}");
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), long);
    }

    #[test]
    fn a_record_has_the_names_in_their_order() {
        let task = Task::new(TaskId::parse("a").unwrap(), Family::default());
        let watched = Watched::new(task, None, Timestamp::UNIX_EPOCH);

        let record = record(&watched, Duration::ZERO);

        let names: Vec<_> = record.as_object().unwrap().keys().collect();
        assert_eq!(names, NAMES);
    }
}
