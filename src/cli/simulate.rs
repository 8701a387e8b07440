//! `kietop simulate`: the simulated API for anyone's client, until it is interrupted.

use super::{Failure, Simulate, World, output};
use crate::{adapters::desktop::SystemClock, simulator};

/// Returns the simulator's settings for a world.
pub fn settings(world: &World, port: u16) -> simulator::Settings {
    let World { tasks, speed, seed } = *world;
    simulator::Settings {
        tasks,
        speed,
        seed,
        port,
        ..simulator::Settings::default()
    }
}

/// Serves the world until Ctrl-C; prints its URL and task ids.
pub async fn run(simulate: &Simulate) -> Result<(), Failure> {
    let settings = settings(&simulate.world, simulate.port);
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
        .watched()
        .iter()
        .map(|seeded| &seeded.id)
        .chain(simulator.spare_ids())
    {
        said.push_str(id);
        said.push('\n');
    }
    output::data(&said)?;
    let (tasks, spare) = (simulator.watched().len(), simulator.spare_ids().len());
    output::talk(&format!(
        "{tasks} tasks, and {spare} more ids that begin when they are first asked after."
    ));
    output::talk(&format!(
        "Any key will do: KIE_API_KEY=x KIETOP_API_URL={url} kietop. Ctrl-C ends it."
    ));
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| Failure::plain(format!("No signals here: {error}.")))?;
    simulator.shutdown().await;
    Ok(())
}
