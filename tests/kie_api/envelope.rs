//! What an answer means: every code, every status, every kind of broken document.

use std::time::Duration;

use kietop::{
    adapters::kie::envelope::Reply,
    domain::{
        noticed::{Noticed, Oddity},
        report::{Answer, PollError},
        task::{Delivery, FailedStage, Family, Flag, TaskState},
    },
};
use serde_json::{Value, json};

use super::{
    ID, id, limited, line,
    luma_modify::{VIDEO, at, fixture, succeeded},
    malformed, server,
};

pub(crate) fn judge(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    let reply = Reply {
        status,
        retry_after: None,
        body: body.into(),
    };
    reply.judge(&id(), Family::LumaModify, &mut Noticed::default())
}

fn refused(code: i64, message: &str) -> Answer {
    Err(PollError::Refused {
        code,
        message: line(message),
    })
}

// F43, F44, F45, F46, F47, F48, F51
#[test]
fn the_bodys_code_decides() {
    let table = [
        (401, Err(PollError::Unauthorized(401))),
        (403, Err(PollError::Unauthorized(403))),
        (402, Err(PollError::OutOfCredits)),
        (404, Err(PollError::NotFound)),
        (400, refused(400, "words")),
        (422, refused(422, "words")),
        (451, refused(451, "words")),
        (505, refused(505, "words")),
        (429, limited(429, None)),
        (430, limited(430, None)),
        (433, limited(433, None)),
        (455, Err(PollError::Maintenance)),
        (408, server(408, "words")),
        (500, server(500, "words")),
        (299, server(299, "words")),
        (999, server(999, "words")),
        (-1, server(-1, "words")),
        (0, server(0, "words")),
    ];
    for (code, expected) in table {
        let body = json!({"code": code, "msg": "words", "data": {"successFlag": 1}}).to_string();
        // Whatever HTTP says beside it.
        for status in [200, 500] {
            assert_eq!(judge(status, body.clone()), expected, "{code} by {status}");
        }
    }
}

// F15, F17, F18, F19, F20, F50
#[test]
fn the_http_status_decides_where_the_body_does_not() {
    let json = r#"{"code":200,"msg":"ok","data":{"successFlag":1}}"#;
    let codeless = r#"{"msg":"ok","data":{"successFlag":1}}"#;
    let html = "<html><title>trouble</title></html>";
    let unreached = "the gateway cannot reach the server";
    let table = [
        // A page is not the API's: it says nothing of key or credits.
        (
            401,
            Err(PollError::Unauthorized(401)),
            Err(PollError::Blocked(401)),
        ),
        (
            403,
            Err(PollError::Unauthorized(403)),
            Err(PollError::Blocked(403)),
        ),
        (
            402,
            Err(PollError::OutOfCredits),
            Err(PollError::Blocked(402)),
        ),
        (
            407,
            Err(PollError::Blocked(407)),
            Err(PollError::Blocked(407)),
        ),
        (451, server(451, "ok"), Err(PollError::Blocked(451))),
        (404, Err(PollError::NotFound), Err(PollError::WrongAddress)),
        (400, refused(400, "ok"), server(400, "")),
        (422, refused(422, "ok"), server(422, "")),
        (429, limited(429, None), limited(429, None)),
        (
            455,
            Err(PollError::Maintenance),
            Err(PollError::Maintenance),
        ),
        (500, server(500, "ok"), server(500, "")),
        // As an HTTP status it means "not implemented": no word about the generation.
        (501, server(501, "ok"), server(501, "")),
        (505, server(505, "ok"), server(505, "")),
        (502, server(502, "ok"), server(502, "")),
        (503, server(503, "ok"), server(503, "")),
        (504, server(504, "ok"), server(504, "")),
        (520, server(520, "ok"), server(520, unreached)),
        (526, server(526, "ok"), server(526, unreached)),
        (304, server(304, "ok"), server(304, "")),
    ];
    for (status, by_json, by_page) in table {
        assert_eq!(judge(status, json), by_json, "{status}");
        assert_eq!(judge(status, codeless), by_json, "{status}");
        assert_eq!(judge(status, html), by_page, "{status}");
        // Without a body the status speaks for itself.
        let by_silence = match status {
            401..=403 => by_json,
            451 | 520 | 526 => server(status.into(), ""),
            _ => by_page,
        };
        assert_eq!(judge(status, ""), by_silence, "{status}");
    }
}

#[test]
fn half_a_refusal_of_the_api_is_one_and_a_page_of_cloudflare_in_json_is_none() {
    assert_eq!(
        judge(401, r#"{"code":401,"msg":"You do no"#),
        Err(PollError::Unauthorized(401))
    );
    let page = r#"{"title":"Error 1020: Access denied","status":403,"cloudflare_error":true}"#;
    assert_eq!(judge(403, page), Err(PollError::Blocked(403)));
    assert_eq!(judge(200, page).unwrap_err().kind(), "malformed");
}

// F15, F20
#[test]
fn a_server_in_trouble_that_says_when_to_come_back_is_obeyed() {
    let retry_after = Some(Duration::from_secs(7));
    for (status, body, code) in [
        (503, "<html>", 503),
        (200, r#"{"code":500}"#, 500),
        (429, "", 429),
        (200, r#"{"code":429}"#, 429),
    ] {
        let reply = Reply {
            status,
            retry_after,
            body: body.into(),
        };
        assert_eq!(
            reply.judge(&id(), Family::LumaModify, &mut Noticed::default()),
            Err(PollError::RateLimited { code, retry_after })
        );
    }
}

// F42
#[test]
fn codes_in_other_spellings() {
    let data = json!({"successFlag": 0});
    for code in [json!("200"), json!(200.0), json!(" 200 "), Value::Null] {
        let body = json!({"code": code, "data": data}).to_string();
        assert!(judge(200, body).is_ok(), "{code}");
    }
    assert!(judge(200, json!({"data": data}).to_string()).is_ok());
    assert_eq!(
        judge(200, r#"{"code":"401"}"#),
        Err(PollError::Unauthorized(401))
    );
    for code in [
        json!("ok"),
        json!(true),
        json!(1e30),
        json!([200]),
        json!(0.5),
    ] {
        let body = json!({"code": code, "data": data}).to_string();
        assert_eq!(
            judge(200, body),
            malformed("its code is no number"),
            "{code}"
        );
    }
}

// F39, F44, F45
#[test]
fn unknown_tasks_are_told_in_many_ways() {
    for body in [
        json!({"code": 200, "msg": "success", "data": null}),
        json!({"code": 200, "msg": "success"}),
        json!({"code": 200, "data": {}}),
        json!({"code": 200, "data": ""}),
        json!({"code": 200, "data": "null"}),
        json!({"code": 422, "msg": "recordInfo is null"}),
        json!({"code": 422, "message": "The record is NULL"}),
        json!({"code": 422, "msg": "task does not exist"}),
        json!({"code": 422, "msg": "Task not found"}),
        json!({"code": 404, "msg": "x"}),
    ] {
        assert_eq!(
            judge(200, body.to_string()),
            Err(PollError::NotFound),
            "{body}"
        );
    }
}

// F60
#[test]
fn messages_are_read_in_both_spellings_and_cleaned() {
    let message = |body: Value| match judge(200, body.to_string()) {
        Err(PollError::Server { message, .. }) => message.as_str().to_owned(),
        other => format!("{other:?}"),
    };
    assert_eq!(message(json!({"code": 500, "msg": "a"})), "a");
    assert_eq!(message(json!({"code": 500, "message": "b"})), "b");
    assert_eq!(
        message(json!({"code": 500, "msg": "", "message": "b"})),
        "b"
    );
    assert_eq!(
        message(json!({"code": 500, "msg": "\u{1b}]0;x\u{7}\n\u{202e}"})),
        "␛]0;x␇ <U+202E>"
    );
    assert_eq!(message(json!({"code": 500, "msg": {"a": 1}})), r#"{"a":1}"#);
    assert_eq!(message(json!({"code": 500, "msg": null})), "");
    assert!(message(json!({"code": 500, "msg": "x".repeat(1 << 20)})).len() <= 4096);
}

// F24, F34, F36, F38, F40
#[test]
fn broken_documents_are_named() {
    let table: [(&[u8], &str); 13] = [
        (b"", "it is empty"),
        (b" \r\n\t", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b" <!DOCTYPE html>", "it is a web page, not JSON"),
        (b"[200,\"m\",null]", "it is a list, not an object"),
        (b"\"x\"", "it is a text, not an object"),
        (b"null", "it is nothing, not an object"),
        (b"200", "it is a number, not an object"),
        (b"true", "it is a truth value, not an object"),
        (b"{\"code\":200", "it is JSON that ends too early"),
        (b"{\"code\":200,\"data\":[1]}", "its data is a list"),
        (b"{\"code\":200,\"data\":7}", "its data is a number"),
        (b"{\"code\":200,\"data\":\"soon\"}", "its data is a text"),
    ];
    for (body, what) in table {
        assert_eq!(judge(200, body), malformed(what));
    }
    // What a user put in may be as deep as it likes: it is passed over, and the rest is read.
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [10, 500, 10_000] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            let record = format!("{{\"x\":{open}0{close},\"successFlag\":0}}");
            let answer = judge(200, format!("{{\"code\":200,\"data\":{record}}}"));
            let running = TaskState::Running {
                is_finishing: false,
            };
            assert_eq!(answer.unwrap().state, running, "{depth}");
        }
    }
    let wide = format!("{{\"code\":200,\"data\":[{}[]]}}", "[],".repeat(10_000));
    assert_eq!(judge(200, wide), malformed("it has too many parts"));
    for body in [
        "{} junk",
        "{\"code\":200}{\"code\":200}",
        "OK",
        "\u{1b}[2J",
        "{'a':1}",
        "{\"code\":200,\"data\":{\"successFlag\":01}}",
        "\u{feff}{}{}",
    ] {
        let Err(PollError::Malformed(what)) = judge(200, body) else {
            panic!("{body} was taken");
        };
        assert!(what.as_str().starts_with("it is not JSON: "), "{what}");
        assert!(!what.as_str().contains("junk"));
    }
    // A broken answer by a page that is there is no wrong address.
    assert_eq!(
        judge(404, "{\"code\":404"),
        malformed("it is JSON that ends too early")
    );
}

// F34, F35, F37
#[test]
fn half_broken_documents_are_still_used() {
    let body = format!(
        "\u{feff} {{\"code\":200,\"code\":200,\"data\":{{\"successFlag\":3,\"successFlag\":0,\
         \"taskId\":\"{ID}\",\"errorMessage\":\"cut \\ud83d\"}}}} \n"
    );
    let seen = judge(200, body).unwrap();
    assert_eq!(
        seen.facts.flag,
        Some(Flag::Number(0)),
        "the last of two keys counts"
    );
    assert_eq!(seen.facts.error_message, Some(line("cut \u{fffd}")));

    let mut body = br#"{"code":200,"data":{"successFlag":0,"errorMessage":"bad "#.to_vec();
    body.extend_from_slice(b"\xff\xfe\"}}");
    assert_eq!(
        judge(200, body).unwrap().facts.error_message,
        Some(line("bad \u{fffd}\u{fffd}"))
    );
}

// F40
#[test]
fn data_in_a_text_is_read_as_json() {
    let record = json!({"taskId": ID, "successFlag": 0}).to_string();
    for data in [json!(record), json!(json!(record).to_string())] {
        let seen = judge(200, json!({"code": 200, "data": data}).to_string()).unwrap();
        assert_eq!(seen.facts.flag, Some(Flag::Number(0)), "{data}");
    }
    for data in [
        json!([record]),
        json!("[1]"),
        json!("7"),
        json!("{\"successFlag\":"),
    ] {
        let answer = judge(200, json!({"code": 200, "data": data}).to_string());
        assert!(matches!(answer, Err(PollError::Malformed(_))), "{answer:?}");
    }
}

// F41
#[test]
fn an_answer_for_another_task_is_left_aside() {
    let other = malformed("it is the answer for another task");
    for (code, told, expected_ok) in [
        (200, json!(ID), true),
        (200, json!(format!(" {ID} ")), true),
        (200, json!(""), true),
        (200, json!(null), true),
        (200, json!("another"), false),
        (200, json!(7), false),
        (501, json!("another"), false),
        (501, json!(ID), true),
    ] {
        let body = json!({"code": code, "data": {"taskId": told, "successFlag": 0}}).to_string();
        let answer = judge(200, body);
        assert_eq!(answer.is_ok(), expected_ok, "{told}");
        assert!(expected_ok || answer == other, "{answer:?}");
    }
}

// F49
#[test]
fn code_501_ends_the_task() {
    let failed = TaskState::Failed {
        stage: FailedStage::Generation,
    };
    let seen = fixture("generation_failed_501").unwrap();
    assert_eq!(seen.state, failed);
    assert_eq!(seen.facts.error_code, Some(line("501")));
    assert_eq!(
        seen.facts.error_message,
        Some(line("Generation failed, please try again."))
    );

    let told = |data: Value| {
        judge(
            200,
            json!({"code": 501, "msg": "m", "data": data}).to_string(),
        )
    };
    for data in [
        json!(null),
        json!(""),
        json!([]),
        json!("x"),
        json!({}),
        json!({"successFlag": 0}),
    ] {
        let seen = told(data.clone()).unwrap();
        assert_eq!(seen.state, failed, "{data}");
        assert_eq!(seen.facts.error_message, Some(line("m")), "{data}");
    }
    // The record's own words and times are kept.
    let seen = told(json!({
        "successFlag": 2, "errorCode": 7, "errorMessage": "own", "createTime": 1_755_078_171_000_i64,
    }))
    .unwrap();
    assert_eq!(
        seen.state,
        TaskState::Failed {
            stage: FailedStage::Creation
        }
    );
    assert_eq!(seen.facts.error_code, Some(line("7")));
    assert_eq!(seen.facts.error_message, Some(line("own")));
    assert_eq!(seen.facts.created, at("2025-08-13T09:42:51Z"));
    // A result in hand is never talked away.
    let seen = told(json!({"successFlag": 1, "response": {"resultUrls": [VIDEO]}})).unwrap();
    assert_eq!(seen.state, succeeded(Delivery::Done));
    assert_eq!(seen.facts.error_code, None);
}

#[test]
fn no_bytes_at_all_make_it_panic() {
    let whole = std::fs::read(format!(
        "{}/tests/fixtures/succeeded.json",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap();
    for cut in 0..whole.len() {
        assert!(judge(200, &whole[..cut]).is_err() || cut + 2 > whole.len());
        let mut bent = whole.clone();
        for byte in [0, b'"', b'\\', 0x7f, 0xff] {
            bent[cut] = byte;
            drop(judge(200, bent.clone()));
        }
    }
}

/// Returns what is odd about an answer, and how it was kept.
fn noticed(status: u16, body: &str) -> (Vec<Oddity>, Option<String>) {
    let reply = Reply {
        status,
        retry_after: None,
        body: body.into(),
    };
    let mut noticed = Noticed::default();
    let answer = reply.judge(&id(), Family::LumaModify, &mut noticed);
    noticed.note_outcome(&answer);
    let text = noticed.text.map(|text| text.as_str().to_owned());
    (noticed.oddities, text)
}

// F34, F36, F37, F38, F40, F41, F42, F50, F51, F56
#[test]
fn what_is_odd_is_noticed_by_its_kind() {
    use Oddity as Odd;

    let table: [(u16, &str, &[Oddity]); 19] = [
        (200, r#"{"code":200,"data":{"successFlag":0}}"#, &[]),
        (200, r#"{"code":401,"msg":"no"}"#, &[]),
        (200, r#"{"code":501,"msg":"no"}"#, &[]),
        (500, r#"{"code":500,"msg":"no"}"#, &[]),
        (502, "<html>", &[]),
        (200, "<html>", &[Odd::Malformed]),
        (200, "[200]", &[Odd::Malformed]),
        (200, r#"{"code":200,"data":[1]}"#, &[Odd::Malformed]),
        (200, r#"{"code":200} {"code":200}"#, &[Odd::GoesOn]),
        (
            200,
            r#"{"code":200,"data":{"taskId":"b"}}"#,
            &[Odd::OtherTask],
        ),
        (
            200,
            r#"{"code":200,"data":{"successFlag":1,"successFlag":0}}"#,
            &[Odd::KeyTwice],
        ),
        (200, r#"{"data":{"successFlag":0}}"#, &[Odd::NoCode]),
        (500, r#"{"data":{"successFlag":0}}"#, &[Odd::NoCode]),
        (200, r#"{"code":999}"#, &[Odd::UnknownCode]),
        (200, r#"{"code":-1}"#, &[Odd::UnknownCode]),
        (
            200,
            r#"{"code":200,"data":{"successFlag":7}}"#,
            &[Odd::UnknownFlag],
        ),
        (
            500,
            r#"{"code":200,"data":{"successFlag":0}}"#,
            &[Odd::StatusDiffers],
        ),
        (
            200,
            r#"{"code":200,"data":"{\"successFlag\":0}"}"#,
            &[Odd::DataAsText],
        ),
        (
            200,
            r#"{"code":200,"code":200,"data":{"taskId":"b"}}"#,
            &[Odd::KeyTwice, Odd::OtherTask],
        ),
    ];
    for (status, body, oddities) in table {
        let (found, text) = noticed(status, body);
        assert_eq!(found, oddities, "{status} {body}");
        let kept = (!oddities.is_empty()).then_some(body);
        assert_eq!(text.as_deref(), kept, "{status} {body}");
    }
    // Nothing by itself, but it may take an ending back.
    let (found, text) = noticed(200, r#"{"code":200,"data":null}"#);
    assert_eq!(found, []);
    assert_eq!(text.as_deref(), Some(r#"{"code":200,"data":null}"#));
}
