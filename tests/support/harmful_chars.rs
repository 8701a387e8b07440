//! The characters that must not be printed raw, by the Unicode tables.
//!
//! Not by the predicate that the program cleans text with: such a check would pass for every
//! character that the predicate misses.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Reports whether a character can control a terminal or is invisible: a control or format
/// character, a line or paragraph separator, or a `Default_Ignorable_Code_Point`.
pub(crate) fn is_harmful(c: char) -> bool {
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

pub(crate) fn all_chars() -> impl Iterator<Item = char> {
    '\0'..=char::MAX
}
