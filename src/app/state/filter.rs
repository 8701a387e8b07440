//! The line a filter is typed into: its text, what is wrong with it, and where one was before.

use tui_input::{Input, InputRequest};

use super::line::insert;
use crate::domain::{
    query::{LONGEST_QUERY, Query, QueryError},
    task::TaskId,
    text::CleanText,
};

/// Is the line.
#[derive(Debug, Clone, Default)]
pub struct FilterLine {
    input: Input,
    fault: Option<QueryError>,
    /// The row that was selected, and the first one seen: a filter widened again comes back to them.
    selected: Option<TaskId>,
    first: Option<TaskId>,
}

impl FilterLine {
    /// Returns a line with a filter in it, opened at these rows.
    pub(in crate::app) fn open(
        query: &Query,
        selected: Option<TaskId>,
        first: Option<TaskId>,
    ) -> Self {
        Self {
            input: Input::from(query.to_string()),
            fault: None,
            selected,
            first,
        }
    }

    /// Returns the text and its cursor.
    pub const fn input(&self) -> &Input {
        &self.input
    }

    /// Returns what is wrong with the text; the list then shows what the rest of it lets through.
    pub const fn fault(&self) -> Option<&QueryError> {
        self.fault.as_ref()
    }

    /// Returns the row that was selected when the line was opened.
    pub(in crate::app) const fn selected(&self) -> Option<&TaskId> {
        self.selected.as_ref()
    }

    /// Notes that another row was selected by hand.
    pub(in crate::app) fn select(&mut self, id: Option<TaskId>) {
        self.selected = id;
    }

    /// Returns the first row seen when the line was opened.
    pub(in crate::app) const fn first(&self) -> Option<&TaskId> {
        self.first.as_ref()
    }

    /// Types a character; returns the filter that what can be read of the line is.
    pub(in crate::app) fn insert(&mut self, c: char) -> Query {
        insert(&mut self.input, c, LONGEST_QUERY);
        self.read()
    }

    /// Edits the line, likewise.
    pub(in crate::app) fn edit(&mut self, edit: InputRequest) -> Query {
        self.input.handle(edit);
        self.read()
    }

    /// Types the first line of a pasted text, likewise.
    pub(in crate::app) fn paste(&mut self, text: &str) -> Query {
        let line = text.trim_start().lines().next().unwrap_or_default();
        for c in CleanText::line(line, LONGEST_QUERY).as_str().chars() {
            insert(&mut self.input, c, LONGEST_QUERY);
        }
        self.read()
    }

    fn read(&mut self) -> Query {
        let (query, fault) = Query::parse_typed(self.input.value());
        self.fault = fault;
        query
    }
}
