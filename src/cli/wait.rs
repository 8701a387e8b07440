//! `kietop wait`: says of each task how it ended, as it ends.
//!
//! Looks at the state of the same core that runs the dashboard, so it asks at the same pace, shares the list and its
//! limits with other instances, and takes an ending from whoever hears of it first.

mod blocked;

use std::{collections::HashSet, ops::ControlFlow, str::FromStr, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use self::blocked::{Blocks, Reason};
use super::{Failure, Global, Wait, exit, json, output, place};
use crate::{
    adapters::{desktop::SystemClock, store::SqliteStore},
    app::state::{Loading, State},
    domain::{
        change::{Applied, Change, Delta, JournalLine, StoreError},
        memory::Memory,
        query::Lens,
        record::Record,
        report::PollError,
        schedule::Polling,
        span::{self, Bare},
        task::{TaskId, TaskState},
        time::Now,
        watched::Watched,
    },
    ports::{Clock as _, ListStore},
    ui::format,
};

/// Is a span of time as a person types it: `90s`, `15m`, `2h30m`, `1d`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        span::read(text.trim(), Bare::Seconds)
            .map(Self)
            .map_err(|_no_span| format!("{text} is no span of time: 90s, 15m, 2h30m, 1d"))
    }
}

/// Is what is waited for, and what was said of it.
#[derive(Debug)]
pub struct Waiting {
    /// The tasks given; none means all that had not ended at the start.
    wanted: Option<Vec<TaskId>>,
    said: HashSet<TaskId>,
    /// The last reported write error, while it lasts.
    unsaved: Option<StoreError>,
    has_failed: bool,
    has_removed: bool,
    started: Timestamp,
    blocks: Blocks,
    retention: Duration,
    is_json: bool,
}

impl Waiting {
    /// Returns what the command line asks to wait for.
    pub fn new(wait: &Wait, global: &Global, retention: Duration) -> Result<Self, Failure> {
        let mut wanted = None;
        if !wait.ids.is_empty() {
            let mut store = place::list_to_read(global)?;
            let mut ids = Vec::new();
            for text in &wait.ids {
                let id = place::resolve(&mut store, text)?;
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            wanted = Some(ids);
        }
        Ok(Self {
            wanted,
            said: HashSet::new(),
            unsaved: None,
            has_failed: false,
            has_removed: false,
            started: SystemClock::wall(),
            blocks: Blocks::new(TimeZone::system()),
            retention,
            is_json: wait.json,
        })
    }

    /// Returns what makes a list show no other tasks than those waited for: no others are asked after.
    pub fn filter(&self) -> impl FnMut(SqliteStore) -> Box<dyn ListStore> + use<> {
        let ids: Option<HashSet<_>> = self.wanted.clone().map(|ids| ids.into_iter().collect());
        move |store| {
            Box::new(Only {
                store,
                ids: ids.clone(),
            })
        }
    }

    /// Says what has ended, and breaks off when everything has, or nothing more can be heard.
    pub fn look(&mut self, state: &State, now: Now) -> ControlFlow<Result<i32, Failure>> {
        match state.loading() {
            Loading::Pending => return ControlFlow::Continue(()),
            Loading::Failed(error) => return ControlFlow::Break(Err(place::store_failed(error))),
            Loading::Done => {}
        }
        self.report_unsaved(state.unsaved().error.as_ref());
        let wanted = self.wanted.get_or_insert_with(|| unfinished(state)).clone();
        let mut is_over = true;
        for id in &wanted {
            match state.list().get(id) {
                Some(watched) if !has_ended(watched) => is_over = false,
                Some(watched) if !self.said.contains(id) => {
                    if let Err(failure) = self.say(watched) {
                        return ControlFlow::Break(Err(failure));
                    }
                }
                // Taken off the list while we waited.
                None if self.said.insert(id.clone()) => {
                    self.has_removed = true;
                    output::talk(&format!("kietop: {id} was removed from the list."));
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
        let unfinished = unfinished.filter(|watched| !has_ended(watched));
        let reason = Reason::find(state, unfinished, self.started, now);
        if let Some(line) = self.blocks.update(reason, now.wall) {
            output::talk(&format!("kietop: {line}"));
        }
    }

    /// Reports when the list can no longer be written, and when it can again.
    fn report_unsaved(&mut self, error: Option<&StoreError>) {
        if self.unsaved.as_ref() == error {
            return;
        }
        match error {
            Some(error) => output::talk(&format!("kietop: Not saved: {error}. Trying again.")),
            None => output::talk("kietop: The list is saved again."),
        }
        self.unsaved = error.cloned();
    }

    fn say(&mut self, watched: &Watched) -> Result<(), Failure> {
        self.said.insert(watched.id().clone());
        let is_made = matches!(watched.task.state(), TaskState::Succeeded { .. });
        self.has_failed |= !is_made;
        if self.is_json {
            let record = json::record(watched, self.retention);
            return output::data(&format!("{}\n", json::write(&record)));
        }
        let title = watched.title();
        let title = if title == watched.id().as_str() {
            ""
        } else {
            title.lines().next().unwrap_or_default()
        };
        let line = format!("{} {}  {title}", watched.id(), watched.task.state().name());
        output::data(&format!("{}\n", line.trim_end()))
    }

    /// Returns what it means that time ran out.
    pub fn timed_out(&self) -> Failure {
        let left = self.wanted.iter().flatten();
        let left = left.filter(|id| !self.said.contains(*id)).count();
        let what = match left {
            1 => "1 task has not finished".to_owned(),
            left => format!("{left} tasks have not finished"),
        };
        let blocked = self.blocks.clause(SystemClock::start().now());
        Failure::new(
            exit::TIMED_OUT,
            format!("Timed out: {what}{blocked}. Run the same command to keep waiting."),
        )
    }
}

/// Returns the failure if there is no key or it is refused, to this or another process on the list.
fn key_failure(state: &State) -> Option<Failure> {
    let hold = state.polls().hold()?;
    if !matches!(hold.error, PollError::NoKey | PollError::Unauthorized(_)) {
        return None;
    }
    let what = format::sentence(&hold.error.message());
    let step = hold.error.next_step();
    let retry = if hold.is_told {
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
fn unfinished(state: &State) -> Vec<TaskId> {
    let tasks = state.list().iter().filter(|watched| !has_ended(watched));
    let mut tasks: Vec<_> = tasks.collect();
    tasks.sort_by_key(|watched| (watched.submitted(), watched.id().clone()));
    tasks
        .into_iter()
        .map(|watched| watched.id().clone())
        .collect()
}

/// Reports whether nothing more is to come: the task has ended, with its link where it was made, or the server will not
/// tell of it. One the server does not know would be waited for for ever.
fn has_ended(watched: &Watched) -> bool {
    let is_unknown = *watched.task.state() == TaskState::NotFound;
    match watched.polling {
        Polling::Stopped(_) => true,
        Polling::DueAt(_) | Polling::InFlight { .. } => {
            is_unknown || (watched.task.state().is_final() && !watched.lacks_link())
        }
    }
}

/// Is a list of which only some tasks are seen, and at which nobody looks.
#[derive(Debug)]
struct Only {
    store: SqliteStore,
    /// Which; none means all.
    ids: Option<HashSet<TaskId>>,
}

impl Only {
    fn shows(&self, task: &TaskId) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(task))
    }
}

impl ListStore for Only {
    fn load(&mut self) -> Result<Vec<Watched>, StoreError> {
        let mut all = self.store.load()?;
        all.retain(|watched| self.shows(watched.id()));
        Ok(all)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Applied>, StoreError> {
        self.store.apply(changes)
    }

    fn changes(&mut self) -> Result<Vec<Delta>, StoreError> {
        let mut deltas = self.store.changes()?;
        deltas.retain(|delta| match delta {
            Delta::Changed(watched) => self.shows(watched.id()),
            Delta::Gone(id) => self.shows(id),
        });
        Ok(deltas)
    }

    fn journal(&mut self, task: &TaskId, most: usize) -> Result<Vec<JournalLine>, StoreError> {
        self.store.journal(task, most)
    }

    fn recall(&mut self) -> Result<Memory, StoreError> {
        Ok(Memory::default())
    }

    /// Keeps how a person looked at the list.
    fn remember(&mut self, _: &Lens) -> Result<(), StoreError> {
        Ok(())
    }

    fn record(&mut self, task: &TaskId) -> Result<Option<Record>, StoreError> {
        ListStore::record(&mut self.store, task)
    }

    /// Keeps until when a person looked at the list.
    fn note_visit(&mut self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Returns the words of Ctrl-C, and of other signals that end a command.
pub fn interrupted(signal: i32) -> Failure {
    Failure::new(
        exit::SIGNAL_BASE + signal,
        "Interrupted; what was heard by then is kept.",
    )
}
