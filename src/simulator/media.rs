//! The videos of the simulator: MP4 files in the binary, served whole or as byte ranges.
//!
//! Does not know tasks or when their videos exist. The results are recognisably made from their
//! input.
//!
//! # How the files were made
//!
//! With ffmpeg 5, into `assets/demo`, each 320x180, 15 fps, 4 s, H.264, index first. Every
//! command ends in `-an -c:v libx264 -preset veryslow -crf 30 -pix_fmt yuv420p -movflags +faststart
//! -map_metadata -1 -fflags +bitexact NAME`. The inputs are drawn by formula, `ffmpeg -f lavfi -i
//! color=s=320x180:r=15:d=4 -vf "format=gbrp,geq=r='…':g='…':b='…'"`:
//!
//! ```text
//! sea-input   r if(lt(hypot(X-160,Y-40-9*T),24),255,if(lt(Y,108),150+Y,40+30*sin(Y/3-6*T+X/40)))
//!             g if(lt(hypot(X-160,Y-40-9*T),24),220,if(lt(Y,108),90+Y,90+40*sin(Y/3-6*T+X/40)))
//!             b if(lt(hypot(X-160,Y-40-9*T),24),120,if(lt(Y,108),210-Y,150+30*sin(Y/3-6*T+X/40)))
//! ball-input  r if(lt(hypot(X-40-60*T,Y-130+90*abs(sin(3*T))),20),230,if(lt(Y,140),190,120))
//!             g if(lt(hypot(X-40-60*T,Y-130+90*abs(sin(3*T))),20),60,if(lt(Y,140),215,160))
//!             b if(lt(hypot(X-40-60*T,Y-130+90*abs(sin(3*T))),20),50,
//!               if(lt(Y,140),240,90+40*mod(floor(X/32)+floor(Y/20),2)))
//! city-input  r if(gt(Y,150-mod(floor((X+24*T)/40)*53,90)),
//!               50+80*lt(mod(X+24*T,10),5)*lt(mod(Y,14),6),110-Y/3)
//!             g if(gt(Y,150-mod(floor((X+24*T)/40)*53,90)),
//!               55+75*lt(mod(X+24*T,10),5)*lt(mod(Y,14),6),140-Y/3)
//!             b if(gt(Y,150-mod(floor((X+24*T)/40)*53,90)),70,190-Y/3)
//! lamp-input  with L = gt(500/(1+hypot(X-100-30*sin(T),Y-90-60*cos(T)))
//!                         +500/(1+hypot(X-200-40*cos(T),Y-90-50*sin(1.6*T))),17)
//!             r 40+200*L    g 70+Y/3+50*L    b 110+X/4
//! ```
//!
//! The results are filters over them, `ffmpeg -i INPUT -vf "…"`:
//!
//! ```text
//! sea-result   hue=h=250:s=1.8,eq=contrast=1.5:brightness=-0.15,elbg=l=7
//! sea-second   edgedetect=low=0.02:high=0.08,negate,colorchannelmixer=rr=1:gg=0.9:bb=0.75
//! ball-result  pixelize=w=10:h=10,hue=h=100:s=1.6,eq=contrast=1.4
//! city-result  edgedetect=mode=colormix:low=0.05:high=0.15,gblur=0.6,hue=h=70:s=5,
//!              eq=contrast=1.6:brightness=-0.35:saturation=2
//! lamp-result  edgedetect=low=0.03:high=0.1,dilation,dilation,
//!              colorchannelmixer=rr=1:gg=0.3:bb=1,gblur=1
//! ```

use std::ops::Range;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::rng::Rng;

/// The bytes of an MP4 file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mp4File(&'static [u8]);

impl std::fmt::Debug for Mp4File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mp4File({} bytes)", self.0.len())
    }
}

/// An input clip and the results made from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum DemoClip {
    /// A sun sinks over the sea. The only clip with a second result.
    #[default]
    Sea,
    /// A ball bounces across a floor.
    Ball,
    /// A skyline passes by.
    City,
    /// Two drops of wax circle in a lamp.
    Lamp,
}

impl DemoClip {
    pub(super) fn random(rng: &mut Rng) -> Self {
        match rng.index(4) {
            0 => Self::Sea,
            1 => Self::Ball,
            2 => Self::City,
            _ => Self::Lamp,
        }
    }

    pub(super) fn input(self) -> Mp4File {
        Mp4File(match self {
            Self::Sea => include_bytes!("../../assets/demo/sea-input.mp4"),
            Self::Ball => include_bytes!("../../assets/demo/ball-input.mp4"),
            Self::City => include_bytes!("../../assets/demo/city-input.mp4"),
            Self::Lamp => include_bytes!("../../assets/demo/lamp-input.mp4"),
        })
    }

    /// Returns the result with this number, from 0. Numbers past the last return the first.
    pub(super) fn result(self, number: usize) -> Mp4File {
        Mp4File(match (self, number) {
            (Self::Sea, 1) => include_bytes!("../../assets/demo/sea-second.mp4"),
            (Self::Sea, _) => include_bytes!("../../assets/demo/sea-result.mp4"),
            (Self::Ball, _) => include_bytes!("../../assets/demo/ball-result.mp4"),
            (Self::City, _) => include_bytes!("../../assets/demo/city-result.mp4"),
            (Self::Lamp, _) => include_bytes!("../../assets/demo/lamp-result.mp4"),
        })
    }
}

impl Mp4File {
    /// Returns a strong entity tag: the FNV-1a hash of the bytes.
    fn etag(self) -> String {
        let hash = self.0.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        });
        format!("\"{hash:016x}\"")
    }

    /// Responds to a GET with its `Range` and `If-Range` headers (RFC 9110, section 14).
    pub(super) fn respond(self, headers: &HeaderMap) -> Response {
        let tag = self.etag();
        let length = self.0.len();
        let text = |name| headers.get(name)?.to_str().ok();
        let is_current = text(header::IF_RANGE).is_none_or(|version| version == tag);
        let range = text(header::RANGE).filter(|_| is_current);
        let common = [
            (header::CONTENT_TYPE, "video/mp4".to_owned()),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::ETAG, tag),
        ];
        let Some(range) = range.and_then(|range| parse_range(range, length)) else {
            return (common, self.0).into_response();
        };
        let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) else {
            let content = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, common, content).into_response();
        };
        let content = format!("bytes {}-{last}/{length}", range.start);
        let content = [(header::CONTENT_RANGE, content)];
        let part = self.0.get(range).unwrap_or_default();
        (StatusCode::PARTIAL_CONTENT, common, content, part).into_response()
    }
}

/// Parses the `Range` header of a request for a file of this length. An empty range cannot be
/// satisfied; `None` means that the header is invalid or names several ranges, and is ignored.
fn parse_range(text: &str, length: usize) -> Option<Range<usize>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    if from.is_empty() {
        let tail: usize = to.parse().ok()?;
        return Some(length.saturating_sub(tail)..length);
    }
    let first: usize = from.parse().ok()?;
    let last = if to.is_empty() {
        usize::MAX
    } else {
        to.parse().ok()?
    };
    (first <= last).then(|| first.min(length)..last.min(length.saturating_sub(1)) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIPS: [DemoClip; 4] = [
        DemoClip::Sea,
        DemoClip::Ball,
        DemoClip::City,
        DemoClip::Lamp,
    ];

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        let range_of = |text| parse_range(text, 100);

        assert_eq!(range_of("bytes=0-9"), Some(0..10));
        assert_eq!(range_of("bytes=90-"), Some(90..100));
        assert_eq!(range_of("bytes=90-500"), Some(90..100));
        assert_eq!(range_of("bytes=-10"), Some(90..100));
        assert_eq!(range_of("bytes=-500"), Some(0..100));
        assert_eq!(range_of("bytes=100-"), Some(100..100));
        assert_eq!(range_of("bytes=-0"), Some(100..100));
        for ignored in [
            "bytes=9-0",
            "bytes=0-1,5-6",
            "items=0-1",
            "bytes=x-",
            "bytes=-",
        ] {
            assert_eq!(range_of(ignored), None, "{ignored}");
        }
    }

    #[test]
    fn every_file_is_a_small_faststart_mp4() {
        let files = CLIPS.map(|clip| [clip.input(), clip.result(0), clip.result(1)]);

        for Mp4File(bytes) in files.concat() {
            let position = |word: &[u8]| bytes.windows(4).position(|four| four == word);
            assert_eq!(position(b"ftyp"), Some(4));
            assert!(position(b"moov") < position(b"mdat"));
        }
        let mut distinct: Vec<_> = files.concat();
        distinct.sort_by_key(|file| file.etag());
        distinct.dedup();
        assert_eq!(distinct.len(), 9);
        assert!(distinct.iter().map(|file| file.0.len()).sum::<usize>() < 200_000);
    }
}
