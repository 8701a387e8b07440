//! The statistics strip: durations of recently finished tasks, and today's results.

use std::time::Duration;

use ratatui::buffer::Buffer;

use super::{
    painter::{FrameTitle, Painter, cell_count, inner_area},
    render_context::RenderContext,
    theme::Role,
};
use crate::domain::{
    estimate::MAX_SAMPLES,
    status::Tab,
    task::{CallbackStatus, TaskState},
};
use crate::messages::format;

/// The maximum number of today's tasks that are counted, so that a busy day does not make frames
/// slower. The line says when it is reached.
const MAX_COUNTED: usize = 200;

/// The possible widths of a histogram class, in seconds.
const CLASS_WIDTHS: [u64; 12] = [2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200];

/// The maximum number of histogram classes; the last includes all longer times.
const MAX_CLASSES: usize = 5;

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    let area = ctx.layout.stats;
    if area.height == 0 {
        return;
    }
    let recent = ctx.state.list().run_times().recent();
    let title = match recent.len() {
        0 => "Durations of finished tasks".to_owned(),
        1 => "Duration of the one finished task".to_owned(),
        count if area.width < 100 => format!("Last {count} durations"),
        count => format!("Durations of the last {count} finished tasks"),
    };
    let figures = summary_text(ctx);
    let frame_title = FrameTitle {
        title: &title,
        right: &figures,
        ..FrameTitle::default()
    };
    let inner = if ctx.layout.is_boxed {
        Painter::new(buffer, area).frame(&frame_title, ctx.theme);
        inner_area(area)
    } else {
        let mut painter = Painter::new(buffer, area);
        painter.rule(0, 0, &frame_title, ctx.theme);
        ratatui::layout::Rect {
            y: area.y + 1,
            height: area.height - 1,
            ..area
        }
    };
    let mut painter = Painter::new(buffer, inner);
    draw_durations(&mut painter, &recent, ctx);
    draw_today_counts(&mut painter, ctx);
}

/// Summarises the last finished tasks: "p50 5m09s  p95 7m40s  success 91%".
fn summary_text(ctx: &RenderContext<'_>) -> String {
    let estimate = &ctx.estimate;
    let mut parts = Vec::new();
    if estimate.samples > 0 {
        parts.push(format!("p50 {}", format::run_time(estimate.median)));
        parts.push(format!("p95 {}", format::run_time(estimate.late)));
    }
    let mut finished = 0;
    let mut succeeded = 0;
    for (_, watched) in ctx.state.list().finished().take(MAX_SAMPLES) {
        finished += 1;
        succeeded += usize::from(watched.task.state().videos().next().is_some());
    }
    let percent = (succeeded * 100_usize).checked_div(finished);
    parts.extend(percent.map(|percent| format!("success {percent}%")));
    parts.join("  ")
}

/// Draws the run times as a sparkline, then as a histogram.
fn draw_durations(painter: &mut Painter<'_>, recent: &[Duration], ctx: &RenderContext<'_>) {
    let muted = ctx.style(Role::Muted);
    let classes = DurationHistogram::new(recent);
    painter.text(1, 0, classes.unit, muted);
    let Some(longest) = recent.iter().max().filter(|longest| !longest.is_zero()) else {
        painter.text(10, 0, "none yet", muted);
        return;
    };
    let steps = ctx.theme.glyphs().sparkline;
    for (x, time) in (10..).zip(recent) {
        let step = time.as_millis() * 7 / longest.as_millis().max(1);
        let glyph = usize::try_from(step)
            .ok()
            .and_then(|step| steps.get(step))
            .copied()
            .unwrap_or(" ");
        painter.repeat(x, 0, 1, glyph, ctx.style(Role::Busy));
    }
    let start = u16::try_from(MAX_SAMPLES)
        .unwrap_or(u16::MAX)
        .saturating_add(16);
    let labels: u16 = classes
        .counts
        .iter()
        .map(|(label, _)| cell_count(label) + 4)
        .sum();
    let room = painter.width().saturating_sub(start + labels + 1);
    let total: usize = classes.counts.iter().map(|(_, count)| count).sum();
    if room < 8 || total == 0 {
        return;
    }
    let scale = |count: usize| {
        let share = count * usize::from(room) / total;
        let cells = share.min(count).max(usize::from(count > 0));
        u16::try_from(cells).unwrap_or(u16::MAX)
    };
    let glyphs = ctx.theme.glyphs();
    let mut x = start;
    for (label, count) in &classes.counts {
        let at = painter.text(x, 0, label, ctx.style(Role::Text));
        let at = painter.text(at + 1, 0, glyphs.bar_start, muted);
        let bar = scale(*count);
        painter.repeat(at, 0, bar, glyphs.bar, ctx.style(Role::Busy));
        x = at + bar + 2;
    }
}

fn draw_today_counts(painter: &mut Painter<'_>, ctx: &RenderContext<'_>) {
    let zone = &ctx.state.settings().time_zone;
    let now = ctx.now.wall.to_zoned_datetime(zone.clone());
    let midnight = now
        .start_of_day()
        .map_or(ctx.now.wall, |start| start.timestamp());
    let (mut total, mut ready, mut without_callback, mut failed) = (0, 0, 0, 0);
    let finished = ctx
        .state
        .list()
        .finished()
        .take(MAX_COUNTED)
        .take_while(|(at, _)| *at >= midnight);
    for (_, watched) in finished {
        total += 1;
        match watched.task.state() {
            TaskState::Succeeded {
                callback: CallbackStatus::Failed,
                ..
            } => without_callback += 1,
            TaskState::Succeeded { .. } => ready += 1,
            TaskState::Failed { .. } => failed += 1,
            TaskState::New
            | TaskState::Running { .. }
            | TaskState::NotFound
            | TaskState::Unrecognised => {}
        }
    }
    let label = if total == MAX_COUNTED {
        "last 200"
    } else {
        "today"
    };
    painter.text(1, 1, label, ctx.style(Role::Muted));
    if total == 0 {
        painter.text(10, 1, "nothing finished yet", ctx.style(Role::Muted));
        return;
    }
    let mut x = 10;
    for (count, word, role) in [
        (ready, "ready", Role::Ok),
        (without_callback, "no callback", Role::Warn),
        (failed, "failed", Role::Error),
    ] {
        let role = if count == 0 { Role::Muted } else { role };
        x = painter.text(x, 1, &count.to_string(), ctx.style(role));
        x = painter.text(x + 1, 1, word, ctx.style(Role::Muted)) + 2;
    }
    draw_absence_summary(painter, x + 2, ctx);
}

/// Draws the results since the user was last here, if there is room.
fn draw_absence_summary(painter: &mut Painter<'_>, x: u16, ctx: &RenderContext<'_>) {
    let summary = ctx.state.absence_summary(ctx.now);
    let Some(summary) = summary.filter(|summary| !summary.is_empty()) else {
        return;
    };
    let lead = format!("since you left ({}):", format::format_age(summary.duration));
    let parts: Vec<_> = summary
        .parts()
        .map(|(count, word, tab)| (format!("+{count} {word}"), tab))
        .collect();
    let width = parts.iter().fold(cell_count(&lead), |width, (text, _)| {
        width + 1 + cell_count(text)
    });
    if x + width + 1 > painter.width() {
        return;
    }
    let mut x = painter.text(x, 1, &lead, ctx.style(Role::Muted));
    for (text, tab) in parts {
        let role = match tab {
            Tab::Ready => Role::Ok,
            Tab::Failed => Role::Error,
            Tab::All | Tab::Active | Tab::Rescued | Tab::Expiring => Role::Warn,
        };
        x = painter.text(x + 1, 1, &text, ctx.style(role));
    }
}

/// Run times counted in classes of equal width.
struct DurationHistogram {
    /// The unit of the labels: "seconds", "minutes", "hours".
    unit: &'static str,
    /// The lower bound and the count of each class.
    counts: Vec<(String, usize)>,
}

impl DurationHistogram {
    /// Chooses the finest class width with which five classes include 95 % of the times; at least a
    /// minute from two minutes on, at least an hour from two hours on.
    fn new(times: &[Duration]) -> Self {
        let mut sorted: Vec<_> = times.iter().map(Duration::as_secs).collect();
        sorted.sort_unstable();
        let shortest = sorted.first().copied().unwrap_or_default();
        let p95 = sorted
            .get((sorted.len() * 95).div_ceil(100).saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let classes = u64::try_from(MAX_CLASSES).unwrap_or(u64::MAX);
        let step = CLASS_WIDTHS
            .into_iter()
            .find(|step| {
                let suits_unit = (*step >= 60 || p95 < 120) && (*step >= 3_600 || p95 < 7_200);
                suits_unit && p95 / step - shortest / step < classes
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
