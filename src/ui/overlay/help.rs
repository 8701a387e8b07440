//! The help: the keys of the current screen and of dialogs, in groups, from the key table.

use ratatui::text::{Line, Span};

use super::{dialog::available_area, text::TextContent};
use crate::{
    app::{
        keymap::{Action, Binding, KeyContext, KeyGroup},
        state::{DetailPage, MainScreen},
    },
    domain::status::Tab,
    messages::format,
    ui::{render_context::RenderContext, theme::Role},
};

/// The width of one column of keys with descriptions.
const COLUMN_WIDTH: u16 = 56;

/// The width of the keys in a column.
const KEYS_WIDTH: usize = 14;

/// Returns the keys, in two columns if they fit.
pub(super) fn content(ctx: &RenderContext<'_>) -> TextContent {
    let groups = KeyGroup::ALL.iter().map(|group| group_lines(*group, ctx));
    let blocks: Vec<_> = groups.filter(|lines| !lines.is_empty()).collect();
    let is_wide = available_area(ctx).width >= COLUMN_WIDTH * 2 + 2;
    let mut lines = if is_wide {
        join_columns(split_in_two(blocks))
    } else {
        blocks.concat()
    };
    // Drop the blank line at the end.
    lines.pop();
    TextContent {
        title: match ctx.state.screen() {
            MainScreen::Detail { .. } => "Keys: detail",
            MainScreen::List => "Keys: list",
        }
        .to_owned(),
        width: COLUMN_WIDTH * (1 + u16::from(is_wide)) + 2,
        lines,
        hints: Vec::new(),
    }
}

/// Puts two columns side by side.
fn join_columns([mut left, mut right]: [Vec<Line<'static>>; 2]) -> Vec<Line<'static>> {
    let count = left.len().max(right.len());
    left.resize(count, Line::default());
    right.resize(count, Line::default());
    for (left, right) in left.iter_mut().zip(right) {
        let gap = usize::from(COLUMN_WIDTH).saturating_sub(left.width());
        left.push_span(" ".repeat(gap));
        left.extend(right);
    }
    left
}

/// Distributes the groups over two columns of about equal height, in order.
fn split_in_two(blocks: Vec<Vec<Line<'static>>>) -> [Vec<Line<'static>>; 2] {
    let total: usize = blocks.iter().map(Vec::len).sum();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for block in blocks {
        let is_left = right.is_empty() && (left.len() + block.len() / 2) * 2 <= total;
        if is_left {
            left.extend(block);
        } else {
            right.extend(block);
        }
    }
    [left, right]
}

/// Reports whether a binding applies to the current screen or to a dialog.
fn is_relevant(binding: &Binding, ctx: &RenderContext<'_>) -> bool {
    let here = ctx.state.screen().context();
    let applies = |context: &KeyContext| {
        *context == here || !matches!(context, KeyContext::List | KeyContext::Detail)
    };
    !binding.chords.is_empty() && binding.contexts.iter().any(applies)
}

/// Returns the lines of a group: name, keys, blank line. Empty if no binding is relevant.
fn group_lines(group: KeyGroup, ctx: &RenderContext<'_>) -> Vec<Line<'static>> {
    let title = Span::styled(group.name(), ctx.style(Role::Title));
    let mut lines = vec![Line::from(title)];
    let bindings = ctx
        .state
        .keymap()
        .bindings()
        .iter()
        .filter(|binding| binding.group == group && is_relevant(binding, ctx));
    for binding in bindings {
        if let Action::ShowTab(tab) = binding.action {
            // All tab keys share one line.
            if tab == Tab::All {
                lines.push(tabs_line(ctx));
            }
            continue;
        }
        let keys: Vec<_> = binding
            .chords
            .iter()
            .map(|chord| ctx.theme.key_name(*chord))
            .collect();
        let help = binding.help_in(ctx.state.screen().context());
        lines.push(key_line(&keys.join(" "), help, ctx));
    }
    if lines.len() == 1 {
        return Vec::new();
    }
    lines.push(Line::default());
    lines
}

/// Returns the line of the keys that select a tab or a page.
fn tabs_line(ctx: &RenderContext<'_>) -> Line<'static> {
    let (what, names) = match ctx.state.screen() {
        MainScreen::List => ("tabs", Tab::ALL.iter().map(|tab| tab.title()).collect()),
        MainScreen::Detail { .. } => ("pages", DetailPage::ALL.map(DetailPage::name).to_vec()),
    };
    let keys: Vec<_> = ctx
        .state
        .keymap()
        .bindings()
        .iter()
        .filter(|binding| matches!(binding.action, Action::ShowTab(_)))
        .filter_map(|binding| binding.chords.first())
        .take(names.len())
        .map(|chord| ctx.theme.key_name(*chord))
        .collect();
    let (first, last) = (names.first().unwrap_or(&""), names.last().unwrap_or(&""));
    let text = format!("{what} {first} to {last}");
    key_line(&keys.join(" "), &text, ctx)
}

fn key_line(keys: &str, text: &str, ctx: &RenderContext<'_>) -> Line<'static> {
    let room = usize::from(COLUMN_WIDTH).saturating_sub(KEYS_WIDTH + 3);
    Line::from(vec![
        Span::raw(" "),
        Span::styled(format::pad_end(keys, KEYS_WIDTH), ctx.style(Role::Key)),
        Span::styled(
            format::fit_end(text, room, ctx.ellipsis()).into_owned(),
            ctx.style(Role::Text),
        ),
    ])
}
