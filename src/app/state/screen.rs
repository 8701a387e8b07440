//! What fills the screen, and the boxes above it.

use super::{
    add::AddDialog,
    boxes::{CopyMenu, LabelEditor},
    filter::FilterLine,
    folder::FolderDialog,
    palette::CommandPalette,
};
use crate::domain::{link::VideoUrl, task::TaskId};

/// What fills the screen below the overlays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MainScreen {
    /// The table, with the detail where there is room.
    #[default]
    List,
    /// One task.
    Detail {
        /// Which of its pages.
        page: DetailPage,
        /// How many lines are scrolled away.
        scroll: u16,
    },
}

/// A page of the detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DetailPage {
    /// What is known, and the next step.
    #[default]
    Info,
    /// The journal.
    Journal,
    /// The server's last answer as it came.
    Json,
}

impl DetailPage {
    /// The pages in their order.
    pub const ALL: [Self; 3] = [Self::Info, Self::Journal, Self::Json];

    /// Returns the page's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "Info",
            Self::Journal => "Time",
            Self::Json => "JSON",
        }
    }

    /// Returns the page to the right, around the end.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Info => Self::Journal,
            Self::Journal => Self::Json,
            Self::Json => Self::Info,
        }
    }

    /// Returns the page to the left, around the start.
    #[must_use]
    pub const fn previous(self) -> Self {
        match self {
            Self::Info => Self::Json,
            Self::Journal => Self::Info,
            Self::Json => Self::Journal,
        }
    }
}

/// A box above the screen; it owns the keyboard.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// The dialog that adds tasks.
    Add(Box<AddDialog>),
    /// The numbered picker of several videos.
    Pick(Picker),
    /// The box in which a folder is typed.
    Folder(Box<FolderDialog>),
    /// Links that no browser could be started for, shown whole.
    Link(ShownLinks),
    /// The menu of what can be copied.
    Copy(CopyMenu),
    /// The editor of a label.
    Label(Box<LabelEditor>),
    /// The command palette.
    Palette(Box<CommandPalette>),
    /// The keys.
    Help {
        /// How many lines are scrolled away.
        scroll: u16,
    },
    /// What was said of late.
    Messages {
        /// How many lines are scrolled away.
        scroll: u16,
    },
    /// What was noticed about the server's answers.
    Diagnostics {
        /// How many lines are scrolled away.
        scroll: u16,
    },
    /// The line a filter is typed into; the list below it follows.
    Filter(Box<FilterLine>),
    /// The menu of orders.
    Sort {
        /// Which is under the cursor.
        cursor: usize,
    },
    /// A question before an act for many tasks.
    Confirm(Confirm),
}

/// An act for many tasks that waits for a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirm {
    /// Quit though the list file is gone: these tasks are stored nowhere else.
    QuitUnsaved {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// Stop watching them.
    Remove {
        /// Which.
        tasks: Vec<TaskId>,
        /// How many of them are not on the screen's list at present.
        hidden: usize,
    },
    /// Open their videos.
    Open {
        /// Which, with their videos.
        videos: Vec<(TaskId, VideoUrl)>,
        /// Of which kind.
        kind: VideoKind,
    },
}

/// The numbered picker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picker {
    /// Whose videos.
    pub task: TaskId,
    /// What they are: "result" or "original".
    pub kind: VideoKind,
    /// The videos; never empty.
    pub videos: Vec<VideoUrl>,
    /// Which is under the cursor.
    pub cursor: usize,
}

/// The two kinds of video of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoKind {
    /// What was made.
    Result,
    /// What was put in.
    Input,
}

impl VideoKind {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Input => "original",
        }
    }
}

/// Links shown whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLinks {
    /// The links; never empty.
    pub urls: Vec<VideoUrl>,
    /// Why they are shown.
    pub reason: String,
    /// What became of copying them, once that is known.
    pub copied: Option<String>,
}
