//! The one door to the state: a message in, orders out. And when to be woken next.
//!
//! One file a family of messages: `keys` what a user wants, `finding` filter and order, `marking`
//! marks and the way back, `removing` removals and their undo, `dialogs` the boxes above the list,
//! `polling` questions and answers, `pacing` the account's holds and sleep, `saving` results on
//! their way to the disk, `picturing` frames of the selected task, `storing` the list on disk,
//! `selection` what is under the cursor, `copying` what goes to a clipboard, `labels` what a person
//! says of a task, `pointing` the mouse, `palette` actions by their names, `notices` the message
//! line and what is told beyond it.

mod backoff;
mod copy;
mod dialogs;
mod download;
mod filter;
mod keys;
mod labels;
mod marks;
mod messages;
mod mouse;
mod palette;
mod polling;
mod preview;
mod remove;
mod selection;
mod store;

use std::time::Duration;

use super::{
    msg::{Effect, Msg},
    state::{Severity, Size, State},
};
use crate::domain::{
    schedule::LOST_AFTER,
    time::{Mono, Now},
    watched_task::WatchedTask,
};

/// Takes one message in and returns what is to be done. Total: no message in no state panics or
/// waits.
#[expect(clippy::too_many_lines, reason = "one arm for each message")]
pub fn update(state: &mut State, msg: Msg, now: Now) -> Vec<Effect> {
    let mut effects = Vec::new();
    state.started_at.get_or_insert(now.wall);
    backoff::detect_suspend(state, now);
    match msg {
        // What cannot be recalled or remembered is done without; what is wrong with the list,
        // reading it says.
        Msg::Tick | Msg::SessionLoaded(Err(_)) | Msg::SessionSaved(_) | Msg::Notified(Ok(())) => {}
        Msg::Pasted(_) | Msg::Mouse { .. } | Msg::Focused(_) if state.is_leaving => {}
        Msg::Key { chord, is_repeat } => keys::pressed(state, chord, is_repeat, now, &mut effects),
        Msg::Mouse {
            action: gesture,
            target: spot,
        } => {
            mouse::handle_mouse(state, gesture, spot, now, &mut effects);
        }
        Msg::SecretsLoaded(secrets) => state.settings.secrets = secrets,
        Msg::Pasted(text) => dialogs::paste(state, &text, now),
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
            let text = format!(
                "No size from the terminal; using {width}x{height} (set COLUMNS and LINES)."
            );
            messages::queue_event(state, Severity::Warning, text, now);
        }
        Msg::LayoutMeasured {
            max_scroll: most_scroll,
            preview_area: room,
        } => {
            state.previews.area = room;
            keys::clamp_scroll(state, most_scroll);
        }
        Msg::SessionLoaded(Ok(memory)) => {
            let ended = filter::session_loaded(state, memory, now);
            download::auto_save_external(state, &ended, now, &mut effects);
        }
        Msg::ListLoaded(result) => {
            let ended = store::list_loaded(state, result, now);
            download::auto_save_external(state, &ended, now, &mut effects);
            download::check_interrupted(state, &mut effects);
        }
        Msg::ExternalChanges(deltas) => {
            let ended = store::apply_external(state, deltas, now);
            download::auto_save_external(state, &ended, now, &mut effects);
        }
        Msg::Polled {
            task,
            attempt,
            answer,
            notes: noticed,
        } => {
            polling::poll_finished(state, &task, attempt, (*answer, noticed), now, &mut effects);
        }
        Msg::PollDenied {
            task,
            attempt,
            denied: put_off,
        } => polling::poll_denied(state, &task, attempt, put_off, now),
        Msg::Stored { changes, result } => store::changes_written(state, changes, result, now),
        Msg::JournalRead { task, lines } => store::journal_read(state, task, lines),
        Msg::RawResponseRead {
            task,
            response: record,
        } => store::record_read(state, task, record),
        Msg::Copied {
            name: what,
            text,
            result,
        } => {
            copy::copied(state, &what, text, result, now, &mut effects);
        }
        Msg::Notified(Err(reason)) => messages::queue_event(state, Severity::Warning, reason, now),
        Msg::Focused(focus) => messages::focus_changed(state, focus, now, &mut effects),
        Msg::Opened { task, url, result } => {
            dialogs::video_opened(state, &task, url, result, now, &mut effects);
        }
        Msg::FileOpened { task, file } => {
            dialogs::file_opened(state, &task, &file, now, &mut effects);
        }
        Msg::Compared { task, result } => dialogs::comparison_shown(state, &task, result, now),
        Msg::DownloadProgressed {
            id: attempt,
            progress,
        } => download::download_progressed(state, attempt, progress),
        Msg::DownloadEnded {
            id: attempt,
            result,
        } => {
            download::download_ended(state, attempt, result, now, &mut effects);
        }
        Msg::FilesChecked(files) => download::files_checked(state, files, now),
        Msg::LocksChecked(found) => download::locks_checked(state, found, now, &mut effects),
        Msg::PreviewReady { id: number, result } => preview::preview_ready(state, number, result),
        Msg::Resumed => effects.push(Effect::Redraw),
        Msg::ListFailed(error) => store::list_failed(state, error, now),
        Msg::ListFileRestored(result) => store::list_file_restored(state, result, now),
        Msg::ComponentPanicked(what) => messages::reply(state, Severity::Error, what, now),
        Msg::ShutdownRequested => keys::quit(state, now, &mut effects),
    }
    if !state.is_leaving {
        run_periodic(state, now, &mut effects);
    }
    effects
}

/// Returns the orders a program starts with.
pub fn startup_effects() -> Vec<Effect> {
    // First what decides how the list is shown, so that it is shown so at once.
    vec![Effect::LoadSession, Effect::LoadList]
}

/// Returns when `update` wants to see a [`Msg::Tick`] at the latest; `None` while nothing can
/// change by itself.
///
/// That is the earliest of: the next poll that may start, a lost answer, the end of a notice, the
/// next try to write, a save to be retried, news to be told, the time to remember how the list is
/// looked at, and the next change of a figure on the screen: a second while a clock runs, else a
/// minute.
pub fn next_wakeup(state: &State, now: Now) -> Option<Mono> {
    if state.is_leaving {
        return None;
    }
    let lost = state
        .list
        .in_flight()
        .next()
        .map(|(since, _)| since.after(LOST_AFTER))
        .into_iter()
        .chain(state.poll_queue.next_lost())
        .min();
    let notice = state.message().map(|notice| notice.until);
    [
        polling::next_start(state, now),
        lost,
        notice,
        state.write_queue.retry_at,
        state.reload_at,
        state.notification_batch.as_ref().map(|burst| burst.due),
        state.session.save_at,
        state.downloads.next_retry(),
        next_display_change(state, now),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// Returns when a figure on the screen changes next.
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

/// Returns the moment of the next whole `step` of the wall clock.
fn next_tick(step: Duration, now: Now) -> Mono {
    let step = i128::try_from(step.as_nanos()).unwrap_or(i128::MAX).max(1);
    let left = step - now.wall.as_nanosecond().rem_euclid(step);
    now.mono.after(Duration::from_nanos(
        u64::try_from(left).unwrap_or(u64::MAX),
    ))
}

/// Does what is due whatever the message was.
fn run_periodic(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    messages::advance_messages(state, now);
    polling::expire_lost(state, now, effects);
    // Before the next question: others must not refuse the one try that a person wants.
    effects.extend(state.poll_queue.take_broadcast().map(Effect::Broadcast));
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
