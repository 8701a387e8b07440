//! The family Luma Modify: where it is asked after, and how its record is read.
//!
//! Knows neither HTTP nor the envelope around the record. Facts: the API's page "Get Luma Modify Details" and
//! the spellings of its sister endpoints.

use serde_json::Value;

use super::{
    FamilyApi,
    read::{self, Object},
};
use crate::domain::{
    link::Links,
    task::{Delivery, Facts, FailedStage, Flag, TaskState},
    text::CleanText,
};

/// The longest error message kept, in bytes.
const MESSAGE_BYTES: usize = 4 * 1024;

/// The longest prompt kept, in bytes.
const PROMPT_BYTES: usize = 16 * 1024;

/// The longest of the other texts, in bytes: what links are allowed.
const TEXT_BYTES: usize = 2 * 1024;

/// Where the family lives and who reads its record.
pub const API: FamilyApi = FamilyApi {
    path: "/api/v1/modify/record-info",
    decode,
};

/// Reads the record: total, because each field is read by itself and what cannot be read is left out.
///
/// Only the flag decides the state. A record without one (or with null) is [`TaskState::Unrecognised`] and not
/// "running": it is asked after again either way, but nothing is claimed that the server did not say.
pub fn decode(record: &Object) -> (TaskState, Facts) {
    let request = read::object(read::field(record, "paramJson")).unwrap_or_default();
    let response = read::object(read::field(record, "response")).unwrap_or_default();
    let videos = links(record, &response, "resultUrls");
    let facts = Facts {
        flag: read::flag(read::field(record, "successFlag")),
        prompt: read::text(read::field(&request, "prompt"))
            .map(|prompt| CleanText::block(&prompt, PROMPT_BYTES))
            .filter(|prompt| !prompt.is_empty()),
        source: read::links(read::field(&request, "videoUrl"))
            .iter()
            .next()
            .cloned(),
        callback: read::line(read::field(&request, "callBackUrl"), TEXT_BYTES),
        watermark: watermark(&request),
        created: read::moment(read::field(record, "createTime")),
        completed: read::moment(read::field(record, "completeTime")),
        origins: links(record, &response, "originUrls"),
        error_code: read::line(read::field(record, "errorCode"), TEXT_BYTES),
        error_message: read::line(read::field(record, "errorMessage"), MESSAGE_BYTES),
    };
    (state(videos, &facts), facts)
}

/// Returns what the flag means; see the table of flags on the API's page.
fn state(videos: Links, facts: &Facts) -> TaskState {
    match &facts.flag {
        // The flag wins over the rest, which was seen to come earlier than the flag.
        Some(Flag::Number(0)) => TaskState::Running {
            is_finishing: facts.completed.is_some() || !videos.is_empty(),
        },
        Some(Flag::Number(1)) => TaskState::Succeeded {
            videos,
            delivery: Delivery::Done,
        },
        Some(Flag::Number(2)) => TaskState::Failed {
            stage: FailedStage::Creation,
        },
        Some(Flag::Number(3)) => TaskState::Failed {
            stage: FailedStage::Generation,
        },
        // The video was made: only telling the callback URL of it failed.
        Some(Flag::Number(4)) => TaskState::Succeeded {
            videos,
            delivery: Delivery::CallbackFailed,
        },
        Some(Flag::Number(_) | Flag::Word(_)) | None => TaskState::Unrecognised,
    }
}

/// Reads links from the response, else from beside it, where callbacks have them.
fn links(record: &Object, response: &Object, name: &str) -> Links {
    let links = read::links(read::field(response, name));
    if links.is_empty() {
        read::links(read::field(record, name))
    } else {
        links
    }
}

/// Reads the watermark, which is spelled otherwise in the request than in the record of it. An empty one is one.
fn watermark(request: &Object) -> Option<CleanText> {
    ["waterMark", "watermark"]
        .into_iter()
        .map(|name| read::field(request, name))
        .find(|value| **value != Value::Null)
        .and_then(read::text)
        .map(|text| CleanText::line(&text, TEXT_BYTES))
}
