//! Client for the API at kie.ai: polls tasks with the key and maps every outcome to a result.
//!
//! This file sends requests and reads responses, within deadlines. `envelope` interprets responses,
//! and one file for each family decodes its records. The client keeps only connections and the key
//! between requests, and does not decide when to poll.

use std::{fmt, future, time::Duration};

use reqwest::{RequestBuilder, Response, header};
use serde_json::json;
use tokio::time;

use self::{
    envelope::{ApiReply, malformed},
    family::status_url,
    key::ApiKey,
    key_source::{CachedKey, KeySource},
};
use super::http::{self, LazyClient, errors, headers, proxy::proxy_for};
use crate::{
    domain::{
        account_hash::AccountHash,
        api_origin::ApiOrigin,
        id_extract::KnownSecrets,
        link::VideoUrl,
        poll_request::PollRequest,
        poll_result::{PollError, PollResult},
        response_notes::ResponseNotes,
        task::TaskId,
        text::CleanText,
    },
    ports::{BoxFuture, LinkRenewer, PollStart, TaskApi},
};

pub mod envelope;
pub mod family;
mod json_text;
pub mod key;
pub mod key_source;
pub mod lenient_json;
pub mod luma_modify;
mod redaction;

/// The longest host name shown, in bytes: the limit of DNS.
const MAX_HOST_LEN: usize = 253;

/// The path that renews result links which a file host refuses. A new link is valid for 20 minutes.
const RENEWAL_PATH: &str = "/api/v1/common/download-url";

/// Limits on one poll: timeouts and response size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// For DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For the response headers, and for each pause within the body.
    pub read_timeout: Duration,
    /// For the whole request.
    pub total_timeout: Duration,
    /// How long an idle connection is kept. Short, because after a network change or a suspend an
    /// old connection no longer works.
    pub idle_timeout: Duration,
    /// In bytes.
    pub max_body_len: usize,
}

impl Default for RequestLimits {
    /// 5, 10, 20 and 30 seconds, and 1 MiB: ten times the needs of the slowest and largest known
    /// responses.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(30),
            max_body_len: 1024 * 1024,
        }
    }
}

/// The API client. Its key goes to its origin only, and `Debug` never shows it.
///
/// Creating one is cheap: the HTTP clients inside are built for the first request.
pub struct KieClient {
    origin: ApiOrigin,
    key: CachedKey,
    limits: RequestLimits,
    /// Keeps connections for [`RequestLimits::idle_timeout`].
    pooled: LazyClient,
    /// Makes a new connection for each request.
    unpooled: LazyClient,
}

impl KieClient {
    /// Creates a client. Without a key, polls fail with [`PollError::NoKey`] and send nothing.
    ///
    /// A stored key is read for the first request, and again after it was refused or unreadable.
    pub fn new(origin: ApiOrigin, key: impl Into<KeySource>, limits: RequestLimits) -> Self {
        let is_loopback = origin.is_loopback();
        let settings = move || client_settings(is_loopback, &limits);
        Self {
            origin,
            key: CachedKey::new(key.into()),
            limits,
            pooled: LazyClient::new(settings),
            unpooled: LazyClient::new(move || settings().pool_max_idle_per_host(0)),
        }
    }

    pub const fn origin(&self) -> &ApiOrigin {
        &self.origin
    }

    /// Requests a task's state, within [`RequestLimits::total_timeout`].
    pub async fn poll(&self, request: &PollRequest, notes: &mut ResponseNotes) -> PollResult {
        let poll = |key| async move { self.poll_with_key(&key, request, notes).await };
        let poll = self.key.with(poll);
        let result = time::timeout(self.limits.total_timeout, poll).await;
        let result = result.unwrap_or(Err(PollError::TimedOut));
        let task = &request.task;
        result.inspect_err(|error| tracing::debug!(%task, ?error, "poll failed"))
    }

    async fn poll_with_key(
        &self,
        key: &ApiKey,
        request: &PollRequest,
        notes: &mut ResponseNotes,
    ) -> PollResult {
        let client = if request.is_retry {
            &self.unpooled
        } else {
            &self.pooled
        };
        let url = status_url(&self.origin, &request.task, request.family);
        let response = self.send(client, |client| client.get(url), key).await?;
        notes.has_response = true;
        notes.date = headers::text(&response, header::DATE).and_then(headers::parse_date);
        let reply = self.read_reply(response, key).await?;
        reply.interpret(&request.task, request.family, notes)
    }

    /// Requests a new link to a result. The link is fetched by another client, without the key.
    async fn request_link(&self, key: &ApiKey, url: &VideoUrl) -> Result<VideoUrl, PollError> {
        let path = format!("{}{RENEWAL_PATH}", self.origin);
        let request =
            |client: &reqwest::Client| client.post(path).json(&json!({ "url": url.as_str() }));
        // A new connection: a pooled one may just have been closed by the server.
        let response = self.send(&self.unpooled, request, key).await?;
        self.read_reply(response, key).await?.parse_link()
    }

    /// Sends a request with the key and waits for the response headers.
    async fn send(
        &self,
        client: &LazyClient,
        request: impl FnOnce(&reqwest::Client) -> RequestBuilder,
        key: &ApiKey,
    ) -> Result<Response, PollError> {
        let client = client.get().await;
        let client = client.map_err(|error| self.request_error(error))?;
        let sent = request(client)
            .header(header::ACCEPT, "application/json")
            // Per request and not as a default header: those are printed by the client's `Debug`.
            .bearer_auth(key.expose())
            .send()
            .await;
        sent.map_err(|error| self.request_error(error))
    }

    fn request_error(&self, error: reqwest::Error) -> PollError {
        errors::request_error(
            error,
            self.origin.host(),
            proxy_for(&self.origin).as_deref(),
        )
    }

    /// Reads the whole response and redacts the key, in case the server repeats it. Otherwise the
    /// key would reach the screen, the list file and every export.
    ///
    /// Redirects and Cloudflare challenges become errors.
    async fn read_reply(&self, response: Response, key: &ApiKey) -> Result<ApiReply, PollError> {
        if let Some(host) = redirect_target(&response) {
            let host = redaction::redact(&host, key.expose()).unwrap_or(host);
            return Err(PollError::Redirected(CleanText::line(&host, MAX_HOST_LEN)));
        }
        if let Some(error) = headers::cloudflare_challenge(&response) {
            return Err(error);
        }
        let mut reply = ApiReply {
            status: response.status().as_u16(),
            retry_after: headers::retry_after(&response),
            body: Vec::new(),
        };
        match self.read_body(response).await {
            Ok(body) => reply.body = redaction::redact_bytes(body, key.expose()),
            // The error status is more useful than the fact that its page was unreadable.
            Err(_) if !reply.is_success() && reply.status != 404 => {}
            Err(error) => return Err(error),
        }
        Ok(reply)
    }

    /// Reads the body in chunks, up to the size limit.
    async fn read_body(&self, mut response: Response) -> Result<Vec<u8>, PollError> {
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            // Not requested, and a small compressed body can expand to a huge one.
            return Err(malformed("compressed body"));
        }
        let max_len = self.limits.max_body_len;
        let too_large = || malformed(&format!("larger than {max_len} bytes"));
        if response
            .content_length()
            .is_some_and(|length| length > max_len as u64)
        {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(errors::body_error)? {
            if body.len() + chunk.len() > max_len {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl TaskApi for KieClient {
    fn start_poll(&self, request: PollRequest) -> PollStart<'_> {
        let answer: BoxFuture<'_, _> = Box::pin(async move {
            let mut notes = ResponseNotes::default();
            let result = self.poll(&request, &mut notes).await;
            (result, notes)
        });
        Box::pin(future::ready(Ok(answer)))
    }

    fn account(&self) -> BoxFuture<'_, Result<AccountHash, PollError>> {
        let hash = |key: ApiKey| AccountHash::new(self.origin.as_str(), key.expose());
        Box::pin(self.key.with(move |key| future::ready(Ok(hash(key)))))
    }

    fn secrets(&self) -> KnownSecrets {
        self.key.known_spellings()
    }
}

impl LinkRenewer for KieClient {
    fn renew_link<'a>(
        &'a self,
        _: &'a TaskId,
        url: &'a VideoUrl,
    ) -> BoxFuture<'a, Result<VideoUrl, PollError>> {
        Box::pin(async move {
            let renew = |key| async move { self.request_link(&key, url).await };
            let renewal = self.key.with(renew);
            let result = time::timeout(self.limits.total_timeout, renewal).await;
            result.unwrap_or(Err(PollError::TimedOut))
        })
    }
}

impl fmt::Debug for KieClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KieClient")
            .field("origin", &self.origin)
            .field("key", &self.key)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Returns the settings of a client that sends the key: no plain http, and timeouts.
fn client_settings(is_loopback: bool, limits: &RequestLimits) -> reqwest::ClientBuilder {
    let settings = http::client_settings()
        .https_only(!is_loopback)
        .connect_timeout(limits.connect_timeout)
        // Limits the wait for the response headers, then each pause within the body.
        .read_timeout(limits.read_timeout)
        .pool_idle_timeout(limits.idle_timeout)
        // After a network change the old connection never responds, and over HTTP/2 every later
        // request would share it. Pings detect a dead connection while a request is in flight.
        .http2_keep_alive_interval(limits.read_timeout / 2)
        .http2_keep_alive_timeout(limits.read_timeout / 4);
    if is_loopback {
        // A proxy would see the key unencrypted, and a local server needs none.
        settings.no_proxy()
    } else {
        settings
    }
}

/// Returns the target host if the response is a redirect.
fn redirect_target(response: &Response) -> Option<String> {
    let location = response.headers().get(header::LOCATION)?;
    if !response.status().is_redirection() {
        return None;
    }
    // The host only: path and query could repeat the key.
    let location = String::from_utf8_lossy(location.as_bytes());
    let target = response.url().join(&location).ok();
    let host = target.as_ref().and_then(|url| url.host_str());
    Some(host.unwrap_or("an invalid address").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_key_never_leaves_in_clear() {
        let client = KieClient::new(ApiOrigin::default(), None, RequestLimits::default());
        let client = client.pooled.get().await.unwrap();

        let error = client.get("http://127.0.0.1:9/?secret=1").send().await;

        let error = error.unwrap_err();
        assert!(error.is_builder(), "{error}");
        let shown = errors::request_error(error, "api.kie.ai", None).message();
        assert!(!shown.contains("secret"), "{shown}");
    }
}
