//! The screen layout: a pure function of the terminal size.
//!
//! It does not depend on the state, so the runtime knows the number of list rows before a frame is
//! drawn.

use ratatui::layout::Rect;

/// The smallest usable screen: columns, rows.
pub const MIN_SCREEN_SIZE: (u16, u16) = (24, 5);

/// The width of the screen in classes, which decide which columns fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WidthClass {
    /// Under 50 columns: glyph and title only.
    Minimal,
    /// 50 to 79: short words, one time column.
    Narrow,
    /// 80 to 109: all columns, the details below.
    Medium,
    /// 110 and more: the details at the side.
    Wide,
}

/// The position of the selected task's details relative to the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetailPlacement {
    /// Not shown until `Enter` is pressed.
    Hidden,
    /// Below the list, in three lines.
    Compact,
    Below,
    Side,
}

/// The areas of the screen; an absent part has no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenLayout {
    pub screen: Rect,
    /// Name, counts and clock.
    pub header: Rect,
    /// Tabs or banner.
    pub tabs: Rect,
    /// Everything between tabs and footer: list, details and statistics.
    pub body: Rect,
    /// The list with frame and column headings.
    pub list: Rect,
    pub column_heads: Rect,
    pub rows: Rect,
    /// The details beside or below the list.
    pub detail: Rect,
    /// A row of its own, or that of the rule.
    pub stats: Rect,
    /// The line between body and footer.
    pub rule: Rect,
    pub message: Rect,
    pub hints: Rect,
    pub width_class: WidthClass,
    pub detail_placement: DetailPlacement,
    /// Whether parts have frames; otherwise rules separate them.
    pub is_boxed: bool,
}

impl ScreenLayout {
    /// Reports whether only the "too small" message fits.
    pub const fn is_too_small(&self) -> bool {
        self.screen.width < MIN_SCREEN_SIZE.0 || self.screen.height < MIN_SCREEN_SIZE.1
    }
}

/// Returns the layout for a size in columns and rows.
pub fn screen_layout(size: (u16, u16)) -> ScreenLayout {
    let (width, height) = size;
    let screen = Rect::new(0, 0, width, height);
    let width_class = match width {
        0..50 => WidthClass::Minimal,
        50..80 => WidthClass::Narrow,
        80..110 => WidthClass::Medium,
        110.. => WidthClass::Wide,
    };
    let detail_placement = match (height, width_class) {
        (0..14, _) => DetailPlacement::Hidden,
        (14..20, _) | (20.., WidthClass::Minimal) => DetailPlacement::Compact,
        (20.., WidthClass::Narrow | WidthClass::Medium) => DetailPlacement::Below,
        (20.., WidthClass::Wide) => DetailPlacement::Side,
    };
    let is_boxed = detail_placement == DetailPlacement::Side;
    let has_tabs = height >= 14 && (width >= 80 || height >= 20);
    let has_rule = height >= 20 && !is_boxed;

    let mut splitter = AreaSplitter(screen);
    let header = splitter.take_top(1);
    let tabs = splitter.take_top(u16::from(has_tabs));
    let hints = splitter.take_bottom(1);
    let message = splitter.take_bottom(1);
    let rule = splitter.take_bottom(u16::from(has_rule));
    let body = splitter.0;
    let has_stats = height >= 30 && width_class > WidthClass::Minimal;
    let stats = match (has_stats, is_boxed) {
        (false, _) => Rect::default(),
        (true, false) => rule,
        (true, true) => splitter.take_bottom(1),
    };
    let detail = match detail_placement {
        DetailPlacement::Hidden => splitter.take_bottom(0),
        DetailPlacement::Compact => splitter.take_bottom(4),
        DetailPlacement::Below => splitter.take_bottom(if height < 30 { 8 } else { 9 }),
        DetailPlacement::Side => splitter.take_right(side_width(width)),
    };
    let list = splitter.0;
    let mut inner = AreaSplitter(if is_boxed {
        super::painter::inner_area(list)
    } else {
        list
    });
    let has_heads = height >= 8 && width_class > WidthClass::Minimal;
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
        width_class,
        detail_placement,
        is_boxed,
    }
}

/// Returns the number of visible list rows: the page size of `Msg::Resized`.
pub fn list_rows(width: u16, height: u16) -> u16 {
    let areas = screen_layout((width, height));
    if areas.is_too_small() {
        0
    } else {
        areas.rows.height
    }
}

/// Returns the width of the side panel: the rest beside a table of 76 columns, then two fifths of
/// the columns beyond 120, as long lines of prose are hard to read.
fn side_width(width: u16) -> u16 {
    let spare = width.saturating_sub(120);
    (width.saturating_sub(76)).min(44) + (spare / 5 * 2).min(28)
}

/// Splits strips off a rectangle.
pub(super) struct AreaSplitter(pub(super) Rect);

impl AreaSplitter {
    pub(super) fn take_top(&mut self, rows: u16) -> Rect {
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
                let layout = screen_layout((width, height));
                let parts = [
                    layout.header,
                    layout.tabs,
                    layout.list,
                    layout.detail,
                    if layout.is_boxed {
                        layout.stats
                    } else {
                        layout.rule
                    },
                    layout.message,
                    layout.hints,
                ];

                let covered: u32 = parts.iter().map(|part| part.area()).sum();
                assert_eq!(covered, layout.screen.area(), "{width}x{height}");
                for part in parts {
                    assert_eq!(part.intersection(layout.screen).area(), part.area());
                }
                if !layout.is_too_small() {
                    assert!(layout.rows.height >= 1, "{width}x{height}");
                }
            }
        }
    }

    #[test]
    fn layout_breakpoints_are_right() {
        assert_eq!(list_rows(120, 36), 28);
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
