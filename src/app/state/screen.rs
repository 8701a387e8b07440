//! The main screen: the list, or the details of one task.

use crate::app::keymap::KeyContext;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MainScreen {
    /// The table, with the details beside or below it if there is space.
    #[default]
    List,
    /// Full-screen details of one task.
    Detail { page: DetailPage, scroll: u16 },
}

impl MainScreen {
    /// Returns the key context while no overlay is open.
    pub const fn context(self) -> KeyContext {
        match self {
            Self::List => KeyContext::List,
            Self::Detail { .. } => KeyContext::Detail,
        }
    }
}

/// A page of the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DetailPage {
    /// Status, links and the next step.
    #[default]
    Info,
    Journal,
    /// The last raw response.
    Json,
}

impl DetailPage {
    pub const ALL: [Self; 3] = [Self::Info, Self::Journal, Self::Json];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "Info",
            Self::Journal => "Time",
            Self::Json => "JSON",
        }
    }

    /// Returns the next page, cyclically.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Info => Self::Journal,
            Self::Journal => Self::Json,
            Self::Json => Self::Info,
        }
    }

    /// Returns the previous page, cyclically.
    #[must_use]
    pub const fn previous(self) -> Self {
        // There are three pages: two steps forward are one step back.
        self.next().next()
    }
}
