//! The user's own keys over the default table, and everything that can be wrong with them.
//!
//! A change without a place replaces the keys of the action's first line in the table, wherever that counts; in
//! places where one types only its keys that type nothing count there, and without any the default stays. A change
//! for one place replaces all keys of the action there.

use std::{borrow::Cow, fmt};

use super::{
    action::{Action, Context},
    chord::{ChordError, KeyChord},
    table::{BINDINGS, Binding},
};
use crate::domain::nearest::{did_you_mean, nearest};

/// Is one entry of the user's keys, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The one place it is for; `None` for wherever the action's first line counts.
    pub place: Option<Context>,
    /// The action's name.
    pub action: String,
    /// The keys; none takes the action's keys away.
    pub keys: Vec<String>,
}

/// Is something wrong with the user's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeymapFault {
    /// Which change it is about, from zero; `None` when it is about all of them together.
    pub change: Option<usize>,
    /// Which of that change's keys, from zero; `None` when it is about the change as a whole.
    pub key: Option<usize>,
    /// What is wrong.
    pub kind: KeymapFaultKind,
}

/// Tells what can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeymapFaultKind {
    /// There is no action of that name.
    UnknownAction(String),
    /// The action means nothing in that place.
    NotThere {
        /// Which action.
        action: Action,
        /// In which place.
        place: Context,
    },
    /// The text is no key.
    NoKey {
        /// What was written.
        written: String,
        /// Why.
        error: ChordError,
    },
    /// The key would mean two things in one place.
    Twice {
        /// Which key.
        chord: KeyChord,
        /// Where.
        place: Context,
        /// The two actions; the changed one first.
        actions: [Action; 2],
    },
    /// The key types a character where characters are typed.
    Typed {
        /// Which key.
        chord: KeyChord,
        /// Where.
        place: Context,
    },
    /// No key leads out of that place.
    NoWayOut(Context),
}

impl fmt::Display for KeymapFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            KeymapFaultKind::UnknownAction(name) => {
                let hint = did_you_mean(name, Action::all().map(Action::name));
                write!(f, "there is no action \"{name}\"{hint}")
            }
            KeymapFaultKind::NotThere { action, place } => {
                let (action, place) = (action.name(), place.name());
                write!(f, "{action} means nothing in \"{place}\"")
            }
            KeymapFaultKind::NoKey { written, error } => write!(f, "\"{written}\" {error}"),
            KeymapFaultKind::Twice {
                chord,
                place,
                actions: [one, other],
            } => write!(
                f,
                "{} means {} and {} in \"{}\"; give one of them another key",
                chord.written(),
                one.name(),
                other.name(),
                place.name()
            ),
            KeymapFaultKind::Typed { chord, place } => write!(
                f,
                "{} is typed as a character in \"{}\"; take a key with ctrl or alt, or a named one",
                chord.written(),
                place.name()
            ),
            KeymapFaultKind::NoWayOut(place) => write!(
                f,
                "no key leads out of \"{}\"; give quit or back one there",
                place.name()
            ),
        }
    }
}

/// Returns the default table with the user's changes; else every fault they have.
pub(super) fn remapped(changes: &[KeyChange]) -> Result<Vec<Binding>, Vec<KeymapFault>> {
    let mut remap = Remap::default();
    // What is said of all places comes first, so that what is said of one counts there.
    let in_order = |is_for_one: bool| {
        changes
            .iter()
            .enumerate()
            .filter(move |(_, change)| change.place.is_some() == is_for_one)
    };
    for (at, change) in in_order(false).chain(in_order(true)) {
        remap.take_in(at, change);
    }
    remap.finish()
}

/// Is a line of the table with the change it comes from.
struct Line {
    binding: Binding,
    change: Option<usize>,
}

struct Remap {
    lines: Vec<Line>,
    faults: Vec<KeymapFault>,
    /// The actions whose keys could not be read: what follows from that is no fault of its own.
    unread: Vec<Action>,
}

impl Default for Remap {
    fn default() -> Self {
        let line = |binding: &Binding| Line {
            binding: binding.clone(),
            change: None,
        };
        Self {
            lines: BINDINGS.iter().map(line).collect(),
            faults: Vec::new(),
            unread: Vec::new(),
        }
    }
}

impl Remap {
    fn take_in(&mut self, at: usize, change: &KeyChange) {
        let Some(action) = Action::parse(&change.action) else {
            let meant = nearest(&change.action, Action::all().map(Action::name));
            self.unread.extend(meant.and_then(Action::parse));
            let kind = KeymapFaultKind::UnknownAction(change.action.clone());
            return self.fault(Some(at), None, kind);
        };
        let Some(chords) = self.chords(at, change) else {
            return self.unread.push(action);
        };
        match change.place {
            Some(place) => self.change_place(at, action, place, chords),
            None => self.change_line(at, action, chords),
        }
    }

    /// Reads the keys; nothing when one of them is none, which is noted.
    fn chords(&mut self, at: usize, change: &KeyChange) -> Option<Vec<KeyChord>> {
        let mut chords = Vec::new();
        let before = self.faults.len();
        for (key, written) in change.keys.iter().enumerate() {
            match KeyChord::parse(written) {
                Ok(chord) if chords.contains(&chord) => {}
                Ok(chord) => chords.push(chord),
                Err(error) => {
                    let written = written.clone();
                    let kind = KeymapFaultKind::NoKey { written, error };
                    self.fault(Some(at), Some(key), kind);
                }
            }
        }
        (self.faults.len() == before).then_some(chords)
    }

    /// Replaces the keys of an action's first line; the line is split where they cannot count everywhere.
    fn change_line(&mut self, at: usize, action: Action, chords: Vec<KeyChord>) {
        let Some(first) = self.first_line(action) else {
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
            .partition(|context| context.is_typing());
        let untyped: Vec<_> = chords
            .iter()
            .copied()
            .filter(|chord| chord.typed().is_none() || old.contains(chord))
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
        self.lines.insert(first + 1, Line { binding, change });
    }

    /// Replaces all keys of an action in one place.
    fn change_place(&mut self, at: usize, action: Action, place: Context, chords: Vec<KeyChord>) {
        let is_there =
            |line: &Line| line.binding.action == action && line.binding.contexts.contains(&place);
        let Some(first) = self.lines.iter().position(is_there) else {
            let kind = KeymapFaultKind::NotThere { action, place };
            return self.fault(Some(at), None, kind);
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
        self.lines.insert(first + 1, Line { binding, change });
        self.lines.retain(|line| !line.binding.contexts.is_empty());
    }

    fn first_line(&self, action: Action) -> Option<usize> {
        self.lines
            .iter()
            .position(|line| line.binding.action == action)
    }

    fn finish(mut self) -> Result<Vec<Binding>, Vec<KeymapFault>> {
        for place in Context::ALL {
            self.check_place(place);
        }
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        Ok(self.lines.into_iter().map(|line| line.binding).collect())
    }

    /// Notes what is wrong in a place: a key of two actions, a key that is typed, no way out.
    fn check_place(&mut self, place: Context) {
        let mut seen: Vec<(KeyChord, Action, Option<usize>)> = Vec::new();
        let mut faults = Vec::new();
        let mut has_way_out = false;
        let lines = self
            .lines
            .iter()
            .filter(|line| line.binding.contexts.contains(&place));
        for Line { binding, change } in lines {
            let is_unread = self.unread.contains(&binding.action);
            // From the list, the way back leads to marks and filter only.
            let is_out = binding.action == Action::Quit
                || (binding.action == Action::Back && place != Context::List);
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
                    let kind = KeymapFaultKind::Twice {
                        chord,
                        place,
                        actions,
                    };
                    faults.push((change.or(*others_change), kind));
                }
                if change.is_some() && place.is_typing() && types(chord, binding.action) {
                    faults.push((*change, KeymapFaultKind::Typed { chord, place }));
                }
                seen.push((chord, binding.action, *change));
            }
        }
        if !has_way_out {
            faults.push((None, KeymapFaultKind::NoWayOut(place)));
        }
        for (change, kind) in faults {
            self.fault(change, None, kind);
        }
    }

    /// Notes a fault; the same two actions on the same key in several places are one.
    fn fault(&mut self, change: Option<usize>, key: Option<usize>, kind: KeymapFaultKind) {
        let is_known = self.faults.iter().any(|fault| {
            matches!(
                (&fault.kind, &kind),
                (
                    KeymapFaultKind::Twice { chord: one, actions: ours, .. },
                    KeymapFaultKind::Twice { chord: other, actions: theirs, .. },
                ) if one == other && ours == theirs
            )
        });
        if !is_known {
            self.faults.push(KeymapFault { change, key, kind });
        }
    }
}

/// Reports whether a key would be typed where characters are. What toggles is typed in a line by itself, so a
/// space may do it.
fn types(chord: KeyChord, action: Action) -> bool {
    let is_space_toggle = action == Action::Toggle && chord == KeyChord::char(' ');
    chord.typed().is_some() && !is_space_toggle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::keymap::{Key, Keymap};

    fn change(place: Option<Context>, action: &str, keys: &[&str]) -> KeyChange {
        KeyChange {
            place,
            action: action.into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    fn said(changes: &[KeyChange]) -> Vec<String> {
        let faults = Keymap::with(changes).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn another_key_takes_the_place_of_the_default_ones() {
        let keymap = Keymap::with(&[change(None, "open_result", &["x", "f5"])]).unwrap();

        assert_eq!(keymap.lookup(KeyChord::char('o'), Context::List), None);
        for chord in [KeyChord::char('x'), KeyChord::plain(Key::F(5))] {
            for context in [Context::List, Context::Detail] {
                assert_eq!(keymap.lookup(chord, context), Some(Action::OpenResult));
            }
        }
        assert_eq!(keymap.key_of(Action::OpenResult), Some(KeyChord::char('x')));
        let hint = keymap.hint(Action::OpenResult, Context::Detail);
        assert_eq!(hint, Some((KeyChord::char('x'), "open")));
    }

    #[test]
    fn two_actions_can_change_keys() {
        let swap = [
            change(None, "next", &["k"]),
            change(None, "previous", &["j"]),
        ];
        let keymap = Keymap::with(&swap).unwrap();

        let of = |c| keymap.lookup(KeyChord::char(c), Context::List);
        assert_eq!(
            (of('k'), of('j')),
            (Some(Action::Next), Some(Action::Previous))
        );
    }

    #[test]
    fn where_one_types_a_letter_leaves_the_default_in_force() {
        let keymap = Keymap::with(&[change(None, "back", &["X"])]).unwrap();

        let back = |chord, context| keymap.lookup(chord, context) == Some(Action::Back);
        let (b, esc) = (KeyChord::char('X'), KeyChord::plain(Key::Esc));
        assert!(back(b, Context::Detail) && !back(esc, Context::Detail));
        assert!(back(esc, Context::Add) && !back(b, Context::Add));
        assert_eq!(keymap.hint(Action::Back, Context::Detail).unwrap().0, b);
        assert_eq!(keymap.hint(Action::Back, Context::Add).unwrap().0, esc);
    }

    #[test]
    fn one_place_can_have_a_key_of_its_own() {
        let changes = [
            change(Some(Context::Help), "back", &["x"]),
            change(None, "back", &["X"]),
        ];
        let keymap = Keymap::with(&changes).unwrap();

        let of = |c, context| keymap.lookup(KeyChord::char(c), context);
        assert_eq!(of('x', Context::Help), Some(Action::Back));
        assert_eq!(of('q', Context::Help), None);
        assert_eq!(of('X', Context::Help), None);
        assert_eq!(of('X', Context::Link), Some(Action::Back));
        assert_eq!(of('q', Context::Link), Some(Action::Back));
    }

    #[test]
    fn keys_can_be_taken_away() {
        let keymap = Keymap::with(&[change(None, "remove", &[])]).unwrap();

        assert_eq!(keymap.lookup(KeyChord::char('d'), Context::List), None);
        assert_eq!(keymap.key_of(Action::Remove), None);
        assert!(keymap.actions().any(|line| line.action == Action::Remove));
    }

    #[test]
    fn every_fault_is_named_with_the_way_out_of_it() {
        let changes = [
            change(None, "open_reslut", &["x"]),
            change(None, "undo", &["gg", "ctrl-i"]),
            change(None, "next", &["u"]),
            change(None, "help", &["a"]),
            change(Some(Context::Link), "add", &["a"]),
        ];
        assert_eq!(
            said(&changes),
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
    fn a_key_of_two_actions_is_said_once_with_both_names() {
        let changes = [change(None, "undo", &["d"])];
        let faults = Keymap::with(&changes).unwrap_err();

        assert_eq!((faults.len(), faults[0].change), (1, Some(0)));
        assert_eq!(
            faults[0].to_string(),
            "d means undo and remove in \"list\"; give one of them another key"
        );
    }

    #[test]
    fn a_letter_is_refused_where_it_would_be_typed() {
        let in_add = [change(Some(Context::Add), "next", &["n"])];
        assert_eq!(
            said(&in_add),
            ["n is typed as a character in \"add\"; take a key with ctrl or alt, or a named one"]
        );
        let only_there = [change(None, "toggle", &["x"])];
        assert_eq!(said(&only_there).len(), 1);
        assert!(Keymap::with(&[change(None, "toggle", &["space", "f2"])]).is_ok());
    }

    #[test]
    fn there_is_always_a_way_out() {
        let changes = [change(Some(Context::List), "quit", &[])];
        assert_eq!(
            said(&changes),
            ["no key leads out of \"list\"; give quit or back one there"]
        );
    }
}
