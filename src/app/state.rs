//! The whole state of the program, with queries. Only `update` changes it.

mod absence;
mod add;
mod detail_data;
mod diagnostics;
mod download_queue;
mod filter;
mod line_editor;
mod marks;
mod menu;
mod message_line;
mod navigation;
mod notifications;
mod overlay;
mod preview;
mod screen;
mod settings;
mod undo;
mod write_queue;

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;

pub(super) use self::undo::{FinishedWrite, Labels, UndoStack, UndoStep};
pub use self::{
    absence::{Absence, AbsenceSummary},
    add::{AddDialog, AddField, Candidate},
    detail_data::{DetailData, RawResponseState},
    diagnostics::{Diagnostics, UnusualAnswer},
    download_queue::{DownloadJob, DownloadQueue, DownloadStage},
    filter::{FilterLine, HistoryStep, ListPosition, PreviousPosition},
    line_editor::LineEditor,
    marks::Marks,
    menu::{Menu, MenuChoice, MenuItem},
    message_line::{MESSAGE_TIME, MessageLine, PastMessage, Severity, ShownMessage},
    navigation::{Navigation, Size},
    notifications::Notifications,
    overlay::{Confirm, LineDialog, LinePurpose, Overlay, ShownLinks, TextPage, VideoKind},
    preview::{PreviewStage, PreviewState, TaskPreview},
    screen::{DetailPage, MainScreen},
    settings::{ApiKeyStatus, AppSettings},
    write_queue::WriteQueue,
};
use super::keymap::{KeyContext, Keymap};
use crate::domain::{
    comparison::Comparison,
    estimate::Estimate,
    link::VideoUrl,
    list_change::{JournalLine, StoreError},
    poll_queue::PollQueue,
    preview::{CellArea, PreviewError, PreviewMode, PreviewRequest},
    query::{ListView, VisibleRows},
    schedule::Jitter,
    status::{Status, Tab},
    task::{TaskId, TaskState},
    text::CleanText,
    time::{Mono, Now},
    watched_task::WatchedTask,
    watchlist::Watchlist,
};

/// Maximum length of a list's name, in bytes.
const MAX_NAME_LEN: usize = 128;

/// Open requests in progress; failures are shown when all have completed.
#[derive(Debug, Clone, Default)]
pub(super) struct PendingOpens {
    pub(super) waiting: usize,
    /// The videos for which no browser could be started, with the reason.
    pub(super) failed: Vec<(VideoUrl, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListLoading {
    #[default]
    Pending,
    Done,
    Failed(StoreError),
}

/// The session to save for the next start.
#[derive(Debug, Clone, Default)]
pub struct SessionState {
    /// Whether the last session was loaded; a second time would restore its undo steps twice.
    pub(super) is_loaded: bool,
    pub(super) saved_view: ListView,
    /// When to save a changed view; `None` while there is nothing to save.
    pub(super) save_at: Option<Mono>,
    /// When the list was last seen before this run; `None` once reported.
    pub(super) last_seen: Option<Timestamp>,
    /// The filters used in this run, without duplicates, the latest last.
    pub(super) filters: Vec<String>,
}

/// The state of the dashboard.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) settings: AppSettings,
    pub(super) list: Watchlist,
    pub(super) rows: VisibleRows,
    pub(super) nav: Navigation,
    pub(super) detail: DetailData,
    pub(super) overlay: Option<Overlay>,
    pub(super) pending_opens: PendingOpens,
    pub(super) poll_queue: PollQueue,
    pub(super) diagnostics: Diagnostics,
    pub(super) downloads: DownloadQueue,
    pub(super) previews: PreviewState,
    pub(super) message_line: MessageLine,
    pub(super) notifications: Notifications,
    /// Wall-clock time of the first message.
    pub(super) started_at: Option<Timestamp>,
    /// Tasks that the server has answered for in this run.
    pub(super) answered_tasks: HashSet<TaskId>,
    pub(super) loading: ListLoading,
    pub(super) undo_stack: UndoStack,
    pub(super) session: SessionState,
    pub(super) write_queue: WriteQueue,
    /// When to load the list again after a failure.
    pub(super) reload_at: Option<Mono>,
    pub(super) is_leaving: bool,
    pub(super) last_message_at: Option<Mono>,
}

impl State {
    /// Returns the state at start: an empty screen, and a list still to be loaded.
    pub fn new(mut settings: AppSettings) -> Self {
        // The name comes from a file or an argument.
        settings.name = CleanText::line(&settings.name, MAX_NAME_LEN).to_string();
        Self {
            list: Watchlist::new(settings.retention),
            poll_queue: PollQueue::new(settings.poll_intervals, Jitter::seeded(settings.seed)),
            settings,
            diagnostics: Diagnostics::default(),
            downloads: DownloadQueue::default(),
            previews: PreviewState::default(),
            rows: VisibleRows::default(),
            nav: Navigation::default(),
            detail: DetailData::default(),
            overlay: None,
            pending_opens: PendingOpens::default(),
            message_line: MessageLine::default(),
            notifications: Notifications::default(),
            started_at: None,
            answered_tasks: HashSet::new(),
            loading: ListLoading::default(),
            undo_stack: UndoStack::default(),
            session: SessionState::default(),
            write_queue: WriteQueue::default(),
            reload_at: None,
            is_leaving: false,
            last_message_at: None,
        }
    }

    pub const fn settings(&self) -> &AppSettings {
        &self.settings
    }

    pub const fn keymap(&self) -> &Keymap {
        &self.settings.keymap
    }

    pub const fn list(&self) -> &Watchlist {
        &self.list
    }

    pub const fn tab(&self) -> Tab {
        self.rows.list_view().tab
    }

    /// Returns the tab, sort order and filter.
    pub const fn list_view(&self) -> &ListView {
        self.rows.list_view()
    }

    /// Returns the ids of the shown rows, in order.
    pub fn shown(&self) -> &[TaskId] {
        self.rows.ids()
    }

    /// Returns the tasks on the screen: from the first visible row on, at most `rows` of them.
    pub fn visible(&self, rows: usize) -> impl Iterator<Item = &WatchedTask> {
        self.rows
            .ids()
            .iter()
            .skip(self.nav.top)
            .take(rows)
            .filter_map(|id| self.list.get(id))
    }

    /// Returns the index of the first visible row.
    pub const fn top(&self) -> usize {
        self.nav.top
    }

    pub fn selected(&self) -> Option<&WatchedTask> {
        self.nav.selected.as_ref().and_then(|id| self.list.get(id))
    }

    pub fn is_selected(&self, id: &TaskId) -> bool {
        self.nav.selected.as_ref() == Some(id)
    }

    pub const fn marks(&self) -> &Marks {
        &self.nav.marks
    }

    /// Returns the tasks an action applies to: the marked ones, the shown ones first and in their
    /// order; without marks, and in the details, the selected one.
    ///
    /// Marks that the tab or the filter hides count too, because the user set them.
    pub fn targets(&self) -> Vec<&WatchedTask> {
        if self.nav.marks.is_empty() || self.nav.screen != MainScreen::List {
            return self.selected().into_iter().collect();
        }
        let shown = self.shown().iter().filter(|id| self.nav.marks.has(id));
        let mut targets: Vec<_> = shown.filter_map(|id| self.list.get(id)).collect();
        if targets.len() < self.nav.marks.len() {
            let is_hidden = |id: &&TaskId| self.rows.position(id, &self.list).is_none();
            let mut hidden: Vec<_> = self.nav.marks.iter().filter(is_hidden).collect();
            hidden.sort_unstable();
            targets.extend(hidden.into_iter().filter_map(|id| self.list.get(id)));
        }
        targets
    }

    pub fn target_ids(&self) -> Vec<TaskId> {
        let targets = self.targets().into_iter();
        targets.map(|watched| watched.id().clone()).collect()
    }

    /// Returns the number of marked tasks that the tab or the filter hides.
    pub fn hidden_marks(&self) -> usize {
        let shown = self
            .shown()
            .iter()
            .filter(|id| self.nav.marks.has(id))
            .count();
        self.nav.marks.len().saturating_sub(shown)
    }

    /// Returns the number of targets that the tab or the filter hides.
    pub fn hidden_targets(&self) -> usize {
        match self.nav.screen {
            MainScreen::List => self.hidden_marks(),
            MainScreen::Detail { .. } => 0,
        }
    }

    /// Returns the row of the selected task in the tab, from zero.
    pub fn position(&self) -> Option<usize> {
        self.nav
            .selected
            .as_ref()
            .and_then(|id| self.rows.position(id, &self.list))
    }

    pub const fn size(&self) -> Size {
        self.nav.size
    }

    /// Returns the maximum scroll offset of the text on the screen, as last measured.
    pub const fn max_scroll(&self) -> u16 {
        self.nav.max_scroll
    }

    pub const fn screen(&self) -> MainScreen {
        self.nav.screen
    }

    /// Returns the screen from which the raw JSON page was opened, while that page is shown.
    pub fn raw_opened_from(&self) -> Option<MainScreen> {
        let is_raw_page = matches!(
            self.nav.screen,
            MainScreen::Detail {
                page: DetailPage::Json,
                ..
            }
        );
        self.nav.raw_opened_from.filter(|_| is_raw_page)
    }

    pub const fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// Returns the key context: the overlay's, else the screen's.
    pub const fn context(&self) -> KeyContext {
        match &self.overlay {
            Some(overlay) => overlay.context(),
            None => self.nav.screen.context(),
        }
    }

    pub const fn poll_queue(&self) -> &PollQueue {
        &self.poll_queue
    }

    pub const fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    pub const fn downloads(&self) -> &DownloadQueue {
        &self.downloads
    }

    /// Reports whether to leave space for previews of the selected task: its result is saved, its
    /// input is kept or can be fetched, and no preview has failed.
    pub fn wants_preview(&self) -> bool {
        let comparison = self.previewable();
        comparison.is_some_and(|comparison| self.previews.error(&comparison.task).is_none())
    }

    pub fn preview(&self) -> Option<&TaskPreview> {
        self.previews.for_task(self.nav.selected.as_ref()?)
    }

    /// Returns the area of each preview image, as last measured.
    pub const fn preview_area(&self) -> Option<CellArea> {
        self.previews.area()
    }

    /// Returns why the selected task has no preview, where one was possible.
    pub fn preview_error(&self) -> Option<PreviewError> {
        self.previews.error(&self.previewable()?.task)
    }

    pub(in crate::app) fn preview_request(&self) -> Option<PreviewRequest> {
        let comparison = self.previewable().filter(|_| self.wants_preview())?;
        self.previews.request(comparison)
    }

    /// Returns the videos of the selected task, if previews are on and its result is saved.
    fn previewable(&self) -> Option<Comparison> {
        let watched = self
            .selected()
            .filter(|_| self.settings.preview_mode != PreviewMode::Off)?;
        // Most tasks have nothing saved; return early for them.
        watched.saved_results.existing().next()?;
        Comparison::for_task(watched).ok()
    }

    pub fn message(&self) -> Option<&ShownMessage> {
        self.message_line.message()
    }

    /// Returns the recent messages, the latest first.
    pub fn past_messages(&self) -> impl Iterator<Item = &PastMessage> {
        self.message_line.past()
    }

    pub const fn loading(&self) -> &ListLoading {
        &self.loading
    }

    pub const fn write_queue(&self) -> &WriteQueue {
        &self.write_queue
    }

    /// Returns the journal of the selected task; empty until it is read.
    pub fn journal(&self) -> &[JournalLine] {
        match &self.detail.journal {
            Some((id, lines)) if self.is_selected(id) => lines,
            _ => &[],
        }
    }

    /// Returns the raw response of the selected task; `None` until it is read.
    pub fn raw(&self) -> Option<&RawResponseState> {
        self.detail
            .raw
            .as_ref()
            .filter(|raw| self.is_selected(&raw.task))
    }

    /// Returns what finished during the last absence, if there was one.
    pub fn absence_summary(&self, now: Now) -> Option<AbsenceSummary> {
        self.notifications
            .absence
            .as_ref()
            .map(|absence| absence.summary(&self.list, now))
    }

    pub fn can_undo(&self) -> bool {
        !self.undo_stack.is_empty()
    }

    pub const fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    pub fn estimate(&self) -> Estimate {
        self.list.run_times().estimate()
    }

    pub fn status_of(&self, watched: &WatchedTask, estimate: &Estimate, now: Now) -> Status {
        watched.status(estimate, self.settings.retention, now)
    }

    /// Reports whether a figure on the screen changes every second: a countdown, a message, a
    /// running clock.
    pub fn is_ticking(&self) -> bool {
        let is_running = |watched: &WatchedTask| {
            matches!(
                watched.task.state(),
                TaskState::New | TaskState::Running { .. }
            )
        };
        self.poll_queue.backoff().is_some()
            || self.message().is_some()
            || self.list.counts().in_flight > 0
            || (!self.poll_queue.is_paused && self.list.next_due().is_some())
            || self
                .visible(usize::from(self.nav.size.page))
                .any(is_running)
            || self.selected().is_some_and(is_running)
    }

    /// Returns the time until the next poll; `None` if none is scheduled.
    pub fn next_poll(&self, now: Now) -> Option<Duration> {
        if let Some(backoff) = self.poll_queue.backoff() {
            return Some(backoff.until.since(now.mono));
        }
        if self.poll_queue.is_paused {
            return None;
        }
        self.list.next_due().map(|due| due.since(now.mono))
    }
}
