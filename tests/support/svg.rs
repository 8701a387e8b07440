//! An animated SVG of terminal screens: each distinct row is written once, and a strip of all
//! screens moves behind a clipping window.
//!
//! It has no scripts, so it plays as an image. Text is placed by column and stretched to the width
//! of its cells, for any font. Lines, bars and half blocks are shapes, since fonts leave gaps.

use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

/// The size of a cell in pixels. Most monospaced fonts of 13.33 pixels are 8 wide.
const CELL: (usize, usize) = (8, 16);
const MARGIN: usize = 12;
const FOREGROUND: &str = "#e6edf3";
const BACKGROUND: &str = "#0d1117";
/// The sixteen colours of the terminal.
#[rustfmt::skip]
const PALETTE: [&str; 16] = [
    "#0d1117", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4",
    "#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#f0f6fc",
];
/// Dim text, with a contrast of 6 to 1.
const DIM: &str = " fill-opacity=\".65\"";

/// A sequence of screens.
#[derive(Debug)]
pub(crate) struct Recording {
    size: (u16, u16),
    rows: Vec<String>,
    screens: Vec<RecordedScreen>,
}

#[derive(Debug)]
struct RecordedScreen {
    /// Positions in [`Recording::rows`], from top to bottom.
    rows: Vec<usize>,
    seconds: f64,
}

impl Recording {
    pub(crate) const fn new(size: (u16, u16)) -> Self {
        Self {
            size,
            rows: Vec::new(),
            screens: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, screen: &Screen, seconds: f64) {
        let rows = (0..self.size.1).map(|y| self.intern(row(screen, y)));
        let rows = rows.collect();
        self.screens.push(RecordedScreen { rows, seconds });
    }

    fn intern(&mut self, row: String) -> usize {
        let index = self.rows.iter().position(|known| *known == row);
        index.unwrap_or_else(|| {
            self.rows.push(row);
            self.rows.len() - 1
        })
    }

    /// Returns the SVG, with a title and a description for screen readers.
    pub(crate) fn to_svg(&self, title: &str, description: &str) -> String {
        let width = usize::from(self.size.0) * CELL.0;
        let height = usize::from(self.size.1) * CELL.1;
        let (all_width, all_height) = (width + 2 * MARGIN, height + 2 * MARGIN);
        let seconds: f64 = self.screens.iter().map(|screen| screen.seconds).sum();
        let (mut keyframes, mut strip, mut start) = (String::new(), String::new(), 0.0);
        for (number, screen) in self.screens.iter().enumerate() {
            let (percent, top) = (100.0 * start / seconds, number * height);
            write!(keyframes, "{percent:.2}%{{transform:translateY(-{top}px)}}").expect("a string");
            start += screen.seconds;
            for (y, row) in screen.rows.iter().enumerate() {
                let y = top + y * CELL.1;
                write!(strip, "<use href=\"#r{row}\" y=\"{y}\"/>").expect("a string");
            }
            strip.push('\n');
        }
        let rows = self.rows.iter().enumerate();
        let rows = rows.map(|(number, row)| format!("<g id=\"r{number}\">{row}</g>\n"));
        let (title, description) = (escape(title), escape(description));
        let rows: String = rows.collect();
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {all_width} {all_height}"
 width="{all_width}" height="{all_height}" fill="{FOREGROUND}" role="img">
<title>{title}</title>
<desc>{description}</desc>
<style>
text{{font:13.33px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}}
rect,path{{shape-rendering:crispEdges}}
.strip{{animation:play {seconds:.1}s step-end infinite}}
@keyframes play{{{keyframes}}}
@media (prefers-reduced-motion:reduce){{.strip{{animation:none}}}}
</style>
<defs>
{rows}</defs>
<rect width="{all_width}" height="{all_height}" rx="8" fill="{BACKGROUND}"/>
<svg x="{MARGIN}" y="{MARGIN}" width="{width}" height="{height}"><g class="strip">
{strip}</g></svg>
</svg>
"#
        )
    }
}

/// Neighbouring cells that are drawn together.
struct CellRun {
    text: String,
    /// The SVG attributes of the text.
    style: String,
    background: String,
    x: usize,
    width: usize,
}

impl CellRun {
    fn from_cell(cell: &Cell, x: u16, is_cursor: bool) -> Self {
        let mut foreground = colour(cell.fgcolor(), FOREGROUND);
        let mut background = colour(cell.bgcolor(), BACKGROUND);
        if cell.inverse() != is_cursor {
            std::mem::swap(&mut foreground, &mut background);
        }
        let mut style = String::new();
        if foreground != FOREGROUND {
            style = format!(" fill=\"{foreground}\"");
        }
        if cell.dim() {
            style += DIM;
        }
        if cell.bold() {
            style += " font-weight=\"700\"";
        }
        if cell.underline() {
            style += " text-decoration=\"underline\"";
        }
        let text = cell.contents();
        Self {
            text: if text.is_empty() { " " } else { text }.to_owned(),
            style,
            background,
            x: usize::from(x),
            width: if cell.is_wide() { 2 } else { 1 },
        }
    }

    fn continues_with(&self, next: &Self) -> bool {
        let is_same_shape = shape(&next.text).is_some() && self.text.ends_with(&next.text);
        let is_text = self.text.is_ascii() && next.text.is_ascii();
        self.style == next.style && self.background == next.background && (is_same_shape || is_text)
    }

    fn draw_background(&self) -> String {
        if self.background == BACKGROUND {
            return String::new();
        }
        let (x, width, height) = (self.x * CELL.0, self.width * CELL.0, CELL.1);
        let fill = &self.background;
        format!("<rect x=\"{x}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>")
    }

    fn draw(&self) -> String {
        match shape(&self.text) {
            Some((opacity, rects)) => self.draw_shape(opacity, rects),
            None => self.draw_text(),
        }
    }

    fn draw_shape(&self, opacity: &str, rects: &[CellRect]) -> String {
        let mut path = String::new();
        for (x, y, width, height) in rects {
            let start = self.x * CELL.0 + x;
            // A rectangle as wide as its cell spans all cells of the run.
            let is_full_width = *width == CELL.0;
            let width = if is_full_width {
                width * self.width
            } else {
                *width
            };
            for number in 0..if is_full_width { 1 } else { self.width } {
                let x = start + number * CELL.0;
                write!(path, "M{x} {y}h{width}v{height}h-{width}z").expect("a string");
            }
        }
        format!("<path{}{opacity} d=\"{path}\"/>", self.style)
    }

    fn draw_text(&self) -> String {
        let (mut svg, mut x) = (String::new(), self.x);
        // Adjacent spaces would be drawn as one.
        for part in self.text.split_inclusive("  ") {
            let text = part.trim();
            let start = (x + part.len() - part.trim_start().len()) * CELL.0;
            let width = if text.is_ascii() {
                text.len()
            } else {
                self.width
            } * CELL.0;
            x += part.len();
            if !text.is_empty() {
                let (style, text) = (&self.style, escape(text));
                write!(
                    svg,
                    "<text x=\"{start}\" y=\"12\" textLength=\"{width}\" \
                     lengthAdjust=\"spacingAndGlyphs\"{style}>{text}</text>"
                )
                .expect("a string");
            }
        }
        svg
    }
}

/// Draws a row, relative to its top left corner.
fn row(screen: &Screen, y: u16) -> String {
    let mut runs: Vec<CellRun> = Vec::new();
    for x in 0..screen.size().1.get() {
        let cell = screen.cell(y, x).expect("a cell of the screen");
        if cell.is_wide_continuation() {
            continue;
        }
        let is_cursor = !screen.hide_cursor() && screen.cursor_position() == (y, x);
        let next = CellRun::from_cell(cell, x, is_cursor);
        match runs.last_mut().filter(|last| last.continues_with(&next)) {
            Some(last) => {
                last.text += &next.text;
                last.width += next.width;
            }
            None => runs.push(next),
        }
    }
    // A glyph may reach into the next cell, so all backgrounds come first.
    let backgrounds = runs.iter().map(CellRun::draw_background);
    backgrounds.chain(runs.iter().map(CellRun::draw)).collect()
}

/// A rectangle in a cell, in pixels: x, y, width, height.
type CellRect = (usize, usize, usize, usize);

/// Returns the opacity and the rectangles of a character that is not drawn with a font.
fn shape(text: &str) -> Option<(&'static str, &'static [CellRect])> {
    Some(match text.chars().next()? {
        '─' => ("", &[(0, 8, 8, 1)]),
        '│' => ("", &[(4, 0, 1, 16)]),
        '┌' => ("", &[(4, 8, 4, 1), (4, 8, 1, 8)]),
        '┐' => ("", &[(0, 8, 5, 1), (4, 8, 1, 8)]),
        '└' => ("", &[(4, 8, 4, 1), (4, 0, 1, 9)]),
        '┘' => ("", &[(0, 8, 5, 1), (4, 0, 1, 9)]),
        '▀' => ("", &[(0, 0, 8, 8)]),
        '▄' => ("", &[(0, 8, 8, 8)]),
        '▓' => (" opacity=\".75\"", &[(0, 2, 8, 12)]),
        '▒' => (" opacity=\".3\"", &[(0, 2, 8, 12)]),
        _ => return None,
    })
}

/// Returns a colour as `#rrggbb`.
fn colour(colour: Color, default: &str) -> String {
    match colour {
        Color::Default => default.to_owned(),
        Color::Idx(number) => {
            let entry = PALETTE.get(usize::from(number));
            (*entry.expect("one of the sixteen colours")).to_owned()
        }
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
