//! What this terminal shows: asked once, answered through the keyboard's reader, so no key is lost
//! and nothing waits.
//!
//! ratatui-image's own query is not used: it reads standard input itself, and in tmux changes an
//! option of the user's.

use crate::{
    domain::preview::PreviewMode,
    runtime::input::{CellSize, TerminalReply},
};

/// Asks for: kitty's graphics (answered by an APC string when there are), the terminal's name, the
/// size of a cell, and its attributes, which every terminal answers, and last.
pub(in crate::runtime) const QUERY: &[u8] =
    b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>q\x1b[16t\x1b[c";

/// The first version of kitty that knows placeholders, by which a picture is a text like any other.
const MIN_KITTY_VERSION: (u32, u32) = (0, 28);

/// What half blocks are drawn for: their two pixels are about square whatever the font.
pub(super) const DEFAULT_CELL_SIZE: CellSize = CellSize {
    width: 10,
    height: 20,
};

/// How pictures are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Graphics {
    /// As characters in two colours.
    HalfBlocks,
    /// Sixels, for cells of that size.
    Sixel(CellSize),
    /// kitty's protocol.
    Kitty(CellSize),
    /// iTerm2's.
    Iterm2(CellSize),
}

impl Graphics {
    /// Returns the size of a cell.
    pub(super) const fn cell_size(self) -> CellSize {
        match self {
            Self::HalfBlocks => DEFAULT_CELL_SIZE,
            Self::Sixel(cell) | Self::Kitty(cell) | Self::Iterm2(cell) => cell,
        }
    }
}

/// Collects answers.
#[derive(Debug, Default)]
pub(super) struct GraphicsDetector {
    has_kitty: bool,
    has_sixel: bool,
    name: String,
    cell_size: Option<CellSize>,
}

impl GraphicsDetector {
    /// Takes in the size of a cell as the system tells it; the terminal's own word goes before.
    pub(super) fn set_cell_size(&mut self, cell: Option<CellSize>) {
        self.cell_size = self.cell_size.or(cell);
    }

    /// Takes one answer in; reports whether it was the last.
    pub(super) fn handle_reply(&mut self, answer: TerminalReply) -> bool {
        match answer {
            TerminalReply::KittyGraphics => self.has_kitty = true,
            TerminalReply::Name(name) => self.name = name.to_lowercase(),
            TerminalReply::CellSize(cell) => self.cell_size = Some(cell),
            // Of no interest to pictures.
            TerminalReply::Background(_) | TerminalReply::SchemeChanged => {}
            TerminalReply::Attributes { has_sixel } => {
                self.has_sixel = has_sixel;
                return true;
            }
        }
        false
    }

    /// Returns the best way of those the user allows. Without the size of a cell pixels cannot be
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
            // It says yes to both, and draws neither right.
            PreviewMode::Auto if is_named(&["konsole"]) => Graphics::HalfBlocks,
            PreviewMode::Auto if self.has_kitty && self.has_placeholders() => Graphics::Kitty(cell),
            PreviewMode::Auto if self.has_sixel => Graphics::Sixel(cell),
            PreviewMode::Auto | PreviewMode::HalfBlocks | PreviewMode::Off => Graphics::HalfBlocks,
        }
    }

    /// Reports whether pictures can be placed by characters: many say yes to kitty's graphics and
    /// cannot.
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

    fn graphics(preview: PreviewMode, answers: &[&str]) -> Graphics {
        let mut collected = GraphicsDetector::default();
        let count = answers.len();
        for (at, answer) in answers.iter().enumerate() {
            let answer = TerminalReply::parse(answer.as_bytes()).unwrap();
            assert_eq!(collected.handle_reply(answer), at + 1 == count);
        }
        collected.choose(preview)
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
