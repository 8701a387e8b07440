//! Random steps for the property tests: keys, texts, sizes, time and answers, chosen by random
//! numbers.

use std::time::Duration;

use jiff::Timestamp;
use kietop::{
    app::{
        keymap::{Key, KeyChord},
        mouse::MouseAction,
        notifications::TerminalFocus,
    },
    domain::{
        download::DownloadError,
        link::{Link, Links},
        poll_request::{Denied, DenyReason},
        poll_result::{Observation, PollError, PollResult},
        response_notes::{Anomaly, MAX_EXCERPT_LEN, ResponseNotes},
        task::{CallbackStatus, FailureStage, TaskDetails, TaskState},
        text::CleanText,
    },
};
use proptest::prelude::*;

use crate::support::line;

/// One event; numbers choose among what is possible at that time.
#[derive(Debug, Clone)]
pub(crate) enum TestStep {
    /// A key, held down if true.
    Key(KeyChord, bool),
    Paste(String),
    Resize(u16, u16),
    Wait(u64),
    Answer(u8),
    LateAnswer(u8),
    DenyPoll(u8),
    /// The oldest write ends, with or without an error.
    FinishWrite(u8),
    /// One of the other open effects is answered.
    AnswerEffect(u8),
    /// Another instance changes a task, or removes it if true.
    ExternalChange(u8, bool),
    /// A mouse action at a column and row.
    Mouse(MouseAction, (u16, u16)),
    Focus(TerminalFocus),
    /// A component panics with this message.
    Panic(String),
    /// The selected row is removed and restored, with no step in between.
    RemoveAndUndo,
}

/// Texts that act on a terminal, hide, or are wide.
const HOSTILE_TEXTS: [&str; 8] = [
    "\u{1b}[2J\u{1b}]52;c;cm0=\u{7}",
    "\u{9b}31m\u{90}q\u{9c}",
    "\u{202e}4pm.exe\u{2066}x\u{2069}",
    "zero\u{200b}width\u{200d}\u{feff}",
    "\u{e0001}\u{e0068}tags\u{e007f}",
    "a\rb\u{8}c\u{7f}\u{0}\n\u{2028}d",
    "漢字 ｆｕｌｌ 👩\u{200d}👩",
    "Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}algo",
];

pub(crate) fn hostile_text(number: u8) -> &'static str {
    HOSTILE_TEXTS[usize::from(number) % HOSTILE_TEXTS.len()]
}

pub(crate) fn step_strategy() -> impl Strategy<Value = TestStep> {
    let letters = prop::sample::select(
        "jkgGhlJK123456adurRp+-oO?qe \nV*/sSyn!:<bwWiNMmcxt"
            .chars()
            .collect::<Vec<_>>(),
    );
    let keys = prop::sample::select(vec![
        Key::Enter,
        Key::Esc,
        Key::Tab,
        Key::BackTab,
        Key::Up,
        Key::Down,
        Key::PageUp,
        Key::PageDown,
        Key::Backspace,
        Key::Delete,
        Key::Home,
        Key::End,
        Key::F(1),
    ]);
    prop_oneof![
        12 => letters.clone().prop_map(|c| TestStep::Key(KeyChord::char(c), false)),
        1 => letters.prop_map(|c| TestStep::Key(KeyChord::char(c), true)),
        5 => keys.prop_map(|key| TestStep::Key(KeyChord::plain(key), false)),
        1 => prop::sample::select(vec!['d', 'u', 'l', 'z', 'w', 'p', 'n']).prop_map(|c| TestStep::Key(KeyChord::ctrl(c), false)),
        // Two random keys seldom form a sequence, so these keys come more often.
        2 => prop::sample::select(vec!['y', 'p', 'u', 'j']).prop_map(|c| TestStep::Key(KeyChord::char(c), false)),
        1 => prop::collection::vec(any::<char>(), 0..40).prop_map(|text| TestStep::Paste(text.into_iter().collect())),
        1 => prop::sample::select(vec![
            "774d9a7dd608a0e49293903095e45a4c",
            "state:generating",
            "!state:ready,late",
            "t1",
            "age:<3m",
            "!t",
            "left:<14d",
            "code:>400 ",
            "took:",
        ]).prop_map(|filter| TestStep::Paste(filter.to_owned())),
        1 => any::<u8>().prop_map(|n| TestStep::Paste(hostile_text(n).to_owned())),
        2 => size_strategy().prop_map(|(w, h)| TestStep::Resize(w, h)),
        8 => (0_u64..40_000).prop_map(TestStep::Wait),
        12 => any::<u8>().prop_map(TestStep::Answer),
        2 => any::<u8>().prop_map(TestStep::LateAnswer),
        6 => any::<u8>().prop_map(TestStep::DenyPoll),
        6 => any::<u8>().prop_map(TestStep::FinishWrite),
        8 => any::<u8>().prop_map(TestStep::AnswerEffect),
        2 => (0_u8..8, any::<bool>()).prop_map(|(n, is_removed)| TestStep::ExternalChange(n, is_removed)),
        2 => (
            prop::sample::select(vec![MouseAction::Press, MouseAction::WheelDown, MouseAction::WheelUp]),
            (0_u16..120, 0_u16..36),
        ).prop_map(|(action, position)| TestStep::Mouse(action, position)),
        1 => prop::sample::select(vec![TerminalFocus::Focused, TerminalFocus::Unfocused]).prop_map(TestStep::Focus),
        1 => any::<u8>().prop_map(|n| TestStep::Panic(format!("Broken: {}.", hostile_text(n)))),
        2 => Just(TestStep::RemoveAndUndo),
    ]
}

/// Returns sizes from zero to a wide screen, mostly small ones.
pub(crate) fn size_strategy() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![
        6 => (0_u16..45, 0_u16..12),
        3 => (40_u16..121, 8_u16..37),
        1 => (120_u16..201, 30_u16..61),
    ]
}

/// Returns a poll result of any kind, with hostile texts cleaned as the adapter does.
pub(crate) fn answer_for(kind: u8) -> PollResult {
    let text = hostile_text(kind / 16);
    let details = || TaskDetails {
        prompt: Some(CleanText::block(text, 8192)),
        input: Some(Link::parse("https://ex.com/in.mp4")),
        error_code: Some(line(text)),
        error_message: Some(line(text)),
        ..TaskDetails::default()
    };
    let observed = |state| {
        Ok(Observation {
            state,
            details: details(),
            raw: "{}".into(),
        })
    };
    let succeeded = |urls: &[&str], callback| {
        observed(TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            callback,
        })
    };
    match kind % 16 {
        0 => succeeded(&["https://ex.com/1.mp4"], CallbackStatus::Delivered),
        1 => succeeded(
            &["https://ex.com/1.mp4", "https://ex.com/2.mp4"],
            CallbackStatus::Failed,
        ),
        2 => succeeded(&[], CallbackStatus::Delivered),
        3 => observed(TaskState::Failed {
            stage: FailureStage::Creation,
        }),
        4 => observed(TaskState::Unrecognised),
        5 => Err(PollError::NotFound),
        6 => Err(PollError::RateLimited {
            code: 429,
            retry_after: Some(Duration::from_secs(u64::MAX)),
        }),
        7 => Err(PollError::Offline(line(text))),
        8 => Err(PollError::Server {
            code: 500,
            message: line(text),
        }),
        9 => Err(PollError::Rejected {
            code: 422,
            message: line(text),
        }),
        10 => Err(PollError::Unauthorized(401)),
        11 => Err(PollError::TimedOut),
        13 => succeeded(&["javascript:alert(1)"], CallbackStatus::Delivered),
        14 => Err(PollError::Maintenance),
        kind => observed(TaskState::Running {
            is_finishing: kind == 12,
        }),
    }
}

/// Returns the notes of a response, often empty.
pub(crate) fn notes_for(kind: u8) -> ResponseNotes {
    if kind % 5 > 1 {
        return ResponseNotes::default();
    }
    ResponseNotes {
        date: Timestamp::from_second(i64::from(kind) << (kind % 32)).ok(),
        anomalies: vec![Anomaly::ALL[usize::from(kind) % Anomaly::ALL.len()]],
        text: Some(CleanText::block(hostile_text(kind / 16), MAX_EXCERPT_LEN)),
        ..ResponseNotes::default()
    }
}

/// Returns a denied permit: any reason with any wait, and any error of an account backoff.
pub(crate) fn denial_for(kind: u8) -> Denied {
    let waits = [0, 1, 200, 999, 2000, 60_000];
    let millis = waits.get(usize::from(kind % 7)).copied();
    let reason = match kind % 3 {
        0 => DenyReason::TaskBusy,
        1 => DenyReason::InFlightLimit,
        _ => DenyReason::AccountBackoff(match kind / 3 % 5 {
            0 => PollError::Maintenance,
            1 => PollError::Unauthorized(401),
            2 => PollError::OutOfCredits,
            3 => PollError::Offline(line(hostile_text(kind / 16))),
            _ => PollError::RateLimited {
                code: 429,
                retry_after: None,
            },
        }),
    };
    Denied {
        reason,
        wait: millis.map_or(Duration::MAX, Duration::from_millis),
    }
}

/// Returns a download error of any kind.
pub(crate) fn download_error_for(kind: u8) -> DownloadError {
    match kind % 9 {
        0 => DownloadError::Stalled,
        1 => DownloadError::NotAVideo(line(hostile_text(kind / 8))),
        2 => DownloadError::LinkExpired {
            status: 403,
            why: Some(line(hostile_text(kind / 8))),
        },
        3 => DownloadError::DiskFull,
        4 => DownloadError::FolderUnwritable(line(hostile_text(kind / 8))),
        5 => DownloadError::Busy,
        6 => DownloadError::NoAnswer(PollError::TimedOut),
        7 => DownloadError::RenewalFailed {
            status: 404,
            error: PollError::TimedOut,
        },
        _ => DownloadError::Stopped,
    }
}
