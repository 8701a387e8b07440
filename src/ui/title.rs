//! The window's title: the program, its list, and the counts that matter.

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

/// Returns the title, "kietop ◐3 ✓5 ✗2"; nothing where it is not to be set.
pub fn window_title(state: &State, theme: &Theme) -> Option<String> {
    if !state.settings().notifications.uses(NotifyChannel::Title) {
        return None;
    }
    // The glyph of what is being made turns on the screen; a title stands still.
    let still = Now {
        wall: Timestamp::UNIX_EPOCH,
        mono: Mono::default(),
    };
    let tally = state.list().counts();
    let mut title = "kietop".to_owned();
    let name = &state.settings().name;
    if !name.is_empty() {
        title.push(' ');
        title.push_str(name);
    }
    for (count, status) in [
        (tally.generating, Status::Generating),
        (tally.ready, Status::Ready),
        (tally.rescued, Status::CallbackFailed),
        (tally.failed, Status::CreateFailed),
    ] {
        if count > 0 {
            let glyph = theme.status_style(status, still).glyph;
            // Writing into a `String` cannot fail.
            write!(title, " {glyph}{count}").unwrap_or_default();
        }
    }
    Some(title)
}
