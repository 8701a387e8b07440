//! The two pictures of the selected task: what was ordered, and how far it is.

use crate::domain::{
    comparison::{Clip, Comparison},
    picture::{PictureError, PictureNumber, PictureOrder, Room},
    task::TaskId,
};

/// Tells how far pictures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureStage {
    /// They are being read.
    Reading,
    /// They were to be read, but nobody would see them any more; an answer is still awaited.
    Stopping,
    /// They are there.
    Shown,
    /// There are none.
    Failed(PictureError),
}

/// Is a pair of pictures: what it is made from, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What was ordered.
    pub order: PictureOrder,
    /// How far it is.
    pub stage: PictureStage,
}

/// Is the core's side of pictures. One order at most is under way.
#[derive(Debug, Clone, Default)]
pub struct Pictures {
    pub(in crate::app) last: Option<Picture>,
    pub(in crate::app) room: Option<Room>,
    pub(in crate::app) number: PictureNumber,
}

impl Pictures {
    /// Returns what is last known of a task's pictures.
    pub(super) fn of(&self, task: &TaskId) -> Option<&Picture> {
        self.last.as_ref().filter(|last| last.order.task == *task)
    }

    /// Returns why a task has no pictures, as far as that is known.
    pub(super) fn error(&self, task: &TaskId) -> Option<PictureError> {
        let last = self.last.as_ref()?;
        match last.stage {
            PictureStage::Failed(error) if error.is_everywhere() || last.order.task == *task => {
                Some(error)
            }
            PictureStage::Failed(_)
            | PictureStage::Reading
            | PictureStage::Stopping
            | PictureStage::Shown => None,
        }
    }

    /// Returns the room for each picture, as last measured.
    pub(super) const fn room(&self) -> Option<Room> {
        self.room
    }

    /// Returns what pictures of a task, in the room there is, are to be made from.
    pub(super) fn order(&self, comparison: Comparison) -> Option<PictureOrder> {
        let file = |clip: Clip| clip.file;
        Some(PictureOrder {
            number: self.number.next(),
            result: comparison.results.into_iter().find_map(file)?,
            input: comparison.inputs.into_iter().next()?,
            task: comparison.task,
            room: self.room?,
        })
    }
}
