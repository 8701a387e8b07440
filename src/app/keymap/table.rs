//! The default key bindings in the order of the help, and the actions in the footer.

use std::borrow::Cow;

use KeyGroup::{Copying, Dialogs, Navigation, Polling, Program, Search, Tasks};

use super::{
    action::{Action, KeyContext},
    chord::{
        Key::{self, BackTab, Down, End, Enter, Esc, F, Home, Left, PageDown, PageUp, Right, Up},
        KeyChord,
    },
};
use crate::{app::copy_payload::CopyKind, domain::status::Tab};

/// A group of keys in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyGroup {
    Navigation,
    Tasks,
    Search,
    Polling,
    Copying,
    Dialogs,
    Program,
}

impl KeyGroup {
    /// The groups in the order of the help.
    pub const ALL: [Self; 7] = [
        Self::Navigation,
        Self::Tasks,
        Self::Search,
        Self::Polling,
        Self::Copying,
        Self::Dialogs,
        Self::Program,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Navigation => "Moving",
            Self::Tasks => "Tasks",
            Self::Search => "Finding",
            Self::Polling => "Checking",
            Self::Copying => "In the copy menu",
            Self::Dialogs => "Dialogs",
            Self::Program => "Program",
        }
    }
}

/// A key binding: the keys that run an action in some contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub group: KeyGroup,
    pub action: Action,
    /// The preferred key first; empty if the user unbound the action.
    pub chords: Cow<'static, [KeyChord]>,
    pub contexts: Cow<'static, [KeyContext]>,
    /// The footer label; empty if the footer never shows the action.
    pub hint: &'static str,
    /// The description in the help.
    pub help: &'static str,
}

const fn c(c: char) -> KeyChord {
    KeyChord::char(c)
}

const fn k(key: Key) -> KeyChord {
    KeyChord::plain(key)
}

const fn ctrl(c: char) -> KeyChord {
    KeyChord::ctrl(c)
}

const LIST: &[KeyContext] = &[KeyContext::List];
const DETAIL: &[KeyContext] = &[KeyContext::Detail];
const FILTER: &[KeyContext] = &[KeyContext::Filter];
const CONFIRM: &[KeyContext] = &[KeyContext::Confirm];
const HELP: &[KeyContext] = &[KeyContext::Help];
const LINK: &[KeyContext] = &[KeyContext::Link];
const MENUS: &[KeyContext] = &[KeyContext::Pick, KeyContext::Sort, KeyContext::Copy];
const SORTED: &[KeyContext] = &[KeyContext::List, KeyContext::Detail, KeyContext::Sort];
const TASKS: &[KeyContext] = &[KeyContext::List, KeyContext::Detail];
const NAVIGATION: &[KeyContext] = &[
    KeyContext::List,
    KeyContext::Detail,
    KeyContext::Pick,
    KeyContext::Help,
    KeyContext::Sort,
];
const INPUTS: &[KeyContext] = &[
    KeyContext::Add,
    KeyContext::Filter,
    KeyContext::Copy,
    KeyContext::Palette,
];
const DIALOGS: &[KeyContext] = &[
    KeyContext::Add,
    KeyContext::Pick,
    KeyContext::Folder,
    KeyContext::Filter,
    KeyContext::Sort,
    KeyContext::Copy,
    KeyContext::Label,
    KeyContext::Palette,
];
const COPY: &[KeyContext] = &[KeyContext::Copy];
const ADD: &[KeyContext] = &[KeyContext::Add];
const BACK: &[KeyContext] = &[
    KeyContext::List,
    KeyContext::Detail,
    KeyContext::Add,
    KeyContext::Pick,
    KeyContext::Folder,
    KeyContext::Link,
    KeyContext::Copy,
    KeyContext::Label,
    KeyContext::Palette,
    KeyContext::Help,
    KeyContext::Filter,
    KeyContext::Sort,
];
const EVERYWHERE: &[KeyContext] = &KeyContext::ALL;

/// The default bindings, in the order of the help.
#[rustfmt::skip]
pub(super) const BINDINGS: &[Binding] = &[
    bind(Navigation, Action::Next,                   &[c('j'), k(Down)],         NAVIGATION, "",              "down"),
    bind(Navigation, Action::Previous,               &[c('k'), k(Up)],           NAVIGATION, "",              "up"),
    bind(Navigation, Action::First,                  &[c('g'), k(Home)],         NAVIGATION, "",              "top"),
    bind(Navigation, Action::Last,                   &[c('G'), k(End)],          NAVIGATION, "",              "bottom"),
    bind(Navigation, Action::PageDown,               &[k(PageDown)],             NAVIGATION, "",              "a page down"),
    bind(Navigation, Action::PageUp,                 &[k(PageUp)],               NAVIGATION, "",              "a page up"),
    bind(Navigation, Action::HalfDown,               &[ctrl('d')],               NAVIGATION, "",              "half a page down"),
    bind(Navigation, Action::HalfUp,                 &[ctrl('u')],               NAVIGATION, "",              "half a page up"),
    bind(Navigation, Action::NextTab,                &[c('l'), k(Right)],        TASKS,      "page",          "next tab"),
    bind(Navigation, Action::PreviousTab,            &[c('h'), k(Left)],         TASKS,      "",              "previous tab"),
    bind(Navigation, Action::ShowTab(Tab::All),      &[c('1')],                  TASKS,      "",              "tab All"),
    bind(Navigation, Action::ShowTab(Tab::Active),   &[c('2')],                  TASKS,      "",              "tab Active"),
    bind(Navigation, Action::ShowTab(Tab::Ready),    &[c('3')],                  TASKS,      "",              "tab Ready"),
    bind(Navigation, Action::ShowTab(Tab::Rescued),  &[c('4')],                  TASKS,      "",              "tab Callback"),
    bind(Navigation, Action::ShowTab(Tab::Failed),   &[c('5')],                  TASKS,      "",              "tab Failed"),
    bind(Navigation, Action::ShowTab(Tab::Expiring), &[c('6')],                  TASKS,      "",              "tab Expiring"),
    bind(Navigation, Action::Detail,                 &[k(Enter)],                LIST,       "detail",        "full-screen details"),
    bind(Navigation, Action::NextTask,               &[c('J')],                  DETAIL,     "next task",     "next task"),
    bind(Navigation, Action::PreviousTask,           &[c('K')],                  DETAIL,     "previous",      "previous task"),
    bind(Navigation, Action::Back,                   &[k(Esc)],                  BACK,       "back",          "back / close; then clear marks, filter"),
    bind(Tasks,      Action::Add,                    &[c('a')],                  TASKS,      "add",           "add tasks; or paste ids anywhere"),
    bind(Tasks,      Action::Remove,                 &[c('d')],                  TASKS,      "remove",        "remove from the list"),
    bind(Tasks,      Action::Undo,                   &[c('u')],                  TASKS,      "undo",          "undo remove or label"),
    bind(Tasks,      Action::Mark,                   &[c(' ')],                  TASKS,      "mark",          "mark; actions apply to marked tasks"),
    bind(Tasks,      Action::MarkRange,              &[c('V')],                  LIST,       "",              "mark from the last mark to here"),
    bind(Tasks,      Action::MarkAll,                &[c('*')],                  LIST,       "mark all",      "mark all shown tasks, or none"),
    bind(Tasks,      Action::OpenResult,             &[c('o')],                  TASKS,      "open",          "open the result in the browser"),
    bind(Tasks,      Action::OpenInput,              &[c('O')],                  TASKS,      "input",         "open the input video in the browser"),
    bind(Tasks,      Action::Compare,                &[c('b')],                  TASKS,      "compare",       "compare input and result in the browser"),
    bind(Tasks,      Action::Save,                   &[c('w')],                  TASKS,      "save",          "save videos (again: progress, stop)"),
    bind(Tasks,      Action::SaveTo,                 &[c('W')],                  TASKS,      "save to",       "save videos to another folder"),
    bind(Tasks,      Action::CopyMenu,               &[c('y')],                  TASKS,      "copy",          "copy id, links, prompt, JSON, curl"),
    bind(Tasks,      Action::Raw,                    &[c('i')],                  TASKS,      "raw",           "raw JSON"),
    bind(Tasks,      Action::EditLabel,              &[c('e')],                  TASKS,      "label",         "edit the label"),
    bind(Tasks,      Action::ToggleNotify,           &[c('N')],                  TASKS,      "notifications", "notifications for this task on/off"),
    bind(Search,     Action::Filter,                 &[c('/')],                  TASKS,      "filter",        "filter: words state:failed took:>5m !x"),
    bind(Search,     Action::EarlierFilter,          &[ctrl('p')],               FILTER,     "previous",      "previous filter"),
    bind(Search,     Action::LaterFilter,            &[ctrl('n')],               FILTER,     "",              "next filter"),
    bind(Search,     Action::SortMenu,               &[c('s')],                  TASKS,      "sort",          "choose the sort order"),
    bind(Search,     Action::ReverseSort,            &[c('S')],                  SORTED,     "reverse",       "reverse order"),
    bind(Polling,    Action::Refresh,                &[c('r')],                  TASKS,      "refresh",       "refresh this task"),
    bind(Polling,    Action::RefreshAll,             &[c('R')],                  TASKS,      "refresh all",   "refresh all unfinished"),
    bind(Polling,    Action::Pause,                  &[c('p')],                  TASKS,      "pause",         "pause / resume checks"),
    bind(Polling,    Action::Faster,                 &[c('+'), c('=')],          TASKS,      "",              "check more often (every 2s at most)"),
    bind(Polling,    Action::Slower,                 &[c('-')],                  TASKS,      "",              "check less often"),
    bind(Dialogs,    Action::Accept,                 &[k(Enter)],                DIALOGS,    "run",           "in a dialog: confirm"),
    bind(Copying,    Action::Copy(CopyKind::Id),     &[c('y')],                  COPY,       "id",            "copy the id"),
    bind(Copying,    Action::Copy(CopyKind::Result), &[c('u')],                  COPY,       "result",        "copy the result link"),
    bind(Copying,    Action::Copy(CopyKind::Input),  &[c('o')],                  COPY,       "input",         "copy the input link"),
    bind(Copying,    Action::Copy(CopyKind::Prompt), &[c('p')],                  COPY,       "prompt",        "copy the prompt"),
    bind(Copying,    Action::Copy(CopyKind::Json),   &[c('j')],                  COPY,       "JSON",          "copy the task as JSON"),
    bind(Copying,    Action::Copy(CopyKind::Curl),   &[c('c')],                  COPY,       "curl",          "copy a curl command, without the key"),
    bind(Dialogs,    Action::Accept,                 &[c('y')],                  CONFIRM,    "yes",           "answer a question: yes"),
    bind(Dialogs,    Action::Back,                   &[c('n'), k(Esc), c('q')],  CONFIRM,    "no",            "answer a question: no"),
    bind(Dialogs,    Action::Toggle,                 &[c(' ')],                  ADD,        "toggle",        "in the add dialog: pick or skip an id"),
    bind(Dialogs,    Action::NextField,              &[k(Key::Tab)],             ADD,        "next field",    "in the add dialog: next field"),
    bind(Dialogs,    Action::PreviousField,          &[k(BackTab)],              ADD,        "",              "in the add dialog: previous field"),
    bind(Dialogs,    Action::Next,                   &[k(Down)],                 INPUTS,     "",              "in a dialog: down"),
    bind(Dialogs,    Action::Previous,               &[k(Up)],                   INPUTS,     "",              "in a dialog: up"),
    bind(Program,    Action::Palette,                &[c(':')],                  TASKS,      "command",       "command palette"),
    bind(Program,    Action::Messages,               &[c('m')],                  TASKS,      "messages",      "recent messages"),
    bind(Program,    Action::Diagnostics,            &[c('M')],                  TASKS,      "diagnostics",   "diagnostics: clocks, unusual answers"),
    bind(Program,    Action::Help,                   &[c('?'), k(F(1))],         TASKS,      "help",          "this help"),
    bind(Program,    Action::Redraw,                 &[ctrl('l')],               EVERYWHERE, "",              "redraw the screen"),
    bind(Program,    Action::RestoreListFile,        &[c('B')],                  TASKS,      "",              "restore a deleted list file"),
    bind(Program,    Action::Suspend,                &[ctrl('z')],               EVERYWHERE, "",              "suspend (fg returns)"),
    bind(Program,    Action::Quit,                   &[c('q')],                  TASKS,      "quit",          "quit"),
    bind(Navigation, Action::Back,                   &[c('q'), c('?'), k(F(1))], HELP,       "",              "close the help"),
    bind(Dialogs,    Action::Back,                   &[c('q'), k(Enter)],        LINK,       "",              "close the link"),
    bind(Dialogs,    Action::Back,                   &[c('q')],                  MENUS,      "",              "close the picker or menu"),
    bind(Program,    Action::Quit,                   &[ctrl('c')],               EVERYWHERE, "",              "quit immediately"),
];

const fn bind(
    group: KeyGroup,
    action: Action,
    chords: &'static [KeyChord],
    contexts: &'static [KeyContext],
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
    /// Returns the description for a context: some keys have another meaning in the details than in
    /// the list.
    pub const fn help_in(&self, context: KeyContext) -> &'static str {
        match (context, self.action) {
            (KeyContext::Detail, Action::Next) => "down",
            (KeyContext::Detail, Action::Previous) => "up",
            (KeyContext::Detail, Action::First) => "top",
            (KeyContext::Detail, Action::Last) => "bottom",
            (KeyContext::Detail, Action::NextTab) => "next page",
            (KeyContext::Detail, Action::PreviousTab) => "previous page",
            (KeyContext::Detail, Action::Mark) => "mark; actions in the list apply to it",
            (KeyContext::Detail, Action::Back) => "back",
            (KeyContext::Detail, Action::Filter) => "filter the list",
            (KeyContext::Detail, Action::SortMenu) => "choose the list's sort order",
            (KeyContext::Detail, Action::ReverseSort) => "reverse the list's order",
            (KeyContext::Detail, Action::Raw) => "raw JSON, or back",
            _ => self.help,
        }
    }
}

impl Action {
    /// Returns every action of the table once, in the table's order.
    pub fn all() -> impl Iterator<Item = Self> {
        BINDINGS.iter().enumerate().filter_map(|(index, binding)| {
            let is_first =
                |before: &[Binding]| before.iter().all(|before| before.action != binding.action);
            BINDINGS
                .get(..index)
                .is_some_and(is_first)
                .then_some(binding.action)
        })
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|action| action.name() == name)
    }
}

/// The footer's actions while the list is shown, the most useful first; the last one is dropped
/// last in a narrow window.
pub const LIST_FOOTER: &[Action] = &[
    Action::Add,
    Action::Remove,
    Action::OpenResult,
    Action::Save,
    Action::CopyMenu,
    Action::Filter,
    Action::SortMenu,
    Action::Mark,
    Action::Refresh,
    Action::Pause,
    Action::Palette,
    Action::Undo,
    Action::OpenInput,
    Action::Detail,
    Action::EditLabel,
    Action::MarkAll,
    Action::RefreshAll,
    Action::ReverseSort,
    Action::Quit,
    Action::Help,
];

/// The footer's actions on the full-screen details.
pub const DETAIL_FOOTER: &[Action] = &[
    Action::Back,
    Action::NextTab,
    Action::OpenResult,
    Action::Save,
    Action::CopyMenu,
    Action::Raw,
    Action::NextTask,
    Action::OpenInput,
    Action::Compare,
    Action::EditLabel,
    Action::Refresh,
    Action::Remove,
    Action::Pause,
    Action::Quit,
    Action::Help,
];

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
