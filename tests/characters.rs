//! Every character there is, through every door that cleans text: what Unicode calls a control, a format character or
//! ignorable does not come out raw, and nothing is lost where nothing may be.
//!
//! Judged by Unicode's own tables (`support/harmful.rs`), not by the list that the program cleans with.

#[path = "support/harmful.rs"]
mod harmful;

use std::fs;

use harmful::{is_harmful, scalars};
use jiff::Timestamp;
use kietop::{
    adapters::log,
    cli::json,
    domain::{
        record::Record,
        task::TaskId,
        text::{CleanText, is_unsafe},
    },
};
use serde_json::Value;

/// Returns the first character of a text that must not be in it, beside its line breaks.
fn bad(text: &str) -> Option<char> {
    text.chars().find(|&c| is_harmful(c) && c != '\n')
}

#[test]
fn the_programs_own_list_holds_all_that_unicode_names() {
    let missing: Vec<_> = scalars()
        .filter(|&c| is_harmful(c) && !is_unsafe(c))
        .map(|c| format!("{:04X}", u32::from(c)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for c in ['a', ' ', 'é', '語', 'ﷺ', '👩', '\u{301}', '\u{e000}'] {
        assert!(!is_unsafe(c), "{c}");
    }
}

#[test]
fn no_clean_text_holds_one_and_the_original_survives() {
    for c in scalars() {
        let raw = format!("x{c}y");
        for text in [CleanText::line(&raw, 256), CleanText::block(&raw, 256)] {
            assert_eq!(bad(text.as_str()), None, "{:04X}", u32::from(c));
            assert_eq!(text.original(), raw, "{:04X}", u32::from(c));
        }
    }
    for c in scalars().filter(|&c| is_harmful(c)) {
        // After a sign that takes selectors, after itself, and alone.
        for raw in [format!("❤{c}y"), format!("x❤{c}{c}{c}y"), c.to_string()] {
            let shown = CleanText::line(&raw, 256);
            assert_eq!(bad(shown.as_str()), None, "{:04X}", u32::from(c));
        }
    }
}

#[test]
fn no_harmful_character_vanishes_but_within_a_sign() {
    for c in scalars().filter(|&c| is_harmful(c) && !matches!(c, '\r' | '\n' | '\t')) {
        let shown = CleanText::line(&format!("x{c}y"), 256);
        assert!(shown.as_str().len() > 3, "{:04X}: {shown}", u32::from(c));
    }
}

#[test]
fn json_is_safe_and_read_back_the_same() {
    let all: String = scalars().collect();

    let written = json::write(&Value::String(all.clone()));

    assert_eq!(bad(&written), None);
    assert_eq!(serde_json::from_str::<String>(&written).unwrap(), all);
}

#[test]
fn a_record_is_shown_without_any() {
    for c in scalars() {
        let shown = Record::read(Timestamp::UNIX_EPOCH, &format!("\"{c}\" {c}")).to_text();
        assert_eq!(bad(&shown), None, "{:04X}", u32::from(c));
    }
}

#[test]
fn no_id_holds_one() {
    for c in scalars() {
        if let Ok(id) = TaskId::parse(&format!("a{c}b")) {
            assert_eq!(bad(id.as_str()), None, "{:04X}", u32::from(c));
        }
    }
}

#[test]
fn the_log_holds_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kietop.log");
    log::start(&file, tracing::Level::ERROR).unwrap();

    let all: Vec<_> = scalars().collect();
    for part in all.chunks(1000) {
        let part: String = part.iter().collect();
        tracing::error!("a{part}b");
    }

    // Every thousand characters is a line; what came before the newest four megabytes is beside the file.
    let logged = [file.with_extension("log.1"), file]
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .concat();
    assert!(logged.lines().count() > 300, "{}", logged.lines().count());
    assert_eq!(bad(&logged), None);
}
