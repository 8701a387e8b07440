//! The envelope `{code, msg, data}` around every response, and the meaning of its codes.
//!
//! Pure: converts an HTTP status and a body to a [`PollResult`]. Errors usually come as HTTP 200
//! with another `code`, so the body's code decides. The HTTP status decides if the body has no
//! code, or says 200 while the status is an error.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    family::family_api,
    json_text,
    lenient_json::{self, field},
};
use crate::domain::{
    link::VideoUrl,
    poll_result::{Observation, PollError, PollResult},
    response_notes::{Anomaly, ResponseNotes},
    task::{FailureStage, Family, TaskId, TaskState},
    text::CleanText,
};

/// The longest server message kept, in bytes.
const MAX_MESSAGE_LEN: usize = 4 * 1024;

/// The longest raw record kept, in bytes.
const MAX_RAW_LEN: usize = 64 * 1024;

/// Success, in the envelope as in HTTP.
const SUCCESS_CODE: i64 = 200;

/// The envelope's code for a failed generation. As an HTTP status, 501 means something else.
const GENERATION_FAILED_CODE: i64 = 501;

/// The envelope codes in the API's documentation, and 403, which its gateway uses like 401.
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

/// The relevant parts of a server response.
#[derive(Debug, Clone)]
pub struct ApiReply {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl ApiReply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Interprets the response to a poll of `task`. Adds anomalies to `notes`.
    ///
    /// Never panics, whatever the bytes are. An unreadable body becomes [`PollError::Malformed`],
    /// or the error of the HTTP status.
    pub fn interpret(
        &self,
        task: &TaskId,
        family: Family,
        notes: &mut ResponseNotes,
    ) -> PollResult {
        let answer = self.parse_answer(task, family, notes);
        let is_unusual = match &answer {
            Ok(seen) => seen.state == TaskState::Unrecognised,
            // Keep "not found" too: the caller knows whether the task existed before.
            Err(error) => matches!(error, PollError::Malformed(_) | PollError::NotFound),
        };
        if is_unusual || !notes.anomalies.is_empty() {
            notes.keep_excerpt(&String::from_utf8_lossy(&self.body));
        }
        answer
    }

    fn parse_answer(&self, task: &TaskId, family: Family, notes: &mut ResponseNotes) -> PollResult {
        let envelope = self.parse_envelope()?;
        match envelope.code {
            None => notes.add(Anomaly::MissingCode),
            Some(SUCCESS_CODE) if !self.is_success() => notes.add(Anomaly::StatusMismatch),
            Some(code) if !KNOWN_CODES.contains(&code) => notes.add(Anomaly::UnknownCode),
            Some(_) => {}
        }
        if envelope.code == Some(GENERATION_FAILED_CODE) {
            return envelope.parse_failure(task, family);
        }
        self.check_code(&envelope)?;
        let seen = parse_data(envelope.data(), task, family)?;
        if envelope.data().is_string() {
            notes.add(Anomaly::DataAsText);
        }
        Ok(seen)
    }

    /// Parses a response whose data is a single link.
    pub fn parse_link(&self) -> Result<VideoUrl, PollError> {
        let envelope = self.parse_envelope()?;
        self.check_code(&envelope)?;
        let text = lenient_json::to_text(envelope.data()).unwrap_or_default();
        VideoUrl::parse(text.trim()).ok_or_else(|| malformed("data is not a link"))
    }

    /// Returns the error that the code, or else the HTTP status, means.
    fn check_code(&self, envelope: &Envelope) -> Result<(), PollError> {
        match envelope.code {
            Some(SUCCESS_CODE) | None if self.is_success() => Ok(()),
            Some(SUCCESS_CODE) | None => Err(self.error_for_status(Some(envelope.message()))),
            Some(code) => Err(self.error_for_code(code, envelope.message())),
        }
    }

    /// Parses the envelope, or returns the error for what was received instead.
    fn parse_envelope(&self) -> Result<Envelope, PollError> {
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim_start_matches('\u{feff}').trim();
        match Envelope::parse(text) {
            Ok(envelope) if envelope.is_cloudflare_page() => Err(self.gateway_error()),
            Ok(envelope) => Ok(envelope),
            // A 404 means a wrong address only with a web page, not with broken JSON.
            Err(error) if self.is_success() || (self.status == 404 && text.starts_with('{')) => {
                Err(error)
            }
            // An empty or truncated message may come from the API itself.
            Err(_) if text.is_empty() || text.starts_with('{') => Err(self.error_for_status(None)),
            Err(_) => Err(self.gateway_error()),
        }
    }

    /// Returns the error for a gateway's page, which says nothing about the key or credits.
    fn gateway_error(&self) -> PollError {
        let code = i64::from(self.status);
        match code {
            401 | 402 | 403 | 451 => PollError::Blocked(code),
            _ if self.is_success() => malformed("a gateway page instead of the API"),
            // Cloudflare's codes: the server behind it does not respond.
            520..=530 => self.server_error(code, clean_line("the gateway cannot reach the server")),
            _ => self.error_for_status(None),
        }
    }

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

    /// Returns the error for the HTTP status. `message` is the envelope's, if the body was one.
    fn error_for_status(&self, message: Option<CleanText>) -> PollError {
        let code = i64::from(self.status);
        match (code, message) {
            (404, None) => PollError::WrongAddress,
            (407 | 511, _) => PollError::Blocked(code),
            // Only the API may reject a task permanently, not a gateway in front of it.
            (400 | 422, None) => self.server_error(code, empty_text()),
            (451 | 505, message) => self.server_error(code, message.unwrap_or_else(empty_text)),
            (_, message) => self.error_for_code(code, message.unwrap_or_else(empty_text)),
        }
    }

    /// Returns a server error; with a `Retry-After` header it counts as a rate limit.
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

/// The parsed envelope: an object.
struct Envelope {
    code: Option<i64>,
    fields: Value,
}

impl Envelope {
    fn parse(text: &str) -> Result<Self, PollError> {
        // The first character decides, because servers and portals mislabel their pages.
        match text.chars().next() {
            None => return Err(malformed("empty body")),
            Some('<') => return Err(malformed("a web page, not JSON")),
            Some(_) => {}
        }
        let fields = json_text::parse_document(text);
        let fields = fields.map_err(|error| malformed(&error.to_string()))?;
        if !fields.is_object() {
            let kind = json_kind(&fields);
            return Err(malformed(&format!("{kind}, not an object")));
        }
        let code_field = field(&fields, "code");
        let code = lenient_json::parse_integer(code_field);
        if code.is_none() && !code_field.is_null() {
            return Err(malformed("code is not a number"));
        }
        Ok(Self { code, fields })
    }

    /// Returns the server's message; some endpoints call the field `message`.
    fn message(&self) -> CleanText {
        let text = |name| lenient_json::clean_line(field(&self.fields, name), MAX_MESSAGE_LEN);
        let found = text("msg").or_else(|| text("message"));
        found.unwrap_or_else(empty_text)
    }

    fn data(&self) -> &Value {
        field(&self.fields, "data")
    }

    /// Reports whether this is a Cloudflare error page, sent as JSON to clients that accept JSON.
    fn is_cloudflare_page(&self) -> bool {
        *field(&self.fields, "cloudflare_error") == Value::Bool(true)
    }

    /// Parses the record of a failed generation: the poll succeeded and the task has failed.
    ///
    /// The record's error texts take precedence over the envelope's. A record that is a success and
    /// contains videos stays a success, whatever the code says.
    fn parse_failure(&self, task: &TaskId, family: Family) -> PollResult {
        let mut seen = parse_record(&lenient_json::parse_object(self.data()), task, family)?;
        if seen.state.videos().next().is_some() {
            return Ok(seen);
        }
        if !matches!(seen.state, TaskState::Failed { .. }) {
            seen.state = TaskState::Failed {
                stage: FailureStage::Generation,
            };
        }
        let details = &mut seen.details;
        let code = || clean_line(&GENERATION_FAILED_CODE.to_string());
        details.error_code.get_or_insert_with(code);
        let message = Some(self.message()).filter(|message| !message.is_empty());
        details.error_message = details.error_message.take().or(message);
        Ok(seen)
    }
}

/// Parses the envelope's `data` as the record of `task`.
///
/// Null, missing or empty data is [`PollError::NotFound`].
fn parse_data(data: &Value, task: &TaskId, family: Family) -> PollResult {
    if data.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Err(PollError::NotFound);
    }
    match lenient_json::unwrap_json_string(data) {
        Some(Value::Null) => Err(PollError::NotFound),
        Some(Value::Object(record)) if record.is_empty() => Err(PollError::NotFound),
        Some(record @ Value::Object(_)) => parse_record(&record, task, family),
        Some(other) => {
            let kind = json_kind(&other);
            Err(malformed(&format!("data is {kind}, not an object")))
        }
        None => Err(malformed("data is a string without JSON")),
    }
}

/// Decodes a record; rejects one that names another task. A record without an id is accepted.
fn parse_record(record: &Value, task: &TaskId, family: Family) -> PollResult {
    let id = lenient_json::to_text(field(record, "taskId")).unwrap_or_default();
    let id = id.trim();
    if !id.is_empty() && id != task.as_str() {
        return Err(malformed("response for another task"));
    }
    let (state, details) = (family_api(family).decode)(record);
    Ok(Observation {
        state,
        details,
        raw: raw_json(record),
    })
}

/// Returns the record as JSON, cut at [`MAX_RAW_LEN`].
fn raw_json(record: &Value) -> Arc<str> {
    let text = record.to_string();
    text.get(..text.floor_char_boundary(MAX_RAW_LEN))
        .unwrap_or_default()
        .into()
}

/// Reports whether a rejection only means that there is no such record ("recordInfo is null").
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

/// Returns [`PollError::Malformed`]; `reason` is shown after a colon.
pub(super) fn malformed(reason: &str) -> PollError {
    PollError::Malformed(clean_line(reason))
}

fn empty_text() -> CleanText {
    clean_line("")
}

fn clean_line(text: &str) -> CleanText {
    CleanText::line(text, MAX_MESSAGE_LEN)
}

const fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
