//! The add dialog: the typed and pasted text, and the ids found in it.

use std::collections::{HashMap, HashSet};

use tui_input::Input;

use super::line::{insert, paste};
use crate::domain::{
    id_extract::{Certainty, Extracted, FoundId, KnownSecrets, Skipped, extract},
    task::TaskId,
    text::CleanText,
    watched_task::MAX_LABEL_LEN,
    watchlist::Watchlist,
};

/// Maximum length of the pasted text, in bytes; the rest is cut, and the dialog says so.
const MAX_PASTE_LEN: usize = 4 * 1024 * 1024;

/// Maximum length of a typed line, in bytes.
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

#[derive(Debug, Clone, Default)]
pub struct AddDialog {
    ids: Input,
    label: Input,
    pasted: String,
    from_paste: Extracted,
    candidates: Vec<Candidate>,
    rejected: Vec<CleanText>,
    more_rejected: usize,
    skipped: Skipped,
    is_truncated: bool,
    field: AddField,
    cursor: usize,
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
            label: label.map_or_else(Input::default, |label| Input::from(label.as_str())),
            field: AddField::Found,
            from_paste: Extracted {
                ids,
                ..Extracted::default()
            },
            ..Self::default()
        }
    }

    pub const fn ids(&self) -> &Input {
        &self.ids
    }

    pub const fn label(&self) -> &Input {
        &self.label
    }

    /// Returns the ids found, in the order of the text.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Returns the first few lone words that are not ids.
    pub fn rejected(&self) -> &[CleanText] {
        &self.rejected
    }

    /// Returns the number of further such words.
    pub const fn more_rejected(&self) -> usize {
        self.more_rejected
    }

    /// Returns the start of the pasted text if it contains no id.
    pub const fn unmatched_paste(&self) -> Option<&CleanText> {
        self.from_paste.beginning.as_ref()
    }

    pub const fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Reports whether the pasted text was cut.
    pub const fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    pub const fn has_pasted(&self) -> bool {
        !self.pasted.is_empty()
    }

    pub const fn field(&self) -> AddField {
        self.field
    }

    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn selected(&self) -> impl Iterator<Item = &TaskId> {
        self.candidates
            .iter()
            .filter(|candidate| candidate.is_selected)
            .map(|candidate| &candidate.id)
    }

    pub fn chosen_label(&self) -> Option<CleanText> {
        let label = CleanText::line(self.label.value(), MAX_LABEL_LEN);
        (!label.is_empty()).then_some(label)
    }

    /// Pastes text: into the label if that has the focus, else as text to search for ids.
    pub fn paste(&mut self, text: &str, list: &Watchlist, secrets: &KnownSecrets) {
        if self.field == AddField::Label {
            return paste(&mut self.label, text, MAX_LABEL_LEN);
        }
        let capacity = MAX_PASTE_LEN.saturating_sub(self.pasted.len());
        if !self.pasted.is_empty() {
            self.pasted.push('\n');
        }
        self.pasted.push_str(
            text.get(..text.floor_char_boundary(capacity))
                .unwrap_or_default(),
        );
        self.from_paste = extract(&self.pasted, secrets);
        self.is_truncated |= text.len() > capacity;
        self.update_candidates(list, secrets);
        if !self.candidates.is_empty() {
            self.field = AddField::Found;
        }
    }

    /// Types a character into the focused line; the list of ids passes it to the id line.
    pub fn insert(&mut self, c: char, list: &Watchlist, secrets: &KnownSecrets) {
        match self.field {
            AddField::Label => insert(&mut self.label, c, MAX_LINE_LEN),
            AddField::Ids | AddField::Found => {
                self.field = AddField::Ids;
                insert(&mut self.ids, c, MAX_LINE_LEN);
                self.update_candidates(list, secrets);
            }
        }
    }

    pub fn edit(
        &mut self,
        edit: tui_input::InputRequest,
        list: &Watchlist,
        secrets: &KnownSecrets,
    ) {
        match self.field {
            AddField::Label => drop(self.label.handle(edit)),
            AddField::Ids => {
                self.ids.handle(edit);
                self.update_candidates(list, secrets);
            }
            AddField::Found => {}
        }
    }

    /// Selects or deselects the id under the cursor; watched ids stay deselected.
    pub fn toggle(&mut self) {
        if let Some(candidate) = self.candidates.get_mut(self.cursor) {
            candidate.is_selected = !candidate.is_selected && !candidate.is_watched;
        }
    }

    /// Moves the focus to the next field, cyclically; an empty list of ids is skipped.
    pub fn next_field(&mut self) {
        self.field = match self.field {
            AddField::Ids if self.candidates.is_empty() => AddField::Label,
            AddField::Ids => AddField::Found,
            AddField::Found => AddField::Label,
            AddField::Label => AddField::Ids,
        };
    }

    /// Moves the focus to the previous field, cyclically.
    pub fn previous_field(&mut self) {
        self.field = match self.field {
            AddField::Label if self.candidates.is_empty() => AddField::Ids,
            AddField::Label => AddField::Found,
            AddField::Found => AddField::Ids,
            AddField::Ids => AddField::Label,
        };
    }

    /// Moves the cursor through the ids found and stops at the ends; from a line, moves the focus
    /// to the ids first.
    pub fn move_cursor(&mut self, by: isize) {
        if self.candidates.is_empty() {
            return;
        }
        if self.field != AddField::Found {
            self.field = AddField::Found;
            return;
        }
        self.cursor = self
            .cursor
            .saturating_add_signed(by)
            .min(self.candidates.len() - 1);
    }

    /// Focuses an id, or the last one.
    pub fn go_to(&mut self, index: usize) {
        if !self.candidates.is_empty() {
            self.field = AddField::Found;
            self.cursor = index.min(self.candidates.len() - 1);
        }
    }

    /// Searches for ids again and keeps the user's selection. The pasted text is not searched again
    /// for every typed character.
    fn update_candidates(&mut self, list: &Watchlist, secrets: &KnownSecrets) {
        let typed = extract(self.ids.value(), secrets);
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
