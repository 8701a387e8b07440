//! Which part of the screen is where: a pure function of the terminal's size.
//!
//! Knows nothing of the state, so that the runtime can say how many rows the list has before a
//! frame is drawn.

use ratatui::layout::Rect;

/// The smallest screen anything is shown on.
pub const MIN_SCREEN_SIZE: (u16, u16) = (24, 5);

/// Which columns fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WidthClass {
    /// Under 50 columns: glyph and title.
    Minimal,
    /// 50 to 79: short words, one time column.
    Narrow,
    /// 80 to 109: all columns, the detail below.
    Medium,
    /// 110 and more: the detail at the side.
    Wide,
}

/// Where the detail of the selected task stands beside the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailPlacement {
    /// Nowhere; `Enter` shows it.
    Hidden,
    /// In two lines below the list, and a third for the next step.
    Compact,
    /// Below the list.
    Below,
    /// At its side.
    Side,
}

/// The plan of a screen; a part that is not there has no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenLayout {
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
    pub column_heads: Rect,
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
    pub width_class: WidthClass,
    /// Where the detail stands.
    pub detail_placement: DetailPlacement,
    /// Whether parts are boxed; else lines divide them.
    pub is_boxed: bool,
}

impl ScreenLayout {
    /// Reports whether the screen is too small for anything but saying so.
    pub const fn is_too_small(&self) -> bool {
        self.screen.width < MIN_SCREEN_SIZE.0 || self.screen.height < MIN_SCREEN_SIZE.1
    }
}

/// Returns the plan of a screen of so many columns and rows.
pub fn screen_layout(size: (u16, u16)) -> ScreenLayout {
    let (width, height) = size;
    let screen = Rect::new(0, 0, width, height);
    let breadth = match width {
        0..50 => WidthClass::Minimal,
        50..80 => WidthClass::Narrow,
        80..110 => WidthClass::Medium,
        110.. => WidthClass::Wide,
    };
    let detail_form = match (height, breadth) {
        (0..14, _) => DetailPlacement::Hidden,
        (14..20, _) | (20.., WidthClass::Minimal) => DetailPlacement::Compact,
        (20.., WidthClass::Narrow | WidthClass::Medium) => DetailPlacement::Below,
        (20.., WidthClass::Wide) => DetailPlacement::Side,
    };
    let is_boxed = detail_form == DetailPlacement::Side;
    let has_tabs = height >= 14 && (width >= 80 || height >= 20);
    let has_rule = height >= 20 && !is_boxed;

    let mut cut = AreaSplitter(screen);
    let header = cut.take_top(1);
    let tabs = cut.take_top(u16::from(has_tabs));
    let hints = cut.take_bottom(1);
    let message = cut.take_bottom(1);
    let rule = cut.take_bottom(u16::from(has_rule));
    let body = cut.0;
    let stats = cut.take_bottom(match (height, breadth) {
        (0..30, _) | (_, WidthClass::Minimal) => 0,
        (30.., WidthClass::Narrow | WidthClass::Medium) => 3,
        (30.., WidthClass::Wide) => 4,
    });
    let detail = match detail_form {
        DetailPlacement::Hidden => cut.take_bottom(0),
        DetailPlacement::Compact => cut.take_bottom(4),
        DetailPlacement::Below => cut.take_bottom(if height < 30 { 8 } else { 9 }),
        DetailPlacement::Side => cut.take_right(side_width(width)),
    };
    let list = cut.0;
    let mut inner = AreaSplitter(if is_boxed {
        super::painter::inner_area(list)
    } else {
        list
    });
    let has_heads = height >= 8 && breadth > WidthClass::Minimal;
    let heads = inner.take_top(u16::from(has_heads));
    ScreenLayout {
        screen,
        header,
        tabs,
        body,
        list,
        column_heads: heads,
        rows: inner.0,
        detail,
        stats,
        rule,
        message,
        hints,
        width_class: breadth,
        detail_placement: detail_form,
        is_boxed,
    }
}

/// Returns how many rows of the list a screen of that size shows: the page of `Msg::Resized`.
pub fn list_rows(width: u16, height: u16) -> u16 {
    let areas = screen_layout((width, height));
    if areas.is_too_small() {
        0
    } else {
        areas.rows.height
    }
}

/// Returns the width of the detail at the side: what the table leaves over its 76 columns, and two
/// fifths of what is beyond 120, as long lines of prose read badly.
fn side_width(width: u16) -> u16 {
    let spare = width.saturating_sub(120);
    (width.saturating_sub(76)).min(44) + (spare / 5 * 2).min(28)
}

/// Cuts strips off a rectangle.
struct AreaSplitter(Rect);

impl AreaSplitter {
    fn take_top(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        let strip = Rect {
            height: rows,
            ..self.0
        };
        self.0.y += rows;
        self.0.height -= rows;
        strip
    }

    fn take_bottom(&mut self, rows: u16) -> Rect {
        let rows = rows.min(self.0.height);
        self.0.height -= rows;
        Rect {
            y: self.0.y + self.0.height,
            height: rows,
            ..self.0
        }
    }

    fn take_right(&mut self, columns: u16) -> Rect {
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
    fn areas_tile_the_screen_at_every_size() {
        for width in 0..260 {
            for height in 0..60 {
                let plan = screen_layout((width, height));
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
    fn layout_breakpoints_are_right() {
        assert_eq!(list_rows(120, 36), 25);
        assert_eq!(list_rows(80, 24), 10);
        assert_eq!(list_rows(60, 18), 10);
        assert_eq!(list_rows(23, 18), 0);
        assert_eq!(
            screen_layout((109, 24)).detail_placement,
            DetailPlacement::Below
        );
        assert_eq!(
            screen_layout((110, 24)).detail_placement,
            DetailPlacement::Side
        );
        assert_eq!(screen_layout((110, 24)).list.width, 76);
        assert_eq!(screen_layout((120, 36)).list.width, 76);
        assert_eq!(screen_layout((120, 29)).stats.height, 0);
        assert_eq!(
            screen_layout((120, 19)).detail_placement,
            DetailPlacement::Compact
        );
        assert_eq!(
            screen_layout((80, 13)).detail_placement,
            DetailPlacement::Hidden
        );
        assert_eq!(screen_layout((80, 13)).tabs.height, 0);
    }
}
