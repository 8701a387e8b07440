//! The opening scene: which tasks there are at the start, and what will happen to each of them when.
//!
//! The first fourteen are an arranged mix that shows every state; those after them are drawn by the seed. It must not know
//! HTTP or JSON, and reads no clock: it is given the moment of the start.

use super::chance::{Chance, milliseconds};
use super::media::Clip;
use super::prompts;
use super::world::{DAY, Ending, HOUR, Input, MINUTE, Millis, Plan, RETENTION, run_time};

/// The longest run time a finished task of the opening has, so that one past 15 minutes is late by any reckoning.
const USUAL_MOST: Millis = 13 * MINUTE;
/// The youngest a running task of the opening is.
const YOUNGEST: Millis = 15_000;

/// Holds one task that belongs on the list from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cue {
    /// The id, which the world need not know.
    pub(super) id: String,
    /// The name its owner gave it.
    pub(super) label: Option<String>,
    /// When its owner put it on the list.
    pub(super) added: Millis,
}

/// Holds the opening scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// Tasks alive at the start.
    pub(super) plans: Vec<Plan>,
    /// What the list shows at the start.
    pub(super) cues: Vec<Cue>,
    /// Tasks that start when first asked after.
    pub(super) sleepers: Vec<Plan>,
}

/// Stages the opening for a number of watched tasks, at a moment, at a rate (simulated seconds per real one).
///
/// Ids, prompts and endings follow from the seed alone; only moments follow from `start` and `rate`.
pub(super) fn stage(tasks: usize, rate: f64, seed: u64, start: Millis) -> Opening {
    let mut director = Director::new(rate, seed, start);
    for number in 0..tasks {
        director.enter(number);
    }
    director.sleepers();
    director.opening
}

/// Keeps what is drawn from while tasks enter one after another.
struct Director {
    chance: Chance,
    rate: f64,
    start: Millis,
    scripts: Vec<(&'static str, &'static str)>,
    opening: Opening,
}

impl Director {
    fn new(rate: f64, seed: u64, start: Millis) -> Self {
        let mut chance = Chance::new(seed, 1);
        let mut scripts = prompts::PROMPTS.to_vec();
        chance.shuffle(&mut scripts);
        Self {
            chance,
            rate,
            start,
            scripts,
            opening: Opening {
                plans: Vec::new(),
                cues: Vec::new(),
                sleepers: Vec::new(),
            },
        }
    }

    /// Puts the task of that place on the list; places 0 to 13 are arranged.
    fn enter(&mut self, number: usize) {
        let plan = self.draft(number);
        let [first_wide, second_wide, third_wide] = prompts::WIDE;
        let label = |name: &str| Some(name.to_owned());
        match number {
            0 => {
                let plan = self.running(plan, 7.0);
                self.watch(plan, label("hero loop"));
            }
            1 => {
                let plan = self.late(plan);
                self.watch(plan, None);
            }
            2 => {
                let mut plan = said(plan, first_wide.0);
                plan.clip = Clip::Sea;
                plan.ending = Ending::Succeeded(2);
                let plan = self.ended(plan, RETENTION - DAY - 14 * HOUR);
                self.watch(plan, None);
            }
            3 => {
                let mut plan = plan;
                plan.ending = self.generate_failed();
                let plan = self.ended(plan, 35 * MINUTE);
                self.watch(plan, label("take 2"));
            }
            4 => {
                let mut plan = said(plan, second_wide.0);
                plan.ending = Ending::CallbackFailed(1);
                plan.callback = Some(self.callback());
                let plan = self.ended(plan, 9 * HOUR);
                self.watch(plan, label(second_wide.1));
            }
            5 => {
                let mut plan = self.running(plan, 145.0);
                plan.ending = Ending::Refused(self.one_of(&prompts::REFUSALS));
                self.watch(plan, None);
            }
            6 => {
                let mut plan = plan;
                plan.run = plan.run.min(USUAL_MOST);
                plan.created = self.start - plan.run - 4_000;
                plan.linger = 4_000 + self.real(27.0);
                self.watch(plan, None);
            }
            7 => {
                let plan = self.create_failed(plan, 3 * HOUR);
                self.watch(plan, None);
            }
            8 => {
                let plan = said(plan, prompts::HOSTILE);
                let plan = self.ended(plan, RETENTION - 19 * HOUR - 45 * MINUTE);
                self.watch(plan, None);
            }
            9 => {
                let mut plan = self.running(said(plan, third_wide.0), 68.0);
                plan.odd = self.start - plan.created + self.real(20.0).min(plan.run / 4);
                self.watch(plan, label(third_wide.1));
            }
            10 => {
                let mut plan = said(plan, prompts::LONG);
                plan.callback = Some(self.callback());
                let plan = self.ended(plan, 52 * MINUTE);
                self.watch(plan, None);
            }
            11 => {
                let mut plan = plan;
                plan.ending = Ending::Succeeded(0);
                let plan = self.ended(plan, 26 * MINUTE);
                self.watch(plan, label("where is it?"));
            }
            12 => self.opening.cues.push(Cue {
                id: plan.id,
                label: None,
                added: self.start - 7 * MINUTE,
            }),
            13 => {
                let plan = self.ended(plan, RETENTION + DAY + 3 * HOUR);
                self.watch(plan, label("first test, blue car"));
            }
            _ => self.enter_by_chance(plan, number),
        }
    }

    /// Puts a task on the list whose state the seed decides; one in three still runs.
    fn enter_by_chance(&mut self, mut plan: Plan, number: usize) {
        let lot = self.chance.unit();
        let left = self.chance.between(20.0, 240.0);
        let age = milliseconds(180.0 * (8.6 * self.chance.unit()).exp()).min(15 * DAY);
        if self.chance.unit() < 0.25 {
            plan.callback = Some(self.callback());
        }
        let label = (self.chance.unit() < 0.4).then(|| self.script(number).1.to_owned());
        let plan = if lot < 0.36 {
            plan.ending = match self.chance.position(10) {
                0 => self.generate_failed(),
                1 => Ending::CallbackFailed(1),
                _ => Ending::Succeeded(1),
            };
            self.running(plan, left)
        } else if lot < 0.80 {
            self.ended(plan, age)
        } else if lot < 0.88 {
            plan.ending = self.generate_failed();
            self.ended(plan, age)
        } else if lot < 0.92 {
            self.create_failed(plan, age)
        } else if lot < 0.96 {
            plan.ending = Ending::CallbackFailed(1);
            plan.callback = Some(self.callback());
            self.ended(plan, age)
        } else {
            plan.ending = Ending::Refused(self.one_of(&prompts::REFUSALS));
            self.ended(plan, age)
        };
        self.watch(plan, label);
    }

    /// Adds the tasks that start when first asked after and end within 1 to 3 simulated minutes.
    fn sleepers(&mut self) {
        let endings = [
            Ending::Succeeded(2),
            Ending::CallbackFailed(1),
            Ending::Succeeded(1),
            self.generate_failed(),
        ];
        for (place, ending) in endings.into_iter().enumerate() {
            let mut plan = self.draft(place + 20);
            plan.run = milliseconds(self.chance.between(62.0, 178.0));
            if ending == Ending::Succeeded(2) {
                plan.clip = Clip::Sea;
            }
            if ending == Ending::CallbackFailed(1) {
                plan.callback = Some(self.callback());
            }
            plan.ending = ending;
            self.opening.sleepers.push(plan);
        }
    }

    /// Draws a task that would succeed with one video; its place in time is still to be set.
    fn draft(&mut self, number: usize) -> Plan {
        Plan {
            id: self.chance.id(),
            prompt: self.script(number).0.to_owned(),
            clip: Clip::pick(&mut self.chance),
            input: Input::Ours,
            callback: None,
            watermark: if number % 5 == 3 { "studio" } else { "" }.to_owned(),
            created: self.start,
            hidden: 0,
            odd: 0,
            run: run_time(&mut self.chance),
            linger: 0,
            ending: Ending::Succeeded(1),
        }
    }

    /// Sets a task so that it ends that many real seconds after the start, sooner if it would not have begun yet.
    fn running(&mut self, mut plan: Plan, real_left: f64) -> Plan {
        let left = self.real(real_left);
        plan.run = plan.run.max(left + 2 * YOUNGEST).min(20 * MINUTE);
        let left = left.min(plan.run - YOUNGEST);
        plan.created = self.start - (plan.run - left);
        plan
    }

    /// Sets a task so that it has run far longer than others when the scene opens, and ends 44 real seconds later.
    fn late(&self, mut plan: Plan) -> Plan {
        let age = 15 * MINUTE + 30_000;
        plan.run = age + self.real(44.0).min(10 * MINUTE);
        plan.created = self.start - age;
        plan
    }

    /// Sets a task so that it ended that long before the start.
    fn ended(&self, mut plan: Plan, ago: Millis) -> Plan {
        plan.run = plan.run.min(USUAL_MOST);
        plan.created = self.start - ago - plan.run;
        plan
    }

    fn create_failed(&mut self, mut plan: Plan, ago: Millis) -> Plan {
        plan.ending = Ending::CreateFailed(self.one_of(&prompts::CREATE_FAILURES));
        plan.run = milliseconds(self.chance.between(0.8, 4.0));
        self.ended(plan, ago)
    }

    fn generate_failed(&mut self) -> Ending {
        Ending::GenerateFailed(self.one_of(&prompts::GENERATE_FAILURES))
    }

    fn callback(&mut self) -> String {
        self.one_of(&prompts::CALLBACKS)
    }

    fn one_of(&mut self, texts: &[&str]) -> String {
        let place = self.chance.position(texts.len());
        texts.get(place).copied().unwrap_or_default().to_owned()
    }

    fn script(&self, number: usize) -> (&'static str, &'static str) {
        let place = number % self.scripts.len().max(1);
        self.scripts.get(place).copied().unwrap_or_default()
    }

    /// Returns real seconds as simulated milliseconds.
    fn real(&self, seconds: f64) -> Millis {
        milliseconds(seconds * self.rate)
    }

    /// Puts a task into the world and on the list, as if added seconds after it was created.
    fn watch(&mut self, plan: Plan, label: Option<String>) {
        let added = plan.created + milliseconds(self.chance.between(1.0, 9.0));
        self.opening.cues.push(Cue {
            id: plan.id.clone(),
            label,
            added: added.min(self.start),
        });
        self.opening.plans.push(plan);
    }
}

/// Returns the task with another prompt.
fn said(mut plan: Plan, prompt: &str) -> Plan {
    prompt.clone_into(&mut plan.prompt);
    plan
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::world::Phase;
    use super::*;

    const START: Millis = 1_755_078_171_000;

    fn phases(opening: &Opening, now: Millis) -> Vec<Phase> {
        opening.plans.iter().map(|plan| plan.phase(now)).collect()
    }

    #[test]
    fn ids_prompts_and_endings_follow_from_the_seed_alone() {
        let essence = |opening: Opening| -> Vec<_> {
            let plans = opening.plans.into_iter().chain(opening.sleepers);
            plans.map(|p| (p.id, p.prompt, p.ending, p.clip)).collect()
        };

        let one = essence(stage(40, 6.0, 7, START));

        assert_eq!(one, essence(stage(40, 60.0, 7, START + DAY)));
        assert_ne!(one, essence(stage(40, 6.0, 8, START)));
    }

    #[test]
    fn the_first_task_ends_between_6_and_18_real_seconds_after_the_start() {
        for seed in 0..200 {
            for speed in [0.5, 1.0, 6.0, 20.0, 60.0] {
                let opening = stage(1, speed, seed, START);
                let first = &opening.plans[0];
                let after = |seconds: f64| START + milliseconds(seconds * speed);

                assert_eq!(first.phase(START), Phase::Running);
                assert_eq!(first.phase(after(6.0)), Phase::Running);
                assert_eq!(first.phase(after(18.0)), Phase::Ended, "{seed} {speed}");
            }
        }
    }

    #[test]
    fn eight_tasks_show_at_least_four_states_and_the_default_shows_every_flag() {
        let opening = stage(8, 6.0, 1, START);
        let ended: HashSet<_> = opening
            .plans
            .iter()
            .filter(|plan| plan.phase(START) == Phase::Ended)
            .map(|plan| std::mem::discriminant(&plan.ending))
            .collect();
        assert_eq!(ended.len(), 4);
        assert!(phases(&opening, START).contains(&Phase::Finishing));
        assert!(phases(&opening, START).contains(&Phase::Running));

        let opening = stage(14, 6.0, 1, START);
        assert!(phases(&opening, START).contains(&Phase::Odd));
        assert_eq!(opening.cues.len(), 14);
        assert_eq!(opening.plans.len(), 13, "one id is unknown");
        let late = START + DAY;
        assert!(phases(&opening, late).iter().all(|p| *p == Phase::Ended));
        let ends: HashSet<_> = opening
            .plans
            .iter()
            .map(|plan| std::mem::discriminant(&plan.ending))
            .collect();
        assert_eq!(ends.len(), 5);
    }

    #[test]
    fn endings_are_staggered_over_the_first_minutes() {
        let opening = stage(14, 6.0, 3, START);
        let mut after: Vec<Millis> = opening
            .plans
            .iter()
            .map(|plan| (plan.completed() + plan.linger - START) / 6_000)
            .filter(|seconds| *seconds > 0)
            .collect();
        after.sort_unstable();

        assert_eq!(after, [7, 27, 44, 68, 145]);
    }

    #[test]
    fn a_late_one_runs_past_all_others_and_five_have_run_times_to_compare() {
        for seed in 0..50 {
            let opening = stage(14, 6.0, seed, START);
            let late = &opening.plans[1];
            let runs: Vec<Millis> = opening
                .plans
                .iter()
                .filter(|plan| plan.videos(START) > 0)
                .map(|plan| plan.run)
                .collect();

            assert_eq!(runs.len(), 5);
            assert_eq!(late.phase(START), Phase::Running);
            assert!(runs.iter().all(|run| *run < START - late.created));
            assert!(runs.iter().collect::<HashSet<_>>().len() > 2);
        }
    }

    #[test]
    fn nothing_begins_after_the_start_at_any_speed_and_ids_are_unique() {
        for speed in [0.01, 6.0, 100.0, 10_000.0] {
            for seed in 0..20 {
                let opening = stage(200, speed, seed, START);
                let ids: HashSet<_> = opening.cues.iter().map(|cue| &cue.id).collect();

                assert_eq!(ids.len(), 200);
                assert!(opening.plans.iter().all(|plan| plan.created < START));
                assert!(opening.plans.iter().all(|plan| plan.run <= 26 * MINUTE));
                assert!(opening.cues.iter().all(|cue| cue.added <= START));
            }
        }
    }

    #[test]
    fn the_flag_nobody_knows_gives_way_to_running_and_then_to_success() {
        for speed in [0.5, 6.0, 10_000.0] {
            let opening = stage(10, speed, 5, START);
            let plan = &opening.plans[9];

            assert_eq!(plan.phase(START), Phase::Odd);
            assert_eq!(plan.phase(plan.created + plan.odd), Phase::Running);
            assert_eq!(plan.phase(START + DAY), Phase::Ended);
            assert_eq!(plan.videos(START + DAY), 1);
        }
    }

    #[test]
    fn sleepers_end_one_to_three_minutes_after_the_first_question() {
        let opening = stage(0, 6.0, 9, START);

        assert_eq!(opening.sleepers.len(), 4);
        for plan in opening.sleepers {
            assert!((MINUTE..=3 * MINUTE).contains(&plan.run), "{}", plan.run);
        }
    }
}
