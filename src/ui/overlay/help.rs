//! The keys, in groups, from the one table: those that count where the help was opened, and those
//! of boxes.

use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use super::{ScrolledDialog, available_area, open_dialog};
use crate::{
    app::{
        keymap::{Action, Binding, KeyContext, KeyGroup},
        state::{DetailPage, MainScreen},
    },
    domain::status::Tab,
    ui::{
        format,
        painter::Painter,
        render_context::{DrawResult, RenderContext},
        theme::Role,
    },
};

/// The width of one column of keys and words.
const COLUMN_WIDTH: u16 = 56;

/// The room of the keys.
const KEYS_WIDTH: usize = 14;

/// Draws the keys from line `scroll` on; in two columns where they fit.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, scroll: u16) -> DrawResult {
    let room = available_area(scene);
    let groups = KeyGroup::ALL
        .into_iter()
        .map(|group| group_lines(group, scene));
    let blocks: Vec<_> = groups.filter(|lines| !lines.is_empty()).collect();
    let is_broad = room.width >= COLUMN_WIDTH * 2 + 2;
    let mut columns = if is_broad {
        split_in_two(blocks)
    } else {
        vec![blocks.concat()]
    };
    for column in &mut columns {
        // No free line at the end.
        column.pop();
    }
    let count = columns.iter().map(Vec::len).max().unwrap_or_default();
    let wanted = u16::try_from(columns.len())
        .unwrap_or(1)
        .saturating_mul(COLUMN_WIDTH);
    let window = ScrolledDialog::new(scene, wanted + 2, count, scroll);
    let right = window.title_right(scene);
    let title = match scene.state.screen() {
        MainScreen::Detail { .. } => "Keys in the detail",
        MainScreen::List => "Keys in the list",
    };
    let mut pen = open_dialog(buffer, scene, window.area, title, &right);
    for (x, lines) in (0..).step_by(usize::from(COLUMN_WIDTH)).zip(&columns) {
        draw_column(&mut pen, x, window.scroll, lines);
    }
    window.draw_result()
}

fn draw_column(pen: &mut Painter<'_>, x: u16, scroll: u16, lines: &[Line<'_>]) {
    for (y, line) in (0..pen.height()).zip(lines.iter().skip(usize::from(scroll))) {
        pen.line(x, y, line);
    }
}

/// Shares the groups out to two columns of about the same height, in their order.
fn split_in_two(blocks: Vec<Vec<Line<'static>>>) -> Vec<Vec<Line<'static>>> {
    let all: usize = blocks.iter().map(Vec::len).sum();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for block in blocks {
        let is_left = right.is_empty() && (left.len() + block.len() / 2) * 2 <= all;
        if is_left {
            left.extend(block);
        } else {
            right.extend(block);
        }
    }
    vec![left, right]
}

/// Returns where the help was opened.
const fn help_context(scene: &RenderContext<'_>) -> KeyContext {
    match scene.state.screen() {
        MainScreen::List => KeyContext::List,
        MainScreen::Detail { .. } => KeyContext::Detail,
    }
}

/// Reports whether a line of the table is of use: it counts where the help was opened, or in a box.
fn is_relevant(binding: &Binding, scene: &RenderContext<'_>) -> bool {
    let here = help_context(scene);
    let is_use = |context: &KeyContext| {
        *context == here || !matches!(context, KeyContext::List | KeyContext::Detail)
    };
    !binding.chords.is_empty() && binding.contexts.iter().any(is_use)
}

/// Returns the lines of a group: its name, its keys, a free line; none where nothing of it is of
/// use.
fn group_lines(group: KeyGroup, scene: &RenderContext<'_>) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled(
        format!(" {}", group.name()),
        scene.style(Role::Title),
    )];
    let bindings = scene
        .state
        .keymap()
        .bindings()
        .iter()
        .filter(|binding| binding.group == group && is_relevant(binding, scene));
    for binding in bindings {
        if let Action::ShowTab(tab) = binding.action {
            // The tabs share one line.
            if tab == Tab::All {
                lines.push(tabs_line(scene));
            }
            continue;
        }
        let keys: Vec<_> = binding
            .chords
            .iter()
            .map(|chord| scene.theme.key_name(*chord))
            .collect();
        let help = binding.help_in(help_context(scene));
        lines.push(key_line(&keys.join(" "), help, scene));
    }
    if lines.len() == 1 {
        return Vec::new();
    }
    lines.push(Line::default());
    lines
}

/// Returns the line of the keys that show a tab.
fn tabs_line(scene: &RenderContext<'_>) -> Line<'static> {
    let names = match scene.state.screen() {
        MainScreen::List => Tab::ALL.map(Tab::name).to_vec(),
        MainScreen::Detail { .. } => DetailPage::ALL.map(DetailPage::name).to_vec(),
    };
    let what = match scene.state.screen() {
        MainScreen::List => "tab",
        MainScreen::Detail { .. } => "page",
    };
    let keys: Vec<_> = scene
        .state
        .keymap()
        .bindings()
        .iter()
        .filter(|binding| matches!(binding.action, Action::ShowTab(_)))
        .filter_map(|binding| binding.chords.first())
        .take(names.len())
        .map(|chord| scene.theme.key_name(*chord))
        .collect();
    let (first, last) = (names.first().unwrap_or(&""), names.last().unwrap_or(&""));
    let text = format!("a {what}, from {first} to {last}");
    key_line(&keys.join(" "), &text, scene)
}

fn key_line(keys: &str, text: &str, scene: &RenderContext<'_>) -> Line<'static> {
    let room = usize::from(COLUMN_WIDTH).saturating_sub(KEYS_WIDTH + 3);
    Line::from(vec![
        Span::raw("  "),
        Span::styled(format::pad_end(keys, KEYS_WIDTH), scene.style(Role::Key)),
        Span::styled(
            format::fit_end(text, room, scene.ellipsis()).into_owned(),
            scene.style(Role::Text),
        ),
    ])
}
