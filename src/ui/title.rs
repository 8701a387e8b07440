//! The window title: program, list and counts.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::theme::Theme;
use crate::{
    app::{notifications::NotifyChannel, state::State},
    domain::{
        status::Status,
        time::{Mono, Now},
    },
};

/// Returns the title, "kietop ◐3 ✓5 ✗2", or `None` if it must not be set.
pub fn window_title(state: &State, theme: &Theme) -> Option<String> {
    if !state.settings().notifications.uses(NotifyChannel::Title) {
        return None;
    }
    // A constant time: the spinner does not turn in the title.
    let fixed_time = Now {
        wall: Timestamp::UNIX_EPOCH,
        mono: Mono::default(),
    };
    let mut title = "kietop".to_owned();
    let name = &state.settings().name;
    if !name.is_empty() {
        title.push(' ');
        title.push_str(name);
    }
    for (count, status, _) in status_counts(state) {
        if count > 0 {
            let glyph = theme.status_style(status, fixed_time).glyph;
            // Writing into a `String` cannot fail.
            write!(title, " {glyph}{count}").unwrap_or_default();
        }
    }
    Some(title)
}

/// Returns the counts of the header and the title, each with the status and the word it stands for.
pub(super) fn status_counts(state: &State) -> [(usize, Status, &'static str); 4] {
    let counts = state.list().counts();
    [
        (counts.generating, Status::Generating, "generating"),
        (counts.ready, Status::Ready, "ready"),
        (counts.rescued, Status::CallbackFailed, "no callback"),
        (counts.failed, Status::GenerationFailed, "failed"),
    ]
}
