//! The list of a lane's running jobs, made for changes that wait for a busy instance.
//!
//! Job: when the cloud says that an instance is busy, list the lane's running jobs once, so that
//! journal and hold name what is waited out: `EnlargeGaussDBforMySQLProxy (job …)` instead of
//! "other work".
//!
//! Invariant: a list that fails costs no change anything; the next wait asks again.
//!
//! Deliberately not here: how often a list is made and what is kept of it
//! (`engine::busy_instances`), and how long is waited (`domain::change`).

use std::collections::BTreeSet;

use super::Core;
use super::tickets::Owner;
use super::work::{SEND_WITHIN, Work};
use crate::domain::call::{Answer, Reply};
use crate::domain::change::State;
use crate::domain::id::{InstanceId, Name};
use crate::engine::effect::Effect;
use crate::engine::fair_queue::{Rank, Waiter};

impl Core {
    /// A change of this lane waits for a busy instance.
    pub(super) fn ask_what_runs(&mut self, name: &Name) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(name) else { return };
        if lane.occupied.begin_list(name, lane.lane.timing.poll_max, now) {
            self.line_up_at(name, Rank::InFlight, Waiter::Running);
        }
    }

    /// The list's turn has come; the permit is in hand.
    pub(super) fn running_out(&mut self, name: &Name, out: &mut Vec<Effect>) {
        let call = self
            .lanes
            .get(name)
            .and_then(|lane| lane.occupied.call())
            .expect("a list that waits is under way");
        let ticket = self.ticket(Owner::Running(name.clone()));
        self.count("calls");
        self.count("running_listed");
        out.push(Effect::Ask { ticket, call, deadline: self.now.boot + SEND_WITHIN });
    }

    /// A page is there, or it failed.
    pub(super) fn running_answered(&mut self, name: &Name, reply: Reply) {
        self.permit_back(name, reply.sent, &reply.outcome);
        let awaited = self.awaited(name);
        let now = self.now.boot;
        let told = match reply.outcome {
            Ok(Answer::Jobs { jobs, page }) => Some((jobs, page)),
            Ok(_) | Err(_) => None,
        };
        if self.lanes.get_mut(name).is_some_and(|lane| lane.occupied.read(told, &awaited, now)) {
            self.line_up_at(name, Rank::InFlight, Waiter::Running);
        }
    }

    /// The instances of this lane that changes wait for.
    fn awaited(&self, name: &Name) -> BTreeSet<InstanceId> {
        let waits = |record: &crate::domain::change::Record| {
            record.state == State::Ready && record.waits > 0
        };
        let changes = self.work.values().map(Work::change);
        changes
            .filter(|change| change.target.lane == *name && waits(&change.record))
            .map(|change| change.target.instance_id)
            .collect()
    }
}

#[cfg(test)]
mod tests;
