//! The main screen, and the dialogs above it.

use super::{
    add::AddDialog, copy_menu::CopyMenu, filter::FilterLine, folder::FolderDialog,
    label_editor::LabelEditor, palette::CommandPalette,
};
use crate::domain::{link::VideoUrl, task::TaskId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MainScreen {
    /// The table, with the details beside or below it if there is space.
    #[default]
    List,
    /// Full-screen details of one task.
    Detail { page: DetailPage, scroll: u16 },
}

/// A page of the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DetailPage {
    /// Status, links and the next step.
    #[default]
    Info,
    Journal,
    /// The last raw response.
    Json,
}

impl DetailPage {
    pub const ALL: [Self; 3] = [Self::Info, Self::Journal, Self::Json];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "Info",
            Self::Journal => "Time",
            Self::Json => "JSON",
        }
    }

    /// Returns the next page, cyclically.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Info => Self::Journal,
            Self::Journal => Self::Json,
            Self::Json => Self::Info,
        }
    }

    /// Returns the previous page, cyclically.
    #[must_use]
    pub const fn previous(self) -> Self {
        match self {
            Self::Info => Self::Json,
            Self::Journal => Self::Info,
            Self::Json => Self::Journal,
        }
    }
}

/// A dialog, menu or page above the screen. It has the keyboard focus.
#[derive(Debug, Clone)]
pub enum Overlay {
    Add(Box<AddDialog>),
    /// The picker of one of several videos.
    Pick(Picker),
    /// The dialog in which the user types a folder.
    Folder(Box<FolderDialog>),
    /// Links shown in full, because no browser could be started for them.
    Link(ShownLinks),
    Copy(CopyMenu),
    Label(Box<LabelEditor>),
    Palette(Box<CommandPalette>),
    Help {
        scroll: u16,
    },
    /// The recent messages.
    Messages {
        scroll: u16,
    },
    /// The clock difference and the unusual answers.
    Diagnostics {
        scroll: u16,
    },
    /// The filter line; the list below it is filtered while the user types.
    Filter(Box<FilterLine>),
    /// The menu of sort orders.
    Sort {
        cursor: usize,
    },
    /// A question before an action on many tasks.
    Confirm(Confirm),
}

/// An action on many tasks that waits for confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirm {
    /// Quit although the list file is deleted: these tasks are stored nowhere else.
    QuitUnsaved { tasks: Vec<TaskId> },
    Remove {
        tasks: Vec<TaskId>,
        /// The number of them that the tab or the filter hides.
        hidden: usize,
    },
    Open {
        videos: Vec<(TaskId, VideoUrl)>,
        kind: VideoKind,
    },
}

/// A picker of one of a task's videos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picker {
    pub task: TaskId,
    pub kind: VideoKind,
    /// Never empty.
    pub videos: Vec<VideoUrl>,
    pub cursor: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoKind {
    Result,
    Input,
}

impl VideoKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Input => "input",
        }
    }
}

/// Links shown in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLinks {
    /// Never empty.
    pub urls: Vec<VideoUrl>,
    pub reason: String,
    /// The result of copying them, once it is known.
    pub copied: Option<String>,
}
