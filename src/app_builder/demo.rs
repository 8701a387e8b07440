//! The list and the clock of the demo.

use kietop::{
    adapters::{desktop::SystemClock, store::SqliteStore},
    domain::{
        list_change::ListChange, task::TaskId, text::CleanText, time::Now,
        watched_task::MAX_LABEL_LEN,
    },
    ports::Clock,
    runtime::effects::{OpenStore, OpenedStore},
    simulator::{SimulatedClock, Simulator},
};

/// Returns the function that opens a list in memory with the simulator's tasks.
pub(super) fn store_opener(simulator: &Simulator) -> OpenStore {
    let changes: Vec<_> = simulator
        .initial_tasks
        .iter()
        .filter_map(|seeded| {
            let task = TaskId::parse(&seeded.id).ok()?;
            let label = seeded
                .label
                .map(|label| CleanText::line(label, MAX_LABEL_LEN));
            Some(ListChange::add(task, label, seeded.added_at))
        })
        .collect();
    OpenStore::new(move |_| {
        let mut store = SqliteStore::in_memory()?;
        store.apply(&changes)?;
        Ok(OpenedStore {
            store: Box::new(store),
            watch: None,
        })
    })
}

/// The clock of a demo: the simulated time of day, and the real monotonic time for schedules.
#[derive(Debug)]
pub(super) struct DemoClock {
    wall: SimulatedClock,
    system: SystemClock,
}

impl DemoClock {
    pub(super) fn start(wall: SimulatedClock) -> Self {
        let system = SystemClock::start();
        Self { wall, system }
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Now {
        Now {
            wall: self.wall.now(),
            mono: self.system.now().mono,
        }
    }
}
