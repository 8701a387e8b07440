//! The message line and what goes beyond it: what is said of endings, in which words, and by which ways.
//!
//! Endings of a few seconds become one notice. Knows none of the other families.

use std::time::Duration;

use crate::{
    app::{
        keymap::Action,
        msg::{Effect, Request},
        state::{Away, Loading, State, Tone},
        tidings::{Burst, Ending, Focus, NoticeWay, Tidings, facts},
    },
    domain::{
        change::Access,
        status::Status,
        task::{TaskId, TaskState},
        time::Now,
        watched::{Notices, Watched},
    },
};

/// How long further endings are waited for before one notice goes out for all of them.
const BURST: Duration = Duration::from_secs(3);

/// The most endings a notice names; more are counted.
const MOST_NAMED: usize = 3;

/// Answers a person in the message line.
pub(super) fn notify(state: &mut State, tone: Tone, text: impl Into<String>, now: Now) {
    state.board.answer(&text.into(), 0, tone, now);
}

/// Answers a person who did something that can be taken back, and with which key.
pub(super) fn offer_undo(state: &mut State, text: &str, now: Now) {
    let step = step(state, Action::Undo, "undoes it");
    let text = format!("{text}{step}");
    state.board.offer(&text, step.len(), now);
}

/// Says what came of something a person began earlier; an undo on offer is not covered by it.
pub(super) fn follow_up(state: &mut State, tone: Tone, text: impl Into<String>, now: Now) {
    state.board.follow_up(&text.into(), tone, now);
}

/// Says news in the message line, once no answer stands there.
pub(super) fn inform(state: &mut State, tone: Tone, text: impl Into<String>, now: Now) {
    state.board.tell(&text.into(), tone, now);
}

/// Takes off what has stood its time, and tells of the endings that had to wait for it.
pub(super) fn turn(state: &mut State, now: Now) {
    let endings = state.board.turn(now);
    if state.notice().is_none() {
        state.known.clear();
    }
    let endings: Vec<_> = endings
        .iter()
        .filter_map(|task| state.list.get(task))
        .collect();
    match endings.as_slice() {
        [] => {}
        [one] => {
            let one = one.id().clone();
            if let Some((tone, sentence)) = ending(state, &one, now) {
                inform(state, tone, sentence, now);
            }
        }
        several => {
            let text = summary("have ended", several);
            inform(state, Tone::Plain, text, now);
        }
    }
}

/// Returns a sentence with the key that does something, to follow another: " r asks again."; empty without a key.
pub(super) fn step(state: &State, action: Action, what: &str) -> String {
    let chord = state.keymap().key_of(action);
    chord.map_or_else(String::new, |chord| format!(" {} {what}.", chord.ascii()))
}

/// Says why the list cannot be changed, if it cannot.
pub(super) fn refuses_changes(state: &mut State, now: Now) -> bool {
    let reason = match (&state.loading, state.settings.access) {
        (_, Access::ReadOnly) => "The list is read-only (--read-only).".to_owned(),
        (Loading::Pending, _) => "The list is still being read.".to_owned(),
        (Loading::Failed(error), _) => format!("The list could not be read: {error}."),
        (Loading::Done, Access::Full) => return false,
    };
    notify(state, Tone::Warning, reason, now);
    true
}

/// Says that a task has ended: in the message line at once, elsewhere when no further ending has come for a while.
///
/// What had ended before this run and is only learnt of now is no news: it is said here alone.
pub(super) fn announce(state: &mut State, task: &TaskId, now: Now) {
    let Some((tone, sentence)) = ending(state, task, now) else {
        return;
    };
    let completed = state
        .list
        .get(task)
        .and_then(|watched| watched.task.facts().completed);
    let is_meanwhile = state
        .away
        .as_mut()
        .is_some_and(|away| away.note(task, completed));
    // An answer that is not understood is no ending; it is said, and asked after again.
    let is_ended = |watched: &Watched| *watched.task.state() != TaskState::Unrecognised;
    if !state.list.get(task).is_some_and(is_ended) {
        return inform(state, tone, sentence, now);
    }
    let is_known = !state.met.contains(task)
        && completed
            .zip(state.begun)
            .is_some_and(|(completed, begun)| completed <= begun);
    if is_known {
        if !state.known.contains(task) {
            state.known.push(task.clone());
        }
    } else {
        wait_for_more(state, task, &sentence, now);
    }
    let digest = state.digest(now).filter(|_| is_meanwhile);
    let ended = if is_known {
        listed(state, &state.known)
    } else {
        ended_of(state)
    };
    let sum = match digest.filter(|digest| !digest.is_empty()) {
        Some(digest) => Some((Tone::Plain, digest.sentence())),
        None if ended.len() > 1 && is_known => {
            Some((Tone::Plain, summary("had ended before", &ended)))
        }
        None if ended.len() > 1 => Some((tone, summary("have ended", &ended))),
        None => None,
    };
    if state.board.is_taken() {
        state.board.keep_ending(task.clone());
    } else if let Some((tone, sum)) = sum {
        state.board.sum_up(&sum, tone, now);
    } else {
        inform(state, tone, sentence, now);
    }
}

/// Lets an ending be told of outside this screen, together with those of the next seconds.
fn wait_for_more(state: &mut State, task: &TaskId, sentence: &str, now: Now) {
    let burst = state.burst.get_or_insert_with(|| Burst {
        endings: Vec::new(),
        due: now.mono.after(BURST),
    });
    burst.endings.retain(|ending| ending.task != *task);
    burst.endings.push(Ending {
        task: task.clone(),
        sentence: sentence.to_owned(),
    });
}

/// Returns those of the tasks that are on the list.
fn listed<'a>(state: &'a State, tasks: &[TaskId]) -> Vec<&'a Watched> {
    tasks
        .iter()
        .filter_map(|task| state.list.get(task))
        .collect()
}

/// Returns the tasks of the burst that are still on the list.
fn ended_of(state: &State) -> Vec<&Watched> {
    let endings = state.burst.iter().flat_map(|burst| &burst.endings);
    endings
        .filter_map(|ending| state.list.get(&ending.task))
        .collect()
}

/// Returns how several tasks ended: "3 tasks have ended: 2 ready, 1 failed."
fn summary(what: &str, tasks: &[&Watched]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for watched in tasks {
        let word = match watched.task.state().name() {
            "succeeded" => "ready",
            "not_found" => "not found",
            name => name,
        };
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let parts = counts.iter().map(|(word, count)| format!("{count} {word}"));
    let parts = parts.collect::<Vec<_>>().join(", ");
    format!("{} tasks {what}: {parts}.", tasks.len())
}

/// Sends out what was waited with, once it is due.
pub(super) fn tell(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let Some(burst) = state.burst.take_if(|burst| burst.due <= now.mono) else {
        return;
    };
    let told: Vec<_> = burst
        .endings
        .iter()
        .filter_map(|ending| Some((state.list.get(&ending.task)?, &ending.sentence)))
        .filter(|(watched, _)| watched.notices == Notices::On)
        .collect();
    let tasks: Vec<_> = told.iter().map(|(watched, _)| *watched).collect();
    let Some((_, first)) = told.first() else {
        return;
    };
    let (title, body) = if tasks.len() == 1 {
        ("kietop".to_owned(), (*first).clone())
    } else {
        let named = told.iter().take(MOST_NAMED).map(|(_, text)| text.as_str());
        let more = match tasks.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" And {more} more."),
        };
        let body = named.collect::<Vec<_>>().join(" ");
        (summary("have ended", &tasks), format!("{body}{more}"))
    };
    let settings = &state.settings.notices;
    // Whoever looks at the screen has seen it there.
    let is_looking = state.focus == Focus::Here;
    if settings.has(NoticeWay::Bell) {
        effects.push(Effect::Ask(Request::Ring));
    }
    if settings.has(NoticeWay::Terminal) && !is_looking {
        effects.push(Effect::Ask(Request::Notify {
            title: title.clone(),
            body: body.clone(),
        }));
    }
    let shown = settings.has(NoticeWay::Desktop) && !is_looking;
    if shown || !settings.command.is_empty() {
        let message = if tasks.len() == 1 { &body } else { &title };
        let facts = facts(message, &tasks);
        effects.push(Effect::Announce(Tidings {
            facts,
            command: settings.command.clone(),
            shown: shown.then_some((title, body)),
        }));
    }
}

/// Takes in that the terminal came to the front, or went behind others.
pub(super) fn focused(state: &mut State, focus: Focus, now: Now, effects: &mut Vec<Effect>) {
    if state.focus == focus {
        return;
    }
    state.focus = focus;
    match focus {
        Focus::Away => {
            state.away = Some(Away::beginning(now.wall));
            note_visit(state, now, effects);
        }
        Focus::Here => {
            if state.away.as_mut().is_some_and(|away| away.end(now.wall)) {
                tell_digest(state, now);
            }
        }
        Focus::Unknown => {}
    }
}

/// Says what has ended since the list was looked at before this run, once both are known, and returns it.
pub(super) fn returned(state: &mut State, now: Now) -> Vec<TaskId> {
    if state.loading != Loading::Done || state.away.is_some() {
        return Vec::new();
    }
    let Some(last) = state.outlook.visited.take() else {
        return Vec::new();
    };
    let away = Away::between(last, now.wall, &state.list);
    let ended = away.ended().cloned().collect();
    state.away = Some(away);
    tell_digest(state, now);
    ended
}

fn tell_digest(state: &mut State, now: Now) {
    let digest = state.digest(now).filter(|digest| !digest.is_empty());
    if let Some(digest) = digest {
        inform(state, Tone::Plain, digest.sentence(), now);
    }
}

/// Orders it to be written down that the list was looked at until now.
pub(super) fn note_visit(state: &State, now: Now, effects: &mut Vec<Effect>) {
    if state.settings.access == Access::Full && state.loading == Loading::Done {
        effects.push(Effect::NoteVisit(now.wall));
    }
}

/// Returns the sentence about a task's ending, if it is one.
fn ending(state: &State, task: &TaskId, now: Now) -> Option<(Tone, String)> {
    let watched = state.list.get(task)?;
    let status = state.status_of(watched, &state.estimate(), now);
    let (tone, ending) = match status {
        Status::Ready | Status::Saved | Status::LinkGone => (Tone::Good, "is ready"),
        Status::NoLink => (Tone::Warning, "is done, but the server gave no link yet"),
        Status::CallbackFailed => (Tone::Warning, "was made; only its callback failed"),
        Status::CreateFailed => (Tone::Bad, "could not be created"),
        Status::GenerationFailed => (Tone::Bad, "failed"),
        Status::NotFound => (Tone::Warning, "is not known to the server"),
        Status::Unknown => (Tone::Warning, "got an answer kietop does not understand"),
        Status::New | Status::Generating | Status::Finishing | Status::Late => return None,
    };
    Some((tone, format!("{} {ending}.", quoted(watched))))
}

/// Returns a task's title in quotes, short enough for a sentence.
pub(super) fn quoted(watched: &Watched) -> String {
    let title = watched.title().split('\n').next().unwrap_or_default();
    let mut short: String = title.chars().take(40).collect();
    if short.len() < title.len() {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// Returns why a task has no result to do something with ("open", "save"), with the next step.
pub(super) fn nothing_of(state: &State, watched: &Watched, verb: &str, now: Now) -> String {
    let (reason, next) = match state.status_of(watched, &state.estimate(), now) {
        Status::New => (
            format!("Not answered for yet: nothing to {verb}."),
            Some((Action::CheckOne, "asks now")),
        ),
        Status::Generating | Status::Finishing | Status::Late => {
            (format!("Still being made: nothing to {verb} yet."), None)
        }
        Status::CreateFailed | Status::GenerationFailed => (
            "It failed: there is no video.".to_owned(),
            Some((Action::OpenOriginal, "opens the input")),
        ),
        Status::NotFound => (
            format!("The server does not know this task: nothing to {verb}."),
            None,
        ),
        Status::Unknown => (
            format!("The answer was not understood: nothing to {verb}."),
            None,
        ),
        Status::Ready
        | Status::Saved
        | Status::NoLink
        | Status::LinkGone
        | Status::CallbackFailed => (
            "The server gave no link that can be opened.".to_owned(),
            Some((Action::CheckOne, "asks again")),
        ),
    };
    let next = next.map_or_else(String::new, |(action, what)| step(state, action, what));
    format!("{reason}{next}")
}
