//! The only function that changes the state: it takes a message and returns effects. Also computes
//! the next wakeup.
//!
//! One file for each concern. A dialog is one file with its content and what Enter does in it;
//! `keys`, `mouse` and `text_input` serve all of them.

mod add;
mod backoff;
mod context;
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

use self::context::Context;
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
    let mut cx = Context {
        state,
        now,
        effects: Vec::new(),
    };
    cx.state.started_at.get_or_insert(now.wall);
    backoff::detect_suspend(&mut cx);
    handle(&mut cx, msg);
    if !cx.state.is_leaving {
        run_periodic(&mut cx);
    }
    cx.effects
}

fn handle(cx: &mut Context, msg: Msg) {
    match msg {
        Msg::Tick | Msg::Notified(Ok(())) => {}
        Msg::Pasted(_) | Msg::Mouse { .. } | Msg::Focused(_) if cx.state.is_leaving => {}
        Msg::Key { chord, is_repeat } => keys::pressed(cx, chord, is_repeat),
        Msg::Mouse { action, target } => {
            mouse::handle_mouse(cx, action, target);
        }
        Msg::SecretsLoaded(secrets) => cx.state.settings.secrets = secrets,
        Msg::Pasted(text) => text_input::paste(cx, &text),
        Msg::Resized {
            width,
            height,
            page,
        } => {
            cx.state.nav.size = Size {
                width,
                height,
                page,
            };
            selection::keep_visible(cx.state);
        }
        Msg::SizeUnknown { width, height } => {
            let text = message_line::size_unknown(width, height);
            messages::queue_event(cx, Severity::Warning, text);
        }
        Msg::LayoutMeasured {
            max_scroll,
            preview_area,
        } => {
            cx.state.previews.area = preview_area;
            keys::clamp_scroll(cx.state, max_scroll);
        }
        Msg::StoreAnswered { request, result } => {
            store::store_answered(cx, request, result);
        }
        Msg::Polled {
            task,
            attempt,
            answer,
            notes,
        } => {
            polling::poll_finished(cx, &task, attempt, (*answer, notes));
        }
        Msg::PollDenied {
            task,
            attempt,
            denied,
        } => polling::poll_denied(cx, &task, attempt, denied),
        Msg::PollStarted(attempt) => {
            cx.state.poll_queue.count_start(attempt, cx.now.mono);
        }
        Msg::Copied { name, text, result } => {
            copy::copied(cx, &name, text, result);
        }
        Msg::Notified(Err(reason)) => messages::queue_event(cx, Severity::Warning, reason),
        Msg::Focused(focus) => messages::focus_changed(cx, focus),
        Msg::Opened { task, url, result } => {
            open::video_opened(cx, &task, url, result);
        }
        Msg::Compared { task, result } => open::comparison_shown(cx, &task, result),
        Msg::DownloadProgressed { id, progress } => {
            download::download_progressed(cx.state, id, progress);
        }
        Msg::DownloadEnded { id, result } => {
            download::download_ended(cx, id, result);
        }
        Msg::FilesChecked(files) => download::files_checked(cx, files),
        Msg::LocksChecked(locks) => download::locks_checked(cx, locks),
        Msg::PreviewReady { id, result } => preview::preview_ready(cx.state, id, result),
        Msg::Resumed => cx.effects.push(Effect::Redraw),
        Msg::ComponentPanicked(reason) => messages::reply(cx, Severity::Error, reason),
        Msg::ShutdownRequested => keys::quit(cx),
    }
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
        state.notifications.batch.as_ref().map(|batch| batch.due),
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
fn run_periodic(cx: &mut Context) {
    messages::advance_messages(cx);
    polling::expire_lost(cx);
    polling::start_due(cx);
    backoff::drop_idle_backoff(cx);
    store::retry_writes(cx);
    download::run_periodic(cx);
    filter::schedule_session_save(cx);
    selection::update_for_time(cx);
    messages::flush_notifications(cx);
    selection::read_journal(cx);
    selection::read_raw_response(cx);
    preview::request_preview(cx);
}
