//! Asking once after some tasks, within the limits that hold for the dashboard too.

use std::{collections::VecDeque, future, ops::ControlFlow, time::Duration};

use super::signals::Signals;
use crate::{
    adapters::turns::asking::{self, SHORTEST, Shared, Taken},
    app::state::Polls,
    domain::{
        noticed::Noticed,
        report::{Answer, PollError, Scope},
        schedule::{Jitter, Pace},
        task::{Family, TaskId},
        time::Mono,
        turns::{Account, Heard, PutOff, Refusal, Turn, Word},
    },
    ports::{Clock, TaskApi, Turns},
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

/// Is the outside that is asked, and who else asks it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The API.
    pub api: &'a dyn TaskApi,
    /// The clocks.
    pub clock: &'a dyn Clock,
    /// The turns of all instances on the list; `None` where only this one asks.
    pub turns: Shared,
    /// What ends it early.
    pub signals: &'a mut Signals,
}

/// Takes answers in, one at a time.
pub trait Desk {
    /// Reports whether another instance was answered about a task since this one began: it need not be asked after.
    fn is_answered(&mut self, task: &TaskId) -> bool;

    /// Takes an answer in, so that others can see it; breaks off where that fails.
    fn answered(&mut self, task: TaskId, answer: Answer) -> ControlFlow<()>;
}

/// Says why not all were asked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The account, or the way to the server, is the trouble: the rest would be refused too.
    Account(PollError),
    /// A signal of that number came.
    Signal(i32),
    /// The desk broke off.
    Desk,
}

/// Asks after each task once: at most four under way, at most five starting in a second, over all instances.
///
/// Each answer about a task is taken in as it comes, before others may ask after it again. An account-wide error, also
/// one that another instance with the same key was told of late, starts no more questions; but a hold that is no limit
/// is tried, as a person wants it. Nor does a signal. What is under way then is still waited for; a second signal ends
/// that too.
pub async fn once(
    tasks: Vec<(TaskId, Family)>,
    outside: Asked<'_>,
    desk: &mut impl Desk,
) -> Result<(), Stopped> {
    let Asked {
        api,
        clock,
        turns,
        signals,
    } = outside;
    let mut polls = Polls::new(Pace::default(), Jitter::seeded(0));
    let mut waiting: VecDeque<_> = tasks.into();
    let mut asked = FuturesUnordered::new();
    // The turn of the first one waiting is not worth asking for before.
    let mut not_before = Mono::default();
    let mut stopped = None;
    loop {
        if stopped.is_some() {
            waiting.clear();
        }
        let now = clock.now().mono;
        let opens = (!waiting.is_empty())
            .then(|| polls.opens_at(asked.len(), now))
            .flatten()
            .map(|opens| opens.max(not_before));
        if opens.is_some_and(|at| at <= now)
            && let Some((id, family)) = waiting.pop_front()
        {
            if desk.is_answered(&id) {
                continue;
            }
            match take(api, &turns, &id).await {
                Ok(turn) => {
                    polls.start(now);
                    asked.push(async move {
                        // Whoever asks once looks for no pattern in the oddities.
                        let mut noticed = Noticed::default();
                        (api.fetch(&id, family, &mut noticed).await, id, turn)
                    });
                }
                Err(NoTurn::Stopped(error)) => stopped = Some(Stopped::Account(error)),
                Err(NoTurn::Elsewhere(wait)) => {
                    // The others need not wait for this one, where there are others.
                    let wait = if waiting.is_empty() { wait } else { SHORTEST };
                    waiting.push_back((id, family));
                    not_before = now.after(wait.max(SHORTEST));
                }
                Err(NoTurn::Crowded(wait)) => {
                    waiting.push_front((id, family));
                    not_before = now.after(wait.max(SHORTEST));
                }
            }
            continue;
        }
        if waiting.is_empty() && asked.is_empty() {
            return stopped.map_or(Ok(()), Err);
        }
        let wait = async {
            match opens {
                Some(at) => tokio::time::sleep(at.since(now)).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            // A signal that comes with the last answer is one that was heard.
            biased;
            signal = signals.next() => match stopped {
                Some(Stopped::Signal(_)) => return Err(Stopped::Signal(signal)),
                _ => stopped = Some(Stopped::Signal(signal)),
            },
            Some((answer, id, turn)) = asked.next() => {
                let heard = Heard::of(&answer);
                match answer {
                    Err(error) if error.scope() == Scope::Account => {
                        stopped = stopped.or(Some(Stopped::Account(error)));
                    }
                    answer => {
                        if desk.answered(id, answer).is_break() {
                            stopped = stopped.or(Some(Stopped::Desk));
                        }
                    }
                }
                turn.end(heard).await;
            }
            () = wait => {}
        }
    }
}

/// Says why there is no turn.
enum NoTurn {
    /// There will be none.
    Stopped(PollError),
    /// Another instance asks after this very task.
    Elsewhere(Duration),
    /// Others took them all.
    Crowded(Duration),
}

/// Takes a turn, off the loop.
async fn take(api: &dyn TaskApi, turns: &Shared, task: &TaskId) -> Result<Taken, NoTurn> {
    let account = api.account().await.map_err(NoTurn::Stopped)?;
    let task = task.clone();
    let taken = asking::take(turns, move |turns| take_or_try(turns, &task, account)).await;
    taken.map_err(|PutOff { why, wait }| match why {
        Refusal::Held { error, .. } => NoTurn::Stopped(error),
        Refusal::Elsewhere => NoTurn::Elsewhere(wait),
        Refusal::Crowded => NoTurn::Crowded(wait),
    })
}

/// Takes a turn. This is a person's wish: a hold that is no limit is tried once at once.
fn take_or_try(turns: &dyn Turns, task: &TaskId, account: Account) -> Result<Turn, PutOff> {
    match turns.take(task, account) {
        Err(PutOff {
            why: Refusal::Held { error, .. },
            ..
        }) if !error.is_limit() => {
            turns.tell(&Word::TryNow, account);
            turns.take(task, account)
        }
        taken => taken,
    }
}
