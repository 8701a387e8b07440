//! Asking once after some tasks, within the limits that hold for the dashboard too.

use std::{
    collections::VecDeque,
    future::{self, Future},
    ops::ControlFlow,
    pin::pin,
    time::Duration,
};

use crate::{
    adapters::file_limiter::limited_client::{self, MIN_WAIT, PermitGuard, SharedLimiter},
    app::state::PollQueue,
    domain::{
        limiter::{AccountHash, Broadcast, Denied, DenyReason, Permit, RequestOutcome},
        poll_result::{ErrorScope, PollError, PollResult},
        response_notes::ResponseNotes,
        schedule::{Jitter, PollIntervals},
        task::{Family, TaskId},
        time::Mono,
    },
    ports::{Clock, RequestLimiter, TaskApi},
};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

/// The outside that is asked, and who else asks it.
#[derive(Debug)]
pub struct RefreshDeps<'a> {
    /// The API.
    pub api: &'a dyn TaskApi,
    /// The clocks.
    pub clock: &'a dyn Clock,
    /// The turns of all instances on the list; `None` where only this one asks.
    pub limiter: SharedLimiter,
}

/// Takes answers in, one at a time.
pub trait AnswerSink {
    /// Reports whether another instance was answered about a task since this one began: it need not
    /// be asked after.
    fn is_answered_elsewhere(&mut self, task: &TaskId) -> bool;

    /// Takes an answer in, so that others can see it; breaks off where that fails.
    fn accept(&mut self, task: TaskId, answer: PollResult) -> ControlFlow<()>;
}

/// Says why not all were asked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshStopped {
    /// The account, or the way to the server, is the trouble: the rest would be refused too.
    AccountError(PollError),
    /// A signal of that number came.
    Signal(i32),
    /// The desk broke off.
    SinkFailed,
}

/// How long after a signal answers are still read: only those that have arrived.
const ANSWER_GRACE: Duration = Duration::from_millis(100);

/// Asks after each task once: at most four under way, at most five starting in a second, over all
/// instances.
///
/// Each answer is applied as it comes, before others may check the task again. An account-wide
/// error, also a recent one of another instance with the same key, starts no more requests; but a
/// hold that is not a rate limit is tried, because the user asked for it. Requests in flight are
/// still awaited. A signal, which resolves `interrupted`, ends it at once, with the answers that
/// are here.
pub async fn refresh_once(
    tasks: Vec<(TaskId, Family)>,
    outside: RefreshDeps<'_>,
    interrupted: impl Future<Output = i32>,
    desk: &mut impl AnswerSink,
) -> Result<(), RefreshStopped> {
    let RefreshDeps {
        api,
        clock,
        limiter: turns,
    } = outside;
    let mut interrupted = pin!(interrupted);
    let mut polls = PollQueue::new(PollIntervals::default(), Jitter::seeded(0));
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
            .then(|| polls.next_slot_at(asked.len(), now))
            .flatten()
            .map(|opens| opens.max(not_before));
        if opens.is_some_and(|at| at <= now)
            && let Some((id, family)) = waiting.pop_front()
        {
            if desk.is_answered_elsewhere(&id) {
                continue;
            }
            // The key may come from a command that hangs.
            let taken = tokio::select! {
                biased;
                signal = &mut interrupted => break signal,
                taken = acquire(api, &turns, &id) => taken,
            };
            match taken {
                Ok(turn) => {
                    polls.start(now);
                    asked.push(async move {
                        // Whoever asks once looks for no pattern in the oddities.
                        let mut noticed = ResponseNotes::default();
                        (api.poll(&id, family, &mut noticed).await, id, turn)
                    });
                }
                Err(PermitDenied::AccountError(error)) => {
                    stopped = Some(RefreshStopped::AccountError(error));
                }
                Err(PermitDenied::TaskBusy(wait)) => {
                    // The others need not wait for this one, where there are others.
                    let wait = if waiting.is_empty() { wait } else { MIN_WAIT };
                    waiting.push_back((id, family));
                    not_before = now.after(wait.max(MIN_WAIT));
                }
                Err(PermitDenied::LimitReached(wait)) => {
                    waiting.push_front((id, family));
                    not_before = now.after(wait.max(MIN_WAIT));
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
                if let Err(why) = deliver(answer, desk).await {
                    stopped = stopped.or(Some(why));
                }
            },
            () = wait => {}
        }
    };
    let rest = async {
        while let Some(answer) = asked.next().await {
            // The signal is the reason, whatever the answers say.
            deliver(answer, desk).await.unwrap_or_default();
        }
    };
    tokio::time::timeout(ANSWER_GRACE, rest)
        .await
        .unwrap_or_default();
    Err(RefreshStopped::Signal(signal))
}

/// Applies an answer and releases its turn; fails with the error that ends the refresh.
async fn deliver(
    (answer, id, turn): (PollResult, TaskId, PermitGuard),
    desk: &mut impl AnswerSink,
) -> Result<(), RefreshStopped> {
    let heard = RequestOutcome::from_result(&answer);
    let outcome = match answer {
        Err(error) if error.scope() == ErrorScope::Account => {
            Err(RefreshStopped::AccountError(error))
        }
        answer => match desk.accept(id, answer) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(RefreshStopped::SinkFailed),
        },
    };
    turn.release(heard).await;
    outcome
}

/// Says why there is no turn.
enum PermitDenied {
    /// There will be none.
    AccountError(PollError),
    /// Another instance asks after this very task.
    TaskBusy(Duration),
    /// Others took them all.
    LimitReached(Duration),
}

/// Takes a turn, off the loop.
async fn acquire(
    api: &dyn TaskApi,
    turns: &SharedLimiter,
    task: &TaskId,
) -> Result<PermitGuard, PermitDenied> {
    let account = api.account().await.map_err(PermitDenied::AccountError)?;
    let task = task.clone();
    let taken =
        limited_client::acquire_with(turns, move |turns| acquire_or_probe(turns, &task, account))
            .await;
    taken.map_err(|Denied { reason: why, wait }| match why {
        DenyReason::AccountBackoff { error, .. } => PermitDenied::AccountError(error),
        DenyReason::TaskBusy => PermitDenied::TaskBusy(wait),
        DenyReason::LimitReached => PermitDenied::LimitReached(wait),
    })
}

/// Takes a turn. This is a person's wish: a hold that is no limit is tried once at once.
fn acquire_or_probe(
    turns: &dyn RequestLimiter,
    task: &TaskId,
    account: AccountHash,
) -> Result<Permit, Denied> {
    match turns.acquire(task, account) {
        Err(Denied {
            reason: DenyReason::AccountBackoff { error, .. },
            ..
        }) if !error.is_rate_limit() => {
            turns.broadcast(&Broadcast::RetryNow, account);
            turns.acquire(task, account)
        }
        taken => taken,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::time::{self, Instant};

    use super::*;
    use crate::{domain::time::Now, ports::BoxFuture};

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
        fn poll<'a>(
            &'a self,
            task: &'a TaskId,
            _: Family,
            _: &'a mut ResponseNotes,
        ) -> BoxFuture<'a, PollResult> {
            let millis = task.as_str().parse().unwrap();
            Box::pin(async move {
                time::sleep(Duration::from_millis(millis)).await;
                Err(PollError::NotFound)
            })
        }

        fn account(&self) -> BoxFuture<'_, Result<AccountHash, PollError>> {
            Box::pin(async {
                time::sleep(self.key).await;
                Ok(AccountHash::default())
            })
        }
    }

    #[derive(Default)]
    struct RecordingSink(Vec<String>);

    impl AnswerSink for RecordingSink {
        fn is_answered_elsewhere(&mut self, _: &TaskId) -> bool {
            false
        }

        fn accept(&mut self, task: TaskId, _: PollResult) -> ControlFlow<()> {
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
        let outside = RefreshDeps {
            api: &api,
            clock: &clock,
            limiter: None,
        };
        let signal = async {
            time::sleep(Duration::from_secs(1)).await;
            15
        };
        let mut desk = RecordingSink::default();
        let ended = refresh_once(
            millis.iter().map(task).collect(),
            outside,
            signal,
            &mut desk,
        )
        .await;
        assert_eq!(ended, Err(RefreshStopped::Signal(15)));
        (desk.0, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_a_refresh_and_keeps_its_answers() {
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
