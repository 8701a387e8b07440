//! Tasks as CSV (RFC 4180) with the fields of the JSON record; no cell is a formula.
//!
//! CSV cannot escape control characters as JSON can, so texts are sanitised.

use serde_json::Value;

use super::json::value_text;
use crate::domain::text::CleanText;

/// The longest cell in bytes that common spreadsheets accept.
const MAX_CELL_LEN: usize = 32 * 1024;

/// Characters that begin a formula: the signs, their full-width and small forms (equal in some
/// spreadsheets), the minus sign, and control characters skipped before a sign.
const FORMULA_CHARS: [char; 15] = [
    '=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫', '\u{2212}', '\t', '\r',
];

/// Formats records as CSV with a header row.
pub fn to_csv(records: &[Value], names: &[&str]) -> String {
    let mut text = names.join(",");
    text.push_str("\r\n");
    for record in records {
        let cells: Vec<_> = names
            .iter()
            .map(|name| format_cell(record.get(*name).unwrap_or(&Value::Null)))
            .collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn format_cell(value: &Value) -> String {
    let text = value_text(value);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => text,
        Value::String(_) | Value::Array(_) | Value::Object(_) => quote_cell(&escape_formula(&text)),
    }
}

/// Escapes a text that a spreadsheet would read as a formula, also after leading spaces.
fn escape_formula(text: &str) -> String {
    let is_formula = |text: &str| text.starts_with(FORMULA_CHARS);
    let clean = CleanText::block(text, MAX_CELL_LEN);
    if is_formula(text) || is_formula(text.trim_start()) || is_formula(clean.as_str()) {
        format!("'{clean}")
    } else {
        clean.to_string()
    }
}

fn quote_cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        let table = [
            (json!(null), ""),
            (json!(309_000), "309000"),
            (json!(-1), "-1"),
            (json!("neon"), "neon"),
            (json!("a, b"), "\"a, b\""),
            (json!("a \"b\"\nc"), "\"a \"\"b\"\"\nc\""),
            (json!("=1+1"), "'=1+1"),
            (json!("+49"), "'+49"),
            (json!("-x"), "'-x"),
            (json!("@SUM(A1)"), "'@SUM(A1)"),
            (json!("＝1+1"), "'＝1+1"),
            (json!("＋1"), "'＋1"),
            (json!("－1"), "'－1"),
            (json!("＠x"), "'＠x"),
            (json!("\u{3000}﹦1"), "'﹦1"),
            (json!("\u{2212}1"), "'\u{2212}1"),
            (json!("a＝1"), "a＝1"),
            (json!("\t=cmd"), "'=cmd"),
            (json!("\r=cmd"), "'=cmd"),
            (json!("  =cmd|' /c'"), "'=cmd|' /c'"),
            (json!("\u{202e}=x"), "<U+202E>=x"),
            (json!("\u{1b}[2J"), "␛[2J"),
            (json!([]), ""),
            (
                json!(["https://a/1", null, "/a b"]),
                "\"https://a/1\n/a b\"",
            ),
            (
                json!({"kind": "server", "code": 502, "message": "bad"}),
                "server: 502: bad",
            ),
            (
                json!({"kind": "lost", "code": null, "message": "=x"}),
                "lost: =x",
            ),
        ];
        for (value, expected) in table {
            assert_eq!(format_cell(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_table_has_a_header_and_a_line_per_task() {
        let records = [json!({"a": "x", "b": 1}), json!({"b": null, "a": "y"})];

        assert_eq!(to_csv(&records, &["a", "b"]), "a,b\r\nx,1\r\ny,\r\n");
    }
}
