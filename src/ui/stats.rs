//! The statistics line: today's results, and the run times of recently finished tasks.

use std::time::Duration;

use ratatui::{buffer::Buffer, style::Style, text::Line};

use super::{
    layout::WidthClass,
    line_fit::{self, LinePiece},
    painter::Painter,
    render_context::RenderContext,
    theme::Role,
};
use crate::{
    domain::{
        estimate::MAX_SAMPLES,
        status::{Status, Tab},
        task::{CallbackStatus, TaskState},
    },
    messages::format,
};

/// The maximum number of today's tasks that are counted, so that a busy day does not make frames
/// slower. The line says when it is reached.
const MAX_COUNTED: usize = 200;

/// Draws the line, over the rule above the footer where parts have no frames.
pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>) {
    let mut painter = Painter::new(buffer, ctx.layout.stats);
    if painter.height() == 0 {
        return;
    }
    let today = today_counts(ctx).map(padded);
    let mut pieces = vec![LinePiece::with_forms(1, today.into())];
    pieces.extend(absence_summary(ctx).map(|line| LinePiece::new(2, padded(line))));
    let recent = ctx.state.list().run_times().recent();
    let sparklines = [MAX_SAMPLES, MAX_SAMPLES / 2].map(|count| {
        let skipped = recent.len().saturating_sub(count);
        let text = sparkline(recent.get(skipped..).unwrap_or_default(), ctx);
        padded(ctx.span(text, Role::Busy).into())
    });
    if !recent.is_empty() && ctx.layout.width_class >= WidthClass::Medium {
        pieces.push(LinePiece::with_forms(3, sparklines.into()).at_right());
    }
    let figures = summary_figures(ctx);
    let figures = (1..=figures.len()).rev().map(|count| {
        let text = figures.get(..count).unwrap_or_default().join("  ");
        padded(ctx.span(text, Role::Muted).into())
    });
    pieces.push(LinePiece::with_forms(0, figures.collect()).at_right());
    line_fit::draw(&mut painter, 0, pieces, ctx);
}

/// Adds a blank cell at both ends; the style of a rule does not shine through.
fn padded(mut line: Line<'static>) -> Line<'static> {
    line.spans.insert(0, " ".into());
    line.push_span(" ");
    line.style(Style::reset())
}

/// Summarises the last finished tasks: "p50 5m09s", "p95 7m40s", "success 91%".
fn summary_figures(ctx: &RenderContext<'_>) -> Vec<String> {
    let estimate = &ctx.estimate;
    let mut figures = Vec::new();
    if estimate.samples > 0 {
        figures.push(format!("p50 {}", format::run_time(estimate.median)));
        figures.push(format!("p95 {}", format::run_time(estimate.late)));
    }
    let mut finished = 0;
    let mut succeeded = 0;
    for (_, watched) in ctx.state.list().finished().take(MAX_SAMPLES) {
        finished += 1;
        succeeded += usize::from(watched.task.state().videos().next().is_some());
    }
    let percent = (succeeded * 100_usize).checked_div(finished);
    figures.extend(percent.map(|percent| format!("success {percent}%")));
    figures
}

/// Draws run times as bars of a height relative to the longest.
fn sparkline(times: &[Duration], ctx: &RenderContext<'_>) -> String {
    let longest = times.iter().max().map_or(1, |time| time.as_millis().max(1));
    let steps = ctx.theme.glyphs().sparkline;
    let glyph = |time: &Duration| {
        let step = usize::try_from(time.as_millis() * 7 / longest).ok()?;
        steps.get(step).copied()
    };
    times.iter().filter_map(glyph).collect()
}

/// Counts the tasks that finished today, by result: with words, then with glyphs.
fn today_counts(ctx: &RenderContext<'_>) -> [Line<'static>; 2] {
    let zone = &ctx.state.settings().time_zone;
    let now = ctx.now.wall.to_zoned_datetime(zone.clone());
    let midnight = now
        .start_of_day()
        .map_or(ctx.now.wall, |start| start.timestamp());
    let (mut total, mut ready, mut without_callback, mut failed) = (0, 0, 0, 0);
    let finished = ctx.state.list().finished().take(MAX_COUNTED);
    for (_, watched) in finished.take_while(|(at, _)| *at >= midnight) {
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
    let label = match total {
        0 => "today  nothing finished yet",
        MAX_COUNTED => "last 200",
        _ => "today",
    };
    let mut words = Line::from(ctx.span(label, Role::Muted));
    let mut glyphs = words.clone();
    let counts = [
        (ready, Status::Ready, " ready"),
        (without_callback, Status::CallbackFailed, " no callback"),
        (failed, Status::GenerationFailed, " failed"),
    ];
    for (count, status, word) in counts.into_iter().filter(|_| total > 0) {
        let style = ctx.theme.status_style(status, ctx.now);
        let role = if count == 0 { Role::Muted } else { style.role };
        glyphs.push_span(ctx.span(format!(" {}{count}", style.glyph), role));
        words.push_span(ctx.span(format!("  {count}"), role));
        words.push_span(ctx.span(word, Role::Muted));
    }
    [words, glyphs]
}

/// Returns the results since the user was last here, if there are some.
fn absence_summary(ctx: &RenderContext<'_>) -> Option<Line<'static>> {
    let summary = ctx.state.absence_summary(ctx.now)?;
    let lead = format!("since you left ({}):", format::format_age(summary.duration));
    let mut line = Line::from(ctx.span(lead, Role::Muted));
    for (count, word, tab) in summary.parts() {
        let role = match tab {
            Tab::Ready => Role::Ok,
            Tab::Failed => Role::Error,
            Tab::All | Tab::Active | Tab::Rescued | Tab::Expiring => Role::Warn,
        };
        line.push_span(ctx.span(format!(" +{count} {word}"), role));
    }
    (!summary.is_empty()).then_some(line)
}
