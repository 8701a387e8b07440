//! Record decoder of the family Luma Modify.
//!
//! Sources: the API's page "Get Luma Modify Details", and the field names of related endpoints.

use serde_json::Value;

use super::{
    FamilyApi,
    lenient_json::{self, JsonObject},
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

pub const API: FamilyApi = FamilyApi {
    path: "/api/v1/modify/record-info",
    decode,
};

/// Decodes the record. Never fails: fields are read independently, and invalid ones are left out.
///
/// Only the flag decides the state. A record without a flag (or with null) is
/// [`TaskState::Unrecognised`], not "running": both are polled again, but we claim nothing that the
/// server did not say.
pub fn decode(record: &JsonObject) -> (TaskState, TaskDetails) {
    let request =
        lenient_json::parse_object(lenient_json::field(record, "paramJson")).unwrap_or_default();
    let response =
        lenient_json::parse_object(lenient_json::field(record, "response")).unwrap_or_default();
    let videos = parse_links(record, &response, "resultUrls");
    let details = TaskDetails {
        flag: lenient_json::parse_flag(lenient_json::field(record, "successFlag")),
        prompt: lenient_json::to_text(lenient_json::field(&request, "prompt"))
            .map(|prompt| CleanText::block(&prompt, MAX_PROMPT_LEN))
            .filter(|prompt| !prompt.is_empty()),
        input: lenient_json::collect_links(lenient_json::field(&request, "videoUrl"))
            .iter()
            .next()
            .cloned(),
        callback: lenient_json::clean_line(
            lenient_json::field(&request, "callBackUrl"),
            MAX_TEXT_LEN,
        ),
        watermark: parse_watermark(&request),
        created: lenient_json::parse_time(lenient_json::field(record, "createTime")),
        completed: lenient_json::parse_time(lenient_json::field(record, "completeTime")),
        origin_urls: parse_links(record, &response, "originUrls"),
        error_code: lenient_json::clean_line(
            lenient_json::field(record, "errorCode"),
            MAX_TEXT_LEN,
        ),
        error_message: lenient_json::clean_line(
            lenient_json::field(record, "errorMessage"),
            MAX_MESSAGE_LEN,
        ),
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
fn parse_links(record: &JsonObject, response: &JsonObject, name: &str) -> Links {
    let links = lenient_json::collect_links(lenient_json::field(response, name));
    if links.is_empty() {
        lenient_json::collect_links(lenient_json::field(record, name))
    } else {
        links
    }
}

/// Reads the watermark; the record spells the field differently from the request. An empty
/// watermark is kept.
fn parse_watermark(request: &JsonObject) -> Option<CleanText> {
    ["waterMark", "watermark"]
        .into_iter()
        .map(|name| lenient_json::field(request, name))
        .find(|value| **value != Value::Null)
        .and_then(lenient_json::to_text)
        .map(|text| CleanText::line(&text, MAX_TEXT_LEN))
}
