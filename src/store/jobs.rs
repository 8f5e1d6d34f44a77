//! The latest job ids of one instance: jobs of the cloud that are explained.
//!
//! Invariant: each id once, oldest first, never more than [`JOBS_KEPT`].

use crate::domain::id::JobId;

/// Job ids kept an instance. Only one change an instance is active, and a job sought in the cloud's list is younger
/// than the PUT in doubt, so two would do; the rest is for clocks that differ.
pub(crate) const JOBS_KEPT: usize = 8;

/// Adds a job id to a list.
pub(crate) fn remember(list: &mut Vec<JobId>, job: &JobId) {
    if list.contains(job) {
        return;
    }
    if list.len() == JOBS_KEPT {
        list.remove(0);
    }
    list.push(job.clone());
}
