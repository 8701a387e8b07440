//! HTTP: which call goes where, who may call, and what is sent back.
//!
//! It holds the world and the weather for the time the server runs. It must not decide what a task is (`world`) nor how an
//! answer is spelled (`wire`).

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
use super::media::put;
use super::traffic::{Limit, Traffic, Trouble};
use super::wire;
use super::world::{Millis, Shelf, World};

/// The path of the status call, the one that is limited to 10 a second.
const RECORD_INFO: &str = "/api/v1/modify/record-info";
/// The path of the create call, limited to 20 in 10 seconds.
const GENERATE: &str = "/api/v1/modify/generate";

/// How many seconds a refused caller is told to wait.
const RETRY_AFTER: &str = "2";

/// Holds what every call needs.
pub(super) struct Stage {
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
    pub(super) world: Mutex<World>,
    /// The weather.
    pub(super) traffic: Mutex<Traffic>,
}

impl Stage {
    fn now(&self) -> Millis {
        self.clock.now().as_millisecond()
    }

    /// Returns the caller's key if it is accepted.
    fn authorised<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
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
pub(super) fn routes(stage: Arc<Stage>) -> Router {
    let api = Router::new()
        .route(RECORD_INFO, get(record_info))
        .route(GENERATE, post(generate))
        .route("/api/v1/common/download-url", post(download_url))
        .route("/api/v1/chat/credit", get(credit))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&stage), gate));
    Router::new()
        .route("/media/{name}", get(media))
        .merge(api)
        .fallback(nowhere)
        .layer(middleware::from_fn_with_state(Arc::clone(&stage), dated))
        .with_state(stage)
}

/// Lets a call pass to its answer unless the weather, the key or a limit is against it.
async fn gate(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    if stage.latency {
        let latency = stage.traffic.lock().await.latency();
        tokio::time::sleep(latency).await;
    }
    let at = stage.clock.real();
    if stage.faults
        && let Some(trouble) = stage.traffic.lock().await.trouble(at)
    {
        return troubled(trouble);
    }
    let Some(key) = stage.authorised(request.headers()) else {
        return ok(&wire::refusal(
            401,
            "You do not have access permissions: the API key is missing or wrong",
        ));
    };
    let limit = match request.uri().path() {
        RECORD_INFO => Some(Limit::Queries),
        GENERATE => Some(Limit::Creates),
        _ => None,
    };
    if let Some(limit) = limit
        && !stage.traffic.lock().await.admits(limit, key, at)
    {
        return too_many(StatusCode::OK);
    }
    next.run(request).await
}

/// Gives every answer the date of simulated time.
async fn dated(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let now = stage.clock.now();
    if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        put(&mut response, header::DATE, &date);
    }
    response
}

async fn record_info(State(stage): State<Arc<Stage>>, RawQuery(query): RawQuery) -> Response {
    let id = wire::parameter(&query.unwrap_or_default(), "taskId").unwrap_or_default();
    if id.is_empty() {
        return ok(&wire::refusal(422, "taskId is required"));
    }
    let now = stage.now();
    let mut world = stage.world.lock().await;
    match world.ask(&id, now) {
        Some(plan) => ok(&wire::record_info(plan, now, &stage.base)),
        None => ok(&wire::refusal(422, "record is null")),
    }
}

async fn generate(State(stage): State<Arc<Stage>>, body: Bytes) -> Response {
    let order = match wire::parse_order(&body) {
        Ok(order) => order,
        Err(fault) => return ok(&wire::refusal(422, fault)),
    };
    let id = stage.world.lock().await.create(order, stage.now());
    ok(&wire::success(&json!({ "taskId": id })))
}

async fn download_url(State(stage): State<Arc<Stage>>, body: Bytes) -> Response {
    let now = stage.now();
    let url = wire::parse_url_field(&body).unwrap_or_default();
    let Some((id, part)) = wire::parse_result_url(&url, &stage.base) else {
        return ok(&wire::refusal(422, "url is wrong"));
    };
    match stage.world.lock().await.shelf(id, part, now) {
        Shelf::Here(_) => ok(&wire::success(&json!(wire::fresh_url(
            &stage.base,
            id,
            part,
            now
        )))),
        Shelf::Expired => ok(&wire::refusal(404, "the file has expired")),
        Shelf::Missing => ok(&wire::refusal(422, "url is wrong")),
    }
}

async fn credit(State(stage): State<Arc<Stage>>) -> Response {
    ok(&wire::success(&json!(stage.credits)))
}

async fn media(
    State(stage): State<Arc<Stage>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let now = stage.now();
    if wire::is_stale(query.as_deref(), now) {
        return page(StatusCode::FORBIDDEN, "403 This link has ended");
    }
    let Some((id, part)) = wire::parse_media(&name) else {
        return page(StatusCode::NOT_FOUND, "404 Not Found");
    };
    match stage.world.lock().await.shelf(id, part, now) {
        Shelf::Here(footage) => footage.answer(&headers),
        Shelf::Expired | Shelf::Missing => page(StatusCode::NOT_FOUND, "404 Not Found"),
    }
}

async fn nowhere() -> Response {
    answer(StatusCode::NOT_FOUND, &wire::refusal(404, "Not Found"))
}

fn troubled(trouble: Trouble) -> Response {
    match trouble {
        Trouble::TooMany => too_many(StatusCode::TOO_MANY_REQUESTS),
        Trouble::ServerError => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            &wire::refusal(
                500,
                "Server Error - An unexpected error occurred while processing the request",
            ),
        ),
        Trouble::BadGateway => page(StatusCode::BAD_GATEWAY, "502 Bad Gateway"),
        Trouble::Maintenance => ok(&wire::refusal(
            455,
            "Service Unavailable - System is currently undergoing maintenance",
        )),
    }
}

/// Answers code 429 under an HTTP status: 200 from the API itself, 429 from a gateway before it.
fn too_many(status: StatusCode) -> Response {
    let refusal = wire::refusal(
        429,
        "Rate Limited - Request limit has been exceeded for this resource",
    );
    let mut response = answer(status, &refusal);
    put(&mut response, header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// Answers HTTP 200 with JSON, whatever the body's own code.
fn ok(body: &Value) -> Response {
    answer(StatusCode::OK, body)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    put(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// Answers with a page of HTML, as proxies and file hosts do.
fn page(status: StatusCode, title: &str) -> Response {
    let html = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    put(&mut response, header::CONTENT_TYPE, "text/html");
    response
}
