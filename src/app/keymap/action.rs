//! What a user can want, and where a key can be pressed, with their names.
//!
//! The names stand in config files, the palette and the manual: a renamed one breaks people's
//! files. Knows no keys.

use crate::{app::copy_payload::CopyKind, domain::status::Tab};

/// What a user wants, whatever the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Go to the next task; in texts, one line down.
    Next,
    /// Go to the task before; in texts, one line up.
    Previous,
    /// Go to the first task.
    First,
    /// Go to the last task.
    Last,
    /// Go down by a page.
    PageDown,
    /// Go up by a page.
    PageUp,
    /// Go down by half a page.
    HalfDown,
    /// Go up by half a page.
    HalfUp,
    /// Show the tab to the right.
    NextTab,
    /// Show the tab to the left.
    PreviousTab,
    /// Show that tab.
    ShowTab(Tab),
    /// Show the selected task on the whole screen.
    Detail,
    /// Show the next task there.
    NextTask,
    /// Show the task before there.
    PreviousTask,
    /// Go one step back.
    Back,
    /// Open the dialog that adds tasks.
    Add,
    /// Stop watching the selected task.
    Remove,
    /// Take the last removal or label back.
    Undo,
    /// Mark the task, or take its mark off.
    Mark,
    /// Mark every task from the last one marked to this one.
    MarkRange,
    /// Mark every task shown, or take those marks off.
    MarkAll,
    /// Type a filter.
    Filter,
    /// Have the filter before in the line.
    EarlierFilter,
    /// Have the filter after it.
    LaterFilter,
    /// Choose an order.
    SortMenu,
    /// Turn the order round.
    ReverseSort,
    /// Ask after the selected task now.
    Refresh,
    /// Ask after every unfinished task now.
    RefreshAll,
    /// Stop asking, or go on.
    Pause,
    /// Ask less often.
    Slower,
    /// Ask more often.
    Faster,
    /// Open the result video in the browser.
    OpenResult,
    /// Open the input video in the browser.
    OpenInput,
    /// Show input and result side by side in the browser.
    Compare,
    /// Save the result videos; while that runs, say how far it is, and stop it.
    Save,
    /// Save them to a folder that is asked for.
    SaveTo,
    /// Choose what to copy.
    CopyMenu,
    /// Copy that.
    Copy(CopyKind),
    /// Edit the label.
    EditLabel,
    /// Show the raw record.
    Raw,
    /// Tell of the task's ending, or do not.
    ToggleNotify,
    /// Write a list file back that is gone from its path.
    RestoreListFile,
    /// Choose an action by its name.
    Palette,
    /// Show what was said of late.
    Messages,
    /// Show what was noticed about the server's answers.
    Diagnostics,
    /// Show the keys.
    Help,
    /// Draw the whole screen again.
    Redraw,
    /// Hand the terminal back to the shell until `fg`.
    Suspend,
    /// Leave.
    Quit,
    /// Do what the dialog offers.
    Accept,
    /// Take the line in or out.
    Toggle,
    /// Go to the dialog's next field.
    NextField,
    /// Go to the dialog's field before.
    PreviousField,
}

/// Where a key is pressed: what the keyboard means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyContext {
    /// The list.
    List,
    /// A task on the whole screen.
    Detail,
    /// The dialog that adds tasks; characters are typed.
    Add,
    /// The numbered picker of several videos.
    Pick,
    /// The box in which a folder is typed.
    Folder,
    /// A link shown whole.
    Link,
    /// The menu of what can be copied.
    Copy,
    /// The editor of a label; characters are typed.
    Label,
    /// The command palette; characters are typed.
    Palette,
    /// The help.
    Help,
    /// The filter line; characters are typed.
    Filter,
    /// The menu of orders.
    Sort,
    /// A question to be answered with yes or no.
    Confirm,
}

impl KeyContext {
    /// Every context there is.
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
    /// Reports whether a list that is read-only refuses it.
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

    /// Returns its name.
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
    /// Returns the place of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|context| context.name() == name)
    }

    /// Returns its name.
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

    /// Reports whether characters are typed there, so that none of them can be a key.
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
