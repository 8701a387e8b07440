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

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

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
        let mut response = match parse_range(headers, &tag, length) {
            RangeRequest::Full => Response::new(Body::from(Bytes::from_static(self.0))),
            RangeRequest::Part { first, last } => {
                let part = self.0.get(first..=last).unwrap_or_default();
                let mut response = Response::new(Body::from(Bytes::from_static(part)));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let range = format!("bytes {first}-{last}/{length}");
                set_header(&mut response, header::CONTENT_RANGE, &range);
                response
            }
            RangeRequest::Unsatisfiable => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                set_header(
                    &mut response,
                    header::CONTENT_RANGE,
                    &format!("bytes */{length}"),
                );
                response
            }
        };
        set_header(&mut response, header::CONTENT_TYPE, "video/mp4");
        set_header(&mut response, header::ACCEPT_RANGES, "bytes");
        set_header(&mut response, header::ETAG, &tag);
        response
    }
}

/// Sets a header, unless the text is not allowed in one.
pub(super) fn set_header(response: &mut Response, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

/// The requested part of a file.
#[derive(Debug, PartialEq, Eq)]
enum RangeRequest {
    /// No range, an invalid one, several, or one of another version.
    Full,
    /// The bytes from `first` to `last`, both included.
    Part { first: usize, last: usize },
    /// Only bytes past the end.
    Unsatisfiable,
}

/// Parses the range of a request for a file with this entity tag and length.
fn parse_range(headers: &HeaderMap, tag: &str, length: usize) -> RangeRequest {
    let Some(range) = header_text(headers, header::RANGE) else {
        return RangeRequest::Full;
    };
    if header_text(headers, header::IF_RANGE).is_some_and(|version| version != tag) {
        return RangeRequest::Full;
    }
    let Some((from, to)) = range
        .strip_prefix("bytes=")
        .and_then(|set| set.split_once('-'))
    else {
        return RangeRequest::Full;
    };
    let (from, to) = (from.trim(), to.trim());
    if from.is_empty() {
        return match to.parse::<usize>() {
            Ok(0) => RangeRequest::Unsatisfiable,
            Ok(tail) => RangeRequest::Part {
                first: length.saturating_sub(tail),
                last: length.saturating_sub(1),
            },
            Err(_) => RangeRequest::Full,
        };
    }
    let Ok(first) = from.parse::<usize>() else {
        return RangeRequest::Full;
    };
    let last = if to.is_empty() {
        Ok(usize::MAX)
    } else {
        to.parse::<usize>()
    };
    match last {
        Ok(last) if last < first => RangeRequest::Full,
        Ok(_) if first >= length => RangeRequest::Unsatisfiable,
        Ok(last) => RangeRequest::Part {
            first,
            last: last.min(length - 1),
        },
        Err(_) => RangeRequest::Full,
    }
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
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

    fn range_of(value: &str) -> RangeRequest {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, value.parse().unwrap());
        parse_range(&headers, "\"t\"", 100)
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        let part = |first, last| RangeRequest::Part { first, last };

        assert_eq!(range_of("bytes=0-9"), part(0, 9));
        assert_eq!(range_of("bytes=90-"), part(90, 99));
        assert_eq!(range_of("bytes=90-500"), part(90, 99));
        assert_eq!(range_of("bytes=-10"), part(90, 99));
        assert_eq!(range_of("bytes=-500"), part(0, 99));
        assert_eq!(range_of("bytes=100-"), RangeRequest::Unsatisfiable);
        assert_eq!(range_of("bytes=-0"), RangeRequest::Unsatisfiable);
        for ignored in [
            "bytes=9-0",
            "bytes=0-1,5-6",
            "items=0-1",
            "bytes=x-",
            "bytes=-",
        ] {
            assert_eq!(range_of(ignored), RangeRequest::Full, "{ignored}");
        }
    }

    #[test]
    fn a_range_of_another_version_gets_the_whole_file() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=5-".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"t\"".parse().unwrap());

        assert_eq!(
            parse_range(&headers, "\"t\"", 9),
            RangeRequest::Part { first: 5, last: 8 }
        );
        assert_eq!(parse_range(&headers, "\"u\"", 9), RangeRequest::Full);
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
