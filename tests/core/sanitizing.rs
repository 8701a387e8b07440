//! Every Unicode character through every function that cleans text: controls, format characters and
//! ignorable ones never come out raw, and nothing is lost where the original must be kept.
//!
//! Checked against the Unicode tables (`support/harmful_chars.rs`), not against the program's list.

use std::fs;

use jiff::Timestamp;
use kietop::{
    adapters::{export::json, log},
    domain::{
        raw_response::RawResponse,
        task::TaskId,
        text::{CleanText, is_unsafe},
    },
};
use serde_json::Value;

use crate::support::harmful_chars::{all_chars, is_harmful};

/// Returns the first harmful character of a text; line breaks are allowed.
fn find_harmful(text: &str) -> Option<char> {
    text.chars().find(|&c| is_harmful(c) && c != '\n')
}

#[test]
fn the_harmful_list_covers_unicode() {
    let missing: Vec<_> = all_chars()
        .filter(|&c| is_harmful(c) && !is_unsafe(c))
        .map(|c| format!("{:04X}", u32::from(c)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for c in ['a', ' ', 'é', '語', 'ﷺ', '👩', '\u{301}', '\u{e000}'] {
        assert!(!is_unsafe(c), "{c}");
    }
}

#[test]
fn clean_text_is_harmless_and_keeps_the_original() {
    for c in all_chars() {
        let raw = format!("x{c}y");
        for text in [CleanText::line(&raw, 256), CleanText::block(&raw, 256)] {
            assert_eq!(find_harmful(text.as_str()), None, "{:04X}", u32::from(c));
            assert_eq!(text.original(), raw, "{:04X}", u32::from(c));
        }
    }
    for c in all_chars().filter(|&c| is_harmful(c)) {
        // After a character that takes variation selectors, repeated, and alone.
        for raw in [format!("❤{c}y"), format!("x❤{c}{c}{c}y"), c.to_string()] {
            let shown = CleanText::line(&raw, 256);
            assert_eq!(find_harmful(shown.as_str()), None, "{:04X}", u32::from(c));
        }
    }
}

#[test]
fn harmful_characters_are_shown_not_dropped() {
    for c in all_chars().filter(|&c| is_harmful(c) && !matches!(c, '\r' | '\n' | '\t')) {
        let shown = CleanText::line(&format!("x{c}y"), 256);
        assert!(shown.as_str().len() > 3, "{:04X}: {shown}", u32::from(c));
    }
}

#[test]
fn json_is_harmless_and_round_trips() {
    let all: String = all_chars().collect();

    let written = json::to_safe_json(&Value::String(all.clone()));

    assert_eq!(find_harmful(&written), None);
    assert_eq!(serde_json::from_str::<String>(&written).unwrap(), all);
}

#[test]
fn raw_records_are_harmless() {
    for c in all_chars() {
        let shown = RawResponse::parse(Timestamp::UNIX_EPOCH, &format!("\"{c}\" {c}")).text;
        assert_eq!(find_harmful(&shown), None, "{:04X}", u32::from(c));
    }
}

#[test]
fn ids_are_harmless() {
    for c in all_chars() {
        if let Ok(id) = TaskId::parse(&format!("a{c}b")) {
            assert_eq!(find_harmful(id.as_str()), None, "{:04X}", u32::from(c));
        }
    }
}

#[test]
fn the_log_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kietop.log");
    log::start(&file, tracing::Level::ERROR).unwrap();

    let chars: Vec<_> = all_chars().collect();
    for chunk in chars.chunks(1000) {
        let chunk: String = chunk.iter().collect();
        tracing::error!("a{chunk}b");
    }

    // A line per thousand characters; lines before the newest four megabytes are in the rotated
    // file.
    let log = [file.with_extension("log.1"), file]
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .concat();
    assert!(log.lines().count() > 300, "{}", log.lines().count());
    assert_eq!(find_harmful(&log), None);
}
