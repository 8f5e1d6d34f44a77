//! Permits: which waiter of a lane may send now, and what a lane learns when its call is over.
//!
//! Job: give the permits of the lanes that may have become able to send, and take back those of
//! calls that are over.
//!
//! Invariants: a permit is taken before a decision with a call is committed, because that commit
//! starts the call's deadline; every permit comes back, with the answer or unused.
//!
//! Deliberately not here: how many permits there are (`engine::lane`), who is next
//! (`engine::fair_queue`), and what a change does with one (`changes`).

use std::time::Duration;

use super::Core;
use super::timers::Timer;
use super::work::WorkStage;
use crate::domain::call::{Answer, Call, CallError, Reply};
use crate::domain::change::Stale;
use crate::domain::id::{ChangeId, Name};
use crate::domain::journal::Trace;
use crate::domain::quota::Quota;
use crate::engine::effect::Effect;
use crate::engine::fair_queue::{Rank, Waiter};
use crate::engine::lane::NotYet;

impl Core {
    /// Lets calls go out as far as permits reach, lane by lane.
    pub(super) fn pump(&mut self, out: &mut Vec<Effect>) {
        if self.draining || self.away.is_some() {
            // No call begins: what is in flight is taken up again by the next start, or when the
            // store is back.
            return;
        }
        while let Some(name) = self.stirred.pop_first() {
            self.pump_lane(&name, out);
        }
    }

    fn pump_lane(&mut self, name: &Name, out: &mut Vec<Effect>) {
        loop {
            let now = self.now.boot;
            let Some(lane) = self.lanes.get_mut(name) else { return };
            if !lane.keeping.sends(now) {
                return;
            }
            let room = lane.keeping.is_in_hand() && lane.has_room();
            let Some((rank, place, who)) = lane.line.first(room) else {
                if lane.lane.quota.is_some() {
                    // With nobody else to serve, a list need not wait for its share.
                    self.list_soon(name);
                }
                return;
            };
            match lane.take(now) {
                Ok(()) => self.marks_due |= lane.exceeds_mark(now),
                Err(NotYet::Answer) => return,
                Err(NotYet::Until(at)) => {
                    self.timers.set(Timer::Lane(name.clone()), None, at);
                    return;
                }
            }
            lane.line.remove(rank, place, who);
            lane.line.charge(who);
            let paced = lane.lane.quota.is_some();
            let id = match who {
                Waiter::Change(id) => id,
                Waiter::Ask(id) => {
                    self.ask_out(id, out);
                    continue;
                }
                Waiter::List => {
                    self.list_out(name, out);
                    continue;
                }
                Waiter::Running => {
                    self.running_out(name, out);
                    continue;
                }
            };
            if paced {
                self.look_due(id, now);
            }
            let stage = self.work.get_mut(&id).map(|work| work.take_stage());
            assert!(
                matches!(stage, Some(WorkStage::Waiting { place: own, .. }) if own == place),
                "a waiter is queued at most once"
            );
            self.permitted(id, name, out);
        }
    }

    /// A change has a permit of its lane in hand: it decides, and what it does without a call gives
    /// the permit back.
    pub(super) fn permitted(&mut self, id: ChangeId, name: &Name, out: &mut Vec<Effect>) {
        match self.decide(id) {
            Some(Ok(decision)) => {
                if decision.call.is_none() {
                    self.permit_unused(name);
                }
                self.carry_out(id, decision, out);
            }
            Some(Err(Stale)) => {
                self.permit_unused(name);
                self.stale(id);
            }
            None => {
                self.permit_unused(name);
                self.sleep(id, Duration::from_secs(1));
            }
        }
    }

    /// Who belongs to no change takes the next place in a lane's line.
    pub(super) fn line_up_at(&mut self, name: &Name, rank: Rank, who: Waiter) {
        let place = self.next_place;
        self.next_place += 1;
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.line.enqueue(rank, place, who);
            self.stirred.insert(name.clone());
        }
    }

    /// Other quotas are in force on these lanes, from now on and over what was sent before.
    pub(super) fn change_quotas(&mut self, quotas: Vec<(Name, Option<Quota>)>) {
        for (name, quota) in quotas {
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.change_quota(quota, self.now.boot);
                self.stirred.insert(name);
            }
        }
    }

    pub(super) fn permit_unused(&mut self, lane: &Name) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.unused();
        }
    }

    /// A call of the lane is over; tells whether its answer pauses the lane.
    pub(super) fn permit_back(
        &mut self,
        name: &Name,
        sent: bool,
        outcome: &Result<Answer, CallError>,
    ) -> bool {
        let now = self.now.boot;
        self.stirred.insert(name.clone());
        let Some(lane) = self.lanes.get_mut(name) else { return false };
        if sent {
            lane.over(outcome.as_ref().err().is_none_or(|error| error.status.is_some()), now);
        } else {
            lane.unused();
        }
        match outcome {
            Ok(_) => {
                lane.well(now);
                false
            }
            Err(error) => {
                let fell = sent && lane.learn(error, now);
                let paused = lane.pause_for(error, now);
                if fell {
                    self.count("ceiling_fell");
                }
                paused
            }
        }
    }
}

/// What a commit's journal entry tells of the answer that led to it.
pub(super) fn trace(call: &Call, reply: &Reply) -> Trace {
    let error = reply.outcome.as_ref().err();
    Trace {
        call: call.as_str().into(),
        request_id: reply.request_id.clone(),
        status: error.and_then(|error| error.status),
        code: error.and_then(|error| error.code.clone()),
        proof: None,
    }
}
