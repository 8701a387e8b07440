//! The two pictures of the selected task: what was ordered, and how far it is.

use super::State;
use crate::domain::{
    comparison::Comparison,
    picture::{PictureError, PictureNumber, PictureOrder, Preview, Room},
};

/// Tells how far pictures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureStage {
    /// They are being read.
    Reading,
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

impl State {
    /// Reports whether room is to be left for pictures of the selected task: its result is on this disk, its input is
    /// or can be fetched, and nothing speaks against showing them.
    pub fn wants_picture(&self) -> bool {
        let failed = match &self.pictures.last {
            Some(Picture {
                order,
                stage: PictureStage::Failed(error),
            }) => error.is_everywhere() || self.is_selected(&order.task),
            Some(_) | None => false,
        };
        !failed && self.pictured().is_some()
    }

    /// Returns the room for each picture, as last measured.
    pub const fn picture_room(&self) -> Option<Room> {
        self.pictures.room
    }

    /// Returns the pictures of the selected task, as far as they are.
    pub fn picture(&self) -> Option<&Picture> {
        let last = self.pictures.last.as_ref();
        last.filter(|picture| self.is_selected(&picture.order.task))
    }

    /// Returns why the selected task has no pictures, where that is worth saying.
    pub fn picture_error(&self) -> Option<PictureError> {
        self.pictured()?;
        match self.pictures.last.as_ref()?.stage {
            PictureStage::Failed(error) if error.is_everywhere() => Some(error),
            PictureStage::Failed(error) => self.picture().map(|_| error),
            PictureStage::Reading | PictureStage::Shown => None,
        }
    }

    /// Returns what pictures of the selected task, in the room there is, are to be made from.
    pub(in crate::app) fn picture_order(&self) -> Option<PictureOrder> {
        let comparison = self.pictured().filter(|_| self.wants_picture())?;
        let result = comparison.results.into_iter().find_map(|clip| clip.file)?;
        Some(PictureOrder {
            number: self.pictures.number.next(),
            task: comparison.task,
            input: comparison.inputs.into_iter().next()?,
            result,
            room: self.pictures.room?,
        })
    }

    /// Returns the selected task's videos, when pictures are shown at all and its result is on this disk.
    fn pictured(&self) -> Option<Comparison> {
        let watched = self
            .selected()
            .filter(|_| self.settings.preview != Preview::Off)?;
        // Most tasks have nothing saved; they are done with here.
        watched.saves.there().next()?;
        Comparison::of(watched).ok()
    }
}
