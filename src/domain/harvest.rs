//! Finds task ids in any text a person may paste: lines, JSON, curl logs, links.

use std::{collections::HashSet, ops::Range};

use super::{task::TaskId, text::CleanText};

/// The longest text looked through, in bytes; what is beyond is said, not searched.
const LONGEST_TEXT: usize = 4 * 1024 * 1024;

/// The most ids taken from one text.
const MOST_IDS: usize = 10_000;

/// Is what a text held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Harvest {
    /// The ids, each once, in the order of the text.
    pub ids: Vec<TaskId>,
    /// Whole lines of one word that are no ids, at most a few of them: what the user may have meant.
    pub rejected: Vec<CleanText>,
    /// Whether the text was too long to be read whole.
    pub is_cut: bool,
}

/// Finds the ids of a text.
///
/// Taken are values named `taskId` or `task_id` (in JSON, query strings, tables), words of 32 hexadecimal
/// digits or UUIDs that are no part of a link's path, and lines of one word that looks like an id.
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
        }
        if self.seen.len() > before || is_repeat {
            return;
        }
        let line = line
            .trim()
            .trim_matches(|c| matches!(c, '"' | '\'' | ',' | ';'));
        if line.is_empty() || line.contains(char::is_whitespace) {
            return;
        }
        if looks_like_plain_id(line) {
            self.take(line);
        } else if self.harvest.rejected.len() < 5 {
            self.harvest.rejected.push(CleanText::line(line, 80));
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
        assert_eq!(
            harvest("rm -rf / would be a bad idea\nhello there"),
            Harvest::default()
        );
        let found = harvest("qqqqq\nnot-an-id");
        assert_eq!(found.ids, []);
        assert_eq!(
            found
                .rejected
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["qqqqq", "not-an-id"]
        );
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
