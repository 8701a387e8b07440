//! The opening scene: which tasks there are at the start, and what will happen to each of them
//! when.
//!
//! The first fourteen are an arranged mix that shows every state; those after them are drawn by the
//! seed. It must not know HTTP or JSON, and reads no clock: it is given the moment of the start.

use super::media::DemoClip;
use super::prompts;
use super::rng::{Rng, to_millis};
use super::tasks::{
    DAY, HOUR, MINUTE, Millis, RETENTION, SimulatedTask, SourceVideo, TaskOutcome, draw_run_time,
};

/// The longest run time a finished task of the opening has, so that one past 15 minutes is late by
/// any reckoning.
const MAX_USUAL_RUN: Millis = 13 * MINUTE;
/// The youngest a running task of the opening is.
const MIN_RUNNING_AGE: Millis = 15_000;

/// Holds one task that belongs on the list from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeedTask {
    /// The id, which the world need not know.
    pub(super) id: String,
    /// The name its owner gave it.
    pub(super) label: Option<String>,
    /// When its owner put it on the list.
    pub(super) added_at: Millis,
}

/// Holds the opening scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scenario {
    /// Tasks alive at the start.
    pub(super) tasks: Vec<SimulatedTask>,
    /// What the list shows at the start.
    pub(super) seed_tasks: Vec<SeedTask>,
    /// Tasks that start when first asked after.
    pub(super) on_demand: Vec<SimulatedTask>,
}

/// Stages the opening for a number of watched tasks, at a moment, at a rate (simulated seconds per
/// real one).
///
/// Ids, prompts and endings follow from the seed alone; only moments follow from `start` and
/// `rate`.
pub(super) fn build_scenario(tasks: usize, rate: f64, seed: u64, start: Millis) -> Scenario {
    let mut director = ScenarioBuilder::new(rate, seed, start);
    for number in 0..tasks {
        director.add_task(number);
    }
    director.add_on_demand_tasks();
    director.scenario
}

/// Keeps what is drawn from while tasks enter one after another.
struct ScenarioBuilder {
    rng: Rng,
    speed: f64,
    start: Millis,
    prompts: Vec<(&'static str, &'static str)>,
    scenario: Scenario,
}

impl ScenarioBuilder {
    fn new(rate: f64, seed: u64, start: Millis) -> Self {
        let mut chance = Rng::new(seed, 1);
        let mut scripts = prompts::PROMPTS.to_vec();
        chance.shuffle(&mut scripts);
        Self {
            rng: chance,
            speed: rate,
            start,
            prompts: scripts,
            scenario: Scenario {
                tasks: Vec::new(),
                seed_tasks: Vec::new(),
                on_demand: Vec::new(),
            },
        }
    }

    /// Puts the task of that place on the list; places 0 to 13 are arranged.
    fn add_task(&mut self, number: usize) {
        let plan = self.draft_task(number);
        let [first_wide, second_wide, third_wide] = prompts::WIDE_PROMPTS;
        let label = |name: &str| Some(name.to_owned());
        match number {
            0 => {
                let plan = self.make_running(plan, 7.0);
                self.add_watched(plan, label("hero loop"));
            }
            1 => {
                let plan = self.make_late(plan);
                self.add_watched(plan, None);
            }
            2 => {
                let mut plan = with_prompt(plan, first_wide.0);
                plan.clip = DemoClip::Sea;
                plan.outcome = TaskOutcome::Succeeded(2);
                let plan = self.make_finished(plan, RETENTION - DAY - 14 * HOUR);
                self.add_watched(plan, None);
            }
            3 => {
                let mut plan = plan;
                plan.outcome = self.generation_failure();
                let plan = self.make_finished(plan, 35 * MINUTE);
                self.add_watched(plan, label("take 2"));
            }
            4 => {
                let mut plan = with_prompt(plan, second_wide.0);
                plan.outcome = TaskOutcome::CallbackFailed(1);
                plan.callback = Some(self.random_callback());
                let plan = self.make_finished(plan, 9 * HOUR);
                self.add_watched(plan, label(second_wide.1));
            }
            5 => {
                let mut plan = self.make_running(plan, 145.0);
                plan.outcome = TaskOutcome::Error501(self.random_text(&prompts::ENVELOPE_FAILURES));
                self.add_watched(plan, None);
            }
            6 => {
                let mut plan = plan;
                plan.run_time = plan.run_time.min(MAX_USUAL_RUN);
                plan.created_at = self.start - plan.run_time - 4_000;
                plan.flag_delay = 4_000 + self.simulated(27.0);
                self.add_watched(plan, None);
            }
            7 => {
                let plan = self.make_create_failed(plan, 3 * HOUR);
                self.add_watched(plan, None);
            }
            8 => {
                let plan = with_prompt(plan, prompts::HOSTILE_PROMPT);
                let plan = self.make_finished(plan, RETENTION - 19 * HOUR - 45 * MINUTE);
                self.add_watched(plan, None);
            }
            9 => {
                let mut plan = self.make_running(with_prompt(plan, third_wide.0), 68.0);
                plan.unknown_flag_for =
                    self.start - plan.created_at + self.simulated(20.0).min(plan.run_time / 4);
                self.add_watched(plan, label(third_wide.1));
            }
            10 => {
                let mut plan = with_prompt(plan, prompts::LONG_PROMPT);
                plan.callback = Some(self.random_callback());
                let plan = self.make_finished(plan, 52 * MINUTE);
                self.add_watched(plan, None);
            }
            11 => {
                let mut plan = plan;
                plan.outcome = TaskOutcome::Succeeded(0);
                let plan = self.make_finished(plan, 26 * MINUTE);
                self.add_watched(plan, label("where is it?"));
            }
            12 => self.scenario.seed_tasks.push(SeedTask {
                id: plan.id,
                label: None,
                added_at: self.start - 7 * MINUTE,
            }),
            13 => {
                let plan = self.make_finished(plan, RETENTION + DAY + 3 * HOUR);
                self.add_watched(plan, label("first test, blue car"));
            }
            _ => self.add_random_task(plan, number),
        }
    }

    /// Puts a task on the list whose state the seed decides; one in three still runs.
    fn add_random_task(&mut self, mut plan: SimulatedTask, number: usize) {
        let lot = self.rng.next_f64();
        let left = self.rng.range(20.0, 240.0);
        let age = to_millis(180.0 * (8.6 * self.rng.next_f64()).exp()).min(15 * DAY);
        if self.rng.next_f64() < 0.25 {
            plan.callback = Some(self.random_callback());
        }
        let label = (self.rng.next_f64() < 0.4).then(|| self.prompt_and_label(number).1.to_owned());
        let plan = if lot < 0.36 {
            plan.outcome = match self.rng.index(10) {
                0 => self.generation_failure(),
                1 => TaskOutcome::CallbackFailed(1),
                _ => TaskOutcome::Succeeded(1),
            };
            self.make_running(plan, left)
        } else if lot < 0.80 {
            self.make_finished(plan, age)
        } else if lot < 0.88 {
            plan.outcome = self.generation_failure();
            self.make_finished(plan, age)
        } else if lot < 0.92 {
            self.make_create_failed(plan, age)
        } else if lot < 0.96 {
            plan.outcome = TaskOutcome::CallbackFailed(1);
            plan.callback = Some(self.random_callback());
            self.make_finished(plan, age)
        } else {
            plan.outcome = TaskOutcome::Error501(self.random_text(&prompts::ENVELOPE_FAILURES));
            self.make_finished(plan, age)
        };
        self.add_watched(plan, label);
    }

    /// Adds the tasks that start when first asked after and end within 1 to 3 simulated minutes.
    fn add_on_demand_tasks(&mut self) {
        let endings = [
            TaskOutcome::Succeeded(2),
            TaskOutcome::CallbackFailed(1),
            TaskOutcome::Succeeded(1),
            self.generation_failure(),
        ];
        for (place, ending) in endings.into_iter().enumerate() {
            let mut plan = self.draft_task(place + 20);
            plan.run_time = to_millis(self.rng.range(62.0, 178.0));
            if ending == TaskOutcome::Succeeded(2) {
                plan.clip = DemoClip::Sea;
            }
            if ending == TaskOutcome::CallbackFailed(1) {
                plan.callback = Some(self.random_callback());
            }
            plan.outcome = ending;
            self.scenario.on_demand.push(plan);
        }
    }

    /// Draws a task that would succeed with one video; its place in time is still to be set.
    fn draft_task(&mut self, number: usize) -> SimulatedTask {
        SimulatedTask {
            id: self.rng.task_id(),
            prompt: self.prompt_and_label(number).0.to_owned(),
            clip: DemoClip::random(&mut self.rng),
            source: SourceVideo::Local,
            callback: None,
            watermark: if number % 5 == 3 { "studio" } else { "" }.to_owned(),
            created_at: self.start,
            hidden_for: 0,
            unknown_flag_for: 0,
            run_time: draw_run_time(&mut self.rng),
            flag_delay: 0,
            outcome: TaskOutcome::Succeeded(1),
        }
    }

    /// Sets a task so that it ends that many real seconds after the start, sooner if it would not
    /// have begun yet.
    fn make_running(&mut self, mut plan: SimulatedTask, real_left: f64) -> SimulatedTask {
        let left = self.simulated(real_left);
        plan.run_time = plan
            .run_time
            .max(left + 2 * MIN_RUNNING_AGE)
            .min(20 * MINUTE);
        let left = left.min(plan.run_time - MIN_RUNNING_AGE);
        plan.created_at = self.start - (plan.run_time - left);
        plan
    }

    /// Sets a task so that it has run far longer than others when the scene opens, and ends 44 real
    /// seconds later.
    fn make_late(&self, mut plan: SimulatedTask) -> SimulatedTask {
        let age = 15 * MINUTE + 30_000;
        plan.run_time = age + self.simulated(44.0).min(10 * MINUTE);
        plan.created_at = self.start - age;
        plan
    }

    /// Sets a task so that it ended that long before the start.
    fn make_finished(&self, mut plan: SimulatedTask, ago: Millis) -> SimulatedTask {
        plan.run_time = plan.run_time.min(MAX_USUAL_RUN);
        plan.created_at = self.start - ago - plan.run_time;
        plan
    }

    fn make_create_failed(&mut self, mut plan: SimulatedTask, ago: Millis) -> SimulatedTask {
        plan.outcome = TaskOutcome::CreateFailed(self.random_text(&prompts::CREATE_FAILURES));
        plan.run_time = to_millis(self.rng.range(0.8, 4.0));
        self.make_finished(plan, ago)
    }

    fn generation_failure(&mut self) -> TaskOutcome {
        TaskOutcome::GenerateFailed(self.random_text(&prompts::GENERATE_FAILURES))
    }

    fn random_callback(&mut self) -> String {
        self.random_text(&prompts::CALLBACK_URLS)
    }

    fn random_text(&mut self, texts: &[&str]) -> String {
        let place = self.rng.index(texts.len());
        texts.get(place).copied().unwrap_or_default().to_owned()
    }

    fn prompt_and_label(&self, number: usize) -> (&'static str, &'static str) {
        let place = number % self.prompts.len().max(1);
        self.prompts.get(place).copied().unwrap_or_default()
    }

    /// Returns real seconds as simulated milliseconds.
    fn simulated(&self, seconds: f64) -> Millis {
        to_millis(seconds * self.speed)
    }

    /// Puts a task into the world and on the list, as if added seconds after it was created.
    fn add_watched(&mut self, plan: SimulatedTask, label: Option<String>) {
        let added = plan.created_at + to_millis(self.rng.range(1.0, 9.0));
        self.scenario.seed_tasks.push(SeedTask {
            id: plan.id.clone(),
            label,
            added_at: added.min(self.start),
        });
        self.scenario.tasks.push(plan);
    }
}

/// Returns the task with another prompt.
fn with_prompt(mut plan: SimulatedTask, prompt: &str) -> SimulatedTask {
    prompt.clone_into(&mut plan.prompt);
    plan
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::tasks::TaskPhase;
    use super::*;

    const START: Millis = 1_755_078_171_000;

    fn phases(opening: &Scenario, now: Millis) -> Vec<TaskPhase> {
        opening.tasks.iter().map(|plan| plan.phase(now)).collect()
    }

    #[test]
    fn tasks_depend_only_on_the_seed() {
        let essence = |opening: Scenario| -> Vec<_> {
            let plans = opening.tasks.into_iter().chain(opening.on_demand);
            plans.map(|p| (p.id, p.prompt, p.outcome, p.clip)).collect()
        };

        let one = essence(build_scenario(40, 6.0, 7, START));

        assert_eq!(one, essence(build_scenario(40, 60.0, 7, START + DAY)));
        assert_ne!(one, essence(build_scenario(40, 6.0, 8, START)));
    }

    #[test]
    fn the_first_task_finishes_after_6_to_18_seconds() {
        for seed in 0..200 {
            for speed in [0.5, 1.0, 6.0, 20.0, 60.0] {
                let opening = build_scenario(1, speed, seed, START);
                let first = &opening.tasks[0];
                let after = |seconds: f64| START + to_millis(seconds * speed);

                assert_eq!(first.phase(START), TaskPhase::Running);
                assert_eq!(first.phase(after(6.0)), TaskPhase::Running);
                assert_eq!(first.phase(after(18.0)), TaskPhase::Ended, "{seed} {speed}");
            }
        }
    }

    #[test]
    fn eight_tasks_show_at_least_four_states() {
        let opening = build_scenario(8, 6.0, 1, START);
        let ended: HashSet<_> = opening
            .tasks
            .iter()
            .filter(|plan| plan.phase(START) == TaskPhase::Ended)
            .map(|plan| std::mem::discriminant(&plan.outcome))
            .collect();
        assert_eq!(ended.len(), 4);
        assert!(phases(&opening, START).contains(&TaskPhase::Finishing));
        assert!(phases(&opening, START).contains(&TaskPhase::Running));

        let opening = build_scenario(14, 6.0, 1, START);
        assert!(phases(&opening, START).contains(&TaskPhase::UnknownFlag));
        assert_eq!(opening.seed_tasks.len(), 14);
        assert_eq!(opening.tasks.len(), 13, "one id is unknown");
        let late = START + DAY;
        assert!(
            phases(&opening, late)
                .iter()
                .all(|p| *p == TaskPhase::Ended)
        );
        let ends: HashSet<_> = opening
            .tasks
            .iter()
            .map(|plan| std::mem::discriminant(&plan.outcome))
            .collect();
        assert_eq!(ends.len(), 5);
    }

    #[test]
    fn completions_are_staggered_over_minutes() {
        let opening = build_scenario(14, 6.0, 3, START);
        let mut after: Vec<Millis> = opening
            .tasks
            .iter()
            .map(|plan| (plan.completed_at() + plan.flag_delay - START) / 6_000)
            .filter(|seconds| *seconds > 0)
            .collect();
        after.sort_unstable();

        assert_eq!(after, [7, 27, 44, 68, 145]);
    }

    #[test]
    fn one_task_is_late_and_five_are_samples() {
        for seed in 0..50 {
            let opening = build_scenario(14, 6.0, seed, START);
            let late = &opening.tasks[1];
            let runs: Vec<Millis> = opening
                .tasks
                .iter()
                .filter(|plan| plan.video_count(START) > 0)
                .map(|plan| plan.run_time)
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
                let opening = build_scenario(200, speed, seed, START);
                let ids: HashSet<_> = opening.seed_tasks.iter().map(|cue| &cue.id).collect();

                assert_eq!(ids.len(), 200);
                assert!(opening.tasks.iter().all(|plan| plan.created_at < START));
                assert!(
                    opening
                        .tasks
                        .iter()
                        .all(|plan| plan.run_time <= 26 * MINUTE)
                );
                assert!(opening.seed_tasks.iter().all(|cue| cue.added_at <= START));
            }
        }
    }

    #[test]
    fn the_unknown_flag_becomes_running_then_success() {
        for speed in [0.5, 6.0, 10_000.0] {
            let opening = build_scenario(10, speed, 5, START);
            let plan = &opening.tasks[9];

            assert_eq!(plan.phase(START), TaskPhase::UnknownFlag);
            assert_eq!(
                plan.phase(plan.created_at + plan.unknown_flag_for),
                TaskPhase::Running
            );
            assert_eq!(plan.phase(START + DAY), TaskPhase::Ended);
            assert_eq!(plan.video_count(START + DAY), 1);
        }
    }

    #[test]
    fn on_demand_tasks_finish_minutes_after_first_query() {
        let opening = build_scenario(0, 6.0, 9, START);

        assert_eq!(opening.on_demand.len(), 4);
        for plan in opening.on_demand {
            assert!(
                (MINUTE..=3 * MINUTE).contains(&plan.run_time),
                "{}",
                plan.run_time
            );
        }
    }
}
