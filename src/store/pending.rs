//! A journal record that was folded into the state and is on its way to journal and queue.
//!
//! Invariant: it carries all that the queue needs, as of this record; the state may be ahead of it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::id::{InstanceId, Name, RolloutId};
use crate::domain::person::Person;
use crate::domain::plan::Plan;

use super::Rollout;
use super::progress::Progress;
use super::record::JournalRecord;
use super::targets::{Fingerprints, FrozenTargets};

/// An instance as a lane reaches it: under this the queue keeps the job ids, for as long as it has
/// been written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstanceOfLane {
    pub lane: Name,
    pub instance_id: InstanceId,
}

/// What a rollout brings when it is submitted, and never changes.
#[derive(Debug, Clone)]
pub(crate) struct FrozenRollout {
    pub plan: Arc<Plan>,
    pub targets: Arc<dyn FrozenTargets>,
    pub by: Person,
    pub submitted_at: Timestamp,
}

impl FrozenRollout {
    /// The rollout as readers get it.
    pub fn snapshot(&self, id: RolloutId, progress: &Progress, moved_at: Timestamp) -> Rollout {
        Rollout {
            id,
            plan: Arc::clone(&self.plan),
            targets: self.targets.count(),
            record: progress.record.clone(),
            tallies: progress.tallies.as_slice().into(),
            by: self.by.clone(),
            submitted_at: self.submitted_at,
            moved_at,
        }
    }
}

/// A rollout that is taken over, or found at start.
#[derive(Debug, Clone)]
pub(crate) struct NewRollout {
    pub frozen: FrozenRollout,
    /// Its proxies; `None` for one that is over.
    pub prints: Option<Fingerprints>,
}

/// A record with what the queue needs beside it.
#[derive(Debug, Clone)]
pub(crate) struct PendingRecord {
    pub record: JournalRecord,
    /// The instance, when the record brings a job id that was not known before.
    pub learnt: Option<InstanceOfLane>,
    /// The rollout, when the record is its submission.
    pub new_rollout: Option<Box<NewRollout>>,
}
