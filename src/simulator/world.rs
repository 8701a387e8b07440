//! The simulated world: plans of tasks, and what each of them is at a simulated moment.
//!
//! Times are Unix milliseconds of simulated time, spans are milliseconds of it. It must not know HTTP, JSON, real time or
//! where its answers go: a task's phase is a function of its plan and the moment alone.

use std::collections::HashMap;

use super::chance::{Chance, milliseconds};
use super::media::{Clip, Footage};

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
pub(super) const FRESH_LINK: Millis = 20 * MINUTE;
/// How long a task just created is still invisible to status calls; clients grant the real service 90 s.
const VISIBLE_AFTER: Millis = 3_000;

/// Names how a task ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Flag 1, with that many result videos (none is possible).
    Succeeded(usize),
    /// Flag 2, code 422 and this message.
    CreateFailed(String),
    /// Flag 3, code 500 and this message.
    GenerateFailed(String),
    /// Flag 4: that many videos were made, only telling the callback failed.
    CallbackFailed(usize),
    /// No record but the envelope's code 501 and this message.
    Refused(String),
}

/// Names what a task is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Created, but status calls do not find it yet.
    Invisible,
    /// Answers with flag 7, which no documentation knows.
    Odd,
    /// Flag 0.
    Running,
    /// Still flag 0, though `completeTime` is set already.
    Finishing,
    /// Ended as its plan says.
    Ended,
}

/// Where a task's input video comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// From this server's own media.
    Ours,
    /// From an address its creator gave.
    Given(String),
}

/// Holds all that will ever happen to one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// 32 lower-case hexadecimal digits.
    pub(super) id: String,
    /// As its creator sent it, hostile characters included.
    pub(super) prompt: String,
    /// The pair of clips it plays.
    pub(super) clip: Clip,
    /// Its input video.
    pub(super) input: Input,
    /// Where its creator wants to be told, if anywhere.
    pub(super) callback: Option<String>,
    /// The watermark text, mostly empty.
    pub(super) watermark: String,
    /// The moment of its creation.
    pub(super) created: Millis,
    /// From creation until status calls find it.
    pub(super) hidden: Millis,
    /// From creation until flag 7 gives way to flag 0; 0 for nearly every task.
    pub(super) odd: Millis,
    /// From creation to completion.
    pub(super) run: Millis,
    /// From completion until the flag says so.
    pub(super) linger: Millis,
    /// How it ends.
    pub(super) ending: Ending,
}

impl Plan {
    /// Returns what the task is at a moment.
    pub(super) fn phase(&self, now: Millis) -> Phase {
        let age = now.saturating_sub(self.created);
        if age < self.hidden {
            return Phase::Invisible;
        }
        if age < self.odd {
            return Phase::Odd;
        }
        if age < self.run {
            return Phase::Running;
        }
        if age < self.run.saturating_add(self.linger) {
            return Phase::Finishing;
        }
        Phase::Ended
    }

    /// Returns the moment of its completion.
    pub(super) fn completed(&self) -> Millis {
        self.created.saturating_add(self.run)
    }

    /// Returns how many result videos it has at a moment, expired ones included.
    pub(super) fn videos(&self, now: Millis) -> usize {
        if self.phase(now) != Phase::Ended {
            return 0;
        }
        match self.ending {
            Ending::Succeeded(videos) | Ending::CallbackFailed(videos) => videos,
            Ending::CreateFailed(_) | Ending::GenerateFailed(_) | Ending::Refused(_) => 0,
        }
    }

    /// Returns whether its result videos were deleted by age.
    pub(super) fn is_expired(&self, now: Millis) -> bool {
        now >= self.completed().saturating_add(RETENTION)
    }
}

/// Names one video of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Its input.
    Origin,
    /// Its result of that number, from 0.
    Result(usize),
}

/// Names what became of a video that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    /// It is there.
    Here(Footage),
    /// It was there, but was deleted by age.
    Expired,
    /// It never was, or is not yet.
    Missing,
}

/// Holds what a create call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
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
pub(super) struct World {
    awake: HashMap<String, Plan>,
    asleep: HashMap<String, Plan>,
    chance: Chance,
}

impl World {
    /// Builds the world from tasks that live already and tasks that start when first asked after.
    pub(super) fn new(awake: Vec<Plan>, asleep: Vec<Plan>, chance: Chance) -> Self {
        let by_id = |plans: Vec<Plan>| plans.into_iter().map(|p| (p.id.clone(), p)).collect();
        Self {
            awake: by_id(awake),
            asleep: by_id(asleep),
            chance,
        }
    }

    /// Returns the task of an id if status calls find it now; wakes it if it slept.
    pub(super) fn ask(&mut self, id: &str, now: Millis) -> Option<&Plan> {
        if let Some(mut plan) = self.asleep.remove(id) {
            plan.created = now;
            self.awake.insert(id.to_owned(), plan);
        }
        self.awake
            .get(id)
            .filter(|plan| plan.phase(now) != Phase::Invisible)
    }

    /// Adds a task as a create call orders it and returns its id.
    ///
    /// It runs as long as others do and always succeeds, with one video.
    pub(super) fn create(&mut self, order: Order, now: Millis) -> String {
        let id = self.chance.id();
        let plan = Plan {
            id: id.clone(),
            prompt: order.prompt,
            clip: Clip::pick(&mut self.chance),
            input: Input::Given(order.video_url),
            callback: order.callback,
            watermark: order.watermark,
            created: now,
            hidden: VISIBLE_AFTER,
            odd: 0,
            run: run_time(&mut self.chance),
            linger: 0,
            ending: Ending::Succeeded(1),
        };
        self.awake.insert(id.clone(), plan);
        id
    }

    /// Returns what is there now of one video of a task.
    pub(super) fn shelf(&self, id: &str, part: Part, now: Millis) -> Shelf {
        let Some(plan) = self.awake.get(id) else {
            return Shelf::Missing;
        };
        match part {
            Part::Origin if plan.input == Input::Ours => Shelf::Here(plan.clip.origin()),
            Part::Result(number) if number < plan.videos(now) => {
                if plan.is_expired(now) {
                    return Shelf::Expired;
                }
                Shelf::Here(plan.clip.take(number))
            }
            Part::Origin | Part::Result(_) => Shelf::Missing,
        }
    }
}

/// Draws a run time: log-normal, median about 5 minutes, never outside 2 to 20 (kie.ai documents that range).
pub(super) fn run_time(chance: &mut Chance) -> Millis {
    milliseconds(chance.log_normal(300.0, 0.55)).clamp(2 * MINUTE, 20 * MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(ending: Ending) -> Plan {
        Plan {
            id: "a".repeat(32),
            prompt: "p".into(),
            clip: Clip::default(),
            input: Input::Ours,
            callback: None,
            watermark: String::new(),
            created: 1_000_000,
            hidden: 0,
            odd: 0,
            run: 100_000,
            linger: 0,
            ending,
        }
    }

    fn world(awake: Vec<Plan>, asleep: Vec<Plan>) -> World {
        World::new(awake, asleep, Chance::new(1, 9))
    }

    #[test]
    fn a_phase_follows_from_plan_and_moment() {
        let mut task = plan(Ending::Succeeded(1));
        task.hidden = 10;
        task.odd = 50;
        task.linger = 20_000;

        let phases = [0, 10, 49, 50, 99_999, 100_000, 119_999, 120_000]
            .map(|age| task.phase(task.created + age));

        assert_eq!(
            phases,
            [
                Phase::Invisible,
                Phase::Odd,
                Phase::Odd,
                Phase::Running,
                Phase::Running,
                Phase::Finishing,
                Phase::Finishing,
                Phase::Ended,
            ]
        );
    }

    #[test]
    fn results_appear_at_the_end_and_expire_after_14_days_but_the_input_stays() {
        let task = plan(Ending::CallbackFailed(2));
        let id = task.id.clone();
        let clip = task.clip;
        let end = task.completed();
        let world = world(vec![task], vec![]);

        assert_eq!(world.shelf(&id, Part::Result(0), end - 1), Shelf::Missing);
        assert_eq!(
            world.shelf(&id, Part::Result(0), end),
            Shelf::Here(clip.take(0))
        );
        assert_eq!(
            world.shelf(&id, Part::Result(1), end),
            Shelf::Here(clip.take(1))
        );
        assert_eq!(world.shelf(&id, Part::Result(2), end), Shelf::Missing);
        assert_eq!(
            world.shelf(&id, Part::Result(0), end + RETENTION),
            Shelf::Expired
        );
        assert_eq!(
            world.shelf(&id, Part::Origin, end + RETENTION),
            Shelf::Here(clip.origin())
        );
    }

    #[test]
    fn a_sleeping_task_starts_when_first_asked_after() {
        let task = plan(Ending::Succeeded(1));
        let id = task.id.clone();
        let mut world = world(vec![], vec![task]);

        let first = world.ask(&id, 5_000_000).cloned().unwrap();
        let later = world.ask(&id, 5_050_000).cloned().unwrap();

        assert_eq!(first.created, 5_000_000);
        assert_eq!(later, first);
    }

    #[test]
    fn a_created_task_is_invisible_for_a_moment_and_keeps_its_given_input() {
        let mut world = world(vec![], vec![]);
        let order = Order {
            prompt: "p".into(),
            video_url: "https://example.com/v.mp4".into(),
            callback: None,
            watermark: "w".into(),
        };
        let id = world.create(order, 0);

        assert!(world.ask(&id, VISIBLE_AFTER - 1).is_none());
        assert!(world.ask(&id, VISIBLE_AFTER).is_some());
        assert_eq!(world.shelf(&id, Part::Origin, DAY), Shelf::Missing);
        assert!(matches!(
            world.shelf(&id, Part::Result(0), DAY),
            Shelf::Here(_)
        ));
    }

    #[test]
    fn run_times_stay_in_the_documented_range_around_five_minutes() {
        let mut chance = Chance::new(42, 0);
        let mut runs: Vec<Millis> = (0..1001).map(|_| run_time(&mut chance)).collect();
        runs.sort_unstable();

        assert!(runs[0] >= 2 * MINUTE && runs[1000] <= 20 * MINUTE);
        assert!(
            (4 * MINUTE..6 * MINUTE).contains(&runs[500]),
            "{}",
            runs[500]
        );
    }
}
