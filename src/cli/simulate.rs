//! `kietop simulate`: the simulated API for anyone's client, until it is interrupted.

use super::{Failure, SimulateArgs, WorldArgs, output};
use crate::{adapters::desktop::SystemClock, simulator};

/// Returns the simulator's settings for a world.
pub fn simulator_settings(world: &WorldArgs, port: u16) -> simulator::SimulatorSettings {
    let WorldArgs { tasks, speed, seed } = *world;
    simulator::SimulatorSettings {
        tasks,
        speed,
        seed,
        port,
        ..simulator::SimulatorSettings::default()
    }
}

/// Serves the world until Ctrl-C; prints its URL and task ids.
pub async fn run(simulate: &SimulateArgs) -> Result<(), Failure> {
    let settings = simulator_settings(&simulate.world, simulate.port);
    let started = simulator::start(settings, SystemClock::wall()).await;
    let simulator = started.map_err(|error| {
        Failure::plain(format!(
            "Port {} cannot be used: {error}; try another --port.",
            simulate.port
        ))
    })?;
    let url = simulator.base_url();
    let mut said = format!("{url}\n");
    for id in simulator
        .initial_tasks()
        .iter()
        .map(|seeded| &seeded.id)
        .chain(simulator.on_demand_ids())
    {
        said.push_str(id);
        said.push('\n');
    }
    output::to_stdout(&said)?;
    let (tasks, spare) = (
        simulator.initial_tasks().len(),
        simulator.on_demand_ids().len(),
    );
    output::to_stderr(&format!(
        "{tasks} tasks, and {spare} more ids that begin when they are first asked after."
    ));
    output::to_stderr(&format!(
        "Any key will do: KIE_API_KEY=x KIETOP_API_URL={url} kietop. Ctrl-C ends it."
    ));
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| Failure::plain(format!("No signals here: {error}.")))?;
    simulator.shutdown().await;
    Ok(())
}
