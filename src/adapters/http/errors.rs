//! Errors of HTTP requests, described for users. Descriptions contain no URL and no header.

use std::{error::Error as StdError, io, iter::successors};

use rustls::{AlertDescription, CertificateError};

use crate::domain::{poll_result::PollError, text::CleanText};

/// The longest error description kept, in bytes.
const MAX_REASON_LEN: usize = 256;

/// Maps an error that occurred before the response headers. `proxy` is the proxy used, if any.
pub(in crate::adapters) fn request_error(
    error: reqwest::Error,
    host: &str,
    proxy: Option<&str>,
) -> PollError {
    let error = error.without_url();
    tracing::debug!(error = error_chain(&error), "no response");
    // The first connection goes to the proxy, which connects to the host.
    let peer = proxy.map_or_else(|| host.to_owned(), |proxy| format!("the proxy {proxy}"));
    let is_connect = error.is_connect();
    if error.is_builder() {
        return offline(&format!(
            "cannot build the request ({})",
            error_chain(&error)
        ));
    }
    if error.is_timeout() {
        // Without a connection, checks of other tasks would fail too.
        return if is_connect {
            offline(&format!("connection to {peer} timed out"))
        } else {
            PollError::TimedOut
        };
    }
    if error.is_dns() {
        return offline(&format!("cannot resolve {peer}"));
    }
    let known = causes(&error).find_map(|cause| describe_cause(cause, &peer, host));
    match known {
        // A lost connection says nothing about the network.
        Some(PollError::Offline(_)) | None if !is_connect => PollError::ConnectionLost,
        Some(known) => known,
        None => offline(&format!("cannot connect to {peer}")),
    }
}

/// Maps an error that occurred within the response body.
pub(in crate::adapters) fn body_error(error: reqwest::Error) -> PollError {
    let error = error.without_url();
    tracing::debug!(error = error_chain(&error), "incomplete response");
    // A bad chunk, a short body and a lost connection all mean the same: the rest is missing.
    if error.is_timeout() {
        PollError::TimedOut
    } else {
        PollError::ConnectionLost
    }
}

/// Joins an error and its causes to one line.
pub(in crate::adapters) fn error_chain(error: &(dyn StdError + 'static)) -> String {
    let causes = causes(error).map(|cause| format!(": {cause}"));
    error.to_string() + &causes.collect::<String>()
}

/// Iterates over the causes of an error, outermost first.
pub(in crate::adapters) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(wrapped_error(error), |&error| wrapped_error(error))
}

/// Returns the wrapped error. `source` of an I/O error skips it and returns that error's source.
fn wrapped_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn offline(description: &str) -> PollError {
    PollError::Offline(CleanText::line(description, MAX_REASON_LEN))
}

/// Maps one cause of a failed request, if it is a known one.
fn describe_cause(cause: &(dyn StdError + 'static), peer: &str, host: &str) -> Option<PollError> {
    if let Some(tls) = cause.downcast_ref() {
        return Some(tls_error(tls, host));
    }
    if cause.downcast_ref().is_some_and(hyper::Error::is_parse) {
        return Some(PollError::Malformed(CleanText::line(
            "not HTTP",
            MAX_REASON_LEN,
        )));
    }
    let io = || describe_io_error(cause.downcast_ref()?, peer);
    let description = describe_proxy_refusal(cause, peer, host).or_else(io)?;
    Some(offline(&description))
}

/// Describes a proxy's refusal to open a tunnel, if this is such an error.
///
/// The error type is private to the HTTP library, so its text is compared.
fn describe_proxy_refusal(cause: &dyn StdError, proxy: &str, host: &str) -> Option<String> {
    match cause.to_string().strip_prefix("tunnel error: ")? {
        // Its cause is more specific.
        "failed to create underlying connection" => None,
        "proxy authorization required" => Some(format!("{proxy} requires authentication (407)")),
        _ => Some(format!("{proxy} refused a connection to {host}")),
    }
}

/// Describes an I/O error for users, if its kind is known.
fn describe_io_error(error: &io::Error, host: &str) -> Option<String> {
    use io::ErrorKind as Kind;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are open-ended")]
    match error.kind() {
        Kind::ConnectionRefused => Some(format!("connection refused by {host}")),
        Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable => Some(format!("cannot reach {host}")),
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::UnexpectedEof => Some(format!("connection closed by {host}")),
        _ => None,
    }
}

/// Maps a TLS error: an invalid certificate or a failed handshake.
fn tls_error(error: &rustls::Error, host: &str) -> PollError {
    use AlertDescription as Alert;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open-ended")]
    let reason = match error {
        rustls::Error::InvalidCertificate(certificate) => {
            let reason = describe_certificate_error(certificate, host);
            return PollError::Untrusted(CleanText::line(&reason, MAX_REASON_LEN));
        }
        rustls::Error::InvalidMessage(_) => "the server does not use TLS".to_owned(),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity,
        ) => "no supported TLS version".to_owned(),
        other => other.to_string(),
    };
    offline(&format!("no secure connection to {host}: {reason}"))
}

fn describe_certificate_error(certificate: &CertificateError, host: &str) -> String {
    use CertificateError as Bad;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open-ended")]
    match certificate {
        Bad::Expired | Bad::ExpiredContext { .. } => {
            "expired, or this computer's clock is wrong".to_owned()
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "not valid yet, or this computer's clock is wrong".to_owned()
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            format!("not issued for {host}")
        }
        Bad::UnknownIssuer => "unknown certificate authority".to_owned(),
        Bad::BadSignature => "invalid signature".to_owned(),
        Bad::Revoked => "revoked".to_owned(),
        // Self-signed certificates are usually their own authority.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "self-signed certificate".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::adapters::http::{build_client, client_settings};

    /// Sends a request through a proxy that always gives this response.
    async fn request_through_proxy(answer: &'static [u8]) -> PollError {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"CONNECT api.kie.ai:443 "));
            stream.write_all(answer).await.unwrap();
        });
        let client = build_client(|| {
            client_settings()
                .proxy(reqwest::Proxy::all(&proxy).unwrap())
                .timeout(Duration::from_secs(5))
        });
        let sent = client.unwrap().get("https://api.kie.ai/x?secret=1").send();
        request_error(sent.await.unwrap_err(), "api.kie.ai", Some("corp:3128"))
    }

    /// Returns a listener at another local address with a full queue: connecting to it hangs.
    #[cfg(target_os = "linux")]
    async fn silent_server() -> (tokio::net::TcpListener, Vec<tokio::net::TcpStream>) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        let connect = || tokio::net::TcpStream::connect(address);
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(500), connect()).await {
            queue.push(stream.unwrap());
        }
        (listener, queue)
    }

    // F5
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_name_with_a_dead_first_address_still_works() {
        let (hole, _queue) = silent_server().await;
        let port = hole.local_addr().unwrap().port();
        let live = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = live.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        });
        let url = format!("http://localhost:{port}");
        // One hangs, one refuses, the last is the server. Only tests resolve names themselves.
        let addresses = ["127.0.0.2:0", "127.0.0.3:0", "127.0.0.1:0"];
        let addresses = addresses.map(|address| address.parse().unwrap());
        let client = build_client(|| client_settings().resolve_to_addrs("localhost", &addresses));

        let answer = client.unwrap().get(url).send().await.unwrap();

        assert_eq!(answer.text().await.unwrap(), "ok");
        server.await.unwrap();
    }

    // F10
    #[tokio::test]
    async fn a_refusing_proxy_is_named() {
        let needs_login = "the proxy corp:3128 requires authentication (407)";
        let refuses = "the proxy corp:3128 refused a connection to api.kie.ai";
        let answers: [(&[u8], &str); 5] = [
            (
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                needs_login,
            ),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", refuses),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", refuses),
            (b"\x1b[2Jgarbage\r\n\r\n", refuses),
            (b"", refuses),
        ];
        for (answer, description) in answers {
            assert_eq!(
                request_through_proxy(answer).await,
                PollError::Offline(CleanText::line(description, MAX_REASON_LEN))
            );
        }
    }

    #[test]
    fn certificate_errors_are_explained() {
        let table = [
            (
                CertificateError::Expired,
                "expired, or this computer's clock is wrong",
            ),
            (
                CertificateError::NotValidYet,
                "not valid yet, or this computer's clock is wrong",
            ),
            (
                CertificateError::NotValidForName,
                "not issued for api.kie.ai",
            ),
            (
                CertificateError::UnknownIssuer,
                "unknown certificate authority",
            ),
        ];
        for (error, text) in table {
            let error = rustls::Error::InvalidCertificate(error);
            let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));

            let found = causes(&wrapped).find_map(|cause| cause.downcast_ref());

            assert_eq!(
                found.map(|error| tls_error(error, "api.kie.ai")),
                Some(PollError::Untrusted(CleanText::line(text, MAX_REASON_LEN)))
            );
        }
    }
}
