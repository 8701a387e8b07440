//! Tags: names in elements, attributes and table headers.

use super::{BracketScope, LineReader, LineState, MAX_DEPTH};
use crate::domain::id_extract::{
    findings::{Findings, SkipReason},
    names::{NameClass, classify, classify_words, is_name_slot},
};

/// HTML elements that only format their text.
const FORMATTING: [&str; 22] = [
    "a", "b", "br", "code", "div", "em", "font", "i", "kbd", "label", "li", "mark", "p", "pre",
    "samp", "small", "span", "strong", "td", "tt", "u", "var",
];

/// The current cell and the column names of an HTML table.
#[derive(Debug, Default)]
pub(super) struct HtmlTable {
    columns: Vec<NameClass>,
    cell: usize,
    pub(super) is_in_cell: bool,
    /// The headers in the current row: of the columns, or of the cells beside them.
    headers: Vec<NameClass>,
    /// The class of the text after the next tag, if the text before it is a name.
    pub(super) next: NameClass,
}

impl LineReader {
    /// Reads a tag: its attributes, and the name it gives to the text after it.
    pub(super) fn tag(&mut self, line: &mut LineState<'_>, tag: &str, found: &mut Findings) {
        let inner = tag.trim_start_matches('/');
        let end = inner
            .find(|c: char| c.is_whitespace())
            .unwrap_or(inner.len());
        let (name, attributes) = inner.split_at_checked(end).unwrap_or((inner, ""));
        let element = name
            .trim_end_matches('/')
            .rsplit(':')
            .next()
            .unwrap_or(name)
            .to_lowercase();
        let element = match element.as_str() {
            "cell" | "table-cell" => "td",
            "row" | "table-row" => "tr",
            "data" if self.html.is_in_cell => "span",
            other => other,
        };
        let is_closing = tag.starts_with('/');
        let before = classify_words(&line.words);
        let mut content_class = NameClass::Neutral;
        if matches!(element, "td" | "th") {
            if is_closing && (element == "th" || !line.words.is_empty()) {
                self.html.headers.push(before);
                found.names_tasks |= before == NameClass::Task;
            }
            self.html.is_in_cell = !is_closing;
            line.words.clear();
        } else if !self.html.is_in_cell && matches!(before, NameClass::Task | NameClass::Secret) {
            self.html.next = before;
            line.words.clear();
        }
        line.is_prose = true;
        if !attributes.trim().is_empty() && self.depth < MAX_DEPTH {
            let mut reader = self.nested(self.class);
            reader.scopes.push(BracketScope {
                bracket: Some('{'),
                // `<label>API key</label><input value="…">`.
                slot: self.html.next,
                ..BracketScope::default()
            });
            reader.read_tokens(attributes, true, found);
            // `<string name="api_key">…</string>`.
            content_class = reader.scope().slot;
            reader.finish(found);
        }
        if FORMATTING.contains(&element) || matches!(element, "th" | "tr" | "table" | "dt" | "dd") {
            self.html_element(line, element, is_closing);
        } else if line.expected == Some(NameClass::Task) && !is_closing {
            line.expected = None;
            found.skip(SkipReason::Placeholder, tag);
        } else {
            // `<key>apiKey</key><string>…</string>`.
            let own = classify(name.rsplit(':').next().unwrap_or(name));
            let is_name = is_name_slot(element);
            let class = [content_class, own, self.html.next]
                .into_iter()
                .find(|class| *class != NameClass::Neutral)
                .filter(|_| {
                    (content_class != NameClass::Neutral || !is_name) && !tag.ends_with('/')
                });
            line.expected = class.filter(|_| !is_closing);
        }
        line.class = line.expected.unwrap_or_default();
    }

    /// Tracks the cells of a table, and applies a name in one element to the next one.
    fn html_element(&mut self, line: &mut LineState<'_>, element: &str, is_closing: bool) {
        match element {
            "table" => self.html = HtmlTable::default(),
            "tr" => {
                // Headers without cells beside them belong to columns.
                let headers = std::mem::take(&mut self.html.headers);
                let is_relevant =
                    |class: &NameClass| matches!(class, NameClass::Task | NameClass::Secret);
                if headers.len() > 1
                    && headers.len() == self.html.cell
                    && headers.iter().any(is_relevant)
                {
                    self.html.columns = headers;
                }
                self.html.cell = 0;
            }
            "th" if !is_closing => self.html.cell += 1,
            "td" if !is_closing => {
                let row_class = self.html.headers.last().copied();
                let column_class = self.html.columns.get(self.html.cell).copied();
                self.html.cell += 1;
                line.expected = [row_class, column_class]
                    .into_iter()
                    .flatten()
                    .find(|class| *class != NameClass::Neutral)
                    .or(line.expected);
            }
            _ => {}
        }
        if line.expected.is_none() && !is_closing && self.html.next != NameClass::Neutral {
            line.expected = Some(self.html.next);
        }
        if is_closing && element == "td" {
            line.expected = None;
        }
    }
}
