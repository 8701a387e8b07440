//! Columns: values whose name stands in the head of a table.

use super::{
    names::{NameClass, classify, is_decisive_name, is_name_slot, is_value_slot},
    values::{is_id_shape, is_plain_id},
};

/// The longest quoted cell that goes over lines, in bytes; a longer one was no cell.
const MAX_CELL: usize = 64 * 1024;

/// The longest head of a column, in bytes.
const MAX_HEAD: usize = 40;

/// The longest line of heads, in bytes.
const MAX_HEADS: usize = 2000;

/// How cells are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Divider {
    /// CSV and its kin, with quoted cells.
    Sign(char),
    /// Bars of any kind, at both ends as well: Markdown, `mysql`, Org.
    Bar,
    /// Bars that are doubled in places: Jira, Wikipedia.
    DoubleBar,
    /// Two spaces or more.
    Gap,
}

/// A table whose head names a task's id or a secret.
#[derive(Debug)]
pub(super) struct Table {
    divider: Divider,
    columns: Vec<NameClass>,
    /// The columns of a name and of its value, where each row names its own.
    slots: Option<(usize, usize)>,
    /// A row whose last quoted cell goes on in the next line.
    open_row: String,
    /// The head, which a rule below it may divide better.
    head: String,
}

/// What a line is to a table.
pub(super) enum Row {
    /// Cells, each with the class of its column.
    Cells(Vec<(NameClass, String)>),
    /// A part of a row, or a rule between rows.
    Nothing,
    /// The end of the table.
    End,
}

impl Table {
    /// Reads the head of a table.
    pub(super) fn from_head(line: &str) -> Option<Self> {
        if line.len() > MAX_HEADS {
            return None;
        }
        let dividers = [
            Divider::Sign(','),
            Divider::Sign(';'),
            Divider::Sign('\t'),
            Divider::DoubleBar,
            Divider::Bar,
            Divider::Gap,
        ];
        let tag = line.strip_prefix('<').and_then(|tag| tag.split_once('>'));
        let line = tag.map_or(line, |(_, content)| content);
        let is_doubled = line.contains("||") || line.contains("!!");
        let dividers = dividers
            .into_iter()
            .filter(|divider| is_doubled || *divider != Divider::DoubleBar);
        dividers.into_iter().find_map(|divider| {
            let heads = divider.is_in(line).then(|| divider.cells(line))??;
            let is_head = |head: &String| {
                head.len() <= MAX_HEAD
                    && !is_plain_id(head)
                    && head.contains('(') == head.contains(')')
                    && !head.contains(['=', ':', '{', '}', '"', '\'', '/', '<', '`', '&', '?'])
                    && head.split_whitespace().count() <= 3
            };
            if heads.len() < divider.min_cells() || !heads.iter().all(is_head) {
                return None;
            }
            let columns: Vec<_> = heads.iter().map(|head| classify(head)).collect();
            let tells = |class: &NameClass| matches!(class, NameClass::Task | NameClass::Secret);
            let slots = heads
                .iter()
                .position(|head| is_name_slot(head))
                .zip(heads.iter().position(|head| is_value_slot(head)));
            (columns.iter().any(tells) || slots.is_some()).then_some(Self {
                divider,
                columns,
                slots,
                open_row: String::new(),
                head: line.to_owned(),
            })
        })
    }

    /// Makes the table of rows below a list of names, as in a dump of `PostgreSQL`.
    pub(super) fn with_columns(columns: Vec<NameClass>) -> Self {
        Self {
            divider: Divider::Sign('\t'),
            columns,
            slots: None,
            open_row: String::new(),
            head: String::new(),
        }
    }

    /// Reads a line below the head.
    pub(super) fn row(&mut self, line: &str) -> Row {
        if !line.contains(char::is_alphanumeric) {
            let heads = self.head.split_whitespace();
            let is_rule = line.split_whitespace().count() == heads.clone().count();
            if self.divider == Divider::Gap && is_rule {
                self.columns = heads.map(classify).collect();
            }
            return Row::Nothing;
        }
        let mut row = std::mem::take(&mut self.open_row);
        if !row.is_empty() {
            row.push('\n');
        }
        row.push_str(line);
        let is_open = matches!(self.divider, Divider::Sign(_)) && row.matches('"').count() % 2 == 1;
        if is_open && row.len() < MAX_CELL {
            self.open_row = row;
            return Row::Nothing;
        }
        let Some(mut cells) = self.divider.cells(&row) else {
            return Row::End;
        };
        // A value that fills its column leaves one space.
        let words = row.split_whitespace();
        if self.divider == Divider::Gap && words.clone().count() == self.columns.len() {
            cells = words.map(str::to_owned).collect();
        }
        // The last cells may be missing; more of them than heads are text with commas.
        let is_text =
            cells.len() > self.columns.len() && !cells.iter().any(|cell| is_id_shape(cell));
        if cells.len() < self.divider.min_cells() || is_text {
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

impl Divider {
    /// Returns how many cells make a row; bars around one cell do.
    const fn min_cells(self) -> usize {
        match self {
            Self::Bar | Self::DoubleBar => 1,
            Self::Sign(_) | Self::Gap => 2,
        }
    }

    fn is_in(self, line: &str) -> bool {
        match self {
            Self::Sign(sign) => line.contains(sign),
            Self::Bar => line.contains(BARS),
            Self::DoubleBar => line.contains("||") || line.contains("!!") || line.contains(BARS),
            Self::Gap => line.trim().contains("  "),
        }
    }

    fn cells(self, line: &str) -> Option<Vec<String>> {
        let cell = |text: &str| text.trim().to_owned();
        match self {
            Self::Sign(sign) => Some(split_quoted(line.trim_end(), sign)),
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

/// Bars between cells.
const BARS: [char; 4] = ['|', '│', '┃', '║'];

/// Reads a line of two cells, or of bars, of which the first names the others: `| Task ID | 774d…
/// |`.
pub(super) fn name_value_pair(line: &str) -> Option<Vec<(NameClass, String)>> {
    let dividers = [
        Divider::Bar,
        Divider::Sign('\t'),
        Divider::Sign(','),
        Divider::Sign(';'),
        Divider::Gap,
    ];
    dividers.into_iter().find_map(|divider| {
        let is_short = line.len() <= MAX_HEADS && divider.is_in(line);
        let cells = is_short.then(|| divider.cells(line))??;
        let (name, values) = cells.split_first()?;
        let is_pair = divider == Divider::Bar || values.len() == 1;
        let is_named =
            is_pair && is_plain_id(values.first()?.trim_matches('`')) && is_decisive_name(name);
        is_named.then(|| {
            let class = classify(name);
            values.iter().map(|cell| (class, cell.clone())).collect()
        })
    })
}

/// Splits a row of CSV; a quoted cell may hold the sign, and two quotes are one.
fn split_quoted(line: &str, sign: char) -> Vec<String> {
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
            c if c == sign && !is_quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(head: &str, line: &str) -> Option<Vec<(NameClass, String)>> {
        match Table::from_head(head)?.row(line) {
            Row::Cells(cells) => Some(cells),
            Row::Nothing | Row::End => None,
        }
    }

    #[test]
    fn tables_of_every_kind_have_columns() {
        let (task, secret) = (NameClass::Task, NameClass::Secret);
        for (head, line) in [
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
            assert_eq!(cells(head, line), Some(expected), "{head}");
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
            assert!(Table::from_head(line).is_none(), "{line}");
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
        let mut table = Table::from_head("prompt,taskId").unwrap();
        assert!(matches!(table.row("\"a prompt"), Row::Nothing));
        let Row::Cells(cells) = table.row("of two lines\",a1") else {
            panic!("no row");
        };
        assert_eq!(cells[1], (NameClass::Task, "a1".to_owned()));
        assert!(matches!(table.row("a sentence"), Row::End));
    }
}
