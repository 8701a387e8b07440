//! Finds task ids in any text a person may paste: lines, JSON, curl logs, links.

use std::{collections::HashSet, ops::Range};

use super::{task::TaskId, text::CleanText};

/// The longest text looked through, in bytes; what is beyond is said, not searched.
const LONGEST_TEXT: usize = 4 * 1024 * 1024;

/// The most ids taken from one text.
const MOST_IDS: usize = 10_000;

/// The most words named that are no ids.
const MOST_REJECTED: usize = 5;

/// From how many hexadecimal digits in a row on a word is taken for a damaged or a longer id.
const ODD_RUN: usize = 24;

/// Is what a text held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Harvest {
    /// The ids, each once, in the order of the text.
    pub ids: Vec<TaskId>,
    /// Those of the ids that look like one with something stuck to it: to be asked about, not taken in silence.
    pub odd: HashSet<TaskId>,
    /// Words of plain text that are no ids, at most a few of them: what the user may have meant.
    pub rejected: Vec<CleanText>,
    /// How many more such words there were.
    pub more_rejected: usize,
    /// How the text begins, where it holds no id.
    pub beginning: Option<CleanText>,
    /// Whether the text was too long to be read whole.
    pub is_cut: bool,
}

/// Finds the ids of a text.
///
/// Taken are values named `taskId` or `task_id` (in JSON, query strings, tables), words of 32 hexadecimal
/// digits or UUIDs that are no part of a link's path, and lines of one word that looks like an id. Where a line is
/// nothing but words, those that are no ids are named.
pub fn harvest(text: &str) -> Harvest {
    let whole = text;
    let text = text
        .get(..text.floor_char_boundary(LONGEST_TEXT))
        .unwrap_or_default();
    let mut found = Finder {
        seen: HashSet::new(),
        harvest: Harvest::default(),
    };
    found.harvest.is_cut = text.len() < whole.len();
    for line in text.lines() {
        if found.harvest.ids.len() == MOST_IDS && found.harvest.is_cut {
            break;
        }
        found.line(line);
    }
    if found.harvest.ids.is_empty() {
        let first = text.lines().map(str::trim).find(|line| !line.is_empty());
        found.harvest.beginning = first.map(|line| CleanText::line(line, 200));
    }
    found.harvest
}

struct Finder {
    seen: HashSet<TaskId>,
    harvest: Harvest,
}

impl Finder {
    fn line(&mut self, line: &str) {
        let before = self.seen.len();
        let mut is_repeat = false;
        for token in
            line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '(' | ','))
        {
            let path = path_of(token);
            for (at, word) in words(token) {
                is_repeat |= self.is_known(word);
                if looks_like_hex_id(word) && !path.contains(&at) {
                    self.take(word);
                }
            }
        }
        for value in named_values(line) {
            is_repeat |= self.is_known(value);
            self.take(value);
            // What is named a task's id is one, however it looks.
            self.harvest.odd.remove(value);
        }
        let has_found = self.seen.len() > before || is_repeat;
        let mut words = line.split_whitespace().map(bare);
        match (words.next(), words.next()) {
            (Some(word), None) if !has_found => self.lone_word(word),
            (Some(_), Some(_)) if line.split_whitespace().map(bare).all(is_plain) => {
                line.split_whitespace()
                    .map(bare)
                    .for_each(|word| self.plain_word(word));
            }
            (Some(_) | None, _) => {}
        }
    }

    /// Takes a line of one word in.
    fn lone_word(&mut self, word: &str) {
        if looks_odd(word) {
            self.take_odd(word);
        } else if looks_like_plain_id(word) {
            self.take(word);
        } else {
            self.reject(word);
        }
    }

    /// Takes a word among others in.
    fn plain_word(&mut self, word: &str) {
        if looks_odd(word) {
            self.take_odd(word);
        } else if !looks_like_hex_id(word) {
            self.reject(word);
        }
    }

    fn take_odd(&mut self, word: &str) {
        let is_new = !self.is_known(word);
        self.take(word);
        if let (true, Ok(id)) = (is_new, TaskId::parse(word)) {
            self.harvest.odd.insert(id);
        }
    }

    /// Names a word that is no id; signs and the numbers of a list are not meant as one.
    fn reject(&mut self, word: &str) {
        let is_number = word.len() < 4 && word.bytes().all(|b| b.is_ascii_digit());
        if is_number || !word.contains(char::is_alphanumeric) {
            return;
        }
        let word = CleanText::line(word, 80);
        if self.harvest.rejected.contains(&word) {
            return;
        }
        if self.harvest.rejected.len() < MOST_REJECTED {
            self.harvest.rejected.push(word);
        } else {
            self.harvest.more_rejected += 1;
        }
    }

    fn is_known(&self, word: &str) -> bool {
        self.seen.contains(word)
    }

    fn take(&mut self, word: &str) {
        if self.harvest.ids.len() == MOST_IDS {
            self.harvest.is_cut |= !self.is_known(word);
            return;
        }
        let Ok(id) = TaskId::parse(word) else { return };
        if self.seen.insert(id.clone()) {
            self.harvest.ids.push(id);
        }
    }
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Reports whether a word is 32 hexadecimal digits, with or without a UUID's dashes.
fn looks_like_hex_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes: Vec<_> = word
        .bytes()
        .enumerate()
        .filter(|(_, b)| *b == b'-')
        .map(|(at, _)| at)
        .collect();
    digits == 32
        && digits + dashes.len() == word.len()
        && (dashes.is_empty() || dashes == [8, 13, 18, 23])
}

/// Reports whether a word has so many hexadecimal digits in a row that an id was meant, and is no such id.
fn looks_odd(word: &str) -> bool {
    let runs = word.split(|c: char| !c.is_ascii_hexdigit());
    looks_like_plain_id(word)
        && !looks_like_hex_id(word)
        && runs.map(str::len).max().unwrap_or_default() >= ODD_RUN
}

/// Returns a word without what lists and sentences put around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c| matches!(c, '"' | '\'' | ',' | ';' | '.' | '(' | ')'))
}

/// Reports whether a word is made of what ids are made of, or of nothing.
fn is_plain(word: &str) -> bool {
    word.chars().all(is_word)
}

/// Reports whether a lone word may be an id of another shape: long enough, with a digit, only id letters.
fn looks_like_plain_id(word: &str) -> bool {
    (8..=super::task::LONGEST_ID).contains(&word.len())
        && word.chars().all(is_word)
        && word.contains(|c: char| c.is_ascii_digit())
        && !word.starts_with('-')
}

/// Returns where the path of a link lies, in which a word names a file and no task. Empty where there is no link.
fn path_of(token: &str) -> Range<usize> {
    let end = token.find(['?', '#']).unwrap_or(token.len());
    match token.get(..end).and_then(|lead| lead.find("://")) {
        Some(at) => at..end,
        None => 0..0,
    }
}

/// Returns the words of a text with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split(|c: char| !is_word(c)).map(move |word| {
        let start = at;
        at += word.len();
        let gap = text.get(at..).and_then(|rest| rest.chars().next());
        at += gap.map_or(0, char::len_utf8);
        (start, word)
    })
}

/// Returns the values named `taskId` or `task_id`, whatever stands between name and value.
fn named_values(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            let at = find_name(rest)?;
            rest = rest.get(at..)?;
            let value = rest.trim_start_matches(['"', '\'', '\\', ' ']);
            let Some(value) = value.strip_prefix([':', '=']) else {
                continue;
            };
            let value = value.trim_start_matches(['"', '\'', '\\', ' ']);
            let end = value
                .find(|c: char| {
                    c.is_whitespace()
                        || matches!(
                            c,
                            '"' | '\'' | '\\' | '&' | ',' | '}' | ']' | '#' | '<' | ')' | ';'
                        )
                })
                .unwrap_or(value.len());
            let (value, after) = value.split_at_checked(end)?;
            rest = after;
            if !value.is_empty() && value != "null" {
                return Some(value);
            }
        }
    })
}

/// Returns where the next name `taskId` or `task_id` ends.
fn find_name(text: &str) -> Option<usize> {
    let is_start = |(_, b): &(usize, u8)| b.eq_ignore_ascii_case(&b't');
    text.bytes()
        .enumerate()
        .filter(is_start)
        .find_map(|(at, _)| {
            ["taskid", "task_id"].into_iter().find_map(|name| {
                let end = at + name.len();
                text.get(at..end)?.eq_ignore_ascii_case(name).then_some(end)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "774d9a7dd608a0e49293903095e45a4c";
    const B: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";

    fn ids(text: &str) -> Vec<String> {
        harvest(text).ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ids_are_found_in_any_text() {
        let table: [(&str, &[&str]); 11] = [
            (A, &[A]),
            (&format!("{A} {B}\n{A}"), &[A, B]),
            (&format!("1. {A}, 2. {B};"), &[A, B]),
            (
                &format!(r#"{{"code":200,"data":{{"taskId":"{A}"}}}}"#),
                &[A],
            ),
            (&format!(r#"{{\"taskId\":\"{A}\"}}"#), &[A]),
            (
                &format!(
                    "curl 'https://api.kie.ai/api/v1/modify/record-info?taskId={A}' -H 'Authorization: x'"
                ),
                &[A],
            ),
            (&format!("task_id = {B}"), &[B]),
            (
                "https://tempfile.aiquickdraw.com/l/f782018c-6be4-4990-96ba-7231cd5a39e7.mp4",
                &[],
            ),
            (
                "f782018c-6be4-4990-96ba-7231cd5a39e7",
                &["f782018c-6be4-4990-96ba-7231cd5a39e7"],
            ),
            (r#"{"taskId": "veo_task_abcdef"}"#, &["veo_task_abcdef"]),
            ("luma_task_9f3a77\r\n", &["luma_task_9f3a77"]),
        ];
        for (text, expected) in table {
            assert_eq!(ids(text), expected, "{text}");
        }
    }

    #[test]
    fn the_whole_answer_of_the_seed_holds_one_id() {
        let text = format!(
            r#"{{"code":200,"msg":"success","data":{{"taskId":"{A}","response":{{"taskId":"{A}","resultUrls":["https://t.example/l/f782018c-6be4-4990-96ba-7231cd5a39e7.mp4"]}}}}}}"#
        );
        assert_eq!(ids(&text), [A]);
    }

    #[test]
    fn prose_holds_no_ids_and_lone_words_are_named() {
        let prose = harvest("\nrm -rf / would be a bad idea\nhello there");
        assert_eq!(
            (prose.ids.len(), named(&prose)),
            (0, vec!["hello", "there"])
        );
        let beginning = prose.beginning.unwrap();
        assert_eq!(beginning.as_str(), "rm -rf / would be a bad idea");

        let found = harvest("qqqqq\nnot-an-id\n");
        assert_eq!(found.ids, []);
        assert_eq!(named(&found), ["qqqqq", "not-an-id"]);
    }

    fn named(found: &Harvest) -> Vec<&str> {
        found.rejected.iter().map(CleanText::as_str).collect()
    }

    #[test]
    fn words_beside_an_id_are_named_and_many_are_counted() {
        let found = harvest(&format!("1. 774d9a7d {B} hello, {B} hello"));
        assert_eq!(
            (found.ids.len(), named(&found)),
            (1, vec!["774d9a7d", "hello"])
        );
        assert_eq!(found.beginning, None);

        let found = harvest(&format!("{A} aaa bbb ccc ddd eee fff ggg"));
        assert_eq!((found.rejected.len(), found.more_rejected), (5, 2));

        let json = format!(r#"{{ "code": 200, "taskId": "{A}" }}"#);
        assert_eq!(named(&harvest(&json)), [""; 0]);
    }

    #[test]
    fn what_is_stuck_to_an_id_is_odd_unless_it_is_named_an_id() {
        let (glued, short) = (format!("new{B}"), B.get(..30).unwrap());
        for (text, odd) in [
            (glued.clone(), 1),
            (format!("{glued}\n{glued}"), 1),
            (format!("see {glued}"), 1),
            (short.to_owned(), 1),
            (format!("taskId={glued}"), 0),
            (format!("{glued}\ntaskId={glued}"), 0),
            (B.to_owned(), 0),
            ("luma_task_9f3a77".to_owned(), 0),
            ("f782018c-6be4-4990-96ba-7231cd5a39e7".to_owned(), 0),
        ] {
            let found = harvest(&text);
            assert_eq!((found.ids.len(), found.odd.len()), (1, odd), "{text}");
        }
    }

    #[test]
    fn an_id_counts_beside_a_link_that_names_it_too() {
        assert_eq!(ids(&format!("https://t.example/l/{A}.mp4 is of {A}")), [A]);
        assert_eq!(ids(&format!("https://t.example/l/{A}.mp4")), [""; 0]);
    }

    #[test]
    fn a_long_line_takes_no_longer_than_many_short_ones() {
        let one =
            |n: u32| format!(r#"{{"taskId":"{n:032x}","u":"https://t.example/{n:032x}.mp4"}}"#);
        let text: Vec<_> = (0..10_000).map(one).collect();

        // In square time this would take minutes.
        for between in [",", ";", "|"] {
            let found = harvest(&text.join(between));
            assert_eq!((found.ids.len(), found.is_cut), (10_000, false));
        }
    }

    #[test]
    fn a_flood_is_cut_and_said() {
        let lines: Vec<_> = (0..10_001).map(|n| format!("{n:032x}")).collect();
        let text = lines.join("\n");
        let found = harvest(&text);
        assert_eq!((found.ids.len(), found.is_cut), (MOST_IDS, true));
    }

    #[test]
    fn odd_texts_hold_what_they_hold() {
        let table: [(&str, usize); 9] = [
            ("", 0),
            ("taskId", 0),
            ("taskId=", 0),
            ("taskId:null", 0),
            ("TASKID = \"x1\"", 1),
            (r#"{"taskId":["a1"]}"#, 1),
            ("taskIdtaskId=a1", 1),
            ("https://x/y?taskId=a1&task_id=a2#taskId=a3", 3),
            ("\u{202e}\u{0}\u{1b}[31m", 0),
        ];
        for (text, count) in table {
            assert_eq!(ids(text).len(), count, "{text:?}: {:?}", ids(text));
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

        #[test]
        fn whatever_is_pasted_each_id_is_found_once_and_again(
            parts in proptest::collection::vec("[a-f0-9]{32}|taskId|task_id|[ -~]{0,9}|\\PC{0,6}|[\\n:=\"'?#&/]|https://[a-z/]{1,9}", 0..20),
        ) {
            let found = harvest(&parts.concat());
            let each: HashSet<_> = found.ids.iter().collect();
            assert_eq!(each.len(), found.ids.len());

            let named: Vec<_> = found.ids.iter().map(|id| format!("taskId={id}")).collect();
            let again = harvest(&named.join("\n"));
            assert!(found.ids.iter().all(|id| again.ids.contains(id)), "{found:?} {again:?}");
        }
    }
}
