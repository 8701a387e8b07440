//! The strip of statistics: how long the last finished tasks took, and what became of today's.

use std::time::Duration;

use ratatui::buffer::Buffer;

use super::{
    format,
    painter::{FrameTitle, Painter, cell_count, inner_area},
    render_context::RenderContext,
    theme::Role,
};
use crate::domain::{
    estimate::MAX_SAMPLES,
    status::Tab,
    task::{CallbackStatus, TaskState},
};

/// How many finished tasks of today are counted one by one; beyond that the line says so. A frame
/// must not cost more for a busier day.
const MAX_COUNTED: usize = 200;

/// The widths a histogram's class may have, in seconds.
const CLASS_WIDTHS: [u64; 12] = [2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200];

/// How many classes a histogram has at most; the last takes all that is longer.
const MAX_CLASSES: usize = 5;

/// Draws the strip.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>) {
    let area = scene.layout.stats;
    if area.height == 0 {
        return;
    }
    let recent = scene.state.list().run_times().recent();
    let title = match recent.len() {
        0 => "Durations of finished tasks".to_owned(),
        1 => "Duration of the one finished task".to_owned(),
        count if area.width < 100 => format!("Last {count} durations"),
        count => format!("Durations of the last {count} finished tasks"),
    };
    let figures = summary_text(scene);
    let head = FrameTitle {
        title: &title,
        right: &figures,
        ..FrameTitle::default()
    };
    let inner = if scene.layout.is_boxed {
        Painter::new(buffer, area).frame(&head, scene.theme);
        inner_area(area)
    } else {
        let mut pen = Painter::new(buffer, area);
        pen.rule(0, 0, &head, scene.theme);
        ratatui::layout::Rect {
            y: area.y + 1,
            height: area.height - 1,
            ..area
        }
    };
    let mut pen = Painter::new(buffer, inner);
    draw_durations(&mut pen, &recent, scene);
    draw_today_counts(&mut pen, scene);
}

/// Returns what the last endings come to: "p50 5m09s  p95 7m40s  success 91%".
fn summary_text(scene: &RenderContext<'_>) -> String {
    let estimate = &scene.estimate;
    let mut parts = Vec::new();
    if estimate.samples > 0 {
        parts.push(format!("p50 {}", format::run_time(estimate.median)));
        parts.push(format!("p95 {}", format::run_time(estimate.late)));
    }
    let mut ended = 0;
    let mut made = 0;
    for (_, watched) in scene.state.list().finished().take(MAX_SAMPLES) {
        ended += 1;
        made += usize::from(watched.task.state().videos().next().is_some());
    }
    let percent = (made * 100_usize).checked_div(ended);
    parts.extend(percent.map(|percent| format!("success {percent}%")));
    parts.join("  ")
}

/// Draws the run times one by one, then by classes.
fn draw_durations(pen: &mut Painter<'_>, recent: &[Duration], scene: &RenderContext<'_>) {
    let muted = scene.style(Role::Muted);
    let classes = DurationHistogram::new(recent);
    pen.text(1, 0, classes.unit, muted);
    let Some(longest) = recent.iter().max().filter(|longest| !longest.is_zero()) else {
        pen.text(10, 0, "none has ended well yet", muted);
        return;
    };
    let steps = scene.theme.glyphs().sparkline;
    for (x, time) in (10..).zip(recent) {
        let step = time.as_millis() * 7 / longest.as_millis().max(1);
        let glyph = usize::try_from(step)
            .ok()
            .and_then(|step| steps.get(step))
            .copied()
            .unwrap_or(" ");
        pen.repeat(x, 0, 1, glyph, scene.style(Role::Busy));
    }
    let start = u16::try_from(MAX_SAMPLES)
        .unwrap_or(u16::MAX)
        .saturating_add(16);
    let labels: u16 = classes
        .counts
        .iter()
        .map(|(label, _)| cell_count(label) + 4)
        .sum();
    let room = pen.width().saturating_sub(start + labels + 1);
    let total: usize = classes.counts.iter().map(|(_, count)| count).sum();
    if room < 8 || total == 0 {
        return;
    }
    let scale = |count: usize| {
        let fair = count * usize::from(room) / total;
        let cells = fair.min(count).max(usize::from(count > 0));
        u16::try_from(cells).unwrap_or(u16::MAX)
    };
    let glyphs = scene.theme.glyphs();
    let mut x = start;
    for (label, count) in &classes.counts {
        let at = pen.text(x, 0, label, scene.style(Role::Text));
        let at = pen.text(at + 1, 0, glyphs.bar_start, muted);
        let bar = scale(*count);
        pen.repeat(at, 0, bar, glyphs.bar, scene.style(Role::Busy));
        x = at + bar + 2;
    }
}

/// Draws what became of today's tasks.
fn draw_today_counts(pen: &mut Painter<'_>, scene: &RenderContext<'_>) {
    let zone = &scene.state.settings().time_zone;
    let now = scene.now.wall.to_zoned_datetime(zone.clone());
    let midnight = now
        .start_of_day()
        .map_or(scene.now.wall, |start| start.timestamp());
    let (mut seen, mut delivered, mut rescued, mut failed) = (0, 0, 0, 0);
    let endings = scene
        .state
        .list()
        .finished()
        .take(MAX_COUNTED)
        .take_while(|(at, _)| *at >= midnight);
    for (_, watched) in endings {
        seen += 1;
        match watched.task.state() {
            TaskState::Succeeded {
                callback: CallbackStatus::Failed,
                ..
            } => rescued += 1,
            TaskState::Succeeded { .. } => delivered += 1,
            TaskState::Failed { .. } => failed += 1,
            TaskState::New
            | TaskState::Running { .. }
            | TaskState::NotFound
            | TaskState::Unrecognised => {}
        }
    }
    let label = if seen == MAX_COUNTED {
        "last 200"
    } else {
        "today"
    };
    pen.text(1, 1, label, scene.style(Role::Muted));
    if seen == 0 {
        pen.text(10, 1, "nothing has ended yet", scene.style(Role::Muted));
        return;
    }
    let mut x = 10;
    for (count, word, role) in [
        (delivered, "delivered", Role::Ok),
        (rescued, "rescued", Role::Warn),
        (failed, "failed", Role::Error),
    ] {
        let role = if count == 0 { Role::Muted } else { role };
        x = pen.text(x, 1, &count.to_string(), scene.style(role));
        x = pen.text(x + 1, 1, word, scene.style(Role::Muted)) + 2;
    }
    draw_absence_summary(pen, x + 2, scene);
}

/// Draws what has ended while nobody looked, where there is room for it.
fn draw_absence_summary(pen: &mut Painter<'_>, x: u16, scene: &RenderContext<'_>) {
    let digest = scene.state.absence_summary(scene.now);
    let Some(digest) = digest.filter(|digest| !digest.is_empty()) else {
        return;
    };
    let lead = format!("since you left ({}):", format::format_age(digest.duration));
    let parts: Vec<_> = digest
        .parts()
        .map(|(count, word, tab)| (format!("+{count} {word}"), tab))
        .collect();
    let width = parts.iter().fold(cell_count(&lead), |width, (text, _)| {
        width + 1 + cell_count(text)
    });
    if x + width + 1 > pen.width() {
        return;
    }
    let mut x = pen.text(x, 1, &lead, scene.style(Role::Muted));
    for (text, tab) in parts {
        let role = match tab {
            Tab::Ready => Role::Ok,
            Tab::Failed => Role::Error,
            Tab::All | Tab::Active | Tab::Rescued | Tab::Expiring => Role::Warn,
        };
        x = pen.text(x + 1, 1, &text, scene.style(role));
    }
}

/// A set of run times sorted into classes of equal width.
struct DurationHistogram {
    /// What the labels count: "seconds", "minutes", "hours".
    unit: &'static str,
    /// The classes' lower ends and how many are in each.
    counts: Vec<(String, usize)>,
}

impl DurationHistogram {
    /// Takes the finest width by which at most five classes hold nineteen in twenty; minutes and
    /// hours once they count.
    fn new(times: &[Duration]) -> Self {
        let mut sorted: Vec<_> = times.iter().map(Duration::as_secs).collect();
        sorted.sort_unstable();
        let shortest = sorted.first().copied().unwrap_or_default();
        let most = sorted
            .get((sorted.len() * 95).div_ceil(100).saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let classes = u64::try_from(MAX_CLASSES).unwrap_or(u64::MAX);
        let step = CLASS_WIDTHS
            .into_iter()
            .find(|step| {
                let is_unit = (*step >= 60 || most < 120) && (*step >= 3_600 || most < 7_200);
                is_unit && most / step - shortest / step < classes
            })
            .unwrap_or(86_400);
        let (unit, seconds) = match step {
            0..60 => ("seconds", 1),
            60..3_600 => ("minutes", 60),
            3_600.. => ("hours", 3_600),
        };
        let first = shortest / step;
        let longest = sorted.last().copied().unwrap_or_default();
        let classes = (longest / step - first + 1).min(classes);
        let mut counts: Vec<_> = (0..classes)
            .map(|class| {
                let is_open = class + 1 == classes && longest / step > first + class;
                let label = (first + class) * step / seconds;
                (format!("{label}{}", if is_open { "+" } else { "" }), 0)
            })
            .collect();
        for time in sorted {
            let class = (time / step - first).min(classes - 1);
            if let Some((_, count)) = usize::try_from(class)
                .ok()
                .and_then(|class| counts.get_mut(class))
            {
                *count += 1;
            }
        }
        Self { unit, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(seconds: &[u64]) -> (&'static str, Vec<(String, usize)>) {
        let times: Vec<_> = seconds.iter().copied().map(Duration::from_secs).collect();
        let DurationHistogram { unit, counts } = DurationHistogram::new(&times);
        (unit, counts)
    }

    fn counted(counts: &[(&str, usize)]) -> Vec<(String, usize)> {
        counts
            .iter()
            .map(|(label, count)| ((*label).to_owned(), *count))
            .collect()
    }

    #[test]
    fn histogram_bins_suit_the_times() {
        assert_eq!(
            classes(&[250, 290, 310, 330, 420, 500]),
            (
                "minutes",
                counted(&[("4", 2), ("5", 2), ("6", 0), ("7", 1), ("8", 1)])
            )
        );
        assert_eq!(
            classes(&[21, 24, 33]),
            ("seconds", counted(&[("20", 2), ("25", 0), ("30", 1)]))
        );
        assert_eq!(classes(&[]).1.len(), 1);
        assert_eq!(classes(&[0, u64::MAX]).1.len(), MAX_CLASSES);
    }

    #[test]
    fn the_last_bin_takes_all_longer_times() {
        let mut times = vec![300; 40];
        times.extend([260, 9_000]);

        let (unit, counts) = classes(&times);

        assert_eq!(unit, "minutes");
        assert!(counts.last().is_some_and(|(label, _)| label.ends_with('+')));
    }
}
