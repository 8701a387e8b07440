//! The box in which a folder for saves is typed.

use std::path::{Path, PathBuf};

use tui_input::{Input, InputRequest};

use super::line;
use crate::domain::{
    path_text::{PathError, PathVariables, expand},
    task::TaskId,
    text::CleanText,
};

/// The longest folder typed, in bytes.
const MAX_FOLDER_LEN: usize = 1024;

/// The box in which a folder is typed.
#[derive(Debug, Clone)]
pub struct FolderDialog {
    tasks: Vec<TaskId>,
    line: Input,
}

impl FolderDialog {
    /// Returns a box for the results of these tasks that offers a folder.
    pub fn new(tasks: Vec<TaskId>, folder: &Path) -> Self {
        // An unescaped `$` would be read as a variable.
        let folder = folder.to_string_lossy().replace('$', "$$");
        let folder = CleanText::line(&folder, MAX_FOLDER_LEN);
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
        line::insert(&mut self.line, c, MAX_FOLDER_LEN);
    }

    /// Pastes text as one line.
    pub fn paste(&mut self, text: &str) {
        line::paste(&mut self.line, text, MAX_FOLDER_LEN);
    }

    /// Edits the line.
    pub fn edit(&mut self, edit: InputRequest) {
        self.line.handle(edit);
    }

    /// Returns the typed folder as an absolute path; a relative one begins at the working
    /// directory.
    pub fn folder(
        &self,
        home: Option<&Path>,
        variables: &PathVariables,
        here: &Path,
    ) -> Result<PathBuf, PathError> {
        Ok(here.join(expand(self.line.value().as_ref(), home, variables)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_paths_are_parsed() {
        let variables = [("OUT".into(), "/mnt/out".into())].into_iter().collect();
        let read = |typed: &str| {
            let mut dialog = FolderDialog::new(Vec::new(), Path::new(""));
            dialog.paste(typed);
            dialog.folder(Some(Path::new("/home/me")), &variables, Path::new("/srv"))
        };

        assert_eq!(read("~"), Ok("/home/me".into()));
        assert_eq!(read("~/Videos"), Ok("/home/me/Videos".into()));
        assert_eq!(read(" /mnt/x "), Ok("/mnt/x".into()));
        assert_eq!(read("$OUT/x"), Ok("/mnt/out/x".into()));
        assert_eq!(read("out"), Ok("/srv/out".into()));
        assert_eq!(read("  "), Err(PathError::Empty));
        assert!(matches!(read("~other"), Err(PathError::OtherHome(_))));
        assert!(matches!(
            read("$NOPE/x"),
            Err(PathError::UnknownVariable(_))
        ));
    }

    #[test]
    fn a_suggested_folder_round_trips() {
        let folder = Path::new("/mnt/a$b$$");
        let offered = FolderDialog::new(Vec::new(), folder);
        let read = offered.folder(None, &PathVariables::default(), Path::new("/"));
        assert_eq!(read, Ok(folder.into()));
    }
}
