//! The API as a server of our own: a seeded world of tasks over simulated time, behind real HTTP on loopback.
//!
//! The demo and the tests talk to it as they would to kie.ai, with the same client. It must not know that client, the
//! dashboard, or anything of `domain`: its only common ground with them is the documented API. It listens on 127.0.0.1 only,
//! writes no file and logs nothing.

mod chance;
mod media;
mod prompts;
mod server;
mod staging;
mod traffic;
mod wire;
mod world;

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

use chance::{Chance, milliseconds};
use server::Stage;
use staging::{Cue, stage};
use traffic::Traffic;
use world::World;

/// The speed without a word from the user: a task of five minutes takes fifty seconds.
const DEFAULT_SPEED: f64 = 6.0;
/// The most tasks a world starts with.
pub const MOST_TASKS: usize = 10_000;
/// How fast a world may run, in simulated seconds per real one.
pub const SPEEDS: RangeInclusive<f64> = 0.01..=10_000.0;
/// How long open connections may hold up the end of the server.
const PARTING: Duration = Duration::from_secs(1);

/// Describes the world to simulate and how its server behaves.
#[derive(Clone, PartialEq)]
pub struct Settings {
    /// How many tasks are watched at the start, at most 10 000; from 8 on they show every kind of state.
    pub tasks: usize,
    /// Simulated seconds per real second; held between 0.01 and 10 000, and 6 if it is no number.
    pub speed: f64,
    /// Decides ids, prompts, endings, faults and latencies.
    pub seed: u64,
    /// The TCP port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The only accepted API key; without one, any non-empty key is.
    pub key: Option<String>,
    /// Whether rare faults (429, 500, an HTML 502) and one maintenance window happen. Limits hold in any case.
    pub faults: bool,
    /// Whether API answers take 30 to 350 ms, as over a network.
    pub latency: bool,
}

impl Default for Settings {
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

impl fmt::Debug for Settings {
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

/// Tells simulated time: it starts at a given wall time and runs `speed` times as fast as real time.
///
/// Real time is tokio's, so a test with paused time pauses it too. Every `createTime`, `completeTime` and `Date` header of the
/// server follows it; whoever shows them beside a clock must show this one.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedClock {
    wall_start: Timestamp,
    begun: Instant,
    speed: f64,
}

impl SimulatedClock {
    fn start(wall_start: Timestamp, speed: f64) -> Self {
        Self {
            wall_start,
            begun: Instant::now(),
            speed,
        }
    }

    /// Returns the simulated time, to the millisecond.
    pub fn now(&self) -> Timestamp {
        let passed = milliseconds(self.real().as_secs_f64() * self.speed);
        let now = self.wall_start.as_millisecond().saturating_add(passed);
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX)
    }

    /// Returns how many simulated seconds pass in a real one.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Returns the real time since the start.
    fn real(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Names a task the demo puts on the list at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// 32 lower-case hexadecimal digits; one of the default fourteen is unknown to the server on purpose.
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
    watched: Vec<Seeded>,
    spare_ids: Vec<String>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// Starts a simulator whose clock shows `wall_start` now; it answers as soon as this returns.
///
/// Fails only if the port cannot be bound. Needs a tokio runtime with time and I/O.
pub async fn start(settings: Settings, wall_start: Timestamp) -> std::io::Result<Simulator> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
    let address = listener.local_addr()?;
    let base_url = Url::parse(&format!("http://{address}/")).map_err(std::io::Error::other)?;

    let speed = sane_speed(settings.speed);
    let clock = SimulatedClock::start(wall_start, speed);
    let tasks = settings.tasks.min(MOST_TASKS);
    let opening = stage(tasks, speed, settings.seed, wall_start.as_millisecond());
    let watched = opening.cues.into_iter().map(seeded).collect();
    let spare_ids = opening.sleepers.iter().map(|plan| plan.id.clone());
    let spare_ids = spare_ids.collect();

    let draw = |stream| Chance::new(settings.seed, stream);
    let stage = Stage {
        clock,
        base: base_url.clone(),
        key: settings.key,
        credits: 500.0 + (draw(2).between(0.0, 22_000.0)).floor() / 4.0,
        latency: settings.latency,
        faults: settings.faults,
        world: Mutex::new(World::new(opening.plans, opening.sleepers, draw(3))),
        traffic: Mutex::new(Traffic::new(draw(4))),
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
        watched,
        spare_ids,
        stop,
        served,
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
    pub fn watched(&self) -> &[Seeded] {
        &self.watched
    }

    /// Returns ids the server knows that are on no list; each task starts when first asked after and takes 1 to 3 simulated minutes.
    pub fn spare_ids(&self) -> &[String] {
        &self.spare_ids
    }

    /// Ends the server: calls under way are answered, but not waited for longer than a second.
    pub async fn shutdown(self) {
        drop(self.stop);
        let mut served = self.served;
        if tokio::time::timeout(PARTING, &mut served).await.is_err() {
            served.abort();
        }
    }
}

fn sane_speed(speed: f64) -> f64 {
    if speed.is_nan() {
        return DEFAULT_SPEED;
    }
    speed.clamp(*SPEEDS.start(), *SPEEDS.end())
}

fn seeded(cue: Cue) -> Seeded {
    Seeded {
        id: cue.id,
        label: cue.label,
        added_at: Timestamp::from_millisecond(cue.added).unwrap_or(Timestamp::UNIX_EPOCH),
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
    fn speeds_are_held_to_what_makes_sense() {
        assert!((sane_speed(0.0) - 0.01).abs() < f64::EPSILON);
        assert!((sane_speed(f64::INFINITY) - 10_000.0).abs() < f64::EPSILON);
        assert!((sane_speed(f64::NAN) - DEFAULT_SPEED).abs() < f64::EPSILON);
    }

    #[test]
    fn the_key_is_not_in_the_debug_text() {
        let settings = Settings {
            key: Some("secret".into()),
            ..Settings::default()
        };

        assert!(!format!("{settings:?}").contains("secret"));
    }
}
