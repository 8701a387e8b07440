//! Replies of the terminal to queries.

/// The size of a cell, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellSize {
    pub width: u16,
    pub height: u16,
}

/// A colour: red, green and blue, each from 0 to 1.
pub type Rgb = [f32; 3];

#[derive(Debug, Clone, PartialEq)]
pub enum TerminalReply {
    /// Support for kitty's graphics protocol.
    KittyGraphics,
    /// Name and version (XTVERSION).
    Name(String),
    CellSize(CellSize),
    Background(Rgb),
    /// Dark or light mode has changed (mode 2031); sent without a query.
    SchemeChanged,
    /// Primary device attributes (DA1), which every terminal answers.
    Attributes {
        has_sixel: bool,
    },
}

impl TerminalReply {
    /// Parses a sequence or string without its leading Esc; `None` for any other reply.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        if let Some(reply) = text.strip_prefix("_G") {
            let (keys, message) = reply.split_once(';')?;
            let is_ours = keys.split(',').any(|key| key == "i=31");
            return (is_ours && message == "OK").then_some(Self::KittyGraphics);
        }
        if let Some(name) = text.strip_prefix("P>|") {
            return Some(Self::Name(name.to_owned()));
        }
        if let Some(size) = text
            .strip_prefix("[6;")
            .and_then(|rest| rest.strip_suffix('t'))
        {
            let (height, width) = size.split_once(';')?;
            let (width, height) = (width.parse().ok()?, height.parse().ok()?);
            return (width > 0 && height > 0).then_some(Self::CellSize(CellSize { width, height }));
        }
        if let Some(colour) = text.strip_prefix("]11;") {
            return parse_colour(colour).map(Self::Background);
        }
        if matches!(text, "[?997;1n" | "[?997;2n") {
            return Some(Self::SchemeChanged);
        }
        let attributes = text.strip_prefix("[?")?.strip_suffix('c')?;
        Some(Self::Attributes {
            has_sixel: attributes.split(';').any(|attribute| attribute == "4"),
        })
    }
}

/// Parses an X11 colour: `rgb:` and three channels of one to four hexadecimal digits, each scaled
/// to the largest number of its length. `rgba:` has a fourth channel, which is ignored.
fn parse_colour(text: &str) -> Option<Rgb> {
    let (scheme, channels) = text.split_once(':')?;
    let mut channels = channels.split('/');
    let mut next = || {
        let digits = channels.next()?;
        let is_number =
            matches!(digits.len(), 1..=4) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u16::from_str_radix(digits, 16).ok().filter(|_| is_number)?;
        let max = u16::MAX.checked_shr(u32::try_from(16 - 4 * digits.len()).ok()?)?;
        Some(f32::from(value) / f32::from(max))
    };
    let colour = [next()?, next()?, next()?];
    match scheme {
        "rgb" => {}
        "rgba" => drop(next()?),
        _ => return None,
    }
    channels.next().is_none().then_some(colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_with_any_digit_count() {
        let (white, black) = ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0]);
        for (text, expected) in [
            ("rgb:ffff/ffff/ffff", white),
            ("rgb:FFF/FFF/FFF", white),
            ("rgb:ff/FF/fF", white),
            ("rgb:f/f/f", white),
            ("rgb:ffff/f/0000", [1.0, 1.0, 0.0]),
            ("rgb:0000/0000/0000", black),
            ("rgb:0/0/0", black),
            ("rgb:8000/333/33", [0.500_007_6, 0.2, 0.2]),
            ("rgba:ffff/ffff/ffff/8000", white),
            ("rgba:0/0/0/f", black),
        ] {
            let reply = TerminalReply::parse(format!("]11;{text}").as_bytes());
            assert_eq!(reply, Some(TerminalReply::Background(expected)), "{text}");
        }
        for text in [
            "",
            "?",
            "rgb:",
            "rgb:ff/ff",
            "rgb:ff/ff/",
            "rgb:ff/ff/fffff",
            "rgb:ff/ff/ff/ff",
            "rgba:ff/ff/ff",
            "rgba:ff/ff/ff/ff/ff",
            "rgb:+f/ff/ff",
            "rgb:-1/0/0",
            "rgb: f/f/f",
            "rgb:gg/0/0",
            "rgb:é/0/0",
            "rgbi:1.0/1.0/1.0",
            "#ffffff",
            "white",
            "rgb:ff/ff/ff\u{1b}",
            "rgb:ff/ff/ff;q",
        ] {
            let reply = TerminalReply::parse(format!("]11;{text}").as_bytes());
            assert_eq!(reply, None, "{text}");
        }
        assert_eq!(
            TerminalReply::parse(b"]10;rgb:f/f/f"),
            None,
            "the foreground colour"
        );
    }

    #[test]
    fn invalid_replies_are_ignored() {
        for bytes in [
            &b"_Gi=31;ENOENT"[..],
            b"_Gi=3;OK",
            b"_G",
            b"[6;0;0t",
            b"[6;18t",
            b"[6;70000;9t",
            b"[?1;2R",
            b"[A",
            b"P1+r",
            b"\xff",
            b"",
        ] {
            assert_eq!(TerminalReply::parse(bytes), None, "{bytes:?}");
        }
    }
}
