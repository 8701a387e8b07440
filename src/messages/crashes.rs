//! Crashes: panics of one component while the program goes on, and of the program itself.

pub const NOTIFICATION: &str = "The notification crashed (a bug).";
pub const BROWSER_START: &str = "starting the browser crashed (a bug)";
pub const COMPARISON: &str = "The comparison crashed (a bug).";
pub const LIST_OPENING: &str = "opening it crashed (a bug)";
pub const LIST_ACCESS: &str = "reading or writing it crashed (a bug)";
pub const LIST_THREAD: &str = "its thread crashed (a bug); restart kietop";

pub fn program(panic: &str) -> String {
    format!("kietop crashed (a bug): {panic}")
}

pub fn component(panic: &str) -> String {
    format!("Part of kietop crashed (a bug) and was stopped: {panic}")
}

pub fn copy(name: &str) -> String {
    format!("Copying {name} crashed (a bug).")
}

pub fn no_thread(error: &std::io::Error) -> String {
    format!("no thread can be started ({error}); close other programs")
}
