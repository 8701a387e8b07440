//! The shapes of ids, of damaged ids and of placeholders.

use super::{
    super::task::{MAX_ID_LEN, TaskId},
    names::{WordList, is_decisive_name},
};

/// The shortest word without a name that may be an id of no known shape.
const MIN_PLAIN_ID: usize = 8;

/// The shortest word that may be an API key by its shape.
const MIN_SECRET_SHAPE: usize = 20;

/// The longest word that a message shows.
const MAX_SHOWN: usize = 40;

/// The fewest characters after `task_` in an id.
const MIN_TASK_TAIL: usize = 6;

/// The number of consecutive hexadecimal digits from which a word is a damaged or longer id.
const MIN_SUSPICIOUS_RUN: usize = 24;

/// A value whose name is that of a task id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NamedValue {
    Id(TaskId),
    /// A word such as `None`, `YOUR_TASK_ID` or a type name.
    Placeholder,
}

/// Reports whether an unquoted id may contain a character.
const fn is_id_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Reports whether a text is one word, as ids and placeholders are.
pub(super) fn is_single_word(content: &str) -> bool {
    let content = content.trim();
    !content.is_empty()
        && content.chars().all(|c| {
            is_id_character(c)
                || matches!(c, '.' | '$' | '%' | '~' | '+')
                || !c.is_ascii() && c.is_alphanumeric()
        })
}

/// Reports whether a word is 32 hexadecimal digits, with or without the dashes of a UUID.
pub(super) fn is_hex_id(word: &str) -> bool {
    let is_shape = match word.len() {
        32 => word.bytes().all(|b| b.is_ascii_hexdigit()),
        36 => word.bytes().enumerate().all(|(at, b)| {
            if matches!(at, 8 | 13 | 18 | 23) {
                b == b'-'
            } else {
                b.is_ascii_hexdigit()
            }
        }),
        _ => false,
    };
    is_shape && !is_mask(word)
}

/// Reports whether a word has the shape of an id without any context: hexadecimal, or like
/// `veo_task_abc123`.
pub(super) fn is_id_shape(word: &str) -> bool {
    let is_task_shape = || {
        let (head, tail) = word.rsplit_once(['_', '-']).unwrap_or_default();
        tail.len() >= MIN_TASK_TAIL
            && head
                .rsplit(['_', '-'])
                .next()
                .is_some_and(|last| last.eq_ignore_ascii_case("task"))
    };
    is_hex_id(word) || (is_plain_id(word) && is_task_shape())
}

/// Prefixes of the keys and tokens of well-known services.
static SECRET_PREFIXES: WordList = WordList::new(
    "sk- sk_ pk_ rk_ key- ghp_ gho_ ghs_ github_pat_ glpat- xoxb- xoxp- hf_ r8_ AKIA ASIA AIza
     whsec_ sess- ghu_ eyJ npm_",
);

/// Reports whether a word has the shape of a key or token.
pub(super) fn is_secret_shape(word: &str) -> bool {
    let is_glued = word.starts_with('-') && word.contains(|c: char| c.is_ascii_digit());
    word.len() >= MIN_SECRET_SHAPE
        && (is_glued
            || SECRET_PREFIXES
                .words()
                .any(|prefix| word.starts_with(prefix)))
}

/// Reports whether a word may contain a secret and must not be shown.
pub(super) fn may_contain_secret(word: &str) -> bool {
    let longest_run = |word: &str| {
        word.split(|c: char| !c.is_ascii_alphanumeric())
            .map(str::len)
            .max()
    };
    word.len() > MAX_SHOWN || longest_run(word) >= Some(MIN_SECRET_SHAPE)
}

/// Reports whether a word is not an id but has so many consecutive hexadecimal digits that an id
/// was probably meant.
pub(super) fn is_suspicious(word: &str) -> bool {
    let longest = word
        .split(|c: char| !c.is_ascii_hexdigit())
        .map(str::len)
        .max();
    is_plain_id(word) && !is_hex_id(word) && longest.unwrap_or_default() >= MIN_SUSPICIOUS_RUN
}

/// Reports whether a word on its own line may be an id of no known shape: long enough, with a
/// digit.
pub(super) fn is_plain_id(word: &str) -> bool {
    (MIN_PLAIN_ID..=MAX_ID_LEN).contains(&word.len())
        && word.chars().all(is_id_character)
        && word.contains(|c: char| c.is_ascii_digit())
        && !word.starts_with('-')
        && !is_secret_shape(word)
        && !is_placeholder(word)
        && !is_date(word)
}

/// Reports whether a word consists of zeros or of `x`, as the nil UUID and masked ids do.
fn is_mask(word: &str) -> bool {
    let mut characters = word.chars().filter(|c| c.is_alphanumeric());
    let first = characters.next().unwrap_or('x');
    matches!(first, '0' | 'x' | 'X') && characters.all(|c| c == first)
}

fn is_date(word: &str) -> bool {
    let parts: Vec<_> = word.split('-').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|part| part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Words used in place of an id, and names of types.
static PLACEHOLDER_WORDS: WordList = WordList::new(
    "none null nil undefined nan true false todo tbd na unknown missing empty pending string str
     int integer number bigint uuid guid varchar text char object any optional option required id
     ids taskid task tasks value void default const await self this type changeme redacted hidden
     masked new some the error failed foo bar abc xyz result",
);

/// Words that make any value a placeholder.
static PLACEHOLDER_MARKS: WordList =
    WordList::new("your example placeholder here insert replace sample dummy actual paste");

/// Reports whether a value consists of placeholder words.
pub(super) fn is_placeholder_word(value: &str) -> bool {
    let lower = value.to_lowercase();
    let words: Vec<_> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let is_id_name = |word: &&str| matches!(*word, "id" | "ids" | "taskid" | "uuid");
    let is_name = words.len() < 2 || words.last().is_some_and(is_id_name);
    (is_name && words.iter().all(|word| PLACEHOLDER_WORDS.has(word)))
        || words.iter().any(|word| PLACEHOLDER_MARKS.has(word))
}

/// Reports whether a value is a placeholder word, a mask, or part of a template.
fn is_placeholder(value: &str) -> bool {
    is_placeholder_word(value)
        || is_mask(value)
        || is_decisive_name(value)
        || value.starts_with(['$', '%', '{', '<', '@', ':'])
}

/// Parses a quoted value with the name of a task id, as a whole.
pub(super) fn quoted(value: &str) -> NamedValue {
    let value = value.trim().trim_matches(['`', '*', '…', '\'', '"']);
    match TaskId::parse(value) {
        Ok(id) if !is_placeholder(value) && !is_small_number(value) => NamedValue::Id(id),
        Ok(_) | Err(_) => NamedValue::Placeholder,
    }
}

/// Parses an unquoted value with the name of a task id, up to the first character not of an id.
pub(super) fn unquoted(word: &str) -> NamedValue {
    let end = word
        .find(|c: char| !is_id_character(c))
        .unwrap_or(word.len());
    let (value, rest) = word.split_at_checked(end).unwrap_or((word, ""));
    // A member or a call is source code, unless a hexadecimal id is before the dot.
    let is_code = rest.starts_with(['.', '(']) && rest.len() > 1 && !is_hex_id(value);
    let has_digit = value.contains(|c: char| c.is_ascii_digit());
    let is_lone_word = !has_digit && !value.contains(['-', '_']);
    let lower = value.to_lowercase();
    let is_variable = lower.ends_with("_id") || lower.ends_with("-id") || lower.ends_with("taskid");
    if is_code || is_lone_word || is_variable {
        return NamedValue::Placeholder;
    }
    quoted(value)
}

/// Reports whether a value is a number too short for an id, such as a database row or a counter.
fn is_small_number(value: &str) -> bool {
    value.len() < 6 && value.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_not_ids() {
        for word in [
            "None",
            "undefined",
            "nil",
            "NULL",
            "YOUR_TASK_ID",
            "${taskId",
            "{{",
            "string",
            "TASK_ID",
            "taskId",
            "xxxxxxxx",
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "00000000-0000-0000-0000-000000000000",
            "<task_id>",
            "your-task-id-123",
            "example_task_1",
            "%s",
            ":id",
            "self.task_id",
            "task_id_here",
            "this.taskId",
            "42",
            "new_task_id",
            "...",
        ] {
            assert_eq!(unquoted(word), NamedValue::Placeholder, "{word}");
        }
    }

    #[test]
    fn a_value_ends_with_its_syntax() {
        let hex = "774d9a7dd608a0e49293903095e45a4c";
        for (word, id) in [
            (format!("{hex}."), hex),
            (format!("{hex}…"), hex),
            (format!("{hex}.Next"), hex),
            (format!("{hex}**"), hex),
            ("luma_task_9f3a77.".to_owned(), "luma_task_9f3a77"),
            ("867283741759111202".to_owned(), "867283741759111202"),
            ("veo_task_abcdef".to_owned(), "veo_task_abcdef"),
            ("x9y8z7w6v5".to_owned(), "x9y8z7w6v5"),
        ] {
            assert_eq!(
                unquoted(&word),
                NamedValue::Id(TaskId::parse(id).unwrap()),
                "{word}"
            );
        }
    }

    #[test]
    fn id_shapes_are_distinguished() {
        let hex = "774d9a7dd608a0e49293903095e45a4c";
        assert!(is_hex_id(hex) && is_hex_id("f782018c-6be4-4990-96ba-7231cd5a39e7"));
        assert!(!is_hex_id(hex.trim_start_matches('7')) && !is_hex_id(&format!("{hex}0")));
        assert!(!is_hex_id("00000000000000000000000000000000"));
        assert!(
            is_suspicious(&format!("new{hex}"))
                && is_suspicious(hex.trim_start_matches('7'))
                && !is_suspicious(hex)
        );
        assert!(
            is_plain_id("luma_task_9f3a77")
                && !is_plain_id("hello-there")
                && !is_plain_id("2026-11-28")
        );
    }
}
