//! Which part of the screen is where: a pure function of the terminal's size.
//!
//! Knows nothing of the state, so that the runtime can say how many rows the list has before a frame is drawn.

use ratatui::layout::Rect;

/// The smallest screen anything is shown on.
pub const SMALLEST: (u16, u16) = (24, 5);

/// Tells which columns fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breadth {
    /// Under 50 columns: glyph and title.
    Tiny,
    /// 50 to 79: short words, one time column.
    Narrow,
    /// 80 to 109: all columns, the detail below.
    Middle,
    /// 110 and more: the detail at the side.
    Wide,
}

/// Tells where the detail of the selected task stands beside the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailForm {
    /// Nowhere; `Enter` shows it.
    None,
    /// In two lines below the list, and a third for the next step.
    Compact,
    /// Below the list.
    Below,
    /// At its side.
    Side,
}

/// Is the plan of a screen; a part that is not there has no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    /// The whole screen.
    pub screen: Rect,
    /// The line of name, counts and clock.
    pub header: Rect,
    /// The line of tabs, and of the banner.
    pub tabs: Rect,
    /// Everything between tabs and footer: list, detail and statistics.
    pub body: Rect,
    /// The list with its frame and column heads.
    pub list: Rect,
    /// The heads of the columns.
    pub heads: Rect,
    /// The rows of the list.
    pub rows: Rect,
    /// The detail beside or below the list.
    pub detail: Rect,
    /// The statistics strip.
    pub stats: Rect,
    /// The line between body and footer.
    pub rule: Rect,
    /// The message line.
    pub message: Rect,
    /// The line of keys.
    pub hints: Rect,
    /// Which columns fit.
    pub breadth: Breadth,
    /// Where the detail stands.
    pub detail_form: DetailForm,
    /// Whether parts are boxed; else lines divide them.
    pub is_boxed: bool,
}

impl Areas {
    /// Reports whether the screen is too small for anything but saying so.
    pub const fn is_too_small(&self) -> bool {
        self.screen.width < SMALLEST.0 || self.screen.height < SMALLEST.1
    }
}

/// Returns the plan of a screen of so many columns and rows.
pub fn areas(size: (u16, u16)) -> Areas {
    let (width, height) = size;
    let screen = Rect::new(0, 0, width, height);
    let breadth = match width {
        0..50 => Breadth::Tiny,
        50..80 => Breadth::Narrow,
        80..110 => Breadth::Middle,
        110.. => Breadth::Wide,
    };
    let detail_form = match (height, breadth) {
        (0..14, _) => DetailForm::None,
        (14..20, _) | (20.., Breadth::Tiny) => DetailForm::Compact,
        (20.., Breadth::Narrow | Breadth::Middle) => DetailForm::Below,
        (20.., Breadth::Wide) => DetailForm::Side,
    };
    let is_boxed = detail_form == DetailForm::Side;
    let has_tabs = height >= 14 && (width >= 80 || height >= 20);
    let has_rule = height >= 20 && !is_boxed;

    let mut cut = Cut(screen);
    let header = cut.top(1);
    let tabs = cut.top(u16::from(has_tabs));
    let hints = cut.bottom(1);
    let message = cut.bottom(1);
    let rule = cut.bottom(u16::from(has_rule));
    let body = cut.0;
    let stats = cut.bottom(match (height, breadth) {
        (0..30, _) | (_, Breadth::Tiny) => 0,
        (30.., Breadth::Narrow | Breadth::Middle) => 3,
        (30.., Breadth::Wide) => 4,
    });
    let detail = match detail_form {
        DetailForm::None => cut.bottom(0),
        DetailForm::Compact => cut.bottom(4),
        DetailForm::Below => cut.bottom(if height < 30 { 8 } else { 9 }),
        DetailForm::Side => cut.right(side_width(width)),
    };
    let list = cut.0;
    let mut inner = Cut(if is_boxed {
        super::pen::inside(list)
    } else {
        list
    });
    let has_heads = height >= 8 && breadth > Breadth::Tiny;
    let heads = inner.top(u16::from(has_heads));
    Areas {
        screen,
        header,
        tabs,
        body,
        list,
        heads,
        rows: inner.0,
        detail,
        stats,
        rule,
        message,
        hints,
        breadth,
        detail_form,
        is_boxed,
    }
}

/// Returns how many rows of the list a screen of that size shows: the page of `Msg::Resized`.
pub fn page_rows(width: u16, height: u16) -> u16 {
    let areas = areas((width, height));
    if areas.is_too_small() {
        0
    } else {
        areas.rows.height
    }
}

/// Returns the width of the detail at the side: what the table leaves over its 76 columns, and two fifths of
/// what is beyond 120, as long lines of prose read badly.
fn side_width(width: u16) -> u16 {
    let spare = width.saturating_sub(120);
    (width.saturating_sub(76)).min(44) + (spare / 5 * 2).min(28)
}

/// Cuts strips off a rectangle.
struct Cut(Rect);

impl Cut {
    fn top(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        let strip = Rect {
            height: rows,
            ..self.0
        };
        self.0.y += rows;
        self.0.height -= rows;
        strip
    }

    fn bottom(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        self.0.height -= rows;
        Rect {
            y: self.0.y + self.0.height,
            height: rows,
            ..self.0
        }
    }

    fn right(&mut self, columns: u16) -> Rect {
        let columns = columns.min(self.0.width);
        self.0.width -= columns;
        Rect {
            x: self.0.x + self.0.width,
            width: columns,
            ..self.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_tile_the_screen_at_every_size() {
        for width in 0..260 {
            for height in 0..60 {
                let plan = areas((width, height));
                let parts = [
                    plan.header,
                    plan.tabs,
                    plan.list,
                    plan.detail,
                    plan.stats,
                    plan.rule,
                    plan.message,
                    plan.hints,
                ];

                let covered: u32 = parts.iter().map(|part| part.area()).sum();
                assert_eq!(covered, plan.screen.area(), "{width}x{height}");
                for part in parts {
                    assert_eq!(part.intersection(plan.screen).area(), part.area());
                }
                if !plan.is_too_small() {
                    assert!(plan.rows.height >= 1, "{width}x{height}");
                }
            }
        }
    }

    #[test]
    fn the_plan_breaks_where_it_should() {
        assert_eq!(page_rows(120, 36), 25);
        assert_eq!(page_rows(80, 24), 10);
        assert_eq!(page_rows(60, 18), 10);
        assert_eq!(page_rows(23, 18), 0);
        assert_eq!(areas((109, 24)).detail_form, DetailForm::Below);
        assert_eq!(areas((110, 24)).detail_form, DetailForm::Side);
        assert_eq!(areas((110, 24)).list.width, 76);
        assert_eq!(areas((120, 36)).list.width, 76);
        assert_eq!(areas((120, 29)).stats.height, 0);
        assert_eq!(areas((120, 19)).detail_form, DetailForm::Compact);
        assert_eq!(areas((80, 13)).detail_form, DetailForm::None);
        assert_eq!(areas((80, 13)).tabs.height, 0);
    }
}
