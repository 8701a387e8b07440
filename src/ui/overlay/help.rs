//! The help: the keys of the current screen and of dialogs, in groups, from the key table.

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
    messages::format,
    ui::{
        painter::Painter,
        render_context::{DrawResult, RenderContext},
        theme::Role,
    },
};

/// The width of one column of keys with descriptions.
const COLUMN_WIDTH: u16 = 56;

/// The width of the keys in a column.
const KEYS_WIDTH: usize = 14;

/// Draws the keys from line `scroll` on, in two columns if they fit.
pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, scroll: u16) -> DrawResult {
    let room = available_area(ctx);
    let groups = KeyGroup::ALL
        .into_iter()
        .map(|group| group_lines(group, ctx));
    let blocks: Vec<_> = groups.filter(|lines| !lines.is_empty()).collect();
    let is_wide = room.width >= COLUMN_WIDTH * 2 + 2;
    let mut columns = if is_wide {
        split_in_two(blocks)
    } else {
        vec![blocks.concat()]
    };
    for column in &mut columns {
        // Drop the blank line at the end.
        column.pop();
    }
    let count = columns.iter().map(Vec::len).max().unwrap_or_default();
    let width = u16::try_from(columns.len())
        .unwrap_or(1)
        .saturating_mul(COLUMN_WIDTH);
    let dialog = ScrolledDialog::new(ctx, width + 2, count, scroll);
    let right = dialog.title_right(ctx);
    let title = match ctx.state.screen() {
        MainScreen::Detail { .. } => "Keys: detail",
        MainScreen::List => "Keys: list",
    };
    let mut painter = open_dialog(buffer, ctx, dialog.area, title, &right);
    for (x, lines) in (0..).step_by(usize::from(COLUMN_WIDTH)).zip(&columns) {
        draw_column(&mut painter, x, dialog.scroll, lines);
    }
    dialog.draw_result()
}

fn draw_column(painter: &mut Painter<'_>, x: u16, scroll: u16, lines: &[Line<'_>]) {
    for (y, line) in (0..painter.height()).zip(lines.iter().skip(usize::from(scroll))) {
        painter.line(x, y, line);
    }
}

/// Distributes the groups over two columns of about equal height, in order.
fn split_in_two(blocks: Vec<Vec<Line<'static>>>) -> Vec<Vec<Line<'static>>> {
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
    vec![left, right]
}

/// Returns the context in which the help was opened.
const fn help_context(ctx: &RenderContext<'_>) -> KeyContext {
    match ctx.state.screen() {
        MainScreen::List => KeyContext::List,
        MainScreen::Detail { .. } => KeyContext::Detail,
    }
}

/// Reports whether a binding applies to the current screen or to a dialog.
fn is_relevant(binding: &Binding, ctx: &RenderContext<'_>) -> bool {
    let here = help_context(ctx);
    let applies = |context: &KeyContext| {
        *context == here || !matches!(context, KeyContext::List | KeyContext::Detail)
    };
    !binding.chords.is_empty() && binding.contexts.iter().any(applies)
}

/// Returns the lines of a group: name, keys, blank line. Empty if no binding is relevant.
fn group_lines(group: KeyGroup, ctx: &RenderContext<'_>) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled(
        format!(" {}", group.name()),
        ctx.style(Role::Title),
    )];
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
        let help = binding.help_in(help_context(ctx));
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
    let names = match ctx.state.screen() {
        MainScreen::List => Tab::ALL.map(Tab::title).to_vec(),
        MainScreen::Detail { .. } => DetailPage::ALL.map(DetailPage::name).to_vec(),
    };
    let what = match ctx.state.screen() {
        MainScreen::List => "tabs",
        MainScreen::Detail { .. } => "pages",
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
        Span::raw("  "),
        Span::styled(format::pad_end(keys, KEYS_WIDTH), ctx.style(Role::Key)),
        Span::styled(
            format::fit_end(text, room, ctx.ellipsis()).into_owned(),
            ctx.style(Role::Text),
        ),
    ])
}
