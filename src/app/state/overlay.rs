//! The boxes above the main screen: three widgets (menu, line editor, scrolled text), and the boxes
//! that are more than one of them.

use super::{add::AddDialog, filter::FilterLine, line_editor::LineEditor, menu::Menu};
use crate::{
    app::keymap::KeyContext,
    domain::{link::VideoUrl, task::TaskId},
};

/// A dialog, menu or page above the screen. It has the keyboard focus.
#[derive(Debug, Clone)]
pub enum Overlay {
    Menu(Box<Menu>),
    Line(Box<LineDialog>),
    Text {
        page: TextPage,
        scroll: u16,
    },
    Add(Box<AddDialog>),
    /// The filter line; the list below it is filtered while the user types.
    Filter(Box<FilterLine>),
    /// Links shown in full, because no browser could be started for them.
    Link(ShownLinks),
    /// A question before an action on many tasks.
    Confirm(Confirm),
}

impl Overlay {
    /// Returns a page at its first line.
    pub const fn text(page: TextPage) -> Self {
        Self::Text { page, scroll: 0 }
    }

    pub const fn context(&self) -> KeyContext {
        match self {
            Self::Menu(menu) => menu.context,
            Self::Line(dialog) => dialog.purpose.context(),
            Self::Text { .. } => KeyContext::Help,
            Self::Add(_) => KeyContext::Add,
            Self::Filter(_) => KeyContext::Filter,
            Self::Link(_) => KeyContext::Link,
            Self::Confirm(_) => KeyContext::Confirm,
        }
    }

    /// Returns the line that has the keyboard focus.
    pub(in crate::app) fn line_editor(&mut self) -> Option<&mut LineEditor> {
        match self {
            Self::Menu(menu) => menu.filter.as_mut(),
            Self::Line(dialog) => Some(&mut dialog.line),
            Self::Add(dialog) => dialog.line_editor(),
            Self::Filter(filter) => Some(&mut filter.line),
            Self::Text { .. } | Self::Link(_) | Self::Confirm(_) => None,
        }
    }
}

/// A page of scrolled text. Its lines are built while it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPage {
    Help,
    /// The recent messages.
    Messages,
    /// The clock difference and the unusual answers.
    Diagnostics,
}

/// A dialog with one line of text, for some tasks.
#[derive(Debug, Clone)]
pub struct LineDialog {
    pub purpose: LinePurpose,
    pub title: String,
    /// The text at the right of the title.
    pub note: String,
    /// The name of the line.
    pub prompt: &'static str,
    /// Shown while the line is empty.
    pub placeholder: &'static str,
    /// What Enter does, in a word or two: with a text, and with an empty line.
    pub accept_words: [&'static str; 2],
    pub line: LineEditor,
    pub tasks: Vec<TaskId>,
}

/// The use of the text of a [`LineDialog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinePurpose {
    Label,
    /// The folder in which results are saved.
    SaveFolder,
}

impl LinePurpose {
    const fn context(self) -> KeyContext {
        match self {
            Self::Label => KeyContext::Label,
            Self::SaveFolder => KeyContext::Folder,
        }
    }
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
