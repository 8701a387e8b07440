//! What may come: keys, texts, sizes, time, and how the outside answers, each as a number of chance.

use std::time::Duration;

use jiff::Timestamp;
use kietop::{
    app::{
        keymap::{Key, KeyChord},
        pointer::Gesture,
        tidings::Focus,
    },
    domain::{
        link::{Link, Links},
        noticed::{EXCERPT_BYTES, Noticed, Oddity},
        report::{Answer, Observation, PollError},
        save::SaveError,
        task::{Delivery, Facts, FailedStage, TaskState},
        text::CleanText,
        turns::{PutOff, Refusal},
    },
};
use proptest::prelude::*;

use crate::support::line;

/// Is one thing that happens; numbers choose among what there is by then.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Key(KeyChord),
    HeldKey(KeyChord),
    Paste(String),
    Resize(u16, u16),
    Wait(u64),
    Answer(u8),
    LateAnswer(u8),
    PutOff(u8),
    /// The oldest write is answered, well or not.
    Disk(u8),
    /// Anything else that was ordered is answered.
    Reply(u8),
    Elsewhere(u8, bool),
    /// The mouse, at so many columns and rows of a screen.
    Point(Gesture, (u16, u16)),
    Focus(Focus),
    /// A part of the program broke, and says so in these words.
    Broke(String),
    /// A row is removed and that is undone, with nothing in between.
    RemoveAndUndo,
}

/// Texts that act on a terminal, hide, or are wide.
const HOSTILE: [&str; 8] = [
    "\u{1b}[2J\u{1b}]52;c;cm0=\u{7}",
    "\u{9b}31m\u{90}q\u{9c}",
    "\u{202e}4pm.exe\u{2066}x\u{2069}",
    "zero\u{200b}width\u{200d}\u{feff}",
    "\u{e0001}\u{e0068}tags\u{e007f}",
    "a\rb\u{8}c\u{7f}\u{0}\n\u{2028}d",
    "漢字 ｆｕｌｌ 👩\u{200d}👩",
    "Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}algo",
];

pub(crate) fn hostile(number: u8) -> &'static str {
    HOSTILE[usize::from(number) % HOSTILE.len()]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
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
        12 => letters.clone().prop_map(|c| Step::Key(KeyChord::char(c))),
        1 => letters.prop_map(|c| Step::HeldKey(KeyChord::char(c))),
        5 => keys.prop_map(|key| Step::Key(KeyChord::plain(key))),
        1 => prop::sample::select(vec!['d', 'u', 'l', 'z', 'w', 'p', 'n']).prop_map(|c| Step::Key(KeyChord::ctrl(c))),
        // What leads somewhere by two keys is seldom hit by two of chance.
        2 => prop::sample::select(vec!['y', 'p', 'u', 'j']).prop_map(|c| Step::Key(KeyChord::char(c))),
        1 => prop::collection::vec(any::<char>(), 0..40).prop_map(|text| Step::Paste(text.into_iter().collect())),
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
        ]).prop_map(|filter| Step::Paste(filter.to_owned())),
        1 => any::<u8>().prop_map(|n| Step::Paste(hostile(n).to_owned())),
        2 => size().prop_map(|(w, h)| Step::Resize(w, h)),
        8 => (0_u64..40_000).prop_map(Step::Wait),
        12 => any::<u8>().prop_map(Step::Answer),
        2 => any::<u8>().prop_map(Step::LateAnswer),
        6 => any::<u8>().prop_map(Step::PutOff),
        6 => any::<u8>().prop_map(Step::Disk),
        8 => any::<u8>().prop_map(Step::Reply),
        2 => (0_u8..8, any::<bool>()).prop_map(|(n, is_gone)| Step::Elsewhere(n, is_gone)),
        2 => (
            prop::sample::select(vec![Gesture::Press, Gesture::WheelDown, Gesture::WheelUp]),
            (0_u16..120, 0_u16..36),
        ).prop_map(|(gesture, at)| Step::Point(gesture, at)),
        1 => prop::sample::select(vec![Focus::Here, Focus::Away]).prop_map(Step::Focus),
        1 => any::<u8>().prop_map(|n| Step::Broke(format!("Broken: {}.", hostile(n)))),
        2 => Just(Step::RemoveAndUndo),
    ]
}

/// Returns a size from nothing to a wide screen, small ones often.
pub(crate) fn size() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![
        6 => (0_u16..45, 0_u16..12),
        3 => (40_u16..121, 8_u16..37),
        1 => (120_u16..201, 30_u16..61),
    ]
}

/// Returns an answer about a task: every kind there is, with texts that mean harm, cleaned at the door as all are.
pub(crate) fn answer_of(kind: u8) -> Answer {
    let text = hostile(kind / 16);
    let facts = || Facts {
        prompt: Some(CleanText::block(text, 8192)),
        source: Some(Link::parse("https://ex.com/in.mp4")),
        error_code: Some(line(text)),
        error_message: Some(line(text)),
        ..Facts::default()
    };
    let seen = |state| {
        Ok(Observation {
            state,
            facts: facts(),
            raw: "{}".into(),
        })
    };
    let made = |urls: &[&str], delivery| {
        seen(TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            delivery,
        })
    };
    match kind % 16 {
        0 => made(&["https://ex.com/1.mp4"], Delivery::Done),
        1 => made(
            &["https://ex.com/1.mp4", "https://ex.com/2.mp4"],
            Delivery::CallbackFailed,
        ),
        2 => made(&[], Delivery::Done),
        3 => seen(TaskState::Failed {
            stage: FailedStage::Creation,
        }),
        4 => seen(TaskState::Unrecognised),
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
        9 => Err(PollError::Refused {
            code: 422,
            message: line(text),
        }),
        10 => Err(PollError::Unauthorized(401)),
        11 => Err(PollError::TimedOut),
        13 => made(&["javascript:alert(1)"], Delivery::Done),
        14 => Err(PollError::Maintenance),
        kind => seen(TaskState::Running {
            is_finishing: kind == 12,
        }),
    }
}

/// Returns what is noticed beside an answer, often nothing.
pub(crate) fn noticed_of(kind: u8) -> Noticed {
    if kind % 5 > 1 {
        return Noticed::default();
    }
    Noticed {
        date: Timestamp::from_second(i64::from(kind) << (kind % 32)).ok(),
        oddities: vec![Oddity::ALL[usize::from(kind) % Oddity::ALL.len()]],
        text: Some(CleanText::block(hostile(kind / 16), EXCERPT_BYTES)),
    }
}

/// Returns why a question is put off: each reason with each wait, and each error an account is held back for.
pub(crate) fn put_off_of(kind: u8) -> PutOff {
    let waits = [0, 1, 200, 999, 2000, 60_000];
    let millis = waits.get(usize::from(kind % 7)).copied();
    let why = match kind % 3 {
        0 => Refusal::Elsewhere,
        1 => Refusal::Crowded,
        _ => Refusal::Held {
            error: match kind / 3 % 5 {
                0 => PollError::Maintenance,
                1 => PollError::Unauthorized(401),
                2 => PollError::OutOfCredits,
                3 => PollError::Offline(line(hostile(kind / 16))),
                _ => PollError::RateLimited {
                    code: 429,
                    retry_after: None,
                },
            },
            failures: u32::from(kind),
        },
    };
    PutOff {
        why,
        wait: millis.map_or(Duration::MAX, Duration::from_millis),
    }
}

/// Returns how a save may end badly.
pub(crate) fn save_error_of(kind: u8) -> SaveError {
    match kind % 9 {
        0 => SaveError::Stalled,
        1 => SaveError::NotAVideo(line(hostile(kind / 8))),
        2 => SaveError::LinkGone {
            status: 403,
            why: Some(line(hostile(kind / 8))),
        },
        3 => SaveError::DiskFull,
        4 => SaveError::Folder(line(hostile(kind / 8))),
        5 => SaveError::Busy,
        6 => SaveError::NoAnswer(PollError::TimedOut),
        7 => SaveError::Refused {
            status: 404,
            error: PollError::TimedOut,
        },
        _ => SaveError::Stopped,
    }
}
