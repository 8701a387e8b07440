//! Asking once after some tasks, within the limits that hold for the dashboard too.

use std::{
    collections::VecDeque,
    future::{self, Future},
    ops::ControlFlow,
    pin::pin,
    time::Duration,
};

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

/// How long after a signal answers are still read: only those that have arrived.
const ANSWER_GRACE: Duration = Duration::from_millis(100);

/// Asks after each task once: at most four under way, at most five starting in a second, over all instances.
///
/// Each answer is applied as it comes, before others may check the task again. An account-wide
/// error, also a recent one of another instance with the same key, starts no more requests; but a
/// hold that is not a rate limit is tried, because the user asked for it. Requests in flight are
/// still awaited. A signal, which resolves `interrupted`, ends it at once, with the answers that
/// are here.
pub async fn once(
    tasks: Vec<(TaskId, Family)>,
    outside: Asked<'_>,
    interrupted: impl Future<Output = i32>,
    desk: &mut impl Desk,
) -> Result<(), Stopped> {
    let Asked { api, clock, turns } = outside;
    let mut interrupted = pin!(interrupted);
    let mut polls = Polls::new(Pace::default(), Jitter::seeded(0));
    let mut waiting: VecDeque<_> = tasks.into();
    let mut asked = FuturesUnordered::new();
    // The turn of the first one waiting is not worth asking for before.
    let mut not_before = Mono::default();
    let mut stopped = None;
    let signal = loop {
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
            // The key may come from a command that hangs.
            let taken = tokio::select! {
                biased;
                signal = &mut interrupted => break signal,
                taken = take(api, &turns, &id) => taken,
            };
            match taken {
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
            signal = &mut interrupted => break signal,
            Some(answer) = asked.next() => {
                if let Err(why) = take_in(answer, desk).await {
                    stopped = stopped.or(Some(why));
                }
            },
            () = wait => {}
        }
    };
    let rest = async {
        while let Some(answer) = asked.next().await {
            // The signal is the reason, whatever the answers say.
            take_in(answer, desk).await.unwrap_or_default();
        }
    };
    tokio::time::timeout(ANSWER_GRACE, rest)
        .await
        .unwrap_or_default();
    Err(Stopped::Signal(signal))
}

/// Applies an answer and releases its turn; fails with the error that ends the refresh.
async fn take_in(
    (answer, id, turn): (Answer, TaskId, Taken),
    desk: &mut impl Desk,
) -> Result<(), Stopped> {
    let heard = Heard::of(&answer);
    let outcome = match answer {
        Err(error) if error.scope() == Scope::Account => Err(Stopped::Account(error)),
        answer => match desk.answered(id, answer) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stopped::Desk),
        },
    };
    turn.end(heard).await;
    outcome
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::time::{self, Instant};

    use super::*;
    use crate::{domain::time::Now, ports::Pending};

    /// The paused clock of the test.
    #[derive(Debug)]
    struct PausedClock(Instant);

    impl Clock for PausedClock {
        fn now(&self) -> Now {
            Now {
                wall: Timestamp::UNIX_EPOCH,
                mono: Mono::at(self.0.elapsed()),
            }
        }
    }

    /// Answers each task after as many milliseconds as its id says; reports the account after
    /// `key`.
    #[derive(Debug)]
    struct SlowApi {
        key: Duration,
    }

    impl TaskApi for SlowApi {
        fn fetch<'a>(
            &'a self,
            task: &'a TaskId,
            _: Family,
            _: &'a mut Noticed,
        ) -> Pending<'a, Answer> {
            let millis = task.as_str().parse().unwrap();
            Box::pin(async move {
                time::sleep(Duration::from_millis(millis)).await;
                Err(PollError::NotFound)
            })
        }

        fn account(&self) -> Pending<'_, Result<Account, PollError>> {
            Box::pin(async {
                time::sleep(self.key).await;
                Ok(Account::default())
            })
        }
    }

    #[derive(Default)]
    struct Answered(Vec<String>);

    impl Desk for Answered {
        fn is_answered(&mut self, _: &TaskId) -> bool {
            false
        }

        fn answered(&mut self, task: TaskId, _: Answer) -> ControlFlow<()> {
            self.0.push(task.to_string());
            ControlFlow::Continue(())
        }
    }

    /// Checks tasks that are answered after so many milliseconds, interrupts after one second, and
    /// returns the answers and the time taken.
    async fn interrupted(millis: &[&str], key: Duration) -> (Vec<String>, Duration) {
        let start = Instant::now();
        let task = |id: &&str| (TaskId::parse(id).unwrap(), Family::LumaModify);
        let (api, clock) = (SlowApi { key }, PausedClock(start));
        let outside = Asked {
            api: &api,
            clock: &clock,
            turns: None,
        };
        let signal = async {
            time::sleep(Duration::from_secs(1)).await;
            15
        };
        let mut desk = Answered::default();
        let ended = once(
            millis.iter().map(task).collect(),
            outside,
            signal,
            &mut desk,
        )
        .await;
        assert_eq!(ended, Err(Stopped::Signal(15)));
        (desk.0, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_the_asking_with_the_answers_that_are_here() {
        let soon = Duration::from_millis(300);
        let at_once = Duration::ZERO;

        let (taken, time) = interrupted(&["0010", "1050", "1500", "9000"], at_once).await;
        assert_eq!(taken, ["0010", "1050"]);
        assert!(time <= Duration::from_secs(1) + soon, "{time:?}");

        // Tasks that wait for a turn are not checked any more.
        let all = ["9001", "9002", "9003", "1020", "0001"];
        assert_eq!(interrupted(&all, at_once).await.0, ["1020"]);

        // Nor is a key that is still being read waited for.
        let (taken, time) = interrupted(&["0001"], Duration::from_secs(10)).await;
        assert_eq!(taken, [""; 0]);
        assert!(time <= Duration::from_secs(1) + soon, "{time:?}");
    }
}
