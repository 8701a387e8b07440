//! The API as a server of our own: a seeded world of tasks over simulated time, behind real HTTP on
//! loopback.
//!
//! The demo and the tests talk to it as they would to kie.ai, with the same client. It must not
//! know that client, the dashboard, or anything of `domain`: its only common ground with them is
//! the documented API. It listens on 127.0.0.1 only, writes no file and logs nothing.

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

/// The speed without a word from the user: a task of five minutes takes fifty seconds.
const DEFAULT_SPEED: f64 = 6.0;
/// The most tasks a world starts with.
pub const MAX_TASKS: usize = 10_000;
/// How fast a world may run, in simulated seconds per real one.
pub const SPEED_RANGE: RangeInclusive<f64> = 0.01..=10_000.0;
/// How long open connections may hold up the end of the server.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Describes the world to simulate and how its server behaves.
#[derive(Clone, PartialEq)]
pub struct SimulatorSettings {
    /// How many tasks are watched at the start, at most 10 000; from 8 on they show every kind of
    /// state.
    pub tasks: usize,
    /// Simulated seconds per real second; held between 0.01 and 10 000, and 6 if it is no number.
    pub speed: f64,
    /// Decides ids, prompts, endings, faults and latencies.
    pub seed: u64,
    /// The TCP port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The only accepted API key; without one, any non-empty key is.
    pub key: Option<String>,
    /// Whether rare faults (429, 500, an HTML 502) and one maintenance window happen. Limits hold
    /// in any case.
    pub faults: bool,
    /// Whether API answers take 30 to 350 ms, as over a network.
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
        f.debug_struct("Settings")
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

/// Simulated time: it starts at a given wall time and runs `speed` times as fast as real
/// time.
///
/// Real time is tokio's, so a test with paused time pauses it too. Every `createTime`,
/// `completeTime` and `Date` header of the server follows it; whoever shows them beside a clock
/// must show this one.
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

    /// Returns how many simulated seconds pass in a real one.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Returns the real time since the start.
    fn elapsed(&self) -> Duration {
        self.started_at.elapsed()
    }
}

/// Names a task the demo puts on the list at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialTask {
    /// 32 lower-case hexadecimal digits; one of the default fourteen is unknown to the server on
    /// purpose.
    pub id: String,
    /// The name its owner gave it, free of control characters.
    pub label: Option<String>,
    /// When it was put on the list, in simulated time, never after the start.
    pub added_at: Timestamp,
}

/// Runs the server for as long as it lives; dropping it ends the server.
#[derive(Debug)]
pub struct Simulator {
    base_url: Url,
    clock: SimulatedClock,
    initial_tasks: Vec<InitialTask>,
    on_demand_ids: Vec<String>,
    stop: oneshot::Sender<()>,
    server_task: JoinHandle<()>,
}

/// Starts a simulator whose clock shows `wall_start` now; it answers as soon as this returns.
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
    let opening = build_scenario(tasks, speed, settings.seed, wall_start.as_millisecond());
    let watched = opening.seed_tasks.into_iter().map(initial_task).collect();
    let spare_ids = opening.on_demand.iter().map(|plan| plan.id.clone());
    let spare_ids = spare_ids.collect();

    let draw = |stream| Rng::new(settings.seed, stream);
    let stage = ServerState {
        clock,
        base: base_url.clone(),
        key: settings.key,
        credits: 500.0 + (draw(2).range(0.0, 22_000.0)).floor() / 4.0,
        latency: settings.latency,
        faults: settings.faults,
        tasks: Mutex::new(TaskTable::new(opening.tasks, opening.on_demand, draw(3))),
        fault_model: Mutex::new(FaultModel::new(draw(4))),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let routes = server::routes(Arc::new(stage));
    let served = tokio::spawn(async move {
        let until = async move {
            // An error means the sender was dropped, which ends the server as well.
            drop(stopped.await);
        };
        let server = axum::serve(listener, routes).with_graceful_shutdown(until);
        if let Err(error) = server.await {
            tracing::warn!(%error, "the simulator ended");
        }
    });

    Ok(Simulator {
        base_url,
        clock,
        initial_tasks: watched,
        on_demand_ids: spare_ids,
        stop,
        server_task: served,
    })
}

impl Simulator {
    /// Returns where the server is reached: `http://127.0.0.1:PORT/`, to be used as the API URL.
    pub fn base_url(&self) -> Url {
        self.base_url.clone()
    }

    /// Returns the clock all of the server's times follow.
    pub fn clock(&self) -> SimulatedClock {
        self.clock
    }

    /// Returns the tasks the demo puts on the list, in the order in which they show best.
    pub fn initial_tasks(&self) -> &[InitialTask] {
        &self.initial_tasks
    }

    /// Returns ids the server knows that are on no list; each task starts when first asked after
    /// and takes 1 to 3 simulated minutes.
    pub fn on_demand_ids(&self) -> &[String] {
        &self.on_demand_ids
    }

    /// Ends the server: calls under way are answered, but not waited for longer than a second.
    pub async fn shutdown(self) {
        drop(self.stop);
        let mut served = self.server_task;
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut served)
            .await
            .is_err()
        {
            served.abort();
        }
    }
}

fn clamp_speed(speed: f64) -> f64 {
    if speed.is_nan() {
        return DEFAULT_SPEED;
    }
    speed.clamp(*SPEED_RANGE.start(), *SPEED_RANGE.end())
}

fn initial_task(cue: SeedTask) -> InitialTask {
    InitialTask {
        id: cue.id,
        label: cue.label,
        added_at: Timestamp::from_millisecond(cue.added_at).unwrap_or(Timestamp::UNIX_EPOCH),
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
