//! The number of tasks with each label, to find labels that several tasks share.
//!
//! The cost of a change does not depend on the length of the list.

use std::collections::HashMap;

use super::text::CleanText;

/// A multiset of labels.
#[derive(Debug, Clone, Default)]
pub struct LabelIndex {
    labels: HashMap<Box<str>, usize>,
    count: usize,
}

impl LabelIndex {
    pub fn add(&mut self, label: Option<&CleanText>) {
        self.count += 1;
        if let Some(label) = label {
            *self.labels.entry(label.as_str().into()).or_default() += 1;
        }
    }

    pub fn remove(&mut self, label: Option<&CleanText>) {
        self.count = self.count.saturating_sub(1);
        let Some(label) = label else { return };
        if let Some(count) = self.labels.get_mut(label.as_str()) {
            *count -= 1;
            if *count == 0 {
                self.labels.remove(label.as_str());
            }
        }
    }

    /// Returns the number of tasks, with and without a label.
    pub const fn count(&self) -> usize {
        self.count
    }

    pub fn is_shared(&self, label: &CleanText) -> bool {
        self.labels
            .get(label.as_str())
            .is_some_and(|count| *count > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_shared_while_two_tasks_have_it() {
        let (take, other) = (CleanText::line("take", 9), CleanText::line("other", 9));
        let mut index = LabelIndex::default();
        for label in [Some(&take), None, Some(&other)] {
            index.add(label);
        }
        assert!(!index.is_shared(&take));

        index.add(Some(&take));
        assert!(index.is_shared(&take) && !index.is_shared(&other));

        index.remove(Some(&take));
        assert!(!index.is_shared(&take));
        assert_eq!(index.count(), 3);
    }
}
