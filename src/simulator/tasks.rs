//! The simulated world: plans of tasks, and what each of them is at a simulated moment.
//!
//! Times are Unix milliseconds of simulated time, spans are milliseconds of it. It must not know
//! HTTP, JSON, real time or where its answers go: a task's phase is a function of its plan and the
//! moment alone.

use std::collections::HashMap;

use super::media::{DemoClip, Mp4File};
use super::rng::{Rng, to_millis};

/// Counts milliseconds: a simulated moment since the Unix epoch, or a span.
pub(super) type Millis = i64;

/// A minute in milliseconds.
pub(super) const MINUTE: Millis = 60_000;
/// An hour in milliseconds.
pub(super) const HOUR: Millis = 60 * MINUTE;
/// A day in milliseconds.
pub(super) const DAY: Millis = 24 * HOUR;
/// How long kie.ai keeps media by its stated policy: 14 days.
pub(super) const RETENTION: Millis = 14 * DAY;
/// How long a link from `download-url` stays valid by kie.ai's documentation: 20 minutes.
pub(super) const DOWNLOAD_LINK_LIFETIME: Millis = 20 * MINUTE;
/// How long a task just created is still invisible to status calls; clients grant the real service
/// 90 s.
const VISIBLE_AFTER: Millis = 3_000;

/// Names how a task ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TaskOutcome {
    /// Flag 1, with that many result videos (none is possible).
    Succeeded(usize),
    /// Flag 2, code 422 and this message.
    CreateFailed(String),
    /// Flag 3, code 500 and this message.
    GenerateFailed(String),
    /// Flag 4: that many videos were made, only telling the callback failed.
    CallbackFailed(usize),
    /// No record but the envelope's code 501 and this message.
    Error501(String),
}

/// Names what a task is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskPhase {
    /// Created, but status calls do not find it yet.
    Invisible,
    /// Answers with flag 7, which no documentation knows.
    UnknownFlag,
    /// Flag 0.
    Running,
    /// Still flag 0, though `completeTime` is set already.
    Finishing,
    /// Ended as its plan says.
    Ended,
}

/// Where a task's input video comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceVideo {
    /// From this server's own media.
    Local,
    /// From an address its creator gave.
    External(String),
}

/// Holds all that will ever happen to one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SimulatedTask {
    /// 32 lower-case hexadecimal digits.
    pub(super) id: String,
    /// As its creator sent it, hostile characters included.
    pub(super) prompt: String,
    /// The pair of clips it plays.
    pub(super) clip: DemoClip,
    /// Its input video.
    pub(super) source: SourceVideo,
    /// Where its creator wants to be told, if anywhere.
    pub(super) callback: Option<String>,
    /// The watermark text, mostly empty.
    pub(super) watermark: String,
    /// The moment of its creation.
    pub(super) created_at: Millis,
    /// From creation until status calls find it.
    pub(super) hidden_for: Millis,
    /// From creation until flag 7 gives way to flag 0; 0 for nearly every task.
    pub(super) unknown_flag_for: Millis,
    /// From creation to completion.
    pub(super) run_time: Millis,
    /// From completion until the flag says so.
    pub(super) flag_delay: Millis,
    /// How it ends.
    pub(super) outcome: TaskOutcome,
}

impl SimulatedTask {
    /// Returns what the task is at a moment.
    pub(super) fn phase(&self, now: Millis) -> TaskPhase {
        let age = now.saturating_sub(self.created_at);
        if age < self.hidden_for {
            return TaskPhase::Invisible;
        }
        if age < self.unknown_flag_for {
            return TaskPhase::UnknownFlag;
        }
        if age < self.run_time {
            return TaskPhase::Running;
        }
        if age < self.run_time.saturating_add(self.flag_delay) {
            return TaskPhase::Finishing;
        }
        TaskPhase::Ended
    }

    /// Returns the moment of its completion.
    pub(super) fn completed_at(&self) -> Millis {
        self.created_at.saturating_add(self.run_time)
    }

    /// Returns how many result videos it has at a moment, expired ones included.
    pub(super) fn video_count(&self, now: Millis) -> usize {
        if self.phase(now) != TaskPhase::Ended {
            return 0;
        }
        match self.outcome {
            TaskOutcome::Succeeded(videos) | TaskOutcome::CallbackFailed(videos) => videos,
            TaskOutcome::CreateFailed(_)
            | TaskOutcome::GenerateFailed(_)
            | TaskOutcome::Error501(_) => 0,
        }
    }

    /// Returns whether its result videos were deleted by age.
    pub(super) fn is_expired(&self, now: Millis) -> bool {
        now >= self.completed_at().saturating_add(RETENTION)
    }
}

/// Names one video of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaFile {
    /// Its input.
    Input,
    /// Its result of that number, from 0.
    Result(usize),
}

/// Names what became of a video that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaStatus {
    /// It is there.
    Available(Mp4File),
    /// It was there, but was deleted by age.
    Expired,
    /// It never was, or is not yet.
    Missing,
}

/// Holds what a create call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CreateRequest {
    /// The change asked for.
    pub(super) prompt: String,
    /// The address of the input video.
    pub(super) video_url: String,
    /// Where to tell the end.
    pub(super) callback: Option<String>,
    /// The watermark text.
    pub(super) watermark: String,
}

/// Holds every task there is, those asleep included.
#[derive(Debug)]
pub(super) struct TaskTable {
    active: HashMap<String, SimulatedTask>,
    on_demand: HashMap<String, SimulatedTask>,
    rng: Rng,
}

impl TaskTable {
    /// Builds the world from tasks that live already and tasks that start when first asked after.
    pub(super) fn new(awake: Vec<SimulatedTask>, asleep: Vec<SimulatedTask>, chance: Rng) -> Self {
        let by_id =
            |plans: Vec<SimulatedTask>| plans.into_iter().map(|p| (p.id.clone(), p)).collect();
        Self {
            active: by_id(awake),
            on_demand: by_id(asleep),
            rng: chance,
        }
    }

    /// Returns the task of an id if status calls find it now; wakes it if it slept.
    pub(super) fn query(&mut self, id: &str, now: Millis) -> Option<&SimulatedTask> {
        if let Some(mut plan) = self.on_demand.remove(id) {
            plan.created_at = now;
            self.active.insert(id.to_owned(), plan);
        }
        self.active
            .get(id)
            .filter(|plan| plan.phase(now) != TaskPhase::Invisible)
    }

    /// Adds a task as a create call orders it and returns its id.
    ///
    /// It runs as long as others do and always succeeds, with one video.
    pub(super) fn create(&mut self, order: CreateRequest, now: Millis) -> String {
        let id = self.rng.task_id();
        let plan = SimulatedTask {
            id: id.clone(),
            prompt: order.prompt,
            clip: DemoClip::random(&mut self.rng),
            source: SourceVideo::External(order.video_url),
            callback: order.callback,
            watermark: order.watermark,
            created_at: now,
            hidden_for: VISIBLE_AFTER,
            unknown_flag_for: 0,
            run_time: draw_run_time(&mut self.rng),
            flag_delay: 0,
            outcome: TaskOutcome::Succeeded(1),
        };
        self.active.insert(id.clone(), plan);
        id
    }

    /// Returns what is there now of one video of a task.
    pub(super) fn media_status(&self, id: &str, part: MediaFile, now: Millis) -> MediaStatus {
        let Some(plan) = self.active.get(id) else {
            return MediaStatus::Missing;
        };
        match part {
            MediaFile::Input if plan.source == SourceVideo::Local => {
                MediaStatus::Available(plan.clip.input())
            }
            MediaFile::Result(number) if number < plan.video_count(now) => {
                if plan.is_expired(now) {
                    return MediaStatus::Expired;
                }
                MediaStatus::Available(plan.clip.result(number))
            }
            MediaFile::Input | MediaFile::Result(_) => MediaStatus::Missing,
        }
    }
}

/// Draws a run time: log-normal, median about 5 minutes, never outside 2 to 20 (kie.ai documents
/// that range).
pub(super) fn draw_run_time(chance: &mut Rng) -> Millis {
    to_millis(chance.log_normal(300.0, 0.55)).clamp(2 * MINUTE, 20 * MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(ending: TaskOutcome) -> SimulatedTask {
        SimulatedTask {
            id: "a".repeat(32),
            prompt: "p".into(),
            clip: DemoClip::default(),
            source: SourceVideo::Local,
            callback: None,
            watermark: String::new(),
            created_at: 1_000_000,
            hidden_for: 0,
            unknown_flag_for: 0,
            run_time: 100_000,
            flag_delay: 0,
            outcome: ending,
        }
    }

    fn task_table(awake: Vec<SimulatedTask>, asleep: Vec<SimulatedTask>) -> TaskTable {
        TaskTable::new(awake, asleep, Rng::new(1, 9))
    }

    #[test]
    fn the_phase_follows_from_plan_and_time() {
        let mut task = plan(TaskOutcome::Succeeded(1));
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
        let task = plan(TaskOutcome::CallbackFailed(2));
        let id = task.id.clone();
        let clip = task.clip;
        let end = task.completed_at();
        let world = task_table(vec![task], vec![]);

        assert_eq!(
            world.media_status(&id, MediaFile::Result(0), end - 1),
            MediaStatus::Missing
        );
        assert_eq!(
            world.media_status(&id, MediaFile::Result(0), end),
            MediaStatus::Available(clip.result(0))
        );
        assert_eq!(
            world.media_status(&id, MediaFile::Result(1), end),
            MediaStatus::Available(clip.result(1))
        );
        assert_eq!(
            world.media_status(&id, MediaFile::Result(2), end),
            MediaStatus::Missing
        );
        assert_eq!(
            world.media_status(&id, MediaFile::Result(0), end + RETENTION),
            MediaStatus::Expired
        );
        assert_eq!(
            world.media_status(&id, MediaFile::Input, end + RETENTION),
            MediaStatus::Available(clip.input())
        );
    }

    #[test]
    fn an_on_demand_task_starts_at_its_first_query() {
        let task = plan(TaskOutcome::Succeeded(1));
        let id = task.id.clone();
        let mut world = task_table(vec![], vec![task]);

        let first = world.query(&id, 5_000_000).cloned().unwrap();
        let later = world.query(&id, 5_050_000).cloned().unwrap();

        assert_eq!(first.created_at, 5_000_000);
        assert_eq!(later, first);
    }

    #[test]
    fn a_created_task_appears_late_and_keeps_its_input() {
        let mut world = task_table(vec![], vec![]);
        let order = CreateRequest {
            prompt: "p".into(),
            video_url: "https://example.com/v.mp4".into(),
            callback: None,
            watermark: "w".into(),
        };
        let id = world.create(order, 0);

        assert!(world.query(&id, VISIBLE_AFTER - 1).is_none());
        assert!(world.query(&id, VISIBLE_AFTER).is_some());
        assert_eq!(
            world.media_status(&id, MediaFile::Input, DAY),
            MediaStatus::Missing
        );
        assert!(matches!(
            world.media_status(&id, MediaFile::Result(0), DAY),
            MediaStatus::Available(_)
        ));
    }

    #[test]
    fn run_times_stay_in_the_documented_range() {
        let mut chance = Rng::new(42, 0);
        let mut runs: Vec<Millis> = (0..1001).map(|_| draw_run_time(&mut chance)).collect();
        runs.sort_unstable();

        assert!(runs[0] >= 2 * MINUTE && runs[1000] <= 20 * MINUTE);
        assert!(
            (4 * MINUTE..6 * MINUTE).contains(&runs[500]),
            "{}",
            runs[500]
        );
    }
}
