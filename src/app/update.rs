//! The one door to the state: a message in, orders out. And when to be woken next.
//!
//! One file a family of messages: `keys` what a user wants, `finding` filter and order, `marking` marks and the way
//! back, `removing` removals and their undo, `dialogs` the boxes above the list, `polling` questions and answers,
//! `pacing` the account's holds and sleep, `saving` results on their way to the disk, `picturing` frames of
//! the selected task, `storing` the list on disk, `selection` what is under the cursor, `copying` what goes to a clipboard, `labels` what a person says of a task,
//! `pointing` the mouse, `palette` actions by their names, `notices` the message line and what is told beyond it.

mod copying;
mod dialogs;
mod finding;
mod keys;
mod labels;
mod marking;
mod notices;
mod pacing;
mod palette;
mod picturing;
mod pointing;
mod polling;
mod removing;
mod saving;
mod selection;
mod storing;

use std::time::Duration;

use super::{
    msg::{Effect, Msg},
    state::{Size, State, Tone},
};
use crate::domain::{
    schedule::LOST_AFTER,
    time::{Mono, Now},
    watched::Watched,
};

/// Takes one message in and returns what is to be done. Total: no message in no state panics or waits.
pub fn update(state: &mut State, msg: Msg, now: Now) -> Vec<Effect> {
    let mut effects = Vec::new();
    state.begun.get_or_insert(now.wall);
    pacing::notice_sleep(state, now);
    match msg {
        // What cannot be recalled or remembered is done without; what is wrong with the list, reading it says.
        Msg::Tick | Msg::Recalled(Err(_)) | Msg::Remembered(_) | Msg::Announced(Ok(())) => {}
        Msg::Pasted(_) | Msg::Pointed { .. } | Msg::Focused(_) if state.is_leaving => {}
        Msg::Key { chord, is_repeat } => keys::pressed(state, chord, is_repeat, now, &mut effects),
        Msg::Pointed { gesture, spot } => {
            pointing::pointed(state, gesture, spot, now, &mut effects);
        }
        Msg::KeyRead(secrets) => state.settings.secrets = secrets,
        Msg::Pasted(text) => dialogs::pasted(state, &text, now),
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
        Msg::SizeAssumed { width, height } => {
            let text = format!(
                "No size from the terminal; using {width}x{height} (set COLUMNS and LINES)."
            );
            notices::inform(state, Tone::Warning, text, now);
        }
        Msg::Measured { most_scroll, room } => {
            state.pictures.room = room;
            keys::measured(state, most_scroll);
        }
        Msg::Recalled(Ok(memory)) => {
            let ended = finding::recalled(state, memory, now);
            saving::made_elsewhere(state, &ended, now, &mut effects);
        }
        Msg::Loaded(result) => {
            let ended = storing::loaded(state, result, now);
            saving::made_elsewhere(state, &ended, now, &mut effects);
            saving::go_on(state, &mut effects);
        }
        Msg::ChangedElsewhere(deltas) => {
            let ended = storing::changed_elsewhere(state, deltas, now);
            saving::made_elsewhere(state, &ended, now, &mut effects);
        }
        Msg::Polled {
            task,
            attempt,
            answer,
            noticed,
        } => {
            polling::answered(state, &task, attempt, (*answer, noticed), now, &mut effects);
        }
        Msg::PutOff {
            task,
            attempt,
            put_off,
        } => polling::put_off(state, &task, attempt, put_off, now),
        Msg::Stored { changes, result } => storing::stored(state, changes, result, now),
        Msg::JournalRead { task, lines } => storing::journal_read(state, task, lines),
        Msg::RecordRead { task, record } => storing::record_read(state, task, record),
        Msg::Copied { what, text, result } => {
            copying::copied(state, &what, text, result, now, &mut effects);
        }
        Msg::Announced(Err(reason)) => notices::inform(state, Tone::Warning, reason, now),
        Msg::Focused(focus) => notices::focused(state, focus, now, &mut effects),
        Msg::Opened { task, url, result } => {
            dialogs::opened(state, &task, url, result, now, &mut effects);
        }
        Msg::OpenedFile { task, file } => {
            dialogs::opened_file(state, &task, &file, now, &mut effects);
        }
        Msg::Compared { task, result } => dialogs::compared(state, &task, result, now),
        Msg::SaveProgressed { attempt, progress } => saving::progressed(state, attempt, progress),
        Msg::SaveEnded { attempt, result } => {
            saving::ended(state, attempt, result, now, &mut effects);
        }
        Msg::LookedFor(files) => saving::looked(state, files, now),
        Msg::HoldersFound(found) => saving::holders_found(state, found, now, &mut effects),
        Msg::Pictured { number, result } => picturing::pictured(state, number, result),
        Msg::Resumed => effects.push(Effect::Redraw),
        Msg::ListFailed(error) => storing::list_failed(state, error, now),
        Msg::WrittenBack(result) => storing::written_back(state, result, now),
        Msg::Broke(what) => notices::notify(state, Tone::Bad, what, now),
        Msg::Interrupted => keys::leave(state, now, &mut effects),
    }
    if !state.is_leaving {
        tend(state, now, &mut effects);
    }
    effects
}

/// Returns the orders a program starts with.
pub fn start() -> Vec<Effect> {
    // First what decides how the list is shown, so that it is shown so at once.
    vec![Effect::Recall, Effect::Load]
}

/// Returns when `update` wants to see a [`Msg::Tick`] at the latest; `None` while nothing can change by itself.
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
        .chain(state.polls.next_lost())
        .min();
    let notice = state.notice().map(|notice| notice.until);
    [
        polling::next_start(state, now),
        lost,
        notice,
        state.unsaved.retry,
        state.reload,
        state.burst.as_ref().map(|burst| burst.due),
        state.outlook.due,
        state.saves.next_retry(),
        next_figure(state, now),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// Returns when a figure on the screen changes next.
fn next_figure(state: &State, now: Now) -> Option<Mono> {
    if state.list.is_empty() {
        return state
            .polls
            .hold()
            .map(|_| until_next(Duration::from_secs(1), now));
    }
    let counts_down = |watched: &Watched| {
        let left = watched.saves.retry.map(|retry| now.until(retry.at));
        left.is_some_and(|left| !left.is_zero() && left < Duration::from_mins(1))
    };
    let step = if state.is_ticking() || state.selected().is_some_and(counts_down) {
        Duration::from_secs(1)
    } else {
        Duration::from_mins(1)
    };
    Some(until_next(step, now))
}

/// Returns the moment of the next whole `step` of the wall clock.
fn until_next(step: Duration, now: Now) -> Mono {
    let step = i128::try_from(step.as_nanos()).unwrap_or(i128::MAX).max(1);
    let left = step - now.wall.as_nanosecond().rem_euclid(step);
    now.mono.after(Duration::from_nanos(
        u64::try_from(left).unwrap_or(u64::MAX),
    ))
}

/// Does what is due whatever the message was.
fn tend(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    notices::turn(state, now);
    polling::give_up_lost(state, now, effects);
    // Before the next question: others must not refuse the one try that a person wants.
    effects.extend(state.polls.take_news().map(Effect::Tell));
    polling::start_due(state, now, effects);
    pacing::forget_idle_hold(state, now);
    storing::retry(state, now, effects);
    saving::tend(state, now, effects);
    finding::remember(state, now, effects);
    selection::follow_time(state, now);
    notices::tell(state, now, effects);
    selection::follow_journal(state, effects);
    selection::follow_raw(state, effects);
    picturing::follow(state, effects);
}
