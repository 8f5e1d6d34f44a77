//! Probes over the wire: which changes probe their proxy's port now, and what the probe returns.
//!
//! Job: queue changes that need a proof, start probes as places become free, and decide with what
//! they saw.
//!
//! Invariants: at most [`PROBES_MAX`] probes are out, and one for each change; every place comes
//! back with its proof or unused. A probe uses no permit of a lane, because it is no call of the
//! API.
//!
//! Deliberately not here: when a proof is asked for and what it means (`domain::change`), and the
//! connection (`probe`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::Core;
use super::tickets::Owner;
use super::work::WorkStage;
use crate::domain::change::{AnswerEvent, Event};
use crate::domain::id::ChangeId;
use crate::domain::journal::Trace;
use crate::domain::proof::{Endpoint, Proof};
use crate::engine::effect::Effect;

/// Probes out at once, over all lanes: two hundred a second where a handshake takes 80 ms, with a
/// handful of sockets and of handshakes at the same time, and no more than a few of them at one
/// balancer.
pub const PROBES_MAX: usize = 16;

/// Who probes, and who waits to.
#[derive(Debug, Default)]
pub(super) struct Probes {
    out: usize,
    /// By the place in line.
    line: BTreeMap<u64, ChangeId>,
}

impl Probes {
    pub(super) fn leave(&mut self, place: u64) {
        self.line.remove(&place);
    }
}

impl Core {
    /// Puts a change in line for a probe.
    pub(super) fn line_up(&mut self, id: ChangeId) {
        let Some(work) = self.work.get_mut(&id) else { return };
        if matches!(work.stage(), WorkStage::Lined { .. }) {
            return;
        }
        let place = self.next_place;
        self.next_place += 1;
        work.set_stage(WorkStage::Lined { place });
        self.probes.line.insert(place, id);
    }

    /// Lets probes go out as far as there are places.
    pub(super) fn pump_probes(&mut self, out: &mut Vec<Effect>) {
        while !self.draining
            && self.away.is_none()
            && self.probes.out < PROBES_MAX
            && let Some((_, id)) = self.probes.line.pop_first()
        {
            self.set_stage(id, WorkStage::Asleep);
            match self.decide(id) {
                Some(Ok(decision)) => match decision.probe {
                    Some(endpoint) => self.probe(id, endpoint, out),
                    None => self.carry_out(id, decision, out),
                },
                Some(Err(_)) => self.stale(id),
                None => self.sleep(id, Duration::from_secs(1)),
            }
        }
    }

    fn probe(&mut self, id: ChangeId, endpoint: Endpoint, out: &mut Vec<Effect>) {
        // Without its rollout nothing can be judged; the next scan brings it.
        let Some(tracked) = self.rollouts.get(&id.rollout) else {
            return self.sleep(id, Duration::from_secs(1));
        };
        let plan = tracked.view().plan.clone();
        self.probes.out += 1;
        self.set_stage(id, WorkStage::Probing);
        self.count("probes");
        let ticket = self.ticket(Owner::Change(id));
        out.push(Effect::Probe { ticket, id, endpoint, plan });
    }

    /// What a probe saw.
    pub(super) fn work_probed(&mut self, id: ChangeId, proof: Box<Proof>, out: &mut Vec<Effect>) {
        self.probes.out -= 1;
        let Some(work) = self.work.get_mut(&id) else { return };
        work.set_stage(WorkStage::Asleep);
        work.looked(Trace { call: "probe".into(), proof: Some(proof.clone()), ..Trace::default() });
        self.decide_with(id, Event::Answer(AnswerEvent::Proved(proof)), out);
    }
}

#[cfg(test)]
mod tests;
