//! Finding what a person types in what a task is called: letters in their order, case and accents
//! folded.
//!
//! The only room of the matcher's crate. Knows no tasks and no query language.

use std::fmt;

use nucleo_matcher::{
    Config, Matcher, Utf32Str, chars,
    pattern::{Atom, AtomKind, CaseMatching, Normalization},
};
use unicode_segmentation::UnicodeSegmentation as _;

/// The longest word whose letters may stand apart, in characters; longer ones are looked for as
/// they are.
const MAX_FUZZY_LEN: usize = 64;

/// The longest text looked for, in characters; of a longer one the beginning counts. The matcher's
/// score has room for twice as many.
const MAX_TEXT_LEN: usize = 1024;

/// What a letter is worth beside its neighbour, and what less where it begins a chunk.
///
/// A word must be worth what it would be with all its letters together, in the middle of another
/// word. Letters that begin words are worth more, and each gap costs: so the beginnings of words
/// near each other are found, and letters strewn over a long text, which would hold any word, are
/// not.
const SCORE_PER_LETTER: usize = 20;
const CHUNK_START_DISCOUNT: usize = 4;

/// What is looked for.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchPattern {
    text: Box<str>,
    literal: Atom,
    /// Whether accents are folded: those that are written are meant.
    folds_accents: bool,
    /// What a match with the letters apart must be worth; zero where they must stand together.
    min_score: u16,
}

impl SearchPattern {
    /// Returns a word whose letters may stand apart.
    pub fn fuzzy(word: &str) -> Self {
        let letters = word.graphemes(true).count();
        if letters > MAX_FUZZY_LEN {
            return Self::literal(word);
        }
        let least = (letters * SCORE_PER_LETTER).saturating_sub(CHUNK_START_DISCOUNT);
        Self {
            min_score: u16::try_from(least).unwrap_or(u16::MAX),
            ..Self::literal(word)
        }
    }

    /// Returns a text that must be there as it is, but for case and accents.
    pub fn literal(text: &str) -> Self {
        let end = text.char_indices().nth(MAX_TEXT_LEN).map(|(at, _)| at);
        let beginning = end.and_then(|end| text.get(..end)).unwrap_or(text);
        Self {
            text: text.into(),
            literal: Atom::new(
                beginning,
                CaseMatching::Ignore,
                Normalization::Smart,
                AtomKind::Substring,
                false,
            ),
            folds_accents: text
                .chars()
                .map(chars::to_lower_case)
                .all(|c| chars::normalize(c) == c),
            min_score: 0,
        }
    }

    /// Has the matcher fold what is folded for this needle.
    fn configure(&self, matcher: &mut Matcher) {
        matcher.config.ignore_case = true;
        matcher.config.normalize = self.folds_accents;
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for SearchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needle({:?})", self.text)
    }
}

/// Looks for needles; holds the matcher's memory, so one is used for many texts.
#[derive(Default)]
pub struct Searcher {
    matcher: Option<Box<Matcher>>,
    letters: Vec<char>,
    match_positions: Vec<u32>,
}

impl fmt::Debug for Searcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Searcher").finish_non_exhaustive()
    }
}

impl Searcher {
    /// Reports whether a text holds what is looked for.
    pub fn finds(&mut self, needle: &SearchPattern, text: &str) -> bool {
        self.score(needle, text).is_some()
    }

    /// Returns how well a text holds what is looked for, if it does; more is better.
    pub fn score(&mut self, needle: &SearchPattern, text: &str) -> Option<u16> {
        let matcher = self
            .matcher
            .get_or_insert_with(|| Box::new(Matcher::new(Config::DEFAULT)));
        let haystack = haystack(text, &mut self.letters);
        if needle.min_score == 0 {
            return needle.literal.score(haystack, matcher);
        }
        // The first match from the left, drawn together, and not the best of all: that costs the
        // text's length once and not as often as the word has letters; thousands of prompts are
        // searched for each letter typed. Only where it is worth too little may the word still
        // stand there whole.
        needle.configure(matcher);
        let score = matcher.fuzzy_match_greedy(haystack, needle.literal.needle_text())?;
        if score >= needle.min_score {
            return Some(score);
        }
        needle.literal.score(haystack, matcher)
    }

    /// Returns where a text holds what is looked for: the numbers of its graphemes, in order; empty
    /// where it does not.
    pub fn match_positions(&mut self, needle: &SearchPattern, text: &str) -> &[u32] {
        self.match_positions.clear();
        let matcher = self
            .matcher
            .get_or_insert_with(|| Box::new(Matcher::new(Config::DEFAULT)));
        let haystack = haystack(text, &mut self.letters);
        let places = &mut self.match_positions;
        if needle.literal.indices(haystack, matcher, places).is_none() && needle.min_score > 0 {
            places.clear();
            needle.configure(matcher);
            let letters = needle.literal.needle_text();
            let score = matcher.fuzzy_indices_greedy(haystack, letters, places);
            if score.is_none_or(|score| score < needle.min_score) {
                places.clear();
            }
        }
        self.match_positions.sort_unstable();
        &self.match_positions
    }
}

/// Returns a text as the matcher takes it: one letter for each grapheme.
fn haystack<'a>(text: &'a str, letters: &'a mut Vec<char>) -> Utf32Str<'a> {
    if text.is_ascii() {
        return Utf32Str::Ascii(text.as_bytes());
    }
    letters.clear();
    letters.extend(
        text.graphemes(true)
            .filter_map(|grapheme| grapheme.chars().next()),
    );
    Utf32Str::Unicode(letters)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finds(word: &str, text: &str) -> bool {
        Searcher::default().finds(&SearchPattern::fuzzy(word), text)
    }

    #[test]
    fn letters_must_match_in_order_and_nearby() {
        let prompt =
            "Turn the street into a neon city at night, wet asphalt, slow camera pan to the left.";

        for word in ["neon", "NEON", "ncity", "neoncity", "slowpan", "n", "wet"] {
            assert!(finds(word, prompt), "{word}");
        }
        for word in ["noen", "harbour", "titanic"] {
            assert!(!finds(word, prompt), "{word}");
        }
    }

    #[test]
    fn case_and_accents_are_folded() {
        assert!(finds("uberflieger", "Über den Dächern: Überflieger"));
        assert!(finds("dacher", "Über den Dächern"));
        assert!(finds("DÄCHER", "über den dächern"));
        assert!(!finds("dächer", "dacher"), "an accent written is meant");
        assert!(finds("雨", "夜の雨の街"));
    }

    #[test]
    fn positions_count_graphemes() {
        let mut searcher = Searcher::default();

        assert_eq!(
            searcher.match_positions(&SearchPattern::fuzzy("city"), "e\u{301} 👩🚀 city"),
            [5, 6, 7, 8]
        );
        assert_eq!(
            searcher.match_positions(&SearchPattern::literal("b c"), "a b c b c"),
            [2, 3, 4]
        );
        assert!(
            searcher
                .match_positions(&SearchPattern::fuzzy("xyz"), "a b c b c")
                .is_empty()
        );
    }

    proptest! {
        #[test]
        fn no_input_panics(word in "\\PC{0,80}", text in "\\PC{0,200}", long in 0_usize..2000) {
            let mut searcher = Searcher::default();
            let long = "a\u{e4}".repeat(long);
            for needle in [SearchPattern::fuzzy(&word), SearchPattern::literal(&word), SearchPattern::literal(&long)] {
                for text in [&text, &long, &word] {
                    let places = searcher.match_positions(&needle, text).to_vec();
                    let letters = u32::try_from(text.graphemes(true).count()).unwrap();
                    prop_assert!(places.iter().all(|at| *at < letters));
                    prop_assert!(places.is_sorted());
                    prop_assert!(places.is_empty() || searcher.finds(&needle, text));
                }
            }
        }

        #[test]
        fn exact_substrings_are_found(before in "[a-z ]{0,40}", word in "[a-z]{1,12}", behind in "[a-z ]{0,40}") {
            let text = before + &word + &behind;
            prop_assert!(finds(&word, &text));
            let literal = SearchPattern::literal(&word);
            prop_assert!(Searcher::default().finds(&literal, &text));
        }
    }
}
