//! What else runs on the instances of a lane that changes wait for, by name.
//!
//! Job: keep what the latest list of running jobs said of those instances, and the list that is
//! under way.
//!
//! Invariants: one list is under way at a time, and the next does not begin before the lane's
//! `poll_max` is over; a list has at most [`PAGES_MAX`] pages; only instances that a change waits
//! for are kept, for [`KNOWN_FOR`] at most.
//!
//! Deliberately not here: permits and calls (`engine::core::running_jobs`), and how long is waited
//! (`domain::change`); a name decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::paged_list::{ListStep, Missing, PagedList};
use crate::domain::call::{Call, JobSeen, JobsPage};
use crate::domain::id::{InstanceId, Name};
use crate::domain::paging::FIRST;
use crate::domain::quota::Boot;

/// Pages of one list at most: 500 jobs.
const PAGES_MAX: u32 = 10;

/// A list tells what is for so long: two of the longest waits of a change with the usual
/// `poll_max`.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// What is known of one lane.
#[derive(Debug, Default)]
pub(super) struct BusyInstances {
    known: Arc<BTreeMap<InstanceId, JobSeen>>,
    listed_at: Option<Boot>,
    /// The list of which a page waits for its permit or its answer, and what the pages before told.
    question: Option<(PagedList, Vec<JobSeen>)>,
}

impl BusyInstances {
    /// What runs on this instance.
    pub(super) fn on(&self, instance: &InstanceId, now: Boot) -> Option<&JobSeen> {
        self.known.get(instance).filter(|_| self.is_known(now))
    }

    /// What runs on instances that changes wait for.
    pub(super) fn known(&self, now: Boot) -> Arc<BTreeMap<InstanceId, JobSeen>> {
        if self.is_known(now) { Arc::clone(&self.known) } else { Arc::default() }
    }

    fn is_known(&self, now: Boot) -> bool {
        self.listed_at.is_some_and(|at| now < at + KNOWN_FOR)
    }

    /// Begins a list of this lane's running jobs, unless one is under way or the last is younger
    /// than `apart`. Whether it begins.
    pub(super) fn begin_list(&mut self, lane: &Name, apart: Duration, now: Boot) -> bool {
        let recent = self.listed_at.is_some_and(|at| now < at + apart);
        if recent || self.question.is_some() {
            return false;
        }
        let call = Call::Running { lane: lane.clone(), offset: FIRST };
        self.question = Some((PagedList::new(call, Missing::LeftOut, PAGES_MAX), Vec::new()));
        true
    }

    /// The call for the next page of the list that is under way.
    pub(super) fn call(&self) -> Option<Call> {
        self.question.as_ref().map(|(list, _)| list.call())
    }

    /// A page is there, or failed (`None`): then what was read before it is all that is known. Kept
    /// are jobs of the instances that are awaited. Whether another page is to be read.
    pub(super) fn read(
        &mut self,
        told: Option<(Vec<JobSeen>, JobsPage)>,
        awaited: &BTreeSet<InstanceId>,
        now: Boot,
    ) -> bool {
        let Some((list, seen)) = &mut self.question else { return false };
        if let Some((jobs, page)) = told {
            seen.extend(jobs.into_iter().filter(|job| awaited.contains(&job.instance_id)));
            if list.read(&page) == ListStep::More {
                return true;
            }
        }
        let seen = self.question.take().map(|(_, seen)| seen).unwrap_or_default();
        self.known = Arc::new(seen.into_iter().map(|job| (job.instance_id, job)).collect());
        self.listed_at = Some(now);
        false
    }
}

#[cfg(test)]
mod tests;
