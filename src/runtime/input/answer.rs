//! What a terminal answers about itself: never a key, and only of interest to whoever asked.

/// Is the size of a cell, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellSize {
    /// Columns of pixels.
    pub width: u16,
    /// Rows of pixels.
    pub height: u16,
}

/// Is one answer of the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It knows kitty's graphics.
    KittyGraphics,
    /// Its name and version.
    Name(String),
    /// The size of a cell.
    CellSize(CellSize),
    /// Its attributes: the last answer.
    Attributes {
        /// Whether sixels are among them.
        has_sixel: bool,
    },
}

impl Answer {
    /// Reads a sequence or string as it came, without the Esc it begins with; nothing when it is none of these.
    pub(in crate::runtime) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        if let Some(answer) = text.strip_prefix("_G") {
            let (head, word) = answer.split_once(';')?;
            let is_ours = head.split(',').any(|part| part == "i=31");
            return (is_ours && word == "OK").then_some(Self::KittyGraphics);
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
        let attributes = text.strip_prefix("[?")?.strip_suffix('c')?;
        Some(Self::Attributes {
            has_sixel: attributes.split(';').any(|one| one == "4"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_answer_is_none() {
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
            assert_eq!(Answer::read(bytes), None, "{bytes:?}");
        }
    }
}
