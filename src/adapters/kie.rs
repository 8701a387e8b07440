//! The API at kie.ai: one client for the host, which asks after tasks with the key and names every
//! outcome.
//!
//! It knows connections, deadlines and the key. What an answer means is `envelope`'s, and what a
//! record means is the family's own file; another family is another file and one line in
//! [`family_api`]. It keeps nothing between two questions but open connections, and decides nothing
//! about when to ask.

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
pub mod origin;
mod redaction;
pub mod retry_after;

pub use self::{
    key::{ApiKey, KeyError},
    key_source::{KeySource, StoredKey},
    origin::{ApiOrigin, OriginError},
};

/// The longest name of a host that is shown, in bytes: what DNS allows.
const MAX_HOST_LEN: usize = 253;

/// One family of tasks: where it is asked after, and how its record is read.
#[derive(Debug, Clone, Copy)]
pub struct FamilyApi {
    /// The path of the status call, which takes the query `taskId`.
    pub path: &'static str,
    /// Reads the record, the envelope's `data`. Pure and total.
    pub decode: fn(&lenient_json::JsonObject) -> (TaskState, TaskDetails),
}

/// Returns how a family is asked after.
pub const fn family_api(family: Family) -> FamilyApi {
    match family {
        Family::LumaModify => luma_modify::API,
    }
}

/// Returns the whole address that is asked after a task. The key is no part of it.
pub fn status_url(origin: &ApiOrigin, task: &TaskId, family: Family) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("taskId", task.as_str())
        .finish();
    format!("{origin}{}?{query}", family_api(family).path)
}

/// Bounds one question: how long it may take and how large its answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// How long finding the host, connecting and TLS may take together.
    pub connect_timeout: Duration,
    /// How long the head of the answer may take, and each silence within its body.
    pub read_timeout: Duration,
    /// How long everything may take together, a repeated question included.
    pub total_timeout: Duration,
    /// How long an unused connection is kept: shorter than a network change or a nap goes
    /// unnoticed.
    pub idle_timeout: Duration,
    /// How large a body may be, in bytes.
    pub max_body_len: usize,
}

impl Default for RequestLimits {
    /// 5, 10, 20 and 30 seconds, and 1 MiB: ten times what the slowest and largest known answers
    /// need.
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

/// Asks the API. Its key goes to its origin and nowhere else, and no `Debug` shows it.
///
/// Making one is free: the HTTP client within is built at the first question.
pub struct KieClient {
    origin: ApiOrigin,
    key_source: KeySource,
    key_cell: Mutex<Arc<KeyCell>>,
    limits: RequestLimits,
    pooled: OnceCell<Client>,
    unpooled: OnceCell<Client>,
    limiter: SharedLimiter,
}

/// Holds the key once it is read; questions that come meanwhile wait for the same reading.
type KeyCell = OnceCell<Result<ApiKey, PollError>>;

impl KieClient {
    /// Returns a client for that address. Without a key it answers [`PollError::NoKey`] and sends
    /// nothing.
    ///
    /// A stored key is read at the first question, and again after it was refused or could not be
    /// read.
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

    /// Counts in the book of turns what is more than the one request for which the caller has a
    /// turn.
    #[must_use]
    pub fn with_limiter(self, turns: SharedLimiter) -> Self {
        Self {
            limiter: turns,
            ..self
        }
    }

    /// Returns the address that is asked.
    pub const fn origin(&self) -> &ApiOrigin {
        &self.origin
    }

    /// Asks with the key as it is now known; a stored key that is refused is read again at the next
    /// question.
    async fn poll_with_key(
        &self,
        task: &TaskId,
        family: Family,
        noticed: &mut ResponseNotes,
    ) -> PollResult {
        let cell = Arc::clone(&*self.key_cell.lock().await);
        let key = self.load_key(&cell).await?;
        let answer = self.poll_with_retry(key, task, family, noticed).await;
        self.forget_refused_key(&cell, &answer).await;
        answer
    }

    /// Returns the key, read when it is needed first; one that cannot be read is tried again at the
    /// next question.
    async fn load_key<'a>(&self, cell: &'a Arc<KeyCell>) -> Result<&'a ApiKey, PollError> {
        match cell.get_or_init(|| self.key_source.read()).await {
            Ok(key) => Ok(key),
            Err(error) => {
                self.forget_key(cell).await;
                Err(error.clone())
            }
        }
    }

    /// Forgets a key with which this was refused.
    async fn forget_refused_key<T>(&self, cell: &Arc<KeyCell>, answer: &Result<T, PollError>) {
        if matches!(answer, Err(PollError::Unauthorized(_))) {
            self.forget_key(cell).await;
        }
    }

    /// Forgets a key, unless another question did so already.
    async fn forget_key(&self, cell: &Arc<KeyCell>) {
        let mut key = self.key_cell.lock().await;
        if Arc::ptr_eq(&key, cell) {
            *key = Arc::default();
        }
    }

    /// Asks, and asks once more on a new connection when the first broke before any answer: the
    /// server may have closed an idle connection just as it was taken. A question changes nothing,
    /// so it may be put twice; it counts twice too.
    async fn poll_with_retry(
        &self,
        key: &ApiKey,
        task: &TaskId,
        family: Family,
        noticed: &mut ResponseNotes,
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
        noticed.date = header_text(&response, &header::DATE).and_then(retry_after::parse_http_date);
        let reply = self.read_api_reply(response, key).await?;
        reply.interpret(task, family, noticed)
    }

    /// Parses an answer that is neither a redirect nor a Cloudflare challenge.
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

    /// Puts the question and waits for the head of the answer.
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
            tracing::debug!(%task, ?reuse, error = connection::error_chain(&error), "no answer");
            self.request_error(error)
        })
    }

    /// Names an error that came before the head of an answer.
    fn request_error(&self, error: reqwest::Error) -> PollError {
        let proxy = connection::proxy_for(&self.origin);
        connection::request_error(error, self.origin.host(), proxy.as_deref())
    }

    /// Returns the HTTP client, built on the blocking pool when it is needed first.
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
                // The runtime is ending and takes no more work: the answer will not be waited for.
                Err(_) => build(),
            }
        })
        .await
    }

    /// Reads the answer to its end. The key is taken out of it, should the server repeat what it
    /// was sent: from here on it would reach the screen, the list file and every export.
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
            // What the status says of an error is worth more than that its page was unreadable.
            Err(_) if !reply.is_success() && status != 404 => {}
            Err(error) => return Err(error),
        }
        Ok(reply)
    }

    /// Reads the body piece by piece, and no further than the limit.
    async fn read_body(&self, mut response: Response) -> Result<Vec<u8>, PollError> {
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            // Never asked for, and a small compressed body can be a huge one.
            return Err(malformed("it is compressed"));
        }
        let too_large = || {
            malformed(&format!(
                "it is larger than {} bytes",
                self.limits.max_body_len
            ))
        };
        let told = response.content_length().unwrap_or_default();
        if usize::try_from(told).map_or(true, |told| told > self.limits.max_body_len) {
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
                    tracing::debug!(error = connection::error_chain(&error), "half an answer");
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
        noticed: &'a mut ResponseNotes,
    ) -> BoxFuture<'a, PollResult> {
        Box::pin(async move {
            let asked = self.poll_with_key(task, family, noticed);
            let answer = match tokio::time::timeout(self.limits.total_timeout, asked).await {
                Ok(answer) => answer,
                Err(_) => Err(PollError::TimedOut),
            };
            answer.inspect_err(|error| tracing::debug!(%task, ?error, "a check failed"))
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
        // A key that is being read at this moment is known at the next call.
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

/// Returns a header of an answer, where there is one that is a text.
fn header_text<'a>(response: &'a Response, name: &header::HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Returns the host a redirect leads to, if the answer is one.
fn redirect_target(response: &Response) -> Option<String> {
    let location = response.headers().get(header::LOCATION)?;
    if !response.status().is_redirection() {
        return None;
    }
    // The host alone: path and query may hold what the server should not have repeated.
    let location = String::from_utf8_lossy(location.as_bytes());
    let target = response.url().join(&location).ok();
    let host = target.as_ref().and_then(|url| url.host_str());
    Some(host.unwrap_or("nowhere").to_owned())
}
