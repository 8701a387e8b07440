//! One frame of a task's input beside the same frame of its result: what is to be read, and how
//! that can end.
//!
//! Knows no pixels: they stay with whoever draws them.

use std::path::PathBuf;

use super::{comparison::VideoSource, link::VideoUrl, task::TaskId};

/// Numbers an order, so that pictures that come late are not taken for those of another task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PreviewId(u32);

impl PreviewId {
    /// Returns the number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// The room for one of the two pictures, in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellArea {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// What two pictures are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewRequest {
    /// Which order.
    pub id: PreviewId,
    /// Whose videos.
    pub task: TaskId,
    /// The input: where it was saved, else where it can be fetched from.
    pub input: VideoSource,
    /// The saved result.
    pub result: PathBuf,
    /// The room for each.
    pub area: CellArea,
}

impl PreviewRequest {
    /// Reports whether both orders lead to the same pictures.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.has_same_videos(other) && self.area == other.area
    }

    /// Reports whether both are of the same videos, whatever the room.
    pub fn has_same_videos(&self, other: &Self) -> bool {
        let Self {
            id: _,
            task,
            input,
            result,
            area: _,
        } = self;
        (task, input, result) == (&other.task, &other.input, &other.result)
    }

    /// Returns the input's link.
    pub const fn input_link(&self) -> &VideoUrl {
        &self.input.link
    }
}

/// Says why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewError {
    /// There is no ffmpeg on this machine.
    NoFfmpeg,
    /// The input was not saved, and could not be fetched.
    InputUnavailable,
    /// A file is not where it was saved.
    FileMissing,
    /// ffmpeg takes no frame out of a file: it is damaged, or no video it knows as safe.
    Unreadable,
    /// ffmpeg took longer than it may.
    TooSlow,
    /// This terminal shows no pictures.
    Unsupported,
    /// The order was taken back, or the program is ending.
    Stopped,
    /// A part of the program broke.
    Panicked,
}

impl PreviewError {
    /// Reports whether it is the same for every task.
    pub const fn is_global(self) -> bool {
        match self {
            Self::NoFfmpeg | Self::Unsupported => true,
            Self::InputUnavailable
            | Self::FileMissing
            | Self::Unreadable
            | Self::TooSlow
            | Self::Stopped
            | Self::Panicked => false,
        }
    }

    /// Returns what happened, with what can be done about it.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoFfmpeg => "install ffmpeg to see input and result here",
            Self::InputUnavailable => "the input cannot be fetched any more",
            Self::FileMissing => "a file is not where it was saved",
            Self::Unreadable => "a file is no video that ffmpeg reads",
            Self::TooSlow => "ffmpeg took longer than 5s",
            Self::Unsupported => "this terminal shows no pictures",
            Self::Stopped => "the reading was stopped",
            Self::Panicked => "reading the frames broke",
        }
    }
}

/// Whether pictures are shown, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PreviewMode {
    /// As the terminal can; not over SSH nor inside another terminal program.
    #[default]
    Auto,
    /// Not at all.
    Off,
    /// By kitty's graphics protocol.
    Kitty,
    /// As sixels.
    Sixel,
    /// By iTerm2's inline images.
    Iterm2,
    /// As half blocks in two colours each, which every terminal with colours shows.
    HalfBlocks,
}

impl PreviewMode {
    /// Returns what is left of the choice in a terminal reached in that way: pictures are large,
    /// and what lies between often loses them. What the user named stays.
    #[must_use]
    pub const fn for_link(self, way: TerminalLink) -> Self {
        match (self, way) {
            (Self::Auto, TerminalLink::Indirect) => Self::Off,
            (choice, TerminalLink::Indirect | TerminalLink::Direct) => choice,
        }
    }
}

/// What lies between the program and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalLink {
    /// Nothing.
    Direct,
    /// SSH, tmux, screen, or a console without colours of its own.
    Indirect,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_terminals_show_previews_only_on_request() {
        assert_eq!(
            PreviewMode::Auto.for_link(TerminalLink::Direct),
            PreviewMode::Auto
        );
        assert_eq!(
            PreviewMode::Auto.for_link(TerminalLink::Indirect),
            PreviewMode::Off
        );
        assert_eq!(
            PreviewMode::Sixel.for_link(TerminalLink::Indirect),
            PreviewMode::Sixel
        );
    }
}
