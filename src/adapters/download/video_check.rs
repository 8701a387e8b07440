//! Check that a file is a complete video, by its own structure: a server's names and headers prove
//! nothing.
//!
//! An MP4 or MOV file is a sequence of boxes with their lengths; if it is truncated, the last box
//! extends beyond its end.

use std::io::{self, Read, Seek, SeekFrom};

use crate::domain::{download::DownloadError, text::CleanText};

/// The bytes inspected before any are kept.
pub(super) const HEAD_LEN: usize = 256;

/// The fewest bytes that identify a format.
pub(super) const MIN_SNIFF_LEN: usize = 12;

/// The most quoted from a file that is not a video, in bytes.
const MAX_EXCERPT_LEN: usize = 200;

/// The most top-level boxes: a fragmented video has two for each fragment.
const MAX_BOXES: usize = 100_000;

/// First boxes of a MOV file without `ftyp`.
const LEGACY_FIRST_BOXES: [&[u8]; 6] = [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"];

/// The shortest box, in bytes. Fewer bytes at the end are padding, which players ignore.
const MIN_BOX_LEN: u64 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VideoFormat {
    Mp4,
    Mov,
    Webm,
}

impl VideoFormat {
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Webm => "webm",
        }
    }
}

/// Whether the transfer knows that it received all bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LengthCertainty {
    /// The server sent the length or an end marker.
    Known,
    /// The connection was closed, which may have truncated the file.
    Unknown,
}

/// Detects the format from the first bytes of a file.
pub(super) fn sniff_format(head: &[u8]) -> Result<VideoFormat, DownloadError> {
    let not_a_video = |start: &str| {
        let start = CleanText::line(start, 2 * MAX_EXCERPT_LEN);
        Err(DownloadError::NotAVideo(start))
    };
    // An MP4 file starts with the length of its first box.
    let box_name = head.get(4..).unwrap_or_default();
    let is_compressed = |magic: &[u8]| head.starts_with(magic);
    if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        Ok(VideoFormat::Webm)
    } else if is_compressed(&[0x1f, 0x8b]) || is_compressed(&[0x28, 0xb5, 0x2f, 0xfd]) {
        not_a_video("(compressed data)")
    } else if head.starts_with(&[0]) && box_name.starts_with(b"ftyp") {
        let is_quicktime = box_name.starts_with(b"ftypqt  ");
        Ok(if is_quicktime {
            VideoFormat::Mov
        } else {
            VideoFormat::Mp4
        })
    } else if LEGACY_FIRST_BOXES
        .iter()
        .any(|name| box_name.starts_with(name))
    {
        Ok(VideoFormat::Mov)
    } else {
        let start = head.get(..MAX_EXCERPT_LEN).unwrap_or(head);
        match String::from_utf8_lossy(start).trim() {
            "" => not_a_video("(empty)"),
            start => not_a_video(start),
        }
    }
}

/// Verifies that a file is a complete video, and returns its format.
pub(super) fn verify(
    file: &mut (impl Read + Seek),
    length: LengthCertainty,
) -> Result<VideoFormat, DownloadError> {
    let end = file.seek(SeekFrom::End(0)).map_err(read_error)?;
    let mut head = [0; HEAD_LEN];
    let read = read_at(file, 0, &mut head).map_err(read_error)?;
    let format = sniff_format(head.get(..read).unwrap_or_default())?;
    match format {
        VideoFormat::Mp4 | VideoFormat::Mov => check_mp4_boxes(file, end, length)?,
        VideoFormat::Webm => check_webm_segment(file, end, length)?,
    }
    Ok(format)
}

/// Checks the boxes: they must fill the file, except padding, and include `moov` and `mdat`.
fn check_mp4_boxes(
    file: &mut (impl Read + Seek),
    end: u64,
    length: LengthCertainty,
) -> Result<(), DownloadError> {
    let (mut at, mut count) = (0, 0);
    let (mut has_index, mut has_media) = (false, false);
    while at < end {
        let mut head = [0; 16];
        let read = read_at(file, at, &mut head).map_err(read_error)?;
        let [s0, s1, s2, s3, n0, n1, n2, n3, long @ ..] = head;
        if end - at < MIN_BOX_LEN || [s0, s1, s2, s3, n0, n1, n2, n3] == [0; 8] {
            break;
        }
        let (size, min_size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
            // Size 0 means up to the end of the file.
            0 if length == LengthCertainty::Known => (end - at, 8),
            0 => return incomplete("unknown length"),
            1 if read < 16 => return incomplete("it ends within a box header"),
            1 => (u64::from_be_bytes(long), 16),
            size => (u64::from(size), 8),
        };
        if size < min_size {
            return incomplete("a box has an invalid length");
        }
        match &[n0, n1, n2, n3] {
            b"moov" => has_index = true,
            b"mdat" => has_media = true,
            // A fragmented video is valid after each fragment: only the server's length can show
            // that one is missing.
            b"moof" if length == LengthCertainty::Unknown => {
                return incomplete("it is fragmented, and the server sent no length");
            }
            _ => {}
        }
        at = at
            .checked_add(size)
            .filter(|next| *next <= end)
            .unwrap_or(0);
        count += 1;
        if at == 0 {
            return incomplete("a box extends past the end");
        }
        if count > MAX_BOXES {
            return incomplete("too many boxes");
        }
    }
    match (has_index, has_media) {
        (true, true) => Ok(()),
        (false, _) => incomplete("no index (moov)"),
        (_, false) => incomplete("no media (mdat)"),
    }
}

/// Checks the two elements of a `webm` file: a header, and a segment up to the end or padding.
fn check_webm_segment(
    file: &mut (impl Read + Seek),
    end: u64,
    length: LengthCertainty,
) -> Result<(), DownloadError> {
    let mut at = 4;
    let (header_len, _) = read_element_size(file, &mut at)?;
    at = at.saturating_add(header_len.unwrap_or(u64::MAX));
    let mut id = [0; 4];
    let read = read_at(file, at, &mut id).map_err(read_error)?;
    if read < 4 || id != [0x18, 0x53, 0x80, 0x67] {
        return incomplete("no segment");
    }
    at += 4;
    match read_element_size(file, &mut at)? {
        (Some(size), at)
            if end
                .checked_sub(size.saturating_add(at))
                .is_some_and(|rest| rest < MIN_BOX_LEN) =>
        {
            Ok(())
        }
        (Some(_), _) => incomplete("the segment does not end with the file"),
        // A recording whose length was never written.
        (None, at) if length == LengthCertainty::Known && at < end => Ok(()),
        (None, _) => incomplete("unknown length"),
    }
}

/// Reads an element's size (`None` if it is unknown) and moves `at` behind it; returns both.
fn read_element_size(
    file: &mut (impl Read + Seek),
    at: &mut u64,
) -> Result<(Option<u64>, u64), DownloadError> {
    let mut bytes = [0; 8];
    let read = read_at(file, *at, &mut bytes).map_err(read_error)?;
    let [first, rest @ ..] = bytes;
    let more = usize::try_from(first.leading_zeros()).unwrap_or(8);
    if more > 7 || read < more + 1 {
        return incomplete("it ends within an element header");
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

fn incomplete<T>(reason: &str) -> Result<T, DownloadError> {
    Err(DownloadError::Incomplete(CleanText::line(reason, 200)))
}

#[expect(clippy::needless_pass_by_value, reason = "used with `map_err`")]
fn read_error(error: io::Error) -> DownloadError {
    DownloadError::FolderUnwritable(CleanText::line(
        &format!("the downloaded file cannot be read: {error}"),
        300,
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const VIDEO: &[u8] = include_bytes!("../../../assets/demo/ball-result.mp4");

    fn mp4_box(name: [u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], &name, content].concat()
    }

    fn verify_bytes(bytes: &[u8], length: LengthCertainty) -> Result<VideoFormat, DownloadError> {
        verify(&mut Cursor::new(bytes), length)
    }

    #[test]
    fn a_truncated_mp4_is_incomplete() {
        assert_eq!(
            verify_bytes(VIDEO, LengthCertainty::Unknown),
            Ok(VideoFormat::Mp4)
        );
        for end in 0..VIDEO.len() {
            let cut = verify_bytes(&VIDEO[..end], LengthCertainty::Unknown);
            assert!(cut.is_err(), "{end} of {}", VIDEO.len());
        }
    }

    #[test]
    fn non_video_bodies_are_quoted() {
        for (bytes, start) in [
            (&b"<!DOCTYPE html><h1>Not Found</h1>"[..], "<!DOCTYPE html>"),
            (b"{\"code\":404}", "{\"code\":404}"),
            (b"", "(empty)"),
            (b"#EXTM3U\nhttp://10.0.0.1/x", "#EXTM3U"),
            (b"\x89PNG\r\n\x1a\n", "PNG"),
        ] {
            let Err(DownloadError::NotAVideo(text)) = sniff_format(bytes) else {
                panic!("{start} was accepted as a video");
            };
            assert!(text.as_str().contains(start), "{text}");
            assert!(text.as_str().len() <= 2 * MAX_EXCERPT_LEN);
        }
    }

    #[test]
    fn mp4_boxes_are_validated() {
        let (ftyp, moov, mdat) = (
            mp4_box(*b"ftyp", b"isom"),
            mp4_box(*b"moov", b"x"),
            mp4_box(*b"mdat", b"y"),
        );
        let check = |parts: &[&[u8]]| verify_bytes(&parts.concat(), LengthCertainty::Known);
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

        assert_eq!(check(&[&ftyp, &moov, &mdat]), Ok(VideoFormat::Mp4));
        assert_eq!(
            check(&[&mp4_box(*b"ftyp", b"qt  "), &moov, &mdat]),
            Ok(VideoFormat::Mov)
        );
        assert_eq!(check(&[&ftyp, &moov, &long]), Ok(VideoFormat::Mp4));
        assert_eq!(check(&[&ftyp, &moov, &open]), Ok(VideoFormat::Mp4));
        for broken in [
            check(&[&ftyp, &moov]),
            check(&[&ftyp, &mdat]),
            check(&[&ftyp, &moov, &huge]),
            check(&[&ftyp, &moov, &tiny]),
            check(&[&ftyp, &moov, &mdat, b"\0\0\0\x09free"]),
            check(&[&ftyp, &moov, &mdat, b"\n\n\n\n\n\n\n\n"]),
            check(&[&ftyp, &moov, b"\n"]),
            check(&[&ftyp, &mdat, &[0; 64]]),
            verify_bytes(
                &[&ftyp[..], &moov, &open].concat(),
                LengthCertainty::Unknown,
            ),
            verify_bytes(
                &[&ftyp[..], &moov, &mp4_box(*b"moof", b""), &mdat].concat(),
                LengthCertainty::Unknown,
            ),
        ] {
            assert!(broken.is_err(), "{broken:?}");
        }
    }

    #[test]
    fn padding_after_the_last_box_is_allowed() {
        let check = |parts: &[&[u8]], length| verify_bytes(&parts.concat(), length);
        for length in [LengthCertainty::Known, LengthCertainty::Unknown] {
            for padding in [&b"\n"[..], b"\r\n", b"tail", &[0; 7], &[0; 8], &[0; 100]] {
                assert_eq!(
                    check(&[VIDEO, padding], length),
                    Ok(VideoFormat::Mp4),
                    "{padding:?}"
                );
            }
        }
        let free = mp4_box(*b"free", &[0; 30]);
        assert_eq!(
            check(&[VIDEO, &free, b"\0"], LengthCertainty::Known),
            Ok(VideoFormat::Mp4)
        );
    }

    #[test]
    fn quicktime_needs_no_ftyp() {
        let (moov, mdat) = (mp4_box(*b"moov", b"x"), mp4_box(*b"mdat", b"y"));
        let (wide, uuid) = (mp4_box(*b"wide", b""), mp4_box(*b"uuid", &[7; 20]));
        let large = [&17_000_000_u32.to_be_bytes()[..], b"mdat"].concat();

        for parts in [
            [&wide, &mdat, &moov],
            [&moov, &mdat, &uuid],
            [&mdat, &uuid, &moov],
        ] {
            let video = parts.map(Vec::as_slice).concat();
            assert_eq!(
                verify_bytes(&video, LengthCertainty::Known),
                Ok(VideoFormat::Mov)
            );
            let cut = verify_bytes(&video[..video.len() - 1], LengthCertainty::Known);
            assert!(cut.is_err(), "{cut:?}");
        }
        assert_eq!(sniff_format(&large), Ok(VideoFormat::Mov));
    }

    #[test]
    fn webm_length_is_that_of_its_segment() {
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x81, 0x00];
        let segment = |size: &[u8]| [&head[..], &[0x18, 0x53, 0x80, 0x67], size, b"abc"].concat();

        for (size, length, is_complete) in [
            (&[0x83][..], LengthCertainty::Unknown, true),
            (&[0x01, 0, 0, 0, 0, 0, 0, 3], LengthCertainty::Unknown, true),
            (&[0x84], LengthCertainty::Known, false),
            (&[0x82], LengthCertainty::Known, true),
            (&[0xff], LengthCertainty::Known, true),
            (&[0xff], LengthCertainty::Unknown, false),
            (
                &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                LengthCertainty::Known,
                true,
            ),
            (&[0x00], LengthCertainty::Known, false),
        ] {
            let result = verify_bytes(&segment(size), length);
            assert_eq!(
                result == Ok(VideoFormat::Webm),
                is_complete,
                "{size:?} {result:?}"
            );
        }
        assert!(verify_bytes(&head, LengthCertainty::Known).is_err());
    }
}
