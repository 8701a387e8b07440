//! Which known name somebody meant who wrote another: for "did you mean". Knows no names itself.

/// The least likeness that is worth a question: below it the names only share some letters.
const LEAST_LIKENESS: f64 = 0.75;

/// Returns the known name that is most like a written one, if one is like it at all.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written, name), name))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// Returns the question behind a fault: `; did you mean "…"?`, or nothing.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(written, known).map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_none() {
        let known = ["open_result", "open_original", "next", "next_tab", "quit"];

        assert_eq!(nearest("open_reslut", known), Some("open_result"));
        assert_eq!(nearest("Quit", known), Some("quit"));
        assert_eq!(nearest("nxt", known), Some("next"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(did_you_mean("qit", known), "; did you mean \"quit\"?");
    }
}
