//! Asks a task whether it passes a query, and when time alone will change the answer.

use std::{borrow::Cow, cmp::Ordering, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::language::{Comparison, Query, SpanField, StateWord, Term, Test, TextField};
use crate::domain::{
    estimate::Estimate,
    fuzzy::{Needle, Searcher},
    report::PollError,
    status::{self, EXPIRING, Keeping, LinkLife, Status, Tab},
    task::TaskState,
    text::CleanText,
    time::{self, Now},
    watched::Watched,
    watchlist::Watchlist,
};

/// From how many characters on a word may stand anywhere in an id; a shorter one must begin it, for short words of
/// hexadecimal digits are in every other id.
const ANYWHERE_IN_ID: usize = 4;

/// Is what a test must know beside the task.
#[derive(Debug, Clone, Copy)]
pub struct Sight {
    /// What to expect of a running task.
    pub estimate: Estimate,
    /// How long results live.
    pub retention: Duration,
    /// The present.
    pub now: Now,
}

impl Sight {
    /// Returns what a list knows at a time.
    pub fn of(list: &Watchlist, now: Now) -> Self {
        Self {
            estimate: list.run_times().estimate(),
            retention: list.retention(),
            now,
        }
    }
}

impl Query {
    /// Reports whether a task passes every test.
    pub fn accepts(&self, watched: &Watched, sight: &Sight, searcher: &mut Searcher) -> bool {
        // What costs a look comes before what costs a search.
        let looks = self.terms.iter().filter(|term| !term.test.is_search());
        let finds = self.terms.iter().filter(|term| term.test.is_search());
        looks
            .chain(finds)
            .all(|term| term.accepts(watched, sight, searcher))
    }

    /// Reports whether it asks who is late, which other tasks' run times decide as well.
    pub(super) fn asks_for_late(&self) -> bool {
        self.terms
            .iter()
            .any(|term| term.test.states().contains(&StateWord::Late))
    }

    /// Reports whether time alone may change an answer.
    pub(super) fn asks_for_time(&self) -> bool {
        self.terms.iter().any(|term| match &term.test {
            Test::State(_)
            | Test::Word(_, Some(_))
            | Test::Span(SpanField::Age | SpanField::Left, ..) => true,
            Test::Span(SpanField::Took, ..)
            | Test::Word(_, None)
            | Test::Phrase(_)
            | Test::Text(..)
            | Test::Code(_)
            | Test::CodeNumber(..) => false,
        })
    }

    /// Returns when time alone may change the answer about a task.
    pub(super) fn next_turn(&self, watched: &Watched, sight: &Sight) -> Option<Timestamp> {
        self.terms
            .iter()
            .filter_map(|term| term.test.next_turn(watched, sight))
            .min()
    }

    /// Returns which graphemes of a task's title are what was looked for, in order, each once.
    pub fn places(&self, title: &str, searcher: &mut Searcher) -> Vec<u32> {
        let mut places = Vec::new();
        for term in self.terms.iter().filter(|term| !term.is_negated) {
            match &term.test {
                Test::Word(needle, _)
                | Test::Phrase(needle)
                | Test::Text(TextField::Label | TextField::Prompt, needle) => {
                    places.extend_from_slice(searcher.places(needle, title));
                }
                Test::Text(TextField::Id | TextField::Error, _)
                | Test::State(_)
                | Test::Code(_)
                | Test::CodeNumber(..)
                | Test::Span(..) => {}
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

impl Term {
    fn accepts(&self, watched: &Watched, sight: &Sight, searcher: &mut Searcher) -> bool {
        self.test.holds(watched, sight, searcher) != self.is_negated
    }
}

impl Test {
    /// Returns the states it asks for.
    fn states(&self) -> &[StateWord] {
        match self {
            Self::State(words) => words,
            Self::Word(_, state) => state.as_slice(),
            Self::Phrase(_)
            | Self::Text(..)
            | Self::Code(_)
            | Self::CodeNumber(..)
            | Self::Span(..) => &[],
        }
    }

    const fn is_search(&self) -> bool {
        match self {
            Self::Word(..) | Self::Phrase(_) | Self::Text(..) => true,
            Self::State(_) | Self::Code(_) | Self::CodeNumber(..) | Self::Span(..) => false,
        }
    }

    fn holds(&self, watched: &Watched, sight: &Sight, searcher: &mut Searcher) -> bool {
        match self {
            Self::Word(needle, _) | Self::Phrase(needle) => {
                let is_in = |word: &StateWord| word.holds(watched, sight);
                if self.states().iter().any(is_in) {
                    return true;
                }
                let holds = |field| text_holds(field, needle, watched, searcher);
                [TextField::Label, TextField::Prompt, TextField::Error]
                    .into_iter()
                    .any(holds)
                    || id_holds(needle, watched)
            }
            Self::Text(field, needle) => text_holds(*field, needle, watched, searcher),
            Self::State(words) => words.iter().any(|word| word.holds(watched, sight)),
            Self::Code(needle) => {
                codes(watched).any(|code| code.eq_ignore_ascii_case(needle.as_str()))
            }
            Self::CodeNumber(how, than) => codes(watched)
                .filter_map(|code| code.parse::<i64>().ok())
                .any(|code| how.holds(code.cmp(than))),
            Self::Span(field, how, than) => field
                .of(watched, sight)
                .is_some_and(|span| how.holds(span.cmp(than))),
        }
    }

    fn next_turn(&self, watched: &Watched, sight: &Sight) -> Option<Timestamp> {
        let now = sight.now.wall;
        let ends = status::expires_at(&watched.task, sight.retention);
        let before_end = |by| {
            let by = SignedDuration::try_from(by).ok()?;
            ends?.checked_sub(by).ok()
        };
        let turns = match self {
            Self::State(_) | Self::Word(_, Some(_)) => {
                let is_running = matches!(watched.task.state(), TaskState::Running { .. });
                let created = watched.task.facts().created.filter(|_| is_running);
                let late = created.map(|created| sight.estimate.late_from(created));
                [late, before_end(EXPIRING), ends]
            }
            Self::Span(SpanField::Age, _, than) => {
                [Some(time::later(watched.submitted(), *than)), None, None]
            }
            Self::Span(SpanField::Left, _, than) => [before_end(*than), ends, None],
            Self::Span(SpanField::Took, ..)
            | Self::Word(_, None)
            | Self::Phrase(_)
            | Self::Text(..)
            | Self::Code(_)
            | Self::CodeNumber(..) => [None; 3],
        };
        // "Less" turns at its moment, "at most" just past it.
        let past = |at: Timestamp| time::later(at, Duration::from_nanos(1));
        turns
            .into_iter()
            .flatten()
            .flat_map(|at| [at, past(at)])
            .filter(|at| *at > now)
            .min()
    }
}

impl StateWord {
    fn holds(self, watched: &Watched, sight: &Sight) -> bool {
        let task = &watched.task;
        let link = || watched.link_life(sight.retention, sight.now);
        match self {
            Self::New
            | Self::Generating
            | Self::Succeeded
            | Self::Rescued
            | Self::Failed
            | Self::NotFound
            | Self::Unknown => task.state().name() == self.name(),
            Self::Active => watched.tab() == Tab::Active,
            Self::Ready => watched.tab() == Tab::Ready,
            Self::Late => {
                let Sight {
                    estimate,
                    retention,
                    now,
                } = sight;
                watched.status(estimate, *retention, *now) == Status::Late
            }
            Self::Expiring => matches!(link(), LinkLife::Left(left) if left <= EXPIRING),
            Self::Expired => link() == LinkLife::Gone,
            Self::Saved => watched.keeping() == Keeping::OnDisk,
        }
    }
}

impl SpanField {
    fn of(self, watched: &Watched, sight: &Sight) -> Option<Duration> {
        match self {
            Self::Took => watched.task.took(),
            Self::Age => Some(sight.now.age_of(watched.submitted())),
            Self::Left => match watched.link_life(sight.retention, sight.now) {
                LinkLife::Left(left) => Some(left),
                LinkLife::None | LinkLife::Saved | LinkLife::Gone | LinkLife::Unknown => None,
            },
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::More => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

fn text_holds(
    field: TextField,
    needle: &Needle,
    watched: &Watched,
    searcher: &mut Searcher,
) -> bool {
    let facts = watched.task.facts();
    let mut finds = |text: &Option<CleanText>| {
        text.as_ref()
            .is_some_and(|text| searcher.finds(needle, text.as_str()))
    };
    match field {
        TextField::Label => finds(&watched.label),
        TextField::Prompt => finds(&facts.prompt),
        TextField::Id => searcher.finds(needle, watched.id().as_str()),
        TextField::Error => {
            finds(&facts.error_message)
                || finds(&facts.error_code)
                || watched
                    .check_message()
                    .is_some_and(|message| searcher.finds(needle, &message))
        }
    }
}

/// Reports whether a word begins the id, or stands in it when it is long enough to mean something there.
fn id_holds(needle: &Needle, watched: &Watched) -> bool {
    let (id, word) = (watched.id().as_str().as_bytes(), needle.as_str().as_bytes());
    let is_here = |part: &[u8]| part.eq_ignore_ascii_case(word);
    id.get(..word.len()).is_some_and(is_here)
        || (word.len() >= ANYWHERE_IN_ID && id.windows(word.len()).any(is_here))
}

fn last_error(watched: &Watched) -> Option<&PollError> {
    watched
        .freshness
        .last_error
        .as_ref()
        .map(|failed| &failed.error)
}

/// Returns the codes a task is known by: the server's for its failure, and that of the last failed check.
fn codes(watched: &Watched) -> impl Iterator<Item = Cow<'_, str>> {
    let failed = watched.task.facts().error_code.as_ref();
    let check = last_error(watched).and_then(PollError::code);
    failed
        .map(|code| code.as_str().into())
        .into_iter()
        .chain(check.map(|code| code.to_string().into()))
}
