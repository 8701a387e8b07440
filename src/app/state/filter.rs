//! The line a filter is typed into: its text, what is wrong with it, and where one was before.

use tui_input::{Input, InputRequest};

use super::line::{insert, paste};
use crate::domain::{
    query::{LONGEST_QUERY, Query, QueryError},
    task::TaskId,
};

/// Is the line.
#[derive(Debug, Clone, Default)]
pub struct FilterLine {
    input: Input,
    fault: Option<QueryError>,
    /// Where one was: a filter widened again, or taken off, comes back there.
    place: Place,
    /// How many filters back one is; none: in what was typed.
    back: usize,
    /// What was typed before one went back.
    typed: String,
}

/// Is a way to go through earlier filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To the one before.
    Earlier,
    /// To the one after; after the last is what was typed.
    Later,
}

/// Is a place in the list, by ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The selected row.
    pub selected: Option<TaskId>,
    /// The first row seen.
    pub first: Option<TaskId>,
}

/// Is where one was before a filter that is kept took the selection elsewhere.
#[derive(Debug, Clone)]
pub struct Former {
    /// Where that was.
    pub place: Place,
    /// The row that was selected instead; whoever has left it since stays where they are.
    pub instead: Option<TaskId>,
}

impl FilterLine {
    /// Returns a line with a filter in it, opened at that place.
    pub(in crate::app) fn open(query: &Query, place: Place) -> Self {
        Self {
            input: Input::from(query.to_string()),
            place,
            ..Self::default()
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

    /// Returns where one was when the line was opened.
    pub(in crate::app) const fn place(&self) -> &Place {
        &self.place
    }

    /// Notes that another row was selected by hand.
    pub(in crate::app) fn select(&mut self, id: Option<TaskId>) {
        self.place.selected = id;
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
        paste(&mut self.input, line, LONGEST_QUERY);
        self.read()
    }

    /// Has an earlier filter in the line, likewise; `past` has the latest last. Nothing where there is none.
    pub(in crate::app) fn recall(&mut self, past: &[String], step: Step) -> Option<Query> {
        if self.back == 0 {
            self.typed = self.input.value().to_owned();
        }
        let (back, text) = match step {
            // The one that is in the line already is no other.
            Step::Earlier => (self.back + 1..)
                .zip(past.iter().rev().skip(self.back))
                .find(|(_, text)| *text != self.input.value())?,
            Step::Later => match self.back.checked_sub(1)? {
                0 => (0, &self.typed),
                back => (back, past.iter().rev().nth(back - 1)?),
            },
        };
        self.input = Input::from(text.clone());
        self.back = back;
        Some(self.understand())
    }

    fn read(&mut self) -> Query {
        self.back = 0;
        self.understand()
    }

    fn understand(&mut self) -> Query {
        let (query, fault) = Query::parse_typed(self.input.value());
        self.fault = fault;
        query
    }
}
