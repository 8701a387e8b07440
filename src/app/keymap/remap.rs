//! The user's key overrides, applied to the default table, and the errors in them.
//!
//! An override without a context replaces the keys of the action's first binding in all contexts of
//! that binding. In contexts where text is typed only its non-text keys apply; if it has none, the
//! default keys stay. An override with a context replaces all keys of the action there.

use std::borrow::Cow;

use super::{
    action::{Action, KeyContext},
    chord::{ChordError, KeyChord},
    table::{BINDINGS, Binding},
};
use crate::domain::suggest::closest_match;

/// A key override as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOverride {
    /// The only context to change; `None` for those of the action's first binding.
    pub context: Option<KeyContext>,
    pub action: String,
    /// The names of the keys; empty to unbind the action.
    pub keys: Vec<String>,
}

/// An error in the key overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeymapError {
    /// Index of the override; `None` if the error is about all of them together.
    pub change: Option<usize>,
    /// Index of the key in the override; `None` if the error is about the whole override.
    pub key: Option<usize>,
    pub kind: KeymapErrorKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeymapErrorKind {
    UnknownAction(String),
    /// The action has no binding in the context.
    InvalidContext {
        action: Action,
        context: KeyContext,
    },
    InvalidKey {
        text: String,
        error: ChordError,
    },
    /// The key is bound to two actions in one context.
    DuplicateKey {
        chord: KeyChord,
        context: KeyContext,
        /// The overridden one first.
        actions: [Action; 2],
    },
    /// The key types a character in a context where text is typed.
    TextKey {
        chord: KeyChord,
        context: KeyContext,
    },
    /// No key closes the context.
    NoExit(KeyContext),
}

/// Applies the overrides to the default table; returns all errors at once.
pub(super) fn apply_overrides(overrides: &[KeyOverride]) -> Result<Vec<Binding>, Vec<KeymapError>> {
    let bindings = BINDINGS.iter().cloned().map(|binding| (binding, None));
    let mut remap = Remapper {
        bindings: bindings.collect(),
        errors: Vec::new(),
        unparsed: Vec::new(),
    };
    let mut in_order: Vec<_> = overrides.iter().enumerate().collect();
    // Overrides for one context come last, so that they win there.
    in_order.sort_by_key(|(_, key_override)| key_override.context.is_some());
    for (index, key_override) in in_order {
        remap.apply(index, key_override);
    }
    for context in KeyContext::ALL {
        remap.check_context(*context);
    }
    if !remap.errors.is_empty() {
        return Err(remap.errors);
    }
    let bindings = remap.bindings.into_iter().map(|(binding, _)| binding);
    Ok(bindings.collect())
}

struct Remapper {
    /// The bindings, each with the index of the override that set it.
    bindings: Vec<(Binding, Option<usize>)>,
    errors: Vec<KeymapError>,
    /// Actions whose keys could not be parsed; errors that follow from that are not reported.
    unparsed: Vec<Action>,
}

impl Remapper {
    fn apply(&mut self, index: usize, key_override: &KeyOverride) {
        let Some(action) = Action::parse(&key_override.action) else {
            let closest = closest_match(&key_override.action, Action::all().map(Action::name));
            self.unparsed.extend(closest.and_then(Action::parse));
            let kind = KeymapErrorKind::UnknownAction(key_override.action.clone());
            return self.add_error(Some(index), None, kind);
        };
        let Some(chords) = self.parse_chords(index, key_override) else {
            return self.unparsed.push(action);
        };
        match key_override.context {
            Some(context) => self.rebind_in_context(index, action, context, chords),
            None => self.rebind_first(index, action, chords),
        }
    }

    /// Parses the keys of an override; adds an error for each invalid one, and then returns `None`.
    fn parse_chords(&mut self, index: usize, key_override: &KeyOverride) -> Option<Vec<KeyChord>> {
        let mut chords = Vec::new();
        let error_count = self.errors.len();
        for (key, text) in key_override.keys.iter().enumerate() {
            match KeyChord::parse(text) {
                Ok(chord) if chords.contains(&chord) => {}
                Ok(chord) => chords.push(chord),
                Err(error) => {
                    let text = text.clone();
                    let kind = KeymapErrorKind::InvalidKey { text, error };
                    self.add_error(Some(index), Some(key), kind);
                }
            }
        }
        (self.errors.len() == error_count).then_some(chords)
    }

    /// Replaces the keys of an action's first binding; splits it if the keys cannot apply in all
    /// its contexts.
    fn rebind_first(&mut self, index: usize, action: Action, chords: Vec<KeyChord>) {
        let mut bindings = self.bindings.iter_mut().enumerate();
        let Some((first, (binding, overridden_by))) =
            bindings.find(|(_, (binding, _))| binding.action == action)
        else {
            return;
        };
        *overridden_by = Some(index);
        let (text_contexts, other_contexts): (Vec<_>, Vec<_>) = binding
            .contexts
            .iter()
            .partition(|context| context.accepts_text());
        let can_apply =
            |chord: &KeyChord| chord.typed_char().is_none() || binding.chords.contains(chord);
        let non_text: Vec<_> = chords.iter().copied().filter(can_apply).collect();
        // In a binding for text contexts alone, `check_context` reports text keys.
        if other_contexts.is_empty() || text_contexts.is_empty() || non_text == chords {
            binding.chords = chords.into();
            return;
        }
        let mut in_text = binding.clone();
        in_text.contexts = text_contexts.into();
        if !non_text.is_empty() {
            in_text.chords = non_text.into();
        }
        binding.chords = chords.into();
        binding.contexts = other_contexts.into();
        self.bindings.insert(first + 1, (in_text, Some(index)));
    }

    /// Replaces all keys of an action in one context.
    fn rebind_in_context(
        &mut self,
        index: usize,
        action: Action,
        context: KeyContext,
        chords: Vec<KeyChord>,
    ) {
        let mut found = None;
        for (at, (binding, _)) in self.bindings.iter_mut().enumerate() {
            if binding.action == action && binding.contexts.contains(&context) {
                found.get_or_insert_with(|| (at, binding.clone()));
                binding.contexts.to_mut().retain(|other| *other != context);
            }
        }
        let Some((first, mut binding)) = found else {
            let kind = KeymapErrorKind::InvalidContext { action, context };
            return self.add_error(Some(index), None, kind);
        };
        binding.chords = chords.into();
        binding.contexts = Cow::Owned(vec![context]);
        self.bindings.insert(first + 1, (binding, Some(index)));
        self.bindings
            .retain(|(binding, _)| !binding.contexts.is_empty());
    }

    /// Adds the errors of a context: a key bound twice, a key that types text, no key that closes
    /// it.
    fn check_context(&mut self, context: KeyContext) {
        let mut seen: Vec<(KeyChord, Action, Option<usize>)> = Vec::new();
        let mut errors = Vec::new();
        let mut has_exit = false;
        let bindings = self.bindings.iter();
        for (binding, overridden_by) in
            bindings.filter(|(binding, _)| binding.contexts.contains(&context))
        {
            let action = binding.action;
            let is_unparsed = self.unparsed.contains(&action);
            // In the list, Back only clears the marks and the filter.
            let is_exit =
                action == Action::Quit || (action == Action::Back && context != KeyContext::List);
            has_exit |= is_exit && (is_unparsed || !binding.chords.is_empty());
            if is_unparsed {
                continue;
            }
            for chord in binding.chords.iter().copied() {
                let first_use = seen.iter().find(|(other, _, _)| *other == chord);
                if let Some((_, other, other_index)) = first_use
                    && *other != action
                {
                    let actions = match overridden_by {
                        Some(_) => [action, *other],
                        None => [*other, action],
                    };
                    let kind = KeymapErrorKind::DuplicateKey {
                        chord,
                        context,
                        actions,
                    };
                    errors.push((overridden_by.or(*other_index), kind));
                }
                if overridden_by.is_some() && context.accepts_text() && types_text(chord, action) {
                    errors.push((*overridden_by, KeymapErrorKind::TextKey { chord, context }));
                }
                seen.push((chord, action, *overridden_by));
            }
        }
        if !has_exit {
            errors.push((None, KeymapErrorKind::NoExit(context)));
        }
        for (change, kind) in errors {
            self.add_error(change, None, kind);
        }
    }

    /// Adds an error; two actions on the same key in several contexts count as one error.
    fn add_error(&mut self, change: Option<usize>, key: Option<usize>, kind: KeymapErrorKind) {
        let is_known = |chord: &KeyChord, actions: &[Action; 2]| {
            self.errors.iter().any(|error| {
                matches!(
                    &error.kind,
                    KeymapErrorKind::DuplicateKey { chord: known, actions: both, .. }
                        if known == chord && both == actions
                )
            })
        };
        if !matches!(
            &kind,
            KeymapErrorKind::DuplicateKey { chord, actions, .. } if is_known(chord, actions)
        ) {
            self.errors.push(KeymapError { change, key, kind });
        }
    }
}

/// Reports whether a key types a character in a text field. Space may toggle: the add dialog types
/// it while a text field has the focus.
fn types_text(chord: KeyChord, action: Action) -> bool {
    let is_space_toggle = action == Action::Toggle && chord == KeyChord::char(' ');
    chord.typed_char().is_some() && !is_space_toggle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::keymap::{Key, Keymap};

    fn key_override(context: Option<KeyContext>, action: &str, keys: &[&str]) -> KeyOverride {
        KeyOverride {
            context,
            action: action.into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    fn error_messages(overrides: &[KeyOverride]) -> Vec<String> {
        let errors = Keymap::with_overrides(overrides).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_binding_replaces_the_default_keys() {
        let keymap =
            Keymap::with_overrides(&[key_override(None, "open_result", &["x", "f5"])]).unwrap();

        assert_eq!(keymap.lookup(KeyChord::char('o'), KeyContext::List), None);
        for chord in [KeyChord::char('x'), KeyChord::plain(Key::F(5))] {
            for context in [KeyContext::List, KeyContext::Detail] {
                assert_eq!(keymap.lookup(chord, context), Some(Action::OpenResult));
            }
        }
        assert_eq!(
            keymap.key_for(Action::OpenResult),
            Some(KeyChord::char('x'))
        );
        let hint = keymap.hint(Action::OpenResult, KeyContext::Detail);
        assert_eq!(hint, Some((KeyChord::char('x'), "open")));
    }

    #[test]
    fn two_actions_can_swap_keys() {
        let swap = [
            key_override(None, "next", &["k"]),
            key_override(None, "previous", &["j"]),
        ];
        let keymap = Keymap::with_overrides(&swap).unwrap();

        let action_of = |c| keymap.lookup(KeyChord::char(c), KeyContext::List);
        assert_eq!(
            (action_of('k'), action_of('j')),
            (Some(Action::Next), Some(Action::Previous))
        );
    }

    #[test]
    fn text_contexts_keep_their_default_keys() {
        let keymap = Keymap::with_overrides(&[key_override(None, "back", &["X"])]).unwrap();

        let back = |chord, context| keymap.lookup(chord, context) == Some(Action::Back);
        let (x, esc) = (KeyChord::char('X'), KeyChord::plain(Key::Esc));
        assert!(back(x, KeyContext::Detail) && !back(esc, KeyContext::Detail));
        assert!(back(esc, KeyContext::Add) && !back(x, KeyContext::Add));
        assert_eq!(keymap.hint(Action::Back, KeyContext::Detail).unwrap().0, x);
        assert_eq!(keymap.hint(Action::Back, KeyContext::Add).unwrap().0, esc);
    }

    #[test]
    fn one_context_can_have_its_own_key() {
        let overrides = [
            key_override(Some(KeyContext::Help), "back", &["x"]),
            key_override(None, "back", &["X"]),
        ];
        let keymap = Keymap::with_overrides(&overrides).unwrap();

        let action_of = |c, context| keymap.lookup(KeyChord::char(c), context);
        assert_eq!(action_of('x', KeyContext::Help), Some(Action::Back));
        assert_eq!(action_of('q', KeyContext::Help), None);
        assert_eq!(action_of('X', KeyContext::Help), None);
        assert_eq!(action_of('X', KeyContext::Link), Some(Action::Back));
        assert_eq!(action_of('q', KeyContext::Link), Some(Action::Back));
    }

    #[test]
    fn keys_can_be_unbound() {
        let keymap = Keymap::with_overrides(&[key_override(None, "remove", &[])]).unwrap();

        assert_eq!(keymap.lookup(KeyChord::char('d'), KeyContext::List), None);
        assert_eq!(keymap.key_for(Action::Remove), None);
        assert!(
            keymap
                .actions()
                .any(|binding| binding.action == Action::Remove)
        );
    }

    #[test]
    fn every_binding_error_has_a_next_step() {
        let overrides = [
            key_override(None, "open_reslut", &["x"]),
            key_override(None, "undo", &["gg", "ctrl-i"]),
            key_override(None, "next", &["u"]),
            key_override(None, "help", &["a"]),
            key_override(Some(KeyContext::Link), "add", &["a"]),
        ];
        assert_eq!(
            error_messages(&overrides),
            [
                "unknown action \"open_reslut\"; did you mean \"open_result\"?",
                "\"gg\" is not a key; write keys like o, G, ctrl-d, alt-x, space, enter, shift-tab, pgup, f1",
                "\"ctrl-i\" is the same key as tab in a terminal",
                "add is not available in \"link\"",
                "key \"a\" is bound to help and add in \"list\"",
            ]
        );
    }

    #[test]
    fn a_conflict_is_reported_once_with_both_actions() {
        let overrides = [key_override(None, "undo", &["d"])];
        let errors = Keymap::with_overrides(&overrides).unwrap_err();

        assert_eq!((errors.len(), errors[0].change), (1, Some(0)));
        assert_eq!(
            errors[0].to_string(),
            "key \"d\" is bound to undo and remove in \"list\""
        );
    }

    #[test]
    fn letters_are_refused_in_text_contexts() {
        let in_add = [key_override(Some(KeyContext::Add), "next", &["n"])];
        assert_eq!(
            error_messages(&in_add),
            ["key \"n\" types a character in \"add\"; use one with ctrl or alt, or a named key"]
        );
        let only_there = [key_override(None, "toggle", &["x"])];
        assert_eq!(error_messages(&only_there).len(), 1);
        assert!(Keymap::with_overrides(&[key_override(None, "toggle", &["space", "f2"])]).is_ok());
    }

    #[test]
    fn unbinding_the_last_exit_key_is_refused() {
        let overrides = [key_override(Some(KeyContext::List), "quit", &[])];
        assert_eq!(
            error_messages(&overrides),
            ["no key closes \"list\"; bind quit or back there"]
        );
    }
}
