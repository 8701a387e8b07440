//! `kietop wait`: says of each task how it ended, as it ends.
//!
//! Looks at the state of the same core that runs the dashboard, so it asks at the same pace, shares
//! the list and its limits with other instances, and takes an ending from whoever hears of it
//! first.

mod blocked;

use std::{collections::HashSet, ops::ControlFlow, str::FromStr, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use self::blocked::{BlockReason, BlockTracker};
use super::{Failure, GlobalArgs, WaitArgs, exit, json, output, services};
use crate::{
    adapters::{desktop::SystemClock, store::SqliteStore},
    app::state::{ListLoading, State},
    domain::{
        duration_text::{self, BareNumber},
        list_change::{ChangeResult, ExternalChange, JournalLine, ListChange, StoreError},
        poll_result::PollError,
        query::ListView,
        raw_response::RawResponse,
        saved_session::SavedSession,
        schedule::PollState,
        task::{TaskId, TaskState},
        time::Now,
        watched_task::WatchedTask,
    },
    ports::{Clock as _, ListStore},
    ui::format,
};

/// A span of time as a person types it: `90s`, `15m`, `2h30m`, `1d`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeoutArg(pub Duration);

impl FromStr for TimeoutArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        duration_text::parse(text.trim(), BareNumber::Seconds)
            .map(Self)
            .map_err(|_no_span| format!("{text} is no span of time: 90s, 15m, 2h30m, 1d"))
    }
}

/// What is waited for, and what was said of it.
#[derive(Debug)]
pub struct WaitProgress {
    /// The tasks given; none means all that had not ended at the start.
    tasks: Option<Vec<TaskId>>,
    reported: HashSet<TaskId>,
    /// The last reported write error, while it lasts.
    reported_error: Option<StoreError>,
    has_failed: bool,
    has_removed: bool,
    started_at: Timestamp,
    block_tracker: BlockTracker,
    retention: Duration,
    is_json: bool,
}

impl WaitProgress {
    /// Returns what the command line asks to wait for.
    pub fn new(wait: &WaitArgs, global: &GlobalArgs, retention: Duration) -> Result<Self, Failure> {
        let mut wanted = None;
        if !wait.ids.is_empty() {
            let mut store = services::open_list_to_read(global)?;
            let mut ids = Vec::new();
            for text in &wait.ids {
                let id = services::resolve_id(&mut store, text)?;
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            wanted = Some(ids);
        }
        Ok(Self {
            tasks: wanted,
            reported: HashSet::new(),
            reported_error: None,
            has_failed: false,
            has_removed: false,
            started_at: SystemClock::wall(),
            block_tracker: BlockTracker::new(TimeZone::system()),
            retention,
            is_json: wait.json,
        })
    }

    /// Returns what makes a list show no other tasks than those waited for: no others are asked
    /// after.
    pub fn filter_store(&self) -> impl FnMut(SqliteStore) -> Box<dyn ListStore> + use<> {
        let ids: Option<HashSet<_>> = self.tasks.clone().map(|ids| ids.into_iter().collect());
        move |store| {
            Box::new(FilteredStore {
                store,
                ids: ids.clone(),
            })
        }
    }

    /// Says what has ended, and breaks off when everything has, or nothing more can be heard.
    pub fn report_progress(
        &mut self,
        state: &State,
        now: Now,
    ) -> ControlFlow<Result<i32, Failure>> {
        match state.loading() {
            ListLoading::Pending => return ControlFlow::Continue(()),
            ListLoading::Failed(error) => {
                return ControlFlow::Break(Err(services::store_failure(error)));
            }
            ListLoading::Done => {}
        }
        self.report_unsaved(state.write_queue().error.as_ref());
        let wanted = self
            .tasks
            .get_or_insert_with(|| unfinished_ids(state))
            .clone();
        let mut is_over = true;
        for id in &wanted {
            match state.list().get(id) {
                Some(watched) if !is_finished(watched) => is_over = false,
                Some(watched) if !self.reported.contains(id) => {
                    if let Err(failure) = self.report_finished(watched) {
                        return ControlFlow::Break(Err(failure));
                    }
                }
                // Taken off the list while we waited.
                None if self.reported.insert(id.clone()) => {
                    self.has_removed = true;
                    output::to_stderr(&format!("kietop: {id} was removed from the list."));
                }
                Some(_) | None => {}
            }
        }
        if is_over {
            let code = match (self.has_failed, self.has_removed) {
                (true, _) => exit::WAIT_FAILED,
                (false, true) => exit::NO_SUCH_TASK,
                (false, false) => 0,
            };
            return ControlFlow::Break(Ok(code));
        }
        if let Some(failure) = key_failure(state) {
            return ControlFlow::Break(Err(failure));
        }
        self.report_blocks(state, &wanted, now);
        ControlFlow::Continue(())
    }

    /// Reports when the checks begin to be blocked, and when that ends.
    fn report_blocks(&mut self, state: &State, wanted: &[TaskId], now: Now) {
        let unfinished = wanted.iter().filter_map(|id| state.list().get(id));
        let unfinished = unfinished.filter(|watched| !is_finished(watched));
        let reason = BlockReason::find(state, unfinished, self.started_at, now);
        if let Some(line) = self.block_tracker.update(reason, now.wall) {
            output::to_stderr(&format!("kietop: {line}"));
        }
    }

    /// Reports when the list can no longer be written, and when it can again.
    fn report_unsaved(&mut self, error: Option<&StoreError>) {
        if self.reported_error.as_ref() == error {
            return;
        }
        match error {
            Some(error) => output::to_stderr(&format!("kietop: Not saved: {error}. Trying again.")),
            None => output::to_stderr("kietop: The list is saved again."),
        }
        self.reported_error = error.cloned();
    }

    fn report_finished(&mut self, watched: &WatchedTask) -> Result<(), Failure> {
        self.reported.insert(watched.id().clone());
        let is_made = matches!(watched.task.state(), TaskState::Succeeded { .. });
        self.has_failed |= !is_made;
        if self.is_json {
            let record = json::task_record(watched, self.retention);
            return output::to_stdout(&format!("{}\n", json::to_safe_json(&record)));
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

    /// Returns what it means that time ran out.
    pub fn timeout_failure(&self) -> Failure {
        let left = self.tasks.iter().flatten();
        let left = left.filter(|id| !self.reported.contains(*id)).count();
        let what = match left {
            1 => "1 task has not finished".to_owned(),
            left => format!("{left} tasks have not finished"),
        };
        let blocked = self
            .block_tracker
            .timeout_clause(SystemClock::start().now());
        Failure::new(
            exit::TIMED_OUT,
            format!("Timed out: {what}{blocked}. Run the same command to keep waiting."),
        )
    }
}

/// Returns the failure if there is no key or it is refused, to this or another process on the list.
fn key_failure(state: &State) -> Option<Failure> {
    let hold = state.poll_queue().backoff()?;
    if !matches!(hold.error, PollError::NoKey | PollError::Unauthorized(_)) {
        return None;
    }
    let what = format::capitalised(&hold.error.message());
    let step = hold.error.next_step();
    let retry = if hold.is_external {
        " To try it again: kietop list --refresh."
    } else {
        ""
    };
    Some(Failure::new(
        exit::UNAUTHORISED,
        format!("{what}. {step}{retry}"),
    ))
}

/// Returns what has not ended, in the order of the list.
fn unfinished_ids(state: &State) -> Vec<TaskId> {
    let tasks = state.list().iter().filter(|watched| !is_finished(watched));
    let mut tasks: Vec<_> = tasks.collect();
    tasks.sort_by_key(|watched| (watched.started_at(), watched.id().clone()));
    tasks
        .into_iter()
        .map(|watched| watched.id().clone())
        .collect()
}

/// Reports whether nothing more is to come: the task has ended, with its link where it was made, or
/// the server will not tell of it. One the server does not know would be waited for for ever.
fn is_finished(watched: &WatchedTask) -> bool {
    let is_unknown = *watched.task.state() == TaskState::NotFound;
    match watched.poll_state {
        PollState::Stopped(_) => true,
        PollState::DueAt(_) | PollState::InFlight { .. } => {
            is_unknown || (watched.task.state().is_final() && !watched.lacks_link())
        }
    }
}

/// A list of which only some tasks are seen, and at which nobody looks.
#[derive(Debug)]
struct FilteredStore {
    store: SqliteStore,
    /// Which; none means all.
    ids: Option<HashSet<TaskId>>,
}

impl FilteredStore {
    fn includes(&self, task: &TaskId) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(task))
    }
}

impl ListStore for FilteredStore {
    fn load(&mut self) -> Result<Vec<WatchedTask>, StoreError> {
        let mut all = self.store.load()?;
        all.retain(|watched| self.includes(watched.id()));
        Ok(all)
    }

    fn apply(&mut self, changes: &[ListChange]) -> Result<Vec<ChangeResult>, StoreError> {
        self.store.apply(changes)
    }

    fn external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        let mut deltas = self.store.external_changes()?;
        deltas.retain(|delta| match delta {
            ExternalChange::Changed(watched) => self.includes(watched.id()),
            ExternalChange::Removed(id) => self.includes(id),
        });
        Ok(deltas)
    }

    fn read_journal(&mut self, task: &TaskId, most: usize) -> Result<Vec<JournalLine>, StoreError> {
        self.store.read_journal(task, most)
    }

    fn load_session(&mut self) -> Result<SavedSession, StoreError> {
        Ok(SavedSession::default())
    }

    /// Keeps how a person looked at the list.
    fn save_session(&mut self, _: &ListView) -> Result<(), StoreError> {
        Ok(())
    }

    fn read_raw_response(&mut self, task: &TaskId) -> Result<Option<RawResponse>, StoreError> {
        ListStore::read_raw_response(&mut self.store, task)
    }

    /// Keeps until when a person looked at the list.
    fn save_last_seen(&mut self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Returns the words of Ctrl-C, and of other signals that end a command.
pub fn interrupted_failure(signal: i32) -> Failure {
    Failure::new(
        exit::SIGNAL_BASE + signal,
        "Interrupted; what was heard by then is kept.",
    )
}
