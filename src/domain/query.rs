//! Which tasks are shown, and in which order: the filter language, the orders, and the view they
//! make of a list.
//!
//! A query is words and tests, all of which must hold:
//!
//! | written | means |
//! |---|---|
//! | `neon` | the letters, near each other, in label, prompt or errors; or a piece of the id |
//! | `"slow pan"` | the text as it is |
//! | `label:`, `prompt:`, `id:`, `error:` and a text | the text, there |
//! | `state:failed,late` | one of these states |
//! | `code:501`, `code:>=500` | the error code |
//! | `took:>5m`, `age:<2h`, `left:<2d` | the run time, the age, what is left of the link's life |
//! | `!` before any of it | not that |
//!
//! `language` has its words, `parse` reads it, `matching` asks a task, `order` compares two, `view`
//! keeps what is shown.

mod language;
mod matching;
mod order;
mod parse;
mod visible_rows;

pub use self::{
    language::{Query, StateWord},
    matching::FilterContext,
    order::{SortColumn, SortOrder},
    parse::{MAX_QUERY_LEN, QueryError},
    visible_rows::{ListView, RowPosition, VisibleRows, tab_count},
};
