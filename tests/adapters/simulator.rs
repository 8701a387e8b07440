//! The simulator over real HTTP on loopback, as a client of kie.ai uses it.
//!
//! Real time only, because reqwest does not work with tokio's paused clock: tests wait for a
//! condition, with a timeout.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use kietop::simulator::{Simulator, SimulatorSettings, start};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

const WALL_START: &str = "2026-03-01T12:00:00Z";

/// Returns settings without random faults and delays, with a change.
fn fault_free(change: impl FnOnce(&mut SimulatorSettings)) -> SimulatorSettings {
    let mut settings = SimulatorSettings {
        faults: false,
        latency: false,
        ..SimulatorSettings::default()
    };
    change(&mut settings);
    settings
}

async fn run_simulator(settings: SimulatorSettings) -> Simulator {
    start(settings, WALL_START.parse().unwrap())
        .await
        .expect("a free port")
}

fn http_client() -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .expect("a client")
}

struct ApiCaller {
    simulator: Simulator,
    client: Client,
    next_key: Cell<u32>,
}

impl ApiCaller {
    async fn new(change: impl FnOnce(&mut SimulatorSettings)) -> Self {
        Self {
            simulator: run_simulator(fault_free(change)).await,
            client: http_client(),
            next_key: Cell::new(0),
        }
    }

    fn url(&self, path: &str) -> url::Url {
        self.simulator.base_url.join(path).unwrap()
    }

    /// Adds a new API key, so that only the test of the rate limit reaches it.
    fn with_key(&self, request: RequestBuilder) -> RequestBuilder {
        self.next_key.set(self.next_key.get() + 1);
        request.bearer_auth(format!("key-{}", self.next_key.get()))
    }

    async fn query(&self, id: &str) -> Value {
        let mut url = self.url("/api/v1/modify/record-info");
        url.query_pairs_mut().append_pair("taskId", id);
        let request = self.client.get(url);
        api_body(self.with_key(request).send().await.unwrap()).await
    }

    async fn query_nth(&self, index: usize) -> Value {
        self.query(&self.simulator.initial_tasks[index].id).await
    }

    async fn create(&self, path: &str, body: &Value) -> Value {
        let request = self.client.post(self.url(path)).json(body);
        api_body(self.with_key(request).send().await.unwrap()).await
    }

    /// Returns envelope code and flag of every initial task.
    async fn flags(&self) -> BTreeSet<(u64, Option<u64>)> {
        let mut flags = BTreeSet::new();
        for task in &self.simulator.initial_tasks {
            let body = self.query(&task.id).await;
            let flag = body["data"]["successFlag"].as_u64();
            flags.insert((body["code"].as_u64().unwrap(), flag));
        }
        flags
    }

    async fn get(&self, url: &str) -> Response {
        self.client.get(url).send().await.unwrap()
    }

    /// Queries a task until it has this flag.
    async fn wait_for(&self, id: &str, flag: u64) -> Value {
        let polling = async {
            loop {
                let body = self.query(id).await;
                if body["data"]["successFlag"] == flag {
                    return body;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), polling)
            .await
            .expect("the flag appears in time")
    }
}

/// Checks and reads an API response: HTTP 200, JSON, an envelope of exactly three fields.
async fn api_body(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    let fields: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["code", "msg", "data"]);
    body
}

fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_same_seed_gives_the_same_tasks() {
    let ids = async |seed| -> Vec<String> {
        let simulator = run_simulator(fault_free(|settings| settings.seed = seed)).await;
        let initial = simulator.initial_tasks.iter().map(|task| task.id.clone());
        initial.chain(simulator.on_demand_ids.clone()).collect()
    };

    let first = ids(1).await;

    assert_eq!(first.len(), 18);
    assert_eq!(first, ids(1).await);
    assert_ne!(first, ids(2).await);
    let is_id = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(first.iter().all(is_id));
}

#[tokio::test]
async fn the_default_tasks_show_every_flag() {
    let all = ApiCaller::new(|_| ()).await;
    let few = ApiCaller::new(|settings| settings.tasks = 8).await;

    let mut expected: BTreeSet<_> = [0, 1, 2, 3, 4, 7].map(|flag| (200, Some(flag))).into();
    expected.insert((422, None));
    assert_eq!(all.flags().await, expected);
    assert!(few.flags().await.len() >= 4);
}

#[tokio::test]
async fn every_record_keeps_to_the_documented_shape() {
    let caller = ApiCaller::new(|settings| {
        settings.tasks = 60;
    })
    .await;

    for task in &caller.simulator.initial_tasks {
        let body = caller.query(&task.id).await;
        let data = &body["data"];
        if body["code"] != 200 {
            assert!(matches!(body["code"].as_u64(), Some(422 | 501)));
            assert!(data.is_null());
            continue;
        }
        let fields: Vec<_> = data.as_object().unwrap().keys().collect();
        let expected = "taskId paramJson completeTime response successFlag createTime errorCode \
                        errorMessage";
        assert_eq!(fields, expected.split(' ').collect::<Vec<_>>());
        assert_eq!(data["taskId"], task.id.as_str());
        let parameters: Value = serde_json::from_str(data["paramJson"].as_str().unwrap()).unwrap();
        assert!(parameters["prompt"].is_string() && parameters["waterMark"].is_string());
        assert!(data["createTime"].is_u64());
        let with_videos = matches!(data["successFlag"].as_u64(), Some(1 | 4));
        assert_eq!(data["response"].is_object(), with_videos);
        if with_videos {
            let input = parameters["videoUrl"].as_str().unwrap();
            assert_eq!(strings(&data["response"]["originUrls"]), [input]);
        }
        let with_error = matches!(data["successFlag"].as_u64(), Some(2..=4));
        assert_eq!(data["errorMessage"].is_string(), with_error);
    }
}

#[tokio::test]
async fn the_first_task_finishes_and_its_video_appears() {
    // Fast enough to finish within a second; a unit test covers the 6 to 18 seconds of the default
    // speed.
    let caller = ApiCaller::new(|settings| {
        settings.tasks = 1;
        settings.speed = 1200.0;
    })
    .await;
    let before = caller.query_nth(0).await;
    assert_eq!(before["data"]["successFlag"], 0);
    assert!(before["data"]["response"].is_null());

    let after = caller
        .wait_for(before["data"]["taskId"].as_str().unwrap(), 1)
        .await;

    let millis = |field: &str| after["data"][field].as_i64().unwrap();
    let took = millis("completeTime") - millis("createTime");
    assert!((120_000..=1_200_000).contains(&took), "{took}");
    let urls = strings(&after["data"]["response"]["resultUrls"]);
    assert_eq!(caller.get(urls[0]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_on_demand_task_starts_when_queried() {
    let caller = ApiCaller::new(|settings| {
        settings.tasks = 0;
        settings.speed = 300.0;
    })
    .await;
    let id = &caller.simulator.on_demand_ids[0];

    let first = caller.query(id).await;
    let last = caller.wait_for(id, 1).await;

    assert_eq!(first["data"]["successFlag"], 0);
    assert_eq!(first["data"]["createTime"], last["data"]["createTime"]);
    assert_eq!(strings(&last["data"]["response"]["resultUrls"]).len(), 2);
}

#[tokio::test]
async fn a_created_task_is_found_and_keeps_its_parameters() {
    let caller = ApiCaller::new(|settings| {
        settings.tasks = 0;
        settings.speed = 3000.0;
    })
    .await;
    let body = json!({
        "prompt": "as oil paint", "videoUrl": "https://example.com/in.mp4",
        "callBackUrl": "https://example.com/cb", "watermark": "mark",
    });

    let created = caller.create("/api/v1/modify/generate", &body).await;
    let done = caller
        .wait_for(created["data"]["taskId"].as_str().unwrap(), 1)
        .await;

    let parameters: Value =
        serde_json::from_str(done["data"]["paramJson"].as_str().unwrap()).unwrap();
    assert_eq!(
        parameters,
        json!({
            "callBackUrl": "https://example.com/cb", "prompt": "as oil paint",
            "videoUrl": "https://example.com/in.mp4", "waterMark": "mark",
        })
    );
    let refused = caller.create("/api/v1/modify/generate", &json!({})).await;
    assert_eq!(refused["code"], 422);
}

#[tokio::test]
async fn keys_are_required_and_compared() {
    let caller = ApiCaller::new(|settings| {
        settings.key = Some("right".into());
    })
    .await;
    let credit = |authorization: &str| {
        let request = caller.client.get(caller.url("/api/v1/chat/credit"));
        let request = request.header("authorization", authorization);
        async { api_body(request.send().await.unwrap()).await }
    };

    let right = credit("Bearer right").await;
    assert_eq!(right["code"], 200);
    assert!(right["data"].is_f64());
    for wrong in ["Bearer wrong", "Bearer ", "Basic right", ""] {
        let refused = credit(wrong).await;
        assert_eq!(refused["code"], 401, "{wrong}");
        assert!(refused["data"].is_null());
    }
}

#[tokio::test]
async fn missing_things_get_the_api_errors() {
    let caller = ApiCaller::new(|_| ()).await;

    let unknown = caller.query("not-an-id").await;
    let nowhere = caller.get(caller.url("/api/v2/x").as_str()).await;

    assert_eq!(
        unknown,
        json!({ "code": 422, "msg": "record is null", "data": null })
    );
    assert_eq!(caller.query("").await["code"], 422);
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn over_ten_queries_a_second_get_retry_after() {
    let caller = ApiCaller::new(|_| ()).await;
    let mut url = caller.url("/api/v1/modify/record-info");
    url.set_query(Some("taskId=x"));

    let querying = async {
        loop {
            let request = caller.client.get(url.clone()).bearer_auth("one").send();
            let response = request.await.unwrap();
            if response.headers().contains_key("retry-after") {
                return response;
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(30), querying)
        .await
        .expect("the limit is reached in time");

    assert_eq!(refused.headers()["retry-after"], "2");
    assert_eq!(api_body(refused).await["code"], 429);
}

#[tokio::test]
async fn videos_support_ranges_and_resume() {
    let caller = ApiCaller::new(|_| ()).await;
    let record = caller.query_nth(2).await;
    let response = &record["data"]["response"];
    let urls = strings(&response["resultUrls"]);
    let range = |range: String, version: &str| {
        let request = caller.client.get(urls[0]).header("range", range);
        let request = request.header("if-range", version);
        async { request.send().await.unwrap() }
    };

    let whole = caller.get(urls[0]).await;
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.headers()["content-type"], "video/mp4");
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
    let content_length = whole.headers()["content-length"].clone();
    let bytes = whole.bytes().await.unwrap();
    let length = bytes.len();
    assert_eq!(content_length, length.to_string());
    assert_eq!(&bytes[4..8], b"ftyp");

    let rest = range("bytes=1000-".into(), &tag).await;
    assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        rest.headers()["content-range"],
        format!("bytes 1000-{}/{length}", length - 1)
    );
    assert_eq!(
        rest.headers()["content-length"],
        (length - 1000).to_string()
    );
    assert_eq!(rest.bytes().await.unwrap(), bytes[1000..]);

    let changed = range("bytes=1000-".into(), "\"other\"").await;
    assert_eq!(changed.status(), StatusCode::OK);
    let past = range(format!("bytes={length}-"), &tag).await;
    assert_eq!(past.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(past.headers()["content-range"], format!("bytes */{length}"));
    let head = caller.client.head(urls[0]).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], length.to_string());

    let second = caller.get(urls[1]).await.bytes().await.unwrap();
    let origin = caller.get(strings(&response["originUrls"])[0]).await;
    let origin = origin.bytes().await.unwrap();
    assert!(second != bytes && origin != bytes && origin != second);
}

#[tokio::test]
async fn only_unexpired_results_get_a_renewed_link() {
    let caller = ApiCaller::new(|_| ()).await;
    let link = async |index| {
        let record = caller.query_nth(index).await;
        strings(&record["data"]["response"]["resultUrls"])[0].to_owned()
    };
    let renew = async |url: &str| {
        let body = json!({ "url": url });
        caller.create("/api/v1/common/download-url", &body).await
    };
    let (valid, expired) = (link(10).await, link(13).await);

    assert_eq!(caller.get(&expired).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(renew(&expired).await["code"], 404);
    let renewed = renew(&valid).await;
    let renewed = renewed["data"].as_str().unwrap();
    assert_ne!(renewed, valid);
    assert_eq!(caller.get(renewed).await.status(), StatusCode::OK);
    let expired_link = caller.get(&format!("{valid}?fresh=1")).await;
    assert_eq!(expired_link.status(), StatusCode::FORBIDDEN);
    let other_host = renew("https://example.com/v.mp4").await;
    assert_eq!(other_host["code"], 422);
    assert_eq!(other_host["msg"], "url is wrong");
}

#[tokio::test]
async fn dates_and_times_follow_the_simulated_clock() {
    let caller = ApiCaller::new(|settings| {
        settings.speed = 3600.0;
    })
    .await;
    let clock = caller.simulator.clock;

    let before = clock.now();
    let response = caller.get(caller.url("/nowhere").as_str()).await;
    let after = clock.now();

    let date = response.headers()["date"].to_str().unwrap();
    let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
    let second = jiff::SignedDuration::from_secs(1);
    assert!(
        before - second <= date && date <= after,
        "{before} {date} {after}"
    );
    let start: Timestamp = WALL_START.parse().unwrap();
    let tasks = &caller.simulator.initial_tasks;
    assert!(tasks.iter().all(|task| task.added_at <= start));
}

#[tokio::test]
async fn the_simulator_is_loopback_only_and_stops_on_request() {
    let simulator = run_simulator(fault_free(|_| ())).await;
    let base = simulator.base_url.clone();
    assert_eq!(base.host_str(), Some("127.0.0.1"));

    simulator.shutdown().await;

    assert!(http_client().get(base).send().await.is_err());
}
