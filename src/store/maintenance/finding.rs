//! What a check found: where, what it means and what to do.

use serde::Serialize;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: FindingSeverity,
    /// File and line, or tree and key.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingSeverity {
    /// To be known; nothing is damaged.
    Note,
    Damage,
}

impl FindingSeverity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Damage => "damage",
        }
    }
}

/// Findings kept of one kind of place; what is beyond them is counted.
const KEPT_MAX: usize = 1_000;

/// Findings as they come.
#[derive(Debug, Default)]
pub(in crate::store) struct Findings {
    kept: Vec<Finding>,
    beyond: usize,
}

impl Findings {
    pub fn damage(
        &mut self,
        place: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(FindingSeverity::Damage, place, what, remedy);
    }

    /// Something is to be known.
    pub fn note(
        &mut self,
        place: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(FindingSeverity::Note, place, what, remedy);
    }

    fn add(
        &mut self,
        severity: FindingSeverity,
        place: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.kept.len() >= KEPT_MAX {
            self.beyond += 1;
            return;
        }
        self.kept.push(Finding {
            severity,
            place: place.to_string(),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// Whether anything is damaged.
    pub fn any_damage(&self) -> bool {
        self.kept.iter().any(|finding| finding.severity == FindingSeverity::Damage)
    }

    /// All that were kept, and one more for those that were only counted.
    pub fn into_list(mut self, place: &str) -> Vec<Finding> {
        if self.beyond > 0 {
            let what = format!("{} more like the last one", self.beyond);
            self.kept.push(Finding {
                severity: FindingSeverity::Damage,
                place: place.into(),
                what,
                remedy: "as for the last one".into(),
            });
        }
        self.kept
    }
}
