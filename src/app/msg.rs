//! What may happen ([`Msg`], facts, past tense) and what the core orders ([`Effect`], imperative). Data only.

use std::path::PathBuf;

use crate::{
    app::keymap::KeyChord,
    domain::{
        change::{Applied, Change, Delta, JournalLine, StoreError},
        comparison::Comparison,
        memory::Memory,
        picture::{PictureError, PictureNumber, PictureOrder, Room},
        query::Lens,
        report::Answer,
        save::{Progress, SaveAttempt, SaveError, SaveOrder},
        schedule::Attempt,
        task::{Family, TaskId, VideoUrl},
        turns::{PutOff, Word},
        watchlist::Watched,
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
    /// The browser was started, or not.
    Opened {
        /// Whose video.
        task: TaskId,
        /// Its link.
        url: VideoUrl,
        /// The reason when no browser could be started.
        result: Result<(), String>,
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
    /// Pictures were made, and are with whoever draws them; or not.
    Pictured {
        /// Which order.
        number: PictureNumber,
        /// Why there are none.
        result: Result<(), PictureError>,
    },
    /// The terminal is ours again after a suspension.
    Resumed,
    /// A part of the program broke and was contained; the sentence says which.
    Broke(String),
    /// The program was told to end.
    Interrupted,
}

/// Is one order. Each but [`Tell`](Effect::Tell), [`StopSave`](Effect::StopSave), [`Redraw`](Effect::Redraw) and
/// [`Quit`](Effect::Quit), for which nothing waits, is answered by exactly one [`Msg`].
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
    /// Read a task's journal; answered by [`Msg::JournalRead`].
    ReadJournal(TaskId),
    /// Open a video in the browser; answered by [`Msg::Opened`].
    Open {
        /// Whose.
        task: TaskId,
        /// Which.
        url: VideoUrl,
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
    /// Make pictures of a task's videos; answered by [`Msg::Pictured`].
    Picture(Box<PictureOrder>),
    /// Draw the whole screen again.
    Redraw,
    /// Hand the terminal to the shell; answered by [`Msg::Resumed`].
    Suspend,
    /// Leave.
    Quit,
}
