//! Requests for a preview (one frame of the input beside the same frame of the result) and their
//! errors.
//!
//! Knows no pixels: they stay in the runtime.

use std::path::PathBuf;

use strum::{EnumString, VariantNames};

use super::{comparison::VideoSource, link::VideoUrl, task::TaskId};

/// A request number, to recognise a preview that arrives late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PreviewId(u32);

impl PreviewId {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// The size of one of the two pictures, in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellArea {
    pub width: u16,
    pub height: u16,
}

/// The videos of a preview and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewRequest {
    pub id: PreviewId,
    pub task: TaskId,
    pub input: VideoSource,
    pub result: PathBuf,
    /// The size of each picture.
    pub area: CellArea,
}

impl PreviewRequest {
    /// Reports whether both requests give the same pictures.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.has_same_videos(other) && self.area == other.area
    }

    /// Reports whether both requests have the same videos, at any size.
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

    pub const fn input_link(&self) -> &VideoUrl {
        &self.input.link
    }
}

/// The reason why there is no preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewError {
    NoFfmpeg,
    /// Not saved, and its download failed.
    InputUnavailable,
    /// A saved file was moved or deleted.
    FileMissing,
    /// ffmpeg finds no frame: the file is damaged, or of a format that is not allowed.
    Unreadable,
    TooSlow,
    Unsupported,
    /// The request was cancelled, or the program is shutting down.
    Stopped,
    Panicked,
}

impl PreviewError {
    /// Reports whether it is the same for every task.
    pub const fn is_global(self) -> bool {
        matches!(self, Self::NoFfmpeg | Self::Unsupported)
    }
}

/// The setting for previews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum PreviewMode {
    /// The best that the terminal supports; off over SSH and inside a terminal multiplexer.
    #[default]
    Auto,
    /// Kitty's graphics protocol.
    Kitty,
    Sixel,
    Iterm2,
    /// Half blocks in two colours, which every terminal with colours shows.
    HalfBlocks,
    Off,
}

impl PreviewMode {
    /// Turns `Auto` off behind an indirect link: pictures are large and often lost on the way. A
    /// mode that the user chose stays.
    #[must_use]
    pub const fn for_link(self, link: TerminalLink) -> Self {
        match (self, link) {
            (Self::Auto, TerminalLink::Indirect) => Self::Off,
            (mode, TerminalLink::Indirect | TerminalLink::Direct) => mode,
        }
    }
}

/// The connection between the program and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalLink {
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
