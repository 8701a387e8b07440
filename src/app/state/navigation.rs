//! Where the user is: screen, selection, marks and scroll offsets.

use super::{filter::PreviousPosition, marks::Marks, screen::MainScreen};
use crate::domain::task::TaskId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    pub width: u16,
    pub height: u16,
    /// Rows that the list has on the screen.
    pub page: u16,
}

/// The position in the list and on the screens.
#[derive(Debug, Clone, Default)]
pub struct Navigation {
    pub(in crate::app) selected: Option<TaskId>,
    pub(in crate::app) previous_position: Option<PreviousPosition>,
    pub(in crate::app) marks: Marks,
    /// Index of the first visible row.
    pub(in crate::app) top: usize,
    /// The row of the task in the details, once that task has left the tab.
    pub(in crate::app) vacated_row: Option<usize>,
    /// Whether the user has given input; until then the list stays at its top.
    pub(in crate::app) has_input: bool,
    pub(in crate::app) size: Size,
    pub(in crate::app) max_scroll: u16,
    pub(in crate::app) screen: MainScreen,
    pub(in crate::app) raw_opened_from: Option<MainScreen>,
}
