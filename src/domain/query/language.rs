//! The words of the filter language, and how they are written.

use std::{fmt, time::Duration};

use crate::domain::{duration_text::HumanDuration, fuzzy::SearchPattern};

/// A filter: the tests a task must pass, all of them. The empty one lets everything through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    pub(super) terms: Vec<FilterTerm>,
}

impl Query {
    /// Returns the filter for tasks in one of these states; without any, the one that lets
    /// everything through.
    pub fn any_state(states: &[StateWord]) -> Self {
        let term = FilterTerm {
            is_negated: false,
            test: FilterTest::State(states.to_vec()),
        };
        Self {
            terms: (!states.is_empty()).then_some(term).into_iter().collect(),
        }
    }

    /// Reports whether it lets everything through.
    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

/// One test, or its opposite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilterTerm {
    pub(super) is_negated: bool,
    pub(super) test: FilterTest,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FilterTest {
    /// A word, wherever a person would look for one; one that names a state finds the tasks in it
    /// too.
    Word(SearchPattern, Option<StateWord>),
    /// A text in quotes, likewise.
    Phrase(SearchPattern),
    /// A text in one place.
    Text(TextField, SearchPattern),
    /// One of these states.
    State(Vec<StateWord>),
    /// The error code as it is spelt.
    Code(SearchPattern),
    /// The error code as a number.
    CodeNumber(CompareOp, i64),
    /// A span of time.
    Span(DurationField, CompareOp, Duration),
}

/// A place where a text may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextField {
    Label,
    Prompt,
    Id,
    Error,
}

/// A span of time of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DurationField {
    /// How long it took, once it has ended.
    Took,
    /// How long ago it began.
    Age,
    /// How long its link still lives.
    Left,
}

/// A field of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilterField {
    Text(TextField),
    Span(DurationField),
    State,
    Code,
}

impl FilterField {
    /// The fields, in the order they are named to people.
    pub(super) const ALL: [Self; 9] = [
        Self::State,
        Self::Code,
        Self::Text(TextField::Label),
        Self::Text(TextField::Prompt),
        Self::Text(TextField::Id),
        Self::Text(TextField::Error),
        Self::Span(DurationField::Took),
        Self::Span(DurationField::Age),
        Self::Span(DurationField::Left),
    ];

    /// Returns its name in the language.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Code => "code",
            Self::Text(TextField::Label) => "label",
            Self::Text(TextField::Prompt) => "prompt",
            Self::Text(TextField::Id) => "id",
            Self::Text(TextField::Error) => "error",
            Self::Span(DurationField::Took) => "took",
            Self::Span(DurationField::Age) => "age",
            Self::Span(DurationField::Left) => "left",
        }
    }

    /// Returns how it is used.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Self::State => "state:failed",
            Self::Code => "code:501",
            Self::Text(TextField::Label) => "label:campaign",
            Self::Text(TextField::Prompt) => "prompt:\"slow pan\"",
            Self::Text(TextField::Id) => "id:774d",
            Self::Text(TextField::Error) => "error:person",
            Self::Span(DurationField::Took) => "took:>5m",
            Self::Span(DurationField::Age) => "age:<2h",
            Self::Span(DurationField::Left) => "left:<2d",
        }
    }
}

/// A word for a state: those of JSON, and those on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWord {
    /// Never answered for yet.
    New,
    /// Being made.
    Generating,
    /// Being made for longer than most.
    Late,
    /// Not ended yet.
    Active,
    /// Made.
    Succeeded,
    /// Made and delivered.
    Ready,
    /// Made, only the callback failed.
    Rescued,
    /// Not made.
    Failed,
    /// Not known to the server.
    NotFound,
    /// An answer kietop does not understand.
    Unknown,
    /// Made, the link dies within two days.
    Expiring,
    /// Made, the link is gone.
    Expired,
    /// Made, every result is on this disk.
    Saved,
}

impl StateWord {
    /// The words, in the order they are named to people.
    pub const ALL: [Self; 13] = [
        Self::New,
        Self::Generating,
        Self::Late,
        Self::Active,
        Self::Succeeded,
        Self::Ready,
        Self::Rescued,
        Self::Failed,
        Self::NotFound,
        Self::Unknown,
        Self::Expiring,
        Self::Expired,
        Self::Saved,
    ];

    /// Returns the state that a bare word names, if any.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|state| state.name().eq_ignore_ascii_case(word))
    }

    /// Returns what it means, in a few words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::New => "Never answered for yet",
            Self::Generating => "Being made",
            Self::Late => "Being made for longer than most",
            Self::Active => "Not ended yet",
            Self::Succeeded => "Made",
            Self::Ready => "Made and delivered",
            Self::Rescued => "Made, only the callback failed",
            Self::Failed => "Not made",
            Self::NotFound => "Not known to the server",
            Self::Unknown => "An answer kietop does not understand",
            Self::Expiring => "Made, the link dies within two days",
            Self::Expired => "Made, the link is gone",
            Self::Saved => "Made, every result is on this disk",
        }
    }

    /// Returns the word; where JSON has the state, its word there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Generating => "generating",
            Self::Late => "late",
            Self::Active => "active",
            Self::Succeeded => "succeeded",
            Self::Ready => "ready",
            Self::Rescued => "rescued",
            Self::Failed => "failed",
            Self::NotFound => "not_found",
            Self::Unknown => "unknown",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Saved => "saved",
        }
    }
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompareOp {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl CompareOp {
    /// The comparisons; a longer sign stands before the one it begins with.
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

/// Writes the query so that parsing gives the same one again.
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
        FilterTest::CodeNumber(how, number) => {
            write!(f, "{}:{}{number}", FilterField::Code.name(), how.sign())
        }
        FilterTest::Span(field, how, span) => {
            write!(f, "{}:{}", FilterField::Span(*field).name(), how.sign())?;
            write!(f, "{}", HumanDuration(*span))
        }
    }
}

/// Writes a value, in quotes where it would not be read as one without.
fn write_value(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let is_plain = !text.chars().any(char::is_whitespace) && !text.starts_with(['"', '<', '>']);
    if is_plain {
        f.write_str(text)
    } else {
        write_quoted(f, text)
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}
