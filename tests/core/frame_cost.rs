//! Allocations of a frame and of a key press must not grow with the list. Nothing is timed, so the
//! load of the machine does not matter.

use kietop::{
    app::state::State,
    ui::{self, theme::Theme},
};
use ratatui::{Terminal, backend::TestBackend};

use crate::support::{now, press, program, resize, task};

/// Allocations that the long list may need beyond the short one: numbers are wider and vectors
/// grow in other steps.
const MAX_DIFFERENCE: u64 = 100;

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
        // The first frame fills the caches.
        draw(&state);
        press(&mut state, &["j"]);
        draw(&state);
        let frame = allocation_counter::measure(|| draw(&state));
        let key = allocation_counter::measure(|| drop(press(&mut state, &["j"])));
        [frame, key]
    });

    let [short, long] = costs;
    for (name, (short, long)) in ["a frame", "a key"].iter().zip(short.iter().zip(&long)) {
        assert!(
            short.count_total > 0 || *name == "a key",
            "no allocation was counted"
        );
        assert!(
            long.count_total <= short.count_total + MAX_DIFFERENCE,
            "{name}: {short:?} {long:?}"
        );
        assert!(
            long.bytes_total <= short.bytes_total * 2 + 16 * 1024,
            "{name}: {short:?} {long:?}"
        );
    }
}
