//! The simulator's videos: real MP4 files in the binary, and how a web server hands them out in whole or in part.
//!
//! It must not know tasks or when their videos exist. Each input has a result that is recognisably made from it.
//!
//! # How the files were made
//!
//! With ffmpeg 5, into `assets/demo`, each one 320x180, 15 fps, 4 s, H.264, index first. Every command ends in
//! `-an -c:v libx264 -preset veryslow -crf 30 -pix_fmt yuv420p -movflags +faststart -map_metadata -1 -fflags +bitexact NAME`.
//! The inputs are drawn by formula, `ffmpeg -f lavfi -i color=s=320x180:r=15:d=4 -vf "format=gbrp,geq=r='…':g='…':b='…'"`:
//!
//! ```text
//! sea-input   r if(lt(hypot(X-160,Y-40-9*T),24),255,if(lt(Y,108),150+Y,40+30*sin(Y/3-6*T+X/40)))
//!             g if(lt(hypot(X-160,Y-40-9*T),24),220,if(lt(Y,108),90+Y,90+40*sin(Y/3-6*T+X/40)))
//!             b if(lt(hypot(X-160,Y-40-9*T),24),120,if(lt(Y,108),210-Y,150+30*sin(Y/3-6*T+X/40)))
//! ball-input  r if(lt(hypot(X-40-60*T,Y-130+90*abs(sin(3*T))),20),230,if(lt(Y,140),190,120))
//!             g if(lt(hypot(X-40-60*T,Y-130+90*abs(sin(3*T))),20),60,if(lt(Y,140),215,160))
//!             b if(lt(hypot(X-40-60*T,Y-130+90*abs(sin(3*T))),20),50,
//!               if(lt(Y,140),240,90+40*mod(floor(X/32)+floor(Y/20),2)))
//! city-input  r if(gt(Y,150-mod(floor((X+24*T)/40)*53,90)),50+80*lt(mod(X+24*T,10),5)*lt(mod(Y,14),6),110-Y/3)
//!             g if(gt(Y,150-mod(floor((X+24*T)/40)*53,90)),55+75*lt(mod(X+24*T,10),5)*lt(mod(Y,14),6),140-Y/3)
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
//! lamp-result  edgedetect=low=0.03:high=0.1,dilation,dilation,colorchannelmixer=rr=1:gg=0.3:bb=1,gblur=1
//! ```

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::chance::Chance;

/// Holds the bytes of one MP4 file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Footage(&'static [u8]);

impl std::fmt::Debug for Footage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Footage({} bytes)", self.0.len())
    }
}

/// Names one input clip together with the results made from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Clip {
    /// A sun sinks over the sea; the one with a second result.
    #[default]
    Sea,
    /// A ball bounces across a floor.
    Ball,
    /// A skyline passes by.
    City,
    /// Two drops of wax circle in a lamp.
    Lamp,
}

impl Clip {
    /// Draws one of the clips.
    pub(super) fn pick(chance: &mut Chance) -> Self {
        match chance.position(4) {
            0 => Self::Sea,
            1 => Self::Ball,
            2 => Self::City,
            _ => Self::Lamp,
        }
    }

    /// Returns the input.
    pub(super) fn origin(self) -> Footage {
        Footage(match self {
            Self::Sea => include_bytes!("../../assets/demo/sea-input.mp4"),
            Self::Ball => include_bytes!("../../assets/demo/ball-input.mp4"),
            Self::City => include_bytes!("../../assets/demo/city-input.mp4"),
            Self::Lamp => include_bytes!("../../assets/demo/lamp-input.mp4"),
        })
    }

    /// Returns the result of that number, from 0; numbers past the last get the first.
    pub(super) fn take(self, number: usize) -> Footage {
        Footage(match (self, number) {
            (Self::Sea, 1) => include_bytes!("../../assets/demo/sea-second.mp4"),
            (Self::Sea, _) => include_bytes!("../../assets/demo/sea-result.mp4"),
            (Self::Ball, _) => include_bytes!("../../assets/demo/ball-result.mp4"),
            (Self::City, _) => include_bytes!("../../assets/demo/city-result.mp4"),
            (Self::Lamp, _) => include_bytes!("../../assets/demo/lamp-result.mp4"),
        })
    }
}

impl Footage {
    /// Returns a strong entity tag that follows from the bytes (FNV-1a).
    fn tag(self) -> String {
        let hash = self.0.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        });
        format!("\"{hash:016x}\"")
    }

    /// Answers a GET for this file by its `Range` and `If-Range` headers (RFC 9110, section 14).
    pub(super) fn answer(self, asked: &HeaderMap) -> Response {
        let tag = self.tag();
        let length = self.0.len();
        let mut response = match wanted(asked, &tag, length) {
            Wanted::Whole => Response::new(Body::from(Bytes::from_static(self.0))),
            Wanted::Part { first, last } => {
                let part = self.0.get(first..=last).unwrap_or_default();
                let mut response = Response::new(Body::from(Bytes::from_static(part)));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let span = format!("bytes {first}-{last}/{length}");
                put(&mut response, header::CONTENT_RANGE, &span);
                response
            }
            Wanted::Nothing => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                put(
                    &mut response,
                    header::CONTENT_RANGE,
                    &format!("bytes */{length}"),
                );
                response
            }
        };
        put(&mut response, header::CONTENT_TYPE, "video/mp4");
        put(&mut response, header::ACCEPT_RANGES, "bytes");
        put(&mut response, header::ETAG, &tag);
        response
    }
}

/// Sets a header; a text no header may hold is left out.
pub(super) fn put(response: &mut Response, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

/// Names what part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// All of it: no range, one we do not understand, several, or one of another version.
    Whole,
    /// The bytes from `first` to `last`, both included.
    Part { first: usize, last: usize },
    /// Bytes past the end only.
    Nothing,
}

/// Reads which part of a file of that tag and length a request wants.
fn wanted(asked: &HeaderMap, tag: &str, length: usize) -> Wanted {
    let Some(range) = text(asked, header::RANGE) else {
        return Wanted::Whole;
    };
    if text(asked, header::IF_RANGE).is_some_and(|version| version != tag) {
        return Wanted::Whole;
    }
    let Some((from, to)) = range
        .strip_prefix("bytes=")
        .and_then(|set| set.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let (from, to) = (from.trim(), to.trim());
    if from.is_empty() {
        return match to.parse::<usize>() {
            Ok(0) => Wanted::Nothing,
            Ok(tail) => Wanted::Part {
                first: length.saturating_sub(tail),
                last: length.saturating_sub(1),
            },
            Err(_) => Wanted::Whole,
        };
    }
    let Ok(first) = from.parse::<usize>() else {
        return Wanted::Whole;
    };
    let last = if to.is_empty() {
        Ok(usize::MAX)
    } else {
        to.parse::<usize>()
    };
    match last {
        Ok(last) if last < first => Wanted::Whole,
        Ok(_) if first >= length => Wanted::Nothing,
        Ok(last) => Wanted::Part {
            first,
            last: last.min(length - 1),
        },
        Err(_) => Wanted::Whole,
    }
}

/// Returns a header as text.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIPS: [Clip; 4] = [Clip::Sea, Clip::Ball, Clip::City, Clip::Lamp];

    fn range(value: &str) -> Wanted {
        let mut asked = HeaderMap::new();
        asked.insert(header::RANGE, value.parse().unwrap());
        wanted(&asked, "\"t\"", 100)
    }

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        let part = |first, last| Wanted::Part { first, last };

        assert_eq!(range("bytes=0-9"), part(0, 9));
        assert_eq!(range("bytes=90-"), part(90, 99));
        assert_eq!(range("bytes=90-500"), part(90, 99));
        assert_eq!(range("bytes=-10"), part(90, 99));
        assert_eq!(range("bytes=-500"), part(0, 99));
        assert_eq!(range("bytes=100-"), Wanted::Nothing);
        assert_eq!(range("bytes=-0"), Wanted::Nothing);
        for ignored in [
            "bytes=9-0",
            "bytes=0-1,5-6",
            "items=0-1",
            "bytes=x-",
            "bytes=-",
        ] {
            assert_eq!(range(ignored), Wanted::Whole, "{ignored}");
        }
    }

    #[test]
    fn a_range_of_another_version_gets_the_whole_file() {
        let mut asked = HeaderMap::new();
        asked.insert(header::RANGE, "bytes=5-".parse().unwrap());
        asked.insert(header::IF_RANGE, "\"t\"".parse().unwrap());

        assert_eq!(
            wanted(&asked, "\"t\"", 9),
            Wanted::Part { first: 5, last: 8 }
        );
        assert_eq!(wanted(&asked, "\"u\"", 9), Wanted::Whole);
    }

    #[test]
    fn every_file_is_an_mp4_with_its_index_first_and_all_are_small() {
        let files = CLIPS.map(|clip| [clip.origin(), clip.take(0), clip.take(1)]);

        for Footage(bytes) in files.concat() {
            let place = |word: &[u8]| bytes.windows(4).position(|four| four == word);
            assert_eq!(place(b"ftyp"), Some(4));
            assert!(place(b"moov") < place(b"mdat"));
        }
        let mut once: Vec<_> = files.concat();
        once.sort_by_key(|file| file.tag());
        once.dedup();
        assert_eq!(once.len(), 9);
        assert!(once.iter().map(|file| file.0.len()).sum::<usize>() < 200_000);
    }
}
