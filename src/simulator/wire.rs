//! Response bodies in the format of kie.ai: envelope, record, links.
//!
//! Knows JSON and URLs, but neither sockets nor headers nor faults.

use std::collections::HashMap;

use serde_json::{Value, json};
use url::Url;

use super::tasks::{
    CreateRequest, DOWNLOAD_LINK_LIFETIME, MediaFile, Millis, SimulatedTask, TaskOutcome, TaskPhase,
};

/// The query parameter of a renewed link with the time at which it expires.
const EXPIRY_PARAMETER: &str = "fresh";

/// Returns an envelope; `code` 200 goes with the message "success".
pub(super) fn envelope(code: u16, message: &str, data: &Value) -> Value {
    json!({ "code": code, "msg": message, "data": data })
}

pub(super) fn success(data: &Value) -> Value {
    envelope(200, "success", data)
}

pub(super) fn error_envelope(code: u16, message: &str) -> Value {
    envelope(code, message, &Value::Null)
}

/// Returns the response to a status query at the time `now`. URLs start with `base`.
pub(super) fn record_info(task: &SimulatedTask, now: Millis, base: &Url) -> Value {
    let phase = task.phase(now);
    if let (TaskPhase::Ended, TaskOutcome::Error501(message)) = (phase, task.outcome) {
        return error_envelope(501, message);
    }
    let is_completed = matches!(phase, TaskPhase::Finishing | TaskPhase::Ended);
    let (flag, error_code, error_message) = flag_and_error(task, phase);
    // In the order of the documented sample.
    success(&json!({
        "taskId": task.id,
        "paramJson": task_parameters(task, base).to_string(),
        "completeTime": is_completed.then(|| task.completed_at()),
        "response": response_field(task, now, base),
        "successFlag": flag,
        "createTime": task.created_at,
        "errorCode": error_code,
        "errorMessage": error_message,
    }))
}

/// Returns the fields `successFlag`, `errorCode` and `errorMessage`.
fn flag_and_error(task: &SimulatedTask, phase: TaskPhase) -> (u8, Option<u16>, Option<String>) {
    match phase {
        TaskPhase::UnknownFlag => return (7, None, None),
        TaskPhase::Invisible | TaskPhase::Running | TaskPhase::Finishing => return (0, None, None),
        TaskPhase::Ended => {}
    }
    match task.outcome {
        TaskOutcome::Succeeded(_) => (1, None, None),
        TaskOutcome::CreateFailed(message) => (2, Some(422), Some(message.to_owned())),
        TaskOutcome::GenerateFailed(message) | TaskOutcome::Error501(message) => {
            (3, Some(500), Some(message.to_owned()))
        }
        TaskOutcome::CallbackFailed(_) => {
            let to = task.callback.as_deref().unwrap_or("the callback address");
            let message = format!("Callback failed: {to} answered 502 to all of 3 tries");
            (4, None, Some(message))
        }
    }
}

/// Returns the parameters of the create request. A callback appears only if there is one.
fn task_parameters(task: &SimulatedTask, base: &Url) -> Value {
    let fields = [
        ("callBackUrl", task.callback.clone()),
        ("prompt", Some(task.prompt.clone())),
        ("videoUrl", Some(input_url(task, base))),
        ("waterMark", Some(task.watermark.clone())),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Returns the videos of a task that finished with flag 1 or 4, else null.
fn response_field(task: &SimulatedTask, now: Millis, base: &Url) -> Value {
    let is_success = matches!(
        task.outcome,
        TaskOutcome::Succeeded(_) | TaskOutcome::CallbackFailed(_)
    );
    if !is_success || task.phase(now) != TaskPhase::Ended {
        return Value::Null;
    }
    let results: Vec<_> = (0..task.video_count(now))
        .map(|number| media_url(base, &task.id, MediaFile::Result(number)))
        .collect();
    json!({
        "taskId": task.id,
        "originUrls": [input_url(task, base)],
        "resultUrls": results,
    })
}

fn input_url(task: &SimulatedTask, base: &Url) -> String {
    let own = || media_url(base, &task.id, MediaFile::Input);
    task.input_url.clone().unwrap_or_else(own)
}

fn media_url(base: &Url, id: &str, file: MediaFile) -> String {
    match file {
        MediaFile::Input => format!("{base}media/{id}-origin.mp4"),
        MediaFile::Result(number) => format!("{base}media/{id}-{number}.mp4"),
    }
}

/// Parses the name of a media file into the task id and the file.
pub(super) fn parse_media_name(name: &str) -> Option<(&str, MediaFile)> {
    let (id, file) = name.strip_suffix(".mp4")?.rsplit_once('-')?;
    if file == "origin" {
        return Some((id, MediaFile::Input));
    }
    Some((id, MediaFile::Result(file.parse().ok()?)))
}

/// Parses a result URL of this server into the task id and the file.
pub(super) fn parse_result_url<'a>(url: &'a str, base: &Url) -> Option<(&'a str, MediaFile)> {
    let name = url.strip_prefix(base.as_str())?.strip_prefix("media/")?;
    let name = name.split(['?', '#']).next()?;
    parse_media_name(name).filter(|(_, file)| *file != MediaFile::Input)
}

/// Returns a link to a video that expires 20 minutes after `now`.
pub(super) fn download_link(base: &Url, id: &str, file: MediaFile, now: Millis) -> String {
    let url = media_url(base, id, file);
    format!("{url}?{EXPIRY_PARAMETER}={}", now + DOWNLOAD_LINK_LIFETIME)
}

/// Reports whether the query of a media request belongs to a renewed link that has expired.
pub(super) fn is_link_expired(query: &HashMap<String, String>, now: Millis) -> bool {
    let expires_at = query.get(EXPIRY_PARAMETER).map(|text| text.parse());
    matches!(expires_at, Some(Ok(expires_at)) if now >= expires_at)
}

/// Parses the body of a create request.
pub(super) fn parse_create_request(body: &[u8]) -> Result<CreateRequest, &'static str> {
    let Ok(request) = serde_json::from_slice::<CreateRequest>(body) else {
        return Err("the body is not JSON with prompt and videoUrl");
    };
    if request.prompt.trim().is_empty() {
        return Err("prompt is required");
    }
    if !Url::parse(&request.video_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Err("videoUrl is not a public http or https address");
    }
    Ok(request)
}

/// Parses the `url` field of a download-url request.
pub(super) fn parse_url_field(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.get("url").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::media::DemoClip;
    use super::*;

    fn base() -> Url {
        Url::parse("http://127.0.0.1:9/").unwrap()
    }

    fn task(outcome: TaskOutcome) -> SimulatedTask {
        SimulatedTask {
            id: "774d".into(),
            prompt: "\"quoted\" \u{1b}[31m".into(),
            clip: DemoClip::Lamp,
            input_url: None,
            callback: None,
            watermark: "w".into(),
            created_at: 1000,
            hidden_for: 0,
            unknown_flag_for: 0,
            run_time: 500,
            flag_delay: 0,
            outcome,
        }
    }

    #[test]
    fn a_success_has_the_documented_fields_in_order() {
        let answer = record_info(&task(TaskOutcome::Succeeded(1)), 1500, &base());

        assert_eq!(
            answer.to_string(),
            concat!(
                r#"{"code":200,"msg":"success","data":{"taskId":"774d","#,
                r#""paramJson":"{\"prompt\":\"\\\"quoted\\\" \\u001b[31m\","#,
                r#"\"videoUrl\":\"http://127.0.0.1:9/media/774d-origin.mp4\",\"waterMark\":\"w\"}","#,
                r#""completeTime":1500,"response":{"taskId":"774d","#,
                r#""originUrls":["http://127.0.0.1:9/media/774d-origin.mp4"],"#,
                r#""resultUrls":["http://127.0.0.1:9/media/774d-0.mp4"]},"#,
                r#""successFlag":1,"createTime":1000,"errorCode":null,"errorMessage":null}}"#,
            )
        );
    }

    #[test]
    fn only_own_result_urls_are_recognised() {
        let base = base();
        let read = |url| parse_result_url(url, &base);

        assert_eq!(
            read("http://127.0.0.1:9/media/ab-1.mp4?fresh=3"),
            Some(("ab", MediaFile::Result(1)))
        );
        assert_eq!(read("http://127.0.0.1:9/media/ab-origin.mp4"), None);
        assert_eq!(read("http://127.0.0.1:9/other/ab-1.mp4"), None);
        assert_eq!(read("https://example.com/media/ab-1.mp4"), None);
    }

    #[test]
    fn a_renewed_link_expires_after_twenty_minutes() {
        let url = download_link(&base(), "ab", MediaFile::Result(0), 1000);
        let query = Url::parse(&url)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect();

        assert!(!is_link_expired(&query, 1000 + DOWNLOAD_LINK_LIFETIME - 1));
        assert!(is_link_expired(&query, 1000 + DOWNLOAD_LINK_LIFETIME));
        assert!(!is_link_expired(&HashMap::new(), Millis::MAX));
    }
}
