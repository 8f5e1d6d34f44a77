//! What the invariants are shown.

use jiff::Timestamp;

use super::clouds::Clouds;
use crate::domain::call::{Call, Reply};
use crate::domain::change::Change;
use crate::domain::id::ChangeId;
use crate::domain::plan::Plan;
use crate::domain::proof::Proof;
use crate::store::{Commit, Rollout};

/// One thing that happened.
pub enum Observation<'a> {
    /// A commit was applied; the rollout is as it stands after it.
    Committed {
        commit: &'a Commit,
        /// The rollout after it.
        rollout: &'a Rollout,
    },
    /// A PUT passed the last check and leaves.
    Switches {
        id: ChangeId,
        at: Timestamp,
        /// The change as the store has it.
        stored: &'a Change,
        /// The rollout as the store has it.
        rollout: &'a Rollout,
    },
    /// A call reaches the cloud.
    Arrives { call: &'a Call, at: Timestamp },
    /// The core gets to know an answer.
    Answered { id: ChangeId, reply: &'a Reply },
    /// The wire was looked at.
    Probed { id: ChangeId, proof: &'a Proof },
    /// The daemon was killed: what it had not saved is lost.
    Died,
    /// The run is over.
    Ended(&'a RunEnd<'a>),
}

/// The state at the end of a run.
pub struct RunEnd<'a> {
    pub plan: &'a Plan,
    pub rollout: &'a Rollout,
    /// Every change, in the list's order.
    pub changes: &'a [Change],
    pub clouds: &'a Clouds,
    /// Whether it came to rest: over, or stopped for a person with nothing in flight.
    pub rested: bool,
}
