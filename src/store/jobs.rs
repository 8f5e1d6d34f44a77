//! The latest job ids of one instance: jobs of the cloud that are explained.
//!
//! Invariant: each id occurs once, oldest first, never more than [`JOBS_KEPT`].

use crate::domain::id::JobId;

/// Job ids kept an instance. Of an instance one change is active, and what the cloud made before a job that is explained
/// is none that is sought (`domain::job_match`), so one would do; the rest is for dates that are close, or missing.
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
