//! The answers as kie.ai writes them: envelope, record, links. JSON and addresses only.
//!
//! It must not know sockets, headers or what comes between a call and its answer.

use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use super::tasks::{
    CreateRequest, DOWNLOAD_LINK_LIFETIME, MediaFile, Millis, SimulatedTask, SourceVideo,
    TaskOutcome, TaskPhase,
};

/// Names the query parameter that marks a fresh link and holds the moment it ends.
const EXPIRY_PARAMETER: &str = "fresh";

/// Returns an envelope; `code` 200 goes with the message "success".
pub(super) fn envelope(code: u16, message: &str, data: &Value) -> Value {
    json!({ "code": code, "msg": message, "data": data })
}

/// Returns the envelope of a processed call.
pub(super) fn success(data: &Value) -> Value {
    envelope(200, "success", data)
}

/// Returns the envelope of a refused call, without data.
pub(super) fn error_envelope(code: u16, message: &str) -> Value {
    envelope(code, message, &Value::Null)
}

/// Returns the answer to a status call about a task at a moment; URLs start with `base`.
pub(super) fn record_info(plan: &SimulatedTask, now: Millis, base: &Url) -> Value {
    match (plan.phase(now), &plan.outcome) {
        (TaskPhase::Ended, TaskOutcome::Error501(message)) => error_envelope(501, message),
        (phase, _) => success(&record_fields(plan, phase, now, base)),
    }
}

/// Returns the fields of a task in the order of the documentation's sample.
fn record_fields(plan: &SimulatedTask, phase: TaskPhase, now: Millis, base: &Url) -> Value {
    let completed = match phase {
        TaskPhase::Finishing | TaskPhase::Ended => json!(plan.completed_at()),
        TaskPhase::Invisible | TaskPhase::UnknownFlag | TaskPhase::Running => Value::Null,
    };
    let (flag, error_code, error_message) = flag_and_error(plan, phase);
    json!({
        "taskId": plan.id,
        "paramJson": task_parameters(plan, base).to_string(),
        "completeTime": completed,
        "response": response_field(plan, phase, now, base),
        "successFlag": flag,
        "createTime": plan.created_at,
        "errorCode": error_code,
        "errorMessage": error_message,
    })
}

/// Returns flag, error code and error message.
fn flag_and_error(plan: &SimulatedTask, phase: TaskPhase) -> (u8, Value, Value) {
    match phase {
        TaskPhase::UnknownFlag => return (7, Value::Null, Value::Null),
        TaskPhase::Invisible | TaskPhase::Running | TaskPhase::Finishing => {
            return (0, Value::Null, Value::Null);
        }
        TaskPhase::Ended => {}
    }
    match &plan.outcome {
        TaskOutcome::Succeeded(_) => (1, Value::Null, Value::Null),
        TaskOutcome::CreateFailed(message) => (2, json!(422), json!(message)),
        TaskOutcome::GenerateFailed(message) | TaskOutcome::Error501(message) => {
            (3, json!(500), json!(message))
        }
        TaskOutcome::CallbackFailed(_) => {
            let to = plan.callback.as_deref().unwrap_or("the callback address");
            let message = format!("Callback failed: {to} answered 502 to all of 3 tries");
            (4, Value::Null, json!(message))
        }
    }
}

/// Returns the parameters the task was created with; a callback appears only if there is one.
fn task_parameters(plan: &SimulatedTask, base: &Url) -> Value {
    let mut fields = Map::new();
    if let Some(callback) = &plan.callback {
        fields.insert("callBackUrl".to_owned(), json!(callback));
    }
    fields.insert("prompt".to_owned(), json!(plan.prompt));
    fields.insert("videoUrl".to_owned(), json!(input_url(plan, base)));
    fields.insert("waterMark".to_owned(), json!(plan.watermark));
    Value::Object(fields)
}

/// Returns the videos of a task that ended with some or with flag 1, else null.
fn response_field(plan: &SimulatedTask, phase: TaskPhase, now: Millis, base: &Url) -> Value {
    let made = match (phase, &plan.outcome) {
        (TaskPhase::Ended, TaskOutcome::Succeeded(_) | TaskOutcome::CallbackFailed(_)) => {
            plan.video_count(now)
        }
        _ => return Value::Null,
    };
    let results: Vec<String> = (0..made)
        .map(|number| media_url(base, &plan.id, MediaFile::Result(number)))
        .collect();
    json!({
        "taskId": plan.id,
        "originUrls": [input_url(plan, base)],
        "resultUrls": results,
    })
}

fn input_url(plan: &SimulatedTask, base: &Url) -> String {
    match &plan.source {
        SourceVideo::Local => media_url(base, &plan.id, MediaFile::Input),
        SourceVideo::External(url) => url.clone(),
    }
}

fn media_url(base: &Url, id: &str, part: MediaFile) -> String {
    let name = match part {
        MediaFile::Input => format!("media/{id}-origin.mp4"),
        MediaFile::Result(number) => format!("media/{id}-{number}.mp4"),
    };
    format!("{base}{name}")
}

/// Reads the name of a media file back into its task's id and its part.
pub(super) fn parse_media_name(name: &str) -> Option<(&str, MediaFile)> {
    let (id, part) = name.strip_suffix(".mp4")?.rsplit_once('-')?;
    if part == "origin" {
        return Some((id, MediaFile::Input));
    }
    Some((id, MediaFile::Result(part.parse().ok()?)))
}

/// Reads a result URL of this server back into its task's id and its part.
pub(super) fn parse_result_url<'a>(url: &'a str, base: &Url) -> Option<(&'a str, MediaFile)> {
    let name = url.strip_prefix(base.as_str())?.strip_prefix("media/")?;
    let name = name.split(['?', '#']).next()?;
    parse_media_name(name).filter(|(_, part)| *part != MediaFile::Input)
}

/// Returns a link to a video that ends 20 minutes after `now`.
pub(super) fn download_link(base: &Url, id: &str, part: MediaFile, now: Millis) -> String {
    let until = now.saturating_add(DOWNLOAD_LINK_LIFETIME);
    format!("{}?{EXPIRY_PARAMETER}={until}", media_url(base, id, part))
}

/// Returns whether a media request's query is a fresh link that has ended.
pub(super) fn is_link_expired(query: Option<&str>, now: Millis) -> bool {
    let until = query_parameter(query.unwrap_or_default(), EXPIRY_PARAMETER);
    until.is_some_and(|until| until.parse().is_ok_and(|until: Millis| now >= until))
}

/// Returns a parameter of a query string, decoded.
pub(super) fn query_parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// Reads the flat body of a create call, or says what is wrong with it.
pub(super) fn parse_create_request(body: &[u8]) -> Result<CreateRequest, &'static str> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Err("the body is not JSON");
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let prompt = text("prompt").filter(|prompt| !prompt.trim().is_empty());
    let prompt = prompt.ok_or("prompt is required")?;
    let video_url = text("videoUrl").ok_or("videoUrl is required")?;
    let is_web = Url::parse(&video_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !is_web {
        return Err("videoUrl is not a public http or https address");
    }
    Ok(CreateRequest {
        prompt,
        video_url,
        callback: text("callBackUrl").filter(|url| !url.is_empty()),
        watermark: text("watermark").unwrap_or_default(),
    })
}

/// Reads the `url` of a download-url call.
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

    fn plan(ending: TaskOutcome) -> SimulatedTask {
        SimulatedTask {
            id: "774d".into(),
            prompt: "\"quoted\" \u{1b}[31m".into(),
            clip: DemoClip::Lamp,
            source: SourceVideo::Local,
            callback: None,
            watermark: "w".into(),
            created_at: 1000,
            hidden_for: 0,
            unknown_flag_for: 0,
            run_time: 500,
            flag_delay: 0,
            outcome: ending,
        }
    }

    #[test]
    fn a_success_has_the_documented_fields_in_order() {
        let answer = record_info(&plan(TaskOutcome::Succeeded(1)), 1500, &base());

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
    fn a_running_task_has_neither_response_nor_completion() {
        let answer = record_info(&plan(TaskOutcome::Succeeded(1)), 1499, &base());

        assert_eq!(answer["data"]["successFlag"], 0);
        assert_eq!(answer["data"]["response"], Value::Null);
        assert_eq!(answer["data"]["completeTime"], Value::Null);
    }

    #[test]
    fn every_final_state_has_its_flag_or_code() {
        let flag =
            |ending| record_info(&plan(ending), 9000, &base())["data"]["successFlag"].clone();

        assert_eq!(flag(TaskOutcome::Succeeded(0)), 1);
        assert_eq!(flag(TaskOutcome::CreateFailed("m".into())), 2);
        assert_eq!(flag(TaskOutcome::GenerateFailed("m".into())), 3);
        assert_eq!(flag(TaskOutcome::CallbackFailed(1)), 4);
        let refused = record_info(&plan(TaskOutcome::Error501("m".into())), 9000, &base());
        assert_eq!(refused, json!({ "code": 501, "msg": "m", "data": null }));
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
        let query = url.split_once('?').map(|(_, query)| query);

        assert!(!is_link_expired(query, 1000 + DOWNLOAD_LINK_LIFETIME - 1));
        assert!(is_link_expired(query, 1000 + DOWNLOAD_LINK_LIFETIME));
        assert!(!is_link_expired(None, Millis::MAX));
    }

    #[test]
    fn create_requests_are_validated() {
        let order =
            parse_create_request(br#"{"prompt":"p","videoUrl":"https://e.com/v.mp4"}"#).unwrap();

        assert_eq!(order.watermark, "");
        assert!(parse_create_request(b"{").is_err());
        assert!(parse_create_request(br#"{"videoUrl":"https://e.com/v.mp4"}"#).is_err());
        assert!(parse_create_request(br#"{"prompt":"p","videoUrl":"file:///v"}"#).is_err());
    }
}
