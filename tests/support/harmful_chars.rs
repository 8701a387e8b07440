//! Which characters must not reach a reader raw, by the Unicode tables and not by the program's own
//! list.
//!
//! A check against the predicate that the program cleans with would hold whatever that predicate
//! forgets.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Tells whether a character can act on a terminal or hide: a control, a format character, a
/// separator of lines or paragraphs, or one that is drawn as nothing
/// (`Default_Ignorable_Code_Point`).
pub(crate) fn is_harmful(c: char) -> bool {
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Returns every character there is.
pub(crate) fn all_chars() -> impl Iterator<Item = char> {
    '\0'..=char::MAX
}
