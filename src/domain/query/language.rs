//! The terms of the filter language, and how they are written.

use std::{fmt, time::Duration};

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{duration_text::HumanDuration, fuzzy::SearchPattern};

/// A filter: all of its tests must match. An empty one matches every task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    pub(super) terms: Vec<FilterTerm>,
}

impl Query {
    /// Returns the filter for tasks in one of these states; without any, the empty filter.
    pub fn any_state(states: &[StateWord]) -> Self {
        let term = FilterTerm {
            is_negated: false,
            test: FilterTest::State(states.to_vec()),
        };
        Self {
            terms: (!states.is_empty()).then_some(term).into_iter().collect(),
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// A test or its negation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilterTerm {
    pub(super) is_negated: bool,
    pub(super) test: FilterTest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FilterTest {
    /// A word in label, prompt, id or error. The name of a state also matches the tasks in it.
    Word(SearchPattern, Option<StateWord>),
    /// A text in quotes, in the same places.
    Phrase(SearchPattern),
    Text(TextField, SearchPattern),
    State(Vec<StateWord>),
    /// An error code as text.
    Code(SearchPattern),
    /// An error code as a number.
    CodeNumber(CompareOp, i64),
    Duration(DurationField, CompareOp, Duration),
}

/// A field with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextField {
    Label,
    Prompt,
    Id,
    Error,
}

/// A field with a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationField {
    /// The run time of a finished task.
    Took,
    Age,
    /// The remaining time of the link.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterField {
    Text(TextField),
    Duration(DurationField),
    State,
    Code,
}

impl FilterField {
    /// The fields in the order of error messages, with their names and an example of their use.
    pub const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::State, "state", "state:failed"),
        (Self::Code, "code", "code:501"),
        (Self::Text(TextField::Label), "label", "label:campaign"),
        (
            Self::Text(TextField::Prompt),
            "prompt",
            "prompt:\"slow pan\"",
        ),
        (Self::Text(TextField::Id), "id", "id:774d"),
        (Self::Text(TextField::Error), "error", "error:person"),
        (Self::Duration(DurationField::Took), "took", "took:>5m"),
        (Self::Duration(DurationField::Age), "age", "age:<2h"),
        (Self::Duration(DurationField::Left), "left", "left:<2d"),
    ];

    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(field, ..)| *field == self)
            .map_or("", |(_, name, _)| name)
    }

    /// Returns an example of its use.
    pub fn example(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(field, ..)| *field == self)
            .map_or("", |(.., example)| example)
    }
}

/// A state in the filter language: those of JSON, and those on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", ascii_case_insensitive)]
pub enum StateWord {
    New,
    Generating,
    Late,
    Active,
    Succeeded,
    Ready,
    Rescued,
    Failed,
    NotFound,
    Unknown,
    Expiring,
    Expired,
    Saved,
}

impl StateWord {
    /// In the order of error messages and help.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the word; for a state of JSON, its name there.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompareOp {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl CompareOp {
    /// Longer signs come before their prefixes.
    pub(super) const ALL: [Self; 4] = [Self::AtMost, Self::AtLeast, Self::Less, Self::More];

    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// Formats the query so that parsing gives the same one.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            if term.is_negated {
                f.write_str("!")?;
            }
            write_test(f, &term.test)?;
        }
        Ok(())
    }
}

fn write_test(f: &mut fmt::Formatter<'_>, test: &FilterTest) -> fmt::Result {
    match test {
        FilterTest::Word(word, _) => f.write_str(word.as_str()),
        FilterTest::Phrase(phrase) => write_quoted(f, phrase.as_str()),
        FilterTest::Text(field, value) => {
            write!(f, "{}:", FilterField::Text(*field).name())?;
            write_value(f, value.as_str())
        }
        FilterTest::State(words) => {
            let names: Vec<_> = words.iter().map(|word| word.name()).collect();
            write!(f, "{}:{}", FilterField::State.name(), names.join(","))
        }
        FilterTest::Code(value) => {
            write!(f, "{}:", FilterField::Code.name())?;
            write_value(f, value.as_str())
        }
        FilterTest::CodeNumber(op, number) => {
            write!(f, "{}:{}{number}", FilterField::Code.name(), op.sign())
        }
        FilterTest::Duration(field, op, duration) => {
            write!(f, "{}:{}", FilterField::Duration(*field).name(), op.sign())?;
            write!(f, "{}", HumanDuration(*duration))
        }
    }
}

/// Writes a value, in quotes if it needs them.
fn write_value(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.contains(char::is_whitespace) || text.starts_with(['"', '<', '>']) {
        write_quoted(f, text)
    } else {
        f.write_str(text)
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    write!(f, "\"{escaped}\"")
}
