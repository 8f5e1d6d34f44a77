//! One change's row: what the store keeps of a change that has moved.
//!
//! Invariant: a row's target is the one at its ordinal in the rollout's submission; only record,
//! due and moved_at move.
//!
//! Deliberately not here: rows of changes that never moved. They have none, see [`crate::store`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::change::{self, Change, StateKind};
use crate::domain::id::ChangeId;
use crate::domain::plan::Plan;
use crate::domain::tally::Standing;
use crate::domain::target::Target;

use super::Active;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredChange {
    pub target: Target,
    pub record: change::Record,
    /// From then on it is due; `None` for queued and settled changes.
    pub due: Option<Timestamp>,
    /// When its latest transition was committed.
    pub moved_at: Timestamp,
    /// The journal's entry of it; `None`: an earlier version wrote this row.
    pub entry: Option<u64>,
}

/// A change as stored; its target is looked up in the submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRow {
    #[serde(rename = "r")]
    pub record: change::Record,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(rename = "m")]
    pub moved_at: Timestamp,
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}

impl StoredChange {
    pub fn standing(&self) -> Standing {
        Standing::of(&self.record.state)
    }

    /// The row as readers get it.
    pub fn active(self, id: ChangeId, plan: &Plan) -> Active {
        let change = change(id, self.target, self.record, plan);
        Active { change, due: self.due, moved_at: Some(self.moved_at), entry: self.entry }
    }
}

/// Puts a change together from its row and its plan.
pub(crate) fn change(id: ChangeId, target: Target, record: change::Record, plan: &Plan) -> Change {
    Change {
        id,
        target,
        wave: plan.strategy.wave_of(id.ordinal),
        desired: record.desired(plan.ssl_option),
        record,
    }
}

/// The standing that one of the words of [`change::State::as_str`] counts as.
pub(crate) fn standing_of(word: &str) -> Option<Standing> {
    StateKind::parse(word).map(Standing::of_kind)
}

/// Whether a retry puts back a change in such a state.
pub(crate) fn is_failure(kind: StateKind) -> bool {
    matches!(Standing::of_kind(kind), Standing::Failed | Standing::InDoubt)
}

/// Whether a change in such a state has its outcome.
pub(crate) fn is_settled_kind(kind: StateKind) -> bool {
    is_settled(Standing::of_kind(kind))
}

/// Whether a change that stands there has its outcome.
pub(crate) fn is_settled(standing: Standing) -> bool {
    match standing {
        Standing::Succeeded
        | Standing::Failed
        | Standing::InDoubt
        | Standing::Cancelled
        | Standing::Reverted
        | Standing::Skipped => true,
        Standing::Queued | Standing::Active => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_standing() {
        for word in change::State::WORDS {
            assert!(standing_of(word).is_some(), "{word}");
        }
        assert_eq!(standing_of("done"), None);
    }
}
