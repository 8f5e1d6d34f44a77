//! Questions of people: reads that belong to no change, sent with a permit of their lane when no work wants it.
//!
//! Invariants: every question is answered once; none goes before work of its lane; at most [`ASKS_MAX`] wait. Nothing of
//! them is stored, and a lane learns from their answers as from any other.
//!
//! Deliberately not here: what an answer means to whoever asked.

use super::core::{Core, Owner};
use super::effect::Effect;
use super::handle::{ASKS_MAX, AskError};
use super::lane::{Rank, Waiter};
use super::work::SEND_WITHIN;
use crate::domain::call::{Call, Disposition, Reply};

impl Core {
    /// Takes a question; it stands in its lane's line, behind all work.
    pub(super) fn asked(&mut self, id: u64, call: Call, out: &mut Vec<Effect>) {
        let mut refuse = |why| out.push(Effect::Told { id, result: Err(why) });
        if self.draining {
            return refuse(AskError::Stopping);
        }
        if self.asks.len() >= ASKS_MAX {
            return refuse(AskError::TooMany);
        }
        if !self.lanes.contains_key(call.lane()) {
            return refuse(AskError::NoLane(call.lane().clone()));
        }
        self.line_up_at(call.lane(), Rank::Ask, Waiter::Ask(id));
        self.asks.insert(id, call);
    }

    /// Its turn has come; the permit is in hand.
    pub(super) fn ask_out(&mut self, id: u64, out: &mut Vec<Effect>) {
        let call = self.asks.get(&id).expect("who waits in line is known").clone();
        let ticket = self.ticket(Owner::Ask(id));
        self.count("calls");
        out.push(Effect::Ask { ticket, call, deadline: self.now.boot + SEND_WITHIN });
    }

    /// The cloud has answered.
    pub(super) fn ask_answered(&mut self, id: u64, reply: Reply, out: &mut Vec<Effect>) {
        let Some(call) = self.asks.remove(&id) else { return };
        self.permit_back(call.lane(), reply.sent, &reply.outcome);
        if matches!(&reply.outcome, Err(error) if error.disposition == Disposition::Misdated) && !self.draining {
            return self.asked(id, call, out);
        }
        self.keep_fresh(&call, &reply);
        out.push(Effect::Told { id, result: Ok(reply) });
    }

    /// The process ends: nothing is asked any more. What is out comes back by itself.
    pub(super) fn dismiss_asks(&mut self, out: &mut Vec<Effect>) {
        for lane in self.lanes.values_mut() {
            while let Some(id) = lane.line.pop_ask() {
                self.asks.remove(&id);
                out.push(Effect::Told { id, result: Err(AskError::Stopping) });
            }
        }
    }
}

#[cfg(test)]
mod tests;
