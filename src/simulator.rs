//! A simulated kie.ai server: seeded tasks in simulated time, over real HTTP on loopback.
//!
//! The demo and the tests use it with the same client as kie.ai. It knows neither that client nor
//! the dashboard nor `domain`: they share only the documented API. It listens on 127.0.0.1 only,
//! writes no file and logs nothing but its own failure.

mod clock;
mod faults;
mod media;
mod prompts;
mod rng;
mod scenario;
mod server;
mod tasks;
mod wire;

use std::{io, net::Ipv4Addr, ops::RangeInclusive, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

pub use self::{clock::SimulatedClock, scenario::InitialTask};
use self::{
    faults::FaultModel, rng::Rng, scenario::build_scenario, server::ServerState, tasks::TaskTable,
};

/// The most tasks at the start.
pub const MAX_TASKS: usize = 10_000;
/// The allowed speeds, in simulated seconds per real second.
pub const SPEED_RANGE: RangeInclusive<f64> = 0.01..=10_000.0;
/// How long shutdown waits for open connections.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorSettings {
    /// The number of tasks on the list at the start, at most 10 000. Eight or more show every kind
    /// of state.
    pub tasks: usize,
    /// Simulated seconds per real second, within [`SPEED_RANGE`].
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
            // A task of five minutes takes fifty seconds.
            speed: 6.0,
            seed: 1,
            port: 0,
            key: None,
            faults: true,
            latency: true,
        }
    }
}

/// A running server, which stops when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    /// The API URL: `http://127.0.0.1:PORT/`.
    pub base_url: Url,
    /// The clock of all times that the server reports.
    pub clock: SimulatedClock,
    /// The tasks that the demo adds to the list, in their order on the screen.
    pub initial_tasks: Vec<InitialTask>,
    /// Ids of tasks on no list. Each task starts at its first query and takes 1 to 3 simulated
    /// minutes.
    pub on_demand_ids: Vec<String>,
    stop: DropGuard,
    server_task: JoinHandle<()>,
}

/// Starts a simulator with a clock at `wall_start`. It accepts requests when this returns.
///
/// Fails only if the port cannot be bound. Needs a tokio runtime with time and I/O.
pub async fn start(settings: SimulatorSettings, wall_start: Timestamp) -> io::Result<Simulator> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
    let address = listener.local_addr()?;
    let base_url = Url::parse(&format!("http://{address}/")).map_err(io::Error::other)?;
    let clock = SimulatedClock::start(wall_start, settings.speed);
    let scenario = build_scenario(
        settings.tasks.min(MAX_TASKS),
        settings.speed,
        settings.seed,
        wall_start.as_millisecond(),
    );
    let on_demand = scenario.on_demand.iter().map(|task| task.id.clone());
    let on_demand_ids = on_demand.collect();
    let rng = |stream| Rng::new(settings.seed, stream);
    let state = ServerState {
        clock,
        base: base_url.clone(),
        key: settings.key,
        credits: 500.0 + rng(2).range(0.0, 22_000.0).floor() / 4.0,
        latency: settings.latency,
        faults: settings.faults,
        tasks: Mutex::new(TaskTable::new(scenario.tasks, scenario.on_demand, rng(3))),
        fault_model: Mutex::new(FaultModel::new(rng(4))),
    };
    let stop = CancellationToken::new();
    let server = axum::serve(listener, server::routes(Arc::new(state)))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let server_task = tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::warn!(%error, "simulator stopped");
        }
    });

    Ok(Simulator {
        base_url,
        clock,
        initial_tasks: scenario.initial_tasks,
        on_demand_ids,
        stop: stop.drop_guard(),
        server_task,
    })
}

impl Simulator {
    /// Stops the server. Waits at most a second for requests in flight.
    pub async fn shutdown(self) {
        drop(self.stop);
        let mut server_task = self.server_task;
        let stopped = tokio::time::timeout(SHUTDOWN_TIMEOUT, &mut server_task);
        if stopped.await.is_err() {
            server_task.abort();
        }
    }
}
