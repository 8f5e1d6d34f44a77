//! Which jobs of the cloud's list may be the one whose id was lost.
//!
//! Job: of the jobs that the list names for an instance, those that the PUT in doubt may have made.
//!
//! Invariant: a job that it may have made is never left out. Jobs that are explained, whose ids we hold, are not it; and of
//! one instance one change is active at a time, whose PUT leaves only after every PUT before it has its job id or is known
//! to have made no job. So what the cloud made before a job that is explained is older than the PUT in doubt, whoever made it,
//! and need not be explained itself: of an instance with many proxies only the latest job ids are kept.
//!
//! Deliberately not here: reading the list to its end (`engine::question`), and what one candidate, none or many lead to
//! (`domain::change`).

use std::time::Duration;

use super::call::JobSeen;
use super::id::JobId;

/// How far apart the cloud may date two jobs in the wrong order: it dates by the second, and on more than one machine. Far
/// less than two switches of one instance one after the other take.
pub const DATED_WITHIN: Duration = Duration::from_secs(5);

/// The jobs of these that may be the one that is sought, each once and in the order of their ids; `explained` tells which
/// are known to be of another PUT.
pub fn unexplained(seen: Vec<JobSeen>, explained: impl Fn(&JobId) -> bool) -> Vec<JobId> {
    let (ours, others): (Vec<JobSeen>, Vec<JobSeen>) = seen.into_iter().partition(|seen| explained(&seen.job));
    let newest = ours.iter().filter_map(|seen| seen.created).max();
    let from = newest.and_then(|newest| newest.checked_sub(DATED_WITHIN).ok());
    let older = |seen: &JobSeen| matches!((seen.created, from), (Some(created), Some(from)) if created < from);
    let mut jobs: Vec<JobId> = others.into_iter().filter(|seen| !older(seen)).map(|seen| seen.job).collect();
    jobs.sort();
    jobs.dedup();
    jobs
}

#[cfg(test)]
mod tests;
