//! What else runs on the instances that changes wait for, by name.
//!
//! Job: when the cloud says that an instance is busy, the lane's running jobs are listed once, so that journal and hold name
//! what is waited out: `EnlargeGaussDBforMySQLProxy (job …)` instead of "other work".
//!
//! Invariants: one list of a lane is out at a time, and the next not before the lane's `poll_max`; a question has at most
//! [`PAGES_MAX`] pages; only instances that a change waits for are kept, and only for as long as a list may be taken for what is.
//!
//! Deliberately not here: how long is waited (`domain::change`); a name decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::changes::SEND_WITHIN;
use super::core::Core;
use super::effect::Effect;
use super::lane::{Rank, Waiter};
use super::tickets::Owner;
use crate::cloud::wire_format::JOBS_PAGE;
use crate::domain::call::{Answer, Call, JobSeen, Reply};
use crate::domain::change::State;
use crate::domain::id::{InstanceId, Name};
use crate::domain::paging::{NextPage, Paging};
use crate::domain::quota::Boot;

/// Pages of one list at most: 500 jobs.
const PAGES_MAX: u32 = 10;

/// A list tells what is for so long: two of the longest waits of a change with the usual `poll_max`.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// What is known of one lane.
#[derive(Debug, Default)]
pub(super) struct BusyInstances {
    known: Arc<BTreeMap<InstanceId, JobSeen>>,
    listed_at: Option<Boot>,
    /// The page that waits for its permit or its answer, and what those before it told.
    question: Option<(Paging, Vec<JobSeen>)>,
}

impl BusyInstances {
    /// What runs on this instance.
    pub(super) fn on(&self, instance: &InstanceId, now: Boot) -> Option<&JobSeen> {
        self.known.get(instance).filter(|_| self.is_known(now))
    }

    pub(super) fn known(&self, now: Boot) -> Arc<BTreeMap<InstanceId, JobSeen>> {
        if self.is_known(now) { Arc::clone(&self.known) } else { Arc::default() }
    }

    fn is_known(&self, now: Boot) -> bool {
        self.listed_at.is_some_and(|at| now < at + KNOWN_FOR)
    }
}

impl Core {
    /// A change of this lane waits for a busy instance.
    pub(super) fn ask_what_runs(&mut self, name: &Name) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(name) else { return };
        let recent = lane.occupied.listed_at.is_some_and(|at| now < at + lane.lane.timing.poll_max);
        if lane.occupied.question.is_none() && !recent {
            lane.occupied.question = Some((Paging::new(JOBS_PAGE), Vec::new()));
            self.line_up_at(name, Rank::InFlight, Waiter::Running);
        }
    }

    /// The list's turn has come; the permit is in hand.
    pub(super) fn running_out(&mut self, name: &Name, out: &mut Vec<Effect>) {
        let question = self.lanes.get(name).and_then(|lane| lane.occupied.question.as_ref());
        let (paging, _) = question.expect("who waits in line is known");
        let call = Call::Running { lane: name.clone(), offset: paging.offset() };
        let ticket = self.ticket(Owner::Running(name.clone()));
        self.count("calls");
        self.count("running_listed");
        out.push(Effect::Ask { ticket, call, deadline: self.now.boot + SEND_WITHIN });
    }

    /// A page is there, or it failed: then nothing is known, and the next wait asks again.
    pub(super) fn running_answered(&mut self, name: &Name, reply: Reply) {
        self.permit_back(name, reply.sent, &reply.outcome);
        let awaited: BTreeSet<InstanceId> = self.awaited(name);
        let now = self.now.boot;
        let Some(occupied) = self.lanes.get_mut(name).map(|lane| &mut lane.occupied) else { return };
        let Some((mut paging, mut seen)) = occupied.question.take() else { return };
        let (jobs, next) = match reply.outcome {
            Ok(Answer::Jobs { jobs, page }) => (jobs, paging.read(&page)),
            Ok(_) | Err(_) => (Vec::new(), NextPage::Short),
        };
        seen.extend(jobs.into_iter().filter(|job| awaited.contains(&job.instance_id)));
        if next == NextPage::Page && paging.pages() < PAGES_MAX {
            occupied.question = Some((paging, seen));
            return self.line_up_at(name, Rank::InFlight, Waiter::Running);
        }
        occupied.known = Arc::new(seen.into_iter().map(|job| (job.instance_id, job)).collect());
        occupied.listed_at = Some(now);
    }

    /// The instances of this lane that changes wait for.
    fn awaited(&self, name: &Name) -> BTreeSet<InstanceId> {
        let waits = |record: &crate::domain::change::Record| record.state == State::Ready && record.waits > 0;
        let changes = self.work.values().map(|work| &work.change);
        changes.filter(|change| change.target.lane == *name && waits(&change.record)).map(|change| change.target.instance_id).collect()
    }
}

#[cfg(test)]
mod tests;
