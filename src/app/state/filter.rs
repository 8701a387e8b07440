//! The line a filter is typed into: its text, what is wrong with it, and where one was before.

use tui_input::{Input, InputRequest};

use super::line::{insert, paste};
use crate::domain::{
    query::{MAX_QUERY_LEN, Query, QueryError},
    task::TaskId,
};

/// The line.
#[derive(Debug, Clone, Default)]
pub struct FilterLine {
    input: Input,
    error: Option<QueryError>,
    /// Where one was: a filter widened again, or taken off, comes back there.
    origin: ListPosition,
    /// How many filters back one is; none: in what was typed.
    history_index: usize,
    /// What was typed before one went back.
    typed: String,
}

/// A way to go through earlier filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryStep {
    /// To the one before.
    Earlier,
    /// To the one after; after the last is what was typed.
    Later,
}

/// A place in the list, by ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPosition {
    /// The selected row.
    pub selected: Option<TaskId>,
    /// The first row seen.
    pub first: Option<TaskId>,
}

/// Where one was before a filter that is kept took the selection elsewhere.
#[derive(Debug, Clone)]
pub struct PreviousPosition {
    /// Where that was.
    pub position: ListPosition,
    /// The row that was selected instead; whoever has left it since stays where they are.
    pub selected_after: Option<TaskId>,
}

impl FilterLine {
    /// Returns a line with a filter in it, opened at that place.
    pub(in crate::app) fn open(query: &Query, place: ListPosition) -> Self {
        Self {
            input: Input::from(query.to_string()),
            origin: place,
            ..Self::default()
        }
    }

    /// Returns the text and its cursor.
    pub const fn input(&self) -> &Input {
        &self.input
    }

    /// Returns what is wrong with the text; the list then shows what the rest of it lets through.
    pub const fn error(&self) -> Option<&QueryError> {
        self.error.as_ref()
    }

    /// Returns where one was when the line was opened.
    pub(in crate::app) const fn origin(&self) -> &ListPosition {
        &self.origin
    }

    /// Notes that another row was selected by hand.
    pub(in crate::app) fn select(&mut self, id: Option<TaskId>) {
        self.origin.selected = id;
    }

    /// Types a character; returns the filter that what can be read of the line is.
    pub(in crate::app) fn insert(&mut self, c: char) -> Query {
        insert(&mut self.input, c, MAX_QUERY_LEN);
        self.reparse()
    }

    /// Edits the line, likewise.
    pub(in crate::app) fn edit(&mut self, edit: InputRequest) -> Query {
        self.input.handle(edit);
        self.reparse()
    }

    /// Types the first line of a pasted text, likewise.
    pub(in crate::app) fn paste(&mut self, text: &str) -> Query {
        let line = text.trim_start().lines().next().unwrap_or_default();
        paste(&mut self.input, line, MAX_QUERY_LEN);
        self.reparse()
    }

    /// Has an earlier filter in the line, likewise; `past` has the latest last. Nothing where there
    /// is none.
    pub(in crate::app) fn step_history(
        &mut self,
        past: &[String],
        step: HistoryStep,
    ) -> Option<Query> {
        if self.history_index == 0 {
            self.typed = self.input.value().to_owned();
        }
        let (back, text) = match step {
            // The one that is in the line already is no other.
            HistoryStep::Earlier => (self.history_index + 1..)
                .zip(past.iter().rev().skip(self.history_index))
                .find(|(_, text)| *text != self.input.value())?,
            HistoryStep::Later => match self.history_index.checked_sub(1)? {
                0 => (0, &self.typed),
                back => (back, past.iter().rev().nth(back - 1)?),
            },
        };
        self.input = Input::from(text.clone());
        self.history_index = back;
        Some(self.parse())
    }

    fn reparse(&mut self) -> Query {
        self.history_index = 0;
        self.parse()
    }

    fn parse(&mut self) -> Query {
        let (query, fault) = Query::parse_typed(self.input.value());
        self.error = fault;
        query
    }
}
