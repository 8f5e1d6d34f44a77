//! One journal line on its way from the books to journal and queue.
//!
//! Invariant: it carries all that the queue needs, as it was at this line; the books themselves may be ahead.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::id::{InstanceId, Name};
use crate::domain::person::Person;
use crate::domain::plan::Plan;

use super::record::JournalRecord;
use super::targets::{Fingerprints, FrozenTargets};

/// An instance as a lane reaches it: under this the queue keeps the job ids, for as long as it has been written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstanceOfLane {
    pub lane: Name,
    pub instance_id: InstanceId,
}

/// What a rollout brings to the books when it is taken over, or found at start.
#[derive(Debug, Clone)]
pub(crate) struct NewRollout {
    pub plan: Arc<Plan>,
    pub targets: Arc<dyn FrozenTargets>,
    /// Its proxies; `None` for one that is over.
    pub prints: Option<Fingerprints>,
    pub by: Person,
    pub at: Timestamp,
}

/// A line with what stands behind it.
#[derive(Debug, Clone)]
pub(crate) struct PendingRecord {
    pub line: JournalRecord,
    /// The instance, when the line brings a job id that was not known before.
    pub learnt: Option<InstanceOfLane>,
    /// The rollout, when the line takes one over.
    pub opening: Option<Box<NewRollout>>,
}
