//! What may happen ([`Msg`], facts, past tense) and what the core orders ([`Effect`], imperative).
//! Data only.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;

use crate::{
    app::{
        copy_payload::CopyPayload,
        keymap::KeyChord,
        mouse::{HitTarget, MouseAction},
        notifications::{Notification, TerminalFocus},
    },
    domain::{
        comparison::Comparison,
        download::{DownloadError, DownloadId, DownloadRequest, TransferProgress},
        id_extract::KnownSecrets,
        limiter::{Broadcast, Denied},
        link::VideoUrl,
        list_change::{ChangeResult, ExternalChange, JournalLine, ListChange, StoreError},
        poll_result::PollResult,
        preview::{CellArea, PreviewError, PreviewId, PreviewRequest},
        query::ListView,
        raw_response::RawResponse,
        response_notes::ResponseNotes,
        saved_session::SavedSession,
        schedule::PollAttempt,
        task::{Family, TaskId},
        watched_task::WatchedTask,
    },
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Msg {
    /// The time came that `next_wakeup` named, or another occasion to look at the clock.
    Tick,
    /// A key was pressed.
    Key {
        /// Which.
        chord: KeyChord,
        /// Whether it is the terminal's own repetition; only movement takes those.
        is_repeat: bool,
    },
    /// The mouse did something.
    Mouse {
        /// What.
        action: MouseAction,
        /// To what.
        target: HitTarget,
    },
    /// The API key and its spellings, sent before each pasted text: they are never taken for ids.
    SecretsLoaded(KnownSecrets),
    /// Text was pasted. It is never a command.
    Pasted(String),
    /// The terminal has another size.
    Resized {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
        /// How many rows of the list that leaves.
        page: u16,
    },
    /// The terminal reports no size; sent once.
    SizeUnknown {
        /// The assumed columns.
        width: u16,
        /// The assumed rows.
        height: u16,
    },
    /// A frame was drawn, and this was found out; sent when it changed.
    LayoutMeasured {
        /// The most lines that can be scrolled away.
        max_scroll: u16,
        /// The room for each picture of the selected task, where there is some.
        preview_area: Option<CellArea>,
    },
    /// What the last run on this list left behind was read.
    SessionLoaded(Result<SavedSession, StoreError>),
    /// How the list is looked at was written down, or not.
    SessionSaved(Result<(), StoreError>),
    /// The list was read.
    ListLoaded(Result<Vec<WatchedTask>, StoreError>),
    /// Another instance changed the list.
    ExternalChanges(Vec<ExternalChange>),
    /// A poll was answered, one way or the other.
    Polled {
        /// After which task.
        task: TaskId,
        /// Which question.
        attempt: PollAttempt,
        /// The answer.
        answer: Box<PollResult>,
        /// What was noticed beside it.
        notes: ResponseNotes,
    },
    /// A poll was not asked, as no turn was free among all instances. It counts as no check.
    PollDenied {
        /// After which task.
        task: TaskId,
        /// Which question.
        attempt: PollAttempt,
        /// Why, and for how long.
        denied: Denied,
    },
    /// Changes were written, or not.
    Stored {
        /// What was to be written.
        changes: Vec<ListChange>,
        /// What became of each.
        result: Result<Vec<ChangeResult>, StoreError>,
    },
    /// A task's journal was read.
    JournalRead {
        /// Whose.
        task: TaskId,
        /// Its last lines, oldest first.
        lines: Result<Vec<JournalLine>, StoreError>,
    },
    /// A task's raw record was read; nothing when the server never gave one.
    RawResponseRead {
        /// Whose.
        task: TaskId,
        /// The record.
        response: Result<Option<Arc<RawResponse>>, StoreError>,
    },
    /// Something was put on a clipboard, or not.
    Copied {
        /// What it is called.
        name: String,
        /// The text.
        text: String,
        /// The program that took it, or why none did.
        result: Result<String, String>,
    },
    /// The news of endings was handed on; the sentence says what failed of it.
    Notified(Result<(), String>),
    /// The terminal came to the front, or went behind others.
    Focused(TerminalFocus),
    /// The browser was started, or not.
    Opened {
        /// Whose video.
        task: TaskId,
        /// Its link.
        url: VideoUrl,
        /// The reason when no browser could be started.
        result: Result<(), String>,
    },
    /// A saved file was opened.
    FileOpened {
        /// Whose.
        task: TaskId,
        /// Which.
        file: PathBuf,
    },
    /// Input and result were shown side by side in the browser, or not.
    Compared {
        /// Whose.
        task: TaskId,
        /// The reason when they could not be.
        result: Result<(), String>,
    },
    /// A file that is being saved has come so far. Between its order and its end this is told any
    /// number of times.
    DownloadProgressed {
        /// Which try.
        id: DownloadId,
        /// How far.
        progress: TransferProgress,
    },
    /// A save ended.
    DownloadEnded {
        /// Which try.
        id: DownloadId,
        /// Where the file is, or why it is not there.
        result: Result<PathBuf, DownloadError>,
    },
    /// Saved files were looked for.
    FilesChecked(Vec<(TaskId, PathBuf, bool)>),
    /// It was found out of each of these tasks whether somebody is fetching a result of it.
    LocksChecked(Vec<(TaskId, bool)>),
    /// Pictures were made, and are with whoever draws them; or not.
    PreviewReady {
        /// Which order.
        id: PreviewId,
        /// Why there are none.
        result: Result<(), PreviewError>,
    },
    /// The terminal is ours again after a suspension.
    Resumed,
    /// The list file failed outside of a write.
    ListFailed(StoreError),
    /// The result of writing the list back.
    ListFileRestored(Result<(), StoreError>),
    /// A part of the program broke and was contained; the sentence says which.
    ComponentPanicked(String),
    /// The program was told to end.
    ShutdownRequested,
}

/// Something the terminal itself is asked for beside the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalRequest {
    /// To put a text on its clipboard (OSC 52). Whether it does, it never says.
    Copy(String),
    /// To show a notice in its own way, or ring where it has none.
    Notify {
        /// What is read first; clean.
        title: String,
        /// The rest; clean.
        body: String,
    },
    /// To ring.
    Bell,
}

/// One order. Each is answered by exactly one [`Msg`], but those for which nothing waits:
/// [`Tell`](Effect::Broadcast), [`StopSave`](Effect::StopDownload),
/// [`StopPicture`](Effect::StopPreview), [`Redraw`](Effect::Redraw), [`Ask`](Effect::Terminal),
/// [`NoteVisit`](Effect::SaveLastSeen) and [`Quit`](Effect::Quit).
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Read what the last run left behind; answered by [`Msg::SessionLoaded`].
    LoadSession,
    /// Write down how the list is looked at; answered by [`Msg::SessionSaved`].
    SaveSession(ListView),
    /// Read the list; answered by [`Msg::ListLoaded`].
    LoadList,
    /// Ask after a task; answered by [`Msg::Polled`], or by [`Msg::PollDenied`].
    Poll {
        /// Which.
        task: TaskId,
        /// Whose API.
        family: Family,
        /// Which question.
        attempt: PollAttempt,
    },
    /// Let the other instances on this list know of the account's state.
    Broadcast(Broadcast),
    /// Write changes; answered by [`Msg::Stored`].
    WriteChanges(Vec<ListChange>),
    /// Write the list back to its path; answered by [`Msg::ListFileRestored`].
    RestoreListFile,
    /// Read a task's journal; answered by [`Msg::JournalRead`].
    ReadJournal(TaskId),
    /// Read a task's raw record; answered by [`Msg::RawResponseRead`].
    ReadRawResponse(TaskId),
    /// Write down that the list was looked at until then.
    SaveLastSeen(Timestamp),
    /// Put something on the clipboard; answered by [`Msg::Copied`].
    Copy(CopyPayload),
    /// Ask the terminal for something. Terminals do not answer.
    Terminal(TerminalRequest),
    /// Tell of endings by a desktop notice or a command; answered by [`Msg::Notified`].
    Notify(Notification),
    /// Open a video in the browser: its saved file where that is still there, else what was kept of
    /// it as an input, else its link; answered by [`Msg::Opened`] or [`Msg::FileOpened`].
    Open {
        /// Whose.
        task: TaskId,
        /// Which.
        url: VideoUrl,
        /// Where it was saved.
        file: Option<PathBuf>,
    },
    /// Show input and result side by side in the browser; answered by [`Msg::Compared`].
    ShowComparison(Box<Comparison>),
    /// Fetch a result to the disk; answered by [`Msg::DownloadEnded`], after any number of
    /// [`Msg::DownloadProgressed`].
    Download {
        /// Which try.
        id: DownloadId,
        /// What, and where to.
        request: DownloadRequest,
    },
    /// Stop a save, which then ends. One that has ended is no longer to be stopped.
    StopDownload(DownloadId),
    /// Look whether saved files are there; answered by [`Msg::FilesChecked`].
    CheckFiles(Vec<(TaskId, PathBuf)>),
    /// Find out whether somebody is fetching these files; answered by [`Msg::LocksChecked`].
    CheckLocks(Vec<DownloadRequest>),
    /// Make pictures of a task's videos; answered by [`Msg::PreviewReady`].
    RenderPreview(Box<PreviewRequest>),
    /// Stop making those, which then end. Made ones are no longer to be stopped.
    StopPreview(PreviewId),
    /// Draw the whole screen again.
    Redraw,
    /// Hand the terminal to the shell; answered by [`Msg::Resumed`].
    Suspend,
    /// Leave.
    Quit,
}
