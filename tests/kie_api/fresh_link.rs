//! A fresh link: the one call that carries the key on behalf of a file.

use kietop::{
    adapters::kie::Limits,
    domain::{link::VideoUrl, report::PollError, text::CleanText},
    ports::FreshLinks as _,
};

use super::{
    answer, client, id,
    raw_server::{RawServer, Step},
};

const OLD: &str = "https://tempfile.example/l/v.mp4";

async fn fresh(body: &str) -> (Result<VideoUrl, PollError>, RawServer) {
    let answer = answer("200 OK", body);
    let read = vec![Step::Read, Step::Write(answer.into())];
    let server = RawServer::start(vec![read]).await;
    let client = client(&server.origin(), Limits::default());
    (
        client
            .fresh_link(&id(), &VideoUrl::parse(OLD).unwrap())
            .await,
        server,
    )
}

#[tokio::test]
async fn it_is_asked_for_once_with_the_key_and_is_a_bare_string() {
    let body = r#"{"code":200,"msg":"success","data":"https://files.example/v.mp4?sig=1"}"#;

    let (link, mut server) = fresh(body).await;

    assert_eq!(link.unwrap().as_str(), "https://files.example/v.mp4?sig=1");
    let heads = server.requests();
    assert_eq!(heads.len(), 1);
    let head = heads[0].1.to_ascii_lowercase();
    assert!(
        head.starts_with("post /api/v1/common/download-url "),
        "{head}"
    );
    assert!(head.contains("authorization: bearer "), "{head}");
}

#[tokio::test]
async fn what_is_no_link_is_an_error() {
    let refused = PollError::Refused {
        code: 422,
        message: CleanText::line("url is wrong", 99),
    };
    assert_eq!(
        fresh(r#"{"code":422,"msg":"url is wrong","data":null}"#)
            .await
            .0,
        Err(refused)
    );
    assert_eq!(
        fresh(r#"{"code":404,"msg":"gone"}"#).await.0,
        Err(PollError::NotFound)
    );
    for odd in [
        r#"{"code":200,"data":null}"#,
        r#"{"code":200,"data":"file:///etc/passwd"}"#,
        r#"{"code":200,"data":["https://ex.com/v.mp4"]}"#,
        r#"{"code":200,"data":"https://user:word@ex.com/v.mp4"}"#,
        "<html>",
    ] {
        let link = fresh(odd).await.0;
        assert!(
            matches!(link, Err(PollError::Malformed(_))),
            "{odd}: {link:?}"
        );
    }
}
