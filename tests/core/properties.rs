//! Random events in random order: the core keeps its invariants, and every state can be drawn at
//! any size without harmful characters. `PROPTEST_CASES` sets the number of cases.

mod fake_services;
mod steps;

use std::{collections::HashSet, time::Duration};

use fake_services::FakeServices;
use kietop::{
    app::{
        keymap::{Key, KeyChord, KeyContext},
        msg::{Effect, Msg},
        notifications::NotifyChannel,
        state::{MainScreen, Overlay, State},
        update::{next_wakeup, update},
    },
    domain::{
        list_change::{ChangeKind, ChangeResult, ExternalChange, ListChange},
        preview::PreviewMode,
        query::VisibleRows,
        schedule::{LOST_AFTER, PollState},
        status::Tab,
        store_request::{StoreReply, StoreRequest},
        task::TaskId,
        time::{Mono, Now},
        watched_task::WatchedTask,
    },
    ui::{self, theme::Theme},
};
use proptest::{prelude::*, test_runner::RngAlgorithm};
use ratatui::{Terminal, backend::TestBackend};
use steps::{TestStep, hostile_text, size_strategy, step_strategy};

use crate::support::harmful_chars::is_harmful;
use crate::support::{later, program, task};

fn assert_invariants(state: &State, before: &State, msg: Option<&Msg>, now: Now) {
    let ids: HashSet<_> = state.shown().iter().collect();
    assert_eq!(ids.len(), state.shown().len(), "an id appears twice");
    if state.tab() == Tab::All && state.list_view().query.is_empty() {
        assert_eq!(ids.len(), state.list().len(), "the tab All hides a task");
    }
    let mut fresh = VisibleRows::default();
    fresh.set_view(state.list_view().clone(), state.list(), now);
    assert_eq!(state.shown(), fresh.ids(), "{:?}", state.list_view());
    let marked = state.marks().iter();
    assert!(marked.into_iter().all(|id| state.list().get(id).is_some()));
    let targets: HashSet<_> = state.targets().into_iter().map(WatchedTask::id).collect();
    let is_for_marks = state.screen() == MainScreen::List && !state.marks().is_empty();
    assert!(!is_for_marks || targets == state.marks().iter().collect());
    if state.screen() == MainScreen::List {
        assert_eq!(
            state.position().is_some(),
            !state.shown().is_empty(),
            "a row is selected unless the list is empty"
        );
    } else {
        assert!(state.selected().is_some(), "the detail has no task");
        let is_same = before.screen() == MainScreen::List
            || before.selected().map(WatchedTask::id) == state.selected().map(WatchedTask::id);
        // Its keys or the palette may change the task.
        let is_paging = match msg {
            Some(Msg::Key { chord, .. }) => ['J', 'K'].map(KeyChord::char).contains(chord),
            _ => false,
        } || before.context() == KeyContext::Palette;
        assert!(is_same || is_paging, "the detail changed its task");
    }
    assert!(
        state.top() <= state.shown().len().saturating_sub(1),
        "scrolled past the end"
    );
    let counts = state.list().counts();
    let in_flight = state
        .list()
        .iter()
        .filter(|w| matches!(w.poll_state, PollState::InFlight { .. }))
        .count();
    assert_eq!(
        (counts.all, counts.in_flight),
        (state.list().len(), in_flight)
    );
    for (tab, count) in [
        (Tab::Active, counts.active),
        (Tab::Ready, counts.ready),
        (Tab::Rescued, counts.rescued),
        (Tab::Failed, counts.failed),
    ] {
        let recount = state.list().iter().filter(|w| w.tab() == tab).count();
        assert_eq!(count, recount, "{tab:?}");
    }
    assert_eq!(
        counts.all,
        counts.active + counts.ready + counts.rescued + counts.failed
    );
    for watched in before
        .list()
        .iter()
        .filter(|watched| watched.task.state().is_final())
    {
        if let Some(after) = state.list().get(watched.id()) {
            assert!(after.task.state().is_final(), "{:?}", after.task.state());
            let links = |w: &WatchedTask| w.task.state().videos().count();
            assert!(links(watched) == 0 || links(after) > 0, "a link is lost");
        }
    }
    if let Some(at) = next_wakeup(state, now) {
        assert!(at > now.mono, "a wakeup is overdue");
    }
}

/// Checks that rows appear and disappear only because of a stored change or of another instance.
fn assert_stable_rows(state: &State, before: &State, msg: &Msg) {
    let ids =
        |state: &State| -> HashSet<_> { state.list().iter().map(|row| row.id().clone()).collect() };
    let (old_ids, new_ids) = (ids(before), ids(state));
    let (mut may_appear, mut may_disappear) = (HashSet::new(), HashSet::new());
    match msg {
        Msg::StoreAnswered {
            request: StoreRequest::Write(changes),
            result: Ok(StoreReply::Written(applied)),
        } => {
            for (change, applied) in changes.iter().zip(applied) {
                match (change, applied) {
                    (
                        ListChange {
                            task,
                            kind: ChangeKind::Add { .. },
                            ..
                        }
                        | ListChange {
                            task,
                            kind: ChangeKind::Restore,
                            ..
                        },
                        ChangeResult::Added(_),
                    ) => {
                        may_appear.insert(task);
                    }
                    (
                        ListChange {
                            task,
                            kind: ChangeKind::Remove,
                            ..
                        },
                        _,
                    ) => {
                        may_disappear.insert(task);
                    }
                    _ => {}
                }
            }
        }
        Msg::StoreAnswered {
            result: Ok(StoreReply::ExternalChanges(deltas)),
            ..
        } => {
            for delta in deltas {
                match delta {
                    ExternalChange::Removed(id) => may_disappear.insert(id),
                    ExternalChange::Changed(watched) => may_appear.insert(watched.id()),
                };
            }
        }
        _ => {}
    }
    let unexpected: Vec<&TaskId> = new_ids
        .difference(&old_ids)
        .filter(|id| !may_appear.contains(id))
        .chain(
            old_ids
                .difference(&new_ids)
                .filter(|id| !may_disappear.contains(id)),
        )
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?} by {msg:?}");
}

/// Draws the state at a size as the runtime does, and checks that no harmful character is drawn.
fn draw(state: &mut State, (width, height): (u16, u16), now: Now, services: &mut FakeServices) {
    let resized = Msg::Resized {
        width,
        height,
        page: ui::list_rows(width, height),
    };
    let effects = update(state, resized, now);
    services.run_effects(effects, state, now);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut drawn = ui::DrawResult::default();
    terminal
        .draw(|frame| drawn = ui::draw(frame, state, now, &Theme::ansi()))
        .unwrap();
    for cell in terminal.backend().buffer().content() {
        let symbol = cell.symbol();
        let is_plain = symbol.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let harmful = (!is_plain).then(|| symbol.chars().find(|&c| is_harmful(c)));
        assert_eq!(harmful.flatten(), None, "{}", terminal.backend());
    }
    let measured = Msg::LayoutMeasured {
        max_scroll: drawn.max_scroll,
        preview_area: drawn.preview_area,
    };
    let effects = update(state, measured, now);
    services.run_effects(effects, state, now);
    let scrolled = match (state.overlay(), state.screen()) {
        (Some(Overlay::Text { scroll, .. }), _) => *scroll,
        (None, MainScreen::Detail { scroll, .. }) => scroll,
        (Some(_) | None, _) => 0,
    };
    assert!(scrolled <= drawn.max_scroll, "scrolled past the end");
}

fn press(state: &mut State, key: KeyChord, now: Now) -> Vec<Effect> {
    let msg = Msg::Key {
        chord: key,
        is_repeat: false,
    };
    update(state, msg, now)
}

/// Removes the selected row and undoes that; checks that the list is restored and the row selected.
fn remove_and_undo(state: &mut State, services: &mut FakeServices, now: Now) {
    let finish_writes = |state: &mut State, services: &mut FakeServices| {
        while let Some(msg) = services.finish_write(None) {
            let before = state.clone();
            let effects = update(state, msg.clone(), now);
            services.run_effects(effects, state, now);
            assert_stable_rows(state, &before, &msg);
        }
    };
    let key = |state: &mut State, services: &mut FakeServices, key: KeyChord| {
        let effects = press(state, key, now);
        services.run_effects(effects, state, now);
    };
    finish_writes(state, services);
    // Closes dialogs and the detail, then clears the marks, then the filter.
    for _ in 0..6 {
        key(state, services, KeyChord::plain(Key::Esc));
    }
    finish_writes(state, services);
    let Some(id) = state.selected().map(|row| row.id().clone()) else {
        return;
    };
    let snapshot = |state: &State| -> Vec<_> {
        let row = |id| {
            state
                .list()
                .get(id)
                .map(|row| (row.task.clone(), row.label.clone(), row.added))
        };
        state.shown().iter().map(row).collect()
    };
    let (before, at) = (snapshot(state), state.position());
    key(state, services, KeyChord::char('d'));
    finish_writes(state, services);
    assert!(state.list().get(&id).is_none(), "the row was not removed");
    let last = state.shown().len().checked_sub(1);
    assert_eq!(
        state.position(),
        last.and_then(|last| at.map(|at| at.min(last))),
        "the cursor moved"
    );
    key(state, services, KeyChord::char('u'));
    finish_writes(state, services);
    assert_eq!(snapshot(state), before);
    assert_eq!(
        (state.selected().map(WatchedTask::id), state.position()),
        (Some(&id), at)
    );
}

/// Returns the test configuration. The default random generator would take a third of the run time
/// in unoptimised builds.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(2000, |n| n.parse().unwrap()),
        rng_algorithm: RngAlgorithm::XorShift,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn core_invariants_hold(
        steps in prop::collection::vec(step_strategy(), 1..80),
        later_steps in prop::collection::vec(step_strategy(), 0..8),
        sizes in prop::collection::vec(size_strategy(), 1..6),
        (drawn_every, drawn_from) in (5_usize..12, 0_usize..5),
        (auto_save, notifies) in any::<(bool, bool)>(),
    ) {
        let tasks = (0..8_u8).map(|n| {
            let label = format!("{}t{n}", hostile_text(n));
            task(&format!("t{n}")).label(&label).running().created("14:30").due_in("0s")
        });
        let mut state = program().with_all(tasks).with_size(120, 36).set(|settings| {
            settings.auto_save = auto_save;
            settings.preview_mode = PreviewMode::HalfBlocks;
            if notifies {
                settings.notifications.channels = NotifyChannel::ALL.to_vec();
            }
        }).build();
        let mut services = FakeServices::with_list_of(&state);
        let mut waited = Duration::ZERO;
        let mut sizes = sizes.into_iter().cycle();
        for (number, step) in steps.into_iter().enumerate() {
            if let TestStep::Wait(millis) = step {
                waited += Duration::from_millis(millis);
            }
            let now = later(waited);
            let before = state.clone();
            if matches!(step, TestStep::RemoveAndUndo) {
                remove_and_undo(&mut state, &mut services, now);
                assert_invariants(&state, &before, None, now);
                continue;
            }
            let Some(msg) = services.message_for_step(step, &state, now) else { continue };
            let effects = update(&mut state, msg.clone(), now);
            services.run_effects(effects, &state, now);
            if state.is_leaving() {
                break;
            }
            assert_invariants(&state, &before, Some(&msg), now);
            assert_stable_rows(&state, &before, &msg);
            if number % drawn_every == drawn_from {
                let size = sizes.next().unwrap_or_default();
                draw(&mut state, size, now, &mut services);
            }
        }
        let end = later(waited + LOST_AFTER);
        if !state.is_leaving() {
            let effects = update(&mut state, Msg::Tick, end);
            services.run_effects(effects, &state, end);
            let is_lost = |(since, _): (Mono, &TaskId)| since.after(LOST_AFTER) <= end.mono;
            prop_assert!(!state.list().in_flight().any(is_lost), "a request never ends");
        }
        let escape = [Key::Esc, Key::Esc].map(KeyChord::plain);
        for chord in escape.into_iter().chain([KeyChord::char('q')]) {
            press(&mut state, chord, end);
        }
        prop_assert!(state.is_leaving(), "three keys do not quit");
        prop_assert_eq!(next_wakeup(&state, end), None);
        for step in later_steps {
            let Some(msg) = services.message_for_step(step, &state, end) else { continue };
            let is_answer = !matches!(msg, Msg::Key { .. } | Msg::Pasted(_) | Msg::Mouse { .. } | Msg::Focused(_) | Msg::Tick);
            let effects = update(&mut state, msg, end);
            // A second quit retries the writes that failed.
            let may_write = is_answer || effects.contains(&Effect::Quit);
            let is_harmless = effects.iter().all(|effect| match effect {
                Effect::Quit => true,
                Effect::Store(StoreRequest::Write(_)) | Effect::Terminal(_) | Effect::Copy(_) | Effect::Redraw => may_write,
                _ => false,
            });
            prop_assert!(is_harmless, "{:?} after quitting", effects);
        }
    }
}
