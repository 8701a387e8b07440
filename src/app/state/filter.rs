//! The filter line: its text, the error in it, and the list position to return to.

use super::line_editor::LineEditor;
use crate::domain::{
    query::{MAX_QUERY_LEN, Query, QueryError},
    task::TaskId,
};

#[derive(Debug, Clone)]
pub struct FilterLine {
    pub line: LineEditor,
    /// The error in the text; the list then shows the matches of the valid part.
    pub error: Option<QueryError>,
    /// The list position before the filter; widening or clearing the filter returns to it.
    pub(in crate::app) origin: ListPosition,
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
            line: LineEditor::new(&query.to_string(), MAX_QUERY_LEN),
            error: None,
            origin: position,
            history_index: 0,
            typed: String::new(),
        }
    }

    /// Returns the filter of the valid part of the edited line.
    pub(in crate::app) fn edited(&mut self) -> Query {
        self.history_index = 0;
        self.parse()
    }

    /// Puts another filter of the history into the line and returns it; `None` at the end of the
    /// history. `past` has the latest filter last.
    pub(in crate::app) fn step_history(
        &mut self,
        past: &[String],
        step: HistoryStep,
    ) -> Option<Query> {
        if self.history_index == 0 {
            self.line.text().clone_into(&mut self.typed);
        }
        let (index, text) = match step {
            // Skip a filter that equals the current text.
            HistoryStep::Earlier => (self.history_index + 1..)
                .zip(past.iter().rev().skip(self.history_index))
                .find(|(_, text)| *text != self.line.text())?,
            HistoryStep::Later => match self.history_index.checked_sub(1)? {
                0 => (0, &self.typed),
                index => (index, past.iter().rev().nth(index - 1)?),
            },
        };
        self.line = LineEditor::new(text, MAX_QUERY_LEN);
        self.history_index = index;
        Some(self.parse())
    }

    fn parse(&mut self) -> Query {
        let (query, error) = Query::parse_typed(self.line.text());
        self.error = error;
        query
    }
}
