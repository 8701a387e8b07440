//! HTTP routes, authentication and responses.
//!
//! Owns the tasks and the fault model. The state of a task is up to `tasks`, the format of a
//! response to `wire`.

use std::{collections::HashMap, sync::Arc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::clock::SimulatedClock;
use super::faults::{CallLimit, FaultModel, SimulatedFault};
use super::tasks::{MediaStatus, Millis, TaskTable};
use super::wire;

/// The path of status queries, limited to 10 per second.
const RECORD_INFO_PATH: &str = "/api/v1/modify/record-info";
/// The path of create requests, limited to 20 in 10 seconds.
const GENERATE_PATH: &str = "/api/v1/modify/generate";

const RETRY_AFTER_SECONDS: &str = "2";

/// The shared state of all requests.
pub(super) struct ServerState {
    pub(super) clock: SimulatedClock,
    /// The URL of this server, with a trailing slash.
    pub(super) base: Url,
    /// The only accepted key; `None` accepts any.
    pub(super) key: Option<String>,
    /// The balance that `credit` returns, with a fraction.
    pub(super) credits: f64,
    /// Whether responses are delayed.
    pub(super) latency: bool,
    /// Whether faults and maintenance occur.
    pub(super) faults: bool,
    pub(super) tasks: Mutex<TaskTable>,
    pub(super) fault_model: Mutex<FaultModel>,
}

impl ServerState {
    fn now(&self) -> Millis {
        self.clock.now().as_millisecond()
    }

    /// Returns the key of a request if it is accepted.
    fn accepted_key<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, key) = given.split_once(' ')?;
        let key = key.trim();
        let is_expected = self.key.as_deref().is_none_or(|accepted| accepted == key);
        let is_bearer = scheme.eq_ignore_ascii_case("bearer") && !key.is_empty();
        (is_bearer && is_expected).then_some(key)
    }
}

pub(super) fn routes(state: Arc<ServerState>) -> Router {
    let api = Router::new()
        .route(RECORD_INFO_PATH, get(record_info))
        .route(GENERATE_PATH, post(generate))
        .route("/api/v1/common/download-url", post(download_url))
        .route("/api/v1/chat/credit", get(credit))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            check_request,
        ));
    Router::new()
        .route("/media/{name}", get(media))
        .merge(api)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), set_date))
        .with_state(state)
}

/// Rejects a request on a simulated fault, a wrong key or a reached limit.
async fn check_request(
    State(state): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Response {
    if state.latency {
        let latency = state.fault_model.lock().await.latency();
        tokio::time::sleep(latency).await;
    }
    let at = state.clock.elapsed();
    if state.faults
        && let Some(fault) = state.fault_model.lock().await.draw_fault(at)
    {
        return fault_response(fault);
    }
    let Some(key) = state.accepted_key(request.headers()) else {
        return api_error(
            401,
            "You do not have access permissions: the API key is missing or wrong",
        );
    };
    let limit = match request.uri().path() {
        RECORD_INFO_PATH => Some(CallLimit::Queries),
        GENERATE_PATH => Some(CallLimit::Creates),
        _ => None,
    };
    if let Some(limit) = limit
        && !state.fault_model.lock().await.try_acquire(limit, key, at)
    {
        return rate_limited(StatusCode::OK);
    }
    next.run(request).await
}

/// Sets the `Date` header of each response to simulated time.
async fn set_date(State(state): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&state.clock.now());
    let date = date.ok().and_then(|date| HeaderValue::try_from(date).ok());
    response
        .headers_mut()
        .extend(date.map(|date| (header::DATE, date)));
    response
}

async fn record_info(
    State(state): State<Arc<ServerState>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(id) = query.get("taskId").filter(|id| !id.is_empty()) else {
        return api_error(422, "taskId is required");
    };
    let now = state.now();
    match state.tasks.lock().await.query(id, now) {
        Some(task) => json_response(StatusCode::OK, &wire::record_info(task, now, &state.base)),
        None => api_error(422, "record is null"),
    }
}

async fn generate(State(state): State<Arc<ServerState>>, body: Bytes) -> Response {
    match wire::parse_create_request(&body) {
        Ok(request) => {
            let id = state.tasks.lock().await.create(request, state.now());
            success(&json!({ "taskId": id }))
        }
        Err(message) => api_error(422, message),
    }
}

async fn download_url(State(state): State<Arc<ServerState>>, body: Bytes) -> Response {
    let now = state.now();
    let url = wire::parse_url_field(&body).unwrap_or_default();
    let Some((id, file)) = wire::parse_result_url(&url, &state.base) else {
        return api_error(422, "url is wrong");
    };
    match state.tasks.lock().await.media_status(id, file, now) {
        MediaStatus::Available(_) => {
            success(&json!(wire::download_link(&state.base, id, file, now)))
        }
        MediaStatus::Expired => api_error(404, "the file has expired"),
        MediaStatus::Missing => api_error(422, "url is wrong"),
    }
}

async fn credit(State(state): State<Arc<ServerState>>) -> Response {
    success(&json!(state.credits))
}

async fn media(
    State(state): State<Arc<ServerState>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let now = state.now();
    if wire::is_link_expired(&query, now) {
        return html_page(StatusCode::FORBIDDEN, "403 This link has ended");
    }
    if let Some((id, file)) = wire::parse_media_name(&name)
        && let MediaStatus::Available(video) = state.tasks.lock().await.media_status(id, file, now)
    {
        return video.respond(&headers);
    }
    html_page(StatusCode::NOT_FOUND, "404 Not Found")
}

async fn not_found() -> Response {
    let body = wire::error_envelope(404, "Not Found");
    json_response(StatusCode::NOT_FOUND, &body)
}

fn fault_response(fault: SimulatedFault) -> Response {
    match fault {
        SimulatedFault::RateLimited => rate_limited(StatusCode::TOO_MANY_REQUESTS),
        SimulatedFault::ServerError => {
            let message =
                "Server Error - An unexpected error occurred while processing the request";
            let body = wire::error_envelope(500, message);
            json_response(StatusCode::INTERNAL_SERVER_ERROR, &body)
        }
        SimulatedFault::BadGateway => html_page(StatusCode::BAD_GATEWAY, "502 Bad Gateway"),
        SimulatedFault::Maintenance => api_error(
            455,
            "Service Unavailable - System is currently undergoing maintenance",
        ),
    }
}

/// Returns code 429 with an HTTP status: 200 from the API itself, 429 from a gateway in front.
fn rate_limited(status: StatusCode) -> Response {
    let message = "Rate Limited - Request limit has been exceeded for this resource";
    let body = wire::error_envelope(429, message);
    let retry_after = [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)];
    (retry_after, json_response(status, &body)).into_response()
}

fn success(data: &Value) -> Response {
    json_response(StatusCode::OK, &wire::success(data))
}

/// Returns an error as the API does: HTTP 200, with the code in the body.
fn api_error(code: u16, message: &str) -> Response {
    json_response(StatusCode::OK, &wire::error_envelope(code, message))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (status, content_type, body.to_string()).into_response()
}

/// Returns an HTML page, as proxies and file hosts do.
fn html_page(status: StatusCode, title: &str) -> Response {
    let html = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    );
    (status, [(header::CONTENT_TYPE, "text/html")], html).into_response()
}
