//! The default key bindings in the order of the help, and the actions in the footer.

use std::{borrow::Cow, collections::HashSet};

use KeyGroup::{Copying, Dialogs, Navigation, Polling, Program, Search, Tasks};
use strum::{IntoStaticStr, VariantArray};

use super::{
    action::{Action, KeyContext, KeyContext as In},
    chord::{
        Key::{self, BackTab, Down, End, Enter, Esc, F, Home, Left, PageDown, PageUp, Right, Up},
        KeyChord,
    },
};
use crate::{app::copy_payload::CopyKind, domain::status::Tab};

/// A group of keys in the help, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray, IntoStaticStr)]
pub enum KeyGroup {
    #[strum(serialize = "Moving")]
    Navigation,
    Tasks,
    #[strum(serialize = "Finding")]
    Search,
    #[strum(serialize = "Checking")]
    Polling,
    #[strum(serialize = "In the copy menu")]
    Copying,
    Dialogs,
    Program,
}

impl KeyGroup {
    pub const ALL: &[Self] = <Self as VariantArray>::VARIANTS;

    /// Returns the heading in the help.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A key binding: the keys that run an action in some contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub group: KeyGroup,
    pub action: Action,
    /// The action's name in config files, the palette and the manual: renaming one breaks users'
    /// files.
    pub name: &'static str,
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

const LIST: &[KeyContext] = &[In::List];
const DETAIL: &[KeyContext] = &[In::Detail];
const FILTER: &[KeyContext] = &[In::Filter];
const CONFIRM: &[KeyContext] = &[In::Confirm];
const HELP: &[KeyContext] = &[In::Help];
const LINK: &[KeyContext] = &[In::Link];
const COPY: &[KeyContext] = &[In::Copy];
const ADD: &[KeyContext] = &[In::Add];
const TASKS: &[KeyContext] = &[In::List, In::Detail];
const SORTED: &[KeyContext] = &[In::List, In::Detail, In::Sort];
const MENUS: &[KeyContext] = &[In::Pick, In::Sort, In::Copy];
const INPUTS: &[KeyContext] = &[In::Add, In::Filter, In::Copy, In::Palette];
const NAVIGATION: &[KeyContext] = &[In::List, In::Detail, In::Pick, In::Help, In::Sort];
#[rustfmt::skip]
const DIALOGS: &[KeyContext] = &[
    In::Add, In::Pick, In::Folder, In::Filter, In::Sort, In::Copy, In::Label, In::Palette,
];
#[rustfmt::skip]
const BACK: &[KeyContext] = &[
    In::List, In::Detail, In::Add, In::Pick, In::Folder, In::Link, In::Copy, In::Label,
    In::Palette, In::Help, In::Filter, In::Sort,
];
const EVERYWHERE: &[KeyContext] = KeyContext::ALL;

/// The default bindings, in the order of the help.
#[rustfmt::skip]
pub(super) const BINDINGS: &[Binding] = &[
    bind(Navigation, Action::Next,                   "next",           &[c('j'), k(Down)],         NAVIGATION, "",              "down"),
    bind(Navigation, Action::Previous,               "previous",       &[c('k'), k(Up)],           NAVIGATION, "",              "up"),
    bind(Navigation, Action::First,                  "first",          &[c('g'), k(Home)],         NAVIGATION, "",              "top"),
    bind(Navigation, Action::Last,                   "last",           &[c('G'), k(End)],          NAVIGATION, "",              "bottom"),
    bind(Navigation, Action::PageDown,               "page_down",      &[k(PageDown)],             NAVIGATION, "",              "a page down"),
    bind(Navigation, Action::PageUp,                 "page_up",        &[k(PageUp)],               NAVIGATION, "",              "a page up"),
    bind(Navigation, Action::HalfDown,               "half_page_down", &[ctrl('d')],               NAVIGATION, "",              "half a page down"),
    bind(Navigation, Action::HalfUp,                 "half_page_up",   &[ctrl('u')],               NAVIGATION, "",              "half a page up"),
    bind(Navigation, Action::NextTab,                "next_tab",       &[c('l'), k(Right)],        TASKS,      "page",          "next tab"),
    bind(Navigation, Action::PreviousTab,            "previous_tab",   &[c('h'), k(Left)],         TASKS,      "",              "previous tab"),
    bind(Navigation, Action::ShowTab(Tab::All),      "show_all",       &[c('1')],                  TASKS,      "",              "tab All"),
    bind(Navigation, Action::ShowTab(Tab::Active),   "show_active",    &[c('2')],                  TASKS,      "",              "tab Active"),
    bind(Navigation, Action::ShowTab(Tab::Ready),    "show_ready",     &[c('3')],                  TASKS,      "",              "tab Ready"),
    bind(Navigation, Action::ShowTab(Tab::Rescued),  "show_rescued",   &[c('4')],                  TASKS,      "",              "tab Callback"),
    bind(Navigation, Action::ShowTab(Tab::Failed),   "show_failed",    &[c('5')],                  TASKS,      "",              "tab Failed"),
    bind(Navigation, Action::ShowTab(Tab::Expiring), "show_expiring",  &[c('6')],                  TASKS,      "",              "tab Expiring"),
    bind(Navigation, Action::Detail,                 "detail",         &[k(Enter)],                LIST,       "detail",        "full-screen details"),
    bind(Navigation, Action::NextTask,               "next_task",      &[c('J')],                  DETAIL,     "next task",     "next task"),
    bind(Navigation, Action::PreviousTask,           "previous_task",  &[c('K')],                  DETAIL,     "previous",      "previous task"),
    bind(Navigation, Action::Back,                   "back",           &[k(Esc)],                  BACK,       "back",          "back / close; then clear marks, filter"),
    bind(Tasks,      Action::Add,                    "add",            &[c('a')],                  TASKS,      "add",           "add tasks; or paste ids anywhere"),
    bind(Tasks,      Action::Remove,                 "remove",         &[c('d')],                  TASKS,      "remove",        "remove from the list"),
    bind(Tasks,      Action::Undo,                   "undo",           &[c('u')],                  TASKS,      "undo",          "undo remove or label"),
    bind(Tasks,      Action::Mark,                   "mark",           &[c(' ')],                  TASKS,      "mark",          "mark; actions apply to marked tasks"),
    bind(Tasks,      Action::MarkRange,              "mark_range",     &[c('V')],                  LIST,       "",              "mark from the last mark to here"),
    bind(Tasks,      Action::MarkAll,                "mark_all",       &[c('*')],                  LIST,       "mark all",      "mark all shown tasks, or none"),
    bind(Tasks,      Action::OpenResult,             "open_result",    &[c('o')],                  TASKS,      "open",          "open the result in the browser"),
    bind(Tasks,      Action::OpenInput,              "open_original",  &[c('O')],                  TASKS,      "input",         "open the input video in the browser"),
    bind(Tasks,      Action::Compare,                "compare",        &[c('b')],                  TASKS,      "compare",       "compare input and result in the browser"),
    bind(Tasks,      Action::Save,                   "save",           &[c('w')],                  TASKS,      "save",          "save videos (again: progress, stop)"),
    bind(Tasks,      Action::SaveTo,                 "save_to",        &[c('W')],                  TASKS,      "save to",       "save videos to another folder"),
    bind(Tasks,      Action::CopyMenu,               "copy",           &[c('y')],                  TASKS,      "copy",          "copy id, links, prompt, JSON, curl"),
    bind(Tasks,      Action::Raw,                    "raw_record",     &[c('i')],                  TASKS,      "raw",           "raw JSON"),
    bind(Tasks,      Action::EditLabel,              "edit_label",     &[c('e')],                  TASKS,      "label",         "edit the label"),
    bind(Tasks,      Action::ToggleNotify,           "notices",        &[c('N')],                  TASKS,      "notifications", "notifications for this task on/off"),
    bind(Search,     Action::Filter,                 "filter",         &[c('/')],                  TASKS,      "filter",        "filter: words state:failed took:>5m !x"),
    bind(Search,     Action::EarlierFilter,          "earlier_filter", &[ctrl('p')],               FILTER,     "previous",      "previous filter"),
    bind(Search,     Action::LaterFilter,            "later_filter",   &[ctrl('n')],               FILTER,     "",              "next filter"),
    bind(Search,     Action::SortMenu,               "sort",           &[c('s')],                  TASKS,      "sort",          "choose the sort order"),
    bind(Search,     Action::ReverseSort,            "reverse_sort",   &[c('S')],                  SORTED,     "reverse",       "reverse order"),
    bind(Polling,    Action::Refresh,                "check",          &[c('r')],                  TASKS,      "refresh",       "refresh this task"),
    bind(Polling,    Action::RefreshAll,             "check_all",      &[c('R')],                  TASKS,      "refresh all",   "refresh all unfinished"),
    bind(Polling,    Action::Pause,                  "pause",          &[c('p')],                  TASKS,      "pause",         "pause / resume checks"),
    bind(Polling,    Action::Faster,                 "faster",         &[c('+'), c('=')],          TASKS,      "",              "check more often (every 2s at most)"),
    bind(Polling,    Action::Slower,                 "slower",         &[c('-')],                  TASKS,      "",              "check less often"),
    bind(Dialogs,    Action::Accept,                 "accept",         &[k(Enter)],                DIALOGS,    "run",           "in a dialog: confirm"),
    bind(Copying,    Action::Copy(CopyKind::Id),     "copy_id",        &[c('y')],                  COPY,       "id",            "copy the id"),
    bind(Copying,    Action::Copy(CopyKind::Result), "copy_result",    &[c('u')],                  COPY,       "result",        "copy the result link"),
    bind(Copying,    Action::Copy(CopyKind::Input),  "copy_original",  &[c('o')],                  COPY,       "input",         "copy the input link"),
    bind(Copying,    Action::Copy(CopyKind::Prompt), "copy_prompt",    &[c('p')],                  COPY,       "prompt",        "copy the prompt"),
    bind(Copying,    Action::Copy(CopyKind::Json),   "copy_json",      &[c('j')],                  COPY,       "JSON",          "copy the task as JSON"),
    bind(Copying,    Action::Copy(CopyKind::Curl),   "copy_curl",      &[c('c')],                  COPY,       "curl",          "copy a curl command, without the key"),
    bind(Dialogs,    Action::Accept,                 "accept",         &[c('y')],                  CONFIRM,    "yes",           "answer a question: yes"),
    bind(Dialogs,    Action::Back,                   "back",           &[c('n'), k(Esc), c('q')],  CONFIRM,    "no",            "answer a question: no"),
    bind(Dialogs,    Action::Toggle,                 "toggle",         &[c(' ')],                  ADD,        "toggle",        "in the add dialog: pick or skip an id"),
    bind(Dialogs,    Action::NextField,              "next_field",     &[k(Key::Tab)],             ADD,        "next field",    "in the add dialog: next field"),
    bind(Dialogs,    Action::PreviousField,          "previous_field", &[k(BackTab)],              ADD,        "",              "in the add dialog: previous field"),
    bind(Dialogs,    Action::Next,                   "next",           &[k(Down)],                 INPUTS,     "",              "in a dialog: down"),
    bind(Dialogs,    Action::Previous,               "previous",       &[k(Up)],                   INPUTS,     "",              "in a dialog: up"),
    bind(Program,    Action::Palette,                "palette",        &[c(':')],                  TASKS,      "command",       "command palette"),
    bind(Program,    Action::Messages,               "messages",       &[c('m')],                  TASKS,      "messages",      "recent messages"),
    bind(Program,    Action::Diagnostics,            "diagnostics",    &[c('M')],                  TASKS,      "diagnostics",   "diagnostics: clocks, unusual answers"),
    bind(Program,    Action::Help,                   "help",           &[c('?'), k(F(1))],         TASKS,      "help",          "this help"),
    bind(Program,    Action::Redraw,                 "redraw",         &[ctrl('l')],               EVERYWHERE, "",              "redraw the screen"),
    bind(Program,    Action::RestoreListFile,        "write_back",     &[c('B')],                  TASKS,      "",              "restore a deleted list file"),
    bind(Program,    Action::Suspend,                "suspend",        &[ctrl('z')],               EVERYWHERE, "",              "suspend (fg returns)"),
    bind(Program,    Action::Quit,                   "quit",           &[c('q')],                  TASKS,      "quit",          "quit"),
    bind(Navigation, Action::Back,                   "back",           &[c('q'), c('?'), k(F(1))], HELP,       "",              "close the help"),
    bind(Dialogs,    Action::Back,                   "back",           &[c('q'), k(Enter)],        LINK,       "",              "close the link"),
    bind(Dialogs,    Action::Back,                   "back",           &[c('q')],                  MENUS,      "",              "close the picker or menu"),
    bind(Program,    Action::Quit,                   "quit",           &[ctrl('c')],               EVERYWHERE, "",              "quit immediately"),
];

const fn bind(
    group: KeyGroup,
    action: Action,
    name: &'static str,
    chords: &'static [KeyChord],
    contexts: &'static [KeyContext],
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding {
        group,
        action,
        name,
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
        let mut seen = HashSet::new();
        BINDINGS
            .iter()
            .map(|binding| binding.action)
            .filter(move |action| seen.insert(*action))
    }

    pub fn parse(name: &str) -> Option<Self> {
        let binding = BINDINGS.iter().find(|binding| binding.name == name);
        binding.map(|binding| binding.action)
    }

    /// Returns the name in config files, the palette and the manual.
    pub fn name(self) -> &'static str {
        let binding = BINDINGS.iter().find(|binding| binding.action == self);
        binding.map_or("", |binding| binding.name)
    }
}

/// The footer's actions while the list is shown, the most useful first; the last one is dropped
/// last in a narrow window.
#[rustfmt::skip]
pub const LIST_FOOTER: &[Action] = &[
    Action::Add, Action::Remove, Action::OpenResult, Action::Save, Action::CopyMenu, Action::Filter,
    Action::SortMenu, Action::Mark, Action::Refresh, Action::Pause, Action::Palette, Action::Undo,
    Action::OpenInput, Action::Detail, Action::EditLabel, Action::MarkAll, Action::RefreshAll,
    Action::ReverseSort, Action::Quit, Action::Help,
];

/// The footer's actions on the full-screen details.
#[rustfmt::skip]
pub const DETAIL_FOOTER: &[Action] = &[
    Action::Back, Action::NextTab, Action::OpenResult, Action::Save, Action::CopyMenu, Action::Raw,
    Action::NextTask, Action::OpenInput, Action::Compare, Action::EditLabel, Action::Refresh,
    Action::Remove, Action::Pause, Action::Quit, Action::Help,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_snake_case_and_one_for_each_action() {
        for Binding { action, name, .. } in BINDINGS {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert_eq!(Action::parse(name), Some(*action), "{name}");
            assert_eq!(action.name(), *name, "{action:?}");
        }
    }
}
