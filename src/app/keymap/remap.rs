//! The user's own keys over the default table, and everything that can be wrong with them.
//!
//! A change without a place replaces the keys of the action's first line in the table, wherever
//! that counts; in places where one types only its keys that type nothing count there, and without
//! any the default stays. A change for one place replaces all keys of the action there.

use std::{borrow::Cow, fmt};

use super::{
    action::{Action, KeyContext},
    chord::{ChordError, KeyChord},
    table::{BINDINGS, Binding},
};
use crate::domain::suggest::{closest_match, did_you_mean};

/// One entry of the user's keys, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOverride {
    /// The one place it is for; `None` for wherever the action's first line counts.
    pub context: Option<KeyContext>,
    /// The action's name.
    pub action: String,
    /// The keys; none takes the action's keys away.
    pub keys: Vec<String>,
}

/// Something wrong with the user's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeymapError {
    /// Which change it is about, from zero; `None` when it is about all of them together.
    pub change: Option<usize>,
    /// Which of that change's keys, from zero; `None` when it is about the change as a whole.
    pub key: Option<usize>,
    /// What is wrong.
    pub kind: KeymapErrorKind,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeymapErrorKind {
    /// There is no action of that name.
    UnknownAction(String),
    /// The action means nothing in that place.
    InvalidContext {
        /// Which action.
        action: Action,
        /// In which place.
        context: KeyContext,
    },
    /// The text is no key.
    InvalidKey {
        /// What was written.
        text: String,
        /// Why.
        error: ChordError,
    },
    /// The key would mean two things in one place.
    DuplicateKey {
        /// Which key.
        chord: KeyChord,
        /// Where.
        context: KeyContext,
        /// The two actions; the changed one first.
        actions: [Action; 2],
    },
    /// The key types a character where characters are typed.
    TextKey {
        /// Which key.
        chord: KeyChord,
        /// Where.
        context: KeyContext,
    },
    /// No key leads out of that place.
    NoExit(KeyContext),
}

impl fmt::Display for KeymapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            KeymapErrorKind::UnknownAction(name) => {
                let hint = did_you_mean(name, Action::all().map(Action::name));
                write!(f, "there is no action \"{name}\"{hint}")
            }
            KeymapErrorKind::InvalidContext {
                action,
                context: place,
            } => {
                let (action, place) = (action.name(), place.name());
                write!(f, "{action} means nothing in \"{place}\"")
            }
            KeymapErrorKind::InvalidKey {
                text: written,
                error,
            } => write!(f, "\"{written}\" {error}"),
            KeymapErrorKind::DuplicateKey {
                chord,
                context: place,
                actions: [one, other],
            } => write!(
                f,
                "{} means {} and {} in \"{}\"; give one of them another key",
                chord.config_name(),
                one.name(),
                other.name(),
                place.name()
            ),
            KeymapErrorKind::TextKey {
                chord,
                context: place,
            } => write!(
                f,
                "{} is typed as a character in \"{}\"; take a key with ctrl or alt, or a named one",
                chord.config_name(),
                place.name()
            ),
            KeymapErrorKind::NoExit(place) => write!(
                f,
                "no key leads out of \"{}\"; give quit or back one there",
                place.name()
            ),
        }
    }
}

/// Returns the default table with the user's changes; else every fault they have.
pub(super) fn apply_overrides(changes: &[KeyOverride]) -> Result<Vec<Binding>, Vec<KeymapError>> {
    let mut remap = Remapper::default();
    // What is said of all places comes first, so that what is said of one counts there.
    let in_order = |is_for_one: bool| {
        changes
            .iter()
            .enumerate()
            .filter(move |(_, change)| change.context.is_some() == is_for_one)
    };
    for (at, change) in in_order(false).chain(in_order(true)) {
        remap.apply(at, change);
    }
    remap.finish()
}

/// A line of the table with the change it comes from.
struct OverriddenBinding {
    binding: Binding,
    change: Option<usize>,
}

struct Remapper {
    lines: Vec<OverriddenBinding>,
    errors: Vec<KeymapError>,
    /// The actions whose keys could not be read: what follows from that is no fault of its own.
    unread: Vec<Action>,
}

impl Default for Remapper {
    fn default() -> Self {
        let line = |binding: &Binding| OverriddenBinding {
            binding: binding.clone(),
            change: None,
        };
        Self {
            lines: BINDINGS.iter().map(line).collect(),
            errors: Vec::new(),
            unread: Vec::new(),
        }
    }
}

impl Remapper {
    fn apply(&mut self, at: usize, change: &KeyOverride) {
        let Some(action) = Action::parse(&change.action) else {
            let meant = closest_match(&change.action, Action::all().map(Action::name));
            self.unread.extend(meant.and_then(Action::parse));
            let kind = KeymapErrorKind::UnknownAction(change.action.clone());
            return self.add_error(Some(at), None, kind);
        };
        let Some(chords) = self.parse_chords(at, change) else {
            return self.unread.push(action);
        };
        match change.context {
            Some(place) => self.rebind_in_context(at, action, place, chords),
            None => self.rebind_first(at, action, chords),
        }
    }

    /// Reads the keys; nothing when one of them is none, which is noted.
    fn parse_chords(&mut self, at: usize, change: &KeyOverride) -> Option<Vec<KeyChord>> {
        let mut chords = Vec::new();
        let before = self.errors.len();
        for (key, written) in change.keys.iter().enumerate() {
            match KeyChord::parse(written) {
                Ok(chord) if chords.contains(&chord) => {}
                Ok(chord) => chords.push(chord),
                Err(error) => {
                    let written = written.clone();
                    let kind = KeymapErrorKind::InvalidKey {
                        text: written,
                        error,
                    };
                    self.add_error(Some(at), Some(key), kind);
                }
            }
        }
        (self.errors.len() == before).then_some(chords)
    }

    /// Replaces the keys of an action's first line; the line is split where they cannot count
    /// everywhere.
    fn rebind_first(&mut self, at: usize, action: Action, chords: Vec<KeyChord>) {
        let Some(first) = self.first_binding(action) else {
            return;
        };
        let Some(line) = self.lines.get_mut(first) else {
            return;
        };
        line.change = Some(at);
        let old = line.binding.chords.clone();
        let (typing, rest): (Vec<_>, Vec<_>) = line
            .binding
            .contexts
            .iter()
            .partition(|context| context.accepts_text());
        let untyped: Vec<_> = chords
            .iter()
            .copied()
            .filter(|chord| chord.typed_char().is_none() || old.contains(chord))
            .collect();
        if rest.is_empty() || typing.is_empty() || untyped == chords {
            // Where it counts only where one types, a typed key is a fault, found at the end.
            line.binding.chords = chords.into();
            return;
        }
        line.binding.chords = chords.into();
        line.binding.contexts = rest.into();
        let binding = Binding {
            chords: if untyped.is_empty() {
                old
            } else {
                untyped.into()
            },
            contexts: typing.into(),
            ..line.binding.clone()
        };
        let change = Some(at);
        self.lines
            .insert(first + 1, OverriddenBinding { binding, change });
    }

    /// Replaces all keys of an action in one place.
    fn rebind_in_context(
        &mut self,
        at: usize,
        action: Action,
        place: KeyContext,
        chords: Vec<KeyChord>,
    ) {
        let is_there = |line: &OverriddenBinding| {
            line.binding.action == action && line.binding.contexts.contains(&place)
        };
        let Some(first) = self.lines.iter().position(is_there) else {
            let kind = KeymapErrorKind::InvalidContext {
                action,
                context: place,
            };
            return self.add_error(Some(at), None, kind);
        };
        for line in self.lines.iter_mut().filter(|line| is_there(line)) {
            line.binding
                .contexts
                .to_mut()
                .retain(|context| *context != place);
        }
        let Some(line) = self.lines.get(first) else {
            return;
        };
        let binding = Binding {
            chords: chords.into(),
            contexts: Cow::Owned(vec![place]),
            ..line.binding.clone()
        };
        let change = Some(at);
        self.lines
            .insert(first + 1, OverriddenBinding { binding, change });
        self.lines.retain(|line| !line.binding.contexts.is_empty());
    }

    fn first_binding(&self, action: Action) -> Option<usize> {
        self.lines
            .iter()
            .position(|line| line.binding.action == action)
    }

    fn finish(mut self) -> Result<Vec<Binding>, Vec<KeymapError>> {
        for place in KeyContext::ALL {
            self.check_context(place);
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        Ok(self.lines.into_iter().map(|line| line.binding).collect())
    }

    /// Notes what is wrong in a place: a key of two actions, a key that is typed, no way out.
    fn check_context(&mut self, place: KeyContext) {
        let mut seen: Vec<(KeyChord, Action, Option<usize>)> = Vec::new();
        let mut faults = Vec::new();
        let mut has_way_out = false;
        let lines = self
            .lines
            .iter()
            .filter(|line| line.binding.contexts.contains(&place));
        for OverriddenBinding { binding, change } in lines {
            let is_unread = self.unread.contains(&binding.action);
            // From the list, the way back leads to marks and filter only.
            let is_out = binding.action == Action::Quit
                || (binding.action == Action::Back && place != KeyContext::List);
            has_way_out |= is_out && (is_unread || !binding.chords.is_empty());
            if is_unread {
                continue;
            }
            for chord in binding.chords.iter().copied() {
                let before = seen.iter().find(|(other, _, _)| *other == chord);
                if let Some((_, other, others_change)) = before
                    && *other != binding.action
                {
                    let actions = match change {
                        Some(_) => [binding.action, *other],
                        None => [*other, binding.action],
                    };
                    let kind = KeymapErrorKind::DuplicateKey {
                        chord,
                        context: place,
                        actions,
                    };
                    faults.push((change.or(*others_change), kind));
                }
                if change.is_some() && place.accepts_text() && types_text(chord, binding.action) {
                    faults.push((
                        *change,
                        KeymapErrorKind::TextKey {
                            chord,
                            context: place,
                        },
                    ));
                }
                seen.push((chord, binding.action, *change));
            }
        }
        if !has_way_out {
            faults.push((None, KeymapErrorKind::NoExit(place)));
        }
        for (change, kind) in faults {
            self.add_error(change, None, kind);
        }
    }

    /// Notes a fault; the same two actions on the same key in several places are one.
    fn add_error(&mut self, change: Option<usize>, key: Option<usize>, kind: KeymapErrorKind) {
        let is_known = self.errors.iter().any(|fault| {
            matches!(
                (&fault.kind, &kind),
                (
                    KeymapErrorKind::DuplicateKey { chord: one, actions: ours, .. },
                    KeymapErrorKind::DuplicateKey { chord: other, actions: theirs, .. },
                ) if one == other && ours == theirs
            )
        });
        if !is_known {
            self.errors.push(KeymapError { change, key, kind });
        }
    }
}

/// Reports whether a key would be typed where characters are. What toggles is typed in a line by
/// itself, so a space may do it.
fn types_text(chord: KeyChord, action: Action) -> bool {
    let is_space_toggle = action == Action::Toggle && chord == KeyChord::char(' ');
    chord.typed_char().is_some() && !is_space_toggle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::keymap::{Key, Keymap};

    fn change(place: Option<KeyContext>, action: &str, keys: &[&str]) -> KeyOverride {
        KeyOverride {
            context: place,
            action: action.into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    fn error_messages(changes: &[KeyOverride]) -> Vec<String> {
        let faults = Keymap::with_overrides(changes).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_binding_replaces_the_default_keys() {
        let keymap = Keymap::with_overrides(&[change(None, "open_result", &["x", "f5"])]).unwrap();

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
            change(None, "next", &["k"]),
            change(None, "previous", &["j"]),
        ];
        let keymap = Keymap::with_overrides(&swap).unwrap();

        let of = |c| keymap.lookup(KeyChord::char(c), KeyContext::List);
        assert_eq!(
            (of('k'), of('j')),
            (Some(Action::Next), Some(Action::Previous))
        );
    }

    #[test]
    fn text_contexts_keep_their_default_keys() {
        let keymap = Keymap::with_overrides(&[change(None, "back", &["X"])]).unwrap();

        let back = |chord, context| keymap.lookup(chord, context) == Some(Action::Back);
        let (b, esc) = (KeyChord::char('X'), KeyChord::plain(Key::Esc));
        assert!(back(b, KeyContext::Detail) && !back(esc, KeyContext::Detail));
        assert!(back(esc, KeyContext::Add) && !back(b, KeyContext::Add));
        assert_eq!(keymap.hint(Action::Back, KeyContext::Detail).unwrap().0, b);
        assert_eq!(keymap.hint(Action::Back, KeyContext::Add).unwrap().0, esc);
    }

    #[test]
    fn one_context_can_have_its_own_key() {
        let changes = [
            change(Some(KeyContext::Help), "back", &["x"]),
            change(None, "back", &["X"]),
        ];
        let keymap = Keymap::with_overrides(&changes).unwrap();

        let of = |c, context| keymap.lookup(KeyChord::char(c), context);
        assert_eq!(of('x', KeyContext::Help), Some(Action::Back));
        assert_eq!(of('q', KeyContext::Help), None);
        assert_eq!(of('X', KeyContext::Help), None);
        assert_eq!(of('X', KeyContext::Link), Some(Action::Back));
        assert_eq!(of('q', KeyContext::Link), Some(Action::Back));
    }

    #[test]
    fn keys_can_be_unbound() {
        let keymap = Keymap::with_overrides(&[change(None, "remove", &[])]).unwrap();

        assert_eq!(keymap.lookup(KeyChord::char('d'), KeyContext::List), None);
        assert_eq!(keymap.key_for(Action::Remove), None);
        assert!(keymap.actions().any(|line| line.action == Action::Remove));
    }

    #[test]
    fn every_binding_error_has_a_next_step() {
        let changes = [
            change(None, "open_reslut", &["x"]),
            change(None, "undo", &["gg", "ctrl-i"]),
            change(None, "next", &["u"]),
            change(None, "help", &["a"]),
            change(Some(KeyContext::Link), "add", &["a"]),
        ];
        assert_eq!(
            error_messages(&changes),
            [
                "there is no action \"open_reslut\"; did you mean \"open_result\"?",
                "\"gg\" is no key; keys are written like o, G, ctrl-d, alt-x, space, enter, shift-tab, pgup, f1",
                "\"ctrl-i\" is the same key as tab in a terminal",
                "add means nothing in \"link\"",
                "a means help and add in \"list\"; give one of them another key",
            ]
        );
    }

    #[test]
    fn a_conflict_is_reported_once_with_both_actions() {
        let changes = [change(None, "undo", &["d"])];
        let faults = Keymap::with_overrides(&changes).unwrap_err();

        assert_eq!((faults.len(), faults[0].change), (1, Some(0)));
        assert_eq!(
            faults[0].to_string(),
            "d means undo and remove in \"list\"; give one of them another key"
        );
    }

    #[test]
    fn letters_are_refused_in_text_contexts() {
        let in_add = [change(Some(KeyContext::Add), "next", &["n"])];
        assert_eq!(
            error_messages(&in_add),
            ["n is typed as a character in \"add\"; take a key with ctrl or alt, or a named one"]
        );
        let only_there = [change(None, "toggle", &["x"])];
        assert_eq!(error_messages(&only_there).len(), 1);
        assert!(Keymap::with_overrides(&[change(None, "toggle", &["space", "f2"])]).is_ok());
    }

    #[test]
    fn unbinding_the_last_exit_key_is_refused() {
        let changes = [change(Some(KeyContext::List), "quit", &[])];
        assert_eq!(
            error_messages(&changes),
            ["no key leads out of \"list\"; give quit or back one there"]
        );
    }
}
