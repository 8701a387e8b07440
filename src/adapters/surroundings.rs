//! What kind of place we run in, by its variables: in front of a desktop, or far away from one.

use std::env;

/// Reports whether a variable of our own is set and not empty.
pub fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Returns how wide the terminal is that hears of errors; nothing where it is none.
pub fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Reports whether we are reached over SSH: then the desktop here, if there is one, is in front of nobody.
pub(super) fn is_remote(is_set: impl Fn(&str) -> bool) -> bool {
    ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"]
        .into_iter()
        .any(is_set)
}

/// Reports whether a window has somewhere to appear. A display is named by a variable, over SSH as well, where
/// windows are sent back; where there is none to name (macOS) it has to be the machine itself.
pub(super) fn has_display(is_set: impl Fn(&str) -> bool) -> bool {
    if cfg!(target_os = "macos") {
        return !is_remote(is_set);
    }
    ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"]
        .into_iter()
        .any(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_display_is_named_and_may_be_sent_back_over_ssh() {
        let of = |names: &'static [&'static str]| move |name: &str| names.contains(&name);

        assert!(!has_display(of(&[])));
        assert!(!has_display(of(&["SSH_TTY"])));
        assert!(has_display(of(&["SSH_TTY", "DISPLAY"])));
        assert!(is_remote(of(&["SSH_CONNECTION"])) && !is_remote(of(&["DISPLAY"])));
    }
}
