//! HTTP routes, authentication and responses.
//!
//! Owns the tasks and the fault model. The state of a task is up to `tasks`, the format of a
//! response to `wire`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::SimulatedClock;
use super::faults::{CallLimit, FaultModel, SimulatedFault};
use super::media::set_header;
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
        if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
            return None;
        }
        if self.key.as_deref().is_some_and(|accepted| accepted != key) {
            return None;
        }
        Some(key)
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
        return ok_json(&wire::error_envelope(
            401,
            "You do not have access permissions: the API key is missing or wrong",
        ));
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
    let now = state.clock.now();
    if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        set_header(&mut response, header::DATE, &date);
    }
    response
}

async fn record_info(State(state): State<Arc<ServerState>>, RawQuery(query): RawQuery) -> Response {
    let id = wire::query_parameter(&query.unwrap_or_default(), "taskId").unwrap_or_default();
    if id.is_empty() {
        return ok_json(&wire::error_envelope(422, "taskId is required"));
    }
    let now = state.now();
    let mut tasks = state.tasks.lock().await;
    match tasks.query(&id, now) {
        Some(task) => ok_json(&wire::record_info(task, now, &state.base)),
        None => ok_json(&wire::error_envelope(422, "record is null")),
    }
}

async fn generate(State(state): State<Arc<ServerState>>, body: Bytes) -> Response {
    let request = match wire::parse_create_request(&body) {
        Ok(request) => request,
        Err(message) => return ok_json(&wire::error_envelope(422, message)),
    };
    let id = state.tasks.lock().await.create(request, state.now());
    ok_json(&wire::success(&json!({ "taskId": id })))
}

async fn download_url(State(state): State<Arc<ServerState>>, body: Bytes) -> Response {
    let now = state.now();
    let url = wire::parse_url_field(&body).unwrap_or_default();
    let Some((id, file)) = wire::parse_result_url(&url, &state.base) else {
        return ok_json(&wire::error_envelope(422, "url is wrong"));
    };
    match state.tasks.lock().await.media_status(id, file, now) {
        MediaStatus::Available(_) => ok_json(&wire::success(&json!(wire::download_link(
            &state.base,
            id,
            file,
            now
        )))),
        MediaStatus::Expired => ok_json(&wire::error_envelope(404, "the file has expired")),
        MediaStatus::Missing => ok_json(&wire::error_envelope(422, "url is wrong")),
    }
}

async fn credit(State(state): State<Arc<ServerState>>) -> Response {
    ok_json(&wire::success(&json!(state.credits)))
}

async fn media(
    State(state): State<Arc<ServerState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let now = state.now();
    if wire::is_link_expired(query.as_deref(), now) {
        return html_page(StatusCode::FORBIDDEN, "403 This link has ended");
    }
    let Some((id, file)) = wire::parse_media_name(&name) else {
        return html_page(StatusCode::NOT_FOUND, "404 Not Found");
    };
    match state.tasks.lock().await.media_status(id, file, now) {
        MediaStatus::Available(video) => video.respond(&headers),
        MediaStatus::Expired | MediaStatus::Missing => {
            html_page(StatusCode::NOT_FOUND, "404 Not Found")
        }
    }
}

async fn not_found() -> Response {
    json_response(
        StatusCode::NOT_FOUND,
        &wire::error_envelope(404, "Not Found"),
    )
}

fn fault_response(fault: SimulatedFault) -> Response {
    match fault {
        SimulatedFault::RateLimited => rate_limited(StatusCode::TOO_MANY_REQUESTS),
        SimulatedFault::ServerError => json_response(
            StatusCode::INTERNAL_SERVER_ERROR,
            &wire::error_envelope(
                500,
                "Server Error - An unexpected error occurred while processing the request",
            ),
        ),
        SimulatedFault::BadGateway => html_page(StatusCode::BAD_GATEWAY, "502 Bad Gateway"),
        SimulatedFault::Maintenance => ok_json(&wire::error_envelope(
            455,
            "Service Unavailable - System is currently undergoing maintenance",
        )),
    }
}

/// Returns code 429 with an HTTP status: 200 from the API itself, 429 from a gateway in front.
fn rate_limited(status: StatusCode) -> Response {
    let body = wire::error_envelope(
        429,
        "Rate Limited - Request limit has been exceeded for this resource",
    );
    let mut response = json_response(status, &body);
    set_header(&mut response, header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    response
}

/// Returns HTTP 200 with JSON, whatever the code in the body.
fn ok_json(body: &Value) -> Response {
    json_response(StatusCode::OK, body)
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    set_header(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// Returns an HTML page, as proxies and file hosts do.
fn html_page(status: StatusCode, title: &str) -> Response {
    let html = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    set_header(&mut response, header::CONTENT_TYPE, "text/html");
    response
}
