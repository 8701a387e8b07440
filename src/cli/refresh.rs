//! Asking once after some tasks, within the limits that hold for the dashboard too.

use std::{collections::VecDeque, future, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::{
    app::state::Polls,
    domain::{
        report::{Answer, PollError, Scope},
        schedule::{Jitter, Pace},
        task::{Family, TaskId},
        time::Mono,
        turns::{Heard, PutOff, Refusal, Word},
    },
    ports::{Clock, TaskApi, Turns},
};

/// The shortest wait for a turn that was refused.
const SHORTEST: Duration = Duration::from_millis(50);

/// Is the outside that is asked, and who else asks it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The API.
    pub api: &'a dyn TaskApi,
    /// The clocks.
    pub clock: &'a dyn Clock,
    /// The turns of all instances on the list; `None` where only this one asks.
    pub turns: Option<&'a dyn Turns>,
}

/// Asks after each task once: at most four under way, at most five starting in a second, over all instances.
///
/// Each answer about a task is handed on as it comes. An account-wide error ends it: the rest would be refused too. It
/// is the same when another instance was told so of late; but a hold that is no limit is tried, as a person wants it.
pub async fn once(
    tasks: Vec<(TaskId, Family)>,
    outside: Asked<'_>,
    mut answered: impl FnMut(TaskId, Answer),
) -> Result<(), PollError> {
    let Asked { api, clock, turns } = outside;
    let mut polls = Polls::new(Pace::default(), Jitter::seeded(0));
    let mut waiting: VecDeque<_> = tasks.into();
    let mut asked = FuturesUnordered::new();
    // The turn of the first one waiting is not worth asking for before.
    let mut not_before = Mono::default();
    loop {
        let now = clock.now().mono;
        let opens = (!waiting.is_empty())
            .then(|| polls.opens_at(asked.len(), now))
            .flatten()
            .map(|opens| opens.max(not_before));
        if opens.is_some_and(|at| at <= now)
            && let Some((id, family)) = waiting.pop_front()
        {
            match take(turns, &id) {
                Ok(turn) => {
                    polls.start(now);
                    asked.push(async move {
                        let answer = api.fetch(&id, family).await;
                        if let (Some(turns), Some(turn)) = (turns, turn) {
                            turns.end(&turn, Heard::of(&answer));
                        }
                        (id, answer)
                    });
                }
                Err(PutOff {
                    why: Refusal::Held { error, .. },
                    ..
                }) => return Err(error),
                Err(PutOff { why, wait }) => {
                    not_before = now.after(wait.max(SHORTEST));
                    if why == Refusal::Elsewhere {
                        // The others need not wait for this one, where there are others.
                        waiting.push_back((id, family));
                        if waiting.len() > 1 {
                            not_before = now.after(SHORTEST);
                        }
                    } else {
                        waiting.push_front((id, family));
                    }
                }
            }
            continue;
        }
        if opens.is_none() && asked.is_empty() {
            return Ok(());
        }
        let wait = async {
            match opens {
                Some(at) => tokio::time::sleep(at.since(now)).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            Some((id, answer)) = asked.next() => match answer {
                Err(error) if error.scope() == Scope::Account => {
                    if let Some(turns) = turns.filter(|_| !error.is_own_affair()) {
                        let wait = Jitter::seeded(0).hold(&error, 1);
                        turns.tell(&Word::Hold { error: error.clone(), failures: 1, wait });
                    }
                    return Err(error);
                }
                answer => answered(id, answer),
            },
            () = wait => {}
        }
    }
}

/// Takes a turn. This is a person's wish: a hold that is no limit is tried once at once.
fn take(
    turns: Option<&dyn Turns>,
    task: &TaskId,
) -> Result<Option<crate::domain::turns::Turn>, PutOff> {
    let Some(turns) = turns else { return Ok(None) };
    let taken = match turns.take(task) {
        Err(PutOff {
            why: Refusal::Held { error, .. },
            ..
        }) if !error.is_limit() => {
            turns.tell(&Word::TryNow);
            turns.take(task)
        }
        taken => taken,
    };
    taken.map(Some)
}

/// Waits for Ctrl-C; for ever where there are no signals.
pub async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        future::pending::<()>().await;
    }
}
