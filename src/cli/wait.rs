//! `kietop wait`: prints one line as each task finishes.
//!
//! It runs the core of the dashboard without a screen: the same poll intervals, and the same list
//! and limits shared with other processes, so a task that another process checks counts too.

mod blocked;

use std::{collections::HashSet, ops::ControlFlow, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use self::blocked::{BlockReason, BlockTracker};
use super::{
    args::WaitArgs,
    failure::{CommandFailure, exit},
    output, resolve,
    services::CommandContext,
};
use crate::{
    adapters::{desktop::SystemClock, export::json, store::SqliteStore},
    domain::{
        list_change::StoreError,
        poll_queue::AccountBackoff,
        poll_result::PollError,
        saved_session::SavedSession,
        schedule::PollState,
        store_request::{StoreReply, StoreRequest},
        task::{TaskId, TaskState},
        time::Now,
        watched_task::WatchedTask,
        watchlist::Watchlist,
    },
    messages::{command_line as messages, format, message_line},
    ports::{Clock as _, ListStore},
};

/// The state of the list that a wait reports.
#[derive(Debug)]
pub struct ListSnapshot<'a> {
    /// Whether the list is loaded; `None` while it is being read.
    pub loading: Option<Result<(), &'a StoreError>>,
    pub write_error: Option<&'a StoreError>,
    pub list: &'a Watchlist,
    pub backoff: Option<&'a AccountBackoff>,
}

/// The tasks waited for, and those reported.
#[derive(Debug)]
pub struct WaitProgress {
    /// `None` until the list is loaded, if all unfinished tasks are waited for.
    tasks: Option<Vec<TaskId>>,
    reported: HashSet<TaskId>,
    /// The current write error, if it was reported.
    reported_error: Option<StoreError>,
    has_failed: bool,
    has_removed: bool,
    started_at: Timestamp,
    block_tracker: BlockTracker,
    retention: Duration,
    is_json: bool,
}

impl WaitProgress {
    pub fn new(args: &WaitArgs, context: &CommandContext) -> Result<Self, CommandFailure> {
        let tasks = if args.ids.is_empty() {
            None
        } else {
            let mut store = context.open_list()?;
            Some(resolve::resolve_ids(&mut store, &args.ids)?)
        };
        Ok(Self {
            tasks,
            reported: HashSet::new(),
            reported_error: None,
            has_failed: false,
            has_removed: false,
            started_at: SystemClock::wall(),
            block_tracker: BlockTracker::new(TimeZone::system()),
            retention: context.config.settings.retention,
            is_json: args.json,
        })
    }

    /// Returns a wrapper for the list that hides all other tasks, so that only those waited for are
    /// checked.
    pub fn filter_store(&self) -> impl FnMut(SqliteStore) -> Box<dyn ListStore> + use<> {
        let ids: Option<HashSet<_>> = self.tasks.clone().map(|ids| ids.into_iter().collect());
        move |store| {
            Box::new(FilteredStore {
                store,
                ids: ids.clone(),
            })
        }
    }

    /// Reports finished tasks; breaks when all have finished or none can be checked any more.
    pub fn report_progress(
        &mut self,
        snapshot: &ListSnapshot<'_>,
        now: Now,
    ) -> ControlFlow<Result<i32, CommandFailure>> {
        match snapshot.loading {
            None => return ControlFlow::Continue(()),
            Some(Err(error)) => {
                return ControlFlow::Break(Err(error.clone().into()));
            }
            Some(Ok(())) => {}
        }
        self.report_unsaved(snapshot.write_error);
        let tasks = self
            .tasks
            .get_or_insert_with(|| unfinished_ids(snapshot.list))
            .clone();
        let mut all_finished = true;
        for id in &tasks {
            match snapshot.list.get(id) {
                Some(watched) if !is_finished(watched) => all_finished = false,
                Some(watched) if !self.reported.contains(id) => {
                    if let Err(failure) = self.report_finished(watched) {
                        return ControlFlow::Break(Err(failure));
                    }
                }
                None if self.reported.insert(id.clone()) => {
                    self.has_removed = true;
                    output::report(&messages::removed_from_list(id));
                }
                Some(_) | None => {}
            }
        }
        if all_finished {
            let code = match (self.has_failed, self.has_removed) {
                (true, _) => exit::WAIT_FAILED,
                (false, true) => exit::NO_SUCH_TASK,
                (false, false) => 0,
            };
            return ControlFlow::Break(Ok(code));
        }
        if let Some(failure) = key_failure(snapshot.backoff) {
            return ControlFlow::Break(Err(failure));
        }
        self.report_blocks(snapshot, &tasks, now);
        ControlFlow::Continue(())
    }

    /// Reports when checks become blocked, and when they work again.
    fn report_blocks(&mut self, snapshot: &ListSnapshot<'_>, tasks: &[TaskId], now: Now) {
        let unfinished = tasks.iter().filter_map(|id| snapshot.list.get(id));
        let unfinished = unfinished.filter(|watched| !is_finished(watched));
        let reason = BlockReason::find(snapshot.backoff, unfinished, self.started_at, now);
        if let Some(line) = self.block_tracker.update(reason, now.wall) {
            output::report(&line);
        }
    }

    /// Reports when the list cannot be written, and when it can again.
    fn report_unsaved(&mut self, error: Option<&StoreError>) {
        if self.reported_error.as_ref() == error {
            return;
        }
        match error {
            Some(error) => output::report(&messages::cannot_save_list(error)),
            None => output::report(message_line::LIST_SAVED_AGAIN),
        }
        self.reported_error = error.cloned();
    }

    fn report_finished(&mut self, watched: &WatchedTask) -> Result<(), CommandFailure> {
        self.reported.insert(watched.id().clone());
        let has_succeeded = matches!(watched.task.state(), TaskState::Succeeded { .. });
        self.has_failed |= !has_succeeded;
        if self.is_json {
            let record = json::task_record(watched, self.retention);
            return output::to_stdout(&json::to_json_line(&record));
        }
        let title = watched.title();
        let title = if title == watched.id().as_str() {
            ""
        } else {
            title.lines().next().unwrap_or_default()
        };
        let line = format!("{} {}  {title}", watched.id(), watched.task.state().name());
        output::to_stdout(&format!("{}\n", line.trim_end()))
    }

    pub fn timeout_failure(&self) -> CommandFailure {
        let left = self.tasks.iter().flatten();
        let left = left.filter(|id| !self.reported.contains(*id)).count();
        let blocked = self
            .block_tracker
            .timeout_clause(SystemClock::start().now());
        CommandFailure::new(exit::TIMED_OUT, messages::timed_out(left, &blocked))
    }
}

/// Returns a failure if the key is missing or was refused, to this or another process on the list.
fn key_failure(backoff: Option<&AccountBackoff>) -> Option<CommandFailure> {
    let backoff = backoff?;
    if !matches!(backoff.error, PollError::NoKey | PollError::Unauthorized(_)) {
        return None;
    }
    let message = format::capitalised(&backoff.error.message());
    let step = backoff.error.next_step();
    let mut message = format!("{message}. {step}");
    if backoff.is_external {
        message.push(' ');
        message.push_str(messages::TRY_KEY_AGAIN);
    }
    Some(CommandFailure::new(exit::UNAUTHORISED, message))
}

/// Returns the unfinished tasks, oldest first.
fn unfinished_ids(list: &Watchlist) -> Vec<TaskId> {
    let tasks = list.iter().filter(|watched| !is_finished(watched));
    let mut tasks: Vec<_> = tasks.collect();
    tasks.sort_by_key(|watched| (watched.started_at(), watched.id().clone()));
    tasks
        .into_iter()
        .map(|watched| watched.id().clone())
        .collect()
}

/// Returns whether a task is not waited for any more: it has failed, has succeeded with its link,
/// or is not checked any more. An unknown task never finishes, so it counts as finished.
fn is_finished(watched: &WatchedTask) -> bool {
    let is_unknown = *watched.task.state() == TaskState::NotFound;
    match watched.poll_state {
        PollState::Stopped(_) => true,
        PollState::DueAt(_) | PollState::InFlight { .. } => {
            is_unknown || (watched.task.state().is_final() && !watched.lacks_link())
        }
    }
}

/// A list that hides some tasks and saves no session.
#[derive(Debug)]
struct FilteredStore {
    store: SqliteStore,
    /// The visible tasks; `None` means all.
    ids: Option<HashSet<TaskId>>,
}

impl FilteredStore {
    fn includes(&self, task: &TaskId) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(task))
    }
}

impl ListStore for FilteredStore {
    fn handle(&mut self, request: &StoreRequest) -> Result<StoreReply, StoreError> {
        // The session of the dashboard stays, and the user has not seen the list.
        if *request == StoreRequest::LoadSession {
            return Ok(StoreReply::Session(SavedSession::default()));
        }
        if matches!(
            request,
            StoreRequest::SaveSession(_) | StoreRequest::SaveLastSeen(_)
        ) {
            return Ok(StoreReply::Done);
        }
        let mut reply = self.store.handle(request)?;
        if let StoreReply::List(all) = &mut reply {
            all.retain(|watched| self.includes(watched.id()));
        } else if let StoreReply::ExternalChanges(changes) = &mut reply {
            changes.retain(|change| self.includes(change.task()));
        }
        Ok(reply)
    }
}
