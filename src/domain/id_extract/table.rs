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

const BARS: [char; 4] = ['|', '│', '┃', '║'];

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

impl Delimiter {
    const ALL: [Self; 6] = [
        Self::Char(','),
        Self::Char(';'),
        Self::Char('\t'),
        Self::DoubleBar,
        Self::Bar,
        Self::Gap,
    ];

    /// Splits a line into cells. `None` if it has too few: one between bars, else two.
    fn cells(self, line: &str) -> Option<Vec<String>> {
        let line = line.trim_end();
        let cell = |text: &str| text.trim().to_owned();
        match self {
            Self::Char(delimiter) => line
                .contains(delimiter)
                .then(|| split_quoted(line, delimiter)),
            Self::Bar => {
                let line = line.trim_start();
                let inner = line.strip_prefix(BARS).unwrap_or(line);
                let inner = inner.strip_suffix(BARS).unwrap_or(inner);
                let is_row = inner.contains(BARS) || inner.len() + 2 <= line.len();
                is_row.then(|| inner.split(BARS).map(cell).collect())
            }
            Self::DoubleBar => {
                let single = line.replace("||", "|").replace("!!", "|");
                Self::Bar.cells(single.trim_start().trim_start_matches('!'))
            }
            Self::Gap => {
                let cells = line.split("  ").filter(|text| !text.trim().is_empty());
                Some(cells.map(cell).collect()).filter(|cells: &Vec<_>| cells.len() > 1)
            }
        }
    }
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
        let is_doubled = line.contains("||") || line.contains("!!");
        let is_header = |header: &String| {
            header.len() <= MAX_HEADER
                && !is_plain_id(header)
                && header.contains('(') == header.contains(')')
                && !header.contains(['=', ':', '{', '}', '"', '\'', '/', '<', '`', '&', '?'])
                && header.split_whitespace().count() <= 3
        };
        Delimiter::ALL
            .into_iter()
            .filter(|delimiter| is_doubled || *delimiter != Delimiter::DoubleBar)
            .filter(|_| line.len() <= MAX_HEADER_LINE)
            .find_map(|delimiter| {
                let headers = delimiter.cells(line)?;
                if !headers.iter().all(is_header) {
                    return None;
                }
                let columns: Vec<_> = headers.iter().map(|header| classify(header)).collect();
                let name = headers.iter().position(|header| is_name_slot(header));
                let value = headers.iter().position(|header| is_value_slot(header));
                let slots = name.zip(value);
                (columns.iter().any(|class| class.is_heading()) || slots.is_some()).then(|| Self {
                    delimiter,
                    columns,
                    slots,
                    open_row: String::new(),
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
        }
    }

    /// Reads a line below the header.
    pub(super) fn row(&mut self, line: &str) -> Row {
        if !line.contains(char::is_alphanumeric) {
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
        // A value as wide as its column is followed by a single space.
        let words = row.split_whitespace();
        let is_words =
            self.delimiter == Delimiter::Gap && words.clone().count() == self.columns.len();
        let cells = if is_words {
            Some(words.map(str::to_owned).collect())
        } else {
            self.delimiter.cells(&row)
        };
        // The last cells may be missing. More cells than headers are text with commas.
        let is_row = |cells: &Vec<String>| {
            cells.len() <= self.columns.len() || cells.iter().any(|cell| is_id_shape(cell))
        };
        let Some(cells) = cells.filter(is_row) else {
            return Row::End;
        };
        let named = self.slots.and_then(|(name, value)| {
            let class = classify(cells.get(name)?);
            Some([(name, NameClass::Neutral), (value, class)])
        });
        let class_of = |at| {
            let mut named = named.into_iter().flatten();
            let class = named.find(|(column, _)| *column == at);
            class.map_or_else(
                || self.columns.get(at).copied().unwrap_or_default(),
                |(_, class)| class,
            )
        };
        Row::Cells((0..).map(class_of).zip(cells).collect())
    }
}

/// Parses a line whose first cell names the others: `| Task ID | 774d… |`.
pub(super) fn name_value_pair(line: &str) -> Option<Vec<(NameClass, String)>> {
    let mut delimiters = Delimiter::ALL
        .into_iter()
        .filter(|delimiter| *delimiter != Delimiter::DoubleBar && line.len() <= MAX_HEADER_LINE);
    delimiters.find_map(|delimiter| {
        let cells = delimiter.cells(line)?;
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
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
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
