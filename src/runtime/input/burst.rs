//! Text that arrives faster than hands type is a paste, marked or not: it is kept from being read as commands.
//!
//! Not every terminal marks pastes, and text that holds the end mark ends its own paste early. So what comes within
//! one breath is looked at together. A key typed alone is handed on at once, without a delay.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::Input;
use crate::app::keymap::{Key, KeyChord};

/// More typed keys than this within [`BREATH`] are a paste.
const MOST_TYPED: usize = 8;

/// The time in which keys count as having come together.
const BREATH: Duration = Duration::from_millis(20);

/// The same key this often within a breath is one held down, over a line that stalls; more often it is a paste.
const MOST_REPEATED: usize = 32;

/// How long nothing must come before a paste is over: what follows it closely belongs to it.
const QUIET: Duration = Duration::from_millis(100);

/// Holds what came together until it is known to be keys or a paste.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// In the order they came.
    held: Vec<Input>,
    /// The keys handed on during the last breath.
    recent: VecDeque<(Instant, KeyChord)>,
    /// The paste under way.
    paste: Option<String>,
    /// When what is held or pasted is decided on.
    due: Option<Instant>,
    ready: VecDeque<Input>,
}

impl Burst {
    /// Takes a key or a mouse report in.
    pub(super) fn take(&mut self, input: Input, now: Instant) {
        match input {
            Input::Paste(text) => {
                self.hand_on(now);
                self.paste.get_or_insert_default().push_str(&text);
            }
            Input::Answer(_) => self.ready.push_back(input),
            Input::Mouse(_) | Input::Focus(_) => self.held.push(input),
            Input::Key { chord, .. } => {
                if let Some(paste) = &mut self.paste {
                    paste.extend(text_of(chord));
                    return;
                }
                self.held.push(input);
                self.look(now);
            }
        }
    }

    /// Says that nothing more can be read for now.
    pub(super) fn breathe(&mut self, now: Instant) {
        if self.paste.is_some() {
            self.hand_on(now);
            self.due = now.checked_add(QUIET);
        } else if self.held_text().count() < 2 {
            self.hand_on(now);
            self.due = None;
        } else if self.due.is_none() {
            self.due = now.checked_add(BREATH);
        }
    }

    /// Returns when [`Burst::settle`] is due.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Decides on what was held, if its time has come.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        self.hand_on(now);
        self.ready.extend(self.paste.take().map(Input::Paste));
    }

    /// Returns the next event that is decided on.
    pub(super) fn pop(&mut self) -> Option<Input> {
        self.ready.pop_front()
    }

    /// Turns what is held into a paste when no hand could have typed it.
    fn look(&mut self, now: Instant) {
        while let Some((at, _)) = self.recent.front()
            && now.duration_since(*at) >= BREATH
        {
            self.recent.pop_front();
        }
        let mut keys = self
            .recent
            .iter()
            .map(|(_, chord)| *chord)
            .chain(self.held_text());
        let count = keys.clone().count();
        let first = keys.next();
        let most = if keys.all(|key| Some(key) == first) {
            MOST_REPEATED
        } else {
            MOST_TYPED
        };
        drop(keys);
        if count > most {
            let text: String = self.held_text().filter_map(text_of).collect();
            self.held
                .retain(|input| !matches!(input, Input::Key { .. }));
            self.paste = Some(text);
        }
    }

    fn held_text(&self) -> impl Iterator<Item = KeyChord> + Clone {
        self.held.iter().filter_map(typed)
    }

    fn hand_on(&mut self, now: Instant) {
        let typed = self.held.iter().filter_map(typed);
        self.recent.extend(typed.map(|chord| (now, chord)));
        self.ready.extend(self.held.drain(..));
    }
}

/// Returns the key, if it is one that text is made of.
fn typed(input: &Input) -> Option<KeyChord> {
    match input {
        Input::Key { chord, .. } if is_text(*chord) => Some(*chord),
        Input::Key { .. }
        | Input::Paste(_)
        | Input::Mouse(_)
        | Input::Answer(_)
        | Input::Focus(_) => None,
    }
}

/// Tells whether pasted text can look like this key. Arrows, among others, it cannot: the wheel sends many at once.
const fn is_text(chord: KeyChord) -> bool {
    matches!(chord.key, Key::Char(_) | Key::Enter | Key::Tab)
}

/// Returns the character a key was before it was read as one.
fn text_of(chord: KeyChord) -> Option<char> {
    match chord {
        KeyChord {
            key: Key::Enter, ..
        }
        | KeyChord {
            key: Key::Char('j'),
            ctrl: true,
            ..
        } => Some('\n'),
        KeyChord { key: Key::Tab, .. } => Some('\t'),
        chord => chord.typed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(chord: KeyChord) -> Input {
        Input::Key {
            chord,
            is_repeat: false,
        }
    }

    fn keys(text: &str) -> Vec<Input> {
        text.chars()
            .map(|c| match c {
                '\n' => key(KeyChord::plain(Key::Enter)),
                '↓' => key(KeyChord::plain(Key::Down)),
                c => key(KeyChord::char(c)),
            })
            .collect()
    }

    /// Feeds lots at their milliseconds and returns what came out of it all, with the time of the last.
    fn handed_on(lots: &[(u64, Vec<Input>)]) -> (Vec<Input>, Duration) {
        let start = Instant::now();
        let mut burst = Burst::default();
        let mut out = Vec::new();
        let mut last = start;
        let mut drain = |burst: &mut Burst, at| {
            while let Some(input) = burst.pop() {
                out.push(input);
                last = at;
            }
        };
        for (millis, lot) in lots {
            let now = start + Duration::from_millis(*millis);
            while let Some(due) = burst.due().filter(|due| *due <= now) {
                burst.settle(due);
                drain(&mut burst, due);
            }
            for input in lot.clone() {
                burst.take(input, now);
            }
            burst.breathe(now);
            drain(&mut burst, now);
        }
        while let Some(due) = burst.due() {
            burst.settle(due);
            drain(&mut burst, due);
        }
        (out, last.duration_since(start))
    }

    #[test]
    fn a_key_alone_is_not_held_back() {
        assert_eq!(handed_on(&[(0, keys("q"))]), (keys("q"), Duration::ZERO));
        let arrows = keys(&"↓".repeat(50));
        assert_eq!(handed_on(&[(0, arrows.clone())]), (arrows, Duration::ZERO));
    }

    #[test]
    fn a_few_keys_typed_ahead_stay_keys_in_their_order() {
        let typed = keys("jj↓dq");
        assert_eq!(handed_on(&[(0, typed.clone())]), (typed, BREATH));
    }

    #[test]
    fn a_key_held_down_stays_a_key() {
        let held = keys(&"j".repeat(20));
        assert_eq!(handed_on(&[(0, held.clone())]).0, held);
        let fast: Vec<_> = (0..100).map(|n| (n * 30, keys("d"))).collect();
        assert_eq!(handed_on(&fast).0, keys(&"d".repeat(100)));
    }

    #[test]
    fn text_that_comes_at_once_is_a_paste_with_its_tail() {
        let lots = [
            (0, keys("quit d\ndd\n↓")),
            (60, keys("q")),
            (150, keys("\n")),
        ];
        let expected = vec![Input::Paste("quit d\ndd\nq\n".into())];
        assert_eq!(handed_on(&lots).0, expected);
        let after = [(0, keys("123456789")), (200, keys("q"))];
        let expected = vec![Input::Paste("123456789".into()), keys("q").remove(0)];
        assert_eq!(handed_on(&after).0, expected);
    }

    #[test]
    fn text_that_dribbles_in_is_a_paste_from_the_ninth_key_on() {
        let lots: Vec<_> = "abcdefghqqq"
            .chars()
            .zip(0..)
            .map(|(c, millis)| (millis, keys(&c.to_string())))
            .collect();
        let mut expected = keys("abcdefgh");
        expected.push(Input::Paste("qqq".into()));
        assert_eq!(handed_on(&lots).0, expected);
    }

    #[test]
    fn what_follows_a_marked_paste_closely_belongs_to_it() {
        let mut lot = vec![Input::Paste("text".into())];
        lot.extend(keys("q\n"));
        assert_eq!(
            handed_on(&[(0, lot)]).0,
            vec![Input::Paste("textq\n".into())]
        );
    }

    #[test]
    fn a_row_of_one_character_is_a_paste_when_it_is_long() {
        let row = "d".repeat(200);
        assert_eq!(handed_on(&[(0, keys(&row))]).0, vec![Input::Paste(row)]);
    }
}
