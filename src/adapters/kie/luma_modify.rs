//! Record decoder of the family Luma Modify.
//!
//! Sources: the API's page "Get Luma Modify Details", and the field names of related endpoints.

use serde_json::Value;

use super::lenient_json::{
    clean_line, collect_links, field, parse_flag, parse_object, parse_time, to_text,
};
use crate::domain::{
    link::Links,
    task::{CallbackStatus, FailureStage, SuccessFlag, TaskDetails, TaskState},
    text::CleanText,
};

/// The longest error message kept, in bytes.
const MAX_MESSAGE_LEN: usize = 4 * 1024;

/// The longest prompt kept, in bytes.
const MAX_PROMPT_LEN: usize = 16 * 1024;

/// The longest of the other texts, in bytes: the limit for links.
const MAX_TEXT_LEN: usize = 2 * 1024;

/// The path of the status endpoint.
pub const PATH: &str = "/api/v1/modify/record-info";

/// Decodes the record. Never fails: fields are read independently, and invalid ones are left out.
///
/// Only the flag decides the state. A record without a flag (or with null) is
/// [`TaskState::Unrecognised`], not "running": both are polled again, but we claim nothing that the
/// server did not say.
pub fn decode(record: &Value) -> (TaskState, TaskDetails) {
    let request = parse_object(field(record, "paramJson"));
    let response = parse_object(field(record, "response"));
    let videos = parse_links(record, &response, "resultUrls");
    let details = TaskDetails {
        flag: parse_flag(field(record, "successFlag")),
        prompt: to_text(field(&request, "prompt"))
            .map(|prompt| CleanText::block(&prompt, MAX_PROMPT_LEN))
            .filter(|prompt| !prompt.is_empty()),
        input: collect_links(field(&request, "videoUrl"))
            .iter()
            .next()
            .cloned(),
        callback: clean_line(field(&request, "callBackUrl"), MAX_TEXT_LEN),
        watermark: parse_watermark(&request),
        created: parse_time(field(record, "createTime")),
        completed: parse_time(field(record, "completeTime")),
        origin_urls: parse_links(record, &response, "originUrls"),
        error_code: clean_line(field(record, "errorCode"), MAX_TEXT_LEN),
        error_message: clean_line(field(record, "errorMessage"), MAX_MESSAGE_LEN),
    };
    (task_state(videos, &details), details)
}

/// Maps the flag to a state; see the table of flags on the API's page.
fn task_state(videos: Links, details: &TaskDetails) -> TaskState {
    match &details.flag {
        // Results and times can arrive before the flag changes; the flag decides.
        Some(SuccessFlag::Number(0)) => TaskState::Running {
            is_finishing: details.completed.is_some() || !videos.is_empty(),
        },
        Some(SuccessFlag::Number(1)) => TaskState::Succeeded {
            videos,
            callback: CallbackStatus::Delivered,
        },
        Some(SuccessFlag::Number(2)) => TaskState::Failed {
            stage: FailureStage::Creation,
        },
        Some(SuccessFlag::Number(3)) => TaskState::Failed {
            stage: FailureStage::Generation,
        },
        // The video exists; only the request to the callback URL failed.
        Some(SuccessFlag::Number(4)) => TaskState::Succeeded {
            videos,
            callback: CallbackStatus::Failed,
        },
        Some(SuccessFlag::Number(_) | SuccessFlag::Word(_)) | None => TaskState::Unrecognised,
    }
}

/// Reads links from the response, else from the record itself, where callbacks have them.
fn parse_links(record: &Value, response: &Value, name: &str) -> Links {
    let links = collect_links(field(response, name));
    if links.is_empty() {
        collect_links(field(record, name))
    } else {
        links
    }
}

/// Reads the watermark; the record spells the field differently from the request. An empty
/// watermark is kept.
fn parse_watermark(request: &Value) -> Option<CleanText> {
    let text = |name| to_text(field(request, name));
    let watermark = text("waterMark").or_else(|| text("watermark"))?;
    Some(CleanText::line(&watermark, MAX_TEXT_LEN))
}
