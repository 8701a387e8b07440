//! HTTP: which call goes where, who may call, and what is sent back.
//!
//! It holds the world and the weather for the time the server runs. It must not decide what a task
//! is (`world`) nor how an answer is spelled (`wire`).

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

/// The path of the status call, the one that is limited to 10 a second.
const RECORD_INFO_PATH: &str = "/api/v1/modify/record-info";
/// The path of the create call, limited to 20 in 10 seconds.
const GENERATE_PATH: &str = "/api/v1/modify/generate";

/// How many seconds a refused caller is told to wait.
const RETRY_AFTER_SECONDS: &str = "2";

/// Holds what every call needs.
pub(super) struct ServerState {
    /// Simulated time.
    pub(super) clock: SimulatedClock,
    /// Where this server is reached, with a slash at its end.
    pub(super) base: Url,
    /// The one accepted key, if only one is.
    pub(super) key: Option<String>,
    /// The fractional balance `credit` answers with.
    pub(super) credits: f64,
    /// Whether answers take time.
    pub(super) latency: bool,
    /// Whether calls meet faults and maintenance.
    pub(super) faults: bool,
    /// The tasks.
    pub(super) tasks: Mutex<TaskTable>,
    /// The weather.
    pub(super) fault_model: Mutex<FaultModel>,
}

impl ServerState {
    fn now(&self) -> Millis {
        self.clock.now().as_millisecond()
    }

    /// Returns the caller's key if it is accepted.
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

/// Builds the routes of the whole server.
pub(super) fn routes(stage: Arc<ServerState>) -> Router {
    let api = Router::new()
        .route(RECORD_INFO_PATH, get(record_info))
        .route(GENERATE_PATH, post(generate))
        .route("/api/v1/common/download-url", post(download_url))
        .route("/api/v1/chat/credit", get(credit))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&stage),
            check_request,
        ));
    Router::new()
        .route("/media/{name}", get(media))
        .merge(api)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&stage), set_date))
        .with_state(stage)
}

/// Lets a call pass to its answer unless the weather, the key or a limit is against it.
async fn check_request(
    State(stage): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Response {
    if stage.latency {
        let latency = stage.fault_model.lock().await.latency();
        tokio::time::sleep(latency).await;
    }
    let at = stage.clock.elapsed();
    if stage.faults
        && let Some(trouble) = stage.fault_model.lock().await.draw_fault(at)
    {
        return fault_response(trouble);
    }
    let Some(key) = stage.accepted_key(request.headers()) else {
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
        && !stage.fault_model.lock().await.try_acquire(limit, key, at)
    {
        return rate_limited(StatusCode::OK);
    }
    next.run(request).await
}

/// Gives every answer the date of simulated time.
async fn set_date(State(stage): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let now = stage.clock.now();
    if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        set_header(&mut response, header::DATE, &date);
    }
    response
}

async fn record_info(State(stage): State<Arc<ServerState>>, RawQuery(query): RawQuery) -> Response {
    let id = wire::query_parameter(&query.unwrap_or_default(), "taskId").unwrap_or_default();
    if id.is_empty() {
        return ok_json(&wire::error_envelope(422, "taskId is required"));
    }
    let now = stage.now();
    let mut world = stage.tasks.lock().await;
    match world.query(&id, now) {
        Some(plan) => ok_json(&wire::record_info(plan, now, &stage.base)),
        None => ok_json(&wire::error_envelope(422, "record is null")),
    }
}

async fn generate(State(stage): State<Arc<ServerState>>, body: Bytes) -> Response {
    let order = match wire::parse_create_request(&body) {
        Ok(order) => order,
        Err(fault) => return ok_json(&wire::error_envelope(422, fault)),
    };
    let id = stage.tasks.lock().await.create(order, stage.now());
    ok_json(&wire::success(&json!({ "taskId": id })))
}

async fn download_url(State(stage): State<Arc<ServerState>>, body: Bytes) -> Response {
    let now = stage.now();
    let url = wire::parse_url_field(&body).unwrap_or_default();
    let Some((id, part)) = wire::parse_result_url(&url, &stage.base) else {
        return ok_json(&wire::error_envelope(422, "url is wrong"));
    };
    match stage.tasks.lock().await.media_status(id, part, now) {
        MediaStatus::Available(_) => ok_json(&wire::success(&json!(wire::download_link(
            &stage.base,
            id,
            part,
            now
        )))),
        MediaStatus::Expired => ok_json(&wire::error_envelope(404, "the file has expired")),
        MediaStatus::Missing => ok_json(&wire::error_envelope(422, "url is wrong")),
    }
}

async fn credit(State(stage): State<Arc<ServerState>>) -> Response {
    ok_json(&wire::success(&json!(stage.credits)))
}

async fn media(
    State(stage): State<Arc<ServerState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let now = stage.now();
    if wire::is_link_expired(query.as_deref(), now) {
        return html_page(StatusCode::FORBIDDEN, "403 This link has ended");
    }
    let Some((id, part)) = wire::parse_media_name(&name) else {
        return html_page(StatusCode::NOT_FOUND, "404 Not Found");
    };
    match stage.tasks.lock().await.media_status(id, part, now) {
        MediaStatus::Available(footage) => footage.respond(&headers),
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

fn fault_response(trouble: SimulatedFault) -> Response {
    match trouble {
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

/// Answers code 429 under an HTTP status: 200 from the API itself, 429 from a gateway before it.
fn rate_limited(status: StatusCode) -> Response {
    let refusal = wire::error_envelope(
        429,
        "Rate Limited - Request limit has been exceeded for this resource",
    );
    let mut response = json_response(status, &refusal);
    set_header(&mut response, header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    response
}

/// Answers HTTP 200 with JSON, whatever the body's own code.
fn ok_json(body: &Value) -> Response {
    json_response(StatusCode::OK, body)
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    set_header(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// Answers with a page of HTML, as proxies and file hosts do.
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
