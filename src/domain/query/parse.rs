//! Reads a query. Total: every text is a query, or a fault with its place and a sentence that
//! helps.

use std::{ops::Range, time::Duration};

use super::language::{
    CompareOp, DurationField, FilterField, FilterTerm, FilterTest, Query, StateWord,
};
use crate::domain::{
    duration_text::{self, BareNumber, DurationError},
    fuzzy::SearchPattern,
    suggest::did_you_mean,
};

/// The longest query read, in bytes.
pub const MAX_QUERY_LEN: usize = 1024;

/// Says what is wrong with a query, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Which bytes of the query are meant; on the borders of characters.
    pub at: Range<usize>,
    /// What is wrong and what would be right, without a full stop.
    pub message: String,
}

impl Query {
    /// Reads a query. Fields, states and units may be written in any case.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        match Self::parse_typed(text) {
            (query, None) => Ok(query),
            (_, Some(fault)) => Err(fault),
        }
    }

    /// Reads what can be read of a query that is still being typed, and says what is wrong with the
    /// rest.
    pub fn parse_typed(text: &str) -> (Self, Option<QueryError>) {
        let mut terms = Vec::new();
        if text.len() > MAX_QUERY_LEN {
            let fault = QueryError {
                at: text.floor_char_boundary(MAX_QUERY_LEN)..text.len(),
                message: format!("a filter has at most {MAX_QUERY_LEN} bytes"),
            };
            return (Self { terms }, Some(fault));
        }
        let mut reader = QueryParser { text, at: 0 };
        let mut first_fault = None;
        loop {
            reader.skip(char::is_whitespace);
            if reader.rest().is_empty() {
                return (Self { terms }, first_fault);
            }
            match reader.term() {
                Ok(term) => terms.push(term),
                Err(fault) => {
                    reader.at = reader.at.max(fault.at.end);
                    reader.skip(|c| !c.is_whitespace());
                    first_fault = first_fault.or(Some(fault));
                }
            }
        }
    }
}

/// A piece of the query with its place.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    start: usize,
}

impl Piece<'_> {
    const fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn fault(&self, message: String) -> QueryError {
        QueryError {
            at: self.start..self.end(),
            message,
        }
    }
}

/// Goes through the query.
struct QueryParser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> QueryParser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes the characters that are of a kind.
    fn skip(&mut self, is_meant: impl Fn(char) -> bool) -> Piece<'a> {
        let rest = self.rest();
        let end = rest.find(|c| !is_meant(c)).unwrap_or(rest.len());
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
            let message = "\"!\" needs what is not wanted, as in !state:failed";
            return Err(signs.fault(message.into()));
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
            let state = StateWord::parse(word.text);
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
            let message = format!("{} needs a value, as in {}", field.name(), field.example());
            return Err(QueryError {
                at: name.start..start,
                message,
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
            FilterField::Span(span) => compared(span, value),
        };
        test.map_err(|fault| QueryError {
            // Within quotes a place would have to be counted past the backslashes.
            at: if is_quoted { start..self.at } else { fault.at },
            ..fault
        })
    }

    /// Takes a text in quotes. In it, a backslash stands before a quote or a backslash that is
    /// meant.
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
                        let message = "there is nothing between the quotes".into();
                        return Err(QueryError { at, message });
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
            message: "the quotes are not closed".into(),
        })
    }
}

/// Reports whether what stands before a colon is meant as the name of a field: `12:30` and `:` are
/// words.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphabetic() || c == '_')
}

fn field(name: Piece<'_>) -> Result<FilterField, QueryError> {
    let lower = name.text.to_lowercase();
    let known = FilterField::ALL
        .into_iter()
        .find(|field| field.name() == lower);
    known.ok_or_else(|| {
        let names = || FilterField::ALL.iter().map(|field| field.name());
        let mut hint = did_you_mean(name.text, names());
        if hint.is_empty() {
            let all: Vec<_> = names().collect();
            hint = format!("; fields are {}, and a text goes in quotes", all.join(", "));
        }
        name.fault(format!("there is no field \"{}\"{hint}", name.text))
    })
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
    let lower = piece.text.to_lowercase().replace(['-', ' '], "_");
    let known = StateWord::ALL
        .into_iter()
        .find(|state| state.name() == lower);
    known.ok_or_else(|| {
        let names = || StateWord::ALL.iter().map(|state| state.name());
        let mut hint = did_you_mean(&lower, names());
        if hint.is_empty() {
            let all: Vec<_> = names().collect();
            hint = format!("; states are {}", all.join(", "));
        }
        piece.fault(format!("there is no state \"{}\"{hint}", piece.text))
    })
}

fn code(value: Piece<'_>) -> Result<FilterTest, QueryError> {
    let Some((how, number)) = comparison(value) else {
        return Ok(FilterTest::Code(SearchPattern::literal(value.text)));
    };
    let Ok(than) = number.text.parse() else {
        let message = "codes are compared with a number, as in code:>=500";
        return Err(number.or_else(value).fault(message.into()));
    };
    Ok(FilterTest::CodeNumber(how, than))
}

impl Piece<'_> {
    /// Returns the piece, or the one around it where it is empty.
    const fn or_else(self, around: Self) -> Self {
        if self.text.is_empty() { around } else { self }
    }
}

fn compared(span: DurationField, value: Piece<'_>) -> Result<FilterTest, QueryError> {
    let field = FilterField::Span(span);
    let Some((how, than)) = comparison(value) else {
        let message = format!("{} is compared, as in {}", field.name(), field.example());
        return Err(value.fault(message));
    };
    Ok(FilterTest::Span(span, how, duration(than, field)?))
}

/// Splits a sign of comparison off.
fn comparison(value: Piece<'_>) -> Option<(CompareOp, Piece<'_>)> {
    CompareOp::ALL.into_iter().find_map(|how| {
        let text = value.text.strip_prefix(how.sign())?;
        let start = value.start + how.sign().len();
        Some((how, Piece { text, start }))
    })
}

/// Reads a span of time; a bare number is none, as nobody can tell what it means.
fn duration(piece: Piece<'_>, field: FilterField) -> Result<Duration, QueryError> {
    let text = piece.text;
    duration_text::parse(text, BareNumber::Rejected).map_err(|error| match error {
        DurationError::Missing => QueryError {
            at: piece.start.saturating_sub(1)..piece.start,
            message: format!("a time is missing, as in {}", field.example()),
        },
        DurationError::Invalid => piece.fault(format!(
            "\"{text}\" is no time; write 90s, 5m, 2h30m, 3d or 1w"
        )),
        DurationError::MissingUnit => {
            piece.fault(format!("\"{text}\" lacks its unit: s, m, h, d or w"))
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns a query as it is written back.
    fn back(text: &str) -> String {
        Query::parse(text).unwrap().to_string()
    }

    /// Returns the part of a query that a fault is about, and its message.
    fn fault(text: &str) -> (&str, String) {
        let error = Query::parse(text).unwrap_err();
        (text.get(error.at.clone()).unwrap(), error.message)
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
            assert_eq!(back(text), text);
        }
        assert_eq!(back("  !!x \t!!!y "), "x !y");
        assert_eq!(back("STATE:Not-Found,not_found"), "state:not_found");
        assert_eq!(
            back("took:>90m age:<1W left:>0h"),
            "took:>1h30m age:<7d left:>0s"
        );
        assert_eq!(back("\"a\\b\""), "\"a\\\\b\"");
        assert_eq!(back("label:\"x\""), "label:x");
        assert_eq!(back("\"a\"b"), "\"a\" b");
    }

    #[test]
    fn errors_have_a_position_and_a_message() {
        let said = |place: &'static str, message: &str| (place, message.to_owned());
        let table = [
            (
                "neon stat:failed",
                said(
                    "stat",
                    "there is no field \"stat\"; did you mean \"state\"?",
                ),
            ),
            (
                "state:failed,redy",
                said(
                    "redy",
                    "there is no state \"redy\"; did you mean \"ready\"?",
                ),
            ),
            (
                "state:",
                said("state:", "state needs a value, as in state:failed"),
            ),
            ("took:5m", said("5m", "took is compared, as in took:>5m")),
            (
                "x took:>5x",
                said("5x", "\"5x\" is no time; write 90s, 5m, 2h30m, 3d or 1w"),
            ),
            ("age:<2", said("2", "\"2\" lacks its unit: s, m, h, d or w")),
            ("left:<", said("<", "a time is missing, as in left:<2d")),
            (
                "code:>x",
                said("x", "codes are compared with a number, as in code:>=500"),
            ),
            (
                "code:>",
                said(">", "codes are compared with a number, as in code:>=500"),
            ),
            (
                "a !! b",
                said("!!", "\"!\" needs what is not wanted, as in !state:failed"),
            ),
            ("a \"b c", said("\"b c", "the quotes are not closed")),
            (
                "a \"\"",
                said("\"\"", "there is nothing between the quotes"),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(fault(text), expected, "{text}");
        }
        let (place, message) = fault("https://ex.com");
        assert_eq!(place, "https");
        assert!(message.ends_with("a text goes in quotes"), "{message}");
    }

    #[test]
    fn valid_terms_apply_while_typing() {
        let typed = |text: &str| {
            let (query, fault) = Query::parse_typed(text);
            (query.to_string(), fault.map(|fault| fault.at))
        };

        assert_eq!(typed("neon state:"), ("neon".into(), Some(5..11)));
        assert_eq!(typed("stat:x neon !"), ("neon".into(), Some(0..4)));
        assert_eq!(typed("neon \"slow"), ("neon".into(), Some(5..10)));
        assert_eq!(typed("neon slow"), ("neon slow".into(), None));
    }

    #[test]
    fn query_length_is_limited() {
        let long = "ä".repeat(5_000);

        let (place, message) = fault(&long);

        assert_eq!(place.len(), 10_000 - MAX_QUERY_LEN);
        assert!(message.contains("1024"));
    }

    proptest! {
        #[test]
        fn every_text_parses_or_fails_cleanly(text in "\\PC{0,60}|[a-z!:\"<>=, \\\\0-9]{0,30}|(state|took|code|label|age):[!\"<>a-z0-9\\\\ ,]{0,12}") {
            match Query::parse(&text) {
                Ok(query) => {
                    let written = query.to_string();
                    prop_assert_eq!(Query::parse(&written), Ok(query), "{}", written);
                }
                Err(error) => {
                    prop_assert!(text.get(error.at.clone()).is_some_and(|place| !place.is_empty()));
                    prop_assert!(!error.message.ends_with('.') && !error.message.is_empty());
                }
            }
        }
    }
}
