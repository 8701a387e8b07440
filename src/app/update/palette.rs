//! The command palette: every action by name, best matches first. A chosen action runs as if its
//! key had been pressed.

use std::cmp::Reverse;

use crate::{
    app::{
        keymap::{Action, Binding, KeyContext, KeyGroup, Keymap},
        state::{LineEditor, MainScreen, Menu, MenuChoice, MenuItem, Overlay, State},
    },
    domain::fuzzy::{SearchPattern, Searcher},
};

/// Maximum length of the input, in bytes.
const MAX_INPUT_LEN: usize = 256;

/// The order of equal matches: task actions first, the most familiar keys last.
const GROUPS: [KeyGroup; 7] = [
    KeyGroup::Tasks,
    KeyGroup::Copying,
    KeyGroup::Search,
    KeyGroup::Polling,
    KeyGroup::Program,
    KeyGroup::Navigation,
    KeyGroup::Dialogs,
];

/// Opens the palette with every action.
pub(super) fn open_menu(state: &mut State) {
    let mut menu = Menu {
        title: "Command".to_owned(),
        filter: Some(LineEditor::new("", MAX_INPUT_LEN)),
        is_numbered: false,
        min_width: 76,
        key_width: 6,
        text_width: 16,
        ..Menu::numbered(KeyContext::Palette, Vec::new())
    };
    update_matches(&mut menu, state.nav.screen, &state.settings.keymap);
    state.overlay = Some(Overlay::Menu(Box::new(menu)));
}

/// Finds the actions that match the typed words by name, then by description; those that are
/// unavailable on the screen come last. Ties are broken by group, then by the table's order.
pub(super) fn update_matches(menu: &mut Menu, screen: MainScreen, keymap: &Keymap) {
    let typed = menu.filter.as_ref().map_or("", LineEditor::text);
    let typed = typed.replace('_', " ");
    let words: Vec<_> = typed.split_whitespace().map(SearchWord::new).collect();
    let mut searcher = Searcher::default();
    let mut matches: Vec<_> = keymap
        .actions()
        .filter(|binding| is_listed(binding.action))
        .filter_map(|binding| {
            let item = menu_item(binding, screen, keymap);
            let mut scores = words
                .iter()
                .map(|word| word.score(&item.text, binding.help, &mut searcher));
            let score = scores.try_fold(0, |sum, score| Some(sum + score?))?;
            let group = GROUPS.iter().position(|group| *group == binding.group);
            Some(((!item.is_available, Reverse(score), group), item))
        })
        .collect();
    matches.sort_by_key(|(rank, _)| *rank);
    menu.items = matches.into_iter().map(|(_, item)| item).collect();
    menu.cursor = 0;
}

/// Reports whether an action works outside of dialogs.
const fn is_listed(action: Action) -> bool {
    !matches!(
        action,
        Action::Palette
            | Action::Accept
            | Action::Toggle
            | Action::NextField
            | Action::PreviousField
    )
}

fn menu_item(binding: &Binding, screen: MainScreen, keymap: &Keymap) -> MenuItem {
    let action = binding.action;
    let is_copy = matches!(action, Action::Copy(_));
    let is_bound_here = |binding: &Binding| {
        binding.action == action && binding.contexts.contains(&screen.context())
    };
    let menu_key = keymap.key_for(Action::CopyMenu).filter(|_| is_copy);
    MenuItem {
        keys: menu_key.into_iter().chain(keymap.key_for(action)).collect(),
        note: binding.help,
        is_available: is_copy || keymap.bindings().iter().any(is_bound_here),
        ..MenuItem::new(MenuChoice::Run(action), action.name().replace('_', " "))
    }
}

/// A word of the input.
struct SearchWord {
    text: String,
    literal: SearchPattern,
    fuzzy: SearchPattern,
}

impl SearchWord {
    fn new(word: &str) -> Self {
        Self {
            text: word.to_lowercase(),
            literal: SearchPattern::literal(word),
            fuzzy: SearchPattern::fuzzy(word),
        }
    }

    /// Returns how well an action matches; `None` if it does not. From best to worst: the name
    /// starts with the word, a word of the name does, the name contains it, a word of the
    /// description starts with it, the name has its letters in order, the description contains it.
    fn score(&self, name: &str, help: &str, searcher: &mut Searcher) -> Option<u32> {
        let starts = |text: &str| text.to_lowercase().starts_with(&self.text);
        let has_word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(starts);
        if starts(name) {
            // Of two such names the shorter one scores higher.
            let rest = name.len().saturating_sub(self.text.len()).min(20);
            return Some(80 - u32::try_from(rest).unwrap_or_default());
        }
        if has_word(name) {
            return Some(50);
        }
        if searcher.finds(&self.literal, name) {
            return Some(40);
        }
        if has_word(help) {
            return Some(30);
        }
        if searcher.finds(&self.fuzzy, name) {
            return Some(20);
        }
        searcher.finds(&self.literal, help).then_some(10)
    }
}
