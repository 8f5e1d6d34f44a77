//! Reads that belong to no change: the lists of a lane's jobs, and, in one history of four, people
//! who look at instances. They share the lane's permits.
//!
//! Their times are drawn from dice of their own, so that a history without them is what it was
//! before there were any.

use std::time::Duration;

use fastrand::Rng;
use sealift::cloud::answer::{lost, not_sent};
use sealift::domain::call::{Answer, Call, Disposition, JobView, Reply};
use sealift::engine::{AskError, Input, Ticket};

use super::{MS, Nanos, S, SimEvent, SimWorld};
use crate::planted::Planted;
use crate::scenario::{CALL_TIMEOUT, LANDING_BOUND};

/// One history in so many has them.
const ONE_IN: u64 = 4;

/// Looks of one history.
const LOOKS_MAX: usize = 40;

impl SimWorld {
    pub(super) fn draw_asks(&mut self) {
        if !self.scenario.seed.is_multiple_of(ONE_IN) {
            return;
        }
        let mut rng = Rng::with_seed(self.scenario.seed ^ 0x5ea1_1f7a);
        let looks = rng.usize(1..=LOOKS_MAX);
        // All at once, as a preview of a fleet asks, or now and then.
        let begun = rng.u64(0..self.scenario.calm_at * S);
        let spread = if rng.bool() { 1 } else { self.scenario.calm_at * S - begun };
        for _ in 0..looks {
            let place = rng.usize(0..self.submission.targets.len());
            self.push(
                begun + rng.u64(0..spread),
                SimEvent::Look { place, way: rng.u64(MS..50 * MS) },
            );
        }
    }

    pub(super) fn look(&mut self, place: usize, way: Nanos) {
        if self.daemon.core.is_none() {
            return;
        }
        let id = self.next_ask;
        self.next_ask += 1;
        self.asks_out.insert(id, way);
        self.fire("look_asked");
        let target = &self.submission.targets[place];
        let call = Call::Proxies { lane: target.lane.clone(), instance_id: target.instance_id };
        let wait = self.daemon.frozen_until.saturating_sub(self.now);
        self.push_input(wait, Input::Asked { id, call });
    }

    pub(super) fn ask(&mut self, ticket: Ticket, call: Call, deadline: Duration) {
        let life = self.daemon.life;
        let way = self.asks_out.values().next().copied().unwrap_or(MS);
        self.push(way, SimEvent::AskWire { life, ticket, call: Box::new(call), deadline, way });
    }

    /// At its wire instant.
    pub(super) fn ask_wire(
        &mut self,
        life: u32,
        ticket: Ticket,
        call: Call,
        deadline: Duration,
        way: Nanos,
    ) {
        if self.daemon.life != life {
            return;
        }
        if let Err(withheld) = self.daemon.fence.check_read(call.lane(), deadline, self.times()) {
            self.fire("look_withheld");
            return self.ask_told(0, life, ticket, not_sent(Disposition::Withheld, &withheld.0));
        }
        let (oracle, around) = self.watch();
        oracle.leaves(ticket, &call, &around);
        if self.planted == Planted::LooksBesideTheQuota {
            self.ask_told(0, life, ticket, not_sent(Disposition::Withheld, "told as not sent"));
        }
        let timeout = u64::try_from(CALL_TIMEOUT.as_nanos()).expect("short");
        self.ask_told(timeout, life, ticket, lost("no answer in time"));
        let slow = self.scenario.slow_path > 0.0 && way.is_multiple_of(8);
        let way =
            if slow { way % u64::try_from(LANDING_BOUND.as_nanos()).expect("short") } else { way };
        self.push(way, SimEvent::AskArrive { life, ticket, call: Box::new(call), way });
    }

    pub(super) fn ask_arrive(&mut self, life: u32, ticket: Ticket, call: &Call, way: Nanos) {
        let now = self.cloud_now();
        self.cloud.advance(now);
        let (oracle, around) = self.watch();
        oracle.arrives(call, &around);
        let mut arrival = self.cloud.arrive(now, call);
        if let (Planted::ListTellsTooEarly, Ok(Answer::Listed { jobs, .. })) =
            (self.planted, &mut arrival.reply.outcome)
        {
            jobs.iter_mut().for_each(|row| row.view = JobView::Completed);
        }
        let back = way + u64::try_from(arrival.answer_after.as_nanos()).expect("short");
        self.ask_told(back, life, ticket, arrival.reply);
    }

    fn ask_told(&mut self, after: Nanos, life: u32, ticket: Ticket, reply: Reply) {
        self.push(
            after,
            SimEvent::Feed { life, input: Box::new(Input::Answered { ticket, reply }) },
        );
    }

    pub(super) fn told(&mut self, id: u64, result: &Result<Reply, AskError>) {
        if self.asks_out.remove(&id).is_none() {
            self.oracle.violate("a look was answered twice");
        }
        self.fire(if result.as_ref().is_ok_and(|reply| reply.outcome.is_ok()) {
            "look_answered"
        } else {
            "look_failed"
        });
    }
}
