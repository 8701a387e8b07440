//! `kietop simulate`: serves the simulated API to any client until Ctrl-C.

use super::{CommandFailure, SimulateArgs, SimulatorArgs, output};
use crate::{adapters::desktop::SystemClock, messages::command_line as messages, simulator};

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
    let simulator = started
        .map_err(|error| CommandFailure::general(messages::cannot_use_port(args.port, &error)))?;
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
    output::to_stderr(&messages::simulated_tasks(tasks, on_demand));
    output::to_stderr(&messages::simulator_hint(&url));
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| CommandFailure::general(messages::cannot_handle_signals(&error)))?;
    simulator.shutdown().await;
    Ok(())
}
