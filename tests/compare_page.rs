//! The before-and-after page in a real browser: Chromium, driven by its own driver.
//!
//! ```text
//! cargo test --locked --test compare_page -- --ignored --nocapture
//! ```
//!
//! It takes half a minute, needs `chromium` and `chromedriver` (Debian: chromium, chromium-driver),
//! and fails without them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails loudly, and a browser plays in real time"
)]

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
        download::AllowedHosts,
        kie::{ApiKey, ApiOrigin, KieClient, RequestLimits},
    },
    domain::{
        comparison::{Comparison, VideoSource},
        link::VideoUrl,
        response_notes::ResponseNotes,
        task::{Family, Task, TaskId},
        watched_task::WatchedTask,
    },
    ports::TaskApi as _,
    simulator,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How far input and result may be apart while they play, in seconds.
const MAX_DRIFT: f64 = 0.05;

/// Collects the two times at every frame for so many milliseconds; ends with the places and whether
/// both ran.
const SAMPLE_SCRIPT: &str = "
    const [time, done] = arguments, both = [...document.querySelectorAll('video')], seen = [];
    const start = performance.now();
    (function look() {
        seen.push([both[0].currentTime, both[1].currentTime, both.every((v) => !v.paused && !v.seeking)]);
        performance.now() - start < time ? requestAnimationFrame(look) : done(seen);
    })();";

/// Is a browser under our hand; ended when dropped.
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
        let until = Instant::now() + Duration::from_mins(1);
        while driver
            .client
            .get(format!("{}/status", driver.base))
            .send()
            .await
            .is_err()
        {
            assert!(Instant::now() < until, "chromedriver answers");
            sleep(Duration::from_millis(50)).await;
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,800"]},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "timeouts": {"script": 60_000},
        }}});
        let session = driver.post("/session", wanted).await;
        let id = session["sessionId"].as_str().expect("chromium starts");
        driver.base = format!("{}/session/{id}", driver.base);
        driver
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.base);
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        let is_good = answer.status().is_success();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(is_good, "{path}: {answer}");
        answer["value"].take()
    }

    async fn run_script(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    async fn wait_until(&self, script: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.run_script(&format!("return ({script})")).await != json!(true) {
            assert!(
                Instant::now() < end,
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

    /// Returns the largest distance of the two while they run for so long.
    async fn max_drift(&self, time: u32) -> f64 {
        let body = json!({"script": SAMPLE_SCRIPT, "args": [time]});
        let seen = self.post("/execute/async", body).await;
        let seen = seen.as_array().unwrap();
        let running: Vec<_> = seen
            .iter()
            .filter(|at| at[2] == json!(true))
            .map(|at| (at[0].as_f64().unwrap() - at[1].as_f64().unwrap()).abs())
            .collect();
        assert!(
            running.len() * 2 > seen.len() && running.len() > 30,
            "{} of {} looks found both running",
            running.len(),
            seen.len()
        );
        running.into_iter().fold(0.0, f64::max)
    }
}

/// Opens a page, plays it, seeks in it, and holds it against what is promised; `may` are all it may
/// ask for.
async fn assert_page_works(driver: &Driver, page: &Path, may: &[String]) {
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
    let playing = driver.max_drift(5_000).await;
    driver
        .run_script("const s = document.getElementById('seek'); s.value = 2.5; s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change'));")
        .await;
    let sought = driver.max_drift(3_000).await;
    driver.run_script("const s = document.getElementById('speed'); s.value = '2'; s.dispatchEvent(new Event('change'));").await;
    let fast = driver.max_drift(3_000).await;
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
    let asked: Vec<_> = driver
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
        "apart at most: {playing:.3} s playing, {sought:.3} s after a seek, {fast:.3} s at double speed; {} requests",
        asked.len()
    );
    assert!(errors.is_empty(), "{errors:?}");
    assert!(asked.len() >= 3, "{asked:?}");
    for one in asked {
        assert!(one == url || may.contains(&one), "asked for {one}");
    }
    for apart in [playing, sought, fast] {
        assert!(apart <= MAX_DRIFT, "{apart} s apart");
    }
}

/// Returns a finished task of the simulator with its input and at least so many results.
async fn finished_task(world: &simulator::Simulator, results: usize) -> WatchedTask {
    let origin = ApiOrigin::parse(world.base_url().as_str()).unwrap();
    let key = ApiKey::parse("any").unwrap();
    let client = KieClient::new(origin, Some(key), RequestLimits::default());
    let now = world.clock().now();
    for seeded in world.initial_tasks() {
        let id = TaskId::parse(&seeded.id).unwrap();
        let answer = client
            .poll(&id, Family::default(), &mut ResponseNotes::default())
            .await;
        let mut watched = WatchedTask::new(Task::new(id, Family::default()), None, now);
        watched.apply_answer(&answer, now);
        if watched.task.state().videos().count() >= results
            && !watched.task.input_videos().is_empty()
        {
            return watched;
        }
    }
    panic!("the simulator has finished tasks")
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
    let world = simulator::start(settings, Timestamp::now()).await.unwrap();
    let driver = Driver::start(home.path()).await;

    let comparison = Comparison::for_task(&finished_task(&world, 1).await).unwrap();
    let clips = comparison.inputs.iter().chain(&comparison.results);
    let links: Vec<_> = clips.map(|clip| clip.link.as_str().to_owned()).collect();
    assert_page_works(&driver, &pages.write(&comparison).unwrap(), &links).await;

    let copied = |name: &str| -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("assets/demo")
            .join(name);
        let to = home.path().join(format!("it's #1 {name}"));
        fs::copy(from, &to).unwrap();
        to
    };
    let saved = |name: &str| VideoSource {
        link: VideoUrl::parse("https://gone.invalid/a.mp4").unwrap(),
        file: Some(copied(name)),
    };
    let comparison = Comparison {
        task: TaskId::parse("saved").unwrap(),
        title: "</script><img src=https://evil.invalid/x onerror=alert(1)>".into(),
        prompt: Some("<b>&amp;\u{2028}".into()),
        inputs: vec![saved("sea-input.mp4")],
        results: vec![saved("sea-result.mp4"), saved("sea-second.mp4")],
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
    let choice = "const list = document.querySelector('#results select'); list.value = '1'; list.dispatchEvent(new Event('change'));";
    driver.run_script(choice).await;
    driver
        .wait_until("document.getElementById('result').src.includes('sea-second') && document.getElementById('result').readyState >= 3")
        .await;
}
