//! The only function that changes the state: it takes a message and returns effects. Also computes
//! the next wakeup.
//!
//! One file for each concern. A dialog is one file with its content and what Enter does in it;
//! `keys`, `mouse` and `text_input` serve all of them.

mod add;
mod backoff;
mod copy;
mod download;
mod filter;
mod keys;
mod labels;
mod marks;
mod messages;
mod mouse;
mod open;
mod palette;
mod polling;
mod preview;
mod remove;
mod selection;
mod sort;
mod store;
mod text_input;
mod writes;

use std::time::Duration;

use super::{
    msg::{Effect, Msg},
    state::{Severity, Size, State},
};
use crate::{
    domain::{
        schedule::LOST_AFTER,
        store_request::StoreRequest,
        time::{Mono, Now},
        watched_task::WatchedTask,
    },
    messages::message_line,
};

/// Applies a message and returns the effects to run. Total: no message panics or blocks in any
/// state.
pub fn update(state: &mut State, msg: Msg, now: Now) -> Vec<Effect> {
    let mut effects = Vec::new();
    state.started_at.get_or_insert(now.wall);
    backoff::detect_suspend(state, now);
    match msg {
        Msg::Tick | Msg::Notified(Ok(())) => {}
        Msg::Pasted(_) | Msg::Mouse { .. } | Msg::Focused(_) if state.is_leaving => {}
        Msg::Key { chord, is_repeat } => keys::pressed(state, chord, is_repeat, now, &mut effects),
        Msg::Mouse { action, target } => {
            mouse::handle_mouse(state, action, target, now, &mut effects);
        }
        Msg::SecretsLoaded(secrets) => state.settings.secrets = secrets,
        Msg::Pasted(text) => text_input::paste(state, &text, now),
        Msg::Resized {
            width,
            height,
            page,
        } => {
            state.size = Size {
                width,
                height,
                page,
            };
            selection::keep_visible(state);
        }
        Msg::SizeUnknown { width, height } => {
            let text = message_line::size_unknown(width, height);
            messages::queue_event(state, Severity::Warning, text, now);
        }
        Msg::LayoutMeasured {
            max_scroll,
            preview_area,
        } => {
            state.previews.area = preview_area;
            keys::clamp_scroll(state, max_scroll);
        }
        Msg::StoreAnswered { request, result } => {
            store::store_answered(state, request, result, now, &mut effects);
        }
        Msg::Polled {
            task,
            attempt,
            answer,
            notes,
        } => {
            polling::poll_finished(state, &task, attempt, (*answer, notes), now, &mut effects);
        }
        Msg::PollDenied {
            task,
            attempt,
            denied,
        } => polling::poll_denied(state, &task, attempt, denied, now),
        Msg::PollStarted(attempt) => {
            state.poll_queue.count_start(attempt, now.mono);
        }
        Msg::Copied { name, text, result } => {
            copy::copied(state, &name, text, result, now, &mut effects);
        }
        Msg::Notified(Err(reason)) => messages::queue_event(state, Severity::Warning, reason, now),
        Msg::Focused(focus) => messages::focus_changed(state, focus, now, &mut effects),
        Msg::Opened { task, url, result } => {
            open::video_opened(state, &task, url, result, now, &mut effects);
        }
        Msg::Compared { task, result } => open::comparison_shown(state, &task, result, now),
        Msg::DownloadProgressed { id, progress } => {
            download::download_progressed(state, id, progress);
        }
        Msg::DownloadEnded { id, result } => {
            download::download_ended(state, id, result, now, &mut effects);
        }
        Msg::FilesChecked(files) => download::files_checked(state, files, now),
        Msg::LocksChecked(locks) => download::locks_checked(state, locks, now, &mut effects),
        Msg::PreviewReady { id, result } => preview::preview_ready(state, id, result),
        Msg::Resumed => effects.push(Effect::Redraw),
        Msg::ComponentPanicked(reason) => messages::reply(state, Severity::Error, reason, now),
        Msg::ShutdownRequested => keys::quit(state, now, &mut effects),
    }
    if !state.is_leaving {
        run_periodic(state, now, &mut effects);
    }
    effects
}

/// Returns the first effects of the program.
pub fn startup_effects() -> Vec<Effect> {
    // The session comes first, so that the first list shown is already in its tab and order.
    vec![
        Effect::Store(StoreRequest::LoadSession),
        Effect::Store(StoreRequest::LoadList),
    ]
}

/// Returns the latest time for the next [`Msg::Tick`]; `None` while nothing can change without a
/// message.
///
/// That is the earliest of: the next poll that may start, a lost answer, the end of a shown
/// message, the next write retry, the next list reload, a download retry, due notifications, a due
/// session save, and the next change of a figure on the screen (a second while a clock runs, else a
/// minute).
pub fn next_wakeup(state: &State, now: Now) -> Option<Mono> {
    if state.is_leaving {
        return None;
    }
    let lost = state
        .list
        .in_flight()
        .next()
        .map(|(since, _)| since.after(LOST_AFTER));
    let message_end = state.message().map(|message| message.until);
    [
        polling::next_start(state, now),
        lost,
        message_end,
        state.write_queue.retry_at,
        state.reload_at,
        state.notification_batch.as_ref().map(|batch| batch.due),
        state.session.save_at,
        state.downloads.next_retry(),
        next_display_change(state, now),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// Returns the time at which a figure on the screen changes next.
fn next_display_change(state: &State, now: Now) -> Option<Mono> {
    if state.list.is_empty() {
        return state
            .poll_queue
            .backoff()
            .map(|_| next_tick(Duration::from_secs(1), now));
    }
    let counts_down = |watched: &WatchedTask| {
        let left = watched.saved_results.retry.map(|retry| now.until(retry.at));
        left.is_some_and(|left| !left.is_zero() && left < Duration::from_mins(1))
    };
    let step = if state.is_ticking() || state.selected().is_some_and(counts_down) {
        Duration::from_secs(1)
    } else {
        Duration::from_mins(1)
    };
    Some(next_tick(step, now))
}

/// Returns the next multiple of `step` on the wall clock.
fn next_tick(step: Duration, now: Now) -> Mono {
    let step = i128::try_from(step.as_nanos()).unwrap_or(i128::MAX).max(1);
    let left = step - now.wall.as_nanosecond().rem_euclid(step);
    now.mono.after(Duration::from_nanos(
        u64::try_from(left).unwrap_or(u64::MAX),
    ))
}

/// Periodic work, run after every message.
fn run_periodic(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    messages::advance_messages(state, now);
    polling::expire_lost(state, now, effects);
    polling::start_due(state, now, effects);
    backoff::drop_idle_backoff(state, now);
    store::retry_writes(state, now, effects);
    download::run_periodic(state, now, effects);
    filter::schedule_session_save(state, now, effects);
    selection::update_for_time(state, now);
    messages::flush_notifications(state, now, effects);
    selection::read_journal(state, effects);
    selection::read_raw_response(state, effects);
    preview::request_preview(state, effects);
}
