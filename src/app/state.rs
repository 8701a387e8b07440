//! What the program knows, with questions about it. Changed by `update` only.

mod add;
mod away;
mod board;
mod boxes;
mod diagnostics;
mod filter;
mod folder;
mod line;
mod marks;
mod palette;
mod picture;
mod polls;
mod saves;
mod screen;
mod settings;
mod undo;
mod unsaved;

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;

pub(super) use self::undo::{FinishedWrite, Labels, Undo, Undos};
pub use self::{
    add::{AddDialog, AddField, Candidate},
    away::{Away, Digest},
    board::{Board, NOTICE_TIME, Notice, Said, Tone},
    boxes::{CopyChoice, CopyMenu, LabelEditor},
    diagnostics::{Diagnostics, OddAnswer},
    filter::{FilterLine, Former, Place, Step},
    folder::FolderDialog,
    marks::Marks,
    palette::{Found, Palette},
    picture::{Picture, PictureStage, Pictures},
    polls::{Hold, Polls},
    saves::{SaveJob, SaveQueue, SaveStage},
    screen::{Confirm, DetailPage, Overlay, Picker, Screen, ShownLinks, VideoKind},
    settings::{KeyStanding, Settings},
    unsaved::Unsaved,
};
use super::{
    keymap::{Context, Keymap},
    tidings::{Burst, Focus},
};
use crate::domain::{
    change::{JournalLine, StoreError},
    comparison::Comparison,
    estimate::Estimate,
    link::VideoUrl,
    picture::{PictureError, PictureOrder, Preview, Room},
    query::{Lens, View},
    record::Record,
    schedule::Jitter,
    status::{Status, Tab},
    task::{TaskId, TaskState},
    text::CleanText,
    time::{Mono, Now},
    watched::Watched,
    watchlist::Watchlist,
};

/// The longest name of a list, in bytes.
const LONGEST_NAME: usize = 128;

/// Is what became of videos on their way to the browser, until all of them are answered for.
#[derive(Debug, Clone, Default)]
pub(super) struct Opening {
    /// How many are not.
    pub(super) waiting: usize,
    /// Those that no browser could be started for, and why.
    pub(super) failed: Vec<(VideoUrl, String)>,
}

/// Tells how far the reading of the list is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Loading {
    /// Under way.
    #[default]
    Pending,
    /// Done.
    Done,
    /// It could not be read.
    Failed(StoreError),
}

/// Is what is known of how the list was looked at, for the next start.
#[derive(Debug, Clone, Default)]
pub struct Outlook {
    /// Whether the last run was recalled: once is enough, as its removals would be taken back twice.
    pub(super) is_recalled: bool,
    /// What the disk was told last.
    pub(super) remembered: Lens,
    /// When it is told of another way to look; `None` while there is none.
    pub(super) due: Option<Mono>,
    /// Until when it was looked at before this run, as long as that is still to be told of.
    pub(super) visited: Option<Timestamp>,
}

/// Is the size of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Rows of the list.
    pub page: u16,
}

/// Is the raw record of a task, as far as it was read.
#[derive(Debug, Clone)]
pub struct RawRecord {
    /// Whose.
    pub task: TaskId,
    /// The record; nothing when the server never gave one.
    pub record: Result<Option<Arc<Record>>, StoreError>,
    /// Whether the server has answered since.
    pub is_outdated: bool,
}

/// Is the whole of what the program knows.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) settings: Settings,
    pub(super) list: Watchlist,
    pub(super) view: View,
    pub(super) selected: Option<TaskId>,
    pub(super) former: Option<Former>,
    pub(super) marks: Marks,
    pub(super) top: usize,
    pub(super) left_at: Option<usize>,
    pub(super) is_untouched: bool,
    pub(super) size: Size,
    pub(super) most_scroll: u16,
    pub(super) screen: Screen,
    pub(super) record_from: Option<Screen>,
    pub(super) overlay: Option<Overlay>,
    pub(super) opening: Opening,
    pub(super) polls: Polls,
    pub(super) diagnostics: Diagnostics,
    pub(super) saves: SaveQueue,
    pub(super) pictures: Pictures,
    pub(super) board: Board,
    /// When the first message came, on the wall.
    pub(super) begun: Option<Timestamp>,
    /// The tasks the server has answered for in this run.
    pub(super) met: HashSet<TaskId>,
    /// The endings from before this run that were learnt of just now.
    pub(super) known: Vec<TaskId>,
    pub(super) loading: Loading,
    pub(super) undos: Undos,
    /// The filters kept in this run, each once, the latest last.
    pub(super) filters: Vec<String>,
    pub(super) outlook: Outlook,
    pub(super) journal: Option<(TaskId, Vec<JournalLine>)>,
    pub(super) journal_asked: Option<TaskId>,
    pub(super) raw: Option<RawRecord>,
    pub(super) raw_asked: Option<TaskId>,
    pub(super) burst: Option<Burst>,
    pub(super) focus: Focus,
    pub(super) away: Option<Away>,
    pub(super) unsaved: Unsaved,
    /// When a list that could not be read is to be read again.
    pub(super) reload: Option<Mono>,
    pub(super) is_leaving: bool,
    /// When the last message came.
    pub(super) seen: Option<Mono>,
}

impl State {
    /// Returns the state of a program just started: an empty screen whose list is still to be read.
    pub fn new(mut settings: Settings) -> Self {
        // It comes from a file or an argument.
        settings.name = CleanText::line(&settings.name, LONGEST_NAME).to_string();
        Self {
            list: Watchlist::new(settings.retention),
            polls: Polls::new(settings.pace, Jitter::seeded(settings.seed)),
            settings,
            diagnostics: Diagnostics::default(),
            saves: SaveQueue::default(),
            pictures: Pictures::default(),
            view: View::default(),
            selected: None,
            former: None,
            marks: Marks::default(),
            top: 0,
            left_at: None,
            is_untouched: true,
            size: Size::default(),
            most_scroll: 0,
            screen: Screen::default(),
            record_from: None,
            overlay: None,
            opening: Opening::default(),
            board: Board::default(),
            begun: None,
            met: HashSet::new(),
            known: Vec::new(),
            loading: Loading::default(),
            undos: Undos::default(),
            filters: Vec::new(),
            outlook: Outlook::default(),
            journal: None,
            journal_asked: None,
            raw: None,
            raw_asked: None,
            burst: None,
            focus: Focus::default(),
            away: None,
            unsaved: Unsaved::default(),
            reload: None,
            is_leaving: false,
            seen: None,
        }
    }

    /// Returns what the program was started with.
    pub const fn settings(&self) -> &Settings {
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
        self.view.lens().tab
    }

    /// Returns how the list is looked at: tab, order, filter.
    pub const fn lens(&self) -> &Lens {
        self.view.lens()
    }

    /// Returns the ids of the rows shown, in order.
    pub fn shown(&self) -> &[TaskId] {
        self.view.ids()
    }

    /// Returns the tasks on the screen: from the first visible row on, at most `rows` of them.
    pub fn visible(&self, rows: usize) -> impl Iterator<Item = &Watched> {
        self.view
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
    pub fn selected(&self) -> Option<&Watched> {
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

    /// Returns the tasks an act is for: the marked ones, those shown first and in their order; without marks, and on
    /// the full detail, the selected one.
    ///
    /// A mark that the tab or the filter hides counts: it was set by hand.
    pub fn targets(&self) -> Vec<&Watched> {
        if self.marks.is_empty() || self.screen != Screen::List {
            return self.selected().into_iter().collect();
        }
        let shown = self.shown().iter().filter(|id| self.marks.has(id));
        let mut targets: Vec<_> = shown.filter_map(|id| self.list.get(id)).collect();
        if targets.len() < self.marks.len() {
            let is_hidden = |id: &&TaskId| self.view.position(id, &self.list).is_none();
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

    /// Returns how many of the tasks an act is for cannot be seen: the tab or the filter hides them.
    pub fn hidden_targets(&self) -> usize {
        match self.screen {
            Screen::List => self.hidden_marks(),
            Screen::Detail { .. } => 0,
        }
    }

    /// Returns where the selected task stands in the tab, from zero.
    pub fn position(&self) -> Option<usize> {
        self.selected
            .as_ref()
            .and_then(|id| self.view.position(id, &self.list))
    }

    /// Returns the size of the terminal.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Returns how far the text on the screen can be scrolled, as last measured.
    pub const fn most_scroll(&self) -> u16 {
        self.most_scroll
    }

    /// Returns what fills the screen.
    pub const fn screen(&self) -> Screen {
        self.screen
    }

    /// Returns where one was before the page of the record, as long as that is shown.
    pub fn came_from(&self) -> Option<Screen> {
        let is_record = matches!(
            self.screen,
            Screen::Detail {
                page: DetailPage::Json,
                ..
            }
        );
        self.record_from.filter(|_| is_record)
    }

    /// Returns the box above it.
    pub const fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// Returns what the keyboard means.
    pub const fn context(&self) -> Context {
        match (&self.overlay, self.screen) {
            (Some(Overlay::Add(_)), _) => Context::Add,
            (Some(Overlay::Pick(_)), _) => Context::Pick,
            (Some(Overlay::Folder(_)), _) => Context::Folder,
            (Some(Overlay::Link(_)), _) => Context::Link,
            (Some(Overlay::Copy(_)), _) => Context::Copy,
            (Some(Overlay::Label(_)), _) => Context::Label,
            (Some(Overlay::Palette(_)), _) => Context::Palette,
            (
                Some(Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Diagnostics { .. }),
                _,
            ) => Context::Help,
            (Some(Overlay::Filter(_)), _) => Context::Filter,
            (Some(Overlay::Sort { .. }), _) => Context::Sort,
            (Some(Overlay::Confirm(_)), _) => Context::Confirm,
            (None, Screen::Detail { .. }) => Context::Detail,
            (None, Screen::List) => Context::List,
        }
    }

    /// Returns the account's side of polling.
    pub const fn polls(&self) -> &Polls {
        &self.polls
    }

    /// Returns what was noticed about the server's answers.
    pub const fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// Returns the saves of the moment.
    pub const fn saves(&self) -> &SaveQueue {
        &self.saves
    }

    /// Reports whether room is to be left for pictures of the selected task: its result is on this disk, its input is
    /// or can be fetched, and nothing speaks against showing them.
    pub fn wants_picture(&self) -> bool {
        let comparison = self.picturable();
        comparison.is_some_and(|comparison| self.pictures.error(&comparison.task).is_none())
    }

    /// Returns the pictures of the selected task, as far as they are.
    pub fn picture(&self) -> Option<&Picture> {
        self.pictures.of(self.selected.as_ref()?)
    }

    /// Returns the room for each picture, as last measured.
    pub const fn picture_room(&self) -> Option<Room> {
        self.pictures.room()
    }

    /// Returns why the selected task has no pictures, where it could have some.
    pub fn picture_error(&self) -> Option<PictureError> {
        self.pictures.error(&self.picturable()?.task)
    }

    /// Returns what pictures of the selected task are to be made from.
    pub(in crate::app) fn picture_order(&self) -> Option<PictureOrder> {
        let comparison = self.picturable().filter(|_| self.wants_picture())?;
        self.pictures.order(comparison)
    }

    /// Returns the selected task's videos, when pictures are shown at all and its result is on this disk.
    fn picturable(&self) -> Option<Comparison> {
        let watched = self
            .selected()
            .filter(|_| self.settings.preview != Preview::Off)?;
        // Most tasks have nothing saved; they are done with here.
        watched.saves.there().next()?;
        Comparison::of(watched).ok()
    }

    /// Returns the notice of the moment.
    pub fn notice(&self) -> Option<&Notice> {
        self.board.notice()
    }

    /// Returns what was said, the latest first.
    pub fn past(&self) -> impl Iterator<Item = &Said> {
        self.board.past()
    }

    /// Returns how far the reading of the list is.
    pub const fn loading(&self) -> &Loading {
        &self.loading
    }

    /// Returns what could not be written yet.
    pub const fn unsaved(&self) -> &Unsaved {
        &self.unsaved
    }

    /// Returns the journal of the selected task, as far as it was read.
    pub fn journal(&self) -> &[JournalLine] {
        match &self.journal {
            Some((id, lines)) if self.is_selected(id) => lines,
            _ => &[],
        }
    }

    /// Returns the raw record of the selected task; nothing while it is being read.
    pub fn raw(&self) -> Option<&RawRecord> {
        self.raw.as_ref().filter(|raw| self.is_selected(&raw.task))
    }

    /// Returns what has ended while nobody looked, if it was looked away at all.
    pub fn digest(&self, now: Now) -> Option<Digest> {
        self.away.as_ref().map(|away| away.digest(&self.list, now))
    }

    /// Returns the endings that wait to be told of.
    pub const fn burst(&self) -> Option<&Burst> {
        self.burst.as_ref()
    }

    /// Reports whether there is a removal or a label to take back.
    pub fn can_undo(&self) -> bool {
        !self.undos.is_empty()
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
    pub fn status_of(&self, watched: &Watched, estimate: &Estimate, now: Now) -> Status {
        watched.status(estimate, self.settings.retention, now)
    }

    /// Reports whether a figure on the screen changes with every second: a countdown, a notice, a running clock.
    pub fn is_ticking(&self) -> bool {
        let runs = |watched: &Watched| {
            matches!(
                watched.task.state(),
                TaskState::New | TaskState::Running { .. }
            )
        };
        self.polls.hold().is_some()
            || self.notice().is_some()
            || self.list.tally().in_flight + self.polls.strays() > 0
            || (!self.polls.is_paused() && self.list.next_due().is_some())
            || self.visible(usize::from(self.size.page)).any(runs)
            || self.selected().is_some_and(runs)
    }

    /// Returns the time to the next poll; `None` when none is to come.
    pub fn next_poll(&self, now: Now) -> Option<Duration> {
        if let Some(hold) = self.polls.hold() {
            return Some(hold.until.since(now.mono));
        }
        if self.polls.is_paused() {
            return None;
        }
        self.list.next_due().map(|due| due.since(now.mono))
    }
}
