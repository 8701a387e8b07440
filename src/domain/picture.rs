//! One frame of a task's input beside the same frame of its result: what is to be read, and how that can end.
//!
//! Knows no pixels: they stay with whoever draws them.

use std::path::PathBuf;

use super::{comparison::Clip, link::VideoUrl, task::TaskId};

/// Numbers an order, so that pictures that come late are not taken for those of another task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PictureNumber(u32);

impl PictureNumber {
    /// Returns the number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Is the room for one of the two pictures, in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Is what two pictures are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureOrder {
    /// Which order.
    pub number: PictureNumber,
    /// Whose videos.
    pub task: TaskId,
    /// The input: where it was saved, else where it can be fetched from.
    pub input: Clip,
    /// The saved result.
    pub result: PathBuf,
    /// The room for each.
    pub room: Room,
}

impl PictureOrder {
    /// Reports whether both orders lead to the same pictures.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.is_of_the_same(other) && self.room == other.room
    }

    /// Reports whether both are of the same videos, whatever the room.
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        let Self {
            number: _,
            task,
            input,
            result,
            room: _,
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
pub enum PictureError {
    /// There is no ffmpeg on this machine.
    NoFfmpeg,
    /// The input was not saved, and could not be fetched.
    NoInput,
    /// A file is not where it was saved.
    NoFile,
    /// ffmpeg takes no frame out of a file: it is damaged, or no video it knows as safe.
    Refused,
    /// ffmpeg took longer than it may.
    TooSlow,
    /// This terminal shows no pictures.
    NoTerminal,
    /// The order was taken back, or the program is ending.
    Stopped,
    /// A part of the program broke.
    Broke,
}

impl PictureError {
    /// Reports whether it is the same for every task.
    pub const fn is_everywhere(self) -> bool {
        match self {
            Self::NoFfmpeg | Self::NoTerminal => true,
            Self::NoInput
            | Self::NoFile
            | Self::Refused
            | Self::TooSlow
            | Self::Stopped
            | Self::Broke => false,
        }
    }

    /// Returns what happened, with what can be done about it.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NoFfmpeg => "install ffmpeg to see input and result here",
            Self::NoInput => "the input cannot be fetched any more",
            Self::NoFile => "a file is not where it was saved",
            Self::Refused => "a file is no video that ffmpeg reads",
            Self::TooSlow => "ffmpeg took longer than 5s",
            Self::NoTerminal => "this terminal shows no pictures",
            Self::Stopped => "the reading was stopped",
            Self::Broke => "reading the frames broke",
        }
    }
}

/// Tells whether pictures are shown, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preview {
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

impl Preview {
    /// Returns what is left of the choice in a terminal reached in that way: pictures are large, and what lies between
    /// often loses them. What the user named stays.
    #[must_use]
    pub const fn through(self, way: Way) -> Self {
        match (self, way) {
            (Self::Auto, Way::Indirect) => Self::Off,
            (choice, Way::Indirect | Way::Direct) => choice,
        }
    }
}

/// Tells what lies between the program and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nothing.
    Direct,
    /// SSH, tmux, screen, or a console without colours of its own.
    Indirect,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_terminals_show_pictures_only_where_they_are_asked_for() {
        assert_eq!(Preview::Auto.through(Way::Direct), Preview::Auto);
        assert_eq!(Preview::Auto.through(Way::Indirect), Preview::Off);
        assert_eq!(Preview::Sixel.through(Way::Indirect), Preview::Sixel);
    }
}
