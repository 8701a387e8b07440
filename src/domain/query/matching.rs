//! Asks a task whether it passes a query, and when time alone will change the answer.

use std::{borrow::Cow, cmp::Ordering, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::language::{
    CompareOp, DurationField, FilterTerm, FilterTest, Query, StateWord, TextField,
};
use crate::domain::{
    estimate::Estimate,
    fuzzy::{SearchPattern, Searcher},
    poll_result::PollError,
    status::{self, EXPIRING, LinkExpiry, ResultLocation, Status, Tab},
    task::TaskState,
    text::CleanText,
    time::{self, Now},
    watched_task::WatchedTask,
    watchlist::Watchlist,
};

/// From how many characters on a word may stand anywhere in an id; a shorter one must begin it, for
/// short words of hexadecimal digits are in every other id.
const MIN_ID_SUBSTRING_LEN: usize = 4;

/// What a test must know beside the task.
#[derive(Debug, Clone, Copy)]
pub struct FilterContext {
    /// What to expect of a running task.
    pub estimate: Estimate,
    /// How long results live.
    pub retention: Duration,
    /// The present.
    pub now: Now,
}

impl FilterContext {
    /// Returns what a list knows at a time.
    pub fn new(list: &Watchlist, now: Now) -> Self {
        Self {
            estimate: list.run_times().estimate(),
            retention: list.retention(),
            now,
        }
    }
}

impl Query {
    /// Reports whether a task passes every test.
    pub fn matches(
        &self,
        watched: &WatchedTask,
        sight: &FilterContext,
        searcher: &mut Searcher,
    ) -> bool {
        // What costs a look comes before what costs a search.
        let looks = self.terms.iter().filter(|term| !term.test.is_search());
        let finds = self.terms.iter().filter(|term| term.test.is_search());
        looks
            .chain(finds)
            .all(|term| term.matches(watched, sight, searcher))
    }

    /// Reports whether it asks who is late, which other tasks' run times decide as well.
    pub(super) fn depends_on_late(&self) -> bool {
        self.terms
            .iter()
            .any(|term| term.test.states().contains(&StateWord::Late))
    }

    /// Reports whether time alone may change an answer.
    pub(super) fn depends_on_time(&self) -> bool {
        self.terms.iter().any(|term| match &term.test {
            FilterTest::State(_)
            | FilterTest::Word(_, Some(_))
            | FilterTest::Span(DurationField::Age | DurationField::Left, ..) => true,
            FilterTest::Span(DurationField::Took, ..)
            | FilterTest::Word(_, None)
            | FilterTest::Phrase(_)
            | FilterTest::Text(..)
            | FilterTest::Code(_)
            | FilterTest::CodeNumber(..) => false,
        })
    }

    /// Returns when time alone may change the answer about a task.
    pub(super) fn next_change(
        &self,
        watched: &WatchedTask,
        sight: &FilterContext,
    ) -> Option<Timestamp> {
        self.terms
            .iter()
            .filter_map(|term| term.test.next_change(watched, sight))
            .min()
    }

    /// Returns which graphemes of a task's title are what was looked for, in order, each once.
    pub fn match_positions(&self, title: &str, searcher: &mut Searcher) -> Vec<u32> {
        let mut places = Vec::new();
        for term in self.terms.iter().filter(|term| !term.is_negated) {
            match &term.test {
                FilterTest::Word(needle, _)
                | FilterTest::Phrase(needle)
                | FilterTest::Text(TextField::Label | TextField::Prompt, needle) => {
                    places.extend_from_slice(searcher.match_positions(needle, title));
                }
                FilterTest::Text(TextField::Id | TextField::Error, _)
                | FilterTest::State(_)
                | FilterTest::Code(_)
                | FilterTest::CodeNumber(..)
                | FilterTest::Span(..) => {}
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

impl FilterTerm {
    fn matches(
        &self,
        watched: &WatchedTask,
        sight: &FilterContext,
        searcher: &mut Searcher,
    ) -> bool {
        self.test.matches(watched, sight, searcher) != self.is_negated
    }
}

impl FilterTest {
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

    fn matches(
        &self,
        watched: &WatchedTask,
        sight: &FilterContext,
        searcher: &mut Searcher,
    ) -> bool {
        match self {
            Self::Word(needle, _) | Self::Phrase(needle) => {
                let is_in = |word: &StateWord| word.matches(watched, sight);
                if self.states().iter().any(is_in) {
                    return true;
                }
                let holds = |field| text_matches(field, needle, watched, searcher);
                [TextField::Label, TextField::Prompt, TextField::Error]
                    .into_iter()
                    .any(holds)
                    || id_matches(needle, watched)
            }
            Self::Text(field, needle) => text_matches(*field, needle, watched, searcher),
            Self::State(words) => words.iter().any(|word| word.matches(watched, sight)),
            Self::Code(needle) => {
                error_codes(watched).any(|code| code.eq_ignore_ascii_case(needle.as_str()))
            }
            Self::CodeNumber(how, than) => error_codes(watched)
                .filter_map(|code| code.parse::<i64>().ok())
                .any(|code| how.matches(code.cmp(than))),
            Self::Span(field, how, than) => field
                .value_of(watched, sight)
                .is_some_and(|span| how.matches(span.cmp(than))),
        }
    }

    fn next_change(&self, watched: &WatchedTask, sight: &FilterContext) -> Option<Timestamp> {
        let now = sight.now.wall;
        let ends = status::expires_at(&watched.task, sight.retention);
        let before_end = |by| {
            let by = SignedDuration::try_from(by).ok()?;
            ends?.checked_sub(by).ok()
        };
        let turns = match self {
            Self::State(_) | Self::Word(_, Some(_)) => {
                let is_running = matches!(watched.task.state(), TaskState::Running { .. });
                let created = watched.task.details().created.filter(|_| is_running);
                let late = created.map(|created| sight.estimate.late_after(created));
                [late, before_end(EXPIRING), ends]
            }
            Self::Span(DurationField::Age, _, than) => [
                Some(time::saturating_add(watched.started_at(), *than)),
                None,
                None,
            ],
            Self::Span(DurationField::Left, _, than) => [before_end(*than), ends, None],
            Self::Span(DurationField::Took, ..)
            | Self::Word(_, None)
            | Self::Phrase(_)
            | Self::Text(..)
            | Self::Code(_)
            | Self::CodeNumber(..) => [None; 3],
        };
        // "Less" turns at its moment, "at most" just past it.
        let past = |at: Timestamp| time::saturating_add(at, Duration::from_nanos(1));
        turns
            .into_iter()
            .flatten()
            .flat_map(|at| [at, past(at)])
            .filter(|at| *at > now)
            .min()
    }
}

impl StateWord {
    fn matches(self, watched: &WatchedTask, sight: &FilterContext) -> bool {
        let task = &watched.task;
        let link = || watched.link_expiry(sight.retention, sight.now);
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
                let FilterContext {
                    estimate,
                    retention,
                    now,
                } = sight;
                watched.status(estimate, *retention, *now) == Status::Late
            }
            Self::Expiring => matches!(link(), LinkExpiry::Remaining(left) if left <= EXPIRING),
            Self::Expired => link() == LinkExpiry::Expired,
            Self::Saved => watched.result_location() == ResultLocation::OnDisk,
        }
    }
}

impl DurationField {
    fn value_of(self, watched: &WatchedTask, sight: &FilterContext) -> Option<Duration> {
        match self {
            Self::Took => watched.task.run_time(),
            Self::Age => Some(sight.now.age_of(watched.started_at())),
            Self::Left => match watched.link_expiry(sight.retention, sight.now) {
                LinkExpiry::Remaining(left) => Some(left),
                LinkExpiry::None
                | LinkExpiry::Saved
                | LinkExpiry::Expired
                | LinkExpiry::Unknown => None,
            },
        }
    }
}

impl CompareOp {
    fn matches(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::More => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

fn text_matches(
    field: TextField,
    needle: &SearchPattern,
    watched: &WatchedTask,
    searcher: &mut Searcher,
) -> bool {
    let facts = watched.task.details();
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
                    .last_error_message()
                    .is_some_and(|message| searcher.finds(needle, &message))
        }
    }
}

/// Reports whether a word begins the id, or stands in it when it is long enough to mean something
/// there.
fn id_matches(needle: &SearchPattern, watched: &WatchedTask) -> bool {
    let (id, word) = (watched.id().as_str().as_bytes(), needle.as_str().as_bytes());
    let is_here = |part: &[u8]| part.eq_ignore_ascii_case(word);
    id.get(..word.len()).is_some_and(is_here)
        || (word.len() >= MIN_ID_SUBSTRING_LEN && id.windows(word.len()).any(is_here))
}

fn last_error(watched: &WatchedTask) -> Option<&PollError> {
    watched
        .poll_history
        .last_error
        .as_ref()
        .map(|failed| &failed.error)
}

/// Returns the codes a task is known by: the server's for its failure, and that of the last failed
/// check.
fn error_codes(watched: &WatchedTask) -> impl Iterator<Item = Cow<'_, str>> {
    let failed = watched.task.details().error_code.as_ref();
    let check = last_error(watched).and_then(PollError::code);
    failed
        .map(|code| code.as_str().into())
        .into_iter()
        .chain(check.map(|code| code.to_string().into()))
}
