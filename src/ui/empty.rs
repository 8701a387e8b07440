//! What stands in place of the table while there is nothing to show: the first steps, or why there
//! is no list.

use crate::domain::list_change::AccessMode;
use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use super::{
    format,
    painter::{FrameTitle, Painter, inner_area},
    render_context::RenderContext,
    theme::Role,
};
use crate::app::{
    keymap::Action,
    state::{ApiKeyStatus, ListLoading},
};

/// Draws the empty list over the whole body.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>) {
    let areas = &scene.layout;
    let mut area = areas.body;
    if areas.is_boxed {
        let head = FrameTitle {
            title: "Watched tasks",
            right: "",
            focus: scene.focus(),
        };
        Painter::new(buffer, area).frame(&head, scene.theme);
        area = inner_area(area);
    }
    let mut pen = Painter::new(buffer, area);
    let lines = match scene.state.loading() {
        // A few milliseconds at the start: a word would only flash.
        ListLoading::Pending => return,
        ListLoading::Failed(error) => load_error_lines(&error.to_string(), pen.width(), scene),
        ListLoading::Done => first_step_lines(pen.width(), scene),
    };
    let count = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let top = pen.height().saturating_sub(count) / 3;
    let longest = lines.iter().map(Line::width).max().unwrap_or_default();
    let longest = u16::try_from(longest).unwrap_or(u16::MAX);
    let left = (pen.width().saturating_sub(longest) / 2).max(1);
    for (y, line) in (top..).zip(&lines) {
        pen.line(left, y, line);
    }
}

/// Returns why there is no list, and that nothing is written over.
fn load_error_lines(error: &str, width: u16, scene: &RenderContext<'_>) -> Vec<Line<'static>> {
    let room = usize::from(width.saturating_sub(4)).min(72);
    let mut lines = vec![
        Line::styled("The list could not be read.", scene.style(Role::Error)),
        Line::default(),
    ];
    let sentence = format!("{}.", format::capitalised(error));
    for line in format::wrap(&sentence, room, 8, scene.ellipsis()) {
        lines.push(Line::styled(line, scene.style(Role::Text)));
    }
    lines.push(Line::default());
    lines.push(Line::styled(
        "Nothing is written while it cannot be read.",
        scene.style(Role::Muted),
    ));
    lines
}

/// Returns how to begin.
fn first_step_lines(width: u16, scene: &RenderContext<'_>) -> Vec<Line<'static>> {
    let mut lines = vec![
        Line::styled("No tasks watched yet.", scene.style(Role::Title)),
        Line::default(),
    ];
    let key = scene.key_name(Action::Add);
    let is_demo = !scene.state.settings().suggestions.is_empty();
    let mut steps = Vec::new();
    if scene.state.settings().access == AccessMode::Full {
        steps.push((key, "add tasks by their ids"));
        steps.push((
            "paste".into(),
            "ids, JSON, links, curl logs: ids are found in any text",
        ));
    }
    if scene.state.settings().api_key == ApiKeyStatus::Missing {
        steps.push((
            "KIE_API_KEY".into(),
            "not set: export it (see https://kie.ai/api-key), start again",
        ));
    }
    if !is_demo {
        steps.push((
            "kietop demo".into(),
            "see it at work: no key, no network, nothing kept",
        ));
    }
    let is_narrow = width < 70;
    for (key, text) in steps {
        if is_narrow {
            lines.push(Line::styled(key, scene.style(Role::Key)));
            let room = usize::from(width.saturating_sub(4));
            for line in format::wrap(text, room, 3, scene.ellipsis()) {
                lines.push(Line::styled(format!("  {line}"), scene.style(Role::Text)));
            }
        } else {
            lines.push(Line::from(vec![
                Span::styled(format::pad_end(&key, 14), scene.style(Role::Key)),
                Span::styled(text, scene.style(Role::Text)),
            ]));
        }
    }
    if let Some(id) = scene.state.settings().suggestions.first() {
        lines.push(Line::default());
        lines.push(Line::from(vec![
            Span::styled("try: ", scene.style(Role::Muted)),
            Span::styled(id.as_str().to_owned(), scene.style(Role::Text)),
        ]));
    }
    if !is_narrow {
        lines.push(Line::default());
        let text =
            "The ids come from the answers to your requests (taskId); nothing lists them again.";
        let room = usize::from(width.saturating_sub(4));
        for line in format::wrap(text, room, 2, scene.ellipsis()) {
            lines.push(Line::styled(line, scene.style(Role::Muted)));
        }
    }
    lines
}
