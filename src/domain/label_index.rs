//! Which labels several tasks share: such a label tells none of them apart.
//!
//! Knows nothing of tasks, and costs the same however long the list is.

use std::collections::HashMap;

use super::text::CleanText;

/// Counts the labels of a list.
#[derive(Debug, Clone, Default)]
pub struct LabelIndex {
    labels: HashMap<Box<str>, usize>,
    count: usize,
}

impl LabelIndex {
    /// Counts a task in, by its label.
    pub fn add(&mut self, label: Option<&CleanText>) {
        self.count += 1;
        if let Some(label) = label {
            *self.labels.entry(label.as_str().into()).or_default() += 1;
        }
    }

    /// Counts a task out, by its label.
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

    /// Returns how many tasks were counted.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Reports whether more than one task has that label.
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
        let mut names = LabelIndex::default();
        for label in [Some(&take), None, Some(&other)] {
            names.add(label);
        }
        assert!(!names.is_shared(&take));

        names.add(Some(&take));
        assert!(names.is_shared(&take) && !names.is_shared(&other));

        names.remove(Some(&take));
        assert!(!names.is_shared(&take));
        assert_eq!(names.count(), 3);
    }
}
