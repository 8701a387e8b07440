//! What the program knows, with questions about it. Changed by `update` only.

mod absence;
mod add;
mod boxes;
mod diagnostics;
mod download_queue;
mod filter;
mod folder;
mod line;
mod marks;
mod message_line;
mod palette;
mod poll_queue;
mod preview;
mod screen;
mod settings;
mod undo;
mod write_queue;

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;

pub(super) use self::undo::{FinishedWrite, Labels, UndoStack, UndoStep};
pub use self::{
    absence::{Absence, AbsenceSummary},
    add::{AddDialog, AddField, Candidate},
    boxes::{CopyChoice, CopyMenu, LabelEditor},
    diagnostics::{Diagnostics, UnusualAnswer},
    download_queue::{DownloadJob, DownloadQueue, DownloadStage},
    filter::{FilterLine, HistoryStep, ListPosition, PreviousPosition},
    folder::FolderDialog,
    marks::Marks,
    message_line::{MESSAGE_TIME, MessageLine, PastMessage, Severity, ShownMessage},
    palette::{CommandPalette, PaletteMatch},
    poll_queue::{AccountBackoff, PollQueue},
    preview::{PreviewStage, PreviewState, TaskPreview},
    screen::{Confirm, DetailPage, MainScreen, Overlay, Picker, ShownLinks, VideoKind},
    settings::{ApiKeyStatus, AppSettings},
    write_queue::WriteQueue,
};
use super::{
    keymap::{KeyContext, Keymap},
    notifications::{NotificationBatch, TerminalFocus},
};
use crate::domain::{
    comparison::Comparison,
    estimate::Estimate,
    link::VideoUrl,
    list_change::{JournalLine, StoreError},
    preview::{CellArea, PreviewError, PreviewMode, PreviewRequest},
    query::{ListView, VisibleRows},
    raw_response::RawResponse,
    schedule::Jitter,
    status::{Status, Tab},
    task::{TaskId, TaskState},
    text::CleanText,
    time::{Mono, Now},
    watched_task::WatchedTask,
    watchlist::Watchlist,
};

/// The longest name of a list, in bytes.
const MAX_NAME_LEN: usize = 128;

/// What became of videos on their way to the browser, until all of them are answered for.
#[derive(Debug, Clone, Default)]
pub(super) struct PendingOpens {
    /// How many are not.
    pub(super) waiting: usize,
    /// Those that no browser could be started for, and why.
    pub(super) failed: Vec<(VideoUrl, String)>,
}

/// How far the reading of the list is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListLoading {
    /// Under way.
    #[default]
    Pending,
    /// Done.
    Done,
    /// It could not be read.
    Failed(StoreError),
}

/// What is known of how the list was looked at, for the next start.
#[derive(Debug, Clone, Default)]
pub struct SessionState {
    /// Whether the last run was recalled: once is enough, as its removals would be taken back
    /// twice.
    pub(super) is_loaded: bool,
    /// What the disk was told last.
    pub(super) saved_view: ListView,
    /// When it is told of another way to look; `None` while there is none.
    pub(super) save_at: Option<Mono>,
    /// Until when it was looked at before this run, as long as that is still to be told of.
    pub(super) last_seen: Option<Timestamp>,
}

/// The size of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Rows of the list.
    pub page: u16,
}

/// The raw record of a task, as far as it was read.
#[derive(Debug, Clone)]
pub struct RawResponseState {
    /// Whose.
    pub task: TaskId,
    /// The record; nothing when the server never gave one.
    pub response: Result<Option<Arc<RawResponse>>, StoreError>,
    /// Whether the server has answered since.
    pub is_outdated: bool,
}

/// The whole of what the program knows.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) settings: AppSettings,
    pub(super) list: Watchlist,
    pub(super) rows: VisibleRows,
    pub(super) selected: Option<TaskId>,
    pub(super) previous_position: Option<PreviousPosition>,
    pub(super) marks: Marks,
    pub(super) top: usize,
    pub(super) vacated_row: Option<usize>,
    pub(super) is_untouched: bool,
    pub(super) size: Size,
    pub(super) max_scroll: u16,
    pub(super) screen: MainScreen,
    pub(super) raw_opened_from: Option<MainScreen>,
    pub(super) overlay: Option<Overlay>,
    pub(super) pending_opens: PendingOpens,
    pub(super) poll_queue: PollQueue,
    pub(super) diagnostics: Diagnostics,
    pub(super) downloads: DownloadQueue,
    pub(super) previews: PreviewState,
    pub(super) message_line: MessageLine,
    /// When the first message came, on the wall.
    pub(super) started_at: Option<Timestamp>,
    /// The tasks the server has answered for in this run.
    pub(super) answered_tasks: HashSet<TaskId>,
    /// The endings from before this run that were learnt of just now.
    pub(super) finished_earlier: Vec<TaskId>,
    pub(super) loading: ListLoading,
    pub(super) undo_stack: UndoStack,
    /// The filters kept in this run, each once, the latest last.
    pub(super) filters: Vec<String>,
    pub(super) session: SessionState,
    pub(super) journal: Option<(TaskId, Vec<JournalLine>)>,
    pub(super) journal_requested: Option<TaskId>,
    pub(super) raw: Option<RawResponseState>,
    pub(super) raw_requested: Option<TaskId>,
    pub(super) notification_batch: Option<NotificationBatch>,
    pub(super) focus: TerminalFocus,
    pub(super) absence: Option<Absence>,
    pub(super) write_queue: WriteQueue,
    /// When a list that could not be read is to be read again.
    pub(super) reload_at: Option<Mono>,
    pub(super) is_leaving: bool,
    /// When the last message came.
    pub(super) last_message_at: Option<Mono>,
}

impl State {
    /// Returns the state of a program just started: an empty screen whose list is still to be read.
    pub fn new(mut settings: AppSettings) -> Self {
        // It comes from a file or an argument.
        settings.name = CleanText::line(&settings.name, MAX_NAME_LEN).to_string();
        Self {
            list: Watchlist::new(settings.retention),
            poll_queue: PollQueue::new(settings.poll_intervals, Jitter::seeded(settings.seed)),
            settings,
            diagnostics: Diagnostics::default(),
            downloads: DownloadQueue::default(),
            previews: PreviewState::default(),
            rows: VisibleRows::default(),
            selected: None,
            previous_position: None,
            marks: Marks::default(),
            top: 0,
            vacated_row: None,
            is_untouched: true,
            size: Size::default(),
            max_scroll: 0,
            screen: MainScreen::default(),
            raw_opened_from: None,
            overlay: None,
            pending_opens: PendingOpens::default(),
            message_line: MessageLine::default(),
            started_at: None,
            answered_tasks: HashSet::new(),
            finished_earlier: Vec::new(),
            loading: ListLoading::default(),
            undo_stack: UndoStack::default(),
            filters: Vec::new(),
            session: SessionState::default(),
            journal: None,
            journal_requested: None,
            raw: None,
            raw_requested: None,
            notification_batch: None,
            focus: TerminalFocus::default(),
            absence: None,
            write_queue: WriteQueue::default(),
            reload_at: None,
            is_leaving: false,
            last_message_at: None,
        }
    }

    /// Returns what the program was started with.
    pub const fn settings(&self) -> &AppSettings {
        &self.settings
    }

    /// Returns what the keys mean.
    pub const fn keymap(&self) -> &Keymap {
        &self.settings.keymap
    }

    /// Returns the watch list.
    pub const fn list(&self) -> &Watchlist {
        &self.list
    }

    /// Returns the tab shown.
    pub const fn tab(&self) -> Tab {
        self.rows.list_view().tab
    }

    /// Returns how the list is looked at: tab, order, filter.
    pub const fn list_view(&self) -> &ListView {
        self.rows.list_view()
    }

    /// Returns the ids of the rows shown, in order.
    pub fn shown(&self) -> &[TaskId] {
        self.rows.ids()
    }

    /// Returns the tasks on the screen: from the first visible row on, at most `rows` of them.
    pub fn visible(&self, rows: usize) -> impl Iterator<Item = &WatchedTask> {
        self.rows
            .ids()
            .iter()
            .skip(self.top)
            .take(rows)
            .filter_map(|id| self.list.get(id))
    }

    /// Returns the number of the first visible row, from zero.
    pub const fn top(&self) -> usize {
        self.top
    }

    /// Returns the selected task.
    pub fn selected(&self) -> Option<&WatchedTask> {
        self.selected.as_ref().and_then(|id| self.list.get(id))
    }

    /// Reports whether that task is the selected one.
    pub fn is_selected(&self, id: &TaskId) -> bool {
        self.selected.as_ref() == Some(id)
    }

    /// Returns which tasks are marked.
    pub const fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Returns the tasks an act is for: the marked ones, those shown first and in their order;
    /// without marks, and on the full detail, the selected one.
    ///
    /// A mark that the tab or the filter hides counts: it was set by hand.
    pub fn targets(&self) -> Vec<&WatchedTask> {
        if self.marks.is_empty() || self.screen != MainScreen::List {
            return self.selected().into_iter().collect();
        }
        let shown = self.shown().iter().filter(|id| self.marks.has(id));
        let mut targets: Vec<_> = shown.filter_map(|id| self.list.get(id)).collect();
        if targets.len() < self.marks.len() {
            let is_hidden = |id: &&TaskId| self.rows.position(id, &self.list).is_none();
            let mut hidden: Vec<_> = self.marks.iter().filter(is_hidden).collect();
            hidden.sort_unstable();
            targets.extend(hidden.into_iter().filter_map(|id| self.list.get(id)));
        }
        targets
    }

    /// Returns how many marked tasks the tab or the filter hides.
    pub fn hidden_marks(&self) -> usize {
        let shown = self.shown().iter().filter(|id| self.marks.has(id)).count();
        self.marks.len().saturating_sub(shown)
    }

    /// Returns how many of the tasks an act is for cannot be seen: the tab or the filter hides
    /// them.
    pub fn hidden_targets(&self) -> usize {
        match self.screen {
            MainScreen::List => self.hidden_marks(),
            MainScreen::Detail { .. } => 0,
        }
    }

    /// Returns where the selected task stands in the tab, from zero.
    pub fn position(&self) -> Option<usize> {
        self.selected
            .as_ref()
            .and_then(|id| self.rows.position(id, &self.list))
    }

    /// Returns the size of the terminal.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Returns how far the text on the screen can be scrolled, as last measured.
    pub const fn max_scroll(&self) -> u16 {
        self.max_scroll
    }

    /// Returns what fills the screen.
    pub const fn screen(&self) -> MainScreen {
        self.screen
    }

    /// Returns where one was before the page of the record, as long as that is shown.
    pub fn raw_opened_from(&self) -> Option<MainScreen> {
        let is_record = matches!(
            self.screen,
            MainScreen::Detail {
                page: DetailPage::Json,
                ..
            }
        );
        self.raw_opened_from.filter(|_| is_record)
    }

    /// Returns the box above it.
    pub const fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// Returns what the keyboard means.
    pub const fn context(&self) -> KeyContext {
        match (&self.overlay, self.screen) {
            (Some(Overlay::Add(_)), _) => KeyContext::Add,
            (Some(Overlay::Pick(_)), _) => KeyContext::Pick,
            (Some(Overlay::Folder(_)), _) => KeyContext::Folder,
            (Some(Overlay::Link(_)), _) => KeyContext::Link,
            (Some(Overlay::Copy(_)), _) => KeyContext::Copy,
            (Some(Overlay::Label(_)), _) => KeyContext::Label,
            (Some(Overlay::Palette(_)), _) => KeyContext::Palette,
            (
                Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Diagnostics { .. }),
                _,
            ) => KeyContext::Help,
            (Some(Overlay::Filter(_)), _) => KeyContext::Filter,
            (Some(Overlay::Sort { .. }), _) => KeyContext::Sort,
            (Some(Overlay::Confirm(_)), _) => KeyContext::Confirm,
            (None, MainScreen::Detail { .. }) => KeyContext::Detail,
            (None, MainScreen::List) => KeyContext::List,
        }
    }

    /// Returns the account's side of polling.
    pub const fn poll_queue(&self) -> &PollQueue {
        &self.poll_queue
    }

    /// Returns what was noticed about the server's answers.
    pub const fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// Returns the saves of the moment.
    pub const fn downloads(&self) -> &DownloadQueue {
        &self.downloads
    }

    /// Reports whether room is to be left for pictures of the selected task: its result is on this
    /// disk, its input is or can be fetched, and nothing speaks against showing them.
    pub fn wants_preview(&self) -> bool {
        let comparison = self.previewable();
        comparison.is_some_and(|comparison| self.previews.error(&comparison.task).is_none())
    }

    /// Returns the pictures of the selected task, as far as they are.
    pub fn preview(&self) -> Option<&TaskPreview> {
        self.previews.for_task(self.selected.as_ref()?)
    }

    /// Returns the room for each picture, as last measured.
    pub const fn preview_area(&self) -> Option<CellArea> {
        self.previews.area()
    }

    /// Returns why the selected task has no pictures, where it could have some.
    pub fn preview_error(&self) -> Option<PreviewError> {
        self.previews.error(&self.previewable()?.task)
    }

    /// Returns what pictures of the selected task are to be made from.
    pub(in crate::app) fn preview_request(&self) -> Option<PreviewRequest> {
        let comparison = self.previewable().filter(|_| self.wants_preview())?;
        self.previews.request(comparison)
    }

    /// Returns the selected task's videos, when pictures are shown at all and its result is on this
    /// disk.
    fn previewable(&self) -> Option<Comparison> {
        let watched = self
            .selected()
            .filter(|_| self.settings.preview_mode != PreviewMode::Off)?;
        // Most tasks have nothing saved; they are done with here.
        watched.saved_results.existing().next()?;
        Comparison::for_task(watched).ok()
    }

    /// Returns the notice of the moment.
    pub fn message(&self) -> Option<&ShownMessage> {
        self.message_line.message()
    }

    /// Returns what was said, the latest first.
    pub fn past_messages(&self) -> impl Iterator<Item = &PastMessage> {
        self.message_line.past()
    }

    /// Returns how far the reading of the list is.
    pub const fn loading(&self) -> &ListLoading {
        &self.loading
    }

    /// Returns what could not be written yet.
    pub const fn write_queue(&self) -> &WriteQueue {
        &self.write_queue
    }

    /// Returns the journal of the selected task, as far as it was read.
    pub fn journal(&self) -> &[JournalLine] {
        match &self.journal {
            Some((id, lines)) if self.is_selected(id) => lines,
            _ => &[],
        }
    }

    /// Returns the raw record of the selected task; nothing while it is being read.
    pub fn raw(&self) -> Option<&RawResponseState> {
        self.raw.as_ref().filter(|raw| self.is_selected(&raw.task))
    }

    /// Returns what has ended while nobody looked, if it was looked away at all.
    pub fn absence_summary(&self, now: Now) -> Option<AbsenceSummary> {
        self.absence
            .as_ref()
            .map(|away| away.summary(&self.list, now))
    }

    /// Returns the endings that wait to be told of.
    pub const fn notification_batch(&self) -> Option<&NotificationBatch> {
        self.notification_batch.as_ref()
    }

    /// Reports whether there is a removal or a label to take back.
    pub fn can_undo(&self) -> bool {
        !self.undo_stack.is_empty()
    }

    /// Reports whether the program is on its way out.
    pub const fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Returns what to expect of a running task.
    pub fn estimate(&self) -> Estimate {
        self.list.run_times().estimate()
    }

    /// Returns the status of a task.
    pub fn status_of(&self, watched: &WatchedTask, estimate: &Estimate, now: Now) -> Status {
        watched.status(estimate, self.settings.retention, now)
    }

    /// Reports whether a figure on the screen changes with every second: a countdown, a notice, a
    /// running clock.
    pub fn is_ticking(&self) -> bool {
        let runs = |watched: &WatchedTask| {
            matches!(
                watched.task.state(),
                TaskState::New | TaskState::Running { .. }
            )
        };
        self.poll_queue.backoff().is_some()
            || self.message().is_some()
            || self.list.counts().in_flight + self.poll_queue.orphan_count() > 0
            || (!self.poll_queue.is_paused() && self.list.next_due().is_some())
            || self.visible(usize::from(self.size.page)).any(runs)
            || self.selected().is_some_and(runs)
    }

    /// Returns the time to the next poll; `None` when none is to come.
    pub fn next_poll(&self, now: Now) -> Option<Duration> {
        if let Some(hold) = self.poll_queue.backoff() {
            return Some(hold.until.since(now.mono));
        }
        if self.poll_queue.is_paused() {
            return None;
        }
        self.list.next_due().map(|due| due.since(now.mono))
    }
}
