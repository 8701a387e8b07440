//! The filter line: its text, the error in it, and the list position to return to.

use tui_input::{Input, InputRequest};

use super::line::{insert, paste};
use crate::domain::{
    query::{MAX_QUERY_LEN, Query, QueryError},
    task::TaskId,
};

#[derive(Debug, Clone, Default)]
pub struct FilterLine {
    input: Input,
    error: Option<QueryError>,
    /// The list position before the filter; widening or clearing the filter returns to it.
    origin: ListPosition,
    /// Steps back in the history; zero is the typed text.
    history_index: usize,
    /// The typed text, kept while the history is shown.
    typed: String,
}

/// A step through the filter history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryStep {
    Earlier,
    /// To the next filter; after the last one comes the typed text.
    Later,
}

/// A position in the list, by ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPosition {
    pub selected: Option<TaskId>,
    /// The first visible row.
    pub first: Option<TaskId>,
}

/// The position before an accepted filter moved the selection.
#[derive(Debug, Clone)]
pub struct PreviousPosition {
    pub position: ListPosition,
    /// The row that the filter selected. If the user has moved on since, the selection stays.
    pub selected_after: Option<TaskId>,
}

impl FilterLine {
    /// Opens the line with a filter in it, at a list position.
    pub(in crate::app) fn open(query: &Query, position: ListPosition) -> Self {
        Self {
            input: Input::from(query.to_string()),
            origin: position,
            ..Self::default()
        }
    }

    pub const fn input(&self) -> &Input {
        &self.input
    }

    /// Returns the error in the text; the list then shows the matches of the valid part.
    pub const fn error(&self) -> Option<&QueryError> {
        self.error.as_ref()
    }

    pub(in crate::app) const fn origin(&self) -> &ListPosition {
        &self.origin
    }

    /// Records that the user selected another row.
    pub(in crate::app) fn select(&mut self, id: Option<TaskId>) {
        self.origin.selected = id;
    }

    /// Types a character; returns the filter of the valid part of the line.
    pub(in crate::app) fn insert(&mut self, c: char) -> Query {
        insert(&mut self.input, c, MAX_QUERY_LEN);
        self.reparse()
    }

    /// Edits the line; returns the filter as [`insert`](Self::insert) does.
    pub(in crate::app) fn edit(&mut self, edit: InputRequest) -> Query {
        self.input.handle(edit);
        self.reparse()
    }

    /// Pastes the first line of a text; returns the filter as [`insert`](Self::insert) does.
    pub(in crate::app) fn paste(&mut self, text: &str) -> Query {
        let line = text.trim_start().lines().next().unwrap_or_default();
        paste(&mut self.input, line, MAX_QUERY_LEN);
        self.reparse()
    }

    /// Puts another filter of the history into the line and returns it; `None` at the end of the
    /// history. `past` has the latest filter last.
    pub(in crate::app) fn step_history(
        &mut self,
        past: &[String],
        step: HistoryStep,
    ) -> Option<Query> {
        if self.history_index == 0 {
            self.typed = self.input.value().to_owned();
        }
        let (index, text) = match step {
            // Skip a filter that equals the current text.
            HistoryStep::Earlier => (self.history_index + 1..)
                .zip(past.iter().rev().skip(self.history_index))
                .find(|(_, text)| *text != self.input.value())?,
            HistoryStep::Later => match self.history_index.checked_sub(1)? {
                0 => (0, &self.typed),
                index => (index, past.iter().rev().nth(index - 1)?),
            },
        };
        self.input = Input::from(text.clone());
        self.history_index = index;
        Some(self.parse())
    }

    fn reparse(&mut self) -> Query {
        self.history_index = 0;
        self.parse()
    }

    fn parse(&mut self) -> Query {
        let (query, error) = Query::parse_typed(self.input.value());
        self.error = error;
        query
    }
}
