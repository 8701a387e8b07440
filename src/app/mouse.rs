//! The mouse in the core's words: what was done, and what it was done to. Where things stand is the
//! screen's business.

use super::{keymap::Action, state::DetailPage};
use crate::domain::{query::SortColumn, status::Tab, task::TaskId};

/// What the mouse did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseAction {
    /// The main button went down.
    Press,
    /// The wheel turned towards the user: what is below comes up.
    WheelDown,
    /// The wheel turned away from the user.
    WheelUp,
}

/// What lies under the pointer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HitTarget {
    /// Nothing that takes a click.
    #[default]
    Nothing,
    /// Everything around the box that has the keyboard.
    OutsideDialog,
    /// The list, beside its rows.
    List,
    /// A text that can be scrolled, or the inside of a box.
    Text,
    /// The row of a task.
    Task(TaskId),
    /// A state tab.
    Tab(Tab),
    /// The head of a column that orders the list.
    ColumnHead(SortColumn),
    /// The name of a page of the detail.
    Page(DetailPage),
    /// A hint: a key with its word.
    Hint(Action),
    /// A line of the box, counted from zero.
    DialogLine(usize),
}
