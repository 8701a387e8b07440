//! The actions that keys run, and the contexts in which keys are pressed.
//!
//! The names are used in config files, the palette and the manual: renaming one breaks users'
//! files.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl KeyContext {
    pub const ALL: [Self; 13] = [
        Self::List,
        Self::Detail,
        Self::Add,
        Self::Pick,
        Self::Folder,
        Self::Link,
        Self::Copy,
        Self::Label,
        Self::Palette,
        Self::Help,
        Self::Filter,
        Self::Sort,
        Self::Confirm,
    ];
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

    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Previous => "previous",
            Self::First => "first",
            Self::Last => "last",
            Self::PageDown => "page_down",
            Self::PageUp => "page_up",
            Self::HalfDown => "half_page_down",
            Self::HalfUp => "half_page_up",
            Self::NextTab => "next_tab",
            Self::PreviousTab => "previous_tab",
            Self::ShowTab(Tab::All) => "show_all",
            Self::ShowTab(Tab::Active) => "show_active",
            Self::ShowTab(Tab::Ready) => "show_ready",
            Self::ShowTab(Tab::Rescued) => "show_rescued",
            Self::ShowTab(Tab::Failed) => "show_failed",
            Self::ShowTab(Tab::Expiring) => "show_expiring",
            Self::Detail => "detail",
            Self::NextTask => "next_task",
            Self::PreviousTask => "previous_task",
            Self::Back => "back",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Undo => "undo",
            Self::Mark => "mark",
            Self::MarkRange => "mark_range",
            Self::MarkAll => "mark_all",
            Self::Filter => "filter",
            Self::EarlierFilter => "earlier_filter",
            Self::LaterFilter => "later_filter",
            Self::SortMenu => "sort",
            Self::ReverseSort => "reverse_sort",
            Self::Refresh => "check",
            Self::RefreshAll => "check_all",
            Self::Pause => "pause",
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::OpenResult => "open_result",
            Self::OpenInput => "open_original",
            Self::Compare => "compare",
            Self::Save => "save",
            Self::SaveTo => "save_to",
            Self::CopyMenu => "copy",
            Self::Copy(CopyKind::Id) => "copy_id",
            Self::Copy(CopyKind::Result) => "copy_result",
            Self::Copy(CopyKind::Input) => "copy_original",
            Self::Copy(CopyKind::Prompt) => "copy_prompt",
            Self::Copy(CopyKind::Json) => "copy_json",
            Self::Copy(CopyKind::Curl) => "copy_curl",
            Self::EditLabel => "edit_label",
            Self::Raw => "raw_record",
            Self::ToggleNotify => "notices",
            Self::RestoreListFile => "write_back",
            Self::Palette => "palette",
            Self::Messages => "messages",
            Self::Diagnostics => "diagnostics",
            Self::Help => "help",
            Self::Redraw => "redraw",
            Self::Suspend => "suspend",
            Self::Quit => "quit",
            Self::Accept => "accept",
            Self::Toggle => "toggle",
            Self::NextField => "next_field",
            Self::PreviousField => "previous_field",
        }
    }
}

impl KeyContext {
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|context| context.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Detail => "detail",
            Self::Add => "add",
            Self::Pick => "pick",
            Self::Folder => "folder",
            Self::Link => "link",
            Self::Copy => "copy",
            Self::Label => "label",
            Self::Palette => "palette",
            Self::Help => "help",
            Self::Filter => "filter",
            Self::Sort => "sort",
            Self::Confirm => "confirm",
        }
    }

    /// Reports whether characters are typed as text, so that none of them can be a key.
    pub const fn accepts_text(self) -> bool {
        match self {
            Self::Add | Self::Folder | Self::Label | Self::Palette | Self::Filter => true,
            Self::List
            | Self::Detail
            | Self::Pick
            | Self::Link
            | Self::Copy
            | Self::Help
            | Self::Sort
            | Self::Confirm => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_found_by_name() {
        for context in KeyContext::ALL {
            assert_eq!(KeyContext::parse(context.name()), Some(context));
        }
    }
}
