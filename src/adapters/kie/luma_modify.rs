//! The family Luma Modify: where it is asked after, and how its record is read.
//!
//! Knows neither HTTP nor the envelope around the record. Facts: the API's page "Get Luma Modify
//! Details" and the spellings of its sister endpoints.

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

/// The longest of the other texts, in bytes: what links are allowed.
const MAX_TEXT_LEN: usize = 2 * 1024;

/// Where the family lives and who reads its record.
pub const API: FamilyApi = FamilyApi {
    path: "/api/v1/modify/record-info",
    decode,
};

/// Reads the record: total, because each field is read by itself and what cannot be read is left
/// out.
///
/// Only the flag decides the state. A record without one (or with null) is
/// [`TaskState::Unrecognised`] and not "running": it is asked after again either way, but nothing
/// is claimed that the server did not say.
pub fn decode(record: &JsonObject) -> (TaskState, TaskDetails) {
    let request =
        lenient_json::parse_object(lenient_json::field(record, "paramJson")).unwrap_or_default();
    let response =
        lenient_json::parse_object(lenient_json::field(record, "response")).unwrap_or_default();
    let videos = parse_links(record, &response, "resultUrls");
    let facts = TaskDetails {
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
    (task_state(videos, &facts), facts)
}

/// Returns what the flag means; see the table of flags on the API's page.
fn task_state(videos: Links, facts: &TaskDetails) -> TaskState {
    match &facts.flag {
        // The flag wins over the rest, which was seen to come earlier than the flag.
        Some(SuccessFlag::Number(0)) => TaskState::Running {
            is_finishing: facts.completed.is_some() || !videos.is_empty(),
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
        // The video was made: only telling the callback URL of it failed.
        Some(SuccessFlag::Number(4)) => TaskState::Succeeded {
            videos,
            callback: CallbackStatus::Failed,
        },
        Some(SuccessFlag::Number(_) | SuccessFlag::Word(_)) | None => TaskState::Unrecognised,
    }
}

/// Reads links from the response, else from beside it, where callbacks have them.
fn parse_links(record: &JsonObject, response: &JsonObject, name: &str) -> Links {
    let links = lenient_json::collect_links(lenient_json::field(response, name));
    if links.is_empty() {
        lenient_json::collect_links(lenient_json::field(record, name))
    } else {
        links
    }
}

/// Reads the watermark, which is spelled otherwise in the request than in the record of it. An
/// empty one is one.
fn parse_watermark(request: &JsonObject) -> Option<CleanText> {
    ["waterMark", "watermark"]
        .into_iter()
        .map(|name| lenient_json::field(request, name))
        .find(|value| **value != Value::Null)
        .and_then(lenient_json::to_text)
        .map(|text| CleanText::line(&text, MAX_TEXT_LEN))
}
