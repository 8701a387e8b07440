//! Asking once after some tasks, within the limits that hold for the dashboard too.

use std::future;

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use crate::{
    app::state::Polls,
    domain::{
        report::{Answer, PollError, Scope},
        schedule::{Jitter, Pace},
        task::{Family, TaskId},
    },
    ports::{Clock, TaskApi},
};

/// Asks after each task once: at most four under way, at most five starting in a second.
///
/// Each answer about a task is handed on as it comes. An account-wide error ends it: the rest would be refused too.
pub async fn once(
    tasks: Vec<(TaskId, Family)>,
    api: &dyn TaskApi,
    clock: &dyn Clock,
    mut answered: impl FnMut(TaskId, Answer),
) -> Result<(), PollError> {
    let mut polls = Polls::new(Pace::default(), Jitter::seeded(0));
    let mut waiting = tasks.into_iter().peekable();
    let mut asked = FuturesUnordered::new();
    loop {
        let opens = waiting
            .peek()
            .and_then(|_| polls.opens_at(asked.len(), clock.now().mono));
        let now = clock.now().mono;
        if opens.is_some_and(|at| at <= now) {
            if let Some((id, family)) = waiting.next() {
                polls.start(now);
                asked.push(async move { (id.clone(), api.fetch(&id, family).await) });
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
                Err(error) if error.scope() == Scope::Account => return Err(error),
                answer => answered(id, answer),
            },
            () = wait => {}
        }
    }
}

/// Waits for Ctrl-C; for ever where there are no signals.
pub async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        future::pending::<()>().await;
    }
}
