//! HTTP clients as this program builds them, and the names of what goes wrong below HTTP.
//!
//! Knows no key, no path and no answer. Every client of the program is built by
//! [`build_http_client`], tests included: it sets up TLS, without which a client cannot even be
//! made for a plain loopback address.

use std::{error::Error as StdError, fmt::Write as _, io};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Client, ClientBuilder, Response};
use rustls::{AlertDescription, CertificateError, crypto::CryptoProvider};

use super::{RequestLimits, envelope::malformed, origin::ApiOrigin};
use crate::domain::{poll_result::PollError, text::CleanText};

/// The longest explanation kept of an error, in bytes.
const MAX_REASON_LEN: usize = 256;

/// Builds a client from settings, on machines without certificate authorities as well.
///
/// The system's authorities are used where there are any. Where there are none (slim containers),
/// reqwest refuses to build a client at all (seanmonstar/reqwest#2965), so the roots of Mozilla
/// stand in.
///
/// Takes a few milliseconds and reads the disk: not to be called on the loop.
pub fn build_http_client(settings: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
    if CryptoProvider::get_default().is_none() {
        let installed = rustls::crypto::ring::default_provider().install_default();
        if installed.is_err() {
            tracing::debug!("another thread has just installed the TLS provider");
        }
    }
    settings().build().or_else(|error| {
        tracing::debug!(
            error = error_chain(&error),
            "no certificate authorities here"
        );
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|root| Certificate::from_der(root))
            .collect::<Result<Vec<_>, _>>()?;
        settings().tls_certs_merge(roots).build()
    })
}

/// Whether a client keeps connections open for the next question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionReuse {
    /// For as long as [`Limits::idle`].
    Pooled,
    /// Never: each question gets a connection of its own.
    Unpooled,
}

/// Returns the settings of a client that carries the key: no redirects, no referrer, no repeats, no
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
        // Bounds the whole wait for the head of the answer, then each silence within its body.
        .read_timeout(limits.read_timeout)
        .pool_idle_timeout(limits.idle_timeout)
        // After a change of network the old connection is silent for ever, and over HTTP/2 every
        // later question would share it: a question under way that hears nothing asks whether the
        // other side still lives.
        .http2_keep_alive_interval(limits.read_timeout / 2)
        .http2_keep_alive_timeout(limits.read_timeout / 4);
    let settings = match reuse {
        ConnectionReuse::Pooled => settings,
        ConnectionReuse::Unpooled => settings.pool_max_idle_per_host(0),
    };
    if origin.is_loopback() {
        // A proxy would be handed the key in clear, and has no business between us and ourselves.
        settings.no_proxy()
    } else {
        settings
    }
}

/// Returns the proxy that questions to an address go through, as people name a server: never with
/// its user.
///
/// Read anew each time from where the HTTP client once read it: the environment, or the system's
/// settings.
pub(super) fn proxy_for(origin: &ApiOrigin) -> Option<String> {
    if origin.is_loopback() {
        return None;
    }
    let address = origin.as_str().parse().ok()?;
    let taken = Matcher::from_system().intercept(&address)?;
    let (host, port) = (taken.uri().host()?, taken.uri().port_u16());
    Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Names an error that came before the head of an answer; `proxy` is what the question went
/// through, if anything.
pub(in crate::adapters) fn request_error(
    error: reqwest::Error,
    host: &str,
    proxy: Option<&str>,
) -> PollError {
    let error = error.without_url();
    // Whoever is connected to first: with a proxy, the host itself is its business.
    let peer = proxy.map_or_else(|| host.to_owned(), |proxy| format!("the proxy {proxy}"));
    let offline = |what: &str| PollError::Offline(CleanText::line(what, MAX_REASON_LEN));
    let is_connect = error.is_connect();
    if error.is_builder() {
        return offline(&format!(
            "no request could be made ({})",
            error_chain(&error)
        ));
    }
    if error.is_timeout() {
        // Without a connection there is no point in asking after the other tasks.
        return if is_connect {
            offline(&format!("no connection to {peer} in time"))
        } else {
            PollError::TimedOut
        };
    }
    if error.is_dns() {
        return offline(&format!("cannot find {peer}"));
    }
    for cause in causes(&error) {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return tls_error(tls, host);
        }
        if cause.downcast_ref().is_some_and(hyper::Error::is_parse) {
            return malformed("it is not HTTP");
        }
        if let Some(what) = proxy_refusal(cause, &peer, host) {
            return offline(&what);
        }
        if let Some(what) = cause
            .downcast_ref::<io::Error>()
            .and_then(|io| describe_io_error(io, &peer))
        {
            return if is_connect {
                offline(&what)
            } else {
                PollError::ConnectionLost
            };
        }
    }
    if is_connect {
        offline(&format!("no connection to {peer}"))
    } else {
        PollError::ConnectionLost
    }
}

/// Returns what a proxy said to our wish to be let through, if this is such an error.
///
/// The type is private to the HTTP library; its words are all there is.
fn proxy_refusal(cause: &(dyn StdError + 'static), proxy: &str, host: &str) -> Option<String> {
    let words = cause.to_string();
    match words.strip_prefix("tunnel error: ")? {
        // The cause of this one says more.
        "failed to create underlying connection" => None,
        "proxy authorization required" => {
            Some(format!("{proxy} asks for a user name and password (407)"))
        }
        _ => Some(format!("{proxy} does not let us through to {host}")),
    }
}

/// Returns the error of a Cloudflare challenge, which comes in place of the server's answer.
pub(in crate::adapters) fn cloudflare_challenge(response: &Response) -> Option<PollError> {
    let is_challenge = response.headers().contains_key("cf-mitigated");
    is_challenge.then(|| PollError::Blocked(i64::from(response.status().as_u16())))
}

/// Names an error that came in the middle of an answer.
pub(in crate::adapters) fn body_error(error: reqwest::Error) -> PollError {
    // A bad chunk, a short body and a lost connection all mean the same: the rest of it is not
    // coming.
    if error.without_url().is_timeout() {
        PollError::TimedOut
    } else {
        PollError::ConnectionLost
    }
}

/// Returns every cause of an error as one line for the log file. Never holds an address or a
/// header.
pub(in crate::adapters) fn error_chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    for cause in causes(error) {
        // Writing into a `String` cannot fail.
        write!(line, ": {cause}").unwrap_or_default();
    }
    line
}

/// Walks down the causes of an error.
pub(in crate::adapters) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(wrapped_error(error), |&error| wrapped_error(error))
}

/// Returns what an error wraps; I/O errors hide that from `source`, which tells their content's
/// cause.
fn wrapped_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Returns what an I/O error means to a person, if its kind tells.
fn describe_io_error(error: &io::Error, host: &str) -> Option<String> {
    use io::ErrorKind as Kind;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are open-ended")]
    match error.kind() {
        Kind::ConnectionRefused => Some(format!("{host} refuses the connection")),
        Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable => Some(format!("{host} cannot be reached")),
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::UnexpectedEof => Some(format!("{host} broke off the connection")),
        _ => None,
    }
}

/// Names an error of TLS: a certificate that is not accepted, or no common language.
fn tls_error(error: &rustls::Error, host: &str) -> PollError {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        let what = format!(
            "no secure connection to {host}: {}",
            describe_handshake_error(error)
        );
        return PollError::Offline(CleanText::line(&what, MAX_REASON_LEN));
    };
    PollError::Untrusted(CleanText::line(
        &describe_certificate_error(certificate, host),
        MAX_REASON_LEN,
    ))
}

/// Says what is wrong with a certificate, after "it".
fn describe_certificate_error(certificate: &CertificateError, host: &str) -> String {
    use CertificateError as Bad;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open-ended")]
    match certificate {
        Bad::Expired | Bad::ExpiredContext { .. } => {
            "it has expired (or is this machine's clock wrong?)".to_owned()
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "it is not valid yet (or is this machine's clock wrong?)".to_owned()
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            format!("it is not for {host}")
        }
        Bad::UnknownIssuer => "nobody known has signed it".to_owned(),
        Bad::BadSignature => "its signature is wrong".to_owned(),
        Bad::Revoked => "it has been revoked".to_owned(),
        // What self-made certificates usually are: their own authority.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it has signed itself".to_owned()
        }
        other => other.to_string(),
    }
}

/// Says why there is no common language.
fn describe_handshake_error(error: &rustls::Error) -> String {
    use AlertDescription as Alert;

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open-ended")]
    match error {
        rustls::Error::InvalidMessage(_) => "it does not answer in TLS".to_owned(),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity,
        ) => "it offers no TLS that is safe".to_owned(),
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

    /// Asks through a proxy that gives this answer to whatever it is asked.
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

    /// Returns a listener at another address of this machine whose queue is full: a connection to
    /// it hangs.
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
        // The one that hangs, one that refuses, and at last the server. Only a test says where a
        // name leads.
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
        let asks = "the proxy corp:3128 asks for a user name and password (407)";
        let refuses = "the proxy corp:3128 does not let us through to api.kie.ai";
        let answers: [(&[u8], &str); 5] = [
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", asks),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", refuses),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", refuses),
            (b"\x1b[2Jgarbage\r\n\r\n", refuses),
            (b"", refuses),
        ];
        for (answer, what) in answers {
            assert_eq!(
                request_through_proxy(answer).await,
                PollError::Offline(CleanText::line(what, MAX_REASON_LEN))
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
                "it has expired (or is this machine's clock wrong?)",
            ),
            (
                CertificateError::NotValidYet,
                "it is not valid yet (or is this machine's clock wrong?)",
            ),
            (
                CertificateError::NotValidForName,
                "it is not for api.kie.ai",
            ),
            (
                CertificateError::UnknownIssuer,
                "nobody known has signed it",
            ),
        ];
        for (error, words) in table {
            let error = rustls::Error::InvalidCertificate(error);
            let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));

            let found = causes(&wrapped).find_map(|cause| cause.downcast_ref());

            assert_eq!(
                found.map(|error| tls_error(error, "api.kie.ai")),
                Some(PollError::Untrusted(CleanText::line(words, MAX_REASON_LEN)))
            );
        }
    }
}
