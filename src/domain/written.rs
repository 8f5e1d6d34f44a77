//! A plan as it was written: each of its keys with its text.
//!
//! Job: compare two versions of a plan file, and write the plan of a revert, which carries keys
//! over. The resolved plan cannot serve for that: another version of the program resolves the same
//! file to other defaults.
//!
//! Invariant: two files that differ only in comments, order, quotes or layout are equal.
//! Deliberately not in it: the targets, whose digest is part of the rollout's identity, and
//! `autostart`, which says nothing about a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Keys as paths such as `strategy.waves[0].size`, each with its text. Empty for a rollout of an
/// earlier version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WrittenPlan(BTreeMap<String, String>);

/// A key whose text differs; `None`: the key is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited<'w> {
    pub key: &'w str,
    /// The text before the edit.
    pub was: Option<&'w str>,
    /// The text after it.
    pub now: Option<&'w str>,
}

impl WrittenPlan {
    /// Whether nothing is known of what was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every key with its text, in the order of their names.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, text)| (key.as_str(), text.as_str()))
    }

    /// The keys in which `now` differs, in the order of their names.
    pub fn edits<'w>(&'w self, now: &'w Self) -> impl Iterator<Item = Edited<'w>> {
        let gone = self.0.keys().filter(|key| !now.0.contains_key(*key));
        let mut keys: Vec<&str> = gone.chain(now.0.keys()).map(String::as_str).collect();
        keys.sort_unstable();
        let edited = move |key| Edited {
            key,
            was: self.0.get(key).map(String::as_str),
            now: now.0.get(key).map(String::as_str),
        };
        keys.into_iter().map(edited).filter(|edited| edited.was != edited.now)
    }
}

impl FromIterator<(String, String)> for WrittenPlan {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(keys: &[(&str, &str)]) -> WrittenPlan {
        keys.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn an_edit_is_a_key_that_was_changed_added_or_removed() {
        let before = written(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let after = written(&[("b", "4"), ("c", "3"), ("d", "5")]);
        let edits: Vec<_> =
            before.edits(&after).map(|edit| (edit.key, edit.was, edit.now)).collect();
        assert_eq!(
            edits,
            [("a", Some("1"), None), ("b", Some("2"), Some("4")), ("d", None, Some("5"))]
        );
        assert_eq!(before.edits(&before.clone()).count(), 0);
    }
}
