//! A task as the server reports it: ids, states, and the rules for merging answers.
//!
//! Knows no polling, lists, screens or JSON.

use std::{borrow::Borrow, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use strum::{EnumString, IntoStaticStr};

use super::{
    link::{Link, Links, VideoUrl},
    text::{self, CleanText},
    time,
};

/// The longest task id accepted, in characters (public clients warn not to expect 32 hex digits).
pub const MAX_ID_LEN: usize = 200;

/// The id of a task at the server. Cheap to clone.
///
/// Printable, without white space, at most [`MAX_ID_LEN`] characters. Nothing else is guaranteed.
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
    /// Parses a task id; surrounding white space is ignored.
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

    /// Returns a bound above every id of the API, for ranges.
    pub(super) fn upper_bound() -> Self {
        Self("\u{10ffff}".into())
    }

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

/// The API that a task belongs to, which its id does not show.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, EnumString, IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Family {
    /// Luma Modify: a video and a prompt become a new video.
    #[default]
    LumaModify,
}

impl Family {
    /// Returns the name used in JSON and in the list file.
    pub fn name(self) -> &'static str {
        self.into()
    }

    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

/// The server's `successFlag` as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuccessFlag {
    /// 0 to 4 have a meaning.
    Number(i64),
    /// Any other value, as text.
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
    /// Flag 1: delivered, or no callback was requested.
    Delivered,
    /// Flag 4: the video **is finished**, only its delivery to the callback URL failed.
    Failed,
}

/// The stage at which a task failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStage {
    /// Flag 2: the task could not be created.
    Creation,
    /// Flag 3, or code 501 of the envelope: the generation failed.
    Generation,
}

/// The last known state of a task. The API has no queue, no progress and no cancelling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TaskState {
    /// No answer yet.
    #[default]
    New,
    /// Flag 0.
    Running {
        /// Whether a completion time or links are present although the flag is still 0.
        is_finishing: bool,
    },
    /// Flag 1 or 4. A success without a link is checked a few times more.
    Succeeded {
        videos: Links,
        callback: CallbackStatus,
    },
    /// Flag 2, 3 or code 501. [`TaskDetails`] has code and message.
    Failed { stage: FailureStage },
    /// The server does not know the task and never did.
    NotFound,
    /// An unknown state: shown with the server's own word, and checked further.
    Unrecognised,
}

impl TaskState {
    /// Reports whether the task is finished, so that it is not checked again.
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

    /// Returns the result videos; empty except after a success.
    pub fn videos(&self) -> impl Iterator<Item = &VideoUrl> {
        let links = if let Self::Succeeded { videos, .. } = self {
            Some(videos)
        } else {
            None
        };
        links.into_iter().flat_map(Links::videos)
    }

    /// Returns how much this state tells: a state never replaces one of a higher rank.
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

/// The details of an answer beside the state. Unknown values are `None`, never made up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskDetails {
    pub flag: Option<SuccessFlag>,
    pub prompt: Option<CleanText>,
    /// From the request.
    pub input: Option<Link>,
    /// The callback URL.
    pub callback: Option<CleanText>,
    /// Empty in most requests.
    pub watermark: Option<CleanText>,
    pub created: Option<Timestamp>,
    pub completed: Option<Timestamp>,
    /// `originUrls`: in every known sample the input video, not a result without watermark.
    pub origin_urls: Links,
    /// As text: it may be a number, a string or an object.
    pub error_code: Option<CleanText>,
    pub error_message: Option<CleanText>,
}

impl TaskDetails {
    /// Takes the known values of `news` and keeps the others.
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

/// A task at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    id: TaskId,
    family: Family,
    state: TaskState,
    details: TaskDetails,
}

/// The effect of an answer on a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The state changed.
    Changed,
    /// The state is the same; details may have been added.
    Unchanged,
    /// The answer contained less than is known and was ignored: a finished task never becomes
    /// unfinished.
    Ignored,
}

impl Task {
    /// Returns a task of which only the id is known.
    pub fn new(id: TaskId, family: Family) -> Self {
        Self {
            id,
            family,
            state: TaskState::New,
            details: TaskDetails::default(),
        }
    }

    pub const fn from_stored(
        id: TaskId,
        family: Family,
        state: TaskState,
        details: TaskDetails,
    ) -> Self {
        Self {
            id,
            family,
            state,
            details,
        }
    }

    pub const fn id(&self) -> &TaskId {
        &self.id
    }

    pub const fn family(&self) -> Family {
        self.family
    }

    pub const fn state(&self) -> &TaskState {
        &self.state
    }

    pub const fn details(&self) -> &TaskDetails {
        &self.details
    }

    /// Merges a successful answer.
    ///
    /// A state never replaces one that tells more, and missing links never replace a link that can
    /// be opened.
    pub fn merge(&mut self, state: &TaskState, details: &TaskDetails) -> Merge {
        if self.would_ignore(state) {
            return Merge::Ignored;
        }
        self.details.merge(details);
        if self.state == *state {
            return Merge::Unchanged;
        }
        self.state = state.clone();
        Merge::Changed
    }

    /// Reports whether [`merge`](Self::merge) would ignore a state.
    pub fn would_ignore(&self, state: &TaskState) -> bool {
        state.information_rank() < self.state.information_rank()
    }

    /// Marks the task as not found, unless the server knew it before.
    pub fn mark_not_found(&mut self) -> Merge {
        if self.state.information_rank() >= TaskState::NotFound.information_rank() {
            return Merge::Unchanged;
        }
        self.state = TaskState::NotFound;
        Merge::Changed
    }

    /// Returns how long a finished task took; `None` also if the server's clock went backwards.
    pub fn run_time(&self) -> Option<Duration> {
        if !self.state.is_final() {
            return None;
        }
        let (created, completed) = (self.details.created?, self.details.completed?);
        (completed >= created).then(|| time::elapsed(created, completed))
    }

    /// Returns the input videos that may be opened: those of the answer, else that of the request.
    pub fn input_videos(&self) -> Vec<&VideoUrl> {
        let reported: Vec<_> = self.details.origin_urls.videos().collect();
        if !reported.is_empty() {
            return reported;
        }
        if let Some(Link::Video(url)) = &self.details.input {
            vec![url]
        } else {
            Vec::new()
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
}
