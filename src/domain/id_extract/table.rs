//! Tables: values whose name is the header of their column.

use super::{
    names::{NameClass, classify, is_decisive_name, is_name_slot, is_value_slot},
    values::{is_id_shape, is_plain_id},
};

/// The longest row with a quoted cell that spans lines, in bytes. A longer one is not a row.
const MAX_CELL: usize = 64 * 1024;

/// The longest column header, in bytes.
const MAX_HEADER: usize = 40;

/// The longest header line, in bytes.
const MAX_HEADER_LINE: usize = 2000;

/// The delimiter between cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    /// A single character, as in CSV, with quoted cells.
    Char(char),
    /// Bars of any kind, also at both ends: Markdown, `mysql`, Org.
    Bar,
    /// Single and double bars: Jira, Wikipedia.
    DoubleBar,
    /// Two spaces or more.
    Gap,
}

/// A table with a column for task ids or secrets.
#[derive(Debug)]
pub(super) struct Table {
    delimiter: Delimiter,
    columns: Vec<NameClass>,
    /// The name column and the value column of a table whose rows name their values.
    slots: Option<(usize, usize)>,
    /// A row whose last quoted cell continues in the next line.
    open_row: String,
    /// The header line, which is split again when a rule below it shows the columns.
    header: String,
}

/// A line below the header.
pub(super) enum Row {
    /// Cells, each with the class of its column.
    Cells(Vec<(NameClass, String)>),
    /// Part of a row, or a rule between rows.
    Nothing,
    /// The end of the table.
    End,
}

impl Table {
    /// Parses a header line.
    pub(super) fn from_header(line: &str) -> Option<Self> {
        if line.len() > MAX_HEADER_LINE {
            return None;
        }
        let delimiters = [
            Delimiter::Char(','),
            Delimiter::Char(';'),
            Delimiter::Char('\t'),
            Delimiter::DoubleBar,
            Delimiter::Bar,
            Delimiter::Gap,
        ];
        let tag = line.strip_prefix('<').and_then(|tag| tag.split_once('>'));
        let line = tag.map_or(line, |(_, content)| content);
        let is_doubled = line.contains("||") || line.contains("!!");
        let delimiters = delimiters
            .into_iter()
            .filter(|delimiter| is_doubled || *delimiter != Delimiter::DoubleBar);
        delimiters.into_iter().find_map(|delimiter| {
            let headers = delimiter.is_in(line).then(|| delimiter.cells(line))??;
            let is_header = |header: &String| {
                header.len() <= MAX_HEADER
                    && !is_plain_id(header)
                    && header.contains('(') == header.contains(')')
                    && !header.contains(['=', ':', '{', '}', '"', '\'', '/', '<', '`', '&', '?'])
                    && header.split_whitespace().count() <= 3
            };
            if headers.len() < delimiter.min_cells() || !headers.iter().all(is_header) {
                return None;
            }
            let columns: Vec<_> = headers.iter().map(|header| classify(header)).collect();
            let is_relevant =
                |class: &NameClass| matches!(class, NameClass::Task | NameClass::Secret);
            let slots = headers
                .iter()
                .position(|header| is_name_slot(header))
                .zip(headers.iter().position(|header| is_value_slot(header)));
            (columns.iter().any(is_relevant) || slots.is_some()).then_some(Self {
                delimiter,
                columns,
                slots,
                open_row: String::new(),
                header: line.to_owned(),
            })
        })
    }

    /// Returns a table for rows that follow a list of names, as in a `PostgreSQL` dump.
    pub(super) fn with_columns(columns: Vec<NameClass>) -> Self {
        Self {
            delimiter: Delimiter::Char('\t'),
            columns,
            slots: None,
            open_row: String::new(),
            header: String::new(),
        }
    }

    /// Reads a line below the header.
    pub(super) fn row(&mut self, line: &str) -> Row {
        if !line.contains(char::is_alphanumeric) {
            let headers = self.header.split_whitespace();
            let is_rule = line.split_whitespace().count() == headers.clone().count();
            if self.delimiter == Delimiter::Gap && is_rule {
                self.columns = headers.map(classify).collect();
            }
            return Row::Nothing;
        }
        let mut row = std::mem::take(&mut self.open_row);
        if !row.is_empty() {
            row.push('\n');
        }
        row.push_str(line);
        let is_open =
            matches!(self.delimiter, Delimiter::Char(_)) && row.matches('"').count() % 2 == 1;
        if is_open && row.len() < MAX_CELL {
            self.open_row = row;
            return Row::Nothing;
        }
        let Some(mut cells) = self.delimiter.cells(&row) else {
            return Row::End;
        };
        // A value as wide as its column is followed by a single space.
        let words = row.split_whitespace();
        if self.delimiter == Delimiter::Gap && words.clone().count() == self.columns.len() {
            cells = words.map(str::to_owned).collect();
        }
        // The last cells may be missing. More cells than headers are text with commas.
        let is_text =
            cells.len() > self.columns.len() && !cells.iter().any(|cell| is_id_shape(cell));
        if cells.len() < self.delimiter.min_cells() || is_text {
            return Row::End;
        }
        let mut columns = self.columns.clone();
        if let Some((name, value)) = self.slots {
            let class = cells
                .get(name)
                .map_or(NameClass::Neutral, |cell| classify(cell));
            for (at, class) in [(name, NameClass::Neutral), (value, class)] {
                if let Some(column) = columns.get_mut(at) {
                    *column = class;
                }
            }
        }
        let columns = columns
            .into_iter()
            .chain(std::iter::repeat(NameClass::Neutral));
        Row::Cells(columns.zip(cells).collect())
    }
}

impl Delimiter {
    /// Returns the fewest cells of a row: one between bars, else two.
    const fn min_cells(self) -> usize {
        match self {
            Self::Bar | Self::DoubleBar => 1,
            Self::Char(_) | Self::Gap => 2,
        }
    }

    fn is_in(self, line: &str) -> bool {
        match self {
            Self::Char(delimiter) => line.contains(delimiter),
            Self::Bar => line.contains(BARS),
            Self::DoubleBar => line.contains("||") || line.contains("!!") || line.contains(BARS),
            Self::Gap => line.trim().contains("  "),
        }
    }

    fn cells(self, line: &str) -> Option<Vec<String>> {
        let cell = |text: &str| text.trim().to_owned();
        match self {
            Self::Char(delimiter) => Some(split_quoted(line.trim_end(), delimiter)),
            Self::Bar => {
                let line = line.trim();
                let inner = line.strip_prefix(BARS).unwrap_or(line);
                let inner = inner.strip_suffix(BARS).unwrap_or(inner);
                let is_row = inner.contains(BARS) || inner.len() + 2 <= line.len();
                is_row.then(|| inner.split(BARS).map(cell).collect())
            }
            Self::DoubleBar => {
                let single = line.replace("||", "|").replace("!!", "|");
                Self::Bar.cells(single.trim().trim_start_matches('!'))
            }
            Self::Gap => {
                let cells = line.split("  ").filter(|text| !text.trim().is_empty());
                Some(cells.map(cell).collect())
            }
        }
    }
}

const BARS: [char; 4] = ['|', '│', '┃', '║'];

/// Parses a line whose first cell names the others: `| Task ID | 774d… |`.
pub(super) fn name_value_pair(line: &str) -> Option<Vec<(NameClass, String)>> {
    let delimiters = [
        Delimiter::Bar,
        Delimiter::Char('\t'),
        Delimiter::Char(','),
        Delimiter::Char(';'),
        Delimiter::Gap,
    ];
    delimiters.into_iter().find_map(|delimiter| {
        let is_short = line.len() <= MAX_HEADER_LINE && delimiter.is_in(line);
        let cells = is_short.then(|| delimiter.cells(line))??;
        let (name, values) = cells.split_first()?;
        let is_pair = delimiter == Delimiter::Bar || values.len() == 1;
        let is_named =
            is_pair && is_plain_id(values.first()?.trim_matches('`')) && is_decisive_name(name);
        is_named.then(|| {
            let class = classify(name);
            values.iter().map(|cell| (class, cell.clone())).collect()
        })
    })
}

/// Splits a CSV row. A quoted cell may contain the delimiter, and `""` is a quote.
fn split_quoted(line: &str, delimiter: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match c {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if is_quoted || cell.trim().is_empty() => is_quoted = !is_quoted,
            c if c == delimiter && !is_quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(header: &str, line: &str) -> Option<Vec<(NameClass, String)>> {
        match Table::from_header(header)?.row(line) {
            Row::Cells(cells) => Some(cells),
            Row::Nothing | Row::End => None,
        }
    }

    #[test]
    fn tables_of_every_kind_have_columns() {
        let (task, secret) = (NameClass::Task, NameClass::Secret);
        for (header, line) in [
            ("task_id,api_key,note", "a1,k1,\"x, y\""),
            ("Task ID;API key;note", "a1;k1;\"x, y\""),
            ("task_id\tapi_key\tnote", "a1\tk1\tx, y"),
            ("| taskId | token | note |", "| a1 | k1 | x, y |"),
            ("TASK ID   TOKEN  NOTE", "a1  k1     x, y"),
        ] {
            let expected = vec![
                (task, "a1".to_owned()),
                (secret, "k1".to_owned()),
                (NameClass::Neutral, "x, y".to_owned()),
            ];
            assert_eq!(cells(header, line), Some(expected), "{header}");
        }
    }

    #[test]
    fn prose_and_json_are_not_table_headers() {
        for line in [
            "the task id, the token and more",
            "{\"taskId\": \"a1\", \"token\": 2}",
            "taskId",
            "one, two",
        ] {
            assert!(Table::from_header(line).is_none(), "{line}");
        }
    }

    #[test]
    fn rows_may_name_their_values() {
        for (row, class) in [
            ("taskId,a1", NameClass::Task),
            ("Authorization,a1", NameClass::Secret),
            ("colour,a1", NameClass::Neutral),
        ] {
            let cells = cells("key,value", row).unwrap();
            assert_eq!(cells[1], (class, "a1".to_owned()));
        }
    }

    #[test]
    fn quoted_cells_may_span_lines() {
        let mut table = Table::from_header("prompt,taskId").unwrap();
        assert!(matches!(table.row("\"a prompt"), Row::Nothing));
        let Row::Cells(cells) = table.row("of two lines\",a1") else {
            panic!("no row");
        };
        assert_eq!(cells[1], (NameClass::Task, "a1".to_owned()));
        assert!(matches!(table.row("a sentence"), Row::End));
    }
}
