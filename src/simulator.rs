//! A simulated kie.ai server: seeded tasks in simulated time, over real HTTP on loopback.
//!
//! The demo and the tests use it with the same client as kie.ai. It knows neither that client nor
//! the dashboard nor `domain`: they share only the documented API. It listens on 127.0.0.1 only,
//! writes no file and logs nothing but its own failure.

mod faults;
mod media;
mod prompts;
mod rng;
mod scenario;
mod server;
mod tasks;
mod wire;

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use faults::FaultModel;
use rng::{Rng, to_millis};
use scenario::{SeedTask, build_scenario};
use server::ServerState;
use tasks::TaskTable;

/// The default speed: a task of five minutes takes fifty seconds.
const DEFAULT_SPEED: f64 = 6.0;
/// The most tasks at the start.
pub const MAX_TASKS: usize = 10_000;
/// The allowed speeds, in simulated seconds per real second.
pub const SPEED_RANGE: RangeInclusive<f64> = 0.01..=10_000.0;
/// How long shutdown waits for open connections.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, PartialEq)]
pub struct SimulatorSettings {
    /// The number of tasks on the list at the start, at most 10 000. Eight or more show every kind
    /// of state.
    pub tasks: usize,
    /// Simulated seconds per real second, clamped to 0.01 to 10 000; NaN counts as 6.
    pub speed: f64,
    /// Determines ids, prompts, outcomes, faults and latencies.
    pub seed: u64,
    /// The TCP port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// The only accepted API key; `None` accepts any non-empty key.
    pub key: Option<String>,
    /// Whether rare faults (429, 500, an HTML 502) and one maintenance window occur. Rate limits
    /// always apply.
    pub faults: bool,
    /// Whether API responses take 30 to 350 ms, as over a network.
    pub latency: bool,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            tasks: 14,
            speed: DEFAULT_SPEED,
            seed: 1,
            port: 0,
            key: None,
            faults: true,
            latency: true,
        }
    }
}

impl fmt::Debug for SimulatorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorSettings")
            .field("tasks", &self.tasks)
            .field("speed", &self.speed)
            .field("seed", &self.seed)
            .field("port", &self.port)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("faults", &self.faults)
            .field("latency", &self.latency)
            .finish()
    }
}

/// A clock that starts at a given wall time and runs `speed` times as fast as real time.
///
/// It uses tokio's clock, so a test with paused time pauses it too. Every `createTime`,
/// `completeTime` and `Date` header of the server follows it, so a client that compares them with
/// the current time must use this clock.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedClock {
    wall_start: Timestamp,
    started_at: Instant,
    speed: f64,
}

impl SimulatedClock {
    fn start(wall_start: Timestamp, speed: f64) -> Self {
        Self {
            wall_start,
            started_at: Instant::now(),
            speed,
        }
    }

    /// Returns the simulated time, to the millisecond.
    pub fn now(&self) -> Timestamp {
        let passed = to_millis(self.elapsed().as_secs_f64() * self.speed);
        let now = self.wall_start.as_millisecond().saturating_add(passed);
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX)
    }

    /// Returns the number of simulated seconds per real second.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Returns the real time since the start.
    fn elapsed(&self) -> Duration {
        self.started_at.elapsed()
    }
}

/// A task that the demo adds to the list at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialTask {
    /// 32 lower-case hexadecimal digits. The server deliberately does not know one of the default
    /// fourteen.
    pub id: String,
    /// Contains no control characters.
    pub label: Option<String>,
    /// In simulated time, never after the start.
    pub added_at: Timestamp,
}

/// A running server, which stops when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    base_url: Url,
    clock: SimulatedClock,
    initial_tasks: Vec<InitialTask>,
    on_demand_ids: Vec<String>,
    stop: oneshot::Sender<()>,
    server_task: JoinHandle<()>,
}

/// Starts a simulator with a clock at `wall_start`. It accepts requests when this returns.
///
/// Fails only if the port cannot be bound. Needs a tokio runtime with time and I/O.
pub async fn start(
    settings: SimulatorSettings,
    wall_start: Timestamp,
) -> std::io::Result<Simulator> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
    let address = listener.local_addr()?;
    let base_url = Url::parse(&format!("http://{address}/")).map_err(std::io::Error::other)?;

    let speed = clamp_speed(settings.speed);
    let clock = SimulatedClock::start(wall_start, speed);
    let tasks = settings.tasks.min(MAX_TASKS);
    let scenario = build_scenario(tasks, speed, settings.seed, wall_start.as_millisecond());
    let initial_tasks = scenario.seed_tasks.into_iter().map(initial_task).collect();
    let on_demand_ids = scenario.on_demand.iter().map(|task| task.id.clone());
    let on_demand_ids = on_demand_ids.collect();

    let rng = |stream| Rng::new(settings.seed, stream);
    let state = ServerState {
        clock,
        base: base_url.clone(),
        key: settings.key,
        credits: 500.0 + (rng(2).range(0.0, 22_000.0)).floor() / 4.0,
        latency: settings.latency,
        faults: settings.faults,
        tasks: Mutex::new(TaskTable::new(scenario.tasks, scenario.on_demand, rng(3))),
        fault_model: Mutex::new(FaultModel::new(rng(4))),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let routes = server::routes(Arc::new(state));
    let server_task = tokio::spawn(async move {
        let shutdown_signal = async move {
            // An error means that the sender was dropped, which also stops the server.
            drop(stopped.await);
        };
        let server = axum::serve(listener, routes).with_graceful_shutdown(shutdown_signal);
        if let Err(error) = server.await {
            tracing::warn!(%error, "simulator stopped");
        }
    });

    Ok(Simulator {
        base_url,
        clock,
        initial_tasks,
        on_demand_ids,
        stop,
        server_task,
    })
}

impl Simulator {
    /// Returns the API URL: `http://127.0.0.1:PORT/`.
    pub fn base_url(&self) -> Url {
        self.base_url.clone()
    }

    /// Returns the clock of all times that the server reports.
    pub fn clock(&self) -> SimulatedClock {
        self.clock
    }

    /// Returns the tasks that the demo adds to the list, in their order on the screen.
    pub fn initial_tasks(&self) -> &[InitialTask] {
        &self.initial_tasks
    }

    /// Returns ids of tasks on no list. Each task starts at its first query and takes 1 to 3
    /// simulated minutes.
    pub fn on_demand_ids(&self) -> &[String] {
        &self.on_demand_ids
    }

    /// Stops the server. Waits at most a second for requests in flight.
    pub async fn shutdown(self) {
        drop(self.stop);
        let mut server_task = self.server_task;
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut server_task)
            .await
            .is_err()
        {
            server_task.abort();
        }
    }
}

fn clamp_speed(speed: f64) -> f64 {
    if speed.is_nan() {
        return DEFAULT_SPEED;
    }
    speed.clamp(*SPEED_RANGE.start(), *SPEED_RANGE.end())
}

fn initial_task(task: SeedTask) -> InitialTask {
    InitialTask {
        id: task.id,
        label: task.label,
        added_at: Timestamp::from_millisecond(task.added_at).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn simulated_time_runs_at_its_speed_from_the_given_start() {
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let clock = SimulatedClock::start(start, 6.0);
        assert_eq!(clock.now(), start);

        tokio::time::advance(Duration::from_secs(10)).await;

        assert_eq!(clock.now(), "2026-03-01T12:01:00Z".parse().unwrap());
    }

    #[test]
    fn speeds_are_clamped() {
        assert!((clamp_speed(0.0) - 0.01).abs() < f64::EPSILON);
        assert!((clamp_speed(f64::INFINITY) - 10_000.0).abs() < f64::EPSILON);
        assert!((clamp_speed(f64::NAN) - DEFAULT_SPEED).abs() < f64::EPSILON);
    }

    #[test]
    fn the_key_is_not_in_the_debug_text() {
        let settings = SimulatorSettings {
            key: Some("secret".into()),
            ..SimulatorSettings::default()
        };

        assert!(!format!("{settings:?}").contains("secret"));
    }
}
