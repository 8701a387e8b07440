//! A single check of some tasks, with the queue and the limits of the dashboard.

use std::{
    future::{self, Future},
    pin::pin,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::{
    domain::{
        list_change::StoreError,
        poll_queue::PollQueue,
        poll_request::{DenyReason, PollRequest, PollTrigger},
        poll_result::{ErrorScope, PollError, PollResult},
        schedule::{Jitter, PollIntervals},
        task::{Family, TaskId},
    },
    ports::{Clock, TaskApi},
};

/// The receiver of answers.
pub trait AnswerSink {
    /// Returns whether another process got an answer about a task since the start: no check is
    /// needed.
    fn is_answered_elsewhere(&mut self, task: &TaskId) -> bool;

    fn accept(&mut self, task: TaskId, answer: PollResult) -> Result<(), StoreError>;
}

/// The reason why some tasks were not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshStopped {
    /// An error of the account or the connection: other checks would fail too.
    AccountError(PollError),
    /// A signal with this number.
    Signal(i32),
    /// An answer could not be stored.
    NotStored(StoreError),
}

/// The time after a signal in which answers that have arrived are still read.
const ANSWER_GRACE: Duration = Duration::from_millis(100);

/// Checks each task once, within the limits of all processes on the list.
///
/// Each answer is applied as it arrives. After an account-wide error, also a recent one of another
/// process with the same key, no request is started, and those in flight are awaited. A backoff
/// that is not a rate limit is tried once, because the user asked for it. A signal, which resolves
/// `interrupted`, ends the refresh with the answers that have arrived.
pub async fn refresh_once(
    tasks: Vec<(TaskId, Family)>,
    api: &dyn TaskApi,
    clock: &dyn Clock,
    interrupted: impl Future<Output = i32>,
    sink: &mut impl AnswerSink,
) -> Result<(), RefreshStopped> {
    let mut interrupted = pin!(interrupted);
    let mut queue = PollQueue::new(PollIntervals::default(), Jitter::seeded(0));
    for (task, _) in &tasks {
        queue.request(task.clone());
    }
    let mut in_flight = FuturesUnordered::new();
    let mut stopped = None;
    let signal = loop {
        let now = clock.now().mono;
        let next_start = match stopped {
            None if !queue.requested().is_empty() => queue.next_start(now),
            None | Some(_) => None,
        };
        if next_start.is_some_and(|at| at <= now)
            && let Some(task) = queue.take_requested()
        {
            if sink.is_answered_elsewhere(&task) {
                continue;
            }
            let request = PollRequest {
                family: family_of(&tasks, &task),
                task: task.clone(),
                trigger: PollTrigger::Manual,
                is_retry: false,
            };
            // The key may come from a command that hangs.
            let started = tokio::select! {
                biased;
                signal = &mut interrupted => break signal,
                started = api.start_poll(request) => started,
            };
            match started {
                Ok(answer) => in_flight.push(async move {
                    // A single check reports no unusual answers.
                    let (result, _notes) = answer.await;
                    (task, result)
                }),
                Err(denied) => match &denied.reason {
                    // The answer of the request that probes the account decides.
                    DenyReason::AccountBackoff(error) if in_flight.is_empty() => {
                        stopped = Some(error.clone());
                    }
                    DenyReason::InFlightLimit
                    | DenyReason::RateLimit
                    | DenyReason::AccountBackoff(_) => {
                        queue.requeue_first(task);
                        queue.defer(&denied, now);
                    }
                    DenyReason::JustChecked | DenyReason::TaskBusy => {
                        // Other tasks go first.
                        if queue.requested().is_empty() {
                            queue.defer(&denied, now);
                        }
                        queue.request(task);
                    }
                },
            }
            continue;
        }
        if next_start.is_none() && in_flight.is_empty() {
            return stopped.map_or(Ok(()), |error| Err(RefreshStopped::AccountError(error)));
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
            Some((task, answer)) = in_flight.next() => {
                queue.end_deferral();
                stopped = stopped.or(deliver(task, answer, sink)?);
            },
            () = wait => {}
        }
    };
    let rest = async {
        while let Some((task, answer)) = in_flight.next().await {
            // After an account-wide error, the signal stays the reason.
            deliver(task, answer, sink)?;
        }
        Ok(())
    };
    // Answers that are still on their way are dropped.
    let rest = tokio::time::timeout(ANSWER_GRACE, rest).await;
    rest.unwrap_or(Ok(()))?;
    Err(RefreshStopped::Signal(signal))
}

fn family_of(tasks: &[(TaskId, Family)], task: &TaskId) -> Family {
    let found = tasks.iter().find(|(id, _)| id == task);
    found.map(|(_, family)| *family).unwrap_or_default()
}

/// Applies an answer; returns an account-wide error instead.
fn deliver(
    task: TaskId,
    answer: PollResult,
    sink: &mut impl AnswerSink,
) -> Result<Option<PollError>, RefreshStopped> {
    match answer {
        Err(error) if error.scope() == ErrorScope::Account => Ok(Some(error)),
        answer => {
            let stored = sink.accept(task, answer);
            stored.map(|()| None).map_err(RefreshStopped::NotStored)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use jiff::Timestamp;
    use tokio::time::{self, Instant};

    use super::*;
    use crate::{
        domain::{
            poll_request::Denied,
            response_notes::ResponseNotes,
            time::{Mono, Now},
        },
        ports::{BoxFuture, PollStart},
    };

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

    /// An API that starts four polls, each after `key_delay`, and answers a task after as many
    /// milliseconds as its id says.
    #[derive(Debug)]
    struct SlowApi {
        key_delay: Duration,
        started: AtomicUsize,
    }

    impl TaskApi for SlowApi {
        fn start_poll(&self, request: PollRequest) -> PollStart<'_> {
            Box::pin(async move {
                time::sleep(self.key_delay).await;
                if self.started.fetch_add(1, Ordering::Relaxed) >= 4 {
                    let (reason, wait) = (DenyReason::InFlightLimit, self.key_delay);
                    return Err(Denied { reason, wait });
                }
                let millis = request.task.as_str().parse().unwrap();
                let answer: BoxFuture<'_, _> = Box::pin(async move {
                    time::sleep(Duration::from_millis(millis)).await;
                    (Err(PollError::NotFound), ResponseNotes::default())
                });
                Ok(answer)
            })
        }
    }

    #[derive(Default)]
    struct RecordingSink(Vec<String>);

    impl AnswerSink for RecordingSink {
        fn is_answered_elsewhere(&mut self, _: &TaskId) -> bool {
            false
        }

        fn accept(&mut self, task: TaskId, _: PollResult) -> Result<(), StoreError> {
            self.0.push(task.to_string());
            Ok(())
        }
    }

    /// Checks tasks with these response times in milliseconds, interrupts after one second, and
    /// returns the answered tasks and the time taken.
    async fn interrupted(millis: &[&str], key_delay: Duration) -> (Vec<String>, Duration) {
        let start = Instant::now();
        let task = |id: &&str| (TaskId::parse(id).unwrap(), Family::LumaModify);
        let started = AtomicUsize::new(0);
        let (api, clock) = (SlowApi { key_delay, started }, PausedClock(start));
        let signal = async {
            time::sleep(Duration::from_secs(1)).await;
            15
        };
        let mut sink = RecordingSink::default();
        let tasks = millis.iter().map(task).collect();
        let result = refresh_once(tasks, &api, &clock, signal, &mut sink).await;
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
