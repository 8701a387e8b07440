//! The record of Luma Modify: every flag, and every spelling of every field.

use std::time::Duration;

use jiff::Timestamp;
use kietop::domain::{
    link::{Link, Links},
    report::{Answer, Observation, PollError},
    task::{Delivery, FailedStage, Family, Flag, Task, TaskState},
    text::CleanText,
    watched::Watched,
};
use serde_json::{Value, json};

use super::{ID, envelope::judge, id, limited, line};

pub(crate) const VIDEO: &str =
    "https://tempfile.aiquickdraw.com/l/f782018c-6be4-4990-96ba-7231cd5a39e7.mp4";

/// Judges a record in an envelope that says 200.
fn record(record: &Value) -> Observation {
    judge(200, json!({"code": 200, "data": record}).to_string()).unwrap()
}

pub(crate) fn fixture(name: &str) -> Answer {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    judge(200, std::fs::read(path).unwrap())
}

pub(crate) fn succeeded(delivery: Delivery) -> TaskState {
    TaskState::Succeeded {
        videos: Links::parse([VIDEO]),
        delivery,
    }
}

pub(crate) fn at(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[test]
fn the_documented_example_is_read_whole() {
    let seen = fixture("succeeded").unwrap();

    assert_eq!(seen.state, succeeded(Delivery::Done));
    assert_eq!(seen.facts.flag, Some(Flag::Number(1)));
    assert_eq!(seen.facts.prompt, Some(line("A futuristic cityscape")));
    assert_eq!(
        seen.facts.source,
        Some(Link::parse("https://example.com/video.mp4"))
    );
    assert_eq!(
        seen.facts.callback,
        Some(line("https://example.com/callback"))
    );
    assert_eq!(seen.facts.watermark, Some(line("")));
    assert_eq!(
        seen.facts.origins,
        Links::parse([
            "https://tempfile.aiquickdraw.com/kieai/file/veo3-video/1755074605154fqb0m8ge.mp4"
        ])
    );
    assert_eq!(
        (seen.facts.error_code, seen.facts.error_message),
        (None, None)
    );
    let raw: Value = serde_json::from_str(&seen.raw).unwrap();
    assert_eq!(raw["taskId"], ID);

    let again = fixture("succeeded").unwrap();
    let task = Task::restored(id(), Family::LumaModify, again.state, again.facts);
    assert_eq!(task.took(), Some(Duration::from_secs(5 * 60 + 9)));
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
        ("succeeded", succeeded(Delivery::Done)),
        ("rescued", succeeded(Delivery::CallbackFailed)),
        ("create_failed", failed(FailedStage::Creation)),
        ("generate_failed", failed(FailedStage::Generation)),
        ("generation_failed_501", failed(FailedStage::Generation)),
    ];
    for (name, state) in table {
        assert_eq!(fixture(name).unwrap().state, state, "{name}");
    }
    for name in ["unknown_null", "unknown_422", "unknown_404"] {
        assert_eq!(fixture(name), Err(PollError::NotFound), "{name}");
    }
    assert_eq!(fixture("unauthorized"), Err(PollError::Unauthorized(401)));
    assert_eq!(fixture("rate_limited"), limited(429, None));
}

#[test]
fn the_sister_endpoints_spelling_tells_the_same() {
    let (plain, other) = (
        fixture("succeeded").unwrap(),
        fixture("sister_spelling").unwrap(),
    );

    assert_eq!(other.state, plain.state);
    assert_eq!(other.facts, plain.facts);
}

// F52, F53, F54, F55, F56, F57, F65
#[test]
fn flags_decide_alone() {
    let running = |is_finishing| TaskState::Running { is_finishing };
    let urls = json!({"resultUrls": [VIDEO]});
    let table = [
        (json!({"successFlag": 0}), running(false)),
        (
            json!({"successFlag": "0", "completeTime": 0}),
            running(false),
        ),
        (
            json!({"successFlag": 0, "completeTime": 1_755_078_480_000_i64}),
            running(true),
        ),
        (json!({"successFlag": 0, "response": urls}), running(true)),
        (
            json!({"successFlag": 1, "response": urls}),
            succeeded(Delivery::Done),
        ),
        (
            json!({"successFlag": "1", "response": urls}),
            succeeded(Delivery::Done),
        ),
        (
            json!({"successFlag": 1.0, "response": urls}),
            succeeded(Delivery::Done),
        ),
        (
            json!({"successFlag": 4, "response": urls}),
            succeeded(Delivery::CallbackFailed),
        ),
        (
            json!({"successFlag": 1, "resultUrls": [VIDEO]}),
            succeeded(Delivery::Done),
        ),
        (
            json!({"successFlag": 7, "response": urls}),
            TaskState::Unrecognised,
        ),
        (json!({"successFlag": -1}), TaskState::Unrecognised),
        (json!({"successFlag": 1e30}), TaskState::Unrecognised),
        (json!({"successFlag": 1.5}), TaskState::Unrecognised),
        (json!({"successFlag": "x"}), TaskState::Unrecognised),
        (json!({"successFlag": true}), TaskState::Unrecognised),
        (json!({"successFlag": null}), TaskState::Unrecognised),
        (json!({"taskId": ID}), TaskState::Unrecognised),
    ];
    for (data, state) in table {
        assert_eq!(record(&data).state, state, "{data}");
    }
    let flag = |flag: Value| {
        record(&json!({"taskId": ID, "successFlag": flag}))
            .facts
            .flag
    };
    assert_eq!(flag(json!(7)), Some(Flag::Number(7)));
    assert_eq!(flag(json!("x")), Some(Flag::Word(line("x"))));
    assert_eq!(flag(json!(null)), None);
}

// F53
#[test]
fn a_success_without_a_link_is_a_success() {
    for response in [
        json!(null),
        json!({}),
        json!([]),
        json!("{"),
        json!({"resultUrls": null}),
        json!({"resultUrls": []}),
        json!({"resultUrls": ""}),
        json!({"resultUrls": [""]}),
        json!({"resultUrls": 7}),
    ] {
        for (flag, delivery) in [(1, Delivery::Done), (4, Delivery::CallbackFailed)] {
            let state = record(&json!({"successFlag": flag, "response": response})).state;
            let videos = Links::default();
            assert_eq!(
                state,
                TaskState::Succeeded { videos, delivery },
                "{response}"
            );
        }
    }
}

// F67
#[test]
fn links_that_a_click_must_not_follow_are_shown_only() {
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
        let seen = record(&json!({"successFlag": 1, "response": {"resultUrls": [url]}}));
        assert_eq!(seen.state.videos().count(), 0, "{url}");
        let TaskState::Succeeded { videos, .. } = seen.state else {
            panic!("{url} is no success");
        };
        assert_eq!(videos.iter().count(), 1, "{url} is shown");
    }
    for url in [
        VIDEO,
        // Kept as a link; whether it may be followed depends on where the API is, and is asked when it is opened.
        "http://127.0.0.1:4010/a.mp4",
        "https://172.32.0.1/a.mp4",
        "https://[2001:db8::1]/a.mp4",
        "https://ex.com/a\u{1b}[2J\u{202e}\n.mp4",
    ] {
        let seen = record(&json!({"successFlag": 1, "response": {"resultUrls": [url]}}));
        let link = seen.state.videos().next().unwrap().as_str().to_owned();
        assert!(link.bytes().all(|b| b.is_ascii_graphic()), "{link}");
    }
}

// F66, F67
#[test]
fn links_are_capped_and_dangerous_ones_refused() {
    let urls = vec![VIDEO; 10_000];
    let TaskState::Succeeded { videos, .. } =
        record(&json!({"successFlag": 1, "response": {"resultUrls": urls}})).state
    else {
        panic!("no success");
    };
    assert_eq!((videos.iter().count(), videos.left_out()), (32, 9968));

    let bad = [
        "javascript:alert(1)",
        "ftp://x/y",
        "https://u:p@x/",
        "\u{1b}]8;;x",
    ];
    let seen = record(&json!({
        "successFlag": 1, "response": {"resultUrls": bad, "originUrls": "file:///etc/passwd"},
    }));
    let TaskState::Succeeded { videos, .. } = &seen.state else {
        panic!("no success");
    };
    assert_eq!(videos.iter().count(), 4);
    for links in [videos, &seen.facts.origins] {
        assert!(links.has_no_video() && !links.is_empty());
        assert!(links.iter().all(|link| !link.as_str().contains('\u{1b}')));
    }
}

// F59, F60, F61
#[test]
fn texts_are_cleaned_and_capped() {
    let prompt = "語".repeat(100_000);
    let seen = record(&json!({
        "successFlag": 3,
        "errorCode": {"code": 7},
        "errorMessage": format!("\u{1b}[31m e{}\r\nline\u{202e} {}", "\u{301}".repeat(999), "x".repeat(500_000)),
        "paramJson": {"prompt": prompt},
    }));

    let message = seen.facts.error_message.unwrap();
    assert!(
        message
            .as_str()
            .starts_with("␛[31m e\u{301}\u{301}\u{301}\u{301} line<U+202E> xxx")
    );
    assert!(message.as_str().len() <= 4096 && message.as_str().ends_with('…'));
    assert_eq!(seen.facts.error_code, Some(line(r#"{"code":7}"#)));
    let prompt = seen.facts.prompt.unwrap();
    assert!((16_000..=16_384).contains(&prompt.as_str().len()));
    assert!((65_000..=65_536).contains(&seen.raw.len()));
}

// F59
#[test]
fn error_codes_and_messages_come_as_anything() {
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
        let facts = record(&json!({
            "successFlag": 3, "errorCode": value, "errorMessage": value,
        }))
        .facts;
        assert_eq!(facts.error_code.as_ref().map(CleanText::as_str), text);
        assert_eq!(
            facts.error_message.as_ref().map(CleanText::as_str),
            text,
            "{value}"
        );
    }
    let huge = record(&json!({"successFlag": 3, "errorCode": "9".repeat(1 << 20)})).facts;
    assert!(huge.error_code.unwrap().as_str().len() <= 2048);
}

// F61
#[test]
fn unreadable_parameters_are_just_unknown() {
    for param in [
        json!("not json"),
        json!(null),
        json!(""),
        json!([1]),
        json!("[1]"),
        json!(7),
        json!("{\"prompt\":"),
    ] {
        let facts = record(&json!({"successFlag": 0, "paramJson": param})).facts;
        assert_eq!(
            (facts.prompt, facts.source, facts.callback),
            (None, None, None),
            "{param}"
        );
    }
    let inner = json!({"prompt": "one\ntwo", "videoUrl": "ftp://x/y", "watermark": "me", "callBackUrl": ""});
    for param in [
        inner.clone(),
        json!(inner.to_string()),
        json!(json!(inner.to_string()).to_string()),
    ] {
        let facts = record(&json!({"successFlag": 0, "paramJson": param})).facts;
        assert_eq!(facts.prompt, Some(CleanText::block("one\ntwo", 99)));
        assert_eq!(facts.source, Some(Link::parse("ftp://x/y")));
        assert_eq!(facts.watermark, Some(line("me")));
        assert_eq!(facts.callback, None);
    }
}

// F62, F63, F64
#[test]
fn times_are_stored_only_when_they_can_be_true() {
    let took = |created: Value, completed: Value| {
        let seen = record(&json!({
            "successFlag": 1, "createTime": created, "completeTime": completed,
        }));
        let times = (seen.facts.created, seen.facts.completed);
        let task = Task::restored(id(), Family::LumaModify, seen.state, seen.facts);
        (times, task.took())
    };
    let (early, late) = (at("2025-08-13T09:42:51Z"), at("2025-08-13T09:48:00Z"));
    let span = Some(Duration::from_secs(309));

    assert_eq!(
        took(json!(1_755_078_171), json!("2025-08-13T09:48:00")),
        ((early, late), span)
    );
    assert_eq!(
        took(json!(1_755_078_480), json!(1_755_078_171)),
        ((late, early), None)
    );
    assert_eq!(took(json!(-1), json!(i64::MAX)), ((None, None), None));
    assert_eq!(
        took(json!(0), json!(1_755_078_480_000_i64)),
        ((None, late), None)
    );
    for odd in [
        json!("-0"),
        json!(-0.0),
        json!(1e300),
        json!("1755078171x"),
        json!(true),
        json!([1_755_078_171]),
        json!("2019-12-31T23:59:59Z"),
        json!("9999-12-31T23:59:59Z"),
        json!(""),
    ] {
        assert_eq!(
            took(odd.clone(), json!(null)),
            ((None, None), None),
            "{odd}"
        );
    }
    assert_eq!(
        took(json!(1.755_078_171e12), json!("1755078480000")),
        ((early, late), span)
    );
    // Ahead of our clock: that is the clocks' matter, and kept as it was told.
    let ahead = at("2090-01-01T00:00:00Z");
    assert_eq!(
        took(json!("2090-01-01T00:00:00Z"), json!(null)),
        ((ahead, None), None)
    );
}

/// Returns what may be told of one task, one answer after the other: good, broken, for others, and of the wrong kind.
fn anything() -> Vec<Answer> {
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
    let mut answers: Vec<_> = bodies
        .iter()
        .map(|body| judge(200, body.to_string()))
        .collect();
    answers.extend([
        judge(404, "<html>"),
        judge(502, ""),
        judge(200, "{\"code\":200"),
    ]);
    answers
}

// F58, F68
#[test]
fn whatever_is_told_in_whatever_order_no_ending_and_no_link_is_lost() {
    let answers = anything();
    let added = at("2025-08-13T09:40:00Z").unwrap();
    let now = at("2025-08-13T10:00:00Z").unwrap();
    let (mut random, mut endings) = (0x5d1f_u64, 0);
    for _ in 0..2000 {
        let mut watched = Watched::new(Task::new(id(), Family::LumaModify), None, added);
        for _ in 0..50 {
            let before = watched.task.clone();
            // Two servers that do not agree with each other are only one way to such a sequence.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let choice = usize::try_from(random >> 33).unwrap() % answers.len();

            watched.learn(&answers[choice], now);

            let (was, is) = (before.state(), watched.task.state());
            let told = &answers[choice];
            assert!(
                is.is_final() || !was.is_final(),
                "{was:?} by {told:?} {is:?}"
            );
            if was.videos().next().is_some() {
                assert!(is.videos().next().is_some(), "{was:?} by {told:?} {is:?}");
            }
            if told.is_err() {
                assert!(
                    is == was || is.name() == "not_found",
                    "{was:?} by {told:?} {is:?}"
                );
                assert_eq!(before.facts(), watched.task.facts());
            }
        }
        endings += usize::from(watched.task.state().is_final());
    }
    assert_eq!(endings, 2000, "each has ended, and once for all");
}
