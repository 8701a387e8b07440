//! Mouse actions and their targets. `ui` maps coordinates to targets.

use super::{keymap::Action, state::DetailPage};
use crate::domain::{query::SortColumn, status::Tab, task::TaskId};

/// A mouse event without coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseAction {
    /// The primary button was pressed.
    Press,
    /// The wheel was turned towards the user: the content moves up.
    WheelDown,
    WheelUp,
}

/// The thing under the pointer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HitTarget {
    /// Nothing that can be clicked.
    #[default]
    Nothing,
    /// Anything outside the open dialog.
    OutsideDialog,
    /// The list outside its rows.
    List,
    /// Scrollable text, or the inside of a dialog.
    Text,
    Task(TaskId),
    Tab(Tab),
    /// The head of a column that the list can be sorted by.
    ColumnHead(SortColumn),
    Page(DetailPage),
    /// A key hint.
    Hint(Action),
    /// A line of the dialog, counted from zero.
    DialogLine(usize),
}
