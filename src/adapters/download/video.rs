//! Is it a video, and all of it? Told from the file's own structure: names and headers of a server prove nothing.
//!
//! An MP4 or MOV is a row of boxes that each tell their length; cut anywhere, the last one reaches beyond the end.
//! Pure but for reading the file.

use std::io::{self, Read, Seek, SeekFrom};

use crate::domain::{save::SaveError, text::CleanText};

/// How much of a file is looked at before any of it is kept.
pub(super) const HEAD: usize = 256;

/// From how many bytes on a beginning tells what it is the beginning of.
pub(super) const TELLING: usize = 12;

/// How much of what is no video is shown, in bytes.
const SHOWN: usize = 200;

/// The most boxes on the top level: a fragmented film has two for each fragment.
const MOST_BOXES: usize = 100_000;

/// Boxes that a MOV file without `ftyp` may begin with.
const LEGACY_FIRST_BOXES: [&[u8]; 6] = [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"];

/// The shortest box, in bytes. Fewer bytes at the end are padding, as in players.
const MIN_BOX_LEN: u64 = 8;

/// Is a kind of video file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Mp4,
    Mov,
    Webm,
}

impl Kind {
    /// Returns the ending of its name.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Webm => "webm",
        }
    }
}

/// Tells how sure the transfer is that nothing is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// The server told the length, or marked the end.
    Told,
    /// The connection's end was the only sign, so it may have been cut.
    Untold,
}

/// Judges by its beginning whether it can be a video at all.
///
/// MOV files older than `ftyp` begin with another box.
pub(super) fn kind(head: &[u8]) -> Result<Kind, SaveError> {
    match head {
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Ok(Kind::Webm),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Err(SaveError::NotAVideo(
            CleanText::line("(a compressed answer)", SHOWN),
        )),
        [
            0,
            _,
            _,
            _,
            b'f',
            b't',
            b'y',
            b'p',
            b'q',
            b't',
            b' ',
            b' ',
            ..,
        ] => Ok(Kind::Mov),
        [0, _, _, _, b'f', b't', b'y', b'p', ..] => Ok(Kind::Mp4),
        [_, _, _, _, name @ ..]
            if LEGACY_FIRST_BOXES
                .iter()
                .any(|start| name.starts_with(start)) =>
        {
            Ok(Kind::Mov)
        }
        other => {
            let start = other.get(..SHOWN).unwrap_or(other);
            let start = String::from_utf8_lossy(start);
            let start = if start.trim().is_empty() {
                "(nothing)"
            } else {
                start.as_ref()
            };
            Err(SaveError::NotAVideo(CleanText::line(start, 2 * SHOWN)))
        }
    }
}

/// Verifies that a file is a whole video, and says of which kind.
pub(super) fn verify(file: &mut (impl Read + Seek), length: Length) -> Result<Kind, SaveError> {
    let end = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
    let mut head = [0; HEAD];
    let read = read_at(file, 0, &mut head).map_err(unreadable)?;
    let kind = kind(head.get(..read).unwrap_or_default())?;
    match kind {
        Kind::Mp4 | Kind::Mov => walk(file, end, length)?,
        Kind::Webm => walk_webm(file, end, length)?,
    }
    Ok(kind)
}

/// Walks the boxes: they must fill the file up to padding, with `moov` and `mdat` among them.
fn walk(file: &mut (impl Read + Seek), end: u64, length: Length) -> Result<(), SaveError> {
    let (mut at, mut count) = (0, 0);
    let (mut has_index, mut has_media) = (false, false);
    while at < end {
        let mut head = [0; 16];
        let read = read_at(file, at, &mut head).map_err(unreadable)?;
        let [s0, s1, s2, s3, n0, n1, n2, n3, long @ ..] = head;
        if end - at < MIN_BOX_LEN || [s0, s1, s2, s3, n0, n1, n2, n3] == [0; 8] {
            break;
        }
        let (size, least) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            // To the end of the file, wherever that is.
            0 if length == Length::Told => (end - at, 8),
            0 => return not_whole("neither it nor the server tells its length"),
            1 if read < 16 => return not_whole("it ends within a box's head"),
            1 => (u64::from_be_bytes(long), 16),
            size => (u64::from(size), 8),
        };
        if size < least {
            return not_whole("a box of it has an impossible length");
        }
        match &[n0, n1, n2, n3] {
            b"moov" => has_index = true,
            b"mdat" => has_media = true,
            // A film in fragments is valid at the end of each: only the server knows whether one is missing.
            b"moof" if length == Length::Untold => {
                return not_whole("it is in fragments, and the server did not tell its length");
            }
            _ => {}
        }
        at = at
            .checked_add(size)
            .filter(|next| *next <= end)
            .unwrap_or(0);
        count += 1;
        if at == 0 {
            return not_whole("a box of it reaches beyond its end");
        }
        if count > MOST_BOXES {
            return not_whole("it has too many boxes");
        }
    }
    match (has_index, has_media) {
        (true, true) => Ok(()),
        (false, _) => not_whole("it has no index (moov)"),
        (_, false) => not_whole("it has no media (mdat)"),
    }
}

/// Checks the two elements of a webm: a head, and a segment that reaches the end, up to padding.
fn walk_webm(file: &mut (impl Read + Seek), end: u64, length: Length) -> Result<(), SaveError> {
    let mut at = 4;
    let (head, _) = size_of(file, &mut at)?;
    at = at.saturating_add(head.unwrap_or(u64::MAX));
    let mut mark = [0; 4];
    let read = read_at(file, at, &mut mark).map_err(unreadable)?;
    if read < 4 || mark != [0x18, 0x53, 0x80, 0x67] {
        return not_whole("it has no segment");
    }
    at += 4;
    match size_of(file, &mut at)? {
        (Some(size), at)
            if end
                .checked_sub(size.saturating_add(at))
                .is_some_and(|rest| rest < MIN_BOX_LEN) =>
        {
            Ok(())
        }
        (Some(_), _) => not_whole("its segment ends elsewhere than the file"),
        // A recording whose length was never filled in.
        (None, at) if length == Length::Told && at < end => Ok(()),
        (None, _) => not_whole("neither it nor the server tells its length"),
    }
}

/// Reads an element's size and steps over it; none when it is not known.
fn size_of(file: &mut (impl Read + Seek), at: &mut u64) -> Result<(Option<u64>, u64), SaveError> {
    let mut bytes = [0; 8];
    let read = read_at(file, *at, &mut bytes).map_err(unreadable)?;
    let [first, rest @ ..] = bytes;
    let more = usize::try_from(first.leading_zeros()).unwrap_or(8);
    if more > 7 || read < more + 1 {
        return not_whole("it ends within an element's head");
    }
    let value_bits = 0xff_u8
        .checked_shr(u32::try_from(more + 1).unwrap_or(8))
        .unwrap_or(0);
    let mut size = u64::from(first & value_bits);
    let mut is_unknown = first & value_bits == value_bits;
    for byte in rest.iter().take(more) {
        size = size << 8 | u64::from(*byte);
        is_unknown &= *byte == 0xff;
    }
    *at += more as u64 + 1;
    Ok(((!is_unknown).then_some(size), *at))
}

fn read_at(file: &mut (impl Read + Seek), at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn not_whole<T>(what: &str) -> Result<T, SaveError> {
    Err(SaveError::NotWhole(CleanText::line(what, 200)))
}

#[expect(clippy::needless_pass_by_value, reason = "a mapping function")]
fn unreadable(error: io::Error) -> SaveError {
    SaveError::Folder(CleanText::line(
        &format!("what came cannot be read back: {error}"),
        300,
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const FILM: &[u8] = include_bytes!("../../../assets/demo/ball-result.mp4");

    fn boxed(name: [u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], &name, content].concat()
    }

    fn verified(bytes: &[u8], length: Length) -> Result<Kind, SaveError> {
        verify(&mut Cursor::new(bytes), length)
    }

    #[test]
    fn a_film_cut_anywhere_is_not_whole() {
        assert_eq!(verified(FILM, Length::Untold), Ok(Kind::Mp4));
        for end in 0..FILM.len() {
            let cut = verified(&FILM[..end], Length::Untold);
            assert!(cut.is_err(), "{end} of {}", FILM.len());
        }
    }

    #[test]
    fn what_is_no_film_is_quoted() {
        for (bytes, start) in [
            (&b"<!DOCTYPE html><h1>Not Found</h1>"[..], "<!DOCTYPE html>"),
            (b"{\"code\":404}", "{\"code\":404}"),
            (b"", "(nothing)"),
            (b"#EXTM3U\nhttp://10.0.0.1/x", "#EXTM3U"),
            (b"\x89PNG\r\n\x1a\n", "PNG"),
        ] {
            let Err(SaveError::NotAVideo(text)) = kind(bytes) else {
                panic!("{start} was taken for a video");
            };
            assert!(text.as_str().contains(start), "{text}");
            assert!(text.as_str().len() <= 2 * SHOWN);
        }
    }

    #[test]
    fn boxes_must_make_sense() {
        let (ftyp, moov, mdat) = (
            boxed(*b"ftyp", b"isom"),
            boxed(*b"moov", b"x"),
            boxed(*b"mdat", b"y"),
        );
        let film = |parts: &[&[u8]]| verified(&parts.concat(), Length::Told);
        let open = [&[0, 0, 0, 0][..], b"mdat", b"open end"].concat();
        let long = [&[0, 0, 0, 1][..], b"mdat", &17_u64.to_be_bytes()[..], b"z"].concat();
        let huge = [
            &[0, 0, 0, 1][..],
            b"mdat",
            &u64::MAX.to_be_bytes()[..],
            b"z",
        ]
        .concat();
        let tiny = [&[0, 0, 0, 7][..], b"mdat"].concat();

        assert_eq!(film(&[&ftyp, &moov, &mdat]), Ok(Kind::Mp4));
        assert_eq!(
            film(&[&boxed(*b"ftyp", b"qt  "), &moov, &mdat]),
            Ok(Kind::Mov)
        );
        assert_eq!(film(&[&ftyp, &moov, &long]), Ok(Kind::Mp4));
        assert_eq!(film(&[&ftyp, &moov, &open]), Ok(Kind::Mp4));
        for broken in [
            film(&[&ftyp, &moov]),
            film(&[&ftyp, &mdat]),
            film(&[&ftyp, &moov, &huge]),
            film(&[&ftyp, &moov, &tiny]),
            film(&[&ftyp, &moov, &mdat, b"\0\0\0\x09free"]),
            film(&[&ftyp, &moov, &mdat, b"\n\n\n\n\n\n\n\n"]),
            film(&[&ftyp, &moov, b"\n"]),
            film(&[&ftyp, &mdat, &[0; 64]]),
            verified(&[&ftyp[..], &moov, &open].concat(), Length::Untold),
            verified(
                &[&ftyp[..], &moov, &boxed(*b"moof", b""), &mdat].concat(),
                Length::Untold,
            ),
        ] {
            assert!(broken.is_err(), "{broken:?}");
        }
    }

    #[test]
    fn padding_behind_the_last_box_is_no_damage() {
        let film = |parts: &[&[u8]], length| verified(&parts.concat(), length);
        for length in [Length::Told, Length::Untold] {
            for padding in [&b"\n"[..], b"\r\n", b"tail", &[0; 7], &[0; 8], &[0; 100]] {
                assert_eq!(film(&[FILM, padding], length), Ok(Kind::Mp4), "{padding:?}");
            }
        }
        let free = boxed(*b"free", &[0; 30]);
        assert_eq!(film(&[FILM, &free, b"\0"], Length::Told), Ok(Kind::Mp4));
    }

    #[test]
    fn a_quicktime_film_needs_no_ftyp() {
        let (moov, mdat) = (boxed(*b"moov", b"x"), boxed(*b"mdat", b"y"));
        let (wide, uuid) = (boxed(*b"wide", b""), boxed(*b"uuid", &[7; 20]));
        let large = [&17_000_000_u32.to_be_bytes()[..], b"mdat"].concat();

        for parts in [
            [&wide, &mdat, &moov],
            [&moov, &mdat, &uuid],
            [&mdat, &uuid, &moov],
        ] {
            let film = parts.map(Vec::as_slice).concat();
            assert_eq!(verified(&film, Length::Told), Ok(Kind::Mov));
            let cut = verified(&film[..film.len() - 1], Length::Told);
            assert!(cut.is_err(), "{cut:?}");
        }
        assert_eq!(kind(&large), Ok(Kind::Mov));
    }

    #[test]
    fn a_webm_ends_where_its_segment_does() {
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x81, 0x00];
        let segment = |size: &[u8]| [&head[..], &[0x18, 0x53, 0x80, 0x67], size, b"abc"].concat();

        for (size, length, is_whole) in [
            (&[0x83][..], Length::Untold, true),
            (&[0x01, 0, 0, 0, 0, 0, 0, 3], Length::Untold, true),
            (&[0x84], Length::Told, false),
            (&[0x82], Length::Told, true),
            (&[0xff], Length::Told, true),
            (&[0xff], Length::Untold, false),
            (
                &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                Length::Told,
                true,
            ),
            (&[0x00], Length::Told, false),
        ] {
            let verdict = verified(&segment(size), length);
            assert_eq!(verdict == Ok(Kind::Webm), is_whole, "{size:?} {verdict:?}");
        }
        assert!(verified(&head, Length::Told).is_err());
    }
}
