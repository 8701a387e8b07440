//! The comparison page in a real browser: Chromium, controlled by chromedriver.
//!
//! ```text
//! cargo test --locked --test compare_page -- --ignored --nocapture
//! ```
//!
//! Takes half a minute; needs `chromium` and `chromedriver` (Debian: chromium, chromium-driver) and
//! fails without them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kietop::{
    adapters::{
        compare::ComparisonPages,
        desktop::Browser,
        http::allowed_hosts::AllowedHosts,
        kie::{KieClient, RequestLimits, key::ApiKey},
    },
    domain::{
        api_origin::ApiOrigin,
        comparison::{Comparison, VideoSource},
        link::VideoUrl,
        response_notes::ResponseNotes,
        task::{Family, Task, TaskId},
        watched_task::WatchedTask,
    },
    simulator,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::poll_request;

/// The largest difference between input and result while they play, in seconds.
const MAX_DRIFT: f64 = 0.05;

/// Samples both play positions at every frame for a number of milliseconds, and whether both videos
/// played.
const SAMPLE_SCRIPT: &str = "
    const [time, done] = arguments, both = [...document.querySelectorAll('video')], samples = [];
    const start = performance.now();
    (function sample() {
        samples.push([both[0].currentTime, both[1].currentTime, both.every((v) => !v.paused && !v.seeking)]);
        performance.now() - start < time ? requestAnimationFrame(sample) : done(samples);
    })();";

/// A browser session with its driver process, which is killed on drop.
struct Driver {
    process: Child,
    base: String,
    client: reqwest::Client,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().ok();
    }
}

impl Driver {
    async fn start(home: &Path) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap_or_default();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver on the PATH");
        let mut driver = Self {
            process,
            base: format!("http://127.0.0.1:{port}"),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        let deadline = Instant::now() + Duration::from_mins(1);
        while driver
            .client
            .get(format!("{}/status", driver.base))
            .send()
            .await
            .is_err()
        {
            assert!(Instant::now() < deadline, "chromedriver does not respond");
            sleep(Duration::from_millis(50)).await;
        }
        let options = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,800"]},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "timeouts": {"script": 60_000},
        }}});
        let session = driver.post("/session", options).await;
        let id = session["sessionId"]
            .as_str()
            .expect("a session with chromium");
        driver.base = format!("{}/session/{id}", driver.base);
        driver
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.base);
        let response = self.client.post(url).json(&body).send().await.unwrap();
        let is_success = response.status().is_success();
        let mut response: Value = response.json().await.unwrap();
        assert!(is_success, "{path}: {response}");
        response["value"].take()
    }

    async fn run_script(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    async fn wait_until(&self, script: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.run_script(&format!("return ({script})")).await != json!(true) {
            assert!(
                Instant::now() < deadline,
                "{script}: {:?}",
                self.log_entries("browser").await
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn click(&self, selector: &str) {
        let found = self
            .post(
                "/element",
                json!({"using": "css selector", "value": selector}),
            )
            .await;
        let (_, id) = found.as_object().unwrap().iter().next().unwrap();
        let path = format!("/element/{}/click", id.as_str().unwrap());
        self.post(&path, json!({})).await;
    }

    async fn log_entries(&self, kind: &str) -> Vec<Value> {
        let log = self.post("/se/log", json!({"type": kind})).await;
        log.as_array().unwrap().clone()
    }

    /// Returns the largest difference between the play positions within `time` milliseconds.
    async fn max_drift(&self, time: u32) -> f64 {
        let body = json!({"script": SAMPLE_SCRIPT, "args": [time]});
        let samples = self.post("/execute/async", body).await;
        let samples = samples.as_array().unwrap();
        let drifts: Vec<_> = samples
            .iter()
            .filter(|sample| sample[2] == json!(true))
            .map(|sample| (sample[0].as_f64().unwrap() - sample[1].as_f64().unwrap()).abs())
            .collect();
        assert!(
            drifts.len() * 2 > samples.len() && drifts.len() > 30,
            "both videos played in {} of {} samples",
            drifts.len(),
            samples.len()
        );
        drifts.into_iter().fold(0.0, f64::max)
    }
}

/// Opens a page, plays and seeks, and checks the drift; the page may request only itself and
/// `allowed`.
async fn assert_page_works(driver: &Driver, page: &Path, allowed: &[String]) {
    driver.log_entries("performance").await;
    driver.log_entries("browser").await;
    let url = format!("file://{}", page.display());
    driver.post("/url", json!({"url": url})).await;
    driver
        .wait_until("[...document.querySelectorAll('video')].every((v) => v.readyState >= 3 && v.videoWidth > 0)")
        .await;
    driver.click("#play").await;
    driver
        .wait_until("[...document.querySelectorAll('video')].every((v) => v.currentTime > 0.1)")
        .await;
    let playing_drift = driver.max_drift(5_000).await;
    driver
        .run_script("const s = document.getElementById('seek'); s.value = 2.5; s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change'));")
        .await;
    let seek_drift = driver.max_drift(3_000).await;
    driver.run_script("const s = document.getElementById('speed'); s.value = '2'; s.dispatchEvent(new Event('change'));").await;
    let fast_drift = driver.max_drift(3_000).await;
    driver.click("#swipe").await;
    let is_cut = driver
        .run_script("return getComputedStyle(document.getElementById('after')).clipPath")
        .await;
    assert!(is_cut.as_str().unwrap().starts_with("inset(0"), "{is_cut}");
    driver.click("#play").await;
    driver
        .wait_until("[...document.querySelectorAll('video')].every((v) => v.paused)")
        .await;

    let errors: Vec<_> = driver.log_entries("browser").await;
    let requests: Vec<_> = driver
        .log_entries("performance")
        .await
        .iter()
        .filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok())
        .filter(|entry| entry["message"]["method"] == "Network.requestWillBeSent")
        .filter_map(|entry| {
            Some(
                entry["message"]["params"]["request"]["url"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    println!(
        "largest drift: {playing_drift:.3} s playing, {seek_drift:.3} s after a seek, {fast_drift:.3} s at double speed; {} requests",
        requests.len()
    );
    assert!(errors.is_empty(), "{errors:?}");
    assert!(requests.len() >= 3, "{requests:?}");
    for request in requests {
        assert!(
            request == url || allowed.contains(&request),
            "requested {request}"
        );
    }
    for drift in [playing_drift, seek_drift, fast_drift] {
        assert!(drift <= MAX_DRIFT, "{drift} s of drift");
    }
}

/// Returns a finished task of the simulator with an input and at least `results` videos.
async fn finished_task(server: &simulator::Simulator, results: usize) -> WatchedTask {
    let origin = ApiOrigin::parse(server.base_url.as_str()).unwrap();
    let key = ApiKey::parse("any").unwrap();
    let client = KieClient::new(origin, Some(key), RequestLimits::default());
    let now = server.clock.now();
    for seed_task in &server.initial_tasks {
        let id = TaskId::parse(&seed_task.id).unwrap();
        let response = client
            .poll(&poll_request(id.clone()), &mut ResponseNotes::default())
            .await;
        let mut watched = WatchedTask::new(Task::new(id, Family::default()), None, now);
        watched.apply_answer(&response, now);
        if watched.task.state().videos().count() >= results
            && !watched.task.input_videos().is_empty()
        {
            return watched;
        }
    }
    panic!("no finished task in the simulator")
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver; see the head of this file"]
async fn input_and_result_play_in_sync() {
    let home = tempfile::tempdir().unwrap();
    let pages = ComparisonPages::new(
        home.path().join("kietop"),
        Browser::new(Vec::new(), AllowedHosts::PublicAndLoopback),
    );
    let settings = simulator::SimulatorSettings {
        faults: false,
        latency: false,
        ..simulator::SimulatorSettings::default()
    };
    let server = simulator::start(settings, Timestamp::now()).await.unwrap();
    let driver = Driver::start(home.path()).await;

    let comparison = Comparison::for_task(&finished_task(&server, 1).await).unwrap();
    let videos = comparison.inputs.iter().chain(&comparison.results);
    let links: Vec<_> = videos.map(|video| video.link.as_str().to_owned()).collect();
    assert_page_works(&driver, &pages.write(&comparison).unwrap(), &links).await;

    let copy_asset = |name: &str| -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("assets/demo")
            .join(name);
        let to = home.path().join(format!("it's #1 {name}"));
        fs::copy(from, &to).unwrap();
        to
    };
    let saved_video = |name: &str| VideoSource {
        link: VideoUrl::parse("https://gone.invalid/a.mp4").unwrap(),
        file: Some(copy_asset(name)),
    };
    let comparison = Comparison {
        task: TaskId::parse("saved").unwrap(),
        title: "</script><img src=https://evil.invalid/x onerror=alert(1)>".into(),
        prompt: Some("<b>&amp;\u{2028}".into()),
        inputs: vec![saved_video("sea-input.mp4")],
        results: vec![saved_video("sea-result.mp4"), saved_video("sea-second.mp4")],
    };
    let files: Vec<_> = ["sea-input", "sea-result", "sea-second"]
        .map(|name| format!("file://{}/it's%20%231%20{name}.mp4", home.path().display()))
        .to_vec();
    let page = pages.write(&comparison).unwrap();
    assert_page_works(&driver, &page, &files).await;
    let title = driver
        .run_script("return document.getElementById('title').textContent")
        .await;
    assert_eq!(title, json!(comparison.title));
    let select_second = "const list = document.querySelector('#results select'); list.value = '1'; list.dispatchEvent(new Event('change'));";
    driver.run_script(select_second).await;
    driver
        .wait_until("document.getElementById('result').src.includes('sea-second') && document.getElementById('result').readyState >= 3")
        .await;
}
