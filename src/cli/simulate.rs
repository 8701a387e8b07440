//! `kietop simulate`: serves the simulated API to any client until Ctrl-C.

use super::{
    args::{GlobalArgs, SimulateArgs, SimulatorArgs},
    failure::CommandFailure,
    output,
};
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
pub async fn run(args: &SimulateArgs, global: &GlobalArgs) -> Result<(), CommandFailure> {
    global.reject_for_simulator("simulate")?;
    let settings = simulator_settings(&args.simulator, args.port);
    let started = simulator::start(settings, SystemClock::wall()).await;
    let simulator = started
        .map_err(|error| CommandFailure::general(messages::cannot_use_port(args.port, &error)))?;
    let (tasks, on_demand) = (&simulator.initial_tasks, &simulator.on_demand_ids);
    let mut lines = vec![simulator.base_url.as_str()];
    lines.extend(tasks.iter().map(|task| task.id.as_str()));
    lines.extend(on_demand.iter().map(String::as_str));
    output::to_stdout(&format!("{}\n", lines.join("\n")))?;
    let counts = messages::simulated_tasks(tasks.len(), on_demand.len());
    output::to_stderr(&counts);
    output::to_stderr(&messages::simulator_hint(&simulator.base_url));
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| CommandFailure::general(messages::cannot_handle_signals(&error)))?;
    simulator.shutdown().await;
    Ok(())
}
