//! Fuzzy and literal text search: letters in order, case and accents folded.
//!
//! The only module that uses `nucleo_matcher`. Knows no tasks and no query language.

use std::fmt;

use nucleo_matcher::{
    Config, Matcher, Utf32Str, chars,
    pattern::{Atom, AtomKind, CaseMatching, Normalization},
};
use unicode_segmentation::UnicodeSegmentation as _;

/// The longest word matched fuzzily, in characters; longer ones are matched literally.
const MAX_FUZZY_LEN: usize = 64;

/// The longest search text, in characters; the rest of a longer one is ignored. The matcher's score
/// has room for twice as many.
const MAX_TEXT_LEN: usize = 1024;

/// The score of a letter beside its neighbour, and the deduction where it begins a chunk.
///
/// A match must score as much as the whole word found in the middle of another. Letters that begin
/// words score more, and gaps cost. So nearby initials match, and letters scattered over a long
/// text, which would match any word, do not.
const SCORE_PER_LETTER: usize = 20;
const CHUNK_START_DISCOUNT: usize = 4;

/// A search text, prepared for the matcher.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchPattern {
    text: Box<str>,
    literal: Atom,
    /// Off if the search text has accents itself: then they must match.
    folds_accents: bool,
    /// The lowest score of a fuzzy match; zero for a literal pattern.
    min_score: u16,
}

impl SearchPattern {
    /// Returns a pattern whose letters may have gaps between them.
    pub fn fuzzy(word: &str) -> Self {
        let length = word.graphemes(true).count();
        if length > MAX_FUZZY_LEN {
            return Self::literal(word);
        }
        let min_score = (length * SCORE_PER_LETTER).saturating_sub(CHUNK_START_DISCOUNT);
        Self {
            min_score: u16::try_from(min_score).unwrap_or(u16::MAX),
            ..Self::literal(word)
        }
    }

    /// Returns a pattern that must occur as written, except for case and accents.
    pub fn literal(text: &str) -> Self {
        let end = text.char_indices().nth(MAX_TEXT_LEN).map(|(at, _)| at);
        let searched = end.and_then(|end| text.get(..end)).unwrap_or(text);
        Self {
            text: text.into(),
            literal: Atom::new(
                searched,
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

    /// Sets the matcher's folding for this pattern.
    fn configure(&self, matcher: &mut Matcher) {
        matcher.config.ignore_case = true;
        matcher.config.normalize = self.folds_accents;
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for SearchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchPattern({:?})", self.text)
    }
}

/// A reusable matcher: it keeps its buffers between searches.
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
    pub fn finds(&mut self, pattern: &SearchPattern, text: &str) -> bool {
        self.score(pattern, text).is_some()
    }

    /// Returns the score of a match; more is better.
    pub fn score(&mut self, pattern: &SearchPattern, text: &str) -> Option<u16> {
        let matcher = self
            .matcher
            .get_or_insert_with(|| Box::new(Matcher::new(Config::DEFAULT)));
        let haystack = haystack(text, &mut self.letters);
        if pattern.min_score == 0 {
            return pattern.literal.score(haystack, matcher);
        }
        // Takes the first match from the left instead of the best one: it costs one pass over the
        // text, not one for each letter, and thousands of prompts are searched at each key. If it
        // scores too low, the word may still occur literally.
        pattern.configure(matcher);
        let score = matcher.fuzzy_match_greedy(haystack, pattern.literal.needle_text())?;
        if score >= pattern.min_score {
            return Some(score);
        }
        pattern.literal.score(haystack, matcher)
    }

    /// Returns the indices of the matching graphemes, in order; empty without a match.
    pub fn match_positions(&mut self, pattern: &SearchPattern, text: &str) -> &[u32] {
        self.match_positions.clear();
        let matcher = self
            .matcher
            .get_or_insert_with(|| Box::new(Matcher::new(Config::DEFAULT)));
        let haystack = haystack(text, &mut self.letters);
        let positions = &mut self.match_positions;
        if pattern
            .literal
            .indices(haystack, matcher, positions)
            .is_none()
            && pattern.min_score > 0
        {
            positions.clear();
            pattern.configure(matcher);
            let letters = pattern.literal.needle_text();
            let score = matcher.fuzzy_indices_greedy(haystack, letters, positions);
            if score.is_none_or(|score| score < pattern.min_score) {
                positions.clear();
            }
        }
        self.match_positions.sort_unstable();
        &self.match_positions
    }
}

/// Converts a text for the matcher: one letter for each grapheme.
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
            for pattern in [SearchPattern::fuzzy(&word), SearchPattern::literal(&word), SearchPattern::literal(&long)] {
                for text in [&text, &long, &word] {
                    let positions = searcher.match_positions(&pattern, text).to_vec();
                    let letters = u32::try_from(text.graphemes(true).count()).unwrap();
                    prop_assert!(positions.iter().all(|at| *at < letters));
                    prop_assert!(positions.is_sorted());
                    prop_assert!(positions.is_empty() || searcher.finds(&pattern, text));
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
