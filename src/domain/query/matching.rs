//! Matches tasks against a query, and finds when time alone changes the result.

use std::{borrow::Cow, cmp::Ordering, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::language::{CompareOp, DurationField, FilterTest, Query, StateWord, TextField};
use crate::domain::{
    estimate::Estimate,
    fuzzy::{SearchPattern, Searcher},
    status::{self, EXPIRING, LinkExpiry, ResultLocation, Status, Tab},
    task::TaskState,
    text::CleanText,
    time::{self, Now},
    watched_task::WatchedTask,
    watchlist::Watchlist,
};

/// The length from which a word may match anywhere in an id. A shorter one must match its start:
/// short words of hexadecimal digits are in every other id.
const MIN_ID_SUBSTRING_LEN: usize = 4;

/// The values that a test needs beside the task.
#[derive(Debug, Clone, Copy)]
pub struct FilterContext {
    pub estimate: Estimate,
    pub retention: Duration,
    pub now: Now,
}

impl FilterContext {
    pub fn new(list: &Watchlist, now: Now) -> Self {
        Self {
            estimate: list.run_times().estimate(),
            retention: list.retention(),
            now,
        }
    }
}

impl Query {
    /// Reports whether a task passes all tests.
    pub fn matches(
        &self,
        watched: &WatchedTask,
        context: &FilterContext,
        searcher: &mut Searcher,
    ) -> bool {
        // Cheap tests run before slow_tests.
        let cheap_tests = self.terms.iter().filter(|term| !term.test.is_search());
        let slow_tests = self.terms.iter().filter(|term| term.test.is_search());
        cheap_tests
            .chain(slow_tests)
            .all(|term| term.test.matches(watched, context, searcher) != term.is_negated)
    }

    /// Reports whether it tests for lateness, which also depends on other tasks' run times.
    pub(super) fn depends_on_late(&self) -> bool {
        self.terms
            .iter()
            .any(|term| term.test.states().contains(&StateWord::Late))
    }

    /// Reports whether time alone can change a result.
    pub(super) fn depends_on_time(&self) -> bool {
        let is_elapsing = |test: &FilterTest| {
            matches!(
                test,
                FilterTest::Duration(DurationField::Age | DurationField::Left, ..)
            )
        };
        let mut tests = self.terms.iter().map(|term| &term.test);
        tests.any(|test| is_elapsing(test) || !test.states().is_empty())
    }

    /// Returns when time alone may next change the result for a task.
    pub(super) fn next_change(
        &self,
        watched: &WatchedTask,
        context: &FilterContext,
    ) -> Option<Timestamp> {
        self.terms
            .iter()
            .filter_map(|term| term.test.next_change(watched, context))
            .min()
    }

    /// Returns the indices of the title's graphemes that match, in order, without duplicates.
    pub fn match_positions(&self, title: &str, searcher: &mut Searcher) -> Vec<u32> {
        let mut positions = Vec::new();
        for term in self.terms.iter().filter(|term| !term.is_negated) {
            if let FilterTest::Word(pattern, _)
            | FilterTest::Phrase(pattern)
            | FilterTest::Text(TextField::Label | TextField::Prompt, pattern) = &term.test
            {
                positions.extend_from_slice(searcher.match_positions(pattern, title));
            }
        }
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

impl FilterTest {
    fn states(&self) -> &[StateWord] {
        if let Self::State(words) = self {
            return words;
        }
        if let Self::Word(_, state) = self {
            state.as_slice()
        } else {
            &[]
        }
    }

    const fn is_search(&self) -> bool {
        matches!(self, Self::Word(..) | Self::Phrase(_) | Self::Text(..))
    }

    fn matches(
        &self,
        watched: &WatchedTask,
        context: &FilterContext,
        searcher: &mut Searcher,
    ) -> bool {
        match self {
            Self::Word(pattern, _) | Self::Phrase(pattern) => {
                let is_in = |word: &StateWord| word.matches(watched, context);
                if self.states().iter().any(is_in) {
                    return true;
                }
                let holds = |field| text_matches(field, pattern, watched, searcher);
                [TextField::Label, TextField::Prompt, TextField::Error]
                    .into_iter()
                    .any(holds)
                    || id_matches(pattern, watched)
            }
            Self::Text(field, pattern) => text_matches(*field, pattern, watched, searcher),
            Self::State(words) => words.iter().any(|word| word.matches(watched, context)),
            Self::Code(pattern) => {
                error_codes(watched).any(|code| code.eq_ignore_ascii_case(pattern.as_str()))
            }
            Self::CodeNumber(op, value) => error_codes(watched)
                .filter_map(|code| code.parse::<i64>().ok())
                .any(|code| op.matches(code.cmp(value))),
            Self::Duration(field, op, value) => field
                .value_of(watched, context)
                .is_some_and(|duration| op.matches(duration.cmp(value))),
        }
    }

    fn next_change(&self, watched: &WatchedTask, context: &FilterContext) -> Option<Timestamp> {
        let now = context.now.wall;
        let expires_at = status::expires_at(&watched.task, context.retention);
        let before_expiry = |by| {
            let by = SignedDuration::try_from(by).ok()?;
            expires_at?.checked_sub(by).ok()
        };
        let changes = if let Self::Duration(DurationField::Age, _, value) = self {
            [
                Some(time::saturating_add(watched.started_at(), *value)),
                None,
                None,
            ]
        } else if let Self::Duration(DurationField::Left, _, value) = self {
            [before_expiry(*value), expires_at, None]
        } else if self.states().is_empty() {
            [None; 3]
        } else {
            let is_running = matches!(watched.task.state(), TaskState::Running { .. });
            let created = watched.task.details().created.filter(|_| is_running);
            let late = created.map(|created| context.estimate.late_after(created));
            [late, before_expiry(EXPIRING), expires_at]
        };
        // "Less" changes at its moment, "at most" just after it.
        let just_after = |at: Timestamp| time::saturating_add(at, Duration::from_nanos(1));
        changes
            .into_iter()
            .flatten()
            .flat_map(|at| [at, just_after(at)])
            .filter(|at| *at > now)
            .min()
    }
}

impl StateWord {
    fn matches(self, watched: &WatchedTask, context: &FilterContext) -> bool {
        let task = &watched.task;
        let link = || watched.link_expiry(context.retention, context.now);
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
                watched.status(&context.estimate, context.retention, context.now) == Status::Late
            }
            Self::Expiring => matches!(link(), LinkExpiry::Remaining(left) if left <= EXPIRING),
            Self::Expired => link() == LinkExpiry::Expired,
            Self::Saved => watched.result_location() == ResultLocation::OnDisk,
        }
    }
}

impl DurationField {
    fn value_of(self, watched: &WatchedTask, context: &FilterContext) -> Option<Duration> {
        match self {
            Self::Took => watched.task.run_time(),
            Self::Age => Some(context.now.age_of(watched.started_at())),
            Self::Left => {
                let expiry = watched.link_expiry(context.retention, context.now);
                if let LinkExpiry::Remaining(left) = expiry {
                    Some(left)
                } else {
                    None
                }
            }
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
    pattern: &SearchPattern,
    watched: &WatchedTask,
    searcher: &mut Searcher,
) -> bool {
    let details = watched.task.details();
    let mut finds = |text: &Option<CleanText>| {
        text.as_ref()
            .is_some_and(|text| searcher.finds(pattern, text.as_str()))
    };
    match field {
        TextField::Label => finds(&watched.label),
        TextField::Prompt => finds(&details.prompt),
        TextField::Id => searcher.finds(pattern, watched.id().as_str()),
        TextField::Error => {
            finds(&details.error_message)
                || finds(&details.error_code)
                || watched
                    .last_error_message()
                    .is_some_and(|message| searcher.finds(pattern, &message))
        }
    }
}

/// Reports whether a word matches the start of the id, or, if it is long enough, any part.
fn id_matches(pattern: &SearchPattern, watched: &WatchedTask) -> bool {
    let (id, word) = (
        watched.id().as_str().as_bytes(),
        pattern.as_str().as_bytes(),
    );
    let is_match = |part: &[u8]| part.eq_ignore_ascii_case(word);
    id.get(..word.len()).is_some_and(is_match)
        || (word.len() >= MIN_ID_SUBSTRING_LEN && id.windows(word.len()).any(is_match))
}

/// Returns the error codes of a task: of its failure, and of the last failed check.
fn error_codes(watched: &WatchedTask) -> impl Iterator<Item = Cow<'_, str>> {
    let failed = watched.task.details().error_code.as_ref();
    let check = watched.poll_history.last_error.as_ref();
    let check = check.and_then(|failed| failed.error.code());
    let failed = failed.map(|code| code.as_str().into());
    failed
        .into_iter()
        .chain(check.map(|code| code.to_string().into()))
}
