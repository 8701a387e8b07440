//! The meaning of responses: every code, every status, every kind of invalid document.

use std::time::Duration;

use kietop::{
    adapters::kie::envelope::ApiReply,
    domain::{
        poll_result::{PollError, PollResult},
        response_notes::{Anomaly, ResponseNotes},
        task::{CallbackStatus, FailureStage, Family, SuccessFlag, TaskState},
    },
};
use serde_json::{Value, json};

use super::{
    ID, clean_line, id,
    luma_modify::{VIDEO, fixture_answer, succeeded, timestamp},
    malformed, rate_limited, server_error,
};

pub(crate) fn interpret_body(status: u16, body: impl Into<Vec<u8>>) -> PollResult {
    let reply = ApiReply {
        status,
        retry_after: None,
        body: body.into(),
    };
    reply.interpret(&id(), Family::LumaModify, &mut ResponseNotes::default())
}

fn rejected(code: i64, message: &str) -> PollResult {
    Err(PollError::Rejected {
        code,
        message: clean_line(message),
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
        (400, rejected(400, "words")),
        (422, rejected(422, "words")),
        (451, rejected(451, "words")),
        (505, rejected(505, "words")),
        (429, rate_limited(429, None)),
        (430, rate_limited(430, None)),
        (433, rate_limited(433, None)),
        (455, Err(PollError::Maintenance)),
        (408, server_error(408, "words")),
        (500, server_error(500, "words")),
        (299, server_error(299, "words")),
        (999, server_error(999, "words")),
        (-1, server_error(-1, "words")),
        (0, server_error(0, "words")),
    ];
    for (code, expected) in table {
        let body = json!({"code": code, "msg": "words", "data": {"successFlag": 1}}).to_string();
        // With any HTTP status.
        for status in [200, 500] {
            let result = interpret_body(status, body.clone());
            assert_eq!(result, expected, "{code} by {status}");
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
    let unauthorized = |code| Err(PollError::Unauthorized(code));
    let blocked = |status| Err(PollError::Blocked(status));
    let maintenance = Err(PollError::Maintenance);
    let table = [
        // A page does not come from the API, so it says nothing about key or credits.
        (401, unauthorized(401), blocked(401)),
        (403, unauthorized(403), blocked(403)),
        (402, Err(PollError::OutOfCredits), blocked(402)),
        (407, blocked(407), blocked(407)),
        (451, server_error(451, "ok"), blocked(451)),
        (404, Err(PollError::NotFound), Err(PollError::WrongAddress)),
        (400, rejected(400, "ok"), server_error(400, "")),
        (422, rejected(422, "ok"), server_error(422, "")),
        (429, rate_limited(429, None), rate_limited(429, None)),
        (455, maintenance.clone(), maintenance),
        (511, blocked(511), blocked(511)),
        (500, server_error(500, "ok"), server_error(500, "")),
        // As an HTTP status it means "not implemented", not a failed generation.
        (501, server_error(501, "ok"), server_error(501, "")),
        (505, server_error(505, "ok"), server_error(505, "")),
        (502, server_error(502, "ok"), server_error(502, "")),
        (503, server_error(503, "ok"), server_error(503, "")),
        (504, server_error(504, "ok"), server_error(504, "")),
        (520, server_error(520, "ok"), server_error(520, unreached)),
        (526, server_error(526, "ok"), server_error(526, unreached)),
        (304, server_error(304, "ok"), server_error(304, "")),
    ];
    for (status, by_json, by_page) in table {
        assert_eq!(interpret_body(status, json), by_json, "{status}");
        assert_eq!(interpret_body(status, codeless), by_json, "{status}");
        assert_eq!(interpret_body(status, html), by_page, "{status}");
        // Without a body, the status counts.
        let without_body = match status {
            401..=403 => by_json,
            451 | 520 | 526 => server_error(status.into(), ""),
            _ => by_page,
        };
        assert_eq!(interpret_body(status, ""), without_body, "{status}");
    }
}

#[test]
fn partial_api_refusals_count_and_cloudflare_json_not() {
    let partial = r#"{"code":401,"msg":"You do no"#;
    let refused = Err(PollError::Unauthorized(401));
    assert_eq!(interpret_body(401, partial), refused);
    let page = r#"{"title":"Error 1020: Access denied","status":403,"cloudflare_error":true}"#;
    assert_eq!(interpret_body(403, page), Err(PollError::Blocked(403)));
    let text = "error code: 1020";
    assert_eq!(interpret_body(403, text), Err(PollError::Blocked(403)));
    assert_eq!(interpret_body(200, page).unwrap_err().kind(), "malformed");
}

// F15, F20
#[test]
fn retry_after_of_server_errors_is_obeyed() {
    let retry_after = Some(Duration::from_secs(7));
    for (status, body, code) in [
        (503, "<html>", 503),
        (200, r#"{"code":500}"#, 500),
        (429, "", 429),
        (200, r#"{"code":429}"#, 429),
    ] {
        let reply = ApiReply {
            status,
            retry_after,
            body: body.into(),
        };
        let result = reply.interpret(&id(), Family::LumaModify, &mut ResponseNotes::default());
        assert_eq!(result, Err(PollError::RateLimited { code, retry_after }));
    }
}

// F42
#[test]
fn codes_are_read_in_other_spellings() {
    let data = json!({"successFlag": 0});
    for code in [json!("200"), json!(200.0), json!(" 200 "), Value::Null] {
        let body = json!({"code": code, "data": data}).to_string();
        assert!(interpret_body(200, body).is_ok(), "{code}");
    }
    assert!(interpret_body(200, json!({"data": data}).to_string()).is_ok());
    let refused = Err(PollError::Unauthorized(401));
    assert_eq!(interpret_body(200, r#"{"code":"401"}"#), refused);
    let no_number = malformed("code is not a number");
    for code in ["\"ok\"", "true", "1e30", "[200]", "0.5"] {
        let body = format!(r#"{{"code":{code},"data":{data}}}"#);
        assert_eq!(interpret_body(200, body), no_number, "{code}");
    }
}

// F39, F44, F45
#[test]
fn unknown_tasks_are_recognised_in_every_form() {
    for body in [
        r#"{"code":200,"msg":"success","data":null}"#,
        r#"{"code":200,"msg":"success"}"#,
        r#"{"code":200,"data":{}}"#,
        r#"{"code":200,"data":""}"#,
        r#"{"code":200,"data":"null"}"#,
        r#"{"code":422,"msg":"recordInfo is null"}"#,
        r#"{"code":422,"message":"The record is NULL"}"#,
        r#"{"code":422,"msg":"task does not exist"}"#,
        r#"{"code":422,"msg":"Task not found"}"#,
        r#"{"code":404,"msg":"x"}"#,
    ] {
        let result = interpret_body(200, body);
        assert_eq!(result, Err(PollError::NotFound), "{body}");
    }
}

// F60
#[test]
fn messages_are_read_in_both_spellings_and_cleaned() {
    let message = |body: String| match interpret_body(200, body) {
        Err(PollError::Server { message, .. }) => message.as_str().to_owned(),
        other => format!("{other:?}"),
    };
    for (fields, expected) in [
        (r#""msg":"a""#, "a"),
        (r#""message":"b""#, "b"),
        (r#""msg":"","message":"b""#, "b"),
        (r#""msg":"\u001b]0;x\u0007\n\u202e""#, "␛]0;x␇ <U+202E>"),
        (r#""msg":{"a":1}"#, r#"{"a":1}"#),
        (r#""msg":null"#, ""),
    ] {
        let shown = message(format!(r#"{{"code":500,{fields}}}"#));
        assert_eq!(shown, expected, "{fields}");
    }
    let long = json!({"code": 500, "msg": "x".repeat(1 << 20)}).to_string();
    assert!(message(long).len() <= 4096);
}

// F14, F24, F34, F36, F38, F40
#[test]
fn broken_documents_are_reported() {
    let table: [(&[u8], &str); 13] = [
        (b"", "empty body"),
        (b" \r\n\t", "empty body"),
        (b"\xef\xbb\xbf", "empty body"),
        (b" <!DOCTYPE html>", "a web page, not JSON"),
        (b"[200,\"m\",null]", "an array, not an object"),
        (b"\"x\"", "a string, not an object"),
        (b"null", "null, not an object"),
        (b"200", "a number, not an object"),
        (b"true", "a boolean, not an object"),
        (b"{\"code\":200", "incomplete JSON"),
        (
            br#"{"code":200,"data":[1]}"#,
            "data is an array, not an object",
        ),
        (
            br#"{"code":200,"data":7}"#,
            "data is a number, not an object",
        ),
        (
            br#"{"code":200,"data":"soon"}"#,
            "data is a string without JSON",
        ),
    ];
    for (body, reason) in table {
        assert_eq!(interpret_body(200, body), malformed(reason));
    }
    // User input may have any depth: values too deep are skipped, and the rest is read.
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [10, 500, 10_000] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            let record = format!("{{\"x\":{open}0{close},\"successFlag\":0}}");
            let result = interpret_body(200, format!("{{\"code\":200,\"data\":{record}}}"));
            let running = TaskState::Running {
                is_finishing: false,
            };
            assert_eq!(result.unwrap().state, running, "{depth}");
        }
    }
    let wide = format!("{{\"code\":200,\"data\":[{}[]]}}", "[],".repeat(10_000));
    assert_eq!(interpret_body(200, wide), malformed("too many values"));
    for body in [
        "{} junk",
        "{\"code\":200}{\"code\":200}",
        "OK",
        "\u{1b}[2J",
        "{'a':1}",
        "{\"code\":200,\"data\":{\"successFlag\":01}}",
        "\u{feff}{}{}",
    ] {
        let Err(PollError::Malformed(reason)) = interpret_body(200, body) else {
            panic!("{body} was accepted");
        };
        assert!(reason.as_str().starts_with("not JSON: "), "{reason}");
        assert!(!reason.as_str().contains("junk"));
    }
    // Broken JSON with status 404 does not mean a wrong address.
    let result = interpret_body(404, "{\"code\":404");
    assert_eq!(result, malformed("incomplete JSON"));
}

// F34, F35, F37
#[test]
fn half_broken_documents_are_still_used() {
    let body = format!(
        "\u{feff} {{\"code\":200,\"code\":200,\"data\":{{\"successFlag\":3,\"successFlag\":0,\
         \"taskId\":\"{ID}\",\"errorMessage\":\"cut \\ud83d\"}}}} \n"
    );
    let seen = interpret_body(200, body).unwrap();
    // The last duplicate key counts.
    assert_eq!(seen.details.flag, Some(SuccessFlag::Number(0)));
    assert_eq!(seen.details.error_message, Some(clean_line("cut \u{fffd}")));

    let mut body = br#"{"code":200,"data":{"successFlag":0,"errorMessage":"bad "#.to_vec();
    body.extend_from_slice(b"\xff\xfe\"}}");
    let message = interpret_body(200, body).unwrap().details.error_message;
    assert_eq!(message, Some(clean_line("bad \u{fffd}\u{fffd}")));
}

// F40
#[test]
fn stringified_data_is_read_as_json() {
    let record = json!({"taskId": ID, "successFlag": 0}).to_string();
    for data in [json!(record), json!(json!(record).to_string())] {
        let seen = interpret_body(200, json!({"code": 200, "data": data}).to_string()).unwrap();
        assert_eq!(seen.details.flag, Some(SuccessFlag::Number(0)), "{data}");
    }
    for data in [
        json!([record]),
        json!("[1]"),
        json!("7"),
        json!("{\"successFlag\":"),
    ] {
        let result = interpret_body(200, json!({"code": 200, "data": data}).to_string());
        assert!(matches!(result, Err(PollError::Malformed(_))), "{result:?}");
    }
}

// F41
#[test]
fn an_answer_for_another_task_is_ignored() {
    let other = malformed("response for another task");
    for (code, task_id, expected_ok) in [
        (200, json!(ID), true),
        (200, json!(format!(" {ID} ")), true),
        (200, json!(""), true),
        (200, json!(null), true),
        (200, json!("another"), false),
        (200, json!(7), false),
        (501, json!("another"), false),
        (501, json!(ID), true),
    ] {
        let body = json!({"code": code, "data": {"taskId": task_id, "successFlag": 0}}).to_string();
        let result = interpret_body(200, body);
        assert_eq!(result.is_ok(), expected_ok, "{task_id}");
        assert!(expected_ok || result == other, "{result:?}");
    }
}

// F49
#[test]
fn code_501_is_final() {
    let failed = TaskState::Failed {
        stage: FailureStage::Generation,
    };
    let seen = fixture_answer("generation_failed_501").unwrap();
    assert_eq!(seen.state, failed);
    assert_eq!(seen.details.error_code, Some(clean_line("501")));
    let message = clean_line("Generation failed, please try again.");
    assert_eq!(seen.details.error_message, Some(message));

    let with_code_501 = |data: Value| {
        let body = json!({"code": 501, "msg": "m", "data": data});
        interpret_body(200, body.to_string())
    };
    for data in [
        json!(null),
        json!(""),
        json!([]),
        json!("x"),
        json!({}),
        json!({"successFlag": 0}),
    ] {
        let seen = with_code_501(data.clone()).unwrap();
        assert_eq!(seen.state, failed, "{data}");
        assert_eq!(seen.details.error_message, Some(clean_line("m")), "{data}");
    }
    // The record's own error texts and times are kept.
    let seen = with_code_501(json!({
        "successFlag": 2, "errorCode": 7, "errorMessage": "own", "createTime": 1_755_078_171_000_i64,
    }))
    .unwrap();
    let stage = FailureStage::Creation;
    assert_eq!(seen.state, TaskState::Failed { stage });
    assert_eq!(seen.details.error_code, Some(clean_line("7")));
    assert_eq!(seen.details.error_message, Some(clean_line("own")));
    assert_eq!(seen.details.created, timestamp("2025-08-13T09:42:51Z"));
    // A result is never discarded.
    let seen =
        with_code_501(json!({"successFlag": 1, "response": {"resultUrls": [VIDEO]}})).unwrap();
    assert_eq!(seen.state, succeeded(CallbackStatus::Delivered));
    assert_eq!(seen.details.error_code, None);
}

#[test]
fn no_bytes_make_the_parser_panic() {
    let document = std::fs::read(format!(
        "{}/tests/fixtures/succeeded.json",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap();
    for cut in 0..document.len() {
        assert!(interpret_body(200, &document[..cut]).is_err() || cut + 2 > document.len());
        let mut corrupted = document.clone();
        for byte in [0, b'"', b'\\', 0x7f, 0xff] {
            corrupted[cut] = byte;
            drop(interpret_body(200, corrupted.clone()));
        }
    }
}

/// Returns the anomalies of a response, and the excerpt kept.
fn anomalies_of(status: u16, body: &str) -> (Vec<Anomaly>, Option<String>) {
    let reply = ApiReply {
        status,
        retry_after: None,
        body: body.into(),
    };
    let mut notes = ResponseNotes::default();
    let result = reply.interpret(&id(), Family::LumaModify, &mut notes);
    notes.add_from_result(&result);
    let text = notes.text.map(|text| text.as_str().to_owned());
    (notes.anomalies, text)
}

// F34, F36, F37, F38, F40, F41, F42, F50, F51, F56
#[test]
fn anomalies_are_reported_by_kind() {
    use Anomaly::{DataAsText, Malformed, MissingCode, StatusMismatch, UnknownCode, UnknownFlag};
    let table = [
        (200, r#"{"code":200,"data":{"successFlag":0}}"#, None),
        (200, r#"{"code":401,"msg":"no"}"#, None),
        (200, r#"{"code":501,"msg":"no"}"#, None),
        (500, r#"{"code":500,"msg":"no"}"#, None),
        (502, "<html>", None),
        (200, "<html>", Some(Malformed)),
        (200, "[200]", Some(Malformed)),
        (200, r#"{"code":200,"data":[1]}"#, Some(Malformed)),
        (200, r#"{"code":200} {"code":200}"#, Some(Malformed)),
        (
            200,
            r#"{"code":200,"data":{"taskId":"b"}}"#,
            Some(Malformed),
        ),
        (200, r#"{"data":{"successFlag":0}}"#, Some(MissingCode)),
        (500, r#"{"data":{"successFlag":0}}"#, Some(MissingCode)),
        (200, r#"{"code":999}"#, Some(UnknownCode)),
        (200, r#"{"code":-1}"#, Some(UnknownCode)),
        (
            200,
            r#"{"code":200,"data":{"successFlag":7}}"#,
            Some(UnknownFlag),
        ),
        (
            500,
            r#"{"code":200,"data":{"successFlag":0}}"#,
            Some(StatusMismatch),
        ),
        (
            200,
            r#"{"code":200,"data":"{\"successFlag\":0}"}"#,
            Some(DataAsText),
        ),
    ];
    for (status, body, anomaly) in table {
        let (found, text) = anomalies_of(status, body);
        assert_eq!(found, Vec::from_iter(anomaly), "{status} {body}");
        let kept = anomaly.map(|_| body);
        assert_eq!(text.as_deref(), kept, "{status} {body}");
    }
    // Not an anomaly in itself, but it may contradict a finished state.
    let (found, text) = anomalies_of(200, r#"{"code":200,"data":null}"#);
    assert_eq!(found, []);
    assert_eq!(text.as_deref(), Some(r#"{"code":200,"data":null}"#));
}
