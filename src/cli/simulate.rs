//! `kietop simulate`: serves the simulated API to any client until Ctrl-C.

use super::{CommandFailure, SimulateArgs, SimulatorArgs, output};
use crate::{adapters::desktop::SystemClock, simulator};

pub fn simulator_settings(args: &SimulatorArgs, port: u16) -> simulator::SimulatorSettings {
    let SimulatorArgs { tasks, speed, seed } = *args;
    simulator::SimulatorSettings {
        tasks,
        speed,
        seed,
        port,
        ..simulator::SimulatorSettings::default()
    }
}

/// Prints the URL and the task ids, and serves until Ctrl-C.
pub async fn run(args: &SimulateArgs) -> Result<(), CommandFailure> {
    let settings = simulator_settings(&args.simulator, args.port);
    let started = simulator::start(settings, SystemClock::wall()).await;
    let simulator = started.map_err(|error| {
        CommandFailure::general(format!(
            "Port {} cannot be used: {error}; try another --port.",
            args.port
        ))
    })?;
    let url = simulator.base_url();
    let mut lines = format!("{url}\n");
    for id in simulator
        .initial_tasks()
        .iter()
        .map(|seeded| &seeded.id)
        .chain(simulator.on_demand_ids())
    {
        lines.push_str(id);
        lines.push('\n');
    }
    output::to_stdout(&lines)?;
    let (tasks, on_demand) = (
        simulator.initial_tasks().len(),
        simulator.on_demand_ids().len(),
    );
    output::to_stderr(&format!(
        "{tasks} tasks, and {on_demand} more ids that begin when they are first asked after."
    ));
    output::to_stderr(&format!(
        "Any key will do: KIE_API_KEY=x KIETOP_API_URL={url} kietop. Ctrl-C ends it."
    ));
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| CommandFailure::general(format!("No signals here: {error}.")))?;
    simulator.shutdown().await;
    Ok(())
}
