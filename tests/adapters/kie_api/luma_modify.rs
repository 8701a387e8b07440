//! The Luma Modify record: every flag, and every spelling of every field.

use std::time::Duration;

use jiff::Timestamp;
use kietop::domain::{
    link::{Link, Links},
    poll_result::{Observation, PollError, PollResult},
    task::{CallbackStatus, FailureStage, Family, SuccessFlag, Task, TaskDetails, TaskState},
    text::CleanText,
    watched_task::WatchedTask,
};
use serde_json::{Value, json};

use super::{ID, clean_line, envelope::interpret_body, id, rate_limited};

pub(crate) const VIDEO: &str =
    "https://tempfile.aiquickdraw.com/l/f782018c-6be4-4990-96ba-7231cd5a39e7.mp4";

/// Parses a record in an envelope with code 200.
fn parse_record(record: &Value) -> Observation {
    interpret_body(200, json!({"code": 200, "data": record}).to_string()).unwrap()
}

pub(crate) fn fixture_answer(name: &str) -> PollResult {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    interpret_body(200, std::fs::read(path).unwrap())
}

pub(crate) fn succeeded(callback: CallbackStatus) -> TaskState {
    TaskState::Succeeded {
        videos: Links::parse([VIDEO]),
        callback,
    }
}

pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[test]
fn the_documented_example_is_read_whole() {
    let seen = fixture_answer("succeeded").unwrap();

    let expected = TaskDetails {
        flag: Some(SuccessFlag::Number(1)),
        prompt: Some(clean_line("A futuristic cityscape")),
        callback: Some(clean_line("https://example.com/callback")),
        watermark: Some(clean_line("")),
        input: Some(Link::parse("https://example.com/video.mp4")),
        origin_urls: Links::parse([
            "https://tempfile.aiquickdraw.com/kieai/file/veo3-video/1755074605154fqb0m8ge.mp4",
        ]),
        created: timestamp("2025-08-13T09:42:51Z"),
        completed: timestamp("2025-08-13T09:48:00Z"),
        ..TaskDetails::default()
    };
    assert_eq!(seen.state, succeeded(CallbackStatus::Delivered));
    assert_eq!(seen.details, expected);
    let raw: Value = serde_json::from_str(&seen.raw).unwrap();
    assert_eq!(raw["taskId"], ID);

    let again = fixture_answer("succeeded").unwrap();
    let task = Task::from_stored(id(), Family::LumaModify, again.state, again.details);
    assert_eq!(task.run_time(), Some(Duration::from_secs(5 * 60 + 9)));
}

#[test]
fn every_state_has_its_fixture() {
    let failed = |stage| TaskState::Failed { stage };
    let table = [
        (
            "running",
            TaskState::Running {
                is_finishing: false,
            },
        ),
        ("finishing", TaskState::Running { is_finishing: true }),
        ("succeeded", succeeded(CallbackStatus::Delivered)),
        ("rescued", succeeded(CallbackStatus::Failed)),
        ("create_failed", failed(FailureStage::Creation)),
        ("generate_failed", failed(FailureStage::Generation)),
        ("generation_failed_501", failed(FailureStage::Generation)),
    ];
    for (name, state) in table {
        assert_eq!(fixture_answer(name).unwrap().state, state, "{name}");
    }
    for name in ["unknown_null", "unknown_422", "unknown_404"] {
        assert_eq!(fixture_answer(name), Err(PollError::NotFound), "{name}");
    }
    let refused = Err(PollError::Unauthorized(401));
    assert_eq!(fixture_answer("unauthorized"), refused);
    assert_eq!(fixture_answer("rate_limited"), rate_limited(429, None));
}

#[test]
fn the_sister_endpoint_spelling_is_equivalent() {
    let (plain, other) = (
        fixture_answer("succeeded").unwrap(),
        fixture_answer("sister_spelling").unwrap(),
    );

    assert_eq!(other.state, plain.state);
    assert_eq!(other.details, plain.details);
}

// F52, F53, F54, F55, F56, F57, F65
#[test]
fn success_flags_alone_decide() {
    let running = |is_finishing| TaskState::Running { is_finishing };
    let delivered = || succeeded(CallbackStatus::Delivered);
    let urls = json!({"resultUrls": [VIDEO]});
    let done = 1_755_078_480_000_i64;
    let table = [
        (json!({"successFlag": 0}), running(false)),
        (
            json!({"successFlag": "0", "completeTime": 0}),
            running(false),
        ),
        (
            json!({"successFlag": 0, "completeTime": done}),
            running(true),
        ),
        (json!({"successFlag": 0, "response": urls}), running(true)),
        (json!({"successFlag": 1, "response": urls}), delivered()),
        (json!({"successFlag": "1", "response": urls}), delivered()),
        (json!({"successFlag": 1.0, "response": urls}), delivered()),
        (
            json!({"successFlag": 4, "response": urls}),
            succeeded(CallbackStatus::Failed),
        ),
        (
            json!({"successFlag": 1, "resultUrls": [VIDEO]}),
            delivered(),
        ),
        (
            json!({"successFlag": 7, "response": urls}),
            TaskState::Unrecognised,
        ),
        (json!({"taskId": ID}), TaskState::Unrecognised),
    ];
    let unknown = [
        json!(-1),
        json!(1e30),
        json!(1.5),
        json!("x"),
        json!(true),
        json!(null),
    ];
    let unknown = unknown.map(|flag| (json!({"successFlag": flag}), TaskState::Unrecognised));
    for (data, state) in table.into_iter().chain(unknown) {
        assert_eq!(parse_record(&data).state, state, "{data}");
    }
    let flag = |flag: Value| {
        parse_record(&json!({"taskId": ID, "successFlag": flag}))
            .details
            .flag
    };
    assert_eq!(flag(json!(7)), Some(SuccessFlag::Number(7)));
    assert_eq!(flag(json!("x")), Some(SuccessFlag::Word(clean_line("x"))));
    assert_eq!(flag(json!(null)), None);
}

// F53
#[test]
fn a_success_without_a_link_is_a_success() {
    let urls = [json!(null), json!([]), json!(""), json!([""]), json!(7)];
    let records = urls.map(|urls| json!({"resultUrls": urls}));
    for response in [json!(null), json!({}), json!([]), json!("{")]
        .into_iter()
        .chain(records)
    {
        for (flag, callback) in [(1, CallbackStatus::Delivered), (4, CallbackStatus::Failed)] {
            let state = parse_record(&json!({"successFlag": flag, "response": response})).state;
            let videos = Links::default();
            let expected = TaskState::Succeeded { videos, callback };
            assert_eq!(state, expected, "{response}");
        }
    }
}

// F67
#[test]
fn unsafe_links_are_shown_but_not_opened() {
    let table = [
        "ftp://example.com/a.mp4",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vscode://x/y",
        "https://user@example.com/a.mp4",
        "https://user:pass@example.com/a.mp4",
        "https://tempfile.example.com@evil.example/a.mp4",
        "//example.com/a.mp4",
        "/a.mp4",
        "https://",
        "http://192.168.0.1/reset",
        "http://10.1.2.3/a.mp4",
        "http://172.16.0.1/a.mp4",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/a.mp4",
        "http://0.0.0.0/a.mp4",
        "http://0xa000001/a.mp4",
        "http://[fe80::1]/a.mp4",
        "http://[fd00::1]/a.mp4",
        "http://[::ffff:192.168.0.1]/a.mp4",
    ];
    for url in table {
        let seen = parse_record(&json!({"successFlag": 1, "response": {"resultUrls": [url]}}));
        assert_eq!(seen.state.videos().count(), 0, "{url}");
        let TaskState::Succeeded { videos, .. } = seen.state else {
            panic!("{url} is no success");
        };
        assert_eq!(videos.iter().count(), 1, "{url} is shown");
    }
    for url in [
        VIDEO,
        // Kept as a link; whether it may be opened depends on the API's address, and is checked
        // then.
        "http://127.0.0.1:4010/a.mp4",
        "https://172.32.0.1/a.mp4",
        "https://[2001:db8::1]/a.mp4",
        "https://ex.com/a\u{1b}[2J\u{202e}\n.mp4",
    ] {
        let seen = parse_record(&json!({"successFlag": 1, "response": {"resultUrls": [url]}}));
        let link = seen.state.videos().next().unwrap().as_str().to_owned();
        assert!(link.bytes().all(|b| b.is_ascii_graphic()), "{link}");
    }
}

// F66, F67
#[test]
fn links_are_capped_and_dangerous_ones_refused() {
    let urls = vec![VIDEO; 10_000];
    let TaskState::Succeeded { videos, .. } =
        parse_record(&json!({"successFlag": 1, "response": {"resultUrls": urls}})).state
    else {
        panic!("no success");
    };
    assert_eq!((videos.iter().count(), videos.omitted()), (32, 9968));

    let bad = ["javascript:alert(1)", "https://u:p@x/", "\u{1b}]8;;x"];
    let seen = parse_record(&json!({
        "successFlag": 1, "response": {"resultUrls": bad, "originUrls": "file:///etc/passwd"},
    }));
    let TaskState::Succeeded { videos, .. } = &seen.state else {
        panic!("no success");
    };
    assert_eq!(videos.iter().count(), 3);
    for links in [videos, &seen.details.origin_urls] {
        assert!(links.lacks_video() && !links.is_empty());
        assert!(links.iter().all(|link| !link.as_str().contains('\u{1b}')));
    }
}

// F59, F60, F61
#[test]
fn texts_are_cleaned_and_capped() {
    let prompt = "語".repeat(100_000);
    let seen = parse_record(&json!({
        "successFlag": 3,
        "errorCode": {"code": 7},
        "errorMessage": format!("\u{1b}[31m e{}\r\nline\u{202e} {}", "\u{301}".repeat(999), "x".repeat(500_000)),
        "paramJson": {"prompt": prompt},
    }));

    let message = seen.details.error_message.unwrap();
    let message = message.as_str();
    assert!(message.starts_with("␛[31m e\u{301}\u{301}\u{301}\u{301} line<U+202E> xxx"));
    assert!(message.len() <= 4096 && message.ends_with('…'));
    assert_eq!(seen.details.error_code, Some(clean_line(r#"{"code":7}"#)));
    let prompt = seen.details.prompt.unwrap();
    assert!((16_000..=16_384).contains(&prompt.as_str().len()));
    assert!((65_000..=65_536).contains(&seen.raw.len()));
}

// F59
#[test]
fn error_codes_and_messages_may_have_any_type() {
    let table = [
        (json!(null), None),
        (json!(""), None),
        (json!("  "), None),
        (json!(500), Some("500")),
        (json!(-1.5), Some("-1.5")),
        (json!("E_1"), Some("E_1")),
        (json!(true), Some("true")),
        (json!([1, "a"]), Some(r#"[1,"a"]"#)),
        (json!({"reason": "nsfw"}), Some(r#"{"reason":"nsfw"}"#)),
        (json!("a\r\nb\tc\u{0}"), Some("a b c␀")),
    ];
    for (value, text) in table {
        let details = parse_record(&json!({
            "successFlag": 3, "errorCode": value, "errorMessage": value,
        }))
        .details;
        let shown = |text: &Option<CleanText>| text.as_ref().map(ToString::to_string);
        assert_eq!(shown(&details.error_code).as_deref(), text, "{value}");
        assert_eq!(shown(&details.error_message).as_deref(), text, "{value}");
    }
    let huge = parse_record(&json!({"successFlag": 3, "errorCode": "9".repeat(1 << 20)})).details;
    assert!(huge.error_code.unwrap().as_str().len() <= 2048);
}

// F61
#[test]
fn unreadable_parameters_are_unknown() {
    let texts = ["not json", "", "[1]", "{\"prompt\":"].map(|text| json!(text));
    for param in texts.into_iter().chain([json!(null), json!([1]), json!(7)]) {
        let details = parse_record(&json!({"successFlag": 0, "paramJson": param})).details;
        let found = (details.prompt, details.input, details.callback);
        assert_eq!(found, (None, None, None), "{param}");
    }
    let inner = json!({"prompt": "one\ntwo", "videoUrl": "ftp://x/y", "watermark": "me", "callBackUrl": ""});
    for param in [
        inner.clone(),
        json!(inner.to_string()),
        json!(json!(inner.to_string()).to_string()),
    ] {
        let details = parse_record(&json!({"successFlag": 0, "paramJson": param})).details;
        assert_eq!(details.prompt, Some(CleanText::block("one\ntwo", 99)));
        assert_eq!(details.input, Some(Link::parse("ftp://x/y")));
        assert_eq!(details.watermark, Some(clean_line("me")));
        assert_eq!(details.callback, None);
    }
}

// F62, F63, F64
#[test]
fn only_plausible_times_are_stored() {
    let took = |created: Value, completed: Value| {
        let seen = parse_record(&json!({
            "successFlag": 1, "createTime": created, "completeTime": completed,
        }));
        let times = (seen.details.created, seen.details.completed);
        let task = Task::from_stored(id(), Family::LumaModify, seen.state, seen.details);
        (times, task.run_time())
    };
    let (early, late) = (
        timestamp("2025-08-13T09:42:51Z"),
        timestamp("2025-08-13T09:48:00Z"),
    );
    let span = Some(Duration::from_secs(309));

    // A time ahead of our clock is kept: a clock may be wrong.
    let ahead = timestamp("2090-01-01T00:00:00Z");
    let (created, completed) = (1_755_078_171, 1_755_078_480);
    for (first, second, times, run_time) in [
        (
            json!(created),
            json!("2025-08-13T09:48:00"),
            (early, late),
            span,
        ),
        (json!(completed), json!(created), (late, early), None),
        (json!(-1), json!(i64::MAX), (None, None), None),
        (json!(0), json!(1_755_078_480_000_i64), (None, late), None),
        (
            json!("2090-01-01T00:00:00Z"),
            json!(null),
            (ahead, None),
            None,
        ),
    ] {
        let context = format!("{first} {second}");
        assert_eq!(took(first, second), (times, run_time), "{context}");
    }
}

/// Returns poll results for one task: good, broken, for other tasks, and of wrong types.
fn sample_results() -> Vec<PollResult> {
    let urls = |n: usize| json!({"resultUrls": [format!("https://ex.com/{n}.mp4")]});
    let mut bodies: Vec<_> = (0..5)
        .flat_map(|flag| {
            [
                json!({"code": 200, "data": {"successFlag": flag}}),
                json!({"code": 200, "data": {"successFlag": flag, "response": urls(flag)}}),
                json!({"code": 501, "msg": "m", "data": {"successFlag": flag}}),
            ]
        })
        .collect();
    for data in [
        json!(null),
        json!({}),
        json!([1]),
        json!("x"),
        json!({"successFlag": 7}),
        json!({"successFlag": null, "response": urls(9)}),
        json!({"successFlag": 1, "response": {"resultUrls": ["javascript:alert(1)"]}}),
        json!({"successFlag": 1, "taskId": "another", "response": urls(8)}),
    ] {
        bodies.push(json!({"code": 200, "data": data}));
    }
    for code in [401, 404, 422, 429, 455, 500, 999] {
        bodies.push(json!({"code": code, "msg": "is null"}));
    }
    let mut results: Vec<_> = bodies
        .iter()
        .map(|body| interpret_body(200, body.to_string()))
        .collect();
    results.extend([
        interpret_body(404, "<html>"),
        interpret_body(502, ""),
        interpret_body(200, "{\"code\":200"),
    ]);
    results
}

// F58, F68
#[test]
fn any_answer_order_keeps_final_states_and_links() {
    let results = sample_results();
    let added = timestamp("2025-08-13T09:40:00Z").unwrap();
    let now = timestamp("2025-08-13T10:00:00Z").unwrap();
    let (mut random, mut finished) = (0x5d1f_u64, 0);
    for _ in 0..2000 {
        let mut watched = WatchedTask::new(Task::new(id(), Family::LumaModify), None, added);
        for _ in 0..50 {
            let before = watched.task.clone();
            // Such a sequence can occur, for example, with two servers that disagree.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let choice = usize::try_from(random >> 33).unwrap() % results.len();

            watched.apply_answer(&results[choice], now);

            let (was, is) = (before.state(), watched.task.state());
            let result = &results[choice];
            let has_video = |state: &TaskState| state.videos().next().is_some();
            let step = format!("{was:?} by {result:?} {is:?}");
            assert!(is.is_final() || !was.is_final(), "{step}");
            assert!(has_video(is) || !has_video(was), "{step}");
            if result.is_err() {
                assert!(is == was || is.name() == "not_found", "{step}");
                assert_eq!(before.details(), watched.task.details());
            }
        }
        finished += usize::from(watched.task.state().is_final());
    }
    assert_eq!(finished, 2000, "every task finishes for good");
}
