//! One journal line on its way from the books to journal and queue.
//!
//! Invariant: it carries all that the queue needs, as it was at this line; the books themselves may be ahead.

use crate::domain::id::{InstanceId, Name};

use super::record::JournalRecord;
use super::state::NewRollout;

/// An instance as a lane reaches it: under this the queue keeps the job ids, for as long as it has been written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstanceOfLane {
    pub lane: Name,
    pub instance_id: InstanceId,
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
