//! The actions that keys run, and the contexts in which keys are pressed.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::{app::copy_payload::CopyKind, domain::status::Tab};

/// A user command, independent of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next task; in text, one line down.
    Next,
    /// The previous task; in text, one line up.
    Previous,
    First,
    Last,
    PageDown,
    PageUp,
    HalfDown,
    HalfUp,
    NextTab,
    PreviousTab,
    ShowTab(Tab),
    /// Show full-screen details of the selected task.
    Detail,
    /// In the details: show the next task.
    NextTask,
    /// In the details: show the previous task.
    PreviousTask,
    /// Go back or close; in the list, clear the marks, then the filter.
    Back,
    Add,
    Remove,
    /// Undo the last removal or label change.
    Undo,
    /// Mark the task, or clear its mark.
    Mark,
    /// Mark every task from the last marked one to this one.
    MarkRange,
    /// Mark every shown task, or clear those marks.
    MarkAll,
    Filter,
    /// Put the previous filter of the history into the filter line.
    EarlierFilter,
    /// Put the next filter of the history into the filter line.
    LaterFilter,
    SortMenu,
    ReverseSort,
    /// Check the task now.
    Refresh,
    /// Check every unfinished task now.
    RefreshAll,
    /// Pause or resume polling.
    Pause,
    /// Poll less often.
    Slower,
    /// Poll more often.
    Faster,
    OpenResult,
    OpenInput,
    /// Show input and result side by side in the browser.
    Compare,
    /// Save the result videos; while that runs, show the progress, then stop.
    Save,
    /// Save the result videos to a folder that the user types.
    SaveTo,
    CopyMenu,
    Copy(CopyKind),
    EditLabel,
    /// Show the raw JSON.
    Raw,
    /// Turn notifications for the task on or off.
    ToggleNotify,
    /// Write a deleted list file again.
    RestoreListFile,
    Palette,
    /// Show recent messages.
    Messages,
    /// Show the clock difference and unusual answers.
    Diagnostics,
    Help,
    Redraw,
    /// Suspend to the shell until `fg`.
    Suspend,
    Quit,
    /// Confirm the dialog.
    Accept,
    /// In the add dialog: take or skip an id.
    Toggle,
    NextField,
    PreviousField,
}

/// The context of a key press, which decides what the key means.
///
/// The names are used in config files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum KeyContext {
    List,
    /// The full-screen details.
    Detail,
    /// The add dialog; characters are typed.
    Add,
    /// The picker of one of several videos.
    Pick,
    /// The folder dialog; characters are typed.
    Folder,
    /// The dialog that shows links in full.
    Link,
    Copy,
    /// The label editor; characters are typed.
    Label,
    /// The command palette; characters are typed.
    Palette,
    /// The help, the recent messages and the diagnostics.
    Help,
    /// The filter line; characters are typed.
    Filter,
    Sort,
    /// A yes/no question.
    Confirm,
}

impl Action {
    /// Reports whether a read-only list rejects the action.
    pub const fn needs_write_access(self) -> bool {
        matches!(
            self,
            Self::Add
                | Self::Remove
                | Self::Undo
                | Self::Save
                | Self::SaveTo
                | Self::EditLabel
                | Self::ToggleNotify
                | Self::RestoreListFile
        )
    }
}

impl KeyContext {
    pub const ALL: &[Self] = <Self as VariantArray>::VARIANTS;

    /// Returns the name in config files.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Reports whether characters are typed as text, so that none of them can be a key.
    pub const fn accepts_text(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Folder | Self::Label | Self::Palette | Self::Filter
        )
    }
}
