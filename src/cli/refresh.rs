//! A single check of some tasks, within the same limits as the dashboard.

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

/// The API, the clock and the limiter of a refresh.
#[derive(Debug)]
pub struct RefreshDeps<'a> {
    pub api: &'a dyn TaskApi,
    pub clock: &'a dyn Clock,
    /// Shared by all processes on the list; `None` if only the limits of this process apply.
    pub limiter: SharedLimiter,
}

/// The receiver of answers.
pub trait AnswerSink {
    /// Returns whether another process got an answer about a task since the start: no check is
    /// needed.
    fn is_answered_elsewhere(&mut self, task: &TaskId) -> bool;

    /// Applies an answer; breaks if that fails.
    fn accept(&mut self, task: TaskId, answer: PollResult) -> ControlFlow<()>;
}

/// The reason why some tasks were not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshStopped {
    /// An error of the account or the connection: other checks would fail too.
    AccountError(PollError),
    /// A signal with this number.
    Signal(i32),
    /// The sink failed to apply an answer.
    SinkFailed,
}

/// The time after a signal in which answers that have arrived are still read.
const ANSWER_GRACE: Duration = Duration::from_millis(100);

/// Checks each task once, within the limits of all processes on the list.
///
/// Each answer is applied as it arrives, before another process may check the task again. After an
/// account-wide error, also a recent one of another process with the same key, no request is
/// started, and those in flight are awaited. A backoff that is not a rate limit is tried once,
/// because the user asked for it. A signal, which resolves `interrupted`, ends the refresh with the
/// answers that have arrived.
pub async fn refresh_once(
    tasks: Vec<(TaskId, Family)>,
    deps: RefreshDeps<'_>,
    interrupted: impl Future<Output = i32>,
    sink: &mut impl AnswerSink,
) -> Result<(), RefreshStopped> {
    let RefreshDeps {
        api,
        clock,
        limiter,
    } = deps;
    let mut interrupted = pin!(interrupted);
    let mut polls = PollQueue::new(PollIntervals::default(), Jitter::seeded(0));
    let mut waiting: VecDeque<_> = tasks.into();
    let mut in_flight = FuturesUnordered::new();
    // Before this time no permit is available for the first waiting task.
    let mut not_before = Mono::default();
    let mut stopped = None;
    let signal = loop {
        if stopped.is_some() {
            waiting.clear();
        }
        let now = clock.now().mono;
        let next_start = (!waiting.is_empty())
            .then(|| polls.next_slot_at(in_flight.len(), now))
            .flatten()
            .map(|slot| slot.max(not_before));
        if next_start.is_some_and(|at| at <= now)
            && let Some((id, family)) = waiting.pop_front()
        {
            if sink.is_answered_elsewhere(&id) {
                continue;
            }
            // The key may come from a command that hangs.
            let acquired = tokio::select! {
                biased;
                signal = &mut interrupted => break signal,
                acquired = acquire(api, &limiter, &id) => acquired,
            };
            match acquired {
                Ok(permit) => {
                    polls.start(now);
                    in_flight.push(async move {
                        // A single check reports no unusual answers.
                        let mut notes = ResponseNotes::default();
                        (api.poll(&id, family, &mut notes).await, id, permit)
                    });
                }
                Err(PermitDenied::AccountError(error)) => {
                    stopped = Some(RefreshStopped::AccountError(error));
                }
                Err(PermitDenied::TaskBusy(wait)) => {
                    // Other tasks go first.
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
        if waiting.is_empty() && in_flight.is_empty() {
            return stopped.map_or(Ok(()), Err);
        }
        let wait = async {
            match next_start {
                Some(at) => tokio::time::sleep(at.since(now)).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            // A signal that arrives together with the last answer counts.
            biased;
            signal = &mut interrupted => break signal,
            Some(answer) = in_flight.next() => {
                if let Err(reason) = deliver(answer, sink).await {
                    stopped = stopped.or(Some(reason));
                }
            },
            () = wait => {}
        }
    };
    let rest = async {
        while let Some(answer) = in_flight.next().await {
            // The signal stays the reason.
            deliver(answer, sink).await.unwrap_or_default();
        }
    };
    tokio::time::timeout(ANSWER_GRACE, rest)
        .await
        .unwrap_or_default();
    Err(RefreshStopped::Signal(signal))
}

/// Applies an answer and releases its permit; fails with the reason to stop the refresh.
async fn deliver(
    (answer, id, permit): (PollResult, TaskId, PermitGuard),
    sink: &mut impl AnswerSink,
) -> Result<(), RefreshStopped> {
    let outcome = RequestOutcome::from_result(&answer);
    let result = match answer {
        Err(error) if error.scope() == ErrorScope::Account => {
            Err(RefreshStopped::AccountError(error))
        }
        answer => match sink.accept(id, answer) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(RefreshStopped::SinkFailed),
        },
    };
    permit.release(outcome).await;
    result
}

/// The reason why no permit was acquired, with the time to wait.
enum PermitDenied {
    AccountError(PollError),
    /// Another process checks this task.
    TaskBusy(Duration),
    LimitReached(Duration),
}

/// Acquires a permit on a blocking thread.
async fn acquire(
    api: &dyn TaskApi,
    limiter: &SharedLimiter,
    task: &TaskId,
) -> Result<PermitGuard, PermitDenied> {
    let account = api.account().await.map_err(PermitDenied::AccountError)?;
    let task = task.clone();
    let acquired = limited_client::acquire_with(limiter, move |limiter| {
        acquire_or_probe(limiter, &task, account)
    })
    .await;
    acquired.map_err(|Denied { reason, wait }| match reason {
        DenyReason::AccountBackoff { error, .. } => PermitDenied::AccountError(error),
        DenyReason::TaskBusy => PermitDenied::TaskBusy(wait),
        DenyReason::LimitReached => PermitDenied::LimitReached(wait),
    })
}

/// Acquires a permit; a backoff that is not a rate limit is lifted, because the user asked for the
/// check.
fn acquire_or_probe(
    limiter: &dyn RequestLimiter,
    task: &TaskId,
    account: AccountHash,
) -> Result<Permit, Denied> {
    match limiter.acquire(task, account) {
        Err(Denied {
            reason: DenyReason::AccountBackoff { error, .. },
            ..
        }) if !error.is_rate_limit() => {
            limiter.broadcast(&Broadcast::RetryNow, account);
            limiter.acquire(task, account)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::time::{self, Instant};

    use super::*;
    use crate::{domain::time::Now, ports::BoxFuture};

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

    /// An API that answers a task after as many milliseconds as its id says, and returns the
    /// account after `key_delay`.
    #[derive(Debug)]
    struct SlowApi {
        key_delay: Duration,
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
                time::sleep(self.key_delay).await;
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

    /// Checks tasks with these response times in milliseconds, interrupts after one second, and
    /// returns the answered tasks and the time taken.
    async fn interrupted(millis: &[&str], key_delay: Duration) -> (Vec<String>, Duration) {
        let start = Instant::now();
        let task = |id: &&str| (TaskId::parse(id).unwrap(), Family::LumaModify);
        let (api, clock) = (SlowApi { key_delay }, PausedClock(start));
        let deps = RefreshDeps {
            api: &api,
            clock: &clock,
            limiter: None,
        };
        let signal = async {
            time::sleep(Duration::from_secs(1)).await;
            15
        };
        let mut sink = RecordingSink::default();
        let result = refresh_once(millis.iter().map(task).collect(), deps, signal, &mut sink).await;
        assert_eq!(result, Err(RefreshStopped::Signal(15)));
        (sink.0, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_a_refresh_and_keeps_its_answers() {
        let grace = Duration::from_millis(300);
        let at_once = Duration::ZERO;

        let (answered, time) = interrupted(&["0010", "1050", "1500", "9000"], at_once).await;
        assert_eq!(answered, ["0010", "1050"]);
        assert!(time <= Duration::from_secs(1) + grace, "{time:?}");

        // Tasks that wait for a permit are not checked any more.
        let all = ["9001", "9002", "9003", "1020", "0001"];
        assert_eq!(interrupted(&all, at_once).await.0, ["1020"]);

        // A key that is still being read is not waited for.
        let (answered, time) = interrupted(&["0001"], Duration::from_secs(10)).await;
        assert_eq!(answered, [""; 0]);
        assert!(time <= Duration::from_secs(1) + grace, "{time:?}");
    }
}
