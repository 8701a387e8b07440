//! The default keys: one table, in the order of the help, and what the footer offers.

use std::borrow::Cow;

use super::{
    action::{Action, Context},
    chord::{Key, KeyChord},
};
use crate::{app::clip::CopyKind, domain::status::Tab};

/// Is a group of keys in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Going somewhere.
    Moving,
    /// Doing something with tasks.
    Tasks,
    /// Finding tasks in a long list.
    Finding,
    /// Asking the server.
    Asking,
    /// Inside the copy menu.
    Copying,
    /// Inside a dialog.
    Dialogs,
    /// The program itself.
    Program,
}

impl Group {
    /// The groups in the order of the help.
    pub const ALL: [Self; 7] = [
        Self::Moving,
        Self::Tasks,
        Self::Finding,
        Self::Asking,
        Self::Copying,
        Self::Dialogs,
        Self::Program,
    ];

    /// Returns the group's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moving => "Moving",
            Self::Tasks => "Tasks",
            Self::Finding => "Finding",
            Self::Asking => "Checking",
            Self::Copying => "In the copy menu",
            Self::Dialogs => "Dialogs",
            Self::Program => "Program",
        }
    }
}

/// Is one line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where the help has it.
    pub group: Group,
    /// What is meant.
    pub action: Action,
    /// The keys that mean it, the one that is shown first; none when the user took them away.
    pub chords: Cow<'static, [KeyChord]>,
    /// Where they do.
    pub contexts: Cow<'static, [Context]>,
    /// The word in the footer; empty where the footer never shows it.
    pub hint: &'static str,
    /// The half sentence in the help.
    pub help: &'static str,
}

const fn c(c: char) -> KeyChord {
    KeyChord::char(c)
}

const fn k(key: Key) -> KeyChord {
    KeyChord::plain(key)
}

const LIST: &[Context] = &[Context::List];
const DETAIL: &[Context] = &[Context::Detail];
const FILTER: &[Context] = &[Context::Filter];
const ORDERS: &[Context] = &[Context::List, Context::Detail, Context::Sort];
const TASKS: &[Context] = &[Context::List, Context::Detail];
const MOVES: &[Context] = &[
    Context::List,
    Context::Detail,
    Context::Pick,
    Context::Help,
    Context::Sort,
];
const TYPED_MOVES: &[Context] = &[
    Context::Add,
    Context::Filter,
    Context::Copy,
    Context::Palette,
];
const DIALOGS: &[Context] = &[
    Context::Add,
    Context::Pick,
    Context::Folder,
    Context::Filter,
    Context::Sort,
    Context::Copy,
    Context::Label,
    Context::Palette,
];
const COPY: &[Context] = &[Context::Copy];
const ADD: &[Context] = &[Context::Add];
const STEPS: &[Context] = &[
    Context::List,
    Context::Detail,
    Context::Add,
    Context::Pick,
    Context::Folder,
    Context::Link,
    Context::Copy,
    Context::Label,
    Context::Palette,
    Context::Help,
    Context::Filter,
    Context::Sort,
];
const EVERYWHERE: &[Context] = &Context::ALL;

/// The keys, in the order of the help.
pub(super) const BINDINGS: &[Binding] = &[
    bind(
        Group::Moving,
        Action::Next,
        &[c('j'), k(Key::Down)],
        MOVES,
        "",
        "down",
    ),
    bind(
        Group::Moving,
        Action::Previous,
        &[c('k'), k(Key::Up)],
        MOVES,
        "",
        "up",
    ),
    bind(
        Group::Moving,
        Action::First,
        &[c('g'), k(Key::Home)],
        MOVES,
        "",
        "top",
    ),
    bind(
        Group::Moving,
        Action::Last,
        &[c('G'), k(Key::End)],
        MOVES,
        "",
        "bottom",
    ),
    bind(
        Group::Moving,
        Action::PageDown,
        &[k(Key::PageDown)],
        MOVES,
        "",
        "a page down",
    ),
    bind(
        Group::Moving,
        Action::PageUp,
        &[k(Key::PageUp)],
        MOVES,
        "",
        "a page up",
    ),
    bind(
        Group::Moving,
        Action::HalfDown,
        &[KeyChord::ctrl('d')],
        MOVES,
        "",
        "half a page down",
    ),
    bind(
        Group::Moving,
        Action::HalfUp,
        &[KeyChord::ctrl('u')],
        MOVES,
        "",
        "half a page up",
    ),
    bind(
        Group::Moving,
        Action::NextTab,
        &[c('l'), k(Key::Right)],
        TASKS,
        "page",
        "next tab",
    ),
    bind(
        Group::Moving,
        Action::PreviousTab,
        &[c('h'), k(Key::Left)],
        TASKS,
        "",
        "previous tab",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::All),
        &[c('1')],
        TASKS,
        "",
        "tab All",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Active),
        &[c('2')],
        TASKS,
        "",
        "tab Active",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Ready),
        &[c('3')],
        TASKS,
        "",
        "tab Ready",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Rescued),
        &[c('4')],
        TASKS,
        "",
        "tab Callback",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Failed),
        &[c('5')],
        TASKS,
        "",
        "tab Failed",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Expiring),
        &[c('6')],
        TASKS,
        "",
        "tab Expiring",
    ),
    bind(
        Group::Moving,
        Action::Detail,
        &[k(Key::Enter)],
        LIST,
        "detail",
        "full-screen details",
    ),
    bind(
        Group::Moving,
        Action::NextTask,
        &[c('J')],
        DETAIL,
        "next task",
        "next task",
    ),
    bind(
        Group::Moving,
        Action::PreviousTask,
        &[c('K')],
        DETAIL,
        "previous",
        "previous task",
    ),
    bind(
        Group::Moving,
        Action::Back,
        &[k(Key::Esc)],
        STEPS,
        "back",
        "back / close; then clear marks, filter",
    ),
    bind(
        Group::Tasks,
        Action::Add,
        &[c('a')],
        TASKS,
        "add",
        "add tasks; or paste ids anywhere",
    ),
    bind(
        Group::Tasks,
        Action::Remove,
        &[c('d')],
        TASKS,
        "remove",
        "remove from the list",
    ),
    bind(
        Group::Tasks,
        Action::Undo,
        &[c('u')],
        TASKS,
        "undo",
        "undo remove or label",
    ),
    bind(
        Group::Tasks,
        Action::Mark,
        &[c(' ')],
        TASKS,
        "mark",
        "mark; actions apply to marked tasks",
    ),
    bind(
        Group::Tasks,
        Action::MarkRange,
        &[c('V')],
        LIST,
        "",
        "mark from the last mark to here",
    ),
    bind(
        Group::Tasks,
        Action::MarkAll,
        &[c('*')],
        LIST,
        "mark all",
        "mark all shown tasks, or none",
    ),
    bind(
        Group::Tasks,
        Action::OpenResult,
        &[c('o')],
        TASKS,
        "open",
        "open the result in the browser",
    ),
    bind(
        Group::Tasks,
        Action::OpenOriginal,
        &[c('O')],
        TASKS,
        "input",
        "open the input video in the browser",
    ),
    bind(
        Group::Tasks,
        Action::Compare,
        &[c('b')],
        TASKS,
        "compare",
        "compare input and result in the browser",
    ),
    bind(
        Group::Tasks,
        Action::Save,
        &[c('w')],
        TASKS,
        "save",
        "save videos (again: progress, stop)",
    ),
    bind(
        Group::Tasks,
        Action::SaveTo,
        &[c('W')],
        TASKS,
        "save to",
        "save videos to another folder",
    ),
    bind(
        Group::Tasks,
        Action::CopyMenu,
        &[c('y')],
        TASKS,
        "copy",
        "copy id, links, prompt, JSON, curl",
    ),
    bind(
        Group::Tasks,
        Action::Raw,
        &[c('i')],
        TASKS,
        "raw",
        "raw JSON",
    ),
    bind(
        Group::Tasks,
        Action::EditLabel,
        &[c('e')],
        TASKS,
        "label",
        "edit the label",
    ),
    bind(
        Group::Tasks,
        Action::ToggleNotices,
        &[c('N')],
        TASKS,
        "notifications",
        "notifications for this task on/off",
    ),
    bind(
        Group::Finding,
        Action::Filter,
        &[c('/')],
        TASKS,
        "filter",
        "filter: words state:failed took:>5m !x",
    ),
    bind(
        Group::Finding,
        Action::EarlierFilter,
        &[KeyChord::ctrl('p')],
        FILTER,
        "previous",
        "previous filter",
    ),
    bind(
        Group::Finding,
        Action::LaterFilter,
        &[KeyChord::ctrl('n')],
        FILTER,
        "",
        "next filter",
    ),
    bind(
        Group::Finding,
        Action::SortMenu,
        &[c('s')],
        TASKS,
        "sort",
        "choose the sort order",
    ),
    bind(
        Group::Finding,
        Action::ReverseSort,
        &[c('S')],
        ORDERS,
        "reverse",
        "reverse order",
    ),
    bind(
        Group::Asking,
        Action::CheckOne,
        &[c('r')],
        TASKS,
        "refresh",
        "refresh this task",
    ),
    bind(
        Group::Asking,
        Action::CheckAll,
        &[c('R')],
        TASKS,
        "refresh all",
        "refresh all unfinished",
    ),
    bind(
        Group::Asking,
        Action::Pause,
        &[c('p')],
        TASKS,
        "pause",
        "pause / resume checks",
    ),
    bind(
        Group::Asking,
        Action::Faster,
        &[c('+'), c('=')],
        TASKS,
        "",
        "check more often (every 2s at most)",
    ),
    bind(
        Group::Asking,
        Action::Slower,
        &[c('-')],
        TASKS,
        "",
        "check less often",
    ),
    bind(
        Group::Dialogs,
        Action::Accept,
        &[k(Key::Enter)],
        DIALOGS,
        "run",
        "in a dialog: confirm",
    ),
    bind(
        Group::Copying,
        Action::Copy(CopyKind::Id),
        &[c('y')],
        COPY,
        "id",
        "copy the id",
    ),
    bind(
        Group::Copying,
        Action::Copy(CopyKind::Result),
        &[c('u')],
        COPY,
        "result",
        "copy the result link",
    ),
    bind(
        Group::Copying,
        Action::Copy(CopyKind::Original),
        &[c('o')],
        COPY,
        "input",
        "copy the input link",
    ),
    bind(
        Group::Copying,
        Action::Copy(CopyKind::Prompt),
        &[c('p')],
        COPY,
        "prompt",
        "copy the prompt",
    ),
    bind(
        Group::Copying,
        Action::Copy(CopyKind::Json),
        &[c('j')],
        COPY,
        "JSON",
        "copy the task as JSON",
    ),
    bind(
        Group::Copying,
        Action::Copy(CopyKind::Curl),
        &[c('c')],
        COPY,
        "curl",
        "copy a curl command, without the key",
    ),
    bind(
        Group::Dialogs,
        Action::Accept,
        &[c('y')],
        &[Context::Confirm],
        "yes",
        "answer a question: yes",
    ),
    bind(
        Group::Dialogs,
        Action::Back,
        &[c('n'), k(Key::Esc), c('q')],
        &[Context::Confirm],
        "no",
        "answer a question: no",
    ),
    bind(
        Group::Dialogs,
        Action::Toggle,
        &[c(' ')],
        ADD,
        "toggle",
        "in the add dialog: skip or take an id",
    ),
    bind(
        Group::Dialogs,
        Action::NextField,
        &[k(Key::Tab)],
        ADD,
        "next field",
        "in the add dialog: next field",
    ),
    bind(
        Group::Dialogs,
        Action::PreviousField,
        &[k(Key::BackTab)],
        ADD,
        "",
        "in the add dialog: previous field",
    ),
    bind(
        Group::Dialogs,
        Action::Next,
        &[k(Key::Down)],
        TYPED_MOVES,
        "",
        "in a dialog: down",
    ),
    bind(
        Group::Dialogs,
        Action::Previous,
        &[k(Key::Up)],
        TYPED_MOVES,
        "",
        "in a dialog: up",
    ),
    bind(
        Group::Program,
        Action::Palette,
        &[c(':')],
        TASKS,
        "command",
        "command palette",
    ),
    bind(
        Group::Program,
        Action::Messages,
        &[c('m')],
        TASKS,
        "messages",
        "recent messages",
    ),
    bind(
        Group::Program,
        Action::Diagnostics,
        &[c('M')],
        TASKS,
        "diagnostics",
        "diagnostics: clocks, unusual answers",
    ),
    bind(
        Group::Program,
        Action::Help,
        &[c('?'), k(Key::F(1))],
        TASKS,
        "help",
        "this help",
    ),
    bind(
        Group::Program,
        Action::Redraw,
        &[KeyChord::ctrl('l')],
        EVERYWHERE,
        "",
        "redraw the screen",
    ),
    bind(
        Group::Program,
        Action::WriteBack,
        &[c('B')],
        TASKS,
        "",
        "write a deleted list file again",
    ),
    bind(
        Group::Program,
        Action::Suspend,
        &[KeyChord::ctrl('z')],
        EVERYWHERE,
        "",
        "suspend (fg returns)",
    ),
    bind(
        Group::Program,
        Action::Quit,
        &[c('q')],
        &[Context::List, Context::Detail],
        "quit",
        "quit",
    ),
    bind(
        Group::Moving,
        Action::Back,
        &[c('q'), c('?'), k(Key::F(1))],
        &[Context::Help],
        "",
        "close the help",
    ),
    bind(
        Group::Dialogs,
        Action::Back,
        &[c('q'), k(Key::Enter)],
        &[Context::Link],
        "",
        "close the link",
    ),
    bind(
        Group::Dialogs,
        Action::Back,
        &[c('q')],
        &[Context::Pick, Context::Sort, Context::Copy],
        "",
        "close the picker or menu",
    ),
    bind(
        Group::Program,
        Action::Quit,
        &[KeyChord::ctrl('c')],
        EVERYWHERE,
        "",
        "quit immediately",
    ),
];

const fn bind(
    group: Group,
    action: Action,
    chords: &'static [KeyChord],
    contexts: &'static [Context],
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding {
        group,
        action,
        chords: Cow::Borrowed(chords),
        contexts: Cow::Borrowed(contexts),
        hint,
        help,
    }
}

impl Binding {
    /// Returns what the help says of it there: on the full detail some keys mean another thing than in the list.
    pub const fn help_in(&self, context: Context) -> &'static str {
        match (context, self.action) {
            (Context::Detail, Action::Next) => "down",
            (Context::Detail, Action::Previous) => "up",
            (Context::Detail, Action::First) => "top",
            (Context::Detail, Action::Last) => "bottom",
            (Context::Detail, Action::NextTab) => "next page",
            (Context::Detail, Action::PreviousTab) => "previous page",
            (Context::Detail, Action::Mark) => "mark; actions in the list apply to it",
            (Context::Detail, Action::Back) => "back",
            (Context::Detail, Action::Filter) => "filter the list",
            (Context::Detail, Action::SortMenu) => "choose the list's sort order",
            (Context::Detail, Action::ReverseSort) => "reverse the list's order",
            (Context::Detail, Action::Raw) => "raw JSON, or back",
            _ => self.help,
        }
    }
}

impl Action {
    /// Returns every action of the table, each once, in the table's order.
    pub fn all() -> impl Iterator<Item = Self> {
        BINDINGS.iter().enumerate().filter_map(|(at, binding)| {
            let is_first =
                |before: &[Binding]| before.iter().all(|before| before.action != binding.action);
            BINDINGS
                .get(..at)
                .is_some_and(is_first)
                .then_some(binding.action)
        })
    }

    /// Returns the action of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|action| action.name() == name)
    }
}

/// Returns what the footer offers in a context, the most wanted first; the last of them stays longest.
pub const fn footer(context: Context) -> &'static [Action] {
    match context {
        Context::List => &[
            Action::Add,
            Action::Remove,
            Action::OpenResult,
            Action::Save,
            Action::CopyMenu,
            Action::Filter,
            Action::SortMenu,
            Action::Mark,
            Action::CheckOne,
            Action::Pause,
            Action::Palette,
            Action::Undo,
            Action::OpenOriginal,
            Action::Detail,
            Action::EditLabel,
            Action::MarkAll,
            Action::CheckAll,
            Action::ReverseSort,
            Action::Quit,
            Action::Help,
        ],
        Context::Detail => &[
            Action::Back,
            Action::NextTab,
            Action::OpenResult,
            Action::Save,
            Action::CopyMenu,
            Action::Raw,
            Action::NextTask,
            Action::OpenOriginal,
            Action::Compare,
            Action::EditLabel,
            Action::CheckOne,
            Action::Remove,
            Action::Pause,
            Action::Quit,
            Action::Help,
        ],
        Context::Add => &[
            Action::Accept,
            Action::Toggle,
            Action::NextField,
            Action::Back,
        ],
        Context::Pick
        | Context::Folder
        | Context::Filter
        | Context::Sort
        | Context::Confirm
        | Context::Copy
        | Context::Label
        | Context::Palette => &[Action::Accept, Action::Back],
        Context::Link | Context::Help => &[Action::Back],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_snake_case_and_read_back() {
        let mut seen = HashSet::new();
        for action in Action::all() {
            let name = action.name();
            assert!(seen.insert(name), "{name} twice");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert_eq!(Action::parse(name), Some(action));
        }
    }
}
