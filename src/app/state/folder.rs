//! The box in which a folder for saves is typed.

use std::path::{Path, PathBuf};

use tui_input::{Input, InputRequest};

use super::line;
use crate::domain::{task::TaskId, text::CleanText};

/// The longest folder typed, in bytes.
const LONGEST_FOLDER: usize = 1024;

/// Is the box in which a folder is typed.
#[derive(Debug, Clone)]
pub struct FolderDialog {
    tasks: Vec<TaskId>,
    line: Input,
}

impl FolderDialog {
    /// Returns a box for the results of these tasks that offers a folder.
    pub fn new(tasks: Vec<TaskId>, folder: &Path) -> Self {
        let folder = CleanText::line(&folder.to_string_lossy(), LONGEST_FOLDER);
        Self {
            tasks,
            line: Input::new(folder.as_str().to_owned()),
        }
    }

    /// Returns the line.
    pub const fn line(&self) -> &Input {
        &self.line
    }

    /// Returns whose results go there.
    pub fn tasks(&self) -> &[TaskId] {
        &self.tasks
    }

    /// Types a character.
    pub fn insert(&mut self, c: char) {
        line::insert(&mut self.line, c, LONGEST_FOLDER);
    }

    /// Pastes text as one line.
    pub fn paste(&mut self, text: &str) {
        line::paste(&mut self.line, text, LONGEST_FOLDER);
    }

    /// Edits the line.
    pub fn edit(&mut self, edit: InputRequest) {
        self.line.handle(edit);
    }

    /// Returns the folder that was typed, whole: `~` is the home, and what does not begin at the root begins where the
    /// program was started. None when nothing was typed.
    pub fn folder(&self, home: Option<&Path>, here: &Path) -> Option<PathBuf> {
        whole_folder(self.line.value(), home, here)
    }
}

/// Returns a folder as a person writes it, whole.
fn whole_folder(typed: &str, home: Option<&Path>, here: &Path) -> Option<PathBuf> {
    let typed = typed.trim();
    if typed.is_empty() {
        return None;
    }
    let rest = match typed.strip_prefix('~') {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    };
    Some(match (rest, home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) => home.join(rest),
        _ => here.join(typed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_as_people_write_them() {
        let home = Some(Path::new("/home/me"));
        let read = |typed| whole_folder(typed, home, Path::new("/srv"));

        assert_eq!(read("~"), Some("/home/me".into()));
        assert_eq!(read("~/Videos"), Some("/home/me/Videos".into()));
        assert_eq!(read(" /mnt/x "), Some("/mnt/x".into()));
        assert_eq!(read("out"), Some("/srv/out".into()));
        assert_eq!(read("~other"), Some("/srv/~other".into()));
        assert_eq!(read("  "), None);
    }
}
