//! The add dialog: the typed and pasted text, and the ids found in it.

use std::collections::{HashMap, HashSet};

use super::line_editor::LineEditor;
use crate::domain::{
    id_extract::{Certainty, Extracted, FoundId, KnownSecrets, Skipped, extract},
    task::TaskId,
    text::CleanText,
    watched_task::MAX_LABEL_LEN,
    watchlist::Watchlist,
};

/// Maximum length of the pasted text, in bytes; the rest is cut, and the dialog says so.
const MAX_PASTE_LEN: usize = 4 * 1024 * 1024;

/// Maximum length of the typed text, in bytes.
const MAX_LINE_LEN: usize = 4096;

/// An id found in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: TaskId,
    /// The text around the id, without secrets.
    pub context: CleanText,
    /// Whether it is already on the list; it cannot be selected then.
    pub is_watched: bool,
    /// Uncertain ids start unselected.
    pub certainty: Certainty,
    pub is_selected: bool,
}

/// The focused field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddField {
    #[default]
    Ids,
    Found,
    Label,
}

#[derive(Debug, Clone)]
pub struct AddDialog {
    pub ids: LineEditor,
    pub label: LineEditor,
    pub pasted: String,
    pub from_paste: Extracted,
    /// The ids found, in the order of the text.
    pub candidates: Vec<Candidate>,
    /// The first few lone words that are not ids.
    pub rejected: Vec<CleanText>,
    /// The number of further such words.
    pub more_rejected: usize,
    pub skipped: Skipped,
    /// Whether the pasted text was cut.
    pub is_truncated: bool,
    pub field: AddField,
    /// Index of the current candidate.
    pub cursor: usize,
}

impl Default for AddDialog {
    fn default() -> Self {
        Self {
            ids: LineEditor::new("", MAX_LINE_LEN),
            label: LineEditor::new("", MAX_LABEL_LEN),
            pasted: String::new(),
            from_paste: Extracted::default(),
            candidates: Vec::new(),
            rejected: Vec::new(),
            more_rejected: 0,
            skipped: Skipped::default(),
            is_truncated: false,
            field: AddField::default(),
            cursor: 0,
        }
    }
}

impl AddDialog {
    /// Reopens the dialog with these ids selected, as after a failed write.
    pub fn reopen(ids: Vec<TaskId>, label: Option<&CleanText>) -> Self {
        let certain = |id| FoundId {
            id,
            certainty: Certainty::Certain,
            context: CleanText::line("", 0),
        };
        let ids: Vec<_> = ids.into_iter().map(certain).collect();
        let found = ids.iter().map(|found| Candidate::new(found, false, true));
        Self {
            candidates: found.collect(),
            label: LineEditor::new(label.map_or("", CleanText::as_str), MAX_LABEL_LEN),
            field: AddField::Found,
            from_paste: Extracted {
                ids,
                ..Extracted::default()
            },
            ..Self::default()
        }
    }

    pub fn selected(&self) -> impl Iterator<Item = &TaskId> {
        self.candidates
            .iter()
            .filter(|candidate| candidate.is_selected)
            .map(|candidate| &candidate.id)
    }

    /// Returns the focused line; `None` while the ids found have the focus.
    pub(in crate::app) const fn line_editor(&mut self) -> Option<&mut LineEditor> {
        match self.field {
            AddField::Ids => Some(&mut self.ids),
            AddField::Label => Some(&mut self.label),
            AddField::Found => None,
        }
    }

    /// Adds pasted text to the text to search for ids.
    pub(in crate::app) fn paste(&mut self, text: &str, list: &Watchlist, secrets: &KnownSecrets) {
        let capacity = MAX_PASTE_LEN.saturating_sub(self.pasted.len());
        if !self.pasted.is_empty() {
            self.pasted.push('\n');
        }
        let (kept, _) = text
            .split_at_checked(text.floor_char_boundary(capacity))
            .unwrap_or_default();
        self.pasted.push_str(kept);
        self.from_paste = extract(&self.pasted, secrets);
        self.is_truncated |= text.len() > capacity;
        self.update_candidates(list, secrets);
        if !self.candidates.is_empty() {
            self.field = AddField::Found;
        }
    }

    /// Selects or deselects the id under the cursor; watched ids stay deselected.
    pub(in crate::app) fn toggle(&mut self) {
        if let Some(candidate) = self.candidates.get_mut(self.cursor) {
            candidate.is_selected = !candidate.is_selected && !candidate.is_watched;
        }
    }

    /// Moves the focus to the next field, cyclically; an empty list of ids is skipped.
    pub(in crate::app) fn next_field(&mut self) {
        self.field = match self.field {
            AddField::Ids if !self.candidates.is_empty() => AddField::Found,
            AddField::Ids | AddField::Found => AddField::Label,
            AddField::Label => AddField::Ids,
        };
    }

    /// Moves the focus to the previous field, cyclically.
    pub(in crate::app) fn previous_field(&mut self) {
        self.field = match self.field {
            AddField::Label if !self.candidates.is_empty() => AddField::Found,
            AddField::Label | AddField::Found => AddField::Ids,
            AddField::Ids => AddField::Label,
        };
    }

    /// Moves the cursor through the ids found and stops at the ends; from a line, moves the focus
    /// to the ids first.
    pub(in crate::app) fn move_cursor(&mut self, by: isize) {
        if self.field == AddField::Found {
            self.go_to(self.cursor.saturating_add_signed(by));
        } else {
            self.go_to(self.cursor);
        }
    }

    /// Focuses an id, or the last one.
    pub(in crate::app) fn go_to(&mut self, index: usize) {
        if let Some(last) = self.candidates.len().checked_sub(1) {
            self.field = AddField::Found;
            self.cursor = index.min(last);
        }
    }

    /// Searches for ids again and keeps the user's selection. The pasted text is not searched again
    /// for every typed character.
    pub(in crate::app) fn update_candidates(&mut self, list: &Watchlist, secrets: &KnownSecrets) {
        let typed = extract(self.ids.text(), secrets);
        let pasted = &self.from_paste;
        let known: HashSet<_> = pasted.ids.iter().map(|found| &found.id).collect();
        let typed_only = typed.ids.iter().filter(|found| !known.contains(&found.id));
        let selected: HashMap<_, _> = self
            .candidates
            .iter()
            .filter(|candidate| !candidate.is_watched)
            .map(|candidate| (candidate.id.clone(), candidate.is_selected))
            .collect();
        let candidate = |found: &FoundId| {
            let is_watched = list.get(&found.id).is_some();
            let is_certain = found.certainty == Certainty::Certain;
            let is_selected = selected.get(&found.id).copied().unwrap_or(is_certain) && !is_watched;
            Candidate::new(found, is_watched, is_selected)
        };
        self.candidates = pasted.ids.iter().chain(typed_only).map(candidate).collect();
        self.rejected = [&pasted.rejected[..], &typed.rejected[..]].concat();
        self.more_rejected = pasted.more_rejected + typed.more_rejected;
        self.skipped = pasted.skipped + typed.skipped;
        self.cursor = self.cursor.min(self.candidates.len().saturating_sub(1));
    }
}

impl Candidate {
    fn new(found: &FoundId, is_watched: bool, is_selected: bool) -> Self {
        Self {
            id: found.id.clone(),
            context: found.context.clone(),
            certainty: found.certainty,
            is_watched,
            is_selected,
        }
    }
}
