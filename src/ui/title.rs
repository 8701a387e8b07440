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
    let counts = state.list().counts();
    let mut title = "kietop".to_owned();
    let name = &state.settings().name;
    if !name.is_empty() {
        title.push(' ');
        title.push_str(name);
    }
    for (count, status) in [
        (counts.generating, Status::Generating),
        (counts.ready, Status::Ready),
        (counts.rescued, Status::CallbackFailed),
        (counts.failed, Status::CreateFailed),
    ] {
        if count > 0 {
            let glyph = theme.status_style(status, fixed_time).glyph;
            // Writing into a `String` cannot fail.
            write!(title, " {glyph}{count}").unwrap_or_default();
        }
    }
    Some(title)
}
