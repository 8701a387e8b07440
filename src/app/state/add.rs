//! The dialog that adds tasks: what was typed or pasted, and which ids in it are to be watched.

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

/// The longest text kept from pasting, in bytes; more is cut and said.
const MAX_PASTE_LEN: usize = 4 * 1024 * 1024;

/// The longest line typed, in bytes.
const MAX_LINE_LEN: usize = 4096;

/// One id found, with what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The id.
    pub id: TaskId,
    /// The text around it, without secrets.
    pub context: CleanText,
    /// Whether it is on the list already; then it cannot be taken.
    pub is_watched: bool,
    /// How certain it is to be a task id; an uncertain one starts unticked.
    pub certainty: Certainty,
    /// Whether it is to be added.
    pub is_selected: bool,
}

/// Which field of the dialog the keyboard is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddField {
    /// The line for ids.
    #[default]
    Ids,
    /// The list of ids found.
    Found,
    /// The label for all.
    Label,
}

/// The dialog.
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
    /// Returns the dialog with these ids chosen again, as after a write that failed.
    pub fn reopen(ids: Vec<TaskId>, label: Option<&CleanText>) -> Self {
        let again = |id| FoundId {
            id,
            certainty: Certainty::Certain,
            context: CleanText::line("", 0),
        };
        let ids: Vec<_> = ids.into_iter().map(again).collect();
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

    /// Returns the line for ids.
    pub const fn ids(&self) -> &Input {
        &self.ids
    }

    /// Returns the label line.
    pub const fn label(&self) -> &Input {
        &self.label
    }

    /// Returns the ids found, in the order of the text.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Returns lone words that are no ids, a few of them.
    pub fn rejected(&self) -> &[CleanText] {
        &self.rejected
    }

    /// Returns how many more such words there are.
    pub const fn more_rejected(&self) -> usize {
        self.more_rejected
    }

    /// Returns how the pasted text begins, when no id was found in it.
    pub const fn unmatched_paste(&self) -> Option<&CleanText> {
        self.from_paste.beginning.as_ref()
    }

    /// Returns the number of skipped values, by kind.
    pub const fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Reports whether the text was too long to be read whole.
    pub const fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Reports whether anything was pasted.
    pub const fn has_pasted(&self) -> bool {
        !self.pasted.is_empty()
    }

    /// Returns where the keyboard is.
    pub const fn field(&self) -> AddField {
        self.field
    }

    /// Returns which id found is under the cursor.
    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Returns the ids that would be added now.
    pub fn selected(&self) -> impl Iterator<Item = &TaskId> {
        self.candidates
            .iter()
            .filter(|candidate| candidate.is_selected)
            .map(|candidate| &candidate.id)
    }

    /// Returns the label for all, if one was typed.
    pub fn chosen_label(&self) -> Option<CleanText> {
        let label = CleanText::line(self.label.value(), MAX_LABEL_LEN);
        (!label.is_empty()).then_some(label)
    }

    /// Takes pasted text: into the label when the keyboard is there, else as text to look for ids
    /// in.
    pub fn paste(&mut self, text: &str, list: &Watchlist, secrets: &KnownSecrets) {
        if self.field == AddField::Label {
            return paste(&mut self.label, text, MAX_LABEL_LEN);
        }
        let room = MAX_PASTE_LEN.saturating_sub(self.pasted.len());
        if !self.pasted.is_empty() {
            self.pasted.push('\n');
        }
        self.pasted.push_str(
            text.get(..text.floor_char_boundary(room))
                .unwrap_or_default(),
        );
        self.from_paste = extract(&self.pasted, secrets);
        self.is_truncated |= text.len() > room;
        self.update_candidates(list, secrets);
        if !self.candidates.is_empty() {
            self.field = AddField::Found;
        }
    }

    /// Types a character into the line the keyboard is in.
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

    /// Edits the line the keyboard is in.
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

    /// Takes the id under the cursor in or out; one that is watched already stays out.
    pub fn toggle(&mut self) {
        if let Some(candidate) = self.candidates.get_mut(self.cursor) {
            candidate.is_selected = !candidate.is_selected && !candidate.is_watched;
        }
    }

    /// Goes to the next field, around the end; an empty list of ids is passed over.
    pub fn next_field(&mut self) {
        self.field = match self.field {
            AddField::Ids if self.candidates.is_empty() => AddField::Label,
            AddField::Ids => AddField::Found,
            AddField::Found => AddField::Label,
            AddField::Label => AddField::Ids,
        };
    }

    /// Goes to the field before, around the start.
    pub fn previous_field(&mut self) {
        self.field = match self.field {
            AddField::Label if self.candidates.is_empty() => AddField::Ids,
            AddField::Label => AddField::Found,
            AddField::Found => AddField::Ids,
            AddField::Ids => AddField::Label,
        };
    }

    /// Moves the cursor through the ids found, held at the ends; from a line it goes to the ids
    /// first.
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

    /// Puts the keyboard on that id, or the last one.
    pub fn go_to(&mut self, at: usize) {
        if !self.candidates.is_empty() {
            self.field = AddField::Found;
            self.cursor = at.min(self.candidates.len() - 1);
        }
    }

    /// Looks for ids again, keeping what the user took in and out. What was pasted is not read
    /// again for every letter typed.
    fn update_candidates(&mut self, list: &Watchlist, secrets: &KnownSecrets) {
        let typed = extract(self.ids.value(), secrets);
        let pasted = &self.from_paste;
        let known: HashSet<_> = pasted.ids.iter().map(|found| &found.id).collect();
        let more = typed.ids.iter().filter(|found| !known.contains(&found.id));
        let chosen: HashMap<_, _> = self
            .candidates
            .iter()
            .filter(|candidate| !candidate.is_watched)
            .map(|candidate| (candidate.id.clone(), candidate.is_selected))
            .collect();
        let candidate = |found: &FoundId| {
            let is_watched = list.get(&found.id).is_some();
            let is_certain = found.certainty == Certainty::Certain;
            let is_taken = chosen.get(&found.id).copied().unwrap_or(is_certain) && !is_watched;
            Candidate::new(found, is_watched, is_taken)
        };
        self.candidates = pasted.ids.iter().chain(more).map(candidate).collect();
        self.rejected = [&pasted.rejected[..], &typed.rejected[..]].concat();
        self.more_rejected = pasted.more_rejected + typed.more_rejected;
        self.skipped = pasted.skipped + typed.skipped;
        self.cursor = self.cursor.min(self.candidates.len().saturating_sub(1));
    }
}

impl Candidate {
    fn new(found: &FoundId, is_watched: bool, is_taken: bool) -> Self {
        Self {
            id: found.id.clone(),
            context: found.context.clone(),
            certainty: found.certainty,
            is_watched,
            is_selected: is_taken,
        }
    }
}
