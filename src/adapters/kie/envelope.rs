//! The envelope `{code, msg, data}` around every answer, and what its codes mean.
//!
//! Pure: from an HTTP status and bytes to an [`PollResult`]; knows nothing of connections. Errors
//! usually come as HTTP 200 with another `code`, so the body's code decides; the status decides
//! where the body has none, and where the body says 200 while the status does not.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    family_api,
    lenient_json::{self, JsonError, JsonObject},
};
use crate::domain::{
    link::VideoUrl,
    poll_result::{Observation, PollError, PollResult},
    response_notes::{Anomaly, ResponseNotes},
    task::{FailureStage, Family, TaskId, TaskState},
    text::CleanText,
};

/// The longest message of the server that is kept, in bytes.
const MAX_MESSAGE_LEN: usize = 4 * 1024;

/// The longest record kept as it came, in bytes.
const MAX_RAW_LEN: usize = 64 * 1024;

/// The code of a processed request, in the envelope as in HTTP.
const SUCCESS_CODE: i64 = 200;

/// The envelope's code of a generation that failed. As an HTTP status 501 means something else.
const GENERATION_FAILED_CODE: i64 = 501;

/// The codes of the envelope that the API's pages name, and 403, which its gateway uses as they use
/// 401.
const KNOWN_CODES: [i64; 16] = [
    SUCCESS_CODE,
    400,
    401,
    402,
    403,
    404,
    408,
    422,
    429,
    430,
    433,
    451,
    455,
    500,
    GENERATION_FAILED_CODE,
    505,
];

/// What came back from the server, as far as it matters.
#[derive(Debug, Clone)]
pub struct ApiReply {
    /// The HTTP status.
    pub status: u16,
    /// What the header `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl ApiReply {
    /// Reports whether HTTP itself saw nothing wrong.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns what the reply says about the task that was asked after: an observation or a named
    /// error.
    ///
    /// Never panics, whatever the bytes are. A broken document changes nothing that is known: it is
    /// [`PollError::Malformed`], or what the HTTP status says when that is an error. What is odd
    /// about it beside that is noted in `noticed`.
    pub fn interpret(
        &self,
        asked: &TaskId,
        family: Family,
        noticed: &mut ResponseNotes,
    ) -> PollResult {
        let answer = self.parse_answer(asked, family, noticed);
        // No such task: odd only beside what was known of it, and that is not known here.
        let is_worth_a_look = !noticed.anomalies.is_empty()
            || matches!(answer, Err(PollError::Malformed(_) | PollError::NotFound));
        let is_unknown = matches!(&answer, Ok(seen) if seen.state == TaskState::Unrecognised);
        if is_worth_a_look || is_unknown {
            noticed.keep_excerpt(&String::from_utf8_lossy(&self.body));
        }
        answer
    }

    fn parse_answer(
        &self,
        asked: &TaskId,
        family: Family,
        noticed: &mut ResponseNotes,
    ) -> PollResult {
        let envelope = self.parse_envelope(noticed)?;
        match envelope.code {
            None => noticed.add(Anomaly::MissingCode),
            Some(SUCCESS_CODE) if !self.is_success() => noticed.add(Anomaly::StatusMismatch),
            Some(code) if !KNOWN_CODES.contains(&code) => noticed.add(Anomaly::UnknownCode),
            Some(_) => {}
        }
        match envelope.code {
            Some(GENERATION_FAILED_CODE) => envelope.generation_failed(asked, family, noticed),
            Some(SUCCESS_CODE) | None if self.is_success() => {
                parse_data(envelope.data(), asked, family, noticed)
            }
            Some(SUCCESS_CODE) | None => Err(self.error_for_status(Some(envelope.message()))),
            Some(code) => Err(self.error_for_code(code, envelope.message())),
        }
    }

    /// Returns the link a reply holds whose data is a bare string.
    pub fn parse_link(&self) -> Result<VideoUrl, PollError> {
        let envelope = self.parse_envelope(&mut ResponseNotes::default())?;
        match envelope.code {
            Some(SUCCESS_CODE) | None if self.is_success() => {
                let text = lenient_json::to_text(envelope.data()).unwrap_or_default();
                VideoUrl::parse(text.trim()).ok_or_else(|| malformed("its data is no link"))
            }
            Some(SUCCESS_CODE) | None => Err(self.error_for_status(Some(envelope.message()))),
            Some(code) => Err(self.error_for_code(code, envelope.message())),
        }
    }

    /// Opens the envelope, or says what came in its place.
    fn parse_envelope(&self, noticed: &mut ResponseNotes) -> Result<Envelope, PollError> {
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim_start_matches('\u{feff}').trim();
        match Envelope::parse(text, noticed) {
            Ok(envelope) if envelope.is_cloudflare_page() => Err(self.gateway_error()),
            Ok(envelope) => Ok(envelope),
            // A page that is not there is a wrong address only when it is a page, not a broken
            // answer.
            Err(error) if self.is_success() || (self.status == 404 && text.starts_with('{')) => {
                Err(error)
            }
            // Without a message, or with a truncated one, it may come from the API itself.
            Err(_) if text.is_empty() || text.starts_with('{') => Err(self.error_for_status(None)),
            Err(_) => Err(self.gateway_error()),
        }
    }

    /// Returns the error for a page of a gateway, which says nothing about the key or credits.
    fn gateway_error(&self) -> PollError {
        let code = i64::from(self.status);
        match code {
            401 | 402 | 403 | 451 => PollError::Blocked(code),
            _ if self.is_success() => malformed("it is a page of a gateway"),
            // Cloudflare's own codes: the server behind it does not answer.
            520..=530 => self.server_error(code, clean_line("the gateway cannot reach the server")),
            _ => self.error_for_status(None),
        }
    }

    /// Returns the error a code of the envelope stands for.
    fn error_for_code(&self, code: i64, message: CleanText) -> PollError {
        match code {
            401 | 403 => PollError::Unauthorized(code),
            402 => PollError::OutOfCredits,
            404 => PollError::NotFound,
            400 | 422 if means_unknown_task(&message) => PollError::NotFound,
            400 | 422 | 451 | 505 => PollError::Rejected { code, message },
            429 | 430 | 433 => PollError::RateLimited {
                code,
                retry_after: self.retry_after,
            },
            455 => PollError::Maintenance,
            _ => self.server_error(code, message),
        }
    }

    /// Returns the error an HTTP status stands for, with the server's message if its body was an
    /// envelope.
    fn error_for_status(&self, message: Option<CleanText>) -> PollError {
        let code = i64::from(self.status);
        match (code, message) {
            (404, None) => PollError::WrongAddress,
            (407 | 511, _) => PollError::Blocked(code),
            // Final words about a task must be the API's, not those of a gateway before it.
            (400 | 422, None) => self.server_error(code, empty_text()),
            (451 | 505, message) => self.server_error(code, message.unwrap_or_else(empty_text)),
            (_, message) => self.error_for_code(code, message.unwrap_or_else(empty_text)),
        }
    }

    /// Returns trouble at the server; one that tells when to come back is obeyed like a rate limit.
    fn server_error(&self, code: i64, message: CleanText) -> PollError {
        match self.retry_after {
            Some(_) => PollError::RateLimited {
                code,
                retry_after: self.retry_after,
            },
            None => PollError::Server { code, message },
        }
    }
}

/// A body that is an envelope.
struct Envelope {
    /// The code, if there is one.
    code: Option<i64>,
    fields: JsonObject,
}

impl Envelope {
    fn parse(text: &str, noticed: &mut ResponseNotes) -> Result<Self, PollError> {
        // What it is, is seen from its first character; servers and portals mislabel their pages.
        let document = match text.chars().next() {
            None => return Err(malformed("it is empty")),
            Some('<') => return Err(malformed("it is a web page, not JSON")),
            Some(_) => lenient_json::parse_document(text),
        };
        let document = document.map_err(|error| {
            if matches!(error, JsonError::TrailingData(_)) {
                noticed.add(Anomaly::TrailingData);
            }
            malformed(&error.to_string())
        })?;
        if document.has_duplicate_key {
            noticed.add(Anomaly::DuplicateKey);
        }
        let fields = match document.value {
            Value::Object(fields) => fields,
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)) => {
                return Err(malformed(&format!(
                    "it is {}, not an object",
                    json_kind(&other)
                )));
            }
        };
        let told = lenient_json::field(&fields, "code");
        let code = lenient_json::parse_integer(told);
        if code.is_none() && !told.is_null() {
            return Err(malformed("its code is no number"));
        }
        Ok(Self { code, fields })
    }

    /// Returns the server's words; some pages of the API spell the field `message`.
    fn message(&self) -> CleanText {
        ["msg", "message"]
            .into_iter()
            .find_map(|name| {
                lenient_json::clean_line(lenient_json::field(&self.fields, name), MAX_MESSAGE_LEN)
            })
            .unwrap_or_else(empty_text)
    }

    fn data(&self) -> &Value {
        lenient_json::field(&self.fields, "data")
    }

    /// Reports whether it is a Cloudflare error page, which is JSON for clients that accept JSON.
    fn is_cloudflare_page(&self) -> bool {
        *lenient_json::field(&self.fields, "cloudflare_error") == Value::Bool(true)
    }

    /// Returns code 501 as what it is: not an error of the question but the end of the task.
    ///
    /// The record's own error texts are better than the envelope's. And a result in hand is better
    /// than any code: a record that shows its videos stays the success it says it is.
    fn generation_failed(
        &self,
        asked: &TaskId,
        family: Family,
        noticed: &mut ResponseNotes,
    ) -> PollResult {
        let record = lenient_json::parse_object(self.data()).unwrap_or_default();
        let Observation {
            state,
            details: mut facts,
            raw,
        } = parse_record(&record, asked, family, noticed)?;
        let has_videos = state.videos().next().is_some();
        let state = match state {
            TaskState::Succeeded { .. } if has_videos => state,
            TaskState::Failed { .. } => state,
            TaskState::New
            | TaskState::Running { .. }
            | TaskState::Succeeded { .. }
            | TaskState::NotFound
            | TaskState::Unrecognised => TaskState::Failed {
                stage: FailureStage::Generation,
            },
        };
        if matches!(state, TaskState::Failed { .. }) {
            let code = || {
                Some(CleanText::line(
                    &GENERATION_FAILED_CODE.to_string(),
                    MAX_MESSAGE_LEN,
                ))
            };
            let message = || Some(self.message()).filter(|message| !message.is_empty());
            facts.error_code = facts.error_code.or_else(code);
            facts.error_message = facts.error_message.or_else(message);
        }
        Ok(Observation {
            state,
            details: facts,
            raw,
        })
    }
}

/// Reads the envelope's `data` as the record of the task that was asked after.
///
/// Null, missing, or empty, it is [`PollError::NotFound`]: one of the three ways to say so.
fn parse_data(
    data: &Value,
    asked: &TaskId,
    family: Family,
    noticed: &mut ResponseNotes,
) -> PollResult {
    if data.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Err(PollError::NotFound);
    }
    let record = match lenient_json::unwrap_json_string(data) {
        Some(Value::Null) => return Err(PollError::NotFound),
        Some(Value::Object(record)) if record.is_empty() => return Err(PollError::NotFound),
        Some(Value::Object(record)) => record,
        Some(other) => return Err(malformed(&format!("its data is {}", json_kind(&other)))),
        None => return Err(malformed("its data is a text")),
    };
    if data.is_string() {
        noticed.add(Anomaly::DataAsText);
    }
    parse_record(&record, asked, family, noticed)
}

/// Reads a record, unless it names another task than the one asked after; one that names none is
/// taken.
fn parse_record(
    record: &JsonObject,
    asked: &TaskId,
    family: Family,
    noticed: &mut ResponseNotes,
) -> PollResult {
    let told = lenient_json::to_text(lenient_json::field(record, "taskId")).unwrap_or_default();
    let told = told.trim();
    if !told.is_empty() && told != asked.as_str() {
        noticed.add(Anomaly::OtherTask);
        return Err(malformed("it is the answer for another task"));
    }
    let (state, facts) = (family_api(family).decode)(record);
    let raw = raw_json(record);
    Ok(Observation {
        state,
        details: facts,
        raw,
    })
}

/// Returns the record as text, cut at a character if it is huge.
fn raw_json(record: &JsonObject) -> Arc<str> {
    // A map of text to JSON can always be written.
    let text = serde_json::to_string(record).unwrap_or_default();
    text.get(..text.floor_char_boundary(MAX_RAW_LEN))
        .unwrap_or_default()
        .into()
}

/// Reports whether a refusal only means that there is no such record ("recordInfo is null").
fn means_unknown_task(message: &CleanText) -> bool {
    let message = message.as_str().to_lowercase();
    [
        "is null",
        "not exist",
        "n't exist",
        "not found",
        "no record",
    ]
    .into_iter()
    .any(|words| message.contains(words))
}

/// Returns the error of an answer that made no sense; `what` goes on after "the answer made no
/// sense: ".
pub(super) fn malformed(what: &str) -> PollError {
    PollError::Malformed(clean_line(what))
}

fn empty_text() -> CleanText {
    clean_line("")
}

fn clean_line(text: &str) -> CleanText {
    CleanText::line(text, MAX_MESSAGE_LEN)
}

/// Returns what people call a kind of JSON value.
const fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
