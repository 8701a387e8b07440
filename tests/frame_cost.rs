//! What a frame and a key cost, in memory taken, however long the list is. No clock: a busy machine
//! changes nothing.

mod support;

use std::alloc::System;

use kietop::{
    app::state::State,
    ui::{self, theme::Theme},
};
use ratatui::{Terminal, backend::TestBackend};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use support::{now, press, program, resize, task};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How much more the long list may cost than the short one: numbers are wider, and vectors have
/// other sizes.
const MAX_DIFFERENCE: usize = 100;

/// Returns a list with as many tasks, on the screen of a large terminal.
fn state_with_tasks(count: usize) -> State {
    let tasks = (0..count).map(|number| {
        task(&format!("task-{number:05}"))
            .running()
            .created("14:00")
    });
    let mut state = program().with_all(tasks).build();
    resize(&mut state, (160, 50));
    state
}

/// Returns what was taken while `work` ran.
fn measure_allocations(work: impl FnOnce()) -> Stats {
    let region = Region::new(ALLOCATOR);
    work();
    region.change()
}

// F73
#[test]
fn frame_cost_is_independent_of_list_length() {
    let costs = [100, 10_000].map(|count| {
        let mut state = state_with_tasks(count);
        let mut terminal = Terminal::new(TestBackend::new(160, 50)).unwrap();
        let mut draw = |state: &State| {
            let drawn = terminal.draw(|frame| {
                ui::draw(frame, state, now(), &Theme::ansi());
            });
            drawn.unwrap();
        };
        // The first frame fills what is kept between frames.
        draw(&state);
        press(&mut state, &["j"]);
        draw(&state);
        let frame = measure_allocations(|| draw(&state));
        let key = measure_allocations(|| drop(press(&mut state, &["j"])));
        [frame, key]
    });

    let [short, long] = costs;
    for (what, (short, long)) in ["a frame", "a key"].iter().zip(short.iter().zip(&long)) {
        assert!(
            short.allocations > 0 || *what == "a key",
            "nothing was counted"
        );
        assert!(
            long.allocations <= short.allocations + MAX_DIFFERENCE,
            "{what}: {short:?} {long:?}"
        );
        assert!(
            long.bytes_allocated <= short.bytes_allocated * 2 + 16 * 1024,
            "{what}: {short:?} {long:?}"
        );
    }
}
