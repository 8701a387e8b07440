//! Link renewal: the only request with the key that a download causes.

use kietop::{
    adapters::kie::RequestLimits,
    domain::{link::VideoUrl, poll_result::PollError, text::CleanText},
    ports::LinkRenewer as _,
};

use super::{client, http_response, id};
use crate::support::raw_server::RawServer;

async fn renew_link(body: &str) -> (Result<VideoUrl, PollError>, RawServer) {
    let server = RawServer::answering(http_response("200 OK", body)).await;
    let client = client(&server.origin(), RequestLimits::default());
    let old = VideoUrl::parse("https://tempfile.example/l/v.mp4").unwrap();
    (client.renew_link(&id(), &old).await, server)
}

#[tokio::test]
async fn link_renewal_sends_one_request_with_the_key() {
    let body = r#"{"code":200,"msg":"success","data":"https://files.example/v.mp4?sig=1"}"#;

    let (link, mut server) = renew_link(body).await;

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
async fn an_invalid_renewed_link_is_an_error() {
    let rejected = PollError::Rejected {
        code: 422,
        message: CleanText::line("url is wrong", 99),
    };
    for (body, error) in [
        (r#"{"code":422,"msg":"url is wrong","data":null}"#, rejected),
        (r#"{"code":404,"msg":"gone"}"#, PollError::NotFound),
    ] {
        assert_eq!(renew_link(body).await.0, Err(error), "{body}");
    }
    for body in [
        r#"{"code":200,"data":null}"#,
        r#"{"code":200,"data":"file:///etc/passwd"}"#,
        r#"{"code":200,"data":["https://ex.com/v.mp4"]}"#,
        r#"{"code":200,"data":"https://user:word@ex.com/v.mp4"}"#,
        "<html>",
    ] {
        let link = renew_link(body).await.0;
        let is_malformed = matches!(link, Err(PollError::Malformed(_)));
        assert!(is_malformed, "{body}: {link:?}");
    }
}
