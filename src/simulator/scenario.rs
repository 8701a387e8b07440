//! The tasks of the simulator at its start, with their timing and outcomes.
//!
//! The first fourteen are a fixed mix that shows every state; further ones are random. Knows
//! neither HTTP nor JSON, and reads no clock: the caller passes the start time.

use jiff::Timestamp;

use super::{
    media::DemoClip,
    prompts,
    rng::{Rng, to_millis},
    tasks::{DAY, HOUR, MINUTE, Millis, RETENTION, SimulatedTask, TaskOutcome},
};

/// The longest run time of a finished task, so that a task running for 15 minutes is always late.
const MAX_USUAL_RUN: Millis = 13 * MINUTE;
/// The minimum age of a running task at the start.
const MIN_RUNNING_AGE: Millis = 15_000;

/// A task that the demo adds to the list at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialTask {
    /// 32 lower-case hexadecimal digits. The server deliberately does not know one of the default
    /// fourteen.
    pub id: String,
    /// Contains no control characters.
    pub label: Option<&'static str>,
    /// In simulated time, never after the start.
    pub added_at: Timestamp,
}

/// The state of the simulator at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scenario {
    pub(super) tasks: Vec<SimulatedTask>,
    /// The tasks on the list.
    pub(super) initial_tasks: Vec<InitialTask>,
    /// Tasks that start at their first query.
    pub(super) on_demand: Vec<SimulatedTask>,
}

/// Builds the scenario for a number of watched tasks. `rate` is in simulated seconds per real one.
///
/// Ids, prompts and outcomes depend only on the seed; times depend on `start` and `rate` too.
pub(super) fn build_scenario(tasks: usize, rate: f64, seed: u64, start: Millis) -> Scenario {
    let mut rng = Rng::new(seed, 1);
    let lines = prompts::PROMPTS.lines();
    let mut prompts: Vec<_> = lines.filter_map(|line| line.split_once('|')).collect();
    rng.shuffle(&mut prompts);
    let mut builder = ScenarioBuilder {
        rng,
        speed: rate,
        start,
        prompts,
        scenario: Scenario::default(),
    };
    for number in 0..tasks {
        builder.add_task(number);
    }
    builder.add_on_demand_tasks();
    builder.scenario
}

struct ScenarioBuilder {
    rng: Rng,
    speed: f64,
    start: Millis,
    /// Labels and prompts.
    prompts: Vec<(&'static str, &'static str)>,
    scenario: Scenario,
}

impl ScenarioBuilder {
    /// Adds the task with this number. Numbers 0 to 13 are fixed.
    fn add_task(&mut self, number: usize) {
        let mut task = self.draft_task(number);
        let [first_wide, second_wide, third_wide] = prompts::WIDE_PROMPTS;
        let (task, label) = match number {
            0 => (self.make_running(task, 7.0), Some("hero loop")),
            1 => (self.make_late(task), None),
            2 => {
                task = with_prompt(task, first_wide.1);
                task.clip = DemoClip::Sea;
                task.outcome = TaskOutcome::Succeeded(2);
                (self.make_finished(task, RETENTION - DAY - 14 * HOUR), None)
            }
            3 => {
                task.outcome = self.generation_failure();
                (self.make_finished(task, 35 * MINUTE), Some("take 2"))
            }
            4 => {
                task = with_prompt(task, second_wide.1);
                task.outcome = TaskOutcome::CallbackFailed(1);
                task.callback = Some(self.random_callback());
                (self.make_finished(task, 9 * HOUR), Some(second_wide.0))
            }
            5 => {
                task = self.make_running(task, 145.0);
                task.outcome = TaskOutcome::Error501(self.random_text(&prompts::ENVELOPE_FAILURES));
                (task, None)
            }
            6 => {
                task.run_time = task.run_time.min(MAX_USUAL_RUN);
                task.created_at = self.start - task.run_time - 4_000;
                task.flag_delay = 4_000 + self.simulated(27.0);
                (task, None)
            }
            7 => (self.make_create_failed(task, 3 * HOUR), None),
            8 => {
                task = with_prompt(task, prompts::HOSTILE_PROMPT);
                let ago = RETENTION - 19 * HOUR - 45 * MINUTE;
                (self.make_finished(task, ago), None)
            }
            9 => {
                task = self.make_running(with_prompt(task, third_wide.1), 68.0);
                task.unknown_flag_for =
                    self.start - task.created_at + self.simulated(20.0).min(task.run_time / 4);
                (task, Some(third_wide.0))
            }
            10 => {
                task = with_prompt(task, prompts::LONG_PROMPT);
                task.callback = Some(self.random_callback());
                (self.make_finished(task, 52 * MINUTE), None)
            }
            11 => {
                task.outcome = TaskOutcome::Succeeded(0);
                (self.make_finished(task, 26 * MINUTE), Some("where is it?"))
            }
            12 => return self.add_initial(task.id, None, self.start - 7 * MINUTE),
            13 => {
                let task = self.make_finished(task, RETENTION + DAY + 3 * HOUR);
                (task, Some("first test, blue car"))
            }
            _ => self.random_task(task, number),
        };
        // As if added seconds after its creation.
        let added = task.created_at + to_millis(self.rng.range(1.0, 9.0));
        self.add_initial(task.id.clone(), label, added);
        self.scenario.tasks.push(task);
    }

    /// Adds a task to the list.
    fn add_initial(&mut self, id: String, label: Option<&'static str>, added: Millis) {
        let added_at = Timestamp::from_millisecond(added.min(self.start)).unwrap_or_default();
        let task = InitialTask {
            id,
            label,
            added_at,
        };
        self.scenario.initial_tasks.push(task);
    }

    /// Gives a task a random state and label; about one in three is still running.
    fn random_task(
        &mut self,
        mut task: SimulatedTask,
        number: usize,
    ) -> (SimulatedTask, Option<&'static str>) {
        let choice = self.rng.next_f64();
        let left = self.rng.range(20.0, 240.0);
        let age = to_millis(180.0 * (8.6 * self.rng.next_f64()).exp()).min(15 * DAY);
        if self.rng.next_f64() < 0.25 {
            task.callback = Some(self.random_callback());
        }
        let label = (self.rng.next_f64() < 0.4).then(|| self.label_and_prompt(number).0);
        if choice < 0.36 {
            task.outcome = match self.rng.index(10) {
                0 => self.generation_failure(),
                1 => TaskOutcome::CallbackFailed(1),
                _ => TaskOutcome::Succeeded(1),
            };
            return (self.make_running(task, left), label);
        }
        if (0.88..0.92).contains(&choice) {
            return (self.make_create_failed(task, age), label);
        }
        if (0.80..0.88).contains(&choice) {
            task.outcome = self.generation_failure();
        } else if (0.92..0.96).contains(&choice) {
            task.outcome = TaskOutcome::CallbackFailed(1);
            task.callback = Some(self.random_callback());
        } else if choice >= 0.96 {
            task.outcome = TaskOutcome::Error501(self.random_text(&prompts::ENVELOPE_FAILURES));
        }
        (self.make_finished(task, age), label)
    }

    /// Adds the tasks that start at their first query and finish within 1 to 3 simulated minutes.
    fn add_on_demand_tasks(&mut self) {
        let outcomes = [
            TaskOutcome::Succeeded(2),
            TaskOutcome::CallbackFailed(1),
            TaskOutcome::Succeeded(1),
            self.generation_failure(),
        ];
        for (index, outcome) in outcomes.into_iter().enumerate() {
            let mut task = self.draft_task(index + 20);
            task.run_time = to_millis(self.rng.range(62.0, 178.0));
            if outcome == TaskOutcome::Succeeded(2) {
                task.clip = DemoClip::Sea;
            }
            if outcome == TaskOutcome::CallbackFailed(1) {
                task.callback = Some(self.random_callback());
            }
            task.outcome = outcome;
            self.scenario.on_demand.push(task);
        }
    }

    /// Draws a task that succeeds with one video. Its times are set later.
    fn draft_task(&mut self, number: usize) -> SimulatedTask {
        SimulatedTask {
            prompt: self.label_and_prompt(number).1.to_owned(),
            watermark: if number % 5 == 3 { "studio" } else { "" }.to_owned(),
            ..SimulatedTask::draw(&mut self.rng, self.start)
        }
    }

    /// Sets the times so that the task finishes this many real seconds after the start, or sooner
    /// if it would otherwise not have started yet.
    fn make_running(&mut self, mut task: SimulatedTask, seconds_left: f64) -> SimulatedTask {
        let left = self.simulated(seconds_left);
        let shortest = left + 2 * MIN_RUNNING_AGE;
        task.run_time = task.run_time.max(shortest).min(20 * MINUTE);
        let left = left.min(task.run_time - MIN_RUNNING_AGE);
        task.created_at = self.start - (task.run_time - left);
        task
    }

    /// Sets the times so that the task is late at the start and finishes 44 real seconds after it.
    fn make_late(&self, mut task: SimulatedTask) -> SimulatedTask {
        let age = 15 * MINUTE + 30_000;
        task.run_time = age + self.simulated(44.0).min(10 * MINUTE);
        task.created_at = self.start - age;
        task
    }

    /// Sets the times so that the task finished this long before the start.
    fn make_finished(&self, mut task: SimulatedTask, ago: Millis) -> SimulatedTask {
        task.run_time = task.run_time.min(MAX_USUAL_RUN);
        task.created_at = self.start - ago - task.run_time;
        task
    }

    fn make_create_failed(&mut self, mut task: SimulatedTask, ago: Millis) -> SimulatedTask {
        task.outcome = TaskOutcome::CreateFailed(self.random_text(&prompts::CREATE_FAILURES));
        task.run_time = to_millis(self.rng.range(0.8, 4.0));
        self.make_finished(task, ago)
    }

    fn generation_failure(&mut self) -> TaskOutcome {
        TaskOutcome::GenerateFailed(self.random_text(&prompts::GENERATE_FAILURES))
    }

    fn random_callback(&mut self) -> String {
        self.random_text(&prompts::CALLBACK_URLS).to_owned()
    }

    fn random_text(&mut self, texts: &[&'static str]) -> &'static str {
        let index = self.rng.index(texts.len());
        texts.get(index).copied().unwrap_or_default()
    }

    fn label_and_prompt(&self, number: usize) -> (&'static str, &'static str) {
        let index = number % self.prompts.len().max(1);
        self.prompts.get(index).copied().unwrap_or_default()
    }

    /// Converts real seconds to simulated milliseconds.
    fn simulated(&self, seconds: f64) -> Millis {
        to_millis(seconds * self.speed)
    }
}

fn with_prompt(mut task: SimulatedTask, prompt: &str) -> SimulatedTask {
    prompt.clone_into(&mut task.prompt);
    task
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::tasks::TaskPhase;
    use super::*;

    const START: Millis = 1_755_078_171_000;

    fn phases(scenario: &Scenario, now: Millis) -> Vec<TaskPhase> {
        scenario.tasks.iter().map(|task| task.phase(now)).collect()
    }

    #[test]
    fn tasks_depend_only_on_the_seed() {
        let drawn_parts = |scenario: Scenario| -> Vec<_> {
            let tasks = scenario.tasks.into_iter().chain(scenario.on_demand);
            tasks.map(|p| (p.id, p.prompt, p.outcome, p.clip)).collect()
        };

        let one = drawn_parts(build_scenario(40, 6.0, 7, START));

        assert_eq!(one, drawn_parts(build_scenario(40, 60.0, 7, START + DAY)));
        assert_ne!(one, drawn_parts(build_scenario(40, 6.0, 8, START)));
    }

    #[test]
    fn the_first_task_finishes_after_6_to_18_seconds() {
        for seed in 0..200 {
            for speed in [0.5, 1.0, 6.0, 20.0, 60.0] {
                let scenario = build_scenario(1, speed, seed, START);
                let first = &scenario.tasks[0];
                let after = |seconds: f64| START + to_millis(seconds * speed);

                assert_eq!(first.phase(START), TaskPhase::Running);
                assert_eq!(first.phase(after(6.0)), TaskPhase::Running);
                assert_eq!(first.phase(after(18.0)), TaskPhase::Ended, "{seed} {speed}");
            }
        }
    }

    #[test]
    fn eight_tasks_show_at_least_four_states() {
        let scenario = build_scenario(8, 6.0, 1, START);
        let ended: HashSet<_> = scenario
            .tasks
            .iter()
            .filter(|task| task.phase(START) == TaskPhase::Ended)
            .map(|task| std::mem::discriminant(&task.outcome))
            .collect();
        assert_eq!(ended.len(), 4);
        assert!(phases(&scenario, START).contains(&TaskPhase::Finishing));
        assert!(phases(&scenario, START).contains(&TaskPhase::Running));

        let scenario = build_scenario(14, 6.0, 1, START);
        assert!(phases(&scenario, START).contains(&TaskPhase::UnknownFlag));
        assert_eq!(scenario.initial_tasks.len(), 14);
        assert_eq!(scenario.tasks.len(), 13, "one id is unknown");
        let late = START + DAY;
        assert!(
            phases(&scenario, late)
                .iter()
                .all(|p| *p == TaskPhase::Ended)
        );
        let ends: HashSet<_> = scenario
            .tasks
            .iter()
            .map(|task| std::mem::discriminant(&task.outcome))
            .collect();
        assert_eq!(ends.len(), 5);
    }

    #[test]
    fn completions_are_staggered_over_minutes() {
        let scenario = build_scenario(14, 6.0, 3, START);
        let mut after: Vec<Millis> = scenario
            .tasks
            .iter()
            .map(|task| (task.completed_at() + task.flag_delay - START) / 6_000)
            .filter(|seconds| *seconds > 0)
            .collect();
        after.sort_unstable();

        assert_eq!(after, [7, 27, 44, 68, 145]);
    }

    #[test]
    fn one_task_is_late_and_five_are_samples() {
        for seed in 0..50 {
            let scenario = build_scenario(14, 6.0, seed, START);
            let late = &scenario.tasks[1];
            let runs: Vec<Millis> = scenario
                .tasks
                .iter()
                .filter(|task| task.video_count(START) > 0)
                .map(|task| task.run_time)
                .collect();

            assert_eq!(runs.len(), 5);
            assert_eq!(late.phase(START), TaskPhase::Running);
            assert!(runs.iter().all(|run| *run < START - late.created_at));
            assert!(runs.iter().collect::<HashSet<_>>().len() > 2);
        }
    }

    #[test]
    fn tasks_begin_by_the_start_with_unique_ids() {
        for speed in [0.01, 6.0, 100.0, 10_000.0] {
            for seed in 0..20 {
                let scenario = build_scenario(200, speed, seed, START);
                let ids: HashSet<_> = scenario.initial_tasks.iter().map(|task| &task.id).collect();

                assert_eq!(ids.len(), 200);
                assert!(scenario.tasks.iter().all(|task| task.created_at < START));
                assert!(
                    scenario
                        .tasks
                        .iter()
                        .all(|task| task.run_time <= 26 * MINUTE)
                );
                assert!(
                    scenario
                        .initial_tasks
                        .iter()
                        .all(|task| task.added_at.as_millisecond() <= START)
                );
            }
        }
    }

    #[test]
    fn the_unknown_flag_becomes_running_then_success() {
        for speed in [0.5, 6.0, 10_000.0] {
            let scenario = build_scenario(10, speed, 5, START);
            let task = &scenario.tasks[9];

            assert_eq!(task.phase(START), TaskPhase::UnknownFlag);
            assert_eq!(
                task.phase(task.created_at + task.unknown_flag_for),
                TaskPhase::Running
            );
            assert_eq!(task.phase(START + DAY), TaskPhase::Ended);
            assert_eq!(task.video_count(START + DAY), 1);
        }
    }

    #[test]
    fn on_demand_tasks_finish_minutes_after_first_query() {
        let scenario = build_scenario(0, 6.0, 9, START);

        assert_eq!(scenario.on_demand.len(), 4);
        for task in scenario.on_demand {
            assert!(
                (MINUTE..=3 * MINUTE).contains(&task.run_time),
                "{}",
                task.run_time
            );
        }
    }
}
