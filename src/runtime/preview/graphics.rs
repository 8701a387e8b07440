//! Detects the graphics protocol of the terminal.
//!
//! The query is sent once, and its replies are read with the input, so no key is lost and nothing
//! waits. ratatui-image's own query is not used: it reads standard input itself, and changes a tmux
//! option of the user.

use crate::{
    domain::preview::PreviewMode,
    runtime::input::{CellSize, TerminalReply},
};

/// Queries kitty's graphics (an APC string as reply), name and version, cell size, and device
/// attributes, which every terminal answers and which come last.
pub(crate) const QUERY: &[u8] = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>q\x1b[16t\x1b[c";

/// The first version of kitty with Unicode placeholders, which place a picture as text.
const MIN_KITTY_VERSION: (u32, u32) = (0, 28);

/// The cell size for half blocks, whose two pixels are about square in any font.
pub(super) const DEFAULT_CELL_SIZE: CellSize = CellSize {
    width: 10,
    height: 20,
};

/// A graphics protocol with the size of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Graphics {
    /// Characters in two colours.
    HalfBlocks,
    Sixel(CellSize),
    Kitty(CellSize),
    Iterm2(CellSize),
}

impl Graphics {
    pub(super) const fn cell_size(self) -> CellSize {
        match self {
            Self::HalfBlocks => DEFAULT_CELL_SIZE,
            Self::Sixel(cell) | Self::Kitty(cell) | Self::Iterm2(cell) => cell,
        }
    }
}

/// The replies so far.
#[derive(Debug, Default)]
pub(super) struct GraphicsDetector {
    has_kitty: bool,
    has_sixel: bool,
    name: String,
    cell_size: Option<CellSize>,
}

impl GraphicsDetector {
    /// Sets the cell size that the system reports; the terminal's reply takes precedence.
    pub(super) fn set_cell_size(&mut self, cell: Option<CellSize>) {
        self.cell_size = self.cell_size.or(cell);
    }

    /// Returns whether the reply was the last.
    pub(super) fn handle_reply(&mut self, reply: TerminalReply) -> bool {
        match reply {
            TerminalReply::KittyGraphics => self.has_kitty = true,
            TerminalReply::Name(name) => self.name = name.to_lowercase(),
            TerminalReply::CellSize(cell) => self.cell_size = Some(cell),
            TerminalReply::Background(_) | TerminalReply::SchemeChanged => {}
            TerminalReply::Attributes { has_sixel } => {
                self.has_sixel = has_sixel;
                return true;
            }
        }
        false
    }

    /// Returns the best protocol that the setting allows. Without a cell size pixels cannot be
    /// placed.
    pub(super) fn choose(&self, preview: PreviewMode) -> Graphics {
        let Some(cell) = self.cell_size else {
            return Graphics::HalfBlocks;
        };
        let is_named = |names: &[&str]| names.iter().any(|name| self.name.contains(name));
        match preview {
            PreviewMode::Kitty => Graphics::Kitty(cell),
            PreviewMode::Sixel => Graphics::Sixel(cell),
            PreviewMode::Iterm2 => Graphics::Iterm2(cell),
            PreviewMode::Auto if is_named(&["iterm2", "wezterm"]) => Graphics::Iterm2(cell),
            // Konsole reports kitty and sixel support, and draws both wrong.
            PreviewMode::Auto if is_named(&["konsole"]) => Graphics::HalfBlocks,
            PreviewMode::Auto if self.has_kitty && self.has_placeholders() => Graphics::Kitty(cell),
            PreviewMode::Auto if self.has_sixel => Graphics::Sixel(cell),
            PreviewMode::Auto | PreviewMode::HalfBlocks | PreviewMode::Off => Graphics::HalfBlocks,
        }
    }

    /// Returns whether the terminal supports Unicode placeholders. Many report kitty's graphics
    /// without them.
    fn has_placeholders(&self) -> bool {
        if self.name.starts_with("ghostty") {
            return true;
        }
        let Some(version) = self.name.strip_prefix("kitty(") else {
            return false;
        };
        let mut numbers = version
            .split(['.', ')'])
            .map_while(|number| number.parse::<u32>().ok());
        matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= MIN_KITTY_VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graphics(preview: PreviewMode, replies: &[&str]) -> Graphics {
        let mut detector = GraphicsDetector::default();
        let count = replies.len();
        for (index, reply) in replies.iter().enumerate() {
            let reply = TerminalReply::parse(reply.as_bytes()).unwrap();
            assert_eq!(detector.handle_reply(reply), index + 1 == count);
        }
        detector.choose(preview)
    }

    #[test]
    fn each_terminal_gets_a_supported_protocol() {
        let cell = CellSize {
            width: 9,
            height: 18,
        };
        let (yes, size) = ("_Gi=31;OK", "[6;18;9t");
        for (answers, expected) in [
            (
                &[yes, "P>|kitty(0.41.1)", size, "[?62c"][..],
                Graphics::Kitty(cell),
            ),
            (
                &[yes, "P>|kitty(0.26.5)", size, "[?62c"],
                Graphics::HalfBlocks,
            ),
            (
                &[yes, "P>|kitty(1.0.0)", size, "[?62c"],
                Graphics::Kitty(cell),
            ),
            (
                &[yes, "P>|ghostty 1.2.0", size, "[?62;22c"],
                Graphics::Kitty(cell),
            ),
            (
                &["P>|XTerm(379)", size, "[?62;4;22c"],
                Graphics::Sixel(cell),
            ),
            (&["P>|XTerm(379)", size, "[?62;22c"], Graphics::HalfBlocks),
            (
                &["P>|foot(1.13.1)", size, "[?62;4;22c"],
                Graphics::Sixel(cell),
            ),
            (
                &[yes, "P>|WezTerm 2024", size, "[?65;4c"],
                Graphics::Iterm2(cell),
            ),
            (
                &[yes, "P>|Konsole 24", size, "[?62;4c"],
                Graphics::HalfBlocks,
            ),
            (&["P>|foot(1.13.1)", "[?62;4;22c"], Graphics::HalfBlocks),
            (&["[?6c"], Graphics::HalfBlocks),
        ] {
            assert_eq!(
                graphics(PreviewMode::Auto, answers),
                expected,
                "{answers:?}"
            );
        }
        let forced = graphics(PreviewMode::Sixel, &["[6;18;9t", "[?6c"]);
        assert_eq!(forced, Graphics::Sixel(cell));
    }
}
