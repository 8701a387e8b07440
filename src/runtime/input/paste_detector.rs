//! Text that arrives faster than hands type is a paste, marked or not: it is kept from being read
//! as commands.
//!
//! Not every terminal marks pastes, and text that holds the end mark ends its own paste early. So
//! what comes within one breath is looked at together. A key typed alone is handed on at once,
//! without a delay.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::InputEvent;
use crate::app::keymap::{Key, KeyChord};

/// More typed keys than this within [`BREATH`] are a paste.
const MAX_TYPED_KEYS: usize = 8;

/// The time in which keys count as having come together.
const BURST_WINDOW: Duration = Duration::from_millis(20);

/// The same key this often within a breath is one held down, over a line that stalls; more often it
/// is a paste.
const MAX_REPEATED_KEYS: usize = 32;

/// How long nothing must come before a paste is over: what follows it closely belongs to it.
const PASTE_END_DELAY: Duration = Duration::from_millis(100);

/// Holds what came together until it is known to be keys or a paste.
#[derive(Debug, Default)]
pub(super) struct PasteDetector {
    /// In the order they came.
    held: Vec<InputEvent>,
    /// The keys handed on during the last breath.
    recent: VecDeque<(Instant, KeyChord)>,
    /// The paste under way.
    paste: Option<String>,
    /// When what is held or pasted is decided on.
    deadline: Option<Instant>,
    ready: VecDeque<InputEvent>,
}

impl PasteDetector {
    /// Takes a key or a mouse report in.
    pub(super) fn push(&mut self, input: InputEvent, now: Instant) {
        match input {
            InputEvent::Paste(text) => {
                self.release_held(now);
                self.paste.get_or_insert_default().push_str(&text);
            }
            InputEvent::Reply(_) => self.ready.push_back(input),
            InputEvent::Mouse(_) | InputEvent::Focus(_) => self.held.push(input),
            InputEvent::Key { chord, .. } => {
                if let Some(paste) = &mut self.paste {
                    paste.extend(text_char(chord));
                    return;
                }
                self.held.push(input);
                self.detect_paste(now);
            }
        }
    }

    /// Says that nothing more can be read for now.
    pub(super) fn end_of_chunk(&mut self, now: Instant) {
        if self.paste.is_some() {
            self.release_held(now);
            self.deadline = now.checked_add(PASTE_END_DELAY);
        } else if self.held_text_keys().count() < 2 {
            self.release_held(now);
            self.deadline = None;
        } else if self.deadline.is_none() {
            self.deadline = now.checked_add(BURST_WINDOW);
        }
    }

    /// Returns when [`Burst::settle`] is due.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Decides on what was held, if its time has come.
    pub(super) fn flush(&mut self, now: Instant) {
        if self.deadline.is_none_or(|due| due > now) {
            return;
        }
        self.deadline = None;
        self.release_held(now);
        self.ready.extend(self.paste.take().map(InputEvent::Paste));
    }

    /// Returns the next event that is decided on.
    pub(super) fn pop(&mut self) -> Option<InputEvent> {
        self.ready.pop_front()
    }

    /// Turns what is held into a paste when no hand could have typed it.
    fn detect_paste(&mut self, now: Instant) {
        while let Some((at, _)) = self.recent.front()
            && now.duration_since(*at) >= BURST_WINDOW
        {
            self.recent.pop_front();
        }
        let mut keys = self
            .recent
            .iter()
            .map(|(_, chord)| *chord)
            .chain(self.held_text_keys());
        let count = keys.clone().count();
        let first = keys.next();
        let most = if keys.all(|key| Some(key) == first) {
            MAX_REPEATED_KEYS
        } else {
            MAX_TYPED_KEYS
        };
        drop(keys);
        if count > most {
            let text: String = self.held_text_keys().filter_map(text_char).collect();
            self.held
                .retain(|input| !matches!(input, InputEvent::Key { .. }));
            self.paste = Some(text);
        }
    }

    fn held_text_keys(&self) -> impl Iterator<Item = KeyChord> + Clone {
        self.held.iter().filter_map(text_key)
    }

    fn release_held(&mut self, now: Instant) {
        let typed = self.held.iter().filter_map(text_key);
        self.recent.extend(typed.map(|chord| (now, chord)));
        self.ready.extend(self.held.drain(..));
    }
}

/// Returns the key, if it is one that text is made of.
fn text_key(input: &InputEvent) -> Option<KeyChord> {
    match input {
        InputEvent::Key { chord, .. } if is_text(*chord) => Some(*chord),
        InputEvent::Key { .. }
        | InputEvent::Paste(_)
        | InputEvent::Mouse(_)
        | InputEvent::Reply(_)
        | InputEvent::Focus(_) => None,
    }
}

/// Whether pasted text can look like this key. Arrows, among others, it cannot: the wheel
/// sends many at once.
const fn is_text(chord: KeyChord) -> bool {
    matches!(chord.key, Key::Char(_) | Key::Enter | Key::Tab)
}

/// Returns the character a key was before it was read as one.
fn text_char(chord: KeyChord) -> Option<char> {
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
        chord => chord.typed_char(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(chord: KeyChord) -> InputEvent {
        InputEvent::Key {
            chord,
            is_repeat: false,
        }
    }

    fn keys(text: &str) -> Vec<InputEvent> {
        text.chars()
            .map(|c| match c {
                '\n' => key(KeyChord::plain(Key::Enter)),
                '↓' => key(KeyChord::plain(Key::Down)),
                c => key(KeyChord::char(c)),
            })
            .collect()
    }

    /// Feeds lots at their milliseconds and returns what came out of it all, with the time of the
    /// last.
    fn released(lots: &[(u64, Vec<InputEvent>)]) -> (Vec<InputEvent>, Duration) {
        let start = Instant::now();
        let mut burst = PasteDetector::default();
        let mut out = Vec::new();
        let mut last = start;
        let mut drain = |burst: &mut PasteDetector, at| {
            while let Some(input) = burst.pop() {
                out.push(input);
                last = at;
            }
        };
        for (millis, lot) in lots {
            let now = start + Duration::from_millis(*millis);
            while let Some(due) = burst.deadline().filter(|due| *due <= now) {
                burst.flush(due);
                drain(&mut burst, due);
            }
            for input in lot.clone() {
                burst.push(input, now);
            }
            burst.end_of_chunk(now);
            drain(&mut burst, now);
        }
        while let Some(due) = burst.deadline() {
            burst.flush(due);
            drain(&mut burst, due);
        }
        (out, last.duration_since(start))
    }

    #[test]
    fn a_single_key_is_not_delayed() {
        assert_eq!(released(&[(0, keys("q"))]), (keys("q"), Duration::ZERO));
        let arrows = keys(&"↓".repeat(50));
        assert_eq!(released(&[(0, arrows.clone())]), (arrows, Duration::ZERO));
    }

    #[test]
    fn keys_typed_ahead_stay_keys_in_order() {
        let typed = keys("jj↓dq");
        assert_eq!(released(&[(0, typed.clone())]), (typed, BURST_WINDOW));
    }

    #[test]
    fn a_held_key_is_not_a_paste() {
        let held = keys(&"j".repeat(20));
        assert_eq!(released(&[(0, held.clone())]).0, held);
        let fast: Vec<_> = (0..100).map(|n| (n * 30, keys("d"))).collect();
        assert_eq!(released(&fast).0, keys(&"d".repeat(100)));
    }

    #[test]
    fn a_burst_of_text_is_a_paste_with_its_tail() {
        let lots = [
            (0, keys("quit d\ndd\n↓")),
            (60, keys("q")),
            (150, keys("\n")),
        ];
        let expected = vec![InputEvent::Paste("quit d\ndd\nq\n".into())];
        assert_eq!(released(&lots).0, expected);
        let after = [(0, keys("123456789")), (200, keys("q"))];
        let expected = vec![InputEvent::Paste("123456789".into()), keys("q").remove(0)];
        assert_eq!(released(&after).0, expected);
    }

    #[test]
    fn slow_bursts_are_a_paste_from_the_ninth_key() {
        let lots: Vec<_> = "abcdefghqqq"
            .chars()
            .zip(0..)
            .map(|(c, millis)| (millis, keys(&c.to_string())))
            .collect();
        let mut expected = keys("abcdefgh");
        expected.push(InputEvent::Paste("qqq".into()));
        assert_eq!(released(&lots).0, expected);
    }

    #[test]
    fn text_just_after_a_bracketed_paste_belongs_to_it() {
        let mut lot = vec![InputEvent::Paste("text".into())];
        lot.extend(keys("q\n"));
        assert_eq!(
            released(&[(0, lot)]).0,
            vec![InputEvent::Paste("textq\n".into())]
        );
    }

    #[test]
    fn a_long_run_of_one_character_is_a_paste() {
        let row = "d".repeat(200);
        assert_eq!(released(&[(0, keys(&row))]).0, vec![InputEvent::Paste(row)]);
    }
}
