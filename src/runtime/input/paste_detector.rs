//! Detects pastes, bracketed or not, so that pasted text never acts as keys.
//!
//! Some terminals do not bracket pastes, and text that contains the end marker ends its paste
//! early. So keys that arrive within [`BURST_WINDOW`] are judged together: text that comes faster
//! than anyone types is a paste. A single key is released without a delay.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::event::InputEvent;
use crate::app::keymap::{Key, KeyChord};

/// More keys than this within [`BURST_WINDOW`] are a paste.
const MAX_TYPED_KEYS: usize = 8;

const BURST_WINDOW: Duration = Duration::from_millis(20);

/// More repetitions of one key than this within [`BURST_WINDOW`] are a paste; fewer are a key held
/// down over a connection that stalls.
const MAX_REPEATED_KEYS: usize = 32;

/// Silence that ends a paste: text that follows more closely belongs to it.
const PASTE_END_DELAY: Duration = Duration::from_millis(100);

/// Holds events until they are known to be keys or a paste.
#[derive(Debug, Default)]
pub(super) struct PasteDetector {
    held: Vec<InputEvent>,
    /// Text keys released within the last [`BURST_WINDOW`].
    recent: VecDeque<(Instant, KeyChord)>,
    /// The unfinished paste.
    paste: Option<String>,
    /// When the held events or the paste are released.
    deadline: Option<Instant>,
    ready: VecDeque<InputEvent>,
}

impl PasteDetector {
    pub(super) fn push(&mut self, input: InputEvent, now: Instant) {
        match input {
            InputEvent::Paste(text) => {
                self.release_held(now);
                self.paste.get_or_insert_default().push_str(&text);
            }
            InputEvent::Reply(_) => self.ready.push_back(input),
            InputEvent::Mouse(..) | InputEvent::Focus(_) => self.held.push(input),
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

    /// Must be called when nothing more can be read for now.
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

    /// Returns when [`Self::flush`] is due.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Releases the held events or the paste if the deadline has passed.
    pub(super) fn flush(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.deadline = None;
        self.release_held(now);
        self.ready.extend(self.paste.take().map(InputEvent::Paste));
    }

    pub(super) fn pop(&mut self) -> Option<InputEvent> {
        self.ready.pop_front()
    }

    /// Turns the held keys into a paste if they came faster than anyone types.
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
        let max = if keys.all(|key| Some(key) == first) {
            MAX_REPEATED_KEYS
        } else {
            MAX_TYPED_KEYS
        };
        drop(keys);
        if count > max {
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

/// Returns the key if pasted text can contain it. Arrows are not text: the wheel may send many at
/// once.
fn text_key(input: &InputEvent) -> Option<KeyChord> {
    let InputEvent::Key { chord, .. } = input else {
        return None;
    };
    matches!(chord.key, Key::Char(_) | Key::Enter | Key::Tab).then_some(*chord)
}

/// Returns the pasted character that was decoded as this key.
fn text_char(chord: KeyChord) -> Option<char> {
    match (chord.key, chord.ctrl) {
        (Key::Enter, _) | (Key::Char('j'), true) => Some('\n'),
        (Key::Tab, _) => Some('\t'),
        _ => chord.typed_char(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<InputEvent> {
        text.chars()
            .map(|c| match c {
                '\n' => InputEvent::press(KeyChord::plain(Key::Enter)),
                '↓' => InputEvent::press(KeyChord::plain(Key::Down)),
                c => InputEvent::press(KeyChord::char(c)),
            })
            .collect()
    }

    /// Feeds each chunk at its millisecond; returns the events and the time of the last.
    fn released(chunks: &[(u64, Vec<InputEvent>)]) -> (Vec<InputEvent>, Duration) {
        let start = Instant::now();
        let mut detector = PasteDetector::default();
        let mut events = Vec::new();
        let mut last = start;
        let mut drain = |detector: &mut PasteDetector, at| {
            while let Some(input) = detector.pop() {
                events.push(input);
                last = at;
            }
        };
        for (millis, chunk) in chunks {
            let now = start + Duration::from_millis(*millis);
            while let Some(deadline) = detector.deadline().filter(|deadline| *deadline <= now) {
                detector.flush(deadline);
                drain(&mut detector, deadline);
            }
            for input in chunk.clone() {
                detector.push(input, now);
            }
            detector.end_of_chunk(now);
            drain(&mut detector, now);
        }
        while let Some(deadline) = detector.deadline() {
            detector.flush(deadline);
            drain(&mut detector, deadline);
        }
        (events, last.duration_since(start))
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
        let chunks = [
            (0, keys("quit d\ndd\n↓")),
            (60, keys("q")),
            (150, keys("\n")),
        ];
        let expected = vec![InputEvent::Paste("quit d\ndd\nq\n".into())];
        assert_eq!(released(&chunks).0, expected);
        let after = [(0, keys("123456789")), (200, keys("q"))];
        let expected = vec![InputEvent::Paste("123456789".into()), keys("q").remove(0)];
        assert_eq!(released(&after).0, expected);
    }

    #[test]
    fn slow_bursts_are_a_paste_from_the_ninth_key() {
        let chunks: Vec<_> = "abcdefghqqq"
            .chars()
            .zip(0..)
            .map(|(c, millis)| (millis, keys(&c.to_string())))
            .collect();
        let mut expected = keys("abcdefgh");
        expected.push(InputEvent::Paste("qqq".into()));
        assert_eq!(released(&chunks).0, expected);
    }

    #[test]
    fn text_just_after_a_bracketed_paste_belongs_to_it() {
        let mut chunk = vec![InputEvent::Paste("text".into())];
        chunk.extend(keys("q\n"));
        assert_eq!(
            released(&[(0, chunk)]).0,
            vec![InputEvent::Paste("textq\n".into())]
        );
    }

    #[test]
    fn a_long_run_of_one_character_is_a_paste() {
        let row = "d".repeat(200);
        assert_eq!(released(&[(0, keys(&row))]).0, vec![InputEvent::Paste(row)]);
    }
}
