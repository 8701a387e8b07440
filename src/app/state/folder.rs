//! The dialog in which the user types a folder for downloads.

use std::path::{Path, PathBuf};

use tui_input::{Input, InputRequest};

use super::line;
use crate::domain::{
    path_text::{PathError, PathVariables, expand},
    task::TaskId,
    text::CleanText,
};

/// Maximum length of the folder, in bytes.
const MAX_FOLDER_LEN: usize = 1024;

#[derive(Debug, Clone)]
pub struct FolderDialog {
    tasks: Vec<TaskId>,
    line: Input,
}

impl FolderDialog {
    /// Opens the dialog for the results of some tasks, with a suggested folder.
    pub fn new(tasks: Vec<TaskId>, folder: &Path) -> Self {
        // An unescaped `$` would be read as a variable.
        let folder = folder.to_string_lossy().replace('$', "$$");
        let folder = CleanText::line(&folder, MAX_FOLDER_LEN);
        Self {
            tasks,
            line: Input::new(folder.as_str().to_owned()),
        }
    }

    pub const fn line(&self) -> &Input {
        &self.line
    }

    /// Returns the tasks whose results are saved there.
    pub fn tasks(&self) -> &[TaskId] {
        &self.tasks
    }

    pub fn insert(&mut self, c: char) {
        line::insert(&mut self.line, c, MAX_FOLDER_LEN);
    }

    pub fn paste(&mut self, text: &str) {
        line::paste(&mut self.line, text, MAX_FOLDER_LEN);
    }

    pub fn edit(&mut self, edit: InputRequest) {
        self.line.handle(edit);
    }

    /// Returns the typed folder as an absolute path. Relative paths begin at the working directory.
    pub fn folder(
        &self,
        home: Option<&Path>,
        variables: &PathVariables,
        working_dir: &Path,
    ) -> Result<PathBuf, PathError> {
        Ok(working_dir.join(expand(self.line.value().as_ref(), home, variables)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_paths_are_parsed() {
        let variables = [("OUT".into(), "/mnt/out".into())].into_iter().collect();
        let parse = |typed: &str| {
            let mut dialog = FolderDialog::new(Vec::new(), Path::new(""));
            dialog.paste(typed);
            dialog.folder(Some(Path::new("/home/me")), &variables, Path::new("/srv"))
        };

        assert_eq!(parse("~"), Ok("/home/me".into()));
        assert_eq!(parse("~/Videos"), Ok("/home/me/Videos".into()));
        assert_eq!(parse(" /mnt/x "), Ok("/mnt/x".into()));
        assert_eq!(parse("$OUT/x"), Ok("/mnt/out/x".into()));
        assert_eq!(parse("out"), Ok("/srv/out".into()));
        assert_eq!(parse("  "), Err(PathError::Empty));
        assert!(matches!(parse("~other"), Err(PathError::OtherHome(_))));
        assert!(matches!(
            parse("$NOPE/x"),
            Err(PathError::UnknownVariable(_))
        ));
    }

    #[test]
    fn a_suggested_folder_round_trips() {
        let folder = Path::new("/mnt/a$b$$");
        let dialog = FolderDialog::new(Vec::new(), folder);
        let parsed = dialog.folder(None, &PathVariables::default(), Path::new("/"));
        assert_eq!(parsed, Ok(folder.into()));
    }
}
