//! Finds rows and journal lines in the raw bytes of a damaged list file or its write-ahead log.
//!
//! A row is a header (its own length, then one type per column) and its values:
//! <https://sqlite.org/fileformat2.html#record_format>.

use rusqlite::types::ValueRef;

use super::rows::{
    self, ADDED_AT_COLUMN, COLUMN_COUNT, FIRST_COLUMN_COUNT, ID_COLUMN, LABEL_COLUMN, RowCells,
};

/// Plausible times of a row, in Unix milliseconds: the years 2000 to 2099.
const PLAUSIBLE_TIMES_MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

/// The number of columns of a journal line. The first one, its row id, is stored as null.
const JOURNAL_COLUMN_COUNT: usize = 5;

/// Calls `on_row` for every task row that has a valid checksum or plausible values.
pub(super) fn carve_rows(bytes: &[u8], mut on_row: impl FnMut(&RowCells<'_>)) {
    for at in 0..bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some((cells, _)) = parse_record::<COLUMN_COUNT>(rest, FIRST_COLUMN_COUNT, fits_row)
        else {
            continue;
        };
        if rows::has_valid_checksum(&cells) || looks_like_row(&cells) {
            on_row(&cells);
        }
    }
}

/// Calls `on_line` with the task, time and kind of everything that looks like a journal line.
pub(super) fn carve_journal(bytes: &[u8], mut on_line: impl FnMut(&str, i64, &str)) {
    for at in 0..bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let line =
            parse_record::<JOURNAL_COLUMN_COUNT>(rest, JOURNAL_COLUMN_COUNT, fits_journal_line);
        if let Some(([_, ValueRef::Integer(at), task, kind, _], true)) = line
            && PLAUSIBLE_TIMES_MS.contains(&at)
            && let (Ok(task), Ok(kind)) = (task.as_str(), kind.as_str())
            && !kind.is_empty()
            && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            on_line(task, at, kind);
        }
    }
}

const fn is_text_type(kind: u64) -> bool {
    kind >= 13 && kind % 2 == 1
}

/// Checks the types of a task row. It starts with a text and a six-byte time, which is rare in
/// other bytes.
const fn fits_row(at: usize, kind: u64) -> bool {
    match at {
        ID_COLUMN => is_text_type(kind),
        ADDED_AT_COLUMN => kind == 5,
        _ => true,
    }
}

const fn fits_journal_line(at: usize, kind: u64) -> bool {
    match at {
        0 => kind == 0,
        1 => kind == 5,
        2 | 3 => is_text_type(kind),
        _ => kind == 0 || is_text_type(kind),
    }
}

/// Parses a record at the start of `bytes`, and reports whether it is complete: a long one
/// continues on another page.
///
/// A record of an older version has fewer than `N` columns, but at least `min_columns`.
fn parse_record<const N: usize>(
    bytes: &[u8],
    min_columns: usize,
    fits: fn(usize, u64) -> bool,
) -> Option<([ValueRef<'_>; N], bool)> {
    let header_length = usize::from(*bytes.first()?);
    if !(min_columns + 1..0x80).contains(&header_length) {
        return None;
    }
    let mut header = bytes.get(1..header_length)?;
    // Rejects nearly all positions at little cost.
    let mut kinds = [0_u64; N];
    for (at, kind) in kinds.iter_mut().enumerate() {
        if header.is_empty() && at >= min_columns {
            break;
        }
        *kind = read_varint(&mut header)?;
        if !fits(at, *kind) {
            return None;
        }
    }
    if !header.is_empty() {
        return None;
    }
    let mut values = bytes.get(header_length..)?;
    let mut cells = [ValueRef::Null; N];
    for (cell, kind) in cells.iter_mut().zip(kinds) {
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            text => usize::try_from((text - 12) / 2).ok()?,
        };
        let Some((value, rest)) = values.split_at_checked(length) else {
            return Some((cells, false));
        };
        values = rest;
        *cell = match kind {
            0 => ValueRef::Null,
            8 => ValueRef::Integer(0),
            9 => ValueRef::Integer(1),
            1..=6 => ValueRef::Integer(read_integer(value)),
            7 => ValueRef::Real(f64::from_bits(read_integer(value).cast_unsigned())),
            kind if is_text_type(kind) => ValueRef::Text(value),
            _ => ValueRef::Blob(value),
        };
    }
    Some((cells, true))
}

/// Reports whether a row without a valid checksum has an id, a plausible time, and a label that is
/// text.
fn looks_like_row(cells: &RowCells<'_>) -> bool {
    let is_recent = cells
        .get(ADDED_AT_COLUMN)
        .and_then(|at| at.as_i64().ok())
        .is_some_and(|at| PLAUSIBLE_TIMES_MS.contains(&at));
    let is_labelled = matches!(
        cells.get(LABEL_COLUMN),
        Some(ValueRef::Null | ValueRef::Text(_))
    );
    is_recent && is_labelled && rows::salvage_id_and_label(cells).is_some()
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for _ in 0..5 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads a signed big-endian integer.
fn read_integer(bytes: &[u8]) -> i64 {
    let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if is_negative { -1 } else { 0 };
    bytes
        .iter()
        .fold(start, |value, byte| value << 8 | i64::from(*byte))
}
