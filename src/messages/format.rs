//! Formats durations, times, sizes, ids and links for people. Widths are in terminal cells.

use std::{borrow::Cow, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

pub use crate::domain::time::format_age;
use crate::domain::{
    download::{DownloadProgress, TotalProgress, TransferProgress},
    id_extract::Skipped,
    status::{LinkExpiry, Urgency},
    time::Now,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Returns the width of a text in cells. Control characters count as zero: they are never drawn.
pub fn width(text: &str) -> usize {
    if is_printable_ascii(text) {
        return text.len();
    }
    visible_graphemes(text).map(|(_, width)| width).sum()
}

/// Reports whether each byte takes one cell.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// Returns the graphemes of a text without control characters, each with its width.
pub fn visible_graphemes(text: &str) -> impl DoubleEndedIterator<Item = (&str, usize)> {
    text.graphemes(true)
        .filter(|grapheme| !grapheme.contains(char::is_control))
        .map(|grapheme| (grapheme, cell_width(grapheme)))
}

/// Returns the width of a grapheme as ratatui counts it: terminals draw half-width katakana sound
/// marks in a cell of their own.
fn cell_width(grapheme: &str) -> usize {
    grapheme.width() + grapheme.matches(['\u{ff9e}', '\u{ff9f}']).count()
}

/// Truncates a text at its end to `max_width` cells, ellipsis included.
pub fn fit_end<'a>(text: &'a str, max_width: usize, ellipsis: &str) -> Cow<'a, str> {
    if text.len() <= max_width || width(text) <= max_width {
        return join_lines(text);
    }
    let mark = take_start(ellipsis, max_width);
    let mut cut = take_start(text, max_width.saturating_sub(width(&mark)));
    cut.truncate(cut.trim_end().len());
    cut.push_str(&mark);
    Cow::Owned(join_lines(&cut).into_owned())
}

/// Truncates a text in its middle to `max_width` cells: both ends of an id or a link are
/// significant.
pub fn fit_middle<'a>(text: &'a str, max_width: usize, ellipsis: &str) -> Cow<'a, str> {
    if width(text) <= max_width {
        return join_lines(text);
    }
    let mark = take_start(ellipsis, max_width);
    let room = max_width.saturating_sub(width(&mark));
    let mut cut = take_start(text, room.div_ceil(2));
    cut.push_str(&mark);
    cut.push_str(take_end(text, room / 2));
    Cow::Owned(cut)
}

/// Replaces line breaks by spaces: as control characters they would not be drawn.
fn join_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\n') {
        Cow::Owned(text.replace('\n', " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the longest prefix of at most `max_width` cells.
fn take_start(text: &str, max_width: usize) -> String {
    let mut room = max_width;
    visible_graphemes(text)
        .map_while(|(grapheme, width)| {
            room = room.checked_sub(width)?;
            Some(grapheme)
        })
        .collect()
}

/// Returns the longest suffix of at most `max_width` cells.
pub fn take_end(text: &str, max_width: usize) -> &str {
    let mut room = max_width;
    let bytes: usize = text
        .graphemes(true)
        .rev()
        .map_while(|grapheme| {
            room = room.checked_sub(width(grapheme))?;
            Some(grapheme.len())
        })
        .sum();
    text.get(text.len() - bytes..).unwrap_or_default()
}

/// Pads a text with spaces at its end to `to` cells.
pub fn pad_end(text: &str, to: usize) -> String {
    let spaces = to.saturating_sub(width(text));
    format!("{text}{:spaces$}", "")
}

/// Pads a text with spaces at its start to `to` cells.
pub fn pad_start(text: &str, to: usize) -> String {
    let spaces = to.saturating_sub(width(text));
    format!("{:spaces$}{text}", "")
}

/// Wraps a text into lines of at most `max_width` cells, between words where possible, and returns
/// at most `lines` of them. If the text is longer, the last line ends with `ellipsis`.
pub fn wrap(text: &str, max_width: usize, lines: usize, ellipsis: &str) -> Vec<String> {
    let mut wrapped = Vec::new();
    if max_width == 0 || lines == 0 {
        return wrapped;
    }
    for paragraph in text.split('\n') {
        wrap_paragraph(paragraph, max_width, lines, &mut wrapped);
        if wrapped.len() > lines {
            break;
        }
    }
    if wrapped.len() > lines {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.last_mut() {
            let mut cut = take_start(last.trim_end(), max_width.saturating_sub(width(ellipsis)));
            cut.push_str(ellipsis);
            *last = cut;
        }
    }
    wrapped
}

/// Appends the lines of a paragraph; stops after `lines` in total.
fn wrap_paragraph(text: &str, max_width: usize, lines: usize, wrapped: &mut Vec<String>) {
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if wrapped.len() > lines {
            return;
        }
        if !line.is_empty() {
            if width(&line) + 1 + width(word) <= max_width {
                line.push(' ');
                line.push_str(word);
                continue;
            }
            wrapped.push(std::mem::take(&mut line));
        }
        // A word that is longer than a line is broken.
        let mut parts = break_anywhere(word, max_width);
        line = parts.pop().unwrap_or_default();
        wrapped.append(&mut parts);
    }
    wrapped.push(line);
}

/// Breaks a text into lines of `max_width` cells at any character, for links.
pub fn break_anywhere(text: &str, max_width: usize) -> Vec<String> {
    // Most lines of a raw response, which has up to 64 KiB and is broken for each frame.
    if text.len() <= max_width && is_printable_ascii(text) {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    let mut used = 0;
    for (grapheme, width) in visible_graphemes(text).filter(|(_, width)| *width <= max_width) {
        if used + width > max_width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(grapheme);
        }
        used += width;
    }
    lines
}

/// Formats a run time: "42s", "5m09s", "1h02m", "2d 3h".
pub fn run_time(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..MINUTE => format!("{s}s"),
        MINUTE..HOUR => format!("{}m{:02}s", s / MINUTE, s % MINUTE),
        HOUR..DAY => format!("{}h{:02}m", s / HOUR, s % HOUR / MINUTE),
        DAY.. => format!("{}d {}h", s / DAY, s % DAY / HOUR),
    }
}

/// Formats an age, less exactly the older it is: "just now", "3m08s ago", "22m ago", "12d ago".
pub fn ago(age: Duration) -> String {
    let text = match age.as_secs() {
        0 => return "just now".to_owned(),
        HOUR..DAY | 1..600 => run_time(age),
        600..HOUR | DAY.. => format_age(age),
    };
    format!("{text} ago")
}

/// Formats an estimated wait, rounded so as not to change every second: "~40s", "~2m", "~1h".
pub fn rough_wait(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..50 => format!("~{}s", (s / 10 + 1) * 10),
        50..HOUR => format!("~{}m", (s + MINUTE / 2) / MINUTE),
        HOUR.. => format!("~{}h", (s / HOUR).min(999)),
    }
}

/// Formats a countdown: "now", "4s", "2m", "15m".
pub fn countdown(time: Duration) -> String {
    match time.as_millis().div_ceil(1000) {
        0 => "now".into(),
        s @ 1..=90 => format!("{s}s"),
        s => format!("{}m", s.div_ceil(60).min(9999)),
    }
}

/// Formats the remaining life of a link: "13d 23h", "1d 4h !", "19h !!", "saved", "expired", "-".
pub fn link_expiry(expiry: LinkExpiry) -> Cow<'static, str> {
    let left = match expiry {
        LinkExpiry::None => return "-".into(),
        LinkExpiry::Unknown => return "?".into(),
        LinkExpiry::Saved => return "saved".into(),
        LinkExpiry::Expired => return "expired".into(),
        LinkExpiry::Remaining(left) => left,
    };
    let mark = match expiry.urgency() {
        Urgency::VerySoon => " !!",
        Urgency::Soon => " !",
        Urgency::None => "",
    };
    let s = left.as_secs();
    let text = match s {
        0..HOUR => format!("{}m{mark}", s / MINUTE),
        HOUR..DAY => format!("{}h{mark}", s / HOUR),
        DAY.. if s / DAY < 100 => format!("{}d {}h{mark}", s / DAY, s % DAY / HOUR),
        DAY.. => format!("{}d", s / DAY),
    };
    text.into()
}

/// Formats a size in decimal units: "512 B", "8.4 MB", "1.2 GB".
pub fn byte_size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        1_000_000_000.. => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

/// Formats the progress of a file: "42%, 12.3 MB of 29.1 MB, 3.1 MB/s, 5s left".
pub fn transfer_progress(progress: TransferProgress) -> String {
    let size = match progress.total {
        Some(total) => format!("{} of {}", byte_size(progress.bytes), byte_size(total)),
        None => byte_size(progress.bytes),
    };
    let [percent, rate, left] = progress_parts(progress);
    let parts = [percent, Some(size), rate, left];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Formats the progress of all files in parts, the most important first: "2 of 5 files saved",
/// "43%", "3.1 MB/s", "12s left".
pub fn total_progress(all: &TotalProgress) -> Vec<String> {
    let files = format!("{} of {} files saved", all.files_done, all.files);
    let parts = progress_parts(all.progress).into_iter().flatten();
    std::iter::once(files).chain(parts).collect()
}

/// Returns the percentage, the rate and the remaining time, if they are known.
fn progress_parts(progress: TransferProgress) -> [Option<String>; 3] {
    [
        progress.percent().map(|percent| format!("{percent}%")),
        (progress.rate > 0).then(|| format!("{}/s", byte_size(progress.rate))),
        progress
            .remaining()
            .map(|left| format!("{} left", countdown(left))),
    ]
}

/// Formats the progress of all files of a task.
pub fn download_progress(download: &DownloadProgress) -> String {
    if download.waiting == download.files {
        return "queued".into();
    }
    let files = match download.files {
        1 => String::new(),
        files => format!(", {files} files"),
    };
    format!("{}{files}", transfer_progress(download.progress))
}

/// Shortens an id that does not fit to its first and last eight characters.
pub fn short_id<'a>(id: &'a str, max_width: usize, ellipsis: &str) -> Cow<'a, str> {
    if width(id) <= max_width {
        return Cow::Borrowed(id);
    }
    fit_middle(id, max_width.min(16 + width(ellipsis)), ellipsis)
}

/// Shortens a link that does not fit to its file name: "…/1755074605154fqb0m8ge.mp4".
pub fn url_tail<'a>(url: &'a str, max_width: usize, ellipsis: &str) -> Cow<'a, str> {
    if width(url) <= max_width {
        return Cow::Borrowed(url);
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let tail = format!("{ellipsis}/{name}");
    if name.is_empty() || width(&tail) > max_width {
        let lead = format!("{ellipsis}/");
        let room = max_width.saturating_sub(width(&lead));
        let text = if name.is_empty() { path } else { name };
        return Cow::Owned(format!("{lead}{}", fit_middle(text, room, ellipsis)));
    }
    Cow::Owned(tail)
}

pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

pub fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// Formats the time of day with seconds: "14:28:59".
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%H:%M:%S")
        .to_string()
}

/// Formats the time of day: "14:28".
pub fn clock_minutes(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone())
        .strftime("%H:%M")
        .to_string()
}

/// Formats a time, with the date unless it is today: "14:28:59", "12 Nov 14:28".
pub fn date_time(at: Timestamp, now: Now, zone: &TimeZone) -> String {
    format_date_time(at, now, zone, "%H:%M:%S")
}

/// Formats a time to the minute, with the date unless it is today: "14:28", "12 Nov 14:28".
pub fn date_time_minutes(at: Timestamp, now: Now, zone: &TimeZone) -> String {
    format_date_time(at, now, zone, "%H:%M")
}

fn format_date_time(at: Timestamp, now: Now, zone: &TimeZone, today: &str) -> String {
    let zoned = at.to_zoned_datetime(zone.clone());
    let day_of_now = now.wall.to_zoned_datetime(zone.clone());
    let form = if zoned.date() == day_of_now.date() {
        today
    } else if zoned.year() == day_of_now.year() {
        "%-d %b %H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    zoned.strftime(form).to_string()
}

/// Formats the counts of skipped values by kind: "2 secrets", "1 placeholder".
pub fn skipped_values(skipped: Skipped) -> Vec<String> {
    let kinds = [
        (skipped.secrets, "secret", "secrets"),
        (skipped.placeholders, "placeholder", "placeholders"),
        (skipped.foreign, "other id", "other ids"),
    ];
    kinds
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, several)| format!("{count} {}", if count == 1 { one } else { several }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds_duration(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn times_are_formatted() {
        let table = [
            (0, "0s", "0s", "~10s"),
            (42, "42s", "42s", "~50s"),
            (59, "59s", "59s", "~1m"),
            (60, "1m00s", "1m", "~1m"),
            (134, "2m14s", "2m", "~2m"),
            (309, "5m09s", "5m", "~5m"),
            (3_720, "1h02m", "1h", "~1h"),
            (97_200, "1d 3h", "1d", "~27h"),
            (86_400 * 12, "12d 0h", "12d", "~288h"),
        ];
        for (seconds, run, old, left) in table {
            assert_eq!(
                (
                    run_time(seconds_duration(seconds)),
                    format_age(seconds_duration(seconds)),
                    rough_wait(seconds_duration(seconds))
                ),
                (run.into(), old.into(), left.into())
            );
        }
        assert_eq!(format_age(Duration::MAX), "999y");
        assert_eq!(
            [0, 188, 1_320, 3_720, 1_400_000].map(|seconds| ago(seconds_duration(seconds))),
            ["just now", "3m08s ago", "22m ago", "1h02m ago", "16d ago"]
        );
        assert_eq!(
            (
                countdown(seconds_duration(0)),
                countdown(seconds_duration(90)),
                countdown(seconds_duration(91))
            ),
            ("now".into(), "90s".into(), "2m".into())
        );
    }

    #[test]
    fn link_expiry_shows_two_warnings() {
        let left = |hours, minutes| {
            let left = seconds_duration(hours * HOUR + minutes * MINUTE);
            link_expiry(LinkExpiry::Remaining(left)).into_owned()
        };
        assert_eq!(left(335, 10), "13d 23h");
        assert_eq!(left(48, 0), "2d 0h");
        assert_eq!(left(28, 0), "1d 4h !");
        assert_eq!(left(19, 59), "19h !!");
        assert_eq!(left(0, 59), "59m !!");
        assert_eq!(link_expiry(LinkExpiry::Expired), "expired");
    }

    #[test]
    fn texts_are_truncated_by_cells() {
        assert_eq!(fit_end("neon city, rain", 15, "…"), "neon city, rain");
        assert_eq!(fit_end("neon city, rain", 12, "…"), "neon city,…");
        assert_eq!(fit_end("neon city, rain", 11, "…"), "neon city,…");
        assert_eq!(fit_end("雨の街を歩く", 7, "…"), "雨の街…");
        assert_eq!(fit_end("雨の街を歩く", 6, "…"), "雨の…");
        assert_eq!(fit_end("🚀🚀🚀", 5, ".."), "🚀..");
        assert_eq!(fit_end("abc", 0, "…"), "");
        assert_eq!(fit_end("a\nb", 9, "…"), "a b");
        assert_eq!(fit_middle("abcdefghij", 7, "…"), "abc…hij");
        assert_eq!(fit_middle("雨の街を歩く", 8, "…"), "雨の…く");
        for max_width in 0..14 {
            assert!(width(&fit_end("雨の街を歩く", max_width, "…")) <= max_width);
            assert!(width(&fit_middle("雨の街を歩く", max_width, "…")) <= max_width);
        }
    }

    #[test]
    fn padding_counts_cells() {
        assert_eq!(pad_end("雨", 4), "雨  ");
        assert_eq!(pad_start("雨", 4), "  雨");
        assert_eq!(pad_end("long", 2), "long");
    }

    #[test]
    fn words_wrap_and_long_ones_break() {
        assert_eq!(
            wrap("one two  three\nfour", 8, 9, "…"),
            ["one two", "three", "four"]
        );
        assert_eq!(wrap("abcdefgh ij", 3, 9, "…"), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("one two three", 5, 2, "…"), ["one", "two…"]);
        assert_eq!(wrap("雨の街", 3, 9, "…"), ["雨", "の", "街"]);
        assert_eq!(wrap("雨", 1, 9, "…"), [""]);
        assert_eq!(wrap("", 5, 9, "…"), [""]);
        assert_eq!(break_anywhere("abcdef", 4), ["abcd", "ef"]);
    }

    #[test]
    fn shortened_ids_and_links_keep_their_key_parts() {
        let id = "774d9a7dd608a0e49293903095e45a4c";
        assert_eq!(short_id(id, 32, "…"), id);
        assert_eq!(short_id(id, 31, "…"), "774d9a7d…95e45a4c");
        let url = "https://tempfile.example/path/1755074605154fqb0m8ge.mp4?x=1";
        assert_eq!(url_tail(url, 27, "…"), "…/1755074605154fqb0m8ge.mp4");
        assert_eq!(url_tail(url, 23, "…"), "…/1755074605…b0m8ge.mp4");
        assert_eq!(url_tail(url, 99, "…"), url);
    }

    #[test]
    fn times_on_other_days_show_the_date() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = Now {
            wall: at("2026-05-04T14:32:07Z"),
            mono: crate::domain::time::Mono::default(),
        };
        let zone = TimeZone::UTC;
        assert_eq!(
            date_time(at("2026-05-04T01:02:03Z"), now, &zone),
            "01:02:03"
        );
        assert_eq!(
            date_time(at("2026-05-03T23:59:59Z"), now, &zone),
            "3 May 23:59"
        );
        assert_eq!(
            date_time(at("2025-05-03T23:59:59Z"), now, &zone),
            "2025-05-03 23:59"
        );
        assert_eq!(byte_size(8_449_000), "8.4 MB");
    }
}
