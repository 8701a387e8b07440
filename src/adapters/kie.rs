//! Client for the API at kie.ai: polls tasks with the key and maps every outcome to a result.
//!
//! This file handles connections, deadlines and the key. [`envelope`] interprets responses, and one
//! file for each family decodes its records; a new family is a new file and a line in
//! [`family_api`]. The client keeps only connections and the key between requests, and does not
//! decide when to poll.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{Client, Response, header};
use tokio::sync::{Mutex, OnceCell};

use self::{
    connection::{ConnectionReuse, build_http_client},
    envelope::{ApiReply, malformed},
};
use crate::{
    adapters::file_limiter::limited_client::{self, SharedLimiter},
    domain::{
        api_origin::ApiOrigin,
        id_extract::KnownSecrets,
        limiter::AccountHash,
        poll_result::{PollError, PollResult},
        response_notes::ResponseNotes,
        task::{Family, TaskDetails, TaskId, TaskState},
        text::CleanText,
    },
    ports::{BoxFuture, TaskApi},
};

pub mod connection;
pub mod envelope;
pub mod key;
pub mod key_source;
pub mod lenient_json;
mod link_renewal;
pub mod luma_modify;
mod redaction;
pub mod retry_after;

pub use self::{
    key::{ApiKey, KeyError},
    key_source::KeySource,
};

/// The longest host name shown, in bytes: the limit of DNS.
const MAX_HOST_LEN: usize = 253;

/// The API of one task family: path and record decoder.
#[derive(Debug, Clone, Copy)]
pub struct FamilyApi {
    /// The path of the status endpoint, which takes the query parameter `taskId`.
    pub path: &'static str,
    /// Decodes the record (the envelope's `data`). Pure; accepts any object.
    pub decode: fn(&lenient_json::JsonObject) -> (TaskState, TaskDetails),
}

pub const fn family_api(family: Family) -> FamilyApi {
    match family {
        Family::LumaModify => luma_modify::API,
    }
}

/// Returns the URL for a task's status. It does not contain the key.
pub fn status_url(origin: &ApiOrigin, task: &TaskId, family: Family) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("taskId", task.as_str())
        .finish();
    format!("{origin}{}?{query}", family_api(family).path)
}

/// Limits on one poll: timeouts and response size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// For DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For the response headers, and for each pause within the body.
    pub read_timeout: Duration,
    /// For the whole poll, its retry included.
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
/// Creating one is cheap: the HTTP client inside is built for the first request.
pub struct KieClient {
    origin: ApiOrigin,
    key_source: KeySource,
    key_cell: Mutex<Arc<KeyCell>>,
    limits: RequestLimits,
    pooled: OnceCell<Client>,
    unpooled: OnceCell<Client>,
    limiter: SharedLimiter,
}

/// The key, read once: concurrent requests wait for the same read.
type KeyCell = OnceCell<Result<ApiKey, PollError>>;

impl KieClient {
    /// Creates a client. Without a key, polls fail with [`PollError::NoKey`] and send nothing.
    ///
    /// A stored key is read for the first request, and again after it was refused or unreadable.
    pub fn new(origin: ApiOrigin, key: impl Into<KeySource>, limits: RequestLimits) -> Self {
        Self {
            origin,
            key_source: key.into(),
            key_cell: Mutex::default(),
            limits,
            pooled: OnceCell::const_new(),
            unpooled: OnceCell::const_new(),
            limiter: None,
        }
    }

    /// Counts retries and link renewals in `limiter`. For the first request of a poll, the caller
    /// has a permit.
    #[must_use]
    pub fn with_limiter(self, limiter: SharedLimiter) -> Self {
        Self { limiter, ..self }
    }

    pub const fn origin(&self) -> &ApiOrigin {
        &self.origin
    }

    /// Polls with the current key. If the server refuses a stored key, the next request reads it
    /// again.
    async fn poll_with_key(
        &self,
        task: &TaskId,
        family: Family,
        notes: &mut ResponseNotes,
    ) -> PollResult {
        let cell = Arc::clone(&*self.key_cell.lock().await);
        let key = self.load_key(&cell).await?;
        let result = self.poll_with_retry(key, task, family, notes).await;
        self.forget_refused_key(&cell, &result).await;
        result
    }

    /// Returns the key, reading it if necessary. After a failed read, the next request tries again.
    async fn load_key<'a>(&self, cell: &'a Arc<KeyCell>) -> Result<&'a ApiKey, PollError> {
        match cell.get_or_init(|| self.key_source.read()).await {
            Ok(key) => Ok(key),
            Err(error) => {
                self.forget_key(cell).await;
                Err(error.clone())
            }
        }
    }

    /// Forgets the key if the server refused it.
    async fn forget_refused_key<T>(&self, cell: &Arc<KeyCell>, result: &Result<T, PollError>) {
        if matches!(result, Err(PollError::Unauthorized(_))) {
            self.forget_key(cell).await;
        }
    }

    /// Forgets the key, unless another request has already replaced it.
    async fn forget_key(&self, cell: &Arc<KeyCell>) {
        let mut key = self.key_cell.lock().await;
        if Arc::ptr_eq(&key, cell) {
            *key = Arc::default();
        }
    }

    /// Polls, and retries once on a new connection if the first was lost before any response: the
    /// server may have closed an idle connection just as it was reused. A poll changes nothing on
    /// the server, so it may be repeated; the retry counts in the limiter.
    async fn poll_with_retry(
        &self,
        key: &ApiKey,
        task: &TaskId,
        family: Family,
        notes: &mut ResponseNotes,
    ) -> PollResult {
        let response = match self
            .send_poll(ConnectionReuse::Pooled, key, task, family)
            .await
        {
            Err(PollError::ConnectionLost) => {
                limited_client::wait_for_retry(&self.limiter).await;
                self.send_poll(ConnectionReuse::Unpooled, key, task, family)
                    .await
            }
            response => response,
        }?;
        notes.date = header_text(&response, &header::DATE).and_then(retry_after::parse_http_date);
        let reply = self.read_api_reply(response, key).await?;
        reply.interpret(task, family, notes)
    }

    /// Reads a response; redirects and Cloudflare challenges become errors.
    async fn read_api_reply(
        &self,
        response: Response,
        key: &ApiKey,
    ) -> Result<ApiReply, PollError> {
        if let Some(host) = redirect_target(&response) {
            let host = key.redact(&host);
            return Err(PollError::Redirected(CleanText::line(&host, MAX_HOST_LEN)));
        }
        if let Some(error) = connection::cloudflare_challenge(&response) {
            return Err(error);
        }
        self.read_reply(response, key).await
    }

    /// Sends the request and waits for the response headers.
    async fn send_poll(
        &self,
        reuse: ConnectionReuse,
        key: &ApiKey,
        task: &TaskId,
        family: Family,
    ) -> Result<Response, PollError> {
        let client = match self.client(reuse).await {
            Ok(client) => client,
            Err(error) => return Err(self.request_error(error)),
        };
        let sent = client
            .get(status_url(&self.origin, task, family))
            .header(header::ACCEPT, "application/json")
            // Per request and not as a default header: those are printed by the client's `Debug`.
            .bearer_auth(key.expose())
            .send()
            .await;
        sent.map_err(|error| {
            let error = error.without_url();
            tracing::debug!(%task, ?reuse, error = connection::error_chain(&error), "no response");
            self.request_error(error)
        })
    }

    /// Maps an error that occurred before the response headers.
    fn request_error(&self, error: reqwest::Error) -> PollError {
        let proxy = connection::proxy_for(&self.origin);
        connection::request_error(error, self.origin.host(), proxy.as_deref())
    }

    /// Returns the HTTP client; built on the blocking pool for the first request.
    async fn client(&self, reuse: ConnectionReuse) -> reqwest::Result<&Client> {
        let cell = match reuse {
            ConnectionReuse::Pooled => &self.pooled,
            ConnectionReuse::Unpooled => &self.unpooled,
        };
        cell.get_or_try_init(|| async move {
            let (origin, limits) = (self.origin.clone(), self.limits);
            let build =
                move || build_http_client(|| connection::client_builder(&origin, &limits, reuse));
            match tokio::task::spawn_blocking(build.clone()).await {
                Ok(client) => client,
                // The runtime is shutting down and takes no more work: nobody awaits the response.
                Err(_) => build(),
            }
        })
        .await
    }

    /// Reads the whole response and redacts the key, in case the server repeats it. Otherwise the
    /// key would reach the screen, the list file and every export.
    async fn read_reply(&self, response: Response, key: &ApiKey) -> Result<ApiReply, PollError> {
        let status = response.status().as_u16();
        let retry_after = header_text(&response, &header::RETRY_AFTER)
            .and_then(|value| retry_after::parse(value, header_text(&response, &header::DATE)));
        let mut reply = ApiReply {
            status,
            retry_after,
            body: Vec::new(),
        };
        match self.read_body(response).await {
            Ok(body) => reply.body = key.redact_bytes(body),
            // The error status is more useful than the fact that its page was unreadable.
            Err(_) if !reply.is_success() && status != 404 => {}
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
        let too_large = || malformed(&format!("larger than {} bytes", self.limits.max_body_len));
        let length = response.content_length().unwrap_or_default();
        if usize::try_from(length).map_or(true, |length| length > self.limits.max_body_len) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > self.limits.max_body_len => {
                    return Err(too_large());
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => {
                    let error = error.without_url();
                    tracing::debug!(
                        error = connection::error_chain(&error),
                        "incomplete response"
                    );
                    return Err(connection::body_error(error));
                }
            }
        }
    }
}

impl TaskApi for KieClient {
    fn poll<'a>(
        &'a self,
        task: &'a TaskId,
        family: Family,
        notes: &'a mut ResponseNotes,
    ) -> BoxFuture<'a, PollResult> {
        Box::pin(async move {
            let poll = self.poll_with_key(task, family, notes);
            let result = match tokio::time::timeout(self.limits.total_timeout, poll).await {
                Ok(result) => result,
                Err(_) => Err(PollError::TimedOut),
            };
            result.inspect_err(|error| tracing::debug!(%task, ?error, "poll failed"))
        })
    }

    fn account(&self) -> BoxFuture<'_, Result<AccountHash, PollError>> {
        Box::pin(async move {
            let cell = Arc::clone(&*self.key_cell.lock().await);
            let key = self.load_key(&cell).await?;
            Ok(AccountHash::new(self.origin.as_str(), key.expose()))
        })
    }

    fn secrets(&self) -> KnownSecrets {
        // A key that is being read at this moment is known by the next call.
        let cell = self.key_cell.try_lock().ok();
        let key = cell.as_ref().and_then(|cell| cell.get()?.as_ref().ok());
        key.map(ApiKey::known_spellings).unwrap_or_default()
    }
}

impl fmt::Debug for KieClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KieClient")
            .field("origin", &self.origin)
            .field("key", &self.key_source)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Returns a header's value if it is valid text.
fn header_text<'a>(response: &'a Response, name: &header::HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
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
