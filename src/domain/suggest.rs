//! Suggestions for mistyped names: "did you mean …?".

/// The lowest similarity worth suggesting: below it, names only share some letters.
const MIN_SIMILARITY: f64 = 0.75;

/// Returns the known name most similar to a written one, if any is similar enough.
pub fn closest_match<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written, name), name))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_the_nearest_name() {
        let known = ["open_result", "open_original", "next", "next_tab", "quit"];

        assert_eq!(closest_match("open_reslut", known), Some("open_result"));
        assert_eq!(closest_match("Quit", known), Some("quit"));
        assert_eq!(closest_match("nxt", known), Some("next"));
        assert_eq!(closest_match("banana", known), None);
        assert_eq!(closest_match("", known), None);
    }
}
