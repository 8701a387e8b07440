//! Messages ([`Msg`]: facts, in the past tense) and effects ([`Effect`]: commands, in the
//! imperative). Data only.

use std::path::PathBuf;

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
        link::VideoUrl,
        list_change::StoreError,
        poll_request::{Denied, PollTrigger},
        poll_result::PollResult,
        preview::{CellArea, PreviewError, PreviewId, PreviewRequest},
        response_notes::ResponseNotes,
        schedule::PollAttempt,
        store_request::{StoreReply, StoreRequest},
        task::{Family, TaskId},
    },
};

/// An event for `update`.
#[derive(Debug, Clone, PartialEq)]
pub enum Msg {
    /// A wakeup that `next_wakeup` requested, or another reason to check the clock.
    Tick,
    Key {
        chord: KeyChord,
        /// Whether the terminal repeats a held key; only movement accepts repeats.
        is_repeat: bool,
    },
    Mouse {
        action: MouseAction,
        target: HitTarget,
    },
    /// The API key and its encodings, sent before each pasted text: they are never taken for task
    /// ids.
    SecretsLoaded(KnownSecrets),
    /// Pasted text. It is never run as commands.
    Pasted(String),
    Resized {
        width: u16,
        height: u16,
        /// Rows that the list has on the screen.
        page: u16,
    },
    /// The terminal reports no size, so one is assumed; sent once.
    SizeUnknown {
        width: u16,
        height: u16,
    },
    /// The layout of a drawn frame; sent when it changed.
    LayoutMeasured {
        max_scroll: u16,
        /// The area of each preview image of the selected task, if there is space for them.
        preview_area: Option<CellArea>,
    },
    /// The list's answer to a request. [`StoreRequest::ReadExternalChanges`] comes from the watch
    /// of its file and is reported only if there are changes, or an error.
    StoreAnswered {
        request: StoreRequest,
        result: Result<StoreReply, StoreError>,
    },
    Polled {
        task: TaskId,
        attempt: PollAttempt,
        answer: Box<PollResult>,
        /// Anomalies and the server's clock.
        notes: ResponseNotes,
    },
    /// The API client sends the request; [`Msg::Polled`] follows.
    PollStarted(PollAttempt),
    /// No request was sent, because it was denied. It does not count as a check.
    PollDenied {
        task: TaskId,
        attempt: PollAttempt,
        denied: Denied,
    },
    Copied {
        /// The name of the text in a sentence.
        name: String,
        text: String,
        /// The clipboard program, or the reason why none accepted the text.
        result: Result<String, String>,
    },
    /// The desktop notification and the command were started; the error is a sentence.
    Notified(Result<(), String>),
    Focused(TerminalFocus),
    Opened {
        task: TaskId,
        url: VideoUrl,
        /// The file opened instead of the link, or the reason why no browser could be started.
        result: Result<Option<PathBuf>, String>,
    },
    Compared {
        task: TaskId,
        /// The reason why the comparison could not be opened.
        result: Result<(), String>,
    },
    /// Progress of a download; sent any number of times before its end.
    DownloadProgressed {
        id: DownloadId,
        progress: TransferProgress,
    },
    DownloadEnded {
        id: DownloadId,
        /// The path of the file, or the error.
        result: Result<PathBuf, DownloadError>,
    },
    /// Whether saved files exist.
    FilesChecked(Vec<(TaskId, PathBuf, bool)>),
    /// Whether each of these tasks has a download running, in any instance.
    LocksChecked(Vec<(TaskId, bool)>),
    /// The preview images are ready to draw, or failed.
    PreviewReady {
        id: PreviewId,
        result: Result<(), PreviewError>,
    },
    /// The program continues after a suspension.
    Resumed,
    /// A component panicked and the panic was contained; the sentence names the component.
    ComponentPanicked(String),
    ShutdownRequested,
}

/// A request to the terminal beside the screen content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminalRequest {
    /// Copy a text to the clipboard (OSC 52). Terminals do not report whether they do.
    Copy(String),
    /// Show a terminal notification, or ring the bell if the terminal supports none.
    Notify {
        /// Sanitised.
        title: String,
        /// Sanitised.
        body: String,
    },
    Bell,
}

/// A command for the effect runner. Each is answered by exactly one [`Msg`], except those without
/// an answer: [`StopDownload`](Effect::StopDownload),
/// [`StopPreview`](Effect::StopPreview), [`Redraw`](Effect::Redraw),
/// [`Terminal`](Effect::Terminal) and [`Quit`](Effect::Quit).
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answered by [`Msg::StoreAnswered`], in the order of the requests.
    Store(StoreRequest),
    /// Request a task's state; answered by [`Msg::PollStarted`] and [`Msg::Polled`], or by
    /// [`Msg::PollDenied`].
    Poll {
        task: TaskId,
        family: Family,
        attempt: PollAttempt,
        trigger: PollTrigger,
    },
    /// Copy to the clipboard; answered by [`Msg::Copied`].
    Copy(CopyPayload),
    /// Terminals do not answer.
    Terminal(TerminalRequest),
    /// Send a desktop notification or run a command; answered by [`Msg::Notified`].
    Notify(Notification),
    /// Open a video in the browser: the saved file if it still exists, else the cached input, else
    /// the link. Answered by [`Msg::Opened`].
    Open {
        task: TaskId,
        url: VideoUrl,
        /// The saved file.
        file: Option<PathBuf>,
    },
    /// Show input and result side by side in the browser; answered by [`Msg::Compared`].
    ShowComparison(Box<Comparison>),
    /// Download a result; answered by [`Msg::DownloadEnded`], after any number of
    /// [`Msg::DownloadProgressed`].
    Download {
        id: DownloadId,
        request: DownloadRequest,
    },
    /// Stop a download, whose [`Msg::DownloadEnded`] then follows. Ignored if it has ended.
    StopDownload(DownloadId),
    /// Check whether saved files exist; answered by [`Msg::FilesChecked`].
    CheckFiles(Vec<(TaskId, PathBuf)>),
    /// Check whether any instance is downloading these files; answered by [`Msg::LocksChecked`].
    CheckLocks(Vec<DownloadRequest>),
    /// Render the preview of a task; answered by [`Msg::PreviewReady`].
    RenderPreview(Box<PreviewRequest>),
    /// Stop a preview, whose [`Msg::PreviewReady`] then follows. Ignored if it is ready.
    StopPreview(PreviewId),
    /// Draw the whole screen again.
    Redraw,
    /// Suspend to the shell; answered by [`Msg::Resumed`].
    Suspend,
    Quit,
}
