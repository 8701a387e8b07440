//! The filter language, the sort orders, and the visible rows of the list.
//!
//! A query is a list of words and tests, all of which must match:
//!
//! | written | means |
//! |---|---|
//! | `neon` | these letters, near each other, in label, prompt or errors; or part of the id |
//! | `"slow pan"` | this text |
//! | `label:`, `prompt:`, `id:`, `error:` and a text | the text in that field |
//! | `state:failed,late` | one of these states |
//! | `code:501`, `code:>=500` | the error code |
//! | `took:>5m`, `age:<2h`, `left:<2d` | run time, age, remaining time of the link |
//! | `!` before any of them | the negation |
//!
//! `language` defines the terms, `parse` reads them, `matching` applies them to a task, `order`
//! sorts, `visible_rows` keeps the result.

mod language;
mod matching;
mod order;
mod parse;
mod visible_rows;

pub use self::{
    language::{FilterField, Query, StateWord},
    matching::FilterContext,
    order::{SortColumn, SortOrder},
    parse::{MAX_QUERY_LEN, QueryError, QueryProblem},
    visible_rows::{ListView, RowPosition, VisibleRows, tab_count},
};
