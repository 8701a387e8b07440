//! The parser of the filter language. Total: each text is a query, or an error with its position
//! and a helpful message.

use std::{ops::Range, time::Duration};

use super::language::{
    CompareOp, DurationField, FilterField, FilterTerm, FilterTest, Query, StateWord,
};
use crate::domain::{
    duration_text::{self, BareNumber, DurationError},
    fuzzy::SearchPattern,
};

/// The longest query accepted, in bytes.
pub const MAX_QUERY_LEN: usize = 1024;

/// An error in a query and its position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct QueryError {
    /// Bytes of the query, at character boundaries.
    pub at: Range<usize>,
    pub problem: QueryProblem,
}

/// The reason why a query is invalid. The texts are in `messages::errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryProblem {
    TooLong,
    /// `!` without a term.
    EmptyNegation,
    EmptyQuotes,
    UnclosedQuotes,
    MissingValue(FilterField),
    UnknownField(String),
    UnknownState(String),
    CodeNotANumber,
    /// A duration is compared, never equal.
    MissingOperator(FilterField),
    MissingDuration(FilterField),
    InvalidDuration(String),
    MissingUnit(String),
}

impl Query {
    /// Parses a query. Fields, states and units may be in any case.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        match Self::parse_typed(text) {
            (query, None) => Ok(query),
            (_, Some(error)) => Err(error),
        }
    }

    /// Parses the valid terms of a query that is still being typed, and returns the first error.
    pub fn parse_typed(text: &str) -> (Self, Option<QueryError>) {
        let mut terms = Vec::new();
        if text.len() > MAX_QUERY_LEN {
            let error = QueryError {
                at: text.floor_char_boundary(MAX_QUERY_LEN)..text.len(),
                problem: QueryProblem::TooLong,
            };
            return (Self { terms }, Some(error));
        }
        let mut reader = QueryParser { text, at: 0 };
        let mut first_error = None;
        loop {
            reader.skip(char::is_whitespace);
            if reader.rest().is_empty() {
                return (Self { terms }, first_error);
            }
            match reader.term() {
                Ok(term) => terms.push(term),
                Err(error) => {
                    reader.at = reader.at.max(error.at.end);
                    reader.skip(|c| !c.is_whitespace());
                    first_error = first_error.or(Some(error));
                }
            }
        }
    }
}

/// A part of the query with its position.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    start: usize,
}

impl Piece<'_> {
    const fn end(&self) -> usize {
        self.start + self.text.len()
    }

    const fn error(&self, problem: QueryProblem) -> QueryError {
        QueryError {
            at: self.start..self.end(),
            problem,
        }
    }
}

struct QueryParser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> QueryParser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Consumes characters while `predicate` holds.
    fn skip(&mut self, predicate: impl Fn(char) -> bool) -> Piece<'a> {
        let rest = self.rest();
        let end = rest.find(|c| !predicate(c)).unwrap_or(rest.len());
        let piece = Piece {
            text: rest.get(..end).unwrap_or_default(),
            start: self.at,
        };
        self.at = piece.end();
        piece
    }

    fn term(&mut self) -> Result<FilterTerm, QueryError> {
        let signs = self.skip(|c| c == '!');
        if self.rest().chars().next().is_none_or(char::is_whitespace) {
            return Err(signs.error(QueryProblem::EmptyNegation));
        }
        Ok(FilterTerm {
            is_negated: signs.text.len() % 2 == 1,
            test: self.test()?,
        })
    }

    fn test(&mut self) -> Result<FilterTest, QueryError> {
        if self.rest().starts_with('"') {
            return Ok(FilterTest::Phrase(SearchPattern::literal(&self.quoted()?)));
        }
        let word = self.skip(|c| !c.is_whitespace());
        let Some((name, _)) = word
            .text
            .split_once(':')
            .filter(|(name, _)| is_field_name(name))
        else {
            let state = word.text.parse().ok();
            return Ok(FilterTest::Word(SearchPattern::fuzzy(word.text), state));
        };
        let name = Piece {
            text: name,
            start: word.start,
        };
        let field = field(name)?;
        self.at = name.end() + 1;
        self.field(field, name)
    }

    fn field(&mut self, field: FilterField, name: Piece<'_>) -> Result<FilterTest, QueryError> {
        let is_quoted = self.rest().starts_with('"');
        let start = self.at;
        let quoted;
        let value = if is_quoted {
            quoted = self.quoted()?;
            Piece {
                text: &quoted,
                start,
            }
        } else {
            self.skip(|c| !c.is_whitespace())
        };
        if value.text.is_empty() {
            return Err(QueryError {
                at: name.start..start,
                problem: QueryProblem::MissingValue(field),
            });
        }
        let test = match field {
            FilterField::Text(field) => {
                Ok(FilterTest::Text(field, SearchPattern::literal(value.text)))
            }
            FilterField::State => states(value).map(FilterTest::State),
            FilterField::Code if is_quoted => {
                Ok(FilterTest::Code(SearchPattern::literal(value.text)))
            }
            FilterField::Code => code(value),
            FilterField::Duration(field) => compared(field, value),
        };
        test.map_err(|error| QueryError {
            // Within quotes, positions would have to count the backslashes.
            at: if is_quoted { start..self.at } else { error.at },
            ..error
        })
    }

    /// Consumes a text in quotes. In it, a backslash escapes a quote or a backslash.
    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let mut text = String::new();
        let mut is_escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                '"' if !is_escaped => {
                    self.at = start + at + 1;
                    if text.is_empty() {
                        let at = start..self.at;
                        let problem = QueryProblem::EmptyQuotes;
                        return Err(QueryError { at, problem });
                    }
                    return Ok(text);
                }
                '\\' if !is_escaped => is_escaped = true,
                c => {
                    if is_escaped && !matches!(c, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                    is_escaped = false;
                }
            }
        }
        Err(QueryError {
            at: start..self.text.len(),
            problem: QueryProblem::UnclosedQuotes,
        })
    }
}

/// Reports whether the text before a colon looks like the name of a field: `12:30` and `:` are
/// words.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphabetic() || c == '_')
}

fn field(name: Piece<'_>) -> Result<FilterField, QueryError> {
    let lower = name.text.to_lowercase();
    let known = FilterField::ALL
        .iter()
        .find(|(_, known, _)| *known == lower);
    let unknown = || name.error(QueryProblem::UnknownField(name.text.to_owned()));
    known.map(|(field, ..)| *field).ok_or_else(unknown)
}

fn states(value: Piece<'_>) -> Result<Vec<StateWord>, QueryError> {
    let mut states = Vec::new();
    let mut start = value.start;
    for text in value.text.split(',') {
        let piece = Piece { text, start };
        start = piece.end() + 1;
        let state = state(piece.or_else(value))?;
        if !states.contains(&state) {
            states.push(state);
        }
    }
    Ok(states)
}

fn state(piece: Piece<'_>) -> Result<StateWord, QueryError> {
    let known = piece.text.replace(['-', ' '], "_").parse();
    let unknown = |_error| piece.error(QueryProblem::UnknownState(piece.text.to_owned()));
    known.map_err(unknown)
}

fn code(value: Piece<'_>) -> Result<FilterTest, QueryError> {
    let Some((op, number)) = comparison(value) else {
        return Ok(FilterTest::Code(SearchPattern::literal(value.text)));
    };
    let Ok(operand) = number.text.parse() else {
        return Err(number.or_else(value).error(QueryProblem::CodeNotANumber));
    };
    Ok(FilterTest::CodeNumber(op, operand))
}

impl Piece<'_> {
    /// Returns the piece, or the enclosing one if it is empty.
    const fn or_else(self, outer: Self) -> Self {
        if self.text.is_empty() { outer } else { self }
    }
}

fn compared(duration_field: DurationField, value: Piece<'_>) -> Result<FilterTest, QueryError> {
    let field = FilterField::Duration(duration_field);
    let Some((op, operand)) = comparison(value) else {
        return Err(value.error(QueryProblem::MissingOperator(field)));
    };
    Ok(FilterTest::Duration(
        duration_field,
        op,
        duration(operand, field)?,
    ))
}

/// Splits off a comparison operator.
fn comparison(value: Piece<'_>) -> Option<(CompareOp, Piece<'_>)> {
    CompareOp::ALL.into_iter().find_map(|op| {
        let text = value.text.strip_prefix(op.sign())?;
        let start = value.start + op.sign().len();
        Some((op, Piece { text, start }))
    })
}

/// Parses a duration. A number needs its unit, as its meaning would be unclear.
fn duration(piece: Piece<'_>, field: FilterField) -> Result<Duration, QueryError> {
    let text = piece.text;
    duration_text::parse(text, BareNumber::Rejected).map_err(|error| match error {
        DurationError::Missing => QueryError {
            at: piece.start.saturating_sub(1)..piece.start,
            problem: QueryProblem::MissingDuration(field),
        },
        DurationError::Invalid => piece.error(QueryProblem::InvalidDuration(text.to_owned())),
        DurationError::MissingUnit => piece.error(QueryProblem::MissingUnit(text.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns a query as it is formatted again.
    fn formatted(text: &str) -> String {
        Query::parse(text).unwrap().to_string()
    }

    /// Returns the part of a query that an error is about, and its message.
    fn error(text: &str) -> (&str, String) {
        let error = Query::parse(text).unwrap_err();
        (text.get(error.at.clone()).unwrap(), error.to_string())
    }

    #[test]
    fn queries_round_trip() {
        for text in [
            "",
            "neon",
            "neon city",
            "!neon",
            "\"slow pan\"",
            "!\"a \\\"b\\\" \\\\\"",
            "state:failed",
            "!state:failed,late",
            "code:501",
            "code:>=500",
            "label:campaign",
            "prompt:\"slow pan\"",
            "took:>5m",
            "age:<=1d2h",
            "left:<2d !rain",
            "12:30",
            "5\"",
            "🚀 日本",
        ] {
            assert_eq!(formatted(text), text);
        }
        assert_eq!(formatted("  !!x \t!!!y "), "x !y");
        assert_eq!(formatted("STATE:Not-Found,not_found"), "state:not_found");
        assert_eq!(
            formatted("took:>90m age:<1W left:>0h"),
            "took:>1h30m age:<7d left:>0s"
        );
        assert_eq!(formatted("\"a\\b\""), "\"a\\\\b\"");
        assert_eq!(formatted("label:\"x\""), "label:x");
        assert_eq!(formatted("\"a\"b"), "\"a\" b");
    }

    #[test]
    fn errors_have_a_position_and_a_message() {
        let error_at = |position: &'static str, message: &str| (position, message.to_owned());
        let table = [
            (
                "neon stat:failed",
                error_at("stat", "unknown field \"stat\"; did you mean \"state\"?"),
            ),
            (
                "state:failed,redy",
                error_at("redy", "unknown state \"redy\"; did you mean \"ready\"?"),
            ),
            (
                "state:",
                error_at("state:", "state needs a value, as in state:failed"),
            ),
            (
                "took:5m",
                error_at("5m", "took needs < or >, as in took:>5m"),
            ),
            (
                "x took:>5x",
                error_at(
                    "5x",
                    "\"5x\" is not a duration; use 90s, 5m, 2h30m, 3d or 1w",
                ),
            ),
            (
                "age:<2",
                error_at("2", "\"2\" needs a unit: s, m, h, d or w"),
            ),
            ("left:<", error_at("<", "missing duration, as in left:<2d")),
            (
                "code:>x",
                error_at("x", "a code is compared with a number, as in code:>=500"),
            ),
            (
                "code:>",
                error_at(">", "a code is compared with a number, as in code:>=500"),
            ),
            (
                "a !! b",
                error_at("!!", "\"!\" needs a term, as in !state:failed"),
            ),
            ("a \"b c", error_at("\"b c", "missing closing quote")),
            ("a \"\"", error_at("\"\"", "nothing between the quotes")),
        ];
        for (text, expected) in table {
            assert_eq!(error(text), expected, "{text}");
        }
        let (position, message) = error("https://ex.com");
        assert_eq!(position, "https");
        assert!(message.ends_with("put text in quotes"), "{message}");
    }

    #[test]
    fn valid_terms_apply_while_typing() {
        let typed = |text: &str| {
            let (query, error) = Query::parse_typed(text);
            (query.to_string(), error.map(|error| error.at))
        };

        assert_eq!(typed("neon state:"), ("neon".into(), Some(5..11)));
        assert_eq!(typed("stat:x neon !"), ("neon".into(), Some(0..4)));
        assert_eq!(typed("neon \"slow"), ("neon".into(), Some(5..10)));
        assert_eq!(typed("neon slow"), ("neon slow".into(), None));
    }

    #[test]
    fn query_length_is_limited() {
        let long = "ä".repeat(5_000);

        let (position, message) = error(&long);

        assert_eq!(position.len(), 10_000 - MAX_QUERY_LEN);
        assert!(message.contains("1024"));
    }

    proptest! {
        #[test]
        fn every_text_parses_or_fails_cleanly(text in "\\PC{0,60}|[a-z!:\"<>=, \\\\0-9]{0,30}|(state|took|code|label|age):[!\"<>a-z0-9\\\\ ,]{0,12}") {
            match Query::parse(&text) {
                Ok(query) => {
                    let formatted = query.to_string();
                    prop_assert_eq!(Query::parse(&formatted), Ok(query), "{}", formatted);
                }
                Err(error) => {
                    prop_assert!(text.get(error.at.clone()).is_some_and(|part| !part.is_empty()));
                    let message = error.to_string();
                    prop_assert!(!message.ends_with('.') && !message.is_empty());
                }
            }
        }
    }
}
