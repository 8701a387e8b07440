//! What may happen ([`Msg`], facts, past tense) and what the core orders ([`Effect`], imperative). Data only.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;

use crate::{
    app::{
        clip::Clip,
        keymap::KeyChord,
        pointer::{Gesture, Spot},
        tidings::{Focus, Tidings},
    },
    domain::{
        change::{Applied, Change, Delta, JournalLine, StoreError},
        comparison::Comparison,
        id_extract::KnownSecrets,
        link::VideoUrl,
        memory::Memory,
        noticed::Noticed,
        picture::{PictureError, PictureNumber, PictureOrder, Room},
        query::Lens,
        record::Record,
        report::Answer,
        save::{Progress, SaveAttempt, SaveError, SaveOrder},
        schedule::Attempt,
        task::{Family, TaskId},
        turns::{PutOff, Word},
        watched::Watched,
    },
};

/// Is one thing that happened.
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
    Pointed {
        /// What.
        gesture: Gesture,
        /// To what.
        spot: Spot,
    },
    /// The API key and its spellings, sent before each pasted text: they are never taken for ids.
    KeyRead(KnownSecrets),
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
    SizeAssumed {
        /// The assumed columns.
        width: u16,
        /// The assumed rows.
        height: u16,
    },
    /// A frame was drawn, and this was found out; sent when it changed.
    Measured {
        /// The most lines that can be scrolled away.
        most_scroll: u16,
        /// The room for each picture of the selected task, where there is some.
        room: Option<Room>,
    },
    /// What the last run on this list left behind was read.
    Recalled(Result<Memory, StoreError>),
    /// How the list is looked at was written down, or not.
    Remembered(Result<(), StoreError>),
    /// The list was read.
    Loaded(Result<Vec<Watched>, StoreError>),
    /// Another instance changed the list.
    ChangedElsewhere(Vec<Delta>),
    /// A poll was answered, one way or the other.
    Polled {
        /// After which task.
        task: TaskId,
        /// Which question.
        attempt: Attempt,
        /// The answer.
        answer: Box<Answer>,
        /// What was noticed beside it.
        noticed: Noticed,
    },
    /// A poll was not asked, as no turn was free among all instances. It counts as no check.
    PutOff {
        /// After which task.
        task: TaskId,
        /// Which question.
        attempt: Attempt,
        /// Why, and for how long.
        put_off: PutOff,
    },
    /// Changes were written, or not.
    Stored {
        /// What was to be written.
        changes: Vec<Change>,
        /// What became of each.
        result: Result<Vec<Applied>, StoreError>,
    },
    /// A task's journal was read.
    JournalRead {
        /// Whose.
        task: TaskId,
        /// Its last lines, oldest first.
        lines: Result<Vec<JournalLine>, StoreError>,
    },
    /// A task's raw record was read; nothing when the server never gave one.
    RecordRead {
        /// Whose.
        task: TaskId,
        /// The record.
        record: Result<Option<Arc<Record>>, StoreError>,
    },
    /// Something was put on a clipboard, or not.
    Copied {
        /// What it is called.
        what: String,
        /// The text.
        text: String,
        /// The program that took it, or why none did.
        result: Result<String, String>,
    },
    /// The news of endings was handed on; the sentence says what failed of it.
    Announced(Result<(), String>),
    /// The terminal came to the front, or went behind others.
    Focused(Focus),
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
    OpenedFile {
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
    /// A file that is being saved has come so far. Between its order and its end this is told any number of times.
    SaveProgressed {
        /// Which try.
        attempt: SaveAttempt,
        /// How far.
        progress: Progress,
    },
    /// A save ended.
    SaveEnded {
        /// Which try.
        attempt: SaveAttempt,
        /// Where the file is, or why it is not there.
        result: Result<PathBuf, SaveError>,
    },
    /// Saved files were looked for.
    LookedFor(Vec<(TaskId, PathBuf, bool)>),
    /// It was found out of each of these tasks whether somebody is fetching a result of it.
    HoldersFound(Vec<(TaskId, bool)>),
    /// Pictures were made, and are with whoever draws them; or not.
    Pictured {
        /// Which order.
        number: PictureNumber,
        /// Why there are none.
        result: Result<(), PictureError>,
    },
    /// The terminal is ours again after a suspension.
    Resumed,
    /// The list file failed outside of a write.
    ListFailed(StoreError),
    /// The result of writing the list back.
    WrittenBack(Result<(), StoreError>),
    /// A part of the program broke and was contained; the sentence says which.
    Broke(String),
    /// The program was told to end.
    Interrupted,
}

/// Is something the terminal itself is asked for beside the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
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
    Ring,
}

/// Is one order. Each is answered by exactly one [`Msg`], but those for which nothing waits: [`Tell`](Effect::Tell),
/// [`StopSave`](Effect::StopSave), [`StopPicture`](Effect::StopPicture), [`Redraw`](Effect::Redraw), [`Ask`](Effect::Ask), [`NoteVisit`](Effect::NoteVisit) and [`Quit`](Effect::Quit).
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Read what the last run left behind; answered by [`Msg::Recalled`].
    Recall,
    /// Write down how the list is looked at; answered by [`Msg::Remembered`].
    Remember(Lens),
    /// Read the list; answered by [`Msg::Loaded`].
    Load,
    /// Ask after a task; answered by [`Msg::Polled`], or by [`Msg::PutOff`].
    Poll {
        /// Which.
        task: TaskId,
        /// Whose API.
        family: Family,
        /// Which question.
        attempt: Attempt,
    },
    /// Let the other instances on this list know of the account's state.
    Tell(Word),
    /// Write changes; answered by [`Msg::Stored`].
    Store(Vec<Change>),
    /// Write the list back to its path; answered by [`Msg::WrittenBack`].
    WriteBack,
    /// Read a task's journal; answered by [`Msg::JournalRead`].
    ReadJournal(TaskId),
    /// Read a task's raw record; answered by [`Msg::RecordRead`].
    ReadRecord(TaskId),
    /// Write down that the list was looked at until then.
    NoteVisit(Timestamp),
    /// Put something on the clipboard; answered by [`Msg::Copied`].
    Copy(Clip),
    /// Ask the terminal for something. Terminals do not answer.
    Ask(Request),
    /// Tell of endings by a desktop notice or a command; answered by [`Msg::Announced`].
    Announce(Tidings),
    /// Open a video in the browser: its saved file where that is still there, else what was kept of it as an input, else
    /// its link; answered by [`Msg::Opened`] or [`Msg::OpenedFile`].
    Open {
        /// Whose.
        task: TaskId,
        /// Which.
        url: VideoUrl,
        /// Where it was saved.
        file: Option<PathBuf>,
    },
    /// Show input and result side by side in the browser; answered by [`Msg::Compared`].
    Compare(Box<Comparison>),
    /// Fetch a result to the disk; answered by [`Msg::SaveEnded`], after any number of [`Msg::SaveProgressed`].
    Save {
        /// Which try.
        attempt: SaveAttempt,
        /// What, and where to.
        order: SaveOrder,
    },
    /// Stop a save, which then ends. One that has ended is no longer to be stopped.
    StopSave(SaveAttempt),
    /// Look whether saved files are there; answered by [`Msg::LookedFor`].
    LookFor(Vec<(TaskId, PathBuf)>),
    /// Find out whether somebody is fetching these files; answered by [`Msg::HoldersFound`].
    FindHolders(Vec<SaveOrder>),
    /// Make pictures of a task's videos; answered by [`Msg::Pictured`].
    Picture(Box<PictureOrder>),
    /// Stop making those, which then end. Made ones are no longer to be stopped.
    StopPicture(PictureNumber),
    /// Draw the whole screen again.
    Redraw,
    /// Hand the terminal to the shell; answered by [`Msg::Resumed`].
    Suspend,
    /// Leave.
    Quit,
}
