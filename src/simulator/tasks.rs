//! The simulated tasks and their phases.
//!
//! Times are Unix milliseconds in simulated time. Knows neither HTTP nor real time: the phase of a
//! task depends only on its own fields and the given time.

use std::collections::HashMap;

use serde::Deserialize;

use super::media::{DemoClip, Mp4File};
use super::rng::{Rng, to_millis};

/// Simulated milliseconds: a time since the Unix epoch, or a duration.
pub(super) type Millis = i64;

pub(super) const MINUTE: Millis = 60_000;
pub(super) const HOUR: Millis = 60 * MINUTE;
pub(super) const DAY: Millis = 24 * HOUR;
/// How long kie.ai keeps media by its stated policy.
pub(super) const RETENTION: Millis = 14 * DAY;
/// How long a link from `download-url` stays valid by the documentation of kie.ai.
pub(super) const DOWNLOAD_LINK_LIFETIME: Millis = 20 * MINUTE;
/// How long a new task is unknown to status queries. Clients allow the real service 90 s.
const VISIBLE_AFTER: Millis = 3_000;

/// The final state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskOutcome {
    /// Flag 1, with this number of result videos (which may be zero).
    Succeeded(usize),
    /// Flag 2, code 422 and this message.
    CreateFailed(&'static str),
    /// Flag 3, code 500 and this message.
    GenerateFailed(&'static str),
    /// Flag 4: this number of videos was made, but the callback failed.
    CallbackFailed(usize),
    /// No record, but an envelope with code 501 and this message.
    Error501(&'static str),
}

/// The state of a task at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskPhase {
    /// Created, but not yet found by status queries.
    Invisible,
    /// Flag 7, which is not documented.
    UnknownFlag,
    /// Flag 0.
    Running,
    /// Still flag 0, though `completeTime` is set.
    Finishing,
    /// The state of its [`TaskOutcome`].
    Ended,
}

/// A simulated task: its parameters, its timing and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SimulatedTask {
    /// 32 lower-case hexadecimal digits.
    pub(super) id: String,
    /// Not sanitised.
    pub(super) prompt: String,
    /// The input and result clips.
    pub(super) clip: DemoClip,
    /// The URL of the input video; `None` for the input clip.
    pub(super) input_url: Option<String>,
    /// The callback URL.
    pub(super) callback: Option<String>,
    /// The watermark text, mostly empty.
    pub(super) watermark: String,
    pub(super) created_at: Millis,
    /// From creation until status queries find the task.
    pub(super) hidden_for: Millis,
    /// From creation until flag 7 becomes flag 0; 0 for nearly every task.
    pub(super) unknown_flag_for: Millis,
    /// From creation to completion.
    pub(super) run_time: Millis,
    /// From completion until the flag changes.
    pub(super) flag_delay: Millis,
    pub(super) outcome: TaskOutcome,
}

impl SimulatedTask {
    /// Draws a task that succeeds with one video. It has no prompt yet.
    pub(super) fn draw(rng: &mut Rng, created_at: Millis) -> Self {
        Self {
            id: rng.task_id(),
            prompt: String::new(),
            clip: DemoClip::random(rng),
            input_url: None,
            callback: None,
            watermark: String::new(),
            created_at,
            hidden_for: 0,
            unknown_flag_for: 0,
            run_time: draw_run_time(rng),
            flag_delay: 0,
            outcome: TaskOutcome::Succeeded(1),
        }
    }

    pub(super) fn phase(&self, now: Millis) -> TaskPhase {
        match now.saturating_sub(self.created_at) {
            age if age < self.hidden_for => TaskPhase::Invisible,
            age if age < self.unknown_flag_for => TaskPhase::UnknownFlag,
            age if age < self.run_time => TaskPhase::Running,
            age if age < self.run_time + self.flag_delay => TaskPhase::Finishing,
            _ => TaskPhase::Ended,
        }
    }

    pub(super) fn completed_at(&self) -> Millis {
        self.created_at.saturating_add(self.run_time)
    }

    /// Returns the number of result videos at a given time, including expired ones.
    pub(super) fn video_count(&self, now: Millis) -> usize {
        let (TaskOutcome::Succeeded(videos) | TaskOutcome::CallbackFailed(videos)) = self.outcome
        else {
            return 0;
        };
        if self.phase(now) == TaskPhase::Ended {
            videos
        } else {
            0
        }
    }
}

/// A video of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaFile {
    Input,
    /// The result with this number, from 0.
    Result(usize),
}

/// The availability of a requested video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaStatus {
    Available(Mp4File),
    /// Deleted because of its age.
    Expired,
    /// Does not exist, or not yet.
    Missing,
}

/// The parameters of a create request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateRequest {
    pub(super) prompt: String,
    /// The URL of the input video.
    pub(super) video_url: String,
    /// The callback URL.
    pub(super) call_back_url: Option<String>,
    pub(super) watermark: Option<String>,
}

/// All tasks by id, including those not yet started.
#[derive(Debug)]
pub(super) struct TaskTable {
    active: HashMap<String, SimulatedTask>,
    on_demand: HashMap<String, SimulatedTask>,
    rng: Rng,
}

impl TaskTable {
    /// Creates a table of active tasks and of tasks that start at their first query.
    pub(super) fn new(active: Vec<SimulatedTask>, on_demand: Vec<SimulatedTask>, rng: Rng) -> Self {
        let by_id =
            |tasks: Vec<SimulatedTask>| tasks.into_iter().map(|t| (t.id.clone(), t)).collect();
        Self {
            active: by_id(active),
            on_demand: by_id(on_demand),
            rng,
        }
    }

    /// Returns the task that a status query finds. Starts it if it is on demand.
    pub(super) fn query(&mut self, id: &str, now: Millis) -> Option<&SimulatedTask> {
        if let Some(mut task) = self.on_demand.remove(id) {
            task.created_at = now;
            self.active.insert(id.to_owned(), task);
        }
        self.active
            .get(id)
            .filter(|task| task.phase(now) != TaskPhase::Invisible)
    }

    /// Creates a task and returns its id.
    ///
    /// It runs as long as other tasks and always succeeds, with one video.
    pub(super) fn create(&mut self, request: CreateRequest, now: Millis) -> String {
        let task = SimulatedTask {
            prompt: request.prompt,
            input_url: Some(request.video_url),
            callback: request.call_back_url.filter(|url| !url.is_empty()),
            watermark: request.watermark.unwrap_or_default(),
            hidden_for: VISIBLE_AFTER,
            ..SimulatedTask::draw(&mut self.rng, now)
        };
        let id = task.id.clone();
        self.active.insert(id.clone(), task);
        id
    }

    pub(super) fn media_status(&self, id: &str, file: MediaFile, now: Millis) -> MediaStatus {
        let Some(task) = self.active.get(id) else {
            return MediaStatus::Missing;
        };
        match file {
            MediaFile::Input if task.input_url.is_none() => {
                MediaStatus::Available(task.clip.input())
            }
            MediaFile::Result(number) if number < task.video_count(now) => {
                if now < task.completed_at() + RETENTION {
                    MediaStatus::Available(task.clip.result(number))
                } else {
                    MediaStatus::Expired
                }
            }
            MediaFile::Input | MediaFile::Result(_) => MediaStatus::Missing,
        }
    }
}

/// Draws a run time: log-normal with a median of about 5 minutes, clamped to the range of 2 to 20
/// minutes that kie.ai documents.
fn draw_run_time(rng: &mut Rng) -> Millis {
    to_millis(rng.log_normal(300.0, 0.55)).clamp(2 * MINUTE, 20 * MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(outcome: TaskOutcome) -> SimulatedTask {
        SimulatedTask {
            id: "a".repeat(32),
            prompt: "p".into(),
            clip: DemoClip::default(),
            input_url: None,
            callback: None,
            watermark: String::new(),
            created_at: 1_000_000,
            hidden_for: 0,
            unknown_flag_for: 0,
            run_time: 100_000,
            flag_delay: 0,
            outcome,
        }
    }

    fn task_table(active: Vec<SimulatedTask>, on_demand: Vec<SimulatedTask>) -> TaskTable {
        TaskTable::new(active, on_demand, Rng::new(1, 9))
    }

    #[test]
    fn the_phase_follows_from_plan_and_time() {
        let mut task = task(TaskOutcome::Succeeded(1));
        task.hidden_for = 10;
        task.unknown_flag_for = 50;
        task.flag_delay = 20_000;

        let phases = [0, 10, 49, 50, 99_999, 100_000, 119_999, 120_000]
            .map(|age| task.phase(task.created_at + age));

        assert_eq!(
            phases,
            [
                TaskPhase::Invisible,
                TaskPhase::UnknownFlag,
                TaskPhase::UnknownFlag,
                TaskPhase::Running,
                TaskPhase::Running,
                TaskPhase::Finishing,
                TaskPhase::Finishing,
                TaskPhase::Ended,
            ]
        );
    }

    #[test]
    fn results_expire_after_14_days_and_inputs_stay() {
        let task = task(TaskOutcome::CallbackFailed(2));
        let id = task.id.clone();
        let clip = task.clip;
        let end = task.completed_at();
        let table = task_table(vec![task], vec![]);

        assert_eq!(
            table.media_status(&id, MediaFile::Result(0), end - 1),
            MediaStatus::Missing
        );
        assert_eq!(
            table.media_status(&id, MediaFile::Result(0), end),
            MediaStatus::Available(clip.result(0))
        );
        assert_eq!(
            table.media_status(&id, MediaFile::Result(1), end),
            MediaStatus::Available(clip.result(1))
        );
        assert_eq!(
            table.media_status(&id, MediaFile::Result(2), end),
            MediaStatus::Missing
        );
        assert_eq!(
            table.media_status(&id, MediaFile::Result(0), end + RETENTION),
            MediaStatus::Expired
        );
        assert_eq!(
            table.media_status(&id, MediaFile::Input, end + RETENTION),
            MediaStatus::Available(clip.input())
        );
    }

    #[test]
    fn a_created_task_appears_late_and_keeps_its_input() {
        let mut table = task_table(vec![], vec![]);
        let request = CreateRequest {
            prompt: "p".into(),
            video_url: "https://example.com/v.mp4".into(),
            call_back_url: None,
            watermark: Some("w".into()),
        };
        let id = table.create(request, 0);

        assert!(table.query(&id, VISIBLE_AFTER - 1).is_none());
        assert!(table.query(&id, VISIBLE_AFTER).is_some());
        assert_eq!(
            table.media_status(&id, MediaFile::Input, DAY),
            MediaStatus::Missing
        );
        assert!(matches!(
            table.media_status(&id, MediaFile::Result(0), DAY),
            MediaStatus::Available(_)
        ));
    }

    #[test]
    fn run_times_stay_in_the_documented_range() {
        let mut rng = Rng::new(42, 0);
        let mut runs: Vec<Millis> = (0..1001).map(|_| draw_run_time(&mut rng)).collect();
        runs.sort_unstable();

        assert!(runs[0] >= 2 * MINUTE && runs[1000] <= 20 * MINUTE);
        assert!(
            (4 * MINUTE..6 * MINUTE).contains(&runs[500]),
            "{}",
            runs[500]
        );
    }
}
