//! Keys and what they mean: one table, read by the lookup, the help, the footer and the README's test.

use std::fmt;

use crate::domain::status::Tab;

/// Is a key without its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A character; upper case is the character itself, not a modifier.
    Char(char),
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Tab with Shift, as terminals send it.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// A function key.
    F(u8),
}

/// Is a key with its modifiers. Shift is part of the character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyChord {
    /// The key.
    pub key: Key,
    /// Whether Ctrl was held.
    pub ctrl: bool,
    /// Whether Alt was held.
    pub alt: bool,
}

impl KeyChord {
    /// Returns a key without modifiers.
    pub const fn plain(key: Key) -> Self {
        Self {
            key,
            ctrl: false,
            alt: false,
        }
    }

    /// Returns a character without modifiers.
    pub const fn char(c: char) -> Self {
        Self::plain(Key::Char(c))
    }

    /// Returns a character with Ctrl.
    pub const fn ctrl(c: char) -> Self {
        Self {
            key: Key::Char(c),
            ctrl: true,
            alt: false,
        }
    }

    /// Returns the character it types, if it types one.
    pub const fn typed(self) -> Option<char> {
        match self {
            Self {
                key: Key::Char(c),
                ctrl: false,
                alt: false,
            } => Some(c),
            _ => None,
        }
    }
}

impl fmt::Display for KeyChord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        if self.alt {
            f.write_str("Alt-")?;
        }
        match self.key {
            Key::Char(' ') => f.write_str("Space"),
            Key::Char(c) if self.ctrl => write!(f, "{}", c.to_ascii_uppercase()),
            Key::Char(c) => write!(f, "{c}"),
            Key::Enter => f.write_str("Enter"),
            Key::Esc => f.write_str("Esc"),
            Key::Tab => f.write_str("Tab"),
            Key::BackTab => f.write_str("Shift-Tab"),
            Key::Backspace => f.write_str("Backspace"),
            Key::Delete => f.write_str("Del"),
            Key::Up => f.write_str("↑"),
            Key::Down => f.write_str("↓"),
            Key::Left => f.write_str("←"),
            Key::Right => f.write_str("→"),
            Key::Home => f.write_str("Home"),
            Key::End => f.write_str("End"),
            Key::PageUp => f.write_str("PgUp"),
            Key::PageDown => f.write_str("PgDn"),
            Key::F(n) => write!(f, "F{n}"),
        }
    }
}

/// Is what a user wants, whatever the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Go to the next task; in texts, one line down.
    Next,
    /// Go to the task before; in texts, one line up.
    Previous,
    /// Go to the first task.
    First,
    /// Go to the last task.
    Last,
    /// Go down by a page.
    PageDown,
    /// Go up by a page.
    PageUp,
    /// Go down by half a page.
    HalfDown,
    /// Go up by half a page.
    HalfUp,
    /// Show the tab to the right.
    NextTab,
    /// Show the tab to the left.
    PreviousTab,
    /// Show that tab.
    ShowTab(Tab),
    /// Show the selected task on the whole screen.
    Detail,
    /// Go one step back.
    Back,
    /// Open the dialog that adds tasks.
    Add,
    /// Stop watching the selected task.
    Remove,
    /// Take the last removal back.
    Undo,
    /// Ask after the selected task now.
    CheckOne,
    /// Ask after every unfinished task now.
    CheckAll,
    /// Stop asking, or go on.
    Pause,
    /// Ask less often.
    Slower,
    /// Ask more often.
    Faster,
    /// Open the result video in the browser.
    OpenResult,
    /// Open the input video in the browser.
    OpenOriginal,
    /// Show the keys.
    Help,
    /// Draw the whole screen again.
    Redraw,
    /// Hand the terminal back to the shell until `fg`.
    Suspend,
    /// Leave.
    Quit,
    /// Do what the dialog offers.
    Accept,
    /// Take the line in or out.
    Toggle,
    /// Go to the dialog's next field.
    NextField,
    /// Go to the dialog's field before.
    PreviousField,
}

/// Is where a key is pressed: what the keyboard means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// The list.
    List,
    /// A task on the whole screen.
    Detail,
    /// The dialog that adds tasks; characters are typed.
    Add,
    /// The numbered picker of several videos.
    Pick,
    /// A link shown whole.
    Link,
    /// The help.
    Help,
}

impl Context {
    /// Every context there is.
    pub const ALL: [Self; 6] = [
        Self::List,
        Self::Detail,
        Self::Add,
        Self::Pick,
        Self::Link,
        Self::Help,
    ];
}

/// Is a group of keys in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Going somewhere.
    Moving,
    /// Doing something with tasks.
    Tasks,
    /// Asking the server.
    Asking,
    /// Inside a dialog.
    Dialogs,
    /// The program itself.
    Program,
}

impl Group {
    /// The groups in the order of the help.
    pub const ALL: [Self; 5] = [
        Self::Moving,
        Self::Tasks,
        Self::Asking,
        Self::Dialogs,
        Self::Program,
    ];

    /// Returns the group's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moving => "Moving",
            Self::Tasks => "Tasks",
            Self::Asking => "Asking",
            Self::Dialogs => "Dialogs",
            Self::Program => "Program",
        }
    }
}

/// Is one line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Where the help has it.
    pub group: Group,
    /// What is meant.
    pub action: Action,
    /// The keys that mean it.
    pub chords: &'static [KeyChord],
    /// Where they do.
    pub contexts: &'static [Context],
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
const TASKS: &[Context] = &[Context::List, Context::Detail];
const MOVES: &[Context] = &[Context::List, Context::Detail, Context::Pick, Context::Help];
const TYPED_MOVES: &[Context] = &[Context::Add];
const DIALOGS: &[Context] = &[Context::Add, Context::Pick];
const ADD: &[Context] = &[Context::Add];
const OVERLAYS: &[Context] = &[
    Context::Detail,
    Context::Add,
    Context::Pick,
    Context::Link,
    Context::Help,
];
const EVERYWHERE: &[Context] = &Context::ALL;

/// The keys, in the order of the help.
pub const BINDINGS: &[Binding] = &[
    bind(
        Group::Moving,
        Action::Next,
        &[c('j'), k(Key::Down)],
        MOVES,
        "",
        "next task, or a line down",
    ),
    bind(
        Group::Moving,
        Action::Previous,
        &[c('k'), k(Key::Up)],
        MOVES,
        "",
        "task before, or a line up",
    ),
    bind(
        Group::Moving,
        Action::First,
        &[c('g'), k(Key::Home)],
        MOVES,
        "",
        "first",
    ),
    bind(
        Group::Moving,
        Action::Last,
        &[c('G'), k(Key::End)],
        MOVES,
        "",
        "last",
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
        "",
        "tab to the right",
    ),
    bind(
        Group::Moving,
        Action::PreviousTab,
        &[c('h'), k(Key::Left)],
        TASKS,
        "",
        "tab to the left",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::All),
        &[c('1')],
        LIST,
        "",
        "tab All",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Active),
        &[c('2')],
        LIST,
        "",
        "tab Active",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Ready),
        &[c('3')],
        LIST,
        "",
        "tab Ready",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Rescued),
        &[c('4')],
        LIST,
        "",
        "tab Rescued",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Failed),
        &[c('5')],
        LIST,
        "",
        "tab Failed",
    ),
    bind(
        Group::Moving,
        Action::ShowTab(Tab::Expiring),
        &[c('6')],
        LIST,
        "",
        "tab Expiring",
    ),
    bind(
        Group::Moving,
        Action::Detail,
        &[k(Key::Enter)],
        LIST,
        "detail",
        "the task on the whole screen",
    ),
    bind(
        Group::Moving,
        Action::Back,
        &[k(Key::Esc)],
        OVERLAYS,
        "back",
        "one step back",
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
        "stop watching the task",
    ),
    bind(
        Group::Tasks,
        Action::Undo,
        &[c('u')],
        TASKS,
        "undo",
        "take the last removal back",
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
        "original",
        "open the input video",
    ),
    bind(
        Group::Asking,
        Action::CheckOne,
        &[c('r')],
        TASKS,
        "refresh",
        "ask after this task now",
    ),
    bind(
        Group::Asking,
        Action::CheckAll,
        &[c('R')],
        TASKS,
        "refresh all",
        "ask after all unfinished tasks now",
    ),
    bind(
        Group::Asking,
        Action::Pause,
        &[c('p')],
        TASKS,
        "pause",
        "stop asking, or go on",
    ),
    bind(
        Group::Asking,
        Action::Faster,
        &[c('+'), c('=')],
        TASKS,
        "",
        "ask more often (at most every 2s)",
    ),
    bind(
        Group::Asking,
        Action::Slower,
        &[c('-')],
        TASKS,
        "",
        "ask less often",
    ),
    bind(
        Group::Dialogs,
        Action::Accept,
        &[k(Key::Enter)],
        DIALOGS,
        "do it",
        "in a dialog: do it",
    ),
    bind(
        Group::Dialogs,
        Action::Toggle,
        &[c(' ')],
        ADD,
        "toggle",
        "in the add dialog: take an id in or out",
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
        "in the add dialog: field before",
    ),
    bind(
        Group::Dialogs,
        Action::Next,
        &[k(Key::Down)],
        TYPED_MOVES,
        "",
        "next line of a dialog",
    ),
    bind(
        Group::Dialogs,
        Action::Previous,
        &[k(Key::Up)],
        TYPED_MOVES,
        "",
        "line before in a dialog",
    ),
    bind(
        Group::Program,
        Action::Help,
        &[c('?'), k(Key::F(1))],
        TASKS,
        "help",
        "these keys",
    ),
    bind(
        Group::Program,
        Action::Redraw,
        &[KeyChord::ctrl('l')],
        EVERYWHERE,
        "",
        "draw the screen again",
    ),
    bind(
        Group::Program,
        Action::Suspend,
        &[KeyChord::ctrl('z')],
        EVERYWHERE,
        "",
        "to the shell; fg comes back",
    ),
    bind(
        Group::Program,
        Action::Quit,
        &[c('q')],
        &[Context::List, Context::Detail],
        "quit",
        "leave",
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
        &[Context::Pick],
        "",
        "close the picker",
    ),
    bind(
        Group::Program,
        Action::Quit,
        &[KeyChord::ctrl('c')],
        EVERYWHERE,
        "",
        "leave at once",
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
        chords,
        contexts,
        hint,
        help,
    }
}

/// Returns what a key means there; nothing where it is free (or typed).
pub fn lookup(chord: KeyChord, context: Context) -> Option<Action> {
    bindings(context)
        .find(|binding| binding.chords.contains(&chord))
        .map(|binding| binding.action)
}

/// Returns the lines of the table that count in a context, in the table's order.
pub fn bindings(context: Context) -> impl Iterator<Item = &'static Binding> {
    BINDINGS
        .iter()
        .filter(move |binding| binding.contexts.contains(&context))
}

/// Returns the first key for an action there, and its word for the footer.
pub fn hint(action: Action, context: Context) -> Option<(KeyChord, &'static str)> {
    let binding = bindings(context).find(|binding| binding.action == action)?;
    binding.chords.first().map(|chord| (*chord, binding.hint))
}

/// Returns the first key for an action, wherever it counts: for sentences that name a key.
pub fn key_of(action: Action) -> Option<KeyChord> {
    BINDINGS
        .iter()
        .find(|binding| binding.action == action)?
        .chords
        .first()
        .copied()
}

/// Returns what the footer offers in a context, the most wanted first; the last of them stays longest.
pub const fn footer(context: Context) -> &'static [Action] {
    match context {
        Context::List => &[
            Action::Add,
            Action::Remove,
            Action::OpenResult,
            Action::OpenOriginal,
            Action::CheckOne,
            Action::Pause,
            Action::Undo,
            Action::Detail,
            Action::CheckAll,
            Action::Quit,
            Action::Help,
        ],
        Context::Detail => &[
            Action::Back,
            Action::OpenResult,
            Action::OpenOriginal,
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
        Context::Pick => &[Action::Accept, Action::Back],
        Context::Link | Context::Help => &[Action::Back],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_context() {
        for context in Context::ALL {
            let mut seen = HashMap::new();
            for binding in bindings(context) {
                for chord in binding.chords {
                    let before = seen.insert(*chord, binding.action);
                    assert_eq!(before, None, "{chord} in {context:?}");
                }
            }
        }
    }

    #[test]
    fn every_footer_hint_has_a_key_and_a_word() {
        for context in Context::ALL {
            for action in footer(context) {
                let (_, word) = hint(*action, context).unwrap();
                assert!(!word.is_empty(), "{action:?} in {context:?}");
            }
        }
    }

    #[test]
    fn typing_contexts_leave_every_letter_free() {
        for letter in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
            assert_eq!(
                lookup(KeyChord::char(letter), Context::Add),
                None,
                "{letter}"
            );
        }
    }
}
