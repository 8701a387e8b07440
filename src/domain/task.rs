//! A task as the server tells it: ids, states, and the rule by which news joins what is known.
//!
//! Knows nothing of polls, lists or screens, and nothing of JSON.

use std::{borrow::Borrow, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    link::{Link, Links, VideoUrl},
    text::{self, CleanText},
    time,
};

/// The longest task id accepted, in characters (public clients warn not to expect 32 hex digits).
pub const MAX_ID_LEN: usize = 200;

/// Names one task at the server. Cheap to clone.
///
/// Printable, without white space, at most [`MAX_ID_LEN`] characters; nothing else is promised of
/// it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(Arc<str>);

/// The reason why a text is not a task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskIdError {
    Empty,
    TooLong,
    /// Contains white space or a control character.
    NotPrintable,
}

impl TaskId {
    /// Parses a task id; white space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, TaskIdError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TaskIdError::Empty);
        }
        if text.len() <= MAX_ID_LEN && text.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Self(text.into()));
        }
        if text.chars().count() > MAX_ID_LEN {
            return Err(TaskIdError::TooLong);
        }
        if text
            .chars()
            .any(|c| c.is_whitespace() || text::is_unsafe(c))
        {
            return Err(TaskIdError::NotPrintable);
        }
        Ok(Self(text.into()))
    }

    /// Returns a bound that sorts after every id of the API, for ranges.
    pub(super) fn upper_bound() -> Self {
        Self("\u{10ffff}".into())
    }

    /// Returns the id as the API spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TaskId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({})", self.0)
    }
}

/// Which API a task belongs to; the id alone does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Family {
    /// Luma Modify: a video and a prompt become a new video.
    #[default]
    LumaModify,
}

impl Family {
    /// Every family there is.
    pub const ALL: [Self; 1] = [Self::LumaModify];

    /// Returns the name used in JSON and in the list file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LumaModify => "luma-modify",
        }
    }

    /// Finds a family by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}

/// The server's `successFlag` as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuccessFlag {
    /// A whole number; 0 to 4 have a meaning.
    Number(i64),
    /// Anything else, as text.
    Word(CleanText),
}

impl fmt::Display for SuccessFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => word.fmt(f),
        }
    }
}

/// Whether a finished video reached the callback URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackStatus {
    /// Flag 1: made, and delivered or not asked to be.
    Delivered,
    /// Flag 4: **made**, only its delivery to the callback URL failed.
    Failed,
}

/// Where a task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStage {
    /// Flag 2: the task could not be created.
    Creation,
    /// Flag 3, or the envelope's code 501: it could not be generated.
    Generation,
}

/// What the server last said of a task. It has no queue, no progress figure and no cancelling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TaskState {
    /// The server has not yet been heard about it.
    #[default]
    New,
    /// Flag 0: being made.
    Running {
        /// Whether a completion time or links are there already although the flag still says 0.
        is_finishing: bool,
    },
    /// Flag 1 or 4: made. A success without a link is asked after a few times more.
    Succeeded {
        /// The result videos.
        videos: Links,
        /// Whether the callback got it.
        callback: CallbackStatus,
    },
    /// Flag 2, 3 or code 501: not made. `Facts` holds code and message.
    Failed {
        /// Where it failed.
        stage: FailureStage,
    },
    /// The server says it knows no such task, and has never said otherwise.
    NotFound,
    /// An answer we do not understand: shown with the server's own word, and still asked after.
    Unrecognised,
}

impl TaskState {
    /// Reports whether nothing more is to come: finished tasks are not asked after again.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Failed { .. })
    }

    /// Returns the name used in JSON, in the list file and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running { .. } => "generating",
            Self::Succeeded {
                videos,
                callback: CallbackStatus::Failed,
            } if !videos.is_empty() => "rescued",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::NotFound => "not_found",
            Self::Unrecognised => "unknown",
        }
    }

    /// The names [`name`](Self::name) may return.
    pub const NAMES: [&'static str; 7] = [
        "new",
        "generating",
        "succeeded",
        "rescued",
        "failed",
        "not_found",
        "unknown",
    ];

    /// Returns the result videos, of which there are some only after a success.
    pub fn videos(&self) -> impl Iterator<Item = &VideoUrl> {
        let links = match self {
            Self::Succeeded { videos, .. } => Some(videos),
            Self::New
            | Self::Running { .. }
            | Self::Failed { .. }
            | Self::NotFound
            | Self::Unrecognised => None,
        };
        links.into_iter().flat_map(Links::videos)
    }

    /// Returns what to say of a video that was made although the task did not end as it should;
    /// nothing else has it.
    pub const fn undelivered_note(&self) -> &'static str {
        match self {
            Self::Succeeded {
                callback: CallbackStatus::Failed,
                ..
            } => " The video was made; only its delivery to the callback URL failed.",
            Self::New
            | Self::Running { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::NotFound
            | Self::Unrecognised => "",
        }
    }

    /// Returns how much this state tells: news of a lower rank never replaces one of a higher.
    fn information_rank(&self) -> u8 {
        match self {
            Self::New => 0,
            Self::NotFound => 1,
            Self::Unrecognised | Self::Running { .. } => 2,
            Self::Failed { .. } => 3,
            Self::Succeeded { videos, .. } if videos.is_empty() => 4,
            Self::Succeeded { videos, .. } if videos.lacks_video() => 5,
            Self::Succeeded { .. } => 6,
        }
    }
}

/// What an answer tells beside the state. Unknown is `None`, never a made-up value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskDetails {
    /// The flag as it came.
    pub flag: Option<SuccessFlag>,
    /// What was asked for.
    pub prompt: Option<CleanText>,
    /// The input video as the request named it.
    pub input: Option<Link>,
    /// Where the server was to deliver.
    pub callback: Option<CleanText>,
    /// The watermark asked for; empty in most requests.
    pub watermark: Option<CleanText>,
    /// When the server took the task.
    pub created: Option<Timestamp>,
    /// When the server was done with it.
    pub completed: Option<Timestamp>,
    /// `originUrls`: in every known sample the input video, not an unmarked result.
    pub origin_urls: Links,
    /// The server's error code as text (it may be a number, a string or an object).
    pub error_code: Option<CleanText>,
    /// The server's error message.
    pub error_message: Option<CleanText>,
}

impl TaskDetails {
    /// Takes from `news` what it knows and keeps the rest.
    fn merge(&mut self, news: &Self) {
        fn take<T: Clone>(known: &mut Option<T>, news: Option<&T>) {
            if let Some(news) = news {
                *known = Some(news.clone());
            }
        }
        take(&mut self.flag, news.flag.as_ref());
        take(&mut self.prompt, news.prompt.as_ref());
        take(&mut self.input, news.input.as_ref());
        take(&mut self.callback, news.callback.as_ref());
        take(&mut self.watermark, news.watermark.as_ref());
        take(&mut self.created, news.created.as_ref());
        take(&mut self.completed, news.completed.as_ref());
        take(&mut self.error_code, news.error_code.as_ref());
        take(&mut self.error_message, news.error_message.as_ref());
        if !news.origin_urls.is_empty() {
            self.origin_urls.clone_from(&news.origin_urls);
        }
    }
}

/// One remote video job as far as the server has told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    id: TaskId,
    family: Family,
    state: TaskState,
    details: TaskDetails,
}

/// What an observation did to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The state is another one now.
    Changed,
    /// The state is the same; facts may have been added.
    Unchanged,
    /// The answer told less than is known and was left aside: a final state is never demoted.
    Ignored,
}

impl Task {
    /// Returns a task of which nothing is known but its name.
    pub fn new(id: TaskId, family: Family) -> Self {
        Self {
            id,
            family,
            state: TaskState::New,
            details: TaskDetails::default(),
        }
    }

    /// Returns a task put together from what was stored of it.
    pub const fn from_stored(
        id: TaskId,
        family: Family,
        state: TaskState,
        facts: TaskDetails,
    ) -> Self {
        Self {
            id,
            family,
            state,
            details: facts,
        }
    }

    /// Returns the task's name at the server.
    pub const fn id(&self) -> &TaskId {
        &self.id
    }

    /// Returns which API it belongs to.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Returns what the server last said.
    pub const fn state(&self) -> &TaskState {
        &self.state
    }

    /// Returns what the server told beside the state.
    pub const fn details(&self) -> &TaskDetails {
        &self.details
    }

    /// Joins what one good poll saw with what is known.
    ///
    /// A state is never replaced by one that tells less, and a link that can be opened never by
    /// none.
    pub fn merge(&mut self, state: &TaskState, facts: &TaskDetails) -> Merge {
        if self.would_ignore(state) {
            return Merge::Ignored;
        }
        self.details.merge(facts);
        if self.state == *state {
            return Merge::Unchanged;
        }
        self.state = state.clone();
        Merge::Changed
    }

    /// Reports whether a state tells less than is known.
    pub fn would_ignore(&self, state: &TaskState) -> bool {
        state.information_rank() < self.state.information_rank()
    }

    /// Notes that the server knows no such task; a task it has told of before stays as it was.
    pub fn mark_not_found(&mut self) -> Merge {
        if self.state.information_rank() >= TaskState::NotFound.information_rank() {
            return Merge::Unchanged;
        }
        self.state = TaskState::NotFound;
        Merge::Changed
    }

    /// Returns how long the server took, once it is done; `None` as well when its clock ran
    /// backwards.
    pub fn run_time(&self) -> Option<Duration> {
        if !self.state.is_final() {
            return None;
        }
        let (created, completed) = (self.details.created?, self.details.completed?);
        (completed >= created).then(|| time::elapsed(created, completed))
    }

    /// Returns the input videos that may be opened: those of the answer, else that of the request.
    pub fn input_videos(&self) -> Vec<&VideoUrl> {
        let told: Vec<_> = self.details.origin_urls.videos().collect();
        if !told.is_empty() {
            return told;
        }
        match &self.details.input {
            Some(Link::Video(url)) => vec![url],
            Some(Link::Rejected(_)) | None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge_state(task: &mut Task, state: &TaskState) -> Merge {
        task.merge(state, &TaskDetails::default())
    }

    fn success(urls: &[&str]) -> TaskState {
        TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            callback: CallbackStatus::Delivered,
        }
    }

    #[test]
    fn ids_are_printable_words() {
        assert_eq!(
            TaskId::parse(" a-1_Ü ").map(|id| id.to_string()),
            Ok("a-1_Ü".into())
        );
        assert_eq!(TaskId::parse("  "), Err(TaskIdError::Empty));
        assert_eq!(TaskId::parse("a b"), Err(TaskIdError::NotPrintable));
        assert_eq!(TaskId::parse("a\u{1b}b"), Err(TaskIdError::NotPrintable));
        assert_eq!(TaskId::parse("a\u{202e}b"), Err(TaskIdError::NotPrintable));
        assert_eq!(TaskId::parse(&"a".repeat(201)), Err(TaskIdError::TooLong));
    }

    #[test]
    fn a_final_state_is_never_demoted() {
        let mut task = Task::new(TaskId::parse("a").unwrap(), Family::LumaModify);
        assert_eq!(
            merge_state(&mut task, &success(&["https://ex.com/1.mp4"])),
            Merge::Changed
        );
        let known = task.clone();

        let lesser = [
            TaskState::Running {
                is_finishing: false,
            },
            TaskState::Failed {
                stage: FailureStage::Generation,
            },
            TaskState::Unrecognised,
            TaskState::New,
            TaskState::NotFound,
            success(&[]),
            success(&["javascript:alert(1)"]),
        ];
        for state in &lesser {
            assert_eq!(merge_state(&mut task, state), Merge::Ignored);
        }
        assert_eq!(task.mark_not_found(), Merge::Unchanged);
        assert_eq!(task, known);
    }

    #[test]
    fn a_failed_task_may_still_succeed() {
        let mut task = Task::new(TaskId::parse("a").unwrap(), Family::LumaModify);
        merge_state(
            &mut task,
            &TaskState::Failed {
                stage: FailureStage::Generation,
            },
        );

        assert_eq!(
            merge_state(&mut task, &success(&["https://ex.com/1.mp4"])),
            Merge::Changed
        );
        assert_eq!(task.state().name(), "succeeded");
    }

    #[test]
    fn every_state_has_a_listed_name() {
        let states = [
            TaskState::New,
            TaskState::Running { is_finishing: true },
            success(&[]),
            TaskState::Failed {
                stage: FailureStage::Creation,
            },
            TaskState::NotFound,
            TaskState::Unrecognised,
        ];
        assert!(
            states
                .iter()
                .all(|state| TaskState::NAMES.contains(&state.name()))
        );
    }
}
