//! People's reads: calls that belong to no change, sent with a permit that no work of their lane
//! wants.
//!
//! Job: queue each read behind all work of its lane, send it, repeat it if its failure may pass,
//! and return the answer.
//!
//! Invariants: every read is answered once; none goes before work of its lane; at most [`ASKS_MAX`]
//! are open. A failure that may pass is repeated after a growing wait, each time with a permit of
//! its own, at most [`ASK_TRIES_MAX`] times. Nothing is stored, and a lane learns from these
//! answers as from any other.
//!
//! Deliberately not here: what an answer means to the person who asked (`api`).

use std::time::Duration;

use super::Core;
use super::tickets::Owner;
use super::timers::Timer;
use super::work::SEND_WITHIN;
use crate::domain::call::{Call, CallError, Disposition, Reply};
use crate::domain::id::Name;
use crate::domain::quota::Boot;
use crate::engine::effect::Effect;
use crate::engine::fair_queue::{Rank, Waiter};
use crate::engine::handle::{ASKS_MAX, AskError};

/// How often a question is put before its failure is told. Where one answer in twenty is an error,
/// one question in three million fails so.
const ASK_TRIES_MAX: u32 = 5;

/// The wait after the first try; it doubles with each: 7.5 s over all of them.
const ASK_AGAIN_FIRST: Duration = Duration::from_millis(500);

/// Refused credentials with a `Retry-After` of so many seconds at most were replaced meanwhile: the
/// next call has the new ones.
const RENEWED_WITHIN: u32 = 1;

/// A question that is not answered yet.
pub(super) struct Inquiry {
    call: Call,
    /// Calls that are over.
    tries: u32,
    /// When it is put again, while it waits for that.
    again_at: Option<Boot>,
}

impl Inquiry {
    pub(super) fn lane(&self) -> &Name {
        self.call.lane()
    }
}

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
        if !self.is_ours(call.lane()) {
            return refuse(AskError::Elsewhere(call.lane().clone()));
        }
        self.line_up_at(call.lane(), Rank::Ask, Waiter::Ask(id));
        self.asks.insert(id, Inquiry { call, tries: 0, again_at: None });
    }

    /// Its turn has come; the permit is in hand.
    pub(super) fn ask_out(&mut self, id: u64, out: &mut Vec<Effect>) {
        let call = self.asks.get(&id).expect("a question that waits is known").call.clone();
        let ticket = self.ticket(Owner::Ask(id));
        self.count("calls");
        out.push(Effect::Ask { ticket, call, deadline: self.now.boot + SEND_WITHIN });
    }

    /// The cloud has answered.
    pub(super) fn ask_answered(&mut self, id: u64, mut reply: Reply, out: &mut Vec<Effect>) {
        let Some(mut asked) = self.asks.remove(&id) else { return };
        self.permit_back(asked.lane(), reply.sent, &reply.outcome);
        asked.tries += 1;
        if let Err(error) = &mut reply.outcome {
            let again = !self.draining && self.is_ours(asked.lane());
            if again && asked.tries < ASK_TRIES_MAX && self.may_pass(asked.lane(), error) {
                return self.ask_again(id, asked);
            }
            if asked.tries > 1 {
                error.message = format!("{} (asked {} times)", error.message, asked.tries);
            }
        }
        self.keep_fresh(&asked.call, &reply);
        out.push(Effect::Told { id, result: Ok(reply) });
    }

    /// Whether another try may well be answered: what the lane's credentials or the cloud's rules
    /// refuse is told at once.
    fn may_pass(&self, lane: &Name, error: &CallError) -> bool {
        match error.disposition {
            Disposition::Withheld
            | Disposition::Misdated
            | Disposition::Throttled
            | Disposition::Busy
            | Disposition::Unknown => true,
            Disposition::NotDone => {
                error.status.is_some() || self.lanes.get(lane).is_some_and(|lane| !lane.is_down())
            }
            Disposition::Unauthorised => {
                error.retry_after.is_some_and(|seconds| seconds <= RENEWED_WITHIN)
            }
            Disposition::NotFound | Disposition::Fatal => false,
        }
    }

    fn ask_again(&mut self, id: u64, asked: Inquiry) {
        self.count("asked_again");
        let at = self.now.boot + ASK_AGAIN_FIRST * (1 << (asked.tries - 1));
        self.timers.set(Timer::Ask(id), None, at);
        self.asks.insert(id, Inquiry { again_at: Some(at), ..asked });
    }

    /// The wait before its next try is over: it takes a new place in its lane's line.
    pub(super) fn ask_woken(&mut self, id: u64) {
        let Some(asked) = self.asks.get_mut(&id) else { return };
        asked.again_at = None;
        let lane = asked.lane().clone();
        self.line_up_at(&lane, Rank::Ask, Waiter::Ask(id));
    }

    /// The lane is another daemon's: nothing is asked over it any more. What is out comes back by
    /// itself.
    pub(super) fn dismiss_asks_of(&mut self, name: &Name, out: &mut Vec<Effect>) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        let mut dismissed: Vec<u64> = std::iter::from_fn(|| lane.line.pop_ask()).collect();
        for (id, asked) in self.asks.iter().filter(|(_, asked)| asked.lane() == name) {
            if let Some(at) = asked.again_at {
                self.timers.clear(Timer::Ask(*id), Some(at));
                dismissed.push(*id);
            }
        }
        for id in dismissed {
            self.asks.remove(&id);
            let result = Err(AskError::Elsewhere(name.clone()));
            out.push(Effect::Told { id, result });
        }
    }

    /// The process ends: nothing is asked any more. What is out comes back by itself.
    pub(super) fn dismiss_asks(&mut self, out: &mut Vec<Effect>) {
        let mut dismissed: Vec<u64> = Vec::new();
        for lane in self.lanes.values_mut() {
            dismissed.extend(std::iter::from_fn(|| lane.line.pop_ask()));
        }
        let resting: Vec<(u64, Boot)> =
            self.asks.iter().filter_map(|(id, asked)| Some((*id, asked.again_at?))).collect();
        for (id, at) in resting {
            self.timers.clear(Timer::Ask(id), Some(at));
            dismissed.push(id);
        }
        for id in dismissed {
            self.asks.remove(&id);
            out.push(Effect::Told { id, result: Err(AskError::Stopping) });
        }
    }
}

#[cfg(test)]
mod tests;
