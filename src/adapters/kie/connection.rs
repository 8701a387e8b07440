//! Construction of HTTP clients, and descriptions of connection errors.
//!
//! Every HTTP client, also in tests, is built by [`build_http_client`]: it installs the TLS
//! provider, without which reqwest builds no client, not even for plain http.

use std::{error::Error as StdError, fmt::Write as _, io};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Client, ClientBuilder, Response};
use rustls::{AlertDescription, CertificateError, crypto::CryptoProvider};

use super::{RequestLimits, envelope::malformed};
use crate::domain::{api_origin::ApiOrigin, poll_result::PollError, text::CleanText};

/// The longest error description kept, in bytes.
const MAX_REASON_LEN: usize = 256;

/// Builds a client, also on machines without certificate authorities.
///
/// Without system certificates (slim containers), reqwest cannot build a client at all
/// (seanmonstar/reqwest#2965), so Mozilla's root certificates are used instead.
///
/// Takes a few milliseconds and reads the disk, so it must not run on the event loop.
pub fn build_http_client(settings: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
    if CryptoProvider::get_default().is_none() {
        let installed = rustls::crypto::ring::default_provider().install_default();
        if installed.is_err() {
            tracing::debug!("another thread has installed the TLS provider");
        }
    }
    settings().build().or_else(|error| {
        tracing::debug!(
            error = error_chain(&error),
            "no client with system certificates; using Mozilla's"
        );
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|root| Certificate::from_der(root))
            .collect::<Result<Vec<_>, _>>()?;
        settings().tls_certs_merge(roots).build()
    })
}

/// Whether a client keeps connections open for later requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionReuse {
    /// Kept for [`RequestLimits::idle_timeout`].
    Pooled,
    /// A new connection for each request.
    Unpooled,
}

/// Returns the builder of a client that sends the key: no redirects, no referrer, no retries, no
/// plain http.
pub(super) fn client_builder(
    origin: &ApiOrigin,
    limits: &RequestLimits,
    reuse: ConnectionReuse,
) -> ClientBuilder {
    let settings = Client::builder()
        .user_agent(concat!("kietop/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .https_only(!origin.is_loopback())
        .connect_timeout(limits.connect_timeout)
        // Limits the wait for the response headers, then each pause within the body.
        .read_timeout(limits.read_timeout)
        .pool_idle_timeout(limits.idle_timeout)
        // After a network change the old connection never responds, and over HTTP/2 every later
        // request would share it. Pings detect a dead connection while a request is in flight.
        .http2_keep_alive_interval(limits.read_timeout / 2)
        .http2_keep_alive_timeout(limits.read_timeout / 4);
    let settings = match reuse {
        ConnectionReuse::Pooled => settings,
        ConnectionReuse::Unpooled => settings.pool_max_idle_per_host(0),
    };
    if origin.is_loopback() {
        // A proxy would see the key unencrypted, and a local server needs none.
        settings.no_proxy()
    } else {
        settings
    }
}

/// Returns host and port of the proxy used for an address, without user information.
///
/// Read each time from the environment or the system settings, as the HTTP client did when it was
/// built.
pub(super) fn proxy_for(origin: &ApiOrigin) -> Option<String> {
    if origin.is_loopback() {
        return None;
    }
    let address = origin.as_str().parse().ok()?;
    let proxy = Matcher::from_system().intercept(&address)?;
    let (host, port) = (proxy.uri().host()?, proxy.uri().port_u16());
    Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Maps an error that occurred before the response headers. `proxy` is the proxy used, if any.
pub(in crate::adapters) fn request_error(
    error: reqwest::Error,
    host: &str,
    proxy: Option<&str>,
) -> PollError {
    let error = error.without_url();
    // The first connection goes to the proxy, which connects to the host.
    let peer = proxy.map_or_else(|| host.to_owned(), |proxy| format!("the proxy {proxy}"));
    let offline =
        |description: &str| PollError::Offline(CleanText::line(description, MAX_REASON_LEN));
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
    for cause in causes(&error) {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return tls_error(tls, host);
        }
        if cause.downcast_ref().is_some_and(hyper::Error::is_parse) {
            return malformed("not HTTP");
        }
        if let Some(description) = proxy_refusal(cause, &peer, host) {
            return offline(&description);
        }
        if let Some(description) = cause
            .downcast_ref::<io::Error>()
            .and_then(|io| describe_io_error(io, &peer))
        {
            return if is_connect {
                offline(&description)
            } else {
                PollError::ConnectionLost
            };
        }
    }
    if is_connect {
        offline(&format!("cannot connect to {peer}"))
    } else {
        PollError::ConnectionLost
    }
}

/// Describes a proxy's refusal to open a tunnel, if this is such an error.
///
/// The error type is private to the HTTP library, so its text is compared.
fn proxy_refusal(cause: &(dyn StdError + 'static), proxy: &str, host: &str) -> Option<String> {
    let text = cause.to_string();
    match text.strip_prefix("tunnel error: ")? {
        // Its cause is more specific.
        "failed to create underlying connection" => None,
        "proxy authorization required" => Some(format!("{proxy} requires authentication (407)")),
        _ => Some(format!("{proxy} refused a connection to {host}")),
    }
}

/// Returns an error if the response is a Cloudflare challenge instead of the server's response.
pub(in crate::adapters) fn cloudflare_challenge(response: &Response) -> Option<PollError> {
    let is_challenge = response.headers().contains_key("cf-mitigated");
    is_challenge.then(|| PollError::Blocked(i64::from(response.status().as_u16())))
}

/// Maps an error that occurred within the response body.
pub(in crate::adapters) fn body_error(error: reqwest::Error) -> PollError {
    // A bad chunk, a short body and a lost connection all mean the same: the rest is missing.
    if error.without_url().is_timeout() {
        PollError::TimedOut
    } else {
        PollError::ConnectionLost
    }
}

/// Joins an error and its causes to one line for the log file. Contains no URL and no header.
pub(in crate::adapters) fn error_chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    for cause in causes(error) {
        // Writing into a `String` cannot fail.
        write!(line, ": {cause}").unwrap_or_default();
    }
    line
}

/// Iterates over the causes of an error, outermost first.
pub(in crate::adapters) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(wrapped_error(error), |&error| wrapped_error(error))
}

/// Returns the wrapped error. `source` of an I/O error skips it and returns that error's source.
fn wrapped_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
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
    let rustls::Error::InvalidCertificate(certificate) = error else {
        let description = format!(
            "no secure connection to {host}: {}",
            describe_handshake_error(error)
        );
        return PollError::Offline(CleanText::line(&description, MAX_REASON_LEN));
    };
    PollError::Untrusted(CleanText::line(
        &describe_certificate_error(certificate, host),
        MAX_REASON_LEN,
    ))
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

fn describe_handshake_error(error: &rustls::Error) -> String {
    use AlertDescription as Alert;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open-ended")]
    match error {
        rustls::Error::InvalidMessage(_) => "the server does not use TLS".to_owned(),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity,
        ) => "no supported TLS version".to_owned(),
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
        let (origin, limits) = (ApiOrigin::default(), RequestLimits::default());
        let client = build_http_client(|| {
            client_builder(&origin, &limits, ConnectionReuse::Pooled)
                .proxy(reqwest::Proxy::all(&proxy).unwrap())
                .timeout(Duration::from_secs(5))
        });
        let sent = client.unwrap().get("https://api.kie.ai/x?secret=1").send();
        request_error(sent.await.unwrap_err(), origin.host(), Some("corp:3128"))
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
        let origin = ApiOrigin::parse(&format!("http://localhost:{port}")).unwrap();
        let limits = RequestLimits::default();
        // One hangs, one refuses, the last is the server. Only tests resolve names themselves.
        let addresses = ["127.0.0.2:0", "127.0.0.3:0", "127.0.0.1:0"];
        let addresses = addresses.map(|address| address.parse().unwrap());
        let client = build_http_client(|| {
            client_builder(&origin, &limits, ConnectionReuse::Pooled)
                .resolve_to_addrs("localhost", &addresses)
        });

        let answer = client.unwrap().get(origin.as_str()).send().await.unwrap();

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

    #[tokio::test]
    async fn the_key_never_leaves_in_clear() {
        let (origin, limits) = (ApiOrigin::default(), RequestLimits::default());
        let client =
            build_http_client(|| client_builder(&origin, &limits, ConnectionReuse::Pooled))
                .unwrap();

        let error = client.get("http://127.0.0.1:9/?secret=1").send().await;

        let error = error.unwrap_err();
        assert!(error.is_builder(), "{error}");
        let shown = request_error(error, origin.host(), None).message();
        assert!(!shown.contains("secret"), "{shown}");
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
