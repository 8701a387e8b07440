//! Names of downloaded files: safe on every file system, never taken from a server.

use crate::domain::download::DownloadRequest;

/// The longest stem, in bytes. With number, tag and extension a name stays below 200.
const MAX_STEM_LEN: usize = 150;

/// The most bytes of the title in a name.
const MAX_TITLE_LEN: usize = 80;

/// The most bytes of the id in a name.
const MAX_ID_LEN: usize = 16;

/// Returns a file's name without extension: title, start of the id, and a number if the task has
/// several results.
///
/// Contains only ASCII letters, digits, `.`, `-` and `_`. Never empty, never starts with a dot or a
/// hyphen, and is never a device name.
pub(super) fn file_stem(request: &DownloadRequest) -> String {
    let title = request.title.as_ref().map_or("", |title| title.as_str());
    let mut parts = vec![
        sanitize(title, MAX_TITLE_LEN),
        sanitize(request.task.as_str(), MAX_ID_LEN),
    ];
    if request.result_count > 1 {
        parts.push(request.number.to_string());
    }
    parts.retain(|part| !part.is_empty());
    let mut stem = parts.join("-");
    stem.truncate(MAX_STEM_LEN);
    let stem = stem.trim_matches(['.', '-', '_']);
    if stem.is_empty() || is_windows_device(stem) {
        return format!("video-{stem}").trim_end_matches('-').to_owned();
    }
    stem.to_owned()
}

/// Keeps the letters and digits of a text and replaces other characters by single hyphens.
fn sanitize(text: &str, max_len: usize) -> String {
    let mut clean = String::new();
    for c in text.chars() {
        if clean.len() >= max_len {
            break;
        }
        match c {
            c if c.is_ascii_alphanumeric() => clean.push(c),
            '_' | '.' if !clean.is_empty() && !clean.ends_with(['.', '-', '_']) => clean.push(c),
            '\'' | '’' => {}
            _ if !clean.is_empty() && !clean.ends_with(['.', '-', '_']) => clean.push('-'),
            _ => {}
        }
    }
    clean.trim_end_matches(['.', '-', '_']).to_owned()
}

/// Reports whether the name is a Windows device, with any extension.
fn is_windows_device(stem: &str) -> bool {
    let first = stem
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    let is_numbered = |name: &str| {
        first
            .strip_prefix(name)
            .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(first.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CLOCK$")
        || is_numbered("COM")
        || is_numbered("LPT")
}

/// Returns eight hexadecimal digits that identify a result in the name of its partial file; the
/// same in every run.
pub(super) fn file_tag(request: &DownloadRequest) -> String {
    let number = request.number as u64;
    let sum = hash(&[request.task.as_str().as_bytes(), &number.to_be_bytes()]);
    format!("{:08x}", (sum >> 32) ^ (sum & 0xffff_ffff))
}

/// Hashes byte strings; the same in every run and on every machine. Not cryptographic.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    let step = |sum, part: &&[u8]| extend_hash(extend_hash(sum, part), &[0]);
    parts.iter().fold(EMPTY_HASH, step)
}

/// The hash of no bytes.
pub(super) const EMPTY_HASH: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues a hash (FNV-1a) with more bytes.
pub(super) fn extend_hash(sum: u64, bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(sum, step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{link::VideoUrl, task::TaskId, text::CleanText};

    fn request(title: &str, id: &str, number: usize, result_count: usize) -> DownloadRequest {
        DownloadRequest {
            task: TaskId::parse(id).unwrap(),
            number,
            result_count,
            url: VideoUrl::parse("https://ex.com/../../etc/passwd%00.sh").unwrap(),
            folder: "/tmp".into(),
            title: Some(CleanText::line(title, 256)).filter(|title| !title.is_empty()),
        }
    }

    #[test]
    fn file_names_are_plain_words() {
        let id = "774d9a7dd608a0e49293903095e45a4c";
        let table = [
            ("campaign-07", id, 1, "campaign-07-774d9a7dd608a0e4"),
            (
                "Neon city: rain, slow pan!",
                id,
                1,
                "Neon-city-rain-slow-pan-774d9a7dd608a0e4",
            ),
            ("../../etc/passwd", id, 1, "etc-passwd-774d9a7dd608a0e4"),
            ("日落-赛博", id, 1, "774d9a7dd608a0e4"),
            ("", id, 2, "774d9a7dd608a0e4-2"),
            (".hidden", "con", 1, "hidden-con"),
            ("", "con", 1, "video-con"),
            ("", "COM1.x", 1, "video-COM1.x"),
            ("nul", "日", 1, "video-nul"),
            ("-rf", "日", 1, "rf"),
            ("日", "日", 1, "video"),
            ("a\u{202e}b", "x", 1, "a-U-202E-b-x"),
        ];
        for (title, id, number, expected) in table {
            assert_eq!(
                file_stem(&request(title, id, number, number)),
                expected,
                "{title} {id}"
            );
        }
        let long = "word ".repeat(100);
        assert!(file_stem(&request(&long, &"x".repeat(200), 31, 32)).len() <= MAX_STEM_LEN);
    }

    #[test]
    fn name_suffixes_are_unique_and_stable() {
        let one = file_tag(&request("a", "774d", 1, 2));

        assert_eq!(one, file_tag(&request("another name", "774d", 1, 1)));
        assert_ne!(one, file_tag(&request("a", "774d", 2, 2)));
        assert_eq!((one.len(), one.as_str()), (8, "6adf5689"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn file_names_are_always_safe(title in any::<String>(), id in "[!-~]{1,200}", number in 1_usize..40) {
            let stem = file_stem(&request(&title, &id, number, 40));

            prop_assert!(!stem.is_empty() && stem.len() <= MAX_STEM_LEN + 6);
            prop_assert!(stem.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')), "{stem}");
            prop_assert!(!stem.starts_with(['.', '-']) && !stem.ends_with('.') && !stem.contains(".."), "{stem}");
            prop_assert!(!is_windows_device(&stem), "{stem}");
        }
    }
}
